package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// writeManual writes deich(1) in man(7)'s macros.
func writeManual(b *strings.Builder, root *kong.Node, date, version string) {
	fmt.Fprintf(b, ".TH DEICH 1 %q %q\n", date, strings.TrimSpace("deich "+version))
	about, start, _ := strings.Cut(root.Help, "\n\n")
	fmt.Fprintf(b, ".SH NAME\ndeich \\- a shield in front of online platforms against floods\n")
	b.WriteString(".SH SYNOPSIS\n")
	first := true
	walk(root, func(n *kong.Node) {
		if len(n.Children) > 0 {
			return
		}
		if !first {
			b.WriteString(".br\n")
		}
		first = false
		synopsis(b, n)
	})
	b.WriteString(".SH DESCRIPTION\n")
	paragraphs(b, about+"\n\n"+start)
	b.WriteString(".SH COMMANDS\n")
	walk(root, func(n *kong.Node) {
		if len(n.Children) == 0 {
			chapter(b, n)
		}
	})
	b.WriteString(manualEnd)
}

// synopsis writes one line of how a command is called.
func synopsis(b *strings.Builder, n *kong.Node) {
	fmt.Fprintf(b, ".B %s\n", roff(n.FullPath()))
	optional := false
	for _, f := range flagsOf(n) {
		if f.Required {
			fmt.Fprintf(b, "\\fB\\-\\-%s\\fR \\fI%s\\fR\n", dashes(f.Name), roff(noun(f)))
		} else {
			optional = true
		}
	}
	if optional {
		b.WriteString("[\\fIflags\\fR]\n")
	}
	for _, a := range n.Positional {
		b.WriteString(argument(a) + "\n")
	}
}

func argument(a *kong.Positional) string {
	name := "\\fI" + roff(strings.ToUpper(a.Name)) + "\\fR"
	if a.IsCumulative() {
		name += " ..."
	}
	if !a.Required {
		name = "[" + name + "]"
	}
	return name
}

// chapter writes what a command does, takes and shows as examples.
func chapter(b *strings.Builder, n *kong.Node) {
	fmt.Fprintf(b, ".SS %s\n", roff(n.FullPath()))
	paragraphs(b, n.Help)
	for _, a := range n.Positional {
		fmt.Fprintf(b, ".TP\n%s\n", argument(a))
		paragraphs(b, cmp.Or(a.Help, a.Name))
	}
	for _, f := range flagsOf(n) {
		head := "\\fB\\-\\-" + dashes(f.Name) + "\\fR"
		if !f.IsBool() {
			head += "=\\fI" + roff(noun(f)) + "\\fR"
		}
		fmt.Fprintf(b, ".TP\n%s\n", head)
		paragraphs(b, f.Help)
	}
	if n.Detail != "" {
		b.WriteString(".PP\n")
		paragraphs(b, n.Detail)
	}
}

// paragraphs writes text as help shows it: empty lines part paragraphs, and
// indented lines are examples.
func paragraphs(b *strings.Builder, text string) {
	example, between := false, false
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		indented := strings.HasPrefix(line, "  ")
		if indented != example {
			b.WriteString(map[bool]string{true: ".IP\n.EX\n", false: ".EE\n"}[indented])
			example = indented
			between = between && indented
		}
		if line == "" {
			between = true
			continue
		}
		if between {
			b.WriteString(".PP\n")
			between = false
		}
		b.WriteString(roff(strings.TrimSpace(line)) + "\n")
	}
	if example {
		b.WriteString(".EE\n")
	}
}

// roff writes text so that nothing in it is taken for markup.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "--", `\-\-`, "~", `\(ti`, "^", `\(ha`, "`", `\(ga`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		return `\&` + s
	}
	return s
}

// dashes keeps the dashes of a flag's name from becoming hyphens.
func dashes(s string) string { return strings.ReplaceAll(s, "-", `\-`) }

const manualEnd = `.SH SIGNALS
.TP
.BR SIGTERM ", " SIGINT
The first ends Deich once the open requests are answered, after 30 seconds at the latest; the second ends it at once.
.TP
.B SIGHUP
Reads the configuration anew.
A file with a mistake changes nothing.
.SH FILES
.TP
.I /etc/deich/deich.yaml
The configuration of the service.
.TP
.I /var/lib/deich
What the service keeps: keys, what the engine learned, and what is listed by hand.
.SH ENVIRONMENT
.TP
.B XDG_STATE_HOME
Where a user other than root keeps the folder
.I deich
with the same.
.SH EXIT STATUS
0 where all went well, 1 where a command failed, 2 where it was called wrongly.
.SH SEE ALSO
.BR systemctl (1)
`
