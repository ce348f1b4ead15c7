package gate

import "fmt"

// Outlook is what a gate would come to here, as far as can be told without
// attaching one.
type Outlook struct {
	// Backend is xdp-native, xdp-generic, nft or none; Why says why that one.
	Backend    string   `json:"backend"`
	Why        string   `json:"why"`
	Interfaces []string `json:"interfaces"` // where it would stand
	// Pinned is where it would be held beyond its process; empty: nowhere.
	Pinned string `json:"pinned,omitempty"`
	// Lacks are those of CAP_BPF and CAP_NET_ADMIN that this process does not
	// have; nft needs the second alone.
	Lacks []string `json:"lacks"`
	// There is what stands already, at those interfaces or as a table.
	There []Standing `json:"there"`
}

// Standing is a program at an interface, or a table, whoever's it is.
type Standing struct {
	Text string `json:"text"`
	At   string `json:"at,omitempty"` // the interface
	Ours bool   `json:"ours"`         // a Deich's
	Left bool   `json:"left"`         // by one that these options take over from
}

// Foresee says what Open would come to, for auto where the mode is off. It
// loads the program and has nft check its rules, and takes both away again;
// nothing is attached. Whether a driver takes a program it asks the kernel
// (from Linux 6.3 on); where that does not say, Open may come to another end.
func Foresee(o Options) Outlook {
	o.Config = o.Config.Defaults()
	if o.Config.Mode == Off {
		o.Config.Mode = Auto
	}
	g := &Gate{options: o}
	allowed, err := g.allowList()
	var v Outlook
	if err == nil {
		v, err = foresee(o, allowed)
	}
	if err != nil {
		v.Backend, v.Why = None, err.Error()
	}
	v.Interfaces = append([]string{}, v.Interfaces...)
	v.Lacks = append([]string{}, v.Lacks...)
	v.There = append([]Standing{}, v.There...)
	return v
}

func (s Standing) String() string {
	if s.At == "" {
		return s.Text
	}
	return fmt.Sprintf("%s at %s", s.Text, s.At)
}
