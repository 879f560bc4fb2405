package wire_test

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
)

// ext6 is an IPv6 frame whose extension headers are the given bytes, the first
// of type first, followed by rest, with the payload length set.
func ext6(t testing.TB, first byte, ext, rest []byte) []byte {
	b := udp6Frame(t, 0)[:14+40]
	b[14+6] = first
	b = append(b, ext...)
	b = append(b, rest...)
	binary.BigEndian.PutUint16(b[14+4:], uint16(len(b)-54))
	return b
}

func TestParse(t *testing.T) {
	udpHdr := []byte{0x10, 0x00, 0x00, 0x35, 0x00, 0x08, 0x00, 0x00}
	tcp4, tcp6, udp4, udp6 := tcp4Frame(t, 100), tcp6Frame(t, 100), udp4Frame(t, 0), udp6Frame(t, 1)
	arp := build(t, eth(layers.EthernetTypeARP), &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
		Operation: layers.ARPRequest, SourceHwAddress: macA, SourceProtAddress: ip4A,
		DstHwAddress: make([]byte, 6), DstProtAddress: ip4B,
	})
	mod := func(b []byte, at int, v ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], v)
		return b
	}
	opts4 := func() []byte {
		ip := ip4(layers.IPProtocolUDP)
		ip.Options = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}
		return build(t, eth(layers.EthernetTypeIPv4), ip, udp(t, ip))
	}()
	hbh := []byte{17, 0, 1, 4, 0, 0, 0, 0}
	fragFirst := []byte{17, 0, 0, 1, 0, 0, 0, 9}
	fragLater := []byte{17, 0, 0, 8, 0, 0, 0, 9}

	for _, tt := range []struct {
		name    string
		b       []byte
		typ     uint16
		l3, l4  uint16
		proto   uint8
		tooSoon bool
	}{
		{name: "empty", tooSoon: true},
		{name: "13 bytes", b: tcp4[:13], tooSoon: true},
		{name: "header only", b: tcp4[:14], typ: wire.TypeIPv4},
		{name: "tcp4", b: tcp4, typ: wire.TypeIPv4, l3: 14, l4: 34, proto: 6},
		{name: "tcp6", b: tcp6, typ: wire.TypeIPv6, l3: 14, l4: 54, proto: 6},
		{name: "udp4", b: udp4, typ: wire.TypeIPv4, l3: 14, l4: 34, proto: 17},
		{name: "udp6", b: udp6, typ: wire.TypeIPv6, l3: 14, l4: 54, proto: 17},
		{name: "padded", b: append(bytes.Clone(udp4), make([]byte, 18)...), typ: wire.TypeIPv4, l3: 14, l4: 34, proto: 17},
		{name: "one tag", b: insert(tcp4, 12, 0x81, 0, 0, 5), typ: wire.TypeIPv4, l3: 18, l4: 38, proto: 6},
		{name: "two tags", b: insert(tcp4, 12, 0x88, 0xa8, 0, 6, 0x81, 0, 0, 5), typ: wire.TypeIPv4, l3: 22, l4: 42, proto: 6},
		{name: "tag cut off", b: insert(tcp4, 12, 0x81, 0, 0, 5)[:17], tooSoon: true},
		{name: "nine tags", b: insert(tcp4, 12, bytes.Repeat([]byte{0x81, 0, 0, 5}, 9)...), typ: wire.TypeVLAN},
		{name: "arp", b: arp, typ: wire.TypeARP, l3: 14},
		{name: "arp cut off", b: arp[:41], typ: wire.TypeARP},
		{name: "LLC", b: mod(tcp4, 12, 0, 60), typ: 60},
		{name: "version 5", b: mod(tcp4, 14, 0x55), typ: wire.TypeIPv4},
		{name: "IHL 4", b: mod(tcp4, 14, 0x44), typ: wire.TypeIPv4},
		{name: "IHL beyond head", b: mod(udp4, 14, 0x4f), typ: wire.TypeIPv4},
		{name: "total length too long", b: mod(tcp4, 16, 0x10), typ: wire.TypeIPv4},
		{name: "total length too short", b: mod(tcp4, 16, 0, 19), typ: wire.TypeIPv4},
		{name: "total length cuts tcp", b: mod(tcp4, 16, 0, 39), typ: wire.TypeIPv4, l3: 14, proto: 6},
		{name: "tcp data offset 4", b: mod(tcp4, 34+12, 0x40), typ: wire.TypeIPv4, l3: 14, proto: 6},
		{name: "tcp options beyond head", b: mod(tcp4, 34+12, 0xf0)[:14+20+20], typ: wire.TypeIPv4},
		{name: "udp length 7", b: mod(udp4, 34+4, 0, 7), typ: wire.TypeIPv4, l3: 14, proto: 17},
		{name: "ip options", b: opts4, typ: wire.TypeIPv4, l3: 14, l4: 38, proto: 17},
		{name: "first fragment", b: mod(udp4, 20, 0x20, 0), typ: wire.TypeIPv4, l3: 14, l4: 34, proto: 17},
		{name: "later fragment", b: mod(udp4, 20, 0x20, 1), typ: wire.TypeIPv4, l3: 14},
		{name: "gre", b: mod(udp4, 23, 47), typ: wire.TypeIPv4, l3: 14, l4: 34, proto: 47},
		{name: "version 4 in ipv6", b: mod(tcp6, 14, 0x40), typ: wire.TypeIPv6},
		{name: "payload length too long", b: mod(tcp6, 18, 1), typ: wire.TypeIPv6},
		{name: "hop-by-hop", b: ext6(t, 0, hbh, udpHdr), typ: wire.TypeIPv6, l3: 14, l4: 62, proto: 17},
		{name: "hop-by-hop too long", b: ext6(t, 0, []byte{17, 1, 1, 4, 0, 0, 0, 0}, nil), typ: wire.TypeIPv6, l3: 14},
		{name: "ext header cut off", b: ext6(t, 60, hbh[:7], nil), typ: wire.TypeIPv6, l3: 14},
		{name: "authentication", b: ext6(t, 51, []byte{17, 4, 15: 0, 23: 0}, udpHdr), typ: wire.TypeIPv6, l3: 14, l4: 78, proto: 17},
		{name: "first fragment 6", b: ext6(t, 44, fragFirst, udpHdr), typ: wire.TypeIPv6, l3: 14, l4: 62, proto: 17},
		{name: "later fragment 6", b: ext6(t, 44, fragLater, udpHdr), typ: wire.TypeIPv6, l3: 14},
		{name: "no next header", b: ext6(t, 59, nil, []byte{1, 2, 3, 4, 5}), typ: wire.TypeIPv6, l3: 14, proto: 59},
		{name: "endless ext headers", b: ext6(t, 60, bytes.Repeat([]byte{60, 0, 1, 4, 0, 0, 0, 0}, 20), nil), typ: wire.TypeIPv6, l3: 14},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := frame(tt.b)
			f.L3Off, f.L4Off, f.IPProto, f.Hash = 9, 9, 9, 9 // must all be overwritten
			before := bytes.Clone(tt.b)
			r := wire.Parse(f)
			if want := map[bool]counter.Reason{true: counter.FrameTooShort}[tt.tooSoon]; r != want {
				t.Errorf("reason: got %v, want %v", r, want)
			}
			if f.Parsed == tt.tooSoon || (f.Hash == 0) != tt.tooSoon {
				t.Errorf("parsed %v, hash %x", f.Parsed, f.Hash)
			}
			if f.EtherType != tt.typ || f.L3Off != tt.l3 || f.L4Off != tt.l4 || f.IPProto != tt.proto {
				t.Errorf("got type %04x l3 %d l4 %d proto %d, want %04x %d %d %d",
					f.EtherType, f.L3Off, f.L4Off, f.IPProto, tt.typ, tt.l3, tt.l4, tt.proto)
			}
			if !bytes.Equal(before, tt.b) {
				t.Error("Parse changed the bytes")
			}
		})
	}
}

