package fabric_test

import (
	"net/netip"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/wireguard"
)

// stack is a host stack that sends the same packet until it has none.
type stack struct {
	packet []byte
	got    [][]byte
}

func (s *stack) Deliver(p []byte) bool { s.got = append(s.got, append([]byte(nil), p...)); return true }
func (s *stack) Read(bufs [][]byte, sizes []int) (int, error) {
	if s.packet == nil {
		return 0, port.ErrTimeout
	}
	sizes[0] = copy(bufs[0], s.packet)
	return 1, nil
}
func (s *stack) Close() error { return nil }

// packet6 is a packet of TCP.
func packet6(src, dst netip.Addr) []byte {
	p := make([]byte, wire.IPv6Len+8)
	p[0], p[5], p[6], p[7] = 0x60, 8, wire.ProtoTCP, 255
	copy(p[8:], src.AsSlice())
	copy(p[24:], dst.AsSlice())
	return p
}

// unnumber gives the nodes link-local addresses as control does: between each leaf
// and the spine. wide are further inner sources that the spine takes from leaf1.
func (b *bed) unnumber(wide ...netip.Prefix) {
	spine := b.nodes["spine"]
	for _, n := range b.nodes {
		n.parts.LinkLocal = n.wg.PublicKey().LinkLocal()
		for _, p := range n.parts.Peers {
			far := b.nodes[p.Name]
			p.LinkLocal = far.wg.PublicKey().LinkLocal()
			ips := append([]netip.Prefix{netip.PrefixFrom(p.LinkLocal, 128)}, p.WireGuard.AllowedIPs().Prefixes()...)
			i := 4
			for k := 1; n == spine && k <= 3; k++ {
				if p.ID == table.PeerID(k) {
					i = k
				}
			}
			if n == spine && p.Name == "leaf1" {
				ips = append(ips, wide...)
			}
			b.must(n.wg.UpdatePeer(b.now, wireguard.PeerConfig{
				PublicKey: far.wg.PublicKey(), ID: p.ID, Endpoint: netip.AddrPortFrom(endpoint(i), 51820), AllowedIPs: ips, AlwaysOn: true,
			}))
		}
		n.publish()
	}
}

// TestLinkLocal: what a peer sends from the address of its key comes to the node
// whose address it names, and nothing else that is link-local comes anywhere.
func TestLinkLocal(t *testing.T) {
	everything := netip.MustParsePrefix("::/0")
	for _, tt := range []struct {
		name     string
		src, dst string // nodes, or addresses
		wide     []netip.Prefix
		lie      bool // leaf1's own check of what it sends is not there
		at       string
		reason   counter.Reason // None: it arrives at the stack of the node at
	}{
		{"to the peer", "leaf1", "spine", nil, false, "spine", counter.None},
		{"to itself", "leaf1", "leaf1", nil, false, "leaf1", counter.OuterLinkLocal},
		{"to a leaf behind the spine", "leaf1", "leaf2", nil, false, "leaf1", counter.OuterLinkLocal},
		{"to all of the link", "leaf1", "ff02::1", nil, false, "leaf1", counter.OuterLinkLocal},
		{"from another's address", "leaf2", "spine", nil, false, "leaf1", counter.OuterLinkLocal},
		{"from another's address, by a liar", "leaf2", "spine", nil, true, "spine", counter.WGNotAllowedIP},
		{"the same, with wide allowed IPs", "leaf2", "spine", []netip.Prefix{everything}, true, "spine", counter.OuterLinkLocal},
		{"from the spine's own address", "spine", "spine", []netip.Prefix{everything}, true, "spine", counter.OuterLinkLocal},
		{"to another leaf, by a liar", "leaf1", "leaf2", nil, true, "spine", counter.OuterLinkLocal},
		{"from a routed address", "2001:db8::1", "spine", []netip.Prefix{everything}, true, "spine", counter.OuterLinkLocal},
		{"to a routed address", "leaf1", "2001:db8::1", nil, true, "spine", counter.OuterLinkLocal},
		{"to the end of fe80::/10", "leaf1", "febf::1", nil, true, "spine", counter.OuterLinkLocal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, option{})
			spine := b.nodes["spine"]
			// A route to everything forwards no link-local address all the same.
			spine.routes[everything] = &fabric.Route{Paths: spine.parts.Peers[1:2]}
			b.unnumber(tt.wide...)
			addr := func(s string) netip.Addr {
				if n := b.nodes[s]; n != nil {
					return n.wg.PublicKey().LinkLocal()
				}
				return netip.MustParseAddr(s)
			}
			src, dst := addr(tt.src), addr(tt.dst)
			l := b.nodes["leaf1"]
			if tt.lie {
				l.parts.LinkLocal = src
				l.parts.Local6 = src
				toward := *l.parts.Peers[0]
				toward.LinkLocal = dst
				l.parts.Peers[0] = &toward
				l.routes[everything] = &fabric.Route{Paths: []*fabric.Peer{&toward}}
				l.publish()
			}
			l.env.Host = &stack{packet: packet6(src, dst)}
			g := fabric.NewHostOut(l.env, "host", l.block(), l.mux.NewSender())
			b.must(g.Step())
			g.Close()
			b.settle()
			arrived := 0
			for _, n := range b.nodes {
				arrived += len(n.host)
			}
			if tt.reason == counter.None {
				if arrived != 1 || len(b.nodes[tt.at].host) != 1 {
					t.Errorf("%d packets arrived, want one at %s", arrived, tt.at)
				}
				b.noDrops()
				return
			}
			if got := b.nodes[tt.at].dropped(tt.reason); arrived != 0 || got != 1 {
				t.Errorf("%d packets arrived, and %s counted %d for %v; want 0 and 1", arrived, tt.at, got, tt.reason)
			}
		})
	}
}

