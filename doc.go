// Package deich decides who may reach an online platform while it is flooded.
//
// It is the engine of Deich, the dike in front of a platform: values go in,
// verdicts come out. The package reads no clock, does no I/O, starts no
// goroutine and writes no log. Whoever carries it (the guard in front of an
// HTTP handler, the simulator in drill) owns the clock and hands the time in,
// so that a million users can be rehearsed in seconds and any run repeated
// from its seed.
//
// Two questions are asked of it, not one:
//
//	v := engine.Decide(&req)                    // from the headers: may it come in, and how is it ranked?
//	t, state := engine.Enter(now, &req, v, out) // with the body in hand: a place at the origin
//	engine.Done(now, t, outcome, out)           // the place is free again; others may be woken
//
// Every 100 milliseconds Tick looks at what came and went: it adapts the limit
// towards each origin, draws the cut line below which requests are turned
// away, and hands out orders for whoever can refuse a judged source more
// cheaply.
//
// The core thesis: do not try to be right about who is bad. Rank everyone by
// the trust they have earned, and serve the best-ranked up to what the origin
// can measurably do.
package deich
