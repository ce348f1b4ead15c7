package desk

import (
	"fmt"
	"net/http/httptest"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every word is there in both languages, and takes the same figures.
func TestWordsAreWhole(t *testing.T) {
	places := regexp.MustCompile(`%[sdv]|\{\}`)
	var same func(path string, a, b reflect.Value)
	same = func(path string, a, b reflect.Value) {
		switch a.Kind() {
		case reflect.Struct:
			for i := range a.NumField() {
				name := path + "." + a.Type().Field(i).Name
				if !strings.HasSuffix(name, ".Names") { // English ones are the engine's own
					same(name, a.Field(i), b.Field(i))
				}
			}
		case reflect.Map:
			for _, k := range a.MapKeys() {
				if !b.MapIndex(k).IsValid() {
					t.Errorf("%s: %s is missing in German", path, k)
					continue
				}
				same(path+"."+k.String(), a.MapIndex(k), b.MapIndex(k))
			}
			if a.Len() != b.Len() {
				t.Errorf("%s: %d words and %d", path, a.Len(), b.Len())
			}
		case reflect.String:
			fromTop := []string{".Script.Rule", ".Script.NoRule", ".Script.Failing", ".Script.Pressed", ".Script.Calm", ".Script.Dropped", ".Script.Passed", ".Script.Undo",
				".Script.NoAlert", ".Script.TakenBy", ".Script.Test", ".Script.NoCause", ".Script.Others", ".Script.Sure", ".Script.Since",
				".Script.Flood", ".Script.Crowd", ".Script.Yes", ".Script.No", ".Script.NoHand", ".Script.Until", ".Script.Undone", ".Script.Allow", ".Script.OnPath", ".Script.Over", ".Script.More"}
			if path == ".Kinds.act" { // the act's own word is all
				return
			}
			if (a.String() == "" || b.String() == "") && !slices.Contains(fromTop, path) {
				t.Errorf("%s: %q and %q", path, a, b)
			}
			if x, y := places.FindAllString(a.String(), -1), places.FindAllString(b.String(), -1); fmt.Sprint(x) != fmt.Sprint(y) {
				t.Errorf("%s takes %v, and in German %v", path, x, y)
			}
		}
	}
	same("", reflect.ValueOf(english), reflect.ValueOf(german))
	engine, err := os.ReadFile("../cause.go")
	if err != nil {
		t.Fatal(err)
	}
	terms := regexp.MustCompile(`(?:Term\{Name: |\badd\()"(\w+)"`).FindAllSubmatch(engine, -1)
	if len(terms) < 10 {
		t.Fatalf("only %d pieces of evidence were found in the engine", len(terms))
	}
	for _, term := range terms {
		if english.Terms[string(term[1])] == "" {
			t.Errorf("%s, a piece of evidence, has no words", term[1])
		}
	}
	for _, word := range append(tiers[:], acts[:]...) {
		if german.Names[word] == "" || german.Explained[word] == "" || english.Explained[word] == "" {
			t.Errorf("%s has no words", word)
		}
	}
}

// A view is a URL: what ?lang= says stands above what the browser prefers.
func TestPageSpeaksBoth(t *testing.T) {
	d := newDesk(t, flooded)
	for _, c := range []struct{ path, prefers, lang, says, offers string }{
		{"/", "", "en", "Requests/s", `<a href="/?lang=de" lang="de" hreflang="de">Deutsch</a>`},
		{"/", "de-AT, en;q=0.5", "de", "Anfragen/s", `<a href="/?lang=en" lang="en" hreflang="en">English</a>`},
		{"/?lang=en", "de", "en", "Requests/s", "Deutsch"},
		{"/?lang=de", "en", "de", "Fremde", "English"},
		{"/?lang=fr", "fr", "en", "Requests/s", "Deutsch"},
	} {
		r := httptest.NewRequest("GET", "http://127.0.0.1:2020"+c.path, nil)
		r.Header.Set("Authorization", "Bearer "+testToken)
		r.Header.Set("Accept-Language", c.prefers)
		w := httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		page := w.Body.String()
		for _, want := range []string{`<html lang="` + c.lang + `">`, c.says, c.offers} {
			if !strings.Contains(page, want) {
				t.Errorf("%s for %q: no %s", c.path, c.prefers, want)
			}
		}
		r = httptest.NewRequest("GET", "http://127.0.0.1:2020"+c.path, nil)
		r.Header.Set("Accept-Language", c.prefers)
		r.Header.Set("Accept", "text/html")
		w = httptest.NewRecorder()
		d.Handler().ServeHTTP(w, r)
		if w.Code != 401 || !strings.Contains(w.Body.String(), `<html lang="`+c.lang+`">`) {
			t.Errorf("%s for %q: the page that asks for the token: %d\n%s", c.path, c.prefers, w.Code, w.Body)
		}
	}
}

// Whoever is on call finds every sentence that the console may say in the runbook.
func TestRunbookKnowsEverySentence(t *testing.T) {
	b, err := os.ReadFile("../docs/operate/flood-day.md")
	if err != nil {
		t.Fatal(err)
	}
	say := reflect.ValueOf(english.say)
	parts := map[string]string{ // what is told apart by, of each sentence
		"Down": "does not answer", "Pressed": "More is asked", "AtOnce": "at once", "NobodyKnown": "No known user asked in the last 10 seconds.",
		"AllServed": "of known users' requests", "SomeServed": "some of them wait or are turned away", "Quiet": "Quiet: nobody asked in the last 10 seconds.",
		"Calm": "Calm: ", "CalmKnown": "Calm for known users: ", "Rest": "The rest failed at the origin or was refused: ",
		"HeldByRules": "Rules hold it back.", "Bypass": "Bypass is on until ", "Observe": "Deich only observes: ",
		"OfOrigin": "", "Named": "", "Since": "", // within others
	}
	for i := range say.NumField() {
		name, sentence := say.Type().Field(i).Name, say.Field(i).String()
		part, known := parts[name]
		switch {
		case !known:
			t.Errorf("%s is a new sentence: give it a place in flood-day.md, and here", name)
		case !strings.Contains(sentence, part):
			t.Errorf("%s is not told apart by %q: %s", name, part, sentence)
		case !strings.Contains(string(b), part):
			t.Errorf("flood-day.md does not know %s: %s", name, sentence)
		}
	}
}
