package gso

import (
	"encoding/binary"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
)

// MaxCut is the most segments that a super-frame is cut into: 65,535 bytes of an
// MSS of 64, less than any TCP agrees on. It bounds how many frames a tenant can
// have made of one by a tiny GSO size.
const MaxCut = 1024

// MaxSegments is the most segments that a super-frame is joined from: what one
// UDP_SEGMENT send takes.
const MaxSegments = 128

// maxHdr is the longest stack of headers that is repeated in front of every
// segment, bytes: Ethernet 14, IPv6 40, TCP 60, and 142 for tags left in the
// bytes and extension headers.
const maxHdr = 256

// Splitter cuts one frame after another into segments, in the frame's own
// memory. The zero value is ready for Init. Worker only.
type Splitter struct {
	head []byte // the frame's memory; segments are slices of it
	left int    // segments that Next has still to return
	gso  bool   // a super-frame: the fields below are valid
	udp  bool
	v6   bool
	raw  bool // UDP without checksum: it stays 0

	l3, l4 int // offsets of the headers in hdr
	hdrLen int // bytes of headers, Ethernet to TCP or UDP
	size   int // L4 payload bytes of every segment but the last
	next   int // offset in head of the first payload byte not yet returned
	end    int // offset in head behind the last payload byte

	ipSum uint32 // sum of the IPv4 header, its total length, ID and checksum taken as 0
	l4Sum uint32 // sum of pseudo and L4 header, lengths, sequence, flags and checksum taken as 0
	id    uint16 // IPv4 ID of the next segment
	seq   uint32 // TCP sequence number of the next segment
	flags uint8  // TCP flags of the next segment, FIN and PSH taken out
	last  uint8  // FIN and PSH of the super-frame: set in the last segment only

	hdr [maxHdr]byte // the super-frame's headers
}

// Init makes s ready to cut f and returns how many segments Next will return, 1
// for a plain frame, whose partial checksum it completes. It parses f when that
// has not been done.
//
// From here on f's bytes belong to s: Next destroys what lies in front of the
// segment it returns. Whoever else needs the super-frame whole (a local port of
// the same flood list) must have flushed or copied it.
//
// It refuses, and leaves f as it is:
//
//   - BadOffload: a GSO size of 0, a GSO type that does not name the packet's
//     protocols, checksum offsets that are not those of its L4 header, a
//     fragment, headers that wire.Parse did not understand;
//   - SegmentFailed: a frame with Frags, more than MaxCut segments, more
//     than maxHdr bytes of headers, IPv6 with a Routing or Authentication header
//     (their segments' checksums can't be made from the headers alone);
//   - FrameTooShort: what wire.Parse says.
//
// Hot path: no allocation (TestNoAllocs).
func (s *Splitter) Init(f *pkt.Frame) (segments int, r counter.Reason) {
	s.left = 0
	if !f.Parsed {
		if r := wire.Parse(f); r != counter.None {
			return 0, r
		}
	}
	if len(f.Frags) != 0 || f.Len != len(f.Head) {
		return 0, counter.SegmentFailed
	}
	s.head = f.Head
	if f.Offload.GSOType == pkt.GSONone {
		if r := CompleteChecksum(f); r != counter.None {
			return 0, r
		}
		s.gso, s.left = false, 1
		return 1, counter.None
	}
	if r := s.check(f); r != counter.None {
		return 0, r
	}
	s.prepare(f)
	s.gso = true
	return s.left, counter.None
}

// check validates the super-frame f and sets the geometry of its segments.
func (s *Splitter) check(f *pkt.Frame) counter.Reason {
	o := &f.Offload
	s.l3, s.l4, s.size = int(f.L3Off), int(f.L4Off), int(o.GSOSize)
	s.udp = o.GSOType == pkt.GSOUDP
	s.v6 = f.EtherType == wire.TypeIPv6
	if s.size == 0 || s.l3 < wire.EthernetLen || s.l4 < s.l3+wire.IPv4Len || s.l4 >= len(f.Head) {
		return counter.BadOffload
	}
	proto, csumOff := wire.ProtoTCP, wire.TCPChecksumOff
	switch o.GSOType {
	case pkt.GSOTCPv4:
		if f.EtherType != wire.TypeIPv4 {
			return counter.BadOffload
		}
	case pkt.GSOTCPv6:
		if !s.v6 {
			return counter.BadOffload
		}
	case pkt.GSOUDP:
		proto, csumOff = wire.ProtoUDP, wire.UDPChecksumOff
	default:
		return counter.BadOffload
	}
	if f.IPProto != proto {
		return counter.BadOffload
	}
	if o.NeedsCsum && (int(o.CsumStart) != s.l4 || int(o.CsumOff) != csumOff) {
		return counter.BadOffload
	}
	l3, l4 := f.Head[s.l3:], f.Head[s.l4:]
	if s.v6 {
		h := wire.IPv6(l3)
		if !h.Valid() {
			return counter.BadOffload
		}
		s.end = s.l3 + wire.IPv6Len + h.PayloadLen()
		if s.l4 != s.l3+wire.IPv6Len {
			u, ok := h.Walk()
			if !ok || u.Fragment {
				return counter.BadOffload
			}
			if u.Routing || u.Auth {
				return counter.SegmentFailed
			}
		}
	} else {
		h := wire.IPv4(l3)
		s.end = s.l3 + h.TotalLen()
		if !h.Valid() || h.HeaderLen() != s.l4-s.l3 || h.IsFragment() {
			return counter.BadOffload
		}
	}
	s.hdrLen = s.l4 + wire.UDPLen
	if !s.udp {
		t := wire.TCP(l4)
		if !t.Valid() {
			return counter.BadOffload
		}
		s.hdrLen = s.l4 + t.HeaderLen()
	}
	if s.end < s.hdrLen || s.end > len(f.Head) {
		return counter.BadOffload
	}
	s.next = s.hdrLen
	s.left = max(1, (s.end-s.hdrLen+s.size-1)/s.size)
	if s.left > MaxCut || s.hdrLen > maxHdr {
		s.left = 0
		return counter.SegmentFailed
	}
	return counter.None
}

