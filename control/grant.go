package control

import (
	"errors"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/control/pnstore"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/macsec"
)

// grants are packet numbers that are on disk as granted and that no SA has
// begun to use, by digest.
type grants map[string]*grant

type grant struct {
	next  uint64 // the first that nobody took
	limit uint64
	taken bool
}

// errSharedKey: the document names the key by two files, or configuration would
// have refused it.
var errSharedKey = errors.New("another SA has this key and this SCI: nonces would repeat")

// txSA is a transmit SA of the configuration.
type txSA struct {
	sci config.SCI
	sa  *config.SA
}

// newTxSAs returns the transmit SAs of cfg that no SecY has yet, of VNI only if
// that is not 0.
func (n *Node) newTxSAs(cfg *config.Node, only table.VNI) (out []txSA) {
	for i := range cfg.BridgeDomains {
		bd := &cfg.BridgeDomains[i]
		if bd.MACsec == nil || only != 0 && bd.VNI != only {
			continue
		}
		var live *macsec.SecY
		if old := n.domains[bd.VNI]; old != nil && old.domain.SecY != nil {
			// A SecY that another replaces keeps its SAs; the new one's are new.
			if c, err := secyConfig(bd.MACsec, bd.VNI); err == nil && old.domain.SecY.Config() == c {
				live = old.domain.SecY
			}
		}
		for j := range bd.MACsec.Tx.SAs {
			sa := &bd.MACsec.Tx.SAs[j]
			if live == nil || live.TxSA(macsec.AN(sa.AN)) == nil {
				out = append(out, txSA{bd.MACsec.Tx.SCI, sa})
			}
		}
	}
	return out
}

// grantAll raises the limits of all sas on disk at once: a write, and a sync,
// for each would write the whole store as often as it has entries. Numbers whose
// apply is refused afterwards are lost, as those of a restart are.
func grantAll(store *pnstore.Store, sas []txSA, keys *keyring) (grants, error) {
	out := make(grants, len(sas))
	limits := make(map[string]uint64, len(sas))
	for _, x := range sas {
		digest := pnDigest(keys.sak[x.sa.KeyFile].Fingerprint(), x.sci.String())
		g := out[digest]
		if g == nil {
			start := store.Limit(digest)
			g = &grant{next: start, limit: start}
			out[digest] = g
		}
		g.limit += grantBlock
		limits[digest] = g.limit
	}
	return out, store.Raise(limits)
}

// take returns the numbers granted to an SA. With XPN several SAs may have one
// key and SCI, apart by salt or SSCI, and get a block each; without, a second one
// is refused.
func (g grants) take(fingerprint string, sci config.SCI, xpn bool) (start, limit uint64, err error) {
	x := g[pnDigest(fingerprint, sci.String())]
	if x == nil || x.next >= x.limit || x.taken && !xpn {
		return 0, 0, errSharedKey
	}
	start = x.next
	x.next += grantBlock
	x.taken = true
	return start, x.next, nil
}
