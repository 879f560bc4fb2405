package l2

import (
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
)

// VerdictKind says what becomes of a frame.
type VerdictKind uint8

const (
	Drop    VerdictKind = iota // for Verdict.Reason
	Unicast                    // to Verdict.Dest
	// Flood: to the circuits of BD.AppendFlood and, when the frame came in by
	// an attachment circuit, to all of BD.VTEPs. At least one of them exists,
	// or the BD is Routed: then the gateway may want it too.
	Flood
	// ToGateway: to the gateway of the bridge domain, to be routed.
	ToGateway
)

// Verdict is the bridge's decision on one frame.
type Verdict struct {
	Kind   VerdictKind
	Reason counter.Reason // None unless Drop
	Dest   Dest           // DestLocal or DestVTEP; valid iff Unicast
}

func drop(r counter.Reason) Verdict { return Verdict{Kind: Drop, Reason: r} }

// Bridge decides for one worker where frames go, reports new source MACs and
// counts. A super-frame is one decision. Between Begin and End it belongs to one
// burst. Worker only.
type Bridge struct {
	ring   *Ring
	now    int64  // ns since start
	sec    uint32 // s since start
	pushed bool

	bd    *BD // whose counts are in tally
	tally tally

	recent [recentSize]recentSighting
}

// tally is a run's counts of one bridge domain, before they go to its shared
// counters.
type tally struct {
	rxLocal, rxTunnel, txLocal, txTunnel struct{ frames, bytes uint64 }
	flooded                              [numClasses]uint64
	drops                                uint64
}

// recentSighting remembers what was reported, so that a MAC's frames do not fill
// the ring until control has answered the first.
type recentSighting struct {
	s  Sighting
	at int64
}

const (
	recentSize = 256
	// quietNs is how long an equal sighting is not reported again. Control
	// learns within some ms; what was lost or refused comes again after this.
	quietNs = 100e6
)

// NewBridge returns a worker's bridge that reports to ring.
func NewBridge(ring *Ring) *Bridge {
	b := &Bridge{ring: ring}
	for i := range b.recent {
		b.recent[i].at = -quietNs
	}
	return b
}

// Seconds converts ns since start to the FDB's unit.
func Seconds(now int64) uint32 { return uint32(now / 1e9) }

// Begin starts a burst at now, ns since start.
func (b *Bridge) Begin(now int64) {
	b.now, b.sec, b.pushed = now, Seconds(now), false
}

// End adds the burst's counts to the bridge domains and reports whether control
// has sightings to work on.
func (b *Bridge) End() bool {
	b.flush()
	return b.pushed
}

// FromLocal decides on f, which came in by ac of bd. Tags are off, or are the
// tenant's own.
//
// Hot path: no allocation (TestNoAllocs).
func (b *Bridge) FromLocal(bd *BD, ac *AC, f *pkt.Frame) Verdict {
	b.open(bd)
	n := uint64(wireFrames(f))
	b.tally.rxLocal.frames += n
	b.tally.rxLocal.bytes += uint64(f.Len)
	v := b.decide(bd, ac, Local(ac.ID), f, int(n))
	b.count(bd, ac, 0, v, f, n)
	return v
}

// FromVTEP decides on f, which came from remote VTEP f.VTEP into bd.
//
// Hot path: no allocation (TestNoAllocs).
func (b *Bridge) FromVTEP(bd *BD, f *pkt.Frame) Verdict {
	b.open(bd)
	n := uint64(wireFrames(f))
	b.tally.rxTunnel.frames += n
	b.tally.rxTunnel.bytes += uint64(f.Len)
	v := b.decide(bd, nil, Remote(table.VTEPID(f.VTEP)), f, int(n))
	b.count(bd, nil, table.VTEPID(f.VTEP), v, f, n)
	return v
}