func hashOf(t testing.TB, b []byte) uint32 {
	t.Helper()
	f := frame(b)
	if r := wire.Parse(f); r != counter.None {
		t.Fatalf("parse: %v", r)
	}
	return f.Hash
}

// TestHashStable: what varies inside a flow does not change the hash; what makes
// another flow does.
func TestHashStable(t *testing.T) {
	for _, b := range [][]byte{tcp4Frame(t, 10), tcp6Frame(t, 10)} {
		want := hashOf(t, b)
		l4 := 34
		if b[12] == 0x86 {
			l4 = 54
		}
		c := insert(b, 12, 0x81, 0, 0, 9) // a tag in the bytes
		if hashOf(t, c) != want {
			t.Error("a tag changed the hash")
		}
		c = bytes.Clone(b)
		c[0] ^= 1
		c[l4+4] ^= 0xff   // sequence
		c[l4+13] ^= 0xff  // flags
		c[len(c)-1] ^= 42 // payload
		if hashOf(t, c) != want {
			t.Error("MAC, sequence, flags or payload changed the hash")
		}
		for _, at := range []int{l4, l4 + 1, l4 + 2, l4 + 3, l4 - 1, l4 - 5} {
			c = bytes.Clone(b)
			c[at] ^= 1
			if hashOf(t, c) == want {
				t.Errorf("octet %d of the tuple does not count", at)
			}
		}
	}
}

