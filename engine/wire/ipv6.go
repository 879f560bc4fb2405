package wire

import "encoding/binary"

// IPv6Len is the length of the fixed IPv6 header, bytes.
const IPv6Len = 40

// IPv6 is a view of an IPv6 packet (RFC 8200 section 3).
//
//	+-------+---------------+---------------------------------------+
//	|Version| Traffic Class |           Flow Label                  |  0
//	+-------+---------------+-------+---------------+---------------+
//	|         Payload Length        |  Next Header  |   Hop Limit   |  4
//	+-------------------------------+---------------+---------------+
//	|                   Source Address, 16 bytes                    |  8
//	+---------------------------------------------------------------+
//	|                 Destination Address, 16 bytes                 | 24
//	+---------------------------------------------------------------+
//	|             extension headers, upper-layer packet             | 40
type IPv6 []byte

// Valid reports whether h holds a fixed header of version 6. It does not
// compare the payload length with len(h), because a super-frame's payload may
// lie elsewhere.
func (h IPv6) Valid() bool { return len(h) >= IPv6Len && h[0]>>4 == 6 }

// TrafficClass returns DSCP (6 bits) and ECN (2).
func (h IPv6) TrafficClass() uint8 { return uint8(binary.BigEndian.Uint16(h) >> 4) }

// FlowLabel returns the 20 bits of the flow label.
func (h IPv6) FlowLabel() uint32 { return binary.BigEndian.Uint32(h) & 0xfffff }

// PayloadLen returns the bytes behind the fixed header, extension headers
// included; 0 in a jumbogram.
func (h IPv6) PayloadLen() int { return int(binary.BigEndian.Uint16(h[4:])) }

// SetPayloadLen writes the bytes behind the fixed header, at most 65535.
func (h IPv6) SetPayloadLen(n int) { binary.BigEndian.PutUint16(h[4:], uint16(n)) }

// NextHeader returns what follows the fixed header.
func (h IPv6) NextHeader() uint8 { return h[6] }

// HopLimit returns the hop limit.
func (h IPv6) HopLimit() uint8 { return h[7] }

// Src returns the 16 octets of the source address, a slice of h.
func (h IPv6) Src() []byte { return h[8:24:24] }

// Dst returns the 16 octets of the destination address, a slice of h.
func (h IPv6) Dst() []byte { return h[24:40:40] }

// Addrs returns source and destination, 32 octets as they lie, a slice of h.
func (h IPv6) Addrs() []byte { return h[8:40:40] }

// DecHopLimit takes one hop off. It reports false, and changes nothing, when
// the packet may not be forwarded because the hop limit is 0 or 1.
//
// Hot path: no allocation, inlined.
func (h IPv6) DecHopLimit() bool {
	if h[7] <= 1 {
		return false
	}
	h[7]--
	return true
}

// Pseudo returns the unfolded pseudo-header sum for an upper-layer packet of
// l4Len bytes in h. It takes the destination of the fixed header: not right
// when Upper.Routing is set.
func (h IPv6) Pseudo(proto uint8, l4Len int) uint32 {
	return PseudoIPv6(h.Addrs(), proto, l4Len)
}

// IPv6Fields is what Put writes.
type IPv6Fields struct {
	TrafficClass uint8
	FlowLabel    uint32 // 20 bits
	PayloadLen   int    // 0 to 65535 bytes
	NextHeader   uint8
	HopLimit     uint8
	Src, Dst     Addr
}

// Put writes a fixed header into h[:IPv6Len].
//
// Hot path: no allocation.
func (h IPv6) Put(f *IPv6Fields) {
	_ = h[39]
	binary.BigEndian.PutUint32(h, 6<<28|uint32(f.TrafficClass)<<20|f.FlowLabel&0xfffff)
	binary.BigEndian.PutUint16(h[4:], uint16(f.PayloadLen))
	h[6], h[7] = f.NextHeader, f.HopLimit
	f.Src.Put16(h[8:])
	f.Dst.Put16(h[24:])
}

// maxExtHeaders is how many extension headers Walk goes through. RFC 8200
// section 4.1 recommends an order in which there are at most 7.
const maxExtHeaders = 8

// Upper is where an IPv6 packet's upper-layer header is, and what stands in
// front of it.
type Upper struct {
	Proto    uint8 // of the upper-layer header
	Off      int   // bytes from the fixed header to the upper-layer header
	Fragment bool  // there is a Fragment header
	FragNext uint8 // what follows the Fragment header: the same in every fragment; valid iff Fragment
	Beyond   bool  // a fragment beyond the first: no upper-layer header is at Off
	Routing  bool  // a Routing header with segments left: the last address is not Dst
	Auth     bool  // an Authentication Header covers the packet
}

// Walk goes over the extension headers of h (RFC 8200 section 4), which must be
// Valid. ok is false when they are cut off at len(h) or at the payload length,
// or are more than maxExtHeaders. u.Off may equal len(h): an empty payload.
//
// Hot path: no allocation. Costs nothing when there are no extension headers.
func (h IPv6) Walk() (u Upper, ok bool) {
	u.Proto, u.Off = h[6], IPv6Len
	end := min(len(h), IPv6Len+h.PayloadLen())
	for range maxExtHeaders + 1 {
		size := 0
		switch u.Proto {
		case ProtoHopByHop, ProtoRouting, ProtoDestOpts, ProtoMobility:
			if u.Off+8 > end {
				return u, false
			}
			// Length in units of 8 bytes, not counting the first 8.
			size = 8 + int(h[u.Off+1])*8
			if u.Proto == ProtoRouting && h[u.Off+3] != 0 {
				u.Routing = true
			}
		case ProtoFragment:
			if u.Off+8 > end {
				return u, false
			}
			size = 8
			u.Fragment, u.FragNext = true, h[u.Off]
			// Offset in units of 8 bytes: 13 bits, then 2 reserved, then M.
			if binary.BigEndian.Uint16(h[u.Off+2:])&0xfff8 != 0 {
				u.Proto = h[u.Off]
				u.Off += size
				u.Beyond = true
				return u, true
			}
		case ProtoAH:
			if u.Off+8 > end {
				return u, false
			}
			// Length in units of 4 bytes, minus 2 (RFC 4302 section 2.2).
			size = 8 + int(h[u.Off+1])*4
			u.Auth = true
		default:
			return u, true
		}
		if u.Off+size > end {
			return u, false
		}
		u.Proto = h[u.Off]
		u.Off += size
	}
	return u, false
}
