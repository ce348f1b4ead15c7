package e2e

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sample is what the metrics said at one time.
type sample struct {
	At          float64 `json:"at_s"`
	Flood       bool    `json:"flood,omitempty"`
	Goroutines  float64 `json:"goroutines"`
	Descriptors float64 `json:"descriptors"`
	Resident    float64 `json:"resident_bytes"`
	Live        float64 `json:"live_heap_bytes"`
	Collections float64 `json:"collections"`
	Pressure    float64 `json:"pressure"`
	Rules       float64 `json:"rules"`
	Rate        float64 `json:"served_per_second"`
	Cores       float64 `json:"cores"`
	Others      float64 `json:"other_cores"` // used by all other processes but the users and the origin

	served, cpu, busy float64
}

// console gives what the private server says at a path.
func (p *process) console(path string) (*http.Response, error) {
	link, _, _ := strings.Cut(p.link, "?")
	token, err := os.ReadFile(filepath.Join(p.data, "token"))
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest("GET", link+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	r.Close = true // no connection stays, to be counted
	a, err := (&http.Client{Timeout: patience}).Do(r)
	if err == nil && a.StatusCode != http.StatusOK {
		a.Body.Close()
		err = errors.New(a.Status)
	}
	return a, err
}

func (p *process) api(path string, into any) error {
	a, err := p.console(path)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	return json.NewDecoder(a.Body).Decode(into)
}

// sample reads the metrics.
func (p *process) sample(at time.Duration) (sample, error) {
	a, err := p.console("metrics")
	if err != nil {
		return sample{}, err
	}
	defer a.Body.Close()
	sums := make(map[string]float64)
	for lines := bufio.NewScanner(a.Body); lines.Scan(); {
		text := lines.Text()
		end := strings.LastIndexByte(text, ' ')
		if end < 0 || text[0] == '#' || strings.HasPrefix(text, "deich_served_total") && !strings.Contains(text, `ok="true"`) {
			continue
		}
		v, err := strconv.ParseFloat(text[end+1:], 64)
		if err != nil {
			return sample{}, err
		}
		name, _, _ := strings.Cut(text[:end], "{")
		sums[name] += v
	}
	for _, name := range []string{"go_goroutines", "process_open_fds", "process_resident_memory_bytes", "go_gc_heap_live_bytes"} {
		if sums[name] == 0 {
			return sample{}, fmt.Errorf("no %s", name)
		}
	}
	return sample{
		At: at.Seconds(), Goroutines: sums["go_goroutines"], Descriptors: sums["process_open_fds"],
		Resident: sums["process_resident_memory_bytes"], Live: sums["go_gc_heap_live_bytes"],
		Collections: sums["go_gc_cycles_total_gc_cycles_total"], Pressure: sums["deich_pressure"], Rules: sums["deich_rules"],
		served: sums["deich_served_total"], cpu: sums["process_cpu_seconds_total"], busy: busy(),
	}, nil
}

// busy is how many seconds of processors this machine has used, without those
// of this process: the users and the origin.
func busy() float64 {
	b, err := os.ReadFile("/proc/stat")
	var own syscall.Rusage
	if err != nil || syscall.Getrusage(syscall.RUSAGE_SELF, &own) != nil {
		return 0
	}
	f := strings.Fields(strings.SplitN(string(b), "\n", 2)[0])
	ticks := 0.
	for _, i := range []int{1, 2, 3, 6, 7} { // user, nice, system, irq, softirq
		if i < len(f) {
			n, _ := strconv.ParseFloat(f[i], 64) // the kernel writes numbers
			ticks += n
		}
	}
	return ticks/100 - time.Duration(own.Utime.Nano()+own.Stime.Nano()).Seconds()
}

// soaked is what a soak measured.
type soaked struct {
	Date     string           `json:"date"`
	Length   string           `json:"length"`
	Cores    int              `json:"cores"`
	Kernel   string           `json:"kernel"`
	Go       string           `json:"go"`
	Version  string           `json:"version"`
	Capacity float64          `json:"capacity_per_second"`
	Half     float64          `json:"asked_per_second"`
	Users    int              `json:"users"`
	Reloads  int              `json:"reloads"`
	Rotated  int              `json:"log_rotations"`
	Counts   map[string]int64 `json:"counts"`
	Refused  map[string]int   `json:"known_refused_in_floods,omitempty"` // by reason
	Windows  []window         `json:"windows"`
	Idle     sample           `json:"before"`
	End      sample           `json:"after"`
	Seen     []string         `json:"rules_and_causes,omitempty"`
	Samples  []sample         `json:"samples"`
}

// window is one figure's growth.
type window struct {
	What    string  `json:"what"`
	Unit    string  `json:"unit,omitempty"`
	Early   float64 `json:"second_fifth"`
	Late    float64 `json:"last_fifth"`
	Allowed float64 `json:"allowed"`
}

// report says what was measured, and writes it where DEICH_SOAK_OUT names a folder.
func (s *soak) report(capacity, rate float64, users int, idle, end sample) {
	c := &s.tally
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // absent: nothing said
	r := soaked{
		Date: time.Now().UTC().Format("2006-01-02 15:04 UTC"), Length: s.plan.length.String(), Cores: runtime.NumCPU(),
		Kernel: strings.TrimSpace(string(kernel)), Go: runtime.Version(), Version: strings.TrimSpace(s.b.must(s.t, "version")),
		Capacity: math.Round(capacity), Half: math.Round(rate), Users: users, Reloads: s.loads, Rotated: s.rotats,
		Counts: map[string]int64{
			"served": c.served.Load(), "broken_off": c.broken.Load(), "known_asked_in_peace": c.askedPeace.Load(),
			"known_denied_in_peace": c.deniedPeace.Load(), "known_waited_in_peace": c.waitedPeace.Load(),
			"known_asked_in_floods": c.askedFlood.Load(), "known_refused_in_floods": c.refusedFlood.Load(),
			"newcomers_asked": c.newAsked.Load(), "newcomers_waited": c.newWaited.Load(), "newcomers_denied_in_calm": c.newDenied.Load(), "newcomers_waited_in_calm": c.newCalmWaited.Load(),
			"late_timers": s.late.Load(), "signs_of_life": c.signs.Load(), "flood_sent": s.floods.Load(), "flood_not_served": s.turned.Load(),
		},
		Refused: c.reasons, Idle: idle, End: end, Seen: s.notes, Samples: s.lasts,
	}
	for _, k := range growth {
		early, late, _ := s.windows(k.of)
		r.Windows = append(r.Windows, window{k.name, k.unit, early, late, k.allowed(s.plan, early)})
	}
	text := r.table()
	s.t.Logf("\n%s", text)
	out := os.Getenv("DEICH_SOAK_OUT")
	if out == "" {
		return
	}
	b, err := json.MarshalIndent(r, "", "  ")
	drawn, err2 := r.plot(s.plan)
	if err := errors.Join(err, err2, os.MkdirAll(out, 0o755),
		os.WriteFile(filepath.Join(out, "soak.json"), append(b, '\n'), 0o644),
		os.WriteFile(filepath.Join(out, "soak.md"), []byte(text), 0o644),
		os.WriteFile(filepath.Join(out, "soak.svg"), drawn, 0o644)); err != nil {
		s.t.Errorf("write the figures: %v", err)
	}
}

func (r *soaked) table() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Soak: %s at half load\n", r.Length)
	p("%s, %d cores for Deich, its origin and its users together, Linux %s, %s, %s.", r.Date, r.Cores, r.Kernel, r.Go, r.Version)
	p("This machine serves %.0f requests a second of this kind; %.0f were asked, by %d users with an address each.", r.Capacity, r.Half, r.Users)
	p("Other processes used %.2f cores meanwhile (median); %d timers of the users came more than %v late.", r.others(), r.Counts["late_timers"], lateBy)
	p("%d reloads, each with another certificate, %d rotations of the log.\n", r.Reloads, r.Rotated)
	p("![The process over time](soak.svg)\n")
	p("| | second fifth | last fifth | allowed |\n| --- | ---: | ---: | ---: |")
	for _, w := range r.Windows {
		p("| %s | %s | %s | %s |", strings.TrimSpace(w.What+", "+w.Unit), short(w.Early), short(w.Late), short(w.Allowed))
	}
	p("\nMedians outside of floods.\n")
	p("| | before the load | after it |\n| --- | ---: | ---: |")
	p("| goroutines | %.0f | %.0f |\n| descriptors | %.0f | %.0f |\n| resident memory, MiB | %.0f | %.0f |\n",
		r.Idle.Goroutines, r.End.Goroutines, r.Idle.Descriptors, r.End.Descriptors, r.Idle.Resident/(1<<20), r.End.Resident/(1<<20))
	p("| requests and streams | |\n| --- | ---: |")
	for _, row := range [][2]string{
		{"served", "served"}, {"broken off", "broken_off"}, {"of known users in peace", "known_asked_in_peace"},
		{"of them denied", "known_denied_in_peace"}, {"of them told to wait", "known_waited_in_peace"},
		{"of known users in floods", "known_asked_in_floods"}, {"of them refused", "known_refused_in_floods"},
		{"of newcomers", "newcomers_asked"}, {"told to wait in a flood or while its rules hold", "newcomers_waited"},
		{"denied in calm", "newcomers_denied_in_calm"}, {"told to wait in calm", "newcomers_waited_in_calm"},
		{"signs of life of streams and tunnels", "signs_of_life"}, {"of floods", "flood_sent"}, {"of them not served", "flood_not_served"},
	} {
		p("| %s | %d |", row[0], r.Counts[row[1]])
	}
	if len(r.Refused) > 0 {
		p("\nWhy known users were refused in floods: %v.", strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(r.Refused), "map["), "]"))
	}
	return strings.ReplaceAll(b.String(), ", |", " |")
}

