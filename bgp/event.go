package bgp

import (
	"context"
	"net/netip"
	"sync"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/route"
)

// Event is something that a peer did or that happened to its session. Exactly
// one of the fields behind Peer is set.
type Event struct {
	Peer evpn.PeerID

	Up       *Up
	Down     *Down
	EndOfRIB AFI
	// LongLived: the peer's time to restart is over, and what is stale of its EVPN
	// routes is kept as the last choice, except for what has NO_LLGR (RFC 9494 section
	// 4.3); those that are not are withdrawn.
	LongLived bool
	// Routes are EVPN routes announced or withdrawn, in order. The receiver
	// owns the slice.
	Routes []evpn.Update
	// Unicast are IPv4 and IPv6 routes.
	Unicast []UnicastUpdate
}

// Up says that a session is established. The peer has the same PeerID until
// Down says Removed.
type Up struct {
	Name  string
	Peer  evpn.Peer
	ASN   uint32
	Local netip.Addr // of the connection; invalid if it is gone already
	// Kept are the families in which the peer says that it went on forwarding
	// while it was away. Stale routes of these are kept until End-of-RIB, those
	// of other families are gone now (RFC 4724 section 4.2).
	Kept []AFI
}

// Down says that a session has ended.
type Down struct {
	Reason string
	// Graceful: the peer's routes are to be kept, as stale, until the session
	// is back and has sent End-of-RIB, or until they are withdrawn one by one,
	// which the Speaker does when the peer's time is over (RFC 4724 section
	// 4.2). Otherwise they are gone with the session.
	Graceful bool
	// Removed: the PeerID is no longer used. The peer is no longer configured, or
	// was lost, and has another one when it comes back.
	Removed bool
}

// UnicastUpdate is an IPv4 or IPv6 route announced or withdrawn; of a withdrawal
// only the prefix counts.
type UnicastUpdate struct {
	Withdraw bool
	Route    route.Unicast
}

// queue collects events between two calls of Next. It does not block who adds:
// GoBGP would wait for the reader, and sessions with it.
type queue struct {
	mu     sync.Mutex
	events []Event
	ready  chan struct{} // has one element while there are events
	closed chan struct{}
}

func newQueue() *queue {
	return &queue{ready: make(chan struct{}, 1), closed: make(chan struct{})}
}

// add appends e, and joins routes of a peer with its last ones.
func (q *queue) add(e Event) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.events); n > 0 && q.events[n-1].Peer == e.Peer {
		last := &q.events[n-1]
		switch {
		case last.Routes != nil && e.Routes != nil:
			last.Routes = append(last.Routes, e.Routes...)
			return
		case last.Unicast != nil && e.Unicast != nil:
			last.Unicast = append(last.Unicast, e.Unicast...)
			return
		}
	}
	q.events = append(q.events, e)
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// next waits for events and returns all that there are.
func (q *queue) next(ctx context.Context) ([]Event, error) {
	for {
		q.mu.Lock()
		out := q.events
		q.events = nil
		q.mu.Unlock()
		if len(out) > 0 {
			return out, nil
		}
		select {
		case <-q.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-q.closed:
			return nil, ErrClosed
		}
	}
}
