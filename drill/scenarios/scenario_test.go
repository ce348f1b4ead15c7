package scenarios

import (
	"encoding/json"
	"strings"
	"testing"
)

// wanted are the scenarios that must exist.
var wanted = []string{
	"botnet", "botnet-20x-one-core", "botnet-50x", "botnet-50x-one-core", "botnet-api", "botnet-cookies", "botnet-one-core", "botnet-solver", "cold-start", "conn-flood",
	"flash-crowd", "flash-nat", "flash-read", "get-flood", "login-flood", "nat-mixed", "origin-down", "origin-slow",
	"post-flood", "pulse", "slow-body", "slowloris", "tls-flood", "v6-rotation",
}

func TestListHasEveryScenario(t *testing.T) {
	all, err := List()
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Name
	}
	if got, want := strings.Join(names, " "), strings.Join(wanted, " "); got != want {
		t.Errorf("scenarios:\n got %s\nwant %s", got, want)
	}
}

func TestBase(t *testing.T) {
	base, err := Find("botnet")
	if err != nil {
		t.Fatal(err)
	}
	variant, err := Find("botnet-50x")
	if err != nil {
		t.Fatal(err)
	}
	if variant.Origin.Searches != 60 || base.Origin.Searches != 300 {
		t.Errorf("searches: base %d, variant %d", base.Origin.Searches, variant.Origin.Searches)
	}
	if variant.Attacks[0].Rate != base.Attacks[0].Rate || len(variant.Groups) != len(base.Groups) {
		t.Error("the variant lost what its base says")
	}
}

func TestBotnetIsWhatItSays(t *testing.T) {
	s, err := Find("botnet")
	if err != nil {
		t.Fatal(err)
	}
	a := s.Attacks[0]
	if each := a.Rate / float64(a.Sources); each >= 1 {
		t.Errorf("each source sends %.2f requests a second: below one is the point", each)
	}
	if a.Rate < 10*float64(s.Origin.Searches) {
		t.Errorf("%.0f attack requests a second are less than ten times %d", a.Rate, s.Origin.Searches)
	}
}

const good = `{"name":"x","title":"t","phases":{"peace":"1s","flood":"1s"},"origin":{},"shield":{},"pin":{},
"groups":[{"name":"known","kind":"browser","count":1}]`

var secured = strings.Replace(good, `"shield":{}`, `"shield":{"tls":true}`, 1)

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, says string }{
		"unknown field":   {good + `,"target":"http://example.org"}`, `unknown field "target"`},
		"two values":      {good + `}{}`, "more than one value"},
		"a bad duration":  {strings.Replace(good, `"1s"`, `"soon"`, 1) + `}`, "not a duration"},
		"syntax":          {"{\n\n\"name\":}", "line 3"},
		"no users":        {strings.Replace(good, `"count":1`, `"count":0`, 1) + `}`, "groups[0].count"},
		"many users":      {strings.Replace(good, `"count":1`, `"count":5000`, 1) + `}`, "at most 2000"},
		"too fast":        {good + `,"attacks":[{"name":"a","sources":1,"rate":1e9}]}`, "attacks[0].rate"},
		"no rate":         {good + `,"attacks":[{"name":"a","sources":1}]}`, "attacks[0].rate"},
		"unknown base":    {`{"name":"x","title":"t","base":"nothing"}`, `no "nothing"`},
		"base of a base":  {`{"name":"x","title":"t","base":"botnet-50x"}`, "one step"},
		"behind nobody":   {good + `,"attacks":[{"name":"a","sources":1,"rate":1,"behind":"known"}]}`, "attacks[0].behind"},
		"slow with rate":  {good + `,"attacks":[{"name":"a","sources":1,"rate":1,"connections":1,"manner":"slow-body"}]}`, "not a rate"},
		"half a pulse":    {good + `,"attacks":[{"name":"a","sources":1,"rate":1,"pulse":{"on":"1s"}}]}`, "attacks[0].pulse"},
		"a long phase":    {strings.Replace(good, `"flood":"1s"`, `"flood":"1h"`, 1) + `}`, "phases.flood"},
		"unknown manner":  {good + `,"attacks":[{"name":"a","sources":1,"rate":1,"manner":"x"}]}`, "attacks[0].manner"},
		"unknown request": {good + `,"attacks":[{"name":"a","sources":1,"rate":1,"request":"x"}]}`, "attacks[0].request"},
		"hello in plain":  {good + `,"attacks":[{"name":"a","sources":1,"rate":1,"manner":"hello"}]}`, "only with shield.tls"},
		"shake in plain":  {good + `,"attacks":[{"name":"a","sources":1,"rate":1,"manner":"shake"}]}`, "only with shield.tls"},
		"HTTP over TLS":   {secured + `,"attacks":[{"name":"a","sources":1,"rate":1}]}`, "leave, hello or shake"},
		"hellos too fast": {secured + `,"attacks":[{"name":"a","sources":1,"rate":20000,"manner":"hello"}]}`, "attacks[0].rate"},
		"an early hello":  {secured + `,"attacks":[{"name":"a","sources":1,"rate":1,"manner":"hello","early":{"visits":1}}]}`, "attacks[0].early"},
		"early and late":  {good + `,"attacks":[{"name":"a","sources":1,"rate":1,"early":{"visits":1}}]}`, "attacks[0].early.from"},
		"early too fast":  {good + `,"attacks":[{"name":"a","sources":20000,"rate":1,"early":{"from":"-1s","visits":20}}]}`, "early visits a second"},
		"too long":        {strings.Repeat(" ", FileBytesMax) + good + "}", "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse([]byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v does not say %q", err, c.says)
			}
		})
	}
}

func TestTLSIsOfTheShield(t *testing.T) {
	s, err := Parse([]byte(secured + `,"attacks":[{"name":"a","sources":1,"rate":1,"manner":"shake"},{"name":"b","sources":1,"rate":1,"manner":"leave"}]}`))
	if err != nil || !s.Shield.TLS {
		t.Errorf("%+v, %v", s.Shield, err)
	}
	variant, err := Parse([]byte(`{"name":"x","title":"t","base":"tls-flood"}`))
	if err != nil || !variant.Shield.TLS {
		t.Errorf("a variant: %+v, %v", variant.Shield, err)
	}
	variant, err = Parse([]byte(`{"name":"x","title":"t","base":"conn-flood","shield":{"tls":true}}`))
	if err != nil || !variant.Shield.TLS {
		t.Errorf("a variant of one without: %+v, %v", variant.Shield, err)
	}
}

func TestParseTellsAllErrors(t *testing.T) {
	_, err := Parse([]byte(`{"name":"X","title":"","phases":{"peace":"0s","flood":"1s"},"groups":[]}`))
	for _, path := range []string{"name:", "title:", "phases.peace:", "groups:"} {
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%v does not name %s", err, path)
		}
	}
}

// A parsed scenario holds its bounds, and writes and reads back as the same.
func FuzzParse(f *testing.F) {
	for _, name := range wanted {
		text, err := files.ReadFile(name + ".json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(good + "}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		if s.Users() > UsersMax || s.Whole() > 3*PhaseMax {
			t.Fatalf("beyond its bounds: %+v", s)
		}
		s.Base = ""
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if len(again) > FileBytesMax {
			return
		}
		if _, err := Parse(again); err != nil {
			t.Fatalf("does not read back: %v\n%s", err, again)
		}
	})
}
