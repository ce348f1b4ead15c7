package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/desk/incident"
	"github.com/deichproject/deich/guard"
)

const (
	// bypassMax is the longest bypass; it is meant to be looked at again.
	bypassMax = 24 * time.Hour
	// ordersShown bounds the orders in one answer; their number is given whole.
	ordersShown = 100
)

// The forms of the private API. Commands and server share them.
type (
	handView struct {
		ID     uint32    `json:"id"`
		Act    string    `json:"act"`
		Target string    `json:"target"`         // an address, prefix or path
		Path   string    `json:"path,omitempty"` // where an address or prefix is listed on one path alone
		Until  time.Time `json:"until,omitzero"`
	}
	orderView struct {
		Prefix netip.Prefix `json:"prefix"`
		Until  time.Time    `json:"until"`
		Reason string       `json:"reason"`
	}
	ruleView struct {
		deich.Rule
		Sentence sentence       `json:"sentence"`
		Example  *guard.Example `json:"example,omitempty"`
	}
	causeView struct {
		Origin   string   `json:"origin"`
		Sentence sentence `json:"sentence"`
		deich.Judgement
		Segments []segmentView `json:"segments"`
	}
	segmentView struct {
		Paths    string   `json:"paths,omitempty"` // empty: all that have no segment of their own
		Sentence sentence `json:"sentence"`
		deich.Judgement
	}
	rulesView struct {
		Rules     []ruleView  `json:"rules"`
		Hand      []handView  `json:"hand"`
		Bypass    time.Time   `json:"bypass,omitzero"`
		Observe   bool        `json:"observe,omitempty"`
		Orders    []orderView `json:"orders"`
		OrdersAll int         `json:"orders_all"`
	}
	handRequest struct {
		Act    deich.Act `json:"act"` // allow or deny
		Target string    `json:"target"`
		Path   string    `json:"path,omitempty"` // an address or prefix on this path, and all below it, alone
		For    string    `json:"for,omitempty"`  // a span of time; empty: until undone
	}
	bypassRequest struct {
		For string `json:"for"`
	}
	explainView struct {
		Reference *guard.Explanation `json:"reference,omitempty"`
		Address   *addressView       `json:"address,omitempty"`
	}
	addressView struct {
		Address netip.Addr  `json:"address"`
		Hand    []handView  `json:"hand"`
		Orders  []orderView `json:"orders"`
	}
)

// mount puts the station's part of the private API on the desk.
func (s *station) mount(d *desk.Desk) {
	d.Mount("GET /api/v1/hand", http.HandlerFunc(s.serveRules))
	d.Mount("GET /api/v1/causes", http.HandlerFunc(s.serveCauses))
	d.Mount("POST /api/v1/hand", http.HandlerFunc(s.serveList))
	d.Mount("DELETE /api/v1/hand/{id}", http.HandlerFunc(s.serveUndo))
	d.Mount("POST /api/v1/bypass", http.HandlerFunc(s.serveBypass))
	d.Mount("DELETE /api/v1/bypass", http.HandlerFunc(s.serveBypassEnd))
	d.Mount("GET /api/v1/gate", http.HandlerFunc(s.serveGate))
	d.Mount("DELETE /api/v1/gate", http.HandlerFunc(s.serveGateOff))
	d.Mount("POST /api/v1/reload", http.HandlerFunc(s.serveReload))
	d.Mount("GET /api/v1/explain/{what...}", http.HandlerFunc(s.serveExplain))
}

func (s *station) serveRules(w http.ResponseWriter, _ *http.Request) {
	now := s.now()
	view := rulesView{Rules: s.rules(now), Hand: []handView{}, Orders: []orderView{}, Bypass: s.bypassed(), Observe: s.observe()}
	for _, h := range s.engine.Listed(now) {
		view.Hand = append(view.Hand, viewHand(h))
	}
	orders := s.ordered()
	view.OrdersAll = len(orders)
	for _, o := range orders[:min(ordersShown, len(orders))] {
		view.Orders = append(view.Orders, viewOrder(o))
	}
	desk.JSON(w, view)
}

// rules are the synthesised ones in force, each as a sentence.
func (s *station) rules(now deich.Time) []ruleView {
	all := []ruleView{}
	for _, r := range s.engine.Rules(now) {
		all = append(all, s.viewRule(r))
	}
	return all
}

