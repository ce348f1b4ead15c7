package guard

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/deichproject/deich"
)

// writer stands between the origin's way and the client: it notes when the
// answer began and how it ended, takes out what was meant for Deich, and adds
// the pass. It hides nothing that the writer below can do.
type writer struct {
	http.ResponseWriter
	visit *visit

	status   int        // 0: no answer yet
	bytes    int64      // of the body
	firstAt  deich.Time // when the answer began
	failed   deich.Reason
	hijacked bool
	fetch    bool   // for the cache: nobody is handed a pass
	unsent   bool   // nothing of the request was sent
	said     []byte // the beginning of the answer's body, where the keeper is to be told
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader sends the header; 1xx may come before.
func (w *writer) WriteHeader(status int) {
	if status >= 100 && status < 200 && status != http.StatusSwitchingProtocols {
		stripAnswer(w.Header())
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.begin(status)
	w.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (w *writer) Write(b []byte) (int, error) {
	w.begin(http.StatusOK)
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	if w.visit.answered != nil && len(w.said) < replayMax {
		w.said = append(w.said, b[:min(n, replayMax-len(w.said))]...)
	}
	return n, err
}

// ReadFrom sends a body from where it comes, by sendfile where the writer below can.
func (w *writer) ReadFrom(r io.Reader) (n int64, err error) {
	w.begin(http.StatusOK)
	if w.visit.answered != nil {
		return io.Copy(onlyWriter{w}, r)
	}
	if below, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		n, err = below.ReadFrom(r)
	} else {
		n, err = io.Copy(onlyWriter{w.ResponseWriter}, r)
	}
	w.bytes += n
	return n, err
}

type onlyWriter struct{ io.Writer }

// Flush sends what was written so far.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is Flush, for http.ResponseController.
func (w *writer) FlushError() error {
	w.begin(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack gives the connection away; the answer then counts as long-lived.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.hijacked = true
		w.note(http.StatusSwitchingProtocols)
		w.stream()
	}
	return conn, rw, err
}

// begin does once what is due when an answer's header goes out.
func (w *writer) begin(status int) {
	if w.status != 0 {
		return
	}
	w.note(status)
	v := w.visit
	header := w.Header()
	if w.failed != deich.NoReason {
		delete(header, memberHeader)
		return // the answer is guard's own
	}
	member := first(header, memberHeader)
	stripAnswer(header)
	if status == http.StatusSwitchingProtocols || strings.HasPrefix(first(header, "Content-Type"), "text/event-stream") {
		w.stream()
	}
	if !w.fetch {
		v.mint(header, status, member)
	}
}

// stripAnswer takes out what only guard itself says to a client.
func stripAnswer(header http.Header) {
	for _, name := range [...]string{memberHeader, "Deich-Reason", "Deich-Reference", "Deich-Challenge"} {
		delete(header, name)
	}
}

func (w *writer) note(status int) {
	if w.status == 0 {
		w.status, w.firstAt = status, w.visit.h.now()
	}
}

// stream moves the request out of the places of the quick ones, and remembers
// that this path answers so.
func (w *writer) stream() {
	v := w.visit
	v.h.detach(v)
	v.h.routes[v.req.Origin].Load().learnStream(v.req.Path, v.req.Safe)
}

// end sends the header of an answer without a body.
func (w *writer) end() {
	if w.status == 0 && !w.hijacked {
		w.WriteHeader(http.StatusOK)
	}
}

// outcome is what the engine is told. returned says that the handler behind
// did not panic.
func (w *writer) outcome(returned bool) deich.Outcome {
	v := w.visit
	o := deich.Outcome{Status: w.status, Credential: v.req.Credential != 0}
	if w.firstAt != 0 {
		o.Wait = w.firstAt.Sub(v.entered)
	}
	gone := v.r.Context().Err() != nil
	switch {
	case w.failed != deich.NoReason:
		gone = gone || ofClient(w.failed)
		o.Status, o.Failed, o.Aborted = 0, !gone, gone
	case !returned:
		o.Failed, o.Aborted = !gone, gone
	case w.status == 0:
		o.Aborted = gone
	}
	return o
}

// ofClient says whether a failure is the client's own: it says nothing about
// the origin, and slow senders must not make the origin look ill.
func ofClient(why deich.Reason) bool {
	switch why {
	case deich.BadRequest, deich.SlowClient, deich.BodyTooLarge, deich.NoSite:
		return true
	}
	return false
}

// Streaming says that the answer being given to w is long-lived: it then takes
// no place from quick requests. w is the ResponseWriter that the handler
// behind the guard was given, or one that unwraps to it; of another, nothing
// is known and nothing happens.
func Streaming(w http.ResponseWriter) {
	if own := ownWriter(w); own != nil {
		own.visit.h.detach(own.visit)
	}
}

// Fail says that the origin gave no answer, or none in time, and writes the
// page that says so: why is OriginDown or OriginSlow, or whatever else kept
// the way to the origin from being taken. After an answer has begun it only
// counts. w is as for Streaming; with another, a plain status is written.
func Fail(w http.ResponseWriter, r *http.Request, why deich.Reason) {
	own := ownWriter(w)
	if own == nil {
		http.Error(w, why.String(), statusOf(deich.Verdict{Reason: why}))
		return
	}
	begun := own.status != 0
	own.failed = why
	// A body that came too slowly has ended the context too, but its sender is there.
	if begun || r.Context().Err() != nil && why != deich.SlowClient {
		return
	}
	v := own.visit
	v.verdict.Act, v.verdict.Reason, v.verdict.Place = deich.Wait, why, 0
	v.verdict.RetryAfter = retryAfterFailure
	if own.fetch || v.h.stoodIn(v, own) || v.h.keepFailed(v, own, why) {
		return
	}
	v.h.answer(v, own, v.h.textBack(v))
}

func ownWriter(w http.ResponseWriter) *writer {
	for w != nil {
		if own, ok := w.(*writer); ok {
			return own
		}
		below, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = below.Unwrap()
	}
	return nil
}
