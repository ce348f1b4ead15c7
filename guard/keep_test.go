package guard

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

// keeperScript is a keeper that notes what it is asked.
type keeperScript struct {
	kept, begun []Letter
	answers     []Answer
	full, done  bool
	noRoom      bool // behind others of the sender

	headers []http.Header // of what was begun, as it came
}

func (k *keeperScript) keeper() *Keeper {
	return &Keeper{
		Route: func(r *http.Request) int64 {
			if r.URL.Path == "/messages" {
				return 100
			}
			return 0
		},
		Begin: func(w http.ResponseWriter, l *Letter) (func(*Answer), bool) {
			k.begun, k.headers = append(k.begun, *l), append(k.headers, l.Request.Header.Clone())
			l.Full = k.noRoom
			if k.done {
				w.WriteHeader(http.StatusOK)
				return nil, true
			}
			return func(a *Answer) { k.answers = append(k.answers, *a) }, false
		},
		Keep: func(w http.ResponseWriter, l *Letter) bool {
			if k.full {
				return false
			}
			k.kept = append(k.kept, *l)
			w.WriteHeader(http.StatusAccepted)
			return true
		},
		Receipt: func(w http.ResponseWriter, r *http.Request, name string, who Sender) {
			w.Header().Set("Receipt-Of", name)
			if who.Pass == 0 {
				w.WriteHeader(http.StatusNotFound)
			}
		},
	}
}

// post is a message; with pass it comes from somebody known.
func (k *keeperScript) post(h *Handler, path, body string, pass bool) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if pass {
		r.AddCookie(&http.Cookie{Name: passCookie, Value: h.keys.ring.Load().writePass(freshPass(h.now(), deich.Served), r.Host, h.now())})
	}
	r.AddCookie(&http.Cookie{Name: "session", Value: "s"})
	return r
}

func refusal(act deich.Act, why deich.Reason) deich.Verdict {
	return deich.Verdict{Act: act, Reason: why, Tier: deich.Visitor, Rank: 40, RetryAfter: 1e9}
}

func TestKeptInsteadOfRefused(t *testing.T) {
	for _, test := range []struct {
		name, path, body string
		act              deich.Act
		why              deich.Reason
		pass, kept       bool
	}{
		{"below the cut line", "/messages", "text", deich.Wait, deich.BelowCut, true, true},
		{"to be proven", "/messages", "text", deich.Challenge, deich.Unproven, true, true},
		{"without a pass", "/messages", "text", deich.Wait, deich.BelowCut, false, false},
		{"another route", "/search", "text", deich.Wait, deich.BelowCut, true, false},
		{"too long", "/messages", strings.Repeat("x", 101), deich.Wait, deich.BelowCut, true, false},
		{"over its budget", "/messages", "text", deich.Wait, deich.OverBudget, true, false},
		{"denied by hand", "/messages", "text", deich.Deny, deich.ByHand, true, false},
		{"by a rule", "/messages", "text", deich.Deny, deich.ByRule, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, k := newScript(), &keeperScript{}
			s.verdict = refusing(refusal(test.act, test.why))
			h := scripted(t, s, func(http.ResponseWriter, *http.Request) { t.Error("reached the origin") }, func(o *Options) { o.Keeper = k.keeper() })
			a := ask(h, k.post(h, test.path, test.body, test.pass))
			if got := len(k.kept) == 1; got != test.kept || test.kept != (a.StatusCode == http.StatusAccepted) {
				t.Fatalf("kept %v, status %d: want kept %v", got, a.StatusCode, test.kept)
			}
			if !test.kept {
				return
			}
			l := k.kept[0]
			if string(l.Body) != test.body || l.Sent || l.Begun || l.Sender.Pass == 0 || !l.Newcomer {
				t.Errorf("%+v", l)
			}
			if cookies := l.Request.Header.Get("Cookie"); cookies != "session=s" {
				t.Errorf("its cookies are %q: Deich's own are nobody else's", cookies)
			}
			if n := h.bodies.held.Load(); n != 0 {
				t.Errorf("%d bytes of bodies are still held", n)
			}
		})
	}
}

