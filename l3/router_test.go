package l3_test

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l3"
)

func dropped(r counter.Reason) l3.Decision { return l3.Decision{Action: l3.Drop, Reason: r} }

func TestRoute(t *testing.T) {
	host2, host6 := neighbour(t, "10.1.2.2", 0x02aa), neighbour(t, "fd00:2::2", 0x02bb)
	silent := neighbour(t, "10.1.2.3", 0)
	routes := map[netip.Prefix]*l3.Route{
		pfx("10.1.2.0/24"):   {Kind: l3.Connected, VNI: vni2},
		pfx("10.1.2.2/32"):   to(host2),
		pfx("fd00:2::2/128"): to(host6),
		pfx("10.2.0.0/16"):   leaf(7),
		pfx("10.3.0.0/16"):   {Kind: l3.Blackhole},
		pfx("10.4.0.0/16"):   to(silent),
		pfx("10.5.0.0/16"):   to(silent, host2),
		pfx("10.99.0.1/32"):  {Kind: l3.Local},
	}
	own := l3.Decision{Action: l3.Punt, Cause: l3.ForGateway, Reason: counter.GatewayBusy}
	atHost := l3.Decision{Action: l3.Host, VNI: vni2, MAC: 0x02aa}
	in := gateway(t)
	with := func(f *pkt.Frame, change func(b []byte)) *pkt.Frame {
		change(f.Head)
		wire.Parse(f)
		return f
	}
	for _, tt := range []struct {
		name string
		f    *pkt.Frame
		urpf l3.URPF
		l3   bool // it came by the L3VNI
		want l3.Decision
	}{
		{name: "to a host", f: udp(t, "10.1.1.5", "10.1.2.2", 64), want: atHost},
		{name: "to a host, IPv6", f: udp(t, "fd00:1::5", "fd00:2::2", 64), want: l3.Decision{Action: l3.Host, VNI: vni2, MAC: 0x02bb}},
		{name: "to a leaf", f: udp(t, "10.1.1.5", "10.2.3.4", 64), want: l3.Decision{Action: l3.Leaf, VNI: vni9, VTEP: 7, MAC: 0x025b0aff0007}},
		{name: "from a leaf", f: udp(t, "10.2.0.1", "10.1.2.2", 64), l3: true, want: atHost},
		{name: "the last hop but one", f: udp(t, "10.1.1.5", "10.1.2.2", 2), want: atHost},
		{name: "a resolved path is preferred", f: udp(t, "10.1.1.5", "10.5.0.1", 64), want: atHost},

		{name: "to the gateway", f: udp(t, "10.1.1.5", "10.1.1.1", 1), want: l3.Decision{Action: l3.Punt, Cause: l3.ForGateway, Reason: counter.GatewayBusy}},
		{name: "to its link-local address", f: udp(t, "fe80::5", in.LinkLocal.String(), 64), want: l3.Decision{Action: l3.Punt, Cause: l3.ForGateway, Reason: counter.GatewayBusy}},
		{name: "from a link-local address", f: udp(t, "fe80::5", "fd00:1::1", 64), want: l3.Decision{Action: l3.Punt, Cause: l3.ForGateway, Reason: counter.GatewayBusy}},
		{name: "to the leaf's loopback", f: udp(t, "10.1.1.5", "10.99.0.1", 1), want: own},
		{name: "to it from a leaf", f: udp(t, "10.2.0.1", "10.99.0.1", 1), l3: true, want: own},
		{name: "to it, spoofed", f: udp(t, "10.2.0.1", "10.99.0.1", 64), want: dropped(counter.RouteSpoofed)},
		{name: "to it, of nowhere, from a leaf", f: udp(t, "192.0.2.1", "10.99.0.1", 64), l3: true, want: dropped(counter.RouteSpoofed)},
		{name: "TTL 1", f: udp(t, "10.1.1.5", "10.1.2.2", 1), want: l3.Decision{Action: l3.Punt, Cause: l3.Expired, Reason: counter.RouteTTLExceeded}},
		{name: "hop limit 0", f: udp(t, "fd00:1::5", "fd00:2::2", 0), want: l3.Decision{Action: l3.Punt, Cause: l3.Expired, Reason: counter.RouteTTLExceeded}},
		{name: "nowhere", f: udp(t, "10.1.1.5", "192.0.2.1", 64), want: l3.Decision{Action: l3.Punt, Cause: l3.NoRoute, Reason: counter.RouteNone}},
		{name: "not known yet", f: udp(t, "10.1.1.5", "10.1.2.9", 64),
			want: l3.Decision{Action: l3.Punt, Cause: l3.Unresolved, Reason: counter.NeighbourUnresolved, VNI: vni2, Next: addr("10.1.2.9")}},
		{name: "by a silent next hop", f: udp(t, "10.1.1.5", "10.4.0.1", 64),
			want: l3.Decision{Action: l3.Punt, Cause: l3.Unresolved, Reason: counter.NeighbourUnresolved, VNI: vni2, Next: addr("10.1.2.3")}},

		{name: "blackhole", f: udp(t, "10.1.1.5", "10.3.0.1", 64), want: dropped(counter.RouteBlackhole)},
		{name: "directed broadcast", f: udp(t, "10.1.1.5", "10.1.1.255", 64), want: dropped(counter.RouteBlackhole)},
		{name: "network address", f: udp(t, "10.1.1.5", "10.1.1.0", 64), want: dropped(counter.RouteBlackhole)},
		{name: "header checksum", f: with(udp(t, "10.1.1.5", "10.1.2.2", 64), func(b []byte) { b[24] ^= 1 }), want: dropped(counter.RouteBadHeader)},
		{name: "ARP", f: build(t, gwMAC, hostMAC, layers.EthernetTypeARP, gopacket.Payload(make([]byte, 50))), want: dropped(counter.RouteNotIP)},
		{name: "a tag inside", f: with(udp(t, "10.1.1.5", "10.1.2.2", 64), func(b []byte) { b[12], b[13] = 0x81, 0 }), want: dropped(counter.RouteNotIP)},
		{name: "to multicast", f: udp(t, "10.1.1.5", "239.1.1.1", 64), want: dropped(counter.RouteBadDest)},
		{name: "to broadcast", f: udp(t, "10.1.1.5", "255.255.255.255", 64), want: dropped(counter.RouteBadDest)},
		{name: "to loopback", f: udp(t, "10.1.1.5", "127.0.0.1", 64), want: dropped(counter.RouteBadDest)},
		{name: "to a link", f: udp(t, "10.1.1.5", "169.254.1.1", 64), want: dropped(counter.RouteBadDest)},
		{name: "to multicast, IPv6", f: udp(t, "fd00:1::5", "ff0e::1", 64), want: dropped(counter.RouteBadDest)},
		{name: "to another's link-local address", f: udp(t, "fe80::5", "fe80::6", 64), want: dropped(counter.RouteBadDest)},
		{name: "from multicast", f: udp(t, "224.1.1.1", "10.1.2.2", 64), want: dropped(counter.RouteBadSource)},
		{name: "from loopback", f: udp(t, "127.0.0.1", "10.1.2.2", 64), want: dropped(counter.RouteBadSource)},
		{name: "from nobody", f: udp(t, "0.0.0.0", "10.1.2.2", 64), want: dropped(counter.RouteBadSource)},
		{name: "from ::1", f: udp(t, "::1", "fd00:2::2", 64), want: dropped(counter.RouteBadSource)},
		{name: "a link-local source beyond the link", f: udp(t, "fe80::5", "fd00:2::2", 64), want: dropped(counter.RouteBadSource)},

		{name: "a source of elsewhere", f: udp(t, "10.2.0.1", "10.1.2.2", 64), want: dropped(counter.RouteSpoofed)},
		{name: "a source of elsewhere, loose", f: udp(t, "10.2.0.1", "10.1.2.2", 64), urpf: l3.Loose, want: atHost},
		{name: "a source of nowhere, loose", f: udp(t, "192.0.2.1", "10.1.2.2", 64), urpf: l3.Loose, want: dropped(counter.RouteSpoofed)},
		{name: "a blackholed source, loose", f: udp(t, "10.3.0.1", "10.1.2.2", 64), urpf: l3.Loose, want: dropped(counter.RouteSpoofed)},
		{name: "a source of nowhere, off", f: udp(t, "192.0.2.1", "10.1.2.2", 64), urpf: l3.Off, want: atHost},
		{name: "from a leaf, of nowhere", f: udp(t, "192.0.2.1", "10.1.2.2", 64), l3: true, want: dropped(counter.RouteSpoofed)},
		{name: "from another leaf's gateway", f: udp(t, "10.1.1.1", "10.1.2.2", 64), l3: true, want: atHost},
		{name: "as the gateway, strict", f: udp(t, "10.1.1.1", "10.1.2.2", 64), want: dropped(counter.RouteSpoofed)},
		{name: "as the gateway", f: udp(t, "10.1.1.1", "10.1.2.2", 64), urpf: l3.Loose, want: dropped(counter.RouteSpoofed)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r l3.Router
			from := in
			if tt.l3 {
				from = nil
			}
			before := bytes.Clone(tt.f.Head)
			if got := r.Route(vrf(t, tt.urpf, routes), from, tt.f); got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if !bytes.Equal(before, tt.f.Head) {
				t.Error("Route changed the frame")
			}
		})
	}
}

