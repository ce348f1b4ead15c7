package townsquare

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

func TestTokens(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	bearer := b.token("user0004")
	b.get("/api/me", bearer...).want(t, 200).wantHeader(t, memberHeader, "4").wantText(t, `"name":"user0004"`)

	challenge := `Bearer realm="townsquare"`
	for path, auth := range map[string]string{
		"/api/me":         "",
		"/api/timeline":   "Bearer made-up",
		"/api/search?q=a": "Basic dXNlcjAwMDE6eA==",
		"/api/u/user0001": "Bearer",
	} {
		head := []string{}
		if auth != "" {
			head = []string{"Authorization", auth}
		}
		b.get(path, head...).want(t, 401).wantHeader(t, "WWW-Authenticate", challenge).wantHeader(t, "Content-Type", "application/problem+json")
	}
	b.do("POST", "/api/tokens", `{"name":"user0004","password":"wrong"}`).want(t, 401)
	b.do("POST", "/api/tokens", "").want(t, 401)
	b.do("DELETE", "/api/tokens", "").want(t, 401)
	b.do("DELETE", "/api/tokens", "", bearer...).want(t, 204)
	b.get("/api/me", bearer...).want(t, 401)

	b.login("user0005")
	b.do("POST", "/api/tokens", "").want(t, 201).wantHeader(t, "Cache-Control", "no-store").wantHeader(t, memberHeader, "5")
}

func TestSessionIsNoToken(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	secret := b.form("/login", "name", "user0001", "password", DemoPassword).Cookies()[0].Value
	stranger := another(t, b.base)
	stranger.get("/api/me", "Authorization", "Bearer "+secret).want(t, 401)
	bearer := b.token("user0001")
	stranger.get("/api/me", "Cookie", sessionCookie+"="+strings.TrimPrefix(bearer[1], "Bearer ")).want(t, 401)
}

func TestIdempotencyKey(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	one, two := b.token("user0001"), b.token("user0002")
	with := func(bearer []string) []string { return append([]string{"Idempotency-Key", "k-1"}, bearer...) }

	first := b.do("POST", "/api/messages", `{"text":"once"}`, with(one)...).want(t, 201).wantHeader(t, "Idempotent-Replayed", "")
	again := b.do("POST", "/api/messages", ` {"text": "once"} `, with(one)...).want(t, 201).wantHeader(t, "Idempotent-Replayed", "true")
	if first.body != again.body || first.Header.Get("Location") != again.Header.Get("Location") {
		t.Errorf("the answer became another:\n%s%s", first.body, again.body)
	}
	b.do("POST", "/api/messages", `{"text":"twice"}`, with(one)...).want(t, 422).wantText(t, "used before")
	other := b.do("POST", "/api/messages", `{"text":"once"}`, with(two)...).want(t, 201).wantHeader(t, "Idempotent-Replayed", "")
	if other.body == first.body {
		t.Error("two members share a key")
	}

	b.get("/api/messages?key=k-1", one...).want(t, 200)
	if got := b.get("/api/messages?key=k-1", one...).body; got != first.body {
		t.Errorf("asked by key: %s", got)
	}
	b.get("/api/messages?key=k-2", one...).want(t, 404)
	b.get("/api/messages?key=", one...).want(t, 400)
	b.get("/api/messages?key=k-1").want(t, 401)
}

func TestIdempotencyKeyWhenPostedAtOnce(t *testing.T) {
	config := small()
	config.Procs = 4
	b := newBrowser(t, newTest(t, config))
	head := append([]string{"Idempotency-Key", "race"}, b.token("user0001")...)
	var posts sync.WaitGroup
	bodies := make([]string, 24)
	for i := range bodies {
		posts.Go(func() {
			a, err := b.try("POST", "/api/messages", `{"text":"only once"}`, head...)
			if err != nil || a.StatusCode != 201 {
				t.Errorf("status %d, %v", a.StatusCode, err)
			}
			bodies[i] = a.body
		})
	}
	posts.Wait()
	for _, body := range bodies {
		if body != bodies[0] {
			t.Fatalf("answers differ:\n%s%s", bodies[0], body)
		}
	}
	var list list
	b.get("/api/timeline?limit=2").decode(t, &list)
	if list.Messages[0].Text != "only once" || list.Messages[1].Text == "only once" {
		t.Errorf("timeline begins with %+v", list.Messages)
	}
}

