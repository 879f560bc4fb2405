package fabric_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	undermem "github.com/ztos/ztos/engine/underlay/mem"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/macsec"
)

// inject hands a frame of tenant vni to leaf's port and lets the fabric carry it.
func (b *bed) inject(leaf string, vni table.VNI, frame []byte, o pkt.Offload) {
	b.t.Helper()
	if !b.nodes[leaf].ports[vni].Inject(0, frame, o) {
		b.t.Fatalf("%s: the port refused the frame", leaf)
	}
	b.settle()
}

// introduce makes every leaf know every host of both tenants.
func (b *bed) introduce() {
	b.t.Helper()
	for _, vni := range []table.VNI{red, blue} {
		for i := 1; i <= 3; i++ {
			hello := make([]byte, 60)
			wire.Ethernet(hello).Put([]byte{255, 255, 255, 255, 255, 255}, mac(i), 0x88b5)
			b.inject([]string{"leaf1", "leaf2", "leaf3"}[i-1], vni, hello, pkt.Offload{})
		}
	}
	for _, n := range b.nodes {
		for _, p := range n.ports {
			p.Sent()
		}
	}
}

func TestUnicastReachesItsHostAndNobodyElse(t *testing.T) {
	for _, o := range []struct {
		name string
		option
	}{
		{"gcm-aes-128", option{suite: macsec.GCMAES128}},
		{"gcm-aes-256", option{suite: macsec.GCMAES256}},
		{"gcm-aes-xpn-256", option{suite: macsec.GCMAESXPN256}},
		{"hidden", option{hidden: true}},
		{"unprotected", option{unprotected: true}},
	} {
		t.Run(o.name, func(t *testing.T) {
			b := newBed(t, o.option)
			b.introduce()
			want, off := tcp(1, 2, 1, pattern(300, 7))
			b.inject("leaf1", red, want, off)
			got := b.nodes["leaf2"].ports[red].Sent()
			if len(got) != 1 {
				t.Fatalf("leaf2's red port sent %d frames, want 1", len(got))
			}
			// The kernel left the checksum to us: it is complete now.
			if !bytes.Equal(got[0].Frame[:50], want[:50]) || !bytes.Equal(got[0].Frame[54:], want[54:]) {
				t.Errorf("the frame changed:\n got %x\nwant %x", got[0].Frame, want)
			}
			ip := wire.IPv4(got[0].Frame[14:])
			if s := wire.Fold(wire.Sum(got[0].Frame[34:], ip.Pseudo(wire.ProtoTCP, 320))); s != 0xffff {
				t.Errorf("TCP checksum sums to %#x, want 0xffff", s)
			}
			for _, leaf := range []string{"leaf1", "leaf2", "leaf3"} {
				for vni, p := range b.nodes[leaf].ports {
					if n := len(p.Sent()); n > 0 {
						t.Errorf("%s VNI %d: %d frames that were not for it", leaf, vni, n)
					}
				}
			}
			b.noDrops()
		})
	}
}

// A super-frame goes in, MTU-sized frames cross, and a super-frame comes out.
func TestSuperFrameIsCutAndMerged(t *testing.T) {
	b := newBed(t, option{})
	b.introduce()
	payload := pattern(40*1460+99, 3)
	frame, off := tcp(1, 3, 1000, payload)
	b.inject("leaf1", blue, frame, off)
	var got []byte
	sent := b.nodes["leaf3"].ports[blue].Sent()
	for _, s := range sent {
		got = append(got, s.Frame[54:]...)
	}
	if !bytes.Equal(got, payload) {
		t.Fatalf("payload of %d bytes arrived as %d bytes, or changed", len(payload), len(got))
	}
	if len(sent) > 3 || sent[0].Offload.GSOType != pkt.GSOTCPv4 || sent[0].Offload.GSOSize != 1460 {
		t.Errorf("left as %d frames, the first with offload %+v; want super-frames", len(sent), sent[0].Offload)
	}
	if n := b.nodes["leaf1"].secys[blue].Counters().OutPktsEncrypted; n < 41 {
		t.Errorf("%d frames were protected, want at least 41", n)
	}
	b.noDrops()
}

func TestBroadcastReachesTheTenantOnceEach(t *testing.T) {
	b := newBed(t, option{})
	frame := make([]byte, 60)
	wire.Ethernet(frame).Put([]byte{255, 255, 255, 255, 255, 255}, mac(1), 0x88b5)
	copy(frame[14:], "who has")
	before := b.nodes["leaf1"].secys[red].Counters().OutPktsEncrypted
	b.inject("leaf1", red, frame, pkt.Offload{})
	for _, leaf := range []string{"leaf2", "leaf3"} {
		if got := b.nodes[leaf].ports[red].Sent(); len(got) != 1 || !bytes.Equal(got[0].Frame, frame) {
			t.Errorf("%s: red got %d frames, want the one", leaf, len(got))
		}
		if got := b.nodes[leaf].ports[blue].Sent(); len(got) != 0 {
			t.Errorf("%s: %d frames crossed to blue", leaf, len(got))
		}
	}
	if n := b.nodes["leaf1"].secys[red].Counters().OutPktsEncrypted - before; n != 1 {
		t.Errorf("a frame for two VTEPs was encrypted %d times, want once", n)
	}
	b.noDrops()
}

