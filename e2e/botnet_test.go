package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/deichproject/deich/drill"
	"github.com/deichproject/deich/drill/scenarios"
)

const (
	// botnetPeace is for Deich to learn what is usual, and botnetFlood is how long
	// a browser has for its work.
	botnetPeace, botnetFlood = 6 * time.Second, 45 * time.Second
	// builtDeich and builtBase tell the process in the namespace what was built.
	builtDeich, builtBase = "DEICH_E2E_DEICH", "DEICH_E2E_POCKETBASE"
	// bareRun tells it that there is no Deich this time, and no browser.
	bareRun = "DEICH_E2E_BARE"
)

// The drill starts real applications and floods them with its own botnet, and
// a browser works in them, as a newcomer while the flood lasts.
func TestAppsUnderBotnet(t *testing.T) {
	if os.Getenv("DEICH_EXAM") == "" {
		t.Skip("left out: it takes four minutes; make exam runs it (DEICH_EXAM=1)")
	}
	shared.start(t)
	if os.Getuid() != 0 {
		missing(t, "the drill's network namespace, with PHP's workers in it, needs root")
	}
	if os.Getenv(builtDeich) == "" {
		t.Setenv(builtDeich, string(build(t)))
	}
	t.Run("MediaWiki", func(t *testing.T) {
		needWiki(t)
		underBotnet(t, drill.Platform{
			Name: "MediaWiki",
			Set: func(s drill.Site) ([]drill.Program, error) {
				return programs(installWiki(t, s.Listen.String(), "http://"+s.Users.String())...)
			},
			Pages:  []string{"/index.php?title=Main_Page", "/index.php?title=Special:RecentChanges", "/index.php?title=Special:AllPages"},
			Calls:  []string{"/api.php?action=query&meta=siteinfo&format=json"},
			Search: "/index.php?title=Special:Search&fulltext=1&search=",
		}, nil, func(s drill.Site) { worksInWiki(t, "http://"+s.Users.String(), s.Listen.String(), "Sluice") })
	})
	t.Run("PocketBase", func(t *testing.T) {
		if os.Getenv(builtBase) == "" {
			t.Setenv(builtBase, buildBase(t))
		}
		var listener *tab
		underBotnet(t, drill.Platform{
			Name: "PocketBase",
			Set: func(s drill.Site) ([]drill.Program, error) {
				serve := installBase(t, os.Getenv(builtBase), s.Listen.String())
				stop := runApp(t, serve...)
				readyApp(t, "http://"+s.Listen.String()+"/api/health")
				fillBase(t, s.Listen.String())
				stop()
				return programs(serve)
			},
			Pages:  []string{"/", "/api/collections/posts/records?perPage=10"},
			Calls:  []string{"/api/collections/posts/records?perPage=5"},
			Search: baseSearch,
		}, func(s drill.Site) {
			listener = newTab(t)
			listener.do(chromedp.Navigate("http://" + s.Users.String() + "/"))
			listener.waitFor(`document.querySelector("#live")?.textContent === "yes"`)
		}, func(s drill.Site) {
			worksInBase(t, "http://"+s.Users.String(), listener, "Sluice")
			if n := ask[string](listener, `document.querySelector("#opened").textContent`); n != "1" {
				t.Errorf("the live updates had to be asked for %s times", n)
			}
		})
	})
}

