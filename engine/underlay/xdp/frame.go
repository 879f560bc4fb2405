package xdp

import (
	"encoding/binary"
	"net/netip"

	"github.com/ztos/ztos/engine/wire"
)

// Lengths of the headers in front of a datagram, bytes.
const (
	etherLen = wire.EthernetLen
	head4    = etherLen + wire.IPv4Len + wire.UDPLen
	head6    = etherLen + wire.IPv6Len + wire.UDPLen
	hopLimit = 64 // as the kernel's default
)

// parse returns the sender and the payload of an Ethernet frame that holds one UDP
// datagram, as the filter lets through; ok is false when it is cut off, its IPv4
// header's checksum is wrong, it is IPv6 without a UDP checksum, which only a
// receiver that says so may take (RFC 6935), or its sender is nobody who can be
// answered (foreign). data is a part of b.
//
// Hot path: no allocation.
func parse(b []byte) (src netip.AddrPort, data []byte, ok bool) {
	if len(b) < etherLen {
		return src, nil, false
	}
	ip := b[etherLen:]
	var from netip.Addr
	var u wire.UDP
	switch wire.Ethernet(b).Type() {
	case wire.TypeIPv4:
		h := wire.IPv4(ip)
		if !h.Valid() || h.TotalLen() > len(ip) || h.Proto() != wire.ProtoUDP || h.IsFragment() || h.HeaderSum() != 0xffff {
			return src, nil, false
		}
		from = netip.AddrFrom4([4]byte(ip[12:16]))
		u = wire.UDP(ip[h.HeaderLen():h.TotalLen()])
	case wire.TypeIPv6:
		h := wire.IPv6(ip)
		if !h.Valid() || h.NextHeader() != wire.ProtoUDP || wire.IPv6Len+h.PayloadLen() > len(ip) {
			return src, nil, false
		}
		from = netip.AddrFrom16([16]byte(h.Src()))
		u = wire.UDP(ip[wire.IPv6Len : wire.IPv6Len+h.PayloadLen()])
		if u.Valid() && u.Checksum() == 0 {
			return src, nil, false
		}
	default:
		return src, nil, false
	}
	if !u.Valid() || u.Len() > len(u) || u.SrcPort() == 0 || !foreign(from) {
		return src, nil, false
	}
	return netip.AddrPortFrom(from, u.SrcPort()), u[wire.UDPLen:u.Len()], true
}

// foreign reports whether a can be the address of another machine, as the kernel
// asks before it believes a source. Otherwise a handshake from 127.0.0.1 would be
// answered to somebody on this machine. Mapped addresses would pass for others, and
// link-local ones say nothing without their interface.
//
// Hot path: no allocation.
func foreign(a netip.Addr) bool {
	if a.Is4() {
		b := a.As4()
		return b[0] != 0 && b[0] != 127 && b[0] < 224 // multicast, reserved, broadcast
	}
	return !a.Is4In6() && !a.IsLoopback() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLinkLocalUnicast()
}

// route is a next hop with the headers of what goes there: Ethernet and IP,
// complete but for lengths and checksums.
type route struct {
	leg    int         // place of the device
	head   [head6]byte // head4 or head6 bytes of it
	n      int         // head4 or head6
	pseudo uint32      // unfolded sum of the pseudo-header without its length
}

// newRoute returns the route of h from a device with the given MAC address.
func newRoute(h *Hop, mac [6]byte) *route {
	r := &route{leg: h.Device, n: head4}
	ip := r.head[etherLen:]
	if h.Dst.Is4() {
		wire.Ethernet(r.head[:]).Put(h.MAC[:], mac[:], wire.TypeIPv4)
		src, dst := h.Src.As4(), h.Dst.As4()
		f := wire.IPv4Fields{
			TotalLen: wire.IPv4Len, DF: true, TTL: hopLimit, Proto: wire.ProtoUDP,
			Src: binary.BigEndian.Uint32(src[:]), Dst: binary.BigEndian.Uint32(dst[:]),
		}
		wire.IPv4(ip).Put(&f)
		r.pseudo = wire.IPv4(ip).Pseudo(wire.ProtoUDP, 0)
		return r
	}
	r.n = head6
	wire.Ethernet(r.head[:]).Put(h.MAC[:], mac[:], wire.TypeIPv6)
	f := wire.IPv6Fields{NextHeader: wire.ProtoUDP, HopLimit: hopLimit}
	wire.IPv6(ip).Put(&f)
	src, dst := h.Src.As16(), h.Dst.As16()
	copy(wire.IPv6(ip).Src(), src[:])
	copy(wire.IPv6(ip).Dst(), dst[:])
	r.pseudo = wire.IPv6(ip).Pseudo(wire.ProtoUDP, 0)
	return r
}

// overhead returns the IP and UDP headers' length, bytes: what counts against the
// MTU.
func (r *route) overhead() int { return r.n - etherLen }

// put writes the headers of a datagram in front of data into b and returns their
// length. len(data) plus overhead is at most 65535.
//
// Hot path: no allocation.
func (r *route) put(b *[head6]byte, src, dst uint16, data []byte) int {
	*b = r.head
	n := wire.UDPLen + len(data)
	if ip := b[etherLen:]; r.n == head4 {
		wire.IPv4(ip).SetTotalLen(wire.IPv4Len + n)
		wire.IPv4(ip).UpdateChecksum()
	} else {
		// What spreads flows over equal paths without looking behind the IPv6
		// header goes by the flow label (RFC 6438 section 3).
		label := (uint32(src)<<16 | uint32(dst)) * 2654435769 >> 12
		binary.BigEndian.PutUint32(ip, 6<<28|label)
		wire.IPv6(ip).SetPayloadLen(n)
	}
	u := wire.UDP(b[r.n-wire.UDPLen : r.n])
	u.Put(src, dst, n, 0)
	u.SetChecksum(wire.UDPChecksum(wire.Fold(wire.Sum(data, wire.Sum(u, r.pseudo+uint32(n))))))
	return r.n
}
