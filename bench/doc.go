// Bench holds Deich against its peers, side by side on one machine: the built
// binary, and nginx, HAProxy and Varnish as the system's packages bring them.
// Proxy and origin share one core, the load has another. Everything runs on
// loopback, is bounded in count and time, and ends by itself.
//
// A contest is one question put to several contenders in interleaved rounds;
// what counts is the CPU that the proxy's processes used, read from /proc, over
// what the clients really got. The medians and their ratios stand in
// results/bench.md, every single trial in results/bench.json.
//
// Users kept is a contest of another kind: the drill's rehearsals behind each
// peer (guardian.go), in the drill's network namespace, repeated until two agree.
// It stands in results/users.md and users.json.
package main
