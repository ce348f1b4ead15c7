//go:build !linux

package main

import (
	"context"
	"runtime"
)

func notHere(context.Context, *patient) []finding {
	return []finding{weak("look at it with the system's own tools.", "it is not looked at on %s.", runtime.GOOS)}
}

var (
	lookKernel       = notHere
	lookCapabilities = notHere
	lookOffloads     = notHere
	lookFiles        = notHere
	lookBacklog      = notHere
	lookCookies      = notHere
	lookClock        = notHere
	lookDisk         = notHere
)
