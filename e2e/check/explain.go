package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/lab"
)

// Explain is the result of Bench.Explain.
type Explain struct {
	Far   []string `json:"far"` // what is said of a host of another leaf
	Near  string   `json:"near"`
	Why   string   `json:"why"`     // of an address that nobody has
	Other string   `json:"refused"` // of a MAC whose leaf is not granted the VNI
}

// explained is what `ztosctl explain -o json` prints.
type explained struct {
	Why    string `json:"why"`
	Places []struct {
		VNI    table.VNI        `json:"vni"`
		MAC    string           `json:"mac"`
		Kind   string           `json:"kind"`
		Port   string           `json:"port"`
		VTEP   netip.Addr       `json:"vtep"`
		Source string           `json:"source"`
		Why    string           `json:"why"`
		Routes []explainedRoute `json:"routes"`
		Keys   explainedKeys    `json:"keys"`
	} `json:"places"`
	Routed []struct {
		Route struct {
			VRF      string       `json:"vrf"`
			Prefix   netip.Prefix `json:"prefix"`
			Origin   string       `json:"origin"`
			Contract string       `json:"contract"`
		} `json:"route"`
		Ways []struct {
			Path struct {
				VTEP netip.Addr `json:"vtep"`
				VNI  table.VNI  `json:"vni"`
			} `json:"path"`
			Keys explainedKeys `json:"keys"`
			Why  string        `json:"why"`
		} `json:"ways"`
	} `json:"routed"`
}

// explainedKeys is a part of explained.
type explainedKeys struct {
	TxSCI string   `json:"txSci"`
	TxAN  string   `json:"txAn"`
	RxSCs []string `json:"rxScs"`
	Peers []struct {
		Name      string           `json:"name"`
		PublicKey config.PublicKey `json:"publicKey"`
		Usable    bool             `json:"usable"`
	} `json:"peers"`
}

// explainedRoute is a route of explained.
type explainedRoute struct {
	RD      string     `json:"rd"`
	NextHop netip.Addr `json:"nextHop"`
	Label   table.VNI  `json:"label"`
	RTs     []string   `json:"rts"`
	Own     bool       `json:"own"`
	From    netip.Addr `json:"from"`
	Used    bool       `json:"used"`
}

// explain runs `ztosctl explain` and returns what it prints, and its exit code.
func (b *Bench) explain(ctx context.Context, leaf string, args ...string) (e explained, code int, err error) {
	out, err := b.ctl(ctx, leaf, append([]string{"explain", "-o", "json"}, args...)...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		code, err = 1, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(out), &e)
	}
	return e, code, err
}

// Explain asks a leaf where the second host of the first tenant is, which is behind
// another leaf, and compares each thing that is said with the configuration: VTEP,
// route, keys and peers. Then it asks for a host of its own, for an address that
// nobody has, and for a host of a leaf whose grant was taken away: why it is nowhere.
func (b *Bench) Explain(ctx context.Context) (r Explain, err error) {
	tenant := b.Topo.Tenants[0]
	hosts := b.Topo.Hosts(tenant.Name)
	leaf, far := hosts[0].Host.Port.Node, hosts[1]
	cfg, err := config.Load(b.Lab.ConfigPath(leaf))
	if err != nil {
		return r, fmt.Errorf("check: %w", err)
	}
	for _, args := range [][]string{{"mac", far.Host.MAC.String()}, {"ip", addr(far, false).String()}, {"ip", addr(far, true).String()}} {
		if err := b.explainFar(ctx, cfg, leaf, far, args, &r); err != nil {
			return r, err
		}
	}
	vni := fmt.Sprint(tenant.VNI)
	e, code, err := b.explain(ctx, leaf, "mac", hosts[0].Host.MAC.String(), "--vni", vni)
	if err != nil {
		return r, err
	}
	if code != 0 || len(e.Places) != 1 || e.Places[0].Kind != "port" || e.Places[0].Port != hosts[0].Host.Port.Dev ||
		!slices.ContainsFunc(e.Places[0].Routes, func(x explainedRoute) bool { return x.Own && x.Used }) {
		return r, fmt.Errorf("%s says of its own host: exit %d, %+v", leaf, code, e)
	}
	r.Near = e.Places[0].Port
	e, code, err = b.explain(ctx, leaf, "ip", "203.0.113.77")
	if err == nil && (code != 1 || len(e.Places) != 0 || !strings.Contains(e.Why, "nobody announces it")) {
		err = fmt.Errorf("%s says of an address that nobody has: exit %d, %+v", leaf, code, e)
	}
	if err != nil {
		return r, err
	}
	r.Why = e.Why
	return r, b.explainRefused(ctx, leaf, far, &r)
}

