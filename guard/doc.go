// Package guard carries the engine's verdicts into net/http: it reads a
// request into a deich.Request, asks the engine, and answers.
//
// It is plain middleware. In front of any handler:
//
//	keys, _ := guard.OpenKeys("/var/lib/deich")
//	engine, _ := deich.New(deich.Policy{}, keys.EngineSeed())
//	h, _ := guard.New(guard.Options{Engine: engine, Keys: keys, Next: platform})
//	go h.Run(ctx)
//	http.ListenAndServe(":8080", h)
//
// A whole program of that kind is example/guestbook.
//
// What it answers itself are the paths under /.well-known/deich/ and the
// refusals: a page for people, a problem document (RFC 9457) for programs, and
// for whatever a page loads nothing but a status and headers. A stranger who
// is refused costs no memory that stays: passes, tickets, challenges and
// references are sealed values that the client carries, not rows.
//
// The handler behind finds the client's request as it came, except that its
// body is in hand (up to a bound) and that nothing in it speaks for Deich: the
// pass, the ticket and every Deich-* header are taken out.
package guard
