//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtool sets one feature of an interface, by the old way that every kernel has.
func ethtool(fd int, name string, what, value uint32) error {
	setting := [2]uint32{what, value}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the kernel's union is wider
	}{data: unsafe.Pointer(&setting)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); e != 0 {
		return fmt.Errorf("%s: ethtool %#x: %w", name, what, e)
	}
	return nil
}

// native reads an address as the kernel's programs read it from a packet.
func native(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }
