package guard

import (
	"net/url"

	"github.com/deichproject/deich"
)

// isUnsent says whether what a person sent is told to wait before the platform
// has seen any of it. The browser then still has it, files too, and sends it
// again when the page is reloaded; nobody else has to keep it.
func (v *visit) isUnsent() bool {
	return v.verdict.Act == deich.Wait && !v.req.Safe && !v.own() && v.readsPage()
}

// readsPage says whether whoever waits for the answer reads pages. A form with
// a large file is a navigation like any other.
func (v *visit) readsPage() bool {
	switch v.req.Kind {
	case deich.Page:
	case deich.Upload:
		if dest := first(v.r.Header, "Sec-Fetch-Dest"); dest != "" && dest != "document" && dest != "iframe" {
			return false
		}
	default:
		return false
	}
	return wantsPage(first(v.r.Header, "Accept"))
}

// sameOrigin says whether a page of this site sent the request. Only then may a
// page of ours send it again by itself: what another site made a browser send
// must not come a second time as if from here.
func (v *visit) sameOrigin() bool {
	if site := first(v.r.Header, "Sec-Fetch-Site"); site != "" {
		return site == "same-origin"
	}
	origin, err := url.Parse(first(v.r.Header, "Origin"))
	return err == nil && origin.Host != "" && origin.Host == v.r.Host
}
