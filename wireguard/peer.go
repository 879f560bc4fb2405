package wireguard

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/wireguard/noise"
)

// PublicKey names a peer.
type PublicKey = noise.PublicKey

// Type is the kind of a WireGuard message.
type Type = noise.Type

// Peer is one peer as the workers see it. Its methods are for any worker, at the
// same time as the control goroutine's; each is called once for a burst or a
// bundle, not once a packet.
type Peer struct {
	node   *Node
	public PublicKey
	id     table.PeerID
	later  bool // our public key is smaller than the peer's: see install

	session  atomic.Pointer[Session] // current: what workers seal with
	endpoint atomic.Pointer[Endpoint]
	known    known // endpoints of late; guarded by keypairs.mu
	allowed  atomic.Pointer[AllowedIPs]
	pinned   atomic.Pointer[Pinned]
	down     atomic.Bool   // liveness is on and failed
	withheld atomic.Bool   // ECMP takes other peers
	wants    atomic.Uint32 // want bits, cleared by control only

	keypairs keypairs
	traffic  traffic
	control  control // control goroutine only
}

// Bits of Peer.wants: what workers ask of control. A bit stays set until control
// has dealt with it, so that a busy worker wakes control once.
const (
	wantSession   = 1 << iota // there is data and nothing to seal it with
	wantRenewal               // the session is due for renewal
	sawFirst                  // a responder's session was confirmed
	sawUp                     // the peer came up again
	moved                     // the endpoint moved
	wantHandshake = wantSession | wantRenewal

	maxWants = 5 // how many bits there are
)

// traffic is what workers report. Times are ns since start, 0 for never.
type traffic struct {
	txPackets, txBytes counter.Shared // data messages sealed, keepalives included; UDP payload bytes
	rxPackets, rxBytes counter.Shared // data messages opened, keepalives included; UDP payload bytes

	lastTx     atomic.Int64 // a data message was sealed
	lastRx     atomic.Int64 // a data message or a response authenticated
	otherRx    atomic.Int64 // first from another port of the endpoint's address since its own was heard; 0 for none
	unanswered atomic.Int64 // first packet sent since something authenticated came; 0 for none
	unacked    atomic.Int64 // first packet that came since something was sent; 0 for none

	_ [64]byte
}

// keypairs are the sessions besides the current one, as in wireguard-go.
type keypairs struct {
	mu       sync.Mutex // guards the fields and the rotation of Peer.session
	previous *Session   // the one before the current: still opens
	next     *Session   // a responder's, until its first message came: opens, does not seal
	last     int64      // ns, when a handshake was last completed; 0 for never
	closed   bool       // the peer was removed: nothing is installed any more

	// lingering are those that the rotation put out, oldest first. They still
	// open for one RekeyTimeout. Its capacity is maxLingering from the start:
	// workers put sessions there.
	lingering []lingerer
}

type lingerer struct {
	s     *Session
	until int64 // ns
}

// maxLingering bounds the sessions that a peer can make us keep by one initiation
// after the other: each has a replay window of 8 KB.
const maxLingering = 8

// ID returns the handle that the configuration gave the peer.
func (p *Peer) ID() table.PeerID { return p.id }

// PublicKey returns the peer's name.
func (p *Peer) PublicKey() PublicKey { return p.public }

// Session returns the session to seal with; nil when there is none. It may be
// expired: Reserve checks.
func (p *Peer) Session() *Session { return p.session.Load() }

// Endpoint returns where to send; nil when it is not known.
func (p *Peer) Endpoint() *Endpoint { return p.endpoint.Load() }

// AllowedIPs returns the inner source addresses that the peer may use.
func (p *Peer) AllowedIPs() *AllowedIPs { return p.allowed.Load() }

// Down reports whether the peer has liveness detection and failed it.
func (p *Peer) Down() bool { return p.down.Load() }

// Withhold takes the peer out of ECMP, or back in: something other than liveness,
// as BFD, has found that what lies behind its tunnel is dead. Unlike with Down,
// packets that have no other path are sent all the same, so that BFD finds out when
// the peer is back. Any goroutine.
func (p *Peer) Withhold(yes bool) { p.withheld.Store(yes) }

// Withheld reports what Withhold was told last.
func (p *Peer) Withheld() bool { return p.withheld.Load() }

// Usable reports whether a packet could be sealed and sent to the peer now, with a
// chance to arrive: what ECMP asks before it chooses the peer.
//
// Hot path: no allocation.
func (p *Peer) Usable(now int64) bool {
	s := p.session.Load()
	return s != nil && now < s.expires && !p.down.Load() && !p.withheld.Load()
}

