package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/deichproject/deich/gate"
)

type doctorCommand struct {
	Data     string   `help:"Data folder of the Deich to look at (the configuration's, else ${data})." type:"path" placeholder:"DIR"`
	Config   string   `help:"The configuration file whose ports, certificates and origins are looked at (deich.yaml here, or /etc/deich/deich.yaml, where there is one)." type:"path" placeholder:"FILE"`
	Origin   []string `help:"Look at nothing but whether these origins can be reached from here: to be run where users are." placeholder:"URL"`
	SelfTest bool     `help:"Flood a Deich of its own on loopback for five seconds, and say whether it reacted. One that runs is not touched."`
	JSON     bool     `name:"json" help:"For programs."`
}

func (doctorCommand) Help() string {
	return "Examples:\n  deich doctor\n  deich doctor --config /etc/deich/deich.yaml --json\n  deich doctor --origin http://203.0.113.7:3000\n  deich doctor --self-test\n\n" +
		"It changes nothing. It ends with 1 where something is bad, with 0 otherwise."
}

// Graveness of a finding. What is bad will hurt, what is weak may.
const (
	stateGood = "good"
	stateWeak = "weak"
	stateBad  = "bad"
)

// finding is what a check found.
type finding struct {
	Check string `json:"check"`
	State string `json:"state"`          // good, weak, bad
	Found string `json:"found"`          // a sentence
	Next  string `json:"next,omitempty"` // what to do about it
}

func good(format string, args ...any) finding {
	return finding{State: stateGood, Found: fmt.Sprintf(format, args...)}
}

func weak(next, format string, args ...any) finding {
	return finding{State: stateWeak, Found: fmt.Sprintf(format, args...), Next: next}
}

func bad(next, format string, args ...any) finding {
	return finding{State: stateBad, Found: fmt.Sprintf(format, args...), Next: next}
}

// doctorWait bounds each look at something outside of this process.
const doctorWait = 3 * time.Second

// check is one thing that is looked at; it may find several.
type check struct {
	name string
	look func(context.Context, *patient) []finding
}

// checks are all, in the order in which they are told.
var checks = []check{
	{"kernel", lookKernel},
	{"capabilities", lookCapabilities},
	{"offloads", lookOffloads},
	{"gate", lookGate},
	{"files", lookFiles},
	{"somaxconn", lookBacklog},
	{"syn cookies", lookCookies},
	{"clock", lookClock},
	{"disk", lookDisk},
	{"ports", lookPorts},
	{"tls", lookTLS},
	{"trusted proxies", lookProxies},
	{"origin", lookOrigins},
	{"exposure", lookExposure},
}

// patient is what is looked at: a machine, and a configuration where there is one.
type patient struct {
	settings settings     // with the data folder that is looked at, also where there is no file
	from     string       // the configuration's file; "": none
	running  bool         // a Deich with this data folder answers
	pid      int          // its process; -1: it does not say
	unseen   string       // why it cannot be told whether one runs; "": it can
	gate     *gate.Status // what it says of its gate; nil: nothing
}

// asDeich is what to do where another user sees more.
const asDeich = "run this as root, or as the user who runs Deich."

// process names, below /proc, the process whose rights and limits count: that of
// the Deich that runs, or else this one, in whose place one may be started.
func (p *patient) process() string {
	if p.running {
		return strconv.Itoa(p.pid)
	}
	return "self"
}

func (c *doctorCommand) Run(t *terminal) error {
	ctx, stop := untilSignal()
	defer stop()
	var all []finding
	switch {
	case c.SelfTest:
		f, err := selfTest(ctx)
		if err != nil {
			return err
		}
		all = f
	case len(c.Origin) > 0:
		for _, origin := range c.Origin {
			all = append(all, named("exposure", lookFrom(ctx, origin))...)
		}
	default:
		p, f := c.patient()
		all = named("configuration", f)
		for _, each := range checks {
			all = append(all, named(each.name, each.look(ctx, p)...)...)
		}
	}
	return c.tell(t, all)
}

func named(name string, all ...finding) []finding {
	for i := range all {
		all[i].Check = name
	}
	return all
}

// patient reads the configuration, and asks whether its Deich runs.
func (c *doctorCommand) patient() (*patient, finding) {
	p := &patient{}
	f := c.read(p)
	p.settings.Data = cmp.Or(c.Data, p.settings.Data, dataDirDefault())
	p.meet()
	// A service's folder is not this user's, and no file needs to name it.
	if mine := p.settings.Data; !p.running && p.unseen == "" && mine == dataDirDefault() && mine != dataOfService {
		p.settings.Data = dataOfService
		if p.meet(); !p.running && p.unseen == "" {
			p.settings.Data = mine
		}
	}
	return p, f
}

// meet asks the Deich that keeps its data in the folder.
func (p *patient) meet() {
	folder := dataFlag{Data: p.settings.Data}
	if _, err := readConsole(folder.Data); errors.Is(err, fs.ErrNotExist) {
		if p.settings.Console == consoleOff {
			p.unseen = "its console is off"
		}
		return
	}
	var state struct {
		PID int `json:"pid"`
	}
	remote, err := folder.dial()
	if err == nil {
		err = remote.ask("GET", "/api/v1/state", nil, &state)
	}
	switch {
	case err == nil:
		p.running, p.pid = true, cmp.Or(state.PID, -1) // one from before an upgrade does not say it
		var status gate.Status
		if remote.ask("GET", "/api/v1/gate", nil, &status) == nil {
			p.gate = &status
		}
	case errors.Is(err, syscall.ECONNREFUSED): // it was killed, and its file stayed
	default:
		p.unseen = err.Error()
	}
}

// read reads the configuration into p.
func (c *doctorCommand) read(p *patient) finding {
	names := []string{c.Config}
	if c.Config == "" {
		names = []string{"deich.yaml", "/etc/deich/deich.yaml"}
	}
	for _, name := range names {
		s, err := loadConfig(name)
		switch {
		case err == nil:
			p.settings, p.from = s, name
			return good("%s is right.", name)
		case c.Config == "" && errors.Is(err, fs.ErrNotExist):
		default:
			return bad("deich config check "+name+" shows every mistake.", "%s cannot be used: %v.", name, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	return weak("name it: --config FILE.", "there is no configuration file here: ports, certificates, proxies and origins are not looked at.")
}

// tell writes the findings; an error says that something is bad.
func (c *doctorCommand) tell(t *terminal, all []finding) error {
	n := map[string]int{}
	for _, f := range all {
		n[f.State]++
	}
	if c.JSON {
		worst := stateGood
		for _, state := range []string{stateWeak, stateBad} {
			if n[state] > 0 {
				worst = state
			}
		}
		if err := t.json(struct {
			Worst    string    `json:"worst"`
			Findings []finding `json:"findings"`
		}{worst, all}); err != nil {
			return err
		}
	} else {
		for _, f := range all {
			t.say("%-5s %-16s %s", f.State, f.Check, f.Found)
			if f.Next != "" {
				t.say("%-5s %-16s → %s", "", "", f.Next)
			}
		}
		t.say("\n%d good, %d weak, %d bad.", n[stateGood], n[stateWeak], n[stateBad])
	}
	if n[stateBad] > 0 {
		return fmt.Errorf("doctor: %d bad", n[stateBad])
	}
	return nil
}

// readWord gives what a file of the kernel's says; "" where it cannot be read.
func readWord(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
