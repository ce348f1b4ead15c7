package e2e

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// A real browser comes over HTTP/3, keeps its connection, asks for
// many things at once on it and sends something long. Chromium speaks QUIC only with names whose
// certificate a public authority has signed, or that it is told to reach so:
// that is the one thing this browser is told.
func TestBrowserOverQUIC(t *testing.T) {
	shared.start(t) // Chromium is there, and browsers are wanted
	b := build(t)
	plain, secure := freePort(t), freePort(t)
	data := filepath.Join(t.TempDir(), "state")
	p := b.start(t, data, "protect", "--to", platform(t, "hello").URL, "--listen", listenFlag(plain, secure), "--domain", "a.test",
		"--internal", "--data", data, "--console", "127.0.0.1:0")
	defer p.stop(t)
	at := fmt.Sprintf("a.test:%d", secure)

	tab := newQUICTab(t, at, keyOf(t, secure, "a.test"))
	for range 3 {
		tab.do(chromedp.Navigate("https://" + at + "/"))
		tab.waitFor(`document.body.innerText.includes("hello")`)
		if spoken := ask[string](tab, `performance.getEntriesByType("navigation")[0].nextHopProtocol`); spoken != "h3" {
			t.Errorf("the page came over %q, want h3", spoken)
		}
	}
	// Many at once on the one connection, and a body that goes up.
	ask[bool](tab, `(Promise.all(Array.from({length: 50}, (_, i) => fetch("/" + i))).then(all => window.served = all.filter(a => a.ok).length),
		fetch("/", {method: "POST", body: "x".repeat(1 << 20)}).then(a => window.sent = a.status), true)`)
	tab.waitFor(`window.served === 50 && window.sent === 200`)
	if spoken := ask[string](tab, `[...new Set(performance.getEntriesByType("resource").map(e => e.nextHopProtocol))].join()`); spoken != "h3" {
		t.Errorf("requests went over %q, want h3", spoken)
	}
}

// newQUICTab is a tab of a browser of its own that reaches one place over QUIC,
// where a certificate with that key stands.
func newQUICTab(t *testing.T, at, key string) *tab {
	t.Helper()
	dir := t.TempDir()
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(),
		chromedp.ExecPath(shared.path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.NoDefaultBrowserCheck, chromedp.UserDataDir(dir),
		chromedp.Flag("enable-quic", true), chromedp.Flag("origin-to-force-quic-on", at),
		chromedp.Flag("host-resolver-rules", "MAP a.test 127.0.0.1"), chromedp.Flag("ignore-certificate-errors-spki-list", key),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-extensions", true),
	)
	t.Cleanup(stopAllocator)
	b := &tab{T: t}
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithListener(b.heard))
	t.Cleanup(cancel)
	b.ctx, cancel = context.WithTimeout(ctx, tabTime)
	t.Cleanup(cancel)
	b.do(call(network.Enable, network.EnableParams{}), call(log.Enable, cdp.Empty{}))
	return b
}

// keyOf is the hash of the public key that stands at a port, as Chromium wants it.
func keyOf(t *testing.T, port int, name string) string {
	t.Helper()
	c, err := tls.Dial("tcp", loopback(port), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sum := sha256.Sum256(c.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}
