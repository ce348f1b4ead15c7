package edge

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/edge/h2"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// offendingMost is how many offending frames a client may get through at most.
const offendingMost = 1000

// prober speaks HTTP/2 frame by frame. Its frames are counted once the server has
// surely seen them.
type prober struct {
	nc     net.Conn
	fr     *http2.Framer
	stream uint32
	block  []byte // a whole GET's header block

	pongs   chan struct{}
	ended   chan struct{}
	told    atomic.Bool // by GOAWAY
	code    atomic.Uint32
	onReset chan uint32  // told of streams that the server resets; nil: not
	heads   chan uint32  // streams whose answers began
	refused atomic.Int32 // of them, those that were not 200
}

func probe2(t testing.TB, addr, from string, settings ...http2.Setting) *prober {
	t.Helper()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	nc, err := tls.DialWithDialer(&d, "tcp", addr, &tls.Config{InsecureSkipVerify: true, ServerName: "a.example", NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	p := &prober{nc: nc, fr: http2.NewFramer(nc, nc), stream: 1, pongs: make(chan struct{}, 1), heads: make(chan uint32, 1000), ended: make(chan struct{})}
	nc.SetDeadline(time.Now().Add(6 * patience))
	p.block = getBlock("/")
	io.WriteString(nc, http2.ClientPreface)
	p.fr.WriteSettings(settings...)
	var all sync.WaitGroup
	all.Go(p.read)
	t.Cleanup(func() { nc.Close(); all.Wait() })
	return p
}

// getBlock is a GET's header block, which changes no table.
func getBlock(path string) []byte {
	var b bytes.Buffer
	e := hpack.NewEncoder(&b)
	for _, h := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":path", path}, {":authority", "a.example"}} {
		e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1], Sensitive: true})
	}
	return b.Bytes()
}

func (p *prober) read() {
	defer close(p.ended)
	for {
		f, err := p.fr.ReadFrame()
		if err != nil {
			if !errors.As(err, new(http2.StreamError)) {
				return
			}
			continue
		}
		switch f := f.(type) {
		case *http2.PingFrame:
			if f.IsAck() && f.Data == seenPing { // not those that abuse sends
				select {
				case p.pongs <- struct{}{}:
				default:
				}
			}
		case *http2.GoAwayFrame:
			p.told.Store(true)
			p.code.Store(uint32(f.ErrCode))
		case *http2.RSTStreamFrame:
			select {
			case p.onReset <- f.StreamID:
			default:
			}
		case *http2.HeadersFrame:
			b := f.HeaderBlockFragment()
			if len(b) > 0 && b[0] == 0x20 {
				b = b[1:] // no table is used
			}
			if !bytes.HasPrefix(b, []byte{0x88}) { // :status 200
				p.refused.Add(1)
			}
			select {
			case p.heads <- f.StreamID:
			default:
			}
		}
	}
}

// seenPing asks whether all that was sent has been seen.
var seenPing = [8]byte{1}

// seen waits until the server has seen all that was sent; false says that it has ended.
func (p *prober) seen() bool {
	if p.fr.WritePing(false, seenPing) != nil {
		return false
	}
	select {
	case <-p.pongs:
		return true
	case <-p.ended:
		return false
	}
}

func (p *prober) open(end bool) uint32 {
	id := p.stream
	p.stream += 2
	p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block, EndStream: end, EndHeaders: true})
	return id
}

// get waits for an answer; false says that the connection has ended.
func (p *prober) get() bool {
	id := p.open(true)
	for {
		select {
		case got := <-p.heads:
			if got == id {
				return true
			}
		case <-p.ended:
			return false
		}
	}
}

