package fabric

import (
	"io"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/wire"
)

// portTx is one worker's transmit sides, by port. A side is opened when the
// worker first sends to the port, and again when control has put another device
// behind the port's name. Worker only.
type portTx struct {
	env   *Env
	name  string
	drops *counter.Block
	sides []txSide // by table.PortID
	used  []uint32 // ports with frames queued since the last flush

	copies *pkt.Vector // frames that leave by several attachment circuits

	now     int64
	watched bool
}

// txSide is the worker's transmit side of one port.
type txSide struct {
	device port.Port
	tx     port.Tx

	queued        bool
	frames, bytes uint64 // queued, as on the wire
}

// copiesPerFlush bounds the copies between two flushes; more force a flush.
const copiesPerFlush = 256

func newPortTx(env *Env, name string, drops *counter.Block) *portTx {
	return &portTx{env: env, name: name, drops: drops, copies: pkt.NewVector(copiesPerFlush)}
}

// push queues f to leave by ac. f must stay as it is until flush. The tags that
// the circuit wants are put on f.
//
// Hot path: no allocation but for a port's first frame.
func (o *portTx) push(ac *AC, f *pkt.Frame) {
	p := ac.Port
	s := o.side(p)
	if s.tx == nil {
		o.drop(counter.PortDown, ac, f)
		return
	}
	if r := ac.Egress(f); r != counter.None {
		o.drop(r, ac, f)
		return
	}
	if o.watched {
		o.see(ac, f, counter.None)
	}
	if !s.queued {
		s.queued = true
		o.used = append(o.used, uint32(p.ID))
	}
	n := uint64(segments(f))
	s.frames += n
	s.bytes += uint64(f.Len)
	s.tx.Push(f)
}

// pushCopy is push for a frame that leaves by other ways too: it queues a second
// view of f.
func (o *portTx) pushCopy(snap *Snapshot, ac *AC, f *pkt.Frame) {
	if o.copies.Full() {
		o.flush(snap)
	}
	c := o.copies.Add(nil)
	c.CopyFrom(f)
	o.push(ac, c)
}

// side returns the worker's transmit side of p.
func (o *portTx) side(p *Port) *txSide {
	for int(p.ID) >= len(o.sides) {
		o.sides = append(o.sides, txSide{})
	}
	s := &o.sides[p.ID]
	if s.device == p.Device {
		return s
	}
	*s = txSide{device: p.Device}
	tx, err := p.Device.NewTx()
	if err != nil {
		return s
	}
	s.tx = tx
	return s
}

// flush sends what is queued and counts it.
func (o *portTx) flush(snap *Snapshot) {
	for _, id := range o.used {
		s := &o.sides[id]
		_, refused := s.tx.Flush()
		if p := entry(snap.ports, id); p != nil {
			p.Counts.TxFrames.Add(s.frames)
			p.Counts.TxBytes.Add(s.bytes)
			if refused > 0 {
				p.Counts.TxRefused.Add(uint64(refused))
			}
		}
		if refused > 0 {
			o.drops.Drop(s.tx.Refusal(), uint64(refused))
		}
		s.queued, s.frames, s.bytes = false, 0, 0
	}
	o.used = o.used[:0]
	o.copies.Reset()
}

// close gives the transmit sides back to devices that want to know.
func (o *portTx) close() {
	for i := range o.sides {
		if c, ok := o.sides[i].tx.(io.Closer); ok {
			c.Close() //nolint:errcheck // the worker has ended, nobody can act on it
		}
	}
}

func (o *portTx) drop(r counter.Reason, ac *AC, f *pkt.Frame) {
	o.drops.Drop(r, 1)
	if o.watched {
		o.see(ac, f, r)
	}
}

func (o *portTx) see(ac *AC, f *pkt.Frame, r counter.Reason) {
	o.env.Tap.See(&trace.Record{
		ID: f.TraceID, Stage: trace.PortTx, Worker: o.name, Nanos: o.now, Reason: r,
		VNI: f.VNI, Port: uint32(ac.Port.ID), Len: f.Len, Segs: segments(f), Data: f.Head,
	})
}

// segments returns how many frames of the wire f stands for.
func segments(f *pkt.Frame) int {
	switch {
	case f.Offload.GSOType == pkt.GSONone:
		return 1
	case len(f.Frags) > 0:
		return 1 + len(f.Frags)
	case f.Offload.GSOType == pkt.GSOUDP:
		return f.Segments(int(f.L4Off) + wire.UDPLen)
	}
	hdr := int(f.L4Off)
	if t := wire.TCP(f.Head[min(hdr, len(f.Head)):]); t.Valid() {
		hdr += t.HeaderLen()
	}
	return f.Segments(hdr)
}
