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
	"syscall"
	"testing"
	"time"
)

// What a soak is made of.
const (
	// soakShort is its length without DEICH_SOAK.
	soakShort = 20 * time.Second
	// soakRateMax bounds the requests a second, soakUsersMax the users that
	// send them, each soakGap apart.
	soakRateMax  = 3000
	soakUsersMax = 1500
	soakGap      = 500 * time.Millisecond
	// probeFor is how long each step of the ramp takes that finds what this
	// machine serves.
	probeFor = 1500 * time.Millisecond
	// floodRate is how many requests a second a flood sends from floodSources
	// addresses: six times what the origin can search.
	floodRate, floodSources = 600, 4000
	// calmAfter is how long after a flood nobody is asked for more than that
	// known users are served; then strangers are, too, once no rule is in force.
	calmAfter = 5 * time.Second
	// knownAfter is how long a user has been there before it counts as known.
	knownAfter = 10 * time.Second
	// waitedMost is the largest share of known users' requests, and of newcomers',
	// that may be told to wait in peace: while the machine itself stands still
	// for a moment, or others take it, what comes meanwhile does not fit.
	waitedMost = .02
	// lateBy is by how much a timer of this process comes late where others take
	// the machine: what does not fit then is no fault of Deich's, and a short
	// soak only tells it.
	lateBy = 100 * time.Millisecond
	// shortRate bounds the requests a second of a short soak, whose machine has
	// other tests to run.
	shortRate = 200
	// keptInFlood is the least share of known users' requests that are served
	// while a flood runs.
	keptInFlood = .95
	// restWithin is how long the process may take to be as it was before the
	// load: the origin's connections are kept for half a minute.
	restWithin = 90 * time.Second
)

// growth is by how much the median of the last fifth may be above that of the
// second: a part of it and some more. After an hour at 1,000 requests a second
// one goroutine or descriptor left behind in 20,000 requests is above it, or
// ten bytes in each.
// A short soak has its first flood between the two, and may not have collected
// garbage since.
var growth = []tolerance{
	{"goroutines", "", func(s *sample) float64 { return s.Goroutines }, .10, 24, 24},
	{"descriptors", "", func(s *sample) float64 { return s.Descriptors }, .10, 24, 24},
	{"live heap", "MiB", func(s *sample) float64 { return s.Live / (1 << 20) }, .10, 16, 48},
	{"resident memory", "MiB", func(s *sample) float64 { return s.Resident / (1 << 20) }, .10, 48, 96},
}

type tolerance struct {
	name, unit            string
	of                    func(*sample) float64
	part, more, shortMore float64
}

// allowed is what the last fifth may be after a second one of early.
func (k *tolerance) allowed(p plan, early float64) float64 {
	if p.short {
		return early*(1+k.part) + k.shortMore
	}
	return early*(1+k.part) + k.more
}

// rest is how many goroutines and descriptors more than before the load there
// may be after it.
const rest = 16

// plan is when what happens.
type plan struct {
	length, sampleEvery, reloadEvery, rotateEvery time.Duration
	floodEvery, floodFor, calmAfter               time.Duration
	knownAfter                                    time.Duration // a user counts as known so long after the first answer
	warmUp                                        time.Duration // until all users are there
	rateMax                                       float64
	short                                         bool
}

func newPlan(length time.Duration) plan {
	p := plan{length: length, sampleEvery: 5 * time.Second, reloadEvery: 20 * time.Second, rotateEvery: time.Minute}
	if length < 10*time.Minute {
		p.sampleEvery, p.reloadEvery, p.rotateEvery = length/60, max(length/20, 2*time.Second), max(length/8, 3*time.Second)
	}
	p.floodEvery, p.warmUp, p.calmAfter, p.rateMax = min(6*time.Minute, max(length/3, time.Minute)), min(length/10, 30*time.Second), calmAfter, soakRateMax
	p.floodFor, p.knownAfter = p.floodEvery/6, knownAfter
	if length < 2*time.Minute {
		p.floodEvery, p.floodFor, p.calmAfter, p.rateMax, p.short = length, length/8, calmAfter/2, shortRate, true
		p.knownAfter = knownAfter / 5
	}
	return p
}

