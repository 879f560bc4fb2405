package control

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/control/pnstore"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/macsec"
)

// grantBlock is how many packet numbers of a static SAK are granted ahead of
// use: at 1 Mpps 4 seconds, so a disk that stalls for 2 is not felt, and a 32-bit
// space still survives a thousand restarts.
const grantBlock = 1 << 22

// secyPlan is what an apply will do to one VNI's SecY. Additions are made by
// prepare and taken back by undo; commit switches; removals wait until the old
// snapshot is settled.
type secyPlan struct {
	path  string // in the document, for faults
	want  *config.MACsec
	keys  *keyring
	store *pnstore.Store
	// grants are the first packet numbers of transmit SAs that are new.
	grants grants

	secy    *macsec.SecY
	undo    []func()
	removal []func()
}

// open takes the SecY that is there when it fits what is wanted, else makes a new
// one.
func (p *secyPlan) open(vni table.VNI) error {
	cfg, err := secyConfig(p.want, vni)
	if err != nil {
		return p.fault("", err)
	}
	if p.secy != nil && p.secy.Config() == cfg {
		return nil
	}
	if p.secy, err = macsec.New(cfg); err != nil {
		return p.fault("", err)
	}
	return nil
}

func (p *secyPlan) fault(at string, err error) error {
	return config.Faults{{Path: p.path + at, Problem: err.Error()}}
}

func secyConfig(m *config.MACsec, vni table.VNI) (macsec.Config, error) {
	suite, err := macsec.ParseSuite(m.Cipher.String())
	if err != nil {
		return macsec.Config{}, err
	}
	c := macsec.Config{
		Suite:         suite,
		IntegrityOnly: !m.Encrypt.On(),
		Offset:        m.Offset,
		ReplayWindow:  *m.ReplayWindow,
		TxSCI:         macsec.SCI(m.Tx.SCI),
		Mode:          macsec.Standard,
	}
	if m.Mode == config.ModeHidden {
		c.Mode = macsec.Hidden
		c.HiddenAddrs = hiddenAddrs(vni)
	}
	return c, nil
}

// hiddenAddrs returns the outer DA and SA of hidden mode: locally administered,
// the same for all leaves of a VNI, and saying nothing that the VXLAN header does
// not say.
func hiddenAddrs(vni table.VNI) (a [12]byte) {
	a = [12]byte{0x02, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0}
	for _, at := range []int{0, 6} {
		a[at+3], a[at+4], a[at+5] = byte(vni>>16), byte(vni>>8), byte(vni)
	}
	a[11] ^= 0x01 // DA and SA differ: some switches drop frames whose do not
	return a
}

// prepare adds the channels and associations that are missing. What fails is
// taken back by rollback.
func (p *secyPlan) prepare(vtep func(netip.Addr) table.VTEPID) error {
	if err := p.prepareTx(); err != nil {
		return err
	}
	return p.prepareRx(vtep)
}

func (p *secyPlan) prepareTx() error {
	want := map[macsec.AN]bool{}
	for i := range p.want.Tx.SAs {
		sa := &p.want.Tx.SAs[i]
		an := macsec.AN(sa.AN)
		want[an] = true
		at := fmt.Sprintf(".tx.sas[%d]", i)
		sak := p.keys.sak[sa.KeyFile]
		if have := p.secy.TxSA(an); have != nil {
			if have.Fingerprint() != sak.Fingerprint() {
				return p.fault(at, fmt.Errorf("AN %d is live with another key; give the new key a free AN, switch to it, then remove the old one", an))
			}
			continue
		}
		start, limit, err := p.grants.take(sak.Fingerprint(), p.want.Tx.SCI, p.want.Cipher.XPN())
		if err != nil {
			return p.fault(at, err)
		}
		_, err = p.secy.InstallTxSA(macsec.TxSAConfig{
			AN: an, SAK: sak, SSCI: p.want.Tx.SSCI, Salt: p.keys.salt[sa.SaltFile],
			StartPN: start, Granted: limit,
		})
		if err != nil {
			return p.fault(at, err)
		}
		p.undo = append(p.undo, func() { p.secy.RemoveTxSA(an) })
	}
	for an := range macsec.AN(macsec.NumANs) {
		if p.secy.TxSA(an) != nil && !want[an] {
			p.removal = append(p.removal, func() { p.secy.RemoveTxSA(an) })
		}
	}
	return nil
}

