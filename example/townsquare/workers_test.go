package townsquare

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// until yields until something is so; the test's own deadline bounds it.
func until(t *testing.T, so func() bool) {
	t.Helper()
	for !so() {
		if t.Context().Err() != nil {
			t.Fatal("it never came to be")
		}
		runtime.Gosched()
	}
}

// occupy keeps the one worker busy until the function given back is called.
func occupy(t *testing.T, w *workers) (release func()) {
	t.Helper()
	begun, end := make(chan struct{}), make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		if err := w.do(func() error { close(begun); <-end; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-begun
	return func() { close(end); done.Wait() }
}

func TestWorkersTakeTurns(t *testing.T) {
	// On one core, who is counted as waiting stands in the queue by the next turn.
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	w := newWorkers(1)
	defer w.close()
	release := occupy(t, w)
	var order []int
	var queue sync.WaitGroup
	for i := range 50 {
		queue.Go(func() {
			if err := w.do(func() error { order = append(order, i); return nil }); err != nil {
				t.Error(err)
			}
		})
		until(t, func() bool { return w.waiting.Load() == int64(i+1) })
		runtime.Gosched()
	}
	release()
	queue.Wait()
	if len(order) != 50 || !slices.IsSorted(order) {
		t.Errorf("order %v", order)
	}
}

func TestWorkerOutlivesPanic(t *testing.T) {
	w := newWorkers(1)
	defer w.close()
	err := w.do(func() error { panic("in the middle") })
	if err == nil || !strings.Contains(err.Error(), "in the middle") {
		t.Errorf("error %v", err)
	}
	wrong := errors.New("wrong")
	if err := w.do(func() error { return wrong }); err != wrong {
		t.Errorf("error %v", err)
	}
}

func TestWorkersClose(t *testing.T) {
	w := newWorkers(1)
	release := occupy(t, w)
	turned := make(chan error, 1)
	go func() { turned <- w.do(func() error { return nil }) }()
	until(t, func() bool { return w.waiting.Load() == 1 })
	closed := make(chan struct{})
	go func() { w.close(); close(closed) }()
	if err := <-turned; err != errClosing {
		t.Errorf("who waited got %v", err)
	}
	release()
	<-closed
	if err := w.do(func() error { return nil }); err != errClosing {
		t.Errorf("who came late got %v", err)
	}
	w.close()
}

// The weakness that is to be rehearsed: nobody leaves the queue.
func TestWorkIsDoneForWhoHasGone(t *testing.T) {
	s := newTest(t, small())
	release := occupy(t, s.workers)
	ctx, leave := context.WithCancel(t.Context())
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, httptest.NewRequest("GET", "/search?q=ferry", nil).WithContext(ctx))
		answered <- w
	}()
	until(t, func() bool { return s.workers.waiting.Load() == 1 })
	leave()
	release()
	if w := <-answered; w.Code != 200 || !strings.Contains(w.Body.String(), "best of the latest") {
		t.Errorf("answer %d", w.Code)
	}
	if got := s.stats.current.Load().routes["GET /search"].gone.Load(); got != 1 {
		t.Errorf("%d counted as gone, want 1", got)
	}
}

func TestSlowSenderHoldsNoWorker(t *testing.T) {
	s := newTest(t, small())
	b := newBrowser(t, s)
	body, send := slowBody()
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, httptest.NewRequest("POST", "/login", body))
		answered <- w
	}()
	until(t, func() bool { return s.stats.inFlight.Load() == 1 })
	b.get("/").want(t, 200)
	send("name=user0001&password=" + DemoPassword)
	if w := <-answered; w.Code != 303 {
		t.Errorf("status %d", w.Code)
	}
}

// slowBody gives a body that ends only once it has been sent.
func slowBody() (io.Reader, func(string)) {
	r, w := io.Pipe()
	return r, func(text string) {
		_, err := io.WriteString(w, text)
		w.CloseWithError(err) // nil ends it as io.EOF
	}
}
