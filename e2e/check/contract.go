package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// Forbidden sends echo requests from a host to dst, none of which may be answered,
// and wants its leaf to count each as dropped for reason. It returns how many were.
func (b *Bench) Forbidden(ctx context.Context, from string, dst netip.Addr, reason string) (dropped uint64, err error) {
	h, err := b.hostNode(from)
	if err != nil {
		return 0, err
	}
	leaf := h.Host.Port.Node
	before, err := b.Drops(ctx, leaf)
	if err != nil {
		return 0, err
	}
	p, err := b.Unreached(ctx, from, dst)
	if err != nil {
		return 0, err
	}
	err = eventually(ctx, 5*time.Second, func() error {
		after, err := b.Drops(ctx, leaf)
		if err != nil {
			return err
		}
		if dropped = after.since(before)[reason]; dropped < uint64(p.Sent) {
			return fmt.Errorf("%s to %v: %s dropped %v, want %d for %s", from, dst, leaf, after.since(before), p.Sent, reason)
		}
		return nil
	})
	return dropped, err
}

// ContractTables wants a leaf to show, by ztosctl, which routes of a VRF are leaked
// and by which contract, and its proof of isolation to name that contract and no
// other. It returns the routes.
func (b *Bench) ContractTables(ctx context.Context, leaf, vrf, of, contract string, prefixes ...string) (shown []string, err error) {
	var routes []status.Route
	if err := b.ctlJSON(ctx, leaf, &routes, "show", "routes", "--vrf", vrf); err != nil {
		return nil, err
	}
	for _, r := range routes {
		if r.Origin == "contract" {
			if r.Contract != contract || r.From != of {
				return shown, fmt.Errorf("%s: %+v, want contract %s of VRF %s", leaf, r, contract, of)
			}
			shown = append(shown, r.Prefix.String())
		}
	}
	for _, p := range prefixes {
		if !slices.Contains(shown, p) {
			return shown, fmt.Errorf("%s, VRF %s: %v is not leaked, only %v", leaf, vrf, p, shown)
		}
	}
	text, err := b.ctl(ctx, leaf, "show", "routes", "--vrf", vrf)
	if err != nil {
		return shown, err
	}
	if mark := fmt.Sprintf("of VRF %s by contract %s", of, contract); strings.Count(text, mark) != len(shown) {
		return shown, fmt.Errorf("%s: %d routes are leaked, and shown is\n%s", leaf, len(shown), text)
	}
	var s status.Isolation
	if err := b.ctlJSON(ctx, leaf, &s, "verify", "isolation"); err != nil {
		return shown, err
	}
	if len(s.Permitted) == 0 || slices.ContainsFunc(s.Permitted, func(p status.Permit) bool { return p.Contract != contract }) {
		return shown, fmt.Errorf("%s: permitted %+v, want entries of contract %s", leaf, s.Permitted, contract)
	}
	return shown, nil
}

// ContractReload is the result of Bench.ContractReload.
type ContractReload struct {
	Refused []string `json:"refused"` // faults of what was not taken
	Crossed Stream   `json:"crossed"` // by the contract
	Inside  Stream   `json:"inside"`  // a VRF, beside it
}

// ContractReload takes a leaf's contracts away by SIGHUP, and gives them back by the
// API, under datagrams from a host to one of another VRF, and to one of its own.
// None crosses after the one and before the other, and inside none is lost, whatever
// happens. Before that, two documents that would break isolation are refused, and
// change nothing.
func (b *Bench) ContractReload(ctx context.Context, leaf, from, other, own string) (r ContractReload, err error) {
	path := b.Lab.ConfigPath(leaf)
	original, err := os.ReadFile(path)
	if err != nil {
		return r, fmt.Errorf("check: %w", err)
	}
	before, err := b.losses(ctx)
	if err != nil {
		return r, err
	}
	inside, err := b.stream(from, own, 500, 300, 0)
	if err != nil {
		return r, err
	}
	crossed, err := b.stream(from, other, 500, 300, 0)
	if err != nil {
		_, stopErr := inside.stop()
		return r, errors.Join(err, stopErr)
	}
	stepErr := errors.Join(inside.flowing(ctx, 200, 5*time.Second), crossed.flowing(ctx, 200, 5*time.Second))
	if stepErr == nil {
		stepErr = b.contractSteps(ctx, &r, leaf, crossed, path)
	}
	stepErr = errors.Join(stepErr, os.WriteFile(path, original, 0o600))
	var e1, e2 error
	r.Inside, e1 = inside.stop()
	r.Crossed, e2 = crossed.stop()
	if err := errors.Join(stepErr, e1, e2, r.Inside.lossless()); err != nil {
		return r, errors.Join(err, b.whatWasLost(ctx, before))
	}
	if r.Crossed.Lost == 0 {
		return r, errors.New("nothing that crossed was lost while there was no contract")
	}
	return r, nil
}

