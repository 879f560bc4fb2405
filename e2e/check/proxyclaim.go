package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/lab"
)

// ProxyDefended is the result of Bench.ProxyDefended.
type ProxyDefended struct {
	Defended int `json:"defended"` // probes that were told of the owner
	Passed   int `json:"passed"`   // probes of the owner itself, which were not
}

// ProxyDefended lets a host ask, as one that has no address yet, whether an address
// of a host of the other leaf is free: it must be told that it is not (RFC 5227 for
// IPv4, duplicate address detection for IPv6). The owner's own question must not be
// answered, or it would give its address up.
func (b *Bench) ProxyDefended(ctx context.Context) (r ProxyDefended, err error) {
	hosts := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	a1, b1 := hosts[0], hosts[1]
	e, err := b.listen(a1.Name, b1.Name)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	for _, p := range b1.Host.Addresses {
		told := func(f frame) bool {
			w, _ := wordOf(f.data)
			return !f.out && w.Sender == p.Addr() && w.MAC == b1.Host.MAC && (w.Says || p.Addr().Is4())
		}
		if err := b.say(a1, question(a1, p.Addr(), netip.Addr{})); err != nil {
			return r, err
		}
		if _, ok := e.taps[0].first(3*time.Second, told); !ok {
			return r, fmt.Errorf("%s was not told that %v is taken", a1.Name, p.Addr())
		}
		r.Defended++
		if e.heard(1, p.Addr()) > 0 {
			return r, fmt.Errorf("%s heard the question about %v", b1.Name, p.Addr())
		}
		if err := b.say(b1, question(b1, p.Addr(), netip.Addr{})); err != nil {
			return r, err
		}
		if _, ok := e.taps[1].first(500*time.Millisecond, told); ok {
			return r, fmt.Errorf("%s was told that its own address %v is taken", b1.Name, p.Addr())
		}
		r.Passed++
	}
	return r, nil
}

// ProxySpoofed is the result of Bench.ProxySpoofed.
type ProxySpoofed struct {
	Disputed uint64 `json:"disputed"` // claims that the owner denied
	Lies     uint64 `json:"lies"`     // messages in the name of another MAC
	Line     string `json:"line"`     // of the owner in `ztosctl show arp`
}

