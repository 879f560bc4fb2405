package bgp_test

import (
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/bgptest"
	"github.com/ztos/ztos/bgp/relay"
)

// goroutines returns the stacks of those that run code of package relay or wait
// in GoBGP's server.
func goroutines() (out []string) {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for g := range strings.SplitSeq(string(buf), "\n\n") {
		if strings.Contains(g, "ztos/bgp/relay.") || strings.Contains(g, "gobgp/v4/pkg/server.") {
			out = append(out, g)
		}
	}
	return out
}

// TestCloseLeavesNothing: neither goroutines nor a way to use the Speaker.
func TestCloseLeavesNothing(t *testing.T) {
	p := passive("127.0.0.9")
	dialed := passive("127.0.0.10")
	dialed.Name, dialed.Passive = "dialed", false
	for _, end := range []func(*bgp.Speaker){(*bgp.Speaker).Close, (*bgp.Speaker).Stop} {
		before := len(goroutines())
		n := start(t, "127.0.0.1", bgp.Config{Peers: []bgp.Peer{p, dialed}})
		r := raw(t, n, "127.0.0.9", bgptest.Config{})
		n.up()
		end(n.Speaker)
		n.Close() // again, as whoever does not know would
		r.Close()
		deadline := time.Now().Add(limit)
		for len(goroutines()) > before {
			if time.Now().After(deadline) {
				t.Fatalf("%d goroutines are left, of %d before:\n%s", len(goroutines()), before, strings.Join(goroutines(), "\n\n"))
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err := n.Apply(t.Context(), n.conf); !errors.Is(err, bgp.ErrClosed) {
			t.Errorf("Apply: %v", err)
		}
		if err := n.Announce(exampleRoutes()); !errors.Is(err, bgp.ErrClosed) {
			t.Errorf("Announce: %v", err)
		}
	}
}

// TestNewRefuses: a configuration that cannot be leaves nothing behind.
func TestNewRefuses(t *testing.T) {
	before := len(goroutines())
	for _, tt := range []struct {
		name, want string
		c          bgp.Config
	}{
		{"empty", "no AS number", bgp.Config{}},
		{"router id", "router id", bgp.Config{ASN: 1}},
		{"no family", "no address family", bgp.Config{ASN: 1, RouterID: rid, Peers: []bgp.Peer{{Name: "a", Addr: rid}}}},
		{"link-local without device", "zone", bgp.Config{ASN: 1, RouterID: rid, Peers: []bgp.Peer{{Name: "a", Addr: netip.MustParseAddr("fe80::1"), Families: evpnOnly}}}},
		{"client of another AS", "same AS", bgp.Config{ASN: 1, RouterID: rid, Peers: []bgp.Peer{{Name: "a", Addr: rid, ASN: 2, Client: true, Families: evpnOnly}}}},
		{"half seconds", "whole seconds", bgp.Config{ASN: 1, RouterID: rid, Peers: []bgp.Peer{{Name: "a", Addr: rid, Families: evpnOnly, Timers: bgp.Timers{Hold: 3500 * time.Millisecond}}}}},
		{"device that is not", "no-such-device", bgp.Config{ASN: 1, RouterID: rid, Listen: []bgp.Listen{{At: netip.MustParseAddrPort("127.0.0.1:1790"), Device: "no-such-device"}}}},
	} {
		s, err := bgp.New(t.Context(), tt.c, relay.Kernel{}, nil)
		if err == nil {
			s.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	deadline := time.Now().Add(limit)
	for len(goroutines()) > before {
		if time.Now().After(deadline) {
			t.Fatalf("goroutines are left:\n%s", strings.Join(goroutines(), "\n\n"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}
