package control

import (
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/control/isolation"
)

// isolationTries is how often a look at the tables begins anew because a
// configuration was applied meanwhile.
const isolationTries = 5

// breachesLogged bounds what is logged of one look.
const breachesLogged = 10

// Isolation looks at every entry of the loaded tables, whether one leads from one
// tenant to another. It takes some 200 ns for each, and keeps nobody waiting.
func (n *Node) Isolation() status.Isolation {
	var s status.Isolation
	for range isolationTries {
		n.mu.Lock()
		cfg, snap, gen := n.cfg, n.tables.Load(), n.applied
		n.mu.Unlock()
		start := time.Now()
		r := isolation.Verify(isolation.PlanOf(cfg), snap)
		s = status.Isolation{
			Generation: gen, Tenants: r.Tenants, Steps: uint64(r.Steps), Nowhere: uint64(r.Nowhere),
			Elapsed: config.Duration(time.Since(start)), More: uint64(r.More), Further: uint64(r.Further),
		}
		for _, p := range r.Permitted {
			s.Permitted = append(s.Permitted, status.Permit{Contract: p.Contract, From: p.From, To: p.To, Step: p.Step})
		}
		for _, b := range r.Breaches {
			s.Breaches = append(s.Breaches, status.Breach{From: b.From, To: b.To, Step: b.Step})
		}
		n.mu.Lock()
		same := n.applied == gen
		n.mu.Unlock()
		if same {
			break // else FIBs were newer than the rest
		}
	}
	return s
}

// proveIsolation is Isolation after an apply: what it finds is logged and counted.
func (n *Node) proveIsolation() {
	s := n.Isolation()
	n.proofs.Add(1)
	n.breaches.Add(uint64(len(s.Breaches)) + s.More)
	for i, b := range s.Breaches {
		if i == breachesLogged {
			n.log.Error("isolation: more breaches; see ztosctl verify isolation", "count", uint64(len(s.Breaches)-i)+s.More)
			return
		}
		n.log.Error("isolation: a path leads from one tenant to another", "from", b.From, "to", b.To, "step", b.Step)
	}
}

// isolationCounts is what applies have found, and how many were refused because
// they would have led from one tenant to another.
func (n *Node) isolationCounts() status.CounterGroup {
	return status.CounterGroup{Kind: "isolation", Counts: []status.Count{
		{Name: "verified", Value: n.proofs.Load()}, {Name: "breaches", Value: n.breaches.Load()},
		{Name: "refused", Value: n.breaking.Load()},
	}}
}
