package deich

// One word for one thing: these are the words of headers, metrics, logs, pages and docs.

var actNames = [acts]string{"allow", "wait", "challenge", "keep", "deny", "drop"}

func (a Act) String() string {
	if a < acts {
		return actNames[a]
	}
	return "unknown"
}

var tierNames = [tiers]string{"stranger", "visitor", "regular", "member", "partner"}

func (t Tier) String() string {
	if t < tiers {
		return tierNames[t]
	}
	return "unknown"
}

var kindNames = [kinds]string{"page", "asset", "api", "upload", "stream"}

func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "unknown"
}

var reasonNames = [reasons]string{
	"none", "by_hand", "below_cut", "unproven", "called", "lottery", "over_budget",
	"queue_full", "queue_late", "streams_full", "bypassed", "observed", "failopen",
	"origin_down", "origin_slow", "bad_request", "slow_client", "body_too_large",
	"buffers_full", "bad_pass", "bad_proof", "no_site", "cached", "rule",
}

func (r Reason) String() string {
	if r < reasons {
		return reasonNames[r]
	}
	return "unknown"
}

var eventNames = [...]string{
	"pressure_began", "pressure_ended", "one_address", "source_judged", "origin_failing", "origin_back",
	"rule_acts", "rule_expired", "rule_withdrawn", "cause_named", "segment_named",
}

func (k EventKind) String() string {
	if int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

// Acts, Reasons and Tiers give every word of their kind, for metrics and docs.
func Acts() []Act {
	all := make([]Act, acts)
	for i := range all {
		all[i] = Act(i)
	}
	return all
}

// Reasons gives every Reason.
func Reasons() []Reason {
	all := make([]Reason, reasons)
	for i := range all {
		all[i] = Reason(i)
	}
	return all
}

// Tiers gives every Tier.
func Tiers() []Tier {
	all := make([]Tier, tiers)
	for i := range all {
		all[i] = Tier(i)
	}
	return all
}
