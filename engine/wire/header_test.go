package wire_test

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/wire"
)

// unhex reads hex with spaces at field borders.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPut writes headers and compares them with golden bytes, and reads each
// field back.
func TestPut(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		put        func(b []byte)
	}{
		{"ethernet", "02000000000b 02000000000a 0800", func(b []byte) {
			wire.Ethernet(b).Put(macB, macA, wire.TypeIPv4)
		}},
		{"tag", "88a8 a064", func(b []byte) { wire.Tag(b).Put(wire.TypeSVLAN, 0xa064) }},
		{"arp", "0001 0800 06 04 0002 02000000000a 0a010203 02000000000b 0a010204", func(b []byte) {
			wire.ARP(b).Put(wire.ARPReply, macA, 0x0a010203, macB, 0x0a010204)
		}},
		// Checksum by hand: 4500+0073+0000+4000+4011+0000+c0a8+0001+c0a8+00c7
		// = 2479c, folded 479e, inverted b861.
		{"ipv4", "45 00 0073 0000 4000 40 11 b861 c0a80001 c0a800c7", func(b []byte) {
			wire.IPv4(b).Put(&wire.IPv4Fields{TotalLen: 0x73, DF: true, TTL: 64, Proto: 17, Src: 0xc0a80001, Dst: 0xc0a800c7})
		}},
		{"ipv6", "6 2e 12345 0024 11 40 20010db8 00000000 00000000 0000000a 20010db8 00000000 00000000 0000000b", func(b []byte) {
			wire.IPv6(b).Put(&wire.IPv6Fields{
				TrafficClass: 0x2e, FlowLabel: 0x12345, PayloadLen: 0x24, NextHeader: 17, HopLimit: 64,
				Src: wire.AddrFrom16(ip6A), Dst: wire.AddrFrom16(ip6B),
			})
		}},
		{"udp", "c001 12b5 0032 abcd", func(b []byte) { wire.UDP(b).Put(0xc001, 4789, 0x32, 0xabcd) }},
	} {
		want := unhex(t, tt.want)
		got := bytes.Repeat([]byte{0xee}, len(want))
		tt.put(got)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", tt.name, got, want)
		}
	}
}

// TestGetters compares what the views say with what gopacket decodes.
func TestGetters(t *testing.T) {
	b := tcp4Frame(t, 9)
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	l3, l4 := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4), p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	h, s := wire.IPv4(b[14:]), wire.TCP(b[34:])
	if !h.Valid() || h.TotalLen() != int(l3.Length) || h.ID() != l3.Id || h.TTL() != l3.TTL || !h.DF() ||
		h.IsFragment() || h.Checksum() != l3.Checksum || h.Proto() != 6 || h.TOS() != l3.TOS || h.HeaderSum() != 0xffff {
		t.Errorf("IPv4: %+v", l3)
	}
	if !s.Valid() || s.SrcPort() != uint16(l4.SrcPort) || s.DstPort() != uint16(l4.DstPort) || s.Seq() != l4.Seq ||
		s.Ack() != l4.Ack || s.Flags() != wire.FlagACK|wire.FlagPSH || s.Window() != l4.Window || s.Checksum() != l4.Checksum {
		t.Errorf("TCP: %+v", l4)
	}
	b = udp6Frame(t, 9)
	p = gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	l6, u := p.Layer(layers.LayerTypeIPv6).(*layers.IPv6), p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	h6, d := wire.IPv6(b[14:]), wire.UDP(b[54:])
	if !h6.Valid() || h6.PayloadLen() != int(l6.Length) || h6.NextHeader() != 17 || h6.HopLimit() != l6.HopLimit ||
		h6.TrafficClass() != l6.TrafficClass || h6.FlowLabel() != l6.FlowLabel {
		t.Errorf("IPv6: %+v", l6)
	}
	if !d.Valid() || d.SrcPort() != uint16(u.SrcPort) || d.Len() != int(u.Length) || d.Checksum() != u.Checksum {
		t.Errorf("UDP: %+v", u)
	}
}