// The spine sees VXLAN whose payload is MACsec, and not one byte of the tenant.
func TestSpineSeesNoPayload(t *testing.T) {
	b := newBed(t, option{})
	b.introduce()
	w := b.nodes["spine"].tap.Capture([]trace.Stage{trace.WireGuardOpen}, trace.Filter{}, 4096, 1000)
	secret := []byte("the tenant's secret, thirty-two!")
	frame, off := tcp(1, 2, 1, bytes.Repeat(secret, 20))
	b.inject("leaf1", red, frame, off)
	w.Stop()
	n := 0
	for r := range w.C {
		n++
		if bytes.Contains(r.Data, secret[:8]) {
			t.Error("the spine saw tenant bytes")
		}
		// IPv4 20, UDP 8, VXLAN 8, DA and SA 12.
		if tp := binary.BigEndian.Uint16(r.Data[48:]); tp != macsec.EtherType {
			t.Errorf("EtherType inside VXLAN is %#04x, want MACsec", tp)
		}
	}
	if n != 1 {
		t.Fatalf("the spine opened %d packets, want 1", n)
	}
}

// Datagrams on the underlay that were changed, repeated or never sealed are
// dropped, each for its own reason.
func TestUnderlayAttacks(t *testing.T) {
	for _, tt := range []struct {
		name   string
		attack func(d undermem.Datagram) []undermem.Datagram
		reason counter.Reason
		passes int // frames that reach the host all the same
	}{
		{"tampered", func(d undermem.Datagram) []undermem.Datagram {
			d.Data = bytes.Clone(d.Data)
			d.Data[40] ^= 1
			return []undermem.Datagram{d}
		}, counter.WGAuthFailed, 0},
		{"replayed", func(d undermem.Datagram) []undermem.Datagram {
			c := d
			c.Data = bytes.Clone(d.Data)
			return []undermem.Datagram{d, c}
		}, counter.WGReplayed, 1},
		{"cut", func(d undermem.Datagram) []undermem.Datagram {
			d.Data = d.Data[:20]
			return []undermem.Datagram{d}
		}, counter.WGBadMessage, 0},
		{"wrong index", func(d undermem.Datagram) []undermem.Datagram {
			d.Data = bytes.Clone(d.Data)
			d.Data[5] ^= 0x55
			return []undermem.Datagram{d}
		}, counter.WGUnknownIndex, 0},
		{"never sealed", func(d undermem.Datagram) []undermem.Datagram {
			d.Data = append([]byte{8, 0, 0, 0, 0, 0x27, 0x74, 0}, pattern(60, 1)...)
			return []undermem.Datagram{d}
		}, counter.WGBadMessage, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, option{})
			b.introduce()
			b.sw.SetHook(func(d undermem.Datagram) []undermem.Datagram {
				if d.Dst.Addr() != endpoint(4) {
					return []undermem.Datagram{d}
				}
				return tt.attack(d)
			})
			frame, off := tcp(1, 2, 1, pattern(100, 1))
			b.inject("leaf1", red, frame, off)
			if got := len(b.nodes["leaf2"].ports[red].Sent()); got != tt.passes {
				t.Errorf("%d frames reached the host, want %d", got, tt.passes)
			}
			if got := b.nodes["spine"].dropped(tt.reason); got != 1 {
				t.Errorf("the spine counted %d drops for %v, want 1", got, tt.reason)
			}
		})
	}
}

