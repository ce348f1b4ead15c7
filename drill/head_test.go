package drill

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestParseHead(t *testing.T) {
	for name, c := range map[string]struct {
		text      string
		whole, ok bool
		want      string // status length reason challenge cookies
	}{
		"an answer": {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", true, true, "200 5   0"},
		"refused": {"HTTP/1.1 503 Service Unavailable\r\ndeich-reason: below_cut\r\nDeich-Challenge: bits=14;token=x\r\nSet-Cookie: a=b; Path=/\r\n\r\n",
			true, true, "503 -1 below_cut bits=14;token=x 1"},
		"not whole":      {"HTTP/1.1 200 OK\r\nConte", false, true, "0 0   0"},
		"too short":      {"HT", false, true, "0 0   0"},
		"something else": {"SSH-2.0-x", false, false, "0 0   0"},
		"no status":      {"HTTP/1.1 abc\r\n\r\n", true, false, "0 0   0"},
		"a bad length":   {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", true, true, "200 -1   0"},
	} {
		t.Run(name, func(t *testing.T) {
			h, whole, ok := parseHead([]byte(c.text))
			got := strings.Join([]string{itoa(h.status), itoa(h.length), string(h.reason), string(h.challenge), itoa(len(h.cookies))}, " ")
			if whole != c.whole || ok != c.ok || got != c.want {
				t.Errorf("got %q whole %v ok %v, want %q whole %v ok %v", got, whole, ok, c.want, c.whole, c.ok)
			}
		})
	}
}

func TestKeepCookies(t *testing.T) {
	jar := ""
	for _, pair := range []string{"a=1", "b=2", "a=3"} {
		jar = keepCookies(jar, [][]byte{[]byte(pair)})
	}
	if jar != "b=2; a=3" {
		t.Errorf("kept %q", jar)
	}
	if got := keepCookies(jar, [][]byte{bytes.Repeat([]byte("x="), CookieBytesMax)}); got != jar {
		t.Error("kept a cookie beyond the bound")
	}
}

func TestParsePuzzle(t *testing.T) {
	for value, ok := range map[string]bool{
		"bits=14;token=abc": true, "token=abc; bits=12": true, "bits=99;token=abc": false, "bits=14": false, "": false, "bits=x;token=y": false,
	} {
		if p, got := parsePuzzle(value); got != ok {
			t.Errorf("%q: %v %+v", value, got, p)
		}
	}
}

func TestRefresh(t *testing.T) {
	for value, want := range map[string]time.Duration{"5": 5 * time.Second, "2; url=/x": 2 * time.Second, "": 0, "-1": 0, "soon": 0, "99999": refreshMax} {
		if got := seconds(value); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
	for page, want := range map[string]time.Duration{
		`<meta http-equiv="refresh" content="7">`: 7 * time.Second, `<meta http-equiv="refresh" content="7`: 0, "": 0, "<p>refresh</p>": 0,
	} {
		if got := pageRefresh([]byte(page)); got != want {
			t.Errorf("%q: %s, want %s", page, got, want)
		}
	}
}

func FuzzParseHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 503 x\r\nSet-Cookie: a=b\r\nSet-Cookie: =\r\nDeich-Challenge: bits=1;token=;\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 \r\n\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, whole, ok := parseHead(b)
		if whole && ok && (h.status < 100 || h.size > len(b) || len(h.cookies) > CookiesMax) {
			t.Fatalf("%+v", h)
		}
		if jar := keepCookies("", h.cookies); len(jar) > CookieBytesMax {
			t.Fatalf("%d bytes of cookies", len(jar))
		}
		parsePuzzle(string(h.challenge))
	})
}
