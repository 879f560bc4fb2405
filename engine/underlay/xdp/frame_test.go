package xdp

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var (
	ourMAC, farMAC = [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2}
	hop4           = Hop{Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"), MAC: farMAC}
	hop6           = Hop{Src: netip.MustParseAddr("2001:db8::1"), Dst: netip.MustParseAddr("2001:db8::2"), MAC: farMAC}
)

// frameOf puts together the frame that a Tx would send.
func frameOf(h Hop, src, dst uint16, data []byte) []byte {
	var b [head6]byte
	n := newRoute(&h, ourMAC).put(&b, src, dst, data)
	return append(b[:n:n], data...)
}

// built is the same by gopacket.
func built(t *testing.T, h Hop, src, dst uint16, label uint32, data []byte) []byte {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: ourMAC[:], DstMAC: farMAC[:], EthernetType: layers.EthernetTypeIPv4}
	udp := &layers.UDP{SrcPort: layers.UDPPort(src), DstPort: layers.UDPPort(dst)}
	var ip gopacket.SerializableLayer
	if h.Dst.Is4() {
		v4 := &layers.IPv4{Version: 4, TTL: 64, Flags: layers.IPv4DontFragment, Protocol: layers.IPProtocolUDP, SrcIP: h.Src.AsSlice(), DstIP: h.Dst.AsSlice()}
		udp.SetNetworkLayerForChecksum(v4)
		ip = v4
	} else {
		eth.EthernetType = layers.EthernetTypeIPv6
		v6 := &layers.IPv6{Version: 6, HopLimit: 64, FlowLabel: label, NextHeader: layers.IPProtocolUDP, SrcIP: h.Src.AsSlice(), DstIP: h.Dst.AsSlice()}
		udp.SetNetworkLayerForChecksum(v6)
		ip = v6
	}
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, udp, gopacket.Payload(data)); err != nil {
		t.Fatal(err)
	}
	// Without gopacket's padding to 60 bytes.
	return b.Bytes()[:len(b.Bytes())-max(0, 60-newRoute(&h, ourMAC).n-len(data))]
}

// TestPut compares our headers with gopacket's, and reads them back.
func TestPut(t *testing.T) {
	for _, h := range []Hop{hop4, hop6} {
		for _, n := range []int{0, 1, 2, 31, 32, 33, 1000, 1471, 1472, 3790} {
			t.Run(fmt.Sprint(h.Dst, n), func(t *testing.T) {
				data := bytes.Repeat([]byte{0xfe, 1, 0x80}, n)[:n]
				frame := frameOf(h, 49152, 51820, data)
				label := uint32(0)
				if h.Dst.Is6() {
					label = uint32(frame[15]&0xf)<<16 | uint32(frame[16])<<8 | uint32(frame[17])
				}
				if want := built(t, h, 49152, 51820, label, data); !bytes.Equal(frame, want) {
					t.Fatalf("frame\n%x, want\n%x", frame[:min(len(frame), 80)], want[:min(len(want), 80)])
				}
				// Padding behind a short frame is no part of it.
				src, got, ok := parse(append(frame, make([]byte, 10)...))
				if !ok || src != netip.AddrPortFrom(h.Src, 49152) || !bytes.Equal(got, data) {
					t.Errorf("parsed %v, %d bytes, %v", src, len(got), ok)
				}
			})
		}
	}
	a, b := frameOf(hop6, 49152, 51820, nil), frameOf(hop6, 49153, 51820, nil)
	if bytes.Equal(a[14:18], b[14:18]) {
		t.Error("two source ports have one flow label")
	}
	// A checksum that comes out as 0 is sent as all ones (RFC 768).
	for _, h := range []Hop{hop4, hop6} {
		for i := range 1 << 16 {
			f := frameOf(h, 49152, 51820, []byte{byte(i >> 8), byte(i)})
			if n := len(f) - 4; f[n] == 0 && f[n+1] == 0 {
				t.Fatalf("checksum 0 for payload %04x to %v", i, h.Dst)
			}
		}
	}
}

