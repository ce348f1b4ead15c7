package desk

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// table is what stands in one of the page's tables, for other programs: rows of
// text, numbers, truths and times; nil is nothing.
type table struct {
	columns []string
	rows    [][]any
	err     error // why it cannot be told
}

func (t *table) add(row ...any) { t.rows = append(t.rows, row) }

// tables are the page's, by the name in their address.
var tables = map[string]func(*Desk, *Live) table{
	"users": func(_ *Desk, v *Live) table {
		t := table{columns: []string{"tier", "asked_per_second", "served_share", "p50_ms", "p99_ms", "served_total"}}
		for _, g := range v.Groups {
			t.add(g.Tier, g.Asked, orNothing(g.Served), orNothing(g.P50), orNothing(g.P99), g.Total)
		}
		return t
	},
	"acts": func(_ *Desk, v *Live) table {
		t := table{columns: []string{"act", "per_second", "total"}}
		for _, a := range v.Acts {
			t.add(a.Act, a.Second, a.Total)
		}
		return t
	},
	"causes": func(_ *Desk, v *Live) table {
		t := table{columns: []string{"origin", "paths", "cause", "sure", "since", "term", "value", "weight"}}
		for _, o := range v.Origins {
			for _, term := range heaviest(o.Terms) {
				t.add(o.Name, "", o.Cause, o.Sure, o.CauseSince, term.Name, term.Value, term.Weight)
			}
			for _, g := range o.Segments {
				for _, term := range heaviest(g.Terms) {
					t.add(o.Name, cmp.Or(g.Paths, english.OtherPaths), g.Cause, g.Sure, g.CauseSince, term.Name, term.Value, term.Weight)
				}
			}
		}
		return t
	},
	"rules": func(_ *Desk, v *Live) table {
		t := table{columns: []string{"id", "text", "text_de"}}
		for _, r := range v.Rules {
			t.add(r.ID, r.Text, r.German)
		}
		return t
	},
	"networks": func(d *Desk, _ *Live) table {
		t := table{columns: append(append([]string{"network", "seconds", "requests"}, acts[:]...), "before", "ordered", "operator", "country")}
		s := d.state()
		for _, n := range s.Networks {
			row := []any{n.Prefix, s.NetworksOver.Seconds(), n.Asked()}
			for _, times := range n.Acts {
				row = append(row, times)
			}
			t.add(append(row, n.Before, n.Ordered, n.Operator, n.Country)...)
		}
		return t
	},
	"operators": func(d *Desk, _ *Live) table { s := d.state(); return parts(s.Operators, s.NetworksOver) },
	"countries": func(d *Desk, _ *Live) table { s := d.state(); return parts(s.Countries, s.NetworksOver) },
	"hand": func(d *Desk, _ *Live) table {
		t := table{columns: []string{"id", "act", "target", "path", "until"}}
		for _, l := range d.state().Hand {
			t.add(l.ID, l.Act, l.Target, l.Path, l.Until)
		}
		return t
	},
	"origins": func(_ *Desk, v *Live) table {
		t := table{columns: []string{"origin", "state", "cause", "sure", "demand", "goodput", "limit", "inflight", "queued", "streams", "cut"}}
		for _, o := range v.Origins {
			t.add(o.Name, english.Stated(o), o.Cause, o.Sure, o.Demand, o.Goodput, o.Limit, o.Inflight, o.Queued, o.Streams, o.Cut)
		}
		return t
	},
	"spool": func(_ *Desk, v *Live) table {
		t := table{columns: []string{"what", "value"}}
		if s := v.Spool; s != nil {
			t.add("mode", s.Mode())
			t.add("waiting", s.Waiting)
			t.add("oldest_seconds", s.OldestSeconds)
			t.add("bytes", s.Bytes)
			t.add("files_bytes", s.Files)
			t.add("kept", s.Kept)
			t.add("refused", s.Refused)
			for _, state := range sorted(english.Ended) {
				t.add("ended_"+state, s.Ended[state])
			}
		}
		return t
	},
	"gate": func(_ *Desk, v *Live) table {
		t := table{columns: []string{"backend", "reason", "dropped", "packets", "bytes"}}
		for _, p := range v.Gate.Packets {
			t.add(v.Gate.Backend, p.Reason, p.Dropped, p.Packets, p.Bytes)
		}
		return t
	},
	"events": func(d *Desk, _ *Live) table {
		t := table{columns: []string{"at", "kind", "origin", "text", "text_de"}}
		for _, e := range d.events.last(eventsMax) {
			t.add(e.At, e.Kind, e.Origin, e.Text, e.German)
		}
		return t
	},
	"history": func(d *Desk, _ *Live) table {
		t := table{columns: []string{"at"}}
		for _, tier := range tiers {
			t.columns = append(t.columns, tier+"_asked", tier+"_served")
		}
		t.columns = append(append(t.columns, acts[:]...), "limit", "inflight", "queued", "cut")
		for _, s := range d.live.history.last(historySeconds) {
			row := []any{time.UnixMilli(s.At)}
			for i := range tiers {
				row = append(row, s.Asked[i], s.Served[i])
			}
			for _, n := range s.Acts {
				row = append(row, n)
			}
			t.add(append(row, s.Limit, s.Flight, s.Queued, s.Cut)...)
		}
		return t
	},
	"actions": func(d *Desk, _ *Live) table {
		t := table{columns: []string{"at", "kind", "by", "incident", "text", "text_de"}}
		if d.incidents != nil {
			var all []Action
			all, t.err = d.incidents.actions(actionsMax)
			for _, a := range all {
				t.add(a.At, a.Kind, a.By, a.Incident, a.Text, a.German)
			}
		}
		return t
	},
	"incidents": func(d *Desk, _ *Live) table {
		t := table{columns: []string{"id", "life", "begin", "mitigated", "restored", "end", "hurt", "asked", "lost", "missed", "cause", "sure", "approved"}}
		if d.incidents != nil {
			var all []IncidentLine
			all, t.err = d.incidents.listed()
			for _, i := range all {
				t.add(i.ID, string(i.Life), i.Begin, i.Mitigated, i.Restored, i.End, i.Hurt, i.Asked, i.Lost, i.Missed.All, i.Cause, i.Sure, i.Approved)
			}
		}
		return t
	},
}

