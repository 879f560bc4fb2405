package vxlan_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/vxlan"
)

// golden builds the packet that t is expected to make, with an implementation
// that is not ours.
func golden(t testing.TB, src, dst netip.Addr, port, id uint16, ttl, dscp uint8, csum bool, sport uint16, flow uint32, vni uint32, frame []byte) []byte {
	t.Helper()
	var ip gopacket.SerializableLayer
	udp := &layers.UDP{SrcPort: layers.UDPPort(sport), DstPort: layers.UDPPort(port)}
	if src.Is4() {
		l := &layers.IPv4{
			Version: 4, TOS: dscp << 2, Id: id, Flags: layers.IPv4DontFragment, TTL: ttl,
			Protocol: layers.IPProtocolUDP, SrcIP: net.IP(src.AsSlice()), DstIP: net.IP(dst.AsSlice()),
		}
		ip = l
		if err := udp.SetNetworkLayerForChecksum(l); err != nil {
			t.Fatal(err)
		}
	} else {
		l := &layers.IPv6{
			Version: 6, TrafficClass: dscp << 2, FlowLabel: flow & 0xfffff, HopLimit: ttl,
			NextHeader: layers.IPProtocolUDP, SrcIP: net.IP(src.AsSlice()), DstIP: net.IP(dst.AsSlice()),
		}
		ip = l
		if err := udp.SetNetworkLayerForChecksum(l); err != nil {
			t.Fatal(err)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		ip, udp, &layers.VXLAN{ValidIDFlag: true, VNI: vni}, gopacket.Payload(frame))
	if err != nil {
		t.Fatal(err)
	}
	b := buf.Bytes()
	if !csum {
		off := 40
		if src.Is4() {
			off = 20
		}
		binary.BigEndian.PutUint16(b[off+6:], 0)
	}
	return b
}

func template(t testing.TB, c vxlan.TemplateConfig) *vxlan.Template {
	t.Helper()
	tm, err := vxlan.NewTemplate(c)
	if err != nil {
		t.Fatal(err)
	}
	return tm
}

func encap(tm *vxlan.Template, frame []byte, flow uint32, id uint16) []byte {
	b := make([]byte, tm.Len()+len(frame))
	copy(b[tm.Len():], frame)
	tm.Encap(b, flow, id)
	return b
}

func randomFrame(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

var (
	src4 = netip.MustParseAddr("10.255.0.1")
	dst4 = netip.MustParseAddr("10.255.0.2")
	src6 = netip.MustParseAddr("fd00:255::1")
	dst6 = netip.MustParseAddr("fd00:255::2")
)

// TestEncap compares every mode with packets that gopacket built, and takes
// them apart again.
func TestEncap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		name     string
		src, dst netip.Addr
		mode     vxlan.Checksum
		want     bool // checksum present
	}{
		{"v4 auto", src4, dst4, vxlan.ChecksumAuto, false},
		{"v4 zero", src4, dst4, vxlan.ChecksumZero, false},
		{"v4 full", src4, dst4, vxlan.ChecksumFull, true},
		{"v6 auto", src6, dst6, vxlan.ChecksumAuto, true},
		{"v6 zero", src6, dst6, vxlan.ChecksumZero, false},
		{"v6 full", src6, dst6, vxlan.ChecksumFull, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, n := range []int{14, 15, 60, 61, 1390, 1391, 9000} {
				frame := randomFrame(rng, n)
				flow, id := rng.Uint32(), uint16(rng.Uint32())
				vni := rng.Uint32N(1<<24-1) + 1
				dscp := uint8(rng.Uint32N(64))
				tm := template(t, vxlan.TemplateConfig{
					Src: tt.src, Dst: tt.dst, VNI: table.VNI(vni), DSCP: dscp, TTL: 17, Port: 8472, Checksum: tt.mode,
				})
				got := encap(tm, frame, flow, id)
				want := golden(t, tt.src, tt.dst, 8472, id, 17, dscp, tt.want, vxlan.SourcePort(flow), flow, vni, frame)
				if !bytes.Equal(got, want) {
					t.Fatalf("frame of %d bytes:\n got %x\nwant %x", n, got, want)
				}
				r := vxlan.Receiver{Port: 8472, ZeroChecksum6: !tt.want}
				var p vxlan.Packet
				if reason := r.Decap(got, &p); reason != counter.None {
					t.Fatalf("Decap: %v", reason)
				}
				if p.Src != tt.src || p.Dst != tt.dst || p.VNI != table.VNI(vni) || p.SrcPort != vxlan.SourcePort(flow) {
					t.Errorf("Decap: %+v", p)
				}
				if !bytes.Equal(p.Frame, frame) || p.FrameOff != tm.Len() {
					t.Errorf("frame of %d bytes at %d came out as %d bytes", n, tm.Len(), len(p.Frame))
				}
			}
		})
	}
}

