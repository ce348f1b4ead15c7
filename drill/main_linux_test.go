package drill

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The test's own binary stands in for the built deich: started with one of
// its hidden subcommands it is a small platform, a shield that lets everything
// pass, or a short drill.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		if act, known := map[string]func(context.Context, map[string]string) error{
			"townsquare": smallPlatform, "protect": openShield, "drill-short": shortDrill,
		}[os.Args[1]]; known {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if err := act(ctx, flagsOf(os.Args[2:])); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(m.Run())
}

func flagsOf(args []string) map[string]string {
	f := map[string]string{}
	for i := 0; i+1 < len(args); i += 2 {
		f[strings.TrimPrefix(args[i], "--")] = args[i+1]
	}
	return f
}

// smallPlatform does one search at a time, each of ten milliseconds.
func smallPlatform(ctx context.Context, f map[string]string) error {
	var one sync.Mutex
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a page") })
	mux.HandleFunc("/search", func(w http.ResponseWriter, r *http.Request) {
		one.Lock()
		defer one.Unlock()
		time.Sleep(10 * time.Millisecond) // the work that limits it
		io.WriteString(w, "found")
	})
	own := http.NewServeMux()
	own.HandleFunc("/stats", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"seconds":1,"scan":5,"all":{"count":3,"latency_ms":{"p50":1,"p99":2}},"routes":{"GET /":{"count":3}}}`)
	})
	stats := &http.Server{Addr: f["stats"], Handler: own}
	go stats.ListenAndServe()
	return serve(ctx, f["listen"], mux)
}

func openShield(ctx context.Context, f map[string]string) error {
	to, err := url.Parse(f["to"])
	if err != nil {
		return err
	}
	fmt.Printf("console: http://%s/?token=abc\n", f["console"])
	return serveSecured(ctx, f["listen"], f["cert"], f["key"], httputil.NewSingleHostReverseProxy(to))
}

func serve(ctx context.Context, at string, h http.Handler) error {
	return serveSecured(ctx, at, "", "", h)
}

// serveSecured speaks TLS where there is a certificate.
func serveSecured(ctx context.Context, at, certificate, key string, h http.Handler) error {
	l, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)} // handshakes that are left are no errors here
	go func() { <-ctx.Done(); s.Close() }()
	if certificate != "" {
		err = s.ServeTLS(l, certificate, key)
	} else {
		err = s.Serve(l)
	}
	if err != http.ErrServerClosed {
		return err
	}
	return nil
}
