package guard

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/deichproject/deich"
)

// mint adds a pass to an answer of the origin, where one is due and no shared
// cache would hand it to the next person: a first one with a page that was
// served, a renewed one on a new day, and whenever the platform vouches for
// another account or for none any more.
func (v *visit) mint(header http.Header, status int, member string) {
	if status < 200 || status >= 400 || len(member) > memberBytesMax {
		return
	}
	pass, due := v.nextPass(member)
	if !due || !keepPrivate(header) {
		return
	}
	if v.req.Pass.ID == 0 && !v.h.askMint(v, pass.Earned) {
		return
	}
	v.h.counts.minted.Add(1)
	setCookie(header, v.secured, passCookie, v.ring.writePass(pass, v.r.Host, v.h.now()), v.set.passLife)
}

// nextPass is the pass this client should hold after the answer, and whether
// it differs from the one it showed.
func (v *visit) nextPass(member string) (pass deich.Pass, due bool) {
	now := v.req.At
	if pass = v.req.Pass; pass.ID == 0 {
		how := deich.Served
		if v.verdict.Reason == deich.Called {
			how = deich.Waited
		}
		pass = freshPass(now, how)
		due = v.req.Kind == deich.Page && v.req.Safe
	} else if !sameDay(v.minted, now) && v.req.Kind != deich.Asset {
		pass.Days = min(pass.Days, 254) + 1
		due = true
	}
	var account uint64
	switch member {
	case "":
		return pass, due
	case memberNone:
	default:
		account = v.ring.accountOf(v.r.Host, member)
	}
	if account == pass.Account {
		return pass, due
	}
	pass.Account, pass.Since = account, 0
	if account != 0 {
		pass.Since = now
	}
	return pass, true
}

// keepPrivate sees to it that no shared cache keeps the answer (RFC 9111,
// section 3). Where the origin says nothing to the point, it says so; where the
// origin wants the answer shared, that stands, and false is given.
func keepPrivate(h http.Header) bool {
	said := strings.ToLower(strings.Join(h["Cache-Control"], ","))
	shared := said == "" && first(h, "Expires") != "" && first(h, "Expires") != "0" && first(h, "Expires") != "-1"
	for directive := range strings.SplitSeq(said, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "private", "no-store":
			return true
		case "public", "s-maxage":
			shared = true
		case "max-age":
			age, err := strconv.Atoi(strings.Trim(value, `"`))
			shared = shared || err != nil || age > 0
		}
	}
	if shared {
		return false
	}
	if said == "" {
		h["Cache-Control"] = []string{"private"}
	} else {
		h["Cache-Control"] = []string{said + ", private"}
	}
	return true
}
