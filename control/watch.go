package control

import (
	"context"
	"net/netip"
	"time"

	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/wire"
)

// watchDepth is how many records wait for a slow reader before they are counted
// as missed.
const watchDepth = 8192

// linger is how long a trace waits for the rest of the way of its last frame.
const linger = 300 * time.Millisecond

// Trace follows frames and hands every sighting to fn until r.Count frames have
// been followed to their end, ctx is done or fn fails.
func (n *Node) Trace(ctx context.Context, r status.TraceRequest, fn func(status.TraceRecord) error) error {
	f := trace.Filter{VNI: uint32(r.VNI), Match: matcher(&r)}
	w := n.tap.Follow(r.Count, f, max(r.Snap, 0), watchDepth)
	defer w.Stop()
	begin(r.Begun)
	names := n.portNames()
	seen := map[uint32]bool{}
	quiet := time.NewTimer(time.Hour)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-quiet.C:
			return nil
		case rec := <-w.C:
			seen[rec.ID] = true
			err := fn(status.TraceRecord{
				ID: rec.ID, Stage: rec.Stage, Worker: rec.Worker, Time: n.began.Add(time.Duration(rec.Nanos)),
				Reason: rec.Reason, VNI: table.VNI(rec.VNI), Port: names[rec.Port], Peer: rec.Peer, Out: rec.Out,
				Len: rec.Len, Segs: rec.Segs, Data: rec.Data, Note: rec.Note, Missed: w.Missed(),
			})
			if err != nil {
				return err
			}
			if len(seen) >= r.Count {
				quiet.Reset(linger)
			}
		}
	}
}

// matcher returns what a trace request asks of a frame where it enters.
func matcher(r *status.TraceRequest) func(*trace.Record) bool {
	if r.MAC == 0 && !r.IP.IsValid() && r.Stage == 0 {
		return nil
	}
	return func(rec *trace.Record) bool {
		if r.Stage != 0 && rec.Stage != r.Stage {
			return false
		}
		if rec.Stage.Kind() != trace.Ethernet {
			// A sealed datagram shows neither MAC nor address.
			return r.MAC == 0 && !r.IP.IsValid()
		}
		return hasMAC(rec.Data, r.MAC) && hasIP(rec.Data, r.IP)
	}
}

func hasMAC(b []byte, m table.MAC) bool {
	return m == 0 || len(b) >= wire.EthernetLen && (table.MACFrom(b) == m || table.MACFrom(b[6:]) == m)
}

func hasIP(b []byte, a netip.Addr) bool {
	if !a.IsValid() {
		return true
	}
	if len(b) < wire.EthernetLen {
		return false
	}
	at := wire.EthernetLen
	for t := wire.Ethernet(b).Type(); wire.IsTPID(t) && len(b) >= at+wire.TagLen; at += wire.TagLen {
		t = wire.Tag(b[at-2:]).Next()
	}
	p := b[at:]
	switch {
	case a.Is4() && len(p) >= wire.IPv4Len && p[0]>>4 == 4:
		return netip.AddrFrom4([4]byte(p[12:16])) == a || netip.AddrFrom4([4]byte(p[16:20])) == a
	case a.Is6() && len(p) >= wire.IPv6Len && p[0]>>4 == 6:
		return netip.AddrFrom16([16]byte(p[8:24])) == a || netip.AddrFrom16([16]byte(p[24:40])) == a
	}
	return false
}

// Capture hands copies of what passes the stages to fn until the count, the
// duration, ctx or fn ends it.
func (n *Node) Capture(ctx context.Context, r status.CaptureRequest, fn func(status.CapturePacket) error) error {
	if r.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Duration)
		defer cancel()
	}
	w := n.tap.Capture(r.Stages, trace.Filter{VNI: uint32(r.VNI)}, r.Snap, watchDepth)
	defer w.Stop()
	begin(r.Begun)
	names := n.portNames()
	for got := 0; r.Count == 0 || got < r.Count; got++ {
		select {
		case <-ctx.Done():
			if r.Duration > 0 && ctx.Err() == context.DeadlineExceeded {
				return nil
			}
			return ctx.Err()
		case rec := <-w.C:
			err := fn(status.CapturePacket{
				Stage: rec.Stage, Time: n.began.Add(time.Duration(rec.Nanos)), VNI: table.VNI(rec.VNI),
				Port: names[rec.Port], Peer: rec.Peer, Out: rec.Out,
				Len: rec.Len, Segs: rec.Segs, Data: rec.Data, Missed: w.Missed(),
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func begin(f func()) {
	if f != nil {
		f()
	}
}

func (n *Node) portNames() map[uint32]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	names := map[uint32]string{}
	for name, p := range n.ports {
		names[uint32(p.id)] = name
	}
	return names
}
