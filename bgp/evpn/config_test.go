package evpn_test

import (
	"maps"
	"net/netip"
	"strings"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// TestConfigRefused: each fault is named by its path, and nothing changes.
func TestConfigRefused(t *testing.T) {
	for _, tt := range []struct {
		want string
		do   func(c *evpn.Config)
	}{
		{"VTEP", func(c *evpn.Config) { c.VTEP = netip.Addr{} }},
		{"VTEP", func(c *evpn.Config) { c.VTEP = addr("224.0.0.1") }},
		{"RouterID", func(c *evpn.Config) { c.RouterID = addr("2001:db8::1") }},
		{"Duplicates", func(c *evpn.Config) { c.Duplicates.Moves = -1 }},
		{"DFWait", func(c *evpn.Config) { c.DFWait = -1 }},
		{"BDs[0].VNI", func(c *evpn.Config) { c.BDs[0].VNI = 0 }},
		{"BDs[1].VNI", func(c *evpn.Config) { c.BDs[1].VNI = vni100 }},
		{"BDs[1].RD", func(c *evpn.Config) { c.BDs[1].RD = c.BDs[0].RD }},
		{"BDs[0].VRF", func(c *evpn.Config) { c.BDs[0].VRF = 9 }},
		{"BDs[0].Tag", func(c *evpn.Config) { c.BDs[0].Tag = evpn.MaxTag }},
		{"VRFs[0].VNI", func(c *evpn.Config) { c.VRFs[0].VNI = table.MaxVNI + 1 }},
		{"BDs[0].VNI", func(c *evpn.Config) { c.VRFs[0].VNI = vni100 }},
		{"VRFs[0].ID", func(c *evpn.Config) { c.VRFs[0].ID = 0 }},
		{"VRFs[0].RouterMAC", func(c *evpn.Config) { c.VRFs[0].RouterMAC = table.Broadcast }},
		{"Segments[0].ESI", func(c *evpn.Config) { c.Segments = []evpn.EthernetSegment{{}} }},
		{"Segments[1].ESI", func(c *evpn.Config) { c.Segments = []evpn.EthernetSegment{{ESI: es1}, {ESI: es1}} }},
		{"Segments[0].DF.Alg", func(c *evpn.Config) {
			c.Segments = []evpn.EthernetSegment{{ESI: es1, DF: evpn.DFElection{Alg: 4}}}
		}},
		{"Segments[0].VNIs", func(c *evpn.Config) {
			c.Segments = []evpn.EthernetSegment{{ESI: es1, VNIs: []table.VNI{999}}}
		}},
		{"Grants", func(c *evpn.Config) { c.Grants = map[netip.Addr]evpn.Grant{{}: {}} }},
	} {
		n := newNode(t, 1, leafConfig(t, 1))
		n.flush(0)
		c := leafConfig(t, 1)
		tt.do(&c)
		err := n.Configure(0, c)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.want, err)
		}
		if c := n.flush(0); !c.Empty() {
			t.Errorf("%s: changes %+v", tt.want, c)
		}
	}
}

// busy is a leaf with something of everything.
func busy(t *testing.T) *node {
	c := leafConfig(t, 1)
	c.Segments = []evpn.EthernetSegment{{ESI: es1, VNIs: []table.VNI{vni100, vni200}}}
	n := newNode(t, 1, c)
	r := remoteOf(n, 2)
	for i := range 5 {
		r.announceMAC(0, vni100, host(i), "192.0.2."+string(rune('1'+i)), evpn.Mobility{})
		r.announceMAC(0, vni200, host(i), "", evpn.Mobility{})
	}
	k, a := imet(t, r, vni100)
	r.announce(0, k, a)
	k, a = r.prefix("198.51.100.0/24")
	r.announce(0, k, a)
	ad := r.attrs(rt(t, "65000:100"), rt(t, "65000:200"))
	ad.ESILabel.Present = true
	r.announce(0, evpn.KeyOfAD(r.rd(1), es1, evpn.MaxTag), ad)
	k, a = r.mac(vni100, host(50), "", evpn.Mobility{})
	a.ESI = es1
	r.announce(0, k, a)
	n.SegmentUp(0, es1)
	n.learnMAC(0, evpn.LocalMAC{VNI: vni100, MAC: host(60), IP: addr("192.0.2.60"), Port: 7})
	n.learnMAC(0, evpn.LocalMAC{VNI: vni200, MAC: host(61), Port: 8, ESI: es1})
	n.AddPrefix(evpn.LocalPrefix{VRF: red, Prefix: prefix("203.0.113.0/24")})
	n.flush(0)
	return n
}

func busyConfig(t testing.TB) evpn.Config {
	c := leafConfig(t, 1)
	c.Segments = []evpn.EthernetSegment{{ESI: es1, VNIs: []table.VNI{vni100, vni200}}}
	return c
}

// TestConfigureSame: the same configuration again changes nothing.
func TestConfigureSame(t *testing.T) {
	n := busy(t)
	n.configure(1, busyConfig(t))
	if c := n.flush(1); !c.Empty() {
		t.Errorf("changes %+v", c)
	}
}

