package fabric_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l3"
)

// expectRouted compares got, which left in vni for host j, with the packet want
// that was sent, hops fewer to live.
func expectRouted(t *testing.T, got, want []byte, vni table.VNI, j int, hops uint8) {
	t.Helper()
	var gw [6]byte
	gatewayMAC(vni).Put(gw[:])
	w := bytes.Clone(want)
	wire.Ethernet(w).Put(mac(j), gw[:], wire.TypeIPv4)
	h := wire.IPv4(w[14:])
	w[14+8] -= hops
	h.UpdateChecksum()
	if !bytes.Equal(got, w) {
		t.Errorf("the packet changed:\n got %x\nwant %x", got, w)
	}
}

// TestRoutedLocally: between two subnets of a leaf.
func TestRoutedLocally(t *testing.T) {
	b := newBed(t, option{})
	newRoutedBed(b, option{}, false)
	b.introduce()
	frame := udpTo(red, hostAddr(red, 1), hostAddr(blue, 1), 64, 100)
	b.inject("leaf1", red, bytes.Clone(frame), pkt.Offload{})
	expectRouted(t, b.onlySent(b.nodes["leaf1"], blue).Frame, frame, blue, 1, 1)
	b.noDrops()
}

// TestRoutedAcross: symmetric IRB, protected with the L3VNI's keys; both leaves
// take a hop off.
func TestRoutedAcross(t *testing.T) {
	for name, o := range map[string]option{"standard": {}, "hidden": {hidden: true}, "unprotected": {unprotected: true}} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, o)
			leaves := newRoutedBed(b, o, false)
			b.introduce()
			frame := udpTo(red, hostAddr(red, 1), hostAddr(blue, 2), 64, 100)
			b.inject("leaf1", red, bytes.Clone(frame), pkt.Offload{})
			expectRouted(t, b.onlySent(b.nodes["leaf2"], blue).Frame, frame, blue, 2, 2)
			back := udpTo(blue, hostAddr(blue, 2), hostAddr(red, 1), 64, 100)
			b.inject("leaf2", blue, bytes.Clone(back), pkt.Offload{})
			expectRouted(t, b.onlySent(b.nodes["leaf1"], red).Frame, back, red, 1, 2)
			b.noDrops()
			if !o.unprotected {
				if n := leaves[1].secys[l3vni].Counters().OutPktsEncrypted; n != 1 {
					t.Errorf("%d frames of the L3VNI were protected, want 1", n)
				}
			}
			for _, d := range leaves[1].parts.Domains {
				if d.BD.VNI == l3vni && (d.BD.Count.TxTunnel.Frames.Load() != 1 || d.BD.Count.RxTunnel.Frames.Load() != 1) {
					t.Errorf("the L3VNI counts %d out, %d in, want 1 and 1", d.BD.Count.TxTunnel.Frames.Load(), d.BD.Count.RxTunnel.Frames.Load())
				}
			}
		})
	}
}

// TestRoutedSuperFrame: a super-frame stays one through both routers.
func TestRoutedSuperFrame(t *testing.T) {
	b := newBed(t, option{})
	newRoutedBed(b, option{}, false)
	b.introduce()
	payload := pattern(40*1460+99, 3)
	frame, off := routedTCP(1, 2, 1000, payload)
	b.inject("leaf1", red, frame, off)
	var got []byte
	sent := b.nodes["leaf2"].ports[blue].Sent()
	for _, s := range sent {
		got = append(got, s.Frame[54:]...)
		if ip := wire.IPv4(s.Frame[14:]); ip.TTL() != 62 || ip.HeaderSum() != 0xffff {
			t.Errorf("TTL %d, header sum %#x", ip.TTL(), ip.HeaderSum())
		}
	}
	if !bytes.Equal(got, payload) {
		t.Fatalf("payload of %d bytes arrived as %d bytes, or changed", len(payload), len(got))
	}
	if len(sent) > 3 || sent[0].Offload.GSOType != pkt.GSOTCPv4 || sent[0].Offload.GSOSize != 1460 {
		t.Errorf("left as %d frames, the first with offload %+v; want super-frames", len(sent), sent[0].Offload)
	}
	b.noDrops()
}

