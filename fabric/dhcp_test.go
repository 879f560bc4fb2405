package fabric_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/l3/dhcp"
)

// loopback is leaf i's own address in the VRF.
func loopback(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 99, 0, byte(i)}) }

// relayAt gives red's gateway on leaf 1 of a routed bed a relay to servers, and the
// other leaves a route to its loopback.
func relayAt(b *bed, leaves map[int]*routedLeaf, servers ...netip.Addr) *fabric.DHCPRelay {
	b.t.Helper()
	l := leaves[1]
	r, err := dhcp.New(dhcp.Config{VNI: red, Gateway4: subnet(red)[0].Addr(), Source4: loopback(1), Servers: servers}, dhcp.NewState())
	b.must(err)
	var acs []table.ACID
	for _, ac := range l.parts.ACs {
		acs = append(acs, ac.ID)
	}
	irb := l.irb[red]
	irb.Relay = fabric.NewDHCPRelay(r, acs)
	irb.VRF.Loopback4, irb.VRF.Strays = loopback(1), &dhcp.Counts{}
	l.ifaces[red].Relay4 = true
	own := map[netip.Prefix]*l3.Route{}
	l3.LoopbackRoutes(own, irb.VRF)
	for p, to := range own {
		l.routes.Set(l3.OriginGateway, p, to)
	}
	l.commit()
	for i := 2; i <= 3; i++ {
		leaves[i].routes.Set(l3.OriginStatic, netip.PrefixFrom(loopback(1), 32), leaves[i].via(1))
		leaves[i].commit()
	}
	return irb.Relay
}

// dhcpFrame returns a frame of host i with a DHCP message.
func dhcpFrame(t testing.TB, i int, dst table.MAC, from, to netip.Addr, op layers.DHCPOp, typ layers.DHCPMsgType, change func(*layers.DHCPv4)) []byte {
	t.Helper()
	d := &layers.DHCPv4{
		Operation: op, HardwareType: layers.LinkTypeEthernet, HardwareLen: 6, Xid: 9, ClientHWAddr: mac(1),
		Options: layers.DHCPOptions{layers.NewDHCPOption(layers.DHCPOptMessageType, []byte{byte(typ)})},
	}
	if change != nil {
		change(d)
	}
	d.Options = append(d.Options, layers.NewDHCPOption(layers.DHCPOptEnd, nil))
	var to6 [6]byte
	dst.Put(to6[:])
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: from.AsSlice(), DstIP: to.AsSlice()}
	u := &layers.UDP{SrcPort: 68, DstPort: 67}
	if err := u.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{SrcMAC: mac(i), DstMAC: to6[:], EthernetType: layers.EthernetTypeIPv4}, ip, u, d)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(buf.Bytes())
}

// discover is a DISCOVER of host 1.
func discover(t testing.TB) []byte {
	return dhcpFrame(t, 1, table.Broadcast, netip.IPv4Unspecified(), netip.AddrFrom4([4]byte{255, 255, 255, 255}), layers.DHCPOpRequest, layers.DHCPMsgTypeDiscover, nil)
}

// offer is an OFFER of host i of vni to leaf 1's relay, for link.
func offer(t testing.TB, vni table.VNI, i int, link netip.Addr) []byte {
	return dhcpFrame(t, i, gatewayMAC(vni), hostAddr(vni, i), loopback(1), layers.DHCPOpReply, layers.DHCPMsgTypeOffer, func(d *layers.DHCPv4) {
		d.YourClientIP, d.RelayAgentIP = net.IPv4(10, 1, 0, 77), loopback(1).AsSlice()
		d.Options = append(d.Options, layers.NewDHCPOption(82, append([]byte{5, 4}, link.AsSlice()...)))
	})
}

// read is a frame with a DHCP message, its checksums verified.
func readDHCP(t *testing.T, frame []byte) (*layers.Ethernet, *layers.IPv4, *layers.UDP, *layers.DHCPv4) {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	e, _ := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
	ip, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	u, _ := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	d, _ := p.Layer(layers.LayerTypeDHCPv4).(*layers.DHCPv4)
	if d == nil {
		t.Fatalf("no DHCP: %v", p)
	}
	h := wire.IPv4(frame[14:])
	if h.HeaderSum() != 0xffff || wire.Fold(wire.Sum(frame[34:], h.Pseudo(wire.ProtoUDP, len(frame)-34))) != 0xffff {
		t.Errorf("checksums are wrong: %x", frame)
	}
	return e, ip, u, d
}

