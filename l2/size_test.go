package l2_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l2"
)

// build serialises layers behind an Ethernet header with vids' tags and parses
// the result.
func build(t testing.TB, vids []uint16, typ layers.EthernetType, ls ...gopacket.SerializableLayer) *pkt.Frame {
	t.Helper()
	eth := &layers.Ethernet{
		DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, EthernetType: typ,
	}
	all := []gopacket.SerializableLayer{eth}
	if len(vids) > 0 {
		eth.EthernetType = layers.EthernetTypeDot1Q
	}
	for i, v := range vids {
		tag := &layers.Dot1Q{VLANIdentifier: v, Type: layers.EthernetTypeDot1Q}
		if i == len(vids)-1 {
			tag.Type = typ
		}
		all = append(all, tag)
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, append(all, ls...)...); err != nil {
		t.Fatal(err)
	}
	f := &pkt.Frame{}
	f.Reset(bytes.Clone(buf.Bytes()))
	if r := wire.Parse(f); r != counter.None {
		t.Fatal(r)
	}
	return f
}

func ip4(df bool, proto layers.IPProtocol) *layers.IPv4 {
	h := &layers.IPv4{
		Version: 4, TTL: 64, Id: 7, Protocol: proto, SrcIP: net.IP{10, 0, 0, 1}, DstIP: net.IP{10, 0, 0, 2},
	}
	if df {
		h.Flags = layers.IPv4DontFragment
	}
	return h
}

func ip6(proto layers.IPProtocol) *layers.IPv6 {
	return &layers.IPv6{
		Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: net.ParseIP("fd00::1"), DstIP: net.ParseIP("fd00::2"),
	}
}

func tcp4(t testing.TB, vids []uint16, payload int, opts ...layers.TCPOption) *pkt.Frame {
	h := ip4(true, layers.IPProtocolTCP)
	l := &layers.TCP{SrcPort: 1, DstPort: 2, ACK: true, SYN: len(opts) > 0, Options: opts}
	_ = l.SetNetworkLayerForChecksum(h)
	return build(t, vids, layers.EthernetTypeIPv4, h, l, gopacket.Payload(make([]byte, payload)))
}

func tcp6(t testing.TB, vids []uint16, payload int, opts ...layers.TCPOption) *pkt.Frame {
	h := ip6(layers.IPProtocolTCP)
	l := &layers.TCP{SrcPort: 1, DstPort: 2, ACK: true, SYN: len(opts) > 0, Options: opts}
	_ = l.SetNetworkLayerForChecksum(h)
	return build(t, vids, layers.EthernetTypeIPv6, h, l, gopacket.Payload(make([]byte, payload)))
}

func udp4(t testing.TB, df bool, payload int) *pkt.Frame {
	h := ip4(df, layers.IPProtocolUDP)
	l := &layers.UDP{SrcPort: 1, DstPort: 2}
	_ = l.SetNetworkLayerForChecksum(h)
	return build(t, nil, layers.EthernetTypeIPv4, h, l, gopacket.Payload(make([]byte, payload)))
}

func super(f *pkt.Frame, typ uint8, size int) *pkt.Frame {
	f.Offload.GSOType, f.Offload.GSOSize = typ, uint16(size)
	return f
}