// TestRoutedOn: a leaf from which the host has moved sends on to where it is, a
// merged super-frame too.
func TestRoutedOn(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	moved := netip.PrefixFrom(hostAddr(blue, 3), 32)
	leaves[1].routes.Set(l3.OriginStatic, moved, leaves[1].via(2)) // leaf1 has not heard of it
	leaves[1].commit()
	payload := pattern(20*1460, 5)
	frame, off := routedTCP(1, 3, 1000, payload)
	b.inject("leaf1", red, frame, off)
	var got []byte
	for _, s := range b.nodes["leaf3"].ports[blue].Sent() {
		got = append(got, s.Frame[54:]...)
		if ttl := wire.IPv4(s.Frame[14:]).TTL(); ttl != 61 {
			t.Errorf("TTL %d, want 61", ttl)
		}
	}
	if !bytes.Equal(got, payload) {
		t.Errorf("payload of %d bytes arrived as %d bytes, or changed", len(payload), len(got))
	}
	b.noDrops()
}

// TestAsymmetric: without a host route a remote host is reached through its bridge
// domain, when its MAC is known.
func TestAsymmetric(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	a := hostAddr(blue, 2)
	l := leaves[1]
	l.hosts.SetLink(l3.LinkConfig{VNI: blue, Prefixes: l.ifaces[blue].Prefixes(), Statics: map[netip.Addr]table.MAC{a: table.MACFrom(mac(2))}}, b.now)
	l.routes.Delete(l3.OriginStatic, netip.PrefixFrom(a, 32))
	l.commit()
	frame := udpTo(red, hostAddr(red, 1), a, 64, 100)
	b.inject("leaf1", red, bytes.Clone(frame), pkt.Offload{})
	expectRouted(t, b.onlySent(b.nodes["leaf2"], blue).Frame, frame, blue, 2, 1)
	b.noDrops()
}

