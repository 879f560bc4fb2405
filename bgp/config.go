package bgp

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/ztos/ztos/bgp/relay"
)

// Config is what a Speaker shall do. A Speaker does not change it, nor may the
// caller after Apply.
type Config struct {
	ASN      uint32
	RouterID netip.Addr // IPv4
	// ClusterID of a route reflector (RFC 4456 section 7). Default RouterID.
	ClusterID netip.Addr
	// Listen are the addresses at which peers may connect. Empty: they cannot,
	// all are dialed.
	Listen []Listen
	// Collect is for a node that forwards by what it knew before this Speaker
	// began, or without knowing, as a route reflector that is no VTEP. For this
	// long at most, and until all Peers have said End-of-RIB, it has peers keep
	// what they had of it: it tells them that it began again (RFC 4724 section
	// 4.1), and each End-of-RIB last. Routes are announced at once. 0 is off. It
	// holds from New; Apply does not look at it.
	Collect time.Duration
	Peers   []Peer
}

// Listen is an address at which peers may connect.
type Listen struct {
	At     netip.AddrPort
	Device string // bound to it, unless empty
}

// Peer is a session that is wanted.
type Peer struct {
	Name  string     // for people; unique
	Addr  netip.Addr // unique; link-local ones with their zone, unless Local has none
	Port  uint16     // 0: 179
	Local netip.Addr // to connect from; invalid: the stack's choice
	// NextHop of routes that begin here and name none, where Local is no address
	// that others reach; invalid: Local.
	NextHop netip.Addr
	// ASN of the peer: the Speaker's own makes it iBGP. 0: any, by what it says.
	ASN uint32
	// Client has the Speaker reflect routes to and from it (RFC 4456). iBGP
	// only.
	Client bool
	// AllowOwnAS is how often the Speaker's own AS may stand in the path of a
	// route, 0 to 10: leaves of one AS behind eBGP spines need 1.
	AllowOwnAS uint8
	Passive    bool // wait for it, never dial
	Families   []Family
	Guard      relay.Guard
	Timers     Timers
	Restart    Restart
}

// Family is an address family of a session.
type Family struct {
	AFI AFI
	// MaxRoutes ends the session when the peer announces more; it stays down
	// until Enable. 0: no limit.
	MaxRoutes uint32
	// WarnPercent of MaxRoutes is logged, 1 to 100; 0: none.
	WarnPercent uint8
}

// AFI names an address family.
type AFI uint8

const (
	EVPN       AFI = 1 + iota // L2VPN EVPN
	IPv4                      // unicast
	IPv6                      // unicast
	RTInterest                // route target constraint (RFC 4684)
)

var afiNames = map[AFI]string{EVPN: "evpn", IPv4: "ipv4", IPv6: "ipv6", RTInterest: "rt-constraint"}

// String returns the family's name.
func (a AFI) String() string {
	if s, ok := afiNames[a]; ok {
		return s
	}
	return fmt.Sprintf("afi-%d", uint8(a))
}

// Timers of a session; 0 is the default.
type Timers struct {
	Hold         time.Duration // whole seconds from 3s; default 90s
	Keepalive    time.Duration // default a third of Hold
	ConnectRetry time.Duration // from 2s, less a quarter at random; default 2s
}

// Restart is graceful restart with a peer (RFC 4724).
type Restart struct {
	Enabled bool
	// Time that this node asks to be waited for, whole seconds, 1s to 4095s;
	// default 120s.
	Time time.Duration
	// LongLived is the time for which routes are kept, least preferred, after
	// Time (RFC 9494); whole seconds to 16777215s, 0: off.
	LongLived time.Duration
}

const (
	port           = 179
	defaultHold    = 90 * time.Second
	defaultRestart = 120 * time.Second
	defaultRetry   = 2 * time.Second
)

// withDefaults returns c with what it leaves open filled in.
func (c Config) withDefaults() Config {
	if !c.ClusterID.IsValid() {
		c.ClusterID = c.RouterID
	}
	c.Peers = append([]Peer(nil), c.Peers...)
	for i := range c.Peers {
		p := &c.Peers[i]
		p.Addr = p.Addr.Unmap()
		if p.Port == 0 {
			p.Port = port
		}
		if p.Timers.Hold == 0 {
			p.Timers.Hold = defaultHold
		}
		if p.Timers.Keepalive == 0 {
			p.Timers.Keepalive = (p.Timers.Hold / 3).Truncate(time.Second)
		}
		if p.Timers.ConnectRetry == 0 {
			p.Timers.ConnectRetry = defaultRetry
		}
		if p.Restart.Enabled && p.Restart.Time == 0 {
			p.Restart.Time = defaultRestart
		}
	}
	return c
}

