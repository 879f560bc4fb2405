package bgp_test

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/relay"
)

// TestCrossing: Speakers that begin within moments of each other, and dial each other
// at the same time, find together, whatever connections cross.
func TestCrossing(t *testing.T) {
	const pairs = 32
	type end struct {
		*bgp.Speaker
		conf bgp.Config
	}
	// All start before the first has a peer: GoBGP's servers share variables that
	// their start sets.
	begin := func(net, i byte, rid string) end {
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, net, i}), 1790)
		c := bgp.Config{ASN: 65000, RouterID: netip.MustParseAddr(rid), Listen: []bgp.Listen{{At: at}}}
		s, err := bgp.New(t.Context(), c, relay.Kernel{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return end{s, c}
	}
	var ends [pairs][2]end
	for i := range ends {
		ends[i] = [2]end{begin(7, byte(i+1), "10.255.1.1"), begin(8, byte(i+1), "10.255.0.2")}
	}
	meet := func(a, b end) {
		c := a.conf
		c.Peers = []bgp.Peer{{
			Name: "other", Addr: b.conf.Listen[0].At.Addr(), Port: 1790, Local: c.Listen[0].At.Addr(), ASN: 65000, Families: evpnOnly,
			Restart: bgp.Restart{Enabled: true},
		}}
		if err := a.Apply(t.Context(), c); err != nil {
			t.Error(err)
		}
	}
	var all sync.WaitGroup
	for i, e := range ends {
		all.Go(func() {
			meet(e[0], e[1])
			time.Sleep(time.Duration(i%24) * 5 * time.Millisecond)
			meet(e[1], e[0])
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			for {
				st, err := e[0].Status(ctx)
				if err == nil && st[0].State == "established" {
					return
				}
				if ctx.Err() != nil {
					t.Errorf("pair %d has no session after %v: %+v (%v)", i, limit, st, err)
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	}
	all.Wait()
}
