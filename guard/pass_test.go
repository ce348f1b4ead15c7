package guard

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
)

var testTime = epoch.Add(20_000 * time.Hour)

var testClient = netip.MustParseAddr("192.0.2.1")

func TestPassKeepsWhatItHolds(t *testing.T) {
	r := testKeys().ring.Load()
	want := deich.Pass{
		ID: 0xfedcba9876543210, First: testTime.Add(-time.Hour), Days: 9, Earned: deich.Waited,
		Account: 42, Since: testTime.Add(-time.Minute),
	}
	cookie := r.writePass(want, "Example.org:8080", testTime)
	if len(cookie) != passChars {
		t.Errorf("%d characters, want %d", len(cookie), passChars)
	}
	s := r.showPass(cookie, "example.ORG", testTime, passLifeDefault)
	if s.bad || s.pass != want || s.minted != testTime {
		t.Errorf("got %+v, want %+v", s, want)
	}
}

func TestPassTimesAreNeverOlderThanTheyWere(t *testing.T) {
	r := testKeys().ring.Load()
	first := testTime.Add(1234567 * time.Nanosecond)
	s := r.showPass(r.writePass(deich.Pass{ID: 1, First: first}, "h", testTime), "h", testTime, time.Hour)
	if s.pass.First < first || s.pass.First.Sub(first) >= 10*time.Millisecond {
		t.Errorf("first is off by %v", s.pass.First.Sub(first))
	}
}

func TestPassesThatDoNotHold(t *testing.T) {
	r := testKeys().ring.Load()
	good := r.writePass(freshPass(testTime, deich.Served), "example.org", testTime)
	foreign := NewKeys([32]byte{2}).ring.Load().writePass(freshPass(testTime, deich.Served), "example.org", testTime)
	for _, c := range []struct {
		name, cookie, host string
		at                 time.Duration
		bad                bool
	}{
		{"good", good, "example.org", 0, false},
		{"of another site", good, "example.net", 0, true},
		{"of other keys", foreign, "example.org", 0, true},
		{"cut", good[:60], "example.org", 0, true},
		{"empty", "", "example.org", 0, true},
		{"doubled", good + good, "example.org", 0, true},
		{"line breaks", strings.Repeat("\n", passChars), "example.org", 0, true},
		{"absurd host", good, strings.Repeat("x", 4096), 0, true},
		{"at its last moment", good, "example.org", passLifeDefault, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := r.showPass(c.cookie, c.host, testTime.Add(c.at), passLifeDefault)
			if s.bad != c.bad || (s.pass.ID == 0) != c.bad {
				t.Errorf("bad %t, pass %+v", s.bad, s.pass)
			}
		})
	}
	if s := r.showPass(good, "example.org", testTime.Add(passLifeDefault+time.Second), passLifeDefault); s.bad || s.pass.ID != 0 {
		t.Errorf("expired: %+v, want none and not bad", s)
	}
	for i := range good {
		forged := []byte(good)
		if forged[i]++; forged[i] == good[i] {
			t.Fatal("not changed")
		}
		if s := r.showPass(string(forged), "example.org", testTime, passLifeDefault); !s.bad {
			t.Errorf("holds with character %d changed", i)
		}
	}
}

