package status

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

// What RFC 4287 asks for of a feed, as far as this page makes use of it: which
// elements may and must be where, how often, and of what form.

type node struct {
	name  xml.Name
	attrs map[string]string
	text  string
	kids  []node
}

func readXML(b []byte) (root node, err error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	open := []*node{{}}
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			if len(open[0].kids) != 1 {
				return root, fmt.Errorf("%d roots", len(open[0].kids))
			}
			return open[0].kids[0], nil
		}
		if err != nil {
			return root, err
		}
		top := open[len(open)-1]
		switch t := t.(type) {
		case xml.StartElement:
			n := &node{name: t.Name, attrs: map[string]string{}}
			for _, a := range t.Attr {
				n.attrs[a.Name.Local] = a.Value
			}
			open = append(open, n)
		case xml.EndElement:
			open = open[:len(open)-1]
			open[len(open)-1].kids = append(open[len(open)-1].kids, *top)
		case xml.CharData:
			top.text += string(t)
		}
	}
}

func (n *node) all(name string) (all []node) {
	for _, k := range n.kids {
		if k.name.Local == name {
			all = append(all, k)
		}
	}
	return all
}

func absolute(iri string) bool {
	u, err := url.Parse(iri)
	return err == nil && u.Scheme != "" && !strings.ContainsAny(iri, " \t\n<>\"")
}

const atomSpace = "http://www.w3.org/2005/Atom"

func atomFaults(b []byte) (faults []string) {
	say := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if !bytes.HasPrefix(b, []byte("<?xml ")) {
		say("no XML declaration")
	}
	feed, err := readXML(b)
	if err != nil {
		return append(faults, err.Error())
	}
	if feed.name != (xml.Name{Space: atomSpace, Local: "feed"}) {
		say("the root is %v", feed.name)
	}
	if feed.attrs["lang"] == "" {
		say("no xml:lang")
	}
	ids := map[string]bool{}
	common := func(n *node, where string, may ...string) {
		for _, k := range n.kids {
			if k.name.Space != atomSpace || !slices.Contains(may, k.name.Local) {
				say("%s: %v has no place here", where, k.name)
			}
		}
		for _, once := range []string{"id", "title", "updated"} { // 4.1.1, 4.1.2: exactly one
			if len(n.all(once)) != 1 || strings.TrimSpace(n.all(once)[0].text) == "" {
				say("%s: not exactly one %s with a text", where, once)
			}
		}
		for _, k := range n.all("id") { // 4.2.6
			if !absolute(k.text) || ids[k.text] {
				say("%s: id %q is no absolute IRI, or not the only one", where, k.text)
			}
			ids[k.text] = true
		}
		for _, k := range n.all("updated") { // 3.3
			if _, err := time.Parse(time.RFC3339, k.text); err != nil {
				say("%s: %v", where, err)
			}
		}
		alternates := map[string]bool{}
		for _, k := range n.all("link") { // 4.2.7
			if !absolute(k.attrs["href"]) {
				say("%s: link to %q", where, k.attrs["href"])
			}
			if key := k.attrs["type"] + " " + k.attrs["hreflang"]; k.attrs["rel"] == "alternate" {
				if alternates[key] {
					say("%s: two alternates of the same kind", where)
				}
				alternates[key] = true
			}
		}
	}
	common(&feed, "feed", "id", "title", "updated", "author", "link", "entry")
	authors := feed.all("author")
	if len(authors) == 0 { // 4.1.1: else every entry needs one
		say("no author")
	}
	for _, a := range authors { // 3.2
		if len(a.all("name")) != 1 || a.all("name")[0].text == "" {
			say("an author without a name")
		}
	}
	for i, e := range feed.all("entry") {
		where := fmt.Sprintf("entry %d", i)
		common(&e, where, "id", "title", "updated", "link", "content")
		contents := e.all("content")
		if len(contents) != 1 { // 4.1.2: at most one; without one, an alternate link
			say("%s: %d contents", where, len(contents))
		}
		for _, c := range contents {
			if c.attrs["type"] != "text" || len(c.kids) > 0 || c.text == "" {
				say("%s: content of type %q with %d elements", where, c.attrs["type"], len(c.kids))
			}
		}
	}
	return faults
}

// jsonFeedFaults holds a feed against JSON Feed 1.1.
func jsonFeedFaults(b []byte) (faults []string) {
	say := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	var feed map[string]any
	if err := json.Unmarshal(b, &feed); err != nil {
		return []string{err.Error()}
	}
	text := func(m map[string]any, key string) string { s, _ := m[key].(string); return s }
	if text(feed, "version") != "https://jsonfeed.org/version/1.1" {
		say("version %q", feed["version"])
	}
	if text(feed, "title") == "" {
		say("no title")
	}
	for key := range feed {
		if !slices.Contains([]string{"version", "title", "language", "home_page_url", "feed_url", "items"}, key) {
			say("%q has no place here", key)
		}
	}
	for _, key := range []string{"home_page_url", "feed_url"} {
		if v, there := feed[key]; there && !absolute(text(feed, key)) {
			say("%s %v", key, v)
		}
	}
	items, ok := feed["items"].([]any)
	if !ok {
		say("items are no list")
	}
	ids := map[string]bool{}
	for i, v := range items {
		item, _ := v.(map[string]any)
		if id := text(item, "id"); id == "" || ids[id] {
			say("item %d: id %q is none, or not the only one", i, id)
		} else {
			ids[id] = true
		}
		if text(item, "content_text") == "" && text(item, "content_html") == "" {
			say("item %d: no content", i)
		}
		if _, err := time.Parse(time.RFC3339, text(item, "date_published")); err != nil {
			say("item %d: %v", i, err)
		}
		if u, there := item["url"]; there && !absolute(text(item, "url")) {
			say("item %d: url %v", i, u)
		}
	}
	return faults
}

