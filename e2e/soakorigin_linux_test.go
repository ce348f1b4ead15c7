package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const (
	// searchPlaces searches run at once, of searchTime each: 100 a second.
	searchPlaces, searchTime = 2, 20 * time.Millisecond
)

// soakOrigin is a platform with pages, parts of them, an API, uploads,
// downloads, event streams, tunnels, and a search that takes its time.
type soakOrigin struct{ *httptest.Server }

func newSoakOrigin(t *testing.T) *soakOrigin {
	page := "<!doctype html><html lang=en><title>Soak</title>" + strings.Repeat("<p>A paragraph of a page that somebody reads.</p>\n", 120)
	style := strings.Repeat(".a { color: #14252b }\n", 800)
	item := `{"items":[` + strings.TrimSuffix(strings.Repeat(`{"id":1,"text":"a message"},`, 30), ",") + `]}`
	download := strings.Repeat("x", downloadBytes)
	turn := make(chan struct{}, searchPlaces)
	html := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if _, err := r.Cookie("session"); err != nil {
			http.SetCookie(w, &http.Cookie{Name: "session", Value: fmt.Sprint(time.Now().UnixNano()), Path: "/"})
		}
		io.WriteString(w, page)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", html)
	mux.HandleFunc("GET /static/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		io.WriteString(w, style)
	})
	mux.HandleFunc("GET /api/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, item)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err != nil || n != r.ContentLength {
			http.Error(w, "the body is not whole", http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, n)
	})
	mux.HandleFunc("GET /search", func(w http.ResponseWriter, r *http.Request) {
		select {
		case turn <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		time.Sleep(searchTime) // the work that each answer is
		<-turn
		html(w, r)
	})
	mux.HandleFunc("GET /download", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		io.WriteString(w, download)
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		each := time.NewTicker(sign)
		defer each.Stop()
		for {
			if _, err := io.WriteString(w, "data: tick\n\n"); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-each.C:
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("GET /tunnel", func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		rw.Flush()
		echo(rw)
	})
	o := &soakOrigin{httptest.NewServer(mux)}
	t.Cleanup(o.Close)
	return o
}

func echo(rw *bufio.ReadWriter) {
	for {
		line, err := rw.ReadString('\n')
		if err != nil {
			return
		}
		rw.WriteString(line)
		if rw.Flush() != nil {
			return
		}
	}
}
