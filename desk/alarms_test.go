package desk

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk/alert"
	"github.com/deichproject/deich/desk/probe"
)

func TestAlarmsAreWhatNeedsAPerson(t *testing.T) {
	pressed := Origin{Name: "http://a", Pulse: deich.Pulse{Pressure: true, Demand: 3000, Goodput: 300}, Cause: "flood"}
	at := time.Now()
	for name, c := range map[string]struct {
		s       State
		want    string
		outside []probe.View
	}{
		"peace":                  {State{Served: []Served{{"member", 900, 0}}}, "", nil},
		"a flood held back":      {State{Origins: []Origin{pressed}, Served: []Served{{"member", 900, 0}}, Requests: []Requests{{"deny", "by_rule", "stranger", 9000}}}, "", nil},
		"a flood that is felt":   {State{Origins: []Origin{pressed}, Served: []Served{{"member", 90, 10}}}, "users_not_served", nil},
		"the platform is down":   {State{Origins: []Origin{{Name: "http://a", Failing: true}}}, "origin_failing http://a", nil},
		"left alone":             {State{Failopen: true, Panics: 1}, "fails_open engine_failed", nil},
		"bypass":                 {State{Bypass: at.Add(time.Hour)}, "bypass_forgotten", nil},
		"a reload was refused":   {State{ReloadRefused: true}, "reload_refused", nil},
		"the disk takes nothing": {State{Spool: &Spool{Paused: true}}, "keeps_nothing delivery_paused", nil},
		"probes agree": {State{}, "unreached website unreached pay", []probe.View{
			{Name: "website", Probes: 3, Down: []string{"a", "b"}, Agreed: true}, {Name: "pay", Probes: 2, Down: []string{"a", "b"}, Agreed: true},
			{Name: "alone", Probes: 2, Down: []string{"a"}}, {Name: "well", Probes: 2, Well: true}}},
	} {
		before := c.s
		before.Served, before.Requests = nil, nil
		v, _ := script(t, before, c.s).live.newest()
		var got []string
		for _, a := range alarms(&c.s, &v, c.outside) {
			got = append(got, a.Key())
			if a.Text == "" || a.German == "" {
				t.Errorf("%s: %+v has no words", name, a)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// An alert goes from a state to a webhook, and is taken on and tested over the API.
func TestAlertsAreSentAndTaken(t *testing.T) {
	got := make(chan string, 4)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- string(b)
	}))
	defer hook.Close()
	s := State{Panics: 1}
	d := newDesk(t, func() State { return s })
	sender, err := alert.NewSender(alert.Config{Webhooks: []string{hook.URL}}, nil, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	d.SendAlerts(sender)
	d.sample()
	post := func(path, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "http://127.0.0.1:2020"+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+testToken)
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		return w
	}
	if w := post("/api/v1/alerts/test", ""); w.Code != 200 || strings.Contains(w.Body.String(), "trouble") || !strings.Contains(<-got, "This is a test.") {
		t.Errorf("test: %d %s", w.Code, w.Body)
	}
	var view AlertsView
	if err := json.Unmarshal(ask(d, "/api/v1/alerts").Body.Bytes(), &view); err != nil || len(view.Active) != 1 || view.Active[0].Name != "engine_failed" || len(view.Places) != 1 {
		t.Errorf("%+v %v", view, err)
	}
	for body, want := range map[string]int{
		`{"alert":"engine_failed","by":"Anna"}`: 200, `{"alert":"engine_failed"}`: 422, `{"alert":"nothing","by":"Anna"}`: 404, `{}`: 422, ``: 422,
	} {
		if w := post("/api/v1/alerts/take", body); w.Code != want {
			t.Errorf("%s: %d, want %d", body, w.Code, want)
		}
	}
	// The page says why in its language, and the names are what it looks for.
	for where, w := range map[string]*httptest.ResponseRecorder{
		`,"title_de":"diesen Alarm gibt es nicht`:    post("/api/v1/alerts/take", `{"alert":"nothing","by":"Anna"}`),
		`,"title_de":"Ihr Name fehlt oder ist`:       post("/api/v1/alerts/test?by=", ""),
		`{"title":"the body is not the JSON that is`: post("/api/v1/alerts/take", `{"alert`), // no person's: in English alone
	} {
		if body := w.Body.String(); !strings.Contains(body, where) || strings.Contains(where, "title_de") != strings.Contains(body, "title_de") {
			t.Errorf("%s: %s", where, body)
		}
	}
	hook.Close()
	if w := post("/api/v1/alerts/test", ""); !strings.Contains(w.Body.String(), `"trouble_de":"die Probe kam dort nicht an (`) {
		t.Errorf("nobody took the test: %s", w.Body)
	}
	d.sample()
	if v, _ := d.live.newest(); len(v.Alerts) != 1 || v.Alerts[0].TakenBy != "Anna" {
		t.Errorf("%+v", v.Alerts)
	}
	if body := ask(d, "/").Body.String(); !strings.Contains(body, "The engine failed") || !strings.Contains(body, `id="test"`) {
		t.Error("the page does not show it")
	}
}
