package deich

import (
	"bytes"
	"container/heap"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write the golden texts anew")

// TestStories tells situations to an engine and compares its verdicts with the
// golden text. A story is a file of commands, each followed by what it
// printed:
//
//	engine sources=4096 limit_max=512
//	origin cores=1 service=3ms        the platform behind: cores that share their work
//	group NAME rate=20 clients=20 [net=10.1.0.0/16] [pass=3m] [cred] [api|asset|post] [route=1] [from=..]
//	lag NAME 200ms                    what this group asks for takes so much longer, and costs no more
//	causes                            why the origin suffers, and its segments
//	run 5s                            lets every group ask at its rate; a line a group
//	stop NAME                         the group goes home
//	connections [empty=9000 shaken=2000]   so many are left without a request each second from now on
//	ask client=192.0.2.1 [pass=3m] [api|asset|post] [place=2s]   one request, one verdict
//	list allow|deny ADDRESS|PATH, bypass 10s
//	restart [forgets]                 another engine, with what this one saved or without
//
// Rewrite them with: go test . -run Stories -rewrite
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := tell(t, string(want))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(want) {
				t.Errorf("the story has changed; told now:\n%s", got)
			}
		})
	}
}

// tell runs the commands of a story (lines that begin with a letter) and gives
// the story with what they print now (lines that begin with a tab).
func tell(t *testing.T, text string) string {
	s := &story{t: t, now: Time(1000 * time.Hour), out: NewOut(), cores: 1, service: 3 * time.Millisecond}
	var b bytes.Buffer
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "\t") {
			continue
		}
		b.WriteString(line)
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		for l := range strings.Lines(s.do(strings.Fields(line))) {
			b.WriteString("\t" + l)
		}
	}
	return b.String()
}

type story struct {
	t       *testing.T
	e       *Engine
	now     Time
	out     *Out
	cores   int
	service time.Duration
	groups  []*storyGroup
	told    []string
	left    Connections // each second

	connected Connections

	busy    map[Ticket]*storyWork // at the origin
	waiting map[Ticket]*storyWork
}

type storyGroup struct {
	name    string
	rate    float64
	clients uint32
	req     Request
	net     netip.Prefix
	age     time.Duration
	holds   bool
	place   time.Duration
	lag     time.Duration
	gone    bool
	owed    float64
	n       uint32
	acts    [acts]int
	lots    int
	served  int
	judged  int
	sum     int // of ranks
	asked   int
}

type storyWork struct {
	g       *storyGroup
	left    float64 // seconds of work
	since   Time
	ticket  Ticket
	ordinal int
}

func (s *story) do(words []string) string {
	args := map[string]string{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		args[k] = v
	}
	switch words[0] {
	case "engine":
		p := Policy{Sources: 4096}
		if n, err := strconv.Atoi(args["sources"]); err == nil {
			p.Sources = n
		}
		_, p.Observe = args["observe"]
		_, p.NoChallenge = args["no_challenge"]
		e, err := New(p, [32]byte{1})
		if err != nil {
			return err.Error() + "\n"
		}
		s.e, s.busy, s.waiting = e, map[Ticket]*storyWork{}, map[Ticket]*storyWork{}
	case "origin":
		s.cores = int(s.number(args["cores"]))
		s.service = s.span(args["service"])
	case "group":
		s.groups = append(s.groups, s.group(words[1], args))
	case "stop":
		for _, g := range s.groups {
			g.gone = g.gone || g.name == words[1]
		}
	case "connections":
		s.left = Connections{Processors: 2}
		for name, n := range map[string]*uint64{"empty": &s.left.Empty, "shaken": &s.left.Shaken} {
			if v, ok := args[name]; ok {
				*n = uint64(s.number(v))
			}
		}
	case "lag":
		for _, g := range s.groups {
			if g.name == words[1] {
				g.lag = s.span(words[2])
			}
		}
	case "causes":
		j := s.e.Cause(0)
		text := fmt.Sprintf("the origin: %v\n", j.Cause)
		for _, term := range j.Terms {
			if s.left.Processors > 0 && term.Weight != 0 {
				text += fmt.Sprintf("%s %.0f, weight %.1f\n", term.Name, term.Value, term.Weight)
			}
		}
		for _, g := range s.e.Segments(0) {
			name := "the rest"
			if g.Route != 0 {
				name = fmt.Sprintf("route %d", g.Route)
			}
			text += fmt.Sprintf("%s: %v\n", name, g.Cause)
		}
		return text
	case "run":
		return s.run(s.span(words[1]))
	case "ask":
		g := s.group("one", args)
		r := s.request(g)
		return verdictText(s.e.Decide(&r)) + "\n"
	case "list":
		h := Hand{}
		if err := h.Act.UnmarshalText([]byte(words[1])); err != nil {
			return err.Error() + "\n"
		}
		if p, err := netip.ParsePrefix(words[2]); err == nil {
			h.Prefix = p
		} else if a, err := netip.ParseAddr(words[2]); err == nil {
			h.Prefix = netip.PrefixFrom(a, a.BitLen())
		} else {
			h.Path = words[2]
		}
		id, err := s.e.List(s.now, h)
		if err != nil {
			return err.Error() + "\n"
		}
		return fmt.Sprintf("id %d\n", id)
	case "undo":
		return fmt.Sprintf("%v\n", s.e.Undo(s.now, uint32(s.number(words[1])), s.out))
	case "restart":
		e, err := New(*s.e.policy.Load(), [32]byte{1})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(words) < 2 {
			if err := e.Load(s.e.Save(nil), s.now); err != nil {
				return err.Error() + "\n"
			}
		}
		s.e, s.busy, s.waiting = e, map[Ticket]*storyWork{}, map[Ticket]*storyWork{}
	case "bypass":
		s.e.Bypass(s.now.Add(s.span(words[1])))
	default:
		s.t.Fatalf("no command %q", words[0])
	}
	return ""
}

