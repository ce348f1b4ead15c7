//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// h2Trial measures what a proxied request costs over TLS and HTTP/2. The load
// is h2load's (nghttp2-client) where it is installed, else the standard
// library's.
func h2Trial(ctx context.Context, b *bench, c contender) (t trial, err error) {
	s, err := b.open(ctx, c, 0)
	if err != nil {
		return trial{}, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	cookie, err := s.visit(peaceSources[0])
	if err != nil {
		return trial{}, err
	}
	load := h2Library
	if _, err := exec.LookPath("h2load"); err == nil {
		load = h2Load
	}
	if _, err := load(s, cookie, warmFor); err != nil {
		return trial{}, err
	}
	m := &metered{stand: s}
	if err := m.begin(); err != nil {
		return trial{}, err
	}
	got, err := load(s, cookie, measureFor)
	if err != nil {
		return trial{}, err
	}
	if err := m.finish(); err != nil {
		return trial{}, err
	}
	t = m.trial(got)
	t.Figure = m.perRequest(got.total())
	return t, served(got)
}

var (
	h2Statuses = regexp.MustCompile(`status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx`)
	h2Done     = regexp.MustCompile(`requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored`)
)

func h2Load(s *stand, cookie string, d time.Duration) (*tally, error) {
	ctx, cancel := context.WithTimeout(s.ctx, d+endWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "h2load", "-t", "1", "-c", strconv.Itoa(h2Connections), "-m", strconv.Itoa(h2Streams),
		"-D", strconv.Itoa(int(math.Ceil(d.Seconds()))), // whole seconds
		"-H", "user-agent: "+userAgent, "-H", "accept: "+acceptPage, "-H", "accept-language: en-GB,en;q=0.5",
		"-H", "accept-encoding: gzip, deflate, br", "-H", "cookie: session=0123456789abcdef; "+cookie,
		"https://"+s.addr.String()+"/timeline?page=2")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("h2load: %w\n%s", err, out)
	}
	return readH2Load(out)
}

// readH2Load takes the counts from what h2load prints at its end.
func readH2Load(out []byte) (*tally, error) {
	got := new(tally)
	got.reset()
	done, statuses := h2Done.FindSubmatch(out), h2Statuses.FindSubmatch(out)
	if done == nil || statuses == nil {
		return nil, fmt.Errorf("h2load said something new:\n%s", out)
	}
	for i, name := range []string{"200", "3xx", "4xx", "5xx"} {
		n, err := strconv.Atoi(string(statuses[i+1]))
		if err != nil {
			return nil, fmt.Errorf("h2load: %w", err)
		}
		if n > 0 {
			got.outcomes[name] = n
		}
	}
	if n, _ := strconv.Atoi(string(done[3])); n > 0 { // digits by the pattern
		got.outcomes[outcomeBroken] = n
	}
	return got, nil
}

// h2Library is the same load by the standard library's client.
func h2Library(s *stand, cookie string, d time.Duration) (*tally, error) {
	ctx, cancel := context.WithTimeout(s.ctx, d)
	defer cancel()
	got := new(tally)
	got.reset()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range h2Connections {
		t := &http.Transport{
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // of this trial's own making
			ForceAttemptHTTP2: true,
		}
		defer t.CloseIdleConnections()
		for range h2Streams {
			all.Go(func() {
				for ctx.Err() == nil {
					what := h2Ask(ctx, t, s, cookie)
					if ctx.Err() != nil {
						return
					}
					mu.Lock()
					got.outcomes[what]++
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	return got, s.ctx.Err()
}

func h2Ask(ctx context.Context, t *http.Transport, s *stand, cookie string) string {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.addr.String()+"/timeline?page=2", nil)
	if err != nil {
		return outcomeBroken
	}
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Accept", acceptPage)
	r.Header.Set("Cookie", "session=0123456789abcdef; "+cookie)
	resp, err := t.RoundTrip(r)
	if err != nil {
		return outcomeBroken
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, answerMax)); err != nil || resp.ProtoMajor != 2 {
		return outcomeBroken
	}
	return statusText(resp.StatusCode)
}
