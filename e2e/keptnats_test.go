package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// natsNode is one server of a cluster on loopback.
type natsNode struct {
	name string
	url  string
	cmd  *exec.Cmd
	once sync.Once
}

// kill ends it as a loss of power does, but for what the kernel holds.
func (n *natsNode) kill() {
	n.once.Do(func() {
		n.cmd.Process.Signal(syscall.SIGKILL)
		n.cmd.Wait() // it was killed
	})
}

// natsCluster starts three servers that know each other.
func natsCluster(t *testing.T) (nodes []*natsNode) {
	t.Helper()
	need(t, "nats-server", "nats-server")
	var routes []string
	var ports, links [3]int
	for i := range ports {
		ports[i], links[i] = freePort(t), freePort(t)
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", links[i]))
	}
	for i := range ports {
		dir := t.TempDir()
		n := &natsNode{name: fmt.Sprint("node", i), url: fmt.Sprintf("nats://127.0.0.1:%d", ports[i])}
		file := filepath.Join(dir, "nats.conf")
		writeFile(t, file, fmt.Sprintf(`server_name: %s
listen: "127.0.0.1:%d"
jetstream { store_dir: %q, max_mem: 64MB, max_file: 1GB }
cluster { name: deich, listen: "127.0.0.1:%d", routes: [%s] }
`, n.name, ports[i], dir, links[i], strings.Join(routes, ", ")))
		log, err := os.Create(filepath.Join(dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		n.cmd = exec.Command("nats-server", "-c", file)
		n.cmd.Stdout, n.cmd.Stderr = log, log
		if err := n.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		log.Close()
		t.Cleanup(func() {
			n.kill()
			if text, err := os.ReadFile(filepath.Join(dir, "log")); t.Failed() && err == nil {
				t.Logf("%s said:\n%s", n.name, text)
			}
		})
		nodes = append(nodes, n)
	}
	return nodes
}

// leader gives the node that leads the stream of kept messages, and on how many it lies.
func leader(t *testing.T, nodes []*natsNode) (lead *natsNode, replicas int) {
	t.Helper()
	c, err := nats.Connect(nodes[0].url + "," + nodes[1].url + "," + nodes[2].url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	js, err := jetstream.New(c)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "DEICH_SPOOL")
	if err != nil {
		t.Fatal(err)
	}
	is := stream.CachedInfo()
	for _, n := range nodes {
		if n.name == is.Cluster.Leader {
			return n, is.Config.Replicas
		}
	}
	t.Fatalf("no node is called %q", is.Cluster.Leader)
	return nil, 0
}

// sharing starts one edge of a cluster.
func (b binary) sharing(t *testing.T, dir string, i *inbox, nodes []*natsNode) *process {
	t.Helper()
	file := filepath.Join(dir, "deich.yaml")
	writeFile(t, file, fmt.Sprintf(`listen: ["http://127.0.0.1:0"]
sites:
  - origins: ["http://%s"]
console: 127.0.0.1:0
data: state
spool:
  keep:
    - route: POST /messages
  nats:
    servers: [%q, %q, %q]
`, i.addr, nodes[0].url, nodes[1].url, nodes[2].url))
	return b.start(t, filepath.Join(dir, "state"), "run", "--config", file)
}

// rover is an author whose site has several edges, and who changes between them.
type rover struct {
	*author
	edge atomic.Pointer[string]
}

func newRover(t *testing.T, n int, edge *process) *rover {
	t.Helper()
	r := new(rover)
	r.at(edge)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 20, byte(n), 1)}, Timeout: 2 * time.Second}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, *r.edge.Load())
	}
	c := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}, Timeout: 20 * time.Second, Jar: jar}
	r.author = &author{Client: c, name: fmt.Sprintf("a%03d", n), users: "http://edges.example"}
	answer, _ := request(t, c, "GET", r.users+"/", "", "Accept", "text/html")
	if len(answer.Cookies()) == 0 {
		t.Fatalf("%s has no pass: %s", r.name, answer.Status)
	}
	return r
}

func (r *rover) at(p *process) {
	host := strings.TrimPrefix(p.users, "http://")
	r.edge.Store(&host)
}

