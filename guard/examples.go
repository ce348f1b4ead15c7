package guard

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Example is one request that met a rule, in words: what the rule's numbers
// stand for. It names nobody: no address, no query, no cookie.
type Example struct {
	Method   string   `json:"method"`
	Path     string   `json:"path"`
	Agent    string   `json:"agent,omitempty"`
	Class    string   `json:"class,omitempty"` // family and version that the agent claims
	Language string   `json:"language,omitempty"`
	Accept   string   `json:"accept,omitempty"`
	Encoding string   `json:"encoding,omitempty"`
	Referer  string   `json:"referer,omitempty"` // a host's name
	Type     string   `json:"type,omitempty"`    // of the body
	TLS      string   `json:"tls,omitempty"`     // JA4
	Protocol string   `json:"protocol"`
	Keys     []string `json:"keys,omitempty"`    // of the query
	Headers  []string `json:"headers,omitempty"` // which are there
	// Operator and Country are of its network, as Options.Whence has them.
	Operator uint32 `json:"-"`
	Country  uint16 `json:"-"`
}

// examples keeps one for each of the latest rules.
type examples struct {
	ids [examplesMax]atomic.Uint32
	mu  sync.Mutex
	all [examplesMax]Example
	n   int
}

// note keeps the visit as the example of the rule it met, if there is none yet.
func (e *examples) note(v *visit) {
	id := v.verdict.Rule
	for i := range e.ids {
		if e.ids[i].Load() == id {
			return
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.ids {
		if e.ids[i].Load() == id {
			return
		}
	}
	at := e.n % examplesMax
	e.n++
	e.all[at] = exampleOf(v)
	e.ids[at].Store(id)
}

// Example gives a request that met the rule; false where none is known.
func (h *Handler) Example(rule uint32) (Example, bool) {
	e := &h.examples
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.ids {
		if rule != 0 && e.ids[i].Load() == rule {
			return e.all[i], true
		}
	}
	return Example{}, false
}

func exampleOf(v *visit) Example {
	r := v.r
	cut := func(s string) string { return strings.Clone(s[:min(len(s), traitBytesMax)]) }
	e := Example{
		Method: cut(r.Method), Path: cut(r.URL.Path), Agent: cut(first(r.Header, "User-Agent")),
		Language: cut(first(r.Header, "Accept-Language")), Accept: cut(first(r.Header, "Accept")),
		Operator: v.operator, Country: v.country,
		Encoding: cut(first(r.Header, "Accept-Encoding")), Protocol: cut(r.Proto), Type: cut(first(r.Header, "Content-Type")),
	}
	e.Class = agentClass(e.Agent)
	if _, rest, found := strings.Cut(first(r.Header, "Referer"), "://"); found {
		name, _, _ := strings.Cut(rest, "/")
		e.Referer = cut(name)
	}
	if v.h.mark != nil {
		e.TLS = cut(v.h.mark(r))
	}
	for name := range r.Header {
		if len(e.Headers) == traitHeadersMax {
			break
		}
		e.Headers = append(e.Headers, cut(name))
	}
	slices.Sort(e.Headers)
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		if name, _, _ := strings.Cut(pair, "="); name != "" && len(e.Keys) < traitPairsMax {
			e.Keys = append(e.Keys, cut(name))
		}
	}
	return e
}
