package desk

import (
	"encoding/json"
	"errors"
	"html/template"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// cookieName is the session's; SameSite=Strict and HttpOnly.
const cookieName = "deich-desk"

// contentPolicy lets a page load what the desk itself serves and nothing else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
	"img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

var (
	errNoToken   = incident.Wrongf("the token is missing or wrong", "das Token fehlt oder ist falsch: melden Sie sich neu an")
	errCrossSite = incident.Wrongf("cross-site request", "die Anfrage kam nicht von der Seite der Konsole selbst")
)

// ask stands before everything: own name, own origin, token; then the handler.
func (d *Desk) ask(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Frame-Options", "DENY")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if r.ContentLength != 0 {
			// net/http waits for a body before it answers, also where it is not wanted: whoever
			// announced one and sent none held a connection for good, and without a token. Once
			// it is read there is no deadline any more, however long an answer takes.
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyWait))
		}
		r.Body = http.MaxBytesReader(w, r.Body, requestBodyMax)

		if !d.ownHost(r.Host) {
			Problem(w, http.StatusMisdirectedRequest, "not this server's name",
				"use its address, localhost, or a name given with the configuration")
			return
		}
		if given := r.URL.Query().Get("token"); given != "" && readOnly(r) {
			d.signIn(w, r, given)
			return
		}
		bearer, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if isBearer && d.sameToken(bearer) && sameOrigin(r, true) {
			next.ServeHTTP(w, r)
			return
		}
		if c, err := r.Cookie(cookieName); err == nil && d.sameSession(c.Value, r.Host) {
			if !sameOrigin(r, readOnly(r)) {
				Refuse(w, http.StatusForbidden, errCrossSite, "only the console's own pages may do this")
				return
			}
			next.ServeHTTP(w, r)
			return
		}
		d.refuse(w, r)
	})
}

// signIn turns the link's token into a session and strips it from the address.
func (d *Desk) signIn(w http.ResponseWriter, r *http.Request, given string) {
	if !d.sameToken(given) {
		d.refuse(w, r)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: d.session(r.Host, d.now().Add(sessionFor)), Path: "/",
		MaxAge: int(sessionFor.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	})
	q := r.URL.Query()
	q.Del("token")
	// Only the path and what is left of the query: never another host.
	to := url.URL{Path: "/" + strings.TrimLeft(r.URL.Path, "/\\"), RawQuery: q.Encode()}
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusSeeOther)
}

func (d *Desk) refuse(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="deich"`)
	if strings.Contains(r.Header.Get("Accept"), "text/html") {
		// Even the style sheet asks for the token, so this page carries it.
		w.Header().Set("Content-Security-Policy", d.askPolicy)
		said, other := inWords(r)
		d.render(w, http.StatusUnauthorized, "ask.html", struct {
			Style    template.CSS
			W, Other *words
		}{d.style, said, other})
		return
	}
	Refuse(w, http.StatusUnauthorized, errNoToken,
		"send Authorization: Bearer with the token from the file \"token\" in Deich's data folder")
}

func readOnly(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// ownHost says whether the Host header names this server. An address cannot be
// rebound, a name can: only localhost and the configured names pass.
func (d *Desk) ownHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.Trim(name, "[]"))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return name == "localhost" || slices.Contains(d.names, name)
}

// sameOrigin says whether a browser sent this from the desk's own pages.
// Where nothing tells (programs), bare decides.
func sameOrigin(r *http.Request, bare bool) bool {
	if o := r.Header.Get("Origin"); o != "" {
		u, err := url.Parse(o)
		return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host == r.Host
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "":
		return bare
	case "same-origin":
		return true
	case "none": // typed or from a bookmark: may look, not act
		return readOnly(r)
	}
	return false
}

// Problem answers with an RFC 9457 problem: what is wrong, and what to do.
func Problem(w http.ResponseWriter, status int, title, detail string) {
	Refuse(w, status, errors.New(title), detail)
}

// Refuse answers with the problem that err is; in German, too, as far as it was
// made by incident.Wrongf. What the console can meet is.
func Refuse(w http.ResponseWriter, status int, err error, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	german := incident.AllWrong(err, german.Lang)
	if slices.Equal(german, incident.AllWrong(err, english.Lang)) {
		german = nil
	}
	json.NewEncoder(w).Encode(struct {
		Title  string `json:"title"`
		German string `json:"title_de,omitempty"`
		Status int    `json:"status"`
		Detail string `json:"detail,omitempty"`
	}{err.Error(), strings.Join(german, "\n"), status, detail})
}

// JSON answers with v.
func JSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}
