package edge

import (
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"github.com/deichproject/deich"
)

// control is what Cache-Control says of an answer (RFC 9111, 5.2.2; RFC 5861,
// 3 and 4). Times that are not said are negative.
type control struct {
	noStore, private, noCache, mustRevalidate, mustUnderstand bool

	maxAge, sharedMaxAge, whileRevalidate, ifError time.Duration
}

// parseControl reads a field. What is malformed counts against sharing: an age
// that is none is 0, and of two the shorter holds. A qualified "private" or
// "no-cache" is taken for the whole answer.
func parseControl(lines []string) control {
	c := control{maxAge: -1, sharedMaxAge: -1, whileRevalidate: -1, ifError: -1}
	for _, line := range lines {
		for line != "" {
			var name, value string
			name, value, line = nextDirective(line)
			c.say(name, value)
		}
	}
	return c
}

func (c *control) say(name, value string) {
	switch {
	case strings.EqualFold(name, "no-store"):
		c.noStore = true
	case strings.EqualFold(name, "private"):
		c.private = true
	case strings.EqualFold(name, "no-cache"):
		c.noCache = true
	case strings.EqualFold(name, "must-revalidate"), strings.EqualFold(name, "proxy-revalidate"):
		c.mustRevalidate = true
	case strings.EqualFold(name, "must-understand"):
		c.mustUnderstand = true
	case strings.EqualFold(name, "max-age"):
		shorter(&c.maxAge, value)
	case strings.EqualFold(name, "s-maxage"):
		shorter(&c.sharedMaxAge, value)
	case strings.EqualFold(name, "stale-while-revalidate"):
		shorter(&c.whileRevalidate, value)
	case strings.EqualFold(name, "stale-if-error"):
		shorter(&c.ifError, value)
	}
}

func shorter(d *time.Duration, value string) {
	said, _ := deltaSeconds(value)
	if *d < 0 || said < *d {
		*d = said
	}
}

// nextDirective cuts one directive off: a token, and perhaps a value that is a
// token or a quoted string. A comma inside quotes separates nothing.
func nextDirective(s string) (name, value, rest string) {
	item, rest := cutQuoted(s, ',')
	name, value, _ = strings.Cut(item, "=")
	name, value = textproto.TrimString(name), textproto.TrimString(value)
	if strings.IndexByte(name, '"') >= 0 {
		return "", "", rest
	}
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	return name, value, rest
}

// deltaSeconds reads a number of seconds (RFC 9111, 1.2.2); too large a one is
// as long as any; ok is false, and the time 0, for what is none.
func deltaSeconds(s string) (d time.Duration, ok bool) {
	if s == "" {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = min(n*10+int64(s[i]-'0'), int64(deltaMax/time.Second))
	}
	return time.Duration(n) * time.Second, true
}

// lifetime is how long an answer is fresh after it was made (RFC 9111, 4.2.1),
// where the origin says so. It is never guessed.
func (c *control) lifetime(h http.Header) (d time.Duration, said bool) {
	if age := h["Age"]; len(age) > 0 {
		if _, ok := deltaSeconds(age[0]); !ok || len(age) > 1 {
			return 0, c.maxAge >= 0 || c.sharedMaxAge >= 0 || len(h["Expires"]) > 0
		}
	}
	switch {
	case c.sharedMaxAge >= 0:
		return c.sharedMaxAge, true
	case c.maxAge >= 0:
		return c.maxAge, true
	case len(h["Expires"]) == 0:
		return 0, false
	}
	expires, err := http.ParseTime(h["Expires"][0])
	if err != nil || len(h["Expires"]) > 1 {
		return 0, true
	}
	date, err := http.ParseTime(first(h, "Date"))
	if err != nil {
		return 0, true
	}
	return max(min(expires.Sub(date), deltaMax), 0), true
}

// ageOf is how old an answer was when it had come (RFC 9111, 4.2.3): got is
// when its head was there, asked when it was asked for.
func ageOf(h http.Header, asked, got deich.Time) time.Duration {
	said, _ := deltaSeconds(first(h, "Age"))
	age := said + got.Sub(asked)
	if date, err := http.ParseTime(first(h, "Date")); err == nil {
		age = max(age, got.Sub(deich.Time(date.UnixNano())).Truncate(time.Second))
	}
	return age
}
