package control

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// since returns how long ago a moment of the node's clock was.
func (n *Node) since(at int64) config.Duration { return config.Duration(max(n.now()-at, 0)) }

// EVPN says what EVPN has made of what peers announce.
func (n *Node) EVPN() status.EVPN {
	n.mu.Lock()
	if n.overlay == nil {
		n.mu.Unlock()
		return status.EVPN{}
	}
	var fdbs []*l2.FDB
	e := status.EVPN{Enabled: true, VTEP: n.cfg.Self.Address}
	e.Routes, e.Paths = n.overlay.Routes()
	for _, d := range n.overlay.Domains() {
		s := status.EVPNDomain{VNI: d.VNI, Name: d.Name, RD: d.RD.String(), VTEPs: d.Flood}
		for _, i := range d.Import {
			s.Import = append(s.Import, i.String())
		}
		for _, x := range d.Export {
			s.Export = append(s.Export, x.String())
		}
		s.Suppression = n.suppression(d.VNI)
		fdbs = append(fdbs, n.learner.FDB(d.VNI))
		e.Domains = append(e.Domains, s)
	}
	e.Segments, e.Groups = n.showSegments()
	for _, r := range n.overlay.Refusals() {
		e.Refusals = append(e.Refusals, status.EVPNRefusal{
			VTEP: r.VTEP, VNI: r.VNI, Reason: r.Reason, Count: r.Count, Route: r.Route, Age: n.since(r.Last),
		})
	}
	n.mu.Unlock()
	// An FDB is for any goroutine, and may hold a million MACs.
	for i, f := range fdbs {
		e.Domains[i].Local, e.Domains[i].Remote = places(f)
	}
	return e
}

// places counts the MACs of an FDB: at circuits, and behind other nodes.
func places(f *l2.FDB) (local, remote int) {
	for e := range f.All() {
		switch e.Dest.Kind {
		case l2.DestLocal:
			local++
		case l2.DestVTEP, l2.DestGroup:
			remote++
		}
	}
	return local, remote
}

// Moves returns the last moves, duplicates and releases, the oldest first.
func (n *Node) Moves() []status.Move {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.overlay == nil {
		return nil
	}
	var out []status.Move
	for _, e := range n.overlay.Moves() {
		m := status.Move{
			Kind: e.Kind.String(), Age: n.since(e.Time), VNI: e.VNI, MAC: e.MAC, From: e.From, To: e.To,
			Port: n.portOf(e.VNI, e.Port), Address: e.IP,
		}
		if e.Kind == evpn.EventMoved {
			m.Seq = e.Seq
		}
		out = append(out, m)
	}
	return out
}

// portOf names the port of a circuit; empty when it is gone.
func (n *Node) portOf(vni table.VNI, circuit uint32) string {
	d := n.domains[vni]
	if d == nil || circuit == 0 {
		return ""
	}
	return n.places(d)[l2.Local(table.ACID(circuit))].Port
}

// Duplicates returns the MACs in quarantine, the oldest first, then the addresses.
func (n *Node) Duplicates() []status.Duplicate {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.overlay == nil {
		return nil
	}
	var out []status.Duplicate
	for _, d := range n.overlay.Duplicates() {
		s := status.Duplicate{VNI: d.VNI, MAC: d.MAC, Keeper: d.Keeper, Newcomer: d.Newcomer, Age: n.since(d.Since)}
		if d.Until > 0 {
			s.Left = config.Duration(max(d.Until-n.now(), int64(time.Millisecond)))
		}
		out = append(out, s)
	}
	for _, d := range n.overlay.DuplicateAddresses() {
		out = append(out, status.Duplicate{
			VNI: d.VNI, MAC: d.MAC, Address: d.IP, Left: config.Duration(max(d.Until-n.now(), int64(time.Millisecond))),
		})
	}
	return out
}

// ReleaseAddress ends the quarantine of an address and reports whether it was in
// one.
func (n *Node) ReleaseAddress(vni table.VNI, ip netip.Addr) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.overlay == nil || !n.overlay.ReleaseAddress(vni, ip) {
		return false
	}
	n.poke()
	return true
}

// ReleaseDuplicate ends the quarantine of a MAC and reports whether it was in one.
func (n *Node) ReleaseDuplicate(vni table.VNI, mac table.MAC) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.overlay == nil || !n.overlay.Release(vni, mac) {
		return false
	}
	n.poke()
	return true
}

// BGP returns the node's sessions in the configuration's order.
func (n *Node) BGP() status.BGP {
	n.mu.Lock()
	cfg, service, outside := n.cfg.BGP, n.bgp, n.externalPeers()
	vrfs, links := n.externalVRFs(), n.linkLocals(n.cfg).peers
	n.mu.Unlock()
	var out status.BGP
	if cfg != nil && service != nil {
		out = n.fabricBGP(cfg, service, links)
	}
	out.Enabled = out.Enabled || len(outside) > 0
	out.External = vrfs
	for _, e := range outside {
		out.Peers = append(out.Peers, e.peers()...)
	}
	return out
}

// fabricBGP is BGP within the fabric; links are the link-local addresses of peers.
func (n *Node) fabricBGP(cfg *config.BGP, service *bgpService, links map[string]netip.Addr) status.BGP {
	out := status.BGP{Enabled: true, AS: cfg.ASN, RouterID: cfg.RouterID}
	// Not under the lock: the speaker may be busy with a full table.
	sessions, err := service.status()
	if err != nil {
		n.log.Warn("BGP status", "err", err)
	}
	for i := range cfg.Neighbors {
		p := &cfg.Neighbors[i]
		s := status.BGPPeer{Name: p.Name, Address: p.Address, AS: p.ASN, Client: cfg.Client(p), State: "unknown"}
		if p.Peer != "" {
			s.Address = links[p.Peer]
		}
		if j := slices.IndexFunc(sessions, func(x bgp.Status) bool { return x.Name == p.Name }); j >= 0 {
			describeSession(&s, &sessions[j])
		}
		out.Peers = append(out.Peers, s)
	}
	return out
}

func describeSession(s *status.BGPPeer, x *bgp.Status) {
	s.State, s.Error = x.State, x.LastError
	if x.Disabled {
		s.State = "too-many-routes"
	}
	if !x.Since.IsZero() {
		s.Age = config.Duration(max(time.Since(x.Since), 0))
	}
	s.RxMessages, s.TxMessages = x.Received.Total, x.Sent.Total
	for _, f := range x.Families {
		if f.AFI != bgp.RTInterest {
			s.Received, s.Advertised = f.Received, f.Advertised
		}
	}
	s.Ignored = x.Relay.Counts.Total
}