// explainFar checks what is said of a host of another leaf.
func (b *Bench) explainFar(ctx context.Context, cfg *config.Node, leaf string, far *lab.Node, args []string, r *Explain) error {
	tenant := b.Topo.Tenants[0]
	at, _ := b.Topo.Node(far.Host.Port.Node)
	args = append(args, "--vni", fmt.Sprint(tenant.VNI))
	e, code, err := b.explain(ctx, leaf, args...)
	if err != nil {
		return err
	}
	wrong := func(what string) error {
		return fmt.Errorf("%s: explain %v: %s: exit %d, %+v", leaf, args, what, code, e)
	}
	if code != 0 || len(e.Places) != 1 {
		return wrong("want one place")
	}
	p := &e.Places[0]
	if p.Kind != "vtep" || p.VTEP != at.Address || p.Source != "evpn" || p.MAC != far.Host.MAC.String() || p.Why != "" {
		return wrong("want it behind its leaf, by EVPN")
	}
	used := 0
	for _, x := range p.Routes {
		if x.Own || x.NextHop != at.Address || x.Label != tenant.VNI || !strings.HasPrefix(x.RD, at.Address.String()+":") ||
			!slices.Contains(x.RTs, fmt.Sprintf("%d:%d", cfg.BGP.ASN, tenant.VNI)) || !x.From.IsValid() {
			return wrong("a route is not of its leaf")
		}
		if x.Used {
			used++
		}
	}
	if used == 0 {
		return wrong("no route is used")
	}
	i := slices.IndexFunc(cfg.BridgeDomains, func(d config.BridgeDomain) bool { return d.VNI == tenant.VNI })
	m := cfg.BridgeDomains[i].MACsec
	if p.Keys.TxSCI != m.Tx.SCI.String() || p.Keys.TxAN != fmt.Sprint(m.Tx.AN) {
		return wrong("not the SecY's transmit channel")
	}
	j := slices.IndexFunc(m.Peers, func(x config.RxSC) bool { return x.VTEP == at.Address })
	if len(p.Keys.RxSCs) != 1 || !strings.HasPrefix(p.Keys.RxSCs[0], m.Peers[j].SCI.String()+" AN 0") {
		return wrong("not the channel of its leaf")
	}
	if len(p.Keys.Peers) != len(b.kind(lab.Spine)) {
		return wrong("want all spines as peers")
	}
	for _, x := range p.Keys.Peers {
		k := slices.IndexFunc(cfg.Peers, func(c config.Peer) bool { return c.Name == x.Name })
		if k < 0 || cfg.Peers[k].PublicKey != x.PublicKey || !x.Usable {
			return wrong("peer " + x.Name)
		}
	}
	text, err := b.ctl(ctx, leaf, append([]string{"explain"}, args...)...)
	if err != nil {
		return err
	}
	for _, want := range []string{"VTEP " + at.Address.String(), m.Tx.SCI.String(), m.Peers[j].SCI.String(), cfg.Peers[0].PublicKey.String(), "used"} {
		if !strings.Contains(text, want) {
			return fmt.Errorf("%s: explain %v does not say %q:\n%s", leaf, args, want, text)
		}
	}
	r.Far = append(r.Far, strings.Join(args, " "))
	return nil
}

// explainRefused takes a leaf's grant away, and asks for a host behind it.
func (b *Bench) explainRefused(ctx context.Context, leaf string, far *lab.Node, r *Explain) (err error) {
	at, _ := b.Topo.Node(far.Host.Port.Node)
	defer func() { err = errors.Join(err, b.unedit(context.WithoutCancel(ctx), leaf)) }()
	if err := b.edit(ctx, leaf, func(c *config.Node) error { return forget(c, at.Address) }); err != nil {
		return err
	}
	return eventually(ctx, proxyMost, func() error {
		e, code, err := b.explain(ctx, leaf, "ip", addr(far, false).String(), "--vni", fmt.Sprint(b.Topo.Tenants[0].VNI))
		if err != nil {
			return err
		}
		if r.Other = e.Why; code != 1 || len(e.Places) != 0 || !strings.Contains(e.Why, "vni-not-granted") || !strings.Contains(e.Why, at.Address.String()) {
			return fmt.Errorf("%s says of a host of %s, which is not granted the VNI: exit %d, %+v", leaf, at.Name, code, e)
		}
		return nil
	})
}

// ExplainRouted asks a leaf how a VRF sends to an address, and compares what is said
// with its configuration: by which contract, to which VTEP, with whose keys.
func (b *Bench) ExplainRouted(ctx context.Context, leaf, vrf string, to netip.Addr, contract string, vtep netip.Addr) (string, error) {
	cfg, err := config.Load(b.Lab.ConfigPath(leaf))
	if err != nil {
		return "", fmt.Errorf("check: %w", err)
	}
	e, code, err := b.explain(ctx, leaf, "ip", to.String())
	if err != nil {
		return "", err
	}
	for _, x := range e.Routed {
		if x.Route.VRF != vrf {
			continue
		}
		if x.Route.Contract != contract || !x.Route.Prefix.Contains(to) || len(x.Ways) != 1 || x.Ways[0].Path.VTEP != vtep || x.Ways[0].Why != "" {
			break
		}
		w := &x.Ways[0]
		i := slices.IndexFunc(cfg.BridgeDomains, func(d config.BridgeDomain) bool { return d.VNI == w.Path.VNI })
		if i < 0 || cfg.BridgeDomains[i].MACsec == nil || w.Keys.TxSCI != cfg.BridgeDomains[i].MACsec.Tx.SCI.String() ||
			len(w.Keys.RxSCs) != 1 || len(w.Keys.Peers) == 0 {
			break
		}
		return fmt.Sprintf("%s %v %s, to %v by VNI %d, SCI %s", x.Route.VRF, x.Route.Prefix, x.Route.Origin, vtep, w.Path.VNI, w.Keys.TxSCI), nil
	}
	return "", fmt.Errorf("%s: explain ip %v: exit %d, %+v; want contract %q and VTEP %v", leaf, to, code, e, contract, vtep)
}
