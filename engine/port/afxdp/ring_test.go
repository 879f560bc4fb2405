package afxdp

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/ztos/ztos/engine/pkt"
	"golang.org/x/sys/unix"
)

// shared is the memory of a ring, without a kernel: the test is the other side.
type shared struct{ producer, consumer, flags uint32 }

func newRing(n int, start uint32) (*shared, ring[uint64]) {
	m := &shared{producer: start, consumer: start}
	return m, ring[uint64]{&m.producer, &m.consumer, &m.flags, make([]uint64, n)}
}

// starts are indices where counting begins: the last ones wrap soon.
var starts = []uint32{0, 1, 1<<31 - 3, 1<<32 - 1, 1<<32 - 7}

// TestProducerModel: a ring that we fill against a plain queue, with the kernel
// taking at random.
func TestProducerModel(t *testing.T) {
	for _, start := range starts {
		seed := rand.Uint64()
		rnd := rand.New(rand.NewPCG(seed, 1))
		m, r := newRing(8, start)
		p := producer[uint64]{ring: r, next: start}
		var queue []uint64 // published, not taken
		var put []uint64   // not published
		for i := range uint64(10000) {
			switch rnd.IntN(3) {
			case 0:
				want := uint32(rnd.IntN(9))
				room := p.room(want)
				if real := uint32(8 - len(queue) - len(put)); room > real || room < want && room != real {
					t.Fatalf("seed %d: room(%d) = %d with %d free", seed, want, room, real)
				}
				for range min(room, want) {
					p.put(i)
					put = append(put, i)
				}
			case 1:
				p.publish()
				queue, put = append(queue, put...), nil
			case 2: // the kernel
				for range rnd.IntN(len(queue) + 1) {
					if got := *r.at(m.consumer); got != queue[0] {
						t.Fatalf("seed %d: the kernel sees %d, want %d", seed, got, queue[0])
					}
					m.consumer++
					queue = queue[1:]
				}
			}
			if int(m.producer-m.consumer) != len(queue) || int(p.pending()) != len(queue)+len(put) {
				t.Fatalf("seed %d: %d in the ring, %d pending, want %d and %d", seed, m.producer-m.consumer, p.pending(), len(queue), len(queue)+len(put))
			}
		}
	}
}

// TestConsumerModel: a ring that the kernel fills, at random.
func TestConsumerModel(t *testing.T) {
	for _, start := range starts {
		seed := rand.Uint64()
		rnd := rand.New(rand.NewPCG(seed, 2))
		m, r := newRing(8, start)
		c := consumer[uint64]{ring: r, next: start}
		var queue []uint64 // in the ring, not got
		held := 0          // got, not released
		for i := range uint64(10000) {
			switch rnd.IntN(3) {
			case 0:
				ready := c.ready()
				if int(ready) > len(queue) || ready == 0 && len(queue) > 0 {
					t.Fatalf("seed %d: ready = %d of %d", seed, ready, len(queue))
				}
				for range rnd.IntN(int(ready) + 1) {
					if got := c.get(); got != queue[0] {
						t.Fatalf("seed %d: got %d, want %d", seed, got, queue[0])
					}
					queue = queue[1:]
					held++
				}
			case 1:
				c.release()
				held = 0
			case 2: // the kernel
				for range rnd.IntN(8 - len(queue) - held + 1) {
					*r.at(m.producer) = i
					m.producer++
					queue = append(queue, i)
				}
			}
			if int(m.producer-m.consumer) != len(queue)+held {
				t.Fatalf("seed %d: the kernel sees %d entries, want %d", seed, m.producer-m.consumer, len(queue)+held)
			}
		}
	}
}

// TestRingsConcurrently: two goroutines, one on each side; run with -race. An
// entry is seen whole, once and in order.
func TestRingsConcurrently(t *testing.T) {
	const n = 100000
	_, r := newRing(16, 1<<32-50)
	p := producer[uint64]{ring: r, next: 1<<32 - 50}
	c := consumer[uint64]{ring: r, next: 1<<32 - 50}
	go func() {
		for i := uint64(0); i < n; {
			for range min(p.room(4), uint32(n-i)) {
				p.put(i * 3)
				i++
			}
			p.publish()
		}
	}()
	for i := uint64(0); i < n; {
		for range c.ready() {
			if got := c.get(); got != i*3 {
				t.Fatalf("entry %d is %d", i, got)
			}
			i++
		}
		c.release()
	}
}

