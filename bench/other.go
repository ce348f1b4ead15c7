//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: only on Linux: it reads CPU times from /proc and binds processes to cores")
	os.Exit(1)
}