// FromGateway decides on f, which the gateway of bd sends or has routed into it.
// Its source is the gateway's MAC, which is not learned. A Flood goes to all
// circuits and all of BD.VTEPs. The gateway itself is nowhere f can go to.
//
// Hot path: no allocation (TestNoAllocs).
func (b *Bridge) FromGateway(bd *BD, f *pkt.Frame) Verdict {
	b.open(bd)
	n := uint64(wireFrames(f))
	v := b.fromGateway(bd, f, int(n))
	b.count(bd, nil, 0, v, f, n)
	if v.Kind == Flood { // count takes floods without a circuit for others'
		t := &b.tally
		t.txTunnel.frames += n * uint64(len(bd.VTEPs))
		t.txTunnel.bytes += uint64(f.Len) * uint64(len(bd.VTEPs))
	}
	return v
}

// Unflood takes back the counts of a Flood that FromLocal has just decided on for f,
// which came in by ac of bd and is answered here instead.
func (b *Bridge) Unflood(bd *BD, ac *AC, f *pkt.Frame) {
	n := uint64(wireFrames(f))
	c := Multicast
	if table.MACFrom(f.Head) == table.Broadcast {
		c = Broadcast
	}
	t := &b.tally
	t.flooded[c] -= n
	locals, _ := bd.floodLocals(ac, 0)
	local, tunnel := uint64(locals), uint64(len(bd.VTEPs))
	t.txLocal.frames -= n * local
	t.txLocal.bytes -= uint64(f.Len) * local
	t.txTunnel.frames -= n * tunnel
	t.txTunnel.bytes -= uint64(f.Len) * tunnel
}

// FromLeaf counts f, which came by the L3VNI bd; it is routed, not bridged.
func (b *Bridge) FromLeaf(bd *BD, f *pkt.Frame) {
	b.open(bd)
	b.tally.rxTunnel.frames += uint64(wireFrames(f))
	b.tally.rxTunnel.bytes += uint64(f.Len)
}

// ToLeaf counts f, which leaves by the L3VNI bd.
func (b *Bridge) ToLeaf(bd *BD, f *pkt.Frame) {
	b.open(bd)
	b.tally.txTunnel.frames += uint64(wireFrames(f))
	b.tally.txTunnel.bytes += uint64(f.Len)
}

func (b *Bridge) fromGateway(bd *BD, f *pkt.Frame, n int) Verdict {
	if len(f.Head) < wire.EthernetLen {
		return drop(counter.FrameTooShort)
	}
	dst := table.MACFrom(f.Head)
	c := UnknownUnicast
	if dst.IsMulticast() {
		c = Multicast
		if dst == table.Broadcast {
			c = Broadcast
		}
	} else if to, ok := b.lookup(bd, dst, f); ok {
		out := bd.AC(table.ACID(to.ID))
		known := to.Kind == DestLocal && out != nil || to.Kind == DestVTEP && bd.vteps.find(to.ID) >= 0
		switch {
		case to.Kind == DestLocal && out.blocked():
			return drop(counter.SegmentNotDF)
		case known:
			return Verdict{Kind: Unicast, Dest: to}
		case to.Kind == DestDrop:
			return drop(counter.FDBDrop)
		}
		return drop(counter.NoDestination)
	}
	if !bd.storm.Take(c, n, f.Len, b.now) {
		return drop(counter.StormLimited)
	}
	if locals, held := bd.floodLocals(nil, 0); locals == 0 && len(bd.VTEPs) == 0 {
		return drop(held.reason())
	}
	b.tally.flooded[c] += uint64(n)
	return Verdict{Kind: Flood}
}

// lookup returns where f goes by its destination dst; false when nobody knows.
func (b *Bridge) lookup(bd *BD, dst table.MAC, f *pkt.Frame) (Dest, bool) {
	to, ok := bd.FDB.Lookup(dst)
	if !ok {
		return Dest{}, false
	}
	return bd.FDB.resolve(to, f.Hash)
}

// reserved is 01-80-C2-00-00-00 to -0F: what bridges never forward, EAPOL to
// the PAE group among them (IEEE 802.1Q-2018 8.6.3, known second-hand).
const reserved table.MAC = 0x0180c2_000000

