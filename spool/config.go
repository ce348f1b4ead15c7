package spool

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/deichproject/deich"
)

// Config is the spool's part of the configuration. Without Keep nothing is
// ever kept.
type Config struct {
	// Keep are the routes whose messages are kept, each with what holds for it.
	Keep []Route `json:"keep,omitempty"`
	// Bytes is how much of the disk messages may take in all (default 1 GiB).
	Bytes int64 `json:"bytes,omitempty"`
	// Headers are kept with a message beside those that are always kept.
	Headers []string `json:"headers,omitempty"`
	// NATS is the cluster that several edges keep their messages on; without
	// servers each keeps its own on its disk.
	NATS NATS `json:"nats,omitzero"`
}

// NATS is how a NATS cluster is reached.
type NATS struct {
	// Servers are its nodes, as in nats://10.0.0.1:4222 or tls://nats-1.example.org:4222.
	Servers []string `json:"servers,omitempty"`
	// Credentials is a file of NATS's own form (.creds); none: what stands in the addresses.
	Credentials string `json:"credentials,omitempty"`
	// CA is a PEM file of authorities for tls://; none: the system's.
	CA string `json:"ca,omitempty"`
}

// Same says whether two are the same.
func (n NATS) Same(as NATS) bool {
	return slices.Equal(n.Servers, as.Servers) && n.Credentials == as.Credentials && n.CA == as.CA
}

func (n NATS) validate(bad func(field, format string, args ...any)) {
	if len(n.Servers) > natsServersMax {
		bad("servers", "%d: at most %d", len(n.Servers), natsServersMax)
	}
	if len(n.Servers) == 0 && (n.Credentials != "" || n.CA != "") {
		bad("servers", "none: name the nodes, as in nats://10.0.0.1:4222")
	}
	for i, server := range n.Servers {
		u, err := url.Parse(server)
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" || u.Port() == "" || u.Path != "" || strings.Contains(server, ",") {
			// What stands in it may be a password: it is not quoted.
			bad(fmt.Sprintf("servers[%d]", i), "write nats:// or tls://, a host and a port, as in nats://10.0.0.1:4222")
		}
	}
}

// Route is one kind of request that is kept.
type Route struct {
	// Route is a method and a path, "POST /api/messages"; a segment may be
	// "{anything}", and a host may stand before the path.
	Route string `json:"route"`
	// Confirm is how to ask the platform whether it has a message of which it is
	// not known: "GET /api/messages?key={key}". 2xx says yes, 404 says no.
	Confirm string `json:"confirm,omitempty"`
	// Found is what the answer to Confirm has in it where the platform has the
	// message, for platforms that answer a search with 200 in any case:
	// `"key":"{key}"`. A 2xx without it says no.
	Found string `json:"found,omitempty"`
	// Unknown says what is done where that is not known and cannot be asked:
	// "at-most-once" (default) or "at-least-once".
	Unknown string `json:"unknown,omitempty"`
	// Key is the field of a form, or of a JSON object, that holds the key, where the
	// request has no Idempotency-Key.
	Key string `json:"key,omitempty"`
	// BodyMax is the longest body that is kept, in bytes (default 64 KiB).
	BodyMax int64 `json:"body_max,omitempty"`
	// Hours is how long a message waits for its delivery (default 24).
	Hours int `json:"hours,omitempty"`
	// Probe is the path that tells whether the platform answers again (default "/").
	Probe string `json:"probe,omitempty"`
}

// The two ways to go on where nobody knows whether a message has arrived.
const (
	atMostOnce  = "at-most-once"
	atLeastOnce = "at-least-once"
)

func (r *Route) life() time.Duration { return time.Duration(r.Hours) * time.Hour }

// doubtEnds says whether a message of which nobody knows is not touched again.
func (r *Route) doubtEnds() bool { return r.Confirm == "" && r.Unknown != atLeastOnce }

// Defaults fills what is not set.
func (c Config) Defaults() Config {
	if c.Bytes == 0 {
		c.Bytes = bytesDefault
	}
	c.Keep = append([]Route(nil), c.Keep...)
	for i := range c.Keep {
		r := &c.Keep[i]
		if r.Unknown == "" {
			r.Unknown = atMostOnce
		}
		if r.BodyMax == 0 {
			r.BodyMax = bodyMaxDefault
		}
		if r.Hours == 0 {
			r.Hours = int(lifeDefault / time.Hour)
		}
		if r.Probe == "" {
			r.Probe = "/"
		}
	}
	return c
}

