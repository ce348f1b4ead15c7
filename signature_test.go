package deich

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// crowdOf draws real users: a few dozen builds of browsers, each with its own
// TLS, headers and words, some networks, some languages, pages by popularity.
type crowdOf struct {
	r      *rand.Rand
	builds []Traits
}

func newCrowd(seed uint64) *crowdOf {
	c := &crowdOf{r: rand.New(rand.NewPCG(seed, 1))}
	for i := range 60 {
		var t Traits
		family := uint32(i/6 + 1)
		t[TraitTLS], t[TraitHeaders] = 100+family, 200+family*2+uint32(i%2)
		t[TraitAgent], t[TraitAgentClass] = 1000+uint32(i), 50+uint32(i/2)
		t[TraitAccept], t[TraitEncoding], t[TraitHTTP] = 300+family%3, 310+family%2, 2
		c.builds = append(c.builds, t)
	}
	return c
}

func (c *crowdOf) rank(n int) uint32 { return uint32(float64(n) * c.r.Float64() * c.r.Float64()) }

func (c *crowdOf) one() sighting {
	t := c.builds[c.rank(len(c.builds))]
	who := c.r.Uint32() % 40000
	t[TraitPrefix], t[TraitNet] = who/4+1, who/400+1
	t[TraitASN], t[TraitCountry] = who/800+1, who/4000+1
	t[TraitLanguage] = 400 + c.rank(12)
	t[TraitMethod], t[TraitKind], t[TraitReuse] = 1, 1, 1+c.r.Uint32()%2
	t[TraitFetch], t[TraitReferer], t[TraitCookie] = 500+c.r.Uint32()%3, 510+c.rank(5), 520+c.r.Uint32()%3
	t[TraitPath] = 10000 + c.rank(800)
	t[TraitRoute] = 600 + t[TraitPath]%12
	if c.r.IntN(20) == 0 {
		t[TraitRoute], t[TraitPath], t[TraitQuery], t[TraitShape] = 620, 10900, 700, 710+c.rank(20)
	}
	if c.r.IntN(250) == 0 { // what only this client has
		t[TraitTLS], t[TraitHeaders] = c.r.Uint32()|1<<30, c.r.Uint32()|1<<30
	}
	return sighting{traits: t, who: who}
}

func (c *crowdOf) many(n int, change func(*Traits)) []sighting {
	all := make([]sighting, n)
	for i := range all {
		all[i] = c.one()
		if change != nil {
			change(&all[i].traits)
		}
	}
	return all
}

// strangers gives attackers' sources: anywhere.
func (c *crowdOf) elsewhere(t *Traits) {
	t[TraitPrefix], t[TraitNet] = c.r.Uint32()|1, 1+c.r.Uint32()%2000
	t[TraitASN], t[TraitCountry] = 1+c.r.Uint32()%3000, 1+c.r.Uint32()%60
}

// tool is a plain program, whatever it claims to be.
func (c *crowdOf) tool(t *Traits) {
	c.elsewhere(t)
	t[TraitTLS], t[TraitHeaders], t[TraitHTTP] = 900, 901, 1
	t[TraitAccept], t[TraitEncoding], t[TraitLanguage], t[TraitFetch] = 902, 903, 400, 904
	t[TraitReferer], t[TraitCookie], t[TraitReuse] = 0, 520, 1
	t[TraitRoute], t[TraitPath], t[TraitQuery], t[TraitShape] = 620, 10900, 700, 710+c.r.Uint32()%20
}

