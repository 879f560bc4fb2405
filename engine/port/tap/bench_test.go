package tap_test

import (
	"testing"

	"github.com/ztos/ztos/engine/port/tap"
)

// BenchmarkTx writes UDP to a port where nobody listens: the kernel's end looks
// at it and drops it.
func BenchmarkTx(b *testing.B) {
	for _, bb := range []struct {
		name          string
		payload, size int
	}{{"super", 44 * 1448, 1448}, {"single", 1448, 0}} {
		b.Run(bb.name, func(b *testing.B) {
			_, p := host(b, "2", tap.Config{}) // not the frames' destination
			tx, _ := p.NewTx()
			f := udp(bb.payload, bb.size, 1)
			f.Head[0] = 2 // not the device's address either
			b.ReportAllocs()
			for b.Loop() {
				for range 32 {
					tx.Push(f)
				}
				tx.Flush()
			}
			segs := float64(b.N) * 32 * float64((bb.payload+1447)/1448)
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/segs, "ns/segment")
		})
	}
}
