package gso

import (
	"bytes"
	"encoding/binary"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
)

// maxOpen is how many flows of one burst are joined at a time, as many as a
// Linux GRO bucket holds. With more the oldest is closed.
const maxOpen = 8

// maxSuper is the longest super-frame, bytes from the destination MAC: a port
// takes 65,535 with the tags that it may put back, 2 of 4 bytes.
const maxSuper = 65535 - pkt.MaxTags*wire.TagLen

// Merger joins the consecutive segments of TCP flows, and equal-sized datagrams
// of UDP flows, into super-frames. The zero value merges TCP only. It keeps
// nothing between bursts. Worker only.
//
// What is joined can be taken apart again into the same bytes: everything that a
// super-frame can't express keeps segments apart. Exceptions are the IPv4 ID of
// packets with DF that do not count (see idStep), and a right checksum written as
// ffff where 0000 means the same.
type Merger struct {
	// UDP says that datagrams are joined too. The port must take UDP_L4.
	UDP bool

	open [maxOpen]flow
	used int // slots in open that have been used in this burst
	turn int // the slot that gives way when all are open

	// Segments wait in waiting, by slot, while their super-frame is open, and
	// move to frags when it is closed: so that those of one super-frame lie
	// together however flows are mixed, in a table no longer than the burst.
	waiting [maxOpen][MaxSegments - 1][]byte
	frags   [][]byte
}

// flow is one open super-frame.
type flow struct {
	head    *pkt.Frame // the first segment; nil: the slot is free
	slot    int        // index in Merger.open
	hash    uint32
	seq     uint32 // TCP sequence number that must come next
	hdr     int    // bytes of headers, Ethernet to TCP or UDP
	size    int    // L4 payload bytes of the first segment
	len     int    // bytes of the super-frame so far
	n       int    // segments so far
	id      uint16 // IPv4 ID of the last segment
	step    idStep
	tcp, v4 bool
	psh     bool // the last segment had PSH: no more
	checked bool // the first segment's checksums are right
}

// idStep is how the IPv4 ID goes from segment to segment. It counts, or, with
// DF, it stays: the ID of a packet that is never fragmented means nothing (RFC
// 6864 section 4.1), and senders leave it 0. One super-frame has one way. What
// stayed will count when it is cut again, because a virtio-net header can't say
// which; Linux does the same.
type idStep uint8

const (
	idUnknown idStep = iota // one segment only
	idCounts
	idStays
)

// segment is what classify found out about a frame.
type segment struct {
	hdr     int // bytes of headers, Ethernet to TCP or UDP
	payload int // bytes of L4 payload
	tcp, v4 bool
	can     bool // may be part of a super-frame
}

// Merge joins what can be joined among frames, one burst of parsed or unparsed
// tenant frames, and returns those that are left: a prefix of the same slice, in
// order, each frame where it was or joined to an earlier one. Inside a flow
// nothing is reordered; flows may change order against each other as in Linux
// GRO.
//
// Segments are joined when everything but lengths, IPv4 ID and sequence number is
// equal: VNI, ports and tags of the frame, MACs, TOS, TTL, DF, flow label, hop
// limit, TCP acknowledgment, window and options; when sequence numbers follow on
// each other; and when all but the last have the same payload length. Only ACK
// and PSH may be set; PSH and a shorter payload close the super-frame. Segments
// without payload, UDP without checksum, fragments, IPv4 options and IPv6
// extension headers are not joined. Checksums of every segment are verified
// first: a wrong one stays a frame of its own, as wrong as it came.
//
// The super-frame is in the first segment's Frame: Head is that segment with IP
// length, PSH, IPv4 header checksum and pseudo-header sum written for the whole,
// Frags are the payloads of the others, and Offload says NeedsCsum. Frags is
// borrowed until the next call; it points into the memory of the frames that were
// joined. A frame that found no partner is not touched.
//
// Hot path: no allocation once the longest burst was seen (TestNoAllocs).
func (m *Merger) Merge(frames []*pkt.Frame) []*pkt.Frame {
	if len(frames) < 2 {
		return frames
	}
	if cap(m.frags) < len(frames) {
		m.frags = make([][]byte, 0, cap(frames))
	}
	m.frags = m.frags[:0]
	out := 0
	for _, f := range frames {
		if !m.add(f) {
			frames[out] = f
			out++
		}
	}
	for i := range m.used {
		m.close(&m.open[i])
	}
	m.used, m.turn = 0, 0
	return frames[:out]
}

