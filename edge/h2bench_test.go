package edge

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/deichproject/deich"
)

// BenchmarkHTTP2 is what a request over HTTP/2 costs, client included, some at once.
func BenchmarkHTTP2(b *testing.B) {
	for _, size := range []int{200, 20_000, 200_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			cert, key := certifyFiles(b, b.TempDir(), "a.example")
			s := startUncached(b, Config{
				Listen: []string{"https://127.0.0.1:0"}, HTTP3: switchOff,
				Sites: []Site{{Names: []string{"a.example"}, Origins: []string{cannedOrigin(b, answerOf(strings.Repeat("x", size)))}, Certificate: cert, Key: key}},
			})
			s.options.Engine.Bypass(deich.Time(1 << 62))
			c := secured(b, s, true, cert)
			b.ReportAllocs()
			b.SetParallelism(4)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, err := http.NewRequestWithContext(b.Context(), "GET", "https://a.example/", nil)
					if err != nil {
						b.Error(err)
						return
					}
					resp, err := c.Do(r)
					if err != nil {
						b.Error(err)
						return
					}
					n, err := io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
					if err != nil || int(n) != size {
						b.Errorf("%s, %d bytes, %v", resp.Status, n, err)
						return
					}
				}
			})
		})
	}
}
