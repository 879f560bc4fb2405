package fabric_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l3"
)

// heard is a speaker's stack that keeps what it gets, or refuses it when full.
type heard struct {
	packets [][]byte
	full    bool
}

func (h *heard) Deliver(p []byte) bool {
	if !h.full {
		h.packets = append(h.packets, bytes.Clone(p))
	}
	return !h.full
}

// speakerAt gives red's gateway on leaf 1 a speaker, with host 1 as its neighbour.
func speakerAt(leaves map[int]*routedLeaf) *heard {
	h := &heard{}
	leaves[1].irb[red].Speakers = map[netip.Addr]*fabric.Speaker{
		subnet(red)[0].Addr(): {Neighbors: map[netip.Addr]struct{}{hostAddr(red, 1): {}}, Stack: h},
	}
	return h
}

// toSpeaker is TCP of host i of red to red's gateway, its checksum left to the device;
// a super-frame when payload is longer than a segment.
func toSpeaker(i int, payload []byte, srcPort, dstPort uint16) ([]byte, pkt.Offload) {
	b, o := routedTCP(i, 1, 7, payload)
	h := wire.IPv4(b[14:])
	h.Put(&wire.IPv4Fields{
		TotalLen: len(b) - 14, TTL: 1, Proto: wire.ProtoTCP,
		Src: wire.AddrFrom(hostAddr(red, i)).Uint32(), Dst: wire.AddrFrom(subnet(red)[0].Addr()).Uint32(),
	})
	binary.BigEndian.PutUint16(b[34:], srcPort)
	binary.BigEndian.PutUint16(b[36:], dstPort)
	wire.TCP(b[34:]).SetChecksum(wire.Fold(h.Pseudo(wire.ProtoTCP, 20+len(payload))))
	return b, o
}

// TestSpeaker: what a router says to the gateway's BGP comes to its stack as packets
// of a wire, whole and with right checksums, whatever the TTL.
func TestSpeaker(t *testing.T) {
	for name, n := range map[string]int{"segment": 100, "super-frame": 20 * 1460} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, option{})
			leaves := newRoutedBed(b, option{}, false)
			b.introduce()
			h := speakerAt(leaves)
			want := make([]byte, n)
			for i := range want {
				want[i] = byte(i * 7)
			}
			f, o := toSpeaker(1, want, 40000, 179)
			b.inject("leaf1", red, f, o)
			b.noDrops()
			var got []byte
			for _, p := range h.packets {
				ip := wire.IPv4(p)
				if len(p) != ip.TotalLen() || len(p) > 1500 || ip.HeaderSum() != 0xffff || wire.Fold(wire.Sum(p[20:], ip.Pseudo(wire.ProtoTCP, len(p)-20))) != 0xffff {
					t.Errorf("a packet of %d bytes with wrong length or checksums", len(p))
				}
				got = append(got, p[20+wire.TCP(p[20:]).HeaderLen():]...)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes in %d packets came, want %d", len(got), len(h.packets), len(want))
			}
		})
	}
}

// TestSpeakerHearsNobodyElse: others, other ports, and other leaves' hosts.
func TestSpeakerHearsNobodyElse(t *testing.T) {
	for _, tt := range []struct {
		name     string
		leaf     string
		host     int
		src, dst uint16
	}{
		{"another host", "leaf1", 3, 40000, 179},
		{"another port", "leaf1", 1, 40000, 22},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, option{})
			leaves := newRoutedBed(b, option{}, false)
			b.introduce()
			h := speakerAt(leaves)
			f, o := toSpeaker(tt.host, make([]byte, 100), tt.src, tt.dst)
			b.inject(tt.leaf, red, f, o)
			if len(h.packets) != 0 {
				t.Error("it was heard")
			}
			n := b.nodes[tt.leaf]
			if n.dropped(counter.HostNoHandler) != 1 {
				t.Errorf("%d counted as without a handler, want 1", n.dropped(counter.HostNoHandler))
			}
		})
	}
}

func TestSpeakerFull(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	speakerAt(leaves).full = true
	f, o := toSpeaker(1, make([]byte, 100), 179, 40000)
	b.inject("leaf1", red, f, o)
	b.expectDrop(b.nodes["leaf1"], counter.HostPuntFull)
}

// TestSendOwn: what a speaker sends goes by the routes of its VRF, its TTL untouched,
// from the gateway's MAC; while the router's MAC is not known, it waits.
func TestSendOwn(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	b.introduce()
	l := leaves[1]
	p := make([]byte, 14+20+20)
	send := func(to netip.Addr) {
		t.Helper()
		clear(p[:12])
		wire.Ethernet(p).SetType(wire.TypeIPv4)
		wire.IPv4(p[14:]).Put(&wire.IPv4Fields{
			TotalLen: 40, TTL: 64, Proto: wire.ProtoTCP, Src: wire.AddrFrom(subnet(red)[0].Addr()).Uint32(), Dst: wire.AddrFrom(to).Uint32(),
		})
		if !l.punts.SendOwn(red, p) {
			t.Fatal("the slow path is full")
		}
		l.step()
	}
	send(hostAddr(red, 1))
	f := b.onlySent(l.node, red).Frame
	var gw [6]byte
	gatewayMAC(red).Put(gw[:])
	if !bytes.Equal(f[:6], mac(1)) || !bytes.Equal(f[6:12], gw[:]) || wire.IPv4(f[14:]).TTL() != 64 {
		t.Errorf("the router gets % x", f[:34])
	}
	unknown := netip.AddrFrom4([4]byte{10, 1, 0, 99})
	send(unknown)
	if ev := l.work(); len(ev) != 1 || ev[0].Kind != l3.Wanted || ev[0].Addr != unknown {
		t.Fatalf("control heard %+v", ev)
	}
	// The router answers, and has its packet.
	l.step()
	l.ports[red].Sent() // the question
	reply := make([]byte, 60)
	wire.Ethernet(reply).Put(gw[:], mac(9), wire.TypeARP)
	wire.ARP(reply[14:]).Put(wire.ARPReply, mac(9), wire.AddrFrom(unknown).Uint32(), gw[:], wire.AddrFrom(subnet(red)[0].Addr()).Uint32())
	b.inject("leaf1", red, reply, pkt.Offload{})
	l.work()
	b.now++
	l.step()
	if f := b.onlySent(l.node, red).Frame; !bytes.Equal(f[:6], mac(9)) || wire.IPv4(f[14:]).TTL() != 64 {
		t.Errorf("the router gets % x", f[:34])
	}
	b.noDrops()
}

// TestSpeakerIsLocal: a frame of a VTEP is not heard, whatever it says.
func TestSpeakerIsLocal(t *testing.T) {
	b := newBed(t, option{})
	leaves := newRoutedBed(b, option{}, false)
	speakerAt(leaves)
	head, o := toSpeaker(1, make([]byte, 100), 40000, 179)
	f := pkt.Frame{Head: head, Len: len(head), Offload: o}
	if r := wire.Parse(&f); r != counter.None {
		t.Fatal(r)
	}
	irb := leaves[1].irb[red]
	if f.InAC = 1; irb.Speaker(&f) == nil {
		t.Error("by a circuit it is not heard")
	}
	if f.VTEP = 2; irb.Speaker(&f) != nil {
		t.Error("by a VTEP it is heard")
	}
	if f.InAC, f.VTEP = 0, 0; irb.Speaker(&f) != nil {
		t.Error("by nothing it is heard")
	}
}