// TestStrictByRoute: a subnet behind a router of the bridge domain is a true
// source there, and in no other bridge domain.
func TestStrictByRoute(t *testing.T) {
	n := l3.NewNeighbours()
	n.SetLink(l3.LinkConfig{VNI: vni1, Prefixes: []netip.Prefix{pfx("10.1.1.0/24")}, Held: []netip.Addr{addr("10.1.1.9")}}, 1)
	v := vrf(t, l3.Strict, map[netip.Prefix]*l3.Route{
		pfx("172.16.0.0/16"): to(n.Host(vni1, addr("10.1.1.9"))), pfx("10.2.0.0/16"): leaf(7), pfx("172.17.0.0/16"): to(neighbour(t, "10.1.2.2", 0x02aa)),
	})
	var r l3.Router
	in := gateway(t)
	if got := r.Route(v, in, udp(t, "172.16.5.5", "10.2.0.1", 64)); got.Action != l3.Leaf {
		t.Errorf("a source behind a router: %+v", got)
	}
	if got := r.Route(v, in, udp(t, "172.17.5.5", "10.2.0.1", 64)); got != dropped(counter.RouteSpoofed) {
		t.Errorf("a source behind a router of another bridge domain: %+v", got)
	}
}

// TestSeparate: two VRFs with the same prefixes lead to different hosts, through
// one worker's cache.
func TestSeparate(t *testing.T) {
	a := vrf(t, l3.Strict, map[netip.Prefix]*l3.Route{pfx("10.1.2.2/32"): to(neighbour(t, "10.1.2.2", 0x02aa))})
	b := vrf(t, l3.Strict, map[netip.Prefix]*l3.Route{pfx("10.1.2.2/32"): to(neighbour(t, "10.1.2.2", 0x02bb))})
	empty := vrf(t, l3.Strict, nil)
	var r l3.Router
	f := udp(t, "10.1.1.5", "10.1.2.2", 64)
	for range 3 {
		if d := r.Route(a, gateway(t), f); d.MAC != 0x02aa {
			t.Fatalf("VRF a: %+v", d)
		}
		if d := r.Route(b, gateway(t), f); d.MAC != 0x02bb {
			t.Fatalf("VRF b: %+v", d)
		}
		if d := r.Route(empty, gateway(t), f); d.Cause != l3.NoRoute {
			t.Fatalf("an empty VRF: %+v", d)
		}
	}
}

