package underlay_test

import (
	"testing"

	"github.com/ztos/ztos/engine/underlay"
)

// BenchmarkTxRx sends a group of 44 datagrams of 1472 bytes a message, 8 a
// burst, over the loopback device, and receives them.
func BenchmarkTxRx(b *testing.B) {
	for _, bb := range []struct {
		name string
		cfg  underlay.Config
	}{
		{"offloads", underlay.Config{Listen: at("127.0.0.1:0")}},
		{"noGRO", underlay.Config{Listen: at("127.0.0.1:0"), DisableGRO: true}},
		{"plain", underlay.Config{Listen: at("127.0.0.1:0"), DisableGRO: true, DisableGSO: true}},
		{"dual", underlay.Config{Listen: at("[::]:0")}},
		{"sources", underlay.Config{Listen: at("127.0.0.1:0"), SourcePorts: 4}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			m, n := open(b, bb.cfg), open(b, bb.cfg)
			tx, dst := m.NewTx(), to(n, "127.0.0.1")
			data := group(0, 44, 1472, 1472)
			buf := make([]underlay.Bundle, 32)
			const groups = 8
			b.ReportAllocs()
			for b.Loop() {
				for i := range groups {
					tx.Push(dst, i, data, 1472)
				}
				if _, failed := tx.Flush(); failed != 0 {
					b.Fatal("failed")
				}
				for got := 0; got < groups*44; {
					k, err := n.Rx(0).Recv(buf)
					if err != nil {
						b.Fatal(err)
					}
					for _, x := range buf[:k] {
						got += (len(x.Buf) + x.SegSize - 1) / x.SegSize
					}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*groups*44), "ns/segment")
		})
	}
}
