package drill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
)

// Kinds of sandbox.
const (
	// Namespace is a network namespace of its own, without a route out.
	Namespace = "namespace"
	// Loopback is 127.0.0.0/8 of this machine.
	Loopback = "loopback"
)

// sandbox is where everything of a rehearsal lives.
type sandbox struct {
	kind string
	why  string // why it is not a namespace
	net  addresses
	port uint16 // of the next listener, in a namespace
}

// insideEnv tells a process that it is the inner one, and with withConsole
// that it was handed a listener for the console.
const (
	insideEnv   = "DEICH_DRILL_INSIDE"
	withReport  = "report"
	withConsole = "report,console"
)

// The descriptors that the outer process hands in.
const (
	reportFile  = 3
	consoleFile = 4
)

// errNoNamespace says that the system allows none.
var errNoNamespace = errors.New("drill: no network namespace of its own")

// message is what the inner process tells the outer.
type message struct {
	NoNamespace string  `json:"no_namespace,omitempty"`
	Error       string  `json:"error,omitempty"`
	Report      *Report `json:"report,omitempty"`
}

// inside says whether this process is the inner one.
func inside() bool { return os.Getenv(insideEnv) != "" }

// handedConsole gives the console's listener, if there is one.
func handedConsole() (net.Listener, error) {
	if os.Getenv(insideEnv) != withConsole {
		return nil, nil
	}
	f := os.NewFile(consoleFile, "console")
	if f == nil {
		return nil, errors.New("drill: no descriptor for the console")
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("drill: console: %w", err)
	}
	return l, nil
}

// tell hands the inner process's message out.
func tell(m message) error {
	f := os.NewFile(reportFile, "report")
	if f == nil {
		return errors.New("drill: no descriptor for the report")
	}
	defer f.Close()
	if err := json.NewEncoder(f).Encode(m); err != nil {
		return fmt.Errorf("drill: hand out the report: %w", err)
	}
	return nil
}

// rerun runs this command again inside a network namespace of its own and
// gives the report that it hands out. errNoNamespace: the system allows none.
func rerun(ctx context.Context, o Options, console net.Listener) (Report, error) {
	self, err := os.Executable()
	if err != nil {
		return Report{}, fmt.Errorf("drill: %w", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return Report{}, fmt.Errorf("drill: %w", err)
	}
	defer r.Close()
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	has := withReport
	cmd.Stdout, cmd.Stderr = o.Out, o.Out
	cmd.ExtraFiles = []*os.File{w}
	if console != nil {
		f, err := console.(*net.TCPListener).File()
		if err != nil {
			w.Close()
			return Report{}, fmt.Errorf("drill: %w", err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		has = withConsole
	}
	cmd.Env = append(os.Environ(), insideEnv+"="+has)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 4 * stopMax
	var m message
	err = runOwn(cmd, func() {
		w.Close()
		_ = json.NewDecoder(r).Decode(&m) // nothing came: how the process ended tells more
	})
	switch {
	case m.NoNamespace != "":
		return Report{}, fmt.Errorf("%w: %s", errNoNamespace, m.NoNamespace)
	case m.Report == nil && m.Error == "":
		return Report{}, errors.Join(errors.New("drill: the inner process ended without a report"), err)
	}
	var rep Report
	if m.Report != nil {
		rep = *m.Report
	}
	if m.Error != "" {
		if err := ctx.Err(); err != nil {
			return rep, fmt.Errorf("drill: %w", err)
		}
		return rep, errors.New(m.Error)
	}
	return rep, nil
}

// listener gives an address for a process to listen at. In a namespace all
// ports are free; on loopback one is asked for and given back.
func (s *sandbox) listener() (netip.AddrPort, error) {
	if s.kind == Namespace {
		s.port++
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{s.net.net, 0, 0, 1}), s.port), nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("drill: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort(), nil
}

// bindable is what a process is told to listen at, so that at can be reached
// and, in a namespace, its IPv6 twin as well.
func (s *sandbox) bindable(at netip.AddrPort) string {
	if s.kind == Namespace {
		return fmt.Sprintf(":%d", at.Port())
	}
	return at.String()
}

// near is the same listener, reached from 127.0.0.1.
func near(at netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
}

// twin is the same listener's IPv6 address, in a namespace.
func twin(at netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0: 0xfd, 15: 1}), at.Port())
}
