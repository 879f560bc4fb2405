package gso_test

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/gso"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
)

// superCases are super-frames of every kind that can be cut.
var superCases = []struct {
	name string
	spec spec
	size int
}{
	{"tcp4", spec{id: 100, seq: 1000, ack: 7, window: 512, payload: pattern(14480), opts: timestamps(5)}, 1448},
	{"tcp4 short last", spec{id: 100, seq: 1000, payload: pattern(10000)}, 1460},
	{"tcp4 64 KB", spec{payload: pattern(65535 - 54)}, 1460},
	{"tcp4 PSH", spec{flags: wire.FlagPSH, payload: pattern(5000)}, 1448},
	{"tcp4 FIN PSH", spec{flags: wire.FlagPSH | wire.FlagFIN, payload: pattern(5000)}, 1448},
	{"tcp4 CWR ECE", spec{flags: wire.FlagCWR | wire.FlagECE, payload: pattern(5000)}, 1448},
	{"tcp4 all flags", spec{flags: 0xff, payload: pattern(5000)}, 1448},
	{"tcp4 wrap", spec{id: 0xfffe, seq: 0xfffffff0, payload: pattern(9000)}, 1448},
	{"tcp4 no DF", spec{id: 3, noDF: true, tos: 0xb9, ttl: 3, payload: pattern(3000)}, 1000},
	{"tcp4 odd size", spec{payload: pattern(3001)}, 333},
	{"tcp4 tiny", spec{payload: pattern(128), opts: timestamps(1)}, 1},
	{"tcp4 one segment", spec{flags: 0x99, payload: pattern(100)}, 1448},
	{"tcp4 exactly one", spec{flags: 0x99, payload: pattern(1448)}, 1448},
	{"tcp4 no payload", spec{flags: wire.FlagFIN}, 1448},
	{"tcp4 options", spec{ipOpts: true, payload: pattern(5000)}, 1448},
	{"tcp4 tag in bytes", spec{tag: 5, payload: pattern(5000)}, 1448},
	{"tcp6", spec{v6: true, seq: 9, payload: pattern(14280), opts: timestamps(5)}, 1428},
	{"tcp6 flags", spec{v6: true, flags: 0xff, payload: pattern(5000)}, 1428},
	{"tcp6 extension headers", spec{v6: true, ipOpts: true, payload: pattern(5000)}, 1400},
	{"tcp6 tag in bytes", spec{v6: true, tag: 5, payload: pattern(5000)}, 1400},
	{"udp4", spec{udp: true, id: 9, payload: pattern(12000)}, 1200},
	{"udp4 short last", spec{udp: true, id: 9, payload: pattern(12001)}, 1200},
	{"udp4 small", spec{udp: true, payload: pattern(22 * 100)}, 22},
	{"udp6", spec{v6: true, udp: true, payload: pattern(12345)}, 1200},
	{"udp6 extension headers", spec{v6: true, udp: true, ipOpts: true, payload: pattern(5000)}, 1200},
}

func compare(t *testing.T, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d segments, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("segment %d of %d\ngot  %x\nwant %x", i, len(want), clip(got[i]), clip(want[i]))
		}
	}
}

func clip(b []byte) []byte { return b[:min(len(b), 120)] }

// TestSplit compares every segment with the one that gopacket builds.
func TestSplit(t *testing.T) {
	for _, tt := range superCases {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.spec.super(t, tt.size)
			want := tt.spec.segments(t, tt.size)
			l3 := 0
			for _, b := range want {
				g := frame(b)
				wire.Parse(g)
				l3 = max(l3, len(b)-int(g.L3Off))
			}
			if got := gso.SegmentIPLen(f); got != l3 {
				t.Errorf("SegmentIPLen: got %d, want %d", got, l3)
			}
			compare(t, split(t, f), want)
			// The kernel leaves the ECN bit to us as metadata, and a NIC's own
			// aggregation comes without NeedsCsum: the result is the same.
			f.Offload.ECN, f.Offload.NeedsCsum = true, false
			compare(t, split(t, f), want)
		})
	}
}

// TestSplitRandom: random sizes, flags and numbers of every kind.
func TestSplitRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	for range 150 {
		s := spec{
			v6: rnd.IntN(2) == 0, udp: rnd.IntN(3) == 0, flow: byte(rnd.IntN(200)), id: uint16(rnd.Uint32()),
			noDF: rnd.IntN(2) == 0, tos: byte(rnd.Uint32()), ttl: byte(1 + rnd.IntN(255)), seq: rnd.Uint32(), ack: rnd.Uint32(),
			flags: byte(rnd.Uint32()), window: uint16(rnd.Uint32()), ipOpts: rnd.IntN(4) == 0,
		}
		if rnd.IntN(2) == 0 {
			s.opts = timestamps(rnd.Uint32())
		}
		size := 1 + rnd.IntN(1500)
		s.payload = make([]byte, min(size*(1+rnd.IntN(40))+rnd.IntN(size), 65000))
		for i := range s.payload {
			s.payload[i] = byte(rnd.Uint32())
		}
		compare(t, split(t, s.super(t, size)), s.segments(t, size))
	}
}