func TestTCPOptions(t *testing.T) {
	for _, tt := range []struct {
		name, opts string
		want       string // kind:data pairs
	}{
		{"none", "", ""},
		{"mss and timestamps", "020405b4 0101 080a 11223344 55667788", "2:05b4 8:1122334455667788 "},
		{"end stops", "020405b4 00 080a 0000", "2:05b4 "},
		{"length 0", "02000000", ""},
		{"length 1", "02010000", ""},
		{"beyond", "01010204", ""},
		{"kind without length", "01010102", ""},
		{"empty data", "04020000", "4: "},
	} {
		o := unhex(t, tt.opts)
		for len(o)%4 != 0 {
			o = append(o, 0)
		}
		b := append(make([]byte, 20), o...)
		b[12] = byte(len(b) / 4 << 4)
		got := ""
		for w := wire.TCP(b).Options(); ; {
			kind, data, ok := w.Next()
			if !ok {
				break
			}
			got += string('0'+rune(kind)) + ":" + hex.EncodeToString(data) + " "
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestAddr(t *testing.T) {
	for _, s := range []string{"10.1.2.3", "2001:db8::1", "fe80::1", "255.255.255.255"} {
		n := netip.MustParseAddr(s)
		a := wire.AddrFrom(n)
		if a.Netip() != n || a.Is4() != n.Is4() || a.String() != s {
			t.Errorf("%s: got %v, Is4 %v", s, a, a.Is4())
		}
		var b [16]byte
		a.Put16(b[:])
		if wire.AddrFrom16(b[:]) != a || b != n.As16() {
			t.Errorf("%s: 16 octets %x", s, b)
		}
	}
	if wire.AddrFrom4(0x0a010203) != wire.AddrFrom(netip.MustParseAddr("10.1.2.3")) {
		t.Error("AddrFrom4")
	}
	if (wire.Addr{}).Netip().IsValid() || wire.AddrFrom(netip.Addr{}) != (wire.Addr{}) {
		t.Error("the zero Addr is not none")
	}
}

func TestOuter(t *testing.T) {
	v4, v6 := udp4Frame(t, 50)[14:], udp6Frame(t, 50)[14:]
	bad := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	var o wire.Outer
	for _, tt := range []struct {
		name    string
		b       []byte
		ok, udp bool
	}{
		{"v4", v4, true, true},
		{"v4 padded", append(bytes.Clone(v4), 0, 0, 0), true, true},
		{"v6", v6, true, true},
		{"v6 padded", append(bytes.Clone(v6), 0, 0, 0), true, true},
		{"empty", nil, false, false},
		{"v4 cut", v4[:len(v4)-1], false, false},
		{"v4 header cut", v4[:19], false, false},
		{"v6 cut", v6[:len(v6)-1], false, false},
		{"v6 header cut", v6[:39], false, false},
		{"checksum", bad(v4, 8, 63), false, false},
		{"version", bad(v4, 0, 0x55), false, false},
		{"not udp", bad(v6, 6, 6), true, false},
		{"udp length short", bad(v6, 44, 0, 7), true, false},
		{"udp length long", bad(v6, 44, 0, 59), true, false},
		{"fragment header", bad(v6, 6, 44), true, false},
	} {
		if got := o.Parse(tt.b); got != tt.ok {
			t.Errorf("%s: got %v", tt.name, got)
		} else if got {
			u, ok := o.UDP(tt.b)
			if ok != tt.udp || ok && (len(u) != 58 || u.DstPort() != 53) {
				t.Errorf("%s: UDP %v %x", tt.name, ok, u)
			}
			if ok && wire.Fold(wire.Sum(u, o.Pseudo(tt.b, len(u)))) != 0xffff {
				t.Errorf("%s: UDP checksum", tt.name)
			}
		}
	}
	o.Parse(v4)
	if o.Src.String() != "10.1.2.3" || o.Dst.String() != "10.1.2.4" || o.HdrLen != 20 || o.TTL != 64 || o.V6 {
		t.Errorf("v4: %+v", o)
	}
	o.Parse(v6)
	if o.Src.String() != "2001:db8::a" || o.Dst.String() != "2001:db8::b" || o.HdrLen != 40 || !o.V6 {
		t.Errorf("v6: %+v", o)
	}
}

// TestDecTTL takes every TTL down to 1 and checks the header each time.
func TestDecTTL(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		b := make([]byte, 20)
		wire.IPv4(b).Put(&wire.IPv4Fields{
			TOS: byte(rnd.Uint32()), TotalLen: 20, ID: uint16(rnd.Uint32()), TTL: 255, Proto: byte(rnd.Uint32()),
			Src: rnd.Uint32(), Dst: rnd.Uint32(),
		})
		n := 0
		for wire.DecTTL(b) {
			n++
			if wire.IPv4(b).HeaderSum() != 0xffff {
				t.Fatalf("checksum wrong at TTL %d: %x", b[8], b)
			}
		}
		if n != 254 || b[8] != 1 {
			t.Fatalf("%d steps, TTL %d", n, b[8])
		}
	}
	b := udp6Frame(t, 0)[14:]
	b[7] = 2
	if !wire.DecTTL(b) || b[7] != 1 || wire.DecTTL(b) || b[7] != 1 {
		t.Error("hop limit")
	}
}

// TestPseudo compares the pseudo-header sums with the sum of pseudo-headers
// written out.
func TestPseudo(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		b := make([]byte, 40)
		for i := range b[:32] {
			b[i] = byte(rnd.Uint32())
		}
		n := rnd.IntN(65536)
		b[34], b[35], b[39] = byte(n>>8), byte(n), 17
		if got, want := wire.Fold(wire.PseudoIPv6(b[:32], 17, n)), naiveSum(b); got != want {
			t.Fatalf("IPv6: got %04x, want %04x", got, want)
		}
		v4 := append(bytes.Clone(b[:8]), 0, 17, byte(n>>8), byte(n))
		src, dst := uint32(b[0])<<24|uint32(b[1])<<16|uint32(b[2])<<8|uint32(b[3]), uint32(b[4])<<24|uint32(b[5])<<16|uint32(b[6])<<8|uint32(b[7])
		if got, want := wire.Fold(wire.PseudoIPv4(src, dst, 17, n)), naiveSum(v4); got != want {
			t.Fatalf("IPv4: got %04x, want %04x", got, want)
		}
	}
}

// FuzzOuter: no panic; what is accepted lies inside the bytes.
func FuzzOuter(f *testing.F) {
	f.Add(udp4Frame(f, 5)[14:])
	f.Add(udp6Frame(f, 5)[14:])
	f.Fuzz(func(t *testing.T, b []byte) {
		var o wire.Outer
		if !o.Parse(b) {
			return
		}
		if o.HdrLen > o.TotalLen || o.TotalLen > len(b) {
			t.Fatalf("%+v in %d bytes", o, len(b))
		}
		o.UDP(b)
		o.Pseudo(b, 8)
		ttl := o.TTL
		if ok := wire.DecTTL(b); ok != (ttl > 1) {
			t.Fatalf("TTL %d: %v", ttl, ok)
		}
		if !o.Parse(b) {
			t.Fatal("not valid after DecTTL")
		}
	})
}

func BenchmarkOuterParse(b *testing.B) {
	v4, v6 := udp4Frame(b, 1450)[14:], udp6Frame(b, 1450)[14:]
	var o wire.Outer
	b.Run("v4", func(b *testing.B) {
		for b.Loop() {
			o.Parse(v4)
			o.UDP(v4)
		}
	})
	b.Run("v6", func(b *testing.B) {
		for b.Loop() {
			o.Parse(v6)
			o.UDP(v6)
		}
	})
}
