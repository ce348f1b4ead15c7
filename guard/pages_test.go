package guard

import (
	"net/http/httptest"
	"testing"
)

func TestPages(t *testing.T) {
	p, err := newPages()
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.write(w, page{Name: "challenge", Lang: "de", Status: 503, Token: "t\"<", Bits: 14, Return: "/x?a=b&c", Reference: "abc", RetryAfter: 38e9})
	t.Log(w.Body.Len(), w.Header(), w.Body.String())
}
