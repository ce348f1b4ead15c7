package edge

import "strings"

// hasToken says whether one of the comma-separated lists holds a token (RFC
// 9110, 5.6.1), in whatever case.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for more := true; more; {
			var item string
			item, line, more = strings.Cut(line, ",")
			if strings.EqualFold(strings.Trim(item, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// isToken says whether s is a token (RFC 9110, 5.6.2), as names of fields and
// protocols are.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		alnum := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if !alnum && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