// What a spine, or a leaf, is not allowed to send is dropped by who receives it.
func TestGuards(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(b *bed)
		at     string
		reason counter.Reason
	}{
		{"VNI of no VRF", func(b *bed) { delete(b.nodes["spine"].parts.VRFs, red) }, "spine", counter.SpineVNINotMember},
		{"sender is not a member", func(b *bed) { b.members(vtep(2), vtep(3)) }, "spine", counter.SpineVNINotMember},
		{"destination is not a member", func(b *bed) { b.members(vtep(1), vtep(3)) }, "spine", counter.SpineDestNotMember},
		{"no spine role", func(b *bed) { b.nodes["spine"].parts.Spine = false }, "spine", counter.NotASpine},
		{"no route", func(b *bed) { delete(b.nodes["spine"].routes, host(2)) }, "spine", counter.OuterNoRoute},
		{"source is not the peer's VTEP", func(b *bed) {
			for _, p := range b.nodes["spine"].parts.Peers {
				p.Sources = nil
			}
		}, "spine", counter.OuterSourceSpoofed},
		{"VNI is not here", func(b *bed) {
			p := &b.nodes["leaf2"].parts
			p.Domains = p.Domains[1:]
		}, "leaf2", counter.VXLANUnknownVNI},
		{"VTEP is not of the VNI", func(b *bed) {
			delete(b.nodes["leaf2"].parts.Domains[0].Adjacencies, vtep(1))
		}, "leaf2", counter.VXLANUnknownVTEP},
		{"no MACsec where it must be", func(b *bed) { b.nodes["leaf1"].parts.Domains[0].SecY = nil }, "leaf2", counter.MACsecUntagged},
		{"MACsec where none is configured", func(b *bed) { b.nodes["leaf2"].parts.Domains[0].SecY = nil }, "leaf2", counter.MACsecUnexpected},
		{"key of nobody", func(b *bed) { b.must(b.nodes["leaf2"].secys[red].RemoveRxSC(sci(red, 1))) }, "leaf2", counter.MACsecUnknownSCI},
		{"AN without SA", func(b *bed) { b.must(b.nodes["leaf2"].secys[red].RemoveRxSA(sci(red, 1), 0)) }, "leaf2", counter.MACsecNotUsingSA},
		{"nothing to protect with", func(b *bed) { b.nodes["leaf1"].secys[red].StopTx() }, "leaf1", counter.MACsecNoTxSA},
		{"no session", func(b *bed) {
			b.must(b.nodes["leaf1"].wg.RemovePeer(b.nodes["spine"].wg.PublicKey()))
		}, "leaf1", counter.WGNoSession},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, option{})
			b.introduce()
			tt.change(b)
			for _, n := range b.nodes {
				n.publish()
			}
			frame, off := tcp(1, 2, 1, pattern(100, 1))
			b.inject("leaf1", red, frame, off)
			if got := len(b.nodes["leaf2"].ports[red].Sent()); got != 0 {
				t.Errorf("%d frames reached the host, want none", got)
			}
			if got := b.nodes[tt.at].dropped(tt.reason); got != 1 {
				t.Errorf("%s counted %d drops for %v, want 1", tt.at, got, tt.reason)
			}
		})
	}
}

// A frame whose sender's channel belongs to another leaf is not believed.
func TestChannelOfAnotherLeafIsRefused(t *testing.T) {
	b := newBed(t, option{})
	b.introduce()
	s := b.nodes["leaf2"].secys[red]
	b.must(s.RemoveRxSC(sci(red, 1)))
	_, err := s.AddRxSC(sci(red, 1), 3) // leaf3's VTEP
	b.must(err)
	_, err = s.InstallRxSA(sci(red, 1), macsec.RxSAConfig{SAK: sak(red, 1, 32)})
	b.must(err)
	frame, off := tcp(1, 2, 1, pattern(100, 1))
	b.inject("leaf1", red, frame, off)
	if n, d := len(b.nodes["leaf2"].ports[red].Sent()), b.nodes["leaf2"].dropped(counter.MACsecForeignSCI); n != 0 || d != 1 {
		t.Errorf("%d frames reached the host, %d drops; want 0 and 1", n, d)
	}
}

func TestOversizedFrameIsAnswered(t *testing.T) {
	b := newBed(t, option{tenantMTU: 1400})
	b.introduce()
	frame, off := tcp(1, 2, 1, pattern(1450, 1))
	frame[14+6] = 0x40 // DF
	wire.IPv4(frame[14:]).UpdateChecksum()
	b.inject("leaf1", red, frame, off)
	got := b.nodes["leaf1"].ports[red].Sent()
	if len(got) != 1 || got[0].Frame[23] != wire.ProtoICMP || got[0].Frame[34] != 3 || got[0].Frame[35] != 4 {
		t.Fatalf("the sender got %d frames, want one ICMP fragmentation needed", len(got))
	}
	if mtu := binary.BigEndian.Uint16(got[0].Frame[40:]); mtu != 1400 {
		t.Errorf("it says MTU %d, want 1400", mtu)
	}
	if d := b.nodes["leaf1"].dropped(counter.OversizedICMPSent); d != 1 {
		t.Errorf("counted %d, want 1", d)
	}
}

func TestPingOfTheNodeReachesItsStack(t *testing.T) {
	b := newBed(t, option{})
	w := b.nodes["leaf2"]
	p := make([]byte, 28)
	wire.IPv4(p).Put(&wire.IPv4Fields{TotalLen: 28, TTL: 64, Proto: wire.ProtoICMP, Src: 0x0aff0001, Dst: 0x0aff0002})
	h := &once{packet: p}
	l1 := b.nodes["leaf1"]
	l1.env.Host = h
	g := fabric.NewHostOut(l1.env, "host", new(counter.Block), l1.mux.NewSender())
	b.must(g.Step())
	b.settle()
	if len(w.host) != 1 || !bytes.Equal(w.host[0][20:], p[20:]) || w.host[0][8] != 63 {
		t.Fatalf("leaf2's stack got %x, want the packet with one hop less", w.host)
	}
	b.noDrops()
}

func (b *bed) members(m ...netipAddr) {
	set := map[netipAddr]struct{}{}
	for _, a := range m {
		set[a] = struct{}{}
	}
	b.nodes["spine"].parts.VRFs[red] = &fabric.VRF{Name: "red", Members: set}
}