// flooding says whether a flood runs at a moment, or ended less than after ago.
// The first begins half a period in; none does in the last fifth's second half.
func (p plan) flooding(at, after time.Duration) bool {
	for begin := p.floodEvery / 2; begin+p.floodFor < p.length*9/10; begin += p.floodEvery {
		if at >= begin && at < begin+p.floodFor+after {
			return true
		}
	}
	return false
}

// soak is one run.
type soak struct {
	t         *testing.T
	plan      plan
	b         binary
	p         *process
	dir       string
	plain     string // http://…
	secure    string // https://…
	udp       int
	certs     [2]pair
	origin    *soakOrigin
	began     time.Time
	tally     tally
	people    []*person
	lasts     []sample
	notes     []string // rules and causes that were seen, with when
	noted     map[string]bool
	floods    atomic.Int64 // requests that they sent
	turned    atomic.Int64 // those of them that were not served
	explained atomic.Int64
	late      atomic.Int64 // timers that came late
	loads     int          // of the configuration
	rotats    int
}

type pair struct{ cert, key string }

func (s *soak) at() time.Duration { return time.Since(s.began) }

// peace says that no flood runs now, nor has one in the last moment.
func (s *soak) peace() bool { return !s.plan.flooding(s.at(), s.plan.calmAfter) }

func (s *soak) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "soak %6.0f s: %s\n", s.at().Seconds(), fmt.Sprintf(format, args...))
}

// configure writes the configuration; odd and even differ in certificate,
// routes, timeouts, partners and policy.
func (s *soak) configure(n int, more string) {
	c := s.certs[n%2]
	text := fmt.Sprintf("listen: [%q, %q]\nconsole: 127.0.0.1:0\ndata: state\naccess_log: access.log\nplain_http: true\n"+
		"sites:\n  - origins: [%q]\n    certificate: %s\n    key: %s\n", s.plain, s.secure, s.origin.URL, c.cert, c.key)
	if n%2 == 1 {
		text += "timeouts: {first_byte: 20s, stream: 5m}\nguard: {api: [/api/], streams: [/events], partners: [{name: monitor, prefixes: [192.0.2.0/24]}]}\n"
	} else {
		text += "guard: {api: [/api/, /feed.xml]}\n"
	}
	writeFile(s.t, filepath.Join(s.dir, "deich.yaml"), text+more)
}

func (s *soak) start() {
	s.p = s.b.start(s.t, filepath.Join(s.dir, "state"), "run", "--config", filepath.Join(s.dir, "deich.yaml"))
}

