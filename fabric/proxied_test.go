package fabric_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/ring"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l2/proxy"
)

const proxyMAC table.MAC = 0x025d0aff0001

// arpFrame is an ARP message of host i, broadcast unless it goes to dst.
func arpFrame(op uint16, i int, sender, target netip.Addr, dst ...byte) []byte {
	if len(dst) == 0 {
		dst = []byte{255, 255, 255, 255, 255, 255}
	}
	f := make([]byte, 60)
	wire.Ethernet(f).Put(dst, mac(i), wire.TypeARP)
	wire.ARP(f[14:]).Put(op, mac(i), wire.AddrFrom(sender).Uint32(), make([]byte, 6), wire.AddrFrom(target).Uint32())
	return f
}

// newProxy gives leaf1 a proxy in red, which knows host 2 behind leaf2.
func newProxy(b *bed, drop bool) (*proxy.Domain, *node) {
	b.t.Helper()
	n := b.nodes["leaf1"]
	n.env.Proxied = ring.New[proxy.Event](64)
	bindings := proxy.New(func(vni table.VNI, m table.MAC) (table.ACID, bool) {
		e, ok := n.learn.FDB(vni).Get(m)
		return table.ACID(e.Dest.ID), ok && e.Dest.Kind == l2.DestLocal
	})
	c := proxy.Config{VNI: red, Drop: drop, Ageing: 300e9, Circuits: map[table.ACID]table.PortID{1: 1}, MAC: proxyMAC}
	d := bindings.Prepare(c)
	bindings.SetDomain(c, d)
	bindings.Remote(proxy.Remote{VNI: red, Addr: hostAddr(red, 2), MAC: table.MACFrom(mac(2))})
	b.must(bindings.Publish())
	dom := n.parts.Domains[0]
	dom.Proxy = d
	b.must(n.learn.SetDomain(l2.DomainConfig{
		VNI: red, Circuits: []l2.Circuit{{ID: 1, Port: 1}}, VTEPs: dom.BD.VTEPs, Statics: []l2.Static{{MAC: proxyMAC, Dest: l2.Gateway}},
	}))
	n.publish()
	return d, n
}

// told returns what control was told.
func told(n *node) []proxy.Event {
	var e [64]proxy.Event
	return append([]proxy.Event(nil), e[:n.env.Proxied.Pop(e[:])]...)
}

// TestProxied: a question about a host behind another leaf is answered at the port
// and goes nowhere else; everything else goes its way.
func TestProxied(t *testing.T) {
	b := newBed(t, option{})
	b.introduce()
	d, n := newProxy(b, false)
	count := n.parts.Domains[0].BD.Count
	flooded, tunnel := count.Flooded[l2.Broadcast].Load(), count.TxTunnel.Frames.Load()
	far := func() int { return len(b.nodes["leaf2"].ports[red].Sent()) + len(b.nodes["leaf3"].ports[red].Sent()) }

	b.inject("leaf1", red, arpFrame(wire.ARPRequest, 1, hostAddr(red, 1), hostAddr(red, 2)), pkt.Offload{})
	got := n.ports[red].Sent()
	if len(got) != 1 || !bytes.Equal(got[0].Frame[:6], mac(1)) || !bytes.Equal(got[0].Frame[6:12], mac(2)) {
		t.Fatalf("the asker got %d frames", len(got))
	}
	if a := wire.ARP(got[0].Frame[14:]); a.Op() != wire.ARPReply || !bytes.Equal(a.SenderMAC(), mac(2)) {
		t.Errorf("it was answered %x", got[0].Frame)
	}
	if n := far(); n != 0 {
		t.Errorf("the question came to %d hosts", n)
	}
	if f, x := count.Flooded[l2.Broadcast].Load()-flooded, count.TxTunnel.Frames.Load()-tunnel; f != 0 || x != 0 {
		t.Errorf("%d floods and %d frames into the tunnel are counted", f, x)
	}
	want := proxy.Event{Kind: proxy.Seen, VNI: red, Addr: hostAddr(red, 1), MAC: table.MACFrom(mac(1)), AC: 1}
	if e := told(n); len(e) != 1 || e[0] != want {
		t.Errorf("control was told %+v", e)
	}

	b.inject("leaf1", red, arpFrame(wire.ARPRequest, 1, hostAddr(red, 1), hostAddr(red, 3)), pkt.Offload{})
	if n := far(); n != 2 {
		t.Errorf("a question about an unknown host came to %d hosts, want 2", n)
	}
	// A reply to another host goes there; one to the proxy ends here.
	b.inject("leaf1", red, arpFrame(wire.ARPReply, 1, hostAddr(red, 1), hostAddr(red, 2), mac(2)...), pkt.Offload{})
	if n := far(); n != 1 {
		t.Errorf("a reply came to %d hosts, want 1", n)
	}
	var self [6]byte
	proxyMAC.Put(self[:])
	b.inject("leaf1", red, arpFrame(wire.ARPReply, 1, hostAddr(red, 1), hostAddr(red, 1), self[:]...), pkt.Offload{})
	if n := far(); n != 0 {
		t.Errorf("a reply to the proxy came to %d hosts", n)
	}
	b.noDrops()
	if a, f := d.Count.Answered.Load(), d.Count.Flooded.Load(); a != 1 || f != 1 {
		t.Errorf("%d answered, %d flooded", a, f)
	}

	// Whoever uses the proxy's MAC for anything else, or as a source, is refused.
	ip, o := tcp(1, 2, 1, pattern(100, 1))
	copy(ip, self[:])
	b.inject("leaf1", red, ip, o)
	spoof := arpFrame(wire.ARPRequest, 1, hostAddr(red, 1), hostAddr(red, 2))
	copy(spoof[6:], self[:])
	b.inject("leaf1", red, spoof, pkt.Offload{})
	if nd, mr := n.dropped(counter.NoDestination), n.dropped(counter.MACMoveRefused); nd != 1 || mr != 1 || far() != 0 {
		t.Errorf("%d to the proxy's MAC, %d from it were dropped, want 1 and 1", nd, mr)
	}
	// And from another leaf.
	remote := arpFrame(wire.ARPReply, 3, hostAddr(red, 3), hostAddr(red, 3), self[:]...)
	b.inject("leaf3", red, remote, pkt.Offload{})
	if nd := n.dropped(counter.NoDestination); nd != 2 {
		t.Errorf("%d frames to the proxy's MAC were dropped, want 2", nd)
	}
}

