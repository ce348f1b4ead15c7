package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/drill"
	"github.com/deichproject/deich/edge"
)

// pair writes a certificate for names and its key.
func pair(t *testing.T, from, to time.Time, names ...string) (cert, key string) {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, DNSNames: names}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &secret.PublicKey, secret)
	if err != nil {
		t.Fatal(err)
	}
	text, err := x509.MarshalPKCS8PrivateKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: text}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestDoctorJudgesCertificates(t *testing.T) {
	now := time.Now()
	day := 24 * time.Hour
	for _, c := range []struct {
		name     string
		from, to time.Time
		names    []string
		state    string
	}{
		{"good", now.Add(-day), now.Add(60 * day), []string{"www.example.org", "*.example.org"}, stateGood},
		{"ends soon", now.Add(-day), now.Add(3 * day), []string{"www.example.org", "*.example.org"}, stateWeak},
		{"over", now.Add(-2 * day), now.Add(-day), []string{"www.example.org", "*.example.org"}, stateBad},
		{"not yet", now.Add(day), now.Add(60 * day), []string{"www.example.org", "*.example.org"}, stateBad},
		{"for another name", now.Add(-day), now.Add(60 * day), []string{"www.example.org"}, stateBad},
	} {
		cert, key := pair(t, c.from, c.to, c.names...)
		if f := certificateOf(cert, key, []string{"www.example.org", "*.example.org"}, now); f.State != c.state {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
	cert, _ := pair(t, now, now.Add(day), "a.example")
	_, key := pair(t, now, now.Add(day), "a.example")
	if f := certificateOf(cert, key, nil, now); f.State != stateBad {
		t.Errorf("another's key: %+v", f)
	}
}

// An origin on this machine that listens on its outer addresses, too, is exposed.
func TestDoctorSeesAWayAround(t *testing.T) {
	listen := func(at string) string {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		_, port, _ := net.SplitHostPort(l.Addr().String())
		return port
	}
	outer := false
	for a := range ownAddresses() {
		outer = outer || !a.IsLoopback() && !a.IsLinkLocalUnicast()
	}
	inner, open := listen("127.0.0.1:0"), listen("0.0.0.0:0")
	if f := exposed(t.Context(), "http://127.0.0.1:"+inner, nil); len(f) != 1 || f[0].State != stateGood {
		t.Errorf("within: %+v", f)
	}
	f := exposed(t.Context(), "http://127.0.0.1:"+open, nil)
	if !outer {
		t.Log("this machine has no outer address")
	} else if len(f) != 1 || f[0].State == stateGood || f[0].Next == "" {
		t.Errorf("open: %+v", f)
	}
	if f := exposed(t.Context(), "http://203.0.113.7", nil); len(f) != 1 || f[0].State != stateBad {
		t.Errorf("public: %+v", f)
	}
	if name := nameAt(t.Context(), []string{"localhost"}, netip.MustParseAddr("127.0.0.1"), nil); name != "" {
		t.Errorf("this machine is taken for another: %s", name)
	}
	if f := lookFrom(t.Context(), "http://127.0.0.1:"+open); f.State != stateBad {
		t.Errorf("it answers here: %+v", f)
	}
	if f := lookFrom(t.Context(), "http://127.0.0.1:1"); f.State != stateGood {
		t.Errorf("nothing answers here: %+v", f)
	}
}

func TestDoctorLooksAtProxiesAndPorts(t *testing.T) {
	p := func(listen string, proxies ...string) *patient {
		return &patient{from: "deich.yaml", settings: settings{Config: edge.Config{Listen: []string{listen}, TrustedProxies: proxies}}}
	}
	for _, c := range []struct {
		patient *patient
		state   string
	}{
		{p(":443"), stateGood},
		{p("127.0.0.1:8080"), stateWeak},
		{p("http://10.0.0.1:80"), stateWeak},
		{p("127.0.0.1:8080", "127.0.0.1", "10.0.0.0/8"), stateGood},
		{p("127.0.0.1:8080", "0.0.0.0/0"), stateBad},
		{p(":443", "203.0.0.0/8"), stateWeak},
		{p(":443", "2001:db8::/20"), stateWeak},
	} {
		if all := lookProxies(t.Context(), c.patient); len(all) != 1 || all[0].State != c.state {
			t.Errorf("%v, %v: %+v", c.patient.settings.Listen, c.patient.settings.TrustedProxies, all)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	taken := p(l.Addr().String())
	if all := lookPorts(t.Context(), taken); len(all) != 1 || all[0].State != stateBad || strings.Contains(all[0].Found, "another program") {
		t.Errorf("taken, and no Deich is known: %+v", all)
	}
	taken.unseen = "permission denied"
	if all := lookPorts(t.Context(), taken); len(all) != 1 || all[0].State != stateWeak || all[0].Next != asDeich {
		t.Errorf("taken, and whether by Deich cannot be told: %+v", all)
	}
	taken.running, taken.unseen = true, ""
	if all := lookPorts(t.Context(), taken); len(all) != 1 || all[0].State != stateGood {
		t.Errorf("taken by Deich: %+v", all)
	}
	l.Close()
	if all := lookPorts(t.Context(), taken); len(all) != 1 || all[0].State != stateGood {
		t.Errorf("free: %+v", all)
	}
}

// The Deich that a configuration makes is met where it keeps its data, and one that
// --data names there; whoever may not look is told so, and nobody is accused.
func TestDoctorMeetsItsDeich(t *testing.T) {
	data, other := t.TempDir(), t.TempDir()
	s := standing(t, data)
	config := func(data, more string) string {
		file := filepath.Join(t.TempDir(), "deich.yaml")
		text := fmt.Sprintf("listen: [%q]\nsites: [{origins: [%q]}]\ndata: %q\n%s", s.edge.Addrs()[0], s.originNames()[0], data, more)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	barred, dead := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{
		filepath.Join(barred, consoleFile): "127.0.0.1:1\n", filepath.Join(barred, desk.TokenFile): "for everyone to read\n",
		filepath.Join(dead, consoleFile): "127.0.0.1:1\n", filepath.Join(dead, desk.TokenFile): s.token + "\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(barred, desk.TokenFile), 0o644); err != nil { // as good as one that this user may not read
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, config, data string // data: --data
		state, says        string
	}{
		{"as its configuration says", config(data, ""), "", stateGood, "a Deich runs"},
		{"as --data says", config(other, ""), data, stateGood, "a Deich runs"},
		{"another's configuration", config(other, ""), "", stateBad, "no Deich runs with its data in " + other},
		{"another's folder", config(data, ""), other, stateBad, "no Deich runs with its data in " + other},
		{"one that was killed", config(dead, ""), "", stateBad, "no Deich runs with its data in " + dead},
		{"who may not look", config(barred, ""), "", stateWeak, "whether by Deich cannot be told"},
		{"without a console", config(other, "console: off\n"), "", stateWeak, "its console is off"},
	} {
		p, f := (&doctorCommand{Config: c.config, Data: c.data}).patient()
		if f.State != stateGood {
			t.Errorf("%s: %+v", c.name, f)
		}
		if all := lookPorts(t.Context(), p); len(all) != 1 || all[0].State != c.state || !strings.Contains(all[0].Found, c.says) {
			t.Errorf("%s: %+v", c.name, all)
		}
		if c.data != "" && p.settings.Data != c.data {
			t.Errorf("%s: %s is looked at", c.name, p.settings.Data)
		}
		if p.running && p.pid != os.Getpid() {
			t.Errorf("%s: its process is said to be %d", c.name, p.pid)
		}
	}
}

// Everything is looked at, each finding says what it is about, and whatever is not
// good says what to do. What is bad is told by the exit code, too.
func TestDoctorTells(t *testing.T) {
	file := filepath.Join(t.TempDir(), "deich.yaml")
	if err := os.WriteFile(file, []byte("listen: [\"127.0.0.1:0\"]\nsites:\n  - origins: [\"http://127.0.0.1:1\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := command([]string{"doctor", "--json", "--config", file, "--data", t.TempDir()}, &out, &errs); code != 1 {
		t.Errorf("ends with %d although the origin is down: %s%s", code, out.String(), errs.String())
	}
	var told struct {
		Worst    string
		Findings []finding
	}
	if err := json.Unmarshal(out.Bytes(), &told); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range told.Findings {
		seen[f.Check] = true
		if f.Found == "" || (f.State != stateGood) != (f.Next != "") || !strings.HasSuffix(f.Found, ".") {
			t.Errorf("%+v", f)
		}
	}
	for _, c := range checks {
		if !seen[c.name] {
			t.Errorf("%s is not told of", c.name)
		}
	}
	if told.Worst != stateBad {
		t.Errorf("worst: %s", told.Worst)
	}
	if code := command([]string{"doctor", "--origin", "http://127.0.0.1:1"}, &out, &errs); code != 0 {
		t.Errorf("ends with %d although nothing is exposed", code)
	}
	if code := command([]string{"doctor", "--config", filepath.Join(t.TempDir(), "none.yaml")}, &out, &errs); code != 1 {
		t.Errorf("ends with %d although the configuration is missing", code)
	}
}

func TestSelfTestIsJudged(t *testing.T) {
	run := func(reached int64, served int) drill.Finding {
		var f drill.Finding
		for at := range 5 {
			f.Seconds = append(f.Seconds, drill.Second{At: at, Begun: 1000, Reached: reached, Groups: []drill.Counted{{Requests: 20, Served: served}}})
		}
		return f
	}
	for _, c := range []struct {
		run   drill.Finding
		state string
	}{
		{run(10, 20), stateGood}, {run(200, 5), stateWeak}, {run(900, 20), stateBad}, {drill.Finding{}, stateWeak},
	} {
		if all := judgeSelfTest(c.run); len(all) != 1 || all[0].State != c.state {
			t.Errorf("want %s: %+v", c.state, all)
		}
	}
	s := selfTestScenario()
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
}