// TestSplitPlain: a plain frame is itself, with its checksum completed.
func TestSplitPlain(t *testing.T) {
	s := spec{payload: pattern(100)}
	want := s.build(t)
	f := s.super(t, 0)
	f.Offload.GSOType = pkt.GSONone
	compare(t, split(t, f), [][]byte{want})
	compare(t, split(t, frame(want)), [][]byte{want})
	arp := make([]byte, 60)
	arp[12], arp[13] = 8, 6
	compare(t, split(t, frame(arp)), [][]byte{arp})
}

// TestSplitNoUDPChecksum: a datagram sent without checksum stays without.
func TestSplitNoUDPChecksum(t *testing.T) {
	s := spec{udp: true, payload: pattern(3000)}
	f := s.super(t, 1000)
	f.Offload.NeedsCsum = false
	f.Head[f.L4Off+6], f.Head[f.L4Off+7] = 0, 0
	for i, b := range split(t, f) {
		if b[40] != 0 || b[41] != 0 {
			t.Errorf("segment %d has a checksum: %x", i, b[34:42])
		}
	}
}

// TestSplitUDPZero: a UDP checksum that comes out as zero is sent as ffff.
func TestSplitUDPZero(t *testing.T) {
	s := spec{udp: true, payload: pattern(2000)}
	// With the checksum put into the payload the sum becomes ffff, the
	// checksum 0.
	s.payload[0], s.payload[1] = 0, 0
	seg := s.segments(t, 1000)[0]
	copy(s.payload, seg[40:42])
	got := split(t, s.super(t, 1000))
	if got[0][40] != 0xff || got[0][41] != 0xff {
		t.Errorf("got %x, want ffff", got[0][40:42])
	}
}

