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
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return fmt.Errorf("townsquare: run: %w", err)
	}
	return s.serve(ctx, listener)
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
		return nil, err
	}
	s.log.Info("townsquare: ready", "seeding", seeded.Round(time.Millisecond), "scan", s.scan,
		"search", s.searchCost.Round(10*time.Microsecond), "procs", config.Procs)
	return s, nil
}

// serve answers on listener until ctx ends. There is no timeout on a client,
// on purpose; a slow one holds a connection, though never a worker.
func (s *server) serve(ctx context.Context, listener net.Listener) error {
	web := &http.Server{Handler: s.handler, MaxHeaderBytes: headerBytesMax}
	failed := make(chan error, 1)
	go func() { failed <- web.Serve(netutil.LimitListener(listener, s.config.Connections)) }()
	s.config.Ready(listener.Addr().String())
	select {
	case err := <-failed:
		s.hub.close()
		s.workers.close()
		return fmt.Errorf("townsquare: serve: %w", err)
	case <-ctx.Done():
	}
	s.hub.close()
	s.workers.close()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainMax)
	defer cancel()
	if web.Shutdown(drain) != nil {
		_ = web.Close() // who still holds on is cut; there is nothing left to do about an error
	}
	<-failed
	return nil
}
