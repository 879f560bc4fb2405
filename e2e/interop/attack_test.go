//go:build interop

package interop_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/lab/netplumb"
)

// Places in a VXLAN payload that holds a MACsec frame: VXLAN 8, DA and SA 12,
// then the SecTAG.
const (
	offEtherType = 8 + 12
	offTCI       = offEtherType + 2
	offSL        = offTCI + 1
	offPN        = offSL + 1
	offSCI       = offPN + 4
	offSecure    = offSCI + 8
)

// TCI bits and the AN, IEEE 802.1AE-2018 9.5.
const (
	tciE, tciC, tciSC = 0x08, 0x04, 0x20
	tciAN             = 0x03
)

// payloads returns the UDP payloads of a capture that went to port 4789 from src.
func payloads(packets []gopacket.Packet, src string) [][]byte {
	var out [][]byte
	for _, p := range packets {
		udp, ok := p.TransportLayer().(*layers.UDP)
		if ok && udp.DstPort == 4789 && net.ParseIP(src).Equal(p.NetworkLayer().NetworkFlow().Src().Raw()) {
			out = append(out, udp.Payload)
		}
	}
	return out
}

// checkProtected checks that src sent MACsec and nothing else, short frames with
// their length.
func checkProtected(t *testing.T, packets []gopacket.Packet, encrypt bool, src ...string) {
	t.Helper()
	marker := []byte{0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19} // of ping's payload
	for _, src := range src {
		short, long, readable := 0, 0, 0
		for _, p := range payloads(packets, src) {
			if len(p) < offSecure+16 || binary.BigEndian.Uint16(p[offEtherType:]) != 0x88e5 {
				t.Fatalf("%s sent a frame without SecTAG: %x", src, p)
			}
			if e := p[offTCI]&(tciE|tciC) != 0; e != encrypt || p[offTCI]&tciSC == 0 {
				t.Fatalf("%s: TCI %#02x", src, p[offTCI])
			}
			secure := len(p) - offSecure - 16
			switch sl := int(p[offSL]); {
			case secure < 48 && sl == secure:
				short++
			case secure >= 48 && sl == 0:
				long++
			default:
				t.Fatalf("%s: SL %d with %d octets of secure data", src, sl, secure)
			}
			if bytes.Contains(p[offSecure:], marker) {
				readable++
			}
		}
		if short == 0 || long == 0 || (readable == 0) != encrypt {
			t.Errorf("%s: %d short frames, %d others, %d readable", src, short, long, readable)
		}
	}
}

// inject sends a datagram into ns as if it came from src, which is not an
// address of ns.
func inject(ns *netplumb.Namespace, src, dst netip.AddrPort, payload []byte) error {
	return netplumb.Do(ns.Name(), func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptInt(fd, unix.SOL_IP, syscall.IP_TRANSPARENT, 1); err != nil {
			return err
		}
		if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: src.Addr().As4(), Port: int(src.Port())}); err != nil {
			return err
		}
		return unix.Sendto(fd, payload, 0, &unix.SockaddrInet4{Addr: dst.Addr().As4(), Port: int(dst.Port())})
	})
}

// attacks sends frames of the kernel to the engine once more, and changed ones:
// each is refused and counted once, under its reason.
func attacks(t *testing.T, b *bed, h, p shell, link linker) {
	b = b.with(t)
	k := newKeys(config.GCMAES128, true)
	e := link(t, k, k)
	w := b.watch(b.leaf, "u0", "udp port 4789 and src host "+peerU4)
	if err := errors.Join(h.reach(far4), h.ping(far4, "")); err != nil {
		t.Fatal(err)
	}
	// A quiet link, or frames of IPv6's own count.
	p.must(t, "ip -6 addr flush dev ms0")
	frames := payloads(w.stop(), peerU4)
	if len(frames) < 10 {
		t.Fatalf("captured %d frames", len(frames))
	}
	sample := frames[len(frames)-1]
	// fresh returns the sample with a number that nobody has seen, changed.
	n := uint32(0)
	fresh := func(change func([]byte)) []byte {
		c := slices.Clone(sample)
		n++
		binary.BigEndian.PutUint32(c[offPN:], binary.BigEndian.Uint32(c[offPN:])+100+n)
		change(c)
		return c
	}
	to := netip.AddrPortFrom(netip.MustParseAddr(leafU4), 4789)
	for _, a := range []struct {
		what, reason string
		payload      []byte
	}{
		{"replayed", "macsec-replayed", sample},
		{"the first one replayed", "macsec-replayed", frames[0]},
		{"another packet number", "macsec-not-valid", fresh(func([]byte) {})},
		{"a changed MAC", "macsec-not-valid", fresh(func(c []byte) { c[8+12-1] ^= 1 })},
		{"a changed bit", "macsec-not-valid", fresh(func(c []byte) { c[offSecure] ^= 0x80 })},
		{"a changed ICV", "macsec-not-valid", fresh(func(c []byte) { c[len(c)-1] ^= 1 })},
		{"no encryption bits", "macsec-mode-mismatch", fresh(func(c []byte) { c[offTCI] &^= tciE | tciC })},
		{"an AN without a key", "macsec-not-using-sa", fresh(func(c []byte) { c[offTCI] |= tciAN })},
		{"another channel", "macsec-unknown-sci", fresh(func(c []byte) { c[offSCI] ^= 4 })},
		{"packet number 0", "macsec-bad-tag", fresh(func(c []byte) { binary.BigEndian.PutUint32(c[offPN:], 0) })},
		{"a short length that is none", "macsec-bad-tag", fresh(func(c []byte) { c[offSL] = 40 })},
		{"version 1", "macsec-bad-tag", fresh(func(c []byte) { c[offTCI] |= 0x80 })},
		{"no SecTAG", "macsec-untagged", fresh(func(c []byte) { c[offEtherType+1] = 0 })},
	} {
		src := netip.AddrPortFrom(netip.MustParseAddr(peerU4), 50000)
		before := e.drops()
		if err := inject(b.leaf, src, to, a.payload); err != nil {
			t.Fatal(err)
		}
		var now drops
		deadline := time.Now().Add(5 * time.Second)
		for {
			now = e.drops()
			for r, n := range before {
				now[r] -= n
			}
			if now.String() != "none" || time.Now().After(deadline) {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if want := (drops{a.reason: 1}).String(); now.String() != want {
			t.Errorf("%s: counted %v, want %s", a.what, now, want)
		}
	}
	if err := h.ping(far4, ""); err != nil {
		t.Errorf("after the attacks: %v", err)
	}
}
