package gso_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/gso"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
)

// clone returns frames over copies of the bytes.
func clone(frames []*pkt.Frame) []*pkt.Frame {
	var out []*pkt.Frame
	for _, f := range frames {
		out = append(out, flatten(f))
	}
	return out
}

// framesOf makes a frame of each packet.
func framesOf(bs [][]byte) []*pkt.Frame {
	var out []*pkt.Frame
	for _, b := range bs {
		out = append(out, frame(bytes.Clone(b)))
	}
	return out
}

// TestMergeSplit: split(merge(x)) == x byte for byte, and the super-frame is the
// one that a kernel would have handed over, for every kind of super-frame whose
// segments can be merged.
func TestMergeSplit(t *testing.T) {
	for _, tt := range superCases {
		if tt.spec.ipOpts || tt.spec.flags&^wire.FlagPSH != 0 || len(tt.spec.payload) <= tt.size {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			want := tt.spec.super(t, tt.size)
			segs := tt.spec.segments(t, tt.size)
			m := gso.Merger{UDP: true}
			got := m.Merge(framesOf(segs))
			if len(got) == 2 && tt.name == "tcp4 64 KB" {
				// 65,535 bytes of frame; the merger keeps room for tags.
				compare(t, append(split(t, got[0]), split(t, got[1])...), segs)
				return
			}
			if len(got) != 1 {
				t.Fatalf("%d frames are left", len(got))
			}
			f := flatten(got[0])
			if f.Len != want.Len || f.Offload != want.Offload || !bytes.Equal(f.Head, want.Head) {
				t.Fatalf("super-frame\ngot  %+v %x\nwant %+v %x", f.Offload, clip(f.Head), want.Offload, clip(want.Head))
			}
			compare(t, split(t, got[0]), segs)
			// What gopacket makes of it.
			p := gopacket.NewPacket(f.Head, layers.LayerTypeEthernet, gopacket.Default)
			if e := p.ErrorLayer(); e != nil {
				t.Errorf("gopacket: %v", e.Error())
			}
			if a := p.TransportLayer().LayerPayload(); !bytes.Equal(a, tt.spec.payload) {
				t.Error("gopacket reads another payload")
			}
		})
	}
}

