package e2e

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

const (
	wikiUser, wikiPassword = "Rehearsal", "dike-and-ditch-1"
	mediawiki              = "/usr/share/mediawiki"
)

// People work in Debian's MediaWiki behind deich protect: they log in, write,
// edit, upload, and find it all again; in peace, and as strangers who come
// while searches flood the wiki.
func TestAppMediaWiki(t *testing.T) {
	needWiki(t)
	shared.start(t)
	at := freeAddress(t)
	p := build(t).protect(t, t.TempDir(), "http://"+at)
	startWiki(t, at, p.users)
	const search = "/index.php?title=Special:Search&fulltext=1&search="
	if !t.Run("in peace", func(t *testing.T) { worksInWiki(t, p.users, at, "Dike") }) {
		return
	}
	calm := logInPages(t, at)
	t.Run("under flood", func(t *testing.T) {
		floodAt(t, p.users+search)
		untilPressed(t, p.users)
		worksInWiki(t, p.users, at, "Sluice")
	})
	t.Run("under flood without Deich", func(t *testing.T) {
		floodAt(t, "http://"+at+search)
		rest := time.NewTimer(3 * time.Second) // the queue of such a wiki grows
		<-rest.C
		flooded := logInPages(t, at)
		t.Logf("5 log-in pages of the bare wiki: %v in peace, %v under flood", calm.Round(time.Millisecond), flooded.Round(time.Millisecond))
		if flooded < 3*calm {
			t.Error("the flood does not trouble the bare wiki, so the story above proves nothing")
		}
	})
}

// logInPages asks the wiki itself for its log-in page five times, and gives how
// long that took; one that does not come counts ten seconds.
func logInPages(t *testing.T, at string) time.Duration {
	t.Helper()
	client, began := http.Client{Timeout: 10 * time.Second}, time.Now()
	for range 5 {
		if r, err := client.Get("http://" + at + "/index.php?title=Special:UserLogin"); err == nil {
			r.Body.Close()
		}
	}
	return time.Since(began)
}

// worksInWiki lets a fresh browser work on a page and a picture of that name.
func worksInWiki(t *testing.T, users, at, name string) {
	t.Helper()
	b := newTab(t)
	var said []string
	step := func(what string, do func()) {
		began := time.Now()
		do()
		said = append(said, fmt.Sprintf("%s %d ms", what, time.Since(began).Milliseconds()))
	}
	open := func(title, more string) {
		b.do(chromedp.Navigate(users + "/index.php?title=" + title + more))
	}
	write := func(text string, passLost bool) {
		open(name, "&action=edit")
		b.waitFor(`!!document.querySelector("#wpTextbox1")`)
		if passLost {
			b.becomeStranger(users)
		}
		ask[bool](b, fmt.Sprintf(`(document.querySelector("#wpTextbox1").value = %q, document.querySelector("#wpSave").click(), true)`, text))
		b.waitFor(fmt.Sprintf(`!document.querySelector("#wpTextbox1") && document.querySelector("#mw-content-text").innerText.includes(%q)`, text))
	}
	step("log in", func() {
		open("Special:UserLogin", "")
		b.waitFor(`!!document.querySelector("#wpLoginAttempt")`)
		ask[bool](b, fmt.Sprintf(`(document.querySelector("#wpName1").value = %q, document.querySelector("#wpPassword1").value = %q,
			document.querySelector("#wpLoginAttempt").click(), true)`, wikiUser, wikiPassword))
		b.waitFor(fmt.Sprintf(`!!document.querySelector("#pt-userpage") && document.querySelector("#pt-userpage").innerText.includes(%q)`, wikiUser))
	})
	step("write", func() { write("The land behind it stays in use.", false) })
	step("edit, the pass lost before it is sent", func() { write("The land behind it stays dry.", true) })
	step("upload", func() { b.uploads(open, name, picture(t, len(name))) })
	step("recent changes", func() {
		open("Special:RecentChanges", "&hidebots=0&days=1&enhanced=0")
		b.waitFor(fmt.Sprintf(`[%q, %q].every(s => document.querySelector(".mw-changeslist").innerText.includes(s))`, name, name+".png"))
	})
	t.Logf("MediaWiki behind Deich: %s", strings.Join(said, ", "))
	for _, address := range b.asked() {
		if strings.HasPrefix(address, "http://"+at) {
			t.Errorf("the wiki sent its user past Deich, to %s", address)
		}
	}
}

