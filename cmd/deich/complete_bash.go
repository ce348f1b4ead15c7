package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// writeBash writes a completion for bash. It finds the command by reading the
// words before the cursor, then offers that command's words, or, after a flag,
// that flag's values.
func writeBash(b *strings.Builder, root *kong.Node) {
	b.WriteString(bashHead)
	var known, after, then strings.Builder
	walk(root, func(n *kong.Node) {
		path := n.Path()
		var offered []string
		for _, c := range shown(n) {
			fmt.Fprintf(&known, "        %q) path=%q ;;\n", strings.TrimSpace(path+" "+c.Name), c.Path())
			offered = append(offered, c.Name)
		}
		for _, f := range flagsOf(n) {
			offered = append(offered, "--"+f.Name)
			if !f.IsBool() {
				fmt.Fprintf(&after, "    %q) %s; return ;;\n", path+" --"+f.Name, bashValues(f.Value))
			}
		}
		offered = append(offered, "--help")
		fmt.Fprintf(&then, "    %q) offered=%q%s ;;\n", path, strings.Join(offered, " "), bashArgument(n))
	})
	fmt.Fprintf(b, bashBody, known.String(), after.String(), then.String())
}

func bashValues(v *kong.Value) string {
	switch kindOf(v) {
	case aFile:
		return `_deich_paths -f`
	case aFolder:
		return `_deich_paths -d`
	case aWord:
		return fmt.Sprintf(`_deich_words %q`, strings.Join(v.EnumSlice(), " "))
	}
	return ":"
}

// bashArgument is what may stand where no flag stands.
func bashArgument(n *kong.Node) string {
	if len(n.Positional) == 0 {
		return ""
	}
	return "; " + bashValues(n.Positional[0])
}

const bashHead = `# bash completion for deich

_deich_paths() {
    compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

_deich_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

`

const bashBody = `_deich() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= offered= i
    # bash cuts --flag=value into three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${path:+$path }${COMP_WORDS[i]}" in
%s        esac
    done
    case "$path $prev" in
%s    esac
    case "$path" in
%s    esac
    if [[ $cur == -* || ${#COMPREPLY[@]} -eq 0 ]]; then
        _deich_words "$offered"
    fi
}
complete -F _deich deich
`