// verify lets gopacket verify every checksum of b.
func verify(t *testing.T, b []byte) {
	t.Helper()
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	for _, l := range p.Layers() {
		if c, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			if err := c.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err, wrong := p.VerifyChecksums(); err != nil || len(wrong) != 0 {
		t.Errorf("checksums: %v, %+v", err, wrong)
	}
}

func TestOversize(t *testing.T) {
	device := func(f *pkt.Frame) *pkt.Frame {
		f.PushTag(pkt.Tag{TPID: c8100, TCI: 5})
		return f
	}
	for _, tt := range []struct {
		name string
		f    *pkt.Frame
		want bool
	}{
		{"fits", tcp4(t, nil, 1400-40), false},
		{"one too many", tcp4(t, nil, 1400-39), true},
		{"tag inside, fits", tcp4(t, []uint16{5}, 1400-44), false},
		{"tag inside, one too many", tcp4(t, []uint16{5}, 1400-43), true},
		{"tag beside, fits", device(tcp4(t, nil, 1400-44)), false},
		{"tag beside, one too many", device(tcp4(t, nil, 1400-43)), true},
		{"super-frame fits", super(tcp4(t, nil, 30000), pkt.GSOTCPv4, 1360), false},
		{"super-frame, one too many", super(tcp4(t, nil, 30000), pkt.GSOTCPv4, 1361), true},
		{"super-frame v6 fits", super(tcp6(t, nil, 30000), pkt.GSOTCPv6, 1340), false},
		{"super-frame v6, one too many", super(tcp6(t, nil, 30000), pkt.GSOTCPv6, 1341), true},
		{"super-frame UDP fits", super(udp4(t, true, 30000), pkt.GSOUDP, 1372), false},
		{"super-frame UDP, one too many", super(udp4(t, true, 30000), pkt.GSOUDP, 1373), true},
		{"super-frame of one short segment", super(tcp4(t, nil, 100), pkt.GSOTCPv4, 9000), false},
		{"super-frame not understood", super(&pkt.Frame{Head: make([]byte, 3000), Len: 3000}, pkt.GSOTCPv4, 100), true},
	} {
		if got := l2.Oversize(tt.f, 1400); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestTooBigAnswer reads the answers with gopacket, which verifies checksums.
func TestTooBigAnswer(t *testing.T) {
	const mtu = 1358
	for _, tt := range []struct {
		name string
		f    *pkt.Frame
		v6   bool
		vids int
		want int // MTU told; 0: no answer
	}{
		{"TCP", tcp4(t, nil, 1460), false, 0, mtu},
		{"TCP over IPv6", tcp6(t, nil, 1440), true, 0, mtu},
		{"tagged", tcp4(t, []uint16{5}, 1460), false, 1, mtu - 4},
		{"tagged twice, IPv6", tcp6(t, []uint16{5, 6}, 1440), true, 2, mtu - 8},
		{"super-frame", super(tcp4(t, nil, 30000), pkt.GSOTCPv4, 1460), false, 0, mtu},
		{"UDP with DF", udp4(t, true, 1472), false, 0, mtu},
		{"UDP without DF", udp4(t, false, 1472), false, 0, mtu},
		{"ICMP error", build(t, nil, layers.EthernetTypeIPv4, ip4(true, layers.IPProtocolICMPv4),
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(3, 1)}, gopacket.Payload(make([]byte, 1470))), false, 0, 0},
		{"ping", build(t, nil, layers.EthernetTypeIPv4, ip4(true, layers.IPProtocolICMPv4),
			&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0)}, gopacket.Payload(make([]byte, 1470))), false, 0, mtu},
		{"not IP", build(t, nil, 0x88b5, gopacket.Payload(make([]byte, 1500))), false, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dst := make([]byte, l2.MaxTooBig)
			before := bytes.Clone(tt.f.Head)
			n, r := l2.NewTooBig(100).Answer(dst, tt.f, mtu, 0)
			if !bytes.Equal(tt.f.Head, before) {
				t.Error("the frame was changed")
			}
			if tt.want == 0 {
				if n != 0 || r != counter.OversizedNoICMP {
					t.Errorf("Answer = %d, %v", n, r)
				}
				return
			}
			if r != counter.OversizedICMPSent {
				t.Fatalf("Answer = %d, %v", n, r)
			}
			p := gopacket.NewPacket(dst[:n], layers.LayerTypeEthernet, gopacket.Default)
			if err := p.ErrorLayer(); err != nil {
				t.Fatal(err.Error())
			}
			eth := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
			if !bytes.Equal(eth.DstMAC, before[6:12]) || !bytes.Equal(eth.SrcMAC, before[:6]) {
				t.Errorf("%v -> %v", eth.SrcMAC, eth.DstMAC)
			}
			got, quote := 0, []byte(nil)
			if tt.v6 {
				m := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
				got = int(binary.BigEndian.Uint32(m.LayerPayload()))
				quote = m.LayerPayload()[4:]
				if ip := p.NetworkLayer().(*layers.IPv6); !ip.SrcIP.Equal(net.ParseIP("fd00::2")) || !ip.DstIP.Equal(net.ParseIP("fd00::1")) {
					t.Errorf("%v -> %v", ip.SrcIP, ip.DstIP)
				}
			} else {
				m := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
				got, quote = int(m.Seq), m.LayerPayload()
				if ip := p.NetworkLayer().(*layers.IPv4); !ip.SrcIP.Equal(net.IP{10, 0, 0, 2}) || !ip.DstIP.Equal(net.IP{10, 0, 0, 1}) {
					t.Errorf("%v -> %v", ip.SrcIP, ip.DstIP)
				}
			}
			if got != tt.want {
				t.Errorf("MTU %d, want %d", got, tt.want)
			}
			if !bytes.HasPrefix(before[tt.f.L3Off:], quote) || len(quote) < 548 {
				t.Errorf("%d bytes quoted, or not the packet's", len(quote))
			}
			verify(t, dst[:n])
			tags := 0
			for _, l := range p.Layers() {
				if l.LayerType() == layers.LayerTypeDot1Q {
					tags++
				}
			}
			if tags != tt.vids {
				t.Errorf("%d tags, want %d", tags, tt.vids)
			}
		})
	}
}

