package wire

import "encoding/binary"

// UDPLen is the length of a UDP header, bytes.
const UDPLen = 8

// UDPChecksumOff is the offset of the checksum field, bytes.
const UDPChecksumOff = 6

// UDP is a view of a UDP datagram (RFC 768).
//
//	+-------------------------------+-------------------------------+
//	|          Source Port          |       Destination Port        |  0
//	+-------------------------------+-------------------------------+
//	|            Length             |           Checksum            |  4
//	+-------------------------------+-------------------------------+
type UDP []byte

// Valid reports whether u holds a header whose length field covers at least
// the header. It does not compare the length field with len(u).
func (u UDP) Valid() bool { return len(u) >= UDPLen && u.Len() >= UDPLen }

// SrcPort returns the source port.
func (u UDP) SrcPort() uint16 { return binary.BigEndian.Uint16(u) }

// DstPort returns the destination port.
func (u UDP) DstPort() uint16 { return binary.BigEndian.Uint16(u[2:]) }

// Len returns the length of header and payload, bytes.
func (u UDP) Len() int { return int(binary.BigEndian.Uint16(u[4:])) }

// SetLen writes the length of header and payload. The checksum is left.
func (u UDP) SetLen(n int) { binary.BigEndian.PutUint16(u[4:], uint16(n)) }

// Checksum returns the checksum field; 0 says that the sender made none.
func (u UDP) Checksum() uint16 { return binary.BigEndian.Uint16(u[UDPChecksumOff:]) }

// SetChecksum writes the checksum field.
func (u UDP) SetChecksum(c uint16) { binary.BigEndian.PutUint16(u[UDPChecksumOff:], c) }

// Put writes the whole header.
//
// Hot path: no allocation.
func (u UDP) Put(src, dst uint16, n int, check uint16) {
	binary.BigEndian.PutUint64(u, uint64(src)<<48|uint64(dst)<<32|uint64(uint16(n))<<16|uint64(check))
}

// UDPChecksum returns the checksum field for a datagram whose folded sum, with
// pseudo-header and a zero checksum field, is s. A checksum that comes out as
// zero is sent as all ones, because zero means "no checksum" (RFC 768).
//
// Hot path: no allocation, inlined.
func UDPChecksum(s uint16) uint16 {
	if s == 0xffff {
		return s
	}
	return ^s
}
