package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"
)

func TestLicenceID(t *testing.T) {
	own, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	root, err := goEnv("GOROOT")
	if err != nil {
		t.Fatal(err)
	}
	texts, err := readLicences(root)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		string(own):   "Apache-2.0",
		texts[0].text: "BSD-3-Clause", // Go's
		"Permission is hereby granted, free of charge, to any person\nobtaining a copy": "",
		"This work is released into the public domain with CC0 1.0.":                    "CC0-1.0",
		"All rights reserved.": "",
	} {
		if got := licenceID(text); got != want {
			t.Errorf("%.40q is %q, not %q", text, got, want)
		}
	}
}

func TestReadLicences(t *testing.T) {
	dir := t.TempDir()
	if _, err := readLicences(dir); err == nil {
		t.Error("a module without a licence may be shipped")
	}
	for _, name := range []string{"README.md", "LICENSE", "LICENSE-3RD-PARTY.md", "COPYING.txt", "licenses.go.txt"} {
		if err := os.WriteFile(dir+"/"+name, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all, err := readLicences(dir)
	var names []string
	for _, text := range all {
		names = append(names, text.name)
	}
	if got := strings.Join(names, " "); err != nil || got != "COPYING.txt LICENSE LICENSE-3RD-PARTY.md" {
		t.Errorf("%q %v", got, err)
	}
}

// A list of what a module took from others gives it no licence of its own.
func TestLicencesOfAModule(t *testing.T) {
	mit := "Permission is hereby granted, free of charge, to any person obtaining a copy. " +
		"The above copyright notice and this permission notice shall be included in all copies"
	unlicense := "This is free and unencumbered software released into the public domain"
	m := module{texts: []licenceText{{"COPYING", mit}, {"LICENSE", mit}, {"LICENSE-3RD-PARTY.md", unlicense}}}
	if got := m.licences(); len(got) != 1 || got[0] != "MIT" {
		t.Errorf("%q", got)
	}
	var b bytes.Buffer
	if err := writeNotices(&b, []module{m}); err != nil || strings.Count(b.String(), mit) != 2 || !strings.Contains(b.String(), unlicense) {
		t.Errorf("the notices lack a text: %v\n%s", err, &b)
	}
}

// What the test itself is built from has a bill, twice the same.
func TestBillOfThisTest(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := buildinfo.ReadFile(self); err != nil {
		t.Fatal(err)
	}
	var first, again bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &again} {
		if err := run(b, self, "1.0", time.Unix(0, 0).UTC(), false); err != nil {
			t.Fatal(err)
		}
	}
	if first.String() != again.String() || !strings.Contains(first.String(), `"pkg:golang/std@`) {
		t.Errorf("the bill:\n%s", &first)
	}
}

func FuzzHexSum(f *testing.F) {
	f.Add("h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	f.Add("h1:")
	f.Add("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=")
	f.Add("h2:AAAA")
	f.Fuzz(func(t *testing.T, sum string) {
		got, err := hexSum(sum)
		if b, bad := hex.DecodeString(got); err == nil && (bad != nil || len(b) != 32) {
			t.Errorf("%q became %q", sum, got)
		}
	})
}