// TestSoak keeps the built Deich under half the load that this machine serves,
// from many addresses, by all versions of HTTP, with what lasts long, while its
// configuration, certificates and log change and floods come and go. Nothing may
// grow, nobody may be dropped, and no known user refused in peace.
//
//	DEICH_SOAK=1h            its length; without, a short one
//	DEICH_SOAK_OUT=folder    where its figures go: soak.md, soak.json, soak.svg
func TestSoak(t *testing.T) {
	length := soakShort
	if text := os.Getenv("DEICH_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil || length < soakShort {
			t.Fatalf("DEICH_SOAK=%s: a length of at least %v, such as 3m or 1h", text, soakShort)
		}
	} else if testing.Short() {
		t.Skip("left out: a soak takes more than -short allows")
	}
	s := &soak{t: t, plan: newPlan(length), b: build(t), dir: t.TempDir(), noted: make(map[string]bool), began: time.Now()}
	s.origin = newSoakOrigin(t)
	for i := range s.certs {
		dir := filepath.Join(s.dir, fmt.Sprint("tls", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		s.certs[i].cert, s.certs[i].key = loopbackCertificate(t, dir)
	}
	plain, secure := freePort(t), freePort(t)
	s.plain, s.secure, s.udp = "http://"+loopback(plain), "https://"+loopback(secure), secure

	capacity := s.probe()
	rate := min(capacity/2, s.plan.rateMax)
	users := min(int(rate*soakGap.Seconds())+1, soakUsersMax)
	gap := time.Duration(float64(users) / rate * float64(time.Second))
	s.progress("this machine serves %.0f requests a second; half of it, at most, is %.0f, by %d users %v apart", capacity, rate, users, gap.Round(time.Millisecond))

	s.configure(0, "")
	s.start()
	s.warm()
	idle := s.settled(time.Second, nil)
	s.progress("idle: %.0f goroutines, %.0f descriptors, %.0f MiB", idle.Goroutines, idle.Descriptors, idle.Resident/(1<<20))

	s.began = time.Now()
	s.run(users, gap)
	s.progress("the load ends")
	end := s.settled(restWithin, &idle)
	s.report(capacity, rate, users, idle, end)
	s.judge(idle, end)
	if !s.plan.short || s.late.Load() == 0 {
		s.p.calm200(t, s.plain)
	}
	s.p.stop(t)
}

// run is the soak itself.
func (s *soak) run(users int, gap time.Duration) {
	stop := make(chan struct{})
	var people, works sync.WaitGroup
	for i := range users {
		u := newPerson(i, s)
		s.people = append(s.people, u)
		people.Go(func() { u.live(stop, s.plan.warmUp*time.Duration(i)/time.Duration(users), gap) })
	}
	for i := range lastingKinds * lastingEach {
		people.Go(func() { s.lasting(stop, i) })
	}
	people.Go(func() { s.newcomers(stop) })
	people.Go(func() {
		for asked := time.Now(); sleep(stop, 10*time.Millisecond); asked = time.Now() {
			if time.Since(asked) > 10*time.Millisecond+lateBy {
				s.late.Add(1)
			}
		}
	})
	people.Go(func() { s.flooder(stop) })
	works.Go(func() { s.operate(stop) })
	s.sampling(s.plan.length)
	close(stop)
	people.Wait()
	works.Wait()
	for _, u := range s.people {
		u.leave()
	}
}

// operate is the operator: it reloads by command and by signal in turn, with
// another certificate each time, and rotates the log.
func (s *soak) operate(stop chan struct{}) {
	reload, rotate := time.NewTicker(s.plan.reloadEvery), time.NewTicker(s.plan.rotateEvery)
	defer reload.Stop()
	defer rotate.Stop()
	log := filepath.Join(s.dir, "access.log")
	for {
		select {
		case <-stop:
			return
		case <-rotate.C:
			// The one before is not needed: the disk holds two at most.
			if err := os.Rename(log, log+".1"); err != nil {
				s.t.Errorf("rotate: %v", err)
			}
			s.reload()
			if !within(patience, func() bool { _, err := os.Stat(log); return err == nil }) {
				s.t.Error("after a rotation nobody writes a new log")
			}
			s.rotats++
		case <-reload.C:
			s.loads++
			s.configure(s.loads, "")
			s.reload()
		}
	}
}

func (s *soak) reload() {
	if s.loads%2 == 0 {
		if out, errs, code := s.b.run(s.t, "reload", "--data", s.p.data); code != 0 {
			s.t.Errorf("reload: exit %d\n%s%s", code, out, errs)
		}
		return
	}
	said := strings.Count(strings.Join(s.p.lines(), "\n"), "The configuration is in force.")
	if err := s.p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Error(err)
	}
	if !within(patience, func() bool {
		return strings.Count(strings.Join(s.p.lines(), "\n"), "The configuration is in force.") > said
	}) {
		s.t.Error("SIGHUP: the configuration is not in force")
	}
}

