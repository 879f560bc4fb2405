package udpgen

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// findWay asks the kernel how it would send to the address: it connects a socket,
// sends one datagram so that the neighbour is looked up, and reads the route
// and neighbour tables of this namespace. The socket stays open, so that nobody
// else gets its port.
func findWay(to netip.AddrPort) (w *way, socket int, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
	if err != nil {
		return nil, -1, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		return nil, -1, fmt.Errorf("connect to %v: %w", to, err)
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		return nil, -1, os.NewSyscallError("getsockname", err)
	}
	in4, ok := local.(*unix.SockaddrInet4)
	if !ok {
		return nil, -1, errors.New("the socket has no IPv4 address")
	}
	w = &way{src: netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)), dst: to}
	routes, err := os.ReadFile("/proc/net/route")
	if err != nil {
		return nil, -1, err
	}
	dev, next, err := parseRoutes(string(routes), to.Addr())
	if err != nil {
		return nil, -1, err
	}
	if w.device, err = net.InterfaceByName(dev); err != nil {
		return nil, -1, fmt.Errorf("device %s: %w", dev, err)
	}
	for range 100 {
		if _, err := unix.Write(fd, []byte{0}); err != nil {
			return nil, -1, fmt.Errorf("first datagram to %v: %w", to, err)
		}
		table, err := os.ReadFile("/proc/net/arp")
		if err != nil {
			return nil, -1, err
		}
		if w.next, ok = parseNeighbours(string(table), dev, next); ok {
			return w, fd, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil, -1, fmt.Errorf("%v on %s does not answer ARP", next, dev)
}

// parseRoutes finds the longest prefix for dst in the text of /proc/net/route,
// whose numbers are hexadecimal and in the machine's byte order, and returns
// the device and the next hop: dst itself on a connected subnet.
func parseRoutes(text string, dst netip.Addr) (dev string, next netip.Addr, err error) {
	best := -1
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 || f[0] == "Iface" {
			continue
		}
		to, ok1 := parseHexAddr(f[1])
		via, ok2 := parseHexAddr(f[2])
		mask, ok3 := parseHexAddr(f[7])
		if !ok1 || !ok2 || !ok3 {
			return "", next, fmt.Errorf("route %q is not as expected", strings.TrimSpace(line))
		}
		m := mask.As4()
		bits, _ := net.IPMask(m[:]).Size()
		if bits <= best || !netip.PrefixFrom(to, bits).Contains(dst) {
			continue
		}
		best, dev, next = bits, f[0], via
		if via.IsUnspecified() {
			next = dst
		}
	}
	if best < 0 {
		return "", next, fmt.Errorf("no route to %v", dst)
	}
	return dev, next, nil
}

// parseHexAddr reads an address as /proc/net/route has it.
func parseHexAddr(s string) (netip.Addr, bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 4 {
		return netip.Addr{}, false
	}
	var a [4]byte
	binary.NativeEndian.PutUint32(a[:], binary.BigEndian.Uint32(b))
	return netip.AddrFrom4(a), true
}

// parseNeighbours finds the complete entry of addr on dev in the text of
// /proc/net/arp.
func parseNeighbours(text, dev string, addr netip.Addr) (net.HardwareAddr, bool) {
	const complete = 2 // ATF_COM
	for line := range strings.Lines(text) {
		f := strings.Fields(line) // address, type, flags, MAC, mask, device
		if len(f) < 6 || f[0] != addr.String() || f[5] != dev {
			continue
		}
		flags, err := strconv.ParseUint(f[2], 0, 32)
		mac, macErr := net.ParseMAC(f[3])
		return mac, err == nil && macErr == nil && flags&complete != 0
	}
	return nil, false
}
