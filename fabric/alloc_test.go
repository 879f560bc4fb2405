package fabric_test

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/fabric"
)

// pipe is an underlay sender and receiver in one that never allocates: what is
// pushed is what the next Recv returns.
type pipe struct {
	to      netip.AddrPort // what goes elsewhere is not received; zero: all is
	mem     []byte
	used    int
	bundles []underlay.Bundle
}

func newPipe() *pipe {
	return &pipe{mem: make([]byte, 4<<20), bundles: make([]underlay.Bundle, 0, 256)}
}

func (p *pipe) Push(dst *underlay.Endpoint, _ int, data []byte, seg int) {
	if p.to.IsValid() && dst.Addr() != p.to {
		return
	}
	at := p.used
	p.used += copy(p.mem[at:], data)
	p.bundles = append(p.bundles, underlay.Bundle{Buf: p.mem[at:p.used], SegSize: seg})
}
func (p *pipe) Flush() (int, int) { return len(p.bundles), 0 }
func (p *pipe) Oversized() int    { return 0 }
func (p *pipe) Paths() int        { return 4 }
func (p *pipe) Truncated() uint64 { return 0 }
func (p *pipe) Recv(b []underlay.Bundle) (int, error) {
	n := copy(b, p.bundles)
	p.bundles, p.used = p.bundles[:0], 0
	if n == 0 {
		return 0, port.ErrTimeout
	}
	return n, nil
}

// wirePort is a port that receives the same frames at every Recv and sends to
// nowhere, without allocating.
type wirePort struct {
	port.Port
	frames []injection
	bufs   [][]byte
	sent   int
	bytes  int
}

func (w *wirePort) Recv(v *pkt.Vector) error {
	v.Reset()
	for i, f := range w.frames {
		if len(w.bufs) <= i {
			w.bufs = append(w.bufs, make([]byte, len(f.frame)))
		}
		copy(w.bufs[i], f.frame)
		v.Add(w.bufs[i]).Offload = f.off
	}
	return nil
}
func (w *wirePort) Dropped() uint64         { return 0 }
func (w *wirePort) NewTx() (port.Tx, error) { return w, nil }
func (w *wirePort) Flush() (int, int)       { return 0, 0 }
func (w *wirePort) Refusal() counter.Reason { return counter.None }
func (w *wirePort) CanUDPGSO() bool         { return true }
func (w *wirePort) Push(f *pkt.Frame)       { w.sent++; w.bytes += f.Len }

type injection struct {
	frame []byte
	off   pkt.Offload
}

// steady is the whole path leaf1, spine, leaf2 for one burst of frames, without
// the doubles' allocations.
type steady struct {
	b                *bed
	in               *wirePort
	out              *wirePort
	first            *pipe // from leaf1 to the spine
	leaf1, sp, leaf2 interface{ Step() error }
}

func newSteady(t testing.TB, frames []injection) *steady {
	b := newBed(t, option{})
	b.introduce()
	return newSteadyOf(b, frames, red)
}

// newRoutedSteady is newSteady from red to blue, through both leaves' routers.
func newRoutedSteady(t testing.TB, frames []injection) *steady {
	b := newBed(t, option{})
	newRoutedBed(b, option{}, false)
	b.introduce()
	return newSteadyOf(b, frames, blue)
}

// newSteadyOf is the path on b to leaf2's port of vni.
func newSteadyOf(b *bed, frames []injection, vni table.VNI) *steady {
	s := &steady{b: b, in: &wirePort{frames: frames}, out: &wirePort{}}
	first, second := newPipe(), newPipe()
	s.first = first
	second.to = netip.AddrPortFrom(endpoint(2), 51820)
	sp, l2 := b.nodes["spine"], b.nodes["leaf2"]
	for _, p := range l2.parts.Ports {
		if p.Device == port.Port(l2.ports[vni]) {
			p.Device = s.out
		}
	}
	l2.publish()
	s.leaf1 = s.leafIn(first)
	s.sp = fabric.NewUnderlayIn(sp.env, "spine", sp.block(), first, false, second, nil)
	s.leaf2 = fabric.NewUnderlayIn(l2.env, "out", l2.block(), second, false, newPipe(), nil)
	return s
}

