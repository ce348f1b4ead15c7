package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// handOver runs the command that takes a folder's files on, without a shell, for so
// long at most: {} in an argument is the folder, which is the last argument where
// none has it. The error tells the exit code and what it said about it; without a
// command there is nothing to do.
func handOver(ctx context.Context, command []string, folder string, wait time.Duration) error {
	if len(command) == 0 {
		return nil
	}
	args, named := make([]string, 0, len(command)+1), false
	for _, a := range command {
		named = named || strings.Contains(a, "{}")
		args = append(args, strings.ReplaceAll(a, "{}", folder))
	}
	if !named {
		args = append(args, folder)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	var said strings.Builder
	c.Stderr = &limited{&said, handOverSaid}
	c.WaitDelay = handOverGrace
	endsWhole(c)
	err := c.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("it took longer than %s and was ended", wait)
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		err = fmt.Errorf("exit code %d", exit.ExitCode())
	}
	if text := strings.TrimSpace(clean(said.String())); text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	return fmt.Errorf("status: publish: %s: %w", args[0], err)
}