// TestHashFragments: all fragments of a packet hash alike, IPv4 and IPv6, also
// when the first one has headers that the others do not show.
func TestHashFragments(t *testing.T) {
	first := udp4Frame(t, 16)
	first[20] = 0x20
	later := bytes.Clone(first)
	later[20], later[21], later[34] = 0, 2, 99
	if hashOf(t, first) != hashOf(t, later) {
		t.Error("IPv4 fragments differ")
	}
	dst := []byte{17, 0, 1, 4, 0, 0, 0, 0, 0x10, 0, 0, 0x35, 0, 8, 0, 0}
	first = ext6(t, 44, []byte{60, 0, 0, 1, 0, 0, 0, 9}, dst)
	later = ext6(t, 44, []byte{60, 0, 0, 16, 0, 0, 0, 9}, []byte{1, 2, 3, 4, 5, 6, 7, 8})
	if hashOf(t, first) != hashOf(t, later) {
		t.Error("IPv6 fragments differ")
	}
	// An 802.3 length is not part of the flow.
	a, b := make([]byte, 60), make([]byte, 70)
	a[13], b[13] = 40, 50
	if hashOf(t, a) != hashOf(t, b) {
		t.Error("802.3 frames of one MAC pair differ by length")
	}
}

// TestHashAvalanche flips every bit of the tuple: each flip must change about
// half of the hash bits, and the low 6 bits (a queue, a source port) must fill
// evenly over consecutive ports.
func TestHashAvalanche(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		name     string
		b        []byte
		from, to int // bytes of the tuple
	}{
		{"ipv4", tcp4Frame(t, 0), 26, 38},
		{"ipv6", tcp6Frame(t, 0), 22, 58},
		{"mac", make([]byte, 60), 0, 12},
	} {
		const rounds = 200
		worst, total, n := 32.0, 0.0, 0.0
		for bit := tt.from * 8; bit < tt.to*8; bit++ {
			flips := 0
			for range rounds {
				b := bytes.Clone(tt.b)
				for i := tt.from; i < tt.to; i++ {
					b[i] = byte(rnd.Uint32())
				}
				h := hashOf(t, b)
				b[bit/8] ^= 1 << (bit % 8)
				flips += bits.OnesCount32(h ^ hashOf(t, b))
			}
			mean := float64(flips) / rounds
			worst, total, n = min(worst, mean), total+mean, n+1
		}
		t.Logf("%s: mean flips %.2f of 32, worst bit %.2f", tt.name, total/n, worst)
		if worst < 14 || total/n < 15.5 || total/n > 16.5 {
			t.Errorf("%s: poor avalanche", tt.name)
		}
	}
	b := tcp4Frame(t, 0)
	var bin [64]int
	for port := range 6400 {
		binary.BigEndian.PutUint16(b[34:], uint16(port))
		bin[hashOf(t, b)%64]++
	}
	for i, n := range bin {
		if n < 50 || n > 160 { // 100 expected, sigma 10
			t.Errorf("bin %d holds %d of 6400 flows, about 100 expected", i, n)
		}
	}
}

