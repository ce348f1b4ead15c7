// Package sketch holds tables of fixed size that remember much about many in
// few bytes: [Buckets] (a rate limit per source), [Cells] (a word of state per
// source), [Bloom] (what was already spent), [Distinct] (how many different) and
// the keyed hash they are addressed by, [Key].
//
// Every table is made once, never grows, holds no pointers for the collector
// to follow and is safe for concurrent use. When a table is full it forgets;
// each type says what, and what the forgetting costs. Time is handed in as
// nanoseconds on one clock; the package never reads a clock.
//
// The tables trust that a stranger cannot choose hashes: hand them only what a
// secret [Key] made.
package sketch
