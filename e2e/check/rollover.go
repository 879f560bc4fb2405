package check

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/lab"
)

// Rollover is the result of Bench.Rollover.
type Rollover struct {
	Leaf string `json:"leaf"`
	VNI  uint32 `json:"vni"`
	// The AN in use before and after each rollover.
	ANs    []uint32 `json:"ans"`
	Stream Stream   `json:"stream"`
	// Frames that were sent under the fresh key.
	Protected uint64 `json:"protected_by_fresh_key"`
}

// rolloverRest is how long the operator waits between two steps.
const rolloverRest = 300 * time.Millisecond

// Rollover changes the MACsec key of the first leaf in the first tenant's VNI
// through the API, while numbered datagrams flow from there: a fresh SAK under a
// free AN is installed at all receivers, then at the sender, taken into use, and
// the old one is removed everywhere. Then the same back to the key of the file.
// No datagram may be lost.
func (b *Bench) Rollover(ctx context.Context) (r Rollover, err error) {
	t := b.Topo.Tenants[0]
	h := b.Topo.Hosts(t.Name)
	from, to := h[0], h[1]
	r.Leaf, r.VNI = from.Host.Port.Node, uint32(t.VNI)
	secy, err := b.secy(ctx, r.Leaf, r.VNI)
	if err != nil {
		return r, err
	}
	old := sa{an: secy.GetTxAn()}
	if old.file, err = b.fileOfSA(r.Leaf, t.VNI, old.an); err != nil {
		return r, err
	}
	fresh := sa{an: (old.an + 2) % 4} // the next one is ready already, from the file
	if fresh.file, err = b.freshSAK(fmt.Sprintf("%s.%s.%d.fresh.sak", t.Name, r.Leaf, fresh.an), t.Cipher.KeyLen()); err != nil {
		return r, err
	}
	before, err := b.losses(ctx)
	if err != nil {
		return r, err
	}
	s, err := b.stream(from.Name, to.Name, 1000, 300, 0)
	if err != nil {
		return r, err
	}
	pause(ctx, rolloverRest)
	rollErr := b.roll(ctx, &r, secy.TxSci, old, fresh)
	if rollErr == nil {
		rollErr = b.roll(ctx, &r, secy.TxSci, fresh, old)
	}
	r.Stream, err = s.stop()
	if err := errors.Join(rollErr, err, r.Stream.lossless()); err != nil {
		return r, errors.Join(err, b.whatWasLost(ctx, before))
	}
	if r.Protected == 0 {
		return r, fmt.Errorf("%s sent nothing under the fresh key", r.Leaf)
	}
	return r, nil
}

// sa is an AN and the file with its SAK.
type sa struct {
	an   uint32
	file string
}

// roll replaces the transmit SA from by to, in the steps that must follow each
// other.
func (b *Bench) roll(ctx context.Context, r *Rollover, sci string, from, to sa) error {
	receivers := func(fn func(context.Context, *node) error) error {
		for _, l := range b.kind(lab.Leaf) {
			if l != r.Leaf {
				if err := b.call(ctx, l, fn); err != nil {
					return err
				}
			}
		}
		return nil
	}
	rx := func(an uint32) *ztosv1.SARef {
		return &ztosv1.SARef{Vni: r.VNI, Direction: ztosv1.Direction_DIRECTION_RX, Sci: sci, An: an}
	}
	tx := func(an uint32) *ztosv1.SARef {
		return &ztosv1.SARef{Vni: r.VNI, Direction: ztosv1.Direction_DIRECTION_TX, An: an}
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"install at the receivers", func() error {
			return receivers(func(ctx context.Context, n *node) error {
				_, err := n.InstallSA(ctx, &ztosv1.InstallSARequest{Sa: rx(to.an), KeyFile: to.file})
				return err
			})
		}},
		{"install at the sender", func() error {
			return b.call(ctx, r.Leaf, func(ctx context.Context, n *node) error {
				_, err := n.InstallSA(ctx, &ztosv1.InstallSARequest{Sa: tx(to.an), KeyFile: to.file})
				return err
			})
		}},
		{"take into use", func() error {
			return b.call(ctx, r.Leaf, func(ctx context.Context, n *node) error {
				_, err := n.UseAN(ctx, &ztosv1.UseANRequest{Vni: r.VNI, An: to.an})
				return err
			})
		}},
		{"look", func() error { return b.rolled(ctx, r, to) }},
		{"remove at the sender", func() error {
			return b.call(ctx, r.Leaf, func(ctx context.Context, n *node) error {
				_, err := n.RemoveSA(ctx, &ztosv1.RemoveSARequest{Sa: tx(from.an)})
				return err
			})
		}},
		{"remove at the receivers", func() error {
			return receivers(func(ctx context.Context, n *node) error {
				_, err := n.RemoveSA(ctx, &ztosv1.RemoveSARequest{Sa: rx(from.an)})
				return err
			})
		}},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("rollover to AN %d: %s: %w", to.an, step.what, err)
		}
		pause(ctx, rolloverRest)
	}
	r.ANs = append(r.ANs, to.an)
	secy, err := b.secy(ctx, r.Leaf, r.VNI)
	if err != nil {
		return err
	}
	for _, sa := range secy.TxSas {
		if sa.An == from.an {
			return fmt.Errorf("rollover: %s still has AN %d, which was removed", r.Leaf, from.an)
		}
	}
	return nil
}

