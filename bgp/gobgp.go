package bgp

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
	"github.com/osrg/gobgp/v4/pkg/server"

	"github.com/ztos/ztos/bgp/relay"
	"github.com/ztos/ztos/crypto/secret"
)

// families translates address families.
var families = map[AFI]bgp.Family{
	EVPN: bgp.RF_EVPN, IPv4: bgp.RF_IPv4_UC, IPv6: bgp.RF_IPv6_UC, RTInterest: bgp.RF_RTC_UC,
}

// afiOf returns the name of a family of GoBGP, 0 for those not spoken here.
func afiOf(f bgp.Family) AFI {
	for a, g := range families {
		if g == f {
			return a
		}
	}
	return 0
}

func apiFamily(a AFI) *api.Family {
	f := families[a]
	return &api.Family{Afi: api.Family_Afi(f.Afi()), Safi: api.Family_Safi(f.Safi())}
}

// newKey returns a random key for loopback connections. It is text: GoBGP takes
// passwords as strings.
func newKey() secret.Key {
	var b [20]byte
	rand.Read(b[:]) //nolint:errcheck // never fails (crypto/rand)
	return secret.New([]byte(hex.EncodeToString(b[:])))
}

// startServer starts GoBGP on a free port of its loopback address.
func startServer(ctx context.Context, c *Config, log *slog.Logger) (*server.BgpServer, uint16, error) {
	var err error
	for range 5 { // somebody may take the port in between
		var port uint16
		if port, err = freePort(); err != nil {
			return nil, 0, err
		}
		s := server.NewBgpServer(server.LoggerOption(log, new(slog.LevelVar)))
		go s.Serve()
		err = s.StartBgp(ctx, &api.StartBgpRequest{Global: &api.Global{
			Asn: c.ASN, RouterId: c.RouterID.String(),
			ListenPort: int32(port), ListenAddresses: []string{relay.GoBGP.String()},
		}})
		if err == nil {
			if err := exportPolicy(ctx, s); err != nil {
				s.Stop()
				return nil, 0, err
			}
			return s, port, nil
		}
		s.Stop()
	}
	return nil, 0, fmt.Errorf("bgp: start GoBGP: %w", err)
}

func freePort() (uint16, error) {
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.AddrPortFrom(relay.GoBGP, 0)))
	if err != nil {
		return 0, fmt.Errorf("bgp: %w (is the loopback device up?)", err)
	}
	defer l.Close()
	return uint16(l.Addr().(*net.TCPAddr).Port), nil
}

// exportPolicy has GoBGP leave the next hop of EVPN routes alone, which is the
// VTEP and no router on the way (RFC 8365 section 5.1.3), and pass no unicast
// route from one peer to another: that is for whoever holds the VRF to decide.
func exportPolicy(ctx context.Context, s *server.BgpServer) error {
	unicast := []*api.Family{apiFamily(IPv4), apiFamily(IPv6)}
	reject := func(name string, t api.Conditions_RouteType) *api.Statement {
		return &api.Statement{
			Name:       name,
			Conditions: &api.Conditions{AfiSafiIn: unicast, RouteType: t},
			Actions:    &api.Actions{RouteAction: api.RouteAction_ROUTE_ACTION_REJECT},
		}
	}
	p := &api.Policy{Name: "export", Statements: []*api.Statement{
		{
			Name:       "evpn-next-hop",
			Conditions: &api.Conditions{AfiSafiIn: []*api.Family{apiFamily(EVPN)}},
			Actions:    &api.Actions{Nexthop: &api.NexthopAction{Unchanged: true}},
		},
		reject("unicast-of-ibgp", api.Conditions_ROUTE_TYPE_INTERNAL),
		reject("unicast-of-ebgp", api.Conditions_ROUTE_TYPE_EXTERNAL),
	}}
	if err := s.AddPolicy(ctx, &api.AddPolicyRequest{Policy: p}); err != nil {
		return fmt.Errorf("bgp: policy: %w", err)
	}
	err := s.AddPolicyAssignment(ctx, &api.AddPolicyAssignmentRequest{Assignment: &api.PolicyAssignment{
		Name: "global", Direction: api.PolicyDirection_POLICY_DIRECTION_EXPORT,
		Policies: []*api.Policy{p}, DefaultAction: api.RouteAction_ROUTE_ACTION_ACCEPT,
	}})
	if err != nil {
		return fmt.Errorf("bgp: policy: %w", err)
	}
	return nil
}

// apiPeer returns p in GoBGP's form. It dials it at loop.
func apiPeer(c *Config, p *Peer, loop netip.AddrPort, key secret.Key) *api.Peer {
	seconds := func(d time.Duration) uint64 { return uint64(d / time.Second) }
	out := &api.Peer{
		Conf: &api.PeerConf{
			NeighborAddress: loop.Addr().String(),
			PeerAsn:         p.ASN,
			AllowOwnAsn:     uint32(p.AllowOwnAS),
			AuthPassword:    string(key.Bytes()),
			Description:     p.Name,
		},
		Transport: &api.Transport{
			LocalAddress: relay.GoBGP.String(),
			RemotePort:   uint32(loop.Port()),
			PassiveMode:  p.Passive,
		},
		Timers: &api.Timers{Config: &api.TimersConfig{
			ConnectRetry: seconds(p.Timers.ConnectRetry), HoldTime: seconds(p.Timers.Hold),
			KeepaliveInterval: seconds(p.Timers.Keepalive),
		}},
		EbgpMultihop:   &api.EbgpMultihop{Enabled: p.ASN != c.ASN, MultihopTtl: 64},
		RouteReflector: &api.RouteReflector{RouteReflectorClient: p.Client, RouteReflectorClusterId: c.ClusterID.String()},
		GracefulRestart: &api.GracefulRestart{
			Enabled: p.Restart.Enabled, RestartTime: uint32(seconds(p.Restart.Time)),
			NotificationEnabled: p.Restart.Enabled,
			LonglivedEnabled:    p.Restart.LongLived != 0,
		},
	}
	for _, f := range p.Families {
		fam := apiFamily(f.AFI)
		af := &api.AfiSafi{
			Config:            &api.AfiSafiConfig{Family: fam, Enabled: true},
			MpGracefulRestart: &api.MpGracefulRestart{Config: &api.MpGracefulRestartConfig{Enabled: p.Restart.Enabled}},
			PrefixLimits:      &api.PrefixLimit{Family: fam, MaxPrefixes: f.MaxRoutes, ShutdownThresholdPct: uint32(f.WarnPercent)},
		}
		if p.Restart.LongLived != 0 {
			af.LongLivedGracefulRestart = &api.LongLivedGracefulRestart{Config: &api.LongLivedGracefulRestartConfig{
				Enabled: true, RestartTime: uint32(seconds(p.Restart.LongLived)),
			}}
		}
		out.AfiSafis = append(out.AfiSafis, af)
	}
	return out
}