// TestAnswers: what the gateway says to hosts, and under what it counts their
// packets.
func TestAnswers(t *testing.T) {
	arp := make([]byte, 60)
	wire.Ethernet(arp).Put([]byte{255, 255, 255, 255, 255, 255}, mac(1), wire.TypeARP)
	wire.ARP(arp[14:]).Put(wire.ARPRequest, mac(1), wire.AddrFrom(hostAddr(red, 1)).Uint32(), make([]byte, 6), wire.AddrFrom(subnet(red)[0].Addr()).Uint32())
	echo := udpTo(red, hostAddr(red, 1), subnet(blue)[0].Addr(), 1, 56)
	echo[14+9] = wire.ProtoICMP
	wire.IPv4(echo[14:]).UpdateChecksum()
	echo[34] = wire.ICMPEcho
	echo[35] = 0
	wire.ICMP(echo[34:]).SetChecksum(0)
	noDF := udpTo(red, hostAddr(red, 1), hostAddr(blue, 2), 64, 1600)
	for _, tt := range []struct {
		name  string
		frame []byte
		drop  counter.Reason
		from  string // of the answer; empty: none
		typ   uint8  // of ICMP
		code  uint8
	}{
		{name: "ARP", frame: arp},
		{name: "echo", frame: echo, from: "10.2.0.254", typ: 0},
		{name: "TTL 1", frame: udpTo(red, hostAddr(red, 1), hostAddr(blue, 2), 1, 10), drop: counter.RouteTTLExceeded, from: "10.1.0.254", typ: 11},
		{name: "no route", frame: udpTo(red, hostAddr(red, 1), netip.MustParseAddr("192.0.2.1"), 64, 10), drop: counter.RouteNone, from: "10.1.0.254", typ: 3, code: 0},
		{name: "no port", frame: udpTo(red, hostAddr(red, 1), subnet(red)[0].Addr(), 64, 10), drop: counter.HostNoHandler, from: "10.1.0.254", typ: 3, code: 3},
		{name: "too big", frame: noDF, drop: counter.OversizedICMPSent, from: "10.1.0.254", typ: 3, code: 4},
		{name: "spoofed", frame: udpTo(red, netip.MustParseAddr("10.2.0.1"), hostAddr(blue, 2), 64, 10), drop: counter.RouteSpoofed},
		{name: "martian", frame: udpTo(red, netip.MustParseAddr("127.0.0.1"), hostAddr(blue, 2), 64, 10), drop: counter.RouteBadSource},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, option{})
			newRoutedBed(b, option{}, false)
			b.introduce()
			b.inject("leaf1", red, bytes.Clone(tt.frame), pkt.Offload{})
			n := b.nodes["leaf1"]
			if tt.drop == counter.None {
				b.noDrops()
			} else {
				b.expectDrop(n, tt.drop)
			}
			for _, leaf := range []string{"leaf2", "leaf3"} {
				for vni, p := range b.nodes[leaf].ports {
					if k := len(p.Sent()); k > 0 {
						t.Errorf("%s VNI %d got %d frames", leaf, vni, k)
					}
				}
			}
			if tt.name != "ARP" && tt.from == "" {
				if k := len(n.ports[red].Sent()); k != 0 {
					t.Errorf("%d answers, want none", k)
				}
				return
			}
			p := gopacket.NewPacket(b.onlySent(n, red).Frame, layers.LayerTypeEthernet, gopacket.Default)
			e := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
			if !bytes.Equal(e.DstMAC, mac(1)) || table.MACFrom(e.SrcMAC) != gatewayMAC(red) {
				t.Errorf("the answer goes from %v to %v", e.SrcMAC, e.DstMAC)
			}
			if tt.name == "ARP" {
				if a, ok := p.Layer(layers.LayerTypeARP).(*layers.ARP); !ok || a.Operation != 2 {
					t.Errorf("the answer is %v", p)
				}
				return
			}
			ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
			m, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
			if !ok || m.TypeCode != layers.CreateICMPv4TypeCode(tt.typ, tt.code) || ip.SrcIP.String() != tt.from || ip.DstIP.String() != "10.1.0.1" {
				t.Errorf("the answer is %v", p)
			}
		})
	}
}

// TestExpiresAtTheFarLeaf: what runs out at the far leaf is told of by the gateway
// there, through the L3VNI: traceroute shows both.
func TestExpiresAtTheFarLeaf(t *testing.T) {
	b := newBed(t, option{})
	newRoutedBed(b, option{}, false)
	b.introduce()
	b.inject("leaf1", red, udpTo(red, hostAddr(red, 1), hostAddr(blue, 2), 2, 10), pkt.Offload{})
	b.expectDrop(b.nodes["leaf2"], counter.RouteTTLExceeded)
	p := gopacket.NewPacket(b.onlySent(b.nodes["leaf1"], red).Frame, layers.LayerTypeEthernet, gopacket.Default)
	ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	m, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
	if !ok || m.TypeCode.Type() != 11 || ip.SrcIP.String() != "10.2.0.254" || ip.DstIP.String() != "10.1.0.1" {
		t.Errorf("the answer is %v", p)
	}
}