func TestTooBigRate(t *testing.T) {
	tb, dst, f := l2.NewTooBig(10), make([]byte, l2.MaxTooBig), tcp4(t, nil, 1460)
	sent := 0
	for i := range 1000 {
		if _, r := tb.Answer(dst, f, 1358, int64(i)*1e7); r == counter.OversizedICMPSent { // 10 s
			sent++
		}
	}
	if sent < 99 || sent > 102 {
		t.Errorf("%d answers in 10 s, want 100", sent)
	}
	// What cannot be answered takes nothing from the rate.
	tb = l2.NewTooBig(10)
	for range 100 {
		tb.Answer(dst, build(t, nil, 0x88b5, gopacket.Payload(make([]byte, 1500))), 1358, 0)
	}
	if _, r := tb.Answer(dst, f, 1358, 0); r != counter.OversizedICMPSent {
		t.Error("unanswerable frames used the rate up")
	}
}

func mssOption(mss int) layers.TCPOption {
	return layers.TCPOption{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{byte(mss >> 8), byte(mss)}}
}

func TestClampMSS(t *testing.T) {
	nop := layers.TCPOption{OptionType: layers.TCPOptionKindNop, OptionLength: 1}
	partial := func(f *pkt.Frame) *pkt.Frame {
		f.Offload = pkt.Offload{NeedsCsum: true, CsumStart: f.L4Off, CsumOff: 16}
		binary.BigEndian.PutUint16(f.Head[f.L4Off+16:], 0x1234)
		return f
	}
	for _, tt := range []struct {
		name    string
		f       *pkt.Frame
		want    int
		changed bool
	}{
		{"v4", tcp4(t, nil, 0, mssOption(1460)), 1318, true},
		{"v6", tcp6(t, nil, 0, mssOption(1440)), 1298, true},
		{"v4 tagged", tcp4(t, []uint16{5}, 0, mssOption(1460)), 1314, true},
		{"v6 tagged twice", tcp6(t, []uint16{5, 6}, 0, mssOption(1440)), 1290, true},
		{"odd offset", tcp4(t, nil, 0, nop, mssOption(1460)), 1318, true},
		{"small enough", tcp4(t, nil, 0, mssOption(1318)), 1318, false},
		{"partial checksum", partial(tcp4(t, nil, 0, mssOption(1460))), 1318, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := l2.ClampMSS(tt.f, 1358); got != tt.changed {
				t.Errorf("ClampMSS = %v", got)
			}
			p := gopacket.NewPacket(tt.f.Head, layers.LayerTypeEthernet, gopacket.Default)
			l := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
			mss := 0
			for _, o := range l.Options {
				if o.OptionType == layers.TCPOptionKindMSS {
					mss = int(binary.BigEndian.Uint16(o.OptionData))
				}
			}
			if mss != tt.want {
				t.Errorf("MSS %d, want %d", mss, tt.want)
			}
			if tt.f.Offload.NeedsCsum {
				if l.Checksum != 0x1234 {
					t.Errorf("the partial checksum became %#04x", l.Checksum)
				}
				return
			}
			verify(t, tt.f.Head)
		})
	}
	for name, f := range map[string]*pkt.Frame{
		"not a SYN": tcp4(t, nil, 100), "UDP": udp4(t, true, 100), "nothing": {Head: make([]byte, 60), Len: 60},
	} {
		before := bytes.Clone(f.Head)
		if l2.ClampMSS(f, 1358) || !bytes.Equal(f.Head, before) {
			t.Errorf("%s was changed", name)
		}
	}
}

