package fabric

import (
	"net/netip"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/l3/dhcp"
)

// DHCPRelay is the DHCP relay of a bridge domain with its limits. Immutable but for
// its cells.
type DHCPRelay struct {
	*dhcp.Relay
	// All limits what clients of the VNI send here, Circuits what those of one
	// circuit do.
	All      *l2.Bucket
	Circuits map[table.ACID]*l2.Bucket
}

// Rates of DHCP messages of clients per second, with a tenth of a second's worth at
// once for a VNI and DHCPBurst for a circuit: a rack that is switched on is served
// within seconds, and one host leaves the others their share.
const (
	DHCPRate        = 500
	DHCPCircuitRate = 20
	DHCPBurst       = 40
)

// NewDHCPRelay returns r with fresh limits for circuits.
func NewDHCPRelay(r *dhcp.Relay, circuits []table.ACID) *DHCPRelay {
	d := &DHCPRelay{Relay: r, All: l2.NewBucket(DHCPRate, DHCPRate/10), Circuits: map[table.ACID]*l2.Bucket{}}
	for _, ac := range circuits {
		d.Circuits[ac] = l2.NewBucket(DHCPCircuitRate, DHCPBurst)
	}
	return d
}

// Keep takes over what old let pass of the circuits that both have.
func (d *DHCPRelay) Keep(old *DHCPRelay) {
	if old == nil {
		return
	}
	d.All = old.All
	for ac := range d.Circuits {
		if b := old.Circuits[ac]; b != nil {
			d.Circuits[ac] = b
		}
	}
}

// take reports whether a message of a client may come by circuit ac, 0 being none,
// at now.
//
// Hot path: no allocation.
func (d *DHCPRelay) take(ac uint32, now int64) bool {
	b := d.Circuits[table.ACID(ac)]
	if (b == nil || b.Take(1, now)) && d.All.Take(1, now) {
		return true
	}
	d.Counts.Drop(dhcp.Limited)
	return false
}

// takes reports whether d, which may be nil, relays the family of f.
func (d *DHCPRelay) takes(f *pkt.Frame) bool {
	if d == nil {
		return false
	}
	if f.EtherType == wire.TypeIPv4 {
		return len(d.Servers4()) > 0
	}
	return len(d.Servers6()) > 0
}

// toServers gives the slow path f, a DHCP message of a client of dom.
//
// Hot path: no allocation.
func (g *irbRoute) toServers(dom *Domain, f *pkt.Frame) counter.Reason {
	if !dom.IRB.Relay.take(f.InAC, g.now) {
		return counter.DHCPLimited
	}
	return g.punt(dom, l3.ForServers, counter.GatewayBusy, f)
}

// renewal takes f, a DHCP message to the gateway's address.
func (g *Gateway) renewal(dom *Domain, f *pkt.Frame) counter.Reason {
	if !dom.IRB.Relay.take(f.InAC, g.now) {
		return counter.DHCPLimited
	}
	return g.fromClient(dom, dom.IRB.Relay, f)
}

// forLeaf takes f, which is for this leaf's own address in the VRF: replies of DHCP
// servers and echo requests.
func (g *Gateway) forLeaf(dom *Domain, f *pkt.Frame) counter.Reason {
	if l3.IsDHCP(f) {
		return g.fromServer(dom, f)
	}
	buf := g.buffer(len(f.Head))
	if n := l3.Echo(buf, f); n > 0 {
		return g.reply(dom, f, buf[:n])
	}
	return counter.HostNoHandler
}

// datagram returns the payload of the UDP datagram in f, once its lengths and its
// checksum are found to be right.
func datagram(f *pkt.Frame) ([]byte, dhcp.Fault) {
	end, sum, need := 0, uint32(0), false
	if f.EtherType == wire.TypeIPv4 {
		h := wire.IPv4(f.Head[f.L3Off:])
		if h.IsFragment() {
			return nil, dhcp.Malformed
		}
		end = int(f.L3Off) + h.TotalLen()
		sum = h.Pseudo(wire.ProtoUDP, end-int(f.L4Off))
	} else {
		h := wire.IPv6(f.Head[f.L3Off:])
		u, ok := h.Walk()
		if !ok || u.Fragment || u.Routing {
			return nil, dhcp.Malformed
		}
		end = int(f.L3Off) + wire.IPv6Len + h.PayloadLen()
		sum, need = h.Pseudo(wire.ProtoUDP, end-int(f.L4Off)), true
	}
	if end > len(f.Head) || f.Offload.GSOType != pkt.GSONone {
		return nil, dhcp.Malformed
	}
	u := wire.UDP(f.Head[f.L4Off:end])
	if u.Len() != len(u) {
		return nil, dhcp.Malformed
	}
	// What a host of this machine sends may have its checksum left to the device.
	if !f.Offload.NeedsCsum && (need || u.Checksum() != 0) && (u.Checksum() == 0 || wire.Fold(wire.Sum(u, sum)) != 0xffff) {
		return nil, dhcp.BadChecksum
	}
	return u[wire.UDPLen:], dhcp.None
}

