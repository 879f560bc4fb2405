package gso_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/gso"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
)

// spec describes a TCP segment or UDP datagram. Its bytes are made by gopacket,
// not by us; the zero value of a field is a plain default.
type spec struct {
	v6, udp  bool
	flow     byte // last octet of the source address, and the source port
	id       uint16
	noDF     bool
	tos, ttl uint8
	seq, ack uint32
	flags    uint8 // of TCP, ACK is added
	window   uint16
	opts     []layers.TCPOption
	ipOpts   bool // IPv4 options, or IPv6 hop-by-hop and destination options
	tag      uint16
	frag     bool // more fragments
	payload  []byte
}

// timestamps is the option block of a Linux segment.
func timestamps(val uint32) []layers.TCPOption {
	data := binary.BigEndian.AppendUint32(nil, val)
	data = binary.BigEndian.AppendUint32(data, 77)
	return []layers.TCPOption{
		{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop},
		{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: data},
	}
}

// build serialises s, with lengths and checksums, without Ethernet padding.
func (s *spec) build(t testing.TB) []byte {
	t.Helper()
	var ls []gopacket.SerializableLayer
	add := func(l gopacket.SerializableLayer) { ls = append(ls, l) }
	e := &layers.Ethernet{
		DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 0xb0}, SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 0xa0},
		EthernetType: layers.EthernetTypeIPv4,
	}
	typ := layers.EthernetTypeIPv4
	if s.v6 {
		typ = layers.EthernetTypeIPv6
	}
	e.EthernetType = typ
	add(e)
	if s.tag != 0 {
		e.EthernetType = layers.EthernetTypeDot1Q
		add(&layers.Dot1Q{VLANIdentifier: s.tag, Type: typ})
	}
	proto := layers.IPProtocolTCP
	if s.udp {
		proto = layers.IPProtocolUDP
	}
	ttl := s.ttl
	if ttl == 0 {
		ttl = 64
	}
	var over gopacket.NetworkLayer
	if s.v6 {
		ip := &layers.IPv6{
			Version: 6, TrafficClass: s.tos, FlowLabel: 0x12345, HopLimit: ttl, NextHeader: proto,
			SrcIP: net.ParseIP("2001:db8::1"), DstIP: net.ParseIP("2001:db8::2"),
		}
		ip.SrcIP[15] = s.flow + 1
		add(ip)
		over = ip
		if s.ipOpts {
			ip.NextHeader = layers.IPProtocolIPv6HopByHop
			hbh := &layers.IPv6HopByHop{}
			hbh.NextHeader = layers.IPProtocolIPv6Destination
			hbh.Options = []*layers.IPv6HopByHopOption{{OptionType: 1, OptionData: []byte{0, 0, 0, 0}}}
			dst := &layers.IPv6Destination{}
			dst.NextHeader = proto
			dst.Options = []*layers.IPv6DestinationOption{{OptionType: 1, OptionData: make([]byte, 12)}}
			add(hbh)
			add(dst)
		}
	} else {
		ip := &layers.IPv4{
			Version: 4, IHL: 5, TOS: s.tos, TTL: ttl, Id: s.id, Protocol: proto, Flags: layers.IPv4DontFragment,
			SrcIP: net.IP{10, 0, 0, s.flow + 1}, DstIP: net.IP{10, 0, 1, 2},
		}
		if s.noDF {
			ip.Flags = 0
		}
		if s.frag {
			ip.Flags |= layers.IPv4MoreFragments
		}
		if s.ipOpts {
			ip.Options = []layers.IPv4Option{{OptionType: 1}, {OptionType: 1}, {OptionType: 1}, {OptionType: 0}}
		}
		add(ip)
		over = ip
	}
	port := 40000 + uint16(s.flow)
	if s.udp {
		u := &layers.UDP{SrcPort: layers.UDPPort(port), DstPort: 443}
		if err := u.SetNetworkLayerForChecksum(over); err != nil {
			t.Fatal(err)
		}
		add(u)
	} else {
		l := &layers.TCP{
			SrcPort: layers.TCPPort(port), DstPort: 5201, Seq: s.seq, Ack: s.ack, Window: s.window, Options: s.opts,
			FIN: s.flags&wire.FlagFIN != 0, SYN: s.flags&wire.FlagSYN != 0, RST: s.flags&wire.FlagRST != 0,
			PSH: s.flags&wire.FlagPSH != 0, ACK: true, URG: s.flags&wire.FlagURG != 0,
			ECE: s.flags&wire.FlagECE != 0, CWR: s.flags&wire.FlagCWR != 0,
		}
		if err := l.SetNetworkLayerForChecksum(over); err != nil {
			t.Fatal(err)
		}
		add(l)
	}
	add(gopacket.Payload(s.payload))
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		t.Fatalf("build: %v", err)
	}
	b := bytes.Clone(buf.Bytes())
	f := frame(b)
	if r := wire.Parse(f); r != 0 || f.L3Off == 0 {
		t.Fatalf("built what does not parse: %v", r)
	}
	return b[:int(f.L3Off)+gso.SegmentIPLen(f)]
}