func TestStripTags(t *testing.T) {
	plain := tcp4Frame(t, 30)
	s, c := []byte{0x88, 0xa8, 0x20, 6}, []byte{0x81, 0, 0, 5}
	sT, cT := pkt.Tag{TPID: 0x88a8, TCI: 0x2006}, pkt.Tag{TPID: 0x8100, TCI: 5}
	for _, tt := range []struct {
		name   string
		b      []byte
		have   []pkt.Tag // outermost first
		want   []pkt.Tag
		bytes  []byte
		reason counter.Reason
	}{
		{name: "none", b: plain, bytes: plain},
		{name: "one", b: insert(plain, 12, c...), want: []pkt.Tag{cT}, bytes: plain},
		{name: "two", b: insert(insert(plain, 12, c...), 12, s...), want: []pkt.Tag{sT, cT}, bytes: plain},
		{name: "inner to one taken by the device", b: insert(plain, 12, c...), have: []pkt.Tag{sT}, want: []pkt.Tag{sT, cT}, bytes: plain},
		{name: "third stays", b: insert(insert(insert(plain, 12, c...), 12, c...), 12, s...), want: []pkt.Tag{sT, cT}, bytes: insert(plain, 12, c...)},
		{name: "full", b: insert(plain, 12, c...), have: []pkt.Tag{sT, cT}, want: []pkt.Tag{sT, cT}, bytes: insert(plain, 12, c...)},
		{name: "short", b: plain[:10], bytes: plain[:10], reason: counter.FrameTooShort},
		{name: "cut off", b: insert(plain, 12, c...)[:17], bytes: insert(plain, 12, c...)[:17], reason: counter.FrameTooShort},
		{name: "second cut off", b: insert(insert(plain, 12, c...), 12, s...)[:20], bytes: insert(insert(plain, 12, c...), 12, s...)[:20], reason: counter.FrameTooShort},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := frame(bytes.Clone(tt.b))
			f.NumTags = uint8(copy(f.Tags[:], tt.have))
			wire.Parse(f)
			hash := f.Hash
			if r := wire.StripTags(f); r != tt.reason {
				t.Fatalf("reason: got %v, want %v", r, tt.reason)
			}
			if tt.reason != counter.None {
				tt.want = tt.have
			}
			if !bytes.Equal(f.Head, tt.bytes) || f.Len != len(tt.bytes) {
				t.Errorf("bytes: got %x (Len %d)\nwant %x", f.Head, f.Len, tt.bytes)
			}
			if got := f.Tags[:f.NumTags]; len(got) != len(tt.want) || (len(got) > 0 && got[0] != tt.want[0]) || (len(got) > 1 && got[1] != tt.want[1]) {
				t.Errorf("tags: got %v, want %v", got, tt.want)
			}
			l3, l4 := f.L3Off, f.L4Off
			if wire.Parse(f); f.L3Off != l3 || f.L4Off != l4 || f.Hash != hash {
				t.Errorf("offsets after the move: got %d %d, parsed anew %d %d", l3, l4, f.L3Off, f.L4Off)
			}
		})
	}
}

// TestStripTagsOffload: CsumStart counts from Head, so it moves too.
func TestStripTagsOffload(t *testing.T) {
	f := frame(insert(tcp4Frame(t, 30), 12, 0x81, 0, 0, 5))
	f.Offload = pkt.Offload{NeedsCsum: true, CsumStart: 38, CsumOff: 16}
	if r := wire.StripTags(f); r != counter.None || f.Offload.CsumStart != 34 {
		t.Errorf("got %v, CsumStart %d, want none, 34", r, f.Offload.CsumStart)
	}
	f = frame(insert(tcp4Frame(t, 30), 12, 0x81, 0, 0, 5))
	f.Offload = pkt.Offload{NeedsCsum: true, CsumStart: 17, CsumOff: 16}
	if r := wire.StripTags(f); r != counter.BadOffload || f.NumTags != 0 {
		t.Errorf("CsumStart inside the tag: got %v with %d tags", r, f.NumTags)
	}
}

