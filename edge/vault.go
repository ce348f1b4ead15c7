package edge

import (
	"context"
	"fmt"
	"sync"

	"github.com/caddyserver/certmagic"
)

// vault keeps certificates and keys in a folder, 0700 and 0600. Its locks are
// this process's own: the folder belongs to one process, so that nothing is
// left to wait for after a crash. Safe for concurrent use.
type vault struct {
	*certmagic.FileStorage
	mu   sync.Mutex
	held map[string]chan struct{} // closed when given back
}

func newVault(folder string) *vault {
	return &vault{FileStorage: &certmagic.FileStorage{Path: folder}, held: make(map[string]chan struct{})}
}

// Lock takes a name, and waits as long as ctx lasts while it is taken.
func (v *vault) Lock(ctx context.Context, name string) error {
	for {
		taken := v.take(name)
		if taken == nil {
			return nil
		}
		select {
		case <-taken:
		case <-ctx.Done():
			return fmt.Errorf("edge: certificates: lock %s: %w", name, ctx.Err())
		}
	}
}

// TryLock takes a name where it is free.
func (v *vault) TryLock(_ context.Context, name string) (bool, error) {
	return v.take(name) == nil, nil
}

// take gives nil where it took the name, else what is closed once it is free.
func (v *vault) take(name string) chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if taken := v.held[name]; taken != nil {
		return taken
	}
	v.held[name] = make(chan struct{})
	return nil
}

// Unlock gives a name back.
func (v *vault) Unlock(_ context.Context, name string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	taken := v.held[name]
	if taken == nil {
		return fmt.Errorf("edge: certificates: %s is not locked", name)
	}
	delete(v.held, name)
	close(taken)
	return nil
}
