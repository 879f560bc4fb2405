package wireguard

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/wireguard/noise"
)

// DefaultReplayWindow is how many counters behind the highest are accepted:
// close to wireguard-go's 8128, and the most that 8 KB of window hold.
const DefaultReplayWindow = 8185

// Errors of a Node's set-up.
var (
	// ErrPeerExists: a peer with this public key is there already.
	ErrPeerExists = errors.New("wireguard: peer exists")
	// ErrNoPeer: no peer has this public key.
	ErrNoPeer = errors.New("wireguard: no such peer")
	// ErrOwnKey: the public key is this node's own.
	ErrOwnKey = errors.New("wireguard: the peer's public key is our own")
)

// Config is what a Node needs. Only Private and Wall are required.
type Config struct {
	Private secret.Key32     // the node's static key; copied
	Wall    func() time.Time // the wall clock, for time stamps of initiations
	Params  Params           // zero: the whitepaper's

	Random       io.Reader // nil: crypto/rand.Reader
	ReplayWindow uint32    // counters; 0: DefaultReplayWindow
	Wake         func()    // asks for a Tick soon; called by workers, must not block

	// Sock makes Endpoint.Sock of an address. spare is nil, or what Sock made of
	// the zero address: it is filled and returned then, without an allocation.
	// Called by control, and with a spare by workers when a peer roams.
	Sock func(spare any, a netip.AddrPort) any
}

// Liveness is the optional failure detection of a peer: both ends send something
// at least every Interval, and a peer is down when nothing authenticated came for
// Multiplier intervals. Interval 0 turns it off.
type Liveness struct {
	Interval   time.Duration
	Multiplier int // 0: 3
}

// PeerConfig is what is configured of a peer.
type PeerConfig struct {
	PublicKey  PublicKey
	ID         table.PeerID   // handle for the data path; not used here
	PSK        secret.Key32   // empty: none; copied
	Endpoint   netip.AddrPort // zero: learned from the peer's first handshake
	AllowedIPs []netip.Prefix // inner sources
	Pinned     *Pinned        // nil: the peer may come from anywhere

	// Keepalive sends a keepalive when nothing went either way for this long;
	// 0 is off. It opens a session at once and keeps it.
	Keepalive time.Duration
	// AlwaysOn opens a session without traffic and keeps one alive.
	AlwaysOn bool
	// Liveness implies AlwaysOn.
	Liveness Liveness
	// Anchor sends a keepalive from the main port at least this often while
	// there is traffic; 0 is off. Set it, below the peer's PortHold, when
	// data leaves by further source ports: else the peer comes to believe that
	// the main port is dead and sends to another.
	Anchor time.Duration
}

// check returns what is wrong with c by itself.
func (c *PeerConfig) check() error {
	switch {
	case c.Endpoint.IsValid() && !c.Pinned.Allows(unmap(c.Endpoint)):
		return fmt.Errorf("wireguard: peer %v: endpoint %v is outside its pinned set", c.PublicKey, c.Endpoint)
	case c.Keepalive < 0 || c.Anchor < 0 || c.Liveness.Interval < 0:
		return fmt.Errorf("wireguard: peer %v: negative interval", c.PublicKey)
	}
	return nil
}

// Out is a message to send. When Peer is nil it answers a stranger.
type Out struct {
	Peer *Peer
	To   *Endpoint
	Msg  []byte // owned by the receiver of the Out
}

// Node is this node's end of all its WireGuard sessions. Its methods are for one
// control goroutine, except those that say otherwise. It owns all key material of
// its peers.
type Node struct {
	params Params
	id     *noise.Identity
	random io.Reader
	wall   func() time.Time
	sock   func(any, netip.AddrPort) any
	wake   func()
	window uint32

	index   *IndexTable
	peers   map[PublicKey]*Peer
	order   []*Peer          // peers, in the order they were added
	pending map[uint32]*Peer // handshakes that we initiated, by our index

	schedule schedule

	checker *noise.Checker
	load    loadMeter
	limiter *sourceLimiter
	stats   stats
	events  []Event

	retiredMu sync.Mutex
	retired   []*Session // guarded by retiredMu
}

