package edge

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/guard"
)

// how says in Cache-Status (RFC 9211) how an answer came about, and what else
// is due with it.
type how struct {
	hit    bool   // from memory: it has an age
	status string // the parameters after the cache's name
	notice bool   // the reader is told that the service is down
}

// hitHow is for an answer from memory.
func hitHow(rd *reading, stale bool) how {
	ttl := rd.entry.lifetime - rd.entry.ageAt(rd.now)
	h := how{hit: true, status: "hit; ttl=" + strconv.FormatInt(int64(ttl/time.Second), 10)}
	switch {
	case !stale:
	case rd.trouble.down:
		h.status += "; detail=DOWN"
		h.notice = true
	case rd.trouble.pressure:
		h.status += "; detail=PRESSURE"
	default:
		h.status += "; detail=STALE"
	}
	return h
}

// give writes an answer that is kept, or was just received whole, as this
// request asks for it: all of it, its head, a range, or that it is the same
// still (RFC 9110, 13 and 14).
func (c *cache) give(w http.ResponseWriter, r *http.Request, e *entry, how how) {
	now := c.now()
	h := w.Header()
	for name, values := range e.header {
		h[name] = values
	}
	if _, said := h["Content-Type"]; !said {
		h["Content-Type"] = nil // else the server would guess
	}
	said := e.header["Cache-Status"]
	h["Cache-Status"] = append(said[:len(said):len(said)], "deich; "+how.status)
	if how.hit {
		h["Age"] = []string{strconv.FormatInt(int64(e.ageAt(now)/time.Second), 10)}
		if !e.said && len(e.header["Cache-Control"]) == 0 {
			h["Cache-Control"] = []string{"no-cache"} // lest a browser guesses how long it may keep it
		}
	}
	if how.notice {
		h["Deich-Notice"] = []string{guard.StaleNotice(first(r.Header, "Accept-Language"), wallTime(e.got))}
	}
	paced := &paced{ResponseWriter: w, copier: copier{
		x: &exchange{proxy: c.proxy, w: w, r: r}, control: http.NewResponseController(w),
	}}
	if r.Method != http.MethodHead && len(e.body) > copyBytes {
		l := c.loans.begin(e, now, func() { paced.copier.control.SetWriteDeadline(time.Unix(1, 0)) })
		defer c.loans.end(l)
	}
	if e.status == http.StatusOK && asksPart(r.Header) {
		delete(h, "Content-Length")
		modified, _ := http.ParseTime(e.modified)
		http.ServeContent(paced, rangeInBytes(r), "", modified, bytes.NewReader(e.body))
		return
	}
	if e.status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.Itoa(len(e.body))}
	}
	w.WriteHeader(e.status)
	if r.Method != http.MethodHead && len(e.body) > 0 {
		_, _ = paced.Write(e.body) // who asked may have gone
	}
}

// asksPart says whether something else than all of an answer may be due.
func asksPart(h http.Header) bool {
	return h["Range"] != nil || h["If-None-Match"] != nil || h["If-Modified-Since"] != nil ||
		h["If-Match"] != nil || h["If-Unmodified-Since"] != nil
}

// rangeInBytes gives a request without a range whose unit is not known: such a
// one is ignored (RFC 9110, 14.2).
func rangeInBytes(r *http.Request) *http.Request {
	if said := first(r.Header, "Range"); said == "" || strings.HasPrefix(said, "bytes=") {
		return r
	}
	plain := r.WithContext(r.Context())
	plain.Header = r.Header.Clone()
	delete(plain.Header, "Range")
	return plain
}

// paced gives every piece its write window, as copier does.
type paced struct {
	http.ResponseWriter
	copier copier
}

func (p *paced) Write(b []byte) (int, error) {
	if err := p.copier.write(b); err != nil {
		return 0, err
	}
	return len(b), nil
}

func wallTime(t deich.Time) time.Time { return time.Unix(0, int64(t)).UTC() }
