package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/engine/trace"
)

// TracePath is the result of Bench.TracePath: the stages that a traced frame
// passed at each node.
type TracePath struct {
	In  []string `json:"leaf_in"`
	Out []string `json:"leaf_out"`
	// Of a frame that the leaf dropped.
	DropStage  string `json:"drop_stage"`
	DropReason string `json:"drop_reason"`
}

// TracePath traces pings at the leaf where they enter and at the one where they
// leave, and a frame with a VLAN tag that nobody wants, and looks whether the
// traces tell the whole way and the reason.
func (b *Bench) TracePath(ctx context.Context) (TracePath, error) {
	var r TracePath
	t := b.Topo.Tenants[0]
	h := b.Topo.Hosts(t.Name)
	from, to := h[0], h[1]
	marker := MarkerOf(t.Name)
	ping := func() error {
		_, err := b.ping(ctx, from.Name, addr(to, false), pingOptions{count: 5, marker: &marker})
		return err
	}
	if err := ping(); err != nil { // fills tables
		return r, err
	}
	in, err := b.trace(ctx, from.Host.Port.Node, &ztosv1.TraceRequest{Count: 20, Mac: from.Host.MAC.String()}, ping)
	if err != nil {
		return r, err
	}
	macsec := []string{trace.MACsecProtect.String()}
	valid := []string{trace.MACsecValidate.String()}
	if !protectedVNI(b, t.Name) {
		macsec, valid = nil, nil
	}
	if r.In, err = wholePath(in, slices.Concat([]string{trace.PortRx.String(), trace.Access.String(), trace.Bridge.String()}, macsec, []string{trace.VXLANEncap.String()})); err != nil {
		return r, fmt.Errorf("trace at %s: %w", from.Host.Port.Node, err)
	}
	out, err := b.trace(ctx, to.Host.Port.Node, &ztosv1.TraceRequest{Count: 200}, ping)
	if err != nil {
		return r, err
	}
	if r.Out, err = wholePath(out, slices.Concat([]string{trace.UnderlayRx.String(), trace.WireGuardOpen.String(), trace.VXLANDecap.String()}, valid, []string{trace.Bridge.String(), trace.PortTx.String()})); err != nil {
		return r, fmt.Errorf("trace at %s: %w", to.Host.Port.Node, err)
	}
	return r, b.traceDrop(ctx, &r)
}

// protectedVNI reports whether MACsec is on for a tenant.
func protectedVNI(b *Bench, tenant string) bool {
	t, ok := b.Topo.Tenant(tenant)
	return ok && t.Protection.String() == "macsec"
}

// traceDrop traces a frame with a VLAN tag on a port without VLANs.
func (b *Bench) traceDrop(ctx context.Context, r *TracePath) error {
	const reason = "vlan-not-allowed"
	h := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	t, err := b.tap(h[0].Name, func(frame) bool { return false }, "eth0")
	if err != nil {
		return err
	}
	defer t.close() //nolint:errcheck // only for sending
	f, err := tenantFrame(endpointOf(h[0]), endpointOf(h[1]), MarkerOf("vlan"))
	if err != nil {
		return err
	}
	tagged := slices.Concat(f[:12], []byte{0x81, 0x00, 0x0e, 0xee}, f[12:]) // VLAN 3822
	got, err := b.trace(ctx, h[0].Host.Port.Node, &ztosv1.TraceRequest{Count: 5, Mac: h[0].Host.MAC.String()}, func() error {
		return t.send("eth0", tagged)
	})
	if err != nil {
		return err
	}
	for _, rec := range got {
		if rec.Reason == reason {
			r.DropStage, r.DropReason = rec.Stage, rec.Reason
			return nil
		}
	}
	return fmt.Errorf("trace of a frame with a VLAN that nobody wants: %s; want reason %s", path(got), reason)
}

// wholePath looks for one frame that passed all stages, in that order, and
// returns all of its stages.
func wholePath(got []*ztosv1.TraceRecord, want []string) ([]string, error) {
	if len(got) == 0 {
		return nil, errors.New("no record")
	}
	paths := map[uint32][]string{}
	for _, r := range got {
		paths[r.Id] = append(paths[r.Id], r.Stage)
	}
	var longest []string
	for _, p := range paths {
		rest := want
		for _, s := range p {
			if len(rest) > 0 && s == rest[0] {
				rest = rest[1:]
			}
		}
		if len(rest) == 0 {
			return p, nil
		}
		if len(p) > len(longest) {
			longest = p
		}
	}
	return nil, fmt.Errorf("no frame passed %s; the longest path of %d frames is %s", strings.Join(want, " > "), len(paths), strings.Join(longest, " > "))
}

// path lists records for a message.
func path(got []*ztosv1.TraceRecord) string {
	var s []string
	for _, r := range got {
		s = append(s, strings.TrimSpace(fmt.Sprintf("%d:%s %s", r.Id, r.Stage, r.Reason)))
	}
	return "[" + strings.Join(s, ", ") + "]"
}