// TestResolve: a packet waits while its host is asked for, and goes when it
// answers; another is given up, and its sender told.
func TestResolve(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	l := leaves[1]
	l.hosts.SetLink(l3.LinkConfig{VNI: blue, Prefixes: l.ifaces[blue].Prefixes()}, b.now) // knows nobody
	l.commit()
	frame := udpTo(red, hostAddr(red, 1), hostAddr(blue, 1), 64, 100)
	b.inject("leaf1", red, bytes.Clone(frame), pkt.Offload{})
	if ev := l.work(); len(ev) != 1 || ev[0].Kind != l3.Wanted || ev[0].Addr != hostAddr(blue, 1) {
		t.Fatalf("control heard %+v", ev)
	}
	l.step()
	ask := b.onlySent(l.node, blue).Frame
	a := wire.ARP(ask[14:])
	if a.Op() != wire.ARPRequest || a.TargetIP() != wire.AddrFrom(hostAddr(blue, 1)).Uint32() || table.MACFrom(ask) != table.Broadcast {
		t.Fatalf("asked %x", ask)
	}
	for _, far := range []string{"leaf2", "leaf3"} {
		if s := b.nodes[far].ports[blue].Sent(); len(s) != 1 || !bytes.Equal(s[0].Frame, ask) {
			t.Errorf("%s: the other leaves' hosts are not asked: %d frames", far, len(s))
		}
	}
	reply := make([]byte, 60)
	wire.Ethernet(reply).Put(a.SenderMAC(), mac(1), wire.TypeARP)
	wire.ARP(reply[14:]).Put(wire.ARPReply, mac(1), wire.AddrFrom(hostAddr(blue, 1)).Uint32(), a.SenderMAC(), a.SenderIP())
	b.inject("leaf1", blue, reply, pkt.Offload{})
	if ev := l.work(); len(ev) != 1 || ev[0].Kind != l3.Seen {
		t.Fatalf("control heard %+v", ev)
	}
	b.now++
	l.step()
	expectRouted(t, b.onlySent(l.node, blue).Frame, frame, blue, 1, 1)
	b.noDrops()

	b.inject("leaf1", red, udpTo(red, hostAddr(red, 1), netip.MustParseAddr("10.2.0.77"), 64, 100), pkt.Offload{})
	l.work()
	l.step()
	l.ports[blue].Sent()
	b.now += 3e9 + 1
	l.step()
	b.expectDrop(l.node, counter.NeighbourUnresolved)
	p := gopacket.NewPacket(b.onlySent(l.node, red).Frame, layers.LayerTypeEthernet, gopacket.Default)
	if m, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); !ok || m.TypeCode != layers.CreateICMPv4TypeCode(3, 1) {
		t.Errorf("the sender is told %v", p)
	}
}

// TestHeldForEach: of a flood to a silent host three packets are held.
func TestHeldForEach(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	for range 10 {
		b.inject("leaf1", red, udpTo(red, hostAddr(red, 1), netip.MustParseAddr("10.2.0.77"), 64, 100), pkt.Offload{})
	}
	b.expectDropN(leaves[1].node, counter.NeighbourUnresolved, 7)
}

func (b *bed) expectDropN(n *node, r counter.Reason, want uint64) {
	b.t.Helper()
	if got := n.dropped(r); got != want {
		b.t.Errorf("%s dropped %d frames for %v, want %d", n.name, got, r, want)
	}
}

// TestLearnsFromWhatHostsSay: ARP that is flooded is learned from where the host
// is, and nowhere else.
func TestLearnsFromWhatHostsSay(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	ask := make([]byte, 60)
	wire.Ethernet(ask).Put([]byte{255, 255, 255, 255, 255, 255}, mac(1), wire.TypeARP)
	wire.ARP(ask[14:]).Put(wire.ARPRequest, mac(1), wire.AddrFrom(hostAddr(red, 1)).Uint32(), make([]byte, 6), wire.AddrFrom(hostAddr(red, 2)).Uint32())
	b.inject("leaf1", red, ask, pkt.Offload{})
	if ev := leaves[1].work(); len(ev) != 1 || ev[0] != (l3.Event{Kind: l3.Seen, VNI: red, Addr: hostAddr(red, 1), MAC: table.MACFrom(mac(1))}) {
		t.Errorf("leaf1's control heard %+v", ev)
	}
	for i := 2; i <= 3; i++ {
		if ev := leaves[i].work(); len(ev) != 0 {
			t.Errorf("leaf%d's control heard %+v", i, ev)
		}
		b.onlySent(leaves[i].node, red) // and the request was bridged
	}
	spoof := bytes.Clone(ask)
	wire.ARP(spoof[14:]).Put(wire.ARPRequest, mac(1), wire.AddrFrom(subnet(red)[0].Addr()).Uint32(), make([]byte, 6), wire.AddrFrom(hostAddr(red, 2)).Uint32())
	b.inject("leaf1", red, spoof, pkt.Offload{})
	if ev := leaves[1].work(); len(ev) != 1 || ev[0].Kind != l3.Clash {
		t.Errorf("of who claims the gateway's address control heard %+v", ev)
	}
}

