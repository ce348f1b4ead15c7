// Package desk is Deich's private server: the one place where an operator and
// the subcommands meet a running Deich. It always asks for its token, answers
// only to its own name, and lets no other site act through a browser.
//
//	token, fresh, err := desk.OpenToken(dir)
//	d, err := desk.New(desk.Options{Token: token, State: state})
//	d.Mount("POST /api/v1/reload", reload)
//	err = d.Serve(ctx, listener)
//
// It serves the live page at /, /api/v1/state, /api/v1/events (server-sent,
// once a second), /api/v1/history, /metrics (Prometheus) and /healthz; every
// other part of Deich mounts what it has. The desk knows package deich's words
// and nothing of who fills its State: the edge serves without it.
package desk
