package bgp

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/relay"
)

// Status is what a session is, for people and metrics. It holds no secret.
type Status struct {
	ID       evpn.PeerID
	Name     string
	Addr     netip.Addr
	ASN      uint32
	RouterID netip.Addr // invalid before the first session
	State    string     // idle, active, open-sent, open-confirm, established
	Disabled bool       // it has announced too many routes; see Enable
	Since    time.Time  // established then; zero otherwise
	Hold     time.Duration
	Local    netip.AddrPort // of the connection; invalid: there is none
	Flaps    uint32         // sessions that ended within a minute
	// LastError is why the session ended last, or cannot begin.
	LastError string
	Families  []FamilyStatus
	Sent      Messages
	Received  Messages
	Relay     relay.Stats
}

// FamilyStatus counts the routes of one family.
type FamilyStatus struct {
	AFI        AFI
	Negotiated bool
	Received   uint64
	Accepted   uint64 // of those received
	Advertised uint64
}

// Messages counts messages of one direction.
type Messages struct {
	Open, Update, Keepalive, Notification, Refresh, Total uint64
}

var stateNames = map[api.PeerState_SessionState]string{
	api.PeerState_SESSION_STATE_IDLE:        "idle",
	api.PeerState_SESSION_STATE_CONNECT:     "connect",
	api.PeerState_SESSION_STATE_ACTIVE:      "active",
	api.PeerState_SESSION_STATE_OPENSENT:    "open-sent",
	api.PeerState_SESSION_STATE_OPENCONFIRM: "open-confirm",
	api.PeerState_SESSION_STATE_ESTABLISHED: "established",
}

// Status returns all sessions in the order of their names.
func (s *Speaker) Status(ctx context.Context) ([]Status, error) {
	var out []Status
	err := s.gobgp.ListPeer(ctx, &api.ListPeerRequest{EnableAdvertised: true}, func(p *api.Peer) {
		addr, err := netip.ParseAddr(p.GetConf().GetNeighborAddress())
		if err != nil {
			return
		}
		s.mu.Lock()
		sess := s.byLoop[addr]
		var last string
		if sess != nil {
			last = sess.last
		}
		s.mu.Unlock()
		if sess != nil {
			out = append(out, statusOf(sess, last, p))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("bgp: %w", err)
	}
	slices.SortFunc(out, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}

func statusOf(sess *session, last string, p *api.Peer) Status {
	st := p.GetState()
	out := Status{
		ID: sess.id, Name: sess.conf.Name, Addr: sess.conf.Addr,
		ASN:      cmp.Or(st.GetPeerAsn(), sess.conf.ASN),
		State:    stateNames[st.GetSessionState()],
		Disabled: st.GetAdminState() == api.PeerState_ADMIN_STATE_PFX_CT,
		Flaps:    st.GetFlops(), LastError: last,
		Sent: messages(st.GetMessages().GetSent()), Received: messages(st.GetMessages().GetReceived()),
		Relay: sess.relay.Stats(),
	}
	if id, err := netip.ParseAddr(st.GetRouterId()); err == nil && !id.IsUnspecified() {
		out.RouterID = id
	}
	out.Local, _, _ = sess.relay.Session()
	established := st.GetSessionState() == api.PeerState_SESSION_STATE_ESTABLISHED
	if established {
		t := p.GetTimers().GetState()
		out.Hold = time.Duration(t.GetNegotiatedHoldTime()) * time.Second
		out.Since = t.GetUptime().AsTime()
	} else if out.Relay.LastError != "" {
		out.LastError = out.Relay.LastError
	}
	for _, af := range p.GetAfiSafis() {
		f := af.GetConfig().GetFamily()
		a := afiOf(bgp.NewFamily(uint16(f.GetAfi()), uint8(f.GetSafi())))
		out.Families = append(out.Families, FamilyStatus{
			AFI: a, Negotiated: established && speaks(st, f),
			Received: af.GetState().GetReceived(), Accepted: af.GetState().GetAccepted(), Advertised: af.GetState().GetAdvertised(),
		})
	}
	return out
}

// speaks reports whether the peer has offered a family.
func speaks(st *api.PeerState, f *api.Family) bool {
	for _, c := range st.GetRemoteCap() {
		if m := c.GetMultiProtocol().GetFamily(); m != nil && m.GetAfi() == f.GetAfi() && m.GetSafi() == f.GetSafi() {
			return true
		}
	}
	return false
}

func messages(m *api.Message) Messages {
	return Messages{
		Open: m.GetOpen(), Update: m.GetUpdate(), Keepalive: m.GetKeepalive(),
		Notification: m.GetNotification(), Refresh: m.GetRefresh(), Total: m.GetTotal(),
	}
}
