// Command deich stands in front of a platform and keeps known users served
// while it is flooded. This file is the list of its subcommands; each has a
// file of its own.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

type commands struct {
	Demo    demoCommand    `cmd:"" help:"Show one flood on this machine, first without Deich, then with it."`
	Protect protectCommand `cmd:"" help:"Stand in front of one origin, with no configuration at all."`
	Run     runCommand     `cmd:"" help:"Stand in front of everything that a configuration file names."`
	Config  configCommand  `cmd:"" help:"Check a configuration file, or show what is in force."`

	Top     topCommand     `cmd:"" help:"Show each second what a running Deich does."`
	Explain explainCommand `cmd:"" help:"Say why a request was refused, by the reference on the page, or what stands against an address."`
	Allow   allowCommand   `cmd:"" help:"Let an address, prefix or path pass, whatever its rank."`
	Deny    denyCommand    `cmd:"" help:"Refuse an address, prefix or path."`
	Bypass  bypassCommand  `cmd:"" help:"Let everybody pass for a while; the origin's limit holds."`
	Rules   rulesCommand   `cmd:"" help:"Show the rules in force, what is listed by hand, and which sources are refused at accept."`
	Undo    undoCommand    `cmd:"" help:"Take back a rule, or what was listed by hand."`
	Gate    gateCommand    `cmd:"" help:"Show what the kernel drops before it reaches Deich, or take that away."`
	Reload  reloadCommand  `cmd:"" help:"Put a changed configuration in force without dropping a connection."`

	Spool    spoolCommand    `cmd:"" help:"Messages that are kept while the platform cannot take them."`
	Incident incidentCommand `cmd:"" help:"What happened, what others claim, and what the public is told."`
	Plan     planCommand     `cmd:"" help:"Announce maintenance or a crowd, on the status page and to the engine."`
	Probe    probeCommand    `cmd:"" help:"Look at the platform, and at what it needs, from outside."`
	Alert    alertCommand    `cmd:"" help:"What needs a person, and who is told."`
	Status   statusCommand   `cmd:"" help:"Show the public how the platform does."`

	Doctor doctorCommand `cmd:"" help:"Look at what a flood would find weak here: the kernel, limits, certificates, a way around Deich."`
	Drill  drillCommand  `cmd:"" help:"Rehearse floods against a sandbox of its own, and report."`

	Certificate certificateCommand `cmd:"" help:"Show the root certificate of Deich's own authority."`

	Version versionCommand `cmd:"" help:"Show the version."`

	Townsquare townsquareCommand `cmd:"" hidden:"" help:"Run the example platform."`
	Describe   describeCommand   `cmd:"" hidden:"" help:"Print the manual page, or a shell's completion."`
}

func main() { os.Exit(command(os.Args[1:], os.Stdout, os.Stderr)) }

// command runs one subcommand and gives the exit code: 0, 1 where it failed,
// 2 where it was called wrongly.
func command(args []string, out, errs io.Writer) int {
	var all commands
	ended := -1
	parser := grammar(&all, dataDirDefault(),
		kong.Writers(out, errs),
		kong.Exit(func(code int) { ended = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Bind(&terminal{out, errs}),
	)
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, err := parser.Parse(args)
	if ended >= 0 { // --help has been shown
		return ended
	}
	if err != nil {
		complain(errs, hint(err, "%s", usage(err)))
		return 2
	}
	if err := ctx.Run(); err != nil {
		complain(errs, err)
		return 1
	}
	return 0
}

// usage says where to read how a command that was called wrongly is called.
func usage(err error) string {
	var called *kong.ParseError
	if errors.As(err, &called) && called.Context.Selected() != nil {
		return called.Context.Selected().FullPath() + " --help has examples"
	}
	return "deich --help lists the commands, deich COMMAND --help explains one"
}

// grammar is what can be typed. data is the folder that help names as the
// default one.
func grammar(all *commands, data string, more ...kong.Option) *kong.Kong {
	parser, err := kong.New(all, append(more,
		kong.Name("deich"),
		kong.Description("Deich keeps known users served while a platform is flooded.\n\n"+
			"Start with:  deich protect --to http://127.0.0.1:3000"),
		kong.Vars{"data": data})...)
	if err != nil {
		panic(err) // a command is declared wrongly: any test finds it
	}
	return parser
}

// terminal is where a command writes.
type terminal struct{ out, errs io.Writer }

func (t *terminal) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// json writes a value as programs read it.
func (t *terminal) json(v any) error {
	e := json.NewEncoder(t.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// warn is for what does not stop the work.
func (t *terminal) warn(format string, args ...any) {
	fmt.Fprintf(t.errs, "deich: "+format+"\n", args...)
}

// hinted is an error with what the operator can do about it.
type hinted struct {
	err  error
	hint string
}

func (h *hinted) Error() string { return h.err.Error() }
func (h *hinted) Unwrap() error { return h.err }

func hint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// complain prints an error and its hints, innermost last.
func complain(w io.Writer, err error) {
	fmt.Fprintf(w, "deich: %v\n", err)
	for err != nil {
		var h *hinted
		if !errors.As(err, &h) {
			return
		}
		fmt.Fprintf(w, "hint: %s\n", h.hint)
		err = h.err
	}
}