func within(long time.Duration, is func() bool) bool {
	for end := time.Now().Add(long); ; time.Sleep(20 * time.Millisecond) {
		if is() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// sampling reads the metrics until the time is over.
func (s *soak) sampling(length time.Duration) {
	each := time.NewTicker(s.plan.sampleEvery)
	defer each.Stop()
	told := 0 * time.Second
	for s.at() < length {
		<-each.C
		now, err := s.p.sample(s.at())
		if err != nil {
			s.t.Errorf("metrics: %v", err)
			continue
		}
		now.Flood = s.plan.flooding(s.at(), 0)
		if len(s.lasts) > 0 {
			last := &s.lasts[len(s.lasts)-1]
			span := now.At - last.At
			now.Rate, now.Cores = (now.served-last.served)/span, (now.cpu-last.cpu)/span
			now.Others = max(0, (now.busy-last.busy)/span-now.Cores)
		}
		s.lasts = append(s.lasts, now)
		if now.Rules > 0 || now.Pressure > 0 {
			s.note()
		}
		if s.at()-told >= min(length/10, time.Minute) {
			told = s.at()
			s.progress("%.0f served/s, %.2f cores and others %.2f, %.0f goroutines, %.0f descriptors, %.0f MiB of heap, %.0f MiB resident, pressure %.0f, rules %.0f; %s",
				now.Rate, now.Cores, now.Others, now.Goroutines, now.Descriptors, now.Live/(1<<20), now.Resident/(1<<20), now.Pressure, now.Rules, s.tally.String())
		}
	}
}

// note keeps what rules and causes the API names, each once.
func (s *soak) note() {
	var hand struct {
		Rules []struct {
			ID       uint32
			Sentence struct{ En string }
		}
	}
	var causes []struct{ Cause string }
	if s.p.api("api/v1/hand", &hand) == nil {
		for _, r := range hand.Rules {
			s.keep(fmt.Sprint("rule ", r.ID), r.Sentence.En)
		}
	}
	if s.p.api("api/v1/causes", &causes) == nil {
		for _, c := range causes {
			s.keep("cause "+c.Cause+map[bool]string{true: " in peace", false: ""}[s.peace()], "")
		}
	}
}

func (s *soak) keep(what, words string) {
	if !s.noted[what] && len(s.notes) < 200 {
		s.noted[what] = true
		s.notes = append(s.notes, fmt.Sprintf("%.0f s: %s %s", s.at().Seconds(), what, words))
	}
}

// warm has each route asked a few times by one neighbour in peace.
func (s *soak) warm() {
	u := newPerson(kindPlain, s)
	defer u.leave()
	for range 50 {
		u.visit()
	}
	s.tally.reset()
	time.Sleep(s.plan.warmUp / 2)
}

// settled reads the metrics until they are near the given ones, or the time is over.
func (s *soak) settled(long time.Duration, near *sample) sample {
	var last sample
	within(long, func() bool {
		one, err := s.p.sample(s.at())
		if err != nil {
			s.t.Fatalf("metrics: %v", err)
		}
		last = one
		time.Sleep(200 * time.Millisecond)
		return near != nil && one.Goroutines <= near.Goroutines+rest && one.Descriptors <= near.Descriptors+rest
	})
	return last
}

// probe finds how many requests a second this machine serves, load included:
// more and more users without a pause, until that gives no more.
func (s *soak) probe() float64 {
	s.configure(0, "policy: {observe: true}\n")
	s.start()
	defer os.RemoveAll(filepath.Join(s.dir, "state")) // nobody is known from it
	best := 0.
	for users := 8; users <= 256; users *= 2 {
		stop := make(chan struct{})
		var all sync.WaitGroup
		var people []*person
		for i := range users {
			u := newPerson(i, s)
			people = append(people, u)
			all.Go(func() { u.live(stop, 0, 0) })
		}
		time.Sleep(probeFor / 3)
		s.tally.reset()
		time.Sleep(probeFor)
		rate := float64(s.tally.served.Load()) / probeFor.Seconds()
		close(stop)
		all.Wait()
		for _, u := range people {
			u.leave()
		}
		s.progress("probe: %d users without a pause are served %.0f requests a second", users, rate)
		enough := rate < best*1.05
		best = max(best, rate)
		if enough {
			break
		}
	}
	s.tally.reset()
	s.p.stop(s.t)
	return best
}

// judge says what must hold.
func (s *soak) judge(idle, end sample) {
	t, c := s.t, &s.tally
	failed := false
	must := func(ok bool, format string, args ...any) {
		if !ok {
			failed = true
			t.Errorf(format, args...)
		}
	}
	must(c.broken.Load() == 0, "%d requests or streams of users were broken off:\n%s", c.broken.Load(), c.examples("broken"))
	if s.plan.short && s.late.Load() > 0 {
		t.Logf("this machine was busy otherwise: %d timers came more than %v late; refusals are only told", s.late.Load(), lateBy)
	} else {
		must(c.deniedPeace.Load() == 0, "%d requests of known users were denied in peace:\n%s", c.deniedPeace.Load(), c.examples("denied"))
		must(float64(c.waitedPeace.Load()) <= waitedMost*float64(c.askedPeace.Load()), "%d of %d requests of known users were told to wait in peace:\n%s",
			c.waitedPeace.Load(), c.askedPeace.Load(), c.examples("waited"))
		must(c.newDenied.Load() == 0, "%d requests of newcomers were denied in peace without a rule or pressure:\n%s", c.newDenied.Load(), c.examples("newcomer"))
		must(float64(c.newCalmWaited.Load()) <= waitedMost*float64(c.newAsked.Load()), "%d of %d requests of newcomers were told to wait in peace without a rule or pressure:\n%s",
			c.newCalmWaited.Load(), c.newAsked.Load(), c.examples("newcomer"))
		if n := c.askedFlood.Load(); n > 0 {
			kept := 1 - float64(c.refusedFlood.Load())/float64(n)
			must(kept >= keptInFlood, "in floods %.1f %% of known users' requests were served, at least %.0f %% must be", 100*kept, 100*keptInFlood)
		}
	}
	must(s.floods.Load() > 0 && s.turned.Load() > 0, "no flood was turned away: %d sent, %d not served", s.floods.Load(), s.turned.Load())
	must(s.loads > 2 && s.rotats > 1, "only %d reloads and %d rotations", s.loads, s.rotats)
	must(c.served.Load() > int64(s.plan.length.Seconds()), "only %d requests were served", c.served.Load())
	for _, k := range growth {
		early, late, ok := s.windows(k.of)
		must(ok, "%s: not enough was measured", k.name)
		must(late <= k.allowed(s.plan, early), "%s grew from %.1f to %.1f %s (median of the second and of the last fifth); %.1f are allowed",
			k.name, early, late, k.unit, k.allowed(s.plan, early))
	}
	must(end.Goroutines <= idle.Goroutines+rest, "%.0f goroutines before the load, %.0f after it", idle.Goroutines, end.Goroutines)
	must(end.Descriptors <= idle.Descriptors+rest, "%.0f descriptors before the load, %.0f after it", idle.Descriptors, end.Descriptors)
	if said := strings.Join(s.p.lines(), "\n"); strings.Contains(said, "panic") || strings.Contains(said, "goroutine ") {
		must(false, "it panicked:\n%s", said)
	}
	if failed {
		t.Logf("rules and causes seen:\n%s", strings.Join(s.notes, "\n"))
	}
}

// windows gives the medians of the second fifth and of the last, floods left out.
func (s *soak) windows(of func(*sample) float64) (early, late float64, ok bool) {
	var a, b []float64
	fifth := s.plan.length.Seconds() / 5
	for i := range s.lasts {
		one := &s.lasts[i]
		if s.plan.flooding(time.Duration(one.At*float64(time.Second)), s.plan.calmAfter) {
			continue
		}
		if one.At >= fifth && one.At < 2*fifth {
			a = append(a, of(one))
		} else if one.At >= 4*fifth {
			b = append(b, of(one))
		}
	}
	if len(a) < 2 || len(b) < 2 {
		return 0, 0, false
	}
	return middle(a), middle(b), true
}

func middle(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// calm200 says that a user is served.
func (p *process) calm200(t *testing.T, to string) {
	t.Helper()
	if r, _ := get(t, visitor(t), to+"/"); r.StatusCode != http.StatusOK {
		t.Errorf("it does not serve: %s", r.Status)
	}
}
