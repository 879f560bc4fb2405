package fabric

import (
	"net/netip"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/engine/wire"
)

// Packets of the host stack taken at a time, and the room for each, bytes.
const (
	hostPackets   = 32
	hostPacketLen = 65535
)

// HostOut is the graph of packets that the node itself sends in the fabric VRF.
type HostOut struct {
	env   *Env
	name  string
	drops *counter.Block

	reader *table.Reader[Snapshot]
	tun    *tunnelTx
	bufs   [][]byte
	sizes  []int
}

// NewHostOut returns the graph of env.Host, which must not be nil. wg is this
// worker's sender.
func NewHostOut(env *Env, name string, drops *counter.Block, wg underlay.Sender) *HostOut {
	g := &HostOut{
		env: env, name: name, drops: drops,
		reader: env.Tables.NewReader(),
		tun:    newTunnelTx(env, name, drops, wg, nil),
		sizes:  make([]int, hostPackets),
	}
	for range hostPackets {
		g.bufs = append(g.bufs, make([]byte, hostPacketLen))
	}
	return g
}

// Close gives the reader back. Call it when the worker has ended.
func (g *HostOut) Close() { g.reader.Close() }

// Step implements worker.Graph.
func (g *HostOut) Step() error {
	n, err := g.env.Host.Read(g.bufs, g.sizes)
	if err != nil {
		return err
	}
	g.tun.now, g.tun.watched = g.env.Clock(), g.env.Tap.Active()
	snap := g.reader.Enter()
	defer g.reader.Leave()
	g.drops.Take(uint64(n))
	for i := range n {
		if r := g.packet(snap, g.bufs[i][:g.sizes[i]]); r != counter.None {
			g.drops.Drop(r, 1)
		}
	}
	g.tun.flush()
	return nil
}

// packet routes one packet of the node. Its source must be the node's own.
func (g *HostOut) packet(snap *Snapshot, p []byte) counter.Reason {
	var o wire.Outer
	if !o.Parse(p) {
		return counter.OuterNoRoute
	}
	dst := o.Dst.Netip()
	if o.Src.IsLinkLocal() || o.Dst.IsLinkLocal() {
		return g.onLink(snap, o.Src.Netip(), dst, p)
	}
	if !snap.isLocal(o.Src.Netip()) {
		return counter.OuterSourceSpoofed
	}
	if snap.isLocal(dst) {
		if !g.env.Host.Deliver(p) {
			return counter.HostPuntFull
		}
		return counter.None
	}
	route, ok := snap.Routes.Lookup(dst)
	if !ok {
		return counter.OuterNoRoute
	}
	flow := hostFlow(dst)
	peer := route.pick(flow, g.tun.now)
	if peer.WireGuard == nil {
		return counter.OuterNoRoute // a plain carrier takes VXLAN only
	}
	g.send(peer, flow, p)
	return counter.None
}

// onLink sends a packet with a link-local address to the peer that has the other
// one, by its session and no other.
func (g *HostOut) onLink(snap *Snapshot, src, dst netip.Addr, p []byte) counter.Reason {
	peer := snap.links[dst]
	if peer == nil || src != snap.LinkLocal {
		return counter.OuterLinkLocal
	}
	g.send(peer, hostFlow(dst), p)
	return counter.None
}

func (g *HostOut) send(peer *Peer, flow uint32, p []byte) {
	if g.tun.watched {
		g.env.Tap.See(&trace.Record{
			Stage: trace.HostOut, Worker: g.name, Nanos: g.tun.now, Len: len(p), Segs: 1, Data: p,
		})
	}
	if slot := g.tun.slot(peer, flow, len(p)); slot != nil {
		copy(slot, p)
	}
}

// hostFlow keeps what the node sends to one destination on one path.
func hostFlow(dst netip.Addr) uint32 {
	b := dst.As16()
	h := uint32(2166136261)
	for _, x := range b {
		h = (h ^ uint32(x)) * 16777619
	}
	return h
}