// TestConfigureBD: a bridge domain goes and comes back: its tables empty, its
// routes are withdrawn, others stay; then the peers' routes are there again
// without being announced again.
func TestConfigureBD(t *testing.T) {
	n := busy(t)
	macs, floods, prefixes := maps.Clone(n.macs), maps.Clone(n.floods), maps.Clone(n.prefixes)
	groups := maps.Clone(n.groups)
	c := busyConfig(t)
	c.BDs = c.BDs[1:]
	c.Segments[0].VNIs = []table.VNI{vni200}
	n.configure(1, c)
	n.flush(1)
	for k := range n.macs {
		if k.vni == vni100 {
			t.Errorf("MAC %v is still there", k)
		}
	}
	if len(n.macs) != 5 || len(n.floods) > 0 || len(n.neighbours) > 0 {
		t.Errorf("macs %v, floods %v, neighbours %v", n.macs, n.floods, n.neighbours)
	}
	if len(n.prefixes) != 6 { // host routes do not need the bridge domain
		t.Errorf("prefixes %v", n.prefixes)
	}
	if _, ok := n.mobilityOf(vni100, host(60)); ok || len(n.evictions) != 1 || n.evictions[0].Reason != evpn.EvictConfig {
		t.Errorf("evictions %v", n.evictions)
	}
	if _, ok := n.mobilityOf(vni200, host(61)); !ok {
		t.Error("a MAC of the other bridge domain is withdrawn")
	}
	if v := n.Learn(1, evpn.LocalMAC{VNI: vni100, MAC: host(60)}); v != evpn.Invalid {
		t.Errorf("Learn = %v", v)
	}
	n.configure(2, busyConfig(t))
	n.flush(2)
	if !maps.EqualFunc(n.macs, macs, func(a, b evpn.MACChange) bool { return a == b }) {
		t.Errorf("macs %v, want %v", n.macs, macs)
	}
	if len(n.floods[vni100]) != len(floods[vni100]) || len(n.prefixes) != len(prefixes) || len(n.groups) != len(groups) {
		t.Errorf("floods %v, prefixes %v, groups %v", n.floods, n.prefixes, n.groups)
	}
}

// TestConfigureAnnouncements: what is announced follows RDs, route targets,
// VNIs of the VRF and the VTEP; what does not differ is not announced again.
func TestConfigureAnnouncements(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(c *evpn.Config)
		old  int // routes withdrawn
		new  int // routes announced
	}{
		{"export of VNI 100", func(c *evpn.Config) { c.BDs[0].Export = []evpn.RT{rt(t, "65000:101")} },
			0, 5}, // type 3, two of type 2, type 1 per EVI and per segment
		{"RD of VNI 100", func(c *evpn.Config) { c.BDs[0].RD = evpn.NewRD(vtep(1), 999) },
			4, 4}, // type 3, two of type 2, type 1 per EVI
		{"L3VNI", func(c *evpn.Config) { c.VRFs[0].VNI = 6000 }, 0, 2}, // type 2 with IP, type 5
		{"asymmetric", func(c *evpn.Config) { c.BDs[0].Asymmetric = true }, 0, 1},
		{"VTEP", func(c *evpn.Config) { c.VTEP = vtep(99) }, 3, 10}, // 3 keys hold it
		{"no VRF", func(c *evpn.Config) { c.VRFs, c.BDs[0].VRF, c.BDs[1].VRF = nil, 0, 0 }, 1, 1},
		{"segment in one VNI", func(c *evpn.Config) { c.Segments[0].VNIs = []table.VNI{vni100} }, 1, 1},
		{"no segment", func(c *evpn.Config) { c.Segments = nil }, 5, 0},
	} {
		n := busy(t)
		c := busyConfig(t)
		tt.do(&c)
		n.configure(1, c)
		ch := n.flush(1)
		old, fresh := 0, 0
		for _, r := range ch.Routes {
			if r.Withdraw {
				old++
			} else {
				fresh++
			}
		}
		if old != tt.old || fresh != tt.new {
			t.Errorf("%s: %d withdrawn, %d announced; want %d, %d: %v", tt.name, old, fresh, tt.old, tt.new, ch.Routes)
		}
	}
}

// TestConfigureVRF: a VRF goes with its prefixes, and comes back with those of
// peers.
func TestConfigureVRF(t *testing.T) {
	n := busy(t)
	want := len(n.prefixes)
	c := busyConfig(t)
	c.VRFs, c.BDs[0].VRF, c.BDs[1].VRF = nil, 0, 0
	n.configure(1, c)
	if n.flush(1); len(n.prefixes) > 0 {
		t.Errorf("prefixes %v", n.prefixes)
	}
	n.configure(2, busyConfig(t))
	if n.flush(2); len(n.prefixes) != want {
		t.Errorf("%d prefixes, want %d", len(n.prefixes), want)
	}
}

// TestConfigureTag: with another tag a bridge domain takes other routes.
func TestConfigureTag(t *testing.T) {
	c := leafConfig(t, 1)
	n := newNode(t, 1, c)
	r := remoteOf(n, 2)
	r.announceMAC(0, vni100, host(1), "", evpn.Mobility{})
	k, a := r.mac(vni100, host(2), "", evpn.Mobility{})
	k.Tag = 7
	r.announce(0, k, a)
	n.flush(0)
	c.BDs[0].Tag = 7
	n.configure(1, c)
	n.flush(1)
	if _, ok := n.macs[macKey{vni100, host(2)}]; !ok || len(n.macs) != 1 {
		t.Errorf("macs %v, want that of tag 7", n.macs)
	}
}