// room4 and room6 are what is in front of a message in a frame, bytes.
const (
	room4 = wire.EthernetLen + wire.IPv4Len + wire.UDPLen
	room6 = wire.EthernetLen + wire.IPv6Len + wire.UDPLen
)

// dhcpTTL is the TTL and hop limit of what the relay sends.
const dhcpTTL = 64

// refused counts a message that relay r does not pass on.
func refused(c *dhcp.Counts, f dhcp.Fault) counter.Reason {
	c.Drop(f)
	return counter.DHCPRefused
}

// fromClient relays f, a message of a client of dom, to the servers of r.
func (g *Gateway) fromClient(dom *Domain, r *DHCPRelay, f *pkt.Frame) counter.Reason {
	if !r.takes(f) {
		return counter.RouteGone // the snapshot is newer than the packet
	}
	m, fault := datagram(f)
	if fault != dhcp.None {
		return refused(&r.Counts, fault)
	}
	buf := g.buffer(room6 + len(m) + dhcp.MaxAdded)
	room, own, port, servers, n := room4, r.Source4, uint16(dhcp.ServerPort4), r.Servers4(), 0
	ac := table.ACID(f.InAC)
	if f.EtherType == wire.TypeIPv4 {
		n, fault = r.Forward4(buf[room:], m, ac, dom.TenantMTU-wire.IPv4Len-wire.UDPLen, g.now)
	} else {
		room, own, port, servers = room6, r.Source6, dhcp.ServerPort6, r.Servers6()
		n, fault = r.Forward6(buf[room:], m, source(f), table.MACFrom(f.Head[6:]), ac, dom.TenantMTU-wire.IPv6Len-wire.UDPLen, g.now)
	}
	if fault != dhcp.None {
		return refused(&r.Counts, fault)
	}
	sent := false
	var failed [dhcp.MaxServers]counter.Reason
	for i, to := range servers {
		b := buf[:room+n]
		if i > 0 {
			b = g.buffer(len(b))[:len(b)]
			copy(b[room:], buf[room:])
		}
		putUDP(b, own, to, port, port)
		failed[i] = g.sendOwn(dom, b)
		sent = sent || failed[i] == counter.None
	}
	if !sent {
		r.Unsent()
		return counter.DHCPRefused
	}
	for _, why := range failed {
		if why != counter.None {
			g.drops.Drop(why, 1) // the copy for one of several servers
		}
	}
	if room == room4 {
		r.Counts.Requests4.Add(1)
	} else {
		r.Counts.Requests6.Add(1)
	}
	return counter.None
}

// putUDP writes the headers of b, a frame whose UDP payload is there already. The
// MACs are left.
func putUDP(b []byte, from, to netip.Addr, src, dst uint16) {
	p := b[wire.EthernetLen:]
	var u wire.UDP
	var sum uint32
	if from.Is4() {
		wire.Ethernet(b).SetType(wire.TypeIPv4)
		h := wire.IPv4(p)
		h.Put(&wire.IPv4Fields{
			TotalLen: len(p), TTL: dhcpTTL, Proto: wire.ProtoUDP,
			Src: wire.AddrFrom(from).Uint32(), Dst: wire.AddrFrom(to).Uint32(),
		})
		u = wire.UDP(p[wire.IPv4Len:])
		sum = h.Pseudo(wire.ProtoUDP, len(u))
	} else {
		wire.Ethernet(b).SetType(wire.TypeIPv6)
		h := wire.IPv6(p)
		h.Put(&wire.IPv6Fields{
			PayloadLen: len(p) - wire.IPv6Len, NextHeader: wire.ProtoUDP, HopLimit: dhcpTTL,
			Src: wire.AddrFrom(from), Dst: wire.AddrFrom(to),
		})
		u = wire.UDP(p[wire.IPv6Len:])
		sum = h.Pseudo(wire.ProtoUDP, len(u))
	}
	u.Put(src, dst, len(u), 0)
	u.SetChecksum(wire.UDPChecksum(wire.Fold(wire.Sum(u, sum))))
}

