package main

import (
	"slices"
	"time"

	"github.com/deichproject/deich/desk"
	"github.com/deichproject/deich/edge"
)

// keepIncidents opens the record of incidents. That it cannot is no reason to
// leave the platform without a dike.
func (s *station) keepIncidents() {
	k, err := desk.OpenKeeper(s.data.path, time.Local, time.Now(), func(text string) { s.terminal.warn("%s", text) })
	if err != nil {
		s.terminal.warn("no incidents are kept: %v", err)
		return
	}
	s.keeper = k
	s.desk.KeepIncidents(k)
}

func (s *station) closeIncidents() error {
	if s.keeper == nil {
		return nil
	}
	return s.keeper.Close(time.Now())
}

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
