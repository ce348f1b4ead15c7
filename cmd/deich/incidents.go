package main

import (
	"context"
	"slices"
	"time"

	"github.com/deichproject/deich"
	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/edge"
)

// keepIncidents opens the record of incidents. That it cannot is no reason to
// leave the platform without a dike: it is said, and tried again.
func (s *station) keepIncidents() {
	s.keeper = desk.OpenKeeper(s.data.path, time.Local, time.Now(), func(text string) { s.terminal.warn("%s", text) })
	s.desk.KeepIncidents(s.keeper)
}

// expectEvery is how often the engine is told whether a crowd is expected.
const expectEvery = 2 * time.Second

// expectCrowds tells the engine of crowds that people have announced, until ctx ends.
func (s *station) expectCrowds(ctx context.Context) {
	each := time.NewTicker(expectEvery)
	defer each.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-each.C:
			until := deich.Time(0)
			if t := s.keeper.CrowdUntil(now); !t.IsZero() {
				until = deich.Time(t.UnixNano())
			}
			s.engine.ExpectCrowd(until)
		}
	}
}

func (s *station) closeIncidents() error { return s.keeper.Close(time.Now()) }

// publicName is the name under which users know what stands behind some
// origins: their site's first one. Origins' own addresses are nobody's business.
func (s *station) publicName(origins string) string {
	sites := s.inForce.Load().Sites
	i := slices.IndexFunc(sites, func(site edge.Site) bool { return originsName(site) == origins && len(site.Names) > 0 })
	if i < 0 {
		return ""
	}
	return sites[i].Names[0]
}
