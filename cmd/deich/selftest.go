package main

import (
	"context"
	"fmt"
	"time"

	"github.com/deichproject/deich/drill"
	"github.com/deichproject/deich/drill/scenarios"
)

const (
	// selfTestFlood is how long the self-test floods.
	selfTestFlood = 5 * time.Second
	// selfTestStopped is the share of the flood that must not reach the platform, once
	// the shield has had selfTestNotice; selfTestServed what users must be given meanwhile.
	selfTestStopped = .5
	selfTestServed  = .9
	selfTestNotice  = 2
)

// selfTestScenario is a small flood of searches, several times what the platform can do.
func selfTestScenario() scenarios.Scenario {
	seconds := func(n int) scenarios.Duration { return scenarios.Duration(time.Duration(n) * time.Second) }
	return scenarios.Scenario{
		Name: "self-test", Title: "a small flood of searches", Seed: 1,
		Phases: scenarios.Phases{Peace: seconds(6), Flood: scenarios.Duration(selfTestFlood), After: seconds(1)},
		Origin: scenarios.Origin{Searches: 200},
		Groups: []scenarios.Group{{Name: "users", Kind: scenarios.Browser, Count: 20, From: seconds(-6), Over: seconds(2), Gap: seconds(1), In: seconds(3)}},
		Attacks: []scenarios.Attack{{
			Name: "searches", Request: scenarios.Search, Manner: scenarios.Keep, Sources: 200, Rate: 1000, Connections: 200,
		}},
	}
}

// selfTest floods a Deich of its own, before a platform of its own, on loopback.
func selfTest(ctx context.Context) ([]finding, error) {
	report, err := drill.Behind(ctx, drill.Options{Loopback: true}, selfTestScenario(), nil)
	if err != nil {
		return nil, fmt.Errorf("doctor: self-test: %w", err)
	}
	if len(report.Runs) != 1 {
		return nil, fmt.Errorf("doctor: self-test: it did not run: %v", report.Skipped)
	}
	return named("self-test", judgeSelfTest(report.Runs[0])...), nil
}

// judgeSelfTest says whether the shield reacted, and what its users noticed.
func judgeSelfTest(run drill.Finding) []finding {
	var begun, reached int64
	asked, served := 0, 0
	for _, s := range run.Seconds {
		if s.At < selfTestNotice || s.At >= int(selfTestFlood/time.Second) {
			continue
		}
		begun += s.Begun
		reached += s.Reached
		for _, g := range s.Groups {
			asked += g.Requests
			served += g.Served
		}
	}
	if begun == 0 || asked == 0 {
		return []finding{weak("try again while this machine has less to do.", "the flood or its users did not come: nothing can be said.")}
	}
	stopped, given := 1-float64(reached)/float64(begun), float64(served)/float64(asked)
	said := fmt.Sprintf("of %d requests of the flood %.0f %% were stopped, of %d of its users %.0f %% were served, from the second %d on", begun, 100*stopped, asked, 100*given, selfTestNotice+1)
	switch {
	case stopped < selfTestStopped:
		return []finding{bad("deich drill botnet tells more; send its report with an issue.", "the shield did not react: %s.", said)}
	case given < selfTestServed:
		return []finding{weak("try again while this machine has less to do; deich drill botnet tells more.", "the shield reacted, but users were kept out: %s.", said)}
	}
	return []finding{good("the shield reacted: %s.", said)}
}
