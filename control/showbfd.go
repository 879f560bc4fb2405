package control

import (
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/fabric/bfd"
)

// BFD returns the node's BFD sessions in the configuration's order.
func (n *Node) BFD() status.BFD {
	n.mu.Lock()
	b := n.bfd
	n.mu.Unlock()
	if b == nil {
		return status.BFD{}
	}
	sessions, strangers, now := b.run.Status()
	out := status.BFD{Enabled: true, Strangers: bfdCounts(&strangers, bfd.RefusedTTL)}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range sessions {
		x := &sessions[i]
		s := status.BFDSession{
			Name: x.Name, Address: x.Remote, Hops: int(x.Hops), State: x.State.String(), Age: config.Duration(now - x.Since),
			TheirState: x.TheirState.String(), LastDown: x.Diag.String(), TheirDiagnostic: x.TheirDiag.String(),
			Tx: config.Duration(x.Tx), Detection: config.Duration(x.Detection), Multiplier: int(x.Mult), TheirMultiplier: int(x.TheirMult),
			Authentication: x.Auth.String(), Discriminator: x.Mine, TheirDiscriminator: x.Yours,
			Counters: bfdCounts(&x.Stats, bfd.Sent),
		}
		if l := b.links[x.Name]; l != nil {
			s.PathWithheld = l.failed && l.peer != nil
		}
		out.Sessions = append(out.Sessions, s)
	}
	return out
}

// bfdCounts returns counters by name, from the first on.
func bfdCounts(s *bfd.Stats, first bfd.Stat) (out []status.Count) {
	for k := first; int(k) < bfd.NumStats; k++ {
		out = append(out, status.Count{Name: k.String(), Value: s[k]})
	}
	return out
}