// TestDefaults pins the bytes of a packet made with nothing but addresses and a
// VNI: TTL 64, DSCP 0, DF, port 4789, no checksum over IPv4.
func TestDefaults(t *testing.T) {
	tm := template(t, vxlan.TemplateConfig{Src: src4, Dst: dst4, VNI: 10100})
	got := hex.EncodeToString(encap(tm, make([]byte, 14), 0, 0)[:36])
	want := "45000032" + "00004000" + "401124bb" + "0aff0001" + "0aff0002" + // 0x32 = 50
		"c00012b5" + "001e0000" + // 0x12b5 = 4789, 0x1e = 30
		"08000000" + "00277400" // 0x2774 = 10100
	if got != want {
		t.Errorf(" got %s\nwant %s", got, want)
	}
}

// TestChecksumNeverZero finds a frame whose UDP checksum computes to 0, which
// must go out as 0xffff.
func TestChecksumNeverZero(t *testing.T) {
	tm := template(t, vxlan.TemplateConfig{Src: src6, Dst: dst6, VNI: 1})
	frame := make([]byte, 16)
	b := encap(tm, frame, 0, 0)
	// Adding the checksum itself to the sum makes it 0xffff, its complement 0.
	copy(frame[14:], b[46:48])
	b = encap(tm, frame, 0, 0)
	if c := binary.BigEndian.Uint16(b[46:]); c != 0xffff {
		t.Fatalf("checksum %#04x, want 0xffff", c)
	}
	var p vxlan.Packet
	if r := (&vxlan.Receiver{Port: vxlan.Port}).Decap(b, &p); r != counter.None {
		t.Errorf("Decap: %v", r)
	}
}

func TestNewTemplateRefuses(t *testing.T) {
	ok := vxlan.TemplateConfig{Src: src4, Dst: dst4, VNI: 1}
	for name, change := range map[string]func(*vxlan.TemplateConfig){
		"VNI 0":          func(c *vxlan.TemplateConfig) { c.VNI = 0 },
		"VNI too great":  func(c *vxlan.TemplateConfig) { c.VNI = 1 << 24 },
		"no source":      func(c *vxlan.TemplateConfig) { c.Src = netip.Addr{} },
		"families":       func(c *vxlan.TemplateConfig) { c.Dst = dst6 },
		"mapped":         func(c *vxlan.TemplateConfig) { c.Src = netip.AddrFrom16(src4.As16()); c.Dst = c.Src },
		"multicast":      func(c *vxlan.TemplateConfig) { c.Dst = netip.MustParseAddr("239.0.0.1") },
		"unspecified":    func(c *vxlan.TemplateConfig) { c.Src = netip.IPv4Unspecified() },
		"zone":           func(c *vxlan.TemplateConfig) { c.Src = netip.MustParseAddr("fe80::1%eth0"); c.Dst = dst6 },
		"DSCP":           func(c *vxlan.TemplateConfig) { c.DSCP = 64 },
		"checksum mode":  func(c *vxlan.TemplateConfig) { c.Checksum = 3 },
		"no destination": func(c *vxlan.TemplateConfig) { c.Dst = netip.Addr{} },
	} {
		t.Run(name, func(t *testing.T) {
			c := ok
			change(&c)
			if _, err := vxlan.NewTemplate(c); err == nil {
				t.Errorf("NewTemplate(%+v) succeeded", c)
			}
		})
	}
}

