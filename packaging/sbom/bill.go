package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// The parts of CycloneDX 1.6 that are used here.
type bill struct {
	Schema       string      `json:"$schema"`
	BomFormat    string      `json:"bomFormat"`
	SpecVersion  string      `json:"specVersion"`
	SerialNumber string      `json:"serialNumber"`
	Version      int         `json:"version"`
	Metadata     metadata    `json:"metadata"`
	Components   []component `json:"components"`
}

type metadata struct {
	Timestamp  string     `json:"timestamp"`
	Component  component  `json:"component"`
	Properties []property `json:"properties"`
}

type component struct {
	BOMRef   string     `json:"bom-ref"`
	Type     string     `json:"type"`
	Name     string     `json:"name"`
	Version  string     `json:"version"`
	Hashes   []hash     `json:"hashes,omitempty"`
	Licenses []licensed `json:"licenses,omitempty"`
	PURL     string     `json:"purl"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type licensed struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// writeBill writes the bill of materials. Its serial number follows from the
// binary, so the same binary has the same bill.
func writeBill(w io.Writer, info *buildinfo.BuildInfo, all []module, version string, made time.Time, sum [sha256.Size]byte) error {
	product := component{
		Type: "application", Name: info.Main.Path, Version: version,
		Hashes: []hash{{"SHA-256", hex.EncodeToString(sum[:])}}, Licenses: licensedAs("Apache-2.0"),
		PURL: "pkg:golang/" + info.Main.Path + "@" + version + "#" + strings.TrimPrefix(info.Path, info.Main.Path+"/"),
	}
	product.BOMRef = product.PURL
	is := bill{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", BomFormat: "CycloneDX", SpecVersion: "1.6",
		SerialNumber: serial(sum), Version: 1,
		Metadata: metadata{Timestamp: made.Format(time.RFC3339), Component: product, Properties: settings(info)},
	}
	for _, m := range all {
		c := component{Type: "library", Name: m.path, Version: m.version, Licenses: licensedAs(m.licences()...),
			PURL: "pkg:golang/" + m.path + "@" + m.version}
		c.BOMRef = c.PURL
		if m.sum != "" {
			c.Hashes = []hash{{"SHA-256", m.sum}}
		}
		is.Components = append(is.Components, c)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(is)
}

func licensedAs(ids ...string) (all []licensed) {
	for _, id := range ids {
		var l licensed
		l.License.ID = id
		all = append(all, l)
	}
	return all
}

// settings are how the binary was built, but for what names a place.
func settings(info *buildinfo.BuildInfo) []property {
	all := []property{{"go:version", info.GoVersion}}
	for _, s := range info.Settings {
		switch s.Key {
		case "CGO_ENABLED", "GOARCH", "GOOS", "GOAMD64", "GOARM64", "-trimpath", "-buildmode":
			all = append(all, property{"go:build:" + s.Key, s.Value})
		}
	}
	return all
}

// serial is a UUID (RFC 9562, version 8) made of the binary's sum.
func serial(sum [sha256.Size]byte) string {
	u := sum[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

func fileSum(name string) (sum [sha256.Size]byte, err error) {
	f, err := os.Open(name)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return sum, err
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
