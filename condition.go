package deich

import "math/bits"

// Compare says how a condition holds a value against what it knows.
type Compare uint8

const (
	// Is: the value is Condition.Value.
	Is Compare = iota
	// Novel: nobody trusted was ever seen with the value.
	Novel
	// Hot: the value is one of a pool that is suddenly frequent.
	Hot
)

var compareNames = [...]string{"is", "novel", "hot"}

// MarshalText gives the word.
func (c Compare) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the word.
func (c *Compare) UnmarshalText(b []byte) error { return readWord(c, "compare", compareNames[:], b) }

func (c Compare) String() string { return compareNames[min(int(c), len(compareNames)-1)] }

// Condition is one part of a rule. With is the second trait of a pair, else
// the same as Trait.
type Condition struct {
	Trait   Trait   `json:"trait"`
	With    Trait   `json:"with"`
	Compare Compare `json:"compare"`
	Value   uint32  `json:"-"`    // Is: a keyed hash
	Pool    int     `json:"pool"` // Hot: how many values; Novel: how many are known
	column  uint8
	set     *values // Hot: the pool; Novel: what is known
}

func (c *Condition) holds(t *Traits) bool {
	v := columns[c.column].of(t)
	switch {
	case v == 0:
		return false
	case c.Compare == Is:
		return v == c.Value
	}
	return c.set.has(v) == (c.Compare == Hot)
}

// values is a fixed set of values: open addressing, at most half full, never
// changed once a rule uses it.
type values struct {
	table []uint32
	n     int
}

func newValues(most int) *values {
	return &values{table: make([]uint32, 1<<bits.Len(uint(2*most+1)))}
}

func (s *values) add(v uint32) {
	for i := spread(v); ; i++ {
		switch at := &s.table[i&uint32(len(s.table)-1)]; *at {
		case v:
			return
		case 0:
			*at = v
			s.n++
			return
		}
	}
}

func (s *values) has(v uint32) bool {
	for i := spread(v); ; i++ {
		switch s.table[i&uint32(len(s.table)-1)] {
		case v:
			return true
		case 0:
			return false
		}
	}
}

func spread(v uint32) uint32 { return (v * 0x9e3779b1) >> 7 }
