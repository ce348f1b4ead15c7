package guard

import (
	"net/http"
	"strings"

	"github.com/deichproject/deich"
)

// kindOf says what a request is for. What browsers tell (Fetch Metadata) goes
// before what can only be guessed; what looks like neither a navigation nor a
// part of a page is a program's. streams says that the path is known to answer
// long-lived.
func kindOf(r *http.Request, said *headers, set *settings, streams bool) deich.Kind {
	if anyPrefix(set.Streams, r.URL.Path) {
		return deich.Stream
	}
	if said.upgrade != "" || strings.HasPrefix(said.accept, "text/event-stream") {
		// Saying so is not enough: a stream takes no place at the origin, so
		// its path must have answered with one before.
		if streams && !deich.Climbs(r.URL.Path) {
			return deich.Stream
		}
		return deich.API
	}
	if r.ContentLength > set.BodyBuffer {
		return deich.Upload
	}
	if anyPrefix(set.API, r.URL.Path) {
		return deich.API
	}
	switch said.dest {
	case "":
		return guessKind(r, said)
	case "document", "iframe", "frame", "embed", "object", "fencedframe":
		return deich.Page
	case "empty":
		if said.mode == "navigate" {
			return deich.Page
		}
		return deich.API
	default:
		return deich.Asset
	}
}

func guessKind(r *http.Request, said *headers) deich.Kind {
	switch {
	case said.requestedWith != "":
		return deich.API
	case wantsPage(said.accept):
		return deich.Page
	case isAssetPath(r.URL.Path):
		return deich.Asset
	default:
		return deich.API
	}
}

// wantsPage says whether an Accept header names HTML.
func wantsPage(accept string) bool {
	return strings.Contains(accept[:min(len(accept), acceptBytesMax)], "text/html")
}

// isAssetPath knows by its ending what a page loads.
func isAssetPath(path string) bool {
	dot := strings.LastIndexByte(path, '.')
	if dot < 0 || len(path)-dot > 6 {
		return false
	}
	switch path[dot+1:] {
	case "css", "js", "mjs", "map", "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico",
		"woff", "woff2", "ttf", "otf", "mp3", "mp4", "webm", "ogg", "wasm":
		return true
	}
	return false
}

// first gives a header's first value; name is in canonical form.
func first(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
