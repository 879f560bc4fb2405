package bgp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/server"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/relay"
	"github.com/ztos/ztos/crypto/secret"
)

// ErrClosed is returned by calls to a Speaker that has been closed.
var ErrClosed = errors.New("bgp: the speaker is closed")

// ErrNeedsRestart is wrapped by Apply's error for a Config that differs in what
// all sessions share: AS number, router id, cluster id or listening addresses.
// Make another Speaker for it.
var ErrNeedsRestart = errors.New("needs a new speaker")

// Speaker holds the BGP sessions of one table of routes. Any goroutine may call
// its methods.
type Speaker struct {
	log    *slog.Logger
	gobgp  *server.BgpServer
	relay  *relay.Relay
	key    secret.Key // of loopback connections
	queue  *queue
	cancel context.CancelFunc

	read  sync.Mutex // of paths that GoBGP hands out; see gobgpHandler
	apply sync.Mutex // held by whoever changes sessions

	mu     sync.Mutex
	closed bool
	config Config
	peers  map[string]*session
	byLoop map[netip.Addr]*session
	nextID evpn.PeerID
	member map[evpn.RT]bool // memberships that are announced
	all    bool             // so is the default one
	// collect ends the time of Config.Collect; nil: it is over, or was not.
	collect *time.Timer
}

// session is a peer that is configured.
type session struct {
	id    evpn.PeerID
	conf  Peer
	relay *relay.Peer
	up    bool
	told  bool // everything that it had, once
	stale bool // down, and graceful restart keeps its routes
	// EVPN routes are kept for long after that; agreed by the last session.
	longLived bool
	lost      bool // they must go: the peer is dead
	// last is why the session ended last, or could not begin.
	last string
}

