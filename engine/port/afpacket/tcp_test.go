package afpacket_test

import (
	"testing"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port/afpacket"
	"github.com/ztos/ztos/engine/port/nstest"
)

// host makes a namespace with the addresses .N and ::N, joined to a port.
func host(t testing.TB, engine *nstest.NS, dev, n string, cfg afpacket.Config) (*nstest.NS, *afpacket.Port) {
	t.Helper()
	ns := nstest.New(t)
	nstest.Veth(t, ns, "eth0", engine, dev)
	ns.Set("ipv6/conf/eth0/disable_ipv6", "0")
	ns.IP("addr add 10.7.0." + n + "/24 dev eth0")
	ns.IP("addr add fd07::" + n + "/64 dev eth0 nodad")
	cfg.Device = dev
	return ns, open(t, engine, cfg)
}

// TestTCP: real TCP with TSO between two hosts, through the port of each, over
// IPv4 and IPv6, with one queue and several.
func TestTCP(t *testing.T) {
	for _, queues := range []int{1, 2} {
		engine := nstest.New(t)
		cfg := afpacket.Config{Queues: queues}
		h1, p1 := host(t, engine, "p1", "1", cfg)
		h2, p2 := host(t, engine, "p2", "2", cfg)
		there, back := nstest.Forward(t, p1, p2, nil), nstest.Forward(t, p2, p1, nil)
		for _, ip := range []string{"10.7.0.2", "fd07::2"} {
			if err := nstest.TCP(h1, h2, ip, 8<<20); err != nil {
				t.Errorf("%s: %v", ip, err)
			}
		}
		t.Logf("%d queues: %d frames there, %d of them super-frames; %d back", queues,
			there.Frames.Load(), there.Super.Load(), back.Frames.Load())
		if there.Super.Load() == 0 {
			t.Error("no super-frame was seen")
		}
		if n := there.Refused.Load() + back.Refused.Load(); n != 0 {
			t.Errorf("%d frames refused", n)
		}
		for q := range queues {
			if n := p1.Rx(q).Dropped() + p2.Rx(q).Dropped(); n != 0 {
				t.Errorf("queue %d: %d frames dropped", q, n)
			}
		}
	}
}

// TestTCPTagged: the same with two tags pushed on a trunk between two engines,
// super-frames and all.
func TestTCPTagged(t *testing.T) {
	e1, e2 := nstest.New(t), nstest.New(t)
	h1, p1 := host(t, e1, "p1", "1", afpacket.Config{})
	h2, p2 := host(t, e2, "p2", "2", afpacket.Config{})
	nstest.Veth(t, e1, "trunk1", e2, "trunk2")
	e1.IP("link set dev trunk1 mtu 1508")
	e2.IP("link set dev trunk2 mtu 1508")
	t1 := open(t, e1, afpacket.Config{Device: "trunk1"})
	t2 := open(t, e2, afpacket.Config{Device: "trunk2"})
	push := func(f *pkt.Frame) {
		f.PushTag(pkt.Tag{TPID: 0x8100, TCI: 7})
		f.PushTag(pkt.Tag{TPID: 0x88a8, TCI: 100})
	}
	// The device strips the outer tag; the inner one is in the bytes and is cut
	// out here as the access stage would.
	pop := func(f *pkt.Frame) {
		if tag, ok := f.PopTag(); !ok || tag.VID() != 100 {
			return
		}
		copy(f.Head[4:16], f.Head[:12])
		f.Head, f.Len = f.Head[4:], f.Len-4
		if f.Offload.NeedsCsum {
			f.Offload.CsumStart -= 4
		}
	}
	there := nstest.Forward(t, p1, t1, push)
	nstest.Forward(t, t1, p1, pop)
	nstest.Forward(t, p2, t2, push)
	nstest.Forward(t, t2, p2, pop)
	for _, ip := range []string{"10.7.0.2", "fd07::2"} {
		if err := nstest.TCP(h1, h2, ip, 4<<20); err != nil {
			t.Errorf("%s: %v", ip, err)
		}
	}
	if there.Super.Load() == 0 {
		t.Error("no super-frame was seen")
	}
}