// TestSignatures holds the synthesis against floods of known make: what it
// covers of a second sample of the flood, and whom it touches of known-good
// clients that it was not shown.
func TestSignatures(t *testing.T) {
	const times = 10
	for _, c := range []struct {
		name      string
		attack    func(*crowdOf, *Traits)
		cover     float64 // at least; negative: no rule at all
		rulesMost int
	}{
		{"one tool", func(c *crowdOf, t *Traits) { c.tool(t) }, .95, 1},
		{"random agent, path and query", func(c *crowdOf, t *Traits) {
			c.tool(t)
			t[TraitAgent], t[TraitAgentClass] = c.r.Uint32()|1, c.r.Uint32()|1
			t[TraitPath], t[TraitQuery], t[TraitShape] = c.r.Uint32()|1, c.r.Uint32()|1, c.r.Uint32()|1
		}, .95, 2},
		{"all headers random, TLS of a popular browser", func(c *crowdOf, t *Traits) {
			c.elsewhere(t)
			for _, f := range []Trait{TraitAgent, TraitAgentClass, TraitHeaders, TraitAccept, TraitLanguage, TraitEncoding} {
				t[f] = c.r.Uint32() | 1
			}
		}, .95, 3},
		{"login POST", func(c *crowdOf, t *Traits) {
			c.tool(t)
			t[TraitMethod], t[TraitRoute], t[TraitPath], t[TraitQuery], t[TraitBody] = 2, 650, 10950, 0, 651
		}, .95, 2},
		{"four tools", func(c *crowdOf, t *Traits) {
			c.tool(t)
			n := c.r.Uint32() % 4
			t[TraitTLS], t[TraitHeaders], t[TraitAccept] = 950+n, 960+n, 970+n
			t[TraitRoute], t[TraitPath] = 600+n, 10000+n
		}, .95, 5},
		{"forged pool of forty TLS stacks with browsers' other headers", func(c *crowdOf, t *Traits) {
			c.elsewhere(t)
			t[TraitTLS] = 2000 + c.r.Uint32()%40
		}, .95, 3},
		{"full mimic", func(c *crowdOf, t *Traits) {}, -1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			users := newCrowd(7)
			flood := func(n int) []sighting {
				return users.many(n, func(t *Traits) { c.attack(users, t) })
			}
			now := append(users.many(6000/times, nil), flood(6000)...)
			j := &Job{now: now, peace: users.many(8000, nil), good: users.many(8000, nil), rate: 3300, usual: 300}
			got := j.Run()
			var set ruleSet
			for _, f := range got.Found {
				set.live = append(set.live, &liveRule{conditions: f.Conditions})
				t.Logf("%v %.1f %% of the excess, %d good, bound %.4f: %s", f.Act, 100*f.Share, f.Hits, f.Collateral, conditionsText(f.Conditions))
			}
			if c.cover < 0 {
				if len(got.Found) > 0 {
					t.Errorf("%d rules against what looks like everyone else", len(got.Found))
				}
				return
			}
			if len(got.Found) > c.rulesMost {
				t.Errorf("%d rules, more than %d", len(got.Found), c.rulesMost)
			}
			if met := share(&set, flood(5000)); met < c.cover {
				t.Errorf("they meet %.2f %% of the flood, less than %.2f %%", 100*met, 100*c.cover)
			}
			if touched := share(&set, users.many(20000, nil)); touched > .002 {
				t.Errorf("they meet %.3f %% of users that were not shown to it", 100*touched)
			}
		})
	}
}

func share(set *ruleSet, all []sighting) float64 {
	n := 0
	for i := range all {
		if set.match(&all[i].traits) != nil {
			n++
		}
	}
	return float64(n) / float64(len(all))
}

func conditionsText(all []Condition) (s string) {
	for i, c := range all {
		if i > 0 {
			s += ", "
		}
		s += c.Trait.String()
		if c.With != c.Trait {
			s += "×" + c.With.String()
		}
		s += " " + c.Compare.String()
	}
	return s
}

// Programs that come for every request anew are few among the good, and many
// in peace: a flood that does so, too, is described by more than that.
func TestUsualStrangersAreNotTheFlood(t *testing.T) {
	users := newCrowd(11)
	kept := func(t *Traits) { t[TraitReuse] = 2 }
	programs := func(n int) []sighting {
		return users.many(n, func(t *Traits) { t[TraitReuse], t[TraitCookie], t[TraitReferer] = 1, 520, 0 })
	}
	flood := func(n int) []sighting { // half of it differs from the programs by one word
		all := programs(n)
		for i := range all {
			if i%2 == 0 {
				all[i].traits[TraitAgent] = 990
			}
		}
		return all
	}
	now := slices.Concat(users.many(600, kept), programs(400), flood(6000))
	j := &Job{now: now, peace: append(users.many(4800, kept), programs(3200)...), good: users.many(8000, kept), rate: 3500, usual: 500}
	got := j.Run()
	var set ruleSet
	for _, f := range got.Found {
		set.live = append(set.live, &liveRule{conditions: f.Conditions})
		t.Logf("%v %.1f %% of the excess: %s", f.Act, 100*f.Share, conditionsText(f.Conditions))
	}
	if met := share(&set, flood(5000)); met < .45 {
		t.Errorf("%.2f %% of the flood met, of which half can be told", 100*met)
	}
	if met := share(&set, programs(5000)); met > .02 {
		t.Errorf("%.2f %% of the programs that come in peace met", 100*met)
	}
}