// New starts a Speaker. Its connections are t's; it logs to log, which may be nil.
// On an error nothing is left running.
func New(ctx context.Context, c Config, t relay.Transport, log *slog.Logger) (*Speaker, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c = c.withDefaults()
	s := &Speaker{
		log: log, key: newKey(), queue: newQueue(),
		peers: make(map[string]*session), byLoop: make(map[netip.Addr]*session),
		member: make(map[evpn.RT]bool),
	}
	var loop uint16
	var err error
	if s.gobgp, loop, err = startServer(ctx, &c, quiet(log, &s.read)); err != nil {
		return nil, err
	}
	s.relay = relay.New(t, loop, c.RouterID, s.key)
	if c.Collect > 0 {
		s.relay.Collect()
		s.collect = time.AfterFunc(c.Collect, s.collected)
	}
	watch, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if err := s.watch(watch); err != nil {
		s.Close()
		return nil, err
	}
	peers := c.Peers
	c.Peers = nil
	s.config = c
	for _, l := range c.Listen {
		if err := s.relay.Listen(l.At, l.Device); err != nil {
			s.Close()
			return nil, err
		}
	}
	c.Peers = peers
	err = s.Apply(ctx, c)
	if err == nil {
		// A reflector stays with it; a leaf says what it wants before the first
		// session is up.
		err = s.SetInterest(evpn.Interest{All: true})
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Apply makes the sessions those of c. Sessions whose Peer did not change stay as
// they are; the others end and begin anew. On an error the sessions are what they
// were, those aside that had to be begun anew for it.
func (s *Speaker) Apply(ctx context.Context, c Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	c = c.withDefaults()
	s.apply.Lock()
	defer s.apply.Unlock()
	s.mu.Lock()
	old, closed := s.config, s.closed
	s.mu.Unlock()
	if closed {
		return ErrClosed
	}
	if c.ASN != old.ASN || c.RouterID != old.RouterID || c.ClusterID != old.ClusterID || !equal(c.Listen, old.Listen) {
		return fmt.Errorf("bgp: AS number, router id, cluster id or listening addresses differ: %w", ErrNeedsRestart)
	}
	if err := s.sessions(ctx, &c, old.Peers, c.Peers); err != nil {
		if back := s.sessions(ctx, &old, c.Peers, old.Peers); back != nil {
			err = fmt.Errorf("%w; and back: %w", err, back)
		}
		return err
	}
	s.mu.Lock()
	s.config = c
	s.mu.Unlock()
	return nil
}

func equal[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// sessions ends those of from that to does not have as they are, and begins those
// of to that there are not.
func (s *Speaker) sessions(ctx context.Context, c *Config, from, to []Peer) error {
	wanted := make(map[string]*Peer, len(to))
	for i := range to {
		wanted[to[i].Name] = &to[i]
	}
	for i := range from {
		s.mu.Lock()
		have := s.peers[from[i].Name]
		s.mu.Unlock()
		if have == nil {
			continue
		}
		if w := wanted[from[i].Name]; w == nil || !w.same(&have.conf) {
			s.remove(ctx, have, "no longer configured")
		}
	}
	for i := range to {
		s.mu.Lock()
		have := s.peers[to[i].Name]
		s.mu.Unlock()
		if have != nil {
			continue
		}
		if err := s.begin(ctx, c, to[i]); err != nil {
			return err
		}
	}
	return nil
}

// begin adds a peer.
func (s *Speaker) begin(ctx context.Context, c *Config, p Peer) error {
	rp, err := s.relay.Add(relay.PeerConfig{
		Addr: netip.AddrPortFrom(p.Addr, p.Port), Local: p.Local, NextHop: p.NextHop, Guard: p.Guard, Passive: p.Passive,
		Restart: p.Restart.Enabled,
	})
	if err != nil {
		return fmt.Errorf("bgp: peer %q: %w", p.Name, err)
	}
	s.mu.Lock()
	s.nextID++
	sess := &session{id: s.nextID, conf: p, relay: rp}
	s.peers[p.Name] = sess
	s.byLoop[rp.Loop().Addr()] = sess
	s.mu.Unlock()
	if err := s.gobgp.AddPeer(ctx, &api.AddPeerRequest{Peer: apiPeer(c, &p, rp.Loop(), s.key)}); err != nil {
		s.forget(sess)
		s.relay.Remove(rp)
		return fmt.Errorf("bgp: peer %q: %w", p.Name, err)
	}
	return nil
}

// remove ends a peer's session, with a notification, and forgets its routes.
func (s *Speaker) remove(ctx context.Context, sess *session, reason string) {
	sess.relay.Cease(ceaseHardReset)
	err := s.gobgp.DeletePeer(ctx, &api.DeletePeerRequest{Address: sess.relay.Loop().Addr().String()})
	if err != nil {
		s.log.Error("bgp: remove peer", "peer", sess.conf.Name, "error", err)
	}
	s.forget(sess)
	s.relay.Remove(sess.relay)
	s.queue.add(Event{Peer: sess.id, Down: &Down{Reason: reason, Removed: true}})
}

func (s *Speaker) forget(sess *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.peers, sess.conf.Name)
	delete(s.byLoop, sess.relay.Loop().Addr())
}

// Next waits for events and returns all there are, in the order in which they
// happened. Errors: ctx's, ErrClosed.
func (s *Speaker) Next(ctx context.Context) ([]Event, error) { return s.queue.next(ctx) }

// Reset ends a session with the notification Cease, administrative reset (RFC
// 4486); it begins anew by itself.
func (s *Speaker) Reset(ctx context.Context, name string) error {
	return s.onPeer(name, func(addr string) error {
		return s.gobgp.ResetPeer(ctx, &api.ResetPeerRequest{Address: addr})
	})
}

// Enable lets a session begin again that has ended because the peer announced too
// many routes.
func (s *Speaker) Enable(ctx context.Context, name string) error {
	return s.onPeer(name, func(addr string) error {
		return s.gobgp.EnablePeer(ctx, &api.EnablePeerRequest{Address: addr})
	})
}

func (s *Speaker) onPeer(name string, fn func(addr string) error) error {
	sess, err := s.named(name)
	if err != nil {
		return err
	}
	if err := fn(sess.relay.Loop().Addr().String()); err != nil {
		return fmt.Errorf("bgp: peer %q: %w", name, err)
	}
	return nil
}

// Stop ends the Speaker as if it had died: no peer is told, so that those with
// graceful restart keep its routes for the time it asked for. Close does not.
func (s *Speaker) Stop() { s.end(true) }

// Close ends all sessions, with a notification, and all goroutines.
func (s *Speaker) Close() { s.end(false) }

func (s *Speaker) end(silent bool) {
	s.apply.Lock()
	defer s.apply.Unlock()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	if s.collect != nil {
		s.collect.Stop()
	}
	s.mu.Unlock()
	s.cancel()
	if silent {
		s.relay.Close(true)
	} else {
		s.mu.Lock()
		for _, sess := range s.peers {
			sess.relay.Cease(ceaseHardReset)
		}
		s.mu.Unlock()
	}
	s.gobgp.Stop()
	s.relay.Close(false)
	close(s.queue.closed)
}
