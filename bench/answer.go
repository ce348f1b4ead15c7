package main

import (
	"bytes"
	"errors"
	"strconv"
)

var (
	errAnswer     = errors.New("not an HTTP/1.1 answer")
	errAnswerLong = errors.New("an answer longer than answerMax")
)

// answer is what a client has of an HTTP/1.1 answer.
type answer struct {
	status int
	size   int  // head and body; 0: more is to come
	toEnd  bool // it ends with the connection
	closes bool // the connection ends after it
}

// readAnswer looks at the bytes received so far.
func readAnswer(b []byte) (answer, error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		if len(b) >= answerMax {
			return answer{}, errAnswerLong
		}
		return answer{}, nil
	}
	if len(b) < 12 || !bytes.HasPrefix(b, []byte("HTTP/1.1 ")) {
		return answer{}, errAnswer
	}
	status, err := strconv.Atoi(string(b[9:12]))
	if err != nil || status < 100 {
		return answer{}, errAnswer
	}
	a := answer{status: status}
	head, body := b[:end+2], b[end+4:]
	a.closes = bytes.EqualFold(field(head, "connection"), []byte("close"))
	switch length := field(head, "content-length"); {
	case bytes.EqualFold(field(head, "transfer-encoding"), []byte("chunked")):
		n, err := chunked(body)
		if err != nil {
			return answer{}, err
		}
		if n > 0 {
			a.size = end + 4 + n
		}
	case length != nil:
		n, err := strconv.Atoi(string(length))
		if err != nil || n < 0 {
			return answer{}, errAnswer
		}
		if n > answerMax {
			return answer{}, errAnswerLong
		}
		if len(body) >= n {
			a.size = end + 4 + n
		}
	case status == 204 || status == 304:
		a.size = end + 4
	default:
		a.toEnd = true
	}
	if a.size == 0 && len(b) >= answerMax {
		return answer{}, errAnswerLong
	}
	return a, nil
}

// field gives the first value of a header; name is in lower case.
func field(head []byte, name string) []byte {
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, []byte("\r\n"))
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:])
		}
	}
	return nil
}

// chunked gives the length of a whole chunked body without trailers, 0 while it
// is not whole.
func chunked(b []byte) (int, error) {
	at := 0
	for {
		end := bytes.Index(b[at:], []byte("\r\n"))
		if end < 0 {
			return 0, nil
		}
		n, err := strconv.ParseUint(string(b[at:at+end]), 16, 31)
		if err != nil {
			return 0, errAnswer
		}
		if n > answerMax {
			return 0, errAnswerLong
		}
		at += end + 2 + int(n) + 2
		if at > len(b) {
			return 0, nil
		}
		if n == 0 {
			return at, nil
		}
	}
}