func TestSizeNoAllocs(t *testing.T) {
	tb, dst := l2.NewTooBig(1e6), make([]byte, l2.MaxTooBig)
	big, syn := tcp6(t, nil, 1440), tcp4(t, nil, 0, mssOption(1460))
	now := int64(0)
	if n := testing.AllocsPerRun(100, func() {
		now += second
		if _, r := tb.Answer(dst, big, 1358, now); r != counter.OversizedICMPSent {
			t.Fatal(r)
		}
		if !l2.Oversize(big, 1358) {
			t.Fatal("fits")
		}
		l2.ClampMSS(syn, 1358)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func fuzzSeeds(f *testing.F) {
	for _, fr := range []*pkt.Frame{
		tcp4(f, nil, 100, mssOption(1460)), tcp6(f, []uint16{5}, 100, mssOption(1440)), udp4(f, true, 700),
	} {
		f.Add(fr.Head)
	}
}

// FuzzTooBig: no panic; an answer is a frame back to the sender with checksums
// that verify, and is never answered itself.
func FuzzTooBig(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 3000 {
			return
		}
		fr := &pkt.Frame{}
		fr.Reset(b)
		if wire.Parse(fr) != counter.None {
			return
		}
		tb, dst := l2.NewTooBig(0), make([]byte, l2.MaxTooBig)
		n, r := tb.Answer(dst, fr, 1358, 0)
		if n == 0 {
			if r != counter.OversizedNoICMP {
				t.Fatal(r)
			}
			return
		}
		if !bytes.Equal(dst[:6], b[6:12]) || !bytes.Equal(dst[6:12], b[:6]) {
			t.Fatal("not back to the sender")
		}
		a := &pkt.Frame{}
		a.Reset(dst[:n])
		if wire.Parse(a) != counter.None || a.L4Off == 0 {
			t.Fatalf("an answer that does not parse: %x", dst[:n])
		}
		var sum uint32
		if a.EtherType == wire.TypeIPv6 {
			sum = wire.IPv6(a.Head[a.L3Off:]).Pseudo(wire.ProtoICMPv6, n-int(a.L4Off))
		} else if wire.IPv4(a.Head[a.L3Off:]).HeaderSum() != 0xffff {
			t.Fatal("IPv4 header checksum")
		}
		if wire.Fold(wire.Sum(a.Head[a.L4Off:], sum)) != 0xffff {
			t.Fatal("ICMP checksum")
		}
		if n, _ := tb.Answer(make([]byte, l2.MaxTooBig), a, 1358, 0); n != 0 {
			t.Fatal("an error was answered")
		}
	})
}

// FuzzClampMSS: no panic; the segment's checksum stays as right or wrong as it
// was, and a second clamp changes nothing.
func FuzzClampMSS(f *testing.F) {
	fuzzSeeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 3000 {
			return
		}
		fr := &pkt.Frame{}
		fr.Reset(bytes.Clone(b))
		if wire.Parse(fr) != counter.None {
			return
		}
		sum := func() uint16 {
			if fr.L4Off == 0 {
				return 0
			}
			return wire.Fold(wire.Sum(fr.Head[fr.L4Off:], 0)) % 0xffff
		}
		before := sum()
		mtu := 600 + rand.IntN(900)
		changed := l2.ClampMSS(fr, mtu)
		if changed == bytes.Equal(fr.Head, b) || sum() != before {
			t.Fatalf("changed %v, sum %#04x, was %#04x", changed, sum(), before)
		}
		if changed && fr.Head[fr.L4Off+12] == b[fr.L4Off+12] && l2.ClampMSS(fr, mtu) {
			// Only the first MSS option is clamped; a segment with two is
			// odd, and a second clamp must not find the first too large.
			t.Fatal("clamped twice")
		}
	})
}