// TestDecapRefuses breaks one thing at a time in a good packet.
func TestDecapRefuses(t *testing.T) {
	frame := randomFrame(rand.New(rand.NewPCG(3, 4)), 60)
	good4 := encap(template(t, vxlan.TemplateConfig{Src: src4, Dst: dst4, VNI: 7, Checksum: vxlan.ChecksumFull}), frame, 5, 6)
	good6 := encap(template(t, vxlan.TemplateConfig{Src: src6, Dst: dst6, VNI: 7}), frame, 5, 6)
	put := func(off int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[off:], v); return b }
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	// ip4 changes the IPv4 header and makes its checksum right again.
	ip4 := func(off int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte {
			copy(b[off:], v)
			b[10], b[11] = 0, 0
			var s uint32
			for i := 0; i < 20; i += 2 {
				s += uint32(binary.BigEndian.Uint16(b[i:]))
			}
			s = s>>16 + s&0xffff
			s = s>>16 + s&0xffff
			binary.BigEndian.PutUint16(b[10:], ^uint16(s))
			return b
		}
	}
	for _, tt := range []struct {
		name   string
		good   []byte
		change func([]byte) []byte
		rx     vxlan.Receiver
		want   counter.Reason
	}{
		{"v4 as it is", good4, cut(len(good4)), vxlan.Receiver{}, counter.None},
		{"v6 as it is", good6, cut(len(good6)), vxlan.Receiver{}, counter.None},
		{"padding behind v4", good4, func(b []byte) []byte { return append(b, 0, 0, 0) }, vxlan.Receiver{}, counter.None},
		{"padding behind v6", good6, func(b []byte) []byte { return append(b, 0, 0, 0) }, vxlan.Receiver{}, counter.None},
		{"empty", good4, cut(0), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"v4 cut", good4, cut(len(good4) - 1), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"v6 cut", good6, cut(len(good6) - 1), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"v6 header cut", good6, cut(39), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"version 5", good4, put(0, 0x55), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"IHL 4", good4, put(0, 0x44), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"total below header", good4, ip4(2, 0, 19), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"IPv4 checksum", good4, put(10, 1, 2), vxlan.Receiver{}, counter.VXLANBadChecksum},
		{"more fragments", good4, ip4(6, 0x20), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"fragment offset", good4, ip4(6, 0, 1), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"DF clear is no fragment", good4, ip4(6, 0), vxlan.Receiver{}, counter.None},
		{"TCP", good4, ip4(9, 6), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"v6 fragment header", good6, put(6, 44), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"v6 hop-by-hop", good6, put(6, 0), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"port", good4, put(22, 0x21, 0x18), vxlan.Receiver{}, counter.VXLANWrongPort},
		{"port configured otherwise", good4, cut(len(good4)), vxlan.Receiver{Port: 8472}, counter.VXLANWrongPort},
		{"UDP length short", good4, put(24, 0, 7), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"UDP length long", good4, put(24, 0xff, 0xff), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"no room for UDP", good4, ip4(2, 0, 27), vxlan.Receiver{}, counter.VXLANBadHeader},
		{"UDP checksum v4", good4, put(26, 1, 2), vxlan.Receiver{}, counter.VXLANBadChecksum},
		{"UDP checksum v6", good6, put(46, 1, 2), vxlan.Receiver{}, counter.VXLANBadChecksum},
		{"UDP checksum trusted", good6, put(46, 1, 2), vxlan.Receiver{TrustTunnel: true}, counter.None},
		{"payload byte", good4, put(60, 0xde, 0xad), vxlan.Receiver{}, counter.VXLANBadChecksum},
		{"zero v4", good4, put(26, 0, 0), vxlan.Receiver{}, counter.None},
		{"zero v6", good6, put(46, 0, 0), vxlan.Receiver{}, counter.VXLANBadChecksum},
		{"zero v6 allowed", good6, put(46, 0, 0), vxlan.Receiver{ZeroChecksum6: true}, counter.None},
		{"zero v6 is no matter of trust", good6, put(46, 0, 0), vxlan.Receiver{TrustTunnel: true}, counter.VXLANBadChecksum},
		{"I clear", good4, put(28, 0), vxlan.Receiver{TrustTunnel: true}, counter.VXLANBadHeader},
		{"GBP", good4, put(28, 0x88, 0, 0x12, 0x34), vxlan.Receiver{TrustTunnel: true}, counter.None},
		{"other reserved bits are ignored", good4, put(28, 0x4a, 0x5f), vxlan.Receiver{TrustTunnel: true}, counter.None},
		{"last reserved byte is ignored", good4, put(35, 0xff), vxlan.Receiver{TrustTunnel: true}, counter.None},
		{"GPE next protocol", good4, put(28, 0x0c), vxlan.Receiver{TrustTunnel: true}, counter.VXLANBadHeader},
		{"GPE version", good4, put(28, 0x18), vxlan.Receiver{TrustTunnel: true}, counter.VXLANBadHeader},
		{"GPE OAM", good4, put(28, 0x09), vxlan.Receiver{TrustTunnel: true}, counter.VXLANBadHeader},
		{"remote checksum", good4, put(28, 0x08, 0x20), vxlan.Receiver{TrustTunnel: true}, counter.VXLANBadHeader},
		{"frame of 13", good4, put(24, 0, 8+8+13), vxlan.Receiver{TrustTunnel: true}, counter.FrameTooShort},
		{"VXLAN cut", good4, put(24, 0, 8+7), vxlan.Receiver{TrustTunnel: true}, counter.VXLANBadHeader},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := tt.change(bytes.Clone(tt.good))
			if tt.rx.Port == 0 {
				tt.rx.Port = vxlan.Port
			}
			var p vxlan.Packet
			if got := tt.rx.Decap(b, &p); got != tt.want {
				t.Errorf("Decap = %v, want %v", got, tt.want)
			}
		})
	}
}

