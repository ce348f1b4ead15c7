package gate

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

const (
	// pinsName is the folder in a bpf filesystem that holds a pinned gate.
	pinsName = "deich_gate"
	// linkName, with an interface's number, is the pin of a link: that filesystem
	// takes no dots, which interfaces' names may have.
	linkName = "link_"
	// standingName is the map that says whose gate it is, and whether that lives.
	standingName = "pinned"
	// layout numbers what the pinned maps hold and mean; it grows with each change
	// of that, and another number is not taken over.
	layout = 2
)

// pinnedMaps are those whose content outlives the process. What else the program
// needs comes with each process anew.
func pinnedMaps(m *kernelMaps) map[string]*ebpf.Map {
	return map[string]*ebpf.Map{
		"source4": m.Source4, "source6": m.Source6, "prefix4": m.Prefix4, "prefix6": m.Prefix6, standingName: m.Pinned,
	}
}

// pins are the folder of a gate that outlives its process, and what an earlier
// one left in it. Whoever lives with it holds a lock on the folder, which the
// kernel frees however the process ends. A nil one is of a gate that is not pinned.
type pins struct {
	path  string
	owner uint64
	made  bool                 // by this process: nothing was there
	lock  *os.File             // nil: only looked at, and nothing was there
	maps  map[string]*ebpf.Map // left; none: there is nothing to take over
	links map[int]link.Link    // left, by the interface's number
}

// openPins finds the folder, or makes it; look has it change nothing. It is nil
// where no pins are asked for.
func openPins(o Options, look bool) (*pins, error) {
	if !o.Config.Pinned {
		return nil, nil
	}
	sum := sha256.Sum256([]byte(o.Owner))
	p := &pins{owner: binary.NativeEndian.Uint64(sum[:]), maps: make(map[string]*ebpf.Map), links: make(map[int]link.Link)}
	if err := p.find(look); err != nil {
		return nil, fmt.Errorf("pinned: %w", err)
	}
	if p.made && look {
		return p, nil
	}
	err := p.take()
	if err == nil {
		err = p.load()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pinned: %w", err), p.leave())
	}
	return p, nil
}

