package dossier

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
)

//go:embed page
var pageFiles embed.FS

var (
	pages = template.Must(template.New("").Funcs(template.FuncMap{
		"sprintf": fmt.Sprintf,
	}).ParseFS(pageFiles, "page/*.html"))
	style, Policy = styleAndPolicy()
)

// styleAndPolicy gives the style sheet, and what a server that shows a dossier
// says with it: the sheet by its hash, and nothing else at all.
func styleAndPolicy() (template.CSS, string) {
	b, err := pageFiles.ReadFile("page/dossier.css")
	if err != nil {
		panic("dossier: the style sheet is not built in") // a broken build, found by any test
	}
	sum := sha256.Sum256(b)
	return template.CSS(b), "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// HTML writes one file that needs nothing else; lang is "en" or "de".
func (d *Dossier) HTML(w io.Writer, lang string) error {
	v, err := d.view(lang)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "dossier.html", struct {
		*view
		Style                              template.CSS
		Width, Height, Left, Right, Top, Y int
	}{v, style, plotWidth, plotHeight, plotLeft, plotRight, plotTop, plotLow}); err != nil {
		return fmt.Errorf("dossier: html: %w", err)
	}
	_, err = w.Write(b.Bytes())
	return err
}
