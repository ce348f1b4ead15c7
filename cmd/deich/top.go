package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/gate"
)

type topCommand struct {
	dataFlag
	jsonFlag
	Seconds int `help:"End after so many; 0: until Ctrl-C." default:"0" placeholder:"N"`
}

func (topCommand) Help() string {
	return "Examples:\n  deich top\n  deich top --seconds 10\n  deich top --json | head -1\n\n" +
		"One line a second, and a sentence where something changes. Shares and rates are over the last ten seconds; a share is of the requests that ended."
}

func (c *topCommand) Run(t *terminal) error {
	to, err := c.dial()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	stream, err := to.send(ctx, "GET", "/api/v1/events", nil)
	if err != nil {
		return err
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	lines.Buffer(nil, answerBytesMax)
	told := ""
	for shown := 0; lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if c.JSON {
			t.say("%s", data)
		} else if told, err = showSecond(t, data, shown, told); err != nil {
			return err
		}
		if shown++; shown == c.Seconds {
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("top: %w", err)
	}
	return hint(errors.New("top: Deich has ended"), "see its own output for why")
}

// showSecond prints a line. What it means is said before it, with the names of
// the columns, where mood or causes are not as told, and every now and then.
func showSecond(t *terminal, data string, shown int, told string) (string, error) {
	var v desk.Live
	if err := json.Unmarshal([]byte(data), &v); err != nil {
		return told, fmt.Errorf("top: %w", err)
	}
	now := v.Mood + " " + v.Gate.Backend
	if v.Spool != nil {
		now += " " + v.Spool.Mode()
	}
	for _, o := range v.Origins {
		now += " " + o.Cause
		for _, g := range o.Segments {
			now += " " + g.Paths + " " + g.Cause
		}
	}
	if v.Incident != nil {
		now += " " + v.Incident.ID + v.Incident.Life
	}
	for _, a := range v.Alerts {
		now += " " + a.Key()
	}
	for _, r := range v.Rules {
		now += fmt.Sprintf(" %d", r.ID)
	}
	if now != told || shown%20 == 0 {
		t.say("%s", v.Sentence)
		for _, line := range topTells(&v) {
			t.say("%s", clean(line))
		}
		for _, o := range v.Origins {
			for _, g := range o.Segments {
				t.say("%s: %s (%.0f %% sure)", topPaths(&v, &o, &g), g.Why, 100*g.Sure)
			}
		}
		if v.Spool != nil {
			t.say("%s", topSpool(v.Spool))
		}
		t.say("%s", topGate(&v.Gate))
		t.say("%-8s %s %5s %5s %5s %4s  %s", "time", topHead(&v), "limit", "there", "queue", "cut", "refused/s")
	}
	t.say("%s", topLine(&v))
	return now, nil
}

// topNetworks is how many networks are named.
const topNetworks = 3

// topTells are the lines about what is going on: the incident while it does, what needs a
// person, the rules in force, and where most comes from while something is refused.
func topTells(v *desk.Live) (all []string) {
	if i := v.Incident; i != nil && i.Life != string(incident.Resolved) {
		all = append(all, fmt.Sprintf("Incident %s, %s: %s", i.ID, i.Life, i.Sentence))
	}
	for _, a := range v.Alerts {
		all = append(all, fmt.Sprintf("Needs a person (%s): %s", a.Severity, a.Text))
	}
	for _, r := range v.Rules {
		all = append(all, fmt.Sprintf("Rule %d: %s", r.ID, r.Text))
	}
	var most []string
	for _, n := range v.Networks[:min(topNetworks, len(v.Networks))] {
		if turned := v.Turned(n.Fates); turned > 0 {
			most = append(most, strings.TrimSpace(fmt.Sprintf("%s %s", n.Prefix, n.Operator))+fmt.Sprintf(" (%.0f/s refused)", turned))
		}
	}
	if len(most) > 0 {
		all = append(all, fmt.Sprintf("Most comes from %s; %s in all.", strings.Join(most, ", "), some(v.NetworksAll, "network")))
	}
	return all
}

// topPaths names a part of a platform; which platform only where there are several.
func topPaths(v *desk.Live, o *desk.Origin, g *desk.Segment) string {
	paths := cmp.Or(g.Paths, "all other paths")
	if len(v.Origins) > 1 {
		paths = o.Name + " " + paths
	}
	return paths
}

// topSpool is a line about kept messages.
func topSpool(s *desk.Spool) string {
	text := "Spool: nothing waits."
	if s.Waiting > 0 {
		oldest := time.Duration(s.OldestSeconds) * time.Second
		text = fmt.Sprintf("Spool: %s waiting, the oldest for %s, %.1f MiB.", some(s.Waiting, "message"), spanText(oldest), float64(s.Bytes)/(1<<20))
	}
	switch s.Mode() {
	case "failed":
		text += " The disk takes nothing new."
	case "paused":
		text += " Delivery is paused."
	case "draining":
		text += " Nothing new is kept."
	}
	return text
}

// topGate is a line about the gate.
func topGate(g *desk.Gate) string {
	if g.Backend == gate.None || g.Backend == "" {
		return "Gate: none."
	}
	var dropped []string
	for _, p := range g.Packets {
		if p.Dropped && p.Packets > 0 {
			dropped = append(dropped, fmt.Sprintf("%s %d", p.Reason, p.Packets))
		}
	}
	text := fmt.Sprintf("Gate: %s, %s judged.", g.Backend, some(g.Sources, "source"))
	if len(dropped) > 0 {
		text += " Packets dropped: " + strings.Join(dropped, ", ") + "."
	}
	return text
}

func topHead(v *desk.Live) string {
	var b strings.Builder
	for _, g := range v.Groups {
		fmt.Fprintf(&b, "%15s", g.Tier)
	}
	return b.String()
}

func topLine(v *desk.Live) string {
	var b strings.Builder
	b.WriteString(v.At.Local().Format("15:04:05") + " ")
	for _, g := range v.Groups {
		share := "–"
		if g.Served >= 0 {
			share = fmt.Sprintf("%.1f %%", min(g.Served*100, 100))
		}
		fmt.Fprintf(&b, "%7.0f/s %5s", g.Asked, share)
	}
	var refused float64
	for _, a := range v.Acts {
		if a.Act != "allow" {
			refused += a.Second
		}
	}
	s := &v.Second
	fmt.Fprintf(&b, " %5.0f %5d %5d %4d  %.0f", s.Limit, s.Flight, s.Queued, s.Cut, refused)
	return b.String()
}