func (r *soaked) others() float64 {
	all := []float64{0}
	for i := range r.Samples {
		all = append(all, r.Samples[i].Others)
	}
	return middle(all)
}

func short(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

//go:embed testdata/soak.svg.tmpl
var soakPlotText string

var soakPlot = template.Must(template.New("soak").Parse(soakPlotText))

// The plot's measures, in units of its view box.
const (
	soakLeft, soakRight  = 70.0, 740.0
	soakTop              = 66.0
	soakHeight, soakStep = 90.0, 44.0
)

type soakPanel struct {
	Title       string
	TitleY      float64
	Top, Bottom float64
	Most        string
	Lines       []soakLine
}

type soakLine struct{ Class, Path string }

type soakBand struct{ X, Width float64 }

// plot draws a panel for each figure over time; floods are shaded.
func (r *soaked) plot(plan plan) ([]byte, error) {
	length := plan.length.Seconds()
	x := func(at float64) float64 { return soakLeft + (soakRight-soakLeft)*min(at/length, 1) }
	y := soakTop
	var panels []soakPanel
	for _, one := range []struct {
		title string
		of    []func(*sample) float64
	}{
		{"Goroutines (blue) and descriptors (amber)", []func(*sample) float64{growth[0].of, growth[1].of}},
		{"Memory in MiB: resident (blue), live heap (amber)", []func(*sample) float64{growth[3].of, growth[2].of}},
		{"Served requests a second", []func(*sample) float64{func(s *sample) float64 { return s.Rate }}},
		{"Cores in use", []func(*sample) float64{func(s *sample) float64 { return s.Cores }}},
	} {
		most := 0.
		for i := range r.Samples {
			for _, of := range one.of {
				most = max(most, of(&r.Samples[i]))
			}
		}
		p := soakPanel{Title: one.title, TitleY: y - 8, Top: y, Bottom: y + soakHeight, Most: strconv.FormatFloat(most, 'g', 3, 64)}
		if most >= 100 {
			p.Most = strconv.FormatFloat(most, 'f', 0, 64)
		}
		for n, of := range one.of {
			var path strings.Builder
			for i := range r.Samples {
				fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], x(r.Samples[i].At), p.Bottom-soakHeight*of(&r.Samples[i])/max(most, 1e-9))
			}
			p.Lines = append(p.Lines, soakLine{[]string{"one", "two"}[n], path.String()})
		}
		panels = append(panels, p)
		y += soakHeight + soakStep
	}
	var bands []soakBand
	for at := plan.floodEvery / 2; at < plan.length; at += plan.floodEvery {
		if plan.flooding(at, 0) {
			bands = append(bands, soakBand{x(at.Seconds()), x((at + plan.floodFor).Seconds()) - x(at.Seconds())})
		}
	}
	var b bytes.Buffer
	err := soakPlot.Execute(&b, map[string]any{
		"Height": y - 10, "Left": soakLeft, "Right": soakRight, "Top": soakTop, "Bottom": y - soakStep, "LabelX": soakLeft - 8,
		"Panels": panels, "Bands": bands, "BandHeight": y - soakStep - soakTop, "Length": r.Length, "EndY": y - soakStep + 18,
	})
	return b.Bytes(), err
}
