package drill

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/deichproject/deich/drill/scenarios"
)

func TestAddressesAreEachItsOwn(t *testing.T) {
	a := addresses{net: 127}
	seen := map[netip.Addr]string{}
	prefixes := map[netip.Prefix]bool{}
	take := func(who string, addr netip.Addr) {
		if other, taken := seen[addr]; taken {
			t.Fatalf("%s and %s share %s", who, other, addr)
		}
		if !addr.IsLoopback() {
			t.Fatalf("%s is at %s", who, addr)
		}
		seen[addr] = who
	}
	for g := range scenarios.GroupsMax {
		for n := range scenarios.UsersMax {
			take("user", a.own(g, n))
		}
	}
	for attack := range scenarios.AttacksMax {
		for n := range scenarios.SourcesMax {
			addr := a.bot(attack, n)
			take("bot", addr)
			p := netip.PrefixFrom(addr, 24).Masked()
			if attack == 0 && prefixes[p] {
				t.Fatalf("two bots of an attack in %s", p)
			}
			prefixes[p] = true
		}
	}
}

func TestSharedAddresses(t *testing.T) {
	a := addresses{net: 10}
	spec := &scenarios.Group{Count: 540, Addresses: 12}
	seen := map[netip.Addr]bool{}
	for n := range spec.Count {
		seen[a.user(3, n, spec)] = true
	}
	if len(seen) != 12 {
		t.Errorf("540 users have %d addresses", len(seen))
	}
}

func TestRotatingStaysInItsNetworks(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	wide, narrow := map[netip.Prefix]bool{}, map[netip.Prefix]bool{}
	for range 5000 {
		addr := rotating(rng, 16)
		if !netip.MustParsePrefix("fd00::/16").Contains(addr) {
			t.Fatalf("%s is not local to the namespace", addr)
		}
		wide[netip.PrefixFrom(addr, 48).Masked()] = true
		narrow[netip.PrefixFrom(addr, 64).Masked()] = true
	}
	if len(wide) != 16 || len(narrow) < 4500 {
		t.Errorf("%d /48 and %d /64", len(wide), len(narrow))
	}
}
