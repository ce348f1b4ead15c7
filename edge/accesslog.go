package edge

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/deichproject/deich/guard"
)

const (
	formatCombined = "combined"
	formatJSON     = "json"
)

// accessLog writes one line for each request, off the request's way: what
// finds no room in the queue is dropped and counted. A nil *accessLog is none.
type accessLog struct {
	queue   chan logEntry
	dropped atomic.Uint64
	moved   chan struct{} // the file is to be opened anew
	name    string        // of the file; empty: standard error
	out     io.Writer
	file    *os.File
	append  func([]byte, *logEntry) []byte
	log     *slog.Logger

	closing sync.RWMutex // against put after close
	closed  bool
}

// logEntry is what a line says. It keeps nothing of the request alive but its texts.
type logEntry struct {
	At        time.Time  `json:"time"`
	Client    netip.Addr `json:"client"`
	Method    string     `json:"method"`
	Host      string     `json:"host"`
	Target    string     `json:"target"`
	Proto     string     `json:"proto"`
	Status    int        `json:"status"`
	Bytes     int64      `json:"bytes"`
	Took      float64    `json:"took_ms"`
	Referer   string     `json:"referer,omitempty"`
	Agent     string     `json:"agent,omitempty"`
	Act       string     `json:"act"`
	Reason    string     `json:"reason"`
	Tier      string     `json:"tier"`
	Reference string     `json:"reference,omitempty"`
	JA4       string     `json:"ja4,omitempty"`
	Skipped   int64      `json:"skipped,omitempty"` // refusals before it that have no line
}

func openAccessLog(c Config, log *slog.Logger) (*accessLog, error) {
	if c.AccessLog == "" {
		return nil, nil
	}
	a := &accessLog{queue: make(chan logEntry, logQueue), moved: make(chan struct{}, 1), log: log, append: appendCombined}
	if c.AccessLogFormat == formatJSON {
		a.append = appendJSON
	}
	if c.AccessLog == "-" {
		a.out = os.Stderr
		return a, nil
	}
	a.name = c.AccessLog
	var err error
	if a.file, err = appending(a.name); err != nil {
		return nil, err
	}
	a.out = a.file
	return a, nil
}

func appending(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("edge: access log: %w", err)
	}
	return f, nil
}

// reopen has the file opened anew by its name, after whoever rotates logs moved
// it away.
func (a *accessLog) reopen() {
	if a == nil || a.name == "" {
		return
	}
	select {
	case a.moved <- struct{}{}:
	default: // it is about to be opened anew
	}
}

// follow opens the file anew; where that fails the old one is written on.
func (a *accessLog) follow(w *bufio.Writer) {
	f, err := appending(a.name)
	if err != nil {
		a.log.Error("edge: access log", "error", err)
		return
	}
	if err := w.Flush(); err != nil {
		a.log.Error("edge: access log", "error", err)
	}
	a.file.Close()
	a.file, a.out = f, f
	w.Reset(f)
}

// logger is for guard.Options.Log.
func (a *accessLog) logger() func(guard.Entry) {
	if a == nil {
		return nil
	}
	return a.put
}

func (a *accessLog) put(e guard.Entry) {
	a.closing.RLock()
	defer a.closing.RUnlock()
	if a.closed {
		return
	}
	select {
	case a.queue <- entryOf(e):
	default:
		a.dropped.Add(1)
	}
}

func entryOf(e guard.Entry) logEntry {
	r := e.Request
	return logEntry{
		At: time.Unix(0, int64(e.At)).UTC(), Client: e.Client,
		Method: r.Method, Host: r.Host, Target: r.RequestURI, Proto: r.Proto,
		Status: e.Status, Bytes: e.Bytes, Took: float64(e.Took) / float64(time.Millisecond),
		Referer: first(r.Header, "Referer"), Agent: first(r.Header, "User-Agent"),
		Act: e.Verdict.Act.String(), Reason: e.Verdict.Reason.String(), Tier: e.Verdict.Tier.String(),
		Reference: e.Reference, JA4: e.Fingerprint, Skipped: e.Skipped,
	}
}

func first(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// run writes until the log is closed and empty.
func (a *accessLog) run() {
	if a == nil {
		return
	}
	w := bufio.NewWriter(a.out)
	var line []byte
	failed := false
	for {
		var e logEntry
		var open bool
		select {
		case e, open = <-a.queue:
		case <-a.moved:
			a.follow(w)
			continue
		}
		if !open {
			break
		}
		line = a.append(line[:0], &e)
		_, err := w.Write(line)
		if err == nil && len(a.queue) == 0 {
			err = w.Flush()
		}
		if err != nil {
			w.Reset(a.out) // an error would stick
			if !failed {
				a.log.Error("edge: access log", "error", err)
			}
		}
		failed = err != nil
		if n := a.dropped.Swap(0); n > 0 {
			a.log.Warn("edge: access log: entries dropped, the log is slower than the requests", "dropped", n)
		}
	}
	w.Flush()
	if a.file != nil {
		a.file.Close()
	}
}

func (a *accessLog) close() {
	if a == nil {
		return
	}
	a.closing.Lock()
	defer a.closing.Unlock()
	if !a.closed {
		a.closed = true
		close(a.queue)
	}
}

// appendCombined writes the combined log format, with what was done, why, for
// whom, in how many milliseconds and the reference behind it.
func appendCombined(b []byte, e *logEntry) []byte {
	b = e.Client.AppendTo(b)
	b = append(b, " - - ["...)
	b = e.At.AppendFormat(b, "02/Jan/2006:15:04:05 -0700")
	b = append(b, `] "`...)
	b = appendQuoted(b, e.Method)
	b = append(b, ' ')
	b = appendQuoted(b, e.Target)
	b = append(b, ' ')
	b = append(b, e.Proto...)
	b = append(b, `" `...)
	b = strconv.AppendInt(b, int64(e.Status), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, e.Bytes, 10)
	b = append(b, ` "`...)
	b = appendOrDash(b, e.Referer)
	b = append(b, `" "`...)
	b = appendOrDash(b, e.Agent)
	b = append(b, `" `...)
	b = append(append(b, e.Act...), ' ')
	b = append(append(b, e.Reason...), ' ')
	b = append(append(b, e.Tier...), ' ')
	b = strconv.AppendFloat(b, e.Took, 'f', 3, 64)
	b = append(b, ' ')
	b = appendOrDash(b, e.Reference)
	return append(b, '\n')
}

func appendOrDash(b []byte, s string) []byte {
	if s == "" {
		return append(b, '-')
	}
	return appendQuoted(b, s)
}

// appendQuoted keeps what a client wrote from looking like anything else: it
// escapes quotes, backslashes and whatever does not print, as Apache does.
func appendQuoted(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c >= 0x7f:
			b = append(b, '\\', 'x', hex[c>>4], hex[c&0xf])
		default:
			b = append(b, c)
		}
	}
	return b
}

func appendJSON(b []byte, e *logEntry) []byte {
	line, err := json.Marshal(e)
	if err != nil {
		return b // no field can fail
	}
	return append(append(b, line...), '\n')
}
