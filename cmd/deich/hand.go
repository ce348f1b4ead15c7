package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk/incident"
)

// handFileMax bounds the file of what is listed by hand; a longer one is an error.
const handFileMax = 4 << 20

// handLine is one listing on disk: deich.Hand with its end in words.
type handLine struct {
	ID     uint32       `json:"id"`
	Act    deich.Act    `json:"act"`
	Prefix netip.Prefix `json:"prefix,omitzero"`
	Path   string       `json:"path,omitempty"`
	Until  time.Time    `json:"until,omitzero"` // zero: until undone
}

// handList keeps the engine's listings on disk, so that a restart undoes none.
type handList struct {
	mu     sync.Mutex // one change at a time, with its writing
	data   *dataDir
	engine *deich.Engine
	now    func() deich.Time
}

// load lists again what was listed before the restart and still holds. What
// cannot be read stays on disk as it is, and is an error: the operator
// believes that it is in force.
func (h *handList) load() error {
	name := h.data.file(handFile)
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Size() > handFileMax {
		err = fmt.Errorf("%d bytes: at most %d", info.Size(), handFileMax)
	}
	var b []byte
	if err == nil {
		b, err = os.ReadFile(name)
	}
	if err == nil {
		err = h.recall(b)
	}
	if err != nil {
		return hint(fmt.Errorf("by hand: %s: %w", name, err), "repair it, or move it away to start with nothing listed")
	}
	return nil
}

// recall lists what a file's text says, without what has ended.
func (h *handList) recall(text []byte) error {
	var lines []handLine
	if err := json.Unmarshal(text, &lines); err != nil {
		return err
	}
	now := h.now()
	for _, l := range lines {
		hand := l.hand()
		if hand.Until != 0 && hand.Until <= now {
			continue
		}
		if _, err := h.engine.List(now, hand); err != nil {
			return err
		}
	}
	return nil
}

func (l handLine) hand() deich.Hand {
	h := deich.Hand{ID: l.ID, Act: l.Act, Prefix: l.Prefix, Path: l.Path}
	if !l.Until.IsZero() {
		h.Until = deich.Time(l.Until.UnixNano())
	}
	return h
}

// list puts one more in force and on disk. Where the disk fails it is in force
// until the restart, and the error says so.
func (h *handList) list(hand deich.Hand) (uint32, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id, err := h.engine.List(h.now(), hand)
	if errors.Is(err, deich.ErrHandFull) {
		err = incident.Wrongf("%v", "von Hand ist schon so viel gelistet, wie es sein darf: nehmen Sie erst etwas zurück (%v)", err)
	}
	if err != nil {
		return 0, err
	}
	if err := h.save(); err != nil {
		return id, incident.Wrongf("it is in force, but a restart will forget it: %v", "es gilt, aber ein Neustart wird es vergessen: %v", err)
	}
	return id, nil
}

// undo takes one back; false where there is none of this id. Where the disk fails it
// is taken back until the restart, and the error says so.
func (h *handList) undo(id uint32, out *deich.Out) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.engine.Undo(h.now(), id, out) {
		return false, nil
	}
	if err := h.save(); err != nil {
		return true, incident.Wrongf("it was taken back, but a restart may bring it again: %v", "es ist zurückgenommen, aber ein Neustart bringt es vielleicht wieder: %v", err)
	}
	return true, nil
}

func (h *handList) save() error {
	lines := []handLine{}
	for _, l := range h.engine.Listed(h.now()) {
		line := handLine{ID: l.ID, Act: l.Act, Prefix: l.Prefix, Path: l.Path}
		if l.Until != 0 {
			line.Until = wall(l.Until)
		}
		lines = append(lines, line)
	}
	b, err := json.MarshalIndent(lines, "", "\t")
	if err == nil {
		err = h.data.write(handFile, append(b, '\n'))
	}
	return err
}

// wall gives an engine's time to people.
func wall(t deich.Time) time.Time { return time.Unix(0, int64(t)) }

// readListing reads what an operator lists: a target, and where it is an address or
// a prefix, perhaps the path on which alone it is meant.
func readListing(what, on string) (prefix netip.Prefix, path string, err error) {
	prefix, path, err = readTarget(what)
	if err != nil || on == "" {
		return prefix, path, err
	}
	if path != "" || !strings.HasPrefix(on, "/") {
		return prefix, path, incident.Wrongf("%q on the path %q: an address or a prefix is wanted, and a path that begins with /",
			"%q auf dem Pfad %q: verlangt sind eine Adresse oder ein Netz und ein Pfad, der mit / beginnt", what, on)
	}
	return prefix, on, nil
}

// readTarget reads an address, a prefix or a path.
func readTarget(what string) (prefix netip.Prefix, path string, err error) {
	if strings.HasPrefix(what, "/") {
		return prefix, what, nil
	}
	if a, err := netip.ParseAddr(what); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), "", nil
	}
	if p, err := netip.ParsePrefix(what); err == nil {
		if p != p.Masked() {
			return prefix, "", fmt.Errorf("%s has bits set beyond its length: %s is what it covers", what, p.Masked())
		}
		return p, "", nil
	}
	return prefix, "", fmt.Errorf("%q is no address (203.0.113.7), prefix (203.0.113.0/24, 2001:db8::/48) or path (/search)", what)
}