// TestLinkLocalVXLAN: tenant frames do not travel between link-local addresses.
func TestLinkLocalVXLAN(t *testing.T) {
	b := newBed(t, option{})
	b.unnumber()
	l, spine := b.nodes["leaf1"], b.nodes["spine"]
	p := make([]byte, wire.IPv6Len+8+8+60)
	copy(p, packet6(l.wg.PublicKey().LinkLocal(), spine.wg.PublicKey().LinkLocal()))
	p[5], p[6] = 8+8+60, wire.ProtoUDP
	u := p[wire.IPv6Len:]
	copy(u, []byte{0xc0, 1, 0x12, 0xb5, 0, 8 + 8 + 60})
	u[8], u[14] = 8, 1 // I, and some VNI
	sum := ^wire.Fold(wire.Sum(u, wire.IPv6(p).Pseudo(wire.ProtoUDP, len(u))))
	u[6], u[7] = byte(sum>>8), byte(sum)
	l.env.Host = &stack{packet: p}
	g := fabric.NewHostOut(l.env, "host", l.block(), l.mux.NewSender())
	b.must(g.Step())
	g.Close()
	b.settle()
	if got := spine.dropped(counter.OuterLinkLocal); got != 1 || len(spine.host) != 0 {
		t.Errorf("the spine counted %d, its stack got %d; want 1 and 0", got, len(spine.host))
	}
}

// TestLinkLocalAllocs: sending packets of unnumbered sessions allocates nothing but
// what the stack does.
func TestLinkLocalAllocs(t *testing.T) {
	if raceEnabled {
		return // which allocates
	}
	b := newBed(t, option{})
	b.unnumber()
	l := b.nodes["leaf1"]
	l.env.Host = &stack{packet: packet6(l.wg.PublicKey().LinkLocal(), b.nodes["spine"].wg.PublicKey().LinkLocal())}
	out := newPipe()
	g := fabric.NewHostOut(l.env, "host", l.block(), out)
	defer g.Close()
	b.must(g.Step())
	out.bundles, out.used = out.bundles[:0], 0
	if n := testing.AllocsPerRun(100, func() {
		b.must(g.Step())
		if len(out.bundles) != 1 {
			t.Fatal("nothing was sent")
		}
		out.bundles, out.used = out.bundles[:0], 0
	}); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

// TestLinkLocalTCPAlone: a peer's router advertisement, or anything else but TCP, does
// not come to the stack.
func TestLinkLocalTCPAlone(t *testing.T) {
	for _, proto := range []byte{0, wire.ProtoUDP, wire.ProtoICMPv6, 59} {
		b := newBed(t, option{})
		b.unnumber()
		l, spine := b.nodes["leaf1"], b.nodes["spine"]
		p := packet6(l.wg.PublicKey().LinkLocal(), spine.wg.PublicKey().LinkLocal())
		p[6], p[wire.IPv6Len] = proto, 134
		l.env.Host = &stack{packet: p}
		g := fabric.NewHostOut(l.env, "host", l.block(), l.mux.NewSender())
		b.must(g.Step())
		g.Close()
		b.settle()
		if got := spine.dropped(counter.OuterLinkLocal); got != 1 || len(spine.host) != 0 {
			t.Errorf("protocol %d: the spine counted %d, its stack got %d; want 1 and 0", proto, got, len(spine.host))
		}
	}
}
