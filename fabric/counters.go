package fabric

import "github.com/ztos/ztos/engine/counter"

// PortCounters are a port's counts. A super-frame counts as the frames it stands
// for, so that both ends of a wire agree. Written by workers once a burst.
type PortCounters struct {
	RxFrames, RxBytes counter.Shared
	TxFrames, TxBytes counter.Shared
	TxRefused         counter.Shared
}

// PeerCounters are the counts of outer packets exchanged with a peer. Written by
// workers once a burst or a run of packets.
type PeerCounters struct {
	RxPackets, RxBytes counter.Shared // after WireGuard opened them
	TxPackets, TxBytes counter.Shared // before WireGuard sealed them
	Transit            counter.Shared // of TxPackets: routed on by the spine
}

// peerTally sums what one peer sent while a worker walks a burst, so that the
// shared counters are touched once a run of packets.
type peerTally struct {
	peer    *Peer
	packets uint64
	bytes   uint64
}

func (t *peerTally) add(p *Peer, n int) {
	if p != t.peer {
		t.flush()
		t.peer = p
	}
	t.packets++
	t.bytes += uint64(n)
}

func (t *peerTally) flush() {
	if t.packets > 0 {
		t.peer.Counts.RxPackets.Add(t.packets)
		t.peer.Counts.RxBytes.Add(t.bytes)
	}
	*t = peerTally{}
}
