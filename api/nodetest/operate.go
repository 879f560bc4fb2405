package nodetest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
)

// secy returns the SecY of vni.
func (n *Node) secy(vni table.VNI) (*status.SecY, error) {
	for i := range n.secys {
		if n.secys[i].VNI == vni {
			return &n.secys[i], nil
		}
	}
	return nil, fmt.Errorf("VNI %d has no MACsec: %w", vni, status.ErrNotFound)
}

// channel returns the receive channel sci of y.
func channel(y *status.SecY, sci config.SCI) (*status.RxSC, error) {
	for i := range y.RxSCs {
		if y.RxSCs[i].SCI == sci {
			return &y.RxSCs[i], nil
		}
	}
	return nil, fmt.Errorf("VNI %d has no receive channel %s: %w", y.VNI, sci, status.ErrNotFound)
}

// InstallSA implements server.Backend. It does not read the key file.
func (n *Node) InstallSA(sa status.SA) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	y, err := n.secy(sa.VNI)
	if err != nil {
		return err
	}
	taken := fmt.Errorf("VNI %d %s AN %d: in use: %w", sa.VNI, sa.Direction, sa.AN, status.ErrPrecondition)
	if sa.Direction == status.Tx {
		if slices.ContainsFunc(y.TxSAs, func(t status.TxSA) bool { return t.AN == sa.AN }) {
			return taken
		}
		y.TxSAs = append(y.TxSAs, status.TxSA{AN: sa.AN, Fingerprint: "new", NextPN: 1})
		return nil
	}
	c, err := channel(y, sa.SCI)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(c.SAs, func(t status.RxSA) bool { return t.AN == sa.AN }) {
		return taken
	}
	c.SAs = append(slices.Clone(c.SAs), status.RxSA{AN: sa.AN, Fingerprint: "new", NextPN: 1, LowestPN: 1})
	return nil
}

// UseAN implements server.Backend.
func (n *Node) UseAN(vni table.VNI, an uint8) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	y, err := n.secy(vni)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(y.TxSAs, func(t status.TxSA) bool { return t.AN == an }) {
		return fmt.Errorf("VNI %d has no transmit SA %d: %w", vni, an, status.ErrNotFound)
	}
	y.TxAN = an
	for i := range y.TxSAs {
		y.TxSAs[i].InUse = y.TxSAs[i].AN == an
	}
	return nil
}

// RemoveSA implements server.Backend.
func (n *Node) RemoveSA(ref status.SARef) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	y, err := n.secy(ref.VNI)
	if err != nil {
		return err
	}
	none := fmt.Errorf("VNI %d has no %s SA %d: %w", ref.VNI, ref.Direction, ref.AN, status.ErrNotFound)
	if ref.Direction == status.Tx {
		if y.TxUsable && y.TxAN == ref.AN {
			return fmt.Errorf("VNI %d transmits with AN %d: %w", ref.VNI, ref.AN, status.ErrPrecondition)
		}
		before := len(y.TxSAs)
		y.TxSAs = slices.DeleteFunc(slices.Clone(y.TxSAs), func(t status.TxSA) bool { return t.AN == ref.AN })
		if len(y.TxSAs) == before {
			return none
		}
		return nil
	}
	c, err := channel(y, ref.SCI)
	if err != nil {
		return err
	}
	before := len(c.SAs)
	c.SAs = slices.DeleteFunc(slices.Clone(c.SAs), func(t status.RxSA) bool { return t.AN == ref.AN })
	if len(c.SAs) == before {
		return none
	}
	return nil
}

// Trace implements server.Backend over Tap. A followed frame leaves at port-tx,
// at wireguard-seal, or where it is dropped.
func (n *Node) Trace(ctx context.Context, q status.TraceRequest, put func(status.TraceRecord) error) error {
	w := n.Tap.Follow(q.Count, trace.Filter{VNI: uint32(q.VNI), Match: func(r *trace.Record) bool {
		return q.Stage == 0 || r.Stage == q.Stage
	}}, q.Snap, 64)
	defer w.Stop()
	if q.Begun != nil {
		q.Begun()
	}
	for left := q.Count; left > 0; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-w.C:
			err := put(status.TraceRecord{
				ID: r.ID, Stage: r.Stage, Worker: r.Worker, Time: Epoch.Add(time.Duration(r.Nanos)), Reason: r.Reason,
				VNI: table.VNI(r.VNI), Port: n.portName(r.Port), Peer: r.Peer, Out: r.Out, Len: r.Len, Segs: r.Segs,
				Data: r.Data, Note: r.Note, Missed: w.Missed(),
			})
			if err != nil {
				return err
			}
			if r.Stage == trace.PortTx || r.Stage == trace.WireGuardSeal || r.Reason != counter.None {
				left--
			}
		}
	}
	return nil
}

// Capture implements server.Backend over Tap.
func (n *Node) Capture(ctx context.Context, q status.CaptureRequest, put func(status.CapturePacket) error) error {
	w := n.Tap.Capture(q.Stages, trace.Filter{VNI: uint32(q.VNI)}, q.Snap, 64)
	defer w.Stop()
	var end <-chan time.Time
	if q.Duration > 0 {
		t := time.NewTimer(q.Duration)
		defer t.Stop()
		end = t.C
	}
	if q.Begun != nil {
		q.Begun()
	}
	for got := 0; q.Count == 0 || got < q.Count; got++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end:
			return nil
		case r := <-w.C:
			err := put(status.CapturePacket{
				Stage: r.Stage, Time: Epoch.Add(time.Duration(r.Nanos)), VNI: table.VNI(r.VNI), Port: n.portName(r.Port),
				Peer: r.Peer, Out: r.Out, Len: r.Len, Segs: r.Segs, Data: r.Data, Missed: w.Missed(),
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// portName names the port with that number, which counts from 1.
func (n *Node) portName(id uint32) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if id == 0 || int(id) > len(n.cfg.Ports) {
		return ""
	}
	return n.cfg.Ports[id-1].Name
}

// SetRxSCI makes sci the channel that the first SecY receives.
func (n *Node) SetRxSCI(sci config.SCI) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.secys[0].RxSCs[0].SCI = sci
}
