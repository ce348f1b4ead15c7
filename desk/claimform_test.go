package desk

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

func fill(d *Desk, path string, form url.Values, origin string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "http://127.0.0.1:2020"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", origin)
	r.AddCookie(&http.Cookie{Name: cookieName, Value: d.session("127.0.0.1:2020", time.Now().Add(time.Hour))})
	w := httptest.NewRecorder()
	d.Handler().ServeHTTP(w, r)
	return w
}

// A claim that is filled in is held against the record; what is wrong is said,
// and nothing that was typed is lost or markup.
func TestClaimForm(t *testing.T) {
	d := newDesk(t, flooded)
	o := newOutage(t, t.TempDir())
	o.down()
	d.KeepIncidents(o.k)
	const own, script = "http://127.0.0.1:2020", `<script>alert("1")</script>`
	if w := send(d, "GET", "/incidents/latest/claim", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `action="/incidents/`+o.k.list()[0].ID+`/claim?lang=en"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := send(d, "GET", "/incidents/none/claim", ""); w.Code != 404 {
		t.Errorf("of no incident: %d", w.Code)
	}
	good := url.Values{
		"who": {script}, "where": {"Telegram"}, "said": {"2026-03-07T18:40"}, "text": {"It was\r\na test."}, "from": {"2026-03-07T18:02:01"}, "to": {"2026-03-07T18:03"}, "about": {"1"},
		"zone": {"+03:00"}, "vector": {"http"}, "rate": {"1e6"}, "outage": {"1"}, "relayed": {"SITE\r\n\r\nAFP"}, "by": {"ada"},
	}
	w := fill(d, "/incidents/latest/claim", good, own)
	if w.Code != 303 || w.Header().Get("Location") != "/incidents/"+o.k.list()[0].ID+"?lang=en" {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	v, err := o.k.view(Latest)
	if err != nil || len(v.Claims) != 1 {
		t.Fatalf("%v, %d claims", err, len(v.Claims))
	}
	c := v.Claims[0]
	if c.Finding == nil || c.By != "ada" || c.Text != "It was\na test." || c.SHA256 == "" || !c.Outage || c.Rate != 1e6 || len(c.Relayed) != 2 || !c.From.About ||
		!c.From.Time.Equal(time.Date(2026, 3, 7, 15, 2, 1, 0, time.UTC)) || !c.Claim.At.Equal(time.Date(2026, 3, 7, 15, 40, 0, 0, time.UTC)) {
		t.Errorf("%+v", c)
	}
	for what, bad := range map[string][2]string{
		"nobody": {"who", " "}, "no name": {"by", ""}, "no time": {"from", "tea time"}, "no zone": {"zone", "../../etc/passwd"}, "no number": {"bits", "many"}, "the wrong way round": {"to", "2026-03-07T17:00"},
		"too long": {"text", strings.Repeat("x", incident.TextMax+1)},
	} {
		form := url.Values{}
		for k, v := range good {
			form[k] = v
		}
		form.Set(bad[0], bad[1])
		w := fill(d, "/incidents/latest/claim", form, own)
		body := w.Body.String()
		if w.Code != 422 || !strings.Contains(body, `role="alert"`) || !strings.Contains(body, "Telegram") || strings.Contains(body, "<script") {
			t.Errorf("%s: %d", what, w.Code)
		}
	}
	form := url.Values{"from": {"3 Uhr"}, "to": {"2026-03-07T17:00"}, "rate": {"-1"}, "zone": {"hier"}}
	if body := fill(d, "/incidents/latest/claim?lang=de", form, own).Body.String(); !strings.Contains(body, `<html lang="de">`) || !strings.Contains(body, `<label for="who">Wer es behauptet`) {
		t.Errorf("in German: %s", body)
	} else {
		for _, want := range []string{"Nichts wurde aufgeschrieben", "Von: &#34;3 Uhr&#34; ist keine Zeit", "Zeitzone: &#34;hier&#34; ist keine", "eine Größe unter null", "es fehlt, wer es behauptet", "Ihr Name fehlt"} {
			if !strings.Contains(body, want) {
				t.Errorf("in German it lacks %q: %s", want, body)
			}
		}
	}
	for _, g := range claimForm(time.UTC, nil) {
		for _, f := range append(g.Fields, claimField{Name: "a group", Label: g.Title}) {
			if f.Label.English == "" || f.Label.German == "" || (f.Note.English == "") != (f.Note.German == "") {
				t.Errorf("%s is not said in both languages", f.Name)
			}
		}
	}
	if w := fill(d, "/incidents/latest/claim?lang=de", url.Values{"text": {strings.Repeat("x", requestBodyMax)}}, own); w.Code != 413 || !strings.Contains(w.Body.String(), "das Formular enthält zu viel") {
		t.Errorf("too much: %d", w.Code)
	}
	if w := fill(d, "/incidents/latest/claim", good, "http://elsewhere.example"); w.Code != 403 {
		t.Errorf("from another site: %d", w.Code)
	}
	if v, _ := o.k.view(Latest); len(v.Claims) != 1 {
		t.Errorf("%d claims", len(v.Claims))
	}
}

// Where the record cannot be written, or has no room, the form says so in its language.
func TestClaimFormSaysWhyNothingIsKept(t *testing.T) {
	d := newDesk(t, flooded)
	o := newOutage(t, t.TempDir())
	o.down()
	d.KeepIncidents(o.k)
	claim := url.Values{"who": {"X"}, "by": {"ada"}}
	send := func() *httptest.ResponseRecorder {
		return fill(d, "/incidents/latest/claim?lang=de", claim, "http://127.0.0.1:2020")
	}
	o.k.trouble = errors.New("disk full")
	if w := send(); w.Code != 503 || !strings.Contains(w.Body.String(), "<ul><li>die Aufzeichnung der Vorfälle lässt sich nicht schreiben: vorerst ist nichts geändert, doch was Sie sagten, kann noch erscheinen") ||
		!strings.Contains(w.Body.String(), `value="X"`) {
		t.Errorf("not kept: %d %s", w.Code, w.Body)
	}
	o.k.trouble = nil
	for range incident.ClaimsMax {
		if w := send(); w.Code != 303 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if w := send(); w.Code != 422 || !strings.Contains(w.Body.String(), "dieser Vorfall hat 50 Behauptungen; mehr haben nicht Platz") {
		t.Errorf("one too many: %d %s", w.Code, w.Body)
	}
}
