package gate

import (
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What is foreseen is what comes, and nothing stands for it afterwards.
func TestForeseenAsItComes(t *testing.T) {
	needPrograms(t)
	if !alone(t) {
		return
	}
	cable(t)
	needNFT(t)
	for _, c := range []Config{
		{Interfaces: []string{here}}, {Mode: XDP, Interfaces: []string{here}}, {Mode: NFT, Interfaces: []string{here}},
		{Mode: Auto, Interfaces: []string{"lo"}}, {Mode: XDP, Interfaces: []string{"lo"}}, {Mode: XDP, Interfaces: []string{"none0"}},
	} {
		o := Options{Config: c, Ports: worldPorts}
		v := Foresee(o)
		if left, err := Found(); err != nil || len(left) > 0 {
			t.Fatalf("%+v: it left %v, %v", c, left, err)
		}
		if c.Mode == "" {
			o.Config.Mode = Auto
		}
		g, err := Open(o)
		if err != nil {
			if v.Backend != None || !strings.Contains(err.Error(), v.Why) {
				t.Errorf("%+v: foreseen %+v, came %v", c, v, err)
			}
			continue
		}
		st := g.Status()
		if untold := strings.Contains(v.Why, "does not tell"); st.Backend != v.Backend && !untold || len(v.There) > 0 {
			t.Errorf("%+v: foreseen %+v, came %s (%s)", c, v, st.Backend, st.Why)
		}
		if st.Backend == v.Backend && !strings.HasPrefix(v.Why, st.Why) && !strings.Contains(v.Why, "does not tell") {
			t.Errorf("%+v: foreseen because %q, came because %q", c, v.Why, st.Why)
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestForeseenBesideOthers(t *testing.T) {
	needPrograms(t)
	if !alone(t) {
		return
	}
	strange(t, 1) // lo
	v := Foresee(Options{Config: Config{Mode: XDP, Interfaces: []string{"lo"}}, Ports: worldPorts})
	if v.Backend != None || !strings.Contains(v.Why, `"stranger"`) || len(v.There) != 1 || v.There[0].Ours || v.There[0].At != "lo" {
		t.Errorf("%+v", v)
	}
}

func TestForeseenWithoutRights(t *testing.T) {
	if !alone(t, as(unix.CAP_NET_ADMIN)) {
		return
	}
	if os.Getuid() == 0 {
		t.Fatal("it is root")
	}
	v := Foresee(Options{Config: Config{Mode: XDP, Interfaces: []string{"lo"}}, Ports: worldPorts})
	if v.Backend != None || !slices.Equal(v.Lacks, []string{"CAP_BPF"}) || !strings.Contains(v.Why, "CAP_BPF") {
		t.Errorf("%+v", v)
	}
}