func raw32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// abuses are kinds of offences; each sends some offending frames and says how many.
var abuses = []struct {
	name string
	send func(p *prober) int
}{
	{"rapid reset", func(p *prober) int { p.fr.WriteRSTStream(p.open(true), http2.ErrCodeCancel); return 2 }},
	{"reset of an upload", func(p *prober) int { p.fr.WriteRSTStream(p.open(false), http2.ErrCodeCancel); return 2 }},
	{"made to reset: window update of nothing", func(p *prober) int {
		p.fr.WriteRawFrame(http2.FrameWindowUpdate, 0, p.open(false), raw32(0))
		return 2
	}},
	{"made to reset: window beyond its bound", func(p *prober) int {
		p.fr.WriteRawFrame(http2.FrameWindowUpdate, 0, p.open(false), raw32(1<<31-1))
		return 2
	}},
	{"made to reset: data after the end", func(p *prober) int { p.fr.WriteData(p.open(true), false, make([]byte, 64)); return 2 }},
	{"made to reset: header without a path", func(p *prober) int {
		id := p.stream
		p.stream += 2
		p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0x82}, EndStream: true, EndHeaders: true})
		return 1
	}},
	{"headers in pieces", func(p *prober) int {
		id := p.stream
		p.stream += 2
		p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: true})
		for b := p.block; len(b) > 0; b = b[min(8, len(b)):] {
			p.fr.WriteContinuation(id, len(b) <= 8, b[:min(8, len(b))])
		}
		return 1 + (len(p.block)+7)/8
	}},
	{"headers in empty pieces", func(p *prober) int {
		id := p.stream
		p.stream += 2
		p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: true})
		for range 4 {
			p.fr.WriteContinuation(id, false, nil)
		}
		p.fr.WriteContinuation(id, true, p.block)
		return 6
	}},
	{"pings", func(p *prober) int { p.fr.WritePing(false, [8]byte{}); return 1 }},
	{"settings", func(p *prober) int { p.fr.WriteSettings(); return 1 }},
	{"acknowledgments of nothing", func(p *prober) int { p.fr.WriteSettingsAck(); return 1 }},
	{"answers to no ping", func(p *prober) int { p.fr.WritePing(true, [8]byte{}); return 1 }},
	{"farewells", func(p *prober) int { p.fr.WriteGoAway(0, http2.ErrCodeNo, nil); return 1 }},
	{"data that is empty", func(p *prober) int { p.upload(nil, 0); return 1 }},
	{"data that is padding", func(p *prober) int { p.upload(nil, 200); return 1 }},
	{"data byte by byte", func(p *prober) int { p.upload([]byte{0}, 0); return 1 }},
	{"windows opened for nothing", func(p *prober) int { p.fr.WriteWindowUpdate(0, 1); return 1 }},
	{"priorities", func(p *prober) int { p.fr.WritePriority(3, http2.PriorityParam{StreamDep: 1}); return 1 }},
	{"frames nobody knows", func(p *prober) int { p.fr.WriteRawFrame(0xbe, 0, 0, []byte("dike")); return 1 }},
}

func (p *prober) upload(b []byte, padding int) {
	if p.stream == 1 {
		p.open(false)
	}
	if padding > 0 {
		p.fr.WriteDataPadded(1, false, b, make([]byte, padding))
		return
	}
	p.fr.WriteData(1, false, b)
}

func secureFront(t testing.TB, handle http.HandlerFunc) (*Server, string) {
	cert, key := certifyFiles(t, t.TempDir(), "a.example")
	s := startUncached(t, Config{
		Listen: []string{"https://127.0.0.1:0"}, HTTP3: switchOff,
		Sites: []Site{{Names: []string{"a.example"}, Origins: []string{origin(t, handle)}, Certificate: cert, Key: key}},
	})
	return s, s.Addrs()[0].String()
}

// Every kind of abuse ends within offendingMost frames of one client, by one
// connection and by fifty; and it is told by GOAWAY before.
func TestH2AbuseEnds(t *testing.T) {
	for i, abuse := range abuses {
		for _, lines := range []int{1, 50} {
			t.Run(fmt.Sprintf("%s by %d", abuse.name, lines), func(t *testing.T) {
				s, addr := secureFront(t, hello)
				from := fmt.Sprintf("127.0.%d.%d", 1+i, lines)
				var probers []*prober
				for range lines {
					probers = append(probers, probe2(t, addr, from))
				}
				frames, ended, told := 0, 0, 0
				gone := make(map[*prober]bool)
				for ended < lines && frames < 3*offendingMost {
					for _, p := range probers {
						if gone[p] {
							continue
						}
						sent := 0
						for sent < 10/lines || sent == 0 {
							sent += abuse.send(p)
						}
						frames += sent + 1 // the ping that seen sends
						if p.seen() {
							continue
						}
						<-p.ended
						gone[p] = true
						ended++
						if p.told.Load() {
							told++
						}
					}
				}
				t.Logf("%d connections ended after %d frames, %d told", ended, frames, told)
				// Some of each connection's last round was not even looked at.
				if ended < lines || frames > offendingMost {
					t.Errorf("%d of %d ended after %d frames", ended, lines, frames)
				}
				if lines == 1 && told == 0 {
					t.Error("ended without GOAWAY")
				}
				if n := s.Connections().Abusive; n == 0 {
					t.Log("the standard server ended it by itself")
				}
				if resp, err := fromOther(t, addr).Get("https://" + addr); err != nil {
					t.Error(err)
				} else if resp.Body.Close(); resp.StatusCode != http.StatusMisdirectedRequest {
					t.Errorf("another client is answered %s", resp.Status)
				}
			})
		}
	}
}

