package control

import (
	"fmt"
	"slices"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
)

// The operations of a live AN rollover. Each changes a copy of the configuration
// in force and applies that, so they check what an apply checks, and a reload
// goes back to what the file says.

// InstallSA adds an SA: at all receivers first, then at the sender.
func (n *Node) InstallSA(sa status.SA) error {
	return n.edit(sa.VNI, func(m *config.MACsec) error {
		list, err := saList(m, sa.SARef)
		if err != nil {
			return err
		}
		if i := indexAN(*list, sa.AN); i >= 0 {
			return fmt.Errorf("%w: AN %d has an SA; remove it first", status.ErrPrecondition, sa.AN)
		}
		*list = append(*list, config.SA{AN: sa.AN, KeyFile: sa.KeyFile, SaltFile: sa.SaltFile})
		slices.SortFunc(*list, func(a, b config.SA) int { return int(a.AN) - int(b.AN) })
		return nil
	})
}

// UseAN makes an the AN that the VNI sends with.
func (n *Node) UseAN(vni table.VNI, an uint8) error {
	return n.edit(vni, func(m *config.MACsec) error {
		if indexAN(m.Tx.SAs, an) < 0 {
			return fmt.Errorf("%w: AN %d has no transmit SA; install it first", status.ErrPrecondition, an)
		}
		m.Tx.AN = an
		return nil
	})
}

// RemoveSA removes an SA: at the sender first, then at all receivers.
func (n *Node) RemoveSA(ref status.SARef) error {
	return n.edit(ref.VNI, func(m *config.MACsec) error {
		list, err := saList(m, ref)
		if err != nil {
			return err
		}
		i := indexAN(*list, ref.AN)
		switch {
		case i < 0:
			return fmt.Errorf("%w: AN %d has no SA", status.ErrNotFound, ref.AN)
		case ref.Direction == status.Tx && m.Tx.AN == ref.AN:
			return fmt.Errorf("%w: AN %d is in use; use another first", status.ErrPrecondition, ref.AN)
		case len(*list) == 1:
			return fmt.Errorf("%w: AN %d is the channel's last SA", status.ErrPrecondition, ref.AN)
		}
		*list = slices.Delete(*list, i, i+1)
		return nil
	})
}

// edit applies the configuration in force with the MACsec of vni changed by f.
// Only that VNI's configuration is checked and only its keys are read: a rollover
// of thousands of SAs comes here once for each.
func (n *Node) edit(vni table.VNI, f func(*config.MACsec) error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.cfg.BridgeDomains, func(d config.BridgeDomain) bool { return d.VNI == vni })
	if i < 0 || n.cfg.BridgeDomains[i].MACsec == nil {
		return fmt.Errorf("%w: VNI %d with MACsec", status.ErrNotFound, vni)
	}
	cfg := new(*n.cfg)
	cfg.BridgeDomains = slices.Clone(n.cfg.BridgeDomains)
	bd := &cfg.BridgeDomains[i]
	bd.MACsec = bd.MACsec.Clone()
	if err := f(bd.MACsec); err != nil {
		return fmt.Errorf("VNI %d: %w", vni, err)
	}
	faults := cfg.ValidateSAs(i)
	keys := newKeyring()
	defer keys.wipe()
	if len(faults) == 0 {
		keys.loadDomain(bd, i, func(path string, err error) {
			faults = append(faults, config.Fault{Path: path, Problem: err.Error()})
		})
	}
	if len(faults) > 0 {
		for i := range faults {
			faults[i].File = "running configuration"
		}
		return faults
	}
	return faultsOf(n.applyLocked(&plan{only: vni}, cfg, keys))
}

// faultsOf returns the faults of a Refused as config.Faults, which the API turns
// into fields; any other error as it is.
func faultsOf(err error) error {
	if r, ok := err.(Refused); ok {
		return r.Faults
	}
	return err
}

// saList returns the SAs of the channel that ref names.
func saList(m *config.MACsec, ref status.SARef) (*[]config.SA, error) {
	if ref.Direction == status.Tx {
		if !ref.SCI.IsZero() && ref.SCI != m.Tx.SCI {
			return nil, fmt.Errorf("%w: the transmit SCI is %v, not %v", status.ErrNotFound, m.Tx.SCI, ref.SCI)
		}
		return &m.Tx.SAs, nil
	}
	for i := range m.Peers {
		if m.Peers[i].SCI == ref.SCI {
			return &m.Peers[i].SAs, nil
		}
	}
	return nil, fmt.Errorf("%w: receive channel %v", status.ErrNotFound, ref.SCI)
}

func indexAN(sas []config.SA, an uint8) int {
	return slices.IndexFunc(sas, func(s config.SA) bool { return s.AN == an })
}