// TestDHCPRelay: to a server behind another leaf and back, and not flooded.
func TestDHCPRelay(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	r := relayAt(b, leaves, hostAddr(blue, 2))
	b.inject("leaf1", red, discover(t), pkt.Offload{})
	_, ip, u, d := readDHCP(t, b.onlySent(b.nodes["leaf2"], blue).Frame)
	if !ip.SrcIP.Equal(loopback(1).AsSlice()) || !ip.DstIP.Equal(hostAddr(blue, 2).AsSlice()) || u.SrcPort != 67 || u.DstPort != 67 || ip.TTL != 63 {
		t.Errorf("the server gets %v:%v to %v:%v, TTL %d", ip.SrcIP, u.SrcPort, ip.DstIP, u.DstPort, ip.TTL)
	}
	if !d.RelayAgentIP.Equal(loopback(1).AsSlice()) {
		t.Errorf("giaddr %v", d.RelayAgentIP)
	}
	for i := 2; i <= 3; i++ {
		if k := len(b.nodes[names(i)].ports[red].Sent()); k != 0 {
			t.Errorf("%d frames were flooded to leaf%d", k, i)
		}
	}
	b.inject("leaf2", blue, offer(t, blue, 2, subnet(red)[0].Addr()), pkt.Offload{})
	e, ip, u, d := readDHCP(t, b.onlySent(b.nodes["leaf1"], red).Frame)
	var gw [6]byte
	gatewayMAC(red).Put(gw[:])
	if !bytes.Equal(e.SrcMAC, gw[:]) || !bytes.Equal(e.DstMAC, mac(1)) || !ip.SrcIP.Equal(subnet(red)[0].Addr().AsSlice()) ||
		!ip.DstIP.Equal(net.IPv4(10, 1, 0, 77)) || u.SrcPort != 67 || u.DstPort != 68 {
		t.Errorf("the client gets %v %v:%v to %v %v:%v", e.SrcMAC, ip.SrcIP, u.SrcPort, e.DstMAC, ip.DstIP, u.DstPort)
	}
	if len(d.Options) != 1 || d.Options[0].Type != layers.DHCPOptMessageType {
		t.Errorf("the client sees %v", d.Options)
	}
	b.noDrops()
	if q, p := r.Counts.Requests4.Load(), r.Counts.Replies4.Load(); q != 1 || p != 1 {
		t.Errorf("%d requests, %d replies counted", q, p)
	}
}

func names(i int) string { return "leaf" + string(rune('0'+i)) }

// TestDHCPServerResolved: a message waits while the server's MAC is asked for.
func TestDHCPServerResolved(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	l := leaves[1]
	relayAt(b, leaves, hostAddr(blue, 1))
	l.hosts.SetLink(l3.LinkConfig{VNI: blue, Prefixes: l.ifaces[blue].Prefixes()}, b.now) // knows nobody
	l.commit()
	b.inject("leaf1", red, discover(t), pkt.Offload{})
	if ev := l.work(); len(ev) != 1 || ev[0].Kind != l3.Wanted || ev[0].Addr != hostAddr(blue, 1) {
		t.Fatalf("control heard %+v", ev)
	}
	l.step()
	l.ports[blue].Sent() // the question
	reply := make([]byte, 60)
	var gw [6]byte
	gatewayMAC(blue).Put(gw[:])
	wire.Ethernet(reply).Put(gw[:], mac(1), wire.TypeARP)
	wire.ARP(reply[14:]).Put(wire.ARPReply, mac(1), wire.AddrFrom(hostAddr(blue, 1)).Uint32(), gw[:], wire.AddrFrom(subnet(blue)[0].Addr()).Uint32())
	b.inject("leaf1", blue, reply, pkt.Offload{})
	l.work()
	b.now++
	l.step()
	_, ip, _, _ := readDHCP(t, b.onlySent(l.node, blue).Frame)
	if ip.TTL != 64 {
		t.Errorf("TTL %d of a packet of the leaf's own", ip.TTL)
	}
	b.noDrops()
}

