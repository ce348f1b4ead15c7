// Not beside the race detector: what that costs is most of what would be measured.

//go:build linux && !race

package edge

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/deichproject/deich"
	"golang.org/x/sys/unix"
)

const (
	// noticeRole says what a process of TestH2AbuseIsNotNoticed is there for.
	noticeRole = "DEICH_EDGE_ROLE"
	// noticeFile is the descriptor by which it answers.
	noticeFile = 3
	// noticeSlice is how long peace and abuse last in turn.
	noticeSlice = 300 * time.Millisecond
	// abuserLines are the connections of one abuser.
	abuserLines = 50
	// noticedMost is by how much another client's p99 may grow.
	noticedMost = 1.5
)

// What another client notices of all kinds of abuse, by fifty connections each, in turn
// with peace. The server and its platform have one core; what sends has another, which
// it leaves to the other client whenever that has something to do. Each is a process of its own.
// The bound is for a machine that has nothing else to do: make exam. How far the halves of
// peace are apart says what the machine makes of it.
func TestH2AbuseIsNotNoticed(t *testing.T) {
	switch os.Getenv(noticeRole) {
	case "server":
		s, addr := secureFront(t, hello)
		s.options.Engine.Bypass(deich.Time(1 << 62)) // nobody asks as often as this visitor does
		answerAll(t, func([]string) any { return addr })
		return
	case "abuser":
		abuseAll(t)
		return
	case "visitor":
		visitAll(t)
		return
	}
	if testing.Short() {
		t.Skip("left out of short runs: sixteen kinds of abuse by fifty connections each")
	}
	if runtime.NumCPU() < 2 {
		t.Skip("left out: it needs two cores")
	}
	exam, rounds := os.Getenv("DEICH_EXAM") != "", 1
	if exam {
		rounds = 8
	}
	var addr string
	server := startRole(t, "server", 0, false)
	server.ask(t, &addr, "addr")
	abuser, visitor := startRole(t, "abuser", 1, true), startRole(t, "visitor", 1, false)
	visitor.ask(t, nil, "open", addr)
	during := func(abuse ...string) (n notice) {
		t.Helper()
		visitor.say(t, "visit")
		if len(abuse) > 0 {
			abuser.ask(t, &n.abuse, abuse...)
		}
		visitor.hear(t, &n.visits)
		if n.Refused > 0 || len(n.Took) == 0 {
			t.Fatalf("%d answers, %d of them refusals", len(n.Took), n.Refused)
		}
		return n
	}
	during() // connections to the platform are opened
	var calm, loud, beside []time.Duration
	var halves [2][]time.Duration // of calm, slice by slice
	ratios := make(map[string][]string)
	for round := range rounds {
		for i, abuse := range abuses {
			abuser.ask(t, nil, "open", addr, fmt.Sprint(i), fmt.Sprintf("127.0.%d.77", 100+len(abuses)*round+i))
			before := during()
			during := during("abuse")
			abuser.ask(t, nil, "close")
			calm, loud = append(calm, before.Took...), append(loud, during.Took...)
			half := &halves[(round+i)%2]
			*half = append(*half, before.Took...)
			for i, began := range during.Began {
				if began < during.Lasted {
					beside = append(beside, during.Took[i])
				}
			}
			ratios[abuse.name] = append(ratios[abuse.name], fmt.Sprintf("%.2f (%d in %v)",
				float64(at(during.Took, 99))/float64(at(before.Took, 99)), during.Sent, during.Lasted.Round(time.Millisecond)))
		}
	}
	ratio := float64(at(loud, 99)) / float64(at(calm, 99))
	t.Logf("%d answers in peace, %d beside abuse: p50 %v and %v; p99 %v and %v: %.2f times", len(calm), len(loud),
		at(calm, 50), at(loud, 50), at(calm, 99), at(loud, 99), ratio)
	t.Logf("peace alone, every second slice and the others: p99 %v and %v", at(halves[0], 99), at(halves[1], 99))
	if len(beside) > 0 {
		t.Logf("%d of them while it went on: p50 %v, p90 %v, p99 %v", len(beside), at(beside, 50), at(beside, 90), at(beside, 99))
	}
	for _, abuse := range abuses {
		t.Logf("  p99 beside %-44s %s", abuse.name, strings.Join(ratios[abuse.name], ", "))
	}
	if exam && ratio > noticedMost {
		t.Errorf("p99 grows %.2f times: at most %.1f", ratio, noticedMost)
	}
}

func at(all []time.Duration, percent int) time.Duration {
	slices.Sort(all)
	return all[len(all)*percent/100]
}

// visits are what the other client met: when it asked, since the slice began, and how long the answer took.
type visits struct {
	Began, Took []time.Duration
	Refused     int
}

// abuse is what an abuser did, and until when any connection of it stood.
type abuse struct {
	Sent   int
	Lasted time.Duration
}

