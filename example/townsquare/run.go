package townsquare

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"golang.org/x/net/netutil"
)

// Run serves the platform until ctx ends, which is no error. It sets GOMAXPROCS
// for the whole process while it runs, so it wants a process of its own.
func Run(ctx context.Context, config Config) (err error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return err
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(config.Procs))

	if config.Data == "" {
		if config.Data, err = os.MkdirTemp("", "townsquare-"); err != nil {
			return fmt.Errorf("townsquare: run: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(config.Data)) }()
	}
	st, err := openStore(ctx, config.Data, config.Procs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.close()) }()
	s, err := prepare(ctx, config, st)
	if err != nil {
		return err
	}
	defer s.close()
	return s.serve(ctx)
}

// prepare fills the database and finds out what a search may cost.
func prepare(ctx context.Context, config Config, st *store) (*server, error) {
	began := time.Now()
	if err := st.seed(ctx, config, began); err != nil {
		return nil, err
	}
	s, err := newServer(config, st)
	if err != nil {
		return nil, err
	}
	seeded := time.Since(began)
	if err := s.calibrate(ctx); err != nil {
		s.close()
		return nil, err
	}
	s.log.Info("townsquare: ready", "seeding", seeded.Round(time.Millisecond), "scan", s.scan,
		"search", s.searchCost.Round(10*time.Microsecond), "procs", config.Procs)
	return s, nil
}

// serve answers until ctx ends. There is no timeout on a client, on purpose; a
// slow one holds a connection, though never a worker.
func (s *server) serve(ctx context.Context) error {
	public, err := net.Listen("tcp", s.config.Listen)
	if err != nil {
		return fmt.Errorf("townsquare: serve: %w", err)
	}
	failed := make(chan error, 2)
	var webs []*http.Server
	start := func(listener net.Listener, handler http.Handler) {
		web := &http.Server{Handler: handler, MaxHeaderBytes: headerBytesMax}
		webs = append(webs, web)
		go func() { failed <- web.Serve(listener) }()
	}
	if s.config.Stats != "" {
		private, err := net.Listen("tcp", s.config.Stats)
		if err != nil {
			return errors.Join(fmt.Errorf("townsquare: serve: %w", err), public.Close())
		}
		start(private, s.private())
	}
	start(netutil.LimitListener(public, s.config.Connections), s.handler)
	s.config.Ready(public.Addr().String())

	var cause error
	running := len(webs)
	select {
	case err := <-failed:
		cause = fmt.Errorf("townsquare: serve: %w", err)
		running--
	case <-ctx.Done():
	}
	s.close() // else streams and the queue would be waited for
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainMax)
	defer cancel()
	for _, web := range webs {
		if web.Shutdown(drain) != nil {
			_ = web.Close() // who still holds on is cut; there is nothing left to do about an error
		}
	}
	for range running {
		<-failed
	}
	return cause
}
