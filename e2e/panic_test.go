package e2e

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// metric reads one number of the running Deich; 0 where it has none.
func (p *process) metric(t *testing.T, name string) float64 {
	t.Helper()
	return p.metricBy(t, visitor(t), name)
}

func (p *process) metricBy(t *testing.T, client *http.Client, name string) float64 {
	t.Helper()
	link, token, shown := strings.Cut(p.link, "?token=")
	if !shown { // it is shown when it is made
		text, err := os.ReadFile(filepath.Join(p.data, "token"))
		if err != nil {
			t.Fatal(err)
		}
		token = strings.TrimSpace(string(text))
	}
	_, body := request(t, client, "GET", link+"metrics", "", "Authorization", "Bearer "+token)
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(body)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// In a build whose engine breaks, in one call or in all, requests go on, the
// operator is told, and it ends as ever.
func TestEngineThatPanics(t *testing.T) {
	b := build(t, "deichpanic")
	for _, calls := range []string{"decide", "enter", "done", "tick", "mint", "detach,cancel,turn,done", "decide,enter,turn,cancel,detach,done,tick,mint"} {
		t.Run(calls, func(t *testing.T) {
			origin := platform(t, "hello")
			t.Setenv("DEICH_PANIC", calls)
			p := b.protect(t, t.TempDir(), origin.URL)
			var all sync.WaitGroup
			for n := range 8 {
				all.Go(func() {
					c := from(127, 5, 5, byte(n+1))
					for range 25 {
						ask, _ := http.NewRequest("GET", p.users+"/", nil)
						ask.Header.Set("Accept", "text/html") // a page: it would be given a pass
						r, err := c.Do(ask)
						if err != nil {
							t.Error(err)
							return
						}
						body, err := io.ReadAll(r.Body)
						r.Body.Close()
						if err != nil || r.StatusCode != http.StatusOK || string(body) != "hello" {
							t.Errorf("%s %q %v", r.Status, body, err)
							return
						}
					}
				})
			}
			all.Wait()
			p.hear(t, "going on with a plain limit")
			if n := p.metric(t, "deich_engine_panics_total"); n == 0 {
				t.Error("the console knows of no panic")
			}
			p.stop(t)
		})
	}
}