// find gives the folder's path: of the one that is there, or of a new one.
func (p *pins) find(look bool) error {
	places, err := bpfMounts()
	if err != nil {
		return err
	}
	for _, at := range places {
		path := filepath.Join(at, pinsName)
		if _, err := os.Lstat(path); err == nil {
			p.path = path
			return nil
		}
	}
	p.made = true
	var refused error
	for _, at := range places {
		p.path = filepath.Join(at, pinsName)
		if look {
			err = unix.Faccessat(unix.AT_FDCWD, at, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
		} else {
			err = os.Mkdir(p.path, 0o700)
		}
		if err == nil {
			return nil
		}
		var of *fs.PathError
		if errors.As(err, &of) {
			err = of.Err
		}
		refused = cmp.Or(refused, fmt.Errorf("this user cannot make %s (in the unit: link pinned.conf): %w", p.path, err))
	}
	return cmp.Or(refused, errors.New("no bpf filesystem is mounted: mount -t bpf bpf /sys/fs/bpf"))
}

// take locks the folder for this process.
func (p *pins) take() error {
	info, err := os.Lstat(p.path)
	if err != nil {
		return err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(s.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is another user's: as root, deich gate off takes it away", p.path)
	}
	if p.lock, err = os.Open(p.path); err != nil {
		return err
	}
	for end := time.Now().Add(pinsWait); ; time.Sleep(pinsWait / 50) {
		err = unix.Flock(int(p.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK || time.Now().After(end) {
			break
		}
	}
	if err == unix.EWOULDBLOCK {
		return fmt.Errorf("%s is held by another Deich that runs: gate.pinned is for one of them", p.path)
	}
	if err != nil {
		return os.NewSyscallError("flock", err)
	}
	// It may have been taken away while this waited.
	locked, err := p.lock.Stat()
	if err != nil {
		return err
	}
	if now, err := os.Lstat(p.path); err != nil || !os.SameFile(now, locked) {
		return fmt.Errorf("%s is just being taken away: start Deich again", p.path)
	}
	return nil
}

// load opens what was left, and refuses what is not this Deich's to take over.
func (p *pins) load() error {
	entries, err := os.ReadDir(p.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(p.path, e.Name())
		if index, ok := linkIndex(e.Name()); ok {
			l, err := link.LoadPinnedLink(path, nil)
			if err != nil {
				return fmt.Errorf("%s: %w: %s", path, err, restart)
			}
			p.links[index] = l
		} else if _, ok := pinnedMaps(new(kernelMaps))[e.Name()]; ok {
			m, err := ebpf.LoadPinnedMap(path, nil)
			if err != nil {
				return fmt.Errorf("%s: %w: %s", path, err, restart)
			}
			p.maps[e.Name()] = m
		}
	}
	if len(p.links) == 0 {
		// Links are pinned last: this never stood.
		for name, m := range p.maps {
			m.Close()
			delete(p.maps, name)
		}
		return nil
	}
	for name := range pinnedMaps(new(kernelMaps)) {
		if p.maps[name] == nil {
			return fmt.Errorf("%s is not whole, without %s: %s", p.path, name, restart)
		}
	}
	var s kernelStanding
	if err := p.maps[standingName].Lookup(uint32(0), &s); err != nil || s.Layout != layout {
		return p.foreign()
	}
	if s.Owner != p.owner {
		return fmt.Errorf("%s was left by a Deich with another data folder: start that one, or %s", p.path, restart)
	}
	return nil
}

const restart = "take it away (deich gate off, as root) and start Deich again"

func (p *pins) foreign() error {
	return fmt.Errorf("%s was left by another version of Deich: %s", p.path, restart)
}

func linkIndex(name string) (index int, ok bool) {
	number, ok := strings.CutPrefix(name, linkName)
	if !ok {
		return 0, false
	}
	index, err := strconv.Atoi(number)
	return index, err == nil && index > 0
}

func (p *pins) linkPath(index int) string {
	return filepath.Join(p.path, linkName+strconv.Itoa(index))
}

// replacements are the maps to load the program with, in place of new ones.
func (p *pins) replacements() map[string]*ebpf.Map {
	if p == nil || len(p.maps) == 0 {
		return nil
	}
	return p.maps
}

// at gives the link that was left for an interface, and whether the driver runs
// its program. It is nil where nothing was left, and an error where what stands
// there is not what was left.
func (p *pins) at(i string, index int, there []attached) (left link.Link, native bool, err error) {
	if p == nil || p.links[index] == nil {
		return nil, false, nil
	}
	left = p.links[index]
	info, err := left.Info()
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", p.linkPath(index), err)
	}
	switch of := info.XDP(); {
	case info.Type == link.XDPType && of != nil && of.Ifindex == 0:
		return nil, false, nil // it holds nothing any more
	case info.Type != link.XDPType || of == nil || int(of.Ifindex) != index:
		return nil, false, fmt.Errorf("%s is no link of %s: %s", p.linkPath(index), i, restart)
	case len(there) == 0:
		return nil, false, fmt.Errorf("%s stands in another network namespace: %s", p.linkPath(index), restart)
	case len(there) > 1 || there[0].id != info.Program:
		return nil, false, nil // place refuses it
	}
	// Only root may know names; the folder is this user's own all the same.
	if name := nameOf(info.Program); name != programName && name != "" {
		return nil, false, fmt.Errorf("%s: %s is pinned in the gate's place: %s", i, programText(info.Program), restart)
	}
	return left, there[0].native, nil
}

// hold pins what stands, and takes away those links that were left and were not
// taken over. Links come last: what has links is whole.
func (p *pins) hold(m *kernelMaps, links map[int]link.Link) error {
	for index, l := range p.links {
		if err := errors.Join(l.Unpin(), l.Close()); err != nil {
			return err
		}
		delete(p.links, index)
	}
	if len(p.maps) == 0 {
		for name, each := range pinnedMaps(m) {
			path := filepath.Join(p.path, name)
			if err := absent(os.Remove(path)); err != nil {
				return err
			}
			if err := each.Pin(path); err != nil {
				return fmt.Errorf("pinned: %w", err)
			}
		}
	}
	for index, l := range links {
		if err := l.Pin(p.linkPath(index)); err != nil { // nothing is done where it is pinned there
			return fmt.Errorf("pinned: %w", err)
		}
	}
	return nil
}

// absent takes it for no error that something is not there.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// end removes all that is pinned; what this process holds open stays until it
// closes that, too.
func (p *pins) end() error {
	if p == nil {
		return nil
	}
	_, err := unpin(p.path, false)
	return err
}

// leave lets go of the folder, and leaves what is in it.
func (p *pins) leave() (err error) {
	if p == nil {
		return nil
	}
	for _, m := range p.maps {
		err = errors.Join(err, m.Close())
	}
	for _, l := range p.links {
		err = errors.Join(err, l.Close())
	}
	if p.lock == nil {
		return err
	}
	if p.made {
		os.Remove(p.path) // it stays where something was pinned
	}
	return errors.Join(err, p.lock.Close())
}

// unpin removes a folder of pins, and with detach takes the links' programs off
// their interfaces, where a process still holds them. What is not the gate's
// stays, and is an error. It gives whether there was something.
func unpin(path string, detach bool) (found bool, err error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return false, absent(err)
	}
	for _, e := range entries {
		one := filepath.Join(path, e.Name())
		_, isLink := linkIndex(e.Name())
		_, isMap := pinnedMaps(new(kernelMaps))[e.Name()]
		switch {
		case !isLink && !isMap:
			err = errors.Join(err, fmt.Errorf("%s is not the gate's: it stays", one))
			continue
		case isLink && detach:
			if failed := detachPinned(one); failed != nil {
				err = errors.Join(err, failed)
				continue
			}
		}
		err = errors.Join(err, absent(os.Remove(one)))
	}
	if err == nil {
		err = absent(os.Remove(path))
	}
	return true, err
}

// detachPinned takes the gate off where a pinned link holds it.
func detachPinned(path string) error {
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return absent(err)
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if name := nameOf(info.Program); name != programName && name != "" {
		return fmt.Errorf("%s holds %s: it stays", path, programText(info.Program))
	}
	if x := info.XDP(); x == nil || x.Ifindex == 0 {
		return nil // it is off already
	}
	if err := l.Detach(); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// sweepPins finds pinned gates wherever a bpf filesystem is mounted, and takes
// them away where that is asked for. Those that only others may look into are unseen.
func sweepPins(away bool) (found, unseen []string, err error) {
	places, err := bpfMounts()
	if err != nil {
		return nil, nil, err
	}
	for _, at := range places {
		path := filepath.Join(at, pinsName)
		if _, e := os.Lstat(path); e != nil {
			switch {
			case errors.Is(e, fs.ErrPermission):
				unseen = append(unseen, fmt.Sprintf("what is pinned in %s (root)", at))
			case !errors.Is(e, fs.ErrNotExist):
				err = errors.Join(err, e)
			}
			continue
		}
		if away {
			was, e := unpin(path, true)
			if err = errors.Join(err, e); e != nil || !was {
				continue // the same filesystem may be mounted twice
			}
		}
		found = append(found, "pinned: "+path)
	}
	return found, unseen, err
}

// bpfMounts gives where bpf filesystems are mounted, in the order in which they were.
func bpfMounts() (places []string, err error) {
	f, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		// Fields that may be left out end with a dash; the filesystem comes after it.
		fields := strings.Fields(lines.Text())
		dash := slices.Index(fields, "-")
		if dash < 5 || dash+1 >= len(fields) || fields[dash+1] != "bpf" {
			continue
		}
		at := unescaped.Replace(fields[4])
		var s unix.Statfs_t
		if unix.Statfs(at, &s) == nil && uint32(s.Type) != unix.BPF_FS_MAGIC {
			continue // something else is mounted over it
		}
		if !slices.Contains(places, at) {
			places = append(places, at)
		}
	}
	return places, lines.Err()
}

// unescaped undoes what mountinfo does to names.
var unescaped = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
