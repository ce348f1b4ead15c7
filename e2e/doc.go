// Package e2e holds the tests that meet Deich as people do: in a real browser.
//
//	go test ./e2e                              everything
//	go test ./e2e -run Browser -screenshots    and rewrite docs/pages/*.png
//
// They need Chromium (Debian: chromium); without it they say so and are left
// out, except in CI, where they fail.
package e2e
