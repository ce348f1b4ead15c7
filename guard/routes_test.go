package guard

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/deichproject/deich"
)

func TestRoutesKeepTheirNumbers(t *testing.T) {
	key := testKeys().ring.Load().route
	r := newRoutes(key)
	for range 2 {
		for _, path := range []string{"/", "/search", "/posts/17", "/a/b/c"} {
			r.learn(path, true)
		}
	}
	r.learnStream("/events", true)
	again, rest, err := loadRoutes(key, append(r.save(nil), "what follows"...))
	if err != nil || string(rest) != "what follows" {
		t.Fatalf("%q %v", rest, err)
	}
	for _, path := range []string{"/", "/search", "/posts/99", "/a/b/c", "/events", "/never"} {
		n := r.of(path, true)
		if m := again.of(path, true); n != m || again.streams[m].Load() != r.streams[n].Load() {
			t.Errorf("%s: was %d, is %d", path, n, m)
		}
	}
	if n := again.of("/events", true); n == 0 || !again.streams[n].Load() {
		t.Error("forgot that /events is a stream")
	}
}

// A flood of paths that were never seen fills nothing, and one of good paths
// ends at the bound.
func TestRoutesAreBounded(t *testing.T) {
	r := newRoutes(testKeys().ring.Load().route)
	for i := range 100_000 {
		r.learn(fmt.Sprintf("/random-%x/x", i), true)
	}
	if r.next != 1 {
		t.Errorf("paths seen once have %d numbers", r.next-1)
	}
	for i := range 10_000 {
		path := fmt.Sprintf("/p%c%c/q%d.html", 'a'+i%26, 'a'+i/26%26, i)
		r.learn(path, true)
		r.learn(path, true)
		r.learnStream(path, false)
	}
	if r.next != deich.RoutesMax {
		t.Errorf("%d numbers, want all %d and no more", r.next, deich.RoutesMax)
	}
	if n := r.of(strings.Repeat("/x", routePathMax), true); n != 0 {
		t.Errorf("a path beyond the bound is route %d", n)
	}
	if _, _, err := loadRoutes(r.key, r.save(nil)); err != nil {
		t.Errorf("a full table does not come back: %v", err)
	}
}

func TestHandlerLoadsAllOrNothing(t *testing.T) {
	h := scripted(t, newScript(), hello)
	for range 2 {
		h.routes[3].Load().learn("/search", true)
	}
	saved := h.Save(nil)
	fresh := scripted(t, newScript(), hello)
	for name, b := range map[string][]byte{
		"empty": nil, "cut off": saved[:len(saved)-1], "longer": append(bytes.Clone(saved), 0), "zeros": make([]byte, len(saved)),
	} {
		if err := fresh.Load(b); err == nil || fresh.routes[3].Load().next != 1 {
			t.Errorf("%s: %v, %d numbers", name, err, fresh.routes[3].Load().next)
		}
	}
	if err := fresh.Load(saved); err != nil || fresh.routes[3].Load().of("/search", true) != h.routes[3].Load().of("/search", true) {
		t.Errorf("load: %v", err)
	}
}

func FuzzLoadRoutes(f *testing.F) {
	key := testKeys().ring.Load().route
	r := newRoutes(key)
	r.learnStream("/events", true)
	good := r.save(nil)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte{2, 0})
	f.Add(append([]byte{0, 3}, make([]byte, 2*routeLineBytes)...)) // one hash twice
	f.Fuzz(func(t *testing.T, b []byte) {
		r, rest, err := loadRoutes(key, b)
		if err != nil {
			return
		}
		once := r.save(nil)
		if len(once)+len(rest) != len(b) {
			t.Fatalf("%d bytes read, %d saved", len(b)-len(rest), len(once))
		}
		again, _, err := loadRoutes(key, once)
		if err != nil || !bytes.Equal(again.save(nil), once) {
			t.Fatalf("what was saved does not come back: %v", err)
		}
	})
}

func FuzzRoutePath(f *testing.F) {
	key := testKeys().ring.Load().route
	f.Add("/posts/17/edit", true)
	f.Add("//../%00", false)
	f.Add(strings.Repeat("/", routePathMax), true)
	f.Add("*", true)
	f.Fuzz(func(t *testing.T, path string, safe bool) {
		r := newRoutes(key)
		if n := r.of(path, safe); n != 0 {
			t.Fatalf("%q has number %d before it was seen", path, n)
		}
		r.learn(path, safe)
		r.learn(path, safe)
		n := r.of(path, safe)
		if (n == 0) != (len(path) > routePathMax) || n >= r.next || r.next > 3 {
			t.Fatalf("%q: number %d of %d", path, n, r.next-1)
		}
	})
}

// A number is named by the shape it stands for, and after a restart by the next
// good answer.
func TestRoutesAreNamed(t *testing.T) {
	r := newRoutes(testKeys().ring.Load().route)
	learn := func(r *routes, path string, safe bool) {
		r.learn(path, safe)
		r.learn(path, safe)
	}
	learn(r, "/posts/17/likes", true)
	learn(r, "/search", false)
	check := func(r *routes, path string, safe bool, want string) {
		t.Helper()
		if shape, s := r.named(r.of(path, safe)); shape != want || want != "" && s != safe {
			t.Errorf("%s (%v) is called %q (%v), not %q", path, safe, shape, s, want)
		}
	}
	check(r, "/posts/99/likes", true, "/posts/*/likes")
	check(r, "/posts/99/edit", true, "/posts/*/*") // its parent's
	check(r, "/search", false, "/search")
	check(r, "/never/seen", true, "")
	again, _, err := loadRoutes(r.key, r.save(nil))
	if err != nil {
		t.Fatal(err)
	}
	check(again, "/search", false, "")
	again.learn("/search", false)
	check(again, "/search", false, "/search")
	again.learn("/posts/1/other", true) // not yet one of its own
	check(again, "/posts/2/more", true, "/posts/*/*")
}