// add joins f to an open super-frame and returns true, or returns false: f goes
// on by itself, perhaps as the head of a new super-frame.
func (m *Merger) add(f *pkt.Frame) bool {
	if !f.Parsed && wire.Parse(f) != counter.None {
		return false
	}
	var s segment
	if !m.classify(f, &s) {
		return false
	}
	if s.hdr == 0 {
		// A fragment, or with options: perhaps of an open flow, but not to be
		// compared with it. Nothing may be joined to what it overtakes.
		m.closePair(f)
		return false
	}
	fl := m.find(f, &s)
	if fl == nil {
		if s.can {
			m.start(m.slot(), f, &s)
		}
		return false
	}
	if s.can && fl.follows(f, &s) {
		if !fl.checked {
			fl.checked = valid(fl.head, fl.hdr, fl.tcp, fl.v4)
		}
		if fl.checked {
			if !valid(f, s.hdr, s.tcp, s.v4) {
				m.close(fl)
				return false
			}
			m.join(fl, f, &s)
			return true
		}
	}
	m.close(fl)
	if s.can {
		m.start(fl, f, &s)
	}
	return false
}

// classify looks at f alone. It returns false when f has no part in merging, not
// even by standing between segments of its flow. s.hdr is 0 when f is TCP or UDP
// but not in a form that can be compared.
func (m *Merger) classify(f *pkt.Frame, s *segment) bool {
	b, l3 := f.Head, int(f.L3Off)
	switch {
	case f.IPProto == wire.ProtoTCP:
		s.tcp = true
	case f.IPProto == wire.ProtoUDP && m.UDP:
	case f.IPProto == 0 && l3 != 0:
		return f.EtherType != wire.TypeARP // a later fragment
	default:
		return false
	}
	if f.L4Off == 0 || len(f.Frags) != 0 || f.Offload.NeedsCsum || f.Offload.GSOType != pkt.GSONone {
		return true
	}
	l4 := int(f.L4Off)
	var total int
	if f.EtherType == wire.TypeIPv4 {
		h := wire.IPv4(b[l3:])
		if l4-l3 != wire.IPv4Len || h.IsFragment() {
			return true
		}
		s.v4 = true
		total = h.TotalLen()
	} else {
		if l4-l3 != wire.IPv6Len {
			return true
		}
		total = wire.IPv6Len + wire.IPv6(b[l3:]).PayloadLen()
	}
	if l3+total != len(b) {
		// Padded to the Ethernet minimum: so short that it is not worth it,
		// and Len would have to change.
		return true
	}
	if s.tcp {
		t := wire.TCP(b[l4:])
		s.hdr = l4 + t.HeaderLen()
		s.payload = len(b) - s.hdr
		// Data offset out, PSH out: ACK alone must be left, the reserved bits
		// among them.
		word := binary.BigEndian.Uint16(t[12:]) & 0x0fff &^ uint16(wire.FlagPSH)
		s.can = word == uint16(wire.FlagACK) && s.payload > 0
		return true
	}
	u := wire.UDP(b[l4:])
	s.hdr = l4 + wire.UDPLen
	s.payload = len(b) - s.hdr
	s.can = s.payload > 0 && u.Len() == len(b)-l4 && u.Checksum() != 0
	return true
}

