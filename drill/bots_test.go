package drill

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/deichproject/deich/drill/scenarios"
)

func assaultOf(t *testing.T, name string) (*assault, scenarios.Scenario) {
	s, err := scenarios.Find(name)
	if err != nil {
		t.Fatal(err)
	}
	return newAssault(s.Attacks[0], 0, &s, addresses{net: 127}, desktopAgents(), "/search?q="), s
}

// What attackers send is HTTP that the standard library understands.
func TestComposedRequestsAreHTTP(t *testing.T) {
	for name, want := range map[string]string{
		"get-flood": "GET /", "botnet": "GET /search", "post-flood": "POST /messages", "login-flood": "POST /login", "botnet-api": "GET /api/search",
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := assaultOf(t, name)
			b := &a.bots[0]
			b.cookies = "deich=abc"
			req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(a.compose(nil, b, time.Second))))
			if err != nil {
				t.Fatal(err)
			}
			if got := req.Method + " " + req.URL.Path; got != want {
				t.Errorf("%s, want %s", got, want)
			}
			body, err := io.ReadAll(req.Body)
			if err != nil || int64(len(body)) != max(req.ContentLength, 0) {
				t.Errorf("a body of %d bytes, announced %d: %v", len(body), req.ContentLength, err)
			}
			if c, err := req.Cookie("deich"); err != nil || c.Value != "abc" {
				t.Errorf("cookie %v %v", c, err)
			}
			if bearer := req.Header.Get("Authorization") != ""; bearer != (name == "botnet-api") {
				t.Errorf("a token: %v", bearer)
			}
		})
	}
}

func TestSearchesAreEachAnother(t *testing.T) {
	a, _ := assaultOf(t, "botnet")
	seen := map[string]bool{}
	for range 500 {
		seen[string(a.compose(nil, &a.bots[0], time.Second))] = true
	}
	if len(seen) < 498 {
		t.Errorf("%d different of 500", len(seen))
	}
}

// Every source has its turn before any has a second one.
func TestTurnsAreFair(t *testing.T) {
	a, _ := assaultOf(t, "botnet")
	seen := map[int32]bool{}
	for range len(a.bots) {
		i := a.next()
		if seen[i] {
			t.Fatalf("source %d came twice in a round", i)
		}
		seen[i] = true
	}
}

func TestPulseHasARhythmAndFaces(t *testing.T) {
	a, _ := assaultOf(t, "pulse")
	on, off := a.spec.Pulse.On.D(), a.spec.Pulse.Off.D()
	if a.rate(on/2) == 0 || a.rate(on+off/2) != 0 || a.rate(on+off+on/2) == 0 || a.rate(a.ends) != 0 || a.rate(-time.Second) != 0 {
		t.Error("it does not come and go as said")
	}
	if a.face(on/2) == a.face(on+off+on/2) {
		t.Error("two pulses look alike")
	}
}

func TestEarlyBotsBehave(t *testing.T) {
	a, _ := assaultOf(t, "botnet-cookies")
	early := a.spec.Early.From.D() / 2
	each := a.rate(early) * -a.spec.Early.From.D().Seconds() / float64(len(a.bots))
	if a.face(early) != scenarios.Page || math.Abs(each-float64(a.spec.Early.Visits)) > 1e-6 {
		t.Errorf("face %s, %.2f visits each", a.face(early), each)
	}
	if a.rate(a.spec.Early.From.D()-time.Second) != 0 {
		t.Error("they came before their time")
	}
}

func TestBotsShareTheUsersAddresses(t *testing.T) {
	a, s := assaultOf(t, "nat-mixed")
	g := 0
	for i := range s.Groups {
		if s.Groups[i].Name == a.spec.Behind {
			g = i
		}
	}
	if want := (addresses{net: 127}).user(g, 0, &s.Groups[g]); a.bots[0].from != want {
		t.Errorf("the bot is at %s, the user at %s", a.bots[0].from, want)
	}
}
