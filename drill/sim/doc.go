// Package sim rehearses floods in virtual time: the engine is the real one,
// everything around it (users, attackers, the guard, the origin behind) is a
// model. One goroutine runs one queue of events, drawn from one seed, so a run
// with the same seed is the same run: its trace hash says so.
//
// What a model leaves out is told rather than guessed: there are no
// connections, no bytes and no processor time of the shield itself. The drill
// with real sockets measures those.
package sim
