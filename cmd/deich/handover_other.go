//go:build !unix

package main

import "os/exec"

// endsWhole cannot end here what the command started itself.
func endsWhole(*exec.Cmd) {}