func (p *secyPlan) prepareRx(vtep func(netip.Addr) table.VTEPID) error {
	want := map[macsec.SCI]bool{}
	for i := range p.want.Peers {
		rx := &p.want.Peers[i]
		sci := macsec.SCI(rx.SCI)
		want[sci] = true
		at := fmt.Sprintf(".peers[%d]", i)
		id := vtep(rx.VTEP)
		sc := p.secy.RxSC(sci)
		if sc != nil && sc.VTEP() != id {
			return p.fault(at+".sci", fmt.Errorf("SCI %v is live for another VTEP; remove it there first", sci))
		}
		if sc == nil {
			var err error
			if sc, err = p.secy.AddRxSC(sci, id); err != nil {
				return p.fault(at, err)
			}
			p.undo = append(p.undo, func() { p.secy.RemoveRxSC(sci) })
		}
		if err := p.prepareRxSAs(at, sc, rx); err != nil {
			return err
		}
	}
	for _, st := range p.secy.State().RxSCs {
		if !want[st.SCI] {
			p.removal = append(p.removal, func() { p.secy.RemoveRxSC(st.SCI) })
		}
	}
	return nil
}

func (p *secyPlan) prepareRxSAs(at string, sc *macsec.RxSC, rx *config.RxSC) error {
	sci := sc.SCI()
	want := map[macsec.AN]bool{}
	for j := range rx.SAs {
		sa := &rx.SAs[j]
		an := macsec.AN(sa.AN)
		want[an] = true
		sak := p.keys.sak[sa.KeyFile]
		if have := sc.RxSA(an); have != nil {
			if have.Fingerprint() != sak.Fingerprint() {
				return p.fault(fmt.Sprintf("%s.sas[%d]", at, j), fmt.Errorf("AN %d is live with another key; give the new key a free AN", an))
			}
			continue
		}
		_, err := p.secy.InstallRxSA(sci, macsec.RxSAConfig{
			AN: an, SAK: sak, SSCI: rx.SSCI, Salt: p.keys.salt[sa.SaltFile],
			LowestPN: p.store.Limit(rxDigest(sak.Fingerprint(), sci)),
		})
		if err != nil {
			return p.fault(fmt.Sprintf("%s.sas[%d]", at, j), err)
		}
		p.undo = append(p.undo, func() { p.secy.RemoveRxSA(sci, an) })
	}
	for an := range macsec.AN(macsec.NumANs) {
		if sc.RxSA(an) != nil && !want[an] {
			p.removal = append(p.removal, func() { p.secy.RemoveRxSA(sci, an) })
		}
	}
	return nil
}

// commit makes the wanted AN the one in use. It can't fail: prepare has
// installed it.
func (p *secyPlan) commit() error { return p.secy.UseAN(macsec.AN(p.want.Tx.AN)) }

// rollback takes prepare's additions back, newest first.
func (p *secyPlan) rollback() {
	for i := len(p.undo) - 1; i >= 0; i-- {
		p.undo[i]()
	}
}

// finish removes what is no longer wanted, when no worker can be using it.
func (p *secyPlan) finish() {
	for _, f := range p.removal {
		f()
	}
}

// pnDigest names a SAK in one channel without telling the SAK.
func pnDigest(fingerprint, sci string) string {
	h := sha256.Sum256([]byte("ztos packet numbers\x00" + fingerprint + "\x00" + sci))
	return hex.EncodeToString(h[:16])
}

// rxDigest names a SAK in a receive channel.
func rxDigest(fingerprint string, sci macsec.SCI) string {
	return "rx-" + pnDigest(fingerprint, sci.String())
}

// received returns, by digest, how far the packet numbers of s's receive SAs have
// come.
func received(s *macsec.SecY) map[string]uint64 {
	out := map[string]uint64{}
	for _, sc := range s.State().RxSCs {
		for _, sa := range sc.SAs {
			if sa.NextPN > 1 {
				out[rxDigest(sa.Fingerprint, sc.SCI)] = sa.NextPN
			}
		}
	}
	return out
}

// extendGrants raises the grants of the SAs in use that have used more than half
// of theirs. It is called many times a second and writes the disk only then. When
// the disk fails the SAs run dry and stop, which must-secure wants.
func extendGrants(secys []*macsec.SecY, store *pnstore.Store) error {
	type due struct {
		sa    *macsec.TxSA
		limit uint64
	}
	var todo []due
	limits := map[string]uint64{}
	for _, s := range secys {
		// Others than the one in use keep what they were granted; bursts that
		// began with one before it was switched off finish within that.
		sa := s.InUse()
		if sa == nil {
			continue
		}
		granted := sa.Granted()
		if granted == macsec.Unlimited || sa.NextPN()+grantBlock/2 < granted {
			continue
		}
		limit := sa.NextPN() + grantBlock
		todo = append(todo, due{sa, limit})
		limits[pnDigest(sa.Fingerprint(), s.Config().TxSCI.String())] = limit
	}
	if len(todo) == 0 {
		return nil
	}
	if err := store.Raise(limits); err != nil {
		return err
	}
	for _, d := range todo {
		d.sa.Extend(d.limit)
	}
	return nil
}
