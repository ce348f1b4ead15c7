package deich

// Trait is one feature of a request that a rule can name. Its value is a
// number that the edge interns or hashes under a key; 0 is "cannot be told
// here", which no rule asks for.
type Trait uint8

const (
	// TraitPrefix is the source's /24 or /48.
	TraitPrefix Trait = iota
	// TraitNet is its /16 or /32.
	TraitNet
	// TraitASN is the autonomous system that the source belongs to: who runs its network.
	TraitASN
	// TraitCountry is the country of that network.
	TraitCountry
	// TraitTLS is the client's TLS fingerprint (JA4), where TLS ends here.
	TraitTLS
	// TraitHTTP is the protocol's version.
	TraitHTTP
	// TraitHeaders is which headers are there, whatever they say.
	TraitHeaders
	// TraitAgent is the whole User-Agent.
	TraitAgent
	// TraitAgentClass is the family and version of what it claims to be.
	TraitAgentClass
	// TraitLanguage is Accept-Language.
	TraitLanguage
	// TraitAccept is Accept.
	TraitAccept
	// TraitEncoding is Accept-Encoding.
	TraitEncoding
	// TraitFetch is what Fetch Metadata says.
	TraitFetch
	// TraitCookie tells no cookie, the platform's, and Deich's pass apart.
	TraitCookie
	// TraitReuse tells a connection's first request from later ones.
	TraitReuse
	// TraitCredential is the kind of what it holds, not the thing itself.
	TraitCredential
	// TraitMethod is the method.
	TraitMethod
	// TraitRoute is the path's shape, with numbers and ids as one.
	TraitRoute
	// TraitPath is the path as it is.
	TraitPath
	// TraitQuery is which keys the query has.
	TraitQuery
	// TraitShape is the shape of the query's values: lengths and kinds of characters.
	TraitShape
	// TraitReferer is where it says it comes from: nowhere, this site, or another's name.
	TraitReferer
	// TraitBody is the body's type and the order of its length.
	TraitBody
	// TraitKind is what the request is for, as Request.Kind.
	TraitKind
	// TraitAsked is the whole of what is asked for, path and query: no rule names
	// it, but whoever asks again for the same thing is known by it.
	TraitAsked
	traitsAll
)

// TraitsMax is how many traits there are.
const TraitsMax = int(traitsAll)

// Traits are a request's, by Trait.
type Traits [TraitsMax]uint32

var traitNames = [TraitsMax]string{
	"prefix", "net", "asn", "country", "tls", "http", "headers", "agent", "agent_class", "language", "accept", "encoding",
	"fetch", "cookie", "reuse", "credential", "method", "route", "path", "query", "shape", "referer", "body", "kind", "asked",
}

// MarshalText gives the trait's word.
func (t Trait) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads the trait's word.
func (t *Trait) UnmarshalText(b []byte) error { return readWord(t, "trait", traitNames[:], b) }

func (t Trait) String() string {
	if t < traitsAll {
		return traitNames[t]
	}
	return "unknown"
}

// about says what a trait speaks of. A rule about the source alone would punish
// whoever lives there, one about the target alone whoever wants the same.
type about uint8

const (
	ofClient about = iota
	ofSource
	ofTarget
)

func (t Trait) about() about {
	switch t {
	case TraitPrefix, TraitNet, TraitASN, TraitCountry:
		return ofSource
	case TraitMethod, TraitRoute, TraitPath, TraitQuery, TraitShape, TraitReferer, TraitBody, TraitKind, TraitCookie, TraitCredential:
		return ofTarget
	}
	return ofClient
}

// column is what a condition looks at: one trait, or two together.
type column struct{ first, second Trait }

// columns are all of them: each trait that rules name, then the pairs whose values a client
// that lies about one of them gets wrong.
var columns = func() (all [columnsMax]column) {
	for t := range TraitAsked {
		all[t] = column{t, t}
	}
	copy(all[TraitAsked:], []column{
		{TraitTLS, TraitHeaders}, {TraitTLS, TraitAgentClass}, {TraitAgentClass, TraitHeaders}, {TraitAgentClass, TraitAccept},
	})
	return all
}()

const columnsMax = int(TraitAsked) + 4

// of gives the column's value; 0 where a part cannot be told.
func (c column) of(t *Traits) uint32 {
	a := t[c.first]
	if c.first == c.second || a == 0 {
		return a
	}
	b := t[c.second]
	if b == 0 {
		return 0
	}
	x := (uint64(a)<<32 | uint64(b)) * 0x9e3779b97f4a7c15 // Fibonacci hashing; the parts are keyed hashes already
	return uint32(x>>32) | 1
}

func (c column) about() about {
	if a := c.first.about(); a == c.second.about() {
		return a
	}
	return ofClient
}

// mayBeNovel says whether a value that nobody trusted was seen with says
// something: what people choose or type anew does not.
func (c column) mayBeNovel() bool {
	switch c.first {
	case TraitTLS, TraitHeaders, TraitAgent, TraitAgentClass, TraitLanguage, TraitAccept, TraitEncoding, TraitFetch, TraitQuery, TraitBody:
		return true
	}
	return false
}

// mayBeHot says whether a pool of values that are suddenly frequent says
// something beyond each of them. Sources do not pool: see about.
func (c column) mayBeHot() bool { return c.about() != ofSource && c.first != TraitPath }
