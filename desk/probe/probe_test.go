package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"https://www.example.org/a?b=c": "www.example.org", "pay=https://pay.example.net/": "pay", "tcp://192.0.2.1:25": "192.0.2.1", "tls://[2001:db8::1]:443": "2001:db8::1",
		"dns:www.example.org": "www.example.org", "dns://192.0.2.53/www.example.org": "www.example.org", "the shop=http://shop:8080": "the shop",
		"": "", "www.example.org": "", "ftp://a/": "", "tcp://a": "", "tls://a": "", "https://": "", "dns:": "", "dns://192.0.2.53": "", "https://me:secret@a/": "", "a\x00=https://a/": "",
		strings.Repeat("n", nameMax+1) + "=https://a/": "", "https://a/" + strings.Repeat("x", targetMax): "",
	} {
		c, err := Parse(text)
		if (err == nil) != (want != "") || err == nil && c.Name != want {
			t.Errorf("%.60q: %q, %v; want %q", text, c.Name, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"https://a/", "x=tcp://a:1", "dns:a", "dns://b/a", "tls://[::1]:443", "=https://a/", "a=b=c", "://"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Parse(s)
		if err == nil && (c.url == nil || checkName(c.Name) != nil || len(c.Target) > targetMax) {
			t.Errorf("%q: %+v", s, c)
		}
	})
}

// nameServer answers for one name, and says of all others that there is none.
func nameServer(t *testing.T, name string) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			switch {
			case q.Name.String() != name:
				m.RCode = dnsmessage.RCodeNameError
			case q.Type == dnsmessage.TypeA:
				m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: [4]byte{192, 0, 2, 7}}}}
			}
			if out, err := m.Pack(); err == nil {
				c.WriteTo(out, from)
			}
		}
	}()
	return c.LocalAddr().String()
}

func TestLook(t *testing.T) {
	answer := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fails":
			w.WriteHeader(500)
		case "/held":
			w.Header().Set("Deich-Reason", "waiting_room")
			w.WriteHeader(503)
		case "/down":
			w.Header().Set("Deich-Reason", "origin_down")
			w.WriteHeader(502)
		case "/elsewhere":
			http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
		case "/long":
			for range 100 {
				if _, err := w.Write(make([]byte, bodyBytesMax)); err != nil {
					return
				}
			}
		case "/missing":
			w.WriteHeader(404)
		}
	}
	plain, secure := httptest.NewServer(http.HandlerFunc(answer)), httptest.NewTLSServer(http.HandlerFunc(answer))
	defer plain.Close()
	defer secure.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	names := nameServer(t, "www.example.org.")
	pool := x509.NewCertPool()
	pool.AddCert(secure.Certificate())
	trusting := Looker{TLS: &tls.Config{RootCAs: pool}}
	host := strings.TrimPrefix(secure.URL, "https://")
	for _, c := range []struct {
		by      Looker
		target  string
		ok      bool
		text    string
		expires bool
	}{
		{Looker{}, plain.URL + "/", true, "200 OK", false}, {Looker{}, plain.URL + "/missing", true, "404 Not Found", false}, {Looker{}, plain.URL + "/elsewhere", true, "302 Found", false},
		{Looker{}, plain.URL + "/long", true, "200 OK", false}, {Looker{}, plain.URL + "/fails", false, "500 Internal", false},
		{Looker{}, plain.URL + "/held", true, "waiting_room", false}, {Looker{}, plain.URL + "/down", false, "origin_down", false},
		{Looker{}, "http://" + nobody + "/", false, "refused", false}, {trusting, secure.URL + "/", true, "200 OK", true}, {Looker{}, secure.URL + "/", false, "certificate", false},
		{Looker{}, "tcp://" + host, true, "connected", false}, {Looker{}, "tcp://" + nobody, false, "refused", false},
		{trusting, "tls://" + host, true, "TLS 1.3", true}, {Looker{}, "tls://" + host, false, "certificate", false},
		{Looker{}, "dns://" + names + "/www.example.org", true, "192.0.2.7", false}, {Looker{}, "dns://" + names + "/none.example.org", false, "no such host", false},
	} {
		check, err := Parse("it=" + c.target)
		if err != nil {
			t.Fatal(err)
		}
		r := c.by.Look(t.Context(), []Check{check})[0]
		if r.OK != c.ok || !strings.Contains(r.Text, c.text) || r.Expires.Equal(secure.Certificate().NotAfter) != c.expires || r.Name != "it" || r.Target != c.target {
			t.Errorf("%s: %+v", c.target, r)
		}
	}
	// What never answers ends with the caller.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	check, _ := Parse(plain.URL)
	if r := (Looker{}).Look(ctx, []Check{check}); r[0].OK {
		t.Errorf("%+v", r)
	}
}

var now = time.Date(2026, 3, 7, 15, 0, 0, 0, time.UTC)

func report(by string, ago time.Duration, down ...string) Report {
	r := Report{By: by, At: now.Add(-ago)}
	for _, name := range []string{"site", "pay"} {
		ok := true
		for _, d := range down {
			ok = ok && d != name
		}
		r.Results = append(r.Results, Result{Name: name, Target: "https://a/", OK: ok})
	}
	return r
}

