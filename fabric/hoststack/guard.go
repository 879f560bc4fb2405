package hoststack

import (
	"maps"
	"net/netip"
	"sync/atomic"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/fabric/tcpmd5"
)

// Guard is how TCP with a peer is protected on the wire.
type Guard struct {
	// Password signs the segments (RFC 2385), 1 to 80 bytes. Empty: none.
	Password secret.Key
	// Hops is the greatest distance of the peer, 1 to 254: packets that came further
	// are dropped (RFC 5082, GTSM). 0: any.
	Hops uint8
}

// Equal reports whether both protect alike.
func (g Guard) Equal(o Guard) bool { return g.Hops == o.Hops && g.Password.Equal(o.Password) }

// Refusals are TCP packets of peers that were dropped, by reason.
type Refusals struct {
	Distance  uint64 // came further than Hops
	Unsigned  uint64 // without a signature, where there is a password
	Signature uint64 // with a wrong one
	Surplus   uint64 // with one, where there is no password
}

// guards protects the TCP of a stack. The zero value protects nothing.
type guards struct {
	of       atomic.Pointer[map[netip.Addr]Guard]
	mtu      int
	distance atomic.Uint64
	unsigned atomic.Uint64
	wrong    atomic.Uint64
	surplus  atomic.Uint64
}

// Protect makes peers how TCP with them is protected, from the next packet on; no other
// peer is protected. A connection whose ends change passwords apart breaks.
func (n *Netstack) Protect(peers map[netip.Addr]Guard) {
	peers = maps.Clone(peers)
	n.guards.of.Store(&peers)
}

// Refused returns what was dropped up to now.
func (n *Netstack) Refused() Refusals {
	g := &n.guards
	return Refusals{g.distance.Load(), g.unsigned.Load(), g.wrong.Load(), g.surplus.Load()}
}

// find returns how TCP with the sender, or the receiver, of an IP packet is protected;
// false when p is not TCP, or of a peer that nobody has named.
func (g *guards) find(p []byte, sender bool) (_ Guard, ok bool) {
	all := g.of.Load()
	if all == nil || len(*all) == 0 {
		return Guard{}, false
	}
	var peer netip.Addr
	switch {
	case wire.IPv4(p).Valid() && wire.IPv4(p).Proto() == wire.ProtoTCP:
		at := p[16:20]
		if sender {
			at = p[12:16]
		}
		peer = netip.AddrFrom4([4]byte(at))
	case wire.IPv6(p).Valid():
		// The stack may know extension headers that Walk does not: what is not surely
		// another protocol counts as TCP.
		if u, whole := wire.IPv6(p).Walk(); whole && (u.Proto == wire.ProtoUDP || u.Proto == wire.ProtoICMPv6) {
			return Guard{}, false
		}
		at := wire.IPv6(p).Dst()
		if sender {
			at = wire.IPv6(p).Src()
		}
		peer = netip.AddrFrom16([16]byte(at))
	default:
		return Guard{}, false
	}
	x, ok := (*all)[peer]
	return x, ok
}

// admit reports whether the stack may have p, a packet that has arrived, and readies it.
func (g *guards) admit(p []byte) bool {
	x, ok := g.find(p, true)
	if !ok {
		return true
	}
	ttl := &p[8]
	if p[0]>>4 == 6 {
		ttl = &p[7]
	}
	switch signed := tcpmd5.Signed(p); {
	case x.Hops > 0 && int(*ttl) <= 255-int(x.Hops):
		g.distance.Add(1)
	case !x.Password.Valid() && signed:
		g.surplus.Add(1)
	case x.Password.Valid() && !signed:
		g.unsigned.Add(1)
	case x.Password.Valid() && !tcpmd5.Verify(p, x.Password.Bytes()):
		g.wrong.Add(1)
	default:
		if x.Password.Valid() {
			tcpmd5.Admit(p, g.mtu)
		}
		return true
	}
	return false
}

// send readies a packet b[:n] that the stack sends, and returns its length; false: it
// can't be signed and has to be dropped.
func (g *guards) send(b []byte, n int) (int, bool) {
	x, ok := g.find(b[:n], false)
	if !ok {
		return n, true
	}
	if x.Hops > 0 {
		if b[0]>>4 == 6 {
			b[7] = 255
		} else {
			b[8] = 255
			wire.IPv4(b).UpdateChecksum()
		}
	}
	if !x.Password.Valid() {
		return n, true
	}
	return tcpmd5.Sign(b, n, x.Password.Bytes())
}
