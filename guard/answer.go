package guard

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/deichproject/deich"
)

// plain holds what small answers are made of, ready to be put into a header
// map as it is: one slice serves every answer, and nobody writes to it.
type plain struct {
	noStore, closing, empty, problem, text []string
	reasons                                [][]string // by reason
	retry                                  [retryMax + 1][]string
	titles                                 map[int]string
}

func newPlain() plain {
	p := plain{
		noStore: []string{"no-store"},
		closing: []string{"close"},
		empty:   []string{"0"},
		problem: []string{"application/problem+json"},
		text:    []string{"text/plain; charset=utf-8"},
		titles:  make(map[int]string),
	}
	for _, r := range deich.Reasons() {
		p.reasons = append(p.reasons, []string{r.String()})
	}
	for i := range p.retry {
		p.retry[i] = []string{strconv.Itoa(i)}
	}
	for code := 400; code < 600; code++ {
		p.titles[code] = http.StatusText(code)
	}
	return p
}

// statusOf is the status of a refusal.
func statusOf(v deich.Verdict) int {
	switch v.Reason {
	case deich.OverBudget:
		return http.StatusTooManyRequests
	case deich.ByHand:
		return http.StatusForbidden
	case deich.OriginDown:
		return http.StatusBadGateway
	case deich.OriginSlow:
		return http.StatusGatewayTimeout
	case deich.BadRequest, deich.BadProof, deich.BadPass:
		return http.StatusBadRequest
	case deich.SlowClient:
		return http.StatusRequestTimeout
	case deich.BodyTooLarge:
		return http.StatusRequestEntityTooLarge
	case deich.NoSite:
		return http.StatusMisdirectedRequest
	default:
		return http.StatusServiceUnavailable
	}
}

// refuse answers a request that is turned away.
func (h *Handler) refuse(v *visit) {
	if h.stoodIn(v, v.w) {
		h.counts.verdict(v)
		h.logServed(v, h.now().Sub(v.req.At))
		return
	}
	h.counts.verdict(v)
	if v.verdict.Act == deich.Drop {
		v.status = 0
		h.logRefusal(v)
		h.drop(v.r)
		return
	}
	if v.verdict.Act == deich.Challenge && (v.req.Kind != deich.Page || !v.req.Safe) {
		// A program, or a text that would be lost: it is told, not shown.
		v.verdict.Act = deich.Wait
	}
	text := ""
	if v.unsent = v.isUnsent(); !v.unsent || !v.sameOrigin() {
		text = h.textBack(v)
	}
	v.spurn()
	h.answer(v, v.w, text)
	h.logRefusal(v)
}

// answer writes a refusal to w, which may be the client's own writer or one
// that the origin's way was given.
func (h *Handler) answer(v *visit, w http.ResponseWriter, text string) {
	v.room = h.rooms.Get().(*room)
	defer func() {
		h.rooms.Put(v.room)
		v.room = nil
	}()
	v.status = statusOf(v.verdict)
	retry := retrySeconds(v.verdict)
	header := w.Header()
	header["Deich-Reason"] = h.plain.reasons[v.verdict.Reason]
	if retry > 0 {
		header["Retry-After"] = h.plain.retry[retry]
	}
	asset := v.req.Kind == deich.Asset
	if !asset {
		v.reference = string(v.ring.seal(&v.room.sealing, &v.req, &v.verdict))
		header["Deich-Reference"] = []string{v.reference}
	}
	switch {
	case v.readsPage():
		h.answerPage(v, w, retry, text)
	case asset:
		header["Cache-Control"], header["Content-Length"] = h.plain.noStore, h.plain.empty
		w.WriteHeader(v.status)
	default:
		h.answerProblem(v, w, retry)
	}
}

func (h *Handler) answerPage(v *visit, w http.ResponseWriter, retry int, text string) {
	pg := page{
		Name: pageOf(v.verdict), Lang: language(first(v.r.Header, "Accept-Language")),
		Reason: v.verdict.Reason, Status: v.status, Reference: v.reference,
		RetryAfter: time.Duration(retry) * time.Second, Return: v.back,
	}
	if pg.Return == "" && v.req.Safe {
		pg.Return = returnPath(v.r.RequestURI)
	}
	switch {
	case text != "":
		pg.Name, pg.Text = "given_back", text
	case v.unsent && v.sameOrigin():
		if pg.Name = "resend"; v.req.Pass.ID == 0 {
			pg.Bits = challengeBits(v.verdict)
		}
	case v.unsent:
		pg.Name = "unsent"
	case v.verdict.Act == deich.Challenge:
		pg.Bits = challengeBits(v.verdict)
		pg.Token = v.ring.writeToken(pg.Bits, v.req.Client, v.req.At)
		w.Header()["Deich-Challenge"] = []string{"bits=" + strconv.Itoa(pg.Bits) + ";token=" + pg.Token}
	}
	if v.verdict.Act == deich.Challenge || v.verdict.Act == deich.Wait {
		h.giveTicket(v, w)
	}
	h.pages.write(w, pg)
}

func pageOf(v deich.Verdict) string {
	switch {
	case v.Reason == deich.OriginDown || v.Reason == deich.OriginSlow:
		return "origin"
	case v.Act == deich.Challenge:
		return "challenge"
	case v.Act == deich.Wait && v.Place != 0:
		return "wait"
	default:
		return "refusal"
	}
}

// giveTicket lets a client keep its number in the waiting room.
func (h *Handler) giveTicket(v *visit, w http.ResponseWriter) {
	place := v.verdict.Place
	if place == 0 || place == v.req.Place && v.ticketAge < deich.Time(ticketRenew) {
		return
	}
	setCookie(w.Header(), v.secured, placeCookie, v.ring.writeTicket(place, v.req.Client, v.req.At), ticketLife)
}

// answerProblem writes a problem document (RFC 9457).
func (h *Handler) answerProblem(v *visit, w http.ResponseWriter, retry int) {
	b := v.room.scratch[:0]
	b = append(b, `{"type":"about:blank","title":"`...)
	b = append(b, h.plain.titles[v.status]...)
	b = append(b, `","status":`...)
	b = strconv.AppendInt(b, int64(v.status), 10)
	b = append(b, `,"act":"`...)
	b = append(b, v.verdict.Act.String()...)
	b = append(b, `","reason":"`...)
	b = append(b, v.verdict.Reason.String()...)
	b = append(b, `","reference":"`...)
	b = append(b, v.reference...)
	b = append(b, `","retry_after":`...)
	b = strconv.AppendInt(b, int64(retry), 10)
	b = append(b, "}\n"...)
	header := w.Header()
	header["Cache-Control"], header["Content-Type"] = h.plain.noStore, h.plain.problem
	w.WriteHeader(v.status)
	n, _ := w.Write(b)
	v.bytes = int64(n)
}

// retrySeconds spreads those who are told to come back over a quarter more
// than the time they are told; 0 where the verdict names none.
func retrySeconds(v deich.Verdict) int {
	if v.RetryAfter <= 0 {
		return 0
	}
	wait := v.RetryAfter
	if v.Act != deich.Wait || v.Place == 0 { // a number is called when it is called
		wait += rand.N(v.RetryAfter/4 + 1)
	}
	return int(min((wait+time.Second-1)/time.Second, retryMax))
}

// challengeBits keeps the difficulty within what a slow phone can do.
func challengeBits(v deich.Verdict) int {
	return min(max(int(v.Bits), deich.BitsMin), deich.BitsMax)
}