// A partner that is known by where it comes from is a sender like others: each its own, and the
// same when it asks for its receipt.
func TestAPartnerIsASender(t *testing.T) {
	s, k := newScript(), &keeperScript{}
	s.verdict = refusing(refusal(deich.Wait, deich.BelowCut))
	keeper := k.keeper()
	var asked Sender
	keeper.Receipt = func(w http.ResponseWriter, r *http.Request, name string, who Sender) { asked = who }
	h := scripted(t, s, func(http.ResponseWriter, *http.Request) { t.Error("reached the origin") }, func(o *Options) {
		o.Keeper = keeper
		o.Config.Partners = []Partner{
			{Name: "one", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25")}},
			{Name: "two", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.128/25")}, Agent: "Hook"},
		}
	})
	from := func(r *http.Request, addr string) *http.Request {
		r.RemoteAddr = addr + ":1234"
		r.Header.Set("User-Agent", "Hook/1.0")
		return r
	}
	var senders []Sender
	for _, addr := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.200"} {
		if a := ask(h, from(k.post(h, "/messages", "text", false), addr)); a.StatusCode != http.StatusAccepted {
			t.Fatalf("%s: %d", addr, a.StatusCode)
		}
		sender := k.kept[len(k.kept)-1].Sender
		if ask(h, from(get(wellKnown+"receipts/abc"), addr)); asked != sender {
			t.Errorf("%s sends as %+v and asks for its receipt as %+v", addr, sender, asked)
		}
		senders = append(senders, sender)
	}
	if senders[0] == (Sender{}) || senders[0] != senders[1] || senders[0] == senders[2] {
		t.Errorf("want two senders, one for each partner: %+v", senders)
	}
	r := from(k.post(h, "/messages", "text", false), "192.0.2.1")
	r.Header.Set("Authorization", "partner one")
	if ask(h, r); k.kept[len(k.kept)-1].Sender == senders[0] {
		t.Error("a credential that is a partner's name passes for the partner")
	}
}

// Where nothing is kept, the refusal is what it would have been.
func TestNotKeptIsRefused(t *testing.T) {
	s, k := newScript(), &keeperScript{full: true}
	s.verdict = refusing(refusal(deich.Wait, deich.BelowCut))
	h := scripted(t, s, hello, func(o *Options) { o.Keeper = k.keeper() })
	if a := ask(h, k.post(h, "/messages", "text", true)); a.StatusCode != 503 || a.Header.Get("Deich-Reason") != "below_cut" {
		t.Errorf("%d %s", a.StatusCode, a.Header.Get("Deich-Reason"))
	}
}

func TestKeptWhenTheOriginFails(t *testing.T) {
	for _, test := range []struct {
		name   string
		unsent bool
		why    deich.Reason
		kept   bool
	}{
		{"not reached", true, deich.OriginDown, true},
		{"cut off", false, deich.OriginDown, true},
		{"slow", false, deich.OriginSlow, true},
		{"of the client's making", true, deich.SlowClient, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, k := newScript(), &keeperScript{}
			h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) {
				if test.unsent {
					Unsent(w)
				}
				Fail(w, r, test.why)
			}, func(o *Options) { o.Keeper = k.keeper() })
			a := ask(h, k.post(h, "/messages", "text", true))
			if got := len(k.kept) == 1; got != test.kept || test.kept != (a.StatusCode == http.StatusAccepted) {
				t.Fatalf("kept %v, status %d", got, a.StatusCode)
			}
			if test.kept && !k.kept[0].Begun {
				t.Error("the keeper is not told that it was asked before: it would wait for itself")
			}
			if test.kept && k.kept[0].Sent == test.unsent {
				t.Errorf("sent %v, and it is told that it was unsent %v", k.kept[0].Sent, test.unsent)
			}
			if len(k.answers) != 1 || k.answers[0].Status != 0 {
				t.Errorf("the keeper was told %+v: want that no answer came", k.answers)
			}
			if len(s.outcomes) != 1 || s.outcomes[0].Failed != (test.why != deich.SlowClient) {
				t.Errorf("the engine was told %+v", s.outcomes)
			}
		})
	}
}