// TestVRFsApart: the same leaf, the same addresses, two VRFs: nothing crosses.
func TestVRFsApart(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, true)
	b.introduce()
	b.inject("leaf1", red, udpTo(red, hostAddr(red, 1), subnet(blue)[0].Addr(), 64, 10), pkt.Offload{})
	b.expectDrop(leaves[1].node, counter.RouteNone)
	if k := len(leaves[1].ports[blue].Sent()); k != 0 {
		t.Errorf("%d frames crossed", k)
	}
	// A FIB that lies does not help: the bridge domain belongs to another VRF.
	l := leaves[1]
	l.routes.Set(l3.OriginStatic, netip.PrefixFrom(hostAddr(blue, 1), 32), &l3.Route{Kind: l3.Forward, Paths: []l3.Path{{Host: l.hosts.Host(blue, hostAddr(blue, 1))}}})
	l.commit()
	b.inject("leaf1", red, udpTo(red, hostAddr(red, 1), hostAddr(blue, 1), 64, 10), pkt.Offload{})
	b.expectDropN(l.node, counter.RouteGone, 1)
	if k := len(l.ports[blue].Sent()); k != 0 {
		t.Errorf("%d frames crossed", k)
	}
}

// TestWrongRouterMAC: what comes by the L3VNI must be for this router.
func TestWrongRouterMAC(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	via := leaves[1].via(2)
	via.Paths[0].RouterMAC++
	leaves[1].routes.Set(l3.OriginStatic, netip.PrefixFrom(hostAddr(blue, 2), 32), via)
	leaves[1].commit()
	b.inject("leaf1", red, udpTo(red, hostAddr(red, 1), hostAddr(blue, 2), 64, 10), pkt.Offload{})
	b.expectDrop(b.nodes["leaf2"], counter.RouterMACWrong)
}

// TestSpineGuardsL3VNI: an L3VNI is a VNI of its VRF, and a leaf that is no member
// does not get through.
func TestSpineGuardsL3VNI(t *testing.T) {
	b := newBed(t, option{})
	newRoutedBed(b, option{}, false)
	b.introduce()
	spine := b.nodes["spine"]
	vrfs := spine.parts.VRFs
	spine.parts.VRFs = map[table.VNI]*fabric.VRF{red: vrfs[red], blue: vrfs[blue]}
	spine.publish()
	b.inject("leaf1", red, udpTo(red, hostAddr(red, 1), hostAddr(blue, 2), 64, 10), pkt.Offload{})
	b.expectDrop(spine, counter.SpineVNINotMember)
}

// TestFaultRate: who makes errors gets some of them told, and no more.
func TestFaultRate(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	for range 100 {
		b.inject("leaf1", red, udpTo(red, hostAddr(red, 1), hostAddr(blue, 2), 1, 10), pkt.Offload{})
	}
	b.expectDropN(leaves[1].node, counter.RouteTTLExceeded, 100)
	if k := len(leaves[1].ports[red].Sent()); k < 5 || k > 12 {
		t.Errorf("%d errors sent for 100 packets at once, want about 10", k)
	}
}

// TestTraced: a sampled packet shows that it was routed, rewritten.
func TestTraced(t *testing.T) {
	b := newBed(t, option{})
	newRoutedBed(b, option{}, false)
	b.introduce()
	w := b.nodes["leaf1"].tap.Capture([]trace.Stage{trace.Route}, trace.Filter{}, 256, 64)
	b.inject("leaf1", red, udpTo(red, hostAddr(red, 1), hostAddr(blue, 1), 64, 10), pkt.Offload{})
	w.Stop()
	n := 0
	for r := range w.C {
		n++
		if table.MACFrom(r.Data) != table.MACFrom(mac(1)) || r.VNI != uint32(blue) || r.Reason != counter.None {
			t.Errorf("seen %+v", r)
		}
	}
	if n != 1 {
		t.Errorf("%d packets were seen at the route stage, want 1", n)
	}
}