// decide is the order of the checks. in is nil for a frame from a VTEP.
func (b *Bridge) decide(bd *BD, in *AC, from Dest, f *pkt.Frame, n int) Verdict {
	if len(f.Head) < wire.EthernetLen {
		return drop(counter.FrameTooShort)
	}
	dst, src := table.MACFrom(f.Head), table.MACFrom(f.Head[6:])
	if src == 0 || src.IsMulticast() {
		return drop(counter.SourceMACInvalid)
	}
	if dst&^0xf == reserved {
		return drop(counter.LinkLocalReserved)
	}
	if in.blocked() {
		return drop(counter.SegmentNotDF) // another node alone uses the segment
	}
	if r := b.learn(bd, in, src, from); r != counter.None {
		return drop(r)
	}

	if dst.IsMulticast() {
		c := Multicast
		if dst == table.Broadcast {
			c = Broadcast
		}
		return b.flood(bd, in, from, c, f, n)
	}
	to, ok := b.lookup(bd, dst, f)
	if !ok {
		return b.flood(bd, in, from, UnknownUnicast, f, n)
	}
	switch to.Kind {
	case DestLocal:
		// The lookup in bd is what keeps tenants apart should an entry
		// outlive a circuit that another bridge domain has now.
		out := bd.AC(table.ACID(to.ID))
		if out == nil {
			return drop(counter.NoDestination)
		}
		if !reaches(in, out) {
			return drop(counter.SplitHorizon)
		}
		if out.blocked() {
			return drop(counter.SegmentNotDF)
		}
	case DestVTEP:
		if in == nil {
			return drop(counter.SplitHorizon)
		}
		if bd.vteps.find(to.ID) < 0 {
			return drop(counter.NoDestination)
		}
	case DestGateway:
		return Verdict{Kind: ToGateway}
	default:
		return drop(counter.FDBDrop)
	}
	return Verdict{Kind: Unicast, Dest: to}
}

// learn compares the source with the FDB, reports what is new, and says what
// the limits want.
func (b *Bridge) learn(bd *BD, in *AC, src table.MAC, from Dest) counter.Reason {
	s := bd.FDB.Touch(src, from, b.sec)
	if s == SourceSame || in == nil && bd.shared && sibling(bd, src, from) {
		return counter.None
	}
	report := true
	if s == SourceMoved && in == nil && bd.told.find(from.ID) >= 0 {
		s = SourceForeign // EVPN has it here until it says otherwise
	}
	switch s {
	case SourceDrop:
		return counter.FDBDrop
	case SourceGateway:
		// Other leaves have the same gateway and ask for hosts, or route into
		// the VNI, by its address; a tenant that uses it is a spoof.
		if in == nil {
			return counter.None
		}
		b.report(bd, src, from)
		return counter.MACMoveRefused
	case SourceFrozen:
		return counter.MACQuarantined
	case SourceForeign:
		b.report(bd, src, from) // control tells
		return counter.MACForeignVTEP
	case SourceStatic:
		b.report(bd, src, from) // control notes it
		return counter.MACMoveRefused
	case SourceUnknown:
		// A move adds nothing to the VNI; only a new MAC asks its gate.
		switch bd.gate.State() {
		case GateDrop:
			return counter.MACLimit
		case GateForward:
			report = false
		}
	}
	if in != nil && !(s == SourceMoved && samePort(bd, in, src)) {
		switch in.Gate.State() {
		case GateDrop:
			return counter.MACLimit
		case GateForward:
			report = false
		}
	}
	if report {
		b.report(bd, src, from)
	}
	return counter.None
}

// sibling reports whether the FDB has src at a circuit to a segment that VTEP from
// is on too: it sends what the same host gave it, by another link of its.
func sibling(bd *BD, src table.MAC, from Dest) bool {
	e, ok := bd.FDB.Get(src)
	if !ok || e.Dest.Kind != DestLocal {
		return false
	}
	ac := bd.AC(table.ACID(e.Dest.ID))
	return ac != nil && ac.peer(from.ID)
}

