package control

import (
	"net/netip"
	"time"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/control/overlay"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/l2/proxy"
	"github.com/ztos/ztos/l3"
)

// proxyMAC returns the MAC from which the leaf at VTEP a asks its hosts: another for
// every leaf, so that none takes another's answers.
func proxyMAC(a netip.Addr) table.MAC {
	return 0x025d<<32 | l3.DefaultRouterMAC(a)&0xffffffff
}

// circuitOf returns the circuit at which the FDB has a MAC.
func (n *Node) circuitOf(vni table.VNI, mac table.MAC) (table.ACID, bool) {
	e, ok := overlayTables{n: n}.Entry(vni, mac)
	return table.ACID(e.Dest.ID), ok && e.Dest.Kind == l2.DestLocal && !e.Frozen
}

// prepareProxy plans the proxy of a bridge domain that is made anew.
func (n *Node) prepareProxy(p *plan, self netip.Addr, d *domainState) {
	bd := d.cfg
	if !bd.Suppress || n.overlay == nil {
		p.commit = append(p.commit, func() { n.proxy.RemoveDomain(bd.VNI) })
		return
	}
	mac := proxyMAC(self)
	c := proxy.Config{
		VNI: bd.VNI, Drop: bd.SuppressUnknown == config.UnknownDrop, Ageing: int64(bd.Ageing.D()),
		Limit: int(bd.BindingLimit), PortLimit: int(bd.PortBindingLimit),
		Circuits: map[table.ACID]table.PortID{}, Statics: map[netip.Addr]table.MAC{},
		MAC: mac, LinkLocal: l3.LinkLocal(mac),
	}
	for _, s := range bd.StaticNeighbours {
		c.Statics[s.Address] = s.MAC
	}
	d.domain.Proxy = n.proxy.Prepare(c)
	public := d.domain.Proxy
	p.commit = append(p.commit, func() {
		for _, a := range bd.Attach {
			c.Circuits[handle(n.ids.acs, acKey{bd.VNI, a.Port, a.VLAN, a.InnerVLAN, a.All})] = p.ports[a.Port].id
		}
		if n.proxy.SetDomain(c, public) {
			n.overlay.EachNeighbour(bd.VNI, n.proxyRemote)
		}
		n.publishProxy()
	})
}

// proxyNeighbours hands what EVPN says of addresses on to the proxy.
type proxyNeighbours struct{ n *Node }

// Remote implements overlay.Neighbours.
func (p proxyNeighbours) Remote(list []evpn.NeighbourChange) {
	for i := range list {
		p.n.proxyRemote(list[i])
	}
}

// Hold implements overlay.Neighbours.
func (p proxyNeighbours) Hold(vni table.VNI, ip netip.Addr, on bool) { p.n.proxy.Hold(vni, ip, on) }

func (n *Node) proxyRemote(c evpn.NeighbourChange) {
	n.proxy.Remote(proxy.Remote{
		VNI: c.VNI, Addr: c.IP, Remove: c.Remove, MAC: c.MAC,
		Router: c.Bits&evpn.NeighbourRouter != 0, Immutable: c.Bits&evpn.NeighbourImmutable != 0,
	})
}

// followMACs tells the proxy which MACs left their circuits.
func (n *Node) followMACs(changes []l2.Change) {
	for i := range changes {
		c := &changes[i]
		switch {
		case c.From.Kind != l2.DestLocal || c.Kind == l2.MoveRefused:
		case c.To.Kind == l2.DestLocal:
			n.proxy.Moved(c.VNI, c.MAC, table.ACID(c.To.ID))
		default:
			n.proxy.Lost(c.VNI, c.MAC)
		}
	}
}

// proxyWork works what workers heard of hosts, asks hosts, and announces who has
// which address. It shortens next to when it wants to be called again.
func (n *Node) proxyWork(next time.Duration) time.Duration {
	if n.overlay == nil || n.env.Proxied == nil {
		return next
	}
	now := n.now()
	for {
		k := n.env.Proxied.Pop(n.proxied[:])
		if k > 0 {
			n.learn() // the sightings of these frames: they were reported first
		}
		for _, ev := range n.proxied[:k] {
			n.proxy.Work(ev, now)
		}
		if k < len(n.proxied) {
			break
		}
	}
	probes, at := n.proxy.Tick(now)
	for _, p := range probes {
		n.proxyAsks(p)
	}
	for _, c := range n.proxy.TakeChanges() {
		n.bindingChanged(&c, now)
	}
	if at != 0 {
		next = min(next, max(time.Duration(at-now), time.Millisecond))
	}
	return next
}

// settleProxy withdraws what EVPN has just taken from hosts here, in a batch of its
// own after that of out: when such a host claims the address again, the others must
// see a new route, not the one that they have.
func (n *Node) settleProxy(out overlay.Outcome) overlay.Outcome {
	if n.overlay == nil {
		return out
	}
	if changes := n.proxy.TakeChanges(); len(changes) > 0 {
		now := n.now()
		for i := range changes {
			n.bindingChanged(&changes[i], now)
		}
		more := n.overlay.Apply()
		n.guard(more.Members)
		out.Routes = append(out.Routes, more.Routes...)
		if more.Interest != nil {
			out.Interest = more.Interest
		}
	}
	n.publishProxy()
	return out
}

// publishProxy makes what the proxy knows what workers see.
func (n *Node) publishProxy() {
	if err := n.proxy.Publish(); err != nil {
		n.log.Error("bindings not published", "err", err)
	}
}

// proxyAsks sends a question to a host.
func (n *Node) proxyAsks(p proxy.Probe) {
	d := n.domains[p.VNI]
	if d == nil || d.domain.Proxy == nil {
		return
	}
	var b [proxy.MaxReply]byte
	if size := d.domain.Proxy.Ask(b[:], p.Addr, p.MAC); !n.env.Punts.Send(p.VNI, b[:size]) {
		n.log.Debug("the slow path is full: a host was not asked", "vni", p.VNI, "ip", p.Addr)
	}
}

// refusedKey tells claims apart that were not taken.
type refusedKey struct {
	vni  table.VNI
	kind proxy.ChangeKind
}

// sayEvery is how often a refusal of a kind that goes on is logged for a VNI, ns.
const sayEvery = int64(60e9)

// bindingChanged announces, withdraws, and reports.
func (n *Node) bindingChanged(c *proxy.Change, now int64) {
	switch c.Kind {
	case proxy.Bound:
		if !n.overlay.Bind(c.VNI, c.MAC, c.Addr, c.AC, c.Router) {
			n.log.Debug("EVPN did not take an address", "vni", c.VNI, "ip", c.Addr, "mac", c.MAC)
		}
		return
	case proxy.Unbound:
		n.overlay.Unbind(c.VNI, c.MAC, c.Addr)
		return
	}
	key := refusedKey{c.VNI, c.Kind}
	if last, ok := n.refused[key]; ok && now-last < sayEvery {
		return
	}
	n.refused[key] = now
	args := []any{"vni", c.VNI, "ip", c.Addr, "mac", c.MAC, "port", n.portOf(c.VNI, uint32(c.AC))}
	if c.Owner != 0 {
		args = append(args, "owner", c.Owner)
	}
	n.log.Warn("a host's claim to an address was refused: "+c.Kind.String(), args...)
}
