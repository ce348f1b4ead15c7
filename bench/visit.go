//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// visit fetches the page once from a source, as a browser that is new here, and
// gives the cookie that it holds afterwards: the pass, or what is as long.
func (s *stand) visit(from netip.Addr) (string, error) {
	resp, err := s.fetch(from, "")
	if err != nil {
		return "", err
	}
	for _, c := range resp.Cookies() {
		if strings.HasSuffix(c.Name, "deich") {
			return c.Name + "=" + c.Value, nil
		}
	}
	if s.peer == peerDeich {
		return "", fmt.Errorf("a visit brought no pass: %s, %v", resp.Status, resp.Header)
	}
	return "deich=" + strings.Repeat("0", passBytes), nil
}

// passBytes is how long a pass is, about.
const passBytes = 80

// befriend lets somebody be served twice from a source, the second time with
// the pass of the first.
func (s *stand) befriend(from netip.Addr) error {
	cookie, err := s.visit(from)
	if err == nil {
		_, err = s.fetch(from, cookie)
	}
	return err
}

func (s *stand) fetch(from netip.Addr, cookie string) (*http.Response, error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: from.AsSlice()}}
	t := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // of this trial's own making
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, addr)
		},
	}
	scheme := "http://"
	if s.tls {
		scheme = "https://"
	}
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+s.addr.String()+"/", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Accept", acceptPage)
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	resp, err := t.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, answerMax)); err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("a visit was answered %s", resp.Status)
	}
	return resp, nil
}