func TestPostRefused(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	bearer := b.token("user0001")
	for name, c := range map[string]struct {
		body, key string
		status    int
	}{
		"no JSON":        {`text=x`, "", 400},
		"nothing":        {``, "", 400},
		"two values":     {`{"text":"x"}{"text":"y"}`, "", 400},
		"unknown field":  {`{"text":"x","author":"user0002"}`, "", 400},
		"no text":        {`{}`, "", 400},
		"null":           {`{"text":null}`, "", 400},
		"number":         {`{"text":1}`, "", 400},
		"empty":          {`{"text":" \n "}`, "", 422},
		"zero byte":      {`{"text":"a\u0000b"}`, "", 422},
		"too long":       {`{"text":"` + strings.Repeat("ä", textRunesMax+1) + `"}`, "", 422},
		"too large":      {`{"text":"` + strings.Repeat("a", bodyBytesMax) + `"}`, "", 413},
		"key too long":   {`{"text":"x"}`, strings.Repeat("k", keyBytesMax+1), 400},
		"key not ASCII":  {`{"text":"x"}`, "schlüssel", 400},
		"deeply nested":  {strings.Repeat("[", 20_000), "", 400},
		"as long as may": {`{"text":"` + strings.Repeat("ä", textRunesMax) + `"}`, strings.Repeat("k", keyBytesMax), 201},
	} {
		head := bearer
		if c.key != "" {
			head = append([]string{"Idempotency-Key", c.key}, bearer...)
		}
		a := b.do("POST", "/api/messages", c.body, head...)
		if a.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d: %s", name, a.StatusCode, c.status, a.body)
		}
	}
	b.do("POST", "/api/messages", `{"text":"x"}`).want(t, 401)
}

func TestPostByForm(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	b.form("/messages", "text", "a text that is given back").want(t, 401).wantText(t, "a text that is given back")
	b.login("user0001")
	page := b.get("/").body
	_, rest, ok := strings.Cut(page, `name="key" value="`)
	key, _, _ := strings.Cut(rest, `"`)
	if !ok || len(key) < 20 {
		t.Fatalf("no key in the form: %q", key)
	}
	to := b.form("/messages", "text", "line one\r\nline two", "key", key).want(t, 303).Header.Get("Location")
	if again := b.form("/messages", "text", "line one\r\nline two", "key", key).want(t, 303).Header.Get("Location"); again != to {
		t.Errorf("sent twice: %s and %s", to, again)
	}
	b.get(to).want(t, 200).wantText(t, "line one\nline two")
	b.form("/messages", "text", strings.Repeat("x", textRunesMax+1)).want(t, 422).wantText(t, strings.Repeat("x", textRunesMax+1))
	b.do("POST", "/messages", "text=%zz").want(t, 400)
}

func TestTimelineGivesEveryMessageOnce(t *testing.T) {
	config := small()
	b := newBrowser(t, newTest(t, config))
	seen := map[int64]bool{}
	for path := "/api/timeline?limit=50"; path != ""; {
		var part list
		b.get(path).want(t, 200).decode(t, &part)
		for _, p := range part.Messages {
			if seen[p.ID] {
				t.Fatalf("message %d twice", p.ID)
			}
			seen[p.ID] = true
		}
		path = part.Next
	}
	if len(seen) != config.Posts {
		t.Errorf("%d messages, want %d", len(seen), config.Posts)
	}
	for _, query := range []string{"before=0", "before=x", "before=-1", "limit=0", "limit=51", "limit=x", "before=99999999999999999999"} {
		b.get("/api/timeline?"+query).want(t, 400)
		b.get("/?"+query).want(t, 400)
	}
	b.get("/api/timeline?before=1").want(t, 200).wantText(t, `"messages":[]`)
}

func TestProfile(t *testing.T) {
	b := newBrowser(t, newTest(t, small()))
	var who struct {
		person
		list
	}
	b.get("/api/u/user0001").want(t, 200).decode(t, &who)
	if who.Name != "user0001" || len(who.Messages) == 0 {
		t.Fatalf("profile %+v", who)
	}
	for _, p := range who.Messages {
		if p.Author != "user0001" {
			t.Errorf("a message of %s", p.Author)
		}
	}
	b.get("/u/user0001").want(t, 200).wantText(t, who.Messages[0].Text)
	b.get(fmt.Sprintf("/p/%d", who.Messages[0].ID)).want(t, 200).wantText(t, who.Messages[0].Text)
	for _, path := range []string{"/u/nobody", "/api/u/nobody", "/p/0", "/p/x", "/p/999999", "/u/" + url.PathEscape("' OR 1=1 --")} {
		b.get(path).want(t, 404)
	}
}

func TestOldestMessagesGo(t *testing.T) {
	s := newTest(t, small())
	if _, err := s.store.db.Exec(`UPDATE sqlite_sequence SET seq = ? WHERE name = 'messages'`, PostsMax+100); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, s)
	b.do("POST", "/api/messages", `{"text":"one more"}`, b.token("user0001")...).want(t, http.StatusCreated)
	var least, n int
	if err := s.store.db.QueryRow(`SELECT min(id), count(*) FROM messages`).Scan(&least, &n); err != nil || least != 102 || n != 20 {
		t.Errorf("%d messages from %d on, %v", n, least, err)
	}
}
