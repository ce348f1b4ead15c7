package townsquare

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed templates
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// frame is what every page is shown in: its view and who looks at it.
type frame struct {
	Member *member
	Path   string
	View   any
}

// loadPages parses each page together with the layout. Version is put behind
// the addresses of assets, which browsers keep for long.
func loadPages(version string) (map[string]*template.Template, error) {
	layout, err := template.New("layout.html").Funcs(template.FuncMap{
		"asset":   func(name string) string { return "/static/" + name + "?v=" + version },
		"clock":   func(t time.Time) string { return t.Format("2 Jan 2006, 15:04 MST") },
		"day":     func(t time.Time) string { return t.Format("2 January 2006") },
		"machine": func(t time.Time) string { return t.Format(time.RFC3339) },
	}).ParseFS(templateFiles, "templates/layout.html", "templates/message.html")
	if err != nil {
		return nil, fmt.Errorf("townsquare: load pages: %w", err)
	}
	pages := make(map[string]*template.Template)
	for _, name := range []string{"timeline", "profile", "post", "search", "login", "signup", "refusal"} {
		clone, err := layout.Clone()
		if err == nil {
			pages[name], err = clone.ParseFS(templateFiles, "templates/"+name+".html")
		}
		if err != nil {
			return nil, fmt.Errorf("townsquare: load pages: %w", err)
		}
	}
	return pages, nil
}

// render answers a page.
func (c *call) render(name string, view any) error {
	if err := c.pages[name].Execute(&c.body, frame{c.member, c.r.URL.Path, view}); err != nil {
		return fmt.Errorf("townsquare: render %s: %w", name, err)
	}
	return nil
}

// asset is a file served as it is.
type asset struct {
	kind string
	data []byte
}

// loadAssets reads the static files, draws the avatars, and gives a version
// that changes when any of them does.
func loadAssets() (map[string]asset, string, error) {
	assets := make(map[string]asset)
	sum := sha256.New()
	err := fs.WalkDir(staticFiles, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		sum.Write(data)
		assets["/"+name] = asset{mime.TypeByExtension(path.Ext(name)), data}
		return nil
	})
	if err != nil {
		return nil, "", fmt.Errorf("townsquare: load assets: %w", err)
	}
	face, err := template.ParseFS(templateFiles, "templates/avatar.svg")
	if err != nil {
		return nil, "", fmt.Errorf("townsquare: load assets: %w", err)
	}
	for n := range avatars {
		var text strings.Builder
		if err := face.Execute(&text, drawAvatar(n)); err != nil {
			return nil, "", fmt.Errorf("townsquare: load assets: %w", err)
		}
		sum.Write([]byte(text.String()))
		assets[fmt.Sprintf("/static/avatar/%d.svg", n)] = asset{"image/svg+xml", []byte(text.String())}
	}
	return assets, hex.EncodeToString(sum.Sum(nil)[:6]), nil
}

// face is a small landscape: sky, a sun or moon, water.
type face struct {
	Sky, Sun, Sea          string
	SunX, SunY, SunR, Sea1 int
	Sea2                   int
}

func drawAvatar(n int) face {
	skies := []string{"#e8ddc6", "#d5e4e8", "#f0d9cf", "#dcd8ec"}
	suns := []string{"#8a5a00", "#a8321f", "#5b4a9c", "#2f7040"}
	seas := []string{"#0f5a73", "#3f6f8f"}
	return face{
		Sky: skies[n%4], Sun: suns[n/4%4], Sea: seas[n/16%2],
		SunX: 14 + n*7%22, SunY: 13 + n*5%9, SunR: 5 + n%3, Sea1: 26 + n*3%8, Sea2: 28 + n*11%9,
	}
}

// static answers what never changes under its address.
func (s *server) static(w http.ResponseWriter, r *http.Request) {
	file, ok := s.assets[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", file.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(file.data) // who asked may have gone
}