func TestTheKeeperHearsTheAnswer(t *testing.T) {
	s, k := newScript(), &keeperScript{}
	h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/p/1")
		w.WriteHeader(http.StatusCreated)
		io.Copy(w, r.Body)
	}, func(o *Options) { o.Keeper = k.keeper() })
	ask(h, k.post(h, "/messages", "text", true))
	if len(k.answers) != 1 {
		t.Fatalf("told %d times", len(k.answers))
	}
	if a := k.answers[0]; a.Status != 201 || string(a.Body) != "text" || !a.Whole || a.Header.Get("Location") != "/p/1" {
		t.Errorf("%+v", a)
	}
	k.done = true
	if a := ask(h, k.post(h, "/messages", "text", true)); a.StatusCode != 200 {
		t.Errorf("what the keeper answered came as %d", a.StatusCode)
	}
	k.done, k.noRoom = false, true
	if a := ask(h, k.post(h, "/messages", "text", true)); a.StatusCode != 503 || a.Header.Get("Deich-Reason") != "queue_full" {
		t.Errorf("without room behind others of its sender: %d %s", a.StatusCode, a.Header.Get("Deich-Reason"))
	}
	if len(s.outcomes) != 1 {
		t.Errorf("%d requests reached the engine's places, want the first alone", len(s.outcomes))
	}
}

// The keeper never sees the pass: what it is asked about before it goes to the platform, it
// keeps right then where older messages of its sender wait.
func TestTheKeeperIsAskedWithoutThePass(t *testing.T) {
	s, k, origin := newScript(), &keeperScript{}, 0
	h := scripted(t, s, func(_ http.ResponseWriter, r *http.Request) {
		if origin++; r.Header.Get("Cookie") != "session=s" {
			t.Errorf("the origin saw %v", r.Header)
		}
	}, func(o *Options) { o.Keeper = k.keeper() })
	first := k.post(h, "/messages", "text", true)
	first.Header.Set("Deich-Member", "root")
	ctx := ConnContext(t.Context(), nil)
	again := first.Clone(ctx) // on its connection, which remembers the header
	again.Body = io.NopCloser(strings.NewReader("text"))
	ask(h, first.WithContext(ctx))
	ask(h, again)
	if len(k.headers) != 2 || origin != 2 {
		t.Fatalf("asked %d times, %d reached the origin", len(k.headers), origin)
	}
	for i, header := range k.headers {
		if header.Get("Cookie") != "session=s" || header.Get("Deich-Member") != "" {
			t.Errorf("request %d: the keeper saw %v", i, header)
		}
		if k.begun[i].Sender.Pass == 0 {
			t.Errorf("request %d: its sender is nobody", i)
		}
	}
}

// What an earlier version kept with the pass is delivered without it.
func TestDeliverWithoutThePass(t *testing.T) {
	h := scripted(t, newScript(), func(_ http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Cookie"); got != "session=s" || r.Header.Get("Deich-Member") != "" {
			t.Errorf("the origin saw %v", r.Header)
		}
	})
	r := (&keeperScript{}).post(h, "/messages", "text", true)
	r.Header.Set("Deich-Member", "root")
	if d := h.Deliver(httptest.NewRecorder(), r, func() error { return nil }); !d.Placed {
		t.Errorf("%+v", d)
	}
}

