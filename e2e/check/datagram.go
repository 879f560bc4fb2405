package check

import (
	"encoding/binary"
	"net/netip"
	"slices"
)

// datagram is a UDP datagram in a captured frame.
type datagram struct {
	src, dst netip.AddrPort
	ip       int    // offset of the IP header in the frame
	udp      int    // offset of the UDP header in the frame
	payload  []byte // as the UDP header has it, or of a whole super-frame
}

// parseUDP returns the UDP datagram in an Ethernet frame over IPv4 or IPv6
// without extension headers, fragments left out.
func parseUDP(f []byte) (d datagram, ok bool) {
	if len(f) < 14 {
		return d, false
	}
	d.ip = 14
	var src, dst netip.Addr
	switch p := f[14:]; binary.BigEndian.Uint16(f[12:]) {
	case 0x0800:
		if len(p) < 20 || p[9] != 17 || binary.BigEndian.Uint16(p[6:])&0x1fff != 0 {
			return d, false
		}
		src, dst = netip.AddrFrom4([4]byte(p[12:16])), netip.AddrFrom4([4]byte(p[16:20]))
		d.udp = 14 + int(p[0]&15)*4
	case 0x86dd:
		if len(p) < 40 || p[6] != 17 {
			return d, false
		}
		src, dst = netip.AddrFrom16([16]byte(p[8:24])), netip.AddrFrom16([16]byte(p[24:40]))
		d.udp = 14 + 40
	default:
		return d, false
	}
	if len(f) < d.udp+8 {
		return d, false
	}
	u := f[d.udp:]
	d.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(u))
	d.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(u[2:]))
	d.payload = u[8:]
	// The length field of a super-frame of UDP_SEGMENT is that of the whole.
	if n := int(binary.BigEndian.Uint16(u[4:])); n >= 8 && n <= len(u) {
		d.payload = u[8:n]
	}
	return d, true
}

// withPayload returns a copy of an IPv4 frame with the UDP payload p in place of
// its own, headers made to fit. The UDP checksum becomes 0, none.
func withPayload(f []byte, d datagram, p []byte) []byte {
	out := append(slices.Clone(f[:d.udp+8]), p...)
	ip, udp := out[d.ip:d.udp], out[d.udp:]
	binary.BigEndian.PutUint16(ip[2:], uint16(len(out)-d.ip))
	binary.BigEndian.PutUint16(ip[10:], 0)
	binary.BigEndian.PutUint16(ip[10:], checksum(ip))
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(p)))
	binary.BigEndian.PutUint16(udp[6:], 0)
	return out
}

// checksum is the Internet checksum of b.
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// The WireGuard messages: type byte, three zero bytes, then what follows.
const (
	wgInitiation = 1
	wgResponse   = 2
	wgCookie     = 3
	wgData       = 4

	wgDataMin = 16 + 16 // header, tag: a keepalive
)

// wgSize is the fixed lengths of the messages that have one.
var wgSize = map[byte]int{wgInitiation: 148, wgResponse: 92, wgCookie: 64}

// wgMessages cuts a UDP payload into WireGuard messages: one, or those of a
// super-frame of data messages of equal length to one session. ok is false when
// it holds anything else.
func wgMessages(p []byte) (msgs [][]byte, ok bool) {
	if len(p) < wgDataMin || p[0] == 0 || p[0] > wgData || p[1]|p[2]|p[3] != 0 {
		return nil, false
	}
	if n := wgSize[p[0]]; n > 0 {
		return [][]byte{p}, len(p) == n
	}
	// The next message of a super-frame has the same receiver index and, as
	// counters are given out in runs, the next counter.
	step := len(p)
	for at := wgDataMin; at+wgDataMin <= len(p); at++ {
		if string(p[at:at+8]) == string(p[:8]) &&
			binary.LittleEndian.Uint64(p[at+8:]) == binary.LittleEndian.Uint64(p[8:])+1 {
			step = at
			break
		}
	}
	for m := range slices.Chunk(p, step) {
		if len(m) < wgDataMin || string(m[:4]) != string(p[:4]) {
			return nil, false
		}
		msgs = append(msgs, m)
	}
	return msgs, true
}
