package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is what a build was named; the linker sets it (-X main.version=…).
var version string

type versionCommand struct{}

func (versionCommand) Help() string { return "Examples:\n  deich version" }

func (versionCommand) Run(t *terminal) error {
	t.say("%s", versionText())
	return nil
}

// versionText is what the build knows of itself: its name, or else the
// module's version or the commit.
func versionText() string {
	version, commit := cmp.Or(version, "devel"), ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := info.Main.Version; v != "" && v != "(devel)" && version == "devel" {
			version = v
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 && version == "devel" {
				commit = " " + s.Value[:12]
			}
		}
	}
	return fmt.Sprintf("deich %s%s %s/%s", version, commit, runtime.GOOS, runtime.GOARCH)
}