// TestDecapOptions: IPv4 options are skipped, not refused.
func TestDecapOptions(t *testing.T) {
	ip := &layers.IPv4{
		Version: 4, TTL: 1, Protocol: layers.IPProtocolUDP, SrcIP: net.IP{10, 0, 0, 1}, DstIP: net.IP{10, 0, 0, 2},
		Options: []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}},
	}
	udp := &layers.UDP{SrcPort: 50000, DstPort: vxlan.Port}
	_ = udp.SetNetworkLayerForChecksum(ip)
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		ip, udp, &layers.VXLAN{ValidIDFlag: true, VNI: 9}, gopacket.Payload(make([]byte, 64))); err != nil {
		t.Fatal(err)
	}
	var p vxlan.Packet
	r := vxlan.Receiver{Port: vxlan.Port}
	if reason := r.Decap(buf.Bytes(), &p); reason != counter.None || p.VNI != 9 || len(p.Frame) != 64 || p.FrameOff != 40 {
		t.Errorf("Decap = %v, %+v", reason, p)
	}
	if !r.Match(buf.Bytes()) {
		t.Error("Match says no")
	}
}

func TestMatch(t *testing.T) {
	good4 := encap(template(t, vxlan.TemplateConfig{Src: src4, Dst: dst4, VNI: 7}), make([]byte, 20), 5, 6)
	good6 := encap(template(t, vxlan.TemplateConfig{Src: src6, Dst: dst6, VNI: 7}), make([]byte, 20), 5, 6)
	r := vxlan.Receiver{Port: vxlan.Port}
	if !r.Match(good4) || !r.Match(good6) {
		t.Error("Match refuses VXLAN")
	}
	if (&vxlan.Receiver{Port: 1}).Match(good4) || r.Match(good4[:27]) || r.Match(good6[:47]) || r.Match(nil) {
		t.Error("Match takes what is not VXLAN")
	}
	good4[6] = 0x20
	if r.Match(good4) {
		t.Error("Match takes a fragment")
	}
	good4[6], good4[9] = 0, 1
	good6[6] = 58
	if r.Match(good4) || r.Match(good6) {
		t.Error("Match takes ICMP")
	}
}

func TestHeader(t *testing.T) {
	h := vxlan.Header(make([]byte, 8))
	for _, vni := range []table.VNI{1, 10100, table.MaxVNI} {
		h.Put(vni)
		if !h.Valid() || h.VNI() != vni {
			t.Errorf("VNI %d: Valid %v, VNI %d", vni, h.Valid(), h.VNI())
		}
	}
	if _, ok := h.Group(); ok {
		t.Error("a group without G")
	}
	h[0] |= 0x80
	h[3] = 0x2a
	if g, ok := h.Group(); !ok || g != 42 {
		t.Errorf("Group = %d, %v", g, ok)
	}
	if vxlan.Header(h[:7]).Valid() {
		t.Error("7 bytes are valid")
	}
}

// TestSourcePort: always in range, and every one of the hash's bits matters.
func TestSourcePort(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	seen := map[uint16]bool{}
	for range 200_000 {
		h := rng.Uint32()
		p := vxlan.SourcePort(h)
		if p < 49152 {
			t.Fatalf("SourcePort(%#x) = %d", h, p)
		}
		seen[p] = true
		bit := uint32(1) << rng.Uint32N(32)
		if vxlan.SourcePort(h^bit) == p {
			t.Fatalf("bit %#x of %#x does not matter", bit, h)
		}
	}
	if len(seen) < 16000 {
		t.Errorf("only %d ports of 16384 used", len(seen))
	}
}

