package dossier

import (
	"fmt"
	"io"
	"strings"
)

// Markdown writes the dossier as CommonMark with tables; lang is "en" or "de".
// What others wrote is escaped: it stays text.
func (d *Dossier) Markdown(w io.Writer, lang string) error {
	v, err := d.view(lang)
	if err != nil {
		return err
	}
	m := &markdown{}
	m.line("# %s", v.Title)
	m.line("%s %s · %s · "+escape(v.W.Made), v.W.Dossier, v.ID, v.Life, v.MadeAt)
	m.line("## %s", v.W.Summary)
	m.all(v.Summary)
	head := v.W.Facts
	if !v.Measured {
		head = v.W.Reports
	}
	m.line("## %s", head)
	m.pairs(v.W, v.Facts)
	if len(v.Plots) > 0 {
		m.line("## %s", v.W.Plots)
		for _, p := range v.Plots {
			m.line("### %s (%s)", p.Title, p.Unit)
			m.table(p.Heads, p.Table)
		}
	}
	m.line("## %s", v.W.Cause)
	for _, c := range v.Cause {
		var places []string
		for _, p := range c.See {
			places = append(places, p.Name)
		}
		if len(places) == 0 {
			m.line("%s", c.Text)
		} else {
			m.line("%s (→ %s)", c.Text, strings.Join(places, "; "))
		}
	}
	for _, x := range v.Verdicts {
		m.line("### %s · %s · %s (%s)", x.When, x.Origin, x.Cause, x.Sure)
		m.pairs(v.W, x.Terms)
	}
	if v.Measured {
		m.line("## %s", v.W.Rules)
		if len(v.Rules) == 0 {
			m.line("%s", v.W.NoRules)
		} else {
			m.moments([]string{v.W.From, v.W.Who, v.W.What}, v.Rules)
		}
		m.line("## %s", v.W.Collateral)
		m.pairs(v.W, v.Collate)
	}
	m.claims(v)
	m.line("## %s", v.W.Timeline)
	m.moments([]string{v.W.When, v.W.Who, v.W.What}, v.Timeline)
	m.list(v.W.Worked, v.Worked, "")
	m.list(v.W.Lessons, v.Lessons, v.W.NoLessons)
	m.list(v.W.Open, v.Open, "")
	for _, s := range []string{v.Record, v.Pseudonym} {
		if s != "" {
			m.line("%s", s)
		}
	}
	_, err = io.WriteString(w, m.b.String())
	return err
}

type markdown struct{ b strings.Builder }

// escape keeps text from being markup.
func escape(s string) string {
	return strings.NewReplacer("\\", "\\\\", "<", "&lt;", ">", "&gt;", "&", "&amp;", "*", "\\*", "_", "\\_", "`", "\\`", "[", "\\[", "]", "\\]",
		"|", "\\|", "#", "\\#", "~", "\\~", "\r", " ", "\n", " ").Replace(s)
}

// line writes a paragraph; all texts in it are escaped.
func (m *markdown) line(format string, texts ...any) {
	for k, t := range texts {
		texts[k] = escape(fmt.Sprint(t))
	}
	fmt.Fprintf(&m.b, format+"\n\n", texts...)
}

func (m *markdown) all(texts []string) {
	for _, t := range texts {
		m.line("%s", t)
	}
}

func (m *markdown) table(heads []string, rows [][]string) {
	row := func(cells []string) {
		m.b.WriteByte('|')
		for _, c := range cells {
			m.b.WriteString(" " + escape(c) + " |")
		}
		m.b.WriteByte('\n')
	}
	row(heads)
	m.b.WriteString("|" + strings.Repeat(" --- |", len(heads)) + "\n")
	for _, r := range rows {
		row(r)
	}
	m.b.WriteByte('\n')
}

func (m *markdown) pairs(w words, all []pair) {
	if len(all) == 0 {
		return
	}
	var rows [][]string
	for _, p := range all {
		rows = append(rows, []string{p.Name, p.Text})
	}
	m.table([]string{w.Name, w.Value}, rows)
}

func (m *markdown) moments(heads []string, all []moment) {
	var rows [][]string
	for _, x := range all {
		rows = append(rows, []string{x.When, x.Who, x.Text})
	}
	m.table(heads, rows)
}

func (m *markdown) list(head string, all []string, none string) {
	if len(all) == 0 && none == "" {
		return
	}
	m.line("## %s", head)
	if len(all) == 0 {
		m.line("%s", none)
		return
	}
	for _, s := range all {
		m.b.WriteString("- " + escape(s) + "\n")
	}
	m.b.WriteByte('\n')
}

func (m *markdown) claims(v *view) {
	m.line("## %s", v.W.Claims)
	if len(v.Claims) == 0 {
		m.line("%s", v.W.NoClaims)
	}
	for _, c := range v.Claims {
		m.line("### "+escape(v.W.Claimed), c.Who)
		m.pairs(v.W, c.Facts)
		if c.Text != "" {
			m.line("> %s", c.Text)
			m.line("SHA-256 %s", c.Hash)
		} else {
			m.line("%s", v.W.NoText)
		}
		m.line("%s: **%s**. %s", v.W.Against, c.Answer, c.Why)
		var rows [][]string
		for _, p := range c.Points {
			answer := p.Answer
			if p.Sure != "" {
				answer += " (" + p.Sure + ")"
			}
			rows = append(rows, []string{p.Title, answer, p.Why})
		}
		m.table([]string{v.W.Point, v.W.Answer, v.W.Why}, rows)
		m.line("%s", v.Note)
	}
}