func (s *station) viewRule(r deich.Rule) ruleView {
	v := ruleView{Rule: r}
	if e, known := s.edge.Guard().Example(r.ID); known {
		v.Example = &e
	}
	v.Sentence = ruleSentence(&v.Rule, v.Example, s.inForce.Load().atlas)
	return v
}

func (s *station) serveCauses(w http.ResponseWriter, _ *http.Request) {
	all := []causeView{}
	for i, name := range s.originNames() {
		if name != "" {
			j := s.engine.Cause(uint16(i))
			view := causeView{Origin: name, Sentence: causeWords[j.Cause], Judgement: j, Segments: []segmentView{}}
			for _, g := range s.engine.Segments(uint16(i)) {
				view.Segments = append(view.Segments, segmentView{s.pathsOf(uint16(i), g.Route), segmentWords(g.Cause), g.Judgement})
			}
			all = append(all, view)
		}
	}
	desk.JSON(w, all)
}

// pathsOf names a segment's paths, with * for ids, and with POST before what may
// change something; empty for all that have no segment of their own.
func (s *station) pathsOf(origin, route uint16) string {
	shape, safe := s.edge.Guard().Route(origin, route)
	switch {
	case route == 0:
		return ""
	case shape == "":
		return fmt.Sprintf("route %d", route) // nobody was answered there since the start
	case safe:
		return clean(shape)
	}
	return "POST " + clean(shape)
}

func viewHand(h deich.Hand) handView {
	v := handView{ID: h.ID, Act: h.Act.String(), Target: h.Path}
	if h.Prefix.IsValid() {
		v.Target, v.Path = prefixText(h.Prefix), h.Path
	}
	if h.Until != 0 {
		v.Until = wall(h.Until)
	}
	return v
}

// whom says whom or what is listed.
func (v handView) whom() sentence {
	if v.Path == "" {
		return sentence{v.Target, v.Target}
	}
	return sentence{v.Target + " on " + v.Path, v.Target + " auf " + v.Path}
}

// prefixText writes a single address as one.
func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func viewOrder(o deich.Order) orderView {
	return orderView{o.Prefix, wall(o.Until), o.Reason.String()}
}

func (s *station) serveList(w http.ResponseWriter, r *http.Request) {
	var ask handRequest
	if !read(w, r, &ask) {
		return
	}
	prefix, path, err := readListing(ask.Target, ask.Path)
	if err != nil {
		desk.Refuse(w, http.StatusUnprocessableEntity, err, "")
		return
	}
	hand := deich.Hand{Act: ask.Act, Prefix: prefix, Path: path}
	if ask.For != "" {
		var span time.Duration
		span, err = readSpan(ask.For)
		hand.Until = s.now().Add(span)
	}
	if err != nil {
		desk.Problem(w, http.StatusUnprocessableEntity, err.Error(), "")
		return
	}
	id, err := s.hand.list(hand)
	if err != nil && id == 0 {
		desk.Refuse(w, http.StatusUnprocessableEntity, err, "")
		return
	}
	hand.ID = id
	if hand.Act == deich.Allow && hand.Prefix.IsValid() {
		s.revoke(hand.Prefix)
	}
	view := viewHand(hand)
	text := listedWords(view)
	s.desk.Did(desk.Action{At: time.Now(), Kind: "by_hand", By: desk.By(r), Text: text.English, German: text.German, Undo: id})
	if err != nil {
		desk.Refuse(w, http.StatusInternalServerError, err, "look at the disk that holds the data folder")
		return
	}
	desk.JSON(w, view)
}

func pastWord(act string) string {
	if act == deich.Allow.String() {
		return "Allowed"
	}
	return "Denied"
}

func untilWords(t time.Time) string {
	if t.IsZero() {
		return ", until undone"
	}
	return " until " + dayClock(t)
}

// listedWords tell of a listing.
func listedWords(v handView) sentence {
	german, until := "Abgewiesen wird ", ", bis es zurückgenommen wird"
	if v.Act == deich.Allow.String() {
		german = "Durchgelassen wird "
	}
	if !v.Until.IsZero() {
		until = " bis " + dayClock(v.Until)
	}
	whom := v.whom()
	return sentence{pastWord(v.Act) + " " + whom.English + " by hand" + untilWords(v.Until) + ".", german + whom.German + " von Hand" + until + "."}
}

