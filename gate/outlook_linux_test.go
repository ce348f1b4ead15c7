package gate

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
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
		if left, _, err := Found(); err != nil || len(left) > 0 {
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

const unseenChild = "DEICH_GATE_TEST_UNSEEN"

// What may not be looked at is named with what it needs, and is no error.
func TestUnseenWithoutRights(t *testing.T) {
	if os.Getenv(unseenChild) != "" {
		found, unseen, err := Found()
		_, left, e := Takeaway()
		fmt.Printf("found %q, unseen %q, left %q, %v\n", found, unseen, left, errors.Join(err, e))
		return
	}
	if !alone(t) {
		return
	}
	dir := bpfFolder(t)
	strange(t, 1) // lo
	needNFT(t)
	g, err := Open(Options{Config: Config{Mode: NFT, Interfaces: []string{"lo"}}, Ports: worldPorts})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	c.Env = append(os.Environ(), unseenChild+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	as()(c)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	at, err := programsAt(1)
	if err != nil || len(at) != 1 {
		t.Fatal(at, err)
	}
	unseen := fmt.Sprintf("%q", []string{
		fmt.Sprintf("whose XDP program %d at lo is (root)", at[0].id), "what is pinned in " + dir + " (root)", "the tables of nftables (CAP_NET_ADMIN)",
	})
	if want := "found [], unseen " + unseen + ", left " + unseen + ", <nil>"; !strings.Contains(string(out), want) {
		t.Errorf("want %s\n%s", want, out)
	}
	if stands, err := tableStands(); err != nil || !stands {
		t.Errorf("the table stands: %v, %v", stands, err)
	}
}
