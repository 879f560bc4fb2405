package vnet

import (
	"encoding/binary"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
)

// Len is the length of the header, bytes.
const Len = 10

// Values of flags, and the bit in gso_type that marks TCP CWR.
const (
	flagNeedsCsum = 1
	gsoECN        = 0x80
)

// Bounds that a header is checked against, bytes.
const (
	etherLen = 14
	tcpLen   = 20 // TCP header without options
	tcpCsum  = 16 // offset of the checksum in a TCP header
	udpLen   = 8
	udpCsum  = 6
	vlanLen  = 4
	tcpOff   = 12 // offset of the data offset in a TCP header
)

// Decode returns what the header in b[:Len] says of frame, which starts at the
// destination MAC. ok is false, and the frame must be dropped, when the header
// does not fit the frame: an unknown GSO type, no segment size, or a checksum
// field outside of the frame or where the GSO type does not have it.
//
// hdr_len is not looked at: the kernel fills in how much of its buffer was
// linear, not how long the headers are.
//
// Hot path: no allocation.
func Decode(b, frame []byte) (o pkt.Offload, ok bool) {
	_ = b[Len-1]
	o.GSOType = b[1] &^ gsoECN
	if b[0]&flagNeedsCsum != 0 {
		o.NeedsCsum = true
		o.CsumStart = binary.NativeEndian.Uint16(b[6:])
		o.CsumOff = binary.NativeEndian.Uint16(b[8:])
		if o.CsumStart < etherLen || int(o.CsumStart)+int(o.CsumOff)+2 > len(frame) {
			return pkt.Offload{}, false
		}
	}
	if o.GSOType == pkt.GSONone {
		return o, true
	}
	o.GSOSize = binary.NativeEndian.Uint16(b[4:])
	if o.GSOSize == 0 {
		return pkt.Offload{}, false
	}
	csum, l4 := uint16(tcpCsum), tcpLen
	switch o.GSOType {
	case pkt.GSOTCPv4, pkt.GSOTCPv6:
		o.ECN = b[1]&gsoECN != 0
	case pkt.GSOUDP:
		csum, l4 = udpCsum, udpLen
	default:
		return pkt.Offload{}, false
	}
	if o.NeedsCsum && (o.CsumOff != csum || int(o.CsumStart)+l4 > len(frame)) {
		return pkt.Offload{}, false
	}
	return o, true
}

// headerLen returns the bytes of f.Head before the L4 payload, as far as the
// offload needs them to be linear in the kernel's buffer. ok is false when they
// are not all in Head.
func headerLen(f *pkt.Frame) (n int, ok bool) {
	o := &f.Offload
	switch {
	case !o.NeedsCsum && o.GSOType == pkt.GSONone:
		return 0, true
	case !o.NeedsCsum:
		// The kernel finds the headers by itself.
		return min(len(f.Head), 128), true
	case o.GSOType == pkt.GSOTCPv4 || o.GSOType == pkt.GSOTCPv6:
		if int(o.CsumStart)+tcpLen > len(f.Head) {
			return 0, false
		}
		n = int(o.CsumStart) + int(f.Head[int(o.CsumStart)+tcpOff]>>4)*4
	case o.GSOType == pkt.GSOUDP:
		n = int(o.CsumStart) + udpLen
	default:
		n = int(o.CsumStart) + int(o.CsumOff) + 2
	}
	return n, n <= len(f.Head)
}

// Scratch is the memory for what goes on the wire in front of a frame and
// between its addresses and the rest. It must be on the heap and unchanged
// until the frame is sent.
type Scratch struct {
	hdr  [Len]byte
	tags [pkt.MaxTags * vlanLen]byte
}

// put writes the header and the tags of f. Offsets move by the bytes of the
// tags. It reports whether f is fit for sending.
func (s *Scratch) put(f *pkt.Frame) bool {
	n, ok := headerLen(f)
	if !ok || len(f.Head) < etherLen || f.Len+int(f.NumTags)*vlanLen > port.MaxRecvFrame {
		return false
	}
	shift := uint16(0)
	for i := range f.NumTags {
		binary.BigEndian.PutUint16(s.tags[i*vlanLen:], f.Tags[i].TPID)
		binary.BigEndian.PutUint16(s.tags[i*vlanLen+2:], f.Tags[i].TCI)
		shift += vlanLen
	}
	o := &f.Offload
	s.hdr = [Len]byte{}
	if o.NeedsCsum {
		s.hdr[0] = flagNeedsCsum
		binary.NativeEndian.PutUint16(s.hdr[6:], o.CsumStart+shift)
		binary.NativeEndian.PutUint16(s.hdr[8:], o.CsumOff)
	}
	if o.GSOType != pkt.GSONone {
		s.hdr[1] = o.GSOType
		if o.ECN {
			s.hdr[1] |= gsoECN
		}
		binary.NativeEndian.PutUint16(s.hdr[4:], o.GSOSize)
	}
	if n > 0 {
		binary.NativeEndian.PutUint16(s.hdr[2:], uint16(n)+shift)
	}
	return true
}
