package drill

import (
	"bytes"
	"strconv"
	"strings"
)

// head is what an attacker looks at in an answer's head. Its slices point
// into what was parsed.
type head struct {
	status    int
	size      int // of the head itself, with its empty line
	length    int // of the body; -1 where it is not said
	chunked   bool
	closes    bool
	reason    []byte
	challenge []byte
	cookies   [][]byte // name=value, as sent, without attributes; at most CookiesMax
}

// parseHead reads the head of an HTTP/1.1 answer. whole is false while its
// end has not arrived; ok is false for what is no answer at all.
func parseHead(b []byte) (h head, whole, ok bool) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return head{}, false, len(b) < 5 || bytes.HasPrefix(b, []byte("HTTP/"))
	}
	lines := b[:end+2]
	line, lines := cutLine(lines)
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) || line[8] != ' ' {
		return head{}, true, false
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil || status < 100 || status > 999 {
		return head{}, true, false
	}
	h = head{status: status, size: end + 4, length: -1}
	for len(lines) > 0 {
		line, lines = cutLine(lines)
		h.field(line)
	}
	return h, true, true
}

func cutLine(b []byte) (line, rest []byte) {
	i := bytes.Index(b, []byte("\r\n"))
	if i < 0 {
		return b, nil
	}
	return b[:i], b[i+2:]
}

func (h *head) field(line []byte) {
	colon := bytes.IndexByte(line, ':')
	if colon < 0 {
		return
	}
	name, value := line[:colon], bytes.TrimSpace(line[colon+1:])
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		if n, err := strconv.Atoi(string(value)); err == nil && n >= 0 {
			h.length = n
		}
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		h.chunked = bytes.EqualFold(value, []byte("chunked"))
	case bytes.EqualFold(name, []byte("Connection")):
		h.closes = bytes.EqualFold(value, []byte("close"))
	case bytes.EqualFold(name, []byte("Deich-Reason")):
		h.reason = value
	case bytes.EqualFold(name, []byte("Deich-Challenge")):
		h.challenge = value
	case bytes.EqualFold(name, []byte("Set-Cookie")) && len(h.cookies) < CookiesMax:
		pair, _, _ := bytes.Cut(value, []byte(";"))
		if bytes.IndexByte(pair, '=') > 0 {
			h.cookies = append(h.cookies, pair)
		}
	}
}

// keepCookies gives a Cookie header's value with the new pairs put into it;
// what would make it longer than CookieBytesMax is left out.
func keepCookies(jar string, pairs [][]byte) string {
	for _, pair := range pairs {
		name, _, _ := strings.Cut(string(pair), "=")
		kept := make([]string, 0, CookiesMax)
		for _, old := range strings.Split(jar, "; ") {
			if old != "" && !strings.HasPrefix(old, name+"=") && len(kept) < CookiesMax-1 {
				kept = append(kept, old)
			}
		}
		if next := strings.Join(append(kept, string(pair)), "; "); len(next) <= CookieBytesMax {
			jar = next
		}
	}
	return jar
}

// puzzle is a challenge as its header puts it: "bits=14;token=...".
type puzzle struct {
	bits  int
	token string
}

// parsePuzzle reads the value of Deich-Challenge.
func parsePuzzle(value string) (puzzle, bool) {
	var p puzzle
	for _, part := range strings.Split(value, ";") {
		name, v, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "bits":
			p.bits, _ = strconv.Atoi(v)
		case "token":
			p.token = v
		}
	}
	// A puzzle much harder than any that is ever set is not worked on.
	return p, p.bits > 0 && p.bits <= 24 && p.token != "" && len(p.token) <= HeadBytesMax
}
