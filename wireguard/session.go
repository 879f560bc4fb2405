package wireguard

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/ztos/ztos/crypto/aead"
	"github.com/ztos/ztos/crypto/replay"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/wireguard/noise"
)

// Sizes of a data message, bytes.
const (
	HeaderSize = noise.DataHeaderSize // in front of the sealed packet
	TagSize    = aead.TagSize         // behind it
	Overhead   = HeaderSize + TagSize // 32, without padding
	padTo      = 16                   // packets are padded to a multiple of it
)

// never is a time that does not come.
const never = math.MaxInt64

// Session is what the whitepaper calls a secure session and others a keypair: the
// two transport keys that one handshake gave, the counter of what was sealed and
// the window of what was opened. Everything but those two is immutable. All
// workers share it; they use it in the burst in which they looked it up only.
type Session struct {
	peer          *Peer
	send, recv    aead.AEAD
	local, remote uint32 // receiver index here; at the peer
	initiator     bool   // this node sent the initiation
	created       int64  // ns
	renewAt       int64  // ns: from then on sending asks for a new session; never for a responder
	lastMinute    int64  // ns: from then on receiving does; never for a responder
	expires       int64  // ns: from then on neither seals nor opens
	rekeyAfter    uint64 // counter
	rejectAfter   uint64 // counter
	window        *replay.Window

	// confirmed: the peer is known to have the keys. True from the start at
	// the initiator; at the responder from the first opened message on.
	confirmed atomic.Bool

	_    [64]byte // the counter is written once a burst; what is above, hardly ever
	next atomic.Uint64
	_    [56]byte
}

// newSession returns the session of keys, which it wipes.
func newSession(p *Peer, keys *noise.Keys, local, remote uint32, initiator bool, now int64) (*Session, error) {
	defer keys.Wipe()
	send, err := aead.NewChaCha20Poly1305(keys.Send.Bytes())
	if err != nil {
		return nil, fmt.Errorf("wireguard: session: %w", err)
	}
	recv, err := aead.NewChaCha20Poly1305(keys.Recv.Bytes())
	if err != nil {
		return nil, fmt.Errorf("wireguard: session: %w", err)
	}
	prm := &p.node.params
	s := &Session{
		peer: p, send: send, recv: recv, local: local, remote: remote, initiator: initiator,
		created: now, renewAt: never, lastMinute: never, expires: now + int64(prm.RejectAfterTime),
		rekeyAfter: prm.RekeyAfterMessages, rejectAfter: prm.RejectAfterMessages,
		window: replay.New(p.node.window),
	}
	if initiator {
		s.renewAt = now + int64(prm.RekeyAfterTime)
		s.lastMinute = now + prm.lastMinute()
	}
	s.confirmed.Store(initiator)
	return s, nil
}

// Peer returns the peer that the session is with.
func (s *Session) Peer() *Peer { return s.peer }

// Local returns the receiver index by which the peer addresses this session.
func (s *Session) Local() uint32 { return s.local }

// Initiator reports whether this node sent the initiation.
func (s *Session) Initiator() bool { return s.initiator }

// Expired reports whether the session is too old to seal or open, at now.
func (s *Session) Expired(now int64) bool { return now >= s.expires }

// Sealed returns how many counters were taken.
func (s *Session) Sealed() uint64 { return s.next.Load() }

// String names the session by its indices.
func (s *Session) String() string { return fmt.Sprintf("session %08x->%08x", s.local, s.remote) }

// Format prints String for every verb, so that no verb reaches the keys.
func (s *Session) Format(f fmt.State, _ rune) {
	f.Write([]byte(s.String())) //nolint:errcheck // fmt.State reports no errors
}

// Wipe makes the session unusable and overwrites its keys. Only when no worker can
// be using the session any more: see Node.TakeRetired.
func (s *Session) Wipe() {
	if s.send != nil {
		s.send.Wipe()
		s.recv.Wipe()
	}
	s.send, s.recv = nil, nil
}

// reserve takes n consecutive counters and returns the first; false, and none
// taken, when they are not all below the limit. The limit can't be passed nor the
// counter wrapped, whatever runs beside: no counter is ever handed out twice.
//
// Hot path: once a burst, one compare-and-swap.
func (s *Session) reserve(n uint64) (first uint64, ok bool) {
	for {
		first = s.next.Load()
		if first >= s.rejectAfter || n > s.rejectAfter-first {
			return 0, false
		}
		if s.next.CompareAndSwap(first, first+n) {
			return first, true
		}
	}
}

