package overlay_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// follower collects what a node is told of addresses.
type follower struct {
	has  map[netip.Addr]table.MAC
	held []string
}

func (f *follower) Remote(list []evpn.NeighbourChange) {
	for _, c := range list {
		if c.Remove {
			delete(f.has, c.IP)
		} else {
			f.has[c.IP] = c.MAC
		}
	}
}

func (f *follower) Hold(_ table.VNI, ip netip.Addr, on bool) {
	f.held = append(f.held, fmt.Sprintf("%v %v", ip, on))
}

// follow has a node of r follow addresses.
func (r *rig) follow(i int) *follower {
	f := &follower{has: map[netip.Addr]table.MAC{}}
	r.node(i).overlay.SetNeighbours(f)
	return f
}

// TestBind: an address of a local MAC is announced, and withdrawn alone or with its
// MAC; the others follow.
func TestBind(t *testing.T) {
	r := newRig(t, 2)
	f := r.follow(2)
	ip4, ip6 := netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("fd00:1::1")
	r.see(1, 1, local(1))
	for _, ip := range []netip.Addr{ip4, ip6} {
		if !r.node(1).overlay.Bind(red, mac(1), ip, circuit, ip == ip6) {
			t.Errorf("%v is not taken", ip)
		}
	}
	r.settle()
	if f.has[ip4] != mac(1) || f.has[ip6] != mac(1) {
		t.Errorf("node 2 has %v", f.has)
	}
	var seen []evpn.NeighbourChange
	r.node(2).overlay.EachNeighbour(red, func(c evpn.NeighbourChange) { seen = append(seen, c) })
	want := []evpn.NeighbourChange{
		{VNI: red, IP: ip4, MAC: mac(1)},
		{VNI: red, IP: ip6, MAC: mac(1), Bits: evpn.NeighbourOverride | evpn.NeighbourRouter},
	}
	if !slices.Equal(seen, want) {
		t.Errorf("it lists %+v, want %+v", seen, want)
	}
	r.node(1).overlay.Unbind(red, mac(1), ip4)
	r.settle()
	if _, ok := f.has[ip4]; ok || f.has[ip6] != mac(1) {
		t.Errorf("one withdrawn: node 2 has %v", f.has)
	}
	r.expect("one withdrawn", 2, 1, handle(1))
	r.clock.now += 1000e9
	r.node(1).Age(l2.Seconds(r.clock.now))
	r.settle()
	if len(f.has) != 0 {
		t.Errorf("its MAC aged: node 2 has %v", f.has)
	}
	if r.node(1).overlay.Bind(7, mac(1), ip4, circuit, false) {
		t.Error("an address of no bridge domain is taken")
	}
	r.see(2, 2, local(1))
	r.settle()
	if r.node(1).overlay.Bind(red, mac(2), ip4, circuit, false) {
		t.Error("an address is taken whose MAC is elsewhere")
	}
	r.settle()
	r.expect("an address does not move its MAC", 1, 2, handle(2))
}

// TestBindBeside: the gateway of a bridge domain and its proxy have the same address:
// it is announced until both have lost it.
func TestBindBeside(t *testing.T) {
	for _, first := range []string{"gateway", "proxy"} {
		r := newRig(t, 2)
		f := r.follow(2)
		ip := netip.MustParseAddr("fd00:1::1")
		o := r.node(1).overlay
		r.see(1, 1, local(1))
		o.Bind(red, mac(1), ip, circuit, true)
		o.Host(red, ip, mac(1))
		lose := map[string]func(){"gateway": func() { o.HostGone(red, ip) }, "proxy": func() { o.Unbind(red, mac(1), ip) }}
		r.settle()
		r.node(2).overlay.EachNeighbour(red, func(c evpn.NeighbourChange) {
			if c.Bits&evpn.NeighbourRouter == 0 {
				t.Errorf("announced with %x: not as a router", c.Bits)
			}
		})
		lose[first]()
		delete(lose, first)
		r.settle()
		if f.has[ip] != mac(1) {
			t.Errorf("the %s lost it, and it is withdrawn", first)
		}
		for _, l := range lose {
			l()
		}
		r.settle()
		if len(f.has) != 0 {
			t.Errorf("both lost it, the %s first, and node 2 has %v", first, f.has)
		}
	}
}

// TestDuplicateAddress: two hosts use one address. Whoever follows is told to hold it,
// and that it ended, by command.
func TestDuplicateAddress(t *testing.T) {
	r := newRig(t, 3)
	f := r.follow(3)
	ip := netip.MustParseAddr("10.1.0.9")
	r.see(1, 1, local(1))
	r.see(2, 2, local(1))
	for k := range 6 {
		i := 1 + k%2
		r.node(i).overlay.Bind(red, mac(i), ip, circuit, false)
		r.settle()
		r.node(3-i).overlay.Unbind(red, mac(3-i), ip)
		r.settle()
	}
	if !slices.Equal(f.held, []string{"10.1.0.9 true"}) {
		t.Fatalf("node 3 is told to hold %v", f.held)
	}
	o := r.node(3).overlay
	if d := o.DuplicateAddresses(); len(d) != 1 || d[0].IP != ip || o.Counts().DuplicateIPs != 1 {
		t.Errorf("%+v, %+v", d, o.Counts())
	}
	m := o.Moves()
	if e := m[len(m)-1]; e.Kind != evpn.EventDuplicateIP || e.IP != ip {
		t.Errorf("the history ends with %+v", e)
	}
	if _, ok := f.has[ip]; ok {
		t.Error("node 3 is told who has it")
	}
	if !o.ReleaseAddress(red, ip) || o.ReleaseAddress(red, ip) {
		t.Error("it is not released once")
	}
	r.settle()
	if !slices.Equal(f.held, []string{"10.1.0.9 true", "10.1.0.9 false"}) || f.has[ip] == 0 {
		t.Errorf("after its release node 3 is told %v, and has %v", f.held, f.has)
	}
}
