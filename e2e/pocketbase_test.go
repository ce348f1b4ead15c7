package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const (
	baseAdmin, baseUser, basePassword = "admin@townsquare.test", "user@townsquare.test", "dike-and-ditch-1"
	// basePosts, each of basePostBytes, are what a search in the base has to read.
	basePosts, basePostBytes = 1500, 2000
	baseSearch               = "/api/collections/posts/records?filter=text~%27sluice%27&sort=text&word="
)

// People use a page of PocketBase's behind deich protect: they log in, write,
// upload, and see live what others write; in peace, and as strangers who come
// while searches flood it. Who listened before the flood goes on listening.
func TestAppPocketBase(t *testing.T) {
	shared.start(t)
	program := buildBase(t)
	at := freeAddress(t)
	p := build(t).protect(t, t.TempDir(), "http://"+at)
	admin := startBase(t, program, at)

	listener := newTab(t)
	listener.do(chromedp.Navigate(p.users + "/"))
	listener.waitFor(`document.querySelector("#live").textContent === "yes"`)
	if !t.Run("in peace", func(t *testing.T) { worksInBase(t, p.users, listener, "Dike") }) {
		return
	}
	believesDeich(t, admin, p.users)
	calm := searchesInBase(t, at)
	t.Run("under flood", func(t *testing.T) {
		floodAt(t, p.users+baseSearch)
		untilPressed(t, p.users)
		worksInBase(t, p.users, listener, "Sluice")
	})
	if n := ask[string](listener, `document.querySelector("#opened").textContent`); n != "1" {
		t.Errorf("the live updates had to be asked for %s times", n)
	}
	t.Run("under flood without Deich", func(t *testing.T) {
		floodAt(t, "http://"+at+baseSearch)
		rest := time.NewTimer(2 * time.Second) // until the bots' requests are many at once
		<-rest.C
		flooded := searchesInBase(t, at)
		t.Logf("5 searches in the bare base: %v in peace, %v under flood", calm.Round(time.Millisecond), flooded.Round(time.Millisecond))
		if flooded < 3*calm {
			t.Error("the flood does not trouble the bare base, so the story above proves nothing")
		}
	})
}

// worksInBase lets a fresh browser write and upload, and waits until it and the
// listener have seen it.
func worksInBase(t *testing.T, users string, listener *tab, name string) {
	t.Helper()
	b := newTab(t)
	var said []string
	step := func(what string, do func()) {
		began := time.Now()
		do()
		said = append(said, fmt.Sprintf("%s %d ms", what, time.Since(began).Milliseconds()))
	}
	shows := func(text string) string {
		return fmt.Sprintf(`[...document.querySelectorAll("#posts li")].some(li => li.textContent === %q)`, text)
	}
	step("open, live", func() {
		b.do(chromedp.Navigate(users + "/"))
		b.waitFor(`document.querySelector("#live")?.textContent === "yes"`)
	})
	step("log in", func() {
		ask[bool](b, fmt.Sprintf(`(document.querySelector("#email").value = %q, document.querySelector("#password").value = %q,
			document.querySelector("#entry").requestSubmit(), true)`, baseUser, basePassword))
		b.waitFor(fmt.Sprintf(`document.title === %q`, baseUser))
	})
	step("write", func() {
		ask[bool](b, fmt.Sprintf(`(document.querySelector("#text").value = %q, document.querySelector("#post").requestSubmit(), true)`, name+" holds."))
		b.waitFor(shows(name + " holds."))
	})
	step("upload", func() {
		ask[bool](b, fmt.Sprintf(`(() => {
			const chosen = new DataTransfer()
			chosen.items.add(new File([Uint8Array.from(atob(%q), c => c.charCodeAt(0))], "picture.png", {type: "image/png"}))
			document.querySelector("#picture").files = chosen.files
			document.querySelector("#text").value = %q
			document.querySelector("#post").requestSubmit()
			return true
		})()`, base64.StdEncoding.EncodeToString(picture(t, 12)), name+" in a picture."))
		b.waitFor(shows(name + " in a picture."))
		b.waitFor(`document.querySelector("#posts li:last-child img")?.naturalWidth === 40`)
	})
	step("search", func() {
		ask[bool](b, fmt.Sprintf(`(fetch(%q + "user").then(answer => { window.searched = answer.status }), true)`, baseSearch))
		b.waitFor(`window.searched === 200`)
	})
	step("live to another", func() {
		listener.waitFor(shows(name + " holds."))
		listener.waitFor(shows(name + " in a picture."))
	})
	t.Logf("PocketBase behind Deich: %s", strings.Join(said, ", "))
}