// Reserve returns the session to seal n packets with and the first of the n
// counters that are now the caller's alone, to be used at most once each. When
// nothing can be sealed it returns the reason, WGNoSession, WGPeerDown or
// WGEndpointUnknown, and has asked control for a handshake where that helps.
//
// Hot path: once a burst and peer, no allocation.
func (p *Peer) Reserve(now int64, n int) (s *Session, first uint64, r counter.Reason) {
	s = p.session.Load()
	if s != nil && now < s.expires {
		if p.down.Load() {
			return nil, 0, counter.WGPeerDown
		}
		first, ok := s.reserve(uint64(n))
		if ok {
			return s, first, counter.None
		}
	}
	p.want(wantSession)
	if p.endpoint.Load() == nil {
		return nil, 0, counter.WGEndpointUnknown
	}
	return nil, 0, counter.WGNoSession
}

// Sent reports that packets were sealed with s, bytes of UDP payload in all, and
// handed to the underlay. data says that one at least was not a keepalive.
//
// Hot path: once a burst and peer, no allocation.
func (p *Peer) Sent(now int64, s *Session, packets, bytes uint64, data bool) {
	t := &p.traffic
	t.txPackets.Add(packets)
	t.txBytes.Add(bytes)
	t.lastTx.Store(now)
	if data && t.unanswered.Load() == 0 {
		t.unanswered.Store(now)
	}
	if t.unacked.Load() != 0 {
		t.unacked.Store(0)
	}
	if now >= s.renewAt || s.next.Load() > s.rekeyAfter {
		p.want(wantRenewal)
	}
}

// Received reports that packets which came from src were opened with s, bytes of
// UDP payload in all. data says that one at least was not a keepalive. src is the
// datagrams' source with IPv4-mapped addresses unmapped.
//
// Hot path: once a bundle and session, no allocation (TestMoveNoAllocs).
func (p *Peer) Received(now int64, s *Session, src netip.AddrPort, packets, bytes uint64, data bool) {
	if !s.confirmed.Load() {
		p.confirm(now, s)
	}
	t := &p.traffic
	t.rxPackets.Add(packets)
	t.rxBytes.Add(bytes)
	t.lastRx.Store(now)
	if t.unanswered.Load() != 0 {
		t.unanswered.Store(0)
	}
	if data && t.unacked.Load() == 0 {
		t.unacked.Store(now)
	}
	if now >= s.lastMinute && s == p.session.Load() {
		p.want(wantRenewal)
	}
	if p.down.Load() {
		p.down.Store(false)
		p.want(sawUp)
	}
	p.seen(now, src)
}

// seen moves the endpoint to src, from where an authenticated data message came,
// if that is due. A peer of ours sends from several ports at once, so another
// port of the same address counts only when the endpoint's own has been silent.
func (p *Peer) seen(now int64, src netip.AddrPort) {
	e := p.endpoint.Load()
	if e != nil {
		t := &p.traffic
		if e.Addr == src {
			if t.otherRx.Load() != 0 {
				t.otherRx.Store(0)
			}
			return
		}
		if e.Addr.Addr() == src.Addr() {
			// The hold begins when another port is heard, not when the
			// endpoint's own was heard last: both may have been silent.
			since := t.otherRx.Load()
			if since == 0 {
				t.otherRx.Store(now)
			}
			if since == 0 || now-since < int64(p.node.params.PortHold) {
				return
			}
		}
	}
	p.move(src)
}

// move makes src the endpoint unless it is outside the pinned set. Once the
// spare endpoints are used up the peer stays where it is until control has made
// more: the packets to come will tell again. Any goroutine.
//
// Hot path: no allocation (TestMoveNoAllocs).
func (p *Peer) move(src netip.AddrPort) {
	if !p.pinned.Load().Allows(src) {
		p.node.stats[RefusedPinned].Add(1)
		return
	}
	p.keypairs.mu.Lock()
	defer p.keypairs.mu.Unlock()
	if e := p.endpoint.Load(); e == nil || e.Addr != src {
		to := p.known.at(p.node, src)
		if to == nil {
			return
		}
		p.redirectLocked(to)
	}
	p.traffic.otherRx.Store(0)
}

