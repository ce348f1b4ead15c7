package desk

import (
	"slices"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk/incident"
)

// counted is the counters of one moment, as incidents need them.
type counted struct {
	at      time.Time
	ok      [len(tiers)]uint64
	failed  [len(tiers)]uint64
	late    [len(tiers)]uint64 // served, after the deadline
	refused [len(tiers)]uint64
	held    [len(tiers)]uint64
	own     [len(tiers)]uint64
	acts    [len(acts)]uint64
	ruled   uint64
	gate    uint64
	empty   uint64
	latency [len(tiers)]Latency
}

// deadline is how long an answer may take before it counts as none, in seconds.
const deadline = 5

// ownReasons are refusals for what a client did itself.
var ownReasons = []string{
	deich.OverBudget.String(), deich.ByHand.String(), deich.BadRequest.String(), deich.SlowClient.String(),
	deich.BodyTooLarge.String(), deich.BadPass.String(), deich.BadProof.String(), deich.NoSite.String(),
}

func count32(now, before uint64) uint32 {
	if now < before { // counters began anew
		return uint32(now)
	}
	return uint32(now - before)
}

// refused says whether requests did not reach the origin. Those that it did not
// answer are told so by a refusal, too, and count among the failed already.
func refused(r *Requests) bool {
	return r.Act != deich.Allow.String() && r.Reason != deich.OriginDown.String() && r.Reason != deich.OriginSlow.String()
}

func countState(at time.Time, s *State) *counted {
	c := &counted{at: at, gate: s.Connections.Refused, empty: s.Connections.Empty}
	for _, r := range s.Requests {
		if i := slices.Index(acts[:], r.Act); i >= 0 {
			c.acts[i] += r.N
		}
		i := slices.Index(tiers[:], r.Tier)
		if i < 0 || !refused(&r) {
			continue
		}
		c.refused[i] += r.N
		switch {
		case slices.Contains(ownReasons, r.Reason):
			c.own[i] += r.N
		case r.Reason == deich.ByRule.String() || r.Act == deich.Drop.String():
			c.ruled += r.N
		default:
			c.held[i] += r.N
		}
	}
	for _, g := range s.Served {
		if i := slices.Index(tiers[:], g.Tier); i >= 0 {
			c.ok[i] += g.OK
			c.failed[i] += g.Failed
		}
	}
	for _, l := range s.Latency {
		if i := slices.Index(tiers[:], l.Tier); i >= 0 {
			c.latency[i] = l
			for k := range l.Counts {
				if k > 0 && k <= len(l.Bounds) && l.Bounds[k-1] >= deadline {
					c.late[i] += l.Counts[k]
				}
			}
		}
	}
	return c
}

// sampleBetween is what incidents see of the span between two moments.
func sampleBetween(before, now *counted, s *State) incident.Sample {
	row := incident.Row{At: now.at, Span: max(1, int(now.at.Sub(before.at).Round(time.Second).Seconds()))}
	known, knownBefore := Latency{}, Latency{}
	pressed := slices.ContainsFunc(s.Origins, func(o Origin) bool { return o.Pressure })
	for i := range tiers {
		ok, late := count32(now.ok[i], before.ok[i]), count32(now.late[i], before.late[i])
		row.Groups[i] = incident.Group{
			Asked:  ok + count32(now.failed[i], before.failed[i]) + count32(now.refused[i], before.refused[i]),
			Served: ok - min(ok, late),
			Held:   count32(now.held[i], before.held[i]),
			Own:    count32(now.own[i], before.own[i]),
			P50:    whole(quantile(&now.latency[i], &before.latency[i], .5)),
			P99:    whole(quantile(&now.latency[i], &before.latency[i], .99)),
		}
		if tiers[i] != deich.Stranger.String() || !pressed {
			known.add(&now.latency[i])
			knownBefore.add(&before.latency[i])
		}
	}
	row.P50, row.P99 = whole(quantile(&known, &knownBefore, .5)), whole(quantile(&known, &knownBefore, .99))
	for i := range acts {
		row.Acts[i] = count32(now.acts[i], before.acts[i])
	}
	row.Ruled, row.Gate, row.Empty = count32(now.ruled, before.ruled), count32(now.gate, before.gate), count32(now.empty, before.empty)
	sample := incident.Sample{Marks: s.Missed}
	for _, o := range s.Origins {
		row.Demand += float32(o.Demand)
		row.Good += float32(o.Goodput)
		row.Limit += float32(o.Limit)
		row.Queue += o.Queued
		row.Cut = max(row.Cut, o.Cut)
		terms := make([]incident.Term, 0, len(o.Terms))
		for _, t := range o.Terms {
			terms = append(terms, incident.Term(t))
		}
		sample.Origins = append(sample.Origins, incident.Origin{
			Name: o.Name, Press: o.Pressure, Failing: o.Failing, Cause: o.Cause, Sure: o.Sure, Terms: terms,
			Why: incident.Text{English: o.Why, German: o.WhyGerman},
		})
	}
	for _, r := range s.Rules {
		sample.Rules = append(sample.Rules, incident.Rule{ID: r.ID, Text: incident.Text{English: r.Text, German: r.German}})
	}
	sample.Row, sample.Whence = row, whence(s)
	return sample
}

// whole rounds milliseconds; none are 0, and what took any time is at least 1.
func whole(ms float64) int32 {
	if ms < 0 {
		return 0
	}
	return max(1, int32(ms+.5))
}

// add sums a histogram of the same bounds.
func (l *Latency) add(o *Latency) {
	if len(l.Counts) < len(o.Counts) {
		l.Bounds = o.Bounds
		l.Counts = append(l.Counts, make([]uint64, len(o.Counts)-len(l.Counts))...)
	}
	for i, n := range o.Counts {
		l.Counts[i] += n
	}
	l.Sum += o.Sum
}
