package xdp_test

import (
	"fmt"
	"testing"

	"github.com/ztos/ztos/engine/underlay"
)

// BenchmarkTxRx sends bursts from one machine to another over a veth and receives
// them, by UDP sockets with and without GSO and GRO and by AF_XDP: 8 groups of 20
// datagrams of one sender, or 64 single datagrams of one sender.
func BenchmarkTxRx(b *testing.B) {
	for _, size := range []int{100, 1452} {
		for _, single := range []bool{false, true} {
			for _, by := range []string{"sockets", "plain sockets", "AF_XDP"} {
				name := "groups"
				if single {
					name = "single"
				}
				b.Run(fmt.Sprintf("%s/%d/%s", name, size, by), func(b *testing.B) {
					nsA, nsB := cable(b, 1500)
					var from, to underlay.Conn
					cfg := underlay.Config{DisableGSO: by == "plain sockets", DisableGRO: by == "plain sockets"}
					if by == "AF_XDP" {
						from, to = open(b, nsA, nsB, cfg), open(b, nsB, nsA, cfg)
					} else {
						from, to = sockets(b, nsA, cfg), sockets(b, nsB, cfg)
					}
					tx, rx, dst := from.NewSender(), to.Receiver(to.Queues()-1), endpoint(b4, 51820)
					groups, n := 8, 20
					if single {
						groups, n = 64, 1
					}
					data, bundles := group(0, n, size, size), make([]underlay.Bundle, 32)
					b.ReportAllocs()
					for b.Loop() {
						for range groups {
							tx.Push(dst, 0, data, size)
						}
						if _, failed := tx.Flush(); failed != 0 {
							b.Fatal("failed")
						}
						for got := 0; got < groups*n; {
							k, err := rx.Recv(bundles)
							if err != nil {
								b.Fatal(err)
							}
							for i := range bundles[:k] {
								got += bundles[i].Datagrams()
							}
						}
					}
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*groups*n), "ns/datagram")
				})
			}
		}
	}
}
