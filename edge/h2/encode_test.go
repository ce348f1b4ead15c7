package h2

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// decode decodes a header block with a table of size bytes.
func decode(t testing.TB, size uint32, block []byte) []hpack.HeaderField {
	t.Helper()
	d := hpack.NewDecoder(size, nil)
	fields, err := d.DecodeFull(block)
	if err != nil {
		t.Fatalf("%v: %x", err, block)
	}
	return fields
}

// sameField encodes a field and decodes it.
func sameField(t testing.TB, name, value string) {
	t.Helper()
	got := decode(t, 0, appendField(nil, field{name, value}))
	if len(got) != 1 || got[0].Name != name || got[0].Value != value || got[0].Sensitive != (name == "set-cookie") {
		t.Fatalf("%d bytes of name %.50q, %d of value: %.200v", len(name), name, len(value), got)
	}
}

func TestFieldsAreDecodedToTheSame(t *testing.T) {
	for name := range static {
		sameField(t, name, "value")
		sameField(t, name, "")
	}
	if canonicalOf["content-type"] != "Content-Type" || lowerOf["Content-Type"] != "content-type" {
		t.Error("names are not known")
	}
	var lengths []int
	for n := range 600 {
		lengths = append(lengths, n)
	}
	for _, around := range []int{127 + 1<<7, 127 + 1<<14, 16 << 10, 64 << 10} {
		for d := -3; d <= 3; d++ {
			lengths = append(lengths, around+d)
		}
	}
	for _, n := range lengths {
		for _, of := range []string{"a", "\xff", "\x00"} { // shorter by Huffman's code, and not
			sameField(t, "x-long", strings.Repeat(of, n))
		}
		sameField(t, "x"+strings.Repeat("y", n), "1")
	}
	for status := 100; status <= 999; status++ {
		got := decode(t, 0, appendStatus(nil, status))
		if len(got) != 1 || got[0].Name != ":status" || len(got[0].Value) != 3 || got[0].Value != itoa(status) {
			t.Fatalf("%d: %v", status, got)
		}
	}
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}

// Names that Go knows are written in lower case, as others are.
func TestNamesAreWrittenInLowerCase(t *testing.T) {
	for _, name := range append([]string{"x-new", "etag", "www-authenticate", "dnt"}, others...) {
		if got := written(http.CanonicalHeaderKey(name)); got != name {
			t.Errorf("%q: %q", name, got)
		}
	}
}

// A block goes over frames as it is, whatever its length, and its beginning tells that no
// table is used.
func TestBlocksInFrames(t *testing.T) {
	for _, n := range []int{0, 1, frameMost - 2, frameMost - 1, frameMost, frameMost + 1, 2*frameMost - 1, 2 * frameMost, 3*frameMost + 5} {
		for _, first := range []bool{true, false} {
			c := &conn{sized: !first}
			block := make([]byte, n)
			for i := range block {
				block[i] = byte(rand.Uint32())
			}
			c.sayHeader(5, block, FlagEndStream)
			var got []byte
			for b, i := c.out, 0; len(b) > 0; i++ {
				h := parseHead(b)
				kind, flags := byte(FrameContinuation), byte(0)
				if i == 0 {
					kind, flags = FrameHeaders, FlagEndStream
				}
				if len(b) == HeadBytes+h.length {
					flags |= FlagEndHeaders
				}
				if h.kind != kind || h.flags != flags || h.id != 5 || h.length > frameMost {
					t.Fatalf("%d bytes, frame %d: %+v", n, i, h)
				}
				got = append(got, b[HeadBytes:HeadBytes+h.length]...)
				b = b[HeadBytes+h.length:]
			}
			want := block
			if first {
				want = append([]byte{noTable}, block...)
			}
			if string(got) != string(want) {
				t.Errorf("%d bytes are another", n)
			}
		}
	}
}
