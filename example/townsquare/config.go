package townsquare

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// DemoPassword is the published password of every member made at first start:
// user0001, user0002 and so on.
const DemoPassword = "by-the-sea-2026"

// Config says what to run. The zero value of each field stands for the default
// named beside it.
type Config struct {
	// Listen is the address to serve, "127.0.0.1:8081"; port 0 takes a free one.
	Listen string
	// Stats is an address that serves /stats and /healthz alone, so that they can be
	// asked while Listen takes no more connections; "" none. Listen has them too.
	Stats string
	// Data is the directory of the database, made if missing; "" a temporary one, removed at the end.
	Data string
	// Users and Posts say how much is made at first start: 500 and 6000.
	// A search that has to read more messages than there are has more made.
	Users, Posts int
	// Seed decides what is made; the same seed gives the same members and texts. Default 1.
	Seed uint64
	// Searches is how many searches a second fill one core: 300.
	Searches int
	// Scan fixes how many messages a search reads and leaves out measuring it,
	// so that two runs have one capacity. See "scan" in /stats.
	Scan int
	// Procs is the number of cores used (GOMAXPROCS) and of workers: 1.
	Procs int
	// Connections is how many connections are held open: 8192.
	Connections int
	// Fresh is how long caches may keep what everyone reads, in whole seconds; 0:
	// it may be kept, but is not fresh.
	Fresh time.Duration
	// PasswordCost is bcrypt's cost: 7, about 10 ms of CPU for a login.
	PasswordCost int
	// Ready is called once with the address served, as soon as it is.
	Ready func(addr string)
	// Log is where the little that is said goes; nil says nothing.
	Log *slog.Logger
}

// withDefaults gives c with every zero field filled in.
func (c Config) withDefaults() Config {
	fill := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:8081"
	}
	if c.Seed == 0 {
		c.Seed = 1
	}
	fill(&c.Users, 500)
	fill(&c.Posts, 6000)
	fill(&c.Searches, 300)
	fill(&c.Procs, 1)
	fill(&c.Connections, 8192)
	fill(&c.PasswordCost, 7)
	if c.Ready == nil {
		c.Ready = func(string) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return c
}

// validate gives every error of c at once; c has its defaults.
func (c Config) validate() error {
	var errs []error
	within := func(name string, value, low, high int) {
		if value < low || value > high {
			errs = append(errs, fmt.Errorf("townsquare: config: %s is %d, must be %d to %d", name, value, low, high))
		}
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("townsquare: config: listen: %w", err))
	}
	if _, _, err := net.SplitHostPort(c.Stats); c.Stats != "" && err != nil {
		errs = append(errs, fmt.Errorf("townsquare: config: stats: %w", err))
	}
	within("users", c.Users, 1, UsersMax)
	within("posts", c.Posts, 1, PostsMax)
	within("searches", c.Searches, SearchesMin, SearchesMax)
	within("scan", c.Scan, 0, ScanMax)
	within("procs", c.Procs, 1, ProcsMax)
	within("connections", c.Connections, 1, ConnectionsMax)
	if c.Fresh < 0 || c.Fresh > FreshMax || c.Fresh%time.Second != 0 {
		errs = append(errs, fmt.Errorf("townsquare: config: fresh is %s, must be whole seconds, at most %s", c.Fresh, FreshMax))
	}
	within("password cost", c.PasswordCost, bcrypt.MinCost, 14)
	return errors.Join(errs...)
}
