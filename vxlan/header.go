package vxlan

import (
	"encoding/binary"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
)

// Port is the UDP port that IANA gave VXLAN (RFC 7348 section 5). Linux uses
// 8472 unless it is told otherwise.
const Port = 4789

// HeaderLen is the VXLAN header: flags and reserved 4, VNI 3, reserved 1.
const HeaderLen = 8

// Bytes in front of the frame: IP + UDP 8 + VXLAN 8.
const (
	Overhead4   = wire.IPv4Len + wire.UDPLen + HeaderLen // 20 + 8 + 8 = 36
	Overhead6   = wire.IPv6Len + wire.UDPLen + HeaderLen // 40 + 8 + 8 = 56
	MaxOverhead = Overhead6
)

// Header is a view of a VXLAN header.
//
//	 0                   1                   2                   3
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|R|R|R|R|I|R|R|R|            Reserved                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                VXLAN Network Identifier (VNI) |   Reserved    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// (RFC 7348 section 5). The group policy extension, a draft that Linux and
// several switches speak, uses the first R as G and the 16 bits before the VNI
// as the group.
type Header []byte

// Flag bits of the first 32-bit word, host order.
const (
	flagI = 0x08000000 // the VNI is valid
	flagG = 0x80000000 // group policy: the group field is valid

	// Reserved bits that other specifications gave a meaning under which what
	// follows is not a complete Ethernet frame. RFC 7348 says to ignore
	// reserved bits; a frame that means something else is not one to deliver,
	// so these are refused. What the drafts say is known second-hand.
	flagsRefused = 0x30000000 | // GPE: version
		0x04000000 | // GPE: P, the payload is what the next-protocol byte says
		0x01000000 | // GPE: O, an OAM packet for the VTEP itself
		0x00200000 // remote checksum offload: the inner checksum is unfinished
)

// Valid reports whether h holds a whole header that may be taken as RFC 7348's:
// I set, and none of the flags with which others give the payload another
// meaning. All other reserved bits are ignored, the group policy's among them.
func (h Header) Valid() bool {
	return len(h) >= HeaderLen && h.flags()&(flagI|flagsRefused) == flagI
}

// VNI returns the VXLAN network identifier, 0 to 16777215. Needs 8 bytes.
func (h Header) VNI() table.VNI {
	return table.VNI(binary.BigEndian.Uint32(h[4:8]) >> 8)
}

// Group returns the group of the group policy extension, and whether the header
// carries one. ZTOS reads it only to show it. Needs 8 bytes.
func (h Header) Group() (group uint16, ok bool) {
	w := h.flags()
	return uint16(w), w&flagG != 0
}

// Put writes the whole header: I set, everything reserved zero. vni is 1 to
// table.MaxVNI. Needs 8 bytes.
//
// Hot path: no allocation.
func (h Header) Put(vni table.VNI) {
	_ = h[7]
	binary.BigEndian.PutUint32(h, flagI)
	binary.BigEndian.PutUint32(h[4:], uint32(vni)<<8)
}

func (h Header) flags() uint32 { return binary.BigEndian.Uint32(h) }

// SourcePort maps a flow hash to a UDP source port in 49152 to 65535, so that
// the underlay's ECMP sees the inner flows (RFC 7348 section 5). Equal hashes
// give equal ports; all 32 bits of the hash take part.
//
// Hot path: no allocation, inlined.
func SourcePort(flow uint32) uint16 {
	return 0xc000 | uint16(flow^flow>>14^flow>>28)&0x3fff
}

// DecapPayload opens the payload of a UDP datagram that the kernel has already
// checked and that came to the VXLAN port. frame is the rest of b.
//
// Hot path: no allocation.
func DecapPayload(b []byte) (vni table.VNI, frame []byte, r counter.Reason) {
	h := Header(b)
	if !h.Valid() {
		return 0, nil, counter.VXLANBadHeader
	}
	if len(b) < HeaderLen+wire.EthernetLen {
		return 0, nil, counter.FrameTooShort
	}
	return h.VNI(), b[HeaderLen:], counter.None
}