// redirectLocked makes e the endpoint and lets control know.
func (p *Peer) redirectLocked(e *Endpoint) {
	had := p.endpoint.Swap(e)
	if had != nil {
		p.node.stats[EndpointMoved].Add(1)
		p.want(moved)
	} else {
		p.node.schedule.ask(p) // there is somewhere to send to now
	}
}

// want sets a bit for control and wakes it, once until control cleared the bit.
func (p *Peer) want(bit uint32) {
	if p.wants.Load()&bit == bit {
		return
	}
	if p.wants.Or(bit)&bit == bit {
		return
	}
	p.node.schedule.ask(p)
	if p.node.wake != nil {
		p.node.wake()
	}
}

// install makes s, the result of a handshake, one of the peer's sessions, as the
// whitepaper and wireguard-go do it. An initiator seals with it at once; a
// responder only opens with it until confirm. It reports false, and s is not
// used, when the peer was removed.
//
// Three things are ours, because both sides of a link may be told to be always
// on and then initiate at the same moment. wireguard-go forgets its own
// initiation when it answers one, so that both do, and wait five seconds. We go
// on with both handshakes: there are two sessions for a while, each side sealing
// with the one it initiated. So, first, the side with the smaller key renews its
// session a little later, and the first renewal leaves one session again. Second,
// a session that is put out still opens for a while (retire), because the other
// side may be using it until our message reaches it. And third, answering an
// initiation puts out no previous session, as it does in wireguard-go: that one
// may be what the other side seals with, and until it has our answer, which may
// get lost for as long as it repeats its initiation, it has no other.
func (p *Peer) install(now int64, s *Session) bool {
	k := &p.keypairs
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	if !s.initiator {
		p.node.index.Set(s)
		p.retire(now, k.next)
		k.next = s
		return true
	}
	old, current := k.previous, p.session.Load()
	if k.next != nil {
		k.previous, k.next = k.next, nil
		p.retire(now, current)
		if p.later {
			s.renewAt += int64(p.node.params.RekeyTimeout)
		}
	} else {
		k.previous = current
	}
	p.node.index.Set(s)
	p.session.Store(s)
	p.retire(now, old)
	k.last = now
	return true
}

// confirm makes a responder's next session the current one: the peer has shown
// that it holds the keys. Any worker; of several, one does it.
func (p *Peer) confirm(now int64, s *Session) {
	k := &p.keypairs
	k.mu.Lock()
	defer k.mu.Unlock()
	s.confirmed.Store(true)
	if k.next != s {
		return
	}
	p.retire(now, k.previous)
	k.previous, k.next = p.session.Load(), nil
	p.session.Store(s)
	k.last = now
	p.want(sawFirst)
}

// retire lets s, which may be nil, linger. keypairs.mu is held.
func (p *Peer) retire(now int64, s *Session) {
	if s == nil {
		return
	}
	k := &p.keypairs
	if len(k.lingering) == maxLingering {
		p.release(k.lingering[0].s)
		k.lingering = append(k.lingering[:0], k.lingering[1:]...)
	}
	k.lingering = append(k.lingering, lingerer{s, now + int64(p.node.params.RekeyTimeout)})
}

// lingerDue returns when the first lingering session ends, never when none is.
func (p *Peer) lingerDue() int64 {
	k := &p.keypairs
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.lingering) == 0 {
		return never
	}
	return k.lingering[0].until
}

// linger ends the sessions that have lingered long enough.
func (p *Peer) linger(now int64) {
	k := &p.keypairs
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.lingering) > 0 && now >= k.lingering[0].until {
		p.release(k.lingering[0].s)
		k.lingering = append(k.lingering[:0], k.lingering[1:]...)
	}
}

// zero ends every session now; none is installed afterwards when closed is set.
func (p *Peer) zero(closed bool) {
	k := &p.keypairs
	k.mu.Lock()
	defer k.mu.Unlock()
	k.closed = k.closed || closed
	p.release(k.previous)
	p.release(p.session.Load())
	p.release(k.next)
	for _, l := range k.lingering {
		p.release(l.s)
	}
	clear(k.lingering)
	k.previous, k.next, k.lingering = nil, nil, k.lingering[:0]
	p.session.Store(nil)
}

// release takes s, which may be nil, out of the index table and puts it where
// Node.TakeRetired finds it.
func (p *Peer) release(s *Session) {
	if s == nil {
		return
	}
	p.node.index.Release(s.local)
	p.node.retiredMu.Lock()
	p.node.retired = append(p.node.retired, s)
	p.node.retiredMu.Unlock()
}
