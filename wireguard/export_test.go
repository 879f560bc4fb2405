package wireguard

import (
	"github.com/ztos/ztos/crypto/aead"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/wireguard/noise"
)

// SlotBits shows how many low bits of an index are the slot number.
func (t *IndexTable) SlotBits() int { return t.slotBits() }

// SetCounter sets the next counter that s gives out.
func (s *Session) SetCounter(c uint64) { s.next.Store(c) }

// SetReceived makes s believe that it opened counter c.
func (s *Session) SetReceived(c uint64) { s.window.Mark(c) }

// Remote is the receiver index at the peer.
func (s *Session) Remote() uint32 { return s.remote }

// Keypairs shows the three slots of the rotation.
func (p *Peer) Keypairs() (previous, current, next *Session) {
	p.keypairs.mu.Lock()
	defer p.keypairs.mu.Unlock()
	return p.keypairs.previous, p.session.Load(), p.keypairs.next
}

// Install makes a session with given keys and installs it, as a handshake would.
func (p *Peer) Install(now int64, send, recv [32]byte, remote uint32, initiator bool) *Session {
	index, err := p.node.index.Reserve()
	if err != nil {
		panic(err)
	}
	k := &noise.Keys{Send: secret.New32(&send), Recv: secret.New32(&recv)}
	s, err := newSession(p, k, index, remote, initiator, now)
	if err != nil {
		panic(err)
	}
	if !p.install(now, s) {
		return nil
	}
	return s
}

// SetLimits sets the session's own limits.
func (s *Session) SetLimits(rekey, reject uint64) { s.rekeyAfter, s.rejectAfter = rekey, reject }

// NewIndexed puts an empty session under a fresh index.
func (t *IndexTable) NewIndexed() (*Session, error) {
	i, err := t.Reserve()
	if err != nil {
		return nil, err
	}
	s := &Session{local: i}
	t.Set(s)
	return s, nil
}

// Looks returns how often a Tick looked at a peer.
func (n *Node) Looks() uint64 { return n.schedule.looks }

// Ciphers returns what the session seals and opens with.
func (s *Session) Ciphers() (send, recv aead.AEAD) { return s.send, s.recv }
