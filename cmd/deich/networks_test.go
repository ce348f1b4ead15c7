package main

import (
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/atlas"
	"github.com/deichproject/deich/guard"
)

const examples = "../../atlas/testdata"

// A reload reads the files of networks anew. A broken one is an error, and what
// was known stays; meanwhile no request goes without its answer.
func TestNetworksAreSwappedAtReload(t *testing.T) {
	s := standing(t, t.TempDir())
	file := filepath.Join(t.TempDir(), "networks.mmdb")
	put := func(name string, cut int) {
		b, err := os.ReadFile(filepath.Join(examples, name))
		if err == nil {
			err = os.WriteFile(file, b[:len(b)-cut], 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	first := *s.inForce.Load()
	s.read = func() (settings, error) {
		next := first
		next.Networks = []string{file}
		if e := next.readNetworks(); e != nil {
			return next, e
		}
		return next, nil
	}
	here := netip.MustParseAddr("127.0.0.1")
	if operator, country := s.whence(here); operator != 0 || country != 0 {
		t.Errorf("without a file it is AS %d in %d", operator, country)
	}
	stop := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			r, err := http.Get("http://" + s.edge.Addrs()[0].String() + "/")
			if err != nil {
				t.Errorf("a request got no answer: %v", err)
				return
			}
			io.Copy(io.Discard, r.Body)
			r.Body.Close()
			if r.StatusCode != http.StatusOK {
				t.Errorf("a request got %s", r.Status)
				return
			}
		}
	})
	for _, c := range []struct {
		file     string
		cut      int
		wrong    string
		operator uint32
		country  atlas.Country
	}{
		{"countries.mmdb", 0, "", 0, 'D'<<8 | 'E'},
		{"operators.mmdb", 100, "networks.mmdb: not a whole MaxMind database", 0, 'D'<<8 | 'E'},
		{"operators.mmdb", 0, "", 64510, 0},
	} {
		put(c.file, c.cut)
		err := s.reload("command")
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", c.file, err, c.wrong)
		}
		if operator, country := s.whence(here); operator != c.operator || atlas.Country(country) != c.country {
			t.Errorf("%s: AS %d in %s", c.file, operator, atlas.Country(country))
		}
		if r, err := http.Get("http://" + s.edge.Addrs()[0].String() + "/"); err != nil || r.Body.Close() != nil {
			t.Errorf("%v", err)
		}
	}
	close(stop)
	asking.Wait()
	state := s.state()
	if len(state.NetworkFiles) != 1 || state.NetworkFiles[0].Type != "Example-ASN-Lite" || len(state.Networks) != 1 || state.Networks[0].Operator != "AS 64510 Example Home" {
		t.Errorf("%+v %+v", state.NetworkFiles, state.Networks)
	}
	if len(state.Countries) != 1 || state.Countries[0].Name != "Germany" || state.Countries[0].German != "Deutschland" || state.Countries[0].Asked() == 0 {
		t.Errorf("%+v", state.Countries)
	}
	if len(state.Operators) != 1 || state.Operators[0].Code != "AS64510" || state.Operators[0].Name != "AS 64510 Example Home" {
		t.Errorf("%+v", state.Operators)
	}
}

// A file that is not there is an error before anything starts, which names the flag.
func TestNetworksAtStart(t *testing.T) {
	c := protectCommand{To: "http://127.0.0.1:9", Networks: []string{filepath.Join(examples, "operators.mmdb"), filepath.Join(t.TempDir(), "none.mmdb")}}
	if _, err := c.settings(); err == nil || !strings.HasPrefix(err.Error(), "--networks: none.mmdb: no such file") {
		t.Errorf("%v", err)
	}
	c.Networks = c.Networks[:1]
	if s, err := c.settings(); err != nil || !s.atlas.Operators() || s.atlas.Countries() {
		t.Errorf("%v", err)
	}
}

// A rule's sentence says whose networks it is about, and which country, in both languages.
func TestRulesNameOperatorAndCountry(t *testing.T) {
	a, _, err := atlas.Open([]string{filepath.Join(examples, "operators.mmdb")})
	if err != nil {
		t.Fatal(err)
	}
	same := func(of deich.Trait) deich.Condition { return deich.Condition{Trait: of, With: of} }
	r := &deich.Rule{Act: deich.Deny, Rate: 1200, Sources: 300, Conditions: []deich.Condition{same(deich.TraitASN), same(deich.TraitAgentClass), same(deich.TraitCountry)}}
	for _, c := range []struct {
		operator        uint32
		country         atlas.Country
		english, german string
	}{
		{64500, 'D'<<8 | 'E', "from about 300 addresses in AS 64500 Example Net and in the country Germany with the same claimed browser (Chrome/142): ",
			"von etwa 300 Adressen aus AS 64500 Example Net und aus dem Land Deutschland mit gleichem „angeblicher Browser“ (Chrome/142): "},
		{atlas.Unlisted, atlas.Nowhere, "in networks of which no file knows the operator and in networks of which no file knows the country with the same claimed",
			"aus Netzen, deren Betreiber keine Datei kennt und aus Netzen, deren Land keine Datei kennt mit gleichem"},
		{64999, 'Q'<<8 | 'Q', "in AS 64999 and in the country QQ with", "aus AS 64999 und aus dem Land QQ mit"},
		{0, 0, "with the same network operator and the same claimed browser (Chrome/142) and the same country: ", "mit gleichem „Netzbetreiber“ und gleichem"},
	} {
		text := ruleSentence(r, &guard.Example{Method: "GET", Path: "/", Class: "Chrome/142", Operator: c.operator, Country: uint16(c.country)}, a)
		if !strings.Contains(text.English, c.english) || !strings.Contains(text.German, c.german) {
			t.Errorf("%s\n%s", text.English, text.German)
		}
	}
}