// exhausted reports whether no counter is left.
func (s *Session) exhausted() bool { return s.next.Load() >= s.rejectAfter }

// PaddedLen returns how long a packet of n bytes is once padded with zeros to a
// multiple of 16, but not beyond maxPlain, the largest inner packet that the path
// takes; maxPlain 0 sets no limit, and a packet that is larger is not padded.
//
// Hot path: inlined.
func PaddedLen(n, maxPlain int) int {
	p := (n + padTo - 1) &^ (padTo - 1)
	if maxPlain != 0 && p > maxPlain {
		p = max(n, maxPlain)
	}
	return p
}

// SealedLen returns the length of the data message for a packet of n bytes:
// PaddedLen(n, maxPlain) and 32.
//
// Hot path: inlined.
func SealedLen(n, maxPlain int) int { return PaddedLen(n, maxPlain) + Overhead }

// frame writes the padding and the header with receiver index 0, so that
// slot[4:16] is the nonce: four zero bytes and the counter (whitepaper section
// 5.4.6). No scratch is needed for it, and none escapes.
func frame(slot []byte, counter uint64, plainLen, padded int) {
	clear(slot[HeaderSize+plainLen : HeaderSize+padded])
	noise.PutDataHeader(slot, 0, counter)
}

// putReceiver writes the receiver index over the nonce's zeros.
func putReceiver(slot []byte, index uint32) { binary.LittleEndian.PutUint32(slot[4:], index) }

// Seal makes a data message of the packet in slot[16:16+plainLen], in place: it
// pads, encrypts, appends the tag and writes the header into slot[:16]. It returns
// the message's length, SealedLen(plainLen, maxPlain), which slot must hold.
// counter is one that Peer.Reserve gave to this caller, used for nothing else.
// plainLen 0 makes a keepalive. Worker.
//
// Hot path: no allocation (TestNoAllocs). Panics when slot is too short.
func (s *Session) Seal(slot []byte, counter uint64, plainLen, maxPlain int) int {
	padded := PaddedLen(plainLen, maxPlain)
	n := padded + Overhead
	slot = slot[:n]
	frame(slot, counter, plainLen, padded)
	if !s.send.Seal(slot[HeaderSize:], slot[4:HeaderSize], slot[HeaderSize:HeaderSize+padded], nil) {
		panic("wireguard: slot too short") // not reached: slot was cut to size above
	}
	putReceiver(slot, s.remote)
	return n
}

// Open opens the data message msg in place and returns the packet in it, with its
// padding; empty for a keepalive. It checks the age, the counter before and the
// tag, and then marks the counter. On a drop it returns the reason:
// WGBadMessage, WGSessionExpired, WGReplayed or WGAuthFailed; msg[16:] may be
// zeroed then. msg must be addressed to this session. Worker.
//
// Hot path: no allocation (TestNoAllocs).
func (s *Session) Open(msg []byte, now int64) (plain []byte, r counter.Reason) {
	m := noise.Data(msg)
	if !m.Valid() {
		return nil, counter.WGBadMessage
	}
	c := m.Counter()
	if r = s.acceptable(c, now); r != counter.None {
		return nil, r
	}
	n := len(msg) - TagSize
	putReceiver(msg, 0) // msg[4:16] is the nonce now
	ok := s.recv.Open(msg[HeaderSize:n], msg[4:HeaderSize], msg[HeaderSize:], nil)
	putReceiver(msg, s.local)
	if !ok {
		return nil, counter.WGAuthFailed
	}
	if s.window.Mark(c) != replay.OK {
		return nil, counter.WGReplayed
	}
	return msg[HeaderSize:n], counter.None
}

// acceptable says whether a message with this counter is worth authenticating.
func (s *Session) acceptable(c uint64, now int64) counter.Reason {
	if now >= s.expires || c >= s.rejectAfter {
		return counter.WGSessionExpired
	}
	if s.window.Check(c) != replay.OK {
		return counter.WGReplayed
	}
	return counter.None
}
