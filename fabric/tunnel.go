package fabric

import (
	"net/netip"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/wireguard"
)

const (
	ipUDP4    = 20 + 8  // underlay headers over IPv4
	ipUDP6    = 40 + 8  // and over IPv6
	arenaSize = 1 << 20 // send buffer of one worker
)

// tunnelTx builds underlay datagrams in the worker's arena. Datagrams of equal
// length for one peer and source port lie back to back, so that one kernel call
// sends them all; WireGuard seals a whole such group at once, when it is
// complete. Worker only.
//
//	arena  | group: slot slot slot short | group: slot slot | free
//	slot   | WG header 16 | outer packet, padded | Poly1305 16 |
type tunnelTx struct {
	env   *Env
	drops *counter.Block
	name  string

	wg    underlay.Sender // sends from the WireGuard sockets
	plain underlay.Sender // sends from the plain VXLAN sockets; nil without plain peers
	paths [2]uint32       // source ports of wg, of plain
	most  int             // longest outer packet inside WireGuard, bytes

	now     int64  // of the burst in hand, ns
	watched bool   // the tap is active
	trace   uint32 // ID of the sampled frame that the next slot is for; 0: none
	arena   []byte
	used    int
	group   group
	batch   wireguard.Batch
}

// group is the datagrams at the end of the arena that go out by one call.
type group struct {
	peer  *Peer
	path  int // source port index
	start int // offset of the first slot
	slot  int // length of each but the last
	last  int // length of the last
	n     int
	bytes int      // of outer packets, unpadded
	ids   []uint32 // of sampled frames, by slot; only while the tap is active
}

func newTunnelTx(env *Env, name string, drops *counter.Block, wg, plain underlay.Sender) *tunnelTx {
	t := &tunnelTx{
		env: env, drops: drops, name: name, wg: wg, plain: plain,
		most:  env.UnderlayMTU - wireguard.Overhead - env.underlayHeaders(),
		arena: make([]byte, arenaSize),
		paths: [2]uint32{uint32(wg.Paths()), 1},
	}
	if plain != nil {
		t.paths[1] = uint32(plain.Paths())
	}
	return t
}

// path returns the source port by which a flow goes to peer: always the same one,
// as even among the ports as 8 bits of flow are.
//
// Hot path: no allocation, inlined.
func (t *tunnelTx) path(peer *Peer, flow uint32) int {
	n := t.paths[0]
	if peer.WireGuard == nil {
		n = t.paths[1]
	}
	return pathOf(flow, n)
}

// pathOf divides 8 bits of flow into 0 to paths-1.
func pathOf(flow, paths uint32) int { return int(flow & 0xff * paths >> 8) }

// slot reserves a datagram to peer for an outer packet of n bytes and returns
// where the packet goes: n bytes, to be filled before the next call. flow
// chooses the source port. For a plain peer the packet begins at the VXLAN
// header, otherwise at the IP header. It returns nil, with the drop counted, when
// the packet does not fit a datagram.
//
// Hot path: no allocation.
func (t *tunnelTx) slot(peer *Peer, flow uint32, n int) []byte {
	size, head := n, 0
	if peer.WireGuard != nil {
		size, head = wireguard.SealedLen(n, t.most), wireguard.HeaderSize
	}
	if size > underlay.MaxGroup {
		t.drops.Drop(counter.UnderlayTxFailed, 1)
		return nil
	}
	path := t.path(peer, flow)
	g := &t.group
	joins := g.n > 0 && g.peer == peer && g.path == path && g.last == g.slot && size <= g.slot &&
		g.n < underlay.MaxSegments && t.used+size-g.start <= underlay.MaxGroup
	if !joins || t.used+size > len(t.arena) {
		t.seal()
		if t.used+size > len(t.arena) {
			t.flush()
		}
		*g = group{peer: peer, path: path, start: t.used, slot: size, ids: g.ids[:0]}
	}
	if t.watched {
		g.ids = append(g.ids, t.trace)
	}
	at := t.used
	t.used += size
	g.n++
	g.last = size
	g.bytes += n
	if head != 0 {
		clear(t.arena[at+head+n : at+size-wireguard.TagSize])
	}
	return t.arena[at+head : at+head+n : at+head+n]
}

