package l3

import (
	"net/netip"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/table/fib"
	"github.com/ztos/ztos/engine/wire"
)

// Action is what is done with a routed packet.
type Action uint8

const (
	Drop Action = iota // for Decision.Reason
	Host               // into bridge domain VNI, to MAC
	Leaf               // into the L3VNI VNI, to VTEP, whose router has MAC
	Punt               // the slow path takes it for Cause; if it can't, drop for Reason
)

// Cause is why the slow path gets a packet.
type Cause uint8

const (
	ForGateway     Cause = iota + 1 // addressed to the gateway, or ARP or ND that concerns it
	Expired                         // TTL or hop limit ran out
	NoRoute                         // nobody leads there
	Unresolved                      // the next hop's MAC is not known yet
	PacketTooBig                    // larger than the MTU on its way
	NeighbourWords                  // ARP or ND that tells of its sender; the frame itself goes on
	ForServers                      // a DHCP message of a client
	ForSpeaker                      // TCP of a router outside the fabric for the gateway's BGP
)

// Decision is where a packet goes. It is not rewritten yet: see Rewrite.
type Decision struct {
	Action Action
	Reason counter.Reason // valid iff Drop or Punt
	Cause  Cause          // valid iff Punt
	VNI    table.VNI      // valid iff Host or Leaf, or Punt for Unresolved
	VTEP   table.VTEPID   // valid iff Leaf
	MAC    table.MAC      // destination of the frame; valid iff Host or Leaf
	Next   netip.Addr     // whose MAC is missing; valid iff Punt for Unresolved
}

func drop(r counter.Reason) Decision { return Decision{Action: Drop, Reason: r} }

func punt(c Cause, r counter.Reason) Decision { return Decision{Action: Punt, Cause: c, Reason: r} }

// cacheSize is how many destinations a worker remembers, 40 bytes each.
const cacheSize = 4096

// Router routes for one worker: it has the worker's flow cache. The zero value is
// ready. Worker only.
type Router struct {
	cache *fib.Cache[*Route] // made when the worker routes its first packet
}

// Route decides on the packet in f, which came into v by in, or by v's L3VNI when
// in is nil, in a frame to the gateway's or the router's MAC. f is parsed and a
// super-frame is one decision.
//
// The order is that of a router (RFC 1812 section 5.2.1): what is no packet,
// what may not be routed, what is for the router itself, whether the source is
// true, whether it may live on, and where it goes.
//
// Hot path: no allocation but for the worker's first packet.
func (r *Router) Route(v *VRF, in *Interface, f *pkt.Frame) Decision {
	if f.L3Off != wire.EthernetLen {
		return drop(counter.RouteNotIP) // also with the tenant's own tags in front
	}
	var src, dst netip.Addr
	var ttl uint8
	var scope scope
	switch f.EtherType {
	case wire.TypeIPv4:
		h := wire.IPv4(f.Head[wire.EthernetLen:])
		if h.HeaderSum() != 0xffff {
			return drop(counter.RouteBadHeader)
		}
		src, dst, ttl = netip.AddrFrom4([4]byte(h[12:16])), netip.AddrFrom4([4]byte(h[16:20])), h.TTL()
		scope = scope4(h.Src(), h.Dst())
	case wire.TypeIPv6:
		h := wire.IPv6(f.Head[wire.EthernetLen:])
		src, dst, ttl = netip.AddrFrom16([16]byte(h[8:24])), netip.AddrFrom16([16]byte(h[24:40])), h.HopLimit()
		scope = scope6(wire.AddrFrom16(h.Src()), wire.AddrFrom16(h.Dst()))
	default:
		return drop(counter.RouteNotIP)
	}
	switch {
	case scope.badSource:
		return drop(counter.RouteBadSource)
	case scope.badDest:
		return drop(counter.RouteBadDest)
	case scope.linkDest:
		if in != nil && dst == in.LinkLocal {
			return punt(ForGateway, counter.GatewayBusy)
		}
		return drop(counter.RouteBadDest)
	}
	if r.cache == nil {
		r.cache = fib.NewCache[*Route](cacheSize)
	}
	t := v.FIB.Load()
	to, ok := r.cache.Lookup(t, dst)
	local := ok && to.Kind == Local
	if local && to.VNI != 0 && to.Leak == nil {
		return punt(ForGateway, counter.GatewayBusy) // a gateway, which hosts ask before they have an address
	}
	if scope.linkSource {
		return drop(counter.RouteBadSource)
	}
	// Also for a loopback, whose answers go where the source says, and where DHCP
	// servers are known by theirs.
	if !r.trueSource(t, v.URPF, in, src, dst) {
		return drop(counter.RouteSpoofed)
	}
	if local {
		if to.Leak != nil && !to.Leak.Permits(src, dst) {
			return drop(counter.RouteNoContract)
		}
		return punt(ForGateway, counter.GatewayBusy)
	}
	if ttl <= 1 {
		return punt(Expired, counter.RouteTTLExceeded)
	}
	if !ok {
		return punt(NoRoute, counter.RouteNone)
	}
	d := to.decide(dst, f.Hash)
	// What is forwarded is held against the contract by whoever knows both VRFs;
	// nobody is asked for by the slow path before.
	if d.Action == Punt && to.Leak != nil && !to.Leak.Permits(src, dst) {
		return drop(counter.RouteNoContract)
	}
	return d
}