func dayClock(t time.Time) string { return t.Format("2006-01-02 15:04:05 MST") }

// readSpan reads how long something is to hold.
func readSpan(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no span of time: write it as in 10m, 1h or 24h", text)
	}
	return d, nil
}

func (s *station) serveUndo(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.ParseUint(r.PathValue("id"), 10, 32)
	var found bool
	if err == nil {
		out := deich.NewOut()
		found, err = s.hand.undo(uint32(id), out)
		s.carry(out.Orders)
		if found {
			s.pardon(everybody...) // nobody knows any more by which rule they were judged
		}
	}
	if !found {
		desk.Refuse(w, http.StatusNotFound, incident.Wrongf("nothing is listed under %s", "unter %s ist nichts gelistet, oder nicht mehr", r.PathValue("id")),
			"deich rules shows what is, with its number")
		return
	}
	s.acted(desk.By(r), "undone", said("What is listed as %d was taken back.", "Was als %d gelistet war, wurde zurückgenommen.", id))
	if err != nil {
		desk.Refuse(w, http.StatusInternalServerError, err, "look at the disk that holds the data folder")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *station) serveBypass(w http.ResponseWriter, r *http.Request) {
	var ask bypassRequest
	if !read(w, r, &ask) {
		return
	}
	span, err := readSpan(ask.For)
	if err == nil && span > bypassMax {
		err = fmt.Errorf("%s is too long: at most %s, then look again", ask.For, spanText(bypassMax))
	}
	if err != nil {
		desk.Problem(w, http.StatusUnprocessableEntity, err.Error(), "")
		return
	}
	until := s.bypass(span)
	s.acted(desk.By(r), "bypassed", said("Bypass is on until %s: everybody passes, only the origin's limit holds.",
		"Bypass gilt bis %s: Alle kommen durch, nur das Limit der Plattform gilt.", dayClock(until)))
	desk.JSON(w, struct {
		Until time.Time `json:"until"`
	}{until})
}

func (s *station) serveBypassEnd(w http.ResponseWriter, r *http.Request) {
	s.bypass(0)
	s.acted(desk.By(r), "bypass_ended", sentence{"Bypass was ended: Deich judges again.", "Bypass wurde beendet: Deich urteilt wieder."})
	w.WriteHeader(http.StatusNoContent)
}

func (s *station) serveReload(w http.ResponseWriter, r *http.Request) {
	if err := s.reload(desk.By(r)); err != nil {
		desk.Problem(w, http.StatusUnprocessableEntity, err.Error(), "what was in force before stays in force")
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *station) serveExplain(w http.ResponseWriter, r *http.Request) {
	what := r.PathValue("what")
	if a, err := netip.ParseAddr(what); err == nil {
		desk.JSON(w, explainView{Address: s.explainAddress(a.Unmap().WithZone(""))})
		return
	}
	e, err := s.edge.Guard().Explain(what)
	if err != nil {
		desk.Problem(w, http.StatusNotFound, "this is no reference that this Deich gave, or it is older than its keys",
			"a reference has 76 letters and digits and stands at the foot of the page; an address is written as in 203.0.113.7")
		return
	}
	desk.JSON(w, explainView{Reference: &e})
}

func (s *station) explainAddress(a netip.Addr) *addressView {
	now := s.now()
	view := &addressView{Address: a, Hand: []handView{}, Orders: []orderView{}}
	for _, h := range s.engine.Listed(now) {
		if h.Prefix.IsValid() && h.Prefix.Contains(a) {
			view.Hand = append(view.Hand, viewHand(h))
		}
	}
	for _, o := range s.ordered() {
		if o.Prefix.Contains(a) {
			view.Orders = append(view.Orders, viewOrder(o))
		}
	}
	return view
}

// read takes a JSON body that holds what into has room for and nothing else.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more than one value")
		}
	}
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long):
		desk.Problem(w, http.StatusRequestEntityTooLarge, "the body is too long", "")
	case err != nil:
		desk.Problem(w, http.StatusBadRequest, "the body is not the JSON that is wanted here: "+err.Error(), "")
	}
	return err == nil
}