// find returns the open super-frame of f's flow, nil when there is none.
func (m *Merger) find(f *pkt.Frame, s *segment) *flow {
	for i := range m.used {
		fl := &m.open[i]
		if fl.hash == f.Hash && fl.head != nil && fl.tcp == s.tcp && fl.v4 == s.v4 && sameFlow(fl.head, f, s.v4) {
			return fl
		}
	}
	return nil
}

// sameFlow reports whether a and b, which hash alike, are of one flow: where
// they came in, tags, MACs, addresses and ports.
func sameFlow(a, b *pkt.Frame, v4 bool) bool {
	if a.L3Off != b.L3Off || a.VNI != b.VNI || a.InAC != b.InAC || a.InPort != b.InPort || a.VTEP != b.VTEP ||
		a.NumTags != b.NumTags || a.Tags != b.Tags || !bytes.Equal(a.Head[:a.L3Off], b.Head[:b.L3Off]) {
		return false
	}
	x, y := a.Head[a.L3Off:], b.Head[b.L3Off:]
	if v4 {
		return bytes.Equal(x[12:24], y[12:24]) // addresses and, without options, ports
	}
	return bytes.Equal(x[8:44], y[8:44])
}

// follows reports whether f can be the next segment of fl, its checksums aside.
func (fl *flow) follows(f *pkt.Frame, s *segment) bool {
	if fl.psh || s.hdr != fl.hdr || s.payload > fl.size || fl.n >= MaxSegments || fl.len+s.payload > maxSuper {
		return false
	}
	a, b := fl.head.Head, f.Head
	l3, l4 := int(f.L3Off), int(f.L4Off)
	x, y := a[l3:l3+wire.IPv4Len], b[l3:l3+wire.IPv4Len]
	if fl.v4 {
		// Version, IHL and TOS; flags; TTL and protocol.
		if x[1] != y[1] || x[6] != y[6] || x[8] != y[8] {
			return false
		}
		id := wire.IPv4(y).ID()
		switch {
		case id == fl.id+1 && fl.step != idStays:
		case id == fl.id && fl.step != idCounts && wire.IPv4(y).DF():
		default:
			return false
		}
	} else if binary.BigEndian.Uint32(x) != binary.BigEndian.Uint32(y) || x[7] != y[7] {
		// Version, traffic class and flow label; hop limit.
		return false
	}
	if !fl.tcp {
		return true
	}
	t, u := wire.TCP(a[l4:fl.hdr]), wire.TCP(b[l4:fl.hdr])
	// Acknowledgment; data offset, flags but PSH, and window; urgent pointer
	// and options.
	const psh = uint32(wire.FlagPSH) << 16
	return u.Seq() == fl.seq && t.Ack() == u.Ack() &&
		(binary.BigEndian.Uint32(t[12:])^binary.BigEndian.Uint32(u[12:]))&^psh == 0 &&
		bytes.Equal(t[18:], u[18:])
}

// valid verifies the L4 checksum and the IPv4 header checksum of a frame that
// classify said can be joined.
func valid(f *pkt.Frame, hdr int, tcp, v4 bool) bool {
	l3, l4 := f.Head[f.L3Off:], f.Head[f.L4Off:]
	proto := wire.ProtoUDP
	if tcp {
		proto = wire.ProtoTCP
	}
	var pseudo uint32
	if v4 {
		h := wire.IPv4(l3)
		if h.HeaderSum() != 0xffff {
			return false
		}
		pseudo = h.Pseudo(proto, len(l4))
	} else {
		pseudo = wire.IPv6(l3).Pseudo(proto, len(l4))
	}
	return wire.Fold(wire.Sum(l4, pseudo)) == 0xffff
}

// slot returns a free slot, closing the oldest when there is none.
func (m *Merger) slot() *flow {
	for i := range m.used {
		if m.open[i].head == nil {
			return &m.open[i]
		}
	}
	if m.used < maxOpen {
		fl := &m.open[m.used]
		fl.slot = m.used
		m.used++
		return fl
	}
	fl := &m.open[m.turn]
	m.turn = (m.turn + 1) % maxOpen
	m.close(fl)
	return fl
}