// Passes are had by the hundred, for a page each: those of the same day make nobody known.
func TestNewcomers(t *testing.T) {
	ago := func(d time.Duration) deich.Time { return testTime.Add(-d) }
	for name, c := range map[string]struct {
		pass    deich.Pass
		partner bool
		want    bool
	}{
		"a fresh pass":                     {deich.Pass{ID: 1, First: ago(time.Minute), Days: 1}, false, true},
		"a pass of an hour":                {deich.Pass{ID: 1, First: ago(time.Hour), Days: 1}, false, true},
		"a pass of both sides of midnight": {deich.Pass{ID: 1, First: ago(time.Hour), Days: 2}, false, true},
		"a pass of a week ago, shown once": {deich.Pass{ID: 1, First: ago(7 * 24 * time.Hour), Days: 1}, false, true},
		"a pass of yesterday":              {deich.Pass{ID: 1, First: ago(25 * time.Hour), Days: 2}, false, false},
		"a proof of yesterday":             {deich.Pass{ID: 1, First: ago(25 * time.Hour), Days: 2, Earned: deich.Proved}, false, false},
		"a login just now":                 {deich.Pass{ID: 1, First: ago(time.Hour), Days: 1, Account: 5, Since: ago(time.Minute)}, false, true},
		"a login of an hour":               {deich.Pass{ID: 1, First: ago(time.Hour), Days: 1, Account: 5, Since: ago(time.Hour)}, false, false},
		"a partner":                        {deich.Pass{}, true, false},
	} {
		v := &visit{req: deich.Request{At: testTime, Pass: c.pass, Partner: c.partner}}
		if got := v.newcomer(); got != c.want {
			t.Errorf("%s: a newcomer %v", name, got)
		}
	}
}

func TestDeliver(t *testing.T) {
	s := newScript()
	var ready int
	failing := false
	h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) {
		if ready == 0 {
			t.Error("sent before it was ready")
		}
		if failing {
			Unsent(w)
			Fail(w, r, deich.OriginDown)
			return
		}
		w.WriteHeader(http.StatusCreated)
	})
	send := func(ok error) (Delivery, int) {
		w := httptest.NewRecorder()
		w.Code = 0
		return h.Deliver(w, httptest.NewRequest("POST", "/messages", strings.NewReader("text")), func() error { ready++; return ok }), w.Code
	}
	if d, status := send(nil); !d.Placed || d.Failed != deich.NoReason || status != 201 {
		t.Errorf("%+v, %d", d, status)
	}
	if d, _ := send(errors.New("the disk failed")); d.Placed {
		t.Errorf("sent though it was not ready: %+v", d)
	}
	failing = true
	if d, status := send(nil); !d.Placed || d.Failed != deich.OriginDown || !d.Unsent || status != 0 {
		t.Errorf("%+v, %d: a failure is no answer", d, status)
	}
	s.turnAway = deich.QueueFull
	if d, _ := send(nil); d.Placed {
		t.Errorf("without a place: %+v", d)
	}
	if len(s.outcomes) != 3 || len(s.mistakes) != 0 {
		t.Errorf("%d places ended, %v", len(s.outcomes), s.mistakes)
	}
}

func TestReceiptsAreServed(t *testing.T) {
	s, k := newScript(), &keeperScript{}
	h := scripted(t, s, func(http.ResponseWriter, *http.Request) { t.Error("reached the origin") }, func(o *Options) { o.Keeper = k.keeper() })
	if a := ask(h, get(wellKnown+"receipts/abc")); a.StatusCode != 404 || a.Header.Get("Receipt-Of") != "abc" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	without := scripted(t, newScript(), func(http.ResponseWriter, *http.Request) { t.Error("reached the origin") })
	if a := ask(without, get(wellKnown+"receipts/abc")); a.StatusCode != 404 || a.Header.Get("Receipt-Of") != "" {
		t.Errorf("without a keeper: %d %v", a.StatusCode, a.Header)
	}
}
