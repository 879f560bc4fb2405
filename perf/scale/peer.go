package scale

import (
	"math"
	"net/netip"
	"runtime"
	"time"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/wireguard"
)

// Peer measures a WireGuard node with peers that all have a session, at each of
// sizes, in peers.
func Peer(sizes []int) Series {
	s := Series{
		Name: "peer-tables", Title: "WireGuard peers with a session each", Axis: "peers",
		Metrics: []Metric{
			{"bytes", "heap for a peer and its session, with a replay window of 8,185", "B", true},
			{"hit", "lookup of a random receiver index that is in use", "ns", true},
			{"miss", "lookup of a random receiver index that is not", "ns", true},
			{"tick", "timers run with nothing due, and the next deadline", "ns", true},
			{"handshake", "both ends of a handshake", "ns", true},
		},
	}
	for _, n := range sizes {
		s.Points = append(s.Points, Point{n, peers(n)})
	}
	return s
}

// wgKey returns the private key of the node, 0, or a peer.
func wgKey(i int) secret.Key32 {
	k := [32]byte(privateKey(i))
	return secret.New32(&k)
}

// wgNode returns a node with the key i. It never answers with a cookie: all
// handshakes are made at once here.
func wgNode(i int) *wireguard.Node {
	n, err := wireguard.NewNode(wireguard.Config{
		Private: wgKey(i), Wall: time.Now, Params: wireguard.Params{UnderLoadRate: math.MaxInt32},
	})
	must(err)
	return n
}

func peers(n int) []float64 {
	r := seeded(n)
	now := int64(time.Second)
	hub := wgNode(0)
	var used []uint32
	spent := time.Duration(0)
	for i := range n {
		far := wgNode(i + 1)
		_, err := hub.AddPeer(now, wireguard.PeerConfig{
			PublicKey: far.PublicKey(), ID: table.PeerID(i + 1), AllowedIPs: []netip.Prefix{netip.PrefixFrom(vtep(i), 32)},
		})
		must(err)
		_, err = far.AddPeer(now, wireguard.PeerConfig{
			PublicKey: hub.PublicKey(), Endpoint: netip.MustParseAddrPort("192.0.2.1:1"), AlwaysOn: true,
		})
		must(err)
		at := netip.AddrPortFrom(vtep(i), listenPort)
		began := time.Now()
		for _, m := range far.Tick(now) {
			for _, back := range hub.HandleMessage(now, at, m.Msg) {
				far.HandleMessage(now, netip.MustParseAddrPort("192.0.2.1:1"), back.Msg)
			}
		}
		spent += time.Since(began)
		used = append(used, sessionOf(hub, far, now, at))
		far.Close()
	}
	hub.TakeEvents()
	hits, misses := draws(r, used), make([]uint32, lookups)
	for i := range misses {
		misses[i] = r.Uint32()
	}
	table := hub.Sessions()
	find := func(keys []uint32) float64 {
		return ns(lookups, func() {
			for _, k := range keys {
				table.Lookup(k)
			}
		})
	}
	hit, miss := find(hits), find(misses)
	hub.Tick(now)
	const ticks = 1 << 12
	tick := ns(ticks, func() {
		for range ticks {
			hub.Tick(now)
			hub.NextDeadline(now)
		}
	})
	full := heap()
	runtime.KeepAlive(hub)
	hub = nil
	table = nil
	bytes := (full - heap()) / float64(n)
	return []float64{bytes, hit, miss, tick, float64(spent.Nanoseconds()) / float64(n)}
}

// sessionOf lets far send its first data message, which completes the session,
// and returns the hub's receiver index.
func sessionOf(hub, far *wireguard.Node, now int64, at netip.AddrPort) uint32 {
	p := far.Peer(hub.PublicKey())
	s, counter, _ := p.Reserve(now, 1)
	msg := make([]byte, wireguard.Overhead)
	s.Seal(msg, counter, 0, 0)
	var b wireguard.Batch
	got := b.OpenRun(hub.Sessions(), now, msg, len(msg))
	b.Report(now, at)
	return got[0].Session.Local()
}
