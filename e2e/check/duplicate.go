package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/lab"
)

// Duplicate is the result of Bench.Duplicate.
type Duplicate struct {
	Claims int `json:"claims"` // frames with the MAC, at two leaves in turn, until it was found out
	// The leaf that keeps the newcomer out, and what it dropped of it afterwards.
	Leaf    string `json:"leaf"`
	Dropped uint64 `json:"dropped"`
}

// duplicateMAC is used by two hosts at once. duplicateIP is nobody's.
const duplicateMAC table.MAC = 0x02d0d0000001

var duplicateIP = netip.MustParseAddr("10.1.0.213")

// Duplicate sends with one MAC from the first two hosts of the first tenant in
// turn. It must be found out within 10 claims, its newcomer must be dropped with a
// reason and be reported, and be let in again by a release.
func (b *Bench) Duplicate(ctx context.Context) (r Duplicate, err error) {
	hosts := b.Topo.Hosts(b.Topo.Tenants[0].Name)
	var taps [2]*tap
	for i := range taps {
		t, err := b.tap(hosts[i].Name, func(frame) bool { return false }, hostDev)
		if err != nil {
			return r, err
		}
		defer t.close() //nolint:errcheck // it keeps nothing
		taps[i] = t
	}
	claim := func(i int) error { return taps[i].send(hostDev, gratuitousARP(duplicateMAC, duplicateIP)) }
	var keeper string
	for r.Leaf == "" {
		if r.Claims == 10 {
			return r, errors.New("no leaf found the duplicate in 10 claims")
		}
		i := r.Claims % 2
		r.Claims++
		leaf := hosts[i].Host.Port.Node
		err := eventually(ctx, 5*time.Second, func() (err error) {
			// Again each time: a worker reports an equal sighting ten times a second.
			if err = claim(i); err != nil {
				return err
			}
			if r.Leaf, keeper, err = b.quarantine(ctx, hosts[:2]); err != nil || r.Leaf != "" {
				return err
			}
			return b.followed(ctx, leaf, hosts[1-i].Host.Port.Node)
		})
		if err != nil {
			return r, fmt.Errorf("claim %d at %s: %w", r.Claims, leaf, err)
		}
	}
	if err := b.keptOut(ctx, &r, hosts, keeper, claim); err != nil {
		return r, err
	}
	return r, b.release(ctx)
}

// followed wants a leaf to have the MAC itself, and another to have it there.
func (b *Bench) followed(ctx context.Context, leaf, other string) error {
	vni := uint32(b.Topo.Tenants[0].VNI)
	at, _ := b.Topo.Node(leaf)
	return errors.Join(
		b.macAt(ctx, leaf, vni, duplicateMAC.String(), netip.Addr{}, 0),
		b.macAt(ctx, other, vni, duplicateMAC.String(), at.Address, 0),
	)
}

// quarantine returns the first leaf of the hosts that has the MAC in quarantine and
// the VTEP that keeps it; empty is the leaf itself.
func (b *Bench) quarantine(ctx context.Context, hosts []*lab.Node) (leaf, keeper string, err error) {
	for _, h := range hosts {
		name := h.Host.Port.Node
		err := b.call(ctx, name, func(ctx context.Context, n *node) error {
			m, err := n.evpn.ListDuplicates(ctx, &ztosv1.ListDuplicatesRequest{})
			for _, d := range m.GetDuplicates() {
				if d.GetMac() == duplicateMAC.String() {
					leaf, keeper = name, d.GetKeeper()
				}
			}
			return err
		})
		if err != nil || leaf != "" {
			return leaf, keeper, err
		}
	}
	return "", "", nil
}

// keptOut wants frames of the newcomer to be dropped. With the keeper elsewhere the
// newcomer is at the leaf that found out, else at the other one.
func (b *Bench) keptOut(ctx context.Context, r *Duplicate, hosts []*lab.Node, keeper string, claim func(int) error) error {
	newcomer := 0
	if (hosts[0].Host.Port.Node == r.Leaf) != (keeper != "") {
		newcomer = 1
	}
	before, err := b.Drops(ctx, r.Leaf)
	if err != nil {
		return err
	}
	return eventually(ctx, 5*time.Second, func() error {
		if err := claim(newcomer); err != nil {
			return err
		}
		now, err := b.Drops(ctx, r.Leaf)
		if r.Dropped = now["mac-quarantined"] - before["mac-quarantined"]; err == nil && r.Dropped == 0 {
			err = fmt.Errorf("%s drops no frame of the newcomer at %s", r.Leaf, hosts[newcomer].Name)
		}
		return err
	})
}

// release ends all quarantines.
func (b *Bench) release(ctx context.Context) error {
	for _, leaf := range b.kind(lab.Leaf) {
		err := b.call(ctx, leaf, func(ctx context.Context, n *node) error {
			m, err := n.evpn.ListDuplicates(ctx, &ztosv1.ListDuplicatesRequest{})
			for _, d := range m.GetDuplicates() {
				_, rerr := n.evpn.ReleaseDuplicate(ctx, &ztosv1.ReleaseDuplicateRequest{Vni: d.GetVni(), Mac: d.GetMac()})
				err = errors.Join(err, rerr)
			}
			if err != nil {
				return err
			}
			if m, err = n.evpn.ListDuplicates(ctx, &ztosv1.ListDuplicatesRequest{}); err == nil && len(m.GetDuplicates()) > 0 {
				err = fmt.Errorf("%s: %v are in quarantine after their release", leaf, m.GetDuplicates())
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
