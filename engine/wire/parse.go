package wire

import (
	"encoding/binary"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
)

// maxTagWalk is how many tags in the bytes Parse looks behind. A deeper stack
// is opaque: its EtherType is the next TPID.
const maxTagWalk = 8

// Parse sets L3Off, L4Off, EtherType, IPProto, Hash and Parsed of f from the
// bytes in f.Head, which it does not change. Tags still in the bytes are passed
// over, not taken off.
//
//   - EtherType is the one behind the tags.
//   - L3Off is where an IPv4 or IPv6 header or an ARP packet starts that is all
//     in Head, is well formed, and whose length fits f.Len; 0 otherwise. The
//     IPv4 header checksum is not verified.
//   - IPProto is the protocol behind the IPv6 extension headers; 0 for a
//     fragment beyond the first, or when the extension headers are cut off.
//   - L4Off is where a whole TCP (options included), UDP (length 8 or more), ICMP
//     or ICMPv6 header starts, or any other protocol's first byte; 0 when it is
//     cut off, malformed, or belongs to another fragment.
//   - Hash is that of the IP 5-tuple; of addresses and protocol for every
//     fragment, the first included, and for protocols without ports; of MACs and
//     EtherType for what is not IP. It is never 0 after Parse.
//
// It returns FrameTooShort, with all of these 0 and Parsed false, when Head ends
// before the EtherType; None otherwise: a malformed packet is still a frame that
// a bridge carries.
//
// Hot path: no allocation (TestNoAllocs).
func Parse(f *pkt.Frame) counter.Reason {
	f.L3Off, f.L4Off, f.EtherType, f.IPProto = 0, 0, 0, 0
	f.Parsed, f.Hash = false, 0

	b := f.Head
	if len(b) < EthernetLen {
		return counter.FrameTooShort
	}
	t, off := binary.BigEndian.Uint16(b[12:]), EthernetLen
	if IsTPID(t) {
		if t, off = skipTags(b); off == 0 {
			return counter.FrameTooShort
		}
	}
	f.EtherType = t
	f.Parsed = true

	switch t {
	case TypeIPv4:
		if parseIPv4(f, b[off:], off) {
			return counter.None
		}
	case TypeIPv6:
		if parseIPv6(f, b[off:], off) {
			return counter.None
		}
	case TypeARP:
		if ARP(b[off:]).Valid() {
			f.L3Off = uint16(off)
		}
	}
	f.Hash = hashMAC(b, t)
	return counter.None
}

// skipTags returns the EtherType behind the tags of the frame b and the offset
// behind it; off is 0 when a tag is cut off.
func skipTags(b []byte) (t uint16, off int) {
	t, off = binary.BigEndian.Uint16(b[12:]), EthernetLen
	for range maxTagWalk {
		if !IsTPID(t) {
			break
		}
		if len(b) < off+TagLen {
			return 0, 0
		}
		t = binary.BigEndian.Uint16(b[off+2:])
		off += TagLen
	}
	return t, off
}

// parseIPv4 fills f from the packet at h, off bytes into the frame. It returns
// false, with f's offsets untouched, when the header is not well formed.
func parseIPv4(f *pkt.Frame, h IPv4, off int) bool {
	if len(h) < IPv4Len || h[0]>>4 != 4 {
		return false
	}
	n, total := h.HeaderLen(), h.TotalLen()
	if n < IPv4Len || n > len(h) || n > total || total > f.Len-off {
		return false
	}
	f.L3Off = uint16(off)
	proto := h[9]
	rest := uint64(proto)
	frag := binary.BigEndian.Uint16(h[6:])
	if frag&ipv4OffsetMask == 0 {
		f.IPProto = proto
		if l4 := h[n:min(total, len(h))]; validL4(proto, l4) {
			f.L4Off = uint16(off + n)
			if frag&ipv4MF == 0 && hasPorts(proto) {
				rest |= uint64(binary.LittleEndian.Uint32(l4)) << 8
			}
		}
	}
	f.Hash = hash4(h[12:20], rest)
	return true
}

// parseIPv6 is parseIPv4 for IPv6.
func parseIPv6(f *pkt.Frame, h IPv6, off int) bool {
	if len(h) < IPv6Len || h[0]>>4 != 6 {
		return false
	}
	total := IPv6Len + h.PayloadLen()
	if total > f.Len-off {
		return false
	}
	f.L3Off = uint16(off)
	u, ok := h.Walk()
	rest := uint64(u.Proto)
	if u.Fragment {
		// Only the first fragment shows what is behind; all show this.
		rest = uint64(u.FragNext)
	}
	if ok && !u.Beyond {
		f.IPProto = u.Proto
		if l4 := h[u.Off:min(total, len(h))]; validL4(u.Proto, l4) {
			f.L4Off = uint16(off + u.Off)
			if !u.Fragment && hasPorts(u.Proto) {
				rest |= uint64(binary.LittleEndian.Uint32(l4)) << 8
			}
		}
	}
	f.Hash = hash6(h[8:40], rest)
	return true
}

// validL4 reports whether b starts with a whole header of proto. Of protocols
// that the engine does not look into it asks the four bytes in which some of
// them carry ports.
func validL4(proto uint8, b []byte) bool {
	switch proto {
	case ProtoTCP:
		return TCP(b).Valid()
	case ProtoUDP:
		return UDP(b).Valid()
	case ProtoICMP:
		return len(b) >= ICMPLen
	case ProtoNoNext:
		return false
	}
	return len(b) >= 4
}

// hasPorts reports whether proto has 16-bit source and destination ports as its
// first four bytes.
func hasPorts(proto uint8) bool {
	switch proto {
	case ProtoTCP, ProtoUDP, ProtoSCTP, ProtoDCCP, ProtoUDPLite:
		return true
	}
	return false
}

// StripTags moves 802.1Q and 802.1ad tags from f's bytes into f.Tags, behind the
// tags already there, until f has pkt.MaxTags: deeper tags stay in the payload.
// DA and SA move forward over the tags (12 bytes moved once) and Head starts
// later, so Head's memory in front is lost to the caller. Offsets that Parse or
// the port had set are moved along.
//
// It returns FrameTooShort when Head is shorter than an Ethernet header or a tag
// is cut off, and BadOffload when CsumStart points into the tags; f is unchanged
// then. None otherwise, also when there is no tag.
//
// Hot path: no allocation (TestNoAllocs).
func StripTags(f *pkt.Frame) counter.Reason {
	b := f.Head
	if len(b) < EthernetLen {
		return counter.FrameTooShort
	}
	if !IsTPID(binary.BigEndian.Uint16(b[12:])) {
		return counter.None
	}
	tags, n := f.Tags, int(f.NumTags)
	off := 12
	for n < pkt.MaxTags {
		tag := Tag(b[off:])
		if !IsTPID(tag.TPID()) {
			break
		}
		if !tag.Valid() {
			return counter.FrameTooShort
		}
		tags[n] = pkt.Tag{TPID: tag.TPID(), TCI: tag.TCI()}
		n++
		off += TagLen
	}
	moved := off - 12
	if f.Offload.NeedsCsum {
		if int(f.Offload.CsumStart) < EthernetLen+moved {
			return counter.BadOffload
		}
		f.Offload.CsumStart -= uint16(moved)
	}
	copy(b[moved:off], b[:12])
	f.Head = b[moved:]
	f.Len -= moved
	f.Tags, f.NumTags = tags, uint8(n)
	if f.L3Off != 0 {
		f.L3Off -= uint16(moved)
	}
	if f.L4Off != 0 {
		f.L4Off -= uint16(moved)
	}
	return counter.None
}
