package guard

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/deichproject/deich"
)

// Preview serves the pages as people meet them, for an operator who wants to
// look at them, for the docs and for tests with a browser. GET /NAME shows the
// page challenge, wait, refusal, origin, given_back, resend or unsent; the query can name its
// lang, reason, seconds (when to come again), token, bits, return and text.
// What pages refer to is served too. It answers everyone and judges nobody:
// it does not belong on a public address.
func Preview() (http.Handler, error) {
	p, err := newPages()
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, own := strings.CutPrefix(r.URL.Path, wellKnown); own && p.asset(w, r, name) {
			return
		}
		name := strings.TrimPrefix(r.URL.Path, "/")
		if !p.has(name) {
			http.NotFound(w, r)
			return
		}
		p.write(w, previewed(name, r))
	}), nil
}

// previewed takes a page's values from a query; what is no number there is 0.
func previewed(name string, r *http.Request) page {
	query := r.URL.Query()
	number := func(key string) int {
		n, err := strconv.Atoi(query.Get(key))
		if err != nil {
			return 0
		}
		return min(max(n, 0), retryMax)
	}
	lang := query.Get("lang")
	if lang == "" {
		lang = language(r.Header.Get("Accept-Language"))
	}
	pg := page{
		Name: name, Lang: lang, Status: http.StatusServiceUnavailable, Reference: strings.Repeat("deich2", referenceChars/6),
		RetryAfter: time.Duration(number("seconds")) * time.Second,
		Token:      query.Get("token"), Bits: number("bits"), Return: query.Get("return"), Text: query.Get("text"),
	}
	for _, reason := range deich.Reasons() {
		if reason.String() == query.Get("reason") {
			pg.Reason = reason
			pg.Status = statusOf(deich.Verdict{Reason: reason})
		}
	}
	return pg
}
