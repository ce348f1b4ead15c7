package record

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func mustOpen(t testing.TB, dir string) *Log {
	t.Helper()
	l, repair, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if repair != (Repair{}) {
		t.Fatalf("repaired: %+v", repair)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func mustAppend(t testing.TB, l *Log, texts ...string) []Place {
	t.Helper()
	var all [][]byte
	for _, s := range texts {
		all = append(all, []byte(s))
	}
	places, err := l.Append(all...)
	if err != nil {
		t.Fatal(err)
	}
	return places
}

func readAll(t testing.TB, dir string, from, to Place) (all []string) {
	t.Helper()
	err := Read(dir, from, to, func(l Line) error {
		if l.Broken {
			t.Errorf("line %d is broken", l.Number)
		}
		all = append(all, string(l.Payload))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestWhatIsAppendedIsRead(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	places := mustAppend(t, l, "one", "two", "three")
	l.Close()
	l = mustOpen(t, dir)
	mustAppend(t, l, "four")
	if got := fmt.Sprint(readAll(t, dir, Place{}, Place{})); got != "[one two three four]" {
		t.Errorf("all: %s", got)
	}
	end, _, _ := l.End()
	if got := fmt.Sprint(readAll(t, dir, places[1], places[2])); got != "[two]" {
		t.Errorf("a part: %s", got)
	}
	if got := fmt.Sprint(readAll(t, dir, places[2], end)); got != "[three four]" {
		t.Errorf("from the third on: %s", got)
	}
	info, err := os.Stat(fileName(dir, 1))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: the file is for its owner alone", info.Mode(), err)
	}
}

func TestFilesFollowEachOther(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	big := strings.Repeat("x", payloadMax)
	for range 2*fileBytesMax/payloadMax + 3 {
		mustAppend(t, l, big)
	}
	_, _, head := l.End()
	r, err := Verify(dir, head)
	if err != nil || len(r.Damage) > 0 || r.Files != 3 || !r.Noted || r.First != 1 || r.Head != head {
		t.Fatalf("%+v, %v", r, err)
	}
	if n, err := l.Retain(time.Time{}, fileBytesMax); err != nil || n == 0 {
		t.Fatalf("removed %d, %v", n, err)
	}
	r, err = Verify(dir, "")
	if err != nil || len(r.Damage) > 0 || r.First == 1 || r.Head != head {
		t.Errorf("after the oldest went: %+v, %v", r, err)
	}
	if n, err := l.Retain(time.Now().Add(time.Hour), 1<<40); err != nil || n != r.Files-1 {
		t.Errorf("the newest file stays: removed %d of %d, %v", n, r.Files, err)
	}
	if _, err := Verify(dir, ""); err != nil {
		t.Error(err)
	}
}

// Every single byte that is changed, to any of several others, is found, and
// in the line where it was changed or the one whose predecessor it is.
func TestOneChangedByteIsFound(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	mustAppend(t, l, `{"a":1}`, `{"b":2}`, `{"c":3}`)
	l.Close()
	name := fileName(dir, 1)
	was, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := range was {
		for _, flip := range []byte{1, 0x20, 0x80, was[i] ^ '\n', was[i] ^ '0', was[i] ^ ' '} {
			if flip == 0 {
				continue
			}
			now := bytes.Clone(was)
			now[i] ^= flip
			if err := os.WriteFile(name, now, 0o600); err != nil {
				t.Fatal(err)
			}
			r, err := Verify(dir, "")
			if err != nil {
				t.Fatal(err)
			}
			line := 1 + bytes.Count(was[:i], []byte{'\n'})
			if len(r.Damage) == 0 || r.Damage[0].Line != line && r.Damage[0].Line != line+1 {
				t.Fatalf("byte %d (line %d) changed from %q to %q: %+v", i, line, was[i], now[i], r)
			}
		}
	}
	if err := os.WriteFile(name, was, 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(dir, ""); err != nil || len(r.Damage) > 0 {
		t.Errorf("unchanged: %+v, %v", r, err)
	}
}

func TestRemovedAndSwappedLinesAreFound(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	mustAppend(t, l, "one", "two", "three")
	_, _, head := l.End()
	l.Close()
	name := fileName(dir, 1)
	was, _ := os.ReadFile(name)
	lines := bytes.SplitAfter(was, []byte{'\n'})
	for what, now := range map[string][][]byte{
		"removed": {lines[0], lines[1], lines[3]},
		"swapped": {lines[0], lines[2], lines[1], lines[3]},
		"twice":   {lines[0], lines[1], lines[1], lines[2], lines[3]},
	} {
		os.WriteFile(name, bytes.Join(now, nil), 0o600)
		if r, err := Verify(dir, ""); err != nil || len(r.Damage) == 0 {
			t.Errorf("%s: %+v, %v", what, r, err)
		}
	}
	// The end cut off leaves a chain that fits; a noted hash is missing in it.
	os.WriteFile(name, bytes.Join(lines[:3], nil), 0o600)
	if r, err := Verify(dir, head); err != nil || r.Noted {
		t.Errorf("cut off: %+v, %v", r, err)
	}
}

// Wherever a kill cuts the last line off, what was appended before is there,
// and the log goes on.
func TestTornTail(t *testing.T) {
	whole := t.TempDir()
	l := mustOpen(t, whole)
	places := mustAppend(t, l, "one", "two")
	l.Close()
	b, err := os.ReadFile(fileName(whole, 1))
	if err != nil {
		t.Fatal(err)
	}
	for cut := places[1].Offset; cut <= int64(len(b)); cut++ {
		dir := t.TempDir()
		if err := os.WriteFile(fileName(dir, 1), b[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		l, repair, err := Open(dir)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		want := "[one three]"
		if cut >= int64(len(b))-1 {
			want = "[one two three]"
		}
		if torn := cut > places[1].Offset && cut < int64(len(b))-1; torn != (repair.Torn > 0) {
			t.Errorf("cut at %d: %+v", cut, repair)
		}
		if repair.Torn > 0 {
			if aside, err := os.ReadFile(repair.Aside); err != nil || !bytes.Equal(aside, b[places[1].Offset:cut]) {
				t.Errorf("cut at %d: set aside %q, %v", cut, aside, err)
			}
		}
		mustAppend(t, l, "three")
		l.Close()
		if got := fmt.Sprint(readAll(t, dir, Place{}, Place{})); got != want {
			t.Errorf("cut at %d: %s", cut, got)
		}
		if r, err := Verify(dir, ""); err != nil || len(r.Damage) > 0 || r.Torn > 0 {
			t.Errorf("cut at %d: %+v, %v", cut, r, err)
		}
	}
}

// A file that was just being begun when the process was killed is begun again.
func TestTornBeginning(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	mustAppend(t, l, "one")
	_, number, _ := l.End()
	l.Close()
	if err := os.WriteFile(fileName(dir, number+1), []byte("0123"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, _, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	mustAppend(t, l, "two")
	l.Close()
	if got := fmt.Sprint(readAll(t, dir, Place{}, Place{})); got != "[one two]" {
		t.Error(got)
	}
}

func TestNothingIsWrittenAfterAFailure(t *testing.T) {
	l := mustOpen(t, t.TempDir())
	l.file.Close() // what a failing disk does
	if _, err := l.Append([]byte("one")); err == nil {
		t.Fatal("no error")
	}
	if _, err := l.Append([]byte("two")); !errors.Is(err, ErrFailed) {
		t.Fatalf("%v: an earlier failure stands", err)
	}
	l = mustOpen(t, t.TempDir())
	for _, bad := range []string{"", "two\nlines", strings.Repeat("x", payloadMax+1)} {
		if _, err := l.Append([]byte(bad)); err == nil {
			t.Errorf("%.10q was taken", bad)
		}
	}
	mustAppend(t, l, "fine") // what was refused is no failure of the disk
}

// Whatever stands in a file, reading it ends, and a line that is read unbroken
// is one whose hash is right.
func FuzzVerify(f *testing.F) {
	dir := f.TempDir()
	l := mustOpen(f, dir)
	mustAppend(f, l, "one", "two")
	b, err := os.ReadFile(fileName(dir, 1))
	if err != nil || len(b) == 0 {
		f.Fatal("no seed")
	}
	f.Add(b)
	f.Add(b[:len(b)-3])
	f.Add(append(bytes.Clone(b), 0, 0, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		name := fileName(dir, 1)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if r, err := Verify(dir, ""); err == nil && len(r.Damage) == 0 {
			Read(dir, Place{}, Place{}, func(l Line) error {
				if l.Broken {
					t.Errorf("line %d is broken, and Verify found nothing", l.Number)
				}
				return nil
			})
		}
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, end, torn, err := tail(file); err == nil && end+int64(torn) != int64(len(b)) {
			t.Errorf("%d + %d of %d bytes", end, torn, len(b))
		}
	})
}

func BenchmarkOpenAMillion(b *testing.B) {
	dir := b.TempDir()
	l := mustOpen(b, dir)
	line := bytes.Repeat([]byte("x"), 300)
	batch := make([][]byte, 10000)
	for i := range batch {
		batch[i] = line
	}
	for range 100 {
		if _, err := l.Append(batch...); err != nil {
			b.Fatal(err)
		}
	}
	l.Close()
	for b.Loop() {
		l, _, err := Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		l.Close()
	}
}
