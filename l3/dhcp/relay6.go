package dhcp

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/ztos/ztos/engine/table"
)

// Forward6 writes into dst the RELAY-FORW message that servers get for m, which
// from sent in a frame of mac by circuit ac, and returns its length (RFC 8415
// section 19.1). dst has room for len(m) and MaxAdded bytes; what is longer than
// max is refused. m is not changed. The slow path only.
//
// A RELAY-FORW of a client is refused unless Trusted. Types that nobody knows yet
// are relayed (RFC 7283 section 4).
func (r *Relay) Forward6(dst, m []byte, from netip.Addr, mac table.MAC, ac table.ACID, max int, now int64) (n int, f Fault) {
	q := Request{At: now, Circuit: r.circuit(ac), MAC: mac, V6: true}
	n, f = r.forward6(dst, m, from, &q, max)
	if q.Fault = f; f != Malformed {
		r.note(q)
	}
	if f == None {
		r.remember(from, mac, now)
	}
	return n, f
}

func (r *Relay) forward6(dst []byte, m Message6, from netip.Addr, q *Request, max int) (int, Fault) {
	if _, f := parse6(m); f != None {
		return 0, f
	}
	typ := m.Type()
	q.Type = typeName(types6, typ)
	link, hops := r.Gateway6, uint8(0)
	switch {
	case fromServer6(typ):
		return 0, WrongType
	case typ != relayForw6:
	case !r.Trusted:
		return 0, ForgedRelay
	case m.Hops() >= maxHops6:
		return 0, TooManyHops
	default:
		hops = m.Hops() + 1
		if !from.IsLinkLocalUnicast() {
			link = netip.IPv6Unspecified() // the first relay has named it (section 19.1.2)
		}
	}
	size := relay6Len + option6Len + len(q.Circuit) + option6Len + len(m)
	if typ != relayForw6 {
		size += option6Len + 8
	}
	if size > max {
		return 0, TooLong
	}
	dst[0], dst[1] = relayForw6, hops
	l, p := link.As16(), from.As16()
	copy(dst[2:], l[:])
	copy(dst[18:], p[:])
	b := putOption6(dst[relay6Len:], optInterface, []byte(q.Circuit))
	if typ != relayForw6 {
		hw := [8]byte{1: ethernet}
		q.MAC.Put(hw[2:])
		b = putOption6(b, optLinkLayer, hw[:])
	}
	putOption6(b, optRelayMsg, m)
	return size, None
}

// Link6 returns the VNI that m, a RELAY-REPL, names as the client's link: what the
// interface id said, which a server gives back as it is (RFC 8415 section 21.18).
func Link6(m []byte) (table.VNI, Fault) {
	p, f := parse6(m)
	if f != None {
		return 0, f
	}
	if Message6(m).Type() != relayRepl6 || !fromServer6(p.inner[0]) {
		return 0, WrongType
	}
	vni, _, _ := strings.Cut(string(p.iface), "/")
	v, err := strconv.ParseUint(vni, 10, 24)
	if err != nil || v == 0 {
		return 0, NoLink
	}
	return table.VNI(v), None
}

// Return6 writes into dst, which has room for len(m) bytes, the message inside m,
// which Link6 found to be of this relay, and from came from; and where it goes (RFC
// 8415 section 19.2). m is not changed. The slow path only.
func (r *Relay) Return6(dst, m []byte, from netip.Addr, now int64) (d Delivery, f Fault) {
	if !r.IsServer(from) {
		return d, NotServer
	}
	p, f := parse6(m)
	if f != None {
		return d, f
	}
	if _, f := parse6(p.inner); f != None {
		return d, f
	}
	d = Delivery{Addr: Message6(m).Peer(), Port: ClientPort6}
	if p.inner[0] == relayRepl6 {
		d.Port = ServerPort6
	}
	var ok bool
	if d.MAC, ok = r.peerMAC(d.Addr, now); !ok {
		return d, NoClient
	}
	d.Len = copy(dst, p.inner)
	return d, None
}
