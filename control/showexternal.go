package control

import (
	"slices"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/unicast"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/fabric/hoststack"
)

// externalPeer is a speaker with the routers that it was configured with.
type externalPeer struct {
	*external
	neighbors []config.ExternalNeighbor
}

// externalPeers returns the speakers by VRF, VNI and address. Under n.mu.
func (n *Node) externalPeers() (out []externalPeer) {
	for _, x := range n.sortedExternals() {
		out = append(out, externalPeer{x, x.neighbors})
	}
	return out
}

// peers returns the sessions. Not under Node.mu: the speaker may be busy.
func (x externalPeer) peers() (out []status.BGPPeer) {
	sessions, fault := x.status()
	for i := range x.neighbors {
		c := &x.neighbors[i]
		s := status.BGPPeer{VRF: x.key.vrf, Address: c.Address, AS: c.ASN, State: "unknown"}
		if j := slices.IndexFunc(sessions, func(y bgp.Status) bool { return y.Addr == c.Address }); j >= 0 {
			describeSession(&s, &sessions[j])
		}
		if s.Error == "" {
			s.Error = fault
		}
		out = append(out, s)
	}
	return out
}

// externalVRFs returns what VRFs have by routers outside the fabric. Under n.mu.
func (n *Node) externalVRFs() (out []status.ExternalVRF) {
	for _, st := range n.sortedVRFs() {
		if st.outside == nil {
			continue
		}
		x := status.ExternalVRF{VRF: st.cfg.Name, AS: st.outside.asn, Routes: len(st.outside.routes)}
		for f := unicast.None + 1; int(f) < unicast.NumFaults; f++ {
			x.Faults = append(x.Faults, status.NamedCount{Name: f.String(), Count: st.outside.rib.Faults(f)})
		}
		x.Faults = append(x.Faults, n.refusedSegments(st.cfg.Name)...)
		out = append(out, x)
	}
	return out
}

// refusedSegments returns the TCP segments of routers of a VRF that were dropped for
// how they came, by reason. Under n.mu.
func (n *Node) refusedSegments(vrf string) []status.NamedCount {
	var all hoststack.Refusals
	for k, x := range n.externals {
		if k.vrf == vrf {
			r := x.stack.Refused()
			all.Distance += r.Distance
			all.Unsigned += r.Unsigned
			all.Signature += r.Signature
			all.Surplus += r.Surplus
		}
	}
	return []status.NamedCount{
		{Name: "tcp-distance", Count: all.Distance}, {Name: "tcp-unsigned", Count: all.Unsigned},
		{Name: "tcp-signature", Count: all.Signature}, {Name: "tcp-surplus", Count: all.Surplus},
	}
}