// NewNode returns a node without peers.
func NewNode(c Config) (*Node, error) {
	prm, err := c.Params.withDefaults()
	if err != nil {
		return nil, err
	}
	if c.Wall == nil {
		return nil, errors.New("wireguard: config: Wall is required")
	}
	id, err := noise.NewIdentity(c.Private)
	if err != nil {
		return nil, fmt.Errorf("wireguard: private key: %w", err)
	}
	n := &Node{
		params: prm, id: id, random: c.Random, wall: c.Wall, sock: c.Sock, wake: c.Wake, window: c.ReplayWindow,
		peers: map[PublicKey]*Peer{}, pending: map[uint32]*Peer{},
		checker: noise.NewChecker(id.Public(), int64(prm.CookieRefresh)),
		load:    loadMeter{limit: prm.UnderLoadRate, hold: int64(prm.UnderLoadHold)},
		limiter: newSourceLimiter(prm.SourceRate, prm.SourceBurst),
		retired: make([]*Session, 0, retiredRoom),
	}
	if n.random == nil {
		n.random = rand.Reader
	}
	if n.window == 0 {
		n.window = DefaultReplayWindow
	}
	n.index = NewIndexTable(n.random)
	return n, nil
}

// PublicKey returns the node's own public key.
func (n *Node) PublicKey() PublicKey { return n.id.Public() }

// Sessions returns the table in which workers look up receiver indices; always
// the same one. Any goroutine.
func (n *Node) Sessions() *IndexTable { return n.index }

// Count returns how often s happened. Any goroutine.
func (n *Node) Count(s Stat) uint64 { return n.stats[s].Load() }

// Peer returns the peer with this public key, nil when there is none.
func (n *Node) Peer(public PublicKey) *Peer { return n.peers[public] }

// Peers returns all peers in the order they were added.
func (n *Node) Peers() []*Peer { return slices.Clone(n.order) }

