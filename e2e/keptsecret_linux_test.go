package e2e

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// secrets are what a sender says, and what its login is made of.
var secrets = map[string]string{
	"body": "BODYmarkQ7d1", "cookie": "COOKIEmarkQ7d2", "authorization": "AUTHmarkQ7d3", "key": "KEYmarkQ7d4", "field": "FIELDmarkQ7d5",
}

// tellsNone fails where a text holds one of them.
func tellsNone(t *testing.T, where string, text []byte) {
	t.Helper()
	for what, secret := range secrets {
		if bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s holds the %s of a message", where, what)
		}
	}
}

// A message is kept, answered before the outage under a key, delivered, not
// taken, and left in doubt: nothing of what it says, nor of its sender's login,
// stands in a log, a metric, an answer of the console, or any byte of the data
// folder, and no core file is left. Who asks for the message itself is shown it.
func TestSecretsOfAMessageStayInside(t *testing.T) {
	b, i := build(t), newInbox(t)
	dir := t.TempDir()
	i.port = freePort(t)
	file, data := filepath.Join(dir, "deich.yaml"), filepath.Join(dir, "state")
	writeFile(t, file, fmt.Sprintf(`listen: ["http://127.0.0.1:%d"]
sites:
  - origins: ["http://%s"]
console: 127.0.0.1:0
data: state
access_log: access.log
access_log_format: json
spool:
  keep:
    - route: POST /messages
`, i.port, i.addr))
	p := dumping(t, dir, b).start(t, data, "run", "--config", file)
	a := newAuthor(t, 1, p.users)
	send := func(n int) (status int, receipt string) {
		t.Helper()
		r, err := http.NewRequest("POST", a.users+"/messages", strings.NewReader(fmt.Sprintf(`{"text":"%s %d","password":"%s"}`, secrets["body"], n, secrets["field"])))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+secrets["authorization"])
		r.Header.Set("Idempotency-Key", fmt.Sprint(secrets["key"], n))
		r.AddCookie(&http.Cookie{Name: "session", Value: secrets["cookie"]})
		answer, err := a.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		io.Copy(io.Discard, answer.Body)
		return answer.StatusCode, answer.Header.Get("Location")
	}
	i.act(func(w http.ResponseWriter, store func()) bool {
		store()
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"stored":%q}`, secrets["body"]) // the answer says it again
		return true
	})
	if status, _ := send(0); status != 201 {
		t.Fatalf("live: %d", status)
	}
	i.down()
	var receipts []string
	for n := 1; n <= 3; n++ {
		status, receipt := send(n)
		if status != 202 {
			t.Fatalf("message %d: %d, want 202", n, status)
		}
		receipts = append(receipts, strings.TrimPrefix(receipt, "/.well-known/deich/receipts/"))
	}
	look := func(when string) {
		t.Helper()
		link, token, _ := strings.Cut(p.link, "?token=")
		for _, path := range []string{"metrics", "", "api/v1/state", "api/v1/history", "api/v1/hand", "api/v1/causes", "api/v1/spool",
			"api/v1/spool/messages?all", "api/v1/incidents"} {
			r, text := request(t, visitor(t), "GET", link+path, "", "Authorization", "Bearer "+token)
			if r.StatusCode != 200 {
				t.Errorf("%s: /%s: %s", when, path, r.Status)
			}
			tellsNone(t, when+": the console's /"+path, []byte(text))
		}
		tellsNone(t, when+": deich spool list", []byte(b.must(t, "spool", "list", "--all", "--data", data)))
		tellsNone(t, when+": what it printed", []byte(strings.Join(p.lines(), "\n")))
		files := 0
		if err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			text, err := os.ReadFile(name)
			files++
			tellsNone(t, when+": "+e.Name(), text)
			return err
		}); err != nil || files < 5 {
			t.Errorf("%s: %d files read: %v", when, files, err)
		}
	}
	look("while they are kept")

	// The check can fail: who asks for a message sees what it says, but for the login.
	shown := b.must(t, "spool", "show", receipts[0], "--data", data)
	if !strings.Contains(shown, secrets["body"]) {
		t.Errorf("deich spool show does not show it:\n%s", shown)
	}
	for _, what := range []string{"cookie", "authorization"} {
		if strings.Contains(shown, secrets[what]) {
			t.Errorf("deich spool show shows the %s", what)
		}
	}

	var n atomic.Int32
	i.act(func(w http.ResponseWriter, store func()) bool {
		switch n.Add(1) {
		case 1:
			w.WriteHeader(http.StatusUnprocessableEntity)
			return true
		case 2:
			store()
			panic(http.ErrAbortHandler)
		}
		return false
	})
	i.up(t)
	drained(t, b, p)
	look("afterwards")

	p.signal(t, syscall.SIGABRT)
	p.end(t)
	if status := p.cmd.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.CoreDump() {
		t.Errorf("after SIGABRT: %v, core %v: want it to end by the signal and leave none", p.cmd.ProcessState, status.CoreDump())
	}
	cores, err := filepath.Glob(filepath.Join(dir, "core*"))
	if err != nil || len(cores) > 0 {
		t.Errorf("core files: %v, %v", cores, err)
	}
	tellsNone(t, "its last words", []byte(strings.Join(p.lines(), "\n")))

	// The same Deich without kept messages leaves one where this system makes
	// any: so the check above can fail.
	bare := dumping(t, t.TempDir(), b).protect(t, t.TempDir(), "http://"+i.addr)
	bare.signal(t, syscall.SIGABRT)
	bare.end(t)
	if !bare.cmd.ProcessState.Sys().(syscall.WaitStatus).CoreDump() {
		t.Log("this system makes no core files at all: that none was left proves little here")
	}
}

// dumping gives a Deich that runs in a folder and would leave a core file there.
func dumping(t *testing.T, dir string, b binary) binary {
	t.Helper()
	name := filepath.Join(dir, "dumping")
	script := fmt.Sprintf("#!/bin/sh\ncd %q || exit 1\nulimit -c unlimited\nexport GOTRACEBACK=crash\nexec %q \"$@\"\n", dir, string(b))
	if err := os.WriteFile(name, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return binary(name)
}
