package control

import (
	"cmp"
	"slices"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/l2/mtu"
	"github.com/ztos/ztos/wireguard"
)

// Status says what the node is.
func (n *Node) Status() status.Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	u := n.mux.Status()
	s := status.Node{
		Name: n.cfg.Self.Name, Roles: n.cfg.Self.Roles,
		Address: n.cfg.Self.Address, Address6: n.cfg.Self.Address6,
		Version: n.version, Uptime: config.Duration(time.Since(n.began)),
		Generation: n.applied, ConfigAge: config.Duration(time.Since(n.appliedAt)), ConfigFile: n.path,
		GSO: u.GSO, GRO: u.GRO,
	}
	n.blocksMu.Lock()
	defer n.blocksMu.Unlock()
	for _, b := range n.blocks {
		s.Workers = append(s.Workers, status.Worker{Name: b.worker, Faults: b.block.Drops(counter.WorkerFault)})
	}
	slices.SortFunc(s.Workers, func(a, b status.Worker) int { return cmp.Compare(a.Name, b.Name) })
	return s
}

// Ports returns the tenant ports in the configuration's order.
func (n *Node) Ports() []status.Port {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []status.Port
	for i := range n.cfg.Ports {
		c := &n.cfg.Ports[i]
		p := n.ports[c.Name]
		st := p.device.Status()
		s := status.Port{
			Name: c.Name, Kind: c.Kind, Device: c.Device,
			Present: st.Present, Up: st.Up, MTU: st.MTU, MAC: macOf(st.MAC),
			Owned:  c.Own || c.Kind == config.TAP,
			Queues: p.device.Queues(), Detail: st.Detail, Driver: st.Driver, Note: st.Note,
			RxFrames: p.counts.RxFrames.Load(), RxBytes: p.counts.RxBytes.Load(),
			TxFrames: p.counts.TxFrames.Load(), TxBytes: p.counts.TxBytes.Load(),
			TxRefused: p.counts.TxRefused.Load(),
		}
		for q := range p.device.Queues() {
			s.RxDropped += p.device.Rx(q).Dropped()
		}
		for _, d := range n.sortedDomains() {
			for _, a := range d.cfg.Attach {
				if a.Port == c.Name {
					s.Circuits = append(s.Circuits, status.Circuit{VNI: d.cfg.VNI, VLAN: a.VLAN, InnerVLAN: a.InnerVLAN, All: a.All})
				}
			}
		}
		s.MACs = n.macsOn(c.Name)
		out = append(out, s)
	}
	return out
}

// Peers returns the underlay neighbours in the configuration's order.
func (n *Node) Peers() []status.Peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	var out []status.Peer
	for i := range n.cfg.Peers {
		c := &n.cfg.Peers[i]
		p := n.peers[c.Name]
		s := status.Peer{
			Name: c.Name, Carrier: c.Carrier, PublicKey: c.PublicKey, Endpoint: c.Endpoint, AllowedIPs: c.AllowedIPs,
			RxPackets: p.counts.RxPackets.Load(), RxBytes: p.counts.RxBytes.Load(),
			TxPackets: p.counts.TxPackets.Load(), TxBytes: p.counts.TxBytes.Load(),
			Transit: p.counts.Transit.Load(),
		}
		if p.wg != nil {
			n.describe(&s, p.wg, now)
		}
		out = append(out, s)
	}
	return out
}

func (n *Node) describe(s *status.Peer, p *wireguard.Peer, now int64) {
	st, ok := n.wg.Status(now, p.PublicKey())
	if !ok {
		return
	}
	s.Endpoint = st.Endpoint
	switch {
	case st.Liveness.Interval == 0:
		s.Liveness = status.LivenessOff
	case st.Up:
		s.Liveness = status.LivenessUp
	default:
		s.Liveness = status.LivenessDown
	}
	s.HasSession = p.Usable(now) || p.Withheld() && p.Session() != nil && !p.Session().Expired(now)
	if st.SessionSince != 0 {
		s.SessionAge = config.Duration(now - st.SessionSince)
	}
	if st.LastHandshake != 0 {
		s.HasHandshake = true
		s.HandshakeAge = config.Duration(now - st.LastHandshake)
	}
}

// Drops returns what each worker dropped, by reason. Only what occurred.
func (n *Node) Drops() []status.Drop {
	n.blocksMu.Lock()
	defer n.blocksMu.Unlock()
	var out []status.Drop
	for _, b := range n.blocks {
		for r := counter.None + 1; int(r) < counter.NumReasons; r++ {
			if c := b.block.Drops(r); c > 0 {
				out = append(out, status.Drop{Worker: b.worker, Reason: r, Count: c})
			}
		}
	}
	for _, m := range []*underlay.Mux{n.mux, n.plain} {
		if m == nil {
			continue
		}
		if st := m.Status(); st.Truncated > 0 {
			out = append(out, status.Drop{Worker: "underlay", Reason: counter.UnderlayTruncated, Count: st.Truncated})
		}
	}
	return out
}

// MTUs returns what fits through each VNI.
func (n *Node) MTUs() []status.MTU {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []status.MTU
	reach := n.cfg.Reach()
	for _, d := range n.sortedDomains() {
		s := stack(n.cfg, &d.cfg, reach)
		m := status.MTU{
			VNI: d.cfg.VNI, Name: d.cfg.Name, UnderlayMTU: s.UnderlayMTU,
			Cap: d.cfg.MTU, TenantMTU: d.domain.TenantMTU,
		}
		add := func(name string, on bool, bytes int) {
			if on {
				m.Layers = append(m.Layers, status.Layer{Name: name, Bytes: bytes})
			}
		}
		ip := func(v6 bool) int {
			if v6 {
				return mtu.IPv6
			}
			return mtu.IPv4
		}
		add("wireguard", s.WireGuard, ip(s.UnderlayIPv6)+mtu.UDP+mtu.WireGuard)
		add("vxlan", true, ip(s.VTEPIPv6)+mtu.UDP+mtu.VXLAN)
		add("ethernet", true, mtu.Ethernet)
		add("macsec", s.MACsec, mtu.MACsec)
		add("hidden", s.MACsec && s.Hidden, mtu.Hidden)
		add("tenant-tags", s.Tags > 0, s.Tags*mtu.Tag)
		out = append(out, m)
	}
	return out
}