// TestMergeRules: two or three segments, one thing changed, and how many frames
// are left.
func TestMergeRules(t *testing.T) {
	a := spec{id: 5, seq: 100, ack: 9, window: 10, payload: pattern(100), opts: timestamps(1)}
	b := spec{id: 6, seq: 200, ack: 9, window: 10, payload: pattern(100), opts: timestamps(1)}
	with := func(s spec, mod func(*spec)) spec { mod(&s); return s }
	six := func(s spec) spec { return with(s, func(s *spec) { s.v6 = true }) }
	dgram := func(s spec) spec { return with(s, func(s *spec) { s.udp = true }) }
	for _, tt := range []struct {
		name string
		in   []spec
		mod  func(fs []*pkt.Frame)
		want int
	}{
		{"two", []spec{a, b}, nil, 1},
		{"two v6", []spec{six(a), six(b)}, nil, 1},
		{"two udp", []spec{dgram(a), dgram(b)}, nil, 1},
		{"two udp v6", []spec{six(dgram(a)), six(dgram(b))}, nil, 1},
		{"alone", []spec{a}, nil, 1},
		{"PSH on the last", []spec{a, with(b, func(s *spec) { s.flags = wire.FlagPSH })}, nil, 1},
		{"PSH on the first", []spec{with(a, func(s *spec) { s.flags = wire.FlagPSH }), b}, nil, 2},
		{"FIN", []spec{a, with(b, func(s *spec) { s.flags = wire.FlagFIN })}, nil, 2},
		{"SYN", []spec{a, with(b, func(s *spec) { s.flags = wire.FlagSYN })}, nil, 2},
		{"RST", []spec{a, with(b, func(s *spec) { s.flags = wire.FlagRST })}, nil, 2},
		{"URG", []spec{a, with(b, func(s *spec) { s.flags = wire.FlagURG })}, nil, 2},
		{"ECE", []spec{a, with(b, func(s *spec) { s.flags = wire.FlagECE })}, nil, 2},
		{"CWR", []spec{a, with(b, func(s *spec) { s.flags = wire.FlagCWR })}, nil, 2},
		{"short last", []spec{a, with(b, func(s *spec) { s.payload = pattern(9) })}, nil, 1},
		{"short closes", []spec{with(a, func(s *spec) { s.seq = 0 }), with(a, func(s *spec) { s.payload, s.id = pattern(99), 6 }), with(b, func(s *spec) { s.seq, s.id = 199, 7 })}, nil, 2},
		{"longer", []spec{a, with(b, func(s *spec) { s.payload = pattern(101) })}, nil, 2},
		{"gap", []spec{a, with(b, func(s *spec) { s.seq = 201 })}, nil, 2},
		{"again", []spec{a, a}, nil, 2},
		{"ack", []spec{a, with(b, func(s *spec) { s.ack++ })}, nil, 2},
		{"window", []spec{a, with(b, func(s *spec) { s.window++ })}, nil, 2},
		{"timestamps", []spec{a, with(b, func(s *spec) { s.opts = timestamps(2) })}, nil, 2},
		{"no options", []spec{a, with(b, func(s *spec) { s.opts = nil })}, nil, 2},
		{"TTL", []spec{a, with(b, func(s *spec) { s.ttl = 9 })}, nil, 2},
		{"TOS", []spec{a, with(b, func(s *spec) { s.tos = 1 })}, nil, 2},
		{"hop limit", []spec{six(a), six(with(b, func(s *spec) { s.ttl = 9 }))}, nil, 2},
		{"traffic class", []spec{six(a), six(with(b, func(s *spec) { s.tos = 4 }))}, nil, 2},
		{"DF", []spec{a, with(b, func(s *spec) { s.noDF = true })}, nil, 2},
		{"ID stays, DF", []spec{a, with(b, func(s *spec) { s.id = 5 })}, nil, 1},
		{"ID stays, no DF", []spec{with(a, func(s *spec) { s.noDF = true }), with(b, func(s *spec) { s.id, s.noDF = 5, true })}, nil, 2},
		{"ID jumps", []spec{a, with(b, func(s *spec) { s.id = 7 })}, nil, 2},
		{"ID counts, then stays", []spec{a, b, with(b, func(s *spec) { s.seq = 300 })}, nil, 2},
		{"ID stays, then counts", []spec{a, with(b, func(s *spec) { s.id = 5 }), with(b, func(s *spec) { s.seq = 300 })}, nil, 2},
		{"pure ACK between", []spec{a, with(b, func(s *spec) { s.payload = nil }), b}, nil, 3},
		{"another flow between", []spec{a, with(a, func(s *spec) { s.flow = 1 }), b, with(b, func(s *spec) { s.flow = 1 })}, nil, 2},
		{"IP options", []spec{with(a, func(s *spec) { s.ipOpts = true }), with(b, func(s *spec) { s.ipOpts = true })}, nil, 2},
		{"extension headers", []spec{six(with(a, func(s *spec) { s.ipOpts = true })), six(with(b, func(s *spec) { s.ipOpts = true }))}, nil, 2},
		{"fragment between", []spec{a, with(b, func(s *spec) { s.frag = true }), b}, nil, 3},
		{"fragments", []spec{with(a, func(s *spec) { s.frag = true }), with(b, func(s *spec) { s.frag = true })}, nil, 2},
		{"udp without payload", []spec{dgram(with(a, func(s *spec) { s.payload = nil })), dgram(with(b, func(s *spec) { s.payload = nil }))}, nil, 2},
		{"udp without checksum", []spec{dgram(a), dgram(b)}, func(fs []*pkt.Frame) {
			for _, f := range fs {
				f.Head[40], f.Head[41] = 0, 0
			}
		}, 2},
		{"udp without checksum, sum right", []spec{dgram(a), dgram(b)}, func(fs []*pkt.Frame) {
			// The second's checksum moves into its payload: all still adds up.
			sum := naiveSum(fs[1].Head[40:44], 0)
			copy(fs[1].Head[40:], []byte{0, 0, byte(sum >> 8), byte(sum)})
		}, 2},
		{"udp length, sum right", []spec{dgram(a), dgram(b)}, func(fs []*pkt.Frame) { fs[1].Head[39]--; fs[1].Head[43]++ }, 2},
		{"udp length", []spec{dgram(a), dgram(b)}, func(fs []*pkt.Frame) { fs[1].Head[39]-- }, 2},
		{"bad checksum first", []spec{a, b}, func(fs []*pkt.Frame) { fs[0].Head[99] ^= 1 }, 2},
		{"bad checksum second", []spec{a, b, with(b, func(s *spec) { s.seq, s.id = 300, 7 })}, func(fs []*pkt.Frame) { fs[1].Head[99] ^= 1 }, 3},
		{"bad IP checksum", []spec{a, b}, func(fs []*pkt.Frame) { fs[1].Head[24] ^= 1 }, 2},
		{"VNI", []spec{a, b}, func(fs []*pkt.Frame) { fs[1].VNI = 1 }, 2},
		{"AC", []spec{a, b}, func(fs []*pkt.Frame) { fs[1].InAC = 1 }, 2},
		{"VTEP", []spec{a, b}, func(fs []*pkt.Frame) { fs[1].VTEP = 1 }, 2},
		{"port", []spec{a, b}, func(fs []*pkt.Frame) { fs[1].InPort = 1 }, 2},
		{"tag", []spec{a, b}, func(fs []*pkt.Frame) { fs[1].PushTag(pkt.Tag{TPID: 0x8100, TCI: 1}) }, 2},
		{"other tag", []spec{a, b}, func(fs []*pkt.Frame) {
			fs[0].PushTag(pkt.Tag{TPID: 0x8100, TCI: 2})
			fs[1].PushTag(pkt.Tag{TPID: 0x8100, TCI: 1})
		}, 2},
		{"same tag", []spec{a, b}, func(fs []*pkt.Frame) {
			fs[0].PushTag(pkt.Tag{TPID: 0x8100, TCI: 1})
			fs[1].PushTag(pkt.Tag{TPID: 0x8100, TCI: 1})
		}, 1},
		{"MAC", []spec{a, b}, func(fs []*pkt.Frame) { fs[1].Head[5]++ }, 2},
		{"already partial", []spec{a, b}, func(fs []*pkt.Frame) { fs[1].Offload.NeedsCsum = true }, 2},
		{"already a super-frame", []spec{a, b}, func(fs []*pkt.Frame) { fs[0].Offload.GSOType, fs[0].Offload.GSOSize = pkt.GSOTCPv4, 50 }, 2},
		{"padded", []spec{a, b}, func(fs []*pkt.Frame) { fs[1].Head = append(fs[1].Head, 0); fs[1].Len++ }, 2},
		{"too short", []spec{a, b}, func(fs []*pkt.Frame) { fs[1].Head = fs[1].Head[:13]; fs[1].Len = 13 }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var in []*pkt.Frame
			for i := range tt.in {
				in = append(in, frame(tt.in[i].build(t)))
			}
			if tt.mod != nil {
				tt.mod(in)
			}
			orig := clone(in)
			m := gso.Merger{UDP: true}
			got := m.Merge(in)
			if len(got) != tt.want {
				t.Errorf("%d frames are left, want %d", len(got), tt.want)
			}
			for _, f := range got {
				if f.Offload.GSOType == pkt.GSONone && !hasBytes(orig, f.Head) {
					t.Errorf("a lone frame was changed: %x", f.Head)
				}
			}
		})
	}
}