func TestNoAllocs(t *testing.T) {
	tm := template(t, vxlan.TemplateConfig{Src: src6, Dst: dst6, VNI: 7})
	b := encap(tm, make([]byte, 200), 5, 6)
	r := &vxlan.Receiver{Port: vxlan.Port}
	var p vxlan.Packet
	if n := testing.AllocsPerRun(100, func() {
		tm.Encap(b, 9, 9)
		if r.Match(b) && r.Decap(b, &p) != counter.None {
			t.Fatal("refused")
		}
		_, _, _ = vxlan.DecapPayload(b[48:])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDecap: no panic; what is accepted lies inside the packet, and a template
// made from what was read gives a packet that reads the same.
func FuzzDecap(f *testing.F) {
	frame := make([]byte, 60)
	f.Add(encap(template(f, vxlan.TemplateConfig{Src: src4, Dst: dst4, VNI: 7, Checksum: vxlan.ChecksumFull}), frame, 5, 6))
	f.Add(encap(template(f, vxlan.TemplateConfig{Src: src4, Dst: dst4, VNI: 7}), frame, 5, 6))
	f.Add(encap(template(f, vxlan.TemplateConfig{Src: src6, Dst: dst6, VNI: 7}), frame, 5, 6))
	f.Add([]byte{0x45})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 65535 {
			return
		}
		r := &vxlan.Receiver{Port: vxlan.Port, ZeroChecksum6: true}
		var p vxlan.Packet
		if r.Decap(b, &p) != counter.None {
			return
		}
		if !r.Match(b) {
			t.Fatal("Decap takes what Match does not")
		}
		if len(p.Frame) < 14 || p.FrameOff+len(p.Frame) > len(b) || &b[p.FrameOff] != &p.Frame[0] {
			t.Fatalf("frame of %d at %d in %d", len(p.Frame), p.FrameOff, len(b))
		}
		tm, err := vxlan.NewTemplate(vxlan.TemplateConfig{Src: p.Src, Dst: p.Dst, VNI: p.VNI})
		if err != nil {
			return // addresses or a VNI that nobody would configure
		}
		var q vxlan.Packet
		if reason := r.Decap(encap(tm, p.Frame, 0, 0), &q); reason != counter.None {
			t.Fatalf("again: %v", reason)
		}
		if q.Src != p.Src || q.Dst != p.Dst || q.VNI != p.VNI || !bytes.Equal(q.Frame, p.Frame) {
			t.Fatalf("%+v came back as %+v", p, q)
		}
	})
}

func BenchmarkEncap(b *testing.B) {
	for _, mode := range []vxlan.Checksum{vxlan.ChecksumZero, vxlan.ChecksumFull} {
		for _, v := range []struct{ src, dst netip.Addr }{{src4, dst4}, {src6, dst6}} {
			b.Run(fmt.Sprintf("v6=%v/full=%v", v.src.Is6(), mode == vxlan.ChecksumFull), func(b *testing.B) {
				tm := template(b, vxlan.TemplateConfig{Src: v.src, Dst: v.dst, VNI: 7, Checksum: mode})
				p := encap(tm, make([]byte, 1450), 1, 1)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					tm.Encap(p, uint32(i), uint16(i))
				}
			})
		}
	}
}

// BenchmarkEncapByField is what Encap saves: the same headers put together field
// by field for every frame.
func BenchmarkEncapByField(b *testing.B) {
	p := encap(template(b, vxlan.TemplateConfig{Src: src4, Dst: dst4, VNI: 7}), make([]byte, 1450), 1, 1)
	s, d := src4.As4(), dst4.As4()
	f := wire.IPv4Fields{DF: true, TTL: vxlan.DefaultTTL, Proto: wire.ProtoUDP, Src: binary.BigEndian.Uint32(s[:]), Dst: binary.BigEndian.Uint32(d[:])}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f.TotalLen, f.ID = len(p), uint16(i)
		wire.IPv4(p).Put(&f)
		u := p[wire.IPv4Len:]
		binary.BigEndian.PutUint16(u, vxlan.SourcePort(uint32(i)))
		binary.BigEndian.PutUint16(u[2:], vxlan.Port)
		wire.UDP(u).SetLen(len(u))
		wire.UDP(u).SetChecksum(0)
		vxlan.Header(u[wire.UDPLen:]).Put(7)
	}
}

func BenchmarkDecap(b *testing.B) {
	for _, mode := range []vxlan.Checksum{vxlan.ChecksumZero, vxlan.ChecksumFull} {
		for _, v := range []struct{ src, dst netip.Addr }{{src4, dst4}, {src6, dst6}} {
			b.Run(fmt.Sprintf("v6=%v/full=%v", v.src.Is6(), mode == vxlan.ChecksumFull), func(b *testing.B) {
				tm := template(b, vxlan.TemplateConfig{Src: v.src, Dst: v.dst, VNI: 7, Checksum: mode})
				pk := encap(tm, make([]byte, 1450), 1, 1)
				r := &vxlan.Receiver{Port: vxlan.Port, ZeroChecksum6: true}
				var p vxlan.Packet
				b.ReportAllocs()
				for b.Loop() {
					if r.Decap(pk, &p) != counter.None {
						b.Fatal("refused")
					}
				}
			})
		}
	}
}
