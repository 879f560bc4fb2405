package wire_test

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
)

// checkTooBig decodes an answer with gopacket and holds it against the frame
// that caused it.
func checkTooBig(t *testing.T, f *pkt.Frame, b []byte, mtu int) {
	t.Helper()
	if !bytes.Equal(b[0:6], f.Head[6:12]) || !bytes.Equal(b[6:12], f.Head[0:6]) {
		t.Fatal("MACs are not swapped")
	}
	r := frame(bytes.Clone(b))
	if wire.Parse(r); r.L3Off != f.L3Off || r.L4Off == 0 {
		t.Fatalf("answer does not parse: %x", b)
	}
	orig := f.Head[f.L3Off:]
	l3, msg := b[r.L3Off:], b[r.L4Off:]
	var quote []byte
	switch f.EtherType {
	case wire.TypeIPv4:
		h := wire.IPv4(l3)
		if h.TotalLen() != len(l3) || len(l3) > 576 || wire.IPv4(l3).HeaderSum() != 0xffff {
			t.Fatalf("IPv4 header is wrong: %x", l3[:20])
		}
		if naiveSum(msg) != 0xffff || msg[0] != 3 || msg[1] != 4 {
			t.Fatalf("ICMP header is wrong: %x", msg[:8])
		}
		if got := int(binary.BigEndian.Uint16(msg[6:])); got != mtu {
			t.Fatalf("MTU: got %d, want %d", got, mtu)
		}
		if h.Dst() != wire.IPv4(orig).Src() {
			t.Fatal("not addressed to the sender")
		}
		quote = orig[:min(wire.IPv4(orig).TotalLen(), len(orig))]
	case wire.TypeIPv6:
		h := wire.IPv6(l3)
		if h.PayloadLen() != len(l3)-40 || len(l3) > 1280 {
			t.Fatalf("IPv6 header is wrong: %x", l3[:40])
		}
		if wire.Fold(wire.Sum(msg, h.Pseudo(58, len(msg)))) != 0xffff || msg[0] != 2 || msg[1] != 0 {
			t.Fatalf("ICMPv6 header is wrong: %x", msg[:8])
		}
		if got := int(binary.BigEndian.Uint32(msg[4:])); got != mtu {
			t.Fatalf("MTU: got %d, want %d", got, mtu)
		}
		if !bytes.Equal(h.Dst(), wire.IPv6(orig).Src()) {
			t.Fatal("not addressed to the sender")
		}
		quote = orig[:min(40+wire.IPv6(orig).PayloadLen(), len(orig))]
	default:
		t.Fatalf("an answer to type %04x", f.EtherType)
	}
	if !bytes.HasPrefix(quote, msg[8:]) || len(msg) == 8 {
		t.Fatal("what is quoted is not what was sent")
	}
}

func TestTooBig(t *testing.T) {
	set := func(b []byte, at int, v ...byte) []byte {
		copy(b[at:], v)
		return b
	}
	icmp4 := func(typ byte) []byte { return set(set(udp4Frame(t, 100), 23, 1), 34, typ) }
	icmp6 := func(typ byte) []byte { return set(set(udp6Frame(t, 1300), 20, 58), 54, typ) }
	for _, tt := range []struct {
		name string
		b    []byte
		mtu  int
		from string
		n    int // length of the answer, 0 for none
	}{
		{name: "tcp4", b: tcp4Frame(t, 1460), mtu: 1358, n: 14 + 576},
		{name: "short", b: udp4Frame(t, 100), mtu: 100, n: 14 + 20 + 8 + 128},
		{name: "tcp6", b: tcp6Frame(t, 1440), mtu: 1358, n: 14 + 1280},
		{name: "tagged", b: insert(tcp4Frame(t, 1460), 12, 0x81, 0, 0, 5), mtu: 1358, n: 18 + 576},
		{name: "gateway", b: tcp4Frame(t, 1460), mtu: 1358, from: "10.1.2.1", n: 14 + 576},
		{name: "gateway 6", b: tcp6Frame(t, 1440), mtu: 1358, from: "2001:db8::1", n: 14 + 1280},
		{name: "may be fragmented", b: set(tcp4Frame(t, 1460), 20, 0), mtu: 1358, n: 14 + 576},
		{name: "first fragment", b: set(tcp4Frame(t, 1460), 20, 0x20), mtu: 1358, n: 14 + 576},
		{name: "echo", b: icmp4(8), mtu: 100, n: 14 + 20 + 8 + 128},
		{name: "echo 6", b: icmp6(128), mtu: 1300, n: 14 + 1280},

		{name: "later fragment", b: set(tcp4Frame(t, 1460), 20, 0x40, 1), mtu: 1358},
		{name: "icmp error", b: icmp4(3), mtu: 100},
		{name: "icmp redirect", b: icmp4(5), mtu: 100},
		{name: "icmpv6 error", b: icmp6(2), mtu: 1300},
		{name: "icmpv6 redirect", b: icmp6(137), mtu: 1300},
		{name: "to a group MAC", b: set(tcp4Frame(t, 1460), 0, 1), mtu: 1358},
		{name: "from a group MAC", b: set(tcp4Frame(t, 1460), 6, 1), mtu: 1358},
		{name: "to multicast", b: set(tcp4Frame(t, 1460), 30, 224), mtu: 1358},
		{name: "from 0", b: set(tcp4Frame(t, 1460), 26, 0, 0, 0, 0), mtu: 1358},
		{name: "from loopback", b: set(tcp4Frame(t, 1460), 26, 127), mtu: 1358},
		{name: "from broadcast", b: set(tcp4Frame(t, 1460), 26, 255, 255, 255, 255), mtu: 1358},
		{name: "to multicast 6", b: set(tcp6Frame(t, 1440), 38, 0xff), mtu: 1358},
		{name: "from :: 6", b: set(tcp6Frame(t, 1440), 22, make([]byte, 16)...), mtu: 1358},
		{name: "mtu below 1280", b: tcp6Frame(t, 1440), mtu: 1279},
		{name: "mtu below 68", b: tcp4Frame(t, 1440), mtu: 67},
		{name: "arp", b: set(make([]byte, 60), 12, 8, 6), mtu: 1358},
		{name: "empty", mtu: 1358},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := frame(tt.b)
			wire.Parse(f)
			var from wire.Addr
			if tt.from != "" {
				from = wire.AddrFrom(netip.MustParseAddr(tt.from))
			}
			var dst [wire.MaxTooBig]byte
			n := wire.TooBig(dst[:], f, tt.mtu, from)
			if n != tt.n {
				t.Fatalf("got %d bytes, want %d", n, tt.n)
			}
			if n == 0 {
				return
			}
			checkTooBig(t, f, dst[:n], tt.mtu)
			p := gopacket.NewPacket(dst[:n], layers.LayerTypeEthernet, gopacket.Default)
			if e := p.ErrorLayer(); e != nil {
				t.Errorf("gopacket: %v", e.Error())
			}
			if tt.from != "" && p.NetworkLayer().NetworkFlow().Src().String() != tt.from {
				t.Errorf("source: got %v, want %v", p.NetworkLayer().NetworkFlow().Src(), tt.from)
			}
			if wire.TooBig(dst[:n-1], f, tt.mtu, from) != 0 {
				t.Error("wrote into a buffer that is too short")
			}
		})
	}
}

