package townsquare

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// stream answers GET /stream: each new message as a server-sent event named
// "message", its id the event's. Who comes back with Last-Event-ID gets what
// was missed first, up to pageSizeMax messages.
func (s *server) stream(w http.ResponseWriter, r *http.Request) {
	live, err := s.hub.join()
	if err != nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "no room for another stream at the moment", http.StatusServiceUnavailable)
		return
	}
	defer s.hub.leave(live)
	if rec, ok := w.(*recorder); ok {
		rec.stream = true
	}
	missed, err := s.missed(r)
	if err != nil {
		s.log.Error("townsquare: stream", "err", err)
		http.Error(w, "something is broken here", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	out := events{w, http.NewResponseController(w)}
	if out.send("retry: 3000\n\n") != nil {
		return
	}
	var last int64
	for _, p := range missed {
		if out.message(p) != nil {
			return
		}
		last = p.ID
	}
	s.follow(r.Context(), out, live, last)
}

// missed gives the messages after the one that the client saw last.
func (s *server) missed(r *http.Request) (list []message, err error) {
	id, err := strconv.ParseInt(r.Header.Get("Last-Event-ID"), 10, 64)
	if err != nil || id < 1 {
		return nil, nil // a new client, or one that is confused: from now on
	}
	err = s.workers.do(func() error {
		list, err = s.store.messagesSince(context.WithoutCancel(r.Context()), id, pageSizeMax)
		return err
	})
	return list, err
}

// follow sends what is posted after the message last, until one side ends.
func (s *server) follow(ctx context.Context, out events, live <-chan message, last int64) {
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			if out.send(": still here\n\n") != nil {
				return
			}
		case p, open := <-live:
			if !open {
				return
			}
			if p.ID > last && out.message(p) != nil {
				return
			}
		}
	}
}

// events writes server-sent events.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (e events) message(p message) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return e.send(fmt.Sprintf("event: message\nid: %d\ndata: %s\n\n", p.ID, data))
}

func (e events) send(text string) error {
	if err := e.control.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return err
	}
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.control.Flush()
}
