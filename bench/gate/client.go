//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// seen is what the client saw.
type seen struct {
	Served   float64
	P50, P99 time.Duration
}

func startClient(w *world) (func() (seen, error), error) {
	var c *exec.Cmd
	var out io.ReadCloser
	err := w.do(func() (err error) {
		c = child("client")
		if out, err = c.StdoutPipe(); err == nil {
			err = c.Start()
		}
		return err
	})
	return func() (s seen, err error) {
		err = json.NewDecoder(out).Decode(&s)
		if e := c.Wait(); e != nil {
			err = e
		}
		return s, err
	}, err
}

// client opens connections at a steady pace, whatever becomes of them.
func client() error {
	var mu sync.Mutex
	var took []time.Duration
	ok, n := 0, int(*span/probesEach)
	var all sync.WaitGroup
	tick := time.NewTicker(probesEach)
	defer tick.Stop()
	time.Sleep(100 * time.Millisecond) // the flood begins meanwhile
	for range n {
		<-tick.C
		all.Go(func() {
			begin := time.Now()
			good := probe()
			mu.Lock()
			defer mu.Unlock()
			if good {
				ok++
			}
			took = append(took, time.Since(begin))
		})
	}
	all.Wait()
	slices.Sort(took)
	return json.NewEncoder(os.Stdout).Encode(seen{float64(ok) / float64(n), took[n/2], took[n*99/100]})
}

func probe() bool {
	end := time.Now().Add(probeWait)
	d := net.Dialer{Deadline: end}
	c, err := d.Dial("tcp", target)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(end)
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", hereAddr)
	b, err := io.ReadAll(c)
	return err == nil && strings.HasPrefix(string(b), "HTTP/1.1 200")
}
