package bfdnet_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/port/nstest"
	"github.com/ztos/ztos/fabric/bfd"
	"github.com/ztos/ztos/fabric/bfdnet"
)

// TestKernel: sessions over the kernel's UDP and a cable, of both families; what
// comes with another TTL, or from a stranger, is counted.
func TestKernel(t *testing.T) {
	nstest.NeedRoot(t)
	x, y := nstest.New(t), nstest.New(t)
	nstest.Veth(t, x, "e0", y, "e1")
	x.IP("addr add 192.0.2.1/24 dev e0")
	y.IP("addr add 192.0.2.2/24 dev e1")
	x.Set("ipv6/conf/e0/disable_ipv6", "0")
	y.Set("ipv6/conf/e1/disable_ipv6", "0")
	x.IP("addr add 2001:db8::1/64 dev e0 nodad")
	y.IP("addr add 2001:db8::2/64 dev e1 nodad")
	in := func(ns *nstest.NS) bfdnet.Transport {
		return func(at netip.AddrPort) (s bfdnet.Socket, err error) {
			ns.Do(func() { s, err = bfdnet.Kernel(at) })
			return s, err
		}
	}
	for _, tt := range []struct{ local, remote string }{
		{"192.0.2.1", "192.0.2.2"},
		{"2001:db8::1", "2001:db8::2"},
	} {
		l, r := netip.MustParseAddr(tt.local), netip.MustParseAddr(tt.remote)
		// One bound to its address, one to all.
		a, b := newNode(t, in(x), l, r), newNode(t, in(y), netip.Addr{}, l)
		a.await(t, bfd.Up)
		b.await(t, bfd.Up)
		spoof := func(ttl int, payload []byte) {
			t.Helper()
			var c net.Conn
			var err error
			y.Do(func() { c, err = net.Dial("udp", net.JoinHostPort(tt.local, "3784")) })
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := bfdnet.SetTTL(c, l.Is4(), ttl); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Write(payload); err != nil {
				t.Fatal(err)
			}
		}
		st, _, _ := a.Status()
		p := bfd.Packet{State: bfd.Down, Mult: 3, Mine: st[0].Yours, Yours: st[0].Mine}
		spoof(254, p.Bytes())
		p.Yours++
		spoof(255, p.Bytes())
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			st, _, _ = a.Status()
			if st[0].Stats[bfd.RefusedTTL] == 1 && st[0].Stats[bfd.RefusedUnknown] == 1 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%s: spoofed packets are not counted: %+v", tt.local, st[0])
			}
		}
		a.Close()
		b.Close()
		if _, err := in(x)(netip.AddrPortFrom(r, 3784)); err == nil {
			t.Error("a socket at another node's address")
		}
	}
}
