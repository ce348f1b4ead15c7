package guard

import (
	"net/http"
	"strings"
)

// ownCookies finds the pass and the ticket among a request's cookies, whatever
// their number, without parsing the others.
func ownCookies(h http.Header, secured bool) (pass, place string) {
	left := cookieBytesMax
	for _, line := range h["Cookie"] {
		if left -= len(line); left < 0 {
			return pass, place
		}
		for at := 0; at >= 0; {
			var name, value string
			name, value, at = nextOwnCookie(line, at, secured)
			switch {
			case name == passCookie && pass == "":
				pass = value
			case name == placeCookie && place == "":
				place = value
			}
		}
	}
	return pass, place
}

// nextOwnCookie gives the next cookie named like one of Deich's and where to
// go on; -1 ends it.
func nextOwnCookie(line string, at int, secured bool) (name, value string, next int) {
	i := strings.Index(line[at:], passCookie)
	if i < 0 {
		return "", "", -1
	}
	i += at
	start := i
	if secured {
		start -= len(hostPrefix)
	}
	next = i + len(passCookie)
	if start < 0 || secured && line[start:i] != hostPrefix || !pairBegins(line, start) {
		return "", "", next
	}
	pair, _, _ := strings.Cut(line[i:], ";")
	name, value, _ = strings.Cut(pair, "=")
	return name, strings.TrimRight(value, " \t"), next
}

func pairBegins(line string, at int) bool {
	before := strings.TrimRight(line[:at], " \t")
	return before == "" || before[len(before)-1] == ';'
}

// stripCookies takes Deich's own cookies out of a request, under both of their
// names, and leaves the others as they came.
func stripCookies(h http.Header) {
	lines := h["Cookie"]
	kept := lines[:0]
	for _, line := range lines {
		if strings.Contains(line, passCookie) {
			line = withoutOwn(line)
		}
		if line != "" {
			kept = append(kept, line)
		}
	}
	switch {
	case len(kept) == 0:
		delete(h, "Cookie")
	case len(kept) < len(lines):
		h["Cookie"] = kept
	}
}

func withoutOwn(line string) string {
	var b strings.Builder
	for pair := range strings.SplitSeq(line, ";") {
		name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
		name = strings.TrimPrefix(name, hostPrefix)
		if name == passCookie || name == placeCookie {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(';')
		} else {
			pair = strings.TrimLeft(pair, " ")
		}
		b.WriteString(pair)
	}
	return b.String()
}
