package deich

import (
	"encoding"
	"fmt"
	"testing"
	"time"
)

// A panic within the engine leaves no lock taken: whoever carries it goes on
// after one, and would wait for ever.
func TestPanicKeepsNoLock(t *testing.T) {
	for name, spoil := range map[string]func(*Engine, Ticket){
		"done": func(e *Engine, ticket Ticket) {
			e.origins[0].slab.slots[ticket.Slot()].route = RoutesMax // no such route
			e.Done(noon, ticket, Outcome{Status: 200}, NewOut())
		},
		"tick": func(e *Engine, _ Ticket) { e.Tick(noon, nil) },
		"enter": func(e *Engine, _ Ticket) {
			e.Enter(noon, &Request{At: noon, Client: addr4(1), Route: RoutesMax}, Verdict{}, NewOut())
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := engineOf(t, Policy{})
			r := Request{At: noon, Client: addr4(1)}
			ticket, state, _ := e.Enter(noon, &r, Verdict{}, NewOut())
			if state != Admitted {
				t.Fatal(state)
			}
			if name == "tick" { // something that its nil Out has no room for
				e.origins[0].told = true
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Fatal("it does not panic: break it in another way")
					}
				}()
				spoil(e, ticket)
			}()
			ended := make(chan State, 1)
			go func() {
				e.Tick(noon.Add(TickEvery), NewOut())
				ticket, state, _ := e.Enter(noon, &r, Verdict{}, NewOut())
				e.Done(noon, ticket, Outcome{Status: 200}, NewOut())
				ended <- state
			}()
			select {
			case state := <-ended:
				if state != Admitted {
					t.Errorf("the next request: %v", state)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the next request waits for a lock")
			}
		})
	}
}

func FuzzWord(f *testing.F) {
	for _, word := range []string{"allow", "Deny ", "", "tls", "agent_class", "novel", "hot", "flood", "retry_storm", "unknown"} {
		f.Add([]byte(word))
	}
	f.Fuzz(func(t *testing.T, word []byte) {
		var (
			act     Act
			trait   Trait
			compare Compare
			cause   Cause
		)
		for _, into := range []interface {
			encoding.TextUnmarshaler
			fmt.Stringer
		}{&act, &trait, &compare, &cause} {
			if err := into.UnmarshalText(word); err == nil && into.String() != string(word) {
				t.Fatalf("%q was read as %v", word, into)
			}
		}
	})
}