// notice is both of one slice.
type notice struct {
	visits
	abuse
}

// role is a process of its own.
type role struct {
	name string
	in   io.WriteCloser
	out  *bufio.Reader
	said bytes.Buffer // what the test in it said; read once it has ended
	over chan struct{}
}

// startRole starts the test that calls it in another role, on one core; yields has it
// leave that to whoever else wants it.
func startRole(t *testing.T, name string, core int, yields bool) *role {
	t.Helper()
	r := &role{name: name, over: make(chan struct{})}
	answers, hers, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.out = bufio.NewReader(answers)
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=5m")
	c.Env = append(os.Environ(), noticeRole+"="+name, "GOMAXPROCS=1")
	c.ExtraFiles = []*os.File{hers}
	c.Stdout, c.Stderr = &r.said, &r.said
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if r.in, err = c.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	started := make(chan error, 1)
	go func() {
		defer close(r.over)
		// Never unlocked: a process begins as the thread that starts it is, and ends with it.
		runtime.LockOSThread()
		err := settle(core, yields)
		if err == nil {
			err = c.Start()
		}
		started <- err
		if err == nil {
			c.Wait()
		}
	}()
	err = <-started
	hers.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.in.Close()
		<-r.over
		answers.Close()
		if !strings.Contains(r.said.String(), "--- PASS: "+t.Name()+" ") {
			t.Errorf("the %s:\n%s", name, &r.said)
		}
	})
	return r
}

// settle has this thread run on one core, and only where nobody else would.
func settle(core int, yields bool) error {
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return err
	}
	if !yields {
		return nil
	}
	const idle = 3 // SCHED_IDLE, sched(7)
	var priority int32
	if _, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, idle, uintptr(unsafe.Pointer(&priority))); errno != 0 {
		return errno
	}
	return nil
}

func (r *role) say(t *testing.T, words ...string) {
	t.Helper()
	if _, err := fmt.Fprintln(r.in, strings.Join(words, " ")); err != nil {
		r.fail(t, err)
	}
}

func (r *role) hear(t *testing.T, into any) {
	t.Helper()
	line, err := r.out.ReadBytes('\n')
	if err == nil && into != nil {
		err = json.Unmarshal(line, into)
	}
	if err != nil {
		r.fail(t, err)
	}
}

func (r *role) ask(t *testing.T, into any, words ...string) {
	t.Helper()
	r.say(t, words...)
	r.hear(t, into)
}

func (r *role) fail(t *testing.T, err error) {
	t.Helper()
	r.in.Close()
	<-r.over
	t.Fatalf("the %s: %v\n%s", r.name, err, &r.said)
}

// answerAll answers what a role is asked until nobody asks any more.
func answerAll(t *testing.T, answer func(words []string) any) {
	out := json.NewEncoder(os.NewFile(noticeFile, "answers"))
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if err := out.Encode(answer(strings.Fields(lines.Text()))); err != nil {
			t.Fatal(err)
		}
	}
}

// visitAll is the other client.
func visitAll(t *testing.T) {
	var p *prober
	answerAll(t, func(words []string) any {
		if words[0] == "open" {
			p = probe2(t, words[1], "127.0.0.60")
			return nil
		}
		p.nc.SetDeadline(time.Now().Add(6 * patience))
		p.fr.WriteWindowUpdate(0, 1<<20) // what it was answered it has read
		refused := p.refused.Load()
		var v visits
		for begun := time.Now(); ; {
			time.Sleep(time.Millisecond)
			asked := time.Now()
			if asked.Sub(begun) > noticeSlice {
				v.Refused = int(p.refused.Load() - refused)
				return v
			}
			if !p.get() {
				t.Fatal("the other client was ended")
			}
			v.Began, v.Took = append(v.Began, asked.Sub(begun)), append(v.Took, time.Since(asked))
		}
	})
}

// abuseAll is who abuses: its connections are there before, as what is asked is what
// frames do.
func abuseAll(t *testing.T) {
	var probers []*prober
	kind := 0
	answerAll(t, func(words []string) any {
		switch words[0] {
		case "open":
			fmt.Sscan(words[2], &kind)
			for range abuserLines {
				probers = append(probers, probe2(t, words[1], words[3]))
			}
			return nil
		case "close":
			for _, p := range probers {
				p.nc.Close()
				<-p.ended
			}
			probers = nil
			return nil
		}
		var a abuse
		for begun := time.Now(); time.Since(begun) < noticeSlice; time.Sleep(5 * time.Millisecond) {
			stands := false
			for _, p := range probers {
				select {
				case <-p.ended:
				default:
					stands = true
					a.Sent += abuses[kind].send(p)
				}
			}
			if !stands {
				break
			}
			a.Lasted = time.Since(begun)
		}
		return a
	})
}
