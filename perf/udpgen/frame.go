package udpgen

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// Lengths of the headers in front of a payload, bytes.
const (
	ethLen  = 14
	ipLen   = 20
	udpLen  = 8
	payload = ethLen + ipLen + udpLen // where the payload begins
)

// way is how frames get to an address: what a tenant's kernel would choose.
type way struct {
	device   *net.Interface
	next     net.HardwareAddr // of the host itself, or of the gateway
	src, dst netip.AddrPort
}

// template returns a whole frame for w with a payload of size bytes, and the sum
// that its UDP checksum has while the payload is zero.
func (w *way) template(size int) (frame []byte, sum uint32) {
	f := make([]byte, payload+size)
	copy(f, w.next)
	copy(f[6:], w.device.HardwareAddr)
	binary.BigEndian.PutUint16(f[12:], 0x0800)

	ip := f[ethLen:][:ipLen]
	ip[0] = 0x45
	binary.BigEndian.PutUint16(ip[2:], uint16(ipLen+udpLen+size))
	ip[6] = 0x40 // do not fragment, so the identification may stay 0
	ip[8], ip[9] = 64, unix.IPPROTO_UDP
	src, dst := w.src.Addr().As4(), w.dst.Addr().As4()
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	binary.BigEndian.PutUint16(ip[10:], ^fold(add(0, ip)))

	udp := f[ethLen+ipLen:]
	binary.BigEndian.PutUint16(udp, w.src.Port())
	binary.BigEndian.PutUint16(udp[2:], w.dst.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(udpLen+size))
	// Pseudo-header: addresses, protocol, length.
	sum = add(unix.IPPROTO_UDP+uint32(udpLen+size), ip[12:20])
	return f, add(sum, udp[:6])
}

// finish writes the header and the UDP checksum into a frame of the template.
func finish(frame []byte, sum uint32, h header) {
	p := frame[payload:]
	h.put(p)
	c := ^fold(add(sum, p[:headerLen]))
	if c == 0 {
		c = 0xffff // 0 would mean that there is none
	}
	binary.BigEndian.PutUint16(frame[ethLen+ipLen+6:], c)
}

// add adds the 16-bit words of b, of even length, to an Internet checksum that
// is not folded yet. Good for some 64 KB.
func add(sum uint32, b []byte) uint32 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	return sum
}

// fold returns the sum in ones' complement, 16 bits.
func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// frameLink sends as a tenant without offloads does: single frames with
// complete checksums, put on the device by a packet socket.
type frameLink struct {
	fd    int
	sum   uint32
	bufs  [][]byte
	msgs  *messages
	taken int // the UDP socket that keeps the source port
}

// openFrames returns a link to the address to, for payloads of size bytes.
func openFrames(to netip.AddrPort, size int) (_ *frameLink, err error) {
	w, taken, err := findWay(to)
	if err != nil {
		return nil, err
	}
	l := &frameLink{fd: -1, taken: taken}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	// Protocol 0: it only sends. The queueing discipline stays in the way, as
	// for any sender.
	if l.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := unix.SetsockoptInt(l.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer); err != nil {
		return nil, fmt.Errorf("SO_SNDBUFFORCE: %w", err)
	}
	if err := unix.Bind(l.fd, &unix.SockaddrLinklayer{Ifindex: w.device.Index}); err != nil {
		return nil, fmt.Errorf("bind to %s: %w", w.device.Name, err)
	}
	frame, sum := w.template(size)
	l.sum, l.bufs = sum, buffers(len(frame))
	for _, b := range l.bufs {
		copy(b, frame)
	}
	l.msgs = newMessages(l.bufs, nil)
	return l, nil
}

// send implements link.
func (l *frameLink) send(trial uint32, seq uint64, n int) error {
	for n > 0 {
		k := min(n, batch)
		for i := range k {
			finish(l.bufs[i], l.sum, header{trial, seq})
			seq++
		}
		n -= k
		if _, err := l.msgs.send(l.fd, k); err != nil {
			return err
		}
	}
	return nil
}

// close implements link.
func (l *frameLink) close() error {
	unix.Close(l.taken)
	if l.fd < 0 {
		return nil
	}
	return unix.Close(l.fd)
}