// uploads sends a picture by the wiki's form and waits until it is shown.
func (b *tab) uploads(open func(title, more string), name string, picture []byte) {
	b.Helper()
	open("Special:Upload", "")
	b.waitFor(`!!document.querySelector("#wpUploadFile")`)
	ask[bool](b, fmt.Sprintf(`(() => {
		const chosen = new DataTransfer()
		chosen.items.add(new File([Uint8Array.from(atob(%q), c => c.charCodeAt(0))], %q, {type: "image/png"}))
		document.querySelector("#wpUploadFile").files = chosen.files
		document.querySelector("#wpDestFile").value = %[2]q
		document.querySelector("[name=wpUpload]").click()
		return true
	})()`, base64.StdEncoding.EncodeToString(picture), name+".png"))
	// A picture may be told to wait like anything else; who misses it loads it again, as people do: not at once.
	b.waitFor(`(img => !!img && (img.naturalWidth === 40 || img.complete && performance.now() > (window.again ?? 0) &&
		(window.again = performance.now() + 2000, img.src = img.src, false)))(document.querySelector("#file img"))`)
}

// picture is a small PNG, 40 wide: the wiki warns of one that it has already.
func picture(t *testing.T, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 40, height))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// freeAddress is a loopback address at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// fpm is Debian's PHP server: its name has the version in it.
func fpm() string {
	found, _ := filepath.Glob("/usr/sbin/php-fpm*")
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1]
}

func needWiki(t *testing.T) {
	t.Helper()
	need(t, "nginx", "nginx-light")
	need(t, "php", "php-cli")
	if _, err := os.Stat(mediawiki + "/maintenance/install.php"); err != nil {
		missing(t, "MediaWiki is not installed (Debian: apt-get install mediawiki php-sqlite3, or make deps)")
	}
	if fpm() == "" {
		missing(t, "PHP's server is not installed (Debian: apt-get install php-fpm, or make deps)")
	}
}

// startWiki installs a fresh wiki and starts it.
func startWiki(t *testing.T, at, public string) {
	t.Helper()
	for _, program := range installWiki(t, at, public) {
		runApp(t, program...)
	}
	readyApp(t, "http://"+at+"/index.php?title=Main_Page")
}

// installWiki installs a fresh wiki with one user for a loopback address; users
// see it at public. It gives the programs that are to be started.
func installWiki(t *testing.T, at, public string) [][]string {
	t.Helper()
	// Not t.TempDir: the workers of root's PHP are another user, who must get in.
	data, err := os.MkdirTemp("", "deich-wiki-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(data) })
	for _, name := range []string{"images", "cache", "db"} {
		if err := os.Mkdir(filepath.Join(data, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := output(t, "", nil, "php", mediawiki+"/maintenance/install.php", "--dbtype", "sqlite", "--dbname", "wiki",
		"--dbpath", data+"/db", "--confpath", data, "--server", public, "--scriptpath", "", "--pass", wikiPassword,
		"Townsquare", wikiUser); err != nil {
		t.Fatalf("install: %v\n%s", err, out)
	}
	fill := strings.NewReplacer("{DATA}", data, "{LISTEN}", at, "{PUBLIC}", public, "{USER}", fpmUser())
	for from, to := range map[string]string{"nginx.conf": "nginx.conf", "php-fpm.conf": "php-fpm.conf", "settings.php": "LocalSettings.php"} {
		text, err := os.ReadFile("testdata/mediawiki/" + from)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(data, to), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString(fill.Replace(string(text)))
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	giveToWorkers(t, data)
	return [][]string{
		{fpm(), "--nodaemonize", "--fpm-config", data + "/php-fpm.conf"},
		{"nginx", "-p", data, "-e", "stderr", "-c", data + "/nginx.conf"},
	}
}

// fpmUser names who PHP's workers are: root's may not be root.
func fpmUser() string {
	if os.Getuid() != 0 {
		return ""
	}
	return "user = www-data\ngroup = www-data\nlisten.owner = www-data\nlisten.group = www-data"
}

func giveToWorkers(t *testing.T, data string) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	who, err := user.Lookup("www-data")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(who.Uid)
	gid, _ := strconv.Atoi(who.Gid)
	if err := filepath.WalkDir(data, func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(name, uid, gid)
	}); err != nil {
		t.Fatal(err)
	}
}

// runApp starts a part of an application; it ends with the test, or by stop.
func runApp(t *testing.T, args ...string) (stop func()) {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		cmd.Wait()
		late.Stop()
	})
	t.Cleanup(func() {
		if stop(); t.Failed() {
			t.Logf("%s said:\n%s", strings.Join(args, " "), said.String())
		}
	})
	return stop
}

// readyApp waits until an application answers with 200.
func readyApp(t *testing.T, url string) {
	t.Helper()
	last := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		r, err := http.Get(url)
		if err != nil {
			last = err.Error()
			continue
		}
		r.Body.Close()
		if last = r.Status; r.StatusCode == http.StatusOK {
			return
		}
	}
	t.Fatalf("%s is not ready: %s", url, last)
}