func frame(b []byte) *pkt.Frame {
	f := &pkt.Frame{}
	f.Reset(b)
	return f
}

// super builds s as the super-frame that a kernel would hand over: one packet
// with all the payload, the pseudo-header sum in the checksum field.
func (s *spec) super(t testing.TB, size int) *pkt.Frame {
	t.Helper()
	f := frame(s.build(t))
	wire.Parse(f)
	f.Offload = pkt.Offload{GSOSize: uint16(size), GSOType: pkt.GSOTCPv4, NeedsCsum: true, CsumStart: f.L4Off, CsumOff: 16}
	switch {
	case s.udp:
		f.Offload.GSOType, f.Offload.CsumOff = pkt.GSOUDP, 6
	case s.v6:
		f.Offload.GSOType = pkt.GSOTCPv6
	}
	setPartial(f)
	return f
}

// setPartial writes the folded pseudo-header sum into f's checksum field, made
// word by word here, not by package wire.
func setPartial(f *pkt.Frame) {
	l3 := f.Head[f.L3Off:]
	addrs := l3[12:20]
	if f.EtherType == wire.TypeIPv6 {
		addrs = l3[8:40]
	}
	sum := uint32(f.IPProto) + uint32(f.Len-int(f.L4Off))
	for i := 0; i < len(addrs); i += 2 {
		sum += uint32(addrs[i])<<8 | uint32(addrs[i+1])
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(f.Head[f.Offload.CsumStart+f.Offload.CsumOff:], uint16(sum))
}

// segments builds what the super-frame s must become, one gopacket packet per
// segment, by Linux's rules.
func (s *spec) segments(t testing.TB, size int) [][]byte {
	t.Helper()
	var out [][]byte
	for rest, first := s.payload, true; len(rest) > 0 || first; first = false {
		n := min(size, len(rest))
		c := *s
		c.payload, rest = rest[:n], rest[n:]
		if !first {
			c.flags &^= wire.FlagCWR
		}
		if len(rest) > 0 {
			c.flags &^= wire.FlagFIN | wire.FlagPSH
		}
		c.seq = s.seq + uint32(len(s.payload)-len(rest)-n)
		c.id = s.id + uint16(len(out))
		out = append(out, c.build(t))
	}
	return out
}

// flatten returns f as one contiguous frame with the same metadata.
func flatten(f *pkt.Frame) *pkt.Frame {
	g := *f
	g.Head, g.Frags = bytes.Clone(f.Head), nil
	for _, p := range f.Frags {
		g.Head = append(g.Head, p...)
	}
	return &g
}

// split cuts a copy of f and returns copies of its segments.
func split(t testing.TB, f *pkt.Frame) [][]byte {
	t.Helper()
	var s gso.Splitter
	n, r := s.Init(flatten(f))
	if r != 0 {
		t.Fatalf("split: %v", r)
	}
	first, last := s.SegmentLen()
	var out [][]byte
	for b := s.Next(); b != nil; b = s.Next() {
		want := first
		if len(out) == n-1 {
			want = last
		}
		if len(b) != want {
			t.Fatalf("segment %d of %d: %d bytes, announced %d", len(out), n, len(b), want)
		}
		out = append(out, bytes.Clone(b))
	}
	if len(out) != n {
		t.Fatalf("%d segments, announced %d", len(out), n)
	}
	return out
}

// pattern returns n bytes that differ from place to place.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + 1)
	}
	return b
}
