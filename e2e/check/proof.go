package check

import (
	"context"
	"errors"
	"fmt"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// Proof is the result of Bench.Proven.
type Proof struct {
	Nodes int    `json:"nodes"`
	Steps uint64 `json:"steps"` // entries of tables that were looked at
}

// Proven wants every engine to prove from its tables that no path leads from one
// tenant to another.
func (b *Bench) Proven(ctx context.Context) (r Proof, err error) {
	for _, e := range b.Engines() {
		s, err := b.isolation(ctx, e)
		if err != nil {
			return r, err
		}
		if len(s.Breaches) > 0 || s.Steps == 0 {
			return r, fmt.Errorf("%s: %+v, want entries and no breach", e, s)
		}
		r.Nodes++
		r.Steps += s.Steps
	}
	return r, nil
}

// isolation has an engine verify itself.
func (b *Bench) isolation(ctx context.Context, engine string) (s status.Isolation, err error) {
	c, err := client.Dial(b.Lab.Socket(engine))
	if err != nil {
		return s, err
	}
	defer c.Close()
	return c.Isolation(ctx)
}

// KeyShared gives a leaf a configuration in which a tenant has a key of another,
// which must be refused and counted, and returns the fault.
func (b *Bench) KeyShared(ctx context.Context, leaf, of, to string) (fault string, err error) {
	before, err := b.isolationRefused(ctx, leaf)
	if err != nil {
		return "", err
	}
	var broken error
	fault, err = b.refusedEdit(ctx, leaf, "would not be isolated", func(c *config.Node) {
		var from, at *config.BridgeDomain
		for i := range c.BridgeDomains {
			switch d := &c.BridgeDomains[i]; d.Name {
			case of:
				from = d
			case to:
				at = d
			}
		}
		if from == nil || at == nil || from.MACsec == nil || at.MACsec == nil {
			broken = fmt.Errorf("check: %s has no keys of %s and %s", leaf, of, to)
			return
		}
		at.MACsec.Tx.SAs = append(at.MACsec.Tx.SAs, config.SA{AN: 3, KeyFile: from.MACsec.Tx.SAs[0].KeyFile})
	})
	if err := errors.Join(broken, err); err != nil {
		return fault, err
	}
	after, err := b.isolationRefused(ctx, leaf)
	if err == nil && after != before+1 {
		err = fmt.Errorf("%s counted %d refused applies, want 1", leaf, after-before)
	}
	return fault, err
}
