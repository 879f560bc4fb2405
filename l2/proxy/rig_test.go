package proxy_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l2/proxy"
)

const (
	vni     table.VNI = 10100
	macA    table.MAC = 0x02000000000a
	macB    table.MAC = 0x02000000000b
	macC    table.MAC = 0x02000000000c
	selfMAC table.MAC = 0x025d0aff0001
	second            = int64(1e9)
)

var (
	ip4, ip4b = netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.1.0.2")
	ip6       = netip.MustParseAddr("fd00:1::1")
	linkLocal = netip.MustParseAddr("fe80::5d:aff:feff:1")
)

func hw(m table.MAC) net.HardwareAddr {
	b := make([]byte, 6)
	m.Put(b)
	return b
}

// build serialises layers behind an Ethernet header and parses the frame.
func build(t testing.TB, dst, src table.MAC, typ layers.EthernetType, ls ...gopacket.SerializableLayer) *pkt.Frame {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	eth := &layers.Ethernet{DstMAC: hw(dst), SrcMAC: hw(src), EthernetType: typ}
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		append([]gopacket.SerializableLayer{eth}, ls...)...)
	if err != nil {
		t.Fatal(err)
	}
	f := &pkt.Frame{Head: buf.Bytes(), Len: len(buf.Bytes())}
	wire.Parse(f)
	return f
}

// arp is an ARP message of src; says is the MAC that it gives to sender.
func arp(t testing.TB, dst, src, says table.MAC, op uint16, sender, target string) *pkt.Frame {
	s, d := netip.MustParseAddr(sender).As4(), netip.MustParseAddr(target).As4()
	return build(t, dst, src, layers.EthernetTypeARP, &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4, Operation: op,
		SourceHwAddress: hw(says), SourceProtAddress: s[:], DstHwAddress: make([]byte, 6), DstProtAddress: d[:],
	})
}

func icmp6(t testing.TB, dst, src table.MAC, from, to string, hops, typ uint8, m gopacket.SerializableLayer) *pkt.Frame {
	ip := &layers.IPv6{Version: 6, HopLimit: hops, NextHeader: layers.IPProtocolICMPv6, SrcIP: net.ParseIP(from), DstIP: net.ParseIP(to)}
	h := &layers.ICMPv6{TypeCode: layers.CreateICMPv6TypeCode(typ, 0)}
	if err := h.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	return build(t, dst, src, layers.EthernetTypeIPv6, ip, h, m)
}

// solicit asks all for target; mac 0 leaves the option out.
func solicit(t testing.TB, src, mac table.MAC, from, target string) *pkt.Frame {
	group, to := wire.SolicitedNode(wire.AddrFrom(netip.MustParseAddr(target)))
	m := &layers.ICMPv6NeighborSolicitation{TargetAddress: net.ParseIP(target)}
	if mac != 0 {
		m.Options = layers.ICMPv6Options{{Type: layers.ICMPv6OptSourceAddress, Data: hw(mac)}}
	}
	return icmp6(t, table.MAC(to), src, from, group.String(), 255, 135, m)
}

// advert tells of target, to all or to the proxy.
func advert(t testing.TB, src, mac table.MAC, target string, flags uint8) *pkt.Frame {
	m := &layers.ICMPv6NeighborAdvertisement{Flags: flags, TargetAddress: net.ParseIP(target)}
	if mac != 0 {
		m.Options = layers.ICMPv6Options{{Type: layers.ICMPv6OptTargetAddress, Data: hw(mac)}}
	}
	return icmp6(t, selfMAC, src, target, linkLocal.String(), 255, 136, m)
}

// rig is Bindings of one bridge domain with circuits 1 and 2 at ports 1 and 2, and
// circuit 3 at port 2 too.
type rig struct {
	t    testing.TB
	b    *proxy.Bindings
	d    *proxy.Domain
	cfg  proxy.Config
	fdb  map[table.MAC]table.ACID
	now  int64
	seen []proxy.Change // by take
	asks []proxy.Probe
}

func newRig(t testing.TB, change func(*proxy.Config)) *rig {
	r := &rig{t: t, fdb: map[table.MAC]table.ACID{macA: 1, macB: 2, macC: 3}, now: 1000 * second}
	r.b = proxy.New(func(v table.VNI, m table.MAC) (table.ACID, bool) {
		at, ok := r.fdb[m]
		return at, ok && v == vni
	})
	r.cfg = proxy.Config{
		VNI: vni, Ageing: 300 * second, Circuits: map[table.ACID]table.PortID{1: 1, 2: 2, 3: 2},
		MAC: selfMAC, LinkLocal: linkLocal,
	}
	if change != nil {
		change(&r.cfg)
	}
	r.configure()
	return r
}

// configure puts r.cfg in force.
func (r *rig) configure() {
	r.d = r.b.Prepare(r.cfg)
	r.b.SetDomain(r.cfg, r.d)
	r.tick(0)
}

// tick lets time pass, and works what is due.
func (r *rig) tick(ns int64) {
	r.t.Helper()
	r.now += ns
	probes, _ := r.b.Tick(r.now)
	r.asks = append(r.asks, probes...)
	r.seen = append(r.seen, r.b.TakeChanges()...)
	if err := r.b.Publish(); err != nil {
		r.t.Fatal(err)
	}
}

// hear has a worker hear f at a circuit, and control work what it is told.
func (r *rig) hear(f *pkt.Frame, at table.ACID) (told bool) {
	r.t.Helper()
	w, ok := proxy.Read(f)
	if !ok {
		r.t.Fatal("a word is not read")
	}
	e, told := r.d.Snoop(&w, at, r.now)
	if told {
		r.b.Work(e, r.now)
	}
	r.tick(0)
	return told
}

// take returns the changes since the last take, without times.
func (r *rig) take() []proxy.Change {
	c := r.seen
	r.seen = nil
	return c
}

// owner returns who has an address, as workers see it; 0 for nobody.
func (r *rig) owner(a netip.Addr) table.MAC {
	if b := r.d.Lookup(a); b != nil {
		return b.MAC
	}
	return 0
}

// garp is a gratuitous ARP of mac for ip4.
func (r *rig) garp(mac table.MAC, a netip.Addr) *pkt.Frame {
	return arp(r.t, table.Broadcast, mac, mac, 1, a.String(), a.String())
}
