package e2e

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// buildPatience is how long a release may take: on a new machine it compiles
// everything for two architectures, and the packager.
const buildPatience = 8 * time.Minute

// released are the releases that the tests of packages share.
type released struct {
	dir          string
	first, again string // the same tree, made twice in different places
	next         string // a later version, this architecture only, with other words in deich.yaml
}

const firstVersion, nextVersion = "1.0.0", "1.1.0~rc.1"

func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("left out: a release takes more than -short allows")
	}
	if runtime.GOOS != "linux" {
		t.Skip("left out: releases are made on Linux")
	}
	r := makeReleases(t)
	for _, test := range []struct {
		name string
		run  func(*testing.T, released)
	}{
		{"is the same each time", sameEachTime},
		{"says what it is made of", saysWhatItIsMadeOf},
		{"works in shells", worksInShells},
		{"has a manual page", hasManual},
		{"is confined", isConfined},
		{"comes and goes as a deb", comesAndGoesAsDeb},
		{"gives way to the next", givesWay},
		{"comes and goes as an rpm", comesAndGoesAsRPM},
		{"is an image", isAnImage},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, r) })
	}
}

func makeReleases(t *testing.T) released {
	t.Helper()
	// Whoever installs it need not own the folder.
	dir, err := os.MkdirTemp("", "release-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r := released{dir: dir}
	in := func(name string) string { return filepath.Join(dir, name) }
	r.first, r.again, r.next = in("first"), in("again"), in("next")
	release(t, "..", r.first, "VERSION="+firstVersion, "SOURCE_DATE_EPOCH=1700000000")

	copied := in("copy")
	copyTree(t, "..", copied)
	// Another place, time zone, language, home and mask, and other wishes for the compiler.
	release(t, copied, r.again, "VERSION="+firstVersion, "SOURCE_DATE_EPOCH=1700000000",
		"TZ=Pacific/Apia", "LC_ALL=de_DE.UTF-8", "USER=somebody", "GOFLAGS=-tags=other", "GOAMD64=v2", "UMASK=077")

	config := filepath.Join(copied, "packaging", "deich.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, append(text, "\n# New in this version.\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	release(t, copied, r.next, "VERSION="+nextVersion, "SOURCE_DATE_EPOCH=1700000001", "ARCHES="+runtime.GOARCH)
	return r
}

func release(t *testing.T, tree, out string, env ...string) {
	t.Helper()
	if said, err := output(t, tree, env, "bash", "-c", `umask "${UMASK:-022}"; exec packaging/release.sh "$1"`, "bash", out); err != nil {
		t.Fatalf("release.sh: %v\n%s", err, said)
	}
}

// copyTree copies what belongs to the source, without its history.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := output(t, from, nil, "bash", "-c", `set -o pipefail; mkdir -p "$1"
		{ git ls-files -z --cached --others --exclude-standard || find . -type f -print0; } |
		tar --null --ignore-failed-read -T - -cf - | tar -xf - -C "$1"`, "bash", to); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// names are what a version consists of.
func names(version string, arches ...string) (all []string) {
	for _, arch := range arches {
		cpu := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[arch]
		all = append(all,
			fmt.Sprintf("deich-%s-linux-%s.tar.gz", version, arch), fmt.Sprintf("deich-%s-linux-%s.cdx.json", version, arch),
			fmt.Sprintf("deich_%s-1_%s.deb", version, arch), fmt.Sprintf("deich-%s-1.%s.rpm", version, cpu))
	}
	return all
}

// the gives the path of one of a release's files for this machine.
func the(t *testing.T, dir, version, end string) string {
	t.Helper()
	for _, name := range names(version, runtime.GOARCH) {
		if strings.HasSuffix(name, end) {
			return filepath.Join(dir, name)
		}
	}
	t.Fatalf("no %s for %s", end, runtime.GOARCH)
	return ""
}

func sum(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func sameEachTime(t *testing.T, r released) {
	want := names(firstVersion, "amd64", "arm64")
	var sums strings.Builder
	entries, err := os.ReadDir(r.first)
	if err != nil || len(entries) != len(want)+1 {
		t.Fatalf("%d files and not %d: %v", len(entries), len(want)+1, err)
	}
	for _, e := range entries {
		first := sum(t, filepath.Join(r.first, e.Name()))
		if again := sum(t, filepath.Join(r.again, e.Name())); again != first {
			t.Errorf("%s has other bytes the second time", e.Name())
		}
		if e.Name() != "SHA256SUMS" {
			fmt.Fprintf(&sums, "%s  %s\n", first, e.Name())
		}
	}
	for _, name := range want {
		if _, err := os.Stat(filepath.Join(r.first, name)); err != nil {
			t.Error(err)
		}
	}
	if b, _ := os.ReadFile(filepath.Join(r.first, "SHA256SUMS")); string(b) != sums.String() {
		t.Errorf("SHA256SUMS:\n%s\nand the files have\n%s", b, &sums)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		tarball := filepath.Join(r.first, names(firstVersion, arch)[0])
		if out, err := output(t, "", nil, "go", "version", "-m", untar(t, tarball, "deich")); err != nil ||
			!strings.Contains(out, "GOARCH="+arch) || !strings.Contains(out, "CGO_ENABLED=0") {
			t.Errorf("%s: %v\n%s", arch, err, out)
		}
	}
	if v := binary(untar(t, the(t, r.first, firstVersion, "tar.gz"), "deich")).must(t, "version"); !strings.Contains(v, firstVersion) {
		t.Errorf("the binary says it is %q", v)
	}
}

// untar gives the path of one file of a release's tarball, or of one that is
// among completions or systemd.
func untar(t *testing.T, tarball, name string) string {
	t.Helper()
	f, err := os.Open(tarball)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			t.Fatalf("%s: no %s in it", tarball, name)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, inner, _ := strings.Cut(h.Name, "/"); inner != name {
			continue
		}
		to := filepath.Join(t.TempDir(), filepath.Base(name))
		out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, os.FileMode(h.Mode))
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(out, r)
		if err := errors.Join(err, out.Close()); err != nil {
			t.Fatal(err)
		}
		return to
	}
}

// The bill names every module that is in the binary, with the sum of go.sum,
// and its licence; the notices hold the text.
func saysWhatItIsMadeOf(t *testing.T, r released) {
	text, err := os.ReadFile(the(t, r.first, firstVersion, "cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	type part struct {
		Name, Version, PURL string
		Hashes              []struct{ Alg, Content string }
		Licenses            []struct{ License struct{ ID string } }
	}
	var bill struct {
		BomFormat, SpecVersion, SerialNumber string
		Metadata                             struct {
			Timestamp string
			Component part
		}
		Components []part
	}
	if err := json.Unmarshal(text, &bill); err != nil {
		t.Fatal(err)
	}
	deich := untar(t, the(t, r.first, firstVersion, "tar.gz"), "deich")
	if c := bill.Metadata.Component; bill.BomFormat != "CycloneDX" || c.Version != firstVersion ||
		len(c.Hashes) != 1 || c.Hashes[0].Content != sum(t, deich) || bill.Metadata.Timestamp != "2023-11-14T22:13:20Z" {
		t.Errorf("head of the bill: %+v", bill.Metadata)
	}
	sums, err := os.ReadFile("../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	notices, err := os.ReadFile(untar(t, the(t, r.first, firstVersion, "tar.gz"), "NOTICES"))
	if err != nil {
		t.Fatal(err)
	}
	billed := map[string]bool{}
	for _, c := range bill.Components {
		billed[c.Name+"@"+c.Version] = true
		if !strings.Contains(string(notices), "\n"+c.Name+" "+c.Version+": ") {
			t.Errorf("no notice of %s", c.Name)
		}
		if len(c.Licenses) == 0 {
			t.Errorf("%s: no licence that has a name", c.Name)
		}
		if c.Name == "std" {
			continue
		}
		h1, err := hex.DecodeString(c.Hashes[0].Content)
		if err != nil || !strings.Contains(string(sums), fmt.Sprintf("%s %s h1:%s\n", c.Name, c.Version, base64.StdEncoding.EncodeToString(h1))) {
			t.Errorf("%s: its sum is not that of go.sum", c.Name)
		}
	}
	out, err := exec.Command("go", "version", "-m", deich).Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "dep" {
			if seen++; !billed[f[1]+"@"+f[2]] {
				t.Errorf("%s %s is in the binary and not in the bill", f[1], f[2])
			}
		}
	}
	if seen == 0 || len(billed) != seen+1 {
		t.Errorf("%d modules in the binary, %d parts in the bill", seen, len(billed))
	}
}
