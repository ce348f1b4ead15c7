package guard

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"testing"

	"github.com/deichproject/deich"
)

func TestInterimAnswersDoNotSpeakForDeich(t *testing.T) {
	h := scripted(t, newScript(), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Deich-Member", "ada")
		w.Header().Set("Deich-Challenge", "bits=1")
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
	})
	front := httptest.NewServer(h)
	defer front.Close()
	var interim http.Header
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, header textproto.MIMEHeader) error {
			interim = http.Header(header).Clone()
			return nil
		},
	})
	r, err := http.NewRequestWithContext(ctx, "GET", front.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := front.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if interim.Get("Link") == "" || interim.Get("Deich-Member") != "" || interim.Get("Deich-Challenge") != "" {
		t.Errorf("client saw %v", interim)
	}
}

func TestFailuresOfTheClientSayNothingOfTheOrigin(t *testing.T) {
	for why, want := range map[deich.Reason]deich.Outcome{
		deich.OriginDown:   {Failed: true},
		deich.OriginSlow:   {Failed: true},
		deich.SlowClient:   {Aborted: true},
		deich.BadRequest:   {Aborted: true},
		deich.BodyTooLarge: {Aborted: true},
	} {
		s := newScript()
		h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) { Fail(w, r, why) })
		a := ask(h, get("/", "Accept", "*/*"))
		if status := statusOf(deich.Verdict{Reason: why}); a.StatusCode != status || a.Header.Get("Deich-Reason") != why.String() {
			t.Errorf("%v: answer %d %v", why, a.StatusCode, a.Header)
		}
		if o := s.outcome(t); o.Failed != want.Failed || o.Aborted != want.Aborted || o.Status != 0 {
			t.Errorf("%v: outcome %+v", why, o)
		}
		s.check(t)
	}
}

func TestSlowSenderIsToldAfterItsContextEnded(t *testing.T) {
	s := newScript()
	h := scripted(t, s, func(w http.ResponseWriter, r *http.Request) { Fail(w, r, deich.SlowClient) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := ask(h, get("/", "Accept", "*/*").WithContext(ctx)); a.StatusCode != http.StatusRequestTimeout {
		t.Errorf("answer %d", a.StatusCode)
	}
	s.check(t)
}
