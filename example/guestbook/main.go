// Command guestbook is a small Go server with Deich inside: package guard is
// middleware, put in front of any handler in three steps.
//
//	go run ./example/guestbook -listen 127.0.0.1:8080 -data /tmp/guestbook
package main

import (
	"context"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/guard"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "where visitors come in")
	data := flag.String("data", "guestbook-data", "folder for the keys of visitors' passes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("http://%s/", l.Addr())
	if err := serve(ctx, l, *data); err != nil {
		log.Fatal(err)
	}
}

// serve answers who comes by l until ctx ends, and then those who are here.
func serve(ctx context.Context, l net.Listener, data string) error {
	shield, err := protect(new(guestbook), data)
	if err != nil {
		return err
	}
	// 3. Run beside the server: ten times a second the engine looks at what
	// happened. It goes on until the last visitor is served.
	running, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	go shield.Run(running)
	// ConnContext lets a connection remember its pass.
	server := &http.Server{Handler: shield, ConnContext: guard.ConnContext, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		last, cancel := context.WithTimeout(running, 10*time.Second)
		defer cancel()
		server.Shutdown(last)
		end()
	}()
	if err := server.Serve(l); err != http.ErrServerClosed {
		return err
	}
	<-running.Done()
	return nil
}

// protect puts Deich in front of a handler.
func protect(platform http.Handler, data string) (*guard.Handler, error) {
	// 1. Keys, for what visitors carry, and an engine, which decides. Whoever
	// keeps the folder keeps visitors' passes valid over a restart.
	keys, err := guard.OpenKeys(data)
	if err != nil {
		return nil, err
	}
	engine, err := deich.New(deich.Policy{}, keys.EngineSeed())
	if err != nil {
		return nil, err
	}
	// 2. The guard, which asks the engine about every request. It measures what
	// the platform can do; there is no rate to set. Events are what an operator
	// should hear of: pressure, its cause, an origin that fails.
	return guard.New(guard.Options{Engine: engine, Keys: keys, Next: platform, Events: func(all []deich.Event) {
		for _, e := range all {
			log.Printf("deich: %v", e.Kind)
		}
	}})
}