// underBotnet rehearses the drill's botnet on an application. The drill runs
// this test once more, in a network namespace: there the browser works, and
// here the report is read. before, if not nil, is done in peace.
func underBotnet(t *testing.T, p drill.Platform, before, during func(drill.Site)) {
	args := os.Args
	os.Args = []string{args[0], "-test.run=^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$", "-test.v", "-test.count=1", "-test.timeout=5m"}
	defer func() { os.Args = args }()
	var out bytes.Buffer
	o := drill.Options{Binary: os.Getenv(builtDeich), Out: &out}

	type standing struct {
		site  drill.Site
		flood time.Time
	}
	stands, worked, ended := make(chan standing), make(chan error, 1), make(chan bool)
	if os.Getenv(bareRun) != "" {
		o.Without = true
		if _, err := drill.Of(t.Context(), o, botnetOn(t, p.Name), p); err != nil {
			t.Error(err)
		}
		fmt.Print(&out) // for the process outside
		return
	}
	p.Visit = func(ctx context.Context, s drill.Site, flood time.Time) error {
		stands <- standing{s, flood}
		select {
		case err := <-worked:
			return err
		case <-ctx.Done():
			return errors.New("the browser's work was not done when the flood was over")
		}
	}
	var rep drill.Report
	var err error
	go func() {
		defer close(ended)
		rep, err = drill.Of(t.Context(), o, botnetOn(t, p.Name), p)
	}()
	select {
	case <-ended:
		t.Logf("%s", &out)
		if err != nil {
			t.Fatal(err)
		}
		isFlooded(t, rep)
		bare(t, o, p)
	case at := <-stands:
		done := errors.New("the browser's work failed")
		defer func() {
			worked <- done
			<-ended
			fmt.Print(&out) // for the process outside
		}()
		if before != nil {
			before(at.site)
		}
		if late := time.Since(at.flood); late > 0 {
			t.Fatalf("the peace is over since %v", late)
		}
		until := time.NewTimer(time.Until(at.flood) + 2*time.Second) // the flood stands, and has been named
		<-until.C
		during(at.site)
		done = nil
	}
}

// botnetOn is the drill's botnet, with as many users as such an application has
// on a small machine.
func botnetOn(t *testing.T, name string) scenarios.Scenario {
	s, err := scenarios.Find("botnet")
	if err != nil {
		t.Error(err)
	}
	s.Title = "the botnet on " + name
	s.Phases = scenarios.Phases{Peace: scenarios.Duration(botnetPeace), Flood: scenarios.Duration(botnetFlood), After: scenarios.Duration(time.Second)}
	few := map[string]int{"known": 6, "api": 2, "newcomers": 6, "nojs": 2}
	for i := range s.Groups {
		g := &s.Groups[i]
		g.Count, g.Gap, g.Target = few[g.Name], scenarios.Duration(3*time.Second), 0
		if g.Over = s.Phases.Flood / 2; g.From < 0 {
			g.From, g.Over = -s.Phases.Peace+scenarios.Duration(time.Second), scenarios.Duration(2*time.Second)
		}
	}
	return s
}

// isFlooded says that the botnet asked for far more than the application can do.
func isFlooded(t *testing.T, rep drill.Report) {
	t.Helper()
	if len(rep.Runs) == 0 {
		t.Fatal("nothing was rehearsed")
	}
	f := rep.Runs[0]
	if f.Attack.Rate < 3*f.Capacity.Searches {
		t.Errorf("%.0f requests a second are no flood for what can do %.0f", f.Attack.Rate, f.Capacity.Searches)
	}
	for _, g := range f.Groups {
		for _, c := range g.Cells {
			t.Logf("%s, %s: %d of %d requests served, half within %.0f ms; %v", g.Name, c.Phase, c.Served, c.Requests, c.P50, c.Endings)
		}
	}
}

// bare is the same without Deich and without a browser.
func bare(t *testing.T, o drill.Options, p drill.Platform) {
	t.Helper()
	t.Setenv(bareRun, "1")
	var out bytes.Buffer
	o.Without, o.Out, p.Visit = true, &out, nil
	rep, err := drill.Of(t.Context(), o, botnetOn(t, p.Name), p)
	t.Logf("without Deich\n%s", &out)
	if err != nil {
		t.Fatal(err)
	}
	isFlooded(t, rep)
}

// programs are command lines, found where commands are.
func programs(lines ...[]string) ([]drill.Program, error) {
	var all []drill.Program
	for _, line := range lines {
		path, err := exec.LookPath(line[0])
		if err != nil {
			return nil, err
		}
		all = append(all, drill.Program{Path: path, Args: line[1:]})
	}
	return all, nil
}
