package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

// request sends one page's request with headers, from a client of its own choice.
func request(t *testing.T, c *http.Client, method, target, body string, header ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	still := *c
	still.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	a, err := still.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a, string(b)
}

func cookieOf(a *http.Response, name string) string {
	for _, c := range a.Cookies() {
		if c.Name == name {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}

// What is forged counts as nothing, and what is stolen is worth what it is
// worth, within its budget.
func TestForgedAndStolen(t *testing.T) {
	b := build(t)
	var seen http.Header
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Clone()
		w.Header().Set("Deich-Reason", "forged by the origin")
		io.WriteString(w, "hello")
	}))
	t.Cleanup(origin.Close)
	p := b.protect(t, t.TempDir(), origin.URL)
	b.must(t, "deny", "/closed", "--data", p.data)
	tier := func(c *http.Client, header ...string) string {
		t.Helper()
		r, _ := request(t, c, "GET", p.users+"/closed", "", header...)
		return explainJSON(t, b, p, r.Header.Get("Deich-Reference")).Reference.Tier
	}
	owner, thief := from(127, 1, 2, 3), from(127, 66, 6, 6)
	r, _ := request(t, owner, "GET", p.users+"/", "")
	pass := cookieOf(r, "deich")
	if pass == "" {
		t.Fatalf("no pass was given: %v", r.Header)
	}
	t.Run("a pass holds anywhere: people move", func(t *testing.T) {
		if got := tier(owner, "Cookie", pass); got != "visitor" {
			t.Errorf("its owner is a %s", got)
		}
		if got := tier(thief, "Cookie", pass); got != "visitor" {
			t.Errorf("elsewhere it makes a %s", got)
		}
	})
	t.Run("but at this site alone", func(t *testing.T) {
		ask, _ := http.NewRequest("GET", p.users+"/closed", nil)
		ask.Host = "other.example"
		ask.Header.Set("Cookie", pass)
		r, err := thief.Do(ask)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if got := explainJSON(t, b, p, r.Header.Get("Deich-Reference")).Reference.Tier; got != "stranger" {
			t.Errorf("at another site it makes a %s", got)
		}
	})
	t.Run("a forged one is none", func(t *testing.T) {
		last := "_"
		if strings.HasSuffix(pass, last) {
			last = "-" // one pass in 64 ends so, and would not be forged
		}
		for _, forged := range []string{
			"deich=" + strings.Repeat("A", 68), "deich=", pass[:len(pass)-1] + last, pass + "A", "deich=" + strings.Repeat("=", 68),
			"__Host-" + pass, "DEICH" + strings.TrimPrefix(pass, "deich"),
		} {
			if got := tier(from(127, 66, 6, 7), "Cookie", forged); got != "stranger" {
				t.Errorf("%.40s makes a %s", forged, got)
			}
		}
	})
	t.Run("forged headers change nobody", func(t *testing.T) {
		request(t, thief, "GET", p.users+"/", "", "Cookie", pass+"; mine=1", "Deich-Member", "42", "Deich-Reason", "x",
			"X-Forwarded-For", "203.0.113.9", "Forwarded", "for=203.0.113.9", "X-Real-Ip", "203.0.113.9", "X-Forwarded-Proto", "https")
		for name := range seen {
			if strings.HasPrefix(name, "Deich-") {
				t.Errorf("the origin saw %s: %q", name, seen[name])
			}
		}
		if all := strings.Join(append(seen["Cookie"], seen["X-Forwarded-For"]...), " ") + seen.Get("Forwarded") + seen.Get("X-Real-Ip"); strings.Contains(all, "deich") || strings.Contains(all, "203.0.113.9") {
			t.Errorf("the origin saw %q", all)
		}
		if seen.Get("Cookie") != "mine=1" || seen.Get("X-Forwarded-For") != "127.66.6.6" || seen.Get("X-Forwarded-Proto") != "http" {
			t.Errorf("the origin saw %v", seen)
		}
		b.must(t, "deny", "203.0.113.9", "--data", p.data)
		if r, _ := request(t, thief, "GET", p.users+"/", "", "X-Forwarded-For", "203.0.113.9"); r.StatusCode != 200 || r.Header.Get("Deich-Reason") != "" {
			t.Errorf("%s, reason %q", r.Status, r.Header.Get("Deich-Reason"))
		}
	})
	t.Run("forged references open nothing", func(t *testing.T) {
		r, _ := request(t, thief, "GET", p.users+"/closed", "")
		reference := r.Header.Get("Deich-Reference")
		forged := []byte(reference)
		if forged[30]++; forged[30] > 'y' || forged[30] < 'a' {
			forged[30] = 'b'
		}
		for _, what := range []string{string(forged), reference[1:], strings.Repeat("a", 76), "../state", "%2e%2e/hand", "203.0.113.999"} {
			if out, errs, code := b.run(t, "explain", "--data", p.data, "--", what); code != 1 || !strings.Contains(errs, "no reference") {
				t.Errorf("explain %s: exit %d\n%s%s", what, code, out, errs)
			}
		}
	})
	p.stop(t)
}

func explainJSON(t *testing.T, b binary, p *process, reference string) (is explained) {
	t.Helper()
	unmarshal(t, b.must(t, "explain", reference, "--json", "--data", p.data), &is)
	return is
}