// Validate gives every error at once, joined; each is a *deich.PolicyError.
func (c Config) Validate() error {
	var errs []error
	bad := func(path, format string, args ...any) {
		errs = append(errs, &deich.PolicyError{Path: path, Text: fmt.Sprintf(format, args...)})
	}
	if c.Bytes < bytesMin || c.Bytes > bytesMax {
		bad("bytes", "%d: between %d and %d", c.Bytes, int64(bytesMin), int64(bytesMax))
	}
	if len(c.Keep) > routesMax {
		bad("keep", "%d routes: at most %d", len(c.Keep), routesMax)
	}
	if len(c.Headers) > headersMax {
		bad("headers", "%d: at most %d", len(c.Headers), headersMax)
	}
	for i, name := range c.Headers {
		if name == "" || strings.ContainsAny(name, " :\t\r\n") || strings.HasPrefix(textproto.CanonicalMIMEHeaderKey(name), "Deich-") {
			bad(fmt.Sprintf("headers[%d]", i), "%q: write the name of a header, as in X-Tenant", name)
		}
	}
	c.NATS.validate(func(field, format string, args ...any) { bad("nats."+field, format, args...) })
	mux := http.NewServeMux()
	for i := range c.Keep {
		c.Keep[i].validate(mux, func(field, format string, args ...any) {
			bad(fmt.Sprintf("keep[%d].%s", i, field), format, args...)
		})
	}
	return errors.Join(errs...)
}

func (r *Route) validate(mux *http.ServeMux, bad func(field, format string, args ...any)) {
	method, path, two := strings.Cut(r.Route, " ")
	switch {
	case !two || !strings.Contains(path, "/") || strings.Contains(path, "?"):
		bad("route", "%q: write a method and a path, as in POST /messages", r.Route)
	case method != http.MethodPost && method != http.MethodPut && method != http.MethodPatch && method != http.MethodDelete:
		bad("route", "%q: the method is POST, PUT, PATCH or DELETE: what only reads is not kept", r.Route)
	default:
		if err := register(mux, r.Route); err != nil {
			bad("route", "%q: %v", r.Route, err)
		}
	}
	if r.Confirm != "" {
		target, get := strings.CutPrefix(r.Confirm, "GET ")
		u, err := url.ParseRequestURI(strings.ReplaceAll(target, "{key}", "key"))
		if !get || err != nil || u.Host != "" || !strings.Contains(target, "{key}") {
			bad("confirm", "%q: write it as in GET /api/messages?key={key}", r.Confirm)
		}
	}
	if r.Found != "" && (r.Confirm == "" || !strings.Contains(r.Found, "{key}") || len(r.Found) > foundBytesMax) {
		bad("found", "%q: at most %d bytes with {key} in them, beside confirm, as in \"key\":\"{key}\"", r.Found, foundBytesMax)
	}
	if r.Unknown != atMostOnce && r.Unknown != atLeastOnce {
		bad("unknown", "%q: %s or %s", r.Unknown, atMostOnce, atLeastOnce)
	}
	if r.BodyMax < 1 || r.BodyMax > bodyMaxMost {
		bad("body_max", "%d bytes: between 1 and %d", r.BodyMax, bodyMaxMost)
	}
	if life := r.life(); life < lifeMin || life > lifeMax {
		bad("hours", "%d: between %d and %d", r.Hours, lifeMin/time.Hour, lifeMax/time.Hour)
	}
	if u, err := url.ParseRequestURI(r.Probe); err != nil || u.Host != "" || !strings.HasPrefix(r.Probe, "/") {
		bad("probe", "%q: a path begins with /", r.Probe)
	}
}

// register adds a pattern; what the standard library says of a bad one, or of
// one that overlaps with another, it says by a panic.
func register(mux *http.ServeMux, pattern string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			text, _, _ := strings.Cut(fmt.Sprint(p), ":\n")
			err = errors.New(text)
		}
	}()
	mux.Handle(pattern, http.NotFoundHandler())
	return nil
}

// Routes tells which requests are kept. It never changes, and is safe for
// concurrent use.
type Routes struct {
	mux     *http.ServeMux
	routes  map[string]*Route
	headers []string
}

