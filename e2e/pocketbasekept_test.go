package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// letters is a collection as somebody would make it: who has logged in writes and
// reads, and nothing keeps a key from coming twice.
const letters = `{"name": "letters", "type": "base", "listRule": "@request.auth.id != ''", "createRule": "@request.auth.id != ''",
	"fields": [{"name": "text", "type": "text"}, {"name": "key", "type": "text"}]}`

const lettersRecords = "/api/collections/letters/records"

// mortalBase is a PocketBase that is killed and started again on its data.
type mortalBase struct {
	args []string
	at   string
	cmd  *exec.Cmd
	said bytes.Buffer
}

func (m *mortalBase) up(t *testing.T) {
	t.Helper()
	m.cmd = exec.Command(m.args[0], m.args[1:]...)
	m.cmd.Stdout, m.cmd.Stderr = &m.said, &m.said
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	readyApp(t, "http://"+m.at+"/api/health")
}

func (m *mortalBase) kill() {
	if m.cmd != nil {
		m.cmd.Process.Kill()
		m.cmd.Wait() // it was killed
		m.cmd = nil
	}
}

// correspondent is an author with a login of PocketBase's.
type correspondent struct {
	*author
	token string
}

// write posts a record with a key, as PocketBase's own clients do. An error is no answer.
func (c *correspondent) write() (text string, status int, receipt string, err error) {
	c.next++
	text = fmt.Sprintf("%s-%06d", c.name, c.next)
	body := fmt.Sprintf(`{"text":%q,"key":"key-%s"}`, text, text)
	r, err := http.NewRequest("POST", c.users+lettersRecords, strings.NewReader(body))
	if err != nil {
		return text, 0, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", c.token)
	answer, err := c.Do(r)
	if err != nil {
		return text, 0, "", err
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, answer.Body)
	return text, answer.StatusCode, answer.Header.Get("Location"), nil
}

// texts gives what PocketBase holds, with how often.
func (a *base) texts(t *testing.T) map[string]int {
	t.Helper()
	count := map[string]int{}
	for page := 1; ; page++ {
		var list struct {
			Items []struct{ Text string }
		}
		a.ask(t, "GET", fmt.Sprintf("%s?perPage=500&sort=id&page=%d", lettersRecords, page), nil, &list)
		for _, one := range list.Items {
			count[one.Text]++
		}
		if len(list.Items) < 500 {
			return count
		}
	}
}

// PocketBase is killed while its users write, stays away, comes back, is killed again
// in the middle of the delivery, and comes back for good. With a lookup, everything that
// was answered with 202 is there exactly once; without, nothing is there twice, and what
// nobody knows of is counted and with its sender.
func TestKeptForPocketBase(t *testing.T) {
	program := buildBase(t)
	for _, test := range []struct{ name, route string }{
		{"with a search", "      confirm: GET " + lettersRecords + "?perPage=1&skipTotal=1&filter=(key='{key}')\n      found: '\"key\":\"{key}\"'\n"},
		{"at most once", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &mortalBase{at: freeAddress(t)}
			m.args = installBase(t, program, m.at)
			t.Cleanup(func() {
				m.kill()
				if t.Failed() {
					t.Logf("PocketBase said:\n%s", m.said.String())
				}
			})
			m.up(t)
			admin := &base{url: "http://" + m.at}
			var entry struct{ Token string }
			admin.ask(t, "POST", "/api/collections/_superusers/auth-with-password", map[string]string{"identity": baseAdmin, "password": basePassword}, &entry)
			admin.token = entry.Token
			settings, err := os.ReadFile("testdata/pocketbase/settings.json")
			if err != nil {
				t.Fatal(err)
			}
			admin.ask(t, "PATCH", "/api/settings", json.RawMessage(settings), nil)
			admin.ask(t, "POST", "/api/collections", json.RawMessage(letters), nil)

			dir := t.TempDir()
			file, port := filepath.Join(dir, "deich.yaml"), freePort(t)
			writeFile(t, file, fmt.Sprintf(`listen: ["http://127.0.0.1:%d"]
sites:
  - origins: ["http://%s"]
console: 127.0.0.1:0
data: state
spool:
  keep:
    - route: POST %s
      key: key
      probe: /api/health
%s`, port, m.at, lettersRecords, test.route))
			b := build(t)
			p := b.start(t, filepath.Join(dir, "state"), "run", "--config", file)

			const people = 8
			all := make([]*correspondent, people)
			for n := range all {
				mail := fmt.Sprintf("writer%d@townsquare.test", n)
				admin.ask(t, "POST", "/api/collections/users/records", map[string]any{"email": mail, "password": basePassword, "passwordConfirm": basePassword}, nil)
				admin.ask(t, "POST", "/api/collections/users/auth-with-password", map[string]string{"identity": mail, "password": basePassword}, &entry)
				all[n] = &correspondent{newAuthor(t, n, p.users), entry.Token}
			}

			var mu sync.Mutex
			owner := map[string]*correspondent{}
			answered, receipts := map[string]int{}, map[string]string{}
			stop := make(chan struct{})
			var going sync.WaitGroup
			halt := sync.OnceFunc(func() { close(stop); going.Wait() })
			defer halt()
			for _, c := range all {
				going.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(40*time.Millisecond + rand.N(60*time.Millisecond)):
						}
						text, status, receipt, err := c.write()
						if err != nil {
							continue
						}
						mu.Lock()
						owner[text], answered[text] = c, status
						if strings.Contains(receipt, "/receipts/") {
							receipts[text] = receipt
						}
						mu.Unlock()
					}
				})
			}
			atLeast := func(what string, n float64, of func() float64) {
				t.Helper()
				for end := time.Now().Add(2 * patience); of() < n; time.Sleep(20 * time.Millisecond) {
					if time.Now().After(end) {
						t.Fatalf("%s: %v, want %v", what, of(), n)
					}
				}
			}
			operator := visitor(t)
			kept := func() float64 { return p.metricBy(t, operator, "deich_spool_kept_total") }
			delivered := func() float64 { return p.metricBy(t, operator, `deich_spool_ended_total{state="delivered"}`) }
			atLeast("answered in peace", 20, func() float64 { mu.Lock(); defer mu.Unlock(); return float64(len(answered)) })
			m.kill() // while they write
			atLeast("kept", 120, kept)
			m.up(t)
			atLeast("delivered", 15, delivered)
			m.kill() // in the middle of the delivery
			before := kept()
			atLeast("kept in the second outage", before+40, kept)
			m.up(t)
			atLeast("delivered after it", delivered()+5, delivered)
			halt()
			drained(t, b, p)

			count, states, statuses := admin.texts(t), map[string]int{}, map[int]int{}
			for text, n := range count {
				if n > 1 {
					t.Errorf("%s is there %d times", text, n)
				}
			}
			for text, status := range answered {
				statuses[status]++
				if status == 200 && count[text] != 1 {
					t.Errorf("%s was answered with 200 and is there %d times", text, count[text])
				}
				receipt := receipts[text]
				if receipt == "" {
					continue
				}
				state, kept := owner[text].receiptState(t, receipt)
				states[state]++
				switch {
				case state == "delivered" && count[text] != 1:
					t.Errorf("%s is delivered and there %d times", text, count[text])
				case state == "unconfirmed" && !strings.Contains(kept, text):
					t.Errorf("%s is unconfirmed, and its sender is given %q", text, kept)
				case state == "unconfirmed" && test.route != "":
					t.Errorf("%s is unconfirmed, though it could be searched for", text)
				case state != "delivered" && state != "unconfirmed":
					t.Errorf("%s: its receipt says %q", text, state)
				}
			}
			if n := p.metric(t, `deich_spool_ended_total{state="unconfirmed"}`); n != float64(states["unconfirmed"]) {
				t.Errorf("the metric counts %v unconfirmed, the receipts are %d", n, states["unconfirmed"])
			}
			if statuses[202] < 100 || states["delivered"] < 100 {
				t.Errorf("too little was kept to tell anything: %v", statuses)
			}
			t.Logf("answers %v, receipts %v, %d in PocketBase", statuses, states, len(count))
		})
	}
}
