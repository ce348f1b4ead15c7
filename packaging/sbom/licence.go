package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// licenceText is a file in which a module says how it may be used.
type licenceText struct{ name, text string }

var licenceName = regexp.MustCompile(`(?i)^(.*[-_.])?(licen[cs]e|copying|notice|patents)([-_.].*)?$`)

// readLicences gives the licence files at the top of a module, in the order of
// their names.
func readLicences(dir string) ([]licenceText, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []licenceText
	for _, e := range entries {
		if !e.Type().IsRegular() || !licenceName.MatchString(e.Name()) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		all = append(all, licenceText{e.Name(), string(b)})
	}
	if len(all) == 0 {
		return nil, errors.New("it has no licence file: it may not be shipped")
	}
	return all, nil
}

// phrases tell licences apart. Each has to have all of its own; the first that
// does is it.
var phrases = []struct {
	id  string
	all []string
}{
	{"Apache-2.0", []string{"Apache License", "Version 2.0, January 2004"}},
	{"MPL-2.0", []string{"Mozilla Public License", "Version 2.0"}},
	{"MIT", []string{"Permission is hereby granted, free of charge, to any person obtaining a copy",
		"The above copyright notice and this permission notice shall be included in all"}},
	{"BSD-3-Clause", []string{"Redistribution and use in source and binary forms",
		"may be used to endorse or promote products derived from this software without specific prior written permission"}},
	{"BSD-2-Clause", []string{"Redistribution and use in source and binary forms",
		"Redistributions in binary form must reproduce the above copyright notice"}},
	{"ISC", []string{"Permission to use, copy, modify, and", "distribute this software for any purpose with or without fee is hereby granted"}},
	{"CC0-1.0", []string{"CC0 1.0"}},
	{"Unlicense", []string{"This is free and unencumbered software released into the public domain"}},
}

// licenceID gives the SPDX identifier of a text, or "" for one it does not know.
func licenceID(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	for _, p := range phrases {
		found := true
		for _, phrase := range p.all {
			found = found && strings.Contains(text, phrase)
		}
		if found {
			return p.id
		}
	}
	return ""
}

// licences are the identifiers that a module's files stand for. Lists of what
// a module took from others are left to the notices: one identifier would not
// say what they say.
func (m module) licences() (ids []string) {
	seen := map[string]bool{"": true}
	for _, t := range m.texts {
		if strings.Contains(strings.ToLower(t.name), "3rd-party") {
			continue
		}
		if id := licenceID(t.text); !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// writeNotices writes every licence text, under the module that it is of.
func writeNotices(w io.Writer, all []module) error {
	var b strings.Builder
	rule := strings.Repeat("=", 79)
	b.WriteString("The deich binary holds code of others, under the terms that follow.\n")
	for _, m := range all {
		for _, t := range m.texts {
			fmt.Fprintf(&b, "\n%s\n%s %s: %s\n%s\n\n%s\n", rule, m.path, m.version, t.name, rule, strings.TrimSpace(t.text))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
