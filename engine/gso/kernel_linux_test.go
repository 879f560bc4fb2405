package gso_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/engine/gso"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port/nstest"
	"github.com/ztos/ztos/engine/wire"
)

// vnetLen is the length of struct virtio_net_hdr, bytes.
const vnetLen = 10

// kernel is a TAP device without offloads in a network namespace of its own:
// what is sent to it as a super-frame is cut by the kernel.
//
//	AF_PACKET + virtio-net header --> tap netdev --software GSO--> tap fd
type kernel struct{ tap, sock int }

// newKernel makes the namespace on a thread that ends with the test.
func newKernel(t *testing.T) *kernel {
	nstest.NeedRoot(t)
	runtime.LockOSThread() // never unlocked: the thread and its namespace go
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	tap, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	check("open tun", err)
	t.Cleanup(func() { unix.Close(tap) })
	ifr, err := unix.NewIfreq("gso0")
	check("ifreq", err)
	ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	check("TUNSETIFF", unix.IoctlIfreq(tap, unix.TUNSETIFF, ifr))
	check("TUNSETOFFLOAD", unix.IoctlSetInt(tap, unix.TUNSETOFFLOAD, 0))

	sock, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	check("socket", err)
	t.Cleanup(func() { unix.Close(sock) })
	check("SIOCGIFFLAGS", unix.IoctlIfreq(sock, unix.SIOCGIFFLAGS, ifr))
	ifr.SetUint16(ifr.Uint16() | unix.IFF_UP)
	check("SIOCSIFFLAGS", unix.IoctlIfreq(sock, unix.SIOCSIFFLAGS, ifr))
	check("SIOCGIFINDEX", unix.IoctlIfreq(sock, unix.SIOCGIFINDEX, ifr))
	check("PACKET_VNET_HDR", unix.SetsockoptInt(sock, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1))
	check("bind", unix.Bind(sock, &unix.SockaddrLinklayer{Ifindex: int(ifr.Uint32())}))
	return &kernel{tap, sock}
}

// split has the kernel cut f, and returns the n frames that it makes of it. The
// kernel's own frames (router solicitations) have another source MAC.
func (k *kernel) split(t *testing.T, f *pkt.Frame, n int) [][]byte {
	t.Helper()
	g := flatten(f)
	o := g.Offload
	msg := make([]byte, vnetLen, vnetLen+g.Len)
	if o.NeedsCsum {
		msg[0] = 1
	}
	msg[1] = o.GSOType
	if o.GSOType != pkt.GSONone {
		hdr := o.CsumStart + 8
		if o.GSOType != pkt.GSOUDP {
			hdr = o.CsumStart + uint16(wire.TCP(g.Head[o.CsumStart:]).HeaderLen())
		}
		binary.NativeEndian.PutUint16(msg[2:], hdr)
		binary.NativeEndian.PutUint16(msg[4:], o.GSOSize)
	}
	binary.NativeEndian.PutUint16(msg[6:], o.CsumStart)
	binary.NativeEndian.PutUint16(msg[8:], o.CsumOff)
	if _, err := unix.Write(k.sock, append(msg, g.Head...)); err != nil {
		t.Fatalf("the kernel refuses %+v with %d bytes: %v", o, g.Len, err)
	}
	var out [][]byte
	buf := make([]byte, 70000)
	for len(out) < n {
		m, err := unix.Read(k.tap, buf)
		if errors.Is(err, unix.EAGAIN) {
			p := []unix.PollFd{{Fd: int32(k.tap), Events: unix.POLLIN}}
			if ready, err := unix.Poll(p, 2000); ready == 0 && err == nil {
				t.Fatalf("the kernel made %d frames of %+v, want %d", len(out), o, n)
			}
			continue
		}
		if err != nil {
			t.Fatalf("read: %v", err)
		}
		if b := buf[vnetLen:m]; bytes.Equal(b[6:12], g.Head[6:12]) {
			if buf[0] != 0 || buf[1] != 0 {
				t.Fatalf("the kernel left work: header %x", buf[:vnetLen])
			}
			out = append(out, bytes.Clone(b))
		}
	}
	return out
}

// TestKernelAgrees: Linux cuts the same super-frames into the same bytes, and it
// takes what the merger makes and gives the segments back.
func TestKernelAgrees(t *testing.T) {
	k := newKernel(t)
	for _, tt := range superCases {
		segs := tt.spec.segments(t, tt.size)
		if len(segs) > 1 && tt.size >= 20 { // to Linux the others are not GSO
			f := tt.spec.super(t, tt.size)
			want := split(t, f)
			got := k.split(t, f, len(want))
			t.Run("split/"+tt.name, func(t *testing.T) { compare(t, want, got) })
		}
		m := gso.Merger{UDP: true}
		out := m.Merge(framesOf(segs))
		if len(out) == len(segs) {
			continue
		}
		t.Run("merge/"+tt.name, func(t *testing.T) {
			var got [][]byte
			for _, f := range out {
				got = append(got, k.split(t, f, len(f.Frags)+1)...)
			}
			compare(t, got, segs)
		})
	}
	for _, s := range []spec{{payload: pattern(99)}, {v6: true, payload: pattern(98)}, {udp: true, payload: pattern(97)}, {udp: true, v6: true}} {
		f := s.super(t, 0)
		f.Offload.GSOType = pkt.GSONone
		want := k.split(t, f, 1)
		if r := gso.CompleteChecksum(f); r != 0 || !bytes.Equal(f.Head, want[0]) {
			t.Errorf("plain %+v: %v\ngot  %x\nwant %x", s, r, clip(f.Head), clip(want[0]))
		}
	}
}