func TestProxiedDrop(t *testing.T) {
	b := newBed(t, option{})
	b.introduce()
	_, n := newProxy(b, true)
	b.inject("leaf1", red, arpFrame(wire.ARPRequest, 1, hostAddr(red, 1), hostAddr(red, 3)), pkt.Offload{})
	if d := n.dropped(counter.ProxyUnknown); d != 1 {
		t.Errorf("%d drops, want 1", d)
	}
	b.inject("leaf1", red, arpFrame(wire.ARPRequest, 1, hostAddr(red, 1), hostAddr(red, 1)), pkt.Offload{})
	if n := len(b.nodes["leaf2"].ports[red].Sent()); n != 1 {
		t.Errorf("a gratuitous ARP came to %d hosts at leaf2, want 1", n)
	}
}

// TestProxiedProbe: the slow path sends the proxy's questions, also without routing.
func TestProxiedProbe(t *testing.T) {
	b := newBed(t, option{})
	b.introduce()
	d, n := newProxy(b, false)
	punts, err := fabric.NewPunts()
	b.must(err)
	n.env.Punts = punts
	g := fabric.NewGateway(n.env, "gateway", n.block(), n.mux.NewSender(), nil)
	var buf [proxy.MaxReply]byte
	if !punts.Send(red, buf[:d.Ask(buf[:], hostAddr(red, 1), table.MACFrom(mac(1)))]) {
		t.Fatal("refused")
	}
	b.must(g.Step())
	b.settle()
	got := n.ports[red].Sent()
	if len(got) != 1 || !bytes.Equal(got[0].Frame[:6], mac(1)) || table.MACFrom(got[0].Frame[6:]) != proxyMAC {
		t.Fatalf("the host got %d frames", len(got))
	}
	if n := len(b.nodes["leaf2"].ports[red].Sent()); n != 0 {
		t.Errorf("%d came to leaf2's host", n)
	}
	b.noDrops()
}

// TestProxiedNoAllocs: questions that are answered, that are flooded, and what is
// neither ARP nor ND, in a bridge domain with a proxy.
func TestProxiedNoAllocs(t *testing.T) {
	frame, o := tcp(1, 2, 1, pattern(1000, 1))
	frames := []injection{
		{frame, o},
		{arpFrame(wire.ARPRequest, 1, hostAddr(red, 1), hostAddr(red, 2)), pkt.Offload{}},
		{arpFrame(wire.ARPRequest, 1, hostAddr(red, 1), hostAddr(red, 3)), pkt.Offload{}},
		{arpFrame(wire.ARPReply, 1, hostAddr(red, 1), hostAddr(red, 2), mac(2)...), pkt.Offload{}},
	}
	s := newSteady(t, frames)
	d, n := newProxy(s.b, false)
	for _, p := range n.parts.Ports[:1] {
		p.Device = s.in
	}
	n.publish()
	step := func() {
		s.b.now += 1e6
		s.burst()
		var e [64]proxy.Event
		n.env.Proxied.Pop(e[:])
	}
	for range 20 {
		step()
	}
	before := d.Count.Answered.Load()
	if n := testing.AllocsPerRun(50, step); n != 0 {
		t.Errorf("%v allocations for a burst, want 0", n)
	}
	if d.Count.Answered.Load() == before {
		t.Error("nothing was answered")
	}
}