// buildBase builds PocketBase from its own module.
func buildBase(t *testing.T) string {
	t.Helper()
	program, began := filepath.Join(t.TempDir(), "pocketbase"), time.Now()
	if out, err := output(t, "pocketbase", []string{"CGO_ENABLED=0", "GOWORK=off"}, "go", "build", "-o", program, "."); err != nil {
		t.Fatalf("build PocketBase: %v\n%s", err, out)
	}
	t.Logf("PocketBase built in %v", time.Since(began).Round(time.Millisecond))
	return program
}

// base is PocketBase as its superuser uses it, past Deich.
type base struct{ url, token string }

// startBase starts a fresh PocketBase at a loopback address, with a user and posts.
func startBase(t *testing.T, program, at string) *base {
	t.Helper()
	runApp(t, installBase(t, program, at)...)
	readyApp(t, "http://"+at+"/api/health")
	return fillBase(t, at)
}

// installBase makes a fresh PocketBase with a superuser for a loopback address,
// and gives what is to be started.
func installBase(t *testing.T, program, at string) []string {
	t.Helper()
	dir := t.TempDir()
	if out, err := output(t, "", nil, program, "superuser", "upsert", baseAdmin, basePassword, "--dir", dir); err != nil {
		t.Fatalf("superuser: %v\n%s", err, out)
	}
	public, err := filepath.Abs("pocketbase/public")
	if err != nil {
		t.Fatal(err)
	}
	return []string{program, "serve", "--dev=false", "--http", at, "--dir", dir, "--publicDir", public}
}

// fillBase gives a PocketBase that runs its settings, a user and posts.
func fillBase(t *testing.T, at string) *base {
	t.Helper()
	a := &base{url: "http://" + at}
	var entry struct{ Token string }
	a.ask(t, "POST", "/api/collections/_superusers/auth-with-password", map[string]string{"identity": baseAdmin, "password": basePassword}, &entry)
	a.token = entry.Token

	text, err := os.ReadFile("testdata/pocketbase/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	a.ask(t, "PATCH", "/api/settings", json.RawMessage(text), nil)
	if text, err = os.ReadFile("testdata/pocketbase/posts.json"); err != nil {
		t.Fatal(err)
	}
	a.ask(t, "POST", "/api/collections", json.RawMessage(text), nil)
	a.ask(t, "POST", "/api/collections/users/records", map[string]any{
		"email": baseUser, "password": basePassword, "passwordConfirm": basePassword, "emailVisibility": true,
	}, nil)
	type request struct {
		Method string            `json:"method"`
		URL    string            `json:"url"`
		Body   map[string]string `json:"body"`
	}
	var posts []request
	for i := range basePosts {
		words := fmt.Sprintf("%d: the land behind the dike stays in use. ", i)
		posts = append(posts, request{"POST", "/api/collections/posts/records", map[string]string{"text": strings.Repeat(words, basePostBytes/len(words))}})
	}
	a.ask(t, "POST", "/api/batch", map[string]any{"requests": posts}, nil)
	return a
}

// ask asks something that has to go well, and reads the answer into got.
func (a *base) ask(t *testing.T, method, path string, body, got any) {
	t.Helper()
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			t.Fatal(err)
		}
	}
	r, _ := http.NewRequestWithContext(t.Context(), method, a.url+path, &b)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", a.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %v\n%.2000s", method, path, answer.Status, err, text)
	}
	if got != nil {
		if err := json.Unmarshal(text, got); err != nil {
			t.Fatalf("%s %s: %v\n%.2000s", method, path, err, text)
		}
	}
}

// believesDeich says that PocketBase notes a user's own address, and not the
// one that the user claims.
func believesDeich(t *testing.T, admin *base, users string) {
	t.Helper()
	r, _ := http.NewRequest("GET", users+"/api/collections/posts/records?perPage=1&whoami", nil)
	r.Header.Set("X-Forwarded-For", "203.0.113.7")
	answer, err := from(127, 9, 8, 7).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	var noted struct {
		Items []struct{ Data struct{ UserIP string } }
	}
	for end := time.Now().Add(patience); len(noted.Items) == 0; time.Sleep(200 * time.Millisecond) {
		admin.ask(t, "GET", "/api/logs?filter=data.url~%27whoami%27", nil, &noted)
		if time.Now().After(end) {
			t.Fatal("PocketBase did not log a request")
		}
	}
	if got := noted.Items[0].Data.UserIP; got != "127.9.8.7" {
		t.Errorf("PocketBase takes the user for %s", got)
	}
}

// searchesInBase searches PocketBase itself five times, and gives how long that
// took; one that does not come counts ten seconds. It is searches that the flood
// keeps from users: PocketBase answers what needs less of its database all along.
func searchesInBase(t *testing.T, at string) time.Duration {
	t.Helper()
	client, began := http.Client{Timeout: 10 * time.Second}, time.Now()
	for range 5 {
		if r, err := client.Get("http://" + at + baseSearch); err == nil {
			_, _ = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
	}
	return time.Since(began)
}
