package evpn_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

func imet(t *testing.T, r remote, vni table.VNI) (evpn.Key, evpn.Attrs) {
	a := r.attrs(rt(t, "65000:100"))
	a.PMSI = evpn.PMSI{Present: true, Type: evpn.PMSIIngressReplication, VNI: vni, Endpoint: vtep(r.i)}
	return evpn.KeyOfMulticast(r.rd(vni100), 0, vtep(r.i)), a
}

// TestMulticastRoute: RFC 7432 section 11 and RFC 8365 section 9: "Each PE MUST
// advertise an Inclusive Multicast Ethernet Tag route".
func TestMulticastRoute(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	n.flush(0)
	a, ok := n.announced[evpn.KeyOfMulticast(evpn.NewRD(vtep(1), 100), 0, vtep(1))]
	want := evpn.PMSI{Present: true, Type: 6, VNI: vni100, Endpoint: vtep(1)}
	if !ok || a.PMSI != want || a.NextHop != vtep(1) || a.Encaps != evpn.EncapVXLAN ||
		!slices.Equal(a.RTs, []evpn.RT{rt(t, "65000:100")}) {
		t.Errorf("announced %+v (%v)", a, ok)
	}
}

// TestFloodList: type 3 routes make the list; each VTEP once, with the VNI that
// it asked for.
func TestFloodList(t *testing.T) {
	n := newNode(t, 1, leafConfig(t, 1))
	two, three := remoteOf(n, 2), remoteOf(n, 3)
	k3, a3 := imet(t, three, vni100)
	three.announce(0, k3, a3)
	k2, a2 := imet(t, two, 777) // downstream-assigned
	two.announce(0, k2, a2)
	n.flush(0)
	want := []evpn.Target{{VTEP: vtep(2), VNI: 777}, {VTEP: vtep(3), VNI: vni100}}
	if !slices.Equal(n.floods[vni100], want) || len(n.floods[vni200]) > 0 {
		t.Errorf("lists %v, want %v for VNI 100", n.floods, want)
	}
	// The same node by another RD is still one node.
	other := k2
	other.RD = evpn.NewRD(vtep(2), 999)
	two.announce(0, other, a2)
	if c := n.flush(0); len(c.Floods) > 0 {
		t.Errorf("changes %v", c.Floods)
	}
	two.withdraw(0, k2)
	if c := n.flush(0); len(c.Floods) > 0 {
		t.Errorf("changes %v", c.Floods)
	}
	two.withdraw(0, other)
	three.withdraw(0, k3)
	n.flush(0)
	if len(n.floods) > 0 {
		t.Errorf("lists %v", n.floods)
	}
	// Within one batch there and gone is nothing.
	three.announce(0, k3, a3)
	three.withdraw(0, k3)
	if c := n.flush(0); !c.Empty() {
		t.Errorf("changes %+v", c)
	}
	// Without endpoint the next hop is it (RFC 7432 section 11.2).
	a3.PMSI.Endpoint = netip.Addr{}
	three.announce(0, k3, a3)
	n.flush(0)
	if got := n.floods[vni100]; !slices.Equal(got, targets(vni100, 3)) {
		t.Errorf("list %v", got)
	}
}

