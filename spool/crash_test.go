package spool

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// writerEnv makes the test's own binary a process that keeps messages in the
// folder it names until it is killed.
const writerEnv = "DEICH_SPOOL_WRITER"

// writeForever keeps messages from several senders and says of each one when it
// was promised. Every third is delivered at once.
func writeForever() int {
	s, err := Open(os.Getenv(writerEnv), Options{Alarm: func(err error) { fmt.Println("alarm", err) }})
	if err != nil {
		fmt.Println("open", err)
		return 1
	}
	c := &Courier{store: s}
	var out sync.Mutex
	say := func(format string, args ...any) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	for w := range 16 {
		go func() {
			for i := 0; ; i++ {
				m := letter(uint64(rand.Int64()), fmt.Sprintf("%d-%d", w, i), strings.Repeat("x", rand.IntN(3000)))
				id, _, err := s.Put(m)
				if err != nil {
					say("error %v", err)
					continue
				}
				say("kept %s %d %d", id, m.Sender.Pass, len(m.Body))
				if i%3 == 0 {
					c.delivered(s.entry(id), Answer{Status: 201})
					say("delivered %s", id)
				}
			}
		}()
	}
	go func() {
		for {
			if err := s.compact(); err != nil {
				say("error %v", err)
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	select {}
}

func (s *Store) entry(id ID) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[id]
}

// Killed at any moment, a store has every message that it promised, and none
// comes back that was delivered.
func TestKilled(t *testing.T) {
	rounds := 5
	if n, err := strconv.Atoi(os.Getenv("DEICH_TORTURE")); err == nil {
		rounds = n
	} else if !testing.Short() {
		rounds = 50
	}
	dir := t.TempDir()
	type promise struct {
		from      uint64
		length    int
		delivered bool
	}
	promised := map[string]*promise{}
	for round := range rounds {
		if round%10 == 9 {
			dir, promised = t.TempDir(), map[string]*promise{} // lest it grows without end
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerEnv+"="+dir)
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kill := func() { time.AfterFunc(rand.N(150*time.Millisecond), func() { cmd.Process.Kill() }) }
		begun := round%3 == 2 // then it may also be killed while it opens what was left
		if begun {
			kill()
		}
		lines := bufio.NewScanner(pipe)
		for lines.Scan() {
			if !begun {
				begun = true
				kill()
			}
			f := strings.Fields(lines.Text())
			switch {
			case len(f) == 4 && f[0] == "kept":
				from, _ := strconv.ParseUint(f[2], 10, 64)
				n, _ := strconv.Atoi(f[3])
				promised[f[1]] = &promise{from, n, false}
			case len(f) == 2 && f[0] == "delivered":
				promised[f[1]].delivered = true
			case len(f) == 4 || len(f) == 2 || len(f) == 0:
			default:
				t.Fatalf("round %d: %s", round, lines.Text())
			}
		}
		cmd.Wait() // it was killed
		s, err := Open(dir, Options{Alarm: func(err error) {
			if d, is := err.(damage); !is || !d.end {
				t.Errorf("round %d: %v", round, err)
			}
		}})
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for text, p := range promised {
			id, ok := ParseID(text)
			if !ok {
				continue // the last line was cut off
			}
			_, now, known := s.look(id, Sender{Pass: p.from})
			switch {
			case !known:
				t.Errorf("round %d: %s was promised and is not there", round, text)
			case p.delivered && now.State != Delivered:
				t.Errorf("round %d: %s was delivered and is %s", round, text, now.State)
			case now.State == Kept && len(bodyOf(t, s, id)) != p.length:
				t.Errorf("round %d: %s has another length", round, text)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d rounds, %d promises in the last folder", rounds, len(promised))
	if rounds%10 != 0 && len(promised) == 0 {
		t.Error("nothing was ever promised")
	}
}
