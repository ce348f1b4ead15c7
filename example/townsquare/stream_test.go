package townsquare

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// listener reads a stream event by event.
type listener struct {
	t    *testing.T
	body *bufio.Reader
}

// listen opens a stream, which ends with the test.
func listen(t *testing.T, b *browser, last string) listener {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", b.base+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	response, err := b.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if kind := response.Header.Get("Content-Type"); response.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatalf("stream: %d %s", response.StatusCode, kind)
	}
	l := listener{t, bufio.NewReader(response.Body)}
	if first := l.event(); first != "retry: 3000\n" {
		t.Fatalf("stream begins with %q", first)
	}
	return l
}

// event gives the lines of the next event.
func (l listener) event() string {
	l.t.Helper()
	var event strings.Builder
	for {
		line, err := l.body.ReadString('\n')
		if err != nil {
			l.t.Fatal(err)
		}
		if line == "\n" {
			return event.String()
		}
		event.WriteString(line)
	}
}

// message gives the next event, which must be a message with its id.
func (l listener) message() message {
	l.t.Helper()
	event := l.event()
	lines := strings.Split(event, "\n")
	var p message
	if len(lines) != 4 || lines[0] != "event: message" ||
		json.Unmarshal([]byte(strings.TrimPrefix(lines[2], "data: ")), &p) != nil || lines[1] != fmt.Sprintf("id: %d", p.ID) {
		l.t.Fatalf("event %q", event)
	}
	return p
}

func TestStream(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	bearer := b.token("user0001")
	live := listen(t, b, "")
	var posted message
	b.do("POST", "/api/messages", `{"text":"line one\nevent: forged\n\n\u2028<b>"}`, bearer...).want(t, 201).decode(t, &posted)
	if got := live.message(); got != posted {
		t.Errorf("streamed %+v, posted %+v", got, posted)
	}

	// Who comes back gets what was missed, once and in order, then what is new.
	back := listen(t, b, "118")
	for id := int64(119); id <= posted.ID; id++ {
		if got := back.message(); got.ID != id {
			t.Fatalf("streamed %d, want %d", got.ID, id)
		}
	}
	b.do("POST", "/api/messages", `{"text":"next"}`, bearer...).want(t, 201)
	if got := back.message(); got.ID != posted.ID+1 {
		t.Errorf("streamed %d, want %d", got.ID, posted.ID+1)
	}
	confused := listen(t, b, "'; DROP")
	b.do("POST", "/api/messages", `{"text":"last"}`, bearer...).want(t, 201)
	if got := confused.message(); got.ID != posted.ID+2 {
		t.Errorf("streamed %d, want %d", got.ID, posted.ID+2)
	}
}

func TestReplayedPostIsNotStreamed(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	head := append([]string{"Idempotency-Key", "k"}, b.token("user0001")...)
	live := listen(t, b, "")
	for range 3 {
		b.do("POST", "/api/messages", `{"text":"once"}`, head...).want(t, 201)
	}
	b.do("POST", "/api/messages", `{"text":"after"}`, head[2:]...).want(t, 201)
	if one, two := live.message(), live.message(); one.Text != "once" || two.Text != "after" {
		t.Errorf("streamed %q and %q", one.Text, two.Text)
	}
}

func TestStreamsEndWhenThePlatformDoes(t *testing.T) {
	s := newTest(t, small())
	b := newBrowser(t, s)
	live := listen(t, b, "")
	s.hub.close()
	if rest, err := io.ReadAll(live.body); err != nil || len(rest) != 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	b.get("/stream").want(t, http.StatusServiceUnavailable)
}

func TestHubCutsWhoLags(t *testing.T) {
	h := newHub()
	slow, err := h.join()
	if err != nil {
		t.Fatal(err)
	}
	fast, err := h.join()
	if err != nil {
		t.Fatal(err)
	}
	for id := range int64(streamBacklog + 1) {
		h.publish(message{ID: id})
		if got := <-fast; got.ID != id {
			t.Fatalf("got %d, want %d", got.ID, id)
		}
	}
	n := 0
	for range slow {
		n++
	}
	if n != streamBacklog || h.size() != 1 {
		t.Errorf("the slow one got %d, %d streams are left", n, h.size())
	}
	h.leave(slow)
	h.leave(fast)
	if h.size() != 0 {
		t.Errorf("%d streams are left", h.size())
	}
}

func TestHubIsBounded(t *testing.T) {
	h := newHub()
	for range streamsMax {
		if _, err := h.join(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := h.join(); err != errStreams {
		t.Errorf("one more: %v", err)
	}
	h.close()
	if _, err := h.join(); err != errClosing {
		t.Errorf("after close: %v", err)
	}
}
