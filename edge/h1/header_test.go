package h1

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// TestHeaderOfTheAnswerBefore: nothing of it comes with the next one; and where the
// handler may hold on to it, it is not even the same map.
func TestHeaderOfTheAnswerBefore(t *testing.T) {
	for _, letsGo := range []bool{false, true} {
		t.Run(fmt.Sprint("letsGo=", letsGo), func(t *testing.T) {
			var before http.ResponseWriter
			var header http.Header
			var same atomic.Int32
			s := serve(t, &Server{LetsGo: letsGo, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if before != nil {
					late := before.Header()
					late.Set("Late", "x")
					if letsGo && len(before.Header()) != 0 {
						t.Error("the header of an answer that is over can still be written to")
					}
					if !letsGo {
						header.Set("Late", "x")
						before.WriteHeader(http.StatusTeapot)
						if _, err := io.WriteString(before, "late"); err == nil {
							t.Error("an answer that is over can still be written to")
						}
					}
				}
				if fmt.Sprintf("%p", header) == fmt.Sprintf("%p", w.Header()) {
					same.Add(1)
				}
				before, header = w, w.Header()
				if len(header) != 0 {
					t.Errorf("begins with %v", header)
				}
				n := len(r.URL.Path)
				for i := range n {
					header.Set(fmt.Sprintf("X-%s-%d", r.URL.Path[1:], i), "y")
				}
				io.WriteString(w, r.URL.Path)
			})})
			nc, _ := s.open()
			defer nc.Close()
			br := bufio.NewReader(nc)
			for _, path := range []string{"/a", "/b", "/" + strings.Repeat("c", 2*fieldsKept), "/d", "/e"} {
				fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path)
				resp, err := http.ReadResponse(br, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil || string(body) != path || resp.StatusCode != 200 {
					t.Errorf("%s: %d %q %v", path, resp.StatusCode, body, err)
				}
				own := 0
				for name := range resp.Header {
					switch {
					case strings.HasPrefix(name, "X-"+strings.ToUpper(path[1:2])):
						own++
					case name != "Date" && name != "Content-Length" && name != "Content-Type":
						t.Errorf("%s: answered with %s", path, name)
					}
				}
				if own != len(path) {
					t.Errorf("%s: answered with %d fields of its own", path, own)
				}
			}
			if n, want := same.Load(), map[bool]int32{false: 0, true: 3}[letsGo]; n != want {
				t.Errorf("%d answers were made in the header of the one before, want %d", n, want)
			}
		})
	}
}