func fromOther(t *testing.T, addr string) *http.Client {
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true,
		DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.250")}}).DialContext,
	}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

// What browsers do is no abuse: to leave a page with a hundred requests under
// way, again and again where answers came in between; to hold streams open; to ask
// whether the server is there.
func TestH2HonestClientsAreLeftAlone(t *testing.T) {
	held := make(chan struct{})
	s, addr := secureFront(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			select {
			case <-held:
			case <-r.Context().Done():
			}
		}
		hello(w, r)
	})
	defer close(held)
	p := probe2(t, addr, "127.0.0.9", http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 20})
	p.fr.WriteWindowUpdate(0, 1<<20)
	for range 5 {
		p.fr.WritePriority(p.stream+101, http2.PriorityParam{})
	}
	for page := range 3 {
		for range 40 {
			if !p.get() {
				t.Fatalf("page %d: ended, code %d", page, p.code.Load())
			}
		}
		p.fr.WritePing(false, [8]byte{2})
	}
	var open []uint32
	for range 100 {
		open = append(open, p.open(false))
	}
	for _, id := range open {
		p.fr.WriteRSTStream(id, http2.ErrCodeCancel)
	}
	if !p.seen() || p.told.Load() {
		t.Errorf("a hundred streams left at once: told %v, code %d", p.told.Load(), p.code.Load())
	}
	if n := s.Connections().Abusive; n != 0 {
		t.Errorf("%d ended as abusive", n)
	}
}

// A client's neighbours at the same address, over HTTP/2 and without, are served
// while its own connections end.
func TestH2AbuseIsNotItsNeighbours(t *testing.T) {
	_, addr := secureFront(t, hello)
	neighbour := probe2(t, addr, "127.0.0.10")
	neighbour.get()
	for i := 0; ; i++ {
		p := probe2(t, addr, "127.0.0.10")
		for p.seen() {
			for range 50 {
				p.fr.WriteRSTStream(p.open(true), http2.ErrCodeCancel)
			}
		}
		if i == 2 {
			break
		}
	}
	for range 20 {
		if !neighbour.get() {
			t.Fatal("the neighbour was ended")
		}
	}
}

// Turns of those who owe are apart from each other, and none is far off.
func TestTurnsAreApart(t *testing.T) {
	d, now := newDebts(), deich.Time(1e18)
	for i := range 1000 {
		if wait, want := d.turn(now), min(time.Duration(i)*waitEvery, waitMost); wait != want {
			t.Fatalf("turn %d is in %v, not in %v", i, wait, want)
		}
	}
	if wait := d.turn(now.Add(time.Second)); wait != 0 {
		t.Errorf("with nobody before it a turn is in %v", wait)
	}
}

// Who owes waits, also on a connection that has done next to nothing yet; that it does not
// end, and others wait for nobody.
func TestWhoOwesWaits(t *testing.T) {
	d, now := newDebts(), deich.Time(1e18)
	abuser := tab{debts: d, debtor: 1}
	if got := abuser.charge(int32(framesWait/frameEvery)-1, now); got != debtBorne {
		t.Errorf("below framesWait: %d", got)
	}
	abuser.charge(int32(framesEnded/frameEvery), now)
	if got := abuser.charge(1, now); got != debtEnds {
		t.Errorf("beyond framesEnded: %d", got)
	}
	neighbour, other := tab{debts: d, debtor: 1}, tab{debts: d, debtor: 2}
	for i := range frameFirst - 1 {
		if got := neighbour.charge(1, now); got != debtWaits {
			t.Errorf("frame %d of another connection of the same client: %d", i, got)
		}
	}
	if got := other.charge(1, now); got != debtBorne {
		t.Errorf("another client: %d", got)
	}
	neighbour.repay()
	if got := neighbour.charge(1, now); got != debtBorne {
		t.Errorf("what an answer repaid: %d", got)
	}
}

