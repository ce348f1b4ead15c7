package drill

import (
	"encoding/base64"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"github.com/deichproject/deich/drill/scenarios"
)

// site is the name that clients ask for.
const site = "townsquare.test"

// bot is one source of an attack.
type bot struct {
	from    netip.Addr
	agent   string
	cookies string
	proof   string // a solved proof to hand in, form-encoded
	solving bool
}

// assault is an attack under way.
type assault struct {
	spec  scenarios.Attack
	path  string // of a search, up to its words
	ends  time.Duration
	rng   *rand.Rand
	bots  []bot
	order []int32 // whose turn it is, shuffled anew each round
	turn  int
	due   float64 // requests that the rate has asked for so far
	begun float64 // of them, those begun or given up
	last  time.Duration
	open  int     // connections
	idle  []int32 // places of kept connections with nothing to do, perhaps closed since
}

const none = -1

func newAssault(spec scenarios.Attack, number int, s *scenarios.Scenario, where addresses, agents []string, search string) *assault {
	a := &assault{
		spec: spec, path: search, ends: s.Phases.Flood.D(),
		rng:   rand.New(rand.NewPCG(s.Seed, uint64(1000+number))),
		bots:  make([]bot, spec.Sources),
		order: make([]int32, spec.Sources),
	}
	behind := none
	for g := range s.Groups {
		if spec.Behind == s.Groups[g].Name {
			behind = g
		}
	}
	for i := range a.bots {
		b := &a.bots[i]
		b.agent = toolAgent
		if !spec.Tool {
			b.agent = agents[a.rng.IntN(len(agents))]
		}
		switch {
		case spec.Networks > 0:
			b.from = rotating(a.rng, spec.Networks)
		case behind != none:
			b.from = where.shared(behind, i%s.Groups[behind].Addresses)
		default:
			b.from = where.bot(number, i)
		}
		a.order[i] = int32(i)
	}
	a.shuffle()
	return a
}

const toolAgent = "python-requests/2.32.3"

func (a *assault) shuffle() {
	a.rng.Shuffle(len(a.order), func(i, j int) { a.order[i], a.order[j] = a.order[j], a.order[i] })
}

// next gives the source whose turn it is.
func (a *assault) next() int32 {
	if a.turn == len(a.order) {
		a.turn = 0
		a.shuffle()
	}
	i := a.order[a.turn]
	a.turn++
	if a.spec.Networks > 0 {
		a.bots[i].from = rotating(a.rng, a.spec.Networks)
	}
	return i
}

// early says whether the attackers still behave.
func (a *assault) early(now time.Duration) bool { return now < a.spec.From.D() }

// step is the time since the last call; none at the first.
func (a *assault) step(now time.Duration) time.Duration {
	before := a.last
	a.last = now
	if before == 0 {
		return 0
	}
	return now - before
}

// rate is how many requests a second are asked for at this time.
func (a *assault) rate(now time.Duration) float64 {
	switch {
	case now >= a.ends:
		return 0
	case now >= a.spec.From.D():
		if a.spec.Pulse.On > 0 && a.intoPulse(now)%(a.spec.Pulse.On.D()+a.spec.Pulse.Off.D()) >= a.spec.Pulse.On.D() {
			return 0
		}
		return a.spec.Rate
	case a.spec.Early.Visits > 0 && now >= a.spec.Early.From.D():
		return float64(a.spec.Early.Visits*a.spec.Sources) / -a.spec.Early.From.D().Seconds()
	}
	return 0
}

func (a *assault) intoPulse(now time.Duration) time.Duration { return now - a.spec.From.D() }

// face is what the attack asks for now: with each pulse something else.
func (a *assault) face(now time.Duration) scenarios.Request {
	if a.early(now) {
		return scenarios.Page
	}
	if a.spec.Pulse.On == 0 {
		return a.spec.Request
	}
	faces := [...]scenarios.Request{a.spec.Request, scenarios.API, scenarios.Login, scenarios.Post}
	return faces[int(a.intoPulse(now)/(a.spec.Pulse.On.D()+a.spec.Pulse.Off.D()))%len(faces)]
}

// compose appends the bot's next request.
func (a *assault) compose(to []byte, b *bot, now time.Duration) []byte {
	if b.proof != "" {
		body := b.proof
		b.proof = ""
		return a.post(to, b, "/.well-known/deich/challenge", "text/html", body)
	}
	switch a.face(now) {
	case scenarios.Search:
		to = append(append(to, "GET "...), a.path...)
		to = a.words(to, 2, '+')
		return a.ending(a.fields(to, b, "text/html"))
	case scenarios.API:
		to = append(to, "GET /api/search?q="...)
		to = a.words(to, 2, '+')
		return a.ending(a.fields(to, b, "application/json"))
	case scenarios.Post:
		return a.post(to, b, "/messages", "text/html", "text="+string(a.words(nil, 40, '+')))
	case scenarios.Login:
		name := "user" + strconv.Itoa(1000 + a.rng.IntN(1000))[1:]
		return a.post(to, b, "/login", "text/html", "name="+name+"&password="+string(a.words(nil, 2, '-')))
	}
	to = append(to, "GET /"...)
	return a.ending(a.fields(to, b, "text/html"))
}

func (a *assault) post(to []byte, b *bot, path, accept, body string) []byte {
	to = append(append(to, "POST "...), path...)
	to = a.fields(to, b, accept)
	to = append(to, "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: "...)
	to = strconv.AppendInt(to, int64(len(body)), 10)
	to = append(to, "\r\n\r\n"...)
	return append(to, body...)
}

func (a *assault) fields(to []byte, b *bot, accept string) []byte {
	to = append(to, " HTTP/1.1\r\nHost: "+site+"\r\nUser-Agent: "...)
	to = append(to, b.agent...)
	to = append(to, "\r\nAccept: "...)
	to = append(to, accept...)
	if !a.spec.Tool {
		to = append(to, ",*/*;q=0.8\r\nAccept-Language: de,en;q=0.7\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document"...)
	}
	if a.spec.Bearer {
		var token [18]byte
		for i := range token {
			token[i] = byte(a.rng.Uint32())
		}
		to = append(to, "\r\nAuthorization: Bearer "...)
		to = base64.RawURLEncoding.AppendEncode(to, token[:])
	}
	if b.cookies != "" {
		to = append(to, "\r\nCookie: "...)
		to = append(to, b.cookies...)
	}
	return append(to, "\r\n"...)
}

func (a *assault) ending(to []byte) []byte { return append(to, "\r\n"...) }

// words appends random words, so that no two searches are alike.
func (a *assault) words(to []byte, n int, between byte) []byte {
	const consonants, vowels = "bcdfghklmnprstvwz", "aeiou"
	for i := range n {
		if i > 0 {
			to = append(to, between)
		}
		for range 2 + a.rng.IntN(3) {
			to = append(to, consonants[a.rng.IntN(len(consonants))], vowels[a.rng.IntN(len(vowels))])
		}
	}
	return to
}
