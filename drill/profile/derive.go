package profile

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// LineBytesMax bounds a log's line.
const LineBytesMax = 64 << 10

// entry is what is read of one line of a log, before it becomes figures.
type entry struct {
	client, path, agent string
	offset              int
}

// Derive makes a profile's file of the two logs: NASA-HTTP as tab-separated
// values, and Elastic's web log in the combined format. The same logs give the
// same bytes. Only requests for pages count, not what pages load.
func Derive(nasa, elastic io.Reader) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString(header + "\n")
	for _, log := range []struct {
		letter string
		from   io.Reader
		read   func(string) (entry, bool)
		timed  bool
	}{
		{rates, nasa, readNASA, true},
		{pages, elastic, readCombined, false},
	} {
		entries, err := readLog(log.from, log.read)
		if err != nil {
			return nil, fmt.Errorf("profile: derive %q: %w", log.letter, err)
		}
		if log.timed {
			slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.offset, b.offset) })
		}
		writeFigures(&out, log.letter, entries, log.timed)
	}
	return out.Bytes(), nil
}

func readLog(from io.Reader, read func(string) (entry, bool)) ([]entry, error) {
	var entries []entry
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, LineBytesMax)
	for lines.Scan() {
		if e, ok := read(lines.Text()); ok && isPage(e.path) {
			entries = append(entries, e)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		return nil, errors.New("no request for a page in it")
	}
	return entries, nil
}

// readNASA reads host, -, epoch, method, url, status, …, tab-separated.
func readNASA(line string) (entry, bool) {
	f := strings.Split(line, "\t")
	if len(f) < 6 || f[3] != "GET" || !answered(f[5]) {
		return entry{}, false
	}
	at, err := strconv.Atoi(f[2])
	if err != nil || f[0] == "" || at < 0 {
		return entry{}, false
	}
	return entry{client: f[0], path: f[4], offset: at}, true
}

// readCombined reads the combined format: client, -, -, [time], "request", status, bytes, "referer", "agent".
func readCombined(line string) (entry, bool) {
	client, rest, _ := strings.Cut(line, " ")
	parts := strings.Split(rest, `"`)
	if client == "" || len(parts) < 6 {
		return entry{}, false
	}
	request := strings.Fields(parts[1])
	after := strings.Fields(parts[2])
	if len(request) < 2 || request[0] != "GET" || len(after) < 1 || !answered(after[0]) {
		return entry{}, false
	}
	return entry{client: client, path: request[1], agent: parts[5]}, true
}

func answered(status string) bool { return status == "200" || status == "302" || status == "304" }

func isPage(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	dot := strings.LastIndexByte(path, '.')
	if dot < strings.LastIndexByte(path, '/') {
		return true
	}
	switch strings.ToLower(path[dot+1:]) {
	case "gif", "jpg", "jpeg", "png", "xbm", "bmp", "ico", "svg", "css", "js", "woff", "ttf", "eot",
		"mpg", "mpeg", "avi", "mov", "wav", "au", "pcx", "txt", "pdf", "jar", "gz", "zip", "tar":
		return false
	}
	return true
}

func writeFigures(out *bytes.Buffer, letter string, entries []entry, timed bool) {
	ranks := rank(entries)
	numbers := map[string]int{}
	first := entries[0].offset
	for i, e := range entries {
		who := e.client + "\x00" + e.agent
		n, seen := numbers[who]
		if !seen {
			n = len(numbers)
			numbers[who] = n
		}
		offset := i
		if timed {
			offset = e.offset - first
		}
		fmt.Fprintf(out, "%s\t%d\t%d\t%d\t%d\n", letter, n, offset, ranks[plainPath(e.path)], classOf(e.agent))
	}
}

func plainPath(path string) string {
	path, _, _ = strings.Cut(path, "?")
	return path
}

// rank numbers the pages by how often they were asked for; ties by name, so that the figures stay the same.
func rank(entries []entry) map[string]int {
	counts := map[string]int{}
	for _, e := range entries {
		counts[plainPath(e.path)]++
	}
	paths := make([]string, 0, len(counts))
	for path := range counts {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	ranks := make(map[string]int, len(paths))
	for i, path := range paths {
		ranks[path] = i + 1
	}
	return ranks
}

// classOf tells an agent's class by the words that such agents carry.
func classOf(agent string) Class {
	a := strings.ToLower(agent)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(a, w) })
	}
	switch {
	case a == "" || a == "-":
		return Unknown
	case has("feed", "rss", "newsbeuter", "liferea", "akregator", "planet"):
		return Feed
	case has("bot", "spider", "crawl", "slurp", "archive", "http://", "https://"):
		return Crawler
	case !has("mozilla", "opera"):
		return Tool
	case has("iphone", "ipad", "android", "mobile", "phone"):
		return Mobile
	}
	return Desktop
}
