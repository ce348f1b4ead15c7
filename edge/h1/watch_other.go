//go:build !linux

package h1

import (
	"errors"
	"syscall"
)

// watcher is not to be had: a client's leaving shows when it is read from or written to.
type watcher struct{}

func newWatcher() (*watcher, error) { return nil, errors.ErrUnsupported }

func (*watcher) add(*conn) uint64 { return 0 }
func (*watcher) remove(uint64)    {}
func (*watcher) close()           {}

func pending(syscall.RawConn) int { return 0 }