func TestAgree(t *testing.T) {
	for _, c := range []struct {
		name    string
		reports []Report
		want    string
	}{
		{"nobody", nil, ""},
		{"one alone", []Report{report("a", 0, "site")}, "pay 0/1, site 1/1"},
		{"two of two", []Report{report("a", 0, "site"), report("b", time.Minute, "site")}, "pay 0/2, site 2/2 down"},
		{"two of three", []Report{report("a", 0, "site"), report("b", 0, "site"), report("c", 0)}, "pay 0/3, site 2/3 down"},
		{"half", []Report{report("a", 0, "site"), report("b", 0, "site"), report("c", 0), report("d", 0)}, "pay 0/4, site 2/4"},
		{"of different things", []Report{report("a", 0, "site"), report("b", 0, "pay")}, "pay 1/2, site 1/2"},
		{"one is old", []Report{report("a", 0, "site"), report("b", freshFor+time.Second, "site")}, "pay 0/1, site 1/1"},
		{"all are old", []Report{report("a", time.Hour, "site"), report("b", time.Hour, "site")}, "pay 0/0, site 0/0"},
		{"forgotten", []Report{report("a", keptFor+time.Second, "site")}, ""},
		{"of tomorrow", []Report{report("a", -time.Hour, "site"), report("b", 0, "site")}, "pay 0/1, site 1/1"},
		{"two looks at one thing", []Report{{By: "a", At: now, Results: []Result{{Name: "site", OK: false}, {Name: "site", OK: true}}}}, "site 1/1"},
	} {
		var got []string
		for _, v := range Agree(c.reports, now) {
			text := fmt.Sprintf("%s %d/%d", v.Name, len(v.Down), v.Probes)
			if v.Agreed {
				text += " down"
			}
			got = append(got, text)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A thing is down since the first failed check of those that agree, from report to
// report. Who was alone with that for long says nothing of when it began.
func TestSinceWhen(t *testing.T) {
	dir := t.TempDir()
	say := func(by string, at time.Duration, down ...string) {
		t.Helper()
		r := report(by, -at, down...)
		r.Results[0].Since = now.Add(-time.Hour) // what comes in says nothing of that
		if err := Write(dir, r); err != nil {
			t.Fatal(err)
		}
	}
	is := func(at time.Duration, want string) {
		t.Helper()
		for _, v := range Agree(Read(dir), now.Add(at)) {
			got := fmt.Sprintf("down %v, well %v", v.Agreed, v.Well)
			if v.Agreed {
				got += fmt.Sprintf(", since %s", v.Since.Sub(now))
			}
			if v.Name == "site" && got != want {
				t.Errorf("after %s: %s, want %s", at, got, want)
			}
		}
	}
	for at := time.Duration(0); at <= 30*time.Minute; at += time.Minute {
		say("a", at, "site")
	}
	is(30*time.Minute, "down false, well false")
	say("b", 29*time.Minute, "site")
	say("b", 30*time.Minute, "site")
	is(30*time.Minute, "down true, well false, since 29m0s")
	say("b", 31*time.Minute)
	is(31*time.Minute, "down false, well false")
	say("a", 32*time.Minute)
	is(32*time.Minute, "down false, well true")
	say("a", 33*time.Minute, "site")
	say("b", 33*time.Minute+20*time.Second, "site")
	is(34*time.Minute, "down true, well false, since 33m0s")
	is(40*time.Minute, "down false, well false") // nobody has looked lately
	say("a", time.Hour, "site")
	say("b", time.Hour, "site")
	is(time.Hour, "down true, well false, since 1h0m0s")
}

func TestReportsAreKept(t *testing.T) {
	dir := t.TempDir()
	if all := Read(dir); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	for n := range ReportsMax {
		if err := Write(dir, report(fmt.Sprint("p", n), 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := Write(dir, report("p0", 0, "site")); err != nil {
		t.Errorf("in the place of its own: %v", err)
	}
	if err := Write(dir, report("more", 0)); err == nil {
		t.Error("more than there is room for")
	}
	if all := Read(dir); len(all) != ReportsMax || all[0].By != "p0" || all[0].Results[0].OK {
		t.Errorf("%d reports, the first %+v", len(all), all[0])
	}
	old := filepath.Join(dir, Folder, "p1.json")
	if err := os.Chtimes(old, now.Add(-2*keptFor), now.Add(-2*keptFor)); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, report("more", 0)); err != nil {
		t.Errorf("in the place of one that is old: %v", err)
	}
	for name, text := range map[string]string{"p2": "{", "p3": strings.Repeat(" ", reportBytesMax+1), "p4": `{"by":"p5","at":"2026-03-07T15:00:00Z","results":[{"name":"a"}]}`, "p6": `{"by":"p6"}`} {
		if err := os.WriteFile(filepath.Join(dir, Folder, name+".json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if all := Read(dir); len(all) != ReportsMax-4 {
		t.Errorf("%d reports, with damaged ones", len(all))
	}
}

func TestReportsThatAreWrong(t *testing.T) {
	dir := t.TempDir()
	for what, spoil := range map[string]func(*Report){
		"a way out": func(r *Report) { r.By = "../a" }, "hidden": func(r *Report) { r.By = ".a" }, "no name": func(r *Report) { r.By = "" }, "no time": func(r *Report) { r.At = time.Time{} },
		"nothing": func(r *Report) { r.Results = nil }, "too many": func(r *Report) { r.Results = make([]Result, ChecksMax+1) }, "a name for many lines": func(r *Report) { r.Results[0].Name = "a\nb" },
	} {
		r := report("a", 0)
		spoil(&r)
		if Write(dir, r) == nil {
			t.Errorf("%s: it is kept", what)
		}
	}
	if all := Read(dir); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}