func (s *story) number(w string) float64 {
	n, err := strconv.ParseFloat(w, 64)
	if err != nil {
		s.t.Fatalf("number %q: %v", w, err)
	}
	return n
}

func (s *story) span(w string) time.Duration {
	d, err := time.ParseDuration(w)
	if err != nil {
		s.t.Fatal(err)
	}
	return d
}

func (s *story) group(name string, args map[string]string) *storyGroup {
	g := &storyGroup{name: name, clients: 1, net: netip.MustParsePrefix("10.0.0.0/8")}
	if v, ok := args["rate"]; ok {
		g.rate = s.number(v)
	}
	if v, ok := args["clients"]; ok {
		g.clients = uint32(s.number(v))
	}
	if v, ok := args["net"]; ok {
		g.net = netip.MustParsePrefix(v)
	}
	if v, ok := args["client"]; ok {
		g.net = netip.PrefixFrom(netip.MustParseAddr(v), 32)
	}
	if v, ok := args["pass"]; ok {
		g.age, g.holds = s.span(v), true
	}
	if v, ok := args["place"]; ok {
		g.place = s.span(v)
	}
	g.req.Safe = true
	for word, kind := range map[string]Kind{"api": API, "asset": Asset, "stream": Stream} {
		if _, ok := args[word]; ok {
			g.req.Kind = kind
		}
	}
	if _, ok := args["post"]; ok {
		g.req.Safe = false
	}
	if _, ok := args["cred"]; ok {
		g.req.Credential = 77
	}
	g.req.Path = "/"
	if v, ok := args["route"]; ok {
		g.req.Route = uint16(s.number(v))
	}
	if v, ok := args["path"]; ok {
		g.req.Path = v
	}
	if g.holds {
		g.req.Pass = Pass{ID: 1, First: s.now.Add(-g.age)}
	}
	return g
}

// request makes the group's next one: its clients take turns.
func (s *story) request(g *storyGroup) Request {
	r := g.req
	n := g.n % g.clients
	g.n++
	a := g.net.Masked().Addr().As16()
	if g.net.Addr().Is4() {
		base := g.net.Addr().As4()
		if g.net.Bits() < 32 {
			base[1] ^= byte(n >> 16)
			base[2] ^= byte(n >> 8)
			base[3] ^= byte(n)
		}
		r.Client = netip.AddrFrom4(base)
	} else {
		a[6] ^= byte(n >> 8)
		a[7] ^= byte(n)
		r.Client = netip.AddrFrom16(a)
	}
	r.At, r.Peer, r.Validated = s.now, r.Client, true
	if g.holds {
		r.Pass.ID = (uint64(n)<<8 + uint64(g.name[0]) + 1) * 0x9e3779b97f4a7c15
	}
	if g.place != 0 {
		r.Place = uint64(s.now.Add(-g.place))
	}
	return r
}

func verdictText(v Verdict) string {
	text := fmt.Sprintf("%v %v: %v ranked %d, cut line %d", v.Act, v.Reason, v.Tier, v.Rank, v.Cut)
	if v.RetryAfter > 0 {
		text += fmt.Sprintf(", come back in %v", v.RetryAfter.Round(time.Second/10))
	}
	if v.Reason == Observed {
		text += fmt.Sprintf(", would %v", v.Would)
	}
	return text
}

// events is the order in which things happen within a run: arrivals and
// finished work, by time.
type events []event

type event struct {
	at Time
	n  int
	g  *storyGroup
}

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].n < e[j].n
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any     { x := (*e)[len(*e)-1]; *e = (*e)[:len(*e)-1]; return x }