// AddPeer adds a peer. What it is configured to do without traffic happens at the
// next Tick. ErrPeerExists, ErrOwnKey, or noise.ErrLowOrder for a key with which
// no handshake can be secret.
func (n *Node) AddPeer(now int64, c PeerConfig) (*Peer, error) {
	if n.peers[c.PublicKey] != nil {
		return nil, fmt.Errorf("%w: %v", ErrPeerExists, c.PublicKey)
	}
	if c.PublicKey == n.id.Public() {
		return nil, fmt.Errorf("%w: %v", ErrOwnKey, c.PublicKey)
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	remote, err := n.id.Remote(c.PublicKey, c.PSK)
	if err != nil {
		return nil, fmt.Errorf("wireguard: peer %v: %w", c.PublicKey, err)
	}
	own := n.id.Public()
	p := &Peer{node: n, public: c.PublicKey, id: c.ID, later: bytes.Compare(own[:], c.PublicKey[:]) < 0}
	p.control = control{
		peer: p, remote: remote, silenceJitter: n.jitter(),
		jar: noise.NewJar(c.PublicKey, int64(n.params.CookieRefresh)),
	}
	p.keypairs.lingering = make([]lingerer, 0, maxLingering)
	p.configure(now, c)
	n.peers[c.PublicKey] = p
	n.order = append(n.order, p)
	n.schedule.add(p)
	return p, nil
}

// UpdatePeer gives a peer a new configuration. Sessions live on; a new preshared
// key counts from the next handshake on (Rekey asks for one now). A zero
// Endpoint leaves the endpoint as it is. The handle ID does not change.
func (n *Node) UpdatePeer(now int64, c PeerConfig) error {
	p := n.peers[c.PublicKey]
	if p == nil {
		return fmt.Errorf("%w: %v", ErrNoPeer, c.PublicKey)
	}
	if err := c.check(); err != nil {
		return err
	}
	if !p.control.remote.PSKEqual(c.PSK) {
		p.control.remote.SetPSK(c.PSK)
	}
	p.configure(now, c)
	n.schedule.change(p)
	return nil
}

// configure applies what does not touch keys.
func (p *Peer) configure(now int64, c PeerConfig) {
	if c.Liveness.Interval > 0 && c.Liveness.Multiplier <= 0 {
		c.Liveness.Multiplier = 3
	}
	p.allowed.Store(NewAllowedIPs(c.AllowedIPs))
	p.pinned.Store(c.Pinned)
	p.keypairs.mu.Lock()
	want := unmap(c.Endpoint)
	e := p.endpoint.Load()
	switch {
	case want.IsValid() && (e == nil || want != e.Addr && p.control.cfg.Endpoint != c.Endpoint):
		// A configured endpoint that did not change is not forced back on a
		// peer that roamed.
		p.endpoint.Store(p.known.add(p.node.newEndpoint(want)))
		p.traffic.otherRx.Store(0)
	case e != nil && !c.Pinned.Allows(e.Addr):
		p.endpoint.Store(nil)
		if want.IsValid() && c.Pinned.Allows(want) {
			p.endpoint.Store(p.known.add(p.node.newEndpoint(want)))
		}
	}
	p.known.refill(p.node)
	p.keypairs.mu.Unlock()
	p.control.configure(now, c)
}

// RemovePeer removes a peer: its sessions are retired and its other keys wiped.
// Others notice nothing. ErrNoPeer.
func (n *Node) RemovePeer(public PublicKey) error {
	p := n.peers[public]
	if p == nil {
		return fmt.Errorf("%w: %v", ErrNoPeer, public)
	}
	p.zero(true)
	p.control.dropPending()
	p.control.remote.Wipe()
	n.schedule.remove(p)
	delete(n.peers, public)
	n.order = slices.DeleteFunc(n.order, func(o *Peer) bool { return o == p })
	return nil
}

// Close removes every peer and wipes the node's own key. The node is unusable
// afterwards.
func (n *Node) Close() {
	for _, p := range n.Peers() {
		n.RemovePeer(p.public) //nolint:errcheck // the peer is there
	}
	n.checker.Wipe()
	n.id.Wipe()
}

// TakeRetired returns the sessions that ended since the last call. Workers that
// looked them up before may still use them in the burst they are in: the caller
// waits until every worker has begun a new burst, and then calls Wipe on each.
func (n *Node) TakeRetired() []*Session {
	n.retiredMu.Lock()
	defer n.retiredMu.Unlock()
	if len(n.retired) == 0 {
		return nil
	}
	r := n.retired
	n.retired = make([]*Session, 0, max(cap(r), retiredRoom))
	return r
}

// retiredRoom is how many sessions may end between two calls of TakeRetired until a
// worker that ends one has to allocate, at first.
const retiredRoom = 64

// newEndpoint returns the endpoint of a, unmapped; of the zero address one that
// place fills. Control.
func (n *Node) newEndpoint(a netip.AddrPort) *Endpoint {
	return n.place(new(Endpoint), a)
}

// place makes e, which nobody has seen, the endpoint of a and returns it.
func (n *Node) place(e *Endpoint, a netip.AddrPort) *Endpoint {
	e.Addr = a
	if n.sock != nil {
		e.Sock = n.sock(e.Sock, a)
	}
	return e
}

// jitter returns a random time from 0 up to RekeyJitter, ns.
func (n *Node) jitter() int64 {
	var b [8]byte
	if _, err := io.ReadFull(n.random, b[:]); err != nil {
		n.stats[InternalError].Add(1)
		return 0
	}
	return int64(binary.LittleEndian.Uint64(b[:]) % uint64(n.params.RekeyJitter+1))
}

// Format prints the public key for every verb, so that no verb reaches a secret.
func (n *Node) Format(f fmt.State, _ rune) {
	io.WriteString(f, "node "+n.id.Public().String()) //nolint:errcheck // fmt.State reports no errors
}

// Format prints the public key for every verb.
func (p *Peer) Format(f fmt.State, _ rune) {
	io.WriteString(f, "peer "+p.public.String()) //nolint:errcheck // fmt.State reports no errors
}
