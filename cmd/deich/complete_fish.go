package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// writeFish writes a completion for fish: a line for everything that can be
// typed, each with the command after which it may stand.
func writeFish(b *strings.Builder, root *kong.Node) {
	var known strings.Builder
	walk(root, func(n *kong.Node) {
		for _, c := range shown(n) {
			fmt.Fprintf(&known, "            case %s\n                set path %s\n",
				fishQuoted(c.Path()), fishQuoted(c.Path()))
		}
	})
	fmt.Fprintf(b, fishHead, known.String())
	walk(root, func(n *kong.Node) {
		at := fmt.Sprintf("complete -c deich -n %s", fishQuoted(strings.TrimSpace("__deich_at "+n.Path())))
		for _, c := range shown(n) {
			fmt.Fprintf(b, "%s -a %s -d %s\n", at, c.Name, fishQuoted(c.Help))
		}
		for _, f := range flagsOf(n) {
			line := at + " -l " + f.Name
			if !f.IsBool() {
				line += " -r" + fishValues(f.Value)
			}
			fmt.Fprintf(b, "%s -d %s\n", line, fishQuoted(f.Help))
		}
		for _, a := range n.Positional {
			if values := fishValues(a); values != "" {
				b.WriteString(at + values + "\n")
			}
		}
	})
}

func fishValues(v *kong.Value) string {
	switch kindOf(v) {
	case aFile:
		return " -F"
	case aFolder:
		return " -a '(__fish_complete_directories)'"
	case aWord:
		return " -a " + fishQuoted(strings.Join(v.EnumSlice(), " "))
	}
	return ""
}

func fishQuoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
}

const fishHead = `# fish completion for deich

# The command that the words before the cursor name is the one asked for.
function __deich_at
    set -l path
    for word in (commandline -opc)[2..]
        switch (string trim "$path $word")
%s        end
    end
    test "$path" = "$argv"
end

complete -c deich -f
complete -c deich -l help -d 'Show help'
`
