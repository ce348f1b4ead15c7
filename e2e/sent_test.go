package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// received is one form, as a platform got it.
type received struct {
	text, password string
	file           []byte
}

// formPlatform shows a form, takes what is sent with it, and can be kept busy:
// /busy is answered when let is closed.
func formPlatform(t *testing.T, got chan<- received, busy chan<- bool, let <-chan bool) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/busy", func(w http.ResponseWriter, r *http.Request) {
		busy <- true
		<-let
	})
	mux.HandleFunc("GET /write", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><title>Write</title><link rel="icon" href="data:,"><form method="post" action="/take" enctype=%q>
			<textarea name="text"></textarea><input name="password" type="hidden"><input name="file" type="file"></form>`, r.URL.Query().Get("as"))
	})
	mux.HandleFunc("POST /take", func(w http.ResponseWriter, r *http.Request) {
		one := received{text: r.FormValue("text"), password: r.FormValue("password")}
		if f, _, err := r.FormFile("file"); err == nil {
			one.file, _ = io.ReadAll(f)
		}
		got <- one
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, `<!doctype html><title>Taken</title><link rel="icon" href="data:,">`)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

// becomeStranger makes the browser forget its pass, as if it had none.
func (b *tab) becomeStranger(users string) {
	b.Helper()
	b.do(call(network.DeleteCookies, network.DeleteCookiesParams{Name: "deich", URL: users + "/"}))
}

// Somebody sends a form while all places at the platform are taken: it gets it
// all the same, whole and once, and nothing of it had to be kept by Deich.
func TestBrowserLosesNothingItSent(t *testing.T) {
	shared.start(t)
	deich := build(t)
	for _, c := range []struct {
		name, as string
		file     int // bytes
		stranger bool
	}{
		{"a form", "application/x-www-form-urlencoded", 0, false},
		{"a form of a stranger", "application/x-www-form-urlencoded", 0, true},
		{"a form in parts, of a stranger", "multipart/form-data", 20_000, true},
		{"a large file of a stranger", "multipart/form-data", 3_000_000, true}, // refused before all of it has come
	} {
		t.Run(c.name, func(t *testing.T) {
			got, busy, let := make(chan received, 10), make(chan bool), make(chan bool)
			p := deich.twoPlaces(t, formPlatform(t, got, busy, let).URL)
			b := newTab(t)
			b.do(chromedp.Navigate(p.users + "/write?as=" + c.as))
			b.waitFor(`document.title === "Write"`)
			if c.stranger {
				b.becomeStranger(p.users)
			}
			for range 2 {
				go func() {
					if r, err := http.Get(p.users + "/busy"); err == nil {
						r.Body.Close()
					}
				}()
				<-busy
			}
			const text = "Was ich schrieb:\r\n<b>50 %</b> & mehr. Sandsäcke!"
			file := bytes.Repeat([]byte{0xde, 0x1c, 0, '\n'}, c.file/4)
			ask[bool](b, fmt.Sprintf(`(() => {
				document.forms[0].text.value = %q
				document.forms[0].password.value = "hunter2"
				const bytes = new Uint8Array(%d).map((_, i) => [0xde, 0x1c, 0, 10][i %% 4])
				const chosen = new DataTransfer()
				if (bytes.length) chosen.items.add(new File([bytes], "file.bin"))
				document.forms[0].file.files = chosen.files
				document.forms[0].submit()
				return true
			})()`, text, c.file))
			b.waitFor(`document.body?.className === "resend"`)
			close(let)
			b.waitFor(`document.title === "Taken"`)
			if one := <-got; one.text != text || one.password != "hunter2" || !bytes.Equal(one.file, file) {
				t.Errorf("the platform got %q, %d bytes of the file and %q", one.text, len(one.file), one.password)
			}
			if len(got) > 0 {
				t.Error("the platform got it twice")
			}
			proved := strings.Contains(strings.Join(b.asked(), "\n"), "/.well-known/deich/challenge\n")
			if proved != c.stranger {
				t.Errorf("it was asked to prove itself: %v", proved)
			}
			for _, fault := range b.complaints(p.users) {
				t.Error(fault)
			}
		})
	}
}

// twoPlaces stands in front of an origin that is asked two things at a time.
func (b binary) twoPlaces(t *testing.T, origin string) *process {
	t.Helper()
	config := filepath.Join(t.TempDir(), "deich.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `listen: ["127.0.0.1:0"]
console: 127.0.0.1:0
data: state
sites: [{origins: [%q]}]
policy: {limit_max: 2}
`, origin), 0o600); err != nil {
		t.Fatal(err)
	}
	return b.start(t, "", "run", "--config", config)
}