// TestDHCPRefused has what the relay does not pass on.
func TestDHCPRefused(t *testing.T) {
	gw := subnet(red)[0].Addr()
	broken := func(f []byte, change func([]byte)) []byte { change(f); return f }
	for _, tt := range []struct {
		name  string
		leaf  string
		vni   table.VNI
		frame []byte
		want  dhcp.Fault
		stray bool
	}{
		{"checksum", "leaf1", red, broken(discover(t), func(f []byte) { f[41]++ }), dhcp.BadChecksum, false},
		{"length", "leaf1", red, broken(discover(t), func(f []byte) { f[39]--; f[40], f[41] = 0, 0 }), dhcp.Malformed, false},
		{"fragment", "leaf1", red, broken(discover(t), func(f []byte) { f[20] = 0x20; wire.IPv4(f[14:]).UpdateChecksum() }), dhcp.Malformed, false},
		{"not the server", "leaf2", red, offer(t, red, 2, gw), dhcp.NotServer, false},
		{"a link without a relay", "leaf2", blue, offer(t, blue, 2, subnet(blue)[0].Addr()), dhcp.NoLink, true},
		{"a link of nobody", "leaf2", blue, offer(t, blue, 2, netip.MustParseAddr("10.77.0.1")), dhcp.NoLink, true},
		{"a reply cut off", "leaf2", blue, broken(offer(t, blue, 2, gw), func(f []byte) { f[14+28+241] = 200; f[40], f[41] = 0, 0 }), dhcp.Malformed, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, option{})
			leaves := newRoutedBed(b, option{}, false)
			b.introduce()
			r := relayAt(b, leaves, hostAddr(blue, 2))
			b.inject(tt.leaf, tt.vni, tt.frame, pkt.Offload{})
			b.expectDrop(leaves[1].node, counter.DHCPRefused)
			c := &r.Counts
			if tt.stray {
				c = leaves[1].irb[red].VRF.Strays
			}
			if n := c.Faults[tt.want].Load(); n != 1 {
				t.Errorf("%d counted for %v", n, tt.want)
			}
			for _, vni := range []table.VNI{red, blue} {
				for i := 1; i <= 3; i++ {
					if k := len(leaves[i].ports[vni].Sent()); k != 0 {
						t.Errorf("%d frames left leaf%d's port of VNI %d", k, i, vni)
					}
				}
			}
		})
	}
}

// TestDHCPServerSpoofed: a host that answers in a server's name, to the loopback that
// servers answer to, is not heard.
func TestDHCPServerSpoofed(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	r := relayAt(b, leaves, hostAddr(blue, 2))
	f := offer(t, blue, 2, subnet(red)[0].Addr())
	var gw [6]byte
	gatewayMAC(red).Put(gw[:])
	copy(f, gw[:]) // from a host of red, where the server is not
	b.inject("leaf1", red, f, pkt.Offload{})
	b.expectDrop(leaves[1].node, counter.RouteSpoofed)
	if n := r.Counts.Replies4.Load(); n != 0 {
		t.Errorf("%d replies relayed", n)
	}
}

// TestDHCPStaysInItsVRF: a server of another tenant is not reached, nor does its
// reply come in, whatever addresses both use.
func TestDHCPStaysInItsVRF(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, true) // blue is another VRF
	b.introduce()
	l := leaves[1]
	r := relayAt(b, leaves, hostAddr(blue, 1))
	l.routes.Delete(l3.OriginStatic, netip.PrefixFrom(hostAddr(blue, 1), 32))
	l.commit()
	b.inject("leaf1", red, discover(t), pkt.Offload{})
	b.expectDrop(l.node, counter.DHCPRefused)
	if n, q := r.Counts.Faults[dhcp.Unsent].Load(), r.Recent(); n != 1 || len(q) != 1 || q[0].Fault != dhcp.Unsent {
		t.Errorf("%d counted as unsent, %+v noted", n, q)
	}
	b.inject("leaf1", blue, offer(t, blue, 1, subnet(red)[0].Addr()), pkt.Offload{})
	if k := r.Counts.Replies4.Load() + l.irb[red].VRF.Strays.Faults[dhcp.NoLink].Load(); k != 0 {
		t.Error("a reply crossed")
	}
	for _, vni := range []table.VNI{red, blue} {
		if k := len(l.ports[vni].Sent()); vni == red && k != 0 || k > 1 {
			t.Errorf("%d frames left the port of VNI %d", k, vni)
		}
	}
}

