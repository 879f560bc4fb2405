package vxlan

import (
	"encoding/binary"
	"net/netip"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
)

// Receiver is the rules for VXLAN packets that arrive. The zero value listens
// on no port: Port must be set. Immutable while workers use it.
type Receiver struct {
	// Port is the UDP destination port that is VXLAN, host order.
	Port uint16
	// ZeroChecksum6 takes IPv6 packets whose UDP checksum is zero. RFC 6936
	// section 4 wants that off unless the operator turned it on for the port.
	ZeroChecksum6 bool
	// TrustTunnel does not verify a UDP checksum that is present: set it only
	// for packets that come out of an authenticated tunnel, whose AEAD tag has
	// already shown every byte to be what the peer sent.
	TrustTunnel bool
}

// Packet is what Inspect and Decap read out of a VXLAN packet.
type Packet struct {
	Src, Dst netip.Addr // outer addresses; an IPv4-mapped IPv6 address stays IPv6
	SrcPort  uint16     // outer UDP source port: the inner flow's entropy, host order
	VNI      table.VNI  // 0 to table.MaxVNI
	FrameOff int        // bytes of the packet in front of Frame
	Frame    []byte     // the inner frame, at least 14 bytes; part of the packet's memory
}

// Inspect validates the packet's structure and fills p, all of it, but does not
// verify the UDP checksum: enough for a spine, which forwards the datagram as it
// is. packet is a whole IP packet and may have padding behind it. Fragments are
// refused (RFC 7348 section 4.3 lets a VTEP discard them). When the reason is
// not None, p is not valid.
//
//	version, lengths, fragment, extension header, not UDP   VXLANBadHeader
//	IPv4 header checksum                                    VXLANBadChecksum
//	UDP destination port                                    VXLANWrongPort
//	flags, or fewer than 14 bytes of frame                  VXLANBadHeader, FrameTooShort
//
// Hot path: no allocation.
func (r *Receiver) Inspect(packet []byte, p *Packet) counter.Reason {
	_, reason := r.inspect(packet, p)
	return reason
}

// Decap is Inspect and the UDP checksum. Zero is taken over IPv4, and over IPv6
// when ZeroChecksum6 is set; anything else must verify, unless TrustTunnel.
//
// Hot path: no allocation.
func (r *Receiver) Decap(packet []byte, p *Packet) counter.Reason {
	udp, reason := r.inspect(packet, p)
	if reason != counter.None {
		return reason
	}
	v4 := packet[0]>>4 == 4
	if udp[6]|udp[7] == 0 {
		if v4 || r.ZeroChecksum6 {
			return counter.None
		}
		return counter.VXLANBadChecksum
	}
	if r.TrustTunnel {
		return counter.None
	}
	addrs := packet[8:40]
	if v4 {
		addrs = packet[12:20]
	}
	s := wire.Sum(addrs, uint32(wire.ProtoUDP)+uint32(len(udp)))
	if wire.Fold(wire.Sum(udp, s)) != 0xffff {
		return counter.VXLANBadChecksum
	}
	return counter.None
}

// inspect is Inspect; it also returns the UDP datagram, header and payload.
func (r *Receiver) inspect(b []byte, p *Packet) (udp []byte, reason counter.Reason) {
	if len(b) < wire.IPv4Len {
		return nil, counter.VXLANBadHeader
	}
	off := 0
	switch b[0] >> 4 {
	case 4:
		off = int(b[0]&0x0f) * 4
		total := int(binary.BigEndian.Uint16(b[2:]))
		if off < wire.IPv4Len || total < off || total > len(b) {
			return nil, counter.VXLANBadHeader
		}
		if wire.IPv4(b).HeaderSum() != 0xffff {
			return nil, counter.VXLANBadChecksum
		}
		// More-fragments or an offset: 0x3fff leaves DF and the reserved bit.
		if binary.BigEndian.Uint16(b[6:])&0x3fff != 0 || b[9] != wire.ProtoUDP {
			return nil, counter.VXLANBadHeader
		}
		p.Src = netip.AddrFrom4([4]byte(b[12:16]))
		p.Dst = netip.AddrFrom4([4]byte(b[16:20]))
		udp = b[off:total]
	case 6:
		if len(b) < wire.IPv6Len {
			return nil, counter.VXLANBadHeader
		}
		total := wire.IPv6Len + int(binary.BigEndian.Uint16(b[4:]))
		// A VTEP sends no extension headers, a fragment header least of all.
		if total > len(b) || b[6] != wire.ProtoUDP {
			return nil, counter.VXLANBadHeader
		}
		p.Src = netip.AddrFrom16([16]byte(b[8:24]))
		p.Dst = netip.AddrFrom16([16]byte(b[24:40]))
		off = wire.IPv6Len
		udp = b[off:total]
	default:
		return nil, counter.VXLANBadHeader
	}

	if len(udp) < wire.UDPLen {
		return nil, counter.VXLANBadHeader
	}
	if binary.BigEndian.Uint16(udp[2:]) != r.Port {
		return nil, counter.VXLANWrongPort
	}
	n := int(binary.BigEndian.Uint16(udp[4:]))
	if n < wire.UDPLen || n > len(udp) {
		return nil, counter.VXLANBadHeader
	}
	udp = udp[:n]
	vni, frame, reason := DecapPayload(udp[wire.UDPLen:])
	if reason != counter.None {
		return nil, reason
	}
	p.SrcPort = binary.BigEndian.Uint16(udp)
	p.VNI = vni
	p.FrameOff = off + wire.UDPLen + HeaderLen
	p.Frame = frame
	return udp, counter.None
}

// Match reports whether packet is an unfragmented UDP packet to the VXLAN port,
// so that a node can tell VXLAN from what is for its host stack. It checks only
// what it needs to read; Inspect checks the rest.
//
// Hot path: no allocation.
func (r *Receiver) Match(packet []byte) bool {
	if len(packet) < wire.IPv4Len {
		return false
	}
	off := wire.IPv6Len
	switch packet[0] >> 4 {
	case 4:
		off = int(packet[0]&0x0f) * 4
		if packet[9] != wire.ProtoUDP || off < wire.IPv4Len || binary.BigEndian.Uint16(packet[6:])&0x3fff != 0 {
			return false
		}
	case 6:
		if packet[6] != wire.ProtoUDP {
			return false
		}
	default:
		return false
	}
	return len(packet) >= off+wire.UDPLen && binary.BigEndian.Uint16(packet[off+2:]) == r.Port
}
