package guard

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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