// parts is a table of operators or of countries.
func parts(all []Part, over time.Duration) table {
	t := table{columns: append(append([]string{"code", "name", "name_de", "seconds", "requests"}, acts[:]...), "before")}
	for _, p := range all {
		row := []any{p.Code, p.Name, p.German, over.Seconds(), p.Asked()}
		for _, times := range p.Acts {
			row = append(row, times)
		}
		t.add(append(row, p.Before)...)
	}
	return t
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func orNothing(v float64) any {
	if v < 0 {
		return nil
	}
	return v
}

// serveTable gives one of the page's tables whole, as NAME.csv or NAME.json.
func (d *Desk) serveTable(w http.ResponseWriter, r *http.Request) {
	name, kind, _ := strings.Cut(r.PathValue("file"), ".")
	fill, known := tables[name]
	if !known || kind != "csv" && kind != "json" {
		Problem(w, http.StatusNotFound, "there is no such table", strings.Join(sorted(tables), ", ")+"; each with .csv or .json")
		return
	}
	v, ok := d.live.newest()
	if !ok {
		d.sample()
		v, _ = d.live.newest()
	}
	t := fill(d, &v)
	if t.err != nil {
		problemOf(w, t.err)
		return
	}
	w.Header().Set("Content-Disposition", `attachment; filename="deich-`+name+"."+kind+`"`)
	if kind == "json" {
		JSON(w, t.objects())
		return
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	t.writeCSV(w)
}

// objects gives each row by the names of its columns.
func (t *table) objects() []map[string]any {
	all := []map[string]any{}
	for _, row := range t.rows {
		one := make(map[string]any, len(row))
		for i, v := range row {
			if at, ok := v.(time.Time); ok && at.IsZero() {
				v = nil
			}
			one[t.columns[i]] = v
		}
		all = append(all, one)
	}
	return all
}

// writeCSV writes RFC 4180 with a line of names. A failed write is the reader's
// loss and ends with its connection.
func (t *table) writeCSV(w io.Writer) {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	out.Write(t.columns)
	for _, row := range t.rows {
		line := make([]string, len(row))
		for i, v := range row {
			line[i] = cell(v)
		}
		out.Write(line)
	}
	out.Flush()
}

// cell writes a value. Text that a spreadsheet would take for a formula gets a
// quote in front: some of it was chosen by who is being refused.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.UTC().Format(time.RFC3339Nano)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		if v != "" && strings.ContainsAny(v[:1], "=+-@\t\r") {
			return "'" + v
		}
		return v
	}
	return fmt.Sprint(v)
}
