package control

import (
	"net/netip"
	"slices"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/l3"
)

// leakState is one direction of a contract, in the VRF whose packets it lets out.
type leakState struct {
	leak      *l3.Leak
	from      *vrfState // that has the prefixes
	advertise bool
}

// prepareLeaks gives the VRFs of p what the contracts of cfg permit them. A leak
// that says what it said keeps its identity, and its routes.
func (n *Node) prepareLeaks(p *plan, cfg *config.Node) {
	add := func(name, in, other string, sources, prefixes []netip.Prefix, advertise bool) {
		st, from := p.vrfs[in], p.vrfs[other]
		l := &l3.Leak{Contract: name, To: from.vrf.ID, VRF: other, Sources: sources, Prefixes: prefixes}
		if old := n.vrfs[in]; old != nil {
			if i := slices.IndexFunc(old.vrf.Leaks, l.Equal); i >= 0 {
				l = old.vrf.Leaks[i]
			}
		}
		st.vrf.Leaks = append(st.vrf.Leaks, l)
		st.leaks = append(st.leaks, leakState{l, from, advertise})
		if !slices.Contains(from.feeds, st) {
			from.feeds = append(from.feeds, st)
		}
	}
	for i := range cfg.Contracts {
		k := &cfg.Contracts[i]
		add(k.Name, k.From, k.To, k.Return, k.Prefixes, k.Advertise)
		add(k.Name, k.To, k.From, k.Prefixes, k.Return, k.Advertise)
	}
}

// leakRoutes makes what VRFs have of each other what the contracts in force say.
func (n *Node) leakRoutes() {
	for _, st := range n.vrfs {
		st.routes.Forget(st.vrf.Leaks)
		for _, l := range st.leaks {
			st.routes.Import(l.leak, l.from.routes, false)
		}
	}
}

// join puts st into all, with those that leak from it, and from them.
func (st *vrfState) join(all map[*vrfState]bool) {
	if all[st] {
		return
	}
	all[st] = true
	for _, to := range st.feeds {
		to.join(all)
	}
}

// feed passes what changed in st since its last Commit on to the VRFs that leak
// from it.
func (st *vrfState) feed() {
	for _, to := range st.feeds {
		for _, l := range to.leaks {
			if l.from == st {
				to.routes.Import(l.leak, st.routes, true)
			}
		}
	}
}

// offeredLeaks returns the leaked prefixes of st that other leaves are told of:
// those that lead somewhere now.
func (st *vrfState) offeredLeaks() (out []netip.Prefix) {
	for _, l := range st.leaks {
		if !l.advertise {
			continue
		}
		for _, p := range l.leak.Prefixes {
			if r := st.routes.Leaked(l.leak, p); r != nil && (r.Kind != l3.Forward || leads(r)) {
				out = append(out, p)
			}
		}
	}
	return out
}
