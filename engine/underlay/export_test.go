package underlay

import "golang.org/x/sys/unix"

// RefuseGSO makes the kernel refuse UDP_SEGMENT on m's sockets, which it does
// for sockets that send no checksums.
func RefuseGSO(m *Mux) {
	for _, s := range m.socks {
		unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_NO_CHECK, 1)
	}
}
