//go:build linux

package main

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// machine says where this run takes place.
func machine(deich string) machined {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // absent: nothing said
	m := machined{
		Date: time.Now().UTC().Format("2006-01-02 15:04 UTC"), CPU: cpuModel(), Cores: runtime.NumCPU(),
		Kernel: strings.TrimSpace(string(kernel)), Versions: map[string]string{"Go": strings.TrimPrefix(runtime.Version(), "go")},
	}
	for _, each := range []struct {
		name, program string
		args          []string
	}{
		{"Deich", deich, []string{"version"}},
		{"nginx", peerNginx, []string{"-v"}},
		{"HAProxy", peerHAProxy, []string{"-v"}},
		{"Varnish", peerVarnish, []string{"-V"}},
		{"fail2ban", "fail2ban-server", []string{"-V"}},
		{"h2load", "h2load", []string{"--version"}},
	} {
		out, err := exec.Command(each.program, each.args...).CombinedOutput()
		if err == nil {
			m.Versions[each.name] = versionIn(out)
		}
	}
	if b, err := buildinfo.ReadFile(deich); err == nil {
		for _, each := range b.Settings {
			if each.Key == "vcs.revision" {
				m.Versions["Deich"] += " of " + each.Value[:min(12, len(each.Value))]
			}
		}
	}
	return m
}

var versionWord = regexp.MustCompile(`(?:version |nginx/|nghttp2/|varnish-|deich )([0-9A-Za-z][^\s]*)`)

// versionIn finds the version in what a program says about itself.
func versionIn(out []byte) string {
	if f := versionWord.FindSubmatch(out); f != nil {
		return string(f[1])
	}
	first, _, _ := bytes.Cut(out, []byte("\n"))
	return strings.TrimSpace(string(first))
}

func cpuModel() string {
	b, _ := os.ReadFile("/proc/cpuinfo") // absent: nothing said
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