// TestClampMSS: the option is lowered, never raised, at even and odd offsets,
// and the checksum that gopacket made stays right.
func TestClampMSS(t *testing.T) {
	mss := layers.TCPOption{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{0x05, 0xb4}}
	nop := layers.TCPOption{OptionType: layers.TCPOptionKindNop}
	for _, tt := range []struct {
		name    string
		v6      bool
		opts    []layers.TCPOption
		syn     bool
		mtu     int
		partial bool
		want    uint16 // 0: unchanged
	}{
		{name: "v4", opts: []layers.TCPOption{mss}, syn: true, mtu: 1358, want: 1318},
		{name: "v6", v6: true, opts: []layers.TCPOption{mss}, syn: true, mtu: 1358, want: 1298},
		{name: "odd", opts: []layers.TCPOption{nop, mss, nop}, syn: true, mtu: 1358, want: 1318},
		{name: "partial", opts: []layers.TCPOption{mss}, syn: true, mtu: 1358, partial: true, want: 1318},
		{name: "small enough", opts: []layers.TCPOption{mss}, syn: true, mtu: 1500},
		{name: "no option", opts: []layers.TCPOption{nop}, syn: true, mtu: 1358},
		{name: "no SYN", opts: []layers.TCPOption{mss}, mtu: 1358},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b []byte
			at := 34
			if tt.v6 {
				ip := ip6(layers.IPProtocolTCP)
				l := tcp(t, ip, tt.opts...)
				l.SYN = tt.syn
				b, at = build(t, eth(layers.EthernetTypeIPv6), ip, l), 54
			} else {
				ip := ip4(layers.IPProtocolTCP)
				l := tcp(t, ip, tt.opts...)
				l.SYN = tt.syn
				b = build(t, eth(layers.EthernetTypeIPv4), ip, l)
			}
			f := frame(bytes.Clone(b))
			wire.Parse(f)
			f.Offload.NeedsCsum = tt.partial
			if got := wire.ClampMSS(f, tt.mtu); got != (tt.want != 0) {
				t.Fatalf("got %v", got)
			}
			if tt.want == 0 {
				if !bytes.Equal(f.Head, b) {
					t.Error("changed the frame")
				}
				return
			}
			o := wire.TCP(f.Head[at:]).Options()
			_, data, _ := o.Next()
			if got := binary.BigEndian.Uint16(data); got != tt.want {
				t.Errorf("MSS: got %d, want %d", got, tt.want)
			}
			// gopacket pads to 60 bytes: the segment ends before.
			l4 := f.Head[at : at+wire.TCP(f.Head[at:]).HeaderLen()]
			pseudo := wire.IPv4(f.Head[14:]).Pseudo(6, len(l4))
			if tt.v6 {
				pseudo = wire.IPv6(f.Head[14:]).Pseudo(6, len(l4))
			}
			if ok := wire.Fold(wire.Sum(l4, pseudo)) == 0xffff; ok == tt.partial {
				t.Errorf("checksum right: %v, partial: %v", ok, tt.partial)
			}
		})
	}
}
