package underlay

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Endpoint is where datagrams go: an address and port, in the forms that the
// kernel wants. Immutable; any goroutine.
type Endpoint struct {
	addr netip.AddrPort
	sa4  unix.RawSockaddrInet4
	sa6  unix.RawSockaddrInet6 // for IPv4 too: the mapped address
}

// NewEndpoint returns the endpoint of addr. IPv4-mapped addresses are unmapped.
// A zone may be an interface's name, as the calling thread's namespace has it,
// or its index in decimal.
func NewEndpoint(addr netip.AddrPort) *Endpoint {
	e := new(Endpoint)
	e.Set(addr)
	return e
}

// Set makes e, which nobody else has yet, the endpoint of addr as NewEndpoint
// does. Without a zone it does not allocate.
func (e *Endpoint) Set(addr netip.AddrPort) {
	ip := addr.Addr().Unmap()
	scope := uint64(0)
	if zone := ip.Zone(); zone != "" {
		var err error
		if scope, err = strconv.ParseUint(zone, 10, 32); err != nil {
			if i, err := net.InterfaceByName(zone); err == nil {
				scope = uint64(i.Index)
			}
		}
		ip = ip.WithZone(strconv.FormatUint(scope, 10))
	}
	*e = Endpoint{addr: netip.AddrPortFrom(ip, addr.Port())}
	e.sa6.Family = unix.AF_INET6
	e.sa6.Addr = ip.As16()
	e.sa6.Scope_id = uint32(scope)
	putPort(&e.sa6.Port, addr.Port())
	if ip.Is4() {
		e.sa4.Family = unix.AF_INET
		e.sa4.Addr = ip.As4()
		putPort(&e.sa4.Port, addr.Port())
	}
}

// Reuse is NewEndpoint that fills spare, an Endpoint that nobody else has yet,
// unless that is nil. It is what wireguard.Config.Sock wants.
func Reuse(spare any, addr netip.AddrPort) any {
	e, _ := spare.(*Endpoint)
	if e == nil {
		e = new(Endpoint)
	}
	if addr.IsValid() {
		e.Set(addr)
	}
	return e
}

// Addr returns the address and port. Its zone, if any, is an interface index in
// decimal, as in Bundle.Src: the two compare.
func (e *Endpoint) Addr() netip.AddrPort { return e.addr }

// String returns the address and port.
func (e *Endpoint) String() string { return e.addr.String() }

// sockaddr returns the address for a socket of the given family; ok is false
// for an IPv6 address and an IPv4 socket.
func (e *Endpoint) sockaddr(v6 bool) (p *byte, n uint32, ok bool) {
	if v6 {
		return (*byte)(unsafe.Pointer(&e.sa6)), unix.SizeofSockaddrInet6, true
	}
	return (*byte)(unsafe.Pointer(&e.sa4)), unix.SizeofSockaddrInet4, e.sa4.Family != 0
}

// putPort and getPort convert a port number from and to network order.
func putPort(p *uint16, v uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(p))[:], v)
}

func getPort(p *uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(p))[:])
}