func TestSplitRefuses(t *testing.T) {
	tcp := spec{payload: pattern(5000)}
	tcp6 := spec{v6: true, payload: pattern(5000)}
	udp := spec{udp: true, payload: pattern(5000)}
	ext6 := spec{v6: true, ipOpts: true, payload: pattern(5000)}
	for _, tt := range []struct {
		name string
		spec spec
		size int
		mod  func(f *pkt.Frame)
		want counter.Reason
	}{
		{"size 0", tcp, 0, nil, counter.BadOffload},
		{"too many segments", tcp, 4, nil, counter.SegmentFailed},
		{"too many of one byte", tcp, 1, nil, counter.SegmentFailed},
		{"unknown type", tcp, 1448, func(f *pkt.Frame) { f.Offload.GSOType = 3 }, counter.BadOffload},
		{"v6 type, v4 packet", tcp, 1448, func(f *pkt.Frame) { f.Offload.GSOType = pkt.GSOTCPv6 }, counter.BadOffload},
		{"v4 type, v6 packet", tcp6, 1448, func(f *pkt.Frame) { f.Offload.GSOType = pkt.GSOTCPv4 }, counter.BadOffload},
		{"udp type, tcp packet", tcp, 1448, func(f *pkt.Frame) { f.Offload.GSOType = pkt.GSOUDP }, counter.BadOffload},
		{"tcp type, udp packet", udp, 1448, func(f *pkt.Frame) { f.Offload.GSOType = pkt.GSOTCPv4 }, counter.BadOffload},
		{"csum start", tcp, 1448, func(f *pkt.Frame) { f.Offload.CsumStart = 14 }, counter.BadOffload},
		{"csum start beyond", tcp, 1448, func(f *pkt.Frame) { f.Offload.CsumStart = 65535 }, counter.BadOffload},
		{"csum offset", tcp, 1448, func(f *pkt.Frame) { f.Offload.CsumOff = 6 }, counter.BadOffload},
		{"not IP", tcp, 1448, func(f *pkt.Frame) { f.Head[12] = 0x77; f.Parsed = false }, counter.BadOffload},
		{"fragment", tcp, 1448, func(f *pkt.Frame) { f.Head[20] |= 0x20; f.Parsed = false }, counter.BadOffload},
		{"later fragment", tcp, 1448, func(f *pkt.Frame) { f.Head[21] = 1; f.Parsed = false }, counter.BadOffload},
		{"cut off", tcp, 1448, func(f *pkt.Frame) { f.Head = f.Head[:40]; f.Len = 40; f.Parsed = false }, counter.BadOffload},
		{"14 bytes", tcp, 1448, func(f *pkt.Frame) { f.Head = f.Head[:14]; f.Len = 14; f.Parsed = false }, counter.BadOffload},
		{"13 bytes", tcp, 1448, func(f *pkt.Frame) { f.Head = f.Head[:13]; f.Len = 13; f.Parsed = false }, counter.FrameTooShort},
		{"empty", tcp, 1448, func(f *pkt.Frame) { f.Head = nil; f.Len = 0; f.Parsed = false }, counter.FrameTooShort},
		{"data offset", tcp, 1448, func(f *pkt.Frame) { f.Head[34+12] = 0x40; f.Parsed = false }, counter.BadOffload},
		{"stale offsets", tcp, 1448, func(f *pkt.Frame) { f.Head[34+12] = 0 }, counter.BadOffload},
		{"frags", tcp, 1448, func(f *pkt.Frame) { f.Frags = [][]byte{{1}}; f.Len++ }, counter.SegmentFailed},
		{"plain with frags", tcp, 0, func(f *pkt.Frame) { f.Offload.GSOType = 0; f.Frags = [][]byte{{1}}; f.Len++ }, counter.SegmentFailed},
		{"routing header", ext6, 1400, func(f *pkt.Frame) { f.Head[20] = 43; f.Head[54+3] = 1; f.Parsed = false }, counter.SegmentFailed},
		{"fragment header", ext6, 1400, func(f *pkt.Frame) {
			f.Head[20] = 44
			copy(f.Head[54:], []byte{60, 0, 0, 1, 0, 0, 0, 1})
			f.Parsed = false
		}, counter.BadOffload},
		{"header of 322 bytes", ext6, 1400, func(f *pkt.Frame) {
			b := append(bytes.Clone(f.Head[:54]), 60, 27)
			b = append(append(b, make([]byte, 222)...), f.Head[54:]...)
			b[20] = 60 // destination options of 224 bytes in front
			b[18], b[19] = byte((len(b)-54)>>8), byte(len(b)-54)
			f.Head, f.Len, f.Parsed = b, len(b), false
			f.Offload.CsumStart += 224
		}, counter.SegmentFailed},
		{"partial beyond head", tcp, 0, func(f *pkt.Frame) { f.Offload.GSOType = 0; f.Offload.CsumStart = 65535 }, counter.BadOffload},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := tt.spec.super(t, tt.size)
			if tt.mod != nil {
				tt.mod(f)
			}
			before := bytes.Clone(f.Head)
			var s gso.Splitter
			n, r := s.Init(f)
			if n != 0 || r != tt.want {
				t.Errorf("got %d segments, %v, want %v", n, r, tt.want)
			}
			if s.Next() != nil {
				t.Error("Next returned a segment")
			}
			if !bytes.Equal(before, f.Head) {
				t.Error("changed the frame")
			}
		})
	}
}

// TestSplitterReuse: nothing of one frame is seen in the next.
func TestSplitterReuse(t *testing.T) {
	var s gso.Splitter
	for range 3 {
		for _, tt := range superCases {
			want := tt.spec.segments(t, tt.size)
			if n, r := s.Init(tt.spec.super(t, tt.size)); n != len(want) || r != 0 {
				t.Fatalf("%s: %d segments, %v", tt.name, n, r)
			}
			for i := range want[:(len(want)+1)/2] { // leave some behind
				if got := s.Next(); !bytes.Equal(got, want[i]) {
					t.Fatalf("%s: segment %d", tt.name, i)
				}
			}
		}
	}
}

func TestCompleteChecksum(t *testing.T) {
	for _, s := range []spec{
		{payload: pattern(100)}, {payload: pattern(1447)}, {v6: true, payload: pattern(33)},
		{udp: true, payload: pattern(1)}, {v6: true, udp: true}, {tag: 9, payload: pattern(5)},
	} {
		want := s.build(t)
		for _, cut := range []int{len(want), len(want) - 1, len(want) - len(s.payload)} {
			f := s.super(t, 0)
			f.Offload.GSOType = pkt.GSONone
			head := f.Head
			f.Head = head[:max(cut, len(want)-len(s.payload))]
			for rest, n := head[len(f.Head):], 1; len(rest) > 0; n += 2 { // pieces of odd length
				n = min(n, len(rest))
				f.Frags = append(f.Frags, rest[:n])
				rest = rest[n:]
			}
			if r := gso.CompleteChecksum(f); r != counter.None || f.Offload.NeedsCsum {
				t.Fatalf("%+v: %v", s, r)
			}
			if got := flatten(f).Head; !bytes.Equal(got, want) {
				t.Errorf("cut at %d\ngot  %x\nwant %x", cut, clip(got), clip(want))
			}
		}
	}
}

