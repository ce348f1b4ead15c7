package edge

import (
	"bytes"
	"io"
	"testing"
)

// Of what is recorded only so much is held; who began first is let go.
func TestRecordsAreBounded(t *testing.T) {
	var all records
	part := make([]byte, 1<<20)
	var begun []*recorder
	for range inHandMax/len(part) + 2 {
		r := all.begin(io.NopCloser(bytes.NewReader(part)), entryBytesMax)
		begun = append(begun, r)
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		if all.bytes > inHandMax {
			t.Fatalf("%d bytes", all.bytes)
		}
	}
	for i, r := range begun {
		if body, whole := all.end(r); whole != (i >= 2) || whole && len(body) != len(part) || !whole && body != nil {
			t.Errorf("%d: %v, %d bytes", i, whole, len(body))
		}
		if body, whole := all.end(r); whole || body != nil {
			t.Errorf("%d: given twice", i)
		}
	}
	long := all.begin(io.NopCloser(bytes.NewReader(part)), 10)
	io.Copy(io.Discard, long)
	if _, whole := all.end(long); whole || all.bytes != 0 || len(all.open) != 0 {
		t.Errorf("%d bytes, %d open", all.bytes, len(all.open))
	}
}
