package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// keptTrace is what a trace of system calls says of kept messages.
type keptTrace struct {
	messages, synced, answers, syncs int
	early                            []string // answers that left with fewer messages synced than were promised by then
}

var (
	traceLine  = regexp.MustCompile(`^(\d+) +(.*)$`)
	aMessage   = `\x64\x73\x70\x01\x01\x00\x00\x00`                     // the head of a record of kind 1
	anAnswer   = `\x48\x54\x54\x50\x2f\x31\x2e\x31\x20\x32\x30\x32\x20` // "HTTP/1.1 202 "
	spoolFile  = regexp.QuoteMeta(`\x2e\x73\x70\x6f\x6f\x6c>`)          // ".spool", as -xx writes it
	spoolWrite = regexp.MustCompile(`^pwrite64\((\d+)<[^>]*` + spoolFile)
	spoolSync  = regexp.MustCompile(`^f(?:data)?sync\((\d+)<[^>]*` + spoolFile)
)

// readKeptTrace reads strace's lines (-f -y -xx), in the order in which it saw
// calls begin and end. A record counts as synced once an fsync of its file, begun
// after its write had ended, has returned 0.
func readKeptTrace(lines []string) (k keptTrace) {
	written := map[string]int{}    // by file descriptor: messages whose write has ended, not synced
	writing := map[string][2]any{} // by thread: descriptor and messages of a write under way
	syncing := map[string][2]any{} // by thread: descriptor, and messages that it will have synced
	ended := func(thread, result string) {
		if w, is := writing[thread]; is {
			delete(writing, thread)
			if !strings.HasPrefix(result, "-") {
				written[w[0].(string)] += w[1].(int)
			}
		}
		if s, is := syncing[thread]; is {
			delete(syncing, thread)
			k.syncs++
			if result == "0" {
				k.synced += s[1].(int)
				written[s[0].(string)] -= s[1].(int)
			}
		}
	}
	for _, line := range lines {
		m := traceLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		thread, call := m[1], m[2]
		result := ""
		if i := strings.LastIndex(call, " = "); i >= 0 {
			result, _, _ = strings.Cut(call[i+3:], " ")
		}
		whole := !strings.HasSuffix(call, "<unfinished ...>")
		switch {
		case strings.HasPrefix(call, "<... pwrite64 resumed"), strings.HasPrefix(call, "<... fsync resumed"), strings.HasPrefix(call, "<... fdatasync resumed"):
			ended(thread, result)
		case spoolWrite.MatchString(call):
			n := strings.Count(call, aMessage)
			k.messages += n
			writing[thread] = [2]any{spoolWrite.FindStringSubmatch(call)[1], n}
			if whole {
				ended(thread, result)
			}
		case spoolSync.MatchString(call):
			fd := spoolSync.FindStringSubmatch(call)[1]
			syncing[thread] = [2]any{fd, written[fd]}
			if whole {
				ended(thread, result)
			}
		case strings.HasPrefix(call, "sendto(") && strings.Contains(call, anAnswer):
			n := strings.Count(call, anAnswer)
			if k.answers += n; k.answers > k.synced {
				k.early = append(k.early, fmt.Sprintf("answer %d with %d messages synced", k.answers, k.synced))
			}
		}
	}
	return k
}

// Under load, no 202 leaves Deich before the fsync of its record has returned:
// read off the system calls, since a kill alone proves nothing, the kernel keeps what
// was written.
func TestNo202BeforeTheSync(t *testing.T) {
	need(t, "strace", "strace")
	b, i, dir := build(t), newInbox(t), t.TempDir()
	traced, calls := filepath.Join(dir, "traced"), filepath.Join(dir, "calls")
	script := fmt.Sprintf("#!/bin/sh\nexec strace -D -f -qq -y -xx -s 1000000 -e trace=sendto,pwrite64,fsync,fdatasync -o %q %q \"$@\"\n", calls, string(b))
	if err := os.WriteFile(traced, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	p := binary(traced).keeping(t, dir, i, "")
	authors := make([]*author, 12)
	for n := range authors {
		authors[n] = newAuthor(t, n, p.users)
	}
	i.down()
	var kept atomic.Int64
	var going sync.WaitGroup
	for _, a := range authors {
		going.Go(func() {
			for range 15 {
				if _, status, _, err := a.post(true); err == nil && status == 202 {
					kept.Add(1)
				}
			}
		})
	}
	going.Wait()
	p.stop(t)
	text, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	k := readKeptTrace(lines)
	t.Logf("%d messages written, %d synced by %d calls, %d answers of 202, %d came", k.messages, k.synced, k.syncs, k.answers, kept.Load())
	if len(k.early) > 0 {
		t.Errorf("%d answers left too early: %s", len(k.early), k.early[0])
	}
	if int64(k.answers) != kept.Load() || k.answers < 100 || k.synced < k.answers {
		t.Errorf("the trace has %d answers and %d synced messages, and %d were promised", k.answers, k.synced, kept.Load())
	}
	// The check can fail: with every sync moved to the end it must.
	var without, syncs []string
	for _, line := range lines {
		if strings.Contains(line, "sync(") || strings.Contains(line, "sync resumed") {
			syncs = append(syncs, line)
		} else {
			without = append(without, line)
		}
	}
	if late := readKeptTrace(append(without, syncs...)); len(late.early) == 0 {
		t.Error("with every sync at the end, the trace is found to be as good")
	}
}
