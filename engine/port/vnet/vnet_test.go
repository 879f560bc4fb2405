package vnet_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"unsafe"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/vnet"
	"golang.org/x/sys/unix"
)

// header builds a virtio-net header in host order.
func header(flags, gso uint8, hdrLen, size, start, off uint16) []byte {
	b := make([]byte, vnet.Len)
	b[0], b[1] = flags, gso
	for i, v := range []uint16{hdrLen, size, start, off} {
		binary.NativeEndian.PutUint16(b[2+2*i:], v)
	}
	return b
}

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name string
		hdr  []byte
		len  int
		want pkt.Offload
		ok   bool
	}{
		{"plain", header(0, 0, 0, 0, 0, 0), 60, pkt.Offload{}, true},
		{"plain, data valid", header(2, 0, 0, 0, 99, 99), 60, pkt.Offload{}, true},
		{"plain with a stale size", header(0, 0, 54, 1448, 0, 0), 60, pkt.Offload{}, true},
		{"partial checksum", header(1, 0, 42, 0, 34, 6), 60,
			pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 6}, true},
		{"checksum at the very end", header(1, 0, 0, 0, 34, 24), 60,
			pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 24}, true},
		{"checksum behind the end", header(1, 0, 0, 0, 34, 25), 60, pkt.Offload{}, false},
		{"checksum sums wrap", header(1, 0, 0, 0, 65535, 65535), 60, pkt.Offload{}, false},
		{"checksum in the Ethernet header", header(1, 0, 0, 0, 13, 6), 60, pkt.Offload{}, false},
		{"TCPv4", header(1, 1, 66, 1448, 34, 16), 9000,
			pkt.Offload{GSOType: pkt.GSOTCPv4, NeedsCsum: true, GSOSize: 1448, CsumStart: 34, CsumOff: 16}, true},
		{"TCPv6 with CWR", header(1, 0x84, 66, 1428, 54, 16), 9000,
			pkt.Offload{GSOType: pkt.GSOTCPv6, ECN: true, NeedsCsum: true, GSOSize: 1428, CsumStart: 54, CsumOff: 16}, true},
		{"UDP", header(1, 5, 42, 1000, 34, 6), 9000,
			pkt.Offload{GSOType: pkt.GSOUDP, NeedsCsum: true, GSOSize: 1000, CsumStart: 34, CsumOff: 6}, true},
		{"TCPv4 without checksum", header(0, 1, 66, 1448, 0, 0), 9000,
			pkt.Offload{GSOType: pkt.GSOTCPv4, GSOSize: 1448}, true},
		{"TCPv4, no segment size", header(1, 1, 66, 0, 34, 16), 9000, pkt.Offload{}, false},
		{"TCPv4, checksum where UDP has it", header(1, 1, 66, 1448, 34, 6), 9000, pkt.Offload{}, false},
		{"TCPv4, header cut off", header(1, 1, 66, 1448, 34, 16), 53, pkt.Offload{}, false},
		{"UFO", header(1, 3, 42, 1000, 34, 6), 9000, pkt.Offload{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := vnet.Decode(tt.hdr, make([]byte, tt.len))
			if got != tt.want || ok != tt.ok {
				t.Errorf("Decode = %+v, %v\nwant %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// flatten copies what iovs point at.
func flatten(iovs []unix.Iovec) []byte {
	var b []byte
	for _, v := range iovs {
		b = append(b, unsafe.Slice(v.Base, v.Len)...)
	}
	return b
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tcpHead is Ethernet, IPv4, TCP with 12 bytes of options and 4 of payload.
const tcpHead = `
	020000000001 020000000002 0800
	45000044 00004000 40060000 0a000001 0a000002
	1f901f91 00000001 00000002 8010ffff 00000000 0101080a0000000100000002
	61626364`

func TestAppend(t *testing.T) {
	gso := pkt.Offload{GSOType: pkt.GSOTCPv4, ECN: true, NeedsCsum: true, GSOSize: 4, CsumStart: 34, CsumOff: 16}
	frags := [][]byte{[]byte("efgh"), {}, []byte("i")}
	for _, tt := range []struct {
		name  string
		o     pkt.Offload
		tags  []pkt.Tag
		frags [][]byte
		hdr   []byte
		tag   string // bytes between the addresses and the type
		tail  string
		iovs  int
	}{
		{"plain", pkt.Offload{}, nil, nil, header(0, 0, 0, 0, 0, 0), "", "", 2},
		{"checksum", pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 16}, nil, nil,
			header(1, 0, 52, 0, 34, 16), "", "", 2},
		{"merged", gso, nil, frags, header(1, 0x81, 66, 4, 34, 16), "", "efghi", 4},
		{"merged, two tags", gso, []pkt.Tag{{TPID: 0x88a8, TCI: 0x6064}, {TPID: 0x8100, TCI: 7}}, frags,
			header(1, 0x81, 74, 4, 42, 16), "88a8 6064 8100 0007", "efghi", 6},
		{"plain, one tag", pkt.Offload{}, []pkt.Tag{{TPID: 0x8100, TCI: 0xffff}}, nil,
			header(0, 0, 0, 0, 0, 0), "8100 ffff", "", 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var f pkt.Frame
			f.Reset(unhex(t, tcpHead))
			f.Offload = tt.o
			for i := len(tt.tags) - 1; i >= 0; i-- {
				f.PushTag(tt.tags[i])
			}
			for _, b := range tt.frags {
				f.Frags = append(f.Frags, b)
				f.Len += len(b)
			}
			want := append([]byte{}, tt.hdr...)
			want = append(want, f.Head[:12]...)
			want = append(want, unhex(t, tt.tag)...)
			want = append(want, f.Head[12:]...)
			want = append(want, tt.tail...)

			s := new(vnet.Scratch)
			iovs, ok := s.Append(make([]unix.Iovec, 0, vnet.Iovecs(&f)), &f)
			if got := flatten(iovs); !ok || !bytes.Equal(got, want) {
				t.Errorf("Append: ok %v\ngot  %x\nwant %x", ok, got, want)
			}
			if len(iovs) != tt.iovs {
				t.Errorf("%d iovecs, want %d", len(iovs), tt.iovs)
			}
			// What was sent reads back as what it was, tags in the bytes.
			o, ok := vnet.Decode(want, want[vnet.Len:])
			exp := tt.o
			if exp.NeedsCsum {
				exp.CsumStart += uint16(4 * len(tt.tags))
			}
			if !ok || o != exp {
				t.Errorf("Decode(Append) = %+v, %v, want %+v", o, ok, exp)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	gso := pkt.Offload{GSOType: pkt.GSOTCPv4, NeedsCsum: true, GSOSize: 4, CsumStart: 34, CsumOff: 16}
	for _, tt := range []struct {
		name  string
		head  int
		o     pkt.Offload
		frags int // of 1000 bytes
	}{
		{"shorter than Ethernet", 13, pkt.Offload{}, 0},
		{"longer than any frame", port.MaxRecvFrame + 1, pkt.Offload{}, 0},
		{"longer than any frame, in pieces", 66, pkt.Offload{}, 66},
		{"TCP header not in Head", 53, gso, 1},
		{"checksum not in Head", 51, pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 16}, 1},
	} {
		var f pkt.Frame
		f.Reset(make([]byte, tt.head))
		f.Offload = tt.o
		for range tt.frags {
			f.Frags = append(f.Frags, make([]byte, 1000))
			f.Len += 1000
		}
		if iovs, ok := new(vnet.Scratch).Append(make([]unix.Iovec, 0, 100), &f); ok || len(iovs) != 0 {
			t.Errorf("%s: taken, %d iovecs", tt.name, len(iovs))
		}
	}
	var f pkt.Frame
	f.Reset(make([]byte, 60))
	f.Frags = make([][]byte, 1021)
	if _, ok := new(vnet.Scratch).Append(make([]unix.Iovec, 0, 2000), &f); ok {
		t.Error("1025 iovecs were taken")
	}
}

// FuzzDecode: what Decode lets through lies inside the frame and is one of the
// known kinds.
func FuzzDecode(f *testing.F) {
	f.Add(header(1, 1, 66, 1448, 34, 16), 9000)
	f.Add(header(1, 0x85, 42, 1000, 34, 6), 60)
	f.Add(header(1, 0, 0, 0, 65535, 65535), 60)
	frame := make([]byte, 1<<16)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if len(b) < vnet.Len || n < 0 || n > len(frame) {
			return
		}
		o, ok := vnet.Decode(b, frame[:n])
		if !ok {
			if o != (pkt.Offload{}) {
				t.Errorf("refused, yet %+v", o)
			}
			return
		}
		if o.NeedsCsum && int(o.CsumStart)+int(o.CsumOff)+2 > n {
			t.Errorf("checksum outside of %d bytes: %+v", n, o)
		}
		if (o.GSOType == pkt.GSONone) != (o.GSOSize == 0) {
			t.Errorf("GSO type without size or the reverse: %+v", o)
		}
	})
}

func TestNoAllocs(t *testing.T) {
	var f pkt.Frame
	f.Reset(unhex(t, tcpHead))
	f.Offload = pkt.Offload{GSOType: pkt.GSOTCPv4, NeedsCsum: true, GSOSize: 4, CsumStart: 34, CsumOff: 16}
	f.PushTag(pkt.Tag{TPID: 0x8100, TCI: 5})
	hdr := header(1, 1, 66, 4, 34, 16)
	s := new(vnet.Scratch)
	iovs := make([]unix.Iovec, 0, 16)
	if n := testing.AllocsPerRun(100, func() {
		vnet.Decode(hdr, f.Head)
		s.Append(iovs[:0], &f)
	}); n != 0 {
		t.Errorf("%v allocations per frame, want 0", n)
	}
}