// Send decides where a packet of the gateway itself, which f holds, goes from v:
// to whoever it concerns, without a check of its source.
func (r *Router) Send(v *VRF, f *pkt.Frame) Decision {
	if f.L3Off != wire.EthernetLen {
		return drop(counter.RouteNotIP)
	}
	var dst netip.Addr
	if f.EtherType == wire.TypeIPv4 {
		dst = netip.AddrFrom4([4]byte(f.Head[wire.EthernetLen+16:]))
	} else {
		dst = netip.AddrFrom16([16]byte(f.Head[wire.EthernetLen+24:]))
	}
	to, ok := v.FIB.Load().Lookup(dst)
	if !ok || to.Kind == Local {
		return drop(counter.RouteNone)
	}
	return to.decide(dst, f.Hash)
}

// decide returns where a packet for dst goes by r.
func (r *Route) decide(dst netip.Addr, flow uint32) Decision {
	switch r.Kind {
	case Connected:
		d := punt(Unresolved, counter.NeighbourUnresolved)
		d.VNI, d.Next = r.VNI, dst
		return d
	case Forward:
		p := r.pick(flow)
		if p.Host == nil {
			return Decision{Action: Leaf, VNI: p.VNI, VTEP: p.VTEP, MAC: p.RouterMAC}
		}
		if mac, ok := p.Host.MAC(); ok {
			return Decision{Action: Host, VNI: p.Host.VNI, MAC: mac}
		}
		d := punt(Unresolved, counter.NeighbourUnresolved)
		d.VNI, d.Next = p.Host.VNI, p.Host.Addr
		return d
	}
	return drop(counter.RouteBlackhole)
}

// trueSource checks src, of a packet for dst, as v wants it.
func (r *Router) trueSource(t *fib.Table[*Route], u URPF, in *Interface, src, dst netip.Addr) bool {
	if u == Off {
		return true
	}
	strict := u == Strict && in != nil
	if strict && in.Holds(src) {
		return !in.ownsAddr(src)
	}
	back, ok := r.cache.Lookup(t, src)
	// The gateways of other leaves have our addresses, and send ICMP errors.
	if !ok || back.Kind == Blackhole || back.Kind == Local && in != nil {
		return false
	}
	// A host of another VRF sends by that VRF: its packets come by the L3VNI, from
	// a leaf that leaks too, or not at all.
	if back.Leak != nil && (in != nil || !back.Leak.answers(src, dst)) {
		return false
	}
	return !strict || back.by(in.VNI)
}

// scope is what the addresses of a packet forbid, whatever the routes say.
type scope struct {
	badSource  bool // no host has it
	badDest    bool // not one host, or not beyond a host
	linkSource bool // link-local: may speak to the gateway, is not routed
	linkDest   bool // link-local
}

// scope4 looks at IPv4 addresses: 0/8, 127/8, 224/3 (class D, E and broadcast) and
// 169.254/16 (RFC 3927 section 7).
func scope4(src, dst uint32) scope {
	none := func(a uint32) bool { return a>>24 == 0 || a>>24 == 127 || a>>29 == 7 }
	link := func(a uint32) bool { return a>>16 == 0xa9fe }
	return scope{badSource: none(src), badDest: none(dst), linkSource: link(src), linkDest: link(dst)}
}

// scope6 looks at IPv6 addresses: multicast, fe80::/10, and ::/64, which has the
// unspecified and loopback addresses and IPv4-mapped ones.
func scope6(src, dst wire.Addr) scope {
	none := func(a wire.Addr) bool { return a.Hi>>56 == 0xff || a.Hi == 0 }
	link := func(a wire.Addr) bool { return a.Hi>>54 == 0xfe80>>6 }
	return scope{badSource: none(src), badDest: none(dst), linkSource: link(src), linkDest: link(dst)}
}

// Rewrite makes f the frame that leaves the router: one hop less to live, and
// from src to dst. A super-frame is rewritten once: its segments take its headers.
// The packet is one that Route decided to forward.
//
// Hot path: no allocation.
func Rewrite(f *pkt.Frame, dst, src table.MAC) {
	if f.EtherType == wire.TypeIPv4 {
		wire.IPv4(f.Head[wire.EthernetLen:]).DecTTL()
	} else {
		wire.IPv6(f.Head[wire.EthernetLen:]).DecHopLimit()
	}
	Address(f, dst, src)
}

// Address is Rewrite for a packet of the gateway itself, which has no hop behind
// it.
func Address(f *pkt.Frame, dst, src table.MAC) {
	dst.Put(f.Head)
	src.Put(f.Head[6:])
}
