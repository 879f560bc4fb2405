package afpacket_test

import (
	"testing"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port/afpacket"
)

// benchFrames returns a super-frame of 44 segments of 1448 bytes, and one frame
// of that size.
func benchFrames() map[string]*pkt.Frame {
	plain := new(pkt.Frame)
	plain.Reset(udp(1, 1472, 0).Head)
	return map[string]*pkt.Frame{"super": tcp(44*1448, 1448), "single": plain}
}

// BenchmarkTx sends 32 frames a burst into a cable whose other end drops them.
func BenchmarkTx(b *testing.B) {
	for name, f := range benchFrames() {
		b.Run(name, func(b *testing.B) {
			p, _, _, nsB := pair(b, afpacket.Config{})
			nsB.IP("link set dev b arp off")
			tx := newTx(b, p)
			run(b, f, func(n int) {
				for range n {
					tx.Push(f)
				}
				if _, refused := tx.Flush(); refused != 0 {
					b.Fatal(tx.Refusal())
				}
			})
		})
	}
}

// BenchmarkTxRx sends 32 frames a burst and receives them at the other end.
func BenchmarkTxRx(b *testing.B) {
	for name, f := range benchFrames() {
		b.Run(name, func(b *testing.B) {
			p, q, _, _ := pair(b, afpacket.Config{})
			tx, v := newTx(b, p), pkt.NewVector(32)
			run(b, f, func(n int) {
				for range n {
					tx.Push(f)
				}
				tx.Flush()
				for got := 0; got < n; {
					if err := q.Rx(0).Recv(v); err != nil {
						b.Fatal(err)
					}
					got += v.N
				}
			})
		})
	}
}

// run calls f with bursts of 32 and reports the time of one segment.
func run(b *testing.B, f *pkt.Frame, burst func(n int)) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		burst(32)
	}
	segs := float64(b.N) * 32 * float64(f.Segments(54))
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/segs, "ns/segment")
}
