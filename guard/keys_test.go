package guard

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

func TestKeysSurviveARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	first, err := OpenKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, keysName)
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
	pass := first.ring.Load().writePass(freshPass(testTime, deich.Served), "example.org", testTime)
	second, err := OpenKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s := second.ring.Load().showPass(pass, "example.org", testTime, passLifeDefault); s.bad {
		t.Error("a pass of before the restart does not hold")
	}
	if first.EngineSeed() != second.EngineSeed() {
		t.Error("the engine's seed is another one: what it saved is lost")
	}
	if other, err := OpenKeys(t.TempDir()); err != nil || other.EngineSeed() == first.EngineSeed() || first.EngineSeed() == [32]byte{} {
		t.Errorf("two Deichs share a seed: %v", err)
	}
}

// Where a key is due and the disk takes no file, the present one is opened all the same, and
// whoever runs the guard is told.
func TestKeysOpenOnAFullDisk(t *testing.T) {
	// A folder so deep that keysName fits into a path, and the name of the file that is to take its
	// place does not.
	const longest = 4095
	if runtime.GOOS != "linux" {
		t.Skip("how long a path may be is known of Linux alone")
	}
	dir := t.TempDir()
	for want := longest - len("/"+keysName); len(dir) < want; {
		n := min(want-len(dir)-1, 200)
		if rest := want - len(dir) - 1 - n; rest == 1 {
			n--
		}
		dir += "/" + strings.Repeat("d", n)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(makeKeys(time.Now().Add(-keyLife - time.Hour)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, keysName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := OpenKeys(dir)
	if err != nil {
		t.Fatalf("a usable key is not opened: %v", err)
	}
	told := make(chan error, 1)
	h := scripted(t, newScript(), hello, func(o *Options) {
		o.Keys = k
		o.Alarm = func(err error) {
			select {
			case told <- err:
			default:
			}
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { h.Run(ctx); close(ended) }()
	if err := <-told; !strings.Contains(err.Error(), "rotate") {
		t.Errorf("told %v", err)
	}
	stop()
	<-ended
}

// A key signs for a week; what it signed holds for as long as a pass does.
func TestKeysRotate(t *testing.T) {
	dir := t.TempDir()
	k, err := OpenKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	seed := k.EngineSeed()
	now := time.Now()
	pass := k.ring.Load().writePass(freshPass(testTime, deich.Served), "example.org", testTime)
	id := k.ring.Load().current.id
	for day := 1; day <= 60; day++ {
		at := now.Add(time.Duration(day) * 24 * time.Hour)
		if err := k.Rotate(at); err != nil {
			t.Fatal(err)
		}
		r := k.ring.Load()
		if holds := !r.showPass(pass, "example.org", testTime, passLifeDefault).bad; holds != (r.byID[id] != nil) || day <= 30 && !holds {
			t.Fatalf("day %d: holds %t", day, holds)
		}
		if n := len(r.file.Keys); n > keysMax || n != min(day/7+1, 6) {
			t.Fatalf("day %d: %d keys", day, n)
		}
	}
	if k.ring.Load().byID[id] != nil {
		t.Error("the first key never goes")
	}
	if again, err := OpenKeys(dir); err != nil || again.EngineSeed() != seed || k.EngineSeed() != seed {
		t.Errorf("the engine's seed rotated: %v", err)
	}
	// Where the disk fails, the present key goes on.
	current := k.ring.Load().current
	k.path = filepath.Join(dir, "gone", keysName)
	if err := k.Rotate(now.Add(90 * 24 * time.Hour)); !errors.Is(err, fs.ErrNotExist) || k.ring.Load().current != current {
		t.Errorf("%v", err)
	}
}

func TestKeysThatCannotBeUsed(t *testing.T) {
	good, err := json.Marshal(makeKeys(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	secret := strings.Repeat("A", 42)
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"readable by others": {string(good), 0o644, "chmod 600"},
		"empty":              {"", 0o600, "broken"},
		"cut off":            {string(good[:len(good)/2]), 0o600, "broken"},
		"no keys":            {`{"hash":"` + secret + `A=","keys":[]}`, 0o600, "broken"},
		"short secret":       {`{"hash":"` + secret + `A=","keys":[{"id":1,"secret":"AAAA"}]}`, 0o600, "key 1"},
		"another form":       {`{"hash":"` + secret + `A=","secrets":["` + secret + `"]}`, 0o600, "broken"},
		"too long":           {strings.Repeat(" ", keysFileMax) + string(good), 0o600, "broken"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, keysName)
			if err := os.WriteFile(file, []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := OpenKeys(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
				t.Errorf("error %v, want %q and the file's name", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "AAAA") {
				t.Errorf("the error quotes a secret: %v", err)
			}
			if b, _ := os.ReadFile(file); string(b) != c.text {
				t.Error("the file was changed")
			}
		})
	}
}

func FuzzKeys(f *testing.F) {
	good, err := json.Marshal(makeKeys(time.Now()))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte(`{"hash":"","keys":[{"id":300}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := parseKeys(b)
		if err != nil {
			return
		}
		r, err := newRing(file)
		if err == nil && (r.current == nil || r.byID[r.current.id] != r.current) {
			t.Fatalf("a ring without a key from %q", b)
		}
	})
}

// Edges that were given one file come to the same keys, whenever each of them looks, and
// take what another has signed before their own turn has come.
func TestSharedKeysAgree(t *testing.T) {
	file := makeKeys(time.Now())
	var edges []*Keys
	for range 2 {
		dir := t.TempDir()
		if err := writeKeys(filepath.Join(dir, keysName), file); err != nil {
			t.Fatal(err)
		}
		k, err := OpenSharedKeys(dir)
		if err != nil {
			t.Fatal(err)
		}
		edges = append(edges, k)
	}
	if edges[0].SpoolSecret() != edges[1].SpoolSecret() || edges[0].SpoolSecret() == edges[0].EngineSeed() {
		t.Error("the spool's secret is another at each edge, or the engine's")
	}
	good := func(by, at *Keys) bool {
		pass := by.ring.Load().writePass(freshPass(testTime, deich.Served), "example.org", testTime)
		return !at.ring.Load().showPass(pass, "example.org", testTime, passLifeDefault).bad
	}
	for week := 1; week <= 12; week++ {
		at := time.Unix(file.Keys[0].Made, 0).Add(time.Duration(week)*keyLife + time.Hour)
		quick, slow := edges[week%2], edges[(week+1)%2]
		before := quick.ring.Load().current.id
		if err := quick.Rotate(at); err != nil {
			t.Fatal(err)
		}
		if quick.ring.Load().current.id == before || !good(quick, slow) || !good(slow, quick) {
			t.Fatalf("week %d: a pass of one edge does not hold at the other", week)
		}
		if err := slow.Rotate(at.Add(20 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		if !good(quick, slow) || !good(slow, quick) || len(slow.ring.Load().file.Keys) > keysMax {
			t.Fatalf("week %d: after both, a pass of one edge does not hold at the other", week)
		}
	}
	// One that was away for months has missed nothing.
	away := t.TempDir()
	if err := writeKeys(filepath.Join(away, keysName), file); err != nil {
		t.Fatal(err)
	}
	k, err := OpenSharedKeys(away)
	if err == nil {
		err = k.Rotate(time.Unix(file.Keys[0].Made, 0).Add(12*keyLife + time.Hour))
	}
	if err != nil || !good(k, edges[0]) || !good(edges[0], k) {
		t.Errorf("after months away: %v, or a pass does not hold", err)
	}
}
