package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// module is one part of the binary: a Go module, or Go's own library.
type module struct {
	path, version string
	sum           string // SHA-256 in hex as go.sum has it (of the list of its files' sums); "" for Go's own
	texts         []licenceText
}

// modulesOf are all that the binary was linked from, but for the product itself.
func modulesOf(info *buildinfo.BuildInfo) ([]module, error) {
	dirs, err := moduleDirs(info)
	if err != nil {
		return nil, err
	}
	root, err := goEnv("GOROOT")
	if err != nil {
		return nil, err
	}
	std := module{path: "std", version: strings.TrimPrefix(info.GoVersion, "go")}
	if std.texts, err = readLicences(root); err != nil {
		return nil, err
	}
	all := []module{std}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		m := module{path: d.Path, version: d.Version}
		if m.sum, err = hexSum(d.Sum); err != nil {
			return nil, fmt.Errorf("%s %s: %w", d.Path, d.Version, err)
		}
		if m.texts, err = readLicences(dirs[d.Path+"@"+d.Version]); err != nil {
			return nil, fmt.Errorf("%s: %w", d.Path, err)
		}
		all = append(all, m)
	}
	return all, nil
}

// hexSum turns go.sum's "h1:" form into what other tools read.
func hexSum(sum string) (string, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:"))
	if err != nil || !strings.HasPrefix(sum, "h1:") || len(b) != 32 {
		return "", fmt.Errorf("sum %q: not of go.sum's form", sum)
	}
	return hex.EncodeToString(b), nil
}

// moduleDirs asks the go command where the modules' files are, by path@version.
func moduleDirs(info *buildinfo.BuildInfo) (map[string]string, error) {
	args := []string{"mod", "download", "-json"}
	for _, d := range info.Deps {
		if d.Replace != nil {
			d = d.Replace
		}
		args = append(args, d.Path+"@"+d.Version)
	}
	dirs := map[string]string{}
	if len(info.Deps) == 0 {
		return dirs, nil
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w: %s", err, out)
	}
	read := json.NewDecoder(bytes.NewReader(out))
	for {
		var m struct{ Path, Version, Dir string }
		if err := read.Decode(&m); errors.Is(err, io.EOF) {
			return dirs, nil
		} else if err != nil {
			return nil, fmt.Errorf("go mod download: %w", err)
		}
		dirs[m.Path+"@"+m.Version] = m.Dir
	}
}

func goEnv(name string) (string, error) {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		return "", fmt.Errorf("go env %s: %w", name, err)
	}
	return strings.TrimSpace(string(out)), nil
}
