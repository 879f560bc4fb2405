package afxdp_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/gso"
	"github.com/ztos/ztos/engine/pkt"
)

// udp builds an Ethernet frame with an IPv4 UDP datagram from the given port,
// its checksum left to the device.
func udp(src uint16, payload int) *pkt.Frame {
	b := make([]byte, 42+payload)
	copy(b, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45})
	binary.BigEndian.PutUint16(b[16:], uint16(28+payload))
	b[22], b[23] = 64, 17
	copy(b[26:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	binary.BigEndian.PutUint16(b[24:], ^fold(sum(b[14:34])))
	binary.BigEndian.PutUint16(b[34:], src)
	binary.BigEndian.PutUint16(b[36:], 9)
	binary.BigEndian.PutUint16(b[38:], uint16(8+payload))
	for i := range b[42:] {
		b[42+i] = byte(i * 7)
	}
	binary.BigEndian.PutUint16(b[40:], fold(pseudo(b)))
	f := new(pkt.Frame)
	f.Reset(b)
	f.Offload = pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 6}
	return f
}

// tcp makes a super-frame of TCP over IPv4 with a header of 20 bytes.
func tcp(payload, size int) *pkt.Frame {
	f := udp(1, payload+12)
	b := f.Head
	b[23], b[24], b[25] = 6, 0, 0
	binary.BigEndian.PutUint16(b[24:], ^fold(sum(b[14:34])))
	copy(b[34:54], []byte{0, 1, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0})
	binary.BigEndian.PutUint16(b[50:], fold(pseudo(b)))
	f.Offload = pkt.Offload{
		GSOType: pkt.GSOTCPv4, GSOSize: uint16(size), NeedsCsum: true, CsumStart: 34, CsumOff: 16,
	}
	return f
}

// sum is the naive internet checksum before it is folded.
func sum(b []byte) (s uint32) {
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// pseudo sums the pseudo-header of an untagged IPv4 frame.
func pseudo(b []byte) uint32 {
	return sum(b[26:34]) + uint32(b[23]) + uint32(binary.BigEndian.Uint16(b[16:])-20)
}

// right reports whether the checksum of an untagged IPv4 UDP or TCP frame is.
func right(b []byte) bool { return fold(pseudo(b)+sum(b[34:])) == 0xffff }

// complete returns f's bytes with its checksum made.
func complete(t testing.TB, f *pkt.Frame) []byte {
	t.Helper()
	g := new(pkt.Frame)
	g.Reset(bytes.Clone(f.Head))
	g.Offload = f.Offload
	if r := gso.CompleteChecksum(g); r != counter.None {
		t.Fatal(r)
	}
	return g.Head
}

func tag(tpid, tci uint16) pkt.Tag { return pkt.Tag{TPID: tpid, TCI: tci} }

// inBytes puts a tag into the bytes of a frame.
func inBytes(b []byte, tag pkt.Tag) []byte {
	out := binary.BigEndian.AppendUint16(bytes.Clone(b[:12]), tag.TPID)
	out = binary.BigEndian.AppendUint16(out, tag.TCI)
	return append(out, b[12:]...)
}