// leafIn returns leaf1's graph that sends by tx.
func (s *steady) leafIn(tx underlay.Sender) *fabric.LeafIn {
	l := s.b.nodes["leaf1"]
	return fabric.NewLeafIn(l.env, "in", l.block(), table.PortID(1), s.in, tx, nil)
}

// burst carries one burst over the whole path.
func (s *steady) burst() {
	s.b.must(s.leaf1.Step())
	s.b.must(s.sp.Step())
	s.b.must(s.leaf2.Step())
}

// traffic is bursts that take different branches.
func traffic() map[string][]injection {
	burst := func(n, size int) (out []injection) {
		for i := range n {
			f, o := tcp(1, 2, uint32(1+i*size), pattern(size, byte(i)))
			out = append(out, injection{f, o})
		}
		return out
	}
	datagrams := func(size int) (out []injection) {
		for range 30 {
			f := udpTo(red, hostAddr(red, 1), hostAddr(red, 2), 64, size)
			copy(f, mac(2))
			out = append(out, injection{frame: f})
		}
		return out
	}
	many := manyFlows(32)
	flood, o := tcp(1, 2, 1, pattern(100, 1))
	copy(flood, []byte{255, 255, 255, 255, 255, 255})
	return map[string][]injection{
		"super-frames":            burst(8, 40*1460),
		"full frames":             burst(30, 1460),
		"small frames":            burst(30, 6),
		"many flows":              many,
		"flooded frames":          {{flood, o}, {flood, o}},
		"datagrams of 64 bytes":   datagrams(64),
		"datagrams of 1400 bytes": datagrams(1400),
	}
}

// manyFlows is a burst of frames, each of a TCP flow of its own.
func manyFlows(n int) (out []injection) {
	for i := range n {
		f, o := tcp(1, 2, 1, pattern(1000, byte(i)))
		binary.BigEndian.PutUint16(f[34:], uint16(20000+7*i))
		out = append(out, injection{f, o})
	}
	return out
}

func TestNoAllocs(t *testing.T) {
	for name, frames := range traffic() {
		t.Run(name, func(t *testing.T) {
			s := newSteady(t, frames)
			for range 20 {
				s.burst() // what grows once, grows
			}
			before := s.out.sent
			if n := testing.AllocsPerRun(50, s.burst); n != 0 {
				t.Errorf("%v allocations for a burst over leaf, spine and leaf, want 0", n)
			}
			if s.out.sent == before {
				t.Error("nothing arrived")
			}
			s.b.noDrops()
		})
	}
}

// TestRouteNoAllocs: between subnets of a leaf and across leaves, and what the
// slow path refuses.
func TestRouteNoAllocs(t *testing.T) {
	burst := func(j, n, size int) (out []injection) {
		for i := range n {
			f, o := routedTCP(1, j, uint32(1+i*size), pattern(size, byte(i)))
			out = append(out, injection{f, o})
		}
		return out
	}
	expired := injection{frame: udpTo(red, hostAddr(red, 1), hostAddr(blue, 2), 1, 50)}
	for name, frames := range map[string][]injection{
		"super-frames": burst(2, 8, 40*1460),
		"full frames":  burst(2, 30, 1460),
		"small frames": append(burst(2, 30, 6), expired, expired),
	} {
		t.Run(name, func(t *testing.T) {
			s := newRoutedSteady(t, frames)
			for range 20 {
				s.burst()
			}
			before := s.out.sent
			if n := testing.AllocsPerRun(50, s.burst); n != 0 {
				t.Errorf("%v allocations for a burst routed over leaf, spine and leaf, want 0", n)
			}
			if s.out.sent == before {
				t.Error("nothing arrived")
			}
		})
	}
}

// BenchmarkWholePath is the engines' own cost, without the kernel: leaf in, spine
// and leaf out on one core.
func BenchmarkWholePath(b *testing.B) {
	for name, frames := range traffic() {
		b.Run(name, func(b *testing.B) {
			s := newSteady(b, frames)
			s.burst()
			s.out.bytes = 0
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				s.burst()
				n++
			}
			segs := 0
			for _, f := range frames {
				size := int(f.off.GSOSize)
				if size == 0 {
					size = len(f.frame)
				}
				segs += (len(f.frame) - 54 + size - 1) / size
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(n*segs, 1)), "ns/segment")
			b.ReportMetric(float64(s.out.bytes)*8/b.Elapsed().Seconds()/1e9, "Gbit/s")
		})
	}
}