// soon waits for what must come within a span.
func soon(t *testing.T, within time.Duration, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// Two edges keep their messages on three nodes. While these are delivered, the edge that
// does it and the node that leads are killed: nothing is lost, nothing arrives twice, and
// whoever changes edges reads the receipt at the other one.
func TestTwoEdgesShareWhatTheyKeep(t *testing.T) {
	nodes := natsCluster(t)
	b, i := build(t), newInbox(t)
	dirs := []string{t.TempDir(), t.TempDir()}
	first := b.sharing(t, dirs[0], i, nodes)
	keys, err := os.ReadFile(filepath.Join(dirs[0], "state", "pass.keys"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dirs[1], "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dirs[1], "state", "pass.keys"), string(keys))
	edges := []*process{first, b.sharing(t, dirs[1], i, nodes)}
	soon(t, 30*time.Second, "both edges keep messages, and one delivers", func() bool {
		return edges[0].metric(t, "deich_spool_keeping")+edges[1].metric(t, "deich_spool_keeping") == 2 &&
			edges[0].metric(t, "deich_spool_courier")+edges[1].metric(t, "deich_spool_courier") == 1
	})
	if _, replicas := leader(t, nodes); replicas != 3 {
		t.Fatalf("each message lies on %d nodes", replicas)
	}

	const people, each, late = 12, 12, 4
	var rovers []*rover
	for n := range people + late {
		rovers = append(rovers, newRover(t, n, edges[n%2]))
	}
	i.down()
	var mu sync.Mutex
	accepted, served := map[string]string{}, map[string]bool{} // text to receipt; text
	owner := map[string]*rover{}
	var going sync.WaitGroup
	for n, r := range rovers[:people] {
		going.Go(func() {
			for k := range each {
				r.at(edges[(n+k)%2])
				text, status, receipt, err := r.post(true)
				if err != nil || status != 202 {
					t.Errorf("%s: %d, %v: want 202", text, status, err)
					return
				}
				mu.Lock()
				accepted[text], owner[text] = receipt, r
				mu.Unlock()
			}
		})
	}
	going.Wait()
	if t.Failed() {
		return
	}
	// The other edge shows each receipt to its sender, and to nobody else.
	looked := 0
	for text, receipt := range accepted {
		if looked++; looked > 2*people {
			break
		}
		r := owner[text]
		for n, p := range edges {
			r.at(p)
			soon(t, 5*time.Second, fmt.Sprintf("edge %d knows %s", n, text), func() bool {
				state, _ := r.receiptState(t, receipt)
				return state == "kept"
			})
		}
		if looked <= 5 {
			if state, _ := rovers[people].receiptState(t, receipt); state != "" {
				t.Errorf("%s can read the receipt of %s", rovers[people].name, text)
			}
		}
	}

	// The platform is back, slowly; some go on writing.
	var flying atomic.Int64
	i.act(func(w http.ResponseWriter, store func()) bool {
		flying.Add(1)
		defer flying.Add(-1)
		time.Sleep(150 * time.Millisecond)
		store()
		w.WriteHeader(http.StatusCreated)
		return true
	})
	i.up(t)
	stop := make(chan struct{})
	for n, r := range rovers[people:] {
		going.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				case <-time.After(300 * time.Millisecond):
				}
				r.at(edges[(n+k)%2])
				text, status, receipt, err := r.post(true)
				mu.Lock()
				switch {
				case err != nil:
				case status == 202:
					accepted[text], owner[text] = receipt, r
				case status == 201:
					served[text] = true
				}
				mu.Unlock()
			}
		})
	}
	soon(t, 30*time.Second, "the delivery is under way", func() bool { return len(i.has()) >= people*each/4 })
	courier, other := edges[0], edges[1]
	if other.metric(t, "deich_spool_courier") == 1 {
		courier, other = other, courier
	}
	lead, _ := leader(t, nodes)
	soon(t, 10*time.Second, "several are on their way", func() bool { return flying.Load() >= 3 })
	courier.signal(t, syscall.SIGKILL)
	lead.kill()
	before, away := len(i.has()), flying.Load()
	killed := time.Now()
	if before >= people*each {
		t.Fatal("all was delivered before anything was killed")
	}
	soon(t, 45*time.Second, "the other edge delivers the rest", func() bool {
		return other.metric(t, "deich_spool_courier") == 1 && other.metric(t, "deich_spool_waiting") < 5
	})
	took := time.Since(killed)
	close(stop)
	going.Wait()
	soon(t, 30*time.Second, "nothing waits any more", func() bool { return other.metric(t, "deich_spool_waiting") == 0 })

	count, ordered := map[string]int{}, []string{}
	for _, text := range i.has() {
		if count[text]++; strings.Compare(text, rovers[people].name) < 0 {
			ordered = append(ordered, text)
		}
	}
	inOrder(t, ordered)
	states := map[string]int{}
	for text, receipt := range accepted {
		r := owner[text]
		r.at(other)
		state, kept := r.receiptState(t, receipt)
		states[state]++
		switch {
		case state == "delivered" && count[text] != 1:
			t.Errorf("%s is delivered and there %d times", text, count[text])
		case state == "unconfirmed" && (kept != text || count[text] > 1):
			t.Errorf("%s is unconfirmed, there %d times, and its text is %q", text, count[text], kept)
		case state != "delivered" && state != "unconfirmed":
			t.Errorf("%s: its receipt says %q", text, state)
		}
	}
	for text := range served {
		if count[text] != 1 {
			t.Errorf("%s was answered with 201 and is there %d times", text, count[text])
		}
	}
	for text, n := range count {
		if n > 1 {
			t.Errorf("%s arrived %d times", text, n)
		}
	}
	if n := states["unconfirmed"]; n > 2*16 { // what each of two couriers may have on its way
		t.Errorf("%d are unconfirmed", n)
	}
	if other.metric(t, "deich_spool_keeping") != 1 {
		t.Error("with two of three nodes nothing is kept")
	}
	t.Logf("%d kept, %d had arrived before the kills and %d were on their way; the other edge had delivered the rest %v later: %v; %d served at once", len(accepted), before, away, took.Round(100*time.Millisecond), states, len(served))
}
