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
type Resolver struct {
	nl   *netlink.Handle
	ways map[netip.Addr]way // of the last Hops, by destination
	src  netip.Addr         // of the last Hops
	turn int                // how many destinations were asked for in turn
}

// way is the kernel's route to a destination.
type way struct {
	hop xdp.Hop // without the MAC address
	at  neighbour
	ok  bool // it leaves by one of the devices
}

// perCall is how many routes that are known already one call of Hops asks for
// again, in turn: with 1,000 destinations all of them would take it some 50 ms.
const perCall = 64

// NewResolver returns a resolver for the calling thread's namespace.
func NewResolver() (*Resolver, error) {
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("hostnet: netlink: %w", err)
	}
	return &Resolver{nl: nl}, nil
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
// Duplicates and addresses with zones are too. Of many destinations it asks for
// some routes each time (perCall), and for those that are new.
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
	if src != r.src {
		r.src, r.ways = src, nil
	}
	var hops []xdp.Hop
	ways := make(map[netip.Addr]way, len(dsts))
	used := map[neighbour]bool{}
	for i, dst := range dsts {
		if dst = dst.Unmap(); !dst.IsValid() || dst.Zone() != "" {
			continue
		}
		if _, twice := ways[dst]; twice {
			continue
		}
		w, have := r.ways[dst]
		place, mine := places[w.at.link]
		// In turn, new, or not of that device any more.
		ask := (i-r.turn%len(dsts)+len(dsts))%len(dsts) < perCall || !have || w.ok && (!mine || place != w.hop.Device)
		if ask {
			w.hop, w.at, w.ok = r.route(places, src, dst)
		}
		ways[dst] = w
		if !w.ok {
			continue
		}
		e, found := known[w.at]
		if !e.fixed && !used[w.at] && (ask || !found) {
			used[w.at] = true
			if err := r.use(w.at); err != nil {
				errs = append(errs, fmt.Errorf("hostnet: neighbour %v: %w", w.at.addr, err))
			}
		}
		if found {
			w.hop.MAC = e.mac
			hops = append(hops, w.hop)
		}
	}
	r.turn += perCall
	r.ways = ways
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