// Under pressure: a stolen pass has one budget for all who show it, a proof is
// good once, and a ticket of the waiting room from its own network alone.
func TestReplaysUnderPressure(t *testing.T) {
	b := build(t)
	origin := smallPlatform(t)
	p := b.protect(t, t.TempDir(), origin.URL)
	owner := from(127, 1, 1, 1)
	var pass string
	for range 16 {
		if r, _ := request(t, owner, "GET", p.users+"/", ""); pass == "" {
			pass = cookieOf(r, "deich")
		}
	}
	if pass == "" {
		t.Fatal("no pass was given in peace")
	}
	flood(t, p.users)
	untilPressed(t, p.users)

	t.Run("a proof is good once, and where it was asked", func(t *testing.T) {
		me, elsewhere := from(127, 77, 1, 1), from(127, 78, 1, 1)
		token, bits := challenge(t, me, p.users)
		answers, _ := deich.SolveProof(deich.ProofSeed(token), bits)
		form := url.Values{"token": {token}, "proof": {deich.FormatProof(answers)}, "return": {"/"}}.Encode()
		send := func(c *http.Client, form string) *http.Response {
			r, _ := request(t, c, "POST", p.users+"/.well-known/deich/challenge", form, "Content-Type", "application/x-www-form-urlencoded")
			return r
		}
		if r := send(elsewhere, form); r.StatusCode != 400 || cookieOf(r, "deich") != "" {
			t.Errorf("from another network: %s", r.Status)
		}
		if r := send(me, form); r.StatusCode != 303 || cookieOf(r, "deich") == "" {
			t.Errorf("the first time: %s", r.Status)
		}
		for range 3 {
			if r := send(me, form); r.StatusCode != 400 || r.Header.Get("Deich-Reason") != "bad_proof" || cookieOf(r, "deich") != "" {
				t.Errorf("again: %s %v", r.Status, r.Header)
			}
		}
		forged := strings.Replace(form, token, strings.Repeat("A", len(token)), 1)
		if r := send(me, forged); r.StatusCode != 400 || cookieOf(r, "deich") != "" {
			t.Errorf("a forged token: %s", r.Status)
		}
	})
	t.Run("a ticket holds for its own network", func(t *testing.T) {
		me := from(127, 79, 1, 1)
		ticket := ""
		// Who draws a place at once gets none, nor who comes in a moment without pressure.
		for late := time.Now().Add(patience); ticket == "" && time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
			r, _ := request(t, me, "GET", unread(p.users), "")
			ticket = cookieOf(r, "deich-place")
		}
		if ticket == "" {
			t.Fatal("no ticket was given")
		}
		renewed := func(c *http.Client, cookie string) string {
			var last *http.Response
			for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(20 * time.Millisecond) { // as above
				if last, _ = request(t, c, "GET", unread(p.users), "", "Cookie", cookie); last.StatusCode != 200 {
					return cookieOf(last, "deich-place")
				}
			}
			t.Fatalf("it draws a place each time, at last %v", last.Header)
			return ""
		}
		if again := renewed(me, ticket); again != "" {
			t.Errorf("its owner was given another number")
		}
		for name, c := range map[string]struct {
			client *http.Client
			cookie string
		}{
			"replayed elsewhere": {from(127, 80, 1, 1), ticket},
			"forged":             {from(127, 81, 1, 1), "deich-place=" + strings.Repeat("A", 40)},
		} {
			if again := renewed(c.client, c.cookie); again == "" || again == ticket {
				t.Errorf("%s: it holds", name)
			}
		}
	})
	t.Run("a stolen pass has one budget", func(t *testing.T) {
		// It holds 80 requests at once and 2 a second; beyond that it gets what
		// everybody else leaves.
		const beyond, thieves, refusals = 300, 16, 8
		var sent atomic.Int64
		var all sync.WaitGroup
		references := make(chan string, refusals+thieves)
		late := time.Now().Add(patience)
		for thief := range thieves {
			all.Go(func() {
				for n := 0; len(references) < refusals && time.Now().Before(late); n++ {
					// Each time from another address, as a botnet shares a pass.
					// And each time for another page: a copy that readers witnessed costs the
					// origin nothing, and no budget.
					ask, _ := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprint(p.users, "/?", thief, "-", n), nil)
					ask.Header.Set("Cookie", pass)
					r, err := from(127, 90, byte(n), byte(thief+1)).Do(ask)
					if err != nil {
						continue
					}
					r.Body.Close()
					if sent.Add(1) > beyond && r.StatusCode != 200 {
						references <- r.Header.Get("Deich-Reference")
					}
				}
			})
		}
		all.Wait()
		close(references)
		if len(references) < refusals {
			t.Errorf("only %d of %d requests were refused", len(references), sent.Load())
		}
		for reference := range references {
			if is := explainJSON(t, b, p, reference).Reference; is.Rank >= 14 {
				t.Errorf("%s (%s), ranked %d, with strangers or above", is.Act, is.Reason, is.Rank)
			}
		}
	})
	p.stop(t)
}

// challenge gets a client's challenge, however often it draws a place first.
func challenge(t *testing.T, c *http.Client, to string) (token string, bits int) {
	t.Helper()
	for late := time.Now().Add(patience); time.Now().Before(late); time.Sleep(20 * time.Millisecond) {
		r, _ := request(t, c, "GET", unread(to), "")
		said, token, found := strings.Cut(r.Header.Get("Deich-Challenge"), ";token=")
		bits, err := strconv.Atoi(strings.TrimPrefix(said, "bits="))
		if found && err == nil {
			return token, bits
		}
	}
	t.Fatal("it is never challenged")
	return "", 0
}