// A crowd that wants a new page is no flood: what all its members share is
// what they want, so they may be paced and never denied or challenged.
func TestACrowdIsPacedAtMost(t *testing.T) {
	users := newCrowd(9)
	now := append(users.many(1000, nil), users.many(5000, func(t *Traits) {
		t[TraitRoute], t[TraitPath], t[TraitReferer] = 690, 10999, 519
	})...)
	j := &Job{now: now, peace: users.many(8000, nil), good: users.many(8000, nil), rate: 3000, usual: 500}
	got := j.Run()
	if len(got.Found) == 0 {
		t.Fatal("five of six requests want one new page, and no rule says so")
	}
	for _, f := range got.Found {
		if f.Act != Wait {
			t.Errorf("%v for %s", f.Act, conditionsText(f.Conditions))
		}
	}
}

// Where requests come from says nothing until it is known where they come from
// at other times; and what everyone does makes no rule of it.
func TestSourcesNeedHistory(t *testing.T) {
	for _, c := range []struct {
		name    string
		settled bool
		route   uint32
		want    bool
	}{{"after a start", false, 699, false}, {"later", true, 699, true}, {"a network alone", true, 0, false}} {
		users := newCrowd(5)
		from := func(t *Traits) {
			t[TraitPrefix], t[TraitNet], t[TraitASN], t[TraitCountry] = 0, 77777, 0, 0
			if c.route != 0 {
				t[TraitRoute], t[TraitPath] = c.route, 10998
			}
		}
		elsewhere := func(t *Traits) { // the same is asked for from elsewhere, by known users too
			if c.route != 0 && users.r.IntN(20) == 0 {
				t[TraitRoute], t[TraitPath] = c.route, 10998
			}
		}
		now := append(users.many(1000, elsewhere), users.many(3000, from)...)
		j := &Job{now: now, peace: users.many(8000, elsewhere), good: users.many(8000, elsewhere), rate: 2000, usual: 500, settled: c.settled}
		named := false
		for _, f := range j.Run().Found {
			t.Logf("%s: %v for %s", c.name, f.Act, conditionsText(f.Conditions))
			for _, cond := range f.Conditions {
				named = named || columns[cond.column].about() == ofSource
			}
		}
		if named != c.want {
			t.Errorf("%s: a source was named: %v", c.name, named)
		}
	}
}

// A flood from one operator's networks in one country, between people who live
// there: whatever it is like, no rule speaks of where it comes from alone, and
// what is denied is next to none of those people's, however few known-good there are
// to hold it against. Where what is known is from before operators could be told,
// none speaks of operators at all.
func TestNoRuleOfAnOperatorAlone(t *testing.T) {
	for _, history := range []int{4000, 8000} {
		t.Run(strconv.Itoa(history), func(t *testing.T) { noRuleOfAnOperatorAlone(t, history) })
	}
}