// Validate returns all faults of c, joined.
func (c Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("bgp: "+format, args...)) }
	if c.ASN == 0 {
		fault("no AS number")
	}
	if !c.RouterID.Is4() || c.RouterID.IsUnspecified() {
		fault("router id %v: want an IPv4 address", c.RouterID)
	}
	if c.ClusterID.IsValid() && !c.ClusterID.Is4() {
		fault("cluster id %v: want an IPv4 address", c.ClusterID)
	}
	for _, l := range c.Listen {
		if !l.At.IsValid() || l.At.Port() == 0 {
			fault("listen: %v: want an address and a port", l.At)
		}
	}
	names, addrs := make(map[string]bool), make(map[netip.Addr]bool)
	for i := range c.Peers {
		p := &c.Peers[i]
		if p.Name == "" || names[p.Name] {
			fault("peer %d: the name %q is empty or not unique", i, p.Name)
		}
		names[p.Name] = true
		if addrs[p.Addr.Unmap()] {
			fault("peer %q: the address %v is not unique", p.Name, p.Addr)
		}
		addrs[p.Addr.Unmap()] = true
		p.validate(c.ASN, fault)
	}
	return errors.Join(errs...)
}

func (p *Peer) validate(asn uint32, fault func(string, ...any)) {
	bad := func(format string, args ...any) {
		fault("peer %q: "+format, append([]any{p.Name}, args...)...)
	}
	if !p.Addr.IsValid() || p.Addr.IsUnspecified() || p.Addr.IsMulticast() {
		bad("address %v: want the address of a host", p.Addr)
	}
	if p.Addr.Is6() && p.Addr.IsLinkLocalUnicast() && p.Addr.Zone() == "" && !p.oneLink() {
		bad("address %v: a link-local address needs its device as zone", p.Addr)
	}
	if p.Client && p.ASN != 0 && p.ASN != asn {
		bad("route reflection is for peers of the same AS")
	}
	if p.AllowOwnAS > 10 {
		bad("own AS allowed %d times: want 0 to 10", p.AllowOwnAS)
	}
	seen := make(map[AFI]bool)
	for _, f := range p.Families {
		if afiNames[f.AFI] == "" || seen[f.AFI] {
			bad("family %v is unknown or there twice", f.AFI)
		}
		seen[f.AFI] = true
		if f.WarnPercent > 100 || f.WarnPercent > 0 && f.MaxRoutes == 0 {
			bad("family %v: warning at %d %% of %d routes", f.AFI, f.WarnPercent, f.MaxRoutes)
		}
	}
	if len(p.Families) == 0 {
		bad("no address family")
	}
	if n := p.Guard.Password.Len(); n > 80 {
		bad("the password has %d bytes, of at most 80", n)
	}
	if p.Guard.Hops == 255 {
		bad("TTL security over 255 hops: want 1 to 254, or 0 for none")
	}
	seconds(bad, "hold time", p.Timers.Hold, 3*time.Second, 65535*time.Second)
	seconds(bad, "keepalive interval", p.Timers.Keepalive, time.Second, 21845*time.Second)
	seconds(bad, "connect retry", p.Timers.ConnectRetry, 2*time.Second, 65535*time.Second)
	seconds(bad, "restart time", p.Restart.Time, time.Second, 4095*time.Second)
	seconds(bad, "long-lived restart time", p.Restart.LongLived, time.Second, 16777215*time.Second)
	if !p.Restart.Enabled && p.Restart.LongLived != 0 {
		bad("long-lived graceful restart needs graceful restart")
	}
}

// oneLink reports whether p is reached from a link-local address without a zone: of
// a stack that has one link.
func (p *Peer) oneLink() bool { return p.Local.IsLinkLocalUnicast() && p.Local.Zone() == "" }

// seconds checks a time that may be 0 for its default.
func seconds(bad func(string, ...any), what string, d, least, most time.Duration) {
	if d != 0 && (d < least || d > most || d%time.Second != 0) {
		bad("%s %v: want whole seconds, %v to %v", what, d, least, most)
	}
}

// same reports whether two peers need no new session.
func (p *Peer) same(o *Peer) bool {
	if len(p.Families) != len(o.Families) {
		return false
	}
	for i := range p.Families {
		if p.Families[i] != o.Families[i] {
			return false
		}
	}
	return p.Name == o.Name && p.Addr == o.Addr && p.Port == o.Port && p.Local == o.Local && p.NextHop == o.NextHop &&
		p.ASN == o.ASN && p.Client == o.Client && p.AllowOwnAS == o.AllowOwnAS && p.Passive == o.Passive &&
		p.Guard.Hops == o.Guard.Hops && p.Guard.Device == o.Guard.Device && p.Guard.Password.Equal(o.Guard.Password) &&
		p.Timers == o.Timers && p.Restart == o.Restart
}
