package bgp

import (
	"context"
	"fmt"
	"time"
)

// ceaseHardReset has graceful restart not keep the routes (RFC 8538 section 3.1).
const ceaseHardReset = 9

// renewTime bounds how long GoBGP may take to forget a peer and learn it anew.
const renewTime = 10 * time.Second

// Lost says that something faster than the hold timer, as the liveness of its
// tunnel, has found the peer dead: its routes go at once, graceful restart or
// not, because what forwarded for it is gone with it. It is the same when the
// session has ended before: what graceful restart keeps goes too.
func (s *Speaker) Lost(name string) error {
	sess, err := s.named(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	sess.lost = true
	stale := sess.stale
	s.mu.Unlock()
	if stale {
		s.renew(sess)
		return nil
	}
	sess.relay.Cut(ceaseHardReset)
	return nil
}

// Expire ends a peer's session as if its hold timer had expired: with graceful
// restart its routes are kept, for a peer whose control may have died alone, or that
// was not on the way of what it announced.
func (s *Speaker) Expire(name string) error {
	sess, err := s.named(name)
	if err == nil {
		sess.relay.Cut(0)
	}
	return err
}

// named returns the session with the peer of that name.
func (s *Speaker) named(name string) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess := s.peers[name]
	if sess == nil {
		return nil, fmt.Errorf("bgp: no peer %q", name)
	}
	return sess, nil
}

// renew has GoBGP forget a peer, with all routes of it that it keeps, and begin
// with it anew: there is no other way to end a graceful restart.
func (s *Speaker) renew(sess *session) {
	s.apply.Lock()
	defer s.apply.Unlock()
	s.mu.Lock()
	gone := s.closed || s.peers[sess.conf.Name] != sess || !sess.stale
	c := s.config
	s.mu.Unlock()
	if gone {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), renewTime)
	defer cancel()
	s.remove(ctx, sess, "lost")
	if err := s.begin(ctx, &c, sess.conf); err != nil {
		s.log.Error("bgp: a lost peer could not begin anew: remove it from the configuration, and add it again", "peer", sess.conf.Name, "error", err)
	}
}
