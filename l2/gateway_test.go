package l2_test

import (
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// gatewayMAC is that of the rig's gateway.
const gatewayMAC table.MAC = 0x025a54000064

// newRouted is a rig whose bridge domain has a gateway.
func newRouted(t testing.TB, change func(*l2.BDConfig)) *rig {
	r := newRig(t, func(c *l2.BDConfig) {
		c.Routed = true
		if change != nil {
			change(c)
		}
	}, l2.Limit{})
	c := l2.DomainConfig{VNI: rigVNI, VTEPs: r.bd.VTEPs, Statics: []l2.Static{{MAC: gatewayMAC, Dest: l2.Gateway}, {MAC: mac(91), Dest: l2.Blackhole}}}
	for _, ac := range r.bd.ACs {
		c.Circuits = append(c.Circuits, l2.Circuit{ID: ac.ID, Port: ac.Port})
	}
	if err := r.learner.SetDomain(c); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestToGateway(t *testing.T) {
	r := newRouted(t, nil)
	gateway := l2.Verdict{Kind: l2.ToGateway}
	r.expect("from a circuit", r.send(1, gatewayMAC, mac(1)), gateway)
	r.expect("from a VTEP", r.send(-1, gatewayMAC, mac(2)), gateway)
	r.expect("its sources are learned", r.send(1, mac(2), mac(1)), to(l2.Remote(1)))
	r.expect("another leaf's gateway asks", r.send(-1, table.Broadcast, gatewayMAC), flooded)
	r.expect("another leaf's gateway routes", r.send(-1, mac(1), gatewayMAC), to(l2.Local(1)))
	r.expect("a tenant uses the gateway's MAC", r.send(2, mac(1), gatewayMAC), dropped(counter.MACMoveRefused))
	if e, ok := r.bd.FDB.Get(gatewayMAC); !ok || e.Dest != l2.Gateway || !e.Static {
		t.Errorf("the gateway's MAC is %+v, %v", e, ok)
	}
	if got := l2.Gateway.String(); got != "gateway" {
		t.Errorf("String = %q", got)
	}
}

// TestLonelyGateway: a lone circuit still reaches the gateway by a flood.
func TestLonelyGateway(t *testing.T) {
	lone := func(c *l2.BDConfig) { c.ACs, c.VTEPs = c.ACs[:1], nil }
	r := newRouted(t, lone)
	r.expect("with a gateway", r.send(1, table.Broadcast, mac(1)), flooded)
	r = newRig(t, func(c *l2.BDConfig) { lone(c) }, l2.Limit{})
	r.expect("without", r.send(1, table.Broadcast, mac(1)), dropped(counter.NoDestination))
}

func TestFromGateway(t *testing.T) {
	r := newRouted(t, nil)
	r.send(1, mac(9), mac(1))
	r.send(-2, mac(9), mac(2))
	before := r.bd.Count.TxTunnel.Frames.Load()
	for _, tt := range []struct {
		name string
		dst  table.MAC
		want l2.Verdict
	}{
		{"to a circuit", mac(1), to(l2.Local(1))},
		{"to a VTEP", mac(2), to(l2.Remote(2))},
		{"to everybody", table.Broadcast, flooded},
		{"to a group", 0x3333ff000001, flooded},
		{"to who knows whom", mac(50), flooded},
		{"to itself", gatewayMAC, dropped(counter.NoDestination)},
		{"to a blackhole", mac(91), dropped(counter.FDBDrop)},
	} {
		f := &pkt.Frame{}
		f.Reset(frame(tt.dst, gatewayMAC, 50))
		r.bridge.Begin(r.now)
		r.expect(tt.name, r.bridge.FromGateway(r.bd, f), tt.want)
		if r.bridge.End() {
			t.Errorf("%s: something was learned", tt.name)
		}
	}
	// One to a VTEP, and three floods to two each.
	if got := r.bd.Count.TxTunnel.Frames.Load() - before; got != 7 {
		t.Errorf("%d frames counted to VTEPs, want 7", got)
	}
	f := &pkt.Frame{}
	f.Reset(frame(mac(1), gatewayMAC, 50))
	if n := testing.AllocsPerRun(100, func() { r.bridge.FromGateway(r.bd, f) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}
