package wire

import (
	"encoding/binary"
	"math/bits"
)

// IP protocol numbers that the engine looks at.
const (
	ProtoHopByHop uint8 = 0
	ProtoICMP     uint8 = 1
	ProtoTCP      uint8 = 6
	ProtoUDP      uint8 = 17
	ProtoDCCP     uint8 = 33
	ProtoRouting  uint8 = 43
	ProtoFragment uint8 = 44
	ProtoAH       uint8 = 51
	ProtoICMPv6   uint8 = 58
	ProtoNoNext   uint8 = 59
	ProtoDestOpts uint8 = 60
	ProtoSCTP     uint8 = 132
	ProtoMobility uint8 = 135
	ProtoUDPLite  uint8 = 136
)

// IPv4Len is the length of an IPv4 header without options, bytes.
const IPv4Len = 20

// Bits of the IPv4 word of flags and fragment offset.
const (
	ipv4DF         = 0x4000
	ipv4MF         = 0x2000
	ipv4OffsetMask = 0x1fff
)

// IPv4 is a view of an IPv4 packet (RFC 791 section 3.1).
//
//	 0                   1                   2                   3
//	+-------+-------+---------------+-------------------------------+
//	|Version|  IHL  |Type of Service|          Total Length         |  0
//	+-------+-------+---------------+-----+-------------------------+
//	|         Identification        |Flags|      Fragment Offset    |  4
//	+---------------+---------------+-----+-------------------------+
//	|  Time to Live |    Protocol   |         Header Checksum       |  8
//	+---------------+---------------+-------------------------------+
//	|                       Source Address                          | 12
//	+---------------------------------------------------------------+
//	|                    Destination Address                        | 16
//	+---------------------------------------------------------------+
//	|                    Options, 0 to 40 bytes                     | 20
type IPv4 []byte

// Valid reports whether h holds a header of version 4 with its options, whose
// total length is not less than the header's. It does not compare the total
// length with len(h), because a super-frame's payload may lie elsewhere, nor
// verify the checksum.
func (h IPv4) Valid() bool {
	if len(h) < IPv4Len || h[0]>>4 != 4 {
		return false
	}
	n := h.HeaderLen()
	return n >= IPv4Len && n <= len(h) && h.TotalLen() >= n
}

// HeaderLen returns the length of the header with its options, 0 to 60 bytes;
// valid ones are 20 and more.
func (h IPv4) HeaderLen() int { return int(h[0]&0x0f) * 4 }

// TOS returns DSCP (6 bits) and ECN (2).
func (h IPv4) TOS() uint8 { return h[1] }

// TotalLen returns the length of header and payload, bytes.
func (h IPv4) TotalLen() int { return int(binary.BigEndian.Uint16(h[2:])) }

// SetTotalLen writes the length of header and payload. The checksum is left.
func (h IPv4) SetTotalLen(n int) { binary.BigEndian.PutUint16(h[2:], uint16(n)) }

// ID returns the identification field.
func (h IPv4) ID() uint16 { return binary.BigEndian.Uint16(h[4:]) }

// SetID writes the identification field. The checksum is left.
func (h IPv4) SetID(id uint16) { binary.BigEndian.PutUint16(h[4:], id) }

// DF reports whether the packet may not be fragmented.
func (h IPv4) DF() bool { return h[6]&(ipv4DF>>8) != 0 }

// IsFragment reports whether h is a fragment, the first one included.
func (h IPv4) IsFragment() bool {
	return binary.BigEndian.Uint16(h[6:])&(ipv4MF|ipv4OffsetMask) != 0
}

// FragmentOffset returns where the payload belongs in the whole packet, in
// units of 8 bytes.
func (h IPv4) FragmentOffset() uint16 { return binary.BigEndian.Uint16(h[6:]) & ipv4OffsetMask }

// TTL returns the time to live.
func (h IPv4) TTL() uint8 { return h[8] }

// Proto returns the protocol of the payload.
func (h IPv4) Proto() uint8 { return h[9] }

// Checksum returns the header checksum field.
func (h IPv4) Checksum() uint16 { return binary.BigEndian.Uint16(h[10:]) }

// SetChecksum writes the header checksum field.
func (h IPv4) SetChecksum(c uint16) { binary.BigEndian.PutUint16(h[10:], c) }

// Src returns the source address, host order.
func (h IPv4) Src() uint32 { return binary.BigEndian.Uint32(h[12:]) }

// Dst returns the destination address, host order.
func (h IPv4) Dst() uint32 { return binary.BigEndian.Uint32(h[16:]) }

// HeaderSum returns the folded sum of the header, checksum field included:
// 0xffff when the checksum is right. h must hold the header.
//
// Hot path: no allocation. About 2 ns without options.
func (h IPv4) HeaderSum() uint16 {
	if h[0] != 0x45 {
		return Fold(Sum(h[:h.HeaderLen()], 0))
	}
	_ = h[19]
	s, c := bits.Add64(binary.LittleEndian.Uint64(h), binary.LittleEndian.Uint64(h[8:]), 0)
	s, c = bits.Add64(s, uint64(binary.LittleEndian.Uint32(h[16:])), c)
	return fold64(s + c)
}

// UpdateChecksum computes the header checksum anew and writes it.
func (h IPv4) UpdateChecksum() {
	h.SetChecksum(0)
	h.SetChecksum(^h.HeaderSum())
}

// DecTTL takes one hop off the time to live and updates the checksum. It
// reports false, and changes nothing, when the packet may not be forwarded
// because the TTL is 0 or 1.
//
// Hot path: no allocation.
func (h IPv4) DecTTL() bool {
	if h[8] <= 1 {
		return false
	}
	old := binary.BigEndian.Uint16(h[8:])
	h[8]--
	h.SetChecksum(UpdateChecksum(h.Checksum(), old, old-0x0100))
	return true
}

// Pseudo returns the unfolded pseudo-header sum for an L4 segment of l4Len
// bytes in h.
func (h IPv4) Pseudo(proto uint8, l4Len int) uint32 {
	return PseudoIPv4(h.Src(), h.Dst(), proto, l4Len)
}

// IPv4Fields is what Put writes.
type IPv4Fields struct {
	TOS      uint8
	TotalLen int    // header and payload, 20 to 65535 bytes
	ID       uint16 // host order
	DF       bool
	TTL      uint8
	Proto    uint8
	Src, Dst uint32 // host order
}

// Put writes a header without options, checksum included, into h[:IPv4Len].
//
// Hot path: no allocation.
func (h IPv4) Put(f *IPv4Fields) {
	_ = h[19]
	h[0], h[1] = 0x45, f.TOS
	binary.BigEndian.PutUint16(h[2:], uint16(f.TotalLen))
	binary.BigEndian.PutUint16(h[4:], f.ID)
	h[6], h[7] = 0, 0
	if f.DF {
		h[6] = ipv4DF >> 8
	}
	h[8], h[9], h[10], h[11] = f.TTL, f.Proto, 0, 0
	binary.BigEndian.PutUint32(h[12:], f.Src)
	binary.BigEndian.PutUint32(h[16:], f.Dst)
	h.SetChecksum(^h.HeaderSum())
}
