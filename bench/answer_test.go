package main

import (
	"errors"
	"strings"
	"testing"
)

var answers = []struct {
	name, text string
	want       answer
	err        error
}{
	{"nothing yet", "", answer{}, nil},
	{"half a head", "HTTP/1.1 200 OK\r\nContent-Le", answer{}, nil},
	{"length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", answer{status: 200, size: 40}, nil},
	{"length in lower case, and more behind it", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP", answer{status: 200, size: 40}, nil},
	{"body to come", "HTTP/1.1 503 No\r\nContent-Length: 3\r\n\r\nhi", answer{status: 503}, nil},
	{"empty, closing", "HTTP/1.1 429 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", answer{status: 429, size: 57, closes: true}, nil},
	{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", answer{status: 200, size: 59}, nil},
	{"chunks to come", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", answer{status: 200}, nil},
	{"to the end of the connection", "HTTP/1.1 200 OK\r\n\r\nhi", answer{status: 200, toEnd: true}, nil},
	{"no content", "HTTP/1.1 204 No\r\n\r\n", answer{status: 204, size: 19}, nil},
	{"something else", "SSH-2.0-OpenSSH\r\n\r\n", answer{}, errAnswer},
	{"no number", "HTTP/1.1 2x0 OK\r\n\r\n", answer{}, errAnswer},
	{"a chunk without a length", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhi\r\n", answer{}, errAnswer},
	{"negative", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", answer{}, errAnswer},
	{"too long a body", "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", answer{}, errAnswerLong},
	{"too long a head", strings.Repeat("x", answerMax), answer{}, errAnswerLong},
}

func TestReadAnswer(t *testing.T) {
	for _, c := range answers {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAnswer([]byte(c.text))
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%+v, %v; want %+v, %v", got, err, c.want, c.err)
			}
		})
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, c := range answers {
		if len(c.text) < 1<<10 {
			f.Add([]byte(c.text))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := readAnswer(b)
		if a.size < 0 || a.size > len(b) {
			t.Errorf("%d of %d bytes", a.size, len(b))
		}
		if err != nil && a != (answer{}) {
			t.Errorf("%+v beside %v", a, err)
		}
		// What is whole stays the same whatever follows.
		if a.size > 0 {
			if again, err := readAnswer(append(b[:a.size:a.size], "HTTP/1.1 200"...)); err != nil || again != a {
				t.Errorf("%+v, then %+v, %v", a, again, err)
			}
		}
	})
}