func TestNeedsWakeup(t *testing.T) {
	m, r := newRing(8, 0)
	if r.needsWakeup() {
		t.Error("wakeup wanted by a flag of 0")
	}
	atomic.StoreUint32(&m.flags, unix.XDP_RING_NEED_WAKEUP)
	if !r.needsWakeup() {
		t.Error("no wakeup wanted in spite of the flag")
	}
	// Zero copy honours it: no system call, and no error on a bad descriptor,
	// as long as the driver looks by itself.
	m.flags = 0
	s := &socket{fd: -1, zeroCopy: true, tx: producer[desc]{ring: ring[desc]{&m.producer, &m.consumer, &m.flags, make([]desc, 8)}}}
	s.tx.room(1)
	s.tx.put(desc{})
	s.tx.publish()
	if _, down := s.flush(); down {
		t.Error("the kernel was called without a wish")
	}
	m.flags = unix.XDP_RING_NEED_WAKEUP
	if _, down := s.flush(); !down {
		t.Error("the kernel was not called in spite of the flag")
	}
}

// meta lays the metadata out as the program does.
func meta(flags byte, rest ...byte) []byte {
	m := make([]byte, metaLen)
	copy(m, rest)
	m[8] = flags // little endian, as every machine that the fuzz runs on
	return m
}

func TestDecode(t *testing.T) {
	frame := make([]byte, 60)
	for _, tt := range []struct {
		name string
		m    []byte
		ok   bool
		want pkt.Offload
		tags []pkt.Tag
	}{
		{"nothing", meta(0), true, pkt.Offload{}, nil},
		{"stale without flags", meta(0, 0x81, 0, 1, 2, 34, 0, 6, 0), true, pkt.Offload{}, nil},
		{"tag", meta(metaTag, 0x81, 0, 0x23, 0xa1), true, pkt.Offload{}, []pkt.Tag{{TPID: 0x8100, TCI: 0xa123}}},
		{"checksum", meta(metaCsum, 0, 0, 0, 0, 34, 0, 6), true, pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 6}, nil},
		{"at the very end", meta(metaCsum, 0, 0, 0, 0, 34, 0, 24), true, pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 24}, nil},
		{"behind the end", meta(metaCsum, 0, 0, 0, 0, 34, 0, 25), false, pkt.Offload{}, nil},
		{"in the Ethernet header", meta(metaCsum, 0, 0, 0, 0, 13, 0, 6), false, pkt.Offload{}, nil},
		{"sums wrap", meta(metaCsum, 0, 0, 0, 0, 255, 255, 255, 255), false, pkt.Offload{}, nil},
	} {
		v := pkt.NewVector(1)
		ok := decode(v, tt.m, frame)
		if ok != tt.ok || v.N != map[bool]int{true: 1}[ok] {
			t.Errorf("%s: ok %v, %d frames", tt.name, ok, v.N)
			continue
		}
		if f := &v.Frames[0]; ok && (f.Offload != tt.want || !slices.Equal(f.Tags[:f.NumTags], tt.tags)) {
			t.Errorf("%s: %+v, tags %v", tt.name, f.Offload, f.Tags[:f.NumTags])
		}
	}
}

// FuzzDecode: whatever the metadata says, a partial checksum lies in the frame.
func FuzzDecode(f *testing.F) {
	f.Add(meta(metaTag|metaCsum, 0x88, 0xa8, 1, 0, 34, 0, 16), 60)
	f.Add(meta(metaCsum, 0, 0, 0, 0, 255, 255, 255, 255), 14)
	f.Fuzz(func(t *testing.T, m []byte, n int) {
		if len(m) < metaLen || n < 14 || n > 4096 {
			return
		}
		v := pkt.NewVector(1)
		if !decode(v, m, make([]byte, n)) {
			if v.N != 0 {
				t.Error("refused, yet handed over")
			}
			return
		}
		o := v.Frames[0].Offload
		if o.NeedsCsum && (o.CsumStart < 14 || int(o.CsumStart)+int(o.CsumOff)+2 > n) {
			t.Errorf("checksum outside of %d bytes: %+v", n, o)
		}
		if !o.NeedsCsum && o != (pkt.Offload{}) {
			t.Errorf("stray offload %+v", o)
		}
	})
}