// FuzzParse: no panic on any bytes, offsets inside Head, views at the offsets
// are safe to use, and stripping tags does not change what Parse says but for
// the offsets.
func FuzzParse(f *testing.F) {
	for _, b := range [][]byte{
		tcp4Frame(f, 3), tcp6Frame(f, 3), udp4Frame(f, 1), udp6Frame(f, 1),
		insert(tcp4Frame(f, 3), 12, 0x81, 0, 0, 5), ext6(f, 44, []byte{17, 0, 0, 8, 0, 0, 0, 9}, nil),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 65535 {
			return
		}
		fr := frame(bytes.Clone(b))
		r := wire.Parse(fr)
		if (r == counter.None) != fr.Parsed || (len(b) < 14) && fr.Parsed {
			t.Fatalf("reason %v, parsed %v", r, fr.Parsed)
		}
		if int(fr.L3Off) > len(b) || int(fr.L4Off) > len(b) {
			t.Fatalf("offsets %d %d beyond %d", fr.L3Off, fr.L4Off, len(b))
		}
		useViews(fr)
		want := *fr
		if sr := wire.StripTags(fr); (sr == counter.None) != (r == counter.None) {
			if sr != counter.None { // Strip stops at pkt.MaxTags, Parse later
				t.Fatalf("parse %v, strip %v", r, sr)
			}
		}
		if r == counter.None {
			l3, l4 := fr.L3Off, fr.L4Off
			if wire.Parse(fr); fr.L3Off != l3 && want.L3Off != 0 || fr.L4Off != l4 && want.L4Off != 0 {
				t.Fatalf("offsets moved wrongly: %d %d, now %d %d", l3, l4, fr.L3Off, fr.L4Off)
			}
			if want.L3Off != 0 && fr.Hash != want.Hash {
				t.Fatal("hash changed by stripping tags")
			}
			if len(fr.Head)+4*int(fr.NumTags) != len(b) {
				t.Fatal("bytes lost")
			}
		}
		var dst [wire.MaxTooBig]byte
		if n := wire.TooBig(dst[:], fr, 1280, wire.Addr{}); n != 0 {
			checkTooBig(t, fr, dst[:n], 1280)
		}
		wire.ClampMSS(fr, 1400)
	})
}

// useViews calls every getter that Parse's offsets say is safe.
func useViews(f *pkt.Frame) {
	if f.L3Off == 0 {
		return
	}
	b := f.Head[f.L3Off:]
	switch f.EtherType {
	case wire.TypeIPv4:
		h := wire.IPv4(b)
		h.HeaderSum()
		_ = h.Dst()
	case wire.TypeIPv6:
		h := wire.IPv6(b)
		h.Walk()
		_ = h.Pseudo(6, 20)
	case wire.TypeARP:
		_ = wire.ARP(b).TargetIP()
	}
	if f.L4Off == 0 {
		return
	}
	b = f.Head[f.L4Off:]
	switch f.IPProto {
	case wire.ProtoTCP:
		o := wire.TCP(b).Options()
		for n := 0; ; n++ {
			if _, _, ok := o.Next(); !ok {
				break
			}
			if n > 40 {
				panic("options do not end")
			}
		}
	case wire.ProtoUDP:
		_ = wire.UDP(b).Checksum()
	}
}

func TestNoAllocs(t *testing.T) {
	frames := []*pkt.Frame{
		frame(tcp4Frame(t, 1400)), frame(tcp6Frame(t, 1400)), frame(udp4Frame(t, 10)), frame(make([]byte, 60)),
		frame(ext6(t, 0, []byte{17, 0, 1, 4, 0, 0, 0, 0}, []byte{0, 1, 0, 2, 0, 8, 0, 0})),
	}
	tagged := insert(tcp4Frame(t, 10), 12, 0x81, 0, 0, 5)
	work := bytes.Clone(tagged)
	tf := frame(work)
	var o wire.Outer
	dst := make([]byte, wire.MaxTooBig)
	got := testing.AllocsPerRun(100, func() {
		for _, f := range frames {
			wire.Parse(f)
			wire.Sum(f.Head, 0)
			wire.ClampMSS(f, 1000)
			wire.TooBig(dst, f, 1280, wire.Addr{})
		}
		copy(work, tagged)
		tf.Reset(work)
		wire.StripTags(tf)
		o.Parse(frames[0].Head[14:])
		o.UDP(frames[0].Head[14:])
		o.Parse(frames[1].Head[14:])
		wire.DecTTL(frames[0].Head[14:])
	})
	if got != 0 {
		t.Errorf("%v allocations per run", got)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, tt := range []struct {
		name string
		b    []byte
	}{
		{"tcp4", tcp4Frame(b, 1448)}, {"tcp6", tcp6Frame(b, 1428)}, {"udp4", udp4Frame(b, 22)},
		{"tcp4-tagged", insert(tcp4Frame(b, 1448), 12, 0x81, 0, 0, 5)}, {"other", make([]byte, 60)},
	} {
		b.Run(tt.name, func(b *testing.B) {
			f := frame(tt.b)
			b.ReportAllocs()
			for b.Loop() {
				wire.Parse(f)
			}
		})
	}
}
