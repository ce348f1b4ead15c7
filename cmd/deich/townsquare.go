package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/deichproject/deich/example/townsquare"
)

// townsquareCommand runs the example platform; rehearsals start it as a process.
type townsquareCommand struct {
	Listen   string `default:"127.0.0.1:8081" placeholder:"ADDR"`
	Stats    string `placeholder:"ADDR"`
	Data     string `type:"path" placeholder:"DIR"`
	Users    int    `placeholder:"N"`
	Posts    int    `placeholder:"N"`
	Searches int    `help:"Searches a second that fill one core." placeholder:"N"`
	Scan     int    `help:"Messages that a search reads, instead of measuring it." placeholder:"N"`
	Procs    int    `placeholder:"N"`

	Fresh time.Duration `help:"How long caches may keep what everyone reads." placeholder:"SPAN"`
}

func (c *townsquareCommand) Run(t *terminal) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := townsquare.Run(ctx, townsquare.Config{
		Listen: c.Listen, Stats: c.Stats, Data: c.Data, Users: c.Users, Posts: c.Posts,
		Searches: c.Searches, Scan: c.Scan, Procs: c.Procs, Fresh: c.Fresh,
		Ready: func(addr string) { t.say("townsquare listens on http://%s", addr) },
	})
	if err != nil {
		return fmt.Errorf("townsquare: %w", err)
	}
	return nil
}
