package afxdp_test

import (
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/afxdp"
	"github.com/ztos/ztos/engine/port/nstest"
	"github.com/ztos/ztos/engine/wire"
)

// host makes a namespace with the addresses .N and ::N, joined to the engine's.
func host(t testing.TB, engine *nstest.NS, dev, n string) *nstest.NS {
	t.Helper()
	ns := nstest.New(t)
	nstest.Veth(t, ns, "eth0", engine, dev)
	ns.Set("ipv6/conf/eth0/disable_ipv6", "0")
	ns.IP("addr add 10.7.0." + n + "/24 dev eth0")
	ns.IP("addr add fd07::" + n + "/64 dev eth0 nodad")
	return ns
}

// TestTCP: real TCP with all offloads on between two hosts, over IPv4 and IPv6:
// behind AF_XDP ports both, and one behind AF_PACKET, whose super-frames the
// other cuts.
func TestTCP(t *testing.T) {
	for _, tt := range []struct {
		name string
		open func(engine *nstest.NS) port.Port
	}{
		{"both afxdp", func(e *nstest.NS) port.Port { return open(t, e, afxdp.Config{Device: "p2"}) }},
		{"one afpacket", func(e *nstest.NS) port.Port { return plain(t, e, "p2") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			engine := nstest.New(t)
			h1, h2 := host(t, engine, "p1", "1"), host(t, engine, "p2", "2")
			p1, p2 := open(t, engine, afxdp.Config{Device: "p1"}), tt.open(engine)
			there, back := nstest.Forward(t, p1, p2, nil), nstest.Forward(t, p2, p1, nil)
			for _, ip := range []string{"10.7.0.2", "fd07::2"} {
				if err := nstest.TCP(h1, h2, ip, 8<<20); err != nil {
					t.Errorf("%s there: %v", ip, err)
				}
			}
			for _, ip := range []string{"10.7.0.1", "fd07::1"} {
				if err := nstest.TCP(h2, h1, ip, 8<<20); err != nil {
					t.Errorf("%s back: %v", ip, err)
				}
			}
			t.Logf("%d frames there, %d of them super-frames; %d and %d back", there.Frames.Load(),
				there.Super.Load(), back.Frames.Load(), back.Super.Load())
			if n := there.Refused.Load() + back.Refused.Load(); n != 0 {
				t.Errorf("%d frames refused", n)
			}
		})
	}
}

// TestTCPTagged: the same with two tags pushed on a trunk between two engines, at
// one end of which is AF_XDP.
func TestTCPTagged(t *testing.T) {
	e1, e2 := nstest.New(t), nstest.New(t)
	h1, h2 := host(t, e1, "p1", "1"), host(t, e2, "p2", "2")
	nstest.Veth(t, e1, "trunk1", e2, "trunk2")
	e1.IP("link set dev trunk1 mtu 1508")
	e2.IP("link set dev trunk2 mtu 1508")
	p1, p2 := plain(t, e1, "p1"), plain(t, e2, "p2")
	t1, t2 := plain(t, e1, "trunk1"), open(t, e2, afxdp.Config{Device: "trunk2"})
	push := func(f *pkt.Frame) {
		f.PushTag(tag(0x8100, 7))
		f.PushTag(tag(0x88a8, 100))
	}
	pop := func(f *pkt.Frame) {
		if wire.StripTags(f) != counter.None || f.NumTags != 2 {
			return
		}
		f.PopTag()
		f.PopTag()
	}
	nstest.Forward(t, p1, t1, push)
	nstest.Forward(t, t1, p1, pop)
	nstest.Forward(t, p2, t2, push)
	nstest.Forward(t, t2, p2, pop)
	for _, ip := range []string{"10.7.0.2", "fd07::2"} {
		if err := nstest.TCP(h1, h2, ip, 4<<20); err != nil {
			t.Errorf("%s there: %v", ip, err)
		}
	}
	for _, ip := range []string{"10.7.0.1", "fd07::1"} {
		if err := nstest.TCP(h2, h1, ip, 4<<20); err != nil {
			t.Errorf("%s back: %v", ip, err)
		}
	}
}