// ProxySpoofed lets the third host, at another port of the first host's leaf, claim
// the first host's IPv4 address, with its own MAC and in the name of the first
// host's. Both must be refused and counted, and the other leaf go on as before.
func (b *Bench) ProxySpoofed(ctx context.Context) (r ProxySpoofed, err error) {
	hosts := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	a1, b1, a2 := hosts[0], hosts[1], hosts[2]
	leaf, far := a1.Host.Port.Node, b1.Host.Port.Node
	before, err := b.proxyCounts(ctx, leaf)
	if err != nil {
		return r, err
	}
	ip := addr(a1, false)
	lie := gratuitousARP(a1.Host.MAC, ip)
	a2.Host.MAC.Put(lie[6:])
	if err := b.say(a2, gratuitousARP(a2.Host.MAC, ip), lie); err != nil {
		return r, err
	}
	err = eventually(ctx, proxyMost, func() error {
		now, err := b.proxyCounts(ctx, leaf)
		if err != nil {
			return err
		}
		r.Disputed, r.Lies = now["disputed"]-before["disputed"], now["lies"]-before["lies"]
		if r.Disputed == 0 || r.Lies == 0 {
			return fmt.Errorf("%s counts %d disputed claims and %d lies, want some of both", leaf, r.Disputed, r.Lies)
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	// Hosts that heard the claim believe it: that is theirs. The leaves do not.
	for _, l := range []string{far, leaf} {
		if r.Line, err = b.awaitNeighbour(ctx, l, b.neighbourOf(l, a1, ip)); err != nil {
			return r, err
		}
	}
	return r, nil
}

// ProxyLimited is the result of Bench.ProxyLimited.
type ProxyLimited struct {
	Claimed int    `json:"claimed"`
	Taken   int    `json:"taken"`
	Full    uint64 `json:"full"` // claims refused
}

// spares are addresses that a host claims beside its own.
func spares() (out []netip.Addr) {
	for i := range 8 {
		out = append(out, netip.AddrFrom4([4]byte{10, 1, 0, byte(100 + i)}))
	}
	return out
}

// ProxyLimited lets a host claim more addresses than `port-binding-limit` has room
// for: no more may be taken, shown and announced, and the rest is counted. In the
// end a flush of the port's MACs takes them away.
func (b *Bench) ProxyLimited(ctx context.Context) (r ProxyLimited, err error) {
	hosts := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	a2, far := hosts[2], hosts[1].Host.Port.Node
	leaf, dev := a2.Host.Port.Node, a2.Host.Port.Dev
	defer func() {
		bg := context.WithoutCancel(ctx)
		_, flushErr := b.ctl(bg, leaf, "fdb", "flush", "--port", dev)
		err = errors.Join(err, b.unedit(bg, leaf), flushErr)
		if err == nil {
			_, err = b.rejoin(bg, a2)
		}
	}()
	before, err := b.proxyCounts(ctx, leaf)
	if err != nil {
		return r, err
	}
	if _, err := b.rejoin(ctx, a2); err != nil {
		return r, err
	}
	own, err := b.boundAt(ctx, leaf, dev)
	if err != nil {
		return r, err
	}
	limit := own + 2
	if err := b.edit(ctx, leaf, func(c *config.Node) error {
		c.BridgeDomains[0].PortBindingLimit = uint32(limit)
		return nil
	}); err != nil {
		return r, err
	}
	var frames [][]byte
	for _, a := range spares() {
		frames = append(frames, gratuitousARP(a2.Host.MAC, a))
	}
	r.Claimed = len(frames)
	if err := b.say(a2, frames...); err != nil {
		return r, err
	}
	err = eventually(ctx, proxyMost, func() error {
		now, err := b.proxyCounts(ctx, leaf)
		if err != nil {
			return err
		}
		if r.Full = now["full"] - before["full"]; r.Full < uint64(r.Claimed-2) {
			return fmt.Errorf("%d claims of %d were refused at a limit of two more", r.Full, r.Claimed)
		}
		return nil
	})
	if err != nil {
		return r, err
	}
	at, err := b.boundAt(ctx, leaf, dev)
	if err != nil {
		return r, err
	}
	if at > limit {
		return r, fmt.Errorf("%d addresses at a port of at most %d", at, limit)
	}
	// An address that the host's kernel made and said meanwhile takes room too.
	if r.Taken, err = b.sparesAt(ctx, leaf); err != nil {
		return r, err
	}
	if r.Taken == 0 || r.Full < uint64(r.Claimed-r.Taken) {
		return r, fmt.Errorf("of %d claims %d were taken and %d refused", r.Claimed, r.Taken, r.Full)
	}
	return r, eventually(ctx, proxyMost, func() error {
		n, err := b.sparesAt(ctx, far)
		if err == nil && n != r.Taken {
			err = fmt.Errorf("%s was told of %d of the addresses, %s took %d", far, n, leaf, r.Taken)
		}
		return err
	})
}

// sparesAt counts the spare addresses that a leaf shows.
func (b *Bench) sparesAt(ctx context.Context, leaf string) (n int, err error) {
	list, err := b.neighbours(ctx, leaf, netip.IPv4Unspecified())
	for _, x := range list {
		if slices.Contains(spares(), x.Address) {
			n++
		}
	}
	return n, err
}

// boundAt counts the addresses that a leaf shows at a port, of both families.
func (b *Bench) boundAt(ctx context.Context, leaf, dev string) (n int, err error) {
	for _, a := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		list, err := b.neighbours(ctx, leaf, a)
		if err != nil {
			return 0, err
		}
		for _, x := range list {
			if x.Port == dev {
				n++
			}
		}
	}
	return n, nil
}

// rejoin lets a host say who it is, and waits until its leaf and the others know.
func (b *Bench) rejoin(ctx context.Context, h *lab.Node) (lines []string, err error) {
	for _, p := range h.Host.Addresses {
		f := gratuitousARP(h.Host.MAC, p.Addr())
		if p.Addr().Is6() {
			f = advertisement(h.Host.MAC, p.Addr())
		}
		if err := b.say(h, f); err != nil {
			return lines, err
		}
		for _, leaf := range b.kind(lab.Leaf) {
			line, err := b.awaitNeighbour(ctx, leaf, b.neighbourOf(leaf, h, p.Addr()))
			if err != nil {
				return lines, err
			}
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// advertisement returns the frame by which a host says, unasked, where its IPv6
// address is.
func advertisement(mac table.MAC, ip netip.Addr) []byte {
	var own [6]byte
	mac.Put(own[:])
	f := make([]byte, wire.EthernetLen+wire.NDSolicitLen)
	wire.Ethernet(f).Put([]byte{0x33, 0x33, 0, 0, 0, 1}, own[:], wire.TypeIPv6)
	a := wire.AddrFrom(ip)
	wire.IPv6(f[wire.EthernetLen:]).PutNeighbourAdvert(a, wire.Addr{Hi: 0xff02 << 48, Lo: 1}, a, own[:], false, false)
	return f
}

// ProxyDuplicate is the result of Bench.ProxyDuplicate.
type ProxyDuplicate struct {
	Changes int    `json:"changes"` // of the address, until it was a duplicate
	Line    string `json:"line"`    // of `ztosctl show duplicates`
}

// ProxyDuplicate lets hosts of both leaves claim one address in turn. Both leaves
// must find a duplicate, show it, and answer nobody's question about it, until it is
// released by command.
func (b *Bench) ProxyDuplicate(ctx context.Context) (r ProxyDuplicate, err error) {
	tenant := b.Topo.Tenants[0]
	hosts := b.Topo.Hosts(tenant.Name)
	ip := netip.MustParseAddr("10.1.0.120")
	claimants := []*lab.Node{hosts[2], hosts[3]}
	a1, b1 := hosts[0], hosts[1]
	leaves := []string{a1.Host.Port.Node, b1.Host.Port.Node}
	vni := fmt.Sprint(tenant.VNI)
	for ; r.Line == "" && r.Changes < 10; r.Changes++ {
		h := claimants[r.Changes%2]
		if err := b.say(h, gratuitousARP(h.Host.MAC, ip)); err != nil {
			return r, err
		}
		// Until both leaves have followed, or hold it.
		for _, leaf := range leaves {
			if err := eventually(ctx, proxyMost, func() error {
				list, err := b.neighbours(ctx, leaf, ip)
				if err != nil {
					return err
				}
				for _, n := range list {
					if n.Address == ip && (n.MAC == h.Host.MAC.String() || n.State == "duplicate") {
						return nil
					}
				}
				if r.Line, err = b.duplicateLine(ctx, leaf, ip); err != nil || r.Line != "" {
					return err
				}
				return fmt.Errorf("%s does not follow claim %d to %v: %+v", leaf, r.Changes+1, ip, list)
			}); err != nil {
				return r, err
			}
		}
		if r.Line, err = b.duplicateLine(ctx, leaves[0], ip); err != nil {
			return r, err
		}
	}
	for _, leaf := range leaves {
		if err := eventually(ctx, proxyMost, func() error {
			r.Line, err = b.duplicateLine(ctx, leaf, ip)
			if err == nil && r.Line == "" {
				err = fmt.Errorf("%s shows no duplicate of %v after %d claims", leaf, ip, r.Changes)
			}
			return err
		}); err != nil {
			return r, err
		}
	}
	e, err := b.listen(b1.Name)
	if err != nil {
		return r, err
	}
	askErr := b.askUntil(ctx, a1, ip, func() bool { return e.heard(0, ip) > 0 })
	if err := errors.Join(askErr, e.close()); err != nil {
		return r, fmt.Errorf("a question about a duplicate is to be flooded: %w", err)
	}
	for _, leaf := range leaves {
		if _, err := b.ctl(ctx, leaf, "evpn", "release", vni, ip.String()); err != nil {
			return r, err
		}
		line, err := b.duplicateLine(ctx, leaf, ip)
		if err == nil && line != "" {
			err = fmt.Errorf("%s was told to release it and shows %q", leaf, line)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// duplicateLine returns the line of a leaf's `show duplicates` of an address; empty
// without one.
func (b *Bench) duplicateLine(ctx context.Context, leaf string, ip netip.Addr) (string, error) {
	text, err := b.ctl(ctx, leaf, "show", "duplicates")
	for line := range strings.Lines(text) {
		if slices.Contains(strings.Fields(line), ip.String()) {
			return strings.TrimSpace(line), err
		}
	}
	return "", err
}
