package wireguard

import (
	"net/netip"
	"time"
)

// EventKind says what happened to a peer.
type EventKind uint8

// Events.
const (
	SessionUp       EventKind = 1 + iota // a handshake was completed
	HandshakeFailed                      // no answer within RekeyAttemptTime
	PeerUp                               // liveness: it is heard again
	PeerDown                             // liveness: it is not heard any more
	EndpointChanged                      // it roamed
)

// String returns the stable name: lower case words joined by hyphens.
func (k EventKind) String() string {
	switch k {
	case SessionUp:
		return "session-up"
	case HandshakeFailed:
		return "handshake-failed"
	case PeerUp:
		return "peer-up"
	case PeerDown:
		return "peer-down"
	case EndpointChanged:
		return "endpoint-changed"
	}
	return "event-unknown"
}

// Event is something that control may want to log or act on.
type Event struct {
	Peer *Peer
	Kind EventKind
}

// maxEvents bounds what is kept for a caller that never takes them.
const maxEvents = 4096

func (n *Node) event(p *Peer, k EventKind) {
	if len(n.events) < maxEvents {
		n.events = append(n.events, Event{p, k})
	}
}

// TakeEvents returns what happened since the last call, in order. Call it after
// Tick and HandleMessage. Beyond 4096 events the newest are lost.
func (n *Node) TakeEvents() []Event {
	e := n.events
	n.events = nil
	return e
}

// PeerStatus is how a peer is, for people and metrics. It holds no secret. Times
// are ns since start, 0 for never.
type PeerStatus struct {
	PublicKey     PublicKey
	Endpoint      netip.AddrPort // zero when not known
	AllowedIPs    []netip.Prefix
	PSK           bool // a preshared key is set
	Keepalive     time.Duration
	Liveness      Liveness
	Up            bool // a session is usable and liveness has not failed
	Down          bool // liveness has failed
	Handshaking   bool // an initiation of ours waits for an answer
	Initiator     bool // of the current session
	SessionSince  int64
	LastHandshake int64 // completed
	LastReceived  int64 // anything authenticated but initiations
	LastSent      int64 // data messages, keepalives included
	TxPackets     uint64
	TxBytes       uint64 // UDP payload of data messages
	RxPackets     uint64
	RxBytes       uint64
}

// Status returns how the peer with this public key is; ok is false when there is
// none. Control goroutine only.
func (n *Node) Status(now int64, public PublicKey) (st PeerStatus, ok bool) {
	p := n.peers[public]
	if p == nil {
		return st, false
	}
	c, t := &p.control, &p.traffic
	st = PeerStatus{
		PublicKey:    p.public,
		AllowedIPs:   p.allowed.Load().Prefixes(),
		PSK:          c.remote.HasPSK(),
		Keepalive:    c.cfg.Keepalive,
		Liveness:     c.cfg.Liveness,
		Up:           p.Usable(now),
		Down:         p.down.Load(),
		Handshaking:  c.ours.retransmit != 0,
		LastReceived: t.lastRx.Load(),
		LastSent:     t.lastTx.Load(),
		TxPackets:    t.txPackets.Load(),
		TxBytes:      t.txBytes.Load(),
		RxPackets:    t.rxPackets.Load(),
		RxBytes:      t.rxBytes.Load(),
	}
	if e := p.endpoint.Load(); e != nil {
		st.Endpoint = e.Addr
	}
	if s := p.session.Load(); s != nil {
		st.Initiator, st.SessionSince = s.initiator, s.created
	}
	p.keypairs.mu.Lock()
	st.LastHandshake = p.keypairs.last
	p.keypairs.mu.Unlock()
	return st, true
}
