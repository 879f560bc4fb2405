package hoststack_test

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/fabric/hoststack"
	"github.com/ztos/ztos/fabric/tcpmd5"
)

// TestGuard: two stacks speak when both protect alike; else nothing passes, and what
// was dropped is counted where it was.
func TestGuard(t *testing.T) {
	password := func(s string) hoststack.Guard { return hoststack.Guard{Password: secret.New([]byte(s))} }
	near, both := hoststack.Guard{Hops: 1}, password("x")
	both.Hops = 1
	for _, tt := range []struct {
		name string
		a, b hoststack.Guard
		ok   bool
		at   func(r hoststack.Refusals) uint64 // counted at b
	}{
		{"password", password("x"), password("x"), true, nil},
		{"distance", near, near, true, nil},
		{"both", both, both, true, nil},
		{"another password", password("x"), password("y"), false, func(r hoststack.Refusals) uint64 { return r.Signature }},
		{"no password there", hoststack.Guard{}, password("y"), false, func(r hoststack.Refusals) uint64 { return r.Unsigned }},
		{"no password here", password("x"), hoststack.Guard{}, false, func(r hoststack.Refusals) uint64 { return r.Surplus }},
		{"too far", hoststack.Guard{}, near, false, func(r hoststack.Refusals) uint64 { return r.Distance }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, b := newStack(t, "10.255.0.1"), newStack(t, "10.255.0.2")
			a.Protect(map[netip.Addr]hoststack.Guard{netip.MustParseAddr("10.255.0.2"): tt.a})
			b.Protect(map[netip.Addr]hoststack.Guard{netip.MustParseAddr("10.255.0.1"): tt.b})
			var full, long, clear, low atomic.Bool
			join(a, b, func(p []byte) {
				if len(p) >= 1300 {
					full.Store(true)
				}
				if len(p) > 1400 {
					long.Store(true)
				}
				if !tcpmd5.Signed(p) {
					clear.Store(true)
				}
				if wire.IPv4(p).TTL() != 255 || wire.IPv4(p).HeaderSum() != 0xffff {
					low.Store(true)
				}
			})
			serve(t, b)
			if tt.ok {
				if err := echo(a, 10*time.Second); err != nil {
					t.Error(err)
				}
				if !full.Load() || long.Load() {
					t.Errorf("full packets %v, longer ones than 1400 bytes %v", full.Load(), long.Load())
				}
				if tt.a.Password.Valid() && clear.Load() || tt.a.Hops > 0 && low.Load() {
					t.Errorf("unsigned %v, TTL below 255 or a wrong checksum %v", clear.Load(), low.Load())
				}
				if r := b.Refused(); r != (hoststack.Refusals{}) {
					t.Errorf("refused %+v", r)
				}
				return
			}
			if echo(a, 700*time.Millisecond) == nil {
				t.Error("they speak")
			}
			if r := b.Refused(); tt.at(r) == 0 || r.Distance+r.Unsigned+r.Signature+r.Surplus != tt.at(r) {
				t.Errorf("refused %+v", r)
			}
		})
	}
}

// TestGuardOthers: a stack protects TCP of the peers that are named, and nothing else.
func TestGuardOthers(t *testing.T) {
	a, b := newStack(t, "10.255.0.1"), newStack(t, "10.255.0.2")
	b.Protect(map[netip.Addr]hoststack.Guard{netip.MustParseAddr("10.255.0.3"): {Password: secret.New([]byte("x")), Hops: 1}})
	join(a, b, nil)
	serve(t, b)
	if err := echo(a, 10*time.Second); err != nil {
		t.Error(err)
	}
	b.Protect(nil)
	if err := echo(a, 10*time.Second); err != nil {
		t.Error(err)
	}
}

// TestGuardUnknown: where a peer has a password, a packet whose headers are not known
// to the last is not let through: the stack may find TCP behind them.
func TestGuardUnknown(t *testing.T) {
	s := newStack(t, "fd00::1")
	s.Protect(map[netip.Addr]hoststack.Guard{netip.MustParseAddr("fd00::2"): {Password: secret.New([]byte("x"))}})
	p := make([]byte, 40+8+20)
	src, dst := netip.MustParseAddr("fd00::2").As16(), netip.MustParseAddr("fd00::1").As16()
	wire.IPv6(p).Put(&wire.IPv6Fields{PayloadLen: 28, NextHeader: 253, HopLimit: 64})
	copy(p[8:], src[:])
	copy(p[24:], dst[:])
	p[40] = wire.ProtoTCP
	if !s.Deliver(p) {
		t.Fatal("the packet was not taken")
	}
	for end := time.Now().Add(5 * time.Second); s.Refused().Unsigned == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not refused: %+v", s.Refused())
		}
	}
}