// start opens a super-frame with f as its first segment in the free slot fl.
func (m *Merger) start(fl *flow, f *pkt.Frame, s *segment) {
	*fl = flow{
		head: f, slot: fl.slot, hash: f.Hash, hdr: s.hdr, size: s.payload, len: len(f.Head), n: 1,
		tcp: s.tcp, v4: s.v4,
	}
	if s.v4 {
		fl.id = wire.IPv4(f.Head[f.L3Off:]).ID()
	}
	if s.tcp {
		t := wire.TCP(f.Head[f.L4Off:])
		fl.seq = t.Seq() + uint32(s.payload)
		fl.psh = t.Flags()&wire.FlagPSH != 0
		if fl.psh {
			fl.head = nil // nothing may follow
		}
	}
}

// join puts f's payload at the end of fl.
func (m *Merger) join(fl *flow, f *pkt.Frame, s *segment) {
	h := fl.head
	m.waiting[fl.slot][fl.n-1] = f.Head[s.hdr:]
	if h.TraceID == 0 {
		h.TraceID = f.TraceID
	}
	fl.n++
	fl.len += s.payload
	if fl.v4 {
		id := wire.IPv4(f.Head[f.L3Off:]).ID()
		fl.step = idCounts
		if id == fl.id {
			fl.step = idStays
		}
		fl.id = id
	}
	if fl.tcp {
		fl.seq += uint32(s.payload)
		fl.psh = wire.TCP(f.Head[f.L4Off:]).Flags()&wire.FlagPSH != 0
	}
	if fl.psh || s.payload < fl.size {
		m.close(fl)
	}
}

// closePair closes every open super-frame between f's MACs.
func (m *Merger) closePair(f *pkt.Frame) {
	for i := range m.used {
		fl := &m.open[i]
		if fl.head != nil && bytes.Equal(fl.head.Head[:12], f.Head[:12]) {
			m.close(fl)
		}
	}
}

// close writes the headers of fl's super-frame and frees the slot. A segment
// that stayed alone is left as it is.
func (m *Merger) close(fl *flow) {
	f := fl.head
	if f == nil {
		return
	}
	fl.head = nil
	if fl.n == 1 {
		return
	}
	first := len(m.frags)
	m.frags = append(m.frags, m.waiting[fl.slot][:fl.n-1]...)
	f.Frags = m.frags[first:len(m.frags):len(m.frags)]
	l4Len := fl.len - int(f.L4Off)
	l3, l4 := f.Head[f.L3Off:], f.Head[f.L4Off:]
	f.Len = fl.len
	f.Offload = pkt.Offload{NeedsCsum: true, GSOSize: uint16(fl.size), CsumStart: f.L4Off}

	proto := wire.ProtoUDP
	if fl.tcp {
		proto = wire.ProtoTCP
	}
	var pseudo uint32
	if fl.v4 {
		h := wire.IPv4(l3)
		h.SetTotalLen(fl.len - int(f.L3Off))
		h.UpdateChecksum()
		pseudo = h.Pseudo(proto, l4Len)
	} else {
		h := wire.IPv6(l3)
		h.SetPayloadLen(l4Len)
		pseudo = h.Pseudo(proto, l4Len)
	}
	if fl.tcp {
		t := wire.TCP(l4)
		if fl.psh {
			t.SetFlags(t.Flags() | wire.FlagPSH)
		}
		t.SetChecksum(wire.Fold(pseudo))
		f.Offload.CsumOff = wire.TCPChecksumOff
		f.Offload.GSOType = pkt.GSOTCPv6
		if fl.v4 {
			f.Offload.GSOType = pkt.GSOTCPv4
		}
		return
	}
	u := wire.UDP(l4)
	u.SetLen(l4Len)
	u.SetChecksum(wire.Fold(pseudo))
	f.Offload.CsumOff = wire.UDPChecksumOff
	f.Offload.GSOType = pkt.GSOUDP
}
