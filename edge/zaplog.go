package edge

import (
	"context"
	"log/slog"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapLog lets what is logged through zap, as certmagic does, come out where
// everything else does.
func zapLog(to *slog.Logger) *zap.Logger { return zap.New(&zapCore{to: to}) }

// zapCore is the bridge; fields that came by With are in to.
type zapCore struct{ to *slog.Logger }

// Enabled leaves out what is below a warning: the keeper itself says when a
// certificate was obtained.
func (c *zapCore) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }

// With gives a core whose lines have these fields.
func (c *zapCore) With(fields []zapcore.Field) zapcore.Core {
	return &zapCore{to: c.to.With(attributes(fields)...)}
}

// Check adds the core to those that write an entry.
func (c *zapCore) Check(e zapcore.Entry, to *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return to.AddCore(e, c)
	}
	return to
}

// Write writes an entry.
func (c *zapCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := slog.LevelWarn
	if e.Level >= zapcore.ErrorLevel {
		level = slog.LevelError
	}
	c.to.Log(context.Background(), level, "edge: certificates: "+e.Message, attributes(fields)...)
	return nil
}

// Sync has nothing to do: slog keeps nothing back.
func (c *zapCore) Sync() error { return nil }

func attributes(fields []zapcore.Field) []any {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(m)
	}
	all := make([]any, 0, len(m.Fields))
	for name, v := range m.Fields {
		all = append(all, slog.Any(name, v))
	}
	return all
}
