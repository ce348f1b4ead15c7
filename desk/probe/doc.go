// Package probe looks at a platform from outside, as its users meet it, and at
// what it depends on. Several look, from several places, and each writes down
// what it found; something is down when enough of them agree.
//
//	c, err := probe.Parse("payments=https://pay.example.org/health")
//	found := probe.Looker{}.Look(ctx, []probe.Check{c})
//	err = probe.Write(dir, probe.Report{By: "host-2", At: now, Results: found})
//	views := probe.Agree(probe.Read(dir), now)
package probe
