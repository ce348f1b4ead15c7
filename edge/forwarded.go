package edge

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"
)

const (
	headerXForwardedFor   = "X-Forwarded-For"
	headerXForwardedHost  = "X-Forwarded-Host"
	headerXForwardedProto = "X-Forwarded-Proto"
	headerForwarded       = "Forwarded"
	headerXRealIP         = "X-Real-Ip"
	headerNone            = "none"
)

// trusted is the set of proxies whose word is believed.
type trusted struct {
	table *bart.Lite
	none  bool
}

func newTrusted(list []string) (trusted, error) {
	t := trusted{table: new(bart.Lite), none: len(list) == 0}
	for _, text := range list {
		p, err := parseTrusted(text)
		if err != nil {
			return t, err
		}
		t.table.Insert(p)
	}
	return t, nil
}

func (t trusted) has(a netip.Addr) bool { return !t.none && t.table.Lookup(a) }

// clientOf gives the client of a request that came from hop: hop itself, or
// where it is trusted, the rightmost address in the named header that is not.
// What cannot be read ends the chain: left of it nothing is believed.
func (t trusted) clientOf(h http.Header, header string, hop netip.Addr) netip.Addr {
	if !t.has(hop) {
		return hop
	}
	var chain [forwardedMax]netip.Addr
	var n int
	switch header {
	case headerXForwardedFor:
		n = forwardedFor(h[headerXForwardedFor], &chain)
	case headerForwarded:
		n = forwarded(h[headerForwarded], &chain)
	}
	for _, a := range chain[:n] {
		if !a.IsValid() {
			break
		}
		hop = a
		if !t.has(a) {
			break
		}
	}
	return hop
}

// forwardedFor fills chain with the addresses of X-Forwarded-For, the nearest
// hop first; one that cannot be read is invalid, and ends it.
func forwardedFor(lines []string, chain *[forwardedMax]netip.Addr) (n int) {
	for i := len(lines) - 1; i >= 0; i-- {
		line := lines[i]
		for more := true; more; {
			item := line
			if at := strings.LastIndexByte(line, ','); at >= 0 {
				line, item = line[:at], line[at+1:]
			} else {
				more = false
			}
			if n == len(chain) {
				return n
			}
			chain[n] = parseNode(strings.Trim(item, " \t"))
			n++
			if !chain[n-1].IsValid() {
				return n
			}
		}
	}
	return n
}

// forwarded does the same for Forwarded (RFC 7239). Its quoting can only be
// read from the left, so that the last ones are kept in a ring.
func forwarded(lines []string, chain *[forwardedMax]netip.Addr) (n int) {
	var ring [forwardedMax]netip.Addr
	total := 0
	for _, line := range lines {
		for line != "" {
			var element string
			element, line = cutQuoted(line, ',')
			ring[total%forwardedMax] = forOf(element)
			total++
		}
	}
	for n < min(total, forwardedMax) {
		chain[n] = ring[(total-1-n)%forwardedMax]
		n++
	}
	return n
}

// cutQuoted cuts s at the first sep outside a quoted string.
func cutQuoted(s string, sep byte) (before, after string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case quoted && s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && s[i] == sep:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// forOf gives the address in an element's "for" parameter; invalid where there
// is none, or an obfuscated one.
func forOf(element string) netip.Addr {
	for element != "" {
		var pair string
		pair, element = cutQuoted(element, ';')
		name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		return parseNode(value)
	}
	return netip.Addr{}
}

// parseNode reads an address with or without port: 192.0.2.1, 192.0.2.1:80,
// 2001:db8::1, [2001:db8::1], [2001:db8::1]:80. IPv4 inside IPv6 is unmapped.
func parseNode(s string) netip.Addr {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 || !validPort(s[end+1:]) {
			return netip.Addr{}
		}
		s = s[1:end]
	} else if at := strings.IndexByte(s, ':'); at >= 0 && at == strings.LastIndexByte(s, ':') {
		if !validPort(s[at:]) {
			return netip.Addr{}
		}
		s = s[:at]
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Addr{}
	}
	return a.Unmap()
}

// validPort takes "" and ":" with up to five digits.
func validPort(s string) bool {
	if s == "" {
		return true
	}
	return s[0] == ':' && len(s) > 1 && len(s) <= 6 && strings.Trim(s[1:], "0123456789") == ""
}
