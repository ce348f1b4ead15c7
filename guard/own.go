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
	h.counts.own.Add(1)
	h.read(v)
	switch {
	case name == "challenge" && v.req.Safe:
		h.showChallenge(v)
	case name == "challenge" && v.r.Method == "POST":
		h.takeProof(v)
	default:
		w := keptWriter{ResponseWriter: v.w}
		h.giveOwn(v, &w, name)
		v.status, v.bytes = w.status, w.bytes
		h.noteOwn(v)
	}
}

// giveOwn gives a receipt, a file that pages refer to, or a status alone.
func (h *Handler) giveOwn(v *visit, w http.ResponseWriter, name string) {
	status := http.StatusNotFound
	switch {
	case name == "challenge":
		w.Header()["Allow"] = []string{"GET, HEAD, POST"}
		status = http.StatusMethodNotAllowed
	case v.req.Safe && h.keeper != nil && strings.HasPrefix(name, receiptsPath):
		h.keeper.Receipt(w, v.r, strings.TrimPrefix(name, receiptsPath), v.sender())
		return
	case v.req.Safe && h.pages.asset(w, v.r, name):
		return
	}
	v.spurn()
	header := w.Header()
	header["Cache-Control"], header["Content-Length"] = h.plain.noStore, h.plain.empty
	w.WriteHeader(status)
}

// noteOwn counts and logs an answer of Deich's own, and has whoever asked owe for it.
func (h *Handler) noteOwn(v *visit) {
	vain := v.status >= 400 && v.status < 500
	h.askAside(v, vain)
	if vain {
		v.verdict = deich.Verdict{Act: deich.Deny, Reason: deich.BadRequest}
		h.counts.verdict(v)
	} else {
		h.noteWhence(v.req.Client, v.operator, v.country, int(deich.Allow), 1)
	}
	h.logRefusal(v)
}

// showChallenge answers what a visit to the return path would be answered now;
// a program gets a challenge in any case, as values.
func (h *Handler) showChallenge(v *visit) {
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
		h.noteOwn(v)
	case v.verdict.Act == deich.Allow:
		h.goBack(v)
		h.noteOwn(v)
	default:
		h.refuse(v)
	}
}

func (h *Handler) writeChallenge(v *visit) {
	bits := challengeBits(v.verdict)
	header := v.w.Header()
	header["Cache-Control"], header["Content-Type"] = h.plain.noStore, []string{"application/json"}
	v.status = http.StatusOK
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
	v.status = http.StatusSeeOther
	v.w.WriteHeader(v.status)
}

// takeProof gives a pass for a proof.
func (h *Handler) takeProof(v *visit) {
	v.req.Kind = deich.API
	if wantsPage(first(v.r.Header, "Accept")) {
		v.req.Kind = deich.Page
	}
	if v.verdict = h.judgeProof(v); v.verdict.Reason == deich.BadProof {
		h.askAside(v, true)
		h.counts.badProofs.Add(1)
	}
	switch {
	case v.verdict.Refused():
		h.refuse(v)
	case v.req.Kind == deich.Page:
		h.goBack(v)
	default:
		v.w.Header()["Cache-Control"] = h.plain.noStore
		v.w.WriteHeader(http.StatusNoContent)
	}
}

// judgeProof checks a proof, and adds a pass to the answer where it holds. The cheap and
// certain comes first: the token's MAC, then the hashes, then whether it was spent. Who
// makes tokens up, or shows a good one again and again, takes nothing of the proofs that are
// checked between two ticks from others: they would leave none to people.
func (h *Handler) judgeProof(v *visit) deich.Verdict {
	form, err := h.proofForm(v)
	v.back = returnPath(form.Get("return"))
	bits, hash, ours := v.ring.readToken(form.Get("token"), v.req.Client, v.req.At)
	wrong := deich.Verdict{Act: deich.Deny, Reason: deich.BadProof}
	over := deich.Verdict{Act: deich.Wait, Reason: deich.OverBudget, RetryAfter: retryAfterFull}
	switch {
	case err != nil || !ours:
		return wrong
	case !h.askMayProve(v):
		return over
	case h.proofs.Add(-1) < 0:
		return deich.Verdict{Act: deich.Wait, Reason: deich.QueueFull, RetryAfter: time.Second}
	case !h.proves(v, form, bits, hash):
		return wrong
	}
	h.counts.proofs.Add(1)
	if !h.givePass(v) {
		return over
	}
	return deich.Verdict{}
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

// proves says whether a form's proof solves its token, of which bits and hash are
// known, and was not shown before.
func (h *Handler) proves(v *visit, form url.Values, bits int, hash uint64) bool {
	answers, err := deich.ParseProof(form.Get("proof"))
	if err != nil || !deich.CheckProof(deich.ProofSeed(form.Get("token")), bits, answers) {
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
