package control

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/control/isolation"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l3"
)

// sharedKeys refuses keys that two tenants of n have: whoever carries the frames of
// one could pass them off as the other's. That files differ says nothing.
func sharedKeys(n *config.Node, keys *keyring) (faults config.Faults) {
	type holder struct{ tenant, path string }
	seen := map[string]holder{}
	plan := isolation.PlanOf(n)
	for i := range n.BridgeDomains {
		bd := &n.BridgeDomains[i]
		if bd.MACsec == nil {
			continue
		}
		tenant := plan.Tenants[bd.VNI]
		look := func(at string, sas []config.SA) {
			for k := range sas {
				path := fmt.Sprintf("bridge-domains[%d].macsec.%s.sas[%d].key-file", i, at, k)
				fingerprint := keys.sak[sas[k].KeyFile].Fingerprint()
				first, ok := seen[fingerprint]
				switch {
				case !ok:
					seen[fingerprint] = holder{tenant, path}
				case first.tenant != tenant:
					faults = append(faults, config.Fault{
						Path:    path,
						Problem: fmt.Sprintf("the key of %s is also one of %s, at %s: they would not be isolated", tenant, first.tenant, first.path),
						Fix:     "make a key for each tenant",
					})
				}
			}
		}
		look("tx", bd.MACsec.Tx.SAs)
		for j := range bd.MACsec.Peers {
			look(fmt.Sprintf("peers[%d]", j), bd.MACsec.Peers[j].SAs)
		}
	}
	return faults
}

// prospect refuses s, which is what p and cfg make, when an entry of it leads from
// one tenant to another and no contract permits it. A change of one VNI's keys is
// looked at when asked, and at the next apply.
func (n *Node) prospect(p *plan, cfg *config.Node, s *fabric.Snapshot) error {
	if p.only != 0 {
		return nil
	}
	var faults config.Faults
	stay := func(v *l3.VRF) iter.Seq2[netip.Prefix, *l3.Route] { return n.staying(p, cfg, v) }
	for _, b := range isolation.VerifyNew(isolation.PlanOf(cfg), s, stay).Breaches {
		f := config.Fault{
			Problem: fmt.Sprintf("isolation: %s: that leads from %s to %s", b.Step, b.From, b.To),
			Fix:     "give each tenant its own circuits and keys; between VRFs, write a contract",
		}
		if i := slices.IndexFunc(cfg.BridgeDomains, func(d config.BridgeDomain) bool { return d.VNI == b.VNI }); i >= 0 {
			f.Path = fmt.Sprintf("bridge-domains[%d]", i)
		}
		faults = append(faults, f)
	}
	if len(faults) > 0 {
		n.breaking.Add(1)
	}
	return faults.Err()
}

// staying yields the routes of v that p will leave in its FIB, or may bring forth
// there: those of neighbours and EVPN, but for those of hosts whose bridge domain
// leaves the VRF. Configured ones are made anew, and validation has seen them;
// leaked ones are, too, of those that other VRFs have then.
func (n *Node) staying(p *plan, cfg *config.Node, v *l3.VRF) iter.Seq2[netip.Prefix, *l3.Route] {
	return func(yield func(netip.Prefix, *l3.Route) bool) {
		old, st := n.vrfs[v.Name], p.vrfs[v.Name]
		if old == nil || st == nil {
			return
		}
		for k := range old.routes.Unsorted() {
			stays := k.Origin == l3.OriginNeighbour || k.Origin == l3.OriginEVPN && old.cfg.L3VNI == st.cfg.L3VNI
			leaves := func(x l3.Path) bool {
				if x.Host == nil {
					return false
				}
				bd := routedDomain(cfg, x.Host.VNI)
				return bd == nil || bd.VRF != v.Name
			}
			if stays && !slices.ContainsFunc(k.Route.Paths, leaves) && !yield(k.Prefix, k.Route) {
				return
			}
		}
	}
}
