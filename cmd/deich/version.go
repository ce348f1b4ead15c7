package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

type versionCommand struct{}

func (versionCommand) Help() string { return "Examples:\n  deich version" }

func (versionCommand) Run(t *terminal) error {
	t.say("%s", versionText())
	return nil
}

// versionText is what the build knows of itself: the module's version or the commit.
func versionText() string {
	version, commit := "devel", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if v := info.Main.Version; v != "" && v != "(devel)" {
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
