package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// describeCommand writes what the packages ship beside the binary. All of it
// comes from the same structs that parse the command line, so it cannot tell
// of a flag that is not there.
type describeCommand struct {
	For  string `arg:"" enum:"man,bash,zsh,fish" help:"What to print: man, bash, zsh or fish."`
	Date string `help:"The date on the manual page." placeholder:"YYYY-MM-DD"`
}

// dataEverywhere is the default data folder in words that hold for every user:
// what is printed must not depend on who builds.
const dataEverywhere = "/var/lib/deich for root, else ~/.local/state/deich"

func (c *describeCommand) Run(t *terminal) error {
	root := grammar(new(commands), dataEverywhere).Model.Node
	var b strings.Builder
	switch c.For {
	case "man":
		writeManual(&b, root, c.Date, version)
	case "bash":
		writeBash(&b, root)
	case "zsh":
		writeZsh(&b, root)
	case "fish":
		writeFish(&b, root)
	}
	_, err := fmt.Fprint(t.out, b.String())
	return err
}

// shown are the commands below n that help shows.
func shown(n *kong.Node) (all []*kong.Node) {
	for _, c := range n.Children {
		if !c.Hidden {
			all = append(all, c)
		}
	}
	return all
}

// walk visits n and every command below it that help shows.
func walk(n *kong.Node, visit func(*kong.Node)) {
	visit(n)
	for _, c := range shown(n) {
		walk(c, visit)
	}
}

// flagsOf are the flags that may follow n, without --help, which may follow
// everything.
func flagsOf(n *kong.Node) (all []*kong.Flag) {
	for _, group := range n.AllFlags(true) {
		for _, f := range group {
			if f.Name != "help" {
				all = append(all, f)
			}
		}
	}
	return all
}

// kind says what a value is taken from, where a shell can offer something.
type kind int

const (
	anything kind = iota
	aFile         // a path
	aFolder       // a path to a folder
	aWord         // one of a few
)

func kindOf(v *kong.Value) kind {
	switch {
	case v.Enum != "":
		return aWord
	case v.Tag.Type != "path":
		return anything
	case v.Flag != nil && v.Flag.PlaceHolder == "DIR":
		return aFolder
	}
	return aFile
}

// noun is what help calls a flag's value.
func noun(f *kong.Flag) string { return strings.Trim(f.FormatPlaceHolder(), `"`) }
