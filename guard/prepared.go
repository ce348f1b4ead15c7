package guard

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// prepared is a rendered page, cut where values go.
type prepared struct {
	language, policy []string
	times            times
	parts            []part
	last             string
}

// part is what stands before a value, and the value.
type part struct {
	before string
	value  value
}

// value is one that a request brings into a page.
type value uint8

const (
	valueReason value = iota
	valueReference
	valueToken
	valueBits
	valueReturn // as text
	valueLink   // the same, as an address
	valueWait   // how long, as an answer to "how long"
	valueRetry  // the same, as an answer to "when"
	valueRefresh
	valueText
	values
)

// valueNames are the values' names in templates and words.
var valueNames = [values]string{
	"reason", "reference", "token", "bits", "return", "link", "wait", "retry", "refresh", "text",
}

// A mark stands for a value while a page is rendered. It is made of letters
// and figures only, which no context of HTML escapes.
const markPrefix = "DeichMark"

func (v value) mark() string { return markPrefix + string(rune('A'+v)) }

// cut finds the marks in a rendered page.
func cut(rendered string) (*prepared, error) {
	p := new(prepared)
	for {
		before, after, found := strings.Cut(rendered, markPrefix)
		if !found {
			p.last = rendered
			return p, nil
		}
		if after == "" || after[0] < 'A' || after[0] >= 'A'+byte(values) {
			return nil, fmt.Errorf("unknown mark %.1q", after)
		}
		p.parts = append(p.parts, part{before, value(after[0] - 'A')})
		rendered = after[1:]
	}
}

// append writes the page with the values of pg to b.
func (p *prepared) append(b []byte, pg *page) []byte {
	for i := range p.parts {
		b = append(b, p.parts[i].before...)
		b = p.appendValue(b, p.parts[i].value, pg)
	}
	return append(b, p.last...)
}

func (p *prepared) appendValue(b []byte, v value, pg *page) []byte {
	switch v {
	case valueReason:
		return append(b, pg.Reason.String()...)
	case valueReference:
		return appendText(b, pg.Reference)
	case valueToken:
		return appendText(b, pg.Token)
	case valueBits:
		return strconv.AppendInt(b, int64(pg.Bits), 10)
	case valueReturn:
		return appendText(b, pg.Return)
	case valueLink:
		return appendLink(b, pg.Return)
	case valueWait:
		return p.times.append(b, p.times.wait, pg.RetryAfter)
	case valueRetry:
		return p.times.append(b, p.times.retry, pg.RetryAfter)
	case valueRefresh:
		return strconv.AppendInt(b, refresh(pg.RetryAfter), 10)
	default:
		return appendText(b, pg.Text)
	}
}

// refresh is how long the waiting room stands before it asks again, in seconds.
func refresh(after time.Duration) int64 {
	return min(max(int64((after+time.Second-1)/time.Second), refreshMin), refreshMax)
}

// appendText writes s as text of an element, of a title or textarea, or of a
// quoted attribute: what html/template does in these places.
func appendText(b []byte, s string) []byte {
	done := 0
	for i := range len(s) {
		var e string
		switch s[i] {
		case 0:
			e = "\uFFFD"
		case '"':
			e = "&#34;"
		case '&':
			e = "&amp;"
		case '\'':
			e = "&#39;"
		case '+':
			e = "&#43;"
		case '<':
			e = "&lt;"
		case '>':
			e = "&gt;"
		default:
			continue
		}
		b = append(b, s[done:i]...)
		b = append(b, e...)
		done = i + 1
	}
	return append(b, s[done:]...)
}

// appendLink writes a same-origin path as the address of a link. What is none
// leads to the page itself.
func appendLink(b []byte, path string) []byte {
	if !strings.HasPrefix(path, "/") || len(path) > 1 && (path[1] == '/' || path[1] == '\\') {
		return b
	}
	const hex = "0123456789abcdef"
	for i := range len(path) {
		switch c := path[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~!#$*,/:;=?@[]", c) >= 0:
			b = append(b, c)
		case c == '&':
			b = append(b, "&amp;"...)
		case c == '+':
			b = append(b, "&#43;"...)
		case c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]):
			b = append(b, c)
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