// rolled wants the SA to be in use, and waits until it has protected frames.
func (b *Bench) rolled(ctx context.Context, r *Rollover, want sa) error {
	return eventually(ctx, 2*time.Second, func() error {
		secy, err := b.secy(ctx, r.Leaf, r.VNI)
		if err != nil {
			return err
		}
		if secy.GetTxAn() != want.an {
			return fmt.Errorf("%s uses AN %d", r.Leaf, secy.GetTxAn())
		}
		for _, sa := range secy.TxSas {
			if sa.An == want.an && sa.OutPkts > 0 {
				if r.Protected == 0 {
					r.Protected = sa.OutPkts
				}
				return nil
			}
		}
		return fmt.Errorf("%s has sent nothing under AN %d", r.Leaf, want.an)
	})
}

// fileOfSA returns the file with the SAK of a leaf's transmit SA.
func (b *Bench) fileOfSA(leaf string, vni table.VNI, an uint32) (string, error) {
	cfg, err := config.Load(b.Lab.ConfigPath(leaf))
	if err != nil {
		return "", err
	}
	for _, bd := range cfg.BridgeDomains {
		if bd.VNI != vni || bd.MACsec == nil {
			continue
		}
		for _, sa := range bd.MACsec.Tx.SAs {
			if uint32(sa.AN) == an {
				return sa.KeyFile, nil
			}
		}
	}
	return "", fmt.Errorf("check: %s has no transmit SA %d in VNI %d", leaf, an, vni)
}

// secy returns the SecY of a VNI on a leaf.
func (b *Bench) secy(ctx context.Context, leaf string, vni uint32) (s *ztosv1.SecY, err error) {
	err = b.call(ctx, leaf, func(ctx context.Context, n *node) error {
		r, err := n.ListMACsec(ctx, &ztosv1.ListMACsecRequest{Vni: vni})
		if err == nil && len(r.Secys) != 1 {
			err = fmt.Errorf("%d SecYs of VNI %d, want 1", len(r.Secys), vni)
		}
		if err == nil {
			s = r.Secys[0]
		}
		return err
	})
	return s, err
}

// freshSAK writes a new random SAK into the lab's key folder and returns the
// file. A file of an earlier rollover is replaced.
func (b *Bench) freshSAK(name string, n int) (string, error) {
	key := make([]byte, n)
	rand.Read(key) // never fails
	file := filepath.Join(b.Lab.KeyPath(), name)
	if err := os.WriteFile(file, []byte(hex.EncodeToString(key)+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("check: %w", err)
	}
	return file, nil
}

// reload makes an engine read its file again and returns its generation.
func (b *Bench) reload(ctx context.Context, name string) (gen uint64, err error) {
	err = b.call(ctx, name, func(ctx context.Context, n *node) error {
		r, err := n.Reload(ctx, &ztosv1.ReloadRequest{})
		gen = r.GetGeneration()
		return err
	})
	return gen, err
}
