package gate

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Confine gives up, for the whole process and all that it starts, every
// capability but the two that a gate needs while it stands. A process that has
// no others stays as it is. It is an error where the binary was built with cgo:
// then Go cannot do it for all threads.
func Confine() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&head, &sets[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	const keep = 1<<unix.CAP_BPF | 1<<unix.CAP_NET_ADMIN
	permitted := uint64(sets[1].Permitted)<<32 | uint64(sets[0].Permitted)
	if permitted&^uint64(keep) == 0 {
		return nil
	}
	// First what children may get back, as long as that may be said.
	if permitted&(1<<unix.CAP_SETPCAP) != 0 {
		for c := range uintptr(unix.CAP_LAST_CAP + 1) {
			if keep&(1<<c) == 0 {
				if err := everywhere(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c, 0); err != nil && !errors.Is(err, unix.EINVAL) {
					return err // EINVAL: this kernel knows fewer
				}
			}
		}
	}
	for i := range sets {
		part := uint32(uint64(keep) >> (32 * i))
		sets[i].Permitted &= part
		sets[i].Effective &= part
		sets[i].Inheritable &= part
	}
	return everywhere(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&sets[0])), 0)
}

// everywhere makes a system call on every thread. What a caller makes an argument of
// stays where it is until it returns.
//
//go:uintptrescapes
func everywhere(call, a, b, c uintptr) error {
	switch _, _, e := syscall.AllThreadsSyscall(call, a, b, c); e {
	case 0:
		return nil
	case syscall.ENOTSUP:
		return errors.New("capabilities: a binary built with cgo cannot give them up")
	default:
		return fmt.Errorf("capabilities: %w", e)
	}
}
