package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

var screenshots = flag.Bool("screenshots", false, "rewrite docs/pages/*.png")

const (
	// tabTime is how long one test may use its tab.
	tabTime = 2 * time.Minute
	// narrow is the width of a small phone, in CSS pixels.
	narrow, narrowHeight = 360, 640
)

// chromium is the browser all tests share; each gets a tab of its own with
// cookies of its own.
type chromium struct {
	once sync.Once
	path string
	ctx  context.Context
	stop func()
	err  error
}

var shared chromium // one process for the whole test binary, stopped by TestMain

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if shared.stop != nil {
		shared.stop()
	}
	if builds.dir != "" {
		os.RemoveAll(builds.dir)
	}
	os.Exit(code)
}

// start finds and starts Chromium; a test without it is skipped, in CI it fails.
func (c *chromium) start(t *testing.T) {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	switch {
	case path == "" && os.Getenv("CI") != "":
		t.Fatal("Chromium is not installed, and CI needs it: apt-get install chromium")
	case path == "":
		t.Skip("left out: Chromium is not installed (Debian: apt-get install chromium)")
	case testing.Short():
		t.Skip("left out: browsers take more than -short allows")
	}
	c.once.Do(func() {
		c.path = path
		c.launch(path)
	})
	if c.err != nil {
		t.Fatalf("start %s: %v", path, c.err)
	}
}

func (c *chromium) launch(path string) {
	dir, err := os.MkdirTemp("", "deich-e2e-")
	if err != nil {
		c.err = err
		return
	}
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck, chromedp.UserDataDir(dir),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-extensions", true),
		chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("font-render-hinting", "none"),
	)
	ctx, stopBrowser := chromedp.NewContext(allocator)
	c.ctx = ctx
	c.stop = func() {
		stopBrowser()
		stopAllocator()
		_ = os.RemoveAll(dir) // the system clears its temporary files in any case
	}
	c.err = chromedp.Do(ctx)
}

// tab is a page of the browser, as one person sees it.
type tab struct {
	*testing.T
	ctx context.Context

	mu       sync.Mutex
	faults   []string // what the console, the policy and the page's script complain of
	requests []string // every address asked for
}

func newTab(t *testing.T) *tab {
	t.Helper()
	shared.start(t)
	b := &tab{T: t}
	ctx, cancel := chromedp.NewContext(shared.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(b.heard))
	t.Cleanup(cancel)
	b.ctx, cancel = context.WithTimeout(ctx, tabTime)
	t.Cleanup(cancel)
	b.do(call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}))
	b.view(narrow, narrowHeight)
	return b
}

func (b *tab) heard(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		b.requests = append(b.requests, e.Request.URL)
	case *log.EventEntryAdded:
		refusal := strings.Contains(e.Entry.Text, "responded with a status of") && !strings.Contains(e.Entry.URL, "/.well-known/")
		if !refusal {
			b.faults = append(b.faults, e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		b.faults = append(b.faults, e.ExceptionDetails.Text)
	}
}

// call makes a command of the protocol a step.
func call[P, R any](command cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, command, params)
		return err
	})
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, steps...); err != nil {
		b.Fatal(err)
	}
}

// ask gives what an expression is in the page.
func ask[V any](b *tab, expression string) V {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[V](expression))
	if err != nil {
		b.Fatalf("%s: %v", expression, err)
	}
	return v
}

// waitFor waits until an expression is true in the page, across navigations.
func (b *tab) waitFor(expression string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](expression))
		if err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
			b.Fatalf("never true: %s\n%s\n%v", expression, text, b.faults)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// before runs a script in every page of the tab, ahead of the page's own.
func (b *tab) before(script string) {
	b.Helper()
	b.do(call(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}))
}

func (b *tab) view(width, height int64) {
	b.Helper()
	b.do(chromedp.EmulateViewport(width, height, chromedp.EmulateScale(1)))
}

// prefer sets what the person prefers: the scheme light or dark, and whether
// things may move.
func (b *tab) prefer(scheme string, still bool) {
	b.Helper()
	motion := "no-preference"
	if still {
		motion = "reduce"
	}
	b.do(call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: motion},
	}}))
}

// speak sets the person's languages.
func (b *tab) speak(languages string) {
	b.Helper()
	b.do(call(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{
		Headers: network.Headers{"Accept-Language": languages},
	}))
}

// asked gives every address that the tab asked for.
func (b *tab) asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.requests...)
}

// complaints gives what went wrong in the page, and every request to another site.
func (b *tab) complaints(site string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := append([]string(nil), b.faults...)
	for _, address := range b.requests {
		if !strings.HasPrefix(address, site+"/") && !strings.HasPrefix(address, "data:") && address != "about:blank" {
			all = append(all, fmt.Sprintf("asks another site: %s", address))
		}
	}
	return all
}
