package status

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func asking(s *Server, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// Whoever has a page already is not sent it again, and who takes gzip gets the
// same page by it.
func TestWhoHasThePageIsNotSentIt(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, full())
	s := serverAt(dir, now)
	for _, path := range paths {
		plain, small := asking(s, path), asking(s, path, "Accept-Encoding", "gzip, br")
		tag, smallTag := plain.Header().Get("ETag"), small.Header().Get("ETag")
		if len(tag) < 10 || tag == smallTag {
			t.Errorf("%s: the tags are %s and %s", path, tag, smallTag)
		}
		z, err := gzip.NewReader(small.Body)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(z); err != nil || string(b) != plain.Body.String() {
			t.Errorf("%s: by gzip it is another page: %v", path, err)
		}
		for _, has := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			if w := asking(s, path, "If-None-Match", has); w.Code != http.StatusNotModified || w.Body.Len() != 0 || w.Header().Get("ETag") != tag {
				t.Errorf("%s: who has %s gets %d, %d bytes", path, has, w.Code, w.Body.Len())
			}
		}
		for _, has := range []string{smallTag, `"x"`, strings.Trim(tag, `"`), ""} {
			if w := asking(s, path, "If-None-Match", has); w.Code != 200 || w.Body.Len() == 0 {
				t.Errorf("%s: who has %s gets %d", path, has, w.Code)
			}
		}
	}
}

// The file is read when it changes, and the age told is right all the same.
func TestTheFileIsReadWhenItChanges(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, full())
	s := serverAt(dir, now)
	asking(s, "/")
	feed := asking(s, "/feed.json").Header().Get("ETag")
	doc := s.doc
	s.now = func() time.Time { return now.Add(7 * time.Second) }
	if w := asking(s, "/"); !strings.Contains(w.Body.String(), "Last heard 7 seconds ago.") || s.doc != doc {
		t.Errorf("it was read again: %v", s.doc != doc)
	}
	if got := asking(s, "/feed.json").Header().Get("ETag"); got != feed {
		t.Error("the feed has another tag, and says the same")
	}
	d := full()
	d.Heard, d.Past = now.Add(8*time.Second), d.Past[:1]
	write(t, dir, d)
	later := time.Now().Add(time.Second) // whatever the file system's clock can tell apart
	if err := os.Chtimes(filepath.Join(dir, File), later, later); err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return now.Add(9 * time.Second) }
	if w := asking(s, "/"); !strings.Contains(w.Body.String(), "Last heard 1 second ago.") {
		t.Error("it changed, and the page does not say so")
	}
	if got := asking(s, "/feed.json").Header().Get("ETag"); got == feed {
		t.Error("it changed, and the feed has the old tag")
	}
}
