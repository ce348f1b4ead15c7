package guard

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/deichproject/deich"
)

// textBack gives the words a person sent with a form that is refused, so that
// they are not lost; empty where there are none to give. Only for holders of a
// pass and for short forms that arrive quickly: nobody else costs us a body.
func (h *Handler) textBack(v *visit) string {
	r := v.r
	if v.req.Safe || v.req.Kind != deich.Page || v.req.Pass.ID == 0 || v.verdict.Act == deich.Deny {
		return ""
	}
	kind, _, err := mime.ParseMediaType(first(r.Header, "Content-Type"))
	if err != nil || kind != urlEncoded && kind != "multipart/form-data" {
		return ""
	}
	words := func(form []byte) string { return wordsOf(first(r.Header, "Content-Type"), form, false) }
	if v.body != nil {
		if v.body.rest != nil || len(v.body.data) > textBackMax {
			return ""
		}
		return words(v.body.data)
	}
	if r.ContentLength <= 0 || r.ContentLength > textBackMax || !h.bodies.take(r.ContentLength, v.set.Bodies/2) {
		return ""
	}
	defer h.bodies.give(r.ContentLength)
	control := http.NewResponseController(v.w)
	_ = control.SetReadDeadline(time.Now().Add(textBackTime)) // without it the server's own holds
	form, err := io.ReadAll(io.LimitReader(r.Body, textBackMax))
	if err != nil || int64(len(form)) != r.ContentLength {
		return ""
	}
	_ = control.SetReadDeadline(time.Time{})
	return words(form)
}

const urlEncoded = "application/x-www-form-urlencoded"

// wordsOf gives what a person wrote in a body; with texts, also where that is no form.
func wordsOf(contentType string, body []byte, texts bool) string {
	kind, params, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return ""
	case kind == urlEncoded:
		return formText(string(body))
	case kind == "multipart/form-data":
		return partsText(body, params["boundary"])
	case texts && isText(kind):
		return strings.ToValidUTF8(string(body), "\uFFFD")
	}
	return ""
}

// partsText is formText for a form in parts; files are no words.
func partsText(form []byte, boundary string) string {
	var all said
	if boundary == "" {
		return ""
	}
	parts := multipart.NewReader(bytes.NewReader(form), boundary)
	for {
		part, err := parts.NextPart()
		if err != nil {
			return all.String()
		}
		if part.FileName() != "" || isSecretName(part.FormName()) {
			continue
		}
		value, err := io.ReadAll(part) // of form, which is in hand
		if err != nil {
			return all.String()
		}
		all.add(string(value))
	}
}

// said is what a person wrote, field by field.
type said struct{ strings.Builder }

func (s *said) add(value string) {
	if value = strings.TrimSpace(value); value == "" {
		return
	}
	if s.Len() > 0 {
		s.WriteString("\n\n")
	}
	s.WriteString(strings.ToValidUTF8(value, "\uFFFD"))
}

// formText joins a form's fields, in their order, without those that are not
// the sender's words or should not stand on a screen.
func formText(form string) string {
	var all said
	for field := range strings.SplitSeq(form, "&") {
		name, value, _ := strings.Cut(field, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || isSecretName(name) {
			continue
		}
		if value, err = url.QueryUnescape(value); err == nil {
			all.add(value)
		}
	}
	return all.String()
}

// isSecretName knows fields by what their names usually say.
func isSecretName(name string) bool {
	name = strings.ToLower(name)
	if strings.HasPrefix(name, "_") {
		return true
	}
	for _, part := range []string{"pass", "pwd", "secret", "token", "csrf", "xsrf", "nonce", "auth", "key", "otp", "code", "pin", "card", "cvc", "cvv", "iban", "session"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}