func TestFeedsAreValid(t *testing.T) {
	twins := full() // of one moment, and with what a text may hold
	twins.Current[0].Updates[1].At = twins.Current[0].Updates[0].At
	twins.Current[0].Updates[2].At = twins.Current[0].Updates[0].At
	twins.Current[0].Updates[2].Text = incident.Text{English: "a & b ]]> \x00\x1b <c>", German: "ä"}
	for name, d := range map[string]*Document{"full": full(), "twins": twins, "empty": {Heard: now, Days: []Day{{"2026-03-07", 0, 0, 0, 0}}}} {
		for _, lang := range []string{"en", "de"} {
			for _, url := range []string{"", "https://status.example.org/"} {
				for _, l := range []links{{}, {files: true}} {
					atom, err := d.atom(lang, url, l)
					if faults := atomFaults(atom); err != nil || len(faults) > 0 {
						t.Errorf("%s, %s, %q: Atom: %v %q", name, lang, url, err, faults)
					}
					feed, err := d.json(lang, url, l)
					if faults := jsonFeedFaults(feed); err != nil || len(faults) > 0 {
						t.Errorf("%s, %s, %q: JSON Feed: %v %q", name, lang, url, err, faults)
					}
				}
			}
		}
	}
}

// An entry keeps its name when more is said, and has another one in another language.
func TestEntriesKeepTheirNames(t *testing.T) {
	d := full()
	was := d.entries("en", "")
	i := &d.Current[0]
	i.Updates = append([]Update{{At: i.Updates[0].At, Text: incident.Text{English: "more"}}}, i.Updates...)
	is := map[string]string{}
	for _, e := range d.entries("en", "") {
		is[e.id] = e.text
	}
	for _, e := range was {
		if is[e.id] != e.text {
			t.Errorf("%s was %.20q, and is %.20q", e.id, e.text, is[e.id])
		}
	}
	for _, e := range d.entries("de", "") {
		if _, same := is[e.id]; same {
			t.Errorf("%s is in both languages", e.id)
		}
	}
}

// The checks above find what they are for.
func TestFaultsAreFound(t *testing.T) {
	atom, err := full().atom("en", "https://status.example.org/", links{})
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string][2]string{
		"no updated": {"<updated>", "<changed>"}, "no namespace": {atomSpace, "http://www.w3.org/2005/Atum"}, "a relative id": {"<id>https://", "<id>//"},
		"a relative link": {`href="https://`, `href="/`}, "no author": {"author>", "editor>"}, "content with marks": {`type="text"`, `type="html"`}, "no date": {"T14:20:00Z", ""},
	} {
		broken := bytes.ReplaceAll(atom, []byte(change[0]), []byte(change[1]))
		if what == "no updated" {
			broken = bytes.ReplaceAll(broken, []byte("</updated>"), []byte("</changed>"))
		}
		if bytes.Equal(broken, atom) || len(atomFaults(broken)) == 0 {
			t.Errorf("Atom: %s: no fault found", what)
		}
	}
	feed, err := full().json("en", "https://status.example.org/", links{})
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string][2]string{
		"another version": {"version/1.1", "version/2"}, "no content": {"content_text", "content"}, "no id": {`"id"`, `"name"`}, "no date": {"date_published", "date_modified"},
		"a relative url": {`"url": "https://`, `"url": "/`},
	} {
		broken := bytes.ReplaceAll(feed, []byte(change[0]), []byte(change[1]))
		if bytes.Equal(broken, feed) || len(jsonFeedFaults(broken)) == 0 {
			t.Errorf("JSON Feed: %s: no fault found", what)
		}
	}
}

func TestBadge(t *testing.T) {
	up := &Document{Heard: now, Components: []Component{{State: Up}}}
	hurt := &Document{Heard: now, Components: []Component{{State: Up}}, Current: []Incident{{Hurt: true}}}
	for _, c := range []struct {
		d     *Document
		after time.Duration
		lang  string
		live  bool
		want  string
	}{
		{up, 0, "en", true, "works<"}, {up, 0, "de", true, "funktioniert<"}, {full(), 0, "en", true, "does not answer<"}, {full(), 0, "de", true, "antwortet nicht<"},
		{up, 40 * time.Second, "en", true, "not known<"}, {up, 40 * time.Second, "de", true, "nicht bekannt<"}, {hurt, 0, "en", true, "users affected<"},
		{up, time.Hour, "en", false, "works, 2026-03-07 15:20 CET<"},
	} {
		b := c.d.badge(c.lang, now.Add(c.after), cet, c.live)
		root, err := readXML(b)
		if err != nil || root.name.Local != "svg" || len(b) > 2<<10 || !bytes.Contains(b, []byte(c.want)) || root.attrs["aria-label"] == "" {
			t.Errorf("%q is missing in %d bytes: %v\n%s", c.want, len(b), err, b)
		}
	}
	dir := t.TempDir()
	write(t, dir, up)
	w := ask(serverAt(dir, now), "/badge.svg", "de")
	if w.Code != 200 || w.Header().Get("Content-Type") != "image/svg+xml" || w.Header().Get("Cache-Control") != "public, max-age=30" || !strings.Contains(w.Body.String(), "funktioniert") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}
