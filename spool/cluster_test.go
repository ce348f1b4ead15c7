package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// natsNode is one nats-server on loopback, not in a cluster.
type natsNode struct {
	cmd  *exec.Cmd
	dir  string
	port int
}

func newNode(t *testing.T) *natsNode {
	t.Helper()
	if _, err := exec.LookPath("nats-server"); err != nil {
		const what = "nats-server is not installed (Debian: apt-get install nats-server, or make deps)"
		if os.Getenv("CI") != "" {
			t.Fatal(what)
		}
		t.Skip(what)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &natsNode{dir: t.TempDir(), port: l.Addr().(*net.TCPAddr).Port}
	l.Close()
	n.up(t)
	t.Cleanup(n.down)
	return n
}

func (n *natsNode) up(t *testing.T) {
	t.Helper()
	n.cmd = exec.Command("nats-server", "-a", "127.0.0.1", "-p", fmt.Sprint(n.port), "-js", "-sd", n.dir)
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", n.port))
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func (n *natsNode) down() {
	if n.cmd != nil {
		n.cmd.Process.Signal(syscall.SIGKILL)
		n.cmd.Wait() // it was killed
		n.cmd = nil
	}
}

func (n *natsNode) config() Config {
	return Config{NATS: NATS{Servers: []string{fmt.Sprintf("nats://127.0.0.1:%d", n.port)}}}
}

// heard collects alarms.
type heard struct {
	mu  sync.Mutex
	all []string
}

func (h *heard) alarm(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, err.Error())
}

func (h *heard) says(words string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Contains(strings.Join(h.all, "\n"), words)
}

// edgeOf opens the store of one edge of a cluster.
func (n *natsNode) edgeOf(t *testing.T, secret byte) (*Store, *heard) {
	t.Helper()
	h := new(heard)
	return open(t, t.TempDir(), Options{Config: n.config(), Secret: [32]byte{secret}, Alarm: h.alarm}), h
}

// until waits for what must come.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// What one edge keeps the other knows, shows to its sender, and does not keep again; one of
// them delivers it, in order, and then its text is nowhere.
func TestEdgesShare(t *testing.T) {
	n := newNode(t)
	a, said := n.edgeOf(t, 1)
	b, _ := n.edgeOf(t, 1)
	if !said.says("on 1 of 3 nodes") {
		t.Errorf("nothing was said of the single node: %v", said.all)
	}
	var ids []ID
	for i := range 20 {
		s := []*Store{a, b}[i%2]
		ids = append(ids, put(t, s, letter(uint64(1+i%3), fmt.Sprint("key ", i), fmt.Sprint("text ", i))))
	}
	for i, id := range ids {
		other, who := []*Store{b, a}[i%2], Sender{Pass: uint64(1 + i%3)}
		until(t, "the other edge knows "+id.String(), func() bool { return other.StateOf(id) == Kept })
		if _, _, ok := other.look(id, Sender{Pass: 99}); ok {
			t.Error("a stranger sees a receipt at the other edge")
		}
		if _, now, ok := other.look(id, who); !ok || now.State != Kept {
			t.Errorf("message %d at the other edge: %v, %q", i, ok, now.State)
		}
		if got := bodyOf(t, other, id); got != fmt.Sprint("text ", i) {
			t.Errorf("message %d at the other edge says %q", i, got)
		}
		if again, is, err := other.Put(letter(uint64(1+i%3), fmt.Sprint("key ", i), fmt.Sprint("text ", i))); err != nil || !is || again != id {
			t.Errorf("message %d, sent again at the other edge: %v %v %v", i, again, is, err)
		}
	}
	if _, _, err := b.Put(letter(1, "key 0", "something else")); !errors.Is(err, ErrOtherBody) {
		t.Errorf("the same key with another body, at the other edge: %v", err)
	}
	for _, s := range []*Store{a, b} {
		for i, l := range func() []Line { list, _ := s.List(false); return list }() {
			if l.ID != ids[i] {
				t.Fatalf("message %d is another: the order is lost", i)
			}
		}
	}

	// Nothing of what they say lies readable on the server.
	checked := 0
	filepath.WalkDir(n.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		text, err := os.ReadFile(path)
		if checked++; err != nil || bytes.Contains(text, []byte("text 1")) || bytes.Contains(text, []byte("session=")) || bytes.Contains(text, []byte("example.org")) {
			t.Errorf("%s: %v, or it can be read", path, err)
		}
		return nil
	})
	if checked == 0 {
		t.Error("the server has no files")
	}

	p := newPlatform(t)
	routes, err := NewRoutes(Config{Keep: []Route{*oneRoute()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, s := range []*Store{a, b} {
		c := NewCourier(s, p.way(), func() *Routes { return routes })
		running.Go(func() { c.Run(ctx) })
	}
	until(t, "all is delivered, and both edges know", func() bool { return a.Stats().Waiting+b.Stats().Waiting == 0 })
	if x, y := a.Stats().Courier, b.Stats().Courier; x == y {
		t.Errorf("couriers: %v and %v", x, y)
	}
	stop()
	running.Wait()
	count, last := map[string]int{}, map[int]int{}
	for _, text := range p.has() {
		var i int
		fmt.Sscanf(text, "text %d", &i)
		if count[text]++; i < last[i%3] {
			t.Errorf("%q arrived after text %d", text, last[i%3])
		}
		last[i%3] = i
	}
	if len(count) != len(ids) || len(p.has()) != len(ids) {
		t.Errorf("%d arrived, %d different ones, want %d", len(p.has()), len(count), len(ids))
	}
	for i, id := range ids {
		for _, s := range []*Store{a, b} {
			if w, err := s.Show(id); err != nil || w.State != Delivered || w.Body != nil {
				t.Errorf("message %d: %v, %q, %q", i, err, w.State, w.Body)
			}
		}
		until(t, "the text is erased", func() bool {
			_, err := a.cluster.stream.GetLastMsgForSubject(t.Context(), messageSubject+id.String())
			return errors.Is(err, jetstream.ErrMsgNotFound)
		})
	}

	// An edge that comes later knows all of it.
	late, _ := n.edgeOf(t, 1)
	for i, id := range ids {
		if _, now, ok := late.look(id, Sender{Pass: uint64(1 + i%3)}); !ok || now.State != Delivered {
			t.Errorf("message %d at a new edge: %v, %q", i, ok, now.State)
		}
	}
}

// One key sent to both edges at once is one message.
func TestOneKeyAtTwoEdgesIsOneMessage(t *testing.T) {
	n := newNode(t)
	a, _ := n.edgeOf(t, 1)
	b, _ := n.edgeOf(t, 1)
	for round := range 20 {
		var both sync.WaitGroup
		var ids [2]ID
		for i, s := range []*Store{a, b} {
			both.Go(func() {
				var err error
				if ids[i], _, err = s.Put(letter(uint64(round+1), "key", "text")); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if ids[0] != ids[1] {
			t.Errorf("round %d: two messages, %v and %v", round, ids[0], ids[1])
		}
	}
	until(t, "both have all", func() bool { return a.Stats().Waiting == 20 && b.Stats().Waiting == 20 })
}

// Of two edges that want one message one has it, and the other is told so.
func TestOneClaimHolds(t *testing.T) {
	n := newNode(t)
	a, _ := n.edgeOf(t, 1)
	b, _ := n.edgeOf(t, 1)
	for round := range 20 {
		id := put(t, a, letter(uint64(round+1), "", "text"))
		until(t, "the other knows", func() bool { return b.StateOf(id) == Kept })
		var both sync.WaitGroup
		var errs [2]error
		for i, s := range []*Store{a, b} {
			both.Go(func() {
				errs[i] = s.change(s.entry(id), func(n *Entry) { n.State, n.Doubt = Delivering, true })
			})
		}
		both.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs[:]...), errOvertaken) {
			t.Fatalf("round %d: %v and %v", round, errs[0], errs[1])
		}
		first, second := a, b
		if errs[0] != nil {
			first, second = b, a
		}
		until(t, "whoever lost hears of it", func() bool { return second.StateOf(id) == Delivering })
		second.mu.Lock()
		if !second.elsewhere(second.entries[id]) {
			t.Error("it is not known to be elsewhere")
		}
		second.mu.Unlock()
		if err := second.Drop(id); !errors.Is(err, errBusy) {
			t.Errorf("dropped while another edge has it: %v", err)
		}
		NewCourier(first, Way{}, nil).delivered(first.entry(id), Answer{Status: 201})
		until(t, "it is delivered", func() bool { return second.StateOf(id) == Delivered })
	}
}

// A claim that nobody acknowledged and that turns up later leaves no doubt: nothing was sent. So
// it is where others came after it, of which nobody knows either.
func TestAClaimThatTurnsUpLater(t *testing.T) {
	n := newNode(t)
	s, _ := n.edgeOf(t, 1)
	for i := range 2 {
		id := put(t, s, letter(uint64(1+i), "", "text"))
		e := s.entry(id)
		claim := e.Entry
		claim.State, claim.Doubt, claim.By = Delivering, true, s.cluster.edge
		n.down()
		for range i + 1 {
			if err := s.change(e, func(n *Entry) { n.State, n.Doubt = Delivering, true }); !errors.Is(err, errUnsure) {
				t.Fatalf("a claim without a cluster: %v", err)
			}
		}
		s.mu.Lock()
		first, all := e.far.unsent[0], len(e.far.unsent)
		s.mu.Unlock()
		if all != i+1 {
			t.Errorf("%d claims are remembered, want %d", all, i+1)
		}
		n.up(t)
		until(t, "the cluster is there", func() bool { return s.Stats().Keeping })
		if _, _, err := s.cluster.write(t.Context(), stateSubject+id.String(), first, claim.marshal(), 0); err != nil {
			t.Fatal(err)
		}
		until(t, "it was heard of", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return e.far.rev != 0 })
		s.mu.Lock()
		if e.State != Kept || e.Doubt {
			t.Errorf("after %d claims it is %s, in doubt %v", i+1, e.State, e.Doubt)
		}
		s.mu.Unlock()
		if err := s.change(e, func(n *Entry) { n.State = Delivering }); err != nil {
			t.Errorf("and cannot be claimed again: %v", err)
		}
	}
}

// A message whose sender was told that it is not kept is taken back where it comes to be there.
func TestTakenBack(t *testing.T) {
	n := newNode(t)
	a, _ := n.edgeOf(t, 1)
	b, _ := n.edgeOf(t, 1)
	m := letter(1, "", "text")
	e, rest, err := a.entryOf(m)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.takeBack(e.ID)
	b.mu.Unlock()
	if _, _, err := a.cluster.write(t.Context(), messageSubject+e.ID.String(), e.ID.String(), pack(&e.Entry, rest), 0); err != nil {
		t.Fatal(err)
	}
	until(t, "it is given up", func() bool { return a.StateOf(e.ID) == Expired })
	if st := a.Stats(); st.Waiting != 0 || st.Bytes != 0 {
		t.Errorf("%+v", st)
	}
}

// Without the cluster nothing is kept, that is said, and what is known stays; it goes on
// by itself.
func TestTheClusterGoesAndComes(t *testing.T) {
	n := newNode(t)
	s, said := n.edgeOf(t, 1)
	id := put(t, s, letter(1, "key", "text"))
	if !s.Stats().Keeping {
		t.Fatal("nothing is kept")
	}
	n.down()
	until(t, "it is noticed", func() bool { return !s.Stats().Keeping })
	began := time.Now()
	if _, _, err := s.Put(letter(2, "", "text")); !errors.Is(err, ErrDisk) {
		t.Errorf("kept without a cluster: %v", err)
	}
	if took := time.Since(began); took > putWait+clusterWait {
		t.Errorf("told after %v", took)
	}
	until(t, "it is said", func() bool { return said.says("nothing is kept for now") })
	if s.StateOf(id) != Kept {
		t.Errorf("what was kept is %q", s.StateOf(id))
	}
	n.up(t)
	until(t, "it keeps again", func() bool { return s.Stats().Keeping })
	put(t, s, letter(2, "", "text"))
	if got := bodyOf(t, s, id); got != "text" {
		t.Errorf("it says %q", got)
	}
}

// A Deich starts without its cluster, and keeps once that is there.
func TestTheClusterComesLater(t *testing.T) {
	n := newNode(t)
	a, _ := n.edgeOf(t, 1)
	id := put(t, a, letter(1, "", "text"))
	n.down()
	began := time.Now()
	b, said := n.edgeOf(t, 1)
	if took := time.Since(began); took > clusterStart+time.Second {
		t.Errorf("the start took %v", took)
	}
	if b.Stats().Keeping || !said.says("nothing is kept until it does") {
		t.Errorf("keeping %v; said %v", b.Stats().Keeping, said.all)
	}
	n.up(t)
	until(t, "it keeps, and knows what is there", func() bool { return b.Stats().Keeping && b.StateOf(id) == Kept })
}

// An edge whose folder cannot be read keeps on the cluster, and says that what lies there does not go out.
func TestAnEdgeWithoutItsFolder(t *testing.T) {
	n := newNode(t)
	dir := t.TempDir()
	open(t, dir, Options{}).Close()
	if err := os.Mkdir(filepath.Join(dir, segmentName(99)), 0o700); err != nil { // a folder is no file that can be read
		t.Fatal(err)
	}
	var said heard
	s := open(t, dir, Options{Config: n.config(), Alarm: said.alarm})
	until(t, "the cluster is there", s.cluster.keeps)
	put(t, s, letter(1, "", "text"))
	if st := s.Stats(); st.Keeping || !st.Unread || !said.says("lie there undelivered") || said.says("nothing is kept") {
		t.Errorf("keeping %v, unread %v; said %q", st.Keeping, st.Unread, said.all)
	}
}

// An edge with another pass.keys keeps and delivers nothing, and says why.
func TestOtherKeys(t *testing.T) {
	n := newNode(t)
	a, _ := n.edgeOf(t, 1)
	put(t, a, letter(1, "", "text"))
	b, said := n.edgeOf(t, 2)
	until(t, "it is said", func() bool { return said.says("pass.keys") })
	if _, _, err := b.Put(letter(1, "", "text")); !errors.Is(err, ErrDisk) || b.Stats().Keeping || b.Stats().Receipts != 0 {
		t.Errorf("%v, %+v", err, b.Stats())
	}
}

func TestVault(t *testing.T) {
	v := newVault([32]byte{1})
	one := v.seal("subject", []byte("text"))
	if got, err := v.open("subject", one); err != nil || string(got) != "text" {
		t.Errorf("%q, %v", got, err)
	}
	if bytes.Equal(one, v.seal("subject", []byte("text"))) {
		t.Error("the same text is sealed twice alike")
	}
	if _, err := v.open("another", one); !errors.Is(err, errDamaged) {
		t.Errorf("under another subject: %v", err)
	}
	if _, err := newVault([32]byte{2}).open("subject", one); !errors.Is(err, errForeign) {
		t.Errorf("with another secret: %v", err)
	}
	for at := range one {
		b := bytes.Clone(one)
		b[at] ^= 1
		if _, err := v.open("subject", b); err == nil {
			t.Errorf("flipped at byte %d: opened", at)
		}
		if _, err := v.open("subject", one[:at]); err == nil {
			t.Errorf("cut at byte %d: opened", at)
		}
	}
}

func TestNATSIsValidated(t *testing.T) {
	for _, c := range []struct {
		n    NATS
		want string
	}{
		{NATS{}, ""},
		{NATS{Servers: []string{"nats://10.0.0.1:4222", "tls://u:p@n.example.org:4222"}, CA: "ca.pem"}, ""},
		{NATS{CA: "ca.pem"}, "nats.servers"},
		{NATS{Servers: []string{"10.0.0.1:4222"}}, "nats.servers[0]"},
		{NATS{Servers: []string{"nats://10.0.0.1"}}, "nats.servers[0]"},
		{NATS{Servers: []string{"nats://u:secret@10.0.0.1/x"}}, "nats.servers[0]"},
	} {
		err := Config{NATS: c.n}.Defaults().Validate()
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%+v: %v, want %q", c.n, err, c.want)
		}
	}
}
