package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

var stackSeeds = []string{
	"deich \n\t  45 runtime.futex\n\t  12 main.main\n\ndeich\n\t 45 write\n\t 12 main.main\n\n",
	"deich\n\t  45\n\t 3 <&\"net/http.(*conn).serve\n",
	"deich\n\n\n", "",
}

func TestReadStacks(t *testing.T) {
	root, err := readStacks(strings.NewReader(stackSeeds[0]))
	if err != nil {
		t.Fatal(err)
	}
	first := root.below["main.main"]
	if root.n != 2 || first == nil || first.n != 2 || first.below["write"].n != 1 || first.below["runtime.futex"].n != 1 {
		t.Errorf("%+v, %+v", root, first)
	}
	for _, none := range stackSeeds[2:] {
		if _, err := readStacks(strings.NewReader(none)); !errors.Is(err, errNoStacks) {
			t.Errorf("%q: %v", none, err)
		}
	}
}

// However deep or strange the stacks, the graph is bounded and well formed.
func FuzzFlame(f *testing.F) {
	for _, s := range stackSeeds {
		f.Add([]byte(s))
	}
	f.Add([]byte("deich\n" + strings.Repeat("\t 1 deep\n", 200)))
	f.Fuzz(func(t *testing.T, b []byte) {
		root, err := readStacks(bytes.NewReader(b))
		if err != nil {
			return
		}
		svg, err := root.draw("a title")
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(svg, []byte("<rect")); n > 1+(flameDeep+1)*int(1/flameNarrow) {
			t.Errorf("%d boxes", n)
		}
		for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
			if _, err := d.Token(); err == io.EOF {
				return
			} else if err != nil {
				t.Fatalf("%v\n%s", err, svg)
			}
		}
	})
}
