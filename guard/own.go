package guard

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/deichproject/deich"
)

// serveOwn answers what is asked of Deich itself. Nothing of it reaches the
// origin.
func (h *Handler) serveOwn(v *visit) {
	name := strings.TrimPrefix(v.r.URL.Path, wellKnown)
	safe := v.r.Method == "GET" || v.r.Method == "HEAD"
	switch {
	case name == "challenge" && safe:
		h.showChallenge(v)
	case name == "challenge" && v.r.Method == "POST":
		h.takeProof(v)
	case name == "challenge":
		v.w.Header()["Allow"] = []string{"GET, HEAD, POST"}
		h.bare(v, http.StatusMethodNotAllowed)
	case safe && h.keeper != nil && strings.HasPrefix(name, receiptsPath):
		h.serveReceipt(v, strings.TrimPrefix(name, receiptsPath))
	case safe && h.pages.asset(v.w, v.r, name):
	default:
		h.bare(v, http.StatusNotFound)
	}
}

// bare answers with a status alone.
func (h *Handler) bare(v *visit, status int) {
	v.spurn()
	header := v.w.Header()
	header["Cache-Control"], header["Content-Length"] = h.plain.noStore, h.plain.empty
	v.w.WriteHeader(status)
}

// showChallenge answers what a visit to the return path would be answered now;
// a program gets a challenge in any case, as values.
func (h *Handler) showChallenge(v *visit) {
	h.read(v)
	v.back = returnPath(v.r.URL.Query().Get("return"))
	path, _, _ := strings.Cut(v.back, "?")
	v.req.Path, v.req.Kind = path, deich.Page
	v.req.Route = h.routes[v.req.Origin].Load().of(path, true)
	h.decide(v)
	accept := first(v.r.Header, "Accept")
	switch {
	case v.verdict.Act == deich.Deny || v.verdict.Act == deich.Drop:
		h.refuse(v)
	case wantsJSON(accept):
		h.writeChallenge(v)
	case v.verdict.Act == deich.Allow:
		h.goBack(v)
	default:
		h.refuse(v)
	}
}

func (h *Handler) writeChallenge(v *visit) {
	bits := challengeBits(v.verdict)
	header := v.w.Header()
	header["Cache-Control"], header["Content-Type"] = h.plain.noStore, []string{"application/json"}
	// A client that left is no error of ours.
	_ = json.NewEncoder(v.w).Encode(struct {
		Token   string `json:"token"`
		Bits    int    `json:"bits"`
		Puzzles int    `json:"puzzles"`
	}{v.ring.writeToken(bits, v.req.Client, v.req.At), bits, deich.Puzzles})
}

// goBack sends the client to where it wanted to go.
func (h *Handler) goBack(v *visit) {
	header := v.w.Header()
	header["Cache-Control"], header["Content-Length"] = h.plain.noStore, h.plain.empty
	header["Location"] = []string{v.back}
	v.w.WriteHeader(http.StatusSeeOther)
}

// takeProof checks a proof and gives a pass for it. The cheap and certain
// comes first: the token's MAC, then the hashes, then whether it was spent.
func (h *Handler) takeProof(v *visit) {
	h.read(v)
	v.req.Kind = deich.API
	if wantsPage(first(v.r.Header, "Accept")) {
		v.req.Kind = deich.Page
	}
	if h.proofs.Add(-1) < 0 {
		v.verdict = deich.Verdict{Act: deich.Wait, Reason: deich.QueueFull, RetryAfter: time.Second}
		h.refuse(v)
		return
	}
	form, err := h.proofForm(v)
	v.back = returnPath(form.Get("return"))
	if err != nil || !h.proves(v, form.Get("token"), form.Get("proof")) {
		h.counts.badProofs.Add(1)
		v.verdict = deich.Verdict{Act: deich.Deny, Reason: deich.BadProof}
		h.refuse(v)
		return
	}
	h.counts.proofs.Add(1)
	if !h.givePass(v) {
		v.verdict = deich.Verdict{Act: deich.Wait, Reason: deich.OverBudget, RetryAfter: retryAfterFull}
		h.refuse(v)
		return
	}
	if v.req.Kind == deich.Page {
		h.goBack(v)
		return
	}
	v.w.Header()["Cache-Control"] = h.plain.noStore
	v.w.WriteHeader(http.StatusNoContent)
}

// givePass hands out the pass a proof has earned. Who holds one keeps it: what
// was earned before is worth more.
func (h *Handler) givePass(v *visit) bool {
	pass := v.req.Pass
	if pass.ID == 0 {
		if !h.askMint(v, deich.Proved) {
			return false
		}
		pass = freshPass(v.req.At, deich.Proved)
		h.counts.minted.Add(1)
	}
	setCookie(v.w.Header(), v.secured, passCookie, v.ring.writePass(pass, v.r.Host, v.req.At), v.set.passLife)
	return true
}

func (h *Handler) proves(v *visit, token, proof string) bool {
	bits, hash, ok := v.ring.readToken(token, v.req.Client, v.req.At)
	if !ok {
		return false
	}
	answers, err := deich.ParseProof(proof)
	if err != nil || !deich.CheckProof(deich.ProofSeed(token), bits, answers) {
		return false
	}
	return h.spent.Add(int64(v.req.At), hash)
}

var errProofForm = errors.New("guard: challenge: not a form with a proof")

// proofForm reads the form a proof comes in.
func (h *Handler) proofForm(v *visit) (url.Values, error) {
	r := v.r
	kind, _, err := mime.ParseMediaType(first(r.Header, "Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" || r.ContentLength > proofFormMax {
		return nil, errProofForm
	}
	control := http.NewResponseController(v.w)
	_ = control.SetReadDeadline(time.Now().Add(proofFormTime)) // without it the server's own holds
	b, err := io.ReadAll(io.LimitReader(r.Body, proofFormMax+1))
	if err != nil || len(b) > proofFormMax {
		return nil, errProofForm
	}
	_ = control.SetReadDeadline(time.Time{})
	return url.ParseQuery(string(b))
}

// returnPath keeps a path within this site, whatever it was given: an absolute
// path that no browser takes for another host, and not one of Deich's own.
func returnPath(path string) string {
	const top = "/"
	if len(path) > returnMax || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") ||
		strings.HasPrefix(path, wellKnown) {
		return top
	}
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return top // browsers drop or turn around what looks harmless here
		}
	}
	return path
}

func wantsJSON(accept string) bool {
	return strings.Contains(accept[:min(len(accept), acceptBytesMax)], "application/json")
}