// own returns b, a frame of this leaf in vni, parsed; nil when there is no place.
func (g *Gateway) own(vni uint32, b []byte) *pkt.Frame {
	a := g.vec.Add(b)
	if a == nil {
		return nil
	}
	a.VNI = vni
	if wire.Parse(a) != counter.None {
		return nil
	}
	return a
}

// sendOwn sends b, a packet of this leaf itself, by the routes of dom's VRF. It is
// held while its next hop is asked for.
func (g *Gateway) sendOwn(dom *Domain, b []byte) counter.Reason {
	a := g.own(uint32(dom.BD.VNI), b)
	if a == nil {
		return counter.GatewayBusy
	}
	d := g.irb.router.Send(dom.IRB.VRF, a)
	if d.Action == l3.Punt && d.Cause == l3.Unresolved {
		if len(b) > puntRoom {
			return d.Reason // it can't be held whole
		}
		h := g.await(d, dom.BD.VNI)
		if h == nil {
			return d.Reason
		}
		h.own, h.ac, h.vtep, h.offload, h.length = true, 0, 0, pkt.Offload{}, len(b)
		h.bytes = h.buf[:copy(h.buf[:], b)]
		return counter.None
	}
	return g.irb.forward(dom, d, a, false)
}

// fromServer relays f, which came into dom for this leaf's own address, to the
// client that it names.
func (g *Gateway) fromServer(dom *Domain, f *pkt.Frame) counter.Reason {
	v := dom.IRB.VRF
	m, fault := datagram(f)
	if fault != dhcp.None {
		return refused(v.Strays, fault)
	}
	link, fault := g.linkOf(v, f, m)
	if fault != dhcp.None {
		return refused(v.Strays, fault)
	}
	r := link.IRB.Relay
	var d dhcp.Delivery
	from, gateway := source(f), r.Gateway4
	buf := g.buffer(room6 + len(m) + dhcp.MaxAdded)
	room, port := room4, uint16(dhcp.ServerPort4)
	if f.EtherType == wire.TypeIPv4 {
		d, fault = r.Return4(buf[room:], m, from)
	} else {
		room, port, gateway = room6, dhcp.ServerPort6, link.IRB.Interface.LinkLocal
		d, fault = r.Return6(buf[room:], m, from, g.now)
		if !d.Addr.IsLinkLocalUnicast() {
			gateway = r.Gateway6
		}
	}
	if fault != dhcp.None {
		return refused(&r.Counts, fault)
	}
	b := buf[:room+d.Len]
	putUDP(b, gateway, d.Addr, port, d.Port)
	d.MAC.Put(b)
	link.IRB.Interface.MAC.Put(b[6:])
	a := g.own(uint32(link.BD.VNI), b)
	if a == nil {
		return refused(&r.Counts, dhcp.Unsent)
	}
	if l2.Oversize(a, link.TenantMTU) {
		return refused(&r.Counts, dhcp.TooLong)
	}
	if g.irb.place(link, a) != counter.None {
		return refused(&r.Counts, dhcp.Unsent)
	}
	if room == room4 {
		r.Counts.Replies4.Add(1)
	} else {
		r.Counts.Replies6.Add(1)
	}
	return counter.None
}

// linkOf returns the bridge domain of v that m, a reply of a server in f, is for.
func (g *Gateway) linkOf(v *l3.VRF, f *pkt.Frame, m []byte) (*Domain, dhcp.Fault) {
	var vni table.VNI
	if f.EtherType == wire.TypeIPv4 {
		a, fault := dhcp.Link4(m, destination(f))
		if fault != dhcp.None {
			return nil, fault
		}
		if to, ok := v.FIB.Load().Lookup(a); ok && to.Kind == l3.Local {
			vni = to.VNI
		}
	} else {
		var fault dhcp.Fault
		if vni, fault = dhcp.Link6(m); fault != dhcp.None {
			return nil, fault
		}
	}
	d, ok := g.snap.Domain(vni)
	if !ok || !d.routed() || d.IRB.VRF.ID != v.ID || !d.IRB.Relay.takes(f) {
		return nil, dhcp.NoLink
	}
	return d, dhcp.None
}