// TestContract: two VRFs of a leaf, and what passes between them: what a contract
// of the snapshot permits, whatever FIBs say, with the gateway of the VRF that a
// packet came into as the one who speaks.
func TestContract(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, true)
	b.introduce()
	l := leaves[1]
	from, to := hostAddr(red, 1), hostAddr(blue, 1)
	one := func(a netip.Addr) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())} }
	leak := &l3.Leak{Contract: "c", To: 2, VRF: "two", Sources: one(from), Prefixes: one(to)}
	// publish loads VRF one of red with these leaks.
	publish := func(leaks ...*l3.Leak) {
		for i, d := range l.parts.Domains {
			if d.BD.VNI != red {
				continue
			}
			v := *d.IRB.VRF
			v.Leaks = leaks
			c := *d
			c.IRB = fabric.NewIRB(&v, d.IRB.Interface)
			l.parts.Domains[i] = &c
			for j, ac := range l.parts.ACs {
				if ac.Domain == d {
					l.parts.ACs[j] = &fabric.AC{AC: ac.AC, Port: ac.Port, Domain: &c}
				}
			}
		}
		l.node.publish()
	}
	route := func(r *l3.Route) {
		l.routes.Delete(l3.OriginNeighbour, netip.PrefixFrom(to, 32)) // which the bed has here
		l.routes.Set(l3.OriginContract, netip.PrefixFrom(to, 32), r)
		l.commit()
	}
	host := &l3.Route{Kind: l3.Forward, Paths: []l3.Path{{Host: l.hosts.Host(blue, to)}}, Leak: leak}
	send := func(src, dst netip.Addr, ttl uint8) {
		b.inject("leaf1", red, udpTo(red, src, dst, ttl, 10), pkt.Offload{})
	}
	crossed := func(what string, want int) {
		t.Helper()
		if k := len(l.ports[blue].Sent()); k != want {
			t.Errorf("%s: %d frames crossed, want %d", what, k, want)
		}
	}
	route(host)
	publish(leak)
	send(from, to, 64)
	f := b.onlySent(l.node, blue)
	if table.MACFrom(f.Frame[6:]) != gatewayMAC(blue) || table.MACFrom(f.Frame) != table.MACFrom(mac(1)) || wire.IPv4(f.Frame[14:]).TTL() != 63 {
		t.Errorf("crossed as %x", f.Frame)
	}
	other := hostAddr(red, 9)
	send(other, to, 64)
	b.expectDropN(l.node, counter.RouteNoContract, 1)
	crossed("another source", 0)

	// The error is the own gateway's, not one of the other VRF.
	send(from, to, 1)
	if e := b.onlySent(l.node, red); wire.IPv4(e.Frame[14:]).Src() != wire.AddrFrom(subnet(red)[0].Addr()).Uint32() {
		t.Errorf("the error is %x", e.Frame)
	}

	// A FIB with an unresolved host: nobody is asked for who may not send.
	route(&l3.Route{Kind: l3.Connected, VNI: blue, Leak: leak})
	send(other, to, 64)
	if ev := l.work(); len(ev) != 0 {
		t.Errorf("control heard %+v", ev)
	}
	b.expectDropN(l.node, counter.RouteNoContract, 2)
	send(from, to, 64)
	if ev := l.work(); len(ev) != 1 || ev[0] != (l3.Event{Kind: l3.Wanted, VNI: blue, Addr: to}) {
		t.Errorf("control heard %+v", ev)
	}
	crossed("before it is resolved", 0)

	// Once the snapshot has no contract, a FIB that has it does not help.
	route(host)
	publish()
	l.ports[blue].Sent()
	send(from, to, 64)
	b.expectDropN(l.node, counter.RouteGone, 1)
	crossed("without a contract", 0)
}
