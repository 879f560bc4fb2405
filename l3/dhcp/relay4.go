package dhcp

import (
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// Forward4 writes into dst the message that servers get for m, which a client sent
// by circuit ac, and returns its length. dst has room for len(m) and MaxAdded
// bytes; what is longer than max is refused. m is not changed. The slow path only.
//
//   - A request with giaddr set is not a client's: only Trusted takes it, and it is
//     relayed as it is (RFC 1542 section 4.1.1). One with an address of this relay
//     is never taken, nor option 82 from a client (RFC 3046 section 2.1).
//   - Otherwise giaddr becomes the leaf's own address, and option 82 names the
//     circuit, and the subnet by link selection (RFC 3527 section 3).
func (r *Relay) Forward4(dst, m []byte, ac table.ACID, max int, now int64) (n int, f Fault) {
	q := Request{At: now, Circuit: r.circuit(ac)}
	n, f = r.forward4(dst, m, &q, max)
	if q.Fault = f; f != Malformed {
		r.note(q)
	}
	return n, f
}

func (r *Relay) forward4(dst []byte, m Message4, q *Request, max int) (int, Fault) {
	p, f := parse4(m)
	if f != None {
		return 0, f
	}
	q.MAC, q.Type = m.Client(), typeName(types4, p.typ)
	gi := m.Giaddr()
	relayed := !gi.IsUnspecified()
	switch {
	case m.Op() != opRequest || fromServer4(p.typ):
		return 0, WrongType
	case m.Hops() > maxHops4:
		return 0, TooManyHops
	case relayed && (!r.Trusted || gi == r.Source4 || gi == r.Gateway4):
		return 0, ForgedRelay
	case !relayed && (p.agent != nil || p.overload && hidesAgent(m)):
		return 0, ForgedAgent
	}
	end := copy(dst, m[:p.end])
	dst[3]++ // hops
	if !relayed {
		copy(dst[giaddrOff:], r.Source4.AsSlice())
		end += r.putAgent(dst[end:], q.Circuit)
	}
	dst[end] = optEnd
	for end++; end < bootpLen; end++ {
		dst[end] = optPad
	}
	if end > max {
		return 0, TooLong
	}
	return end, None
}

// putAgent writes option 82 and returns its length.
func (r *Relay) putAgent(b []byte, circuit string) int {
	at := 2
	sub := func(code uint8, body []byte) {
		b[at], b[at+1] = code, uint8(len(body))
		at += 2 + copy(b[at+2:], body)
	}
	sub(subCircuit, []byte(circuit))
	if r.RemoteID != "" {
		sub(subRemote, []byte(r.RemoteID))
	}
	sub(subLink, r.Gateway4.AsSlice())
	if r.Override {
		sub(subServer, r.Gateway4.AsSlice())
	}
	b[0], b[1] = optAgent, uint8(at-2)
	return at
}

// Link4 returns the gateway's address that m, a reply to the leaf's own address
// own, names as the client's link: what link selection said, which a server gives
// back as it is (RFC 3046 section 2.2). The caller finds the bridge domain by it.
func Link4(m []byte, own netip.Addr) (netip.Addr, Fault) {
	p, f := parse4(m)
	if f != None {
		return netip.Addr{}, f
	}
	if Message4(m).Op() != opReply || !fromServer4(p.typ) {
		return netip.Addr{}, WrongType
	}
	link, ok := subOption(p.agent, subLink)
	if !ok || len(link) != 4 || Message4(m).Giaddr() != own {
		return netip.Addr{}, NoLink
	}
	return netip.AddrFrom4([4]byte(link)), None
}

// Delivery is where a reply goes.
type Delivery struct {
	Addr netip.Addr
	MAC  table.MAC
	Port uint16
	Len  int // of the message, bytes
}

// Return4 writes into dst, which has room for len(m) and 300 bytes, the message
// that a client gets for m, which Link4 found to be of this relay, and from came
// from; and where it goes (RFC 1542 section 4.1.2, RFC 2131 section 4.1). The
// client does not see option 82 (RFC 3046 section 2.1). m is not changed.
func (r *Relay) Return4(dst, m []byte, from netip.Addr) (d Delivery, f Fault) {
	if !r.IsServer(from) {
		return d, NotServer
	}
	p, f := parse4(m)
	if f != None {
		return d, f
	}
	end := p.end
	if p.agent == nil {
		copy(dst, m[:end])
	} else {
		at := copy(dst, m[:p.agentOff])
		end = at + copy(dst[at:], m[p.agentOff+2+len(p.agent):p.end])
	}
	dst[end] = optEnd
	for end++; end < bootpLen; end++ {
		dst[end] = optPad
	}
	v := Message4(m)
	d = Delivery{Addr: v.addr(yiaddrOff), MAC: v.Client(), Port: ClientPort4, Len: end}
	if d.Addr.IsUnspecified() {
		d.Addr = v.addr(ciaddrOff) // to an INFORM
	}
	if v.Broadcast() || d.Addr.IsUnspecified() {
		d.Addr, d.MAC = netip.AddrFrom4([4]byte{255, 255, 255, 255}), table.Broadcast
	}
	return d, None
}
