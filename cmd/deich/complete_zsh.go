package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// writeZsh writes a completion for zsh: a function for every command.
func writeZsh(b *strings.Builder, root *kong.Node) {
	b.WriteString("#compdef deich\n")
	walk(root, func(n *kong.Node) {
		fmt.Fprintf(b, "\n%s() {\n", zshFunction(n))
		if len(shown(n)) > 0 {
			zshCommands(b, n)
		} else {
			zshArguments(b, n)
		}
		b.WriteString("}\n")
	})
	// Loaded as a function of its own name by compinit, or sourced.
	b.WriteString("\nif [[ $funcstack[1] == _deich ]]; then\n  _deich \"$@\"\nelse\n  compdef _deich deich\nfi\n")
}

func zshFunction(n *kong.Node) string {
	return strings.ReplaceAll(strings.TrimSpace("_deich "+n.Path()), " ", "_")
}

func zshCommands(b *strings.Builder, n *kong.Node) {
	b.WriteString("  local context state state_descr line\n  typeset -A opt_args\n")
	b.WriteString("  _arguments -C '--help[Show help]' '1: :->command' '*:: :->rest'\n  case $state in\n  command)\n    local -a commands=(\n")
	for _, c := range shown(n) {
		fmt.Fprintf(b, "      %s\n", zshQuoted(c.Name+":"+c.Help))
	}
	b.WriteString("    )\n    _describe command commands\n    ;;\n  rest)\n    case $words[1] in\n")
	for _, c := range shown(n) {
		fmt.Fprintf(b, "    %s) %s ;;\n", c.Name, zshFunction(c))
	}
	b.WriteString("    esac\n    ;;\n  esac\n")
}

func zshArguments(b *strings.Builder, n *kong.Node) {
	b.WriteString("  _arguments '--help[Show help]'")
	for _, f := range flagsOf(n) {
		spec := "--" + f.Name
		if !f.IsBool() {
			spec += "="
		}
		spec += "[" + zshEscaped(f.Help) + "]"
		if !f.IsBool() {
			spec += ":" + zshEscaped(noun(f)) + ":" + zshValues(f.Value)
		}
		b.WriteString(" \\\n    " + zshQuoted(spec))
	}
	for _, a := range n.Positional {
		place := ""
		if a.IsCumulative() {
			place = "*"
		}
		b.WriteString(" \\\n    " + zshQuoted(place+":"+zshEscaped(a.Name)+":"+zshValues(a)))
	}
	b.WriteString("\n")
}

func zshValues(v *kong.Value) string {
	switch kindOf(v) {
	case aFile:
		return "_files"
	case aFolder:
		return "_files -/"
	case aWord:
		return "(" + strings.Join(v.EnumSlice(), " ") + ")"
	}
	return " "
}

// zshEscaped keeps what ends a part of a specification from ending it.
func zshEscaped(s string) string {
	return strings.NewReplacer(`\`, `\\`, ":", `\:`, "[", `\[`, "]", `\]`).Replace(s)
}

func zshQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