// TestParseRefuses: what is cut off, changed or of another kind is no datagram.
func TestParseRefuses(t *testing.T) {
	data := make([]byte, 64)
	for _, tt := range []struct {
		name string
		hop  Hop
		edit func(b []byte) []byte
	}{
		{"IPv4 cut off", hop4, func(b []byte) []byte { return b[:len(b)-1] }},
		{"IPv6 cut off", hop6, func(b []byte) []byte { return b[:len(b)-1] }},
		{"Ethernet only", hop4, func(b []byte) []byte { return b[:14] }},
		{"less", hop4, func(b []byte) []byte { return b[:13] }},
		{"ARP", hop4, func(b []byte) []byte { b[12], b[13] = 8, 6; return b }},
		{"IPv4 as IPv6", hop4, func(b []byte) []byte { b[12], b[13] = 0x86, 0xdd; return b }},
		{"header checksum", hop4, func(b []byte) []byte { b[24]++; return b }},
		{"TTL changed", hop4, func(b []byte) []byte { b[22]--; return b }},
		{"TCP", hop4, func(b []byte) []byte { b[23] = 6; b[24], b[25] = 0, 0; return fixed(b) }},
		{"fragment", hop4, func(b []byte) []byte { b[20] = 0x20; return fixed(b) }},
		{"later fragment", hop4, func(b []byte) []byte { b[21] = 1; return fixed(b) }},
		{"IPv6 extension header", hop6, func(b []byte) []byte { b[20] = 0; return b }},
		{"IPv6 without a checksum", hop6, func(b []byte) []byte { b[60], b[61] = 0, 0; return b }},
		{"mapped sender", hop6, func(b []byte) []byte { copy(b[22:], make([]byte, 10)); b[32], b[33] = 0xff, 0xff; return b }},
		{"UDP length too large", hop4, func(b []byte) []byte { b[39]++; return b }},
		{"UDP length too small", hop6, func(b []byte) []byte { b[58], b[59] = 0, 7; return b }},
		{"from loopback", hop4, func(b []byte) []byte { b[26] = 127; return fixed(b) }},
		{"from 0.0.0.0", hop4, func(b []byte) []byte { copy(b[26:], make([]byte, 4)); return fixed(b) }},
		{"from multicast", hop4, func(b []byte) []byte { b[26] = 224; return fixed(b) }},
		{"from broadcast", hop4, func(b []byte) []byte { copy(b[26:], "\xff\xff\xff\xff"); return fixed(b) }},
		{"from ::1", hop6, func(b []byte) []byte { copy(b[22:], make([]byte, 15)); return b }},
		{"from ::", hop6, func(b []byte) []byte { copy(b[22:], make([]byte, 16)); return b }},
		{"from IPv6 multicast", hop6, func(b []byte) []byte { b[22] = 0xff; return b }},
		{"from link-local", hop6, func(b []byte) []byte { b[22], b[23] = 0xfe, 0x80; return b }},
		{"sender's port 0", hop4, func(b []byte) []byte { b[34], b[35] = 0, 0; return b }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := frameOf(tt.hop, 49152, 51820, data)
			if _, _, ok := parse(b); !ok {
				t.Fatal("the frame is not good to begin with")
			}
			if src, got, ok := parse(tt.edit(b)); ok {
				t.Errorf("parsed: %v, %d bytes", src, len(got))
			}
		})
	}
	// IPv4 may come without a UDP checksum, or with an unfinished one.
	b := frameOf(hop4, 49152, 51820, data)
	b[40], b[41] = 0, 0
	if _, _, ok := parse(b); !ok {
		t.Error("IPv4 without a UDP checksum was refused")
	}
}

// fixed makes the IPv4 header's checksum right again.
func fixed(b []byte) []byte {
	b[24], b[25] = 0, 0
	var s uint32
	for i := 14; i < 34; i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
	}
	s = s>>16 + s&0xffff
	s += s >> 16
	b[24], b[25] = ^byte(s>>8), ^byte(s)
	return b
}

// FuzzParse: whatever arrives, the payload is a part of it, and what we send is
// read back.
func FuzzParse(f *testing.F) {
	f.Add(frameOf(hop4, 1, 2, []byte("four")))
	f.Add(frameOf(hop6, 1, 2, []byte("six")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		src, data, ok := parse(b)
		if !ok {
			return
		}
		if len(data) > len(b)-head4 || !src.IsValid() || !foreign(src.Addr()) {
			t.Fatalf("%v, %d bytes of %d", src, len(data), len(b))
		}
		h := Hop{Src: src.Addr(), Dst: src.Addr(), MAC: farMAC}
		again, same, ok := parse(frameOf(h, src.Port(), 51820, data))
		if !ok || again != src || !bytes.Equal(same, data) {
			t.Fatalf("%v, %d bytes; read back as %v, %d, %v", src, len(data), again, len(same), ok)
		}
	})
}
