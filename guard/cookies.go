package guard

import (
	"net/http"
	"strings"
)

// ownCookies finds the pass and the ticket among a request's cookies, whatever
// their number, without parsing the others.
func ownCookies(lines []string, secured bool) (pass, place string) {
	left := cookieBytesMax
	for _, line := range lines {
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

// withoutOwn gives what is left of a line: mostly a piece of it as it came.
func withoutOwn(line string) string {
	from, to := -1, -1
	for at := 0; at <= len(line); {
		end := strings.IndexByte(line[at:], ';')
		if end += at; end < at {
			end = len(line)
		}
		switch pair := line[at:end]; {
		case ownPair(pair):
		case from >= 0 && at > to+1:
			return piecesWithoutOwn(line)
		case from >= 0:
			to = end
		default:
			if pair = strings.TrimLeft(pair, " "); pair != "" {
				from, to = end-len(pair), end
			}
		}
		at = end + 1
	}
	if from < 0 {
		return ""
	}
	return line[from:to]
}

// deskCookie is the console's session: cookies do not know ports, so a browser that is
// signed in to a console of the same host sends it to the platform, too.
const deskCookie = passCookie + "-desk"

// ownPair says whether a cookie is named like one of Deich's.
func ownPair(pair string) bool {
	name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
	name = strings.TrimPrefix(name, hostPrefix)
	return name == passCookie || name == placeCookie || name == deskCookie
}

// piecesWithoutOwn is withoutOwn, put together anew.
func piecesWithoutOwn(line string) string {
	var b strings.Builder
	for pair := range strings.SplitSeq(line, ";") {
		if ownPair(pair) {
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