// TestCompleteSCTP: the kernel marks an offloaded CRC32c as any other checksum.
func TestCompleteSCTP(t *testing.T) {
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&layers.Ethernet{DstMAC: make([]byte, 6), SrcMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4},
		&layers.IPv4{Version: 4, IHL: 5, TTL: 9, Protocol: layers.IPProtocolSCTP, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 0, 2}},
		&layers.SCTP{SrcPort: 7, DstPort: 8, VerificationTag: 9}, gopacket.Payload(pattern(64)))
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(buf.Bytes())
	f := frame(bytes.Clone(want))
	copy(f.Head[42:], []byte{1, 2, 3, 4})
	f.Offload = pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 8}
	if r := gso.CompleteChecksum(f); r != 0 || !bytes.Equal(f.Head, want) {
		t.Errorf("%v\ngot  %x\nwant %x", r, f.Head, want)
	}
}

func TestCompleteChecksumRefuses(t *testing.T) {
	for _, o := range []pkt.Offload{
		{CsumStart: 13, CsumOff: 16}, {CsumStart: 0, CsumOff: 0}, {CsumStart: 34, CsumOff: 17},
		{CsumStart: 34, CsumOff: 66}, {CsumStart: 100, CsumOff: 0}, {CsumStart: 65535, CsumOff: 65534},
		{CsumStart: 34, CsumOff: 16, GSOType: pkt.GSOTCPv4, GSOSize: 10},
	} {
		f := frame((&spec{payload: pattern(46)}).build(t)) // 100 bytes
		before := bytes.Clone(f.Head)
		f.Offload = o
		f.Offload.NeedsCsum = true
		if r := gso.CompleteChecksum(f); r != counter.BadOffload || !bytes.Equal(f.Head, before) {
			t.Errorf("%+v: got %v", o, r)
		}
	}
}

// FuzzSplit: hostile bytes and metadata do not make it panic, and what it
// returns is at most MaxCut frames whose payloads are the super-frame's.
func FuzzSplit(f *testing.F) {
	for _, tt := range superCases {
		// Small seeds: the fuzzer minimises long ones for minutes.
		tt.spec.payload = tt.spec.payload[:min(len(tt.spec.payload), 60)]
		fr := tt.spec.super(f, min(tt.size, 25))
		o := fr.Offload
		f.Add(fr.Head, o.GSOType, o.GSOSize, o.CsumStart, o.CsumOff, o.NeedsCsum)
	}
	f.Fuzz(func(t *testing.T, b []byte, typ uint8, size, start, off uint16, need bool) {
		if len(b) > 65535 {
			return
		}
		fr := frame(bytes.Clone(b))
		fr.Offload = pkt.Offload{GSOType: typ, GSOSize: size, CsumStart: start, CsumOff: off, NeedsCsum: need}
		var s gso.Splitter
		n, r := s.Init(fr)
		if (n == 0) != (r != 0) || n > gso.MaxCut {
			t.Fatalf("%d segments, %v", n, r)
		}
		if r != 0 {
			return
		}
		ipLen := gso.SegmentIPLen(fr)
		first, last := s.SegmentLen()
		var all []byte
		for i := range n {
			seg := s.Next()
			if len(seg) != first && (i != n-1 || len(seg) != last) {
				t.Fatalf("segment %d of %d: %d bytes, announced %d, %d", i, n, len(seg), first, last)
			}
			if typ == pkt.GSONone {
				return
			}
			g := frame(seg)
			if wire.Parse(g); g.L4Off == 0 {
				t.Fatalf("segment %d does not parse: %x", i, seg)
			}
			if len(seg)-int(g.L3Off) > ipLen {
				t.Fatalf("segment of %d IP bytes, announced %d", len(seg)-int(g.L3Off), ipLen)
			}
			hdr := int(g.L4Off) + 8
			if g.IPProto == wire.ProtoTCP {
				hdr = int(g.L4Off) + wire.TCP(seg[g.L4Off:]).HeaderLen()
			}
			all = append(all, seg[hdr:]...)
		}
		if s.Next() != nil {
			t.Fatal("a segment too many")
		}
		if i := bytes.Index(b, all); len(all) > 0 && i < 0 {
			t.Fatal("payload is not the super-frame's")
		}
	})
}
