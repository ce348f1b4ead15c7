package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"203.0.113.7", "2001:db8::/48", "/search", "10.0.0.1/8", "::ffff:10.0.0.0/104", "fe80::1%eth0", "", "/"} {
		f.Add(seed)
	}
	engine, err := deich.New(deich.Policy{Sources: deich.SourcesMin}, [32]byte{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, what string) {
		prefix, path, err := readTarget(what)
		if err != nil {
			return
		}
		if prefix.IsValid() == (path != "") || prefix != prefix.Masked() {
			t.Fatalf("%q: %v %q", what, prefix, path)
		}
		id, err := engine.List(1, deich.Hand{Act: deich.Deny, Prefix: prefix, Path: path})
		if err == nil && !engine.Undo(1, id, deich.NewOut()) {
			t.Fatalf("%q cannot be undone", what)
		}
	})
}

func FuzzSpan(f *testing.F) {
	for _, seed := range []string{"10m", "-1h", "0", "1h30m", "9999999h", "1e3s", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := readSpan(text)
		if err == nil && d <= 0 || err != nil && !strings.Contains(err.Error(), "10m") {
			t.Fatalf("%q: %v %v", text, d, err)
		}
		var s span
		if s.UnmarshalText([]byte(text)) == nil && time.Duration(s) != d {
			t.Fatalf("%q: %v", text, s)
		}
		if err == nil && spanText(d) == "" {
			t.Fatalf("%v has no words", d)
		}
	})
}

// Whatever the file of listings holds, it is listed or refused with an error,
// and what is listed can be written and read again.
func FuzzHandFile(f *testing.F) {
	f.Add([]byte(`[{"id":1,"act":"deny","prefix":"203.0.113.0/24","until":"2099-01-01T00:00:00Z"},{"id":2,"act":"allow","path":"/x"}]`))
	f.Add([]byte(`[{"id":4294967295,"act":"deny","path":"/"}]`))
	f.Add([]byte(`[{"act":"deny","prefix":"::/0","until":"9999-12-31T23:59:59Z"}]`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list := func() *handList {
			engine, err := deich.New(deich.Policy{Sources: deich.SourcesMin}, [32]byte{})
			if err != nil {
				t.Fatal(err)
			}
			return &handList{data: &dataDir{path: t.TempDir()}, engine: engine, now: func() deich.Time { return 1 }}
		}
		first := list()
		if first.recall(text) != nil {
			return
		}
		if err := first.save(); err != nil {
			t.Fatal(err)
		}
		second := list()
		second.data = first.data
		if err := second.load(); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if a, b := len(first.engine.Listed(1)), len(second.engine.Listed(1)); a != b {
			t.Fatalf("%d listed, %d after a restart", a, b)
		}
	})
}

func FuzzRequestBody(f *testing.F) {
	f.Add([]byte(`{"act":"deny","target":"203.0.113.7","for":"1h"}`))
	f.Add([]byte(`{"act":"deny"}{}`))
	f.Add([]byte(`{"act":7,"note":null}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := httptest.NewRecorder()
		var ask handRequest
		if read(w, httptest.NewRequest("POST", "/api/v1/hand", bytes.NewReader(body)), &ask) {
			if _, err := json.Marshal(ask); err != nil || w.Body.Len() > 0 {
				t.Fatalf("%q: %v %s", body, err, w.Body)
			}
			return
		}
		if w.Code != http.StatusBadRequest || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%q: %d %s", body, w.Code, w.Body)
		}
	})
}
