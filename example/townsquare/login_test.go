package townsquare

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestLoginAndLogout(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	b.get("/").want(t, 200).wantHeader(t, memberHeader, "").wantText(t, `href="/login"`).
		wantHeader(t, "Cache-Control", "max-age=0").wantHeader(t, "Vary", "Authorization, Cookie")

	in := b.form("/login", "name", " User0007 ", "password", DemoPassword, "next", "/u/user0007").
		want(t, http.StatusSeeOther).wantHeader(t, memberHeader, "7").wantHeader(t, "Location", "/u/user0007")
	cookie := in.Cookies()[0]
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Secure || cookie.MaxAge <= 0 {
		t.Errorf("cookie %+v", cookie)
	}
	b.get("/").want(t, 200).wantHeader(t, memberHeader, "7").wantText(t, "Log out").wantHeader(t, "Cache-Control", "private, no-cache")
	b.get("/static/style.css").want(t, 200).wantHeader(t, memberHeader, "")

	out := b.form("/logout").want(t, http.StatusSeeOther).wantHeader(t, memberHeader, "0")
	if n := len(out.Cookies()); n != 1 || out.Cookies()[0].MaxAge >= 0 {
		t.Errorf("logout sets %v", out.Cookies())
	}
	b.get("/").want(t, 200).wantHeader(t, memberHeader, "")
	b.get("/", "Cookie", sessionCookie+"="+cookie.Value).want(t, 200).wantHeader(t, memberHeader, "0").wantText(t, `href="/login"`)
}

func TestLoginRefused(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	for name, password := range map[string]string{
		"user0001": "wrong", "nobody": DemoPassword, "": "", "user0002": DemoPassword + strings.Repeat("x", 100),
		"' OR 1=1 --": DemoPassword, "user0003": "",
	} {
		a := b.form("/login", "name", name, "password", password, "next", "/search").
			want(t, http.StatusUnauthorized).wantHeader(t, memberHeader, "").wantText(t, "do not belong together").wantText(t, `value="/search"`)
		if len(a.Cookies()) > 0 {
			t.Errorf("%q got a cookie", name)
		}
	}
}

func TestCookieIsSecureBehindTLS(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	a := b.do("POST", "/login", "name=user0001&password="+DemoPassword, "X-Forwarded-Proto", "https").want(t, http.StatusSeeOther)
	if !a.Cookies()[0].Secure {
		t.Error("the cookie is not Secure")
	}
}

func TestSignup(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	b.form("/signup", "name", "Hauke", "display", "Hauke Haien", "password", "a horse on the dike").
		want(t, http.StatusSeeOther).wantHeader(t, memberHeader, "21")
	b.get("/").wantText(t, "Hauke Haien").wantText(t, `href="/u/hauke"`)
	b.form("/signup", "name", "elke", "password", "a horse on the dike").want(t, http.StatusSeeOther)
	b.get("/u/elke").want(t, 200).wantText(t, "<h1>elke</h1>")

	for _, c := range []struct {
		name, display, password string
		status                  int
		says                    string
	}{
		{"hauke", "", "a horse on the dike", 409, "taken"},
		{"user0001", "", "a horse on the dike", 409, "taken"},
		{"ab", "", "a horse on the dike", 422, "A name has"},
		{"über", "", "a horse on the dike", 422, "A name has"},
		{"a/../b", "", "a horse on the dike", 422, "A name has"},
		{strings.Repeat("a", 25), "", "a horse on the dike", 422, "A name has"},
		{"tede", strings.Repeat("ä", displayRunesMax+1), "a horse on the dike", 422, "shown name"},
		{"tede", "\xff", "a horse on the dike", 422, "shown name"},
		{"tede", "", "short", 422, "at least 8"},
		{"tede", "", strings.Repeat("x", 73), 422, "at most 72"},
	} {
		b.form("/signup", "name", c.name, "display", c.display, "password", c.password).want(t, c.status).wantText(t, c.says)
	}
}