// TestECMP: flows spread over all paths, and each stays on its own.
func TestECMP(t *testing.T) {
	v := vrf(t, l3.Strict, map[netip.Prefix]*l3.Route{pfx("10.2.0.0/16"): leaf(1, 2, 3)})
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	var r l3.Router
	in := gateway(t)
	count := map[table.VTEPID]int{}
	f := udp(t, "10.1.1.5", "10.2.0.1", 64)
	for range 3000 {
		f.Hash = max(rnd.Uint32(), 1)
		d := r.Route(v, in, f)
		count[d.VTEP]++
		if again := r.Route(v, in, f); again != d {
			t.Fatalf("seed %d: a flow went to %d, then to %d", seed, d.VTEP, again.VTEP)
		}
	}
	for id := table.VTEPID(1); id <= 3; id++ {
		if count[id] < 800 || count[id] > 1200 { // 1000 expected, deviation 26
			t.Errorf("seed %d: path %d has %d of 3000 flows", seed, id, count[id])
		}
	}
}

func TestRewrite(t *testing.T) {
	for _, f := range []*pkt.Frame{udp(t, "10.1.1.5", "10.1.2.2", 64), udp(t, "fd00:1::5", "fd00:2::2", 64)} {
		l3.Rewrite(f, 0x02aa, 0x02bb)
		p := gopacket.NewPacket(f.Head, layers.LayerTypeEthernet, gopacket.Default)
		e := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
		if e.DstMAC.String() != "00:00:00:00:02:aa" || e.SrcMAC.String() != "00:00:00:00:02:bb" {
			t.Errorf("MACs %v, %v", e.DstMAC, e.SrcMAC)
		}
		if ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok && (ip.TTL != 63 || wire.IPv4(f.Head[14:]).HeaderSum() != 0xffff) {
			t.Errorf("TTL %d, checksum %v", ip.TTL, wire.IPv4(f.Head[14:]).HeaderSum() == 0xffff)
		}
		if ip, ok := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6); ok && ip.HopLimit != 63 {
			t.Errorf("hop limit %d", ip.HopLimit)
		}
	}
}