func hasBytes(fs []*pkt.Frame, b []byte) bool {
	for _, f := range fs {
		if bytes.Equal(f.Head, b) {
			return true
		}
	}
	return false
}

// TestMergeUDPOff: datagrams stay as they are unless asked for.
func TestMergeUDPOff(t *testing.T) {
	s := spec{udp: true, payload: pattern(300)}
	var m gso.Merger
	if got := m.Merge(framesOf(s.segments(t, 100))); len(got) != 3 {
		t.Errorf("%d frames are left, want 3", len(got))
	}
}

// TestMergeLimits: neither 65,535 bytes nor MaxSegments are exceeded, and what
// does not fit begins the next super-frame.
func TestMergeLimits(t *testing.T) {
	for _, tt := range []struct {
		size, n int
		want    []int // segments of each super-frame
	}{
		{1460, 100, []int{44, 44, 12}}, // 54 + 44 x 1460 = 64,294
		{100, 300, []int{128, 128, 44}},
		{8948, 16, []int{7, 7, 2}},
		{40000, 3, []int{1, 1, 1}},
	} {
		var in []*pkt.Frame
		s := spec{payload: pattern(tt.size)}
		for range tt.n {
			in = append(in, frame(s.build(t)))
			s.seq += uint32(tt.size)
			s.id++
		}
		var m gso.Merger
		var got []int
		for _, f := range m.Merge(in) {
			got = append(got, len(f.Frags)+1)
			if f.Len > 65535-8 {
				t.Errorf("super-frame of %d bytes", f.Len)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%d x %d bytes: got %v, want %v", tt.n, tt.size, got, tt.want)
		}
	}
}

// TestMergeManyFlows: with more flows than slots some runs are cut shorter, and
// nothing is lost or out of order.
func TestMergeManyFlows(t *testing.T) {
	var in []*pkt.Frame
	for i := range 40 {
		for fl := range 12 {
			s := spec{flow: byte(fl), seq: uint32(i) * 50, id: uint16(i), payload: pattern(50)}
			in = append(in, frame(s.build(t)))
		}
	}
	checkFlows(t, in, true)
	// Eight at a time all find their run.
	in = in[:0]
	for i := range 40 {
		for fl := range 8 {
			s := spec{flow: byte(fl), seq: uint32(i) * 50, id: uint16(i), payload: pattern(50)}
			in = append(in, frame(s.build(t)))
		}
	}
	var m gso.Merger
	if got := m.Merge(in); len(got) != 8 {
		t.Errorf("%d frames are left, want 8", len(got))
	}
}

// checkFlows merges a copy of in, cuts the result again, and demands the frames
// of every flow to be the same, in the same order; the IPv4 ID may differ where
// DF is set. It returns how many frames were left.
func checkFlows(t *testing.T, in []*pkt.Frame, udp bool) int {
	t.Helper()
	key := func(b []byte, f *pkt.Frame) string {
		g := frame(b)
		wire.Parse(g)
		return fmt.Sprintf("%d %d %d %v %08x %x", f.VNI, f.InAC, f.VTEP, f.Tags, g.Hash, b[:max(12, int(g.L3Off))])
	}
	blur := func(b []byte) string {
		b = bytes.Clone(b)
		if len(b) > 34 && b[12] == 8 && b[13] == 0 && b[20]&0x40 != 0 {
			b[18], b[19], b[24], b[25] = 0, 0, 0, 0
		}
		return string(b)
	}
	want, got := map[string][]string{}, map[string][]string{}
	for _, f := range in {
		k := key(f.Head, f)
		want[k] = append(want[k], blur(f.Head))
	}
	m := gso.Merger{UDP: udp}
	out := m.Merge(clone(in))
	for _, f := range out {
		for _, b := range split(t, f) {
			k := key(b, f)
			got[k] = append(got[k], blur(b))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d flows, want %d", len(got), len(want))
	}
	for k, w := range want {
		g := got[k]
		if len(g) != len(w) {
			t.Fatalf("flow %s: %d frames, want %d", k, len(g), len(w))
		}
		for i := range w {
			if g[i] != w[i] {
				t.Fatalf("flow %s frame %d of %d\ngot  %x\nwant %x", k, i, len(w), clip([]byte(g[i])), clip([]byte(w[i])))
			}
		}
	}
	return len(out)
}

// TestMergeModel: random bursts with every fault in them. The bytes of each flow
// after merging and cutting are in order and complete, and where there are no more
// flows than slots the groups are those of the naive merger.
func TestMergeModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 3))
	frames, left, compared := 0, 0, 0
	for round := range 60 {
		g := newTraffic(rnd.IntN, 1+rnd.IntN(3+9*(round%2)))
		var in []*pkt.Frame
		for range 150 {
			in = append(in, g.next(t))
		}
		udp := round%4 < 2
		frames += len(in)
		left += checkFlows(t, in, udp)
		want, flows := naive(in, udp)
		if flows > 8 {
			continue
		}
		compared++
		work := clone(in)
		at := map[*byte]int{}
		for i, f := range work {
			at[&f.Head[len(f.Head)-1]] = i // the last byte is in Head or in a Frag
		}
		m := gso.Merger{UDP: udp}
		var got [][]int
		for _, f := range m.Merge(work) {
			group := []int{at[&f.Head[len(f.Head)-1]]}
			for _, p := range f.Frags {
				group = append(group, at[&p[len(p)-1]])
			}
			got = append(got, group)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("round %d, seed %d: groups\ngot  %v\nwant %v", round, seed, got, want)
		}
	}
	t.Logf("%d frames became %d; %d bursts compared", frames, left, compared)
	if compared < 20 {
		t.Error("too few bursts are comparable")
	}
	if left*3 > frames*2 {
		t.Error("hardly anything was merged: the generator is too wild to test with")
	}
}

// FuzzMerge: the fuzzer's bytes decide what the traffic is and which bytes of
// the frames are overwritten; nothing panics and no flow is reordered.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{1, 2, 3}, []byte{}, true)
	f.Add(pattern(64), []byte{0, 14, 0x46, 1, 20, 7}, true)
	f.Fuzz(func(t *testing.T, choose, spoil []byte, udp bool) {
		i := 0
		rnd := func(n int) int {
			if len(choose) == 0 {
				return n - 1
			}
			i++
			return (int(choose[i%len(choose)]) + i/len(choose)*31) % n
		}
		g := newTraffic(rnd, 1+rnd(3))
		var in []*pkt.Frame
		for range 12 {
			in = append(in, g.next(t))
		}
		for ; len(spoil) >= 3; spoil = spoil[3:] {
			fr := in[int(spoil[0])%len(in)]
			fr.Head[int(spoil[1])%len(fr.Head)] = spoil[2]
		}
		checkFlows(t, in, udp)
	})
}