func noRuleOfAnOperatorAlone(t *testing.T, history int) {
	const operator, country = 9, 2 // as in crowdOf.one
	there := func(t *Traits) { t[TraitASN], t[TraitCountry] = operator, country }
	for _, c := range []struct {
		name  string
		looks func(*crowdOf, *Traits)
	}{
		{"like everyone", func(*crowdOf, *Traits) {}},
		{"one build", func(c *crowdOf, t *Traits) {
			for _, of := range []Trait{TraitTLS, TraitHeaders, TraitAgent, TraitAgentClass, TraitAccept, TraitEncoding} {
				t[of] = c.builds[0][of]
			}
		}},
		{"one language", func(_ *crowdOf, t *Traits) { t[TraitLanguage] = 403 }},
		{"one page", func(_ *crowdOf, t *Traits) { t[TraitRoute], t[TraitPath] = 605, 10005 }},
		{"one tool", func(c *crowdOf, t *Traits) { c.tool(t) }},
	} {
		for _, past := range []string{"settled", "young", "untold"} {
			for _, flood := range []bool{false, true} {
				users := newCrowd(13)
				bots := users.many(4000, func(t *Traits) {
					c.looks(users, t)
					t[TraitPrefix], t[TraitNet] = users.r.Uint32()|1, 5000+users.r.Uint32()%40
					there(t)
				})
				before := func(t *Traits) {
					if past == "untold" {
						t[TraitASN], t[TraitCountry] = 0, 0
					}
				}
				j := &Job{now: append(users.many(1000, nil), bots...), peace: users.many(history, before), good: users.many(history, before),
					rate: 2500, usual: 500, settled: past != "young", flood: flood}
				var deny ruleSet
				for _, f := range j.Run().Found {
					where := 0
					for _, cond := range f.Conditions {
						if columns[cond.column].about() == ofSource {
							where++
						}
						if past == "untold" && (cond.Trait == TraitASN || cond.Trait == TraitCountry) {
							t.Errorf("%s, %s: %v for %s, of which nothing is known", c.name, past, f.Act, conditionsText(f.Conditions))
						}
					}
					if where == len(f.Conditions) {
						t.Errorf("%s, %s: %v for %s alone", c.name, past, f.Act, conditionsText(f.Conditions))
					}
					t.Logf("%s, %s, flood %v: %v %.1f %% of the excess: %s", c.name, past, flood, f.Act, 100*f.Share, conditionsText(f.Conditions))
					if f.Act == Deny {
						deny.live = append(deny.live, &liveRule{conditions: f.Conditions})
					}
				}
				// A thousandth of all users may be touched, and one in fifty lives there.
				if met := share(&deny, users.many(20000, there)); met > .055 {
					t.Errorf("%s, %s, flood %v: %.2f %% of the operator's own users met", c.name, past, flood, 100*met)
				}
			}
		}
	}
}

// TestLuckIsNoEvidence: of parts that are frequent by themselves and never came
// together among a few known-good, luck is an explanation where those are few clients,
// and none where they are many.
func TestLuckIsNoEvidence(t *testing.T) {
	for _, c := range []struct {
		clients uint32
		lucky   bool
	}{{100, true}, {4000, false}} {
		s := &search{Job: &Job{good: make([]sighting, 4000)}}
		a, b := newBitset(4000), newBitset(4000)
		for i := range s.good {
			s.good[i].who = uint32(i) % c.clients
			switch i % 10 { // a tenth has the one, a tenth the other, nobody both
			case 3:
				a.set(i)
			case 7:
				b.set(i)
			}
		}
		s.each = 4000 / float64(clients(s.good))
		if got := s.lucky([]bitset{a, b}, 0); got != 0 != c.lucky || c.lucky && got != 40 {
			t.Errorf("%d clients: %v of them spared by luck", c.clients, got)
		}
		if got := s.lucky([]bitset{a}, a.count()); got != 0 {
			t.Errorf("one part alone: %v spared by luck", got)
		}
	}
}

// Short histories allow less: nothing below a hundred, no denial below three thousand.
func TestShortHistory(t *testing.T) {
	for good, act := range map[int]Act{60: Allow, 500: Challenge, 4000: Deny} {
		users := newCrowd(3)
		now := append(users.many(500, nil), users.many(5000, func(t *Traits) { users.tool(t) })...)
		j := &Job{now: now, peace: users.many(700, nil), good: users.many(good, nil), rate: 3000, usual: 270}
		got := j.Run()
		if act == Allow {
			if len(got.Found) > 0 {
				t.Errorf("%d known-good sightings gave a rule", good)
			}
			continue
		}
		if len(got.Found) != 1 || got.Found[0].Act != act || got.Covered < .95 {
			t.Errorf("%d known-good sightings: %d rules, %.2f covered: %+v", good, len(got.Found), got.Covered, got.Found)
		}
	}
}

func BenchmarkSynthesis(b *testing.B) {
	users := newCrowd(7)
	now := append(users.many(4000, nil), users.many(12000, func(t *Traits) {
		users.tool(t)
		n := users.r.Uint32() % 4
		t[TraitTLS], t[TraitHeaders], t[TraitAccept] = 950+n, 960+n, 970+n
	})...)
	j := &Job{now: now, peace: users.many(historyMax, nil), good: users.many(historyMax, nil), rate: 8000, usual: 1000}
	b.ReportAllocs()
	for b.Loop() {
		if got := j.Run(); len(got.Found) == 0 {
			b.Fatal("no rule")
		}
	}
}