// samePort reports whether the FDB has src at another circuit of in's port: a
// move that adds no MAC to the port. Asked only of what moves.
func samePort(bd *BD, in *AC, src table.MAC) bool {
	e, ok := bd.FDB.Get(src)
	if !ok || e.Dest.Kind != DestLocal {
		return false
	}
	old := bd.AC(table.ACID(e.Dest.ID))
	return old != nil && old.Port == in.Port
}

// report sends a sighting to control, unless it has just done so.
func (b *Bridge) report(bd *BD, src table.MAC, from Dest) {
	s := Sighting{VNI: bd.VNI, MAC: src, From: from}
	h := (uint64(src) ^ uint64(bd.VNI)<<40) * 0x9e3779b97f4a7c15
	r := &b.recent[h>>56]
	if r.s == s && b.now-r.at < quietNs {
		return
	}
	if b.ring.Push(s) {
		*r = recentSighting{s: s, at: b.now}
		b.pushed = true
	}
}

// flood decides on a frame that goes everywhere but back.
func (b *Bridge) flood(bd *BD, in *AC, from Dest, c Class, f *pkt.Frame, n int) Verdict {
	if in != nil && !in.Storm.Take(c, n, f.Len, b.now) || !bd.storm.Take(c, n, f.Len, b.now) {
		return drop(counter.StormLimited)
	}
	locals, held := bd.floodLocals(in, vtepOf(from))
	if locals == 0 && (in == nil || len(bd.VTEPs) == 0) && !bd.Routed {
		return drop(held.reason())
	}
	b.tally.flooded[c] += uint64(n)
	return Verdict{Kind: Flood}
}

// vtepOf returns the VTEP that d is; 0 when it is a circuit.
func vtepOf(d Dest) table.VTEPID {
	if d.Kind == DestVTEP {
		return table.VTEPID(d.ID)
	}
	return 0
}

// count adds what v sends, or drops, to the tally.
func (b *Bridge) count(bd *BD, in *AC, from table.VTEPID, v Verdict, f *pkt.Frame, n uint64) {
	t := &b.tally
	var local, tunnel uint64
	switch v.Kind {
	case Drop:
		t.drops += n
		return
	case Unicast:
		if v.Dest.Kind == DestLocal {
			local = 1
		} else {
			tunnel = 1
		}
	case Flood:
		n, _ := bd.floodLocals(in, from)
		local = uint64(n)
		if in != nil {
			tunnel = uint64(len(bd.VTEPs))
		}
	}
	t.txLocal.frames += n * local
	t.txLocal.bytes += uint64(f.Len) * local
	t.txTunnel.frames += n * tunnel
	t.txTunnel.bytes += uint64(f.Len) * tunnel
}

// open makes the tally bd's.
func (b *Bridge) open(bd *BD) {
	if b.bd != bd {
		b.flush()
		b.bd = bd
	}
}

// flush adds the tally to its bridge domain: one locked instruction for each
// count that is not 0.
func (b *Bridge) flush() {
	if b.bd == nil {
		return
	}
	c, t := b.bd.Count, &b.tally
	for _, x := range [...]struct {
		to     *Traffic
		frames uint64
		bytes  uint64
	}{
		{&c.RxLocal, t.rxLocal.frames, t.rxLocal.bytes},
		{&c.RxTunnel, t.rxTunnel.frames, t.rxTunnel.bytes},
		{&c.TxLocal, t.txLocal.frames, t.txLocal.bytes},
		{&c.TxTunnel, t.txTunnel.frames, t.txTunnel.bytes},
	} {
		if x.frames != 0 {
			x.to.Frames.Add(x.frames)
			x.to.Bytes.Add(x.bytes)
		}
	}
	for i, n := range t.flooded {
		if n != 0 {
			c.Flooded[i].Add(n)
		}
	}
	if t.drops != 0 {
		c.Drops.Add(t.drops)
	}
	b.tally, b.bd = tally{}, nil
}
