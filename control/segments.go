package control

import (
	"fmt"
	"time"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/control/overlay"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// segmentEvery is how often the ports of segments are looked at: until a lost link
// is seen, other leaves go on to send here.
const segmentEvery = 20 * time.Millisecond

// segmentCell returns the cell of the segment behind a circuit, nil when its port
// leads to none. A new one is closed to all that comes from other nodes.
func (n *Node) segmentCell(cfg *config.Node, port string, at table.ACID) *l2.Segment {
	s := cfg.SegmentOf(port)
	if s == nil {
		return nil
	}
	c := n.segments[at]
	if c == nil {
		c = l2.NewSegment(l2.SegmentState{SingleActive: s.Mode == config.SingleActive})
		n.segments[at] = c
	}
	return c
}

// sameSegments reports whether the circuits of a bridge domain lead to segments as
// far as they did.
func sameSegments(cfg *config.Node, bd *config.BridgeDomain, old *domainState) bool {
	for j, ac := range old.domain.BD.ACs {
		if (ac.Segment != nil) != (cfg.SegmentOf(bd.Attach[j].Port) != nil) {
			return false
		}
	}
	return true
}

// setSegments tells EVPN of the segments of the configuration in force.
func (n *Node) setSegments() {
	var list []overlay.Segment
	for i := range n.cfg.EthernetSegments {
		s := &n.cfg.EthernetSegments[i]
		x := overlay.Segment{
			Name: s.Name, ESI: s.Identifier(), SingleActive: s.Mode == config.SingleActive, Circuits: map[table.VNI]table.ACID{},
		}
		for k := range n.cfg.BridgeDomains {
			bd := &n.cfg.BridgeDomains[k]
			for _, a := range bd.Attach {
				if a.Port == s.Port {
					x.Circuits[bd.VNI] = handle(n.ids.acs, acKey{bd.VNI, a.Port, a.VLAN, a.InnerVLAN, a.All})
				}
			}
		}
		list = append(list, x)
	}
	n.overlay.SetSegments(list)
}

// watchSegments tells EVPN which segments have a link. It shortens next to when it
// wants to be called again.
func (n *Node) watchSegments(next time.Duration) time.Duration {
	if n.overlay == nil || len(n.cfg.EthernetSegments) == 0 {
		return next
	}
	now := n.now()
	if now-n.segmentsSeen < int64(segmentEvery) {
		return min(next, segmentEvery)
	}
	n.segmentsSeen = now
	for i := range n.cfg.EthernetSegments {
		s := &n.cfg.EthernetSegments[i]
		if p := n.ports[s.Port]; p != nil {
			st := p.device.Status()
			n.overlay.SegmentLink(s.Identifier(), st.Present && st.Up)
		}
	}
	return min(next, segmentEvery)
}

// SetSegment says what is to be done for the segment behind a circuit.
func (t overlayTables) SetSegment(at table.ACID, s l2.SegmentState) {
	if c := t.n.segments[at]; c != nil {
		c.Set(s)
	}
}

// showSegments returns the segments of this node, and those of others behind which
// MACs are.
func (n *Node) showSegments() (own []status.Segment, groups []status.SegmentGroup) {
	for _, v := range n.overlay.Segments() {
		s := status.Segment{Name: v.Name, ESI: v.ESI.String(), Mode: config.AllActive.String(), Up: v.Up}
		for i := range n.cfg.EthernetSegments {
			if c := &n.cfg.EthernetSegments[i]; c.Name == v.Name {
				s.Port, s.Mode = c.Port, c.Mode.String()
			}
		}
		for i := range v.VNI {
			x := &v.VNI[i]
			d := status.SegmentVNI{
				VNI: x.VNI, Self: x.State.DF, DF: x.Vote.DF, Backup: x.Vote.Backup, Peers: x.State.Peers, Why: why(x),
			}
			s.VNIs = append(s.VNIs, d)
		}
		own = append(own, s)
	}
	for _, g := range n.overlay.Groups() {
		groups = append(groups, status.SegmentGroup{
			VNI: g.VNI, ESI: g.ESI.String(), Local: g.Local, VTEPs: g.Members, Backup: g.Backup,
		})
	}
	return own, groups
}

// why says in words why a designated forwarder is the one.
func why(x *overlay.SegmentVNI) string {
	v := &x.Vote
	switch v.Phase {
	case "":
		return "EVPN does not have the bridge domain"
	case "down":
		return "the port is down"
	case "hold", "wait":
		return "waits for what other leaves announce"
	}
	of := fmt.Sprintf("of %d candidates", len(v.Candidates))
	switch v.Alg {
	case evpn.DFHRW:
		return "highest random weight " + of
	case evpn.DFHighest, evpn.DFLowest:
		for _, c := range v.Candidates {
			if c.Addr == v.DF {
				return fmt.Sprintf("preference %d is the best %s", c.DF.Preference, of)
			}
		}
	}
	for _, c := range v.Candidates {
		if c.DF.Alg != v.Alg {
			return fmt.Sprintf("the leaves do not agree on an election: VNI modulo %d, %s", len(v.Candidates), of)
		}
	}
	return fmt.Sprintf("VNI modulo %d is its place by address, %s", len(v.Candidates), of)
}