// takeBack gives up the slot that was reserved last, for a packet of n bytes.
func (t *tunnelTx) takeBack(n int) {
	g := &t.group
	g.n--
	g.bytes -= n
	g.ids = g.ids[:min(g.n, len(g.ids))]
	t.used -= g.last
	if g.n > 0 {
		g.last = g.slot // a shorter one would have ended the group
	}
}

// seal closes the group in hand: WireGuard seals it in place, and it is queued
// for the socket.
func (t *tunnelTx) seal() {
	g := &t.group
	if g.n == 0 {
		return
	}
	buf := t.arena[g.start:t.used]
	t.send(g.peer, g.path, buf, g.slot, g.n, g.bytes, g.ids)
	g.n = 0
}

// send seals n datagrams of slot bytes, the last perhaps shorter, that lie back
// to back in buf, and queues them. It counts the drop when they can't be sealed:
// nothing leaves in the clear. ids are those of sampled frames, by datagram, and
// may be short.
func (t *tunnelTx) send(peer *Peer, path int, buf []byte, slot, n, bytes int, ids []uint32) {
	peer.Counts.TxPackets.Add(uint64(n))
	peer.Counts.TxBytes.Add(uint64(bytes))
	if peer.WireGuard == nil {
		if t.plain == nil {
			t.drops.Drop(counter.UnderlayTxFailed, uint64(n))
			return
		}
		t.plain.Push(peer.PlainEndpoint, path, buf, slot)
		return
	}
	s, first, r := peer.WireGuard.Reserve(t.now, n)
	to := peer.WireGuard.Endpoint()
	if r == counter.None && to == nil {
		r = counter.WGEndpointUnknown
	}
	if r != counter.None {
		t.drops.Drop(r, uint64(n))
		if t.watched {
			t.watch(netip.AddrPort{}, buf, slot, ids, r)
		}
		return
	}
	// The packets are padded already: a maxPlain of 1 adds nothing.
	last := len(buf) - (n-1)*slot
	s.SealRun(&t.batch, buf, slot, n, first, slot-wireguard.Overhead, last-wireguard.Overhead, 1)
	peer.WireGuard.Sent(t.now, s, uint64(n), uint64(len(buf)), true)
	if t.watched {
		t.watch(to.Addr, buf, slot, ids, counter.None)
	}
	t.wg.Push(to.Sock.(*underlay.Endpoint), path, buf, slot)
}

// flush seals what is open, sends everything and empties the arena.
func (t *tunnelTx) flush() {
	t.seal()
	t.count(t.wg.Flush())
	if t.plain != nil {
		t.count(t.plain.Flush())
	}
	t.used = 0
}

func (t *tunnelTx) count(_, failed int) {
	if failed > 0 {
		t.drops.Drop(counter.UnderlayTxFailed, uint64(failed))
	}
}

// watch shows datagrams to the tap: sealed, or, with a reason, dropped before
// they were.
func (t *tunnelTx) watch(to netip.AddrPort, buf []byte, slot int, ids []uint32, r counter.Reason) {
	for i := 0; len(buf) > 0; i++ {
		d := buf[:min(slot, len(buf))]
		id := uint32(0)
		if i < len(ids) {
			id = ids[i]
		}
		rec := trace.Record{
			ID: id, Stage: trace.WireGuardSeal, Worker: t.name, Nanos: t.now, Reason: r,
			Peer: to, Out: true, Len: len(d), Segs: 1, Data: d,
		}
		if r != counter.None {
			rec.Data = nil // not sealed: what would be shown is not what the stage shows
		}
		t.env.Tap.See(&rec)
		buf = buf[len(d):]
	}
}
