package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// postman posts as fast as it is answered, over one kept connection.
func (a *author) postman() {
	t := a.Client.Transport.(*http.Transport)
	t.DisableKeepAlives, t.MaxIdleConnsPerHost = false, 1
}

// posts is what posts came to; times are of those that were kept.
type posts struct {
	mu          sync.Mutex
	kept, other map[int]int // by author; by status, 0: no answer
	times       []time.Duration
}

func newPosts() *posts { return &posts{kept: map[int]int{}, other: map[int]int{}} }

func (y *posts) add(author, status int, took time.Duration) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if status == http.StatusAccepted {
		y.kept[author]++
		y.times = append(y.times, took)
		return
	}
	y.other[status]++
}

func (y *posts) all() (n int) {
	for _, k := range y.kept {
		n += k
	}
	return n
}

func (y *posts) p99() time.Duration {
	if len(y.times) == 0 {
		return 0
	}
	slices.Sort(y.times)
	return y.times[len(y.times)*99/100]
}

// bodyOf is a text of n bytes that names who wrote it and when.
func bodyOf(name string, i, n int) string {
	head := fmt.Sprintf("%s-%06d ", name, i)
	return head + strings.Repeat("x", n-len(head))
}

func (a *author) postBody(body string) (status int, took time.Duration) {
	r, err := http.NewRequest("POST", a.users+"/messages", strings.NewReader(body))
	if err != nil {
		return 0, 0
	}
	r.Header.Set("Content-Type", "text/plain")
	at := time.Now()
	answer, err := a.Do(r)
	if err != nil {
		return 0, 0
	}
	answer.Body.Close()
	return answer.StatusCode, time.Since(at)
}

func diskBytes(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			n += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// The platform is down, and everybody writes at once: first as many people as
// this machine bears, for the figures; then holders of bought passes from four
// networks send the longest bodies they may, as fast as they are answered, while
// people go on writing. The flood fills no more than its networks' part, and what
// people send is kept all the same. How many a second, and how long each took, is
// told and not asserted.
func TestFloodAtTheKeptRoute(t *testing.T) {
	const (
		networks    = 4
		perNetwork  = 200 // spool: prefixMessagesMax
		bodyMax     = 64 << 10
		people      = 50
		residentMax = 400 << 20
		messagesFor = 100 // of each sender, so that no quota ends the first part
	)
	crowd, each, long := 100, 50, 5*time.Second
	if os.Getenv("DEICH_EXAM") != "" {
		crowd, each, long = 250, 150, 20*time.Second // no sender has more than 200
	}
	b, i := build(t), newInbox(t)
	p := b.keeping(t, t.TempDir(), i, "")
	writers := make([]*author, crowd)
	for n := range writers {
		writers[n] = newAuthor(t, n, p.users)
		writers[n].postman()
	}
	var flood []*author
	for n := range networks * 8 {
		a := newAuthorFrom(t, from(127, 66, byte(n%networks), byte(n/networks+1)), fmt.Sprintf("f%03d", n), p.users)
		a.postman()
		flood = append(flood, a)
	}
	i.down()

	everybody := newPosts()
	var going sync.WaitGroup
	begun := time.Now()
	for n, a := range writers {
		going.Go(func() {
			for k := 0; k < each && time.Since(begun) < long; k++ {
				status, took := a.postBody(bodyOf(a.name, k, 1024))
				everybody.add(n, status, took)
				if status != http.StatusAccepted {
					time.Sleep(100 * time.Millisecond)
				}
			}
		})
	}
	going.Wait()
	took := time.Since(begun)
	resident := p.metric(t, "process_resident_memory_bytes")
	t.Logf("%d writers of 1 KiB: %d kept in %.1f s, %.0f a second, p99 %v, others by status %v, %.0f MiB resident",
		crowd, everybody.all(), took.Seconds(), float64(everybody.all())/took.Seconds(), everybody.p99().Round(time.Millisecond), everybody.other, resident/(1<<20))
	if everybody.all() < crowd {
		t.Errorf("only %d messages of %d writers were kept", everybody.all(), crowd)
	}

	before := diskBytes(t, p.data)
	attack, calm := newPosts(), newPosts()
	over := make(chan struct{})
	for n, a := range flood {
		going.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-over:
					return
				default:
				}
				status, took := a.postBody(bodyOf(a.name, k, bodyMax))
				attack.add(n, status, took)
				if status != http.StatusAccepted {
					time.Sleep(10 * time.Millisecond) // at most 3,200 attempts a second
				}
			}
		})
	}
	var asked atomic.Int64
	for n, a := range writers[:people] {
		going.Go(func() {
			tick := time.NewTicker(500 * time.Millisecond)
			defer tick.Stop()
			for k := each; ; k++ {
				select {
				case <-over:
					return
				case <-tick.C:
				}
				asked.Add(1)
				status, took := a.postBody(bodyOf(a.name, k, 1024))
				calm.add(n, status, took)
			}
		})
	}
	time.Sleep(long)
	close(over)
	going.Wait()
	grown := diskBytes(t, p.data) - before
	resident = max(resident, p.metric(t, "process_resident_memory_bytes"))
	t.Logf("flood of %d passes from %d networks: %d kept, others by status %v; the folder grew by %d MiB; of %d people's posts %d kept, p99 %v, others by status %v; %.0f MiB resident",
		len(flood), networks, attack.all(), attack.other, grown>>20, asked.Load(), calm.all(), calm.p99().Round(time.Millisecond), calm.other, resident/(1<<20))
	if n := attack.all(); n > networks*perNetwork {
		t.Errorf("%d messages of the flood were kept, more than %d", n, networks*perNetwork)
	}
	if most := int64(networks*perNetwork*(bodyMax+4096) + 32<<20); grown > most {
		t.Errorf("the folder grew by %d bytes, more than %d", grown, most)
	}
	if lost := asked.Load() - int64(calm.all()); float64(lost) > .005*float64(asked.Load()) {
		t.Errorf("of %d people's posts %d were not kept: %v", asked.Load(), lost, calm.other)
	}
	if resident > residentMax {
		t.Errorf("%.0f MiB of memory", resident/(1<<20))
	}

	// Every promise is kept: as many messages as were answered with 202.
	promised := everybody.all() + attack.all() + calm.all()
	if kept := p.metric(t, "deich_spool_kept_total"); int(kept) != promised {
		t.Errorf("%d were promised, %v are kept", promised, kept)
	}
	i.up(t)
	drained(t, b, p)
	arrived := map[string]int{}
	for _, text := range i.has() {
		name, _, _ := strings.Cut(text, " ")
		arrived[name]++
	}
	if len(arrived) != promised {
		t.Errorf("%d were promised, %d arrived", promised, len(arrived))
	}
	for name, n := range arrived {
		if n != 1 {
			t.Errorf("%s arrived %d times", name, n)
		}
	}
}
