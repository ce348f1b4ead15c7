package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// The files in the data folder. All are readable by their owner only.
const (
	lockFile    = "lock"         // held while a Deich runs
	consoleFile = "console"      // where its private server listens; gone when it has ended
	stateFile   = "engine.state" // what the engine learned
	routesFile  = "routes.state" // the numbers of the paths that it tells apart
	handFile    = "hand.json"    // what is listed by hand

	certificatesFolder = "certificates" // issued ones, their keys, the own authority
)

// dataOfService is where the packages' service keeps its data, and root.
const dataOfService = "/var/lib/deich"

// dataDirDefault is the user's state folder; root's is the system's.
func dataDirDefault() string {
	if os.Geteuid() == 0 {
		return dataOfService
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "deich")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "deich-data"
	}
	return filepath.Join(home, ".local", "state", "deich")
}

// dataDir is a data folder that this process holds.
type dataDir struct {
	path string
	lock *os.File
}

// openData makes the folder where it is missing and takes its lock: two
// Deichs that share keys and lists would undo each other's writing.
func openData(path string) (*dataDir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, hint(fmt.Errorf("data: %w", err), "name a folder you may write to: --data DIR")
	}
	lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, hint(fmt.Errorf("data: %w", err), "name a folder you may write to: --data DIR")
	}
	if err := lockNow(lock); err != nil {
		lock.Close()
		return nil, hint(fmt.Errorf("data: %s is in use by another Deich", path),
			"give this one a folder of its own: --data DIR")
	}
	d := &dataDir{path, lock}
	os.Remove(d.file(consoleFile)) // of a Deich that was killed: nobody answers there
	d.sweep()
	return d, nil
}

// newMark is in the name of a file that is being written.
const newMark = ".new-"

// sweep removes what was being written when a Deich was killed. That it cannot
// is no reason not to stand.
func (d *dataDir) sweep() {
	entries, _ := os.ReadDir(d.path)
	for _, e := range entries {
		if e.Type().IsRegular() && strings.Contains(e.Name(), newMark) {
			os.Remove(d.file(e.Name()))
		}
	}
}

func (d *dataDir) file(name string) string { return filepath.Join(d.path, name) }

// close takes back what tells others that a Deich runs here.
func (d *dataDir) close() error {
	err := os.Remove(d.file(consoleFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, d.lock.Close())
}

// write replaces a file as a whole: a reader, or a crash, meets the old one or
// the new one.
func (d *dataDir) write(name string, b []byte) error {
	f, err := os.CreateTemp(d.path, name+newMark+"*") // 0600
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), d.file(name))
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("data: %w", err)
	}
	return nil
}

// noteConsole says where the private server can be reached from this machine.
func (d *dataDir) noteConsole(a net.Addr) error {
	return d.write(consoleFile, []byte(reachable(a)+"\n"))
}

// reachableText is the same for one in words.
func reachableText(address string) string {
	a, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return address
	}
	return reachable(a)
}

// reachable is the address to speak to for one that is listened on.
func reachable(a net.Addr) string {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil || !ap.Addr().IsUnspecified() {
		return a.String()
	}
	if ap.Addr().Is4() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ap.Port()).String()
	}
	return fmt.Sprintf("localhost:%d", ap.Port())
}

func readConsole(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, consoleFile))
	return strings.TrimSpace(string(b)), err
}