// prepare keeps f's headers and sums once what does not differ from segment to
// segment.
func (s *Splitter) prepare(f *pkt.Frame) {
	copy(s.hdr[:s.hdrLen], f.Head)
	l3, l4 := s.hdr[s.l3:s.hdrLen], s.hdr[s.l4:s.hdrLen]
	var pseudo uint32
	if s.v6 {
		pseudo = wire.IPv6(l3).Pseudo(f.IPProto, 0)
	} else {
		h := wire.IPv4(l3)
		pseudo = h.Pseudo(f.IPProto, 0)
		s.id = h.ID()
		h.SetTotalLen(0)
		h.SetID(0)
		h.SetChecksum(0)
		s.ipSum = wire.Sum(h[:s.l4-s.l3], 0)
	}
	if s.udp {
		u := wire.UDP(l4)
		// Without NeedsCsum a zero means that the sender made none, which
		// IPv4 allows.
		s.raw = !s.v6 && !f.Offload.NeedsCsum && u.Checksum() == 0
		u.SetLen(0)
		u.SetChecksum(0)
	} else {
		t := wire.TCP(l4)
		s.raw = false
		s.seq, s.flags = t.Seq(), t.Flags()
		s.last = s.flags & (wire.FlagFIN | wire.FlagPSH)
		s.flags &^= s.last
		t.SetSeq(0)
		t.SetFlags(0)
		t.SetChecksum(0)
	}
	s.l4Sum = wire.Sum(l4, pseudo)
}

// SegmentLen returns the length of every segment but the last, and of the last,
// bytes from the destination MAC. Valid after Init and before the first Next;
// with one segment both are its length.
func (s *Splitter) SegmentLen() (first, last int) {
	if !s.gso {
		return len(s.head), len(s.head)
	}
	payload := s.end - s.hdrLen
	return s.hdrLen + min(s.size, payload), s.hdrLen + payload - (s.left-1)*s.size
}

// Next returns the next segment: a complete Ethernet frame from the destination
// MAC to the end of its payload, checksums made, in the frame's own memory. nil
// when there is none left. It destroys the segments returned before.
//
// Lengths, sequence number and IPv4 ID count on by segment as Linux does it: the
// ID by 1 whether DF is set or not, FIN and PSH only in the last segment, CWR only
// in the first.
//
// Hot path: no allocation (TestNoAllocs).
func (s *Splitter) Next() []byte {
	if s.left == 0 {
		return nil
	}
	s.left--
	if !s.gso {
		return s.head
	}
	n := min(s.size, s.end-s.next)
	seg := s.head[s.next-s.hdrLen : s.next+n : s.next+n]
	s.next += n
	copy(seg, s.hdr[:s.hdrLen])

	l3 := seg[s.l3:]
	if s.v6 {
		wire.IPv6(l3).SetPayloadLen(len(l3) - wire.IPv6Len)
	} else {
		h := wire.IPv4(l3)
		h.SetTotalLen(len(l3))
		h.SetID(s.id)
		h.SetChecksum(^wire.Fold(s.ipSum + uint32(len(l3)) + uint32(s.id)))
		s.id++
	}

	l4 := seg[s.l4:]
	if s.udp {
		u := wire.UDP(l4)
		u.SetLen(len(l4))
		if !s.raw {
			// The length counts in the pseudo-header and in the header.
			sum := s.l4Sum + 2*uint32(len(l4))
			u.SetChecksum(wire.UDPChecksum(wire.Fold(wire.Sum(seg[s.hdrLen:], sum))))
		}
		return seg
	}
	if s.left == 0 {
		s.flags |= s.last
	}
	binary.BigEndian.PutUint32(l4[4:], s.seq)
	l4[13] = s.flags
	sum := s.l4Sum + uint32(len(l4)) + s.seq>>16 + s.seq&0xffff + uint32(s.flags)
	wire.TCP(l4).SetChecksum(^wire.Fold(wire.Sum(seg[s.hdrLen:], sum)))
	s.seq += uint32(n)
	s.flags &^= wire.FlagCWR
	return seg
}

// SegmentIPLen returns the length of the largest IP packet that f will be on the
// wire, bytes from the IP header: what the tenant MTU is compared with, without
// cutting. For what is not IP it is the Ethernet payload's length. f must be
// parsed; a super-frame whose headers are not understood counts whole.
//
// Hot path: no allocation.
func SegmentIPLen(f *pkt.Frame) int {
	if f.L3Off == 0 {
		return f.Len - wire.EthernetLen
	}
	l3 := f.Head[f.L3Off:]
	var n int
	switch f.EtherType {
	case wire.TypeIPv4:
		n = wire.IPv4(l3).TotalLen()
	case wire.TypeIPv6:
		n = wire.IPv6Len + wire.IPv6(l3).PayloadLen()
	default:
		return f.Len - wire.EthernetLen
	}
	if f.Offload.GSOType == pkt.GSONone || f.L4Off == 0 {
		return n
	}
	hdr := int(f.L4Off-f.L3Off) + wire.UDPLen
	if f.Offload.GSOType != pkt.GSOUDP {
		if f.IPProto != wire.ProtoTCP {
			return n
		}
		hdr = int(f.L4Off-f.L3Off) + wire.TCP(f.Head[f.L4Off:]).HeaderLen()
	}
	return min(n, hdr+int(f.Offload.GSOSize))
}
