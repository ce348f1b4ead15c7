package townsquare

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"strconv"
	"unicode/utf8"
)

// The views are what the templates of the same names show.
type (
	timelineView struct {
		Messages []message
		Older    int64 // the id to go on before; 0: no more
		Newest   bool  // the page shows the newest and may grow by itself
		Key      string
		Max      int
	}
	profileView struct {
		Who      member
		Messages []message
		Older    int64
	}
	searchView struct {
		Query string
		Asked bool
		Found found
	}
	loginView struct {
		Says, Name, Display, Next string
		Min, Max                  int
	}
	refusalView struct {
		Status      int
		Title, Says string
		Text        string // what was to be posted, given back
	}
)

// asked gives the part of a list that a request wants.
func (c *call) asked() (page, error) {
	p := page{size: pageSize}
	query := c.r.URL.Query()
	var err error
	if v := query.Get("before"); v != "" {
		if p.before, err = strconv.ParseInt(v, 10, 64); err != nil || p.before < 1 {
			return p, refuse(http.StatusBadRequest, "“before” must be the number of a message.")
		}
	}
	if v := query.Get("limit"); v != "" {
		if p.size, err = strconv.Atoi(v); err != nil || p.size < 1 || p.size > pageSizeMax {
			return p, refuse(http.StatusBadRequest, fmt.Sprintf("“limit” must be 1 to %d.", pageSizeMax))
		}
	}
	return p, nil
}

// older gives the id to go on before, 0 at the end of a list.
func older(list []message, p page) int64 {
	if len(list) < p.size {
		return 0
	}
	return list[len(list)-1].ID
}

func (c *call) timelinePage() error {
	p, err := c.asked()
	if err != nil {
		return err
	}
	list, err := c.store.timeline(c.ctx, p)
	if err != nil {
		return err
	}
	return c.render("timeline", timelineView{
		Messages: list, Older: older(list, p), Newest: p.before == 0, Key: rand.Text(), Max: textRunesMax,
	})
}

// profile gives the member that the path names and a part of their messages.
func (c *call) profile() (view profileView, err error) {
	p, err := c.asked()
	if err != nil {
		return view, err
	}
	if view.Who, _, err = c.store.memberByName(c.ctx, c.r.PathValue("name")); err != nil {
		return view, err
	}
	view.Messages, err = c.store.messagesOf(c.ctx, view.Who.ID, p)
	view.Older = older(view.Messages, p)
	return view, err
}

func (c *call) profilePage() error {
	view, err := c.profile()
	if err != nil {
		return err
	}
	return c.render("profile", view)
}

func (c *call) postPage() error {
	id, err := strconv.ParseInt(c.r.PathValue("id"), 10, 64)
	if err != nil {
		return errMissing
	}
	p, err := c.store.message(c.ctx, id)
	if err != nil {
		return err
	}
	return c.render("post", p)
}

// query gives what is searched for, "" if nothing.
func (c *call) query() (string, error) {
	query := c.r.URL.Query().Get("q")
	if len(query) > queryBytesMax || !utf8.ValidString(query) {
		return "", refuse(http.StatusBadRequest, fmt.Sprintf("A search may hold %d bytes of text.", queryBytesMax))
	}
	if len(words(query)) == 0 {
		return "", nil
	}
	return query, nil
}

func (c *call) searchPage() error {
	query, err := c.query()
	if err != nil {
		return err
	}
	view := searchView{Query: query, Asked: query != ""}
	if view.Asked {
		if view.Found, err = c.store.search(c.ctx, query, c.scan); err != nil {
			return err
		}
	}
	return c.render("search", view)
}

func (c *call) postForm() error {
	p, _, err := c.post(c.form.Get("text"), c.form.Get("key"))
	if err != nil {
		return err
	}
	return c.redirect(fmt.Sprintf("/p/%d", p.ID))
}
