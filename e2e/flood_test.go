package e2e

import (
	"context"
	"fmt"
	"html/template"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

const (
	// places and each are what the small platform can do: 2 answers at a time
	// of 50 ms each, 40 a second.
	places, each = 2, 50 * time.Millisecond
	// bots and pause are the flood: about 1,000 requests a second, or what a
	// busy machine can do.
	bots, pause = 64, 60 * time.Millisecond
)

// smallPlatform answers with the path that was asked for, when its turn comes.
func smallPlatform(t *testing.T) *httptest.Server {
	turn := make(chan struct{}, places)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		turn <- struct{}{}
		time.Sleep(each) // the work that each answer is
		<-turn
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_ = welcome.Execute(w, r.URL.RequestURI())
	}))
	t.Cleanup(s.Close)
	return s
}

// flood sends searches from many addresses of this machine until the test ends.
func flood(t *testing.T, target string) { floodAt(t, target+"/search?q=") }

// floodAt is a flood of what begins with search and ends with any word.
func floodAt(t *testing.T, search string) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range bots {
		all.Go(func() { bot(ctx, rand.New(rand.NewPCG(uint64(i), 2)), search) })
	}
	t.Cleanup(func() { cancel(); all.Wait() })
}

func bot(ctx context.Context, random *rand.Rand, search string) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		// Another address every time: nothing that a rate by source would see.
		client := from(127, byte(random.IntN(200)+20), byte(random.IntN(256)), byte(random.IntN(254)+1))
		r, _ := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s%x", search, random.Uint32()), nil)
		r.Header.Set("Accept", "text/html")
		if answer, err := client.Do(r); err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
	}
}

// from is a client with an address of its own on this machine.
func from(a, b, c, d byte) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(a, b, c, d)}, Timeout: 2 * time.Second}
	return &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}, Timeout: 5 * time.Second,
	}
}

// pages counts the pages that unread has named.
var pages atomic.Uint64

// unread is a page that nobody has asked for: of what readers from several
// networks were given, Deich has a copy, which it gives to everybody in place of
// a challenge or the waiting room.
func unread(site string) string { return fmt.Sprint(site, "/page/", pages.Add(1)) }

// untilPressed waits until a stranger is asked to prove itself.
func untilPressed(t *testing.T, target string) {
	t.Helper()
	late := time.After(patience)
	for n := byte(1); ; n++ {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", unread(target), nil)
		r.Header.Set("Accept", "text/html")
		answer, err := from(127, 250, 1, n%250+1).Do(r)
		if err == nil {
			answer.Body.Close()
			if answer.Header.Get("Deich-Challenge") != "" {
				return
			}
		}
		select {
		case <-late:
			t.Fatalf("nobody is challenged: %v %v", answer, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// The built Deich, flooded, and people with browsers who come just then.
func TestBrowserThroughAFlood(t *testing.T) {
	shared.start(t)
	origin, data, deich := smallPlatform(t), t.TempDir(), build(t)
	p := deich.protect(t, data, origin.URL)
	// Visits in peace: what an answer takes is known then. They come from
	// another address than the browsers, which shall be strangers.
	neighbour := from(127, 1, 1, 1)
	for range 16 {
		get(t, neighbour, p.users+"/")
	}
	flood(t, p.users)
	untilPressed(t, p.users)

	t.Run("a browser proves the work and is in", func(t *testing.T) {
		const asked = "/posts?page=2&q=a%26b#third"
		b, took := unlucky(t, func(b *tab) bool {
			b.do(chromedp.Navigate(p.users + asked))
			b.waitFor(`document.title === "Townsquare"`)
			return strings.Contains(strings.Join(b.asked(), "\n"), "/.well-known/deich/challenge")
		})
		if at := ask[string](b, `document.querySelector("#at").textContent + location.hash`); at != asked {
			t.Errorf("it came back to %q", at)
		}
		t.Logf("in within %v", took.Round(time.Millisecond))
		for _, fault := range b.complaints(p.users) {
			t.Error(fault)
		}
		n := len(b.asked())
		b.do(chromedp.Navigate(p.users + "/posts?page=3"))
		b.waitFor(`document.title === "Townsquare"`)
		if more := b.asked()[n:]; len(more) != 1 {
			t.Errorf("its pass does not hold: the next page asked for %q", more)
		}
	})
	t.Run("without JavaScript it is in the queue", func(t *testing.T) {
		b, _ := unlucky(t, func(b *tab) bool {
			b.do(call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
			b.do(chromedp.Navigate(p.users + "/posts"))
			return ask[string](b, `document.title`) != "Townsquare"
		})
		b.visible("noscript p", true)
		explains(t, deich, data, b, "unproven")
	})
	t.Run("refused by hand", func(t *testing.T) {
		deich.must(t, "deny", "/closed", "--data", data)
		b := newTab(t)
		b.do(chromedp.Navigate(p.users + "/closed"))
		if head := ask[string](b, `document.querySelector("h1").textContent`); head != "We do not answer this request." {
			t.Errorf("it says %q", head)
		}
		explains(t, deich, data, b, "by_hand")
	})
}

// unlucky visits with fresh browsers until one draws no place at once, and gives
// that one's tab and how long its visit took.
func unlucky(t *testing.T, visit func(*tab) bool) (*tab, time.Duration) {
	t.Helper()
	for late := time.Now().Add(2 * patience); time.Now().Before(late); {
		b := newTab(t)
		began := time.Now()
		if visit(b) {
			return b, time.Since(began)
		}
	}
	t.Fatal("every browser drew a place at once")
	return nil, 0
}

// explains says that the reference on a page opens, and holds its reason.
func explains(t *testing.T, deich binary, data string, b *tab, reason string) {
	t.Helper()
	words := ask[[]string](b, `[...document.querySelectorAll("footer code")].map(e => e.textContent)`)
	if len(words) != 2 || words[0] != reason {
		t.Fatalf("at the foot stands %q, want the reason %s and a reference", words, reason)
	}
	if out := deich.must(t, "explain", words[1], "--data", data); !strings.Contains(out, reason) {
		t.Errorf("explain %s: %s", words[1], out)
	}
}

// A platform that is down, seen through the built Deich.
func TestBrowserBeforeAPlatformThatIsDown(t *testing.T) {
	shared.start(t)
	origin := smallPlatform(t)
	p := build(t).protect(t, t.TempDir(), origin.URL)
	origin.Close()
	b := newTab(t)
	b.do(chromedp.Navigate(p.users + "/"))
	if head := ask[string](b, `document.querySelector("h1").textContent`); head != "The service does not answer at the moment." {
		t.Errorf("it says %q", head)
	}
}

var welcome = template.Must(template.New("").Parse(`<!doctype html><html lang="en"><title>Townsquare</title>
<link rel="icon" href="data:,"><h1>Welcome</h1><p id="at">{{.}}</p>`))
