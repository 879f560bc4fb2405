package check

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/ztos/ztos/engine/table"
)

// Mobility is the result of Bench.Mobility: a move as the last of them was shown.
type Mobility struct {
	MAC   string `json:"mac"`
	Moves int    `json:"moves"` // shown, summed over both leaves
	Seq   uint32 `json:"seq"`   // of the last
	Line  string `json:"line"`  // of the table at the second leaf
}

// shownMove is a move as a program reads it.
type shownMove struct {
	Kind     string     `json:"kind"`
	VNI      table.VNI  `json:"vni"`
	MAC      string     `json:"mac"`
	From, To netip.Addr // zero: the node itself
	Seq      uint32     `json:"seq"`
}

// Mobility follows HostMove: `ztosctl show mobility`, as a table and as JSON, must
// show each of its moves at both leaves, with the VNI, the MAC, where from, where
// to and the sequence number, and nothing of them at a third leaf, which neither
// lost nor got the host.
func (b *Bench) Mobility(ctx context.Context) (r Mobility, err error) {
	tenant := b.Topo.Tenants[0]
	hosts := b.Topo.Hosts(tenant.Name)
	mac := hosts[0].Host.MAC
	r.MAC = mac.String()
	for i, leaf := range []string{hosts[0].Host.Port.Node, hosts[1].Host.Port.Node} {
		far, _ := b.Topo.Node(hosts[1-i].Host.Port.Node)
		moves, err := b.movesOf(ctx, leaf, tenant.VNI, mac)
		if err != nil {
			return r, err
		}
		if len(moves) < moveCount {
			return r, fmt.Errorf("%s shows %d moves of %v, want %d: %+v", leaf, len(moves), mac, moveCount, moves)
		}
		moves = moves[len(moves)-moveCount:]
		text, err := b.ctl(ctx, leaf, "show", "mobility")
		if err != nil {
			return r, err
		}
		for k, m := range moves {
			want := shownMove{VNI: tenant.VNI, MAC: r.MAC, Seq: moves[0].Seq + uint32(k)}
			if k%2 == i { // even moves leave the first leaf, odd ones the second
				want.To = far.Address
			} else {
				want.From = far.Address
			}
			if m.Kind != "moved" || m.VNI != want.VNI || m.From != want.From || m.To != want.To || m.Seq != want.Seq || m.Seq == 0 {
				return r, fmt.Errorf("%s: move %d is shown as %+v, want %+v", leaf, k+1, m, want)
			}
			if r.Line = moveLine(text, &want); r.Line == "" {
				return r, fmt.Errorf("%s: no line for %+v in\n%s", leaf, want, text)
			}
			r.Moves++
			r.Seq = m.Seq
		}
	}
	third := hosts[2].Host.Port.Node
	moves, err := b.movesOf(ctx, third, tenant.VNI, mac)
	if err == nil && len(moves) > 0 {
		err = fmt.Errorf("%s, which the host neither left nor reached, shows %+v", third, moves)
	}
	return r, err
}

// movesOf returns what `ztosctl show mobility -o json` shows of a MAC.
func (b *Bench) movesOf(ctx context.Context, leaf string, vni table.VNI, mac table.MAC) ([]shownMove, error) {
	var all []shownMove
	err := b.ctlJSON(ctx, leaf, &all, "show", "mobility")
	return slices.DeleteFunc(all, func(m shownMove) bool { return m.VNI != vni || m.MAC != mac.String() }), err
}

// moveLine returns the line of the table that shows m; empty without one.
func moveLine(text string, m *shownMove) string {
	want := []string{"moved", strconv.Itoa(int(m.VNI)), m.MAC, orHere(m.From), orHere(m.To)}
	for line := range strings.Lines(text) {
		f := strings.Fields(line) // AGO WHAT VNI MAC FROM TO PORT SEQ ADDRESS
		if len(f) == 9 && slices.Equal(f[1:6], want) && f[7] == strconv.Itoa(int(m.Seq)) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// orHere names a node as the table does.
func orHere(a netip.Addr) string {
	if !a.IsValid() {
		return "here"
	}
	return a.String()
}
