package hostnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/engine/underlay/xdp"
)

// Resolver asks the kernel of one network namespace what it would do with a
// datagram: its addresses, routes and neighbours. One goroutine at a time.
type Resolver struct{ nl *netlink.Handle }

// NewResolver returns a resolver for the calling thread's namespace.
func NewResolver() (*Resolver, error) {
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("hostnet: netlink: %w", err)
	}
	return &Resolver{nl}, nil
}

// Close frees the sockets.
func (r *Resolver) Close() { r.nl.Close() }

// Addrs returns the addresses to which datagrams can come from elsewhere: all of
// the machine's but loopback and link-local ones; if only is valid and not
// unspecified, at most that one.
func (r *Resolver) Addrs(only netip.Addr) (out []netip.Addr, err error) {
	list, err := r.nl.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("hostnet: addresses: %w", err)
	}
	for _, a := range list {
		ip, ok := netip.AddrFromSlice(a.IP)
		if ip = ip.Unmap(); !ok || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
			continue
		}
		if !only.IsValid() || only.IsUnspecified() || only == ip {
			out = append(out, ip)
		}
	}
	return out, nil
}

// usable are the states of a neighbour whose MAC address the kernel would send to.
const usable = netlink.NUD_REACHABLE | netlink.NUD_STALE | netlink.NUD_DELAY | netlink.NUD_PROBE |
	netlink.NUD_NOARP | netlink.NUD_PERMANENT

// fixed are the states in which the kernel does not ask whether the neighbour is
// there. It must not be told that such a one is in use: that would make it an
// ordinary one, of no state.
const fixed = netlink.NUD_NOARP | netlink.NUD_PERMANENT

// neighbour names an entry of the kernel's neighbour tables.
type neighbour struct {
	link int
	addr netip.Addr
}

// entry is what the kernel knows of a neighbour.
type entry struct {
	mac   [6]byte
	fixed bool
}

// Hops returns the ways to dsts that leave by one of the devices and whose next
// hop's MAC address is known, sent from the address src or, when that is
// unspecified, from the kernel's choice; destinations without one are left out.
// Duplicates and addresses with zones are too.
//
// It also tells the kernel that each next hop is in use, as sending to it would:
// so the kernel finds out those that it does not know, and keeps asking the others
// whether they are there and still have the same MAC address.
func (r *Resolver) Hops(devices []string, src netip.Addr, dsts []netip.Addr) ([]xdp.Hop, error) {
	places := map[int]int{}
	known := map[neighbour]entry{}
	var errs []error
	for i, name := range devices {
		link, err := r.nl.LinkByName(name)
		if errors.As(err, new(netlink.LinkNotFoundError)) {
			continue
		}
		if err == nil {
			places[link.Attrs().Index] = i
			err = r.neighbours(link.Attrs().Index, known)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("hostnet: %s: %w", name, err))
		}
	}
	var hops []xdp.Hop
	seen := map[netip.Addr]bool{}
	used := map[neighbour]bool{}
	for _, dst := range dsts {
		if dst = dst.Unmap(); seen[dst] || !dst.IsValid() || dst.Zone() != "" {
			continue
		}
		seen[dst] = true
		h, at, ok := r.route(places, src, dst)
		if !ok {
			continue
		}
		e, found := known[at]
		if !e.fixed && !used[at] {
			used[at] = true
			if err := r.use(at); err != nil {
				errs = append(errs, fmt.Errorf("hostnet: neighbour %v: %w", at.addr, err))
			}
		}
		if found {
			h.MAC = e.mac
			hops = append(hops, h)
		}
	}
	return hops, errors.Join(errs...)
}

// neighbours adds the usable entries of a device to known.
func (r *Resolver) neighbours(link int, known map[neighbour]entry) error {
	for _, family := range []int{netlink.FAMILY_V4, netlink.FAMILY_V6} {
		list, err := r.nl.NeighList(link, family)
		if err != nil {
			return fmt.Errorf("neighbours: %w", err)
		}
		for _, n := range list {
			ip, ok := netip.AddrFromSlice(n.IP)
			if ok && n.State&usable != 0 && len(n.HardwareAddr) == 6 {
				known[neighbour{link, ip.Unmap()}] = entry{[6]byte(n.HardwareAddr), n.State&fixed != 0}
			}
		}
	}
	return nil
}

// route asks for the kernel's route to dst; ok is false when it does not leave by
// one of the devices, or not in a way that a frame of ours could.
func (r *Resolver) route(places map[int]int, src, dst netip.Addr) (h xdp.Hop, at neighbour, ok bool) {
	opts := &netlink.RouteGetOptions{}
	bound := src.IsValid() && !src.IsUnspecified()
	if bound {
		if src.Is4() != dst.Is4() {
			return h, at, false
		}
		opts.SrcAddr = src.AsSlice()
	}
	// An error is the kernel's "no route", which is an answer.
	list, err := r.nl.RouteGetWithOptions(net.IP(dst.AsSlice()), opts)
	if err != nil || len(list) != 1 {
		return h, at, false
	}
	rt := &list[0]
	place, mine := places[rt.LinkIndex]
	if !mine || rt.Type != unix.RTN_UNICAST || rt.Encap != nil || rt.Via != nil {
		return h, at, false
	}
	h = xdp.Hop{Dst: dst, Src: src, Device: place}
	if !bound {
		from, ok := netip.AddrFromSlice(rt.Src)
		if h.Src = from.Unmap(); !ok {
			return h, at, false
		}
	}
	at = neighbour{rt.LinkIndex, dst}
	if len(rt.Gw) != 0 {
		gw, ok := netip.AddrFromSlice(rt.Gw)
		if at.addr = gw.Unmap(); !ok {
			return h, at, false
		}
	}
	return h, at, h.Src.Is4() == dst.Is4()
}

// use tells the kernel that a neighbour is in use.
func (r *Resolver) use(at neighbour) error {
	return r.nl.NeighSet(&netlink.Neigh{
		LinkIndex: at.link, IP: at.addr.AsSlice(), Flags: netlink.NTF_USE,
	})
}