// What is read of who owes is answered in its turn, and not before.
func TestWhoOwesIsAnsweredInTurn(t *testing.T) {
	s, addr := secureFront(t, hello)
	p := probe2(t, addr, "127.0.0.11")
	if !p.seen() {
		t.Fatal("the client was ended")
	}
	d := s.conns.debts
	d.charge(d.debtor(netip.MustParseAddr("127.0.0.11"))^saltFrames, s.now(), 2*framesWait)
	d.turns.Store(int64(s.now().Add(time.Hour))) // no turn is further off than waitMost
	asked := time.Now()
	if !p.seen() {
		t.Fatal("the client was ended")
	}
	if took := time.Since(asked); took < waitMost {
		t.Errorf("answered after %v, its turn came after %v", took, waitMost)
	}
}

// TestFraming compares with what golang.org/x/net wrote, whatever pieces it comes in.
func TestFraming(t *testing.T) {
	var b bytes.Buffer
	fr := http2.NewFramer(&b, nil)
	fr.WriteSettings()
	fr.WriteData(1, false, nil)
	fr.WriteDataPadded(1, true, []byte("dike"), make([]byte, 7))
	fr.WriteRSTStream(3, http2.ErrCodeFlowControl)
	fr.WriteRawFrame(http2.FrameRSTStream, 0, 5, []byte{1, 2})
	fr.WriteGoAway(7, http2.ErrCodeNo, make([]byte, 100))
	fr.WritePing(true, [8]byte{})
	type told struct {
		kind    uint8
		stream  uint32
		carried int
		code    h2.Code
	}
	want := []told{{h2.FrameSettings, 0, 0, 0}, {h2.FrameData, 1, 0, 0}, {h2.FrameData, 1, 4, 7 << 24}, {h2.FrameRSTStream, 3, 4, h2.CodeFlowControl},
		{h2.FrameRSTStream, 5, 2, 1<<24 | 2<<16}, {h2.FrameGoAway, 0, 108, 0}, {h2.FramePing, 0, 8, 0}}
	for size := 1; size <= b.Len(); size++ {
		var f framing
		var got []told
		for all := b.Bytes(); len(all) > 0; all = all[min(size, len(all)):] {
			for piece := all[:min(size, len(all))]; ; {
				one, rest, ok := f.next(piece)
				if !ok {
					break
				}
				got = append(got, told{one.kind, one.stream, one.carried(), one.code()})
				piece = rest
			}
		}
		if !slices.Equal(got, want) || !f.between() {
			t.Fatalf("in pieces of %d: %v", size, got)
		}
	}
}

func BenchmarkFraming(b *testing.B) {
	var buf bytes.Buffer
	fr := http2.NewFramer(&buf, nil)
	for i := range uint32(100) {
		fr.WriteData(2*i+1, false, make([]byte, 1000))
		fr.WriteWindowUpdate(2*i+1, 1000)
	}
	var f framing
	b.ReportAllocs()
	n := 0
	for n < b.N {
		for p := buf.Bytes(); ; n++ {
			_, rest, ok := f.next(p)
			if !ok {
				break
			}
			p = rest
		}
	}
}

func FuzzFraming(f *testing.F) {
	f.Add([]byte("\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x01\x00\x09\x00\x00\x00\x03\x05"), 3)
	f.Add([]byte(greeting[len(h2.Preface):]), 1)
	f.Fuzz(func(t *testing.T, all []byte, size int) {
		follow := func(size int) (told []frame) {
			var f framing
			for b := all; len(b) > 0; b = b[min(size, len(b)):] {
				for piece := b[:min(size, len(b))]; ; {
					got, rest, ok := f.next(piece)
					if !ok {
						break
					}
					told = append(told, got)
					piece = rest
				}
			}
			return told
		}
		whole, pieces := follow(max(len(all), 1)), follow(1+max(size, -size, 0)%64)
		if !slices.Equal(whole, pieces) {
			t.Errorf("whole %v, in pieces %v", whole, pieces)
		}
	})
}
