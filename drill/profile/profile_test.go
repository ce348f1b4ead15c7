package profile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestEmbedded(t *testing.T) {
	p, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Rates) < 1000 || len(p.Pages) < 1000 {
		t.Errorf("%d and %d clients: both logs have more than a thousand", len(p.Rates), len(p.Pages))
	}
	seen := map[Class]int{}
	for _, v := range p.Pages {
		seen[v.Class]++
	}
	for _, c := range []Class{Desktop, Mobile, Feed, Crawler, Tool} {
		if seen[c] == 0 {
			t.Errorf("no client of class %d", c)
		}
	}
}

// The committed figures are those that the committed program derives.
func TestDerivedAnew(t *testing.T) {
	dir := os.Getenv("DEICH_LOGS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data", "logs")
	}
	nasa := unzip(t, filepath.Join(dir, "nasa-http-1995-08-01.tsv.gz"))
	elastic := unzip(t, filepath.Join(dir, "elastic-apache-2015-05.log.gz"))
	got, err := Derive(bytes.NewReader(nasa), bytes.NewReader(elastic))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, embedded) {
		t.Errorf("the logs give %d bytes, visits.tsv has %d and differs: run the derive program", len(got), len(embedded))
	}
}

func unzip(t *testing.T, path string) []byte {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the log %s is not here (DEICH_LOGS names its folder)", filepath.Base(path))
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const (
	nasaLines = "host\tlogname\ttime\tmethod\turl\tresponse\tbytes\treferer\tuseragent\n" +
		"a.example\t-\t100\tGET\t/x.html\t200\t1\t\t\n" +
		"b.example\t-\t104\tGET\t/\t304\t1\t\t\n" +
		"a.example\t-\t103\tGET\t/?q=1\t200\t1\t\t\n" +
		"a.example\t-\t104\tGET\t/logo.gif\t200\t1\t\t\n" +
		"a.example\t-\t105\tGET\t/gone\t404\t1\t\t\n"
	elasticLines = `192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5 "-" "Mozilla/5.0 (iPhone) Mobile"` + "\n" +
		`192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5 "-" "SomeFeed/1"` + "\n" +
		`192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /b.css HTTP/1.1" 200 5 "-" "SomeFeed/1"` + "\n" + "broken\n"
)

func TestDerive(t *testing.T) {
	got, err := Derive(bytes.NewReader([]byte(nasaLines)), bytes.NewReader([]byte(elasticLines)))
	if err != nil {
		t.Fatal(err)
	}
	want := header + "\n" +
		"n\t0\t0\t2\t0\n" + "n\t0\t3\t1\t0\n" + "n\t1\t4\t1\t0\n" +
		"e\t0\t0\t1\t2\n" + "e\t1\t1\t1\t3\n"
	if string(got) != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestDeriveWantsBothLogs(t *testing.T) {
	if _, err := Derive(bytes.NewReader(nil), bytes.NewReader([]byte(elasticLines))); err == nil {
		t.Error("an empty log gave a profile")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(header + "\nn\t0\t0\t1\t0\ne\t0\t0\t1\t1\n"))
	f.Add([]byte(header + "\nn\t1\t0\t1\t0\n"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse(text)
		if err != nil {
			return
		}
		for _, v := range append(p.Rates, p.Pages...) {
			if len(v.Visits) == 0 || v.Class >= classes {
				t.Fatalf("a visitor without visits or of no class: %+v", v)
			}
		}
	})
}

// Whatever the logs hold, what is derived from them can be read.
func FuzzDerive(f *testing.F) {
	f.Add(nasaLines, elasticLines)
	f.Add("a\t-\t1\tGET\t/\t200\n", elasticLines)
	f.Fuzz(func(t *testing.T, nasa, elastic string) {
		text, err := Derive(bytes.NewReader([]byte(nasa)), bytes.NewReader([]byte(elastic)))
		if err != nil {
			return
		}
		if _, err := Parse(text); err != nil && len(text) <= FileBytesMax {
			t.Fatalf("%v\n%s", err, text)
		}
	})
}
