package h1

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// watcher learns of connections whose client has ended its side, or that broke, from
// an epoll(7) of its own. A connection is added once, and told of once. Its
// goroutine waits as others wait for a socket, so it costs nothing until
// something has happened.
type watcher struct {
	file *os.File
	raw  syscall.RawConn
	fd   int

	mu    sync.Mutex
	conns map[uint64]*conn // a number is never used again: a descriptor may be
	last  uint64
}

func newWatcher() (*watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the runtime waits for it
		unix.Close(fd)
		return nil, err
	}
	w := &watcher{file: os.NewFile(uintptr(fd), "epoll"), fd: fd, conns: make(map[uint64]*conn)}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	go w.run()
	return w, nil
}

func (w *watcher) run() {
	var events [eventsOnce]unix.EpollEvent
	for {
		n := 0
		err := w.raw.Read(func(fd uintptr) bool {
			var err error
			n, err = unix.EpollWait(int(fd), events[:], 0)
			return err == nil && n > 0
		})
		if err != nil {
			return // closed
		}
		for _, e := range events[:n] {
			w.mu.Lock()
			c := w.conns[number(&e)]
			w.mu.Unlock()
			if c != nil {
				c.gone(e.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0)
			}
		}
	}
}

func number(e *unix.EpollEvent) uint64 { return uint64(uint32(e.Fd)) | uint64(uint32(e.Pad))<<32 }

// add has c told; it gives c's number here, and 0 where c cannot be watched.
func (w *watcher) add(c *conn) (id uint64) {
	w.mu.Lock()
	w.last++
	id = w.last
	w.conns[id] = c
	w.mu.Unlock()
	e := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32))}
	var err error
	if failed := c.raw.Control(func(fd uintptr) { err = unix.EpollCtl(w.fd, unix.EPOLL_CTL_ADD, int(fd), &e) }); failed != nil || err != nil {
		w.remove(id)
		return 0
	}
	return id
}

// remove forgets a connection. What the kernel still tells of it is passed over; it
// tells no more once the descriptor is closed.
func (w *watcher) remove(id uint64) {
	if w == nil || id == 0 {
		return
	}
	w.mu.Lock()
	delete(w.conns, id)
	w.mu.Unlock()
}

func (w *watcher) close() { w.file.Close() }

// pending is how much of what a client sent has not been read, at most a little more than alertMost.
func pending(raw syscall.RawConn) int {
	n := 0
	raw.Control(func(fd uintptr) {
		var b [alertMost + 1]byte
		n, _, _ = unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return n
}
