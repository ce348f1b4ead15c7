package status

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"slices"
	"time"

	"github.com/deichproject/deich/desk/incident"
)

type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	Lang    string      `xml:"xml:lang,attr"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  atomAuthor  `xml:"author"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

// feedAuthor is by what a published feed is known, too.
const feedAuthor = "Deich"

type atomAuthor struct {
	Name string `xml:"name"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID      string    `xml:"id"`
	Title   string    `xml:"title"`
	Updated string    `xml:"updated"`
	Links   *atomLink `xml:"link,omitempty"`
	Content atomText  `xml:"content"`
}

type atomText struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

type entry struct {
	id, title, text, anchor string
	at                      time.Time
	incident                string
	life                    incident.Life
	told                    incident.Text
	also                    incident.Also
}

// entries are all updates, the newest first. An entry's name stays, whatever is
// said later: where the page stands, its incident, the moment, and the language.
func (d *Document) entries(lang, url string) (all []entry) {
	for _, group := range [][]Incident{d.Current, d.Past} {
		for _, i := range group {
			twins := 0 // of the same moment, the oldest first
			for k := len(i.Updates) - 1; k >= 0; k-- {
				u := i.Updates[k]
				if twins++; k+1 == len(i.Updates) || i.Updates[k+1].At.UnixMilli() != u.At.UnixMilli() {
					twins = 0
				}
				name := fmt.Sprintf("%s:%d", i.ID, u.At.UnixMilli())
				if twins > 0 {
					name += fmt.Sprintf(":%d", twins)
				}
				text, _ := u.in(lang)
				all = append(all, entry{
					feedName(url, lang, name), incident.LifeName(u.Life).In(lang) + " (" + i.ID + ")", text, "#i" + i.ID, u.At,
					i.ID, u.Life, u.Text, u.Also,
				})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return b.at.Compare(a.at) })
	return all
}

// feedName gives an IRI that nothing else has.
func feedName(url, lang, name string) string {
	if url == "" {
		return "urn:deich:" + lang + ":" + name
	}
	return url + "?lang=" + lang + "#" + name
}

func (d *Document) updated() time.Time {
	last := time.Time{}
	for _, e := range d.entries("en", "") {
		if e.at.After(last) {
			last = e.at
		}
	}
	if last.IsZero() && len(d.Days) > 0 { // nothing was ever said: as old as the history
		last, _ = time.Parse(time.DateOnly, d.Days[0].Day)
	}
	return last
}

// atom gives the feed by RFC 4287. url is where the page stands, with a slash
// at its end, or "" where that is not known.
func (d *Document) atom(lang, url string, l links) ([]byte, error) {
	f := atomFeed{Lang: lang, ID: feedName(url, lang, "status"), Title: wordsIn(lang).Title, Updated: d.updated().UTC().Format(time.RFC3339), Author: atomAuthor{feedAuthor}}
	if url != "" {
		f.Links = []atomLink{{"self", "application/atom+xml", url + l.Atom(lang)}, {"alternate", "text/html", url}}
	}
	for _, e := range d.entries(lang, url) {
		a := atomEntry{ID: e.id, Title: e.title, Updated: e.at.UTC().Format(time.RFC3339), Content: atomText{"text", e.text}}
		if url != "" {
			a.Links = &atomLink{"alternate", "text/html", url + e.anchor}
		}
		f.Entries = append(f.Entries, a)
	}
	b, err := xml.MarshalIndent(f, "", " ")
	return append([]byte(xml.Header), append(b, '\n')...), err
}

type jsonFeed struct {
	Version  string     `json:"version"`
	Title    string     `json:"title"`
	Language string     `json:"language"`
	Home     string     `json:"home_page_url,omitempty"`
	Feed     string     `json:"feed_url,omitempty"`
	Items    []jsonItem `json:"items"`
}

type jsonItem struct {
	ID        string `json:"id"`
	URL       string `json:"url,omitempty"`
	Title     string `json:"title"`
	Text      string `json:"content_text"`
	Published string `json:"date_published"`
}

// json gives the feed by JSON Feed 1.1.
func (d *Document) json(lang, url string, l links) ([]byte, error) {
	f := jsonFeed{Version: "https://jsonfeed.org/version/1.1", Title: wordsIn(lang).Title, Language: lang, Items: []jsonItem{}}
	if url != "" {
		f.Home, f.Feed = url, url+l.JSON(lang)
	}
	for _, e := range d.entries(lang, url) {
		i := jsonItem{ID: e.id, Title: e.title, Text: e.text, Published: e.at.UTC().Format(time.RFC3339)}
		if url != "" {
			i.URL = url + e.anchor
		}
		f.Items = append(f.Items, i)
	}
	b, err := json.MarshalIndent(f, "", " ")
	return append(b, '\n'), err
}