// contractSteps is the steps of ContractReload.
func (b *Bench) contractSteps(ctx context.Context, r *ContractReload, leaf string, crossed *numbered, path string) error {
	for _, bad := range []struct {
		change func(*config.Node)
		want   string // in the fault
	}{
		{func(c *config.Node) {
			c.Contracts[0].Prefixes = append(c.Contracts[0].Prefixes, netip.MustParsePrefix("10.1.1.0/24"))
		}, "contracts[0].prefixes[2]"},
		{func(c *config.Node) {
			// Red's first key under the next number, for shared.
			from := slices.IndexFunc(c.BridgeDomains, func(d config.BridgeDomain) bool { return d.VRF == c.Contracts[0].From })
			to := slices.IndexFunc(c.BridgeDomains, func(d config.BridgeDomain) bool { return d.VRF == c.Contracts[0].To })
			sas := &c.BridgeDomains[to].MACsec.Tx.SAs
			*sas = append(*sas, config.SA{AN: 3, KeyFile: c.BridgeDomains[from].MACsec.Tx.SAs[0].KeyFile})
		}, "would not be isolated"},
	} {
		fault, err := b.refusedEdit(ctx, leaf, bad.want, bad.change)
		if err != nil {
			return err
		}
		r.Refused = append(r.Refused, fault)
	}
	if err := crossed.flowing(ctx, 200, 5*time.Second); err != nil {
		return fmt.Errorf("after what was refused: %w", err)
	}

	gen, err := b.generation(ctx, leaf)
	if err != nil {
		return err
	}
	cfg, err := config.Load(path)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	given := cfg.Contracts
	cfg.Contracts = nil
	doc, err := config.Marshal(cfg)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, doc, 0o600); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	pid, err := b.enginePID(leaf)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		return err
	}
	err = eventually(ctx, 5*time.Second, func() error {
		now, err := b.generation(ctx, leaf)
		if err == nil && now == gen {
			err = fmt.Errorf("still generation %d after a SIGHUP", gen)
		}
		return err
	})
	if err != nil {
		return err
	}
	// What is under way arrives, late on a machine that is busy; then nothing does.
	err = eventually(ctx, 5*time.Second, func() error {
		have := crossed.received()
		pause(ctx, 500*time.Millisecond)
		if now := crossed.received(); now != have {
			return fmt.Errorf("%d datagrams crossed without a contract", now-have)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := b.edit(ctx, leaf, func(c *config.Node) error { c.Contracts = given; return nil }); err != nil {
		return err
	}
	return crossed.flowing(ctx, 200, 10*time.Second)
}

// ContractEverywhere gives leaves the contracts of the first of them, not to be
// announced, and wants hosts to reach addresses by them: each leaf leaks for itself,
// so what crosses at one comes back by the other. It returns how many were reached.
func (b *Bench) ContractEverywhere(ctx context.Context, leaves []string, from []string, to []netip.Addr) (reached int, err error) {
	cfg, err := config.Load(b.Lab.ConfigPath(leaves[0]))
	if err != nil {
		return 0, fmt.Errorf("check: %w", err)
	}
	for i := range cfg.Contracts {
		cfg.Contracts[i].Advertise = false
	}
	for _, leaf := range leaves {
		if err := b.edit(ctx, leaf, func(c *config.Node) error { c.Contracts = cfg.Contracts; return nil }); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, b.unedit(context.WithoutCancel(ctx), leaf)) }()
	}
	// Nothing of the other way is left.
	for _, leaf := range leaves {
		err := eventually(ctx, 10*time.Second, func() error {
			for _, vrf := range []string{cfg.Contracts[0].From, cfg.Contracts[0].To} {
				learned, err := b.evpnRoutes(ctx, leaf, vrf)
				if err != nil {
					return err
				}
				for _, p := range slices.Concat(cfg.Contracts[0].Prefixes, cfg.Contracts[0].Return) {
					if via := learned[p]; len(via) > 0 && vrf == cfg.Contracts[0].From == slices.Contains(cfg.Contracts[0].Prefixes, p) {
						return fmt.Errorf("%s, VRF %s: %v is still announced by %v", leaf, vrf, p, via)
					}
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	for i := range from {
		if _, err := b.Reached(ctx, from[i], to[i]); err != nil {
			return reached, err
		}
		reached++
	}
	_, err = b.Proven(ctx)
	return reached, err
}

// refusedEdit gives a leaf its configuration with a change that must be refused, as
// a break of isolation when the fault says so, and leave its generation as it is. It
// returns the fault.
func (b *Bench) refusedEdit(ctx context.Context, leaf, want string, change func(*config.Node)) (fault string, err error) {
	gen, err := b.generation(ctx, leaf)
	if err != nil {
		return "", err
	}
	err = b.edit(ctx, leaf, func(c *config.Node) error { change(c); return nil })
	if err == nil {
		return "", errors.Join(fmt.Errorf("%s took what breaks isolation: want a fault with %q", leaf, want), b.unedit(ctx, leaf))
	}
	if !strings.Contains(err.Error(), want) {
		return "", fmt.Errorf("%s refused with another fault than %q: %w", leaf, want, err)
	}
	now, e := b.generation(ctx, leaf)
	if e == nil && now != gen {
		e = fmt.Errorf("%s: generation went from %d to %d", leaf, gen, now)
	}
	return err.Error(), e
}

// isolationRefused returns how many applies an engine has refused because they
// would have broken isolation.
func (b *Bench) isolationRefused(ctx context.Context, engine string) (n uint64, err error) {
	var groups []status.CounterGroup
	if err := b.ctlJSON(ctx, engine, &groups, "show", "counters"); err != nil {
		return 0, err
	}
	for _, g := range groups {
		for _, c := range g.Counts {
			if g.Kind == "isolation" && c.Name == "refused" {
				return c.Value, nil
			}
		}
	}
	return 0, fmt.Errorf("%s has no counter of refused applies: %+v", engine, groups)
}