// NewRoutes makes them of a configuration; its errors are Validate's.
func NewRoutes(c Config) (*Routes, error) {
	c = c.Defaults()
	if err := c.Validate(); err != nil {
		return nil, err
	}
	rs := &Routes{mux: http.NewServeMux(), routes: make(map[string]*Route)}
	for i := range c.Keep {
		if err := register(rs.mux, c.Keep[i].Route); err != nil {
			return nil, err
		}
		rs.routes[c.Keep[i].Route] = &c.Keep[i]
	}
	rs.headers = append(rs.headers, keptHeaders...)
	for _, name := range c.Headers {
		rs.headers = append(rs.headers, textproto.CanonicalMIMEHeaderKey(name))
	}
	return rs, nil
}

// Of gives the route that a request is kept by; nil: it is not kept.
func (rs *Routes) Of(r *http.Request) *Route {
	if len(rs.routes) == 0 {
		return nil
	}
	_, pattern := rs.mux.Handler(r)
	return rs.routes[pattern]
}

// Named gives the route of this text; nil where there is none any more.
func (rs *Routes) Named(text string) *Route { return rs.routes[text] }

// Len is how many there are.
func (rs *Routes) Len() int { return len(rs.routes) }

// keptHeaders are kept with each message: what a platform needs to know who
// sends what.
var keptHeaders = []string{
	"Accept", "Accept-Language", "Authorization", "Content-Encoding", "Content-Language", "Content-Type",
	"Cookie", "Idempotency-Key", "Origin", "Referer", "User-Agent", "X-Api-Key", "X-Csrf-Token",
	"X-Requested-With", "X-Xsrf-Token", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Fetch-User",
}

// Header copies what is kept of a request's headers; false where that is too much.
func (rs *Routes) Header(from http.Header) (http.Header, bool) {
	to, size := make(http.Header), 0
	for _, name := range rs.headers {
		if values := from[name]; len(values) > 0 {
			to[name] = append([]string(nil), values...)
			for _, v := range values {
				size += len(name) + len(v)
			}
		}
	}
	return to, size <= headerBytesMax
}

// KeyOf gives the key of a request on the route: its Idempotency-Key, else the
// named field of a form or of a JSON object; false where it is too long to be one.
func (r *Route) KeyOf(header http.Header, body []byte) (string, bool) {
	key := header.Get("Idempotency-Key")
	if key == "" && r.Key != "" {
		key = fieldOf(header.Get("Content-Type"), body, r.Key)
	}
	return key, len(key) <= keyBytesMax
}

// fieldOf gives a field of a form or of a JSON object; empty where it has none.
func fieldOf(contentType string, body []byte, name string) (value string) {
	switch kind, _, _ := strings.Cut(contentType, ";"); strings.TrimSpace(kind) {
	case "application/x-www-form-urlencoded":
		if form, err := url.ParseQuery(string(body)); err == nil {
			value = form.Get(name)
		}
	case "application/json":
		var fields map[string]json.RawMessage
		if json.Unmarshal(body, &fields) != nil || json.Unmarshal(fields[name], &value) != nil {
			return ""
		}
	}
	return value
}

// asks gives what to ask the platform for a message by its key. false: it cannot be
// asked, since the key would not stand in an answer as it is, or is one that the
// platform takes from a field and was not given.
func (r *Route) asks(key string, added bool) (uri, found string, can bool) {
	if r.Confirm == "" || r.Key != "" && added || r.Found != "" && !plain(key) {
		return "", "", false
	}
	path, query, _ := strings.Cut(strings.TrimPrefix(r.Confirm, "GET "), "?")
	uri = strings.ReplaceAll(path, "{key}", url.PathEscape(key))
	if query != "" {
		uri += "?" + strings.ReplaceAll(query, "{key}", url.QueryEscape(key))
	}
	return uri, strings.ReplaceAll(r.Found, "{key}", key), true
}

// plain says whether a key is written in JSON, in HTML and in a filter's quotes as it is.
func plain(key string) bool {
	for _, c := range []byte(key) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~:@+=", c) >= 0) {
			return false
		}
	}
	return true
}

// languageOf keeps what is needed to speak to a sender.
func languageOf(accept string) string { return accept[:min(len(accept), 64)] }