func TestSignupEndsWhenFull(t *testing.T) {
	s := newTest(t, small())
	if _, err := s.store.db.Exec(`UPDATE members SET id = ? WHERE id = 20 AND NOT EXISTS (SELECT 1 FROM messages WHERE author = 20)`, UsersMax); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.db.Exec(`INSERT OR IGNORE INTO members (id, name, display, about, hash, joined) VALUES (?, 'last', 'last', '', '', 0)`, UsersMax); err != nil {
		t.Fatal(err)
	}
	newBrowser(t, s).form("/signup", "name", "onemore", "password", "a horse on the dike").want(t, http.StatusServiceUnavailable)
}

func TestOldestSessionEnds(t *testing.T) {
	s := newTest(t, small())
	first := newBrowser(t, s)
	first.login("user0001")
	first.get("/api/me").want(t, 200)
	for range credentialsMax {
		another(t, first.base).login("user0001")
	}
	first.get("/api/me").want(t, http.StatusUnauthorized).wantHeader(t, memberHeader, "0")
	var n int
	if err := s.store.db.QueryRow(`SELECT count(*) FROM credentials`).Scan(&n); err != nil || n != credentialsMax {
		t.Errorf("%d sessions, %v", n, err)
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	b.login("user0001")
	const form = "text=not+mine"
	b.do("POST", "/messages", form, "Sec-Fetch-Site", "cross-site").want(t, http.StatusForbidden).wantText(t, "another site")
	b.do("POST", "/messages", form, "Origin", "https://elsewhere.example").want(t, http.StatusForbidden)
	b.do("POST", "/api/messages", `{"text":"not mine"}`, "Sec-Fetch-Site", "same-site").want(t, http.StatusForbidden)
	b.do("POST", "/messages", form, "Sec-Fetch-Site", "same-origin").want(t, http.StatusSeeOther)
}

// paths are addresses to go on to, good and bad.
var paths = map[string]string{
	"/":                  "/",
	"/u/user0001?q=1#m2": "/u/user0001?q=1#m2",
	"":                   "/",
	"u/user0001":         "/",
	"//elsewhere":        "/",
	"/\\elsewhere":       "/",
	"/a\\b":              "/",
	"/\t/elsewhere":      "/",
	"/\n/elsewhere":      "/",
	"https://elsewhere":  "/",
	"javascript:alert":   "/",
}

func TestLocalPath(t *testing.T) {
	for to, want := range paths {
		if got := localPath(to); got != want {
			t.Errorf("localPath(%q) is %q, want %q", to, got, want)
		}
	}
}

func FuzzLocalPath(f *testing.F) {
	for to := range paths {
		f.Add(to)
	}
	f.Fuzz(func(t *testing.T, to string) {
		got := localPath(to)
		// A browser drops tabs and newlines and takes \ for /.
		seen := strings.NewReplacer("\t", "", "\n", "", "\r", "", "\\", "/").Replace(got)
		if !strings.HasPrefix(seen, "/") || strings.HasPrefix(seen, "//") {
			t.Fatalf("localPath(%q) leaves the site: %q", to, got)
		}
		if u, err := url.Parse(got); err == nil && (u.Host != "" || u.Scheme != "") {
			t.Fatalf("localPath(%q) leaves the site: %q", to, got)
		}
	})
}

func TestFreshForCaches(t *testing.T) {
	config := small()
	config.Fresh = 2 * time.Second
	b := newBrowser(t, newTest(t, config))
	b.get("/").want(t, 200).wantHeader(t, "Cache-Control", "public, max-age=2")
	b.login("user0007")
	b.get("/").want(t, 200).wantHeader(t, "Cache-Control", "private, no-cache")
	for _, wrong := range []time.Duration{-time.Second, 1500 * time.Millisecond, 2 * FreshMax} {
		config.Fresh = wrong
		if err := config.withDefaults().validate(); err == nil || !strings.Contains(err.Error(), "fresh") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}