// TestImport: route targets, and the wildcard by which leaves of different AS
// numbers share a VNI.
func TestImport(t *testing.T) {
	c := leafConfig(t, 1)
	c.BDs[1].Import = []evpn.Import{evpn.AnyAS(vni200), evpn.Exact(rt(t, "65000:777"))}
	n := newNode(t, 1, c)
	r := remoteOf(n, 2)
	auto, _ := evpn.AutoRT(65009, vni200)
	for i, tt := range []struct {
		rts  []evpn.RT
		want []table.VNI
	}{
		{[]evpn.RT{rt(t, "65000:100")}, []table.VNI{vni100}},
		{[]evpn.RT{rt(t, "65009:100")}, nil},
		{[]evpn.RT{rt(t, "65009:200")}, []table.VNI{vni200}},
		{[]evpn.RT{auto}, []table.VNI{vni200}},
		{[]evpn.RT{rt(t, "65000:777")}, []table.VNI{vni200}},
		{[]evpn.RT{rt(t, "65000:100"), rt(t, "65009:200"), rt(t, "65000:777")}, []table.VNI{vni100, vni200}},
		{[]evpn.RT{rt(t, "65000:1")}, nil},
	} {
		a := r.attrs(tt.rts...)
		a.Label1 = vni100
		k := evpn.KeyOfMAC(r.rd(vni100), 0, host(i), netip.Addr{})
		r.announce(0, k, a)
		n.flush(0)
		var got []table.VNI
		for _, vni := range []table.VNI{vni100, vni200} {
			if _, ok := n.macs[macKey{vni, host(i)}]; ok {
				got = append(got, vni)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%v: imported by %v, want %v", tt.rts, got, tt.want)
		}
		if known := n.Lookup(k); len(known) != 1 || !slices.Equal(known[0].BDs, tt.want) || !known[0].Best {
			t.Errorf("%v: Lookup %+v", tt.rts, known)
		}
	}
	// A route may change its targets.
	a := r.attrs(rt(t, "65009:200"))
	a.Label1 = vni200
	r.announce(0, evpn.KeyOfMAC(r.rd(vni100), 0, host(0), netip.Addr{}), a)
	n.flush(0)
	if _, ok := n.macs[macKey{vni100, host(0)}]; ok {
		t.Error("still in VNI 100")
	}
	if _, ok := n.macs[macKey{vni200, host(0)}]; !ok {
		t.Error("not in VNI 200")
	}
}

// TestEthernetTag: RFC 8365 section 5.1.3: the tag tells the bridge tables of a
// VLAN-aware bundle apart, which share route targets.
func TestEthernetTag(t *testing.T) {
	c := leafConfig(t, 1)
	shared := rt(t, "65000:1")
	for i := range c.BDs {
		c.BDs[i].Tag = uint32(c.BDs[i].VNI)
		c.BDs[i].Import, c.BDs[i].Export = []evpn.Import{evpn.Exact(shared)}, []evpn.RT{shared}
	}
	n := newNode(t, 1, c)
	r := remoteOf(n, 2)
	a := r.attrs(shared)
	a.Label1 = vni200
	r.announce(0, evpn.KeyOfMAC(r.rd(1), 200, host(1), netip.Addr{}), a)
	a.PMSI = evpn.PMSI{Present: true, Type: 6, VNI: vni200}
	r.announce(0, evpn.KeyOfMulticast(r.rd(1), 200, vtep(2)), a)
	n.flush(0)
	if len(n.macs) != 1 || len(n.floods) != 1 || len(n.floods[vni200]) != 1 {
		t.Errorf("macs %v, floods %v; want those of VNI 200", n.macs, n.floods)
	}
	if _, ok := n.announced[evpn.KeyOfMulticast(evpn.NewRD(vtep(1), 200), 200, vtep(1))]; !ok {
		t.Errorf("announced %v", n.announced)
	}
}

// TestInterest: RFC 4684: what a node asks for.
func TestInterest(t *testing.T) {
	c := leafConfig(t, 1)
	c.Segments = []evpn.EthernetSegment{{ESI: es1, VNIs: []table.VNI{vni100}}}
	n := newNode(t, 1, c)
	first := n.flush(0).Interest
	esImport := evpn.RT{6, 2, 2, 0, 0, 0, 3, 0x84} // of host(900)
	want := []evpn.RT{rt(t, "65000:100"), rt(t, "65000:200"), rt(t, "65000:5000"), esImport}
	if first == nil || first.All || !slices.Equal(first.RTs, want) {
		t.Errorf("interest %v, want %v", first, want)
	}
	n.configure(0, c)
	if again := n.flush(0).Interest; again != nil {
		t.Errorf("unchanged, and published again: %v", again)
	}
	c.BDs[0].Import = append(c.BDs[0].Import, evpn.AnyAS(vni100))
	n.configure(0, c)
	if wild := n.flush(0).Interest; wild == nil || !wild.All {
		t.Errorf("with a wildcard: %v, want all", wild)
	}
	if got := n.Interest(); !got.All || !slices.Equal(got.RTs, want) {
		t.Errorf("Interest = %v", got)
	}
}
