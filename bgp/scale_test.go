package bgp_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/bgptest"
	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/engine/table"
)

// macUpdates returns UPDATEs with n type 2 routes, 90 in each, as FRR packs them.
func macUpdates(n int) (out [][]byte) {
	const each = 90
	for i := 0; i < n; i += each {
		var routes []byte
		for j := i; j < min(n, i+each); j++ {
			r := bgptest.X("02 21 " + rdHex + esi0 + "00000000 30 020000000000 00 000064")
			binary.BigEndian.PutUint32(r[2+8+10+4+1+2:], uint32(j))
			routes = append(routes, r...)
		}
		attrs := bgptest.X(origin + aspath + local + bgptest.Attr(0x80, 14, reach+fmt.Sprintf("%x", routes)) + bgptest.Attr(0xc0, 16, ext))
		out = append(out, append([]byte{0, 0, byte(len(attrs) >> 8), byte(len(attrs))}, attrs...))
	}
	return out
}

// BenchmarkReceive: from the wire to the reader of events.
func BenchmarkReceive(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			updates := macUpdates(n)
			for b.Loop() {
				b.StopTimer()
				nd := start(b, "127.0.0.1", bgp.Config{Peers: []bgp.Peer{passive("127.0.0.9")}})
				r := raw(b, nd, "127.0.0.9", bgptest.Config{})
				nd.up()
				b.StartTimer()
				go func() {
					for _, u := range updates {
						r.Send(bgptest.Update, u)
					}
				}()
				for got := 0; got < n; {
					events, err := nd.Next(context.Background())
					if err != nil {
						b.Fatal(err)
					}
					for _, e := range events {
						got += len(e.Routes)
					}
				}
				b.StopTimer()
				r.Close()
				nd.Close()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/route")
		})
	}
}

// BenchmarkAnnounce: from the caller to the peer's wire.
func BenchmarkAnnounce(b *testing.B) {
	const n = 10_000
	rt, _ := evpn.NewRT(65000, 100)
	routes := make([]evpn.Route, n)
	for i := range routes {
		routes[i] = evpn.Route{
			Key:   evpn.KeyOfMAC(evpn.NewRD(rid, 2), 0, evpnMAC(0)+table.MAC(i), rid),
			Attrs: evpn.Attrs{NextHop: rid, Label1: 100, RTs: []evpn.RT{rt}, Encaps: evpn.EncapVXLAN},
		}
	}
	for b.Loop() {
		b.StopTimer()
		nd := start(b, "127.0.0.1", bgp.Config{Peers: []bgp.Peer{passive("127.0.0.9")}})
		r := raw(b, nd, "127.0.0.9", bgptest.Config{})
		nd.up()
		b.StartTimer()
		if err := nd.Announce(routes); err != nil {
			b.Fatal(err)
		}
		for got := 0; got < n; {
			m := r.Await(bgptest.Update)
			if m == nil {
				b.Fatal("the session has ended")
			}
			got += countRoutes(m.Body)
		}
		b.StopTimer()
		r.Close()
		nd.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/route")
}

// countRoutes counts type 2 routes with an IPv4 address in an UPDATE: each has 37
// octets behind its type and length.
func countRoutes(body []byte) (n int) {
	rd := evpn.NewRD(rid, 2)
	for i := 0; i+10 < len(body); i++ {
		if body[i] == 2 && body[i+1] == 37 && [8]byte(body[i+2:]) == rd {
			n++
		}
	}
	return n
}