func TestPassVerifyAllocatesNothing(t *testing.T) {
	r := testKeys().ring.Load()
	cookie := r.writePass(freshPass(testTime, deich.Served), "example.org", testTime)
	if n := testing.AllocsPerRun(100, func() { r.showPass(cookie, "example.org", testTime, passLifeDefault) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMACIsHMAC(t *testing.T) {
	secret := [32]byte{1, 2, 3}
	k := newMACKey(secret)
	for _, text := range []string{"", "x", strings.Repeat("y", macInputMax)} {
		var m macInput
		m.add([]byte(text))
		got := k.sum(&m)
		ref := hmac.New(sha256.New, secret[:])
		ref.Write([]byte(text))
		if string(got[:]) != string(ref.Sum(nil)[:macBytes]) {
			t.Errorf("differs from crypto/hmac for %d bytes", len(text))
		}
	}
}

func TestPrefixIsWhatBinds(t *testing.T) {
	r := testKeys().ring.Load()
	for _, c := range []struct {
		from, to string
		holds    bool
	}{
		{"192.0.2.1", "192.0.2.250", true},
		{"192.0.2.1", "::ffff:192.0.2.9", true},
		{"192.0.2.1", "192.0.3.1", false},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"192.0.2.1", "2001:db8::1", false},
	} {
		from, to := netip.MustParseAddr(c.from), netip.MustParseAddr(c.to)
		if place, _ := r.readTicket(r.writeTicket(9, from, testTime), to, testTime); (place == 9) != c.holds {
			t.Errorf("ticket of %v at %v: place %d", from, to, place)
		}
		token := r.writeToken(14, from, testTime)
		if bits, _, ok := r.readToken(token, to, testTime); ok != c.holds || ok && bits != 14 {
			t.Errorf("token of %v at %v: %d, %t", from, to, bits, ok)
		}
	}
}

func TestTicketsAndTokensEnd(t *testing.T) {
	r := testKeys().ring.Load()
	a := netip.MustParseAddr("192.0.2.1")
	ticket, token := r.writeTicket(9, a, testTime), r.writeToken(14, a, testTime)
	if len(ticket) != ticketChars || len(token) != tokenChars {
		t.Errorf("ticket of %d, token of %d characters", len(ticket), len(token))
	}
	if place, age := r.readTicket(ticket, a, testTime.Add(ticketLife)); place != 9 || age != ticketLife {
		t.Errorf("ticket at its last moment: %d, %v", place, age)
	}
	if place, _ := r.readTicket(ticket, a, testTime.Add(ticketLife+time.Second)); place != 0 {
		t.Error("ticket outlives its life")
	}
	if _, _, ok := r.readToken(token, a, testTime.Add(tokenLife+time.Second)); ok {
		t.Error("token outlives its life")
	}
	if other := r.writeToken(14, a, testTime); other == token {
		t.Error("two challenges are one")
	}
}

func TestReferenceOpensForUsAlone(t *testing.T) {
	r := testKeys().ring.Load()
	v := deich.Verdict{Act: deich.Wait, Reason: deich.BelowCut, Tier: deich.Visitor, Rank: 41, Cut: 74}
	for client, prefix := range map[string]string{"192.0.2.77": "192.0.2.0/24", "2001:db8:1:2::3": "2001:db8:1::/48"} {
		req := deich.Request{At: testTime, Client: netip.MustParseAddr(client), Kind: deich.Page, Origin: 3}
		reference := string(r.seal(new(sealing), &req, &v))
		want := Explanation{
			At: time.Unix(0, int64(testTime)).UTC(), Act: "wait", Reason: "below_cut", Tier: "visitor",
			Rank: 41, Cut: 74, Kind: "page", Origin: 3, Prefix: netip.MustParsePrefix(prefix),
		}
		if got, err := r.explain(" " + strings.ToUpper(reference) + "\n"); err != nil || got != want {
			t.Errorf("got %+v, %v; want %+v", got, err, want)
		}
		if _, err := NewKeys([32]byte{2}).ring.Load().explain(reference); err != ErrReference {
			t.Errorf("other keys: %v", err)
		}
		forged := []byte(reference)
		forged[40] ^= 1
		if _, err := r.explain(string(forged)); err != ErrReference {
			t.Errorf("forged: %v", err)
		}
	}
}

func FuzzPass(f *testing.F) {
	r := testKeys().ring.Load()
	good := r.writePass(freshPass(testTime, deich.Served), "example.org", testTime)
	f.Add(good, "example.org")
	f.Add(good[:67]+"\n", "[::1]:80")
	f.Add(strings.Repeat("A", passChars), "EXAMPLE.org:443")
	f.Fuzz(func(t *testing.T, cookie, host string) {
		s := r.showPass(cookie, host, testTime, passLifeDefault)
		if s.bad == (s.pass.ID != 0) {
			t.Fatalf("neither a pass nor a bad one: %+v", s)
		}
		if !s.bad && cookie != r.writePass(s.pass, host, s.minted) {
			t.Fatalf("two passes for one: %q", cookie)
		}
	})
}

func FuzzTicket(f *testing.F) {
	r := testKeys().ring.Load()
	a := netip.MustParseAddr("192.0.2.1")
	good := r.writeTicket(9, a, testTime)
	f.Add(good)
	f.Add(good[1:] + "A")
	f.Add(strings.Repeat("\r", ticketChars))
	f.Fuzz(func(t *testing.T, ticket string) {
		place, _ := r.readTicket(ticket, a, testTime)
		if place != 0 && ticket != good {
			t.Fatalf("a forged ticket holds: %q", ticket)
		}
	})
}

func FuzzToken(f *testing.F) {
	r := testKeys().ring.Load()
	a := netip.MustParseAddr("192.0.2.1")
	good := r.writeToken(14, a, testTime)
	f.Add(good)
	f.Add(good[1:] + "A")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		bits, _, ok := r.readToken(token, a, testTime)
		if ok && bits != 14 {
			t.Fatalf("a forged token holds: %q", token)
		}
	})
}

func FuzzReference(f *testing.F) {
	r := testKeys().ring.Load()
	req := deich.Request{At: testTime, Client: netip.MustParseAddr("192.0.2.1")}
	good := string(r.seal(new(sealing), &req, &deich.Verdict{Reason: deich.ByHand}))
	f.Add(good)
	f.Add(good[:75])
	f.Add(strings.Repeat("a", referenceChars))
	f.Fuzz(func(t *testing.T, reference string) {
		if e, err := r.explain(reference); err == nil && e.Reason != "by_hand" {
			t.Fatalf("a forged reference opens: %+v", e)
		}
	})
}
