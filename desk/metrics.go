package desk

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// serveMetrics writes Prometheus' text format, version 0.0.4. It is written
// here by hand: everything comes from one State and the process itself, so a
// client library's registry, collectors and tree of dependencies would only stand in between.
func (d *Desk) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	s := d.state()
	writeMetrics(w, &s)
	if d.incidents != nil {
		m := metrics{w}
		m.family("deich_unreached", "gauge", "1 while several probes elsewhere agree that it is down, by the name that they give it.")
		for _, v := range d.incidents.glance().outside {
			m.value("deich_unreached", truth(v.Agreed), "name", v.Name)
		}
	}
	metrics{w}.writeProcess(readProcess(), s.Started)
}

func writeMetrics(w io.Writer, s *State) {
	m := metrics{w}
	m.family("deich_requests_total", "counter", "Verdicts, by act, reason and tier.")
	for _, r := range s.Requests {
		m.value("deich_requests_total", float64(r.N), "act", r.Act, "reason", r.Reason, "tier", r.Tier)
	}
	m.family("deich_served_total", "counter", "How admitted requests ended: ok is true where the origin answered below 500, or a kept copy stood in.")
	for _, g := range s.Served {
		m.value("deich_served_total", float64(g.OK), "tier", g.Tier, "ok", "true")
		m.value("deich_served_total", float64(g.Failed), "tier", g.Tier, "ok", "false")
	}
	m.family("deich_latency_seconds", "histogram", "From a served request's headers to the end of its answer, streams left out.")
	for _, l := range s.Latency {
		m.histogram("deich_latency_seconds", &l)
	}
	gauges := []struct {
		name, help string
		of         func(*Origin) float64
	}{
		{"deich_limit", "Places at the origin that the engine finds useful, in average requests.", func(o *Origin) float64 { return o.Limit }},
		{"deich_inflight", "Requests at the origin.", func(o *Origin) float64 { return float64(o.Inflight) }},
		{"deich_queue", "Requests in the engine's queue.", func(o *Origin) float64 { return float64(o.Queued) }},
		{"deich_streams", "Long-lived requests at the origin.", func(o *Origin) float64 { return float64(o.Streams) }},
		{"deich_cut", "The cut line: lower ranks are turned away.", func(o *Origin) float64 { return float64(o.Cut) }},
		{"deich_pressure", "1 while more is asked than the origin can do.", func(o *Origin) float64 { return truth(o.Pressure) }},
		{"deich_origin_failing", "1 while the origin's answers fail.", func(o *Origin) float64 { return truth(o.Failing) }},
		{"deich_demand", "Requests a second that came.", func(o *Origin) float64 { return o.Demand }},
		{"deich_goodput", "Answers a second that the origin gave.", func(o *Origin) float64 { return o.Goodput }},
		{"deich_slowdown", "Median latency over each route's baseline.", func(o *Origin) float64 { return o.Slowdown }},
	}
	for _, g := range gauges {
		m.family(g.name, "gauge", g.help)
		for i := range s.Origins {
			m.value(g.name, g.of(&s.Origins[i]), "origin", s.Origins[i].Name)
		}
	}
	m.family("deich_cause", "gauge", "1 for the cause that an origin is judged to suffer from.")
	for i := range s.Origins {
		m.value("deich_cause", 1, "origin", s.Origins[i].Name, "cause", s.Origins[i].Cause)
	}
	m.single("deich_rules", "gauge", "Rules in force.", float64(len(s.Rules)))
	m.single("deich_own_requests_total", "counter", "Requests for Deich's own paths.", float64(s.Own))
	m.single("deich_passes_minted_total", "counter", "Passes given.", float64(s.Minted))
	m.single("deich_passes_bad_total", "counter", "Passes shown that do not hold.", float64(s.BadPasses))
	m.single("deich_proofs_total", "counter", "Calculations that held.", float64(s.Proofs))
	m.single("deich_proofs_bad_total", "counter", "Calculations that did not hold, were late or used before.", float64(s.BadProofs))
	m.single("deich_gone_total", "counter", "Clients that left while queued.", float64(s.Gone))
	m.single("deich_body_bytes", "gauge", "Bytes of bodies held.", float64(s.BodyBytes))
	m.single("deich_connections", "gauge", "Clients' connections.", float64(s.Connections.Open))
	m.family("deich_connections_closed_total", "counter", "Connections refused or closed by Deich, by why.")
	for _, c := range []struct {
		why string
		n   uint64
	}{{"ordered", s.Connections.Refused}, {"full", s.Connections.Full}, {"evicted", s.Connections.Evicted}, {"slow", s.Connections.Slow},
		{"abusive", s.Connections.Abusive}} {
		m.value("deich_connections_closed_total", float64(c.n), "why", c.why)
	}
	m.single("deich_malformed_total", "counter", "What clients sent and is no request.", float64(s.Connections.Malformed))
	m.single("deich_sent_on_total", "counter", "Requests that were answered with the way to https.", float64(s.Connections.SentOn))
	m.single("deich_unnamed_total", "counter", "Requests for a name that is not served.", float64(s.Connections.Unnamed))
	m.writeSpool(s.Spool)
	m.single("deich_connections_empty_total", "counter", "Connections that ended without a request.", float64(s.Connections.Empty))
	m.single("deich_handshakes_refused_total", "counter", "TLS handshakes that were not begun.", float64(s.Connections.Handshakes))
	m.family("deich_gate", "gauge", "1 for the way in which the kernel drops packets.")
	m.value("deich_gate", 1, "backend", s.Gate.Backend)
	m.single("deich_gate_sources", "gauge", "Judged sources whose packets the kernel drops.", float64(s.Gate.Sources))
	m.single("deich_gate_missed_total", "counter", "Orders that the gate had no room for, or could not carry out.", float64(s.Gate.Missed))
	m.family("deich_gate_packets_total", "counter", "Packets at the gate, by reason; those with dropped=false passed.")
	for _, p := range s.Gate.Packets {
		m.value("deich_gate_packets_total", float64(p.Packets), "reason", p.Reason, "dropped", strconv.FormatBool(p.Dropped))
	}
	m.family("deich_gate_bytes_total", "counter", "Their bytes.")
	for _, p := range s.Gate.Packets {
		m.value("deich_gate_bytes_total", float64(p.Bytes), "reason", p.Reason, "dropped", strconv.FormatBool(p.Dropped))
	}
	m.single("deich_failopen", "gauge", "1 while the engine is being left alone.", truth(s.Failopen))
	m.single("deich_memory_bytes", "gauge", "The engine's tables, fixed at start.", float64(s.MemoryBytes))
	m.single("deich_listed", "gauge", "What is listed by hand.", float64(s.Listed))
	m.single("deich_ordered", "gauge", "Sources refused at accept.", float64(s.Ordered))
	m.single("deich_engine_panics_total", "counter", "Failures of the engine that were caught; requests went on.", float64(s.Panics))
	m.single("deich_observe", "gauge", "1 while Deich only observes.", truth(s.Observe))
	m.single("deich_bypass", "gauge", "1 while an operator lets everything pass.", truth(!s.Bypass.IsZero()))
	m.single("deich_reload_refused", "gauge", "1 while what the last reload was to put in force is not.", truth(s.ReloadRefused))
	m.family("deich_info", "gauge", "The version that runs.")
	m.value("deich_info", 1, "version", s.Version)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// metrics writes lines; a failed write is the reader's loss and ends with its connection.
type metrics struct{ w io.Writer }

func (m metrics) family(name, kind, help string) {
	fmt.Fprintf(m.w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (m metrics) single(name, kind, help string, v float64) {
	m.family(name, kind, help)
	m.value(name, v)
}

// labelEscape is the format's own: backslash, quote and line break.
var labelEscape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func (m metrics) value(name string, v float64, labels ...string) {
	var b strings.Builder
	b.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		b.WriteByte("{,"[min(i, 1)])
		b.WriteString(labels[i] + `="` + labelEscape.Replace(labels[i+1]) + `"`)
	}
	if len(labels) > 0 {
		b.WriteByte('}')
	}
	b.WriteString(" " + strconv.FormatFloat(v, 'g', -1, 64) + "\n")
	io.WriteString(m.w, b.String())
}

// histogram writes a bound for each doubling: a reader's database keeps one
// series for each, while the page wants them finer.
func (m metrics) histogram(name string, l *Latency) {
	var sum uint64
	shown := 0.0
	for i, bound := range l.Bounds {
		if i < len(l.Counts) {
			sum += l.Counts[i]
		}
		if bound < 2*shown && i < len(l.Bounds)-1 {
			continue
		}
		shown = bound
		m.value(name+"_bucket", float64(sum), "tier", l.Tier, "le", strconv.FormatFloat(bound, 'g', -1, 64))
	}
	for _, n := range l.Counts[min(len(l.Bounds), len(l.Counts)):] {
		sum += n
	}
	m.value(name+"_bucket", float64(sum), "tier", l.Tier, "le", "+Inf")
	m.value(name+"_sum", l.Sum, "tier", l.Tier)
	m.value(name+"_count", float64(sum), "tier", l.Tier)
}

// writeSpool tells of kept messages, where there are any to be.
func (m metrics) writeSpool(s *Spool) {
	if s == nil {
		return
	}
	m.single("deich_spool_waiting", "gauge", "Kept messages that are not delivered yet.", float64(s.Waiting))
	m.single("deich_spool_oldest_seconds", "gauge", "How long the oldest of them waits.", s.OldestSeconds)
	m.single("deich_spool_receipts", "gauge", "Messages and receipts that are known.", float64(s.Receipts))
	m.single("deich_spool_bytes", "gauge", "Bytes of kept texts.", float64(s.Bytes))
	m.single("deich_spool_files_bytes", "gauge", "Bytes of the files that they lie in.", float64(s.Files))
	m.single("deich_spool_keeping", "gauge", "1 while the disk, or the cluster, takes messages, their folder was read at the start, and there is room for keys.", truth(s.Keeping))
	m.single("deich_spool_keys", "gauge", "Requests to the platform that are remembered by their key.", float64(s.Keys))
	m.single("deich_spool_paused", "gauge", "1 while nothing is delivered, since an operator said so.", truth(s.Paused))
	m.single("deich_spool_courier", "gauge", "1 while this edge delivers what lies on a cluster.", truth(s.Courier))
	m.single("deich_spool_kept_total", "counter", "Messages kept.", float64(s.Kept))
	m.single("deich_spool_refused_total", "counter", "Messages not kept: no room, or the disk or the cluster failed.", float64(s.Refused))
	m.single("deich_spool_damaged_total", "counter", "Records that could not be read at the start.", float64(s.Damaged))
	m.family("deich_spool_ended_total", "counter", "What became of messages.")
	for _, state := range slices.Sorted(maps.Keys(s.Ended)) {
		m.value("deich_spool_ended_total", float64(s.Ended[state]), "state", state)
	}
}
