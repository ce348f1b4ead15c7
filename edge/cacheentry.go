package edge

import (
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich"
)

// entry is one complete answer. Nothing of it changes but due.
type entry struct {
	names   []string // the headers that select it
	selects string   // their values, as appendSelection writes them

	status int
	header http.Header // as it is for clients; shared by all who read it, never written to
	body   []byte
	size   int64

	got      deich.Time    // when it came, or was last found to hold
	age      time.Duration // its age then
	lifetime time.Duration
	said     bool // the origin said how long it is fresh
	control  control
	etag     string
	modified string

	due atomic.Int64 // no further fetch to renew it begins before (deich.Time)
}

// entryOverhead is about what an entry takes beside its texts.
const entryOverhead = 512

// newEntry makes one of an answer. header is the entry's own from now on.
func newEntry(status int, header http.Header, body []byte, asked, got deich.Time) *entry {
	e := &entry{status: status, header: header, body: body, got: got, age: ageOf(header, asked, got)}
	e.control = parseControl(header["Cache-Control"])
	e.lifetime, e.said = e.control.lifetime(header)
	e.etag, e.modified = first(header, "Etag"), first(header, "Last-Modified")
	e.size = int64(len(body)) + entryOverhead
	for name, values := range header {
		for _, v := range values {
			e.size += int64(len(name) + len(v))
		}
	}
	return e
}

// ageAt is how old it is.
func (e *entry) ageAt(now deich.Time) time.Duration { return e.age + max(now.Sub(e.got), 0) }

// heldAt is how long ago the origin gave it.
func (e *entry) heldAt(now deich.Time) time.Duration { return max(now.Sub(e.got), 0) }

// fresh says whether it may be given without asking the origin (RFC 9111, 4.2).
func (e *entry) fresh(now deich.Time) bool {
	return !e.control.noCache && e.ageAt(now) < e.lifetime
}

// staleFor is how long it has not been fresh; negative while it is.
func (e *entry) staleFor(now deich.Time) time.Duration { return e.ageAt(now) - e.lifetime }

// forbidsStale says whether the origin wants it never given stale (RFC 9111, 4.2.4).
func (e *entry) forbidsStale() bool {
	return e.control.noCache || e.control.mustRevalidate || e.control.sharedMaxAge >= 0
}

// whileRevalidate and ifError are the origin's own leave to give it stale
// (RFC 5861); s-maxage beside them does not take it back.
func (e *entry) whileRevalidate(now deich.Time) bool {
	return !e.control.noCache && !e.control.mustRevalidate && e.staleFor(now) < e.control.whileRevalidate
}

func (e *entry) ifError(now deich.Time) bool {
	return !e.control.noCache && !e.control.mustRevalidate && e.staleFor(now) < e.control.ifError
}

// renew takes the right to fetch it anew, which one has at a time.
func (e *entry) renew(now deich.Time) bool {
	due := e.due.Load()
	return due <= int64(now) && e.due.CompareAndSwap(due, int64(now.Add(renewEvery)))
}

// freshened is the same answer after the origin said that it holds (RFC 9111,
// 4.3.4): header is what came with the 304.
func (e *entry) freshened(header http.Header, asked, got deich.Time) *entry {
	merged := e.header.Clone()
	delete(merged, "Age")
	for name, values := range header {
		if !ofBody(name) {
			merged[name] = values
		}
	}
	next := newEntry(e.status, merged, e.body, asked, got)
	next.names, next.selects = e.names, e.selects
	return next
}

// ofBody lists what describes the stored bytes, which a 304 does not bring.
func ofBody(name string) bool {
	switch name {
	case "Content-Encoding", "Content-Length", "Content-Md5", "Content-Range", "Etag":
		return true
	}
	return false
}

// shareable says whether an answer may be given to others than the one who
// asked for it (RFC 9111, 3). It says nothing of how long.
func shareable(status int, h http.Header, c *control) bool {
	if status < 200 || status == http.StatusPartialContent || status == http.StatusNotModified {
		return false
	}
	if c.noStore || c.private || c.mustUnderstand && !understood(status) {
		return false
	}
	if h["Set-Cookie"] != nil || h["Set-Cookie2"] != nil || h["Www-Authenticate"] != nil ||
		strings.HasPrefix(first(h, "Content-Type"), "text/event-stream") {
		return false
	}
	for name := range h {
		if strings.HasPrefix(name, "Deich-") {
			return false
		}
	}
	return true
}

// understood lists the statuses whose meaning for caches is known here, and
// which are kept without the origin's leave for when it cannot answer.
func understood(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308, 404, 410:
		return true
	}
	return false
}
