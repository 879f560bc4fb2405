package bgp

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/route"
)

// watch turns GoBGP's events into the Speaker's until ctx ends. GoBGP calls the
// functions one at a time, in the order of the events.
func (s *Speaker) watch(ctx context.Context) error {
	var d route.Decoder
	err := s.gobgp.WatchEvent(ctx, server.WatchEventMessageCallbacks{
		OnPathUpdate: func(paths []*apiutil.Path, _ time.Time) {
			s.read.Lock()
			defer s.read.Unlock()
			s.paths(&d, paths)
		},
		OnPathEor: func(p *apiutil.Path, _ time.Time) {
			if sess := s.session(p); sess != nil {
				if p.Family != bgp.RF_RTC_UC {
					s.mu.Lock()
					s.told(sess)
					s.mu.Unlock()
				}
				s.queue.add(Event{Peer: sess.id, EndOfRIB: afiOf(p.Family)})
			}
		},
		OnPeerUpdate: func(e *apiutil.WatchEventMessage_PeerEvent, _ time.Time) { s.state(e) },
	},
		server.WatchUpdate(false, "", ""),
		// Routes that go with a session, or when its restart time is over.
		server.WatchAdjInWithdraw(),
		server.WatchEor(false),
		server.WatchPeer(),
	)
	if err != nil {
		return fmt.Errorf("bgp: watch GoBGP: %w", err)
	}
	return nil
}

// session returns the peer of a path, nil if it is no longer configured.
func (s *Speaker) session(p *apiutil.Path) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byLoop[p.PeerAddress]
}

// paths adds routes, all of one peer.
func (s *Speaker) paths(d *route.Decoder, paths []*apiutil.Path) {
	if len(paths) == 0 {
		return
	}
	sess := s.session(paths[0])
	if sess == nil {
		return
	}
	ev := Event{Peer: sess.id}
	var uni []UnicastUpdate
	for _, p := range paths {
		switch p.Family {
		case bgp.RF_EVPN:
			u := evpn.Update{Peer: sess.id, Withdraw: p.Withdrawal}
			var err error
			if p.Withdrawal {
				u.Route.Key, err = route.Key(p.Nlri)
			} else {
				u.Route, err = d.Decode(p.Nlri, p.Attrs)
			}
			if err != nil {
				s.log.Warn("bgp: route ignored", "peer", sess.conf.Name, "error", err)
				continue
			}
			if ev.Routes == nil {
				ev.Routes = make([]evpn.Update, 0, len(paths))
			}
			ev.Routes = append(ev.Routes, u)
		case bgp.RF_IPv4_UC, bgp.RF_IPv6_UC:
			u, err := route.DecodeUnicast(p.Nlri, p.Attrs)
			if err != nil {
				s.log.Warn("bgp: route ignored", "peer", sess.conf.Name, "error", err)
				continue
			}
			uni = append(uni, UnicastUpdate{Withdraw: p.Withdrawal, Route: u})
		}
	}
	if ev.Routes != nil {
		s.queue.add(ev)
	}
	if uni != nil {
		s.queue.add(Event{Peer: sess.id, Unicast: uni})
	}
}

// state follows the state of a session.
func (s *Speaker) state(e *apiutil.WatchEventMessage_PeerEvent) {
	if e.Type != apiutil.PEER_EVENT_STATE {
		return
	}
	s.mu.Lock()
	sess := s.byLoop[e.Peer.Conf.NeighborAddress]
	if sess == nil {
		s.mu.Unlock()
		return
	}
	st := e.Peer.State
	up := st.SessionState == bgp.BGP_FSM_ESTABLISHED
	was := sess.up
	sess.up = up
	if !up && st.SessionState == bgp.BGP_FSM_IDLE && st.DisconnectMessage != "" {
		sess.last = st.DisconnectMessage
	}
	asn := s.config.ASN
	if up && !gracious(st.RemoteCap) {
		s.told(sess) // no End-of-RIB will come
	}
	graceful := st.DisconnectReason == api.PeerState_DISCONNECT_REASON_GRACEFUL_RESTART
	renew := false
	longLived := !up && sess.stale && sess.longLived && st.DisconnectReason == api.PeerState_DISCONNECT_REASON_RESTART_TIMER_EXPIRED
	switch {
	case up && !was:
		sess.stale, sess.lost = false, false
		sess.longLived = sess.conf.Restart.LongLived > 0 && longLivedEVPN(st.RemoteCap)
	case was && !up:
		// Lost may have come too late for the session, and too early for this.
		sess.stale = graceful
		renew = graceful && sess.lost
	}
	s.mu.Unlock()
	switch {
	case up && !was:
		local, _, _ := sess.relay.Session()
		s.log.Info("bgp: session up", "peer", sess.conf.Name, "address", sess.conf.Addr)
		s.queue.add(Event{Peer: sess.id, Up: &Up{
			Name: sess.conf.Name, ASN: st.PeerASN, Local: local.Addr(), Kept: kept(st.RemoteCap),
			Peer: evpn.Peer{ID: sess.id, Addr: sess.conf.Addr, RouterID: st.RouterID, IBGP: st.PeerASN == asn},
		}})
	case was && !up:
		s.log.Warn("bgp: session down", "peer", sess.conf.Name, "address", sess.conf.Addr, "reason", st.DisconnectMessage, "graceful", graceful)
		s.queue.add(Event{Peer: sess.id, Down: &Down{Reason: st.DisconnectMessage, Graceful: graceful}})
		if renew {
			go s.renew(sess) // which waits for GoBGP, as this must not
		}
	case longLived:
		s.log.Warn("bgp: the peer did not come back in time; its routes are the last choice now", "peer", sess.conf.Name)
		s.queue.add(Event{Peer: sess.id, LongLived: true})
	}
}

// forwarding is the flag of a family that went on forwarding (RFC 4724 section 3).
const forwarding = 0x80

// kept returns the families of a graceful restart capability with that flag.
func kept(caps []bgp.ParameterCapabilityInterface) (out []AFI) {
	for _, c := range caps {
		gr, ok := c.(*bgp.CapGracefulRestart)
		if !ok {
			continue
		}
		for _, t := range gr.Tuples {
			if a := afiOf(bgp.NewFamily(t.AFI, t.SAFI)); a != 0 && t.Flags&forwarding != 0 {
				out = append(out, a)
			}
		}
	}
	return out
}

// longLivedEVPN reports whether a peer has agreed that its EVPN routes are kept for
// long (RFC 9494 section 4.2).
func longLivedEVPN(caps []bgp.ParameterCapabilityInterface) bool {
	for _, c := range caps {
		l, ok := c.(*bgp.CapLongLivedGracefulRestart)
		if ok && slices.ContainsFunc(l.Tuples, func(t *bgp.CapLongLivedGracefulRestartTuple) bool {
			return bgp.NewFamily(t.AFI, t.SAFI) == bgp.RF_EVPN
		}) {
			return true
		}
	}
	return false
}

// gracious reports whether capabilities have graceful restart, with which a peer
// says End-of-RIB.
func gracious(caps []bgp.ParameterCapabilityInterface) bool {
	return slices.ContainsFunc(caps, func(c bgp.ParameterCapabilityInterface) bool {
		return c.Code() == bgp.BGP_CAP_GRACEFUL_RESTART
	})
}
