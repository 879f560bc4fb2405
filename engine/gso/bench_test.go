package gso_test

import (
	"bytes"
	"testing"

	"github.com/ztos/ztos/engine/gso"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
)

// load is frames that can be put back to how they were after a stage has written
// into them, without allocation.
type load struct {
	frames []*pkt.Frame
	work   []*pkt.Frame
	orig   [][]byte
	off    []pkt.Offload
}

func newLoad(frames ...*pkt.Frame) *load {
	l := &load{frames: frames, work: make([]*pkt.Frame, len(frames))}
	for _, f := range frames {
		l.orig = append(l.orig, bytes.Clone(f.Head))
		l.off = append(l.off, f.Offload)
	}
	return l
}

// reset restores headers only, and payloads where whole says so: segments were
// written over them.
func (l *load) reset(whole bool) []*pkt.Frame {
	copy(l.work, l.frames)
	for i, f := range l.frames {
		n := len(l.orig[i])
		if !whole {
			n = min(n, 128)
		}
		copy(f.Head, l.orig[i][:n])
		head := f.Head
		f.Reset(head)
		f.Offload = l.off[i]
	}
	return l.work
}

// runs returns a burst as a leaf sees it: each flow's segments in runs of 11,
// the flows in turn.
func runs(t testing.TB, s spec, size, n, flows int) []*pkt.Frame {
	var per [][][]byte
	s.payload = pattern(size * n)
	for i := range flows {
		c := s
		c.flow = byte(i)
		per = append(per, c.segments(t, size))
	}
	var out []*pkt.Frame
	for at := 0; at < n; at += 11 {
		for i := range flows {
			out = append(out, framesOf(per[i][at:min(n, at+11)])...)
		}
	}
	return out
}

// TestNoAllocs: nothing allocates once one burst went through.
func TestNoAllocs(t *testing.T) {
	tcp := spec{payload: pattern(14480), opts: timestamps(1)}
	udp := spec{udp: true, v6: true, payload: pattern(12000)}
	plain := spec{payload: pattern(900)}
	p := plain.super(t, 0)
	p.Offload.GSOType = pkt.GSONone
	supers := newLoad(tcp.super(t, 1448), udp.super(t, 1200), p)
	burst := newLoad(append(runs(t, spec{opts: timestamps(1)}, 1448, 22, 3), runs(t, spec{udp: true}, 500, 22, 2)...)...)
	var s gso.Splitter
	m := gso.Merger{UDP: true}
	run := func() {
		for _, f := range supers.reset(true) {
			if _, r := s.Init(f); r != 0 {
				t.Fatal(r)
			}
			gso.SegmentIPLen(f)
			for s.Next() != nil {
			}
		}
		if out := m.Merge(burst.reset(false)); len(out) != 5 {
			t.Fatalf("%d frames are left", len(out))
		}
	}
	run()
	if got := testing.AllocsPerRun(100, run); got != 0 {
		t.Errorf("%v allocations per run", got)
	}
}

// perSegment reports the time of one run of n segments as ns per segment.
func perSegment(b *testing.B, n int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/segment")
}

// BenchmarkSplit cuts a super-frame of 45 segments of 1448 bytes, checksums
// made. Next overwrites tails of payload only, so the input need not be restored.
func BenchmarkSplit(b *testing.B) {
	for _, tt := range []struct {
		name string
		spec spec
		size int
	}{
		{"tcp4", spec{payload: pattern(45 * 1448), opts: timestamps(1)}, 1448},
		{"tcp6", spec{v6: true, payload: pattern(45 * 1428), opts: timestamps(1)}, 1428},
		{"udp4", spec{udp: true, payload: pattern(45 * 1448)}, 1448},
		{"udp4-22", spec{udp: true, payload: pattern(100 * 22)}, 22},
	} {
		b.Run(tt.name, func(b *testing.B) {
			l := newLoad(tt.spec.super(b, tt.size))
			var s gso.Splitter
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				f := l.reset(false)[0]
				wire.Parse(f)
				n, _ = s.Init(f)
				for s.Next() != nil {
				}
			}
			perSegment(b, n)
		})
	}
}

// BenchmarkMerge merges bursts of 88 segments, checksums verified, Parse
// included.
func BenchmarkMerge(b *testing.B) {
	for _, tt := range []struct {
		name  string
		spec  spec
		size  int
		n     int
		flows int
	}{
		{"tcp4", spec{opts: timestamps(1)}, 1448, 88, 1},
		{"tcp4-8-flows", spec{opts: timestamps(1)}, 1448, 11, 8},
		{"tcp6", spec{v6: true, opts: timestamps(1)}, 1428, 88, 1},
		{"udp4", spec{udp: true}, 1448, 88, 1},
		{"udp4-22", spec{udp: true}, 22, 88, 1},
	} {
		b.Run(tt.name, func(b *testing.B) {
			l := newLoad(runs(b, tt.spec, tt.size, tt.n, tt.flows)...)
			m := gso.Merger{UDP: true}
			b.ReportAllocs()
			for b.Loop() {
				in := l.reset(false)
				m.Merge(in)
			}
			perSegment(b, tt.n*tt.flows)
		})
	}
}

// BenchmarkMergeReset is what BenchmarkMerge pays for its own set-up.
func BenchmarkMergeReset(b *testing.B) {
	l := newLoad(runs(b, spec{opts: timestamps(1)}, 1448, 88, 1)...)
	for b.Loop() {
		l.reset(false)
	}
	perSegment(b, 88)
}

// BenchmarkMergeNothing: a burst in which no two frames belong together.
func BenchmarkMergeNothing(b *testing.B) {
	var fs []*pkt.Frame
	for i := range 88 {
		s := spec{flow: byte(i), payload: pattern(1448)}
		fs = append(fs, frame(s.build(b)))
	}
	l := newLoad(fs...)
	var m gso.Merger
	for b.Loop() {
		m.Merge(l.reset(false))
	}
	perSegment(b, 88)
}
