package desk

import (
	"io"
	"net/http"
	"time"

	"github.com/deichproject/deich/desk/dossier"
	"github.com/deichproject/deich/desk/status"
)

// dossierOf gathers all that is known of an incident.
func (k *Keeper) dossierOf(id string, now time.Time) (*dossier.Dossier, error) {
	id, err := k.named(id)
	if err != nil {
		return nil, err
	}
	rows, err := k.rows(id)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	v, err := k.copyOf(id)
	if err != nil {
		k.mu.Unlock()
		return nil, err
	}
	_, number, head := k.log.End()
	k.mu.Unlock()
	for n := range v.Claims { // as of now, not as of when they were noted
		c := v.Claims[n].Claim
		finding := k.finding(&c, v.Incident, now)
		v.Claims[n].Finding = &finding
	}
	zone := k.zone
	if v.Case != nil {
		zone = v.Case.Location()
	}
	return &dossier.Dossier{Incident: v.Incident, Rows: rows, Made: now.In(k.zone), Zone: zone, Head: head, Number: number}, nil
}

// serveDossier gives it as html, md or json.
func (d *Desk) serveDossier(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	all, err := d.incidents.dossierOf(r.PathValue("id"), d.now())
	if err != nil {
		problemOf(w, err)
		return
	}
	all.Names = q.Get("names") == "1"
	kind, write := "text/html; charset=utf-8", all.HTML
	switch q.Get("format") {
	case "", "html":
		w.Header().Set("Content-Security-Policy", dossier.Policy)
	case "md":
		kind, write = "text/markdown; charset=utf-8", all.Markdown
	case "json":
		kind, write = "application/json", func(w io.Writer, _ string) error { return all.JSON(w) }
	default:
		Problem(w, http.StatusUnprocessableEntity, "format: html, md or json is wanted", "")
		return
	}
	w.Header().Set("Content-Type", kind)
	if err := write(w, status.Language(r)); err != nil {
		w.Header().Del("Content-Security-Policy")
		Problem(w, http.StatusInternalServerError, "the dossier cannot be made", err.Error())
	}
}

func (d *Desk) serveIncidentPage(w http.ResponseWriter, r *http.Request) { d.serveDossier(w, r) }