func TestNoAllocs(t *testing.T) {
	v := vrf(t, l3.Strict, map[netip.Prefix]*l3.Route{
		pfx("10.2.0.0/16"): leaf(1, 2, 3), pfx("10.1.2.2/32"): to(neighbour(t, "10.1.2.2", 0x02aa)), pfx("10.1.2.0/24"): {Kind: l3.Connected, VNI: vni2},
	})
	in := gateway(t)
	var r l3.Router
	frames := []*pkt.Frame{
		udp(t, "10.1.1.5", "10.2.0.1", 255), udp(t, "10.1.1.5", "10.1.2.2", 255), udp(t, "10.1.1.5", "10.1.2.3", 255),
		udp(t, "10.1.1.5", "10.1.1.1", 255), udp(t, "10.9.9.9", "10.1.2.2", 255), udp(t, "fd00:1::5", "fd00:9::1", 255), udp(t, "10.1.1.5", "10.2.0.1", 1),
	}
	r.Route(v, in, frames[0])
	n := testing.AllocsPerRun(100, func() {
		for _, f := range frames {
			r.Route(v, in, f)
			in.Inspect(f)
		}
		l3.Rewrite(frames[5], 1, 2)
	})
	if n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkRoute(b *testing.B) {
	v := vrf(b, l3.Strict, map[netip.Prefix]*l3.Route{pfx("10.2.0.0/16"): leaf(1, 2, 3)})
	in, f := gateway(b), udp(b, "10.1.1.5", "10.2.0.1", 255)
	var r l3.Router
	b.ReportAllocs()
	for b.Loop() {
		r.Route(v, in, f)
	}
}

// FuzzRoute: no frame to the gateway makes routing, answering or rewriting go
// beyond it.
func FuzzRoute(f *testing.F) {
	f.Add(udp(f, "10.1.1.5", "10.1.2.2", 64).Head)
	f.Add(udp(f, "fd00:1::5", "fd00:2::2", 64).Head)
	f.Add(arp(f, 1, "10.1.1.5", "10.1.1.1").Head)
	f.Add(solicit(f, "fd00:1::5", "fd00:1::1", net.HardwareAddr{2, 0, 0, 0, 0, 1}).Head)
	f.Add(echo(f, "10.1.1.5", "10.1.1.1").Head)
	f.Add(echo(f, "fd00:1::5", "fd00:1::1").Head)
	v := vrf(f, l3.Loose, map[netip.Prefix]*l3.Route{pfx("0.0.0.0/0"): leaf(1), pfx("::/0"): leaf(1)})
	in := gateway(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		fr := &pkt.Frame{}
		fr.Reset(b)
		wire.Parse(fr)
		var r l3.Router
		dst := make([]byte, max(l3.MaxAnswer, len(b)))
		for _, i := range []*l3.Interface{in, nil} {
			switch d := r.Route(v, i, fr); {
			case d.Action == l3.Leaf:
				l3.Rewrite(fr, d.MAC, 1)
			case d.Action == l3.Punt:
				l3.Fault(dst, fr, d.Cause, 1358, addr("10.1.1.1"))
			case d.Reason == counter.None:
				t.Errorf("dropped without a reason: %+v", d)
			}
		}
		in.Inspect(fr)
		in.Sender(fr)
		if n := in.Answer(dst, fr); n > 0 {
			a := &pkt.Frame{}
			a.Reset(dst[:n])
			if wire.Parse(a) != counter.None || a.L3Off == 0 {
				t.Errorf("the answer is no packet: %x", dst[:n])
			}
		}
	})
}
