package desk

import (
	"encoding/json"
	"net/http"
	"time"
)

func (d *Desk) serveState(w http.ResponseWriter, _ *http.Request) { JSON(w, d.state()) }

// serveHistory gives the seconds that the page draws, oldest first, with the
// words of their columns.
func (d *Desk) serveHistory(w http.ResponseWriter, _ *http.Request) {
	JSON(w, struct {
		Tiers   []string `json:"tiers"`
		Acts    []string `json:"acts"`
		Seconds []Second `json:"seconds"`
	}{tiers[:], acts[:], d.live.history.last(historySeconds)})
}

// serveEvents sends a Live each second until the client goes or the server ends.
func (d *Desk) serveEvents(w http.ResponseWriter, r *http.Request) {
	c, ok := d.live.subscribe()
	if !ok {
		w.Header().Set("Retry-After", "10")
		Problem(w, http.StatusServiceUnavailable, "too many listeners", "close another console page, or ask /api/v1/state")
		return
	}
	defer d.live.unsubscribe(c)
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		select {
		case <-r.Context().Done():
			return
		case v := <-c:
			out.SetWriteDeadline(time.Now().Add(writeWait))
			if writeMessage(w, v) != nil || out.Flush() != nil {
				return
			}
		}
	}
}

// writeMessage frames v: one line of JSON, which never holds a line break.
func writeMessage(w http.ResponseWriter, v Live) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b = append(append([]byte("data: "), b...), "\n\n"...)
	_, err = w.Write(b)
	return err
}