// run lets time pass in millisecond steps: the origin's cores share the work
// in hand, finished work is Done, groups ask at their rate.
func (s *story) run(d time.Duration) string {
	const step = time.Millisecond
	s.told = nil
	for _, g := range s.groups {
		g.acts, g.lots, g.served, g.asked, g.sum, g.judged = [acts]int{}, 0, 0, 0, 0, 0
	}
	var q events
	for end := s.now.Add(d); s.now < end; s.now = s.now.Add(step) {
		for i, g := range s.groups {
			if g.gone {
				continue
			}
			for g.owed += g.rate * step.Seconds(); g.owed >= 1; g.owed-- {
				heap.Push(&q, event{s.now, i, g})
			}
		}
		for q.Len() > 0 {
			s.ask(heap.Pop(&q).(event).g)
		}
		s.work(step)
		if s.left.Processors > 0 && s.now%Time(time.Second) == 0 {
			c := &s.connected
			c.Empty, c.Shaken, c.Processors = c.Empty+s.left.Empty, c.Shaken+s.left.Shaken, 2
			s.e.Connected(s.now, *c)
		}
		if s.now/Time(step)%Time(TickEvery/step) == 0 {
			s.e.Tick(s.now, s.out)
			s.woken()
		}
	}
	var b strings.Builder
	for _, line := range s.told {
		b.WriteString(line + "\n")
	}
	for _, g := range s.groups {
		if g.asked == 0 {
			continue
		}
		fmt.Fprintf(&b, "%-10s asked %5d, served %5.1f %%, rank %3d:", g.name, g.asked, 100*float64(g.served)/float64(g.asked), g.sum/g.asked)
		for a, n := range g.acts {
			if n > 0 {
				fmt.Fprintf(&b, " %v %d", Act(a), n)
			}
		}
		if g.lots > 0 {
			fmt.Fprintf(&b, " (by lot %d)", g.lots)
		}
		b.WriteString("\n")
	}
	p := s.e.Pulse(0)
	fmt.Fprintf(&b, "limit %.0f, cut line %d, pressure %v\n", p.Limit, p.Cut, p.Pressure)
	return b.String()
}

func (s *story) ask(g *storyGroup) {
	r := s.request(g)
	v := s.e.Decide(&r)
	s.connected.Asked++ // each by a connection of its own
	g.asked++
	g.sum += int(v.Rank)
	if v.Reason == Lottery {
		g.lots++
	}
	if v.Act != Allow {
		g.acts[v.Act]++
		return
	}
	t, state, why := s.e.Enter(s.now, &r, v, s.out)
	w := &storyWork{g: g, left: s.service.Seconds(), since: s.now, ticket: t, ordinal: len(s.busy)}
	switch state {
	case Admitted:
		g.acts[Allow]++
		s.busy[t] = w
	case Queued:
		s.waiting[t] = w
	default:
		g.acts[s.e.Turn(&r, v, why).Act]++
	}
	s.woken()
}

// woken carries out what the engine handed back.
func (s *story) woken() {
	for _, w := range s.out.Wakes {
		work := s.waiting[w.Ticket]
		delete(s.waiting, w.Ticket)
		if w.State == Admitted {
			work.g.acts[Allow]++
			work.since = s.now
			s.busy[w.Ticket] = work
		} else {
			r := s.request(work.g)
			work.g.n--
			work.g.acts[s.e.Turn(&r, Verdict{}, w.Reason).Act]++
		}
	}
	for _, ev := range s.out.Events {
		if ev.Kind != SourceJudged {
			what := ev.Kind.String()
			switch ev.Kind {
			case CauseNamed:
				what = "cause " + ev.Cause.String()
			case SegmentNamed:
				what = fmt.Sprintf("route %d: %v", ev.Route, ev.Cause)
			}
			s.told = append(s.told, fmt.Sprintf("%s after %v", what, time.Duration(ev.At-Time(1000*time.Hour)).Round(100*time.Millisecond)))
		}
	}
	if n := len(s.out.Orders); n > 0 && (len(s.told) == 0 || !strings.HasPrefix(s.told[len(s.told)-1], "orders")) {
		s.told = append(s.told, fmt.Sprintf("orders against %v and others", s.out.Orders[0].Prefix.Masked()))
	}
	s.out.Reset()
}

// work shares the cores among what is at the origin (processor sharing).
func (s *story) work(step time.Duration) {
	if len(s.busy) == 0 {
		return
	}
	computing := 0
	for _, w := range s.busy {
		if w.left > 1e-9 {
			computing++
		}
	}
	share := step.Seconds() * min(1, float64(s.cores)/float64(max(computing, 1)))
	var finished []*storyWork
	for _, w := range s.busy {
		if w.left > 1e-9 {
			w.left -= share
		}
		if w.left <= 1e-9 && s.now.Sub(w.since) >= w.g.lag {
			finished = append(finished, w)
		}
	}
	// A map has no order; tickets do.
	for i := range finished {
		for j := i + 1; j < len(finished); j++ {
			if finished[j].ticket < finished[i].ticket {
				finished[i], finished[j] = finished[j], finished[i]
			}
		}
	}
	for _, w := range finished {
		delete(s.busy, w.ticket)
		w.g.served++
		s.e.Done(s.now, w.ticket, Outcome{Status: 200, Wait: s.now.Sub(w.since) + step}, s.out)
		s.woken()
	}
}