// TestDHCPLinkOfAnotherVRF: a server's reply does not come to a client of another VRF,
// though a contract leaks the gateway that it names and the server is that VRF's too.
func TestDHCPLinkOfAnotherVRF(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, true)
	b.introduce()
	l, server := leaves[1], hostAddr(red, 1)
	mine := relayAt(b, leaves, server)
	other, err := dhcp.New(dhcp.Config{VNI: blue, Gateway4: subnet(blue)[0].Addr(), Source4: loopback(1), Servers: []netip.Addr{server}}, dhcp.NewState())
	b.must(err)
	l.irb[blue].Relay = fabric.NewDHCPRelay(other, nil)
	gw := netip.PrefixFrom(subnet(blue)[0].Addr(), 32)
	l.routes.Set(l3.OriginContract, gw, &l3.Route{Kind: l3.Local, VNI: blue, Leak: &l3.Leak{
		Contract: "c", To: 2, VRF: "two", Sources: subnet(red), Prefixes: []netip.Prefix{gw},
	}})
	l.commit()
	b.inject("leaf1", red, offer(t, red, 1, gw.Addr()), pkt.Offload{})
	b.expectDrop(l.node, counter.DHCPRefused)
	if n := l.irb[red].VRF.Strays.Faults[dhcp.NoLink].Load(); n != 1 {
		t.Errorf("%d counted for no link", n)
	}
	if n := mine.Counts.Replies4.Load() + other.Counts.Replies4.Load(); n != 0 || len(l.ports[blue].Sent()) != 0 {
		t.Errorf("%d replies relayed", n)
	}
}

// TestDHCPLimits: a circuit may send so much, by broadcast or to the gateway.
func TestDHCPLimits(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	r := relayAt(b, leaves, hostAddr(blue, 2))
	renew := dhcpFrame(t, 1, gatewayMAC(red), hostAddr(red, 1), subnet(red)[0].Addr(), layers.DHCPOpRequest, layers.DHCPMsgTypeRequest, nil)
	for i := range 100 {
		if i%2 == 0 {
			b.inject("leaf1", red, discover(t), pkt.Offload{})
		} else {
			b.inject("leaf1", red, bytes.Clone(renew), pkt.Offload{})
		}
	}
	passed := r.Counts.Requests4.Load()
	if limited := r.Counts.Faults[dhcp.Limited].Load(); passed+limited != 100 || passed < fabric.DHCPBurst || passed > fabric.DHCPBurst+1 {
		t.Errorf("%d passed, %d limited", passed, limited)
	}
	b.expectDropN(leaves[1].node, counter.DHCPLimited, 100-passed)
	if k := len(b.nodes["leaf2"].ports[blue].Sent()); k != int(passed) {
		t.Errorf("the server got %d messages, want %d", k, passed)
	}
	again := fabric.NewDHCPRelay(r.Relay, nil)
	again.Keep(r)
	if again.All != r.All {
		t.Error("a new configuration gives the VNI its burst anew")
	}
}

// TestDHCPFloodNoAllocs: messages beyond the limit cost the worker nothing.
func TestDHCPFloodNoAllocs(t *testing.T) {
	var frames []injection
	for range 30 {
		frames = append(frames, injection{frame: discover(t)})
	}
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	relayAt(b, leaves, hostAddr(blue, 2))
	s := newSteadyOf(b, frames, blue)
	for range 20 {
		b.must(s.leaf1.Step())
	}
	limited := leaves[1].dropped(counter.DHCPLimited)
	if n := testing.AllocsPerRun(50, func() { b.must(s.leaf1.Step()) }); n != 0 {
		t.Errorf("%v allocations for a burst of DHCP messages beyond the limit, want 0", n)
	}
	if got := leaves[1].dropped(counter.DHCPLimited) - limited; got != 51*30 {
		t.Errorf("%d of %d were limited", got, 51*30)
	}
}
