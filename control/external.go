package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/relay"
	"github.com/ztos/ztos/bgp/route"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/fabric/hoststack"
)

const (
	// externalMTU is what speakers send at most, bytes of IP packet: the least that
	// IPv6 has (RFC 8200 section 5).
	externalMTU = 1280
	// externalRetry is how long a speaker that could not begin waits.
	externalRetry = 5 * time.Second
	// externalDepth is how many messages of speakers wait for the loop.
	externalDepth = 16
	// warnExternal is the percentage of its most routes at which a router is reported.
	warnExternal = 80
)

// externalKey is what can't change of an external: another one is another speaker.
type externalKey struct {
	vrf string
	vni table.VNI
	at  netip.Prefix // the gateway's address, and its subnet
	asn uint32
	id  netip.Addr
	mtu int
}

// external is the BGP of one address of a gateway with routers outside the fabric: an
// IP stack of its own, which hears nobody else, and a speaker that lives on it.
type external struct {
	key     externalKey
	log     *slog.Logger
	stack   *hoststack.Netstack
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	// Under Node.mu.
	entry     *fabric.Speaker // in the snapshot
	neighbors []config.ExternalNeighbor
	began     map[netip.Addr]int             // how often a router became a neighbour
	guards    map[netip.Addr]hoststack.Guard // by router, also of those that are none any more
	peers     map[evpn.PeerID]netip.Addr
	told      map[netip.Prefix]route.Unicast

	mu      sync.Mutex                      // guards what follows
	want    *bgp.Config                     // the newest
	pending bool                            // want is to be brought about
	out     map[netip.Prefix]*route.Unicast // to be announced; nil: withdrawn
	speaker *bgp.Speaker                    // nil until it has begun
	fault   string                          // why it has not
	ready   chan struct{}                   // has one element while there is something to do
}

// externalPlan is an external with what an apply makes of it.
type externalPlan struct {
	*external
	entry     *fabric.Speaker
	neighbors []config.ExternalNeighbor
	guards    []hoststack.Guard // by neighbour
}

// externalMessage is what a speaker heard, in order.
type externalMessage struct {
	from   *external
	events []bgp.Event
}

func newExternal(key externalKey, log *slog.Logger) (*external, error) {
	s, err := hoststack.New([]netip.Addr{key.at.Addr()}, key.mtu)
	if err != nil {
		return nil, fmt.Errorf("IP stack of %v: %w", key.at.Addr(), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &external{
		key: key, log: log.With("vrf", key.vrf, "gateway", key.at.Addr()), stack: s, ctx: ctx, cancel: cancel,
		began: map[netip.Addr]int{}, guards: map[netip.Addr]hoststack.Guard{}, peers: map[evpn.PeerID]netip.Addr{}, told: map[netip.Prefix]route.Unicast{},
		out: map[netip.Prefix]*route.Unicast{}, ready: make(chan struct{}, 1),
	}, nil
}

// start runs the speaker as soon as it is configured. What it hears goes to in, what
// it sends to the slow path.
func (x *external) start(in chan<- externalMessage, punts *fabric.Punts) {
	x.running.Go(func() { x.run(in) })
	x.running.Go(func() { x.send(punts) })
}

// close ends the sessions, with a notification, and all goroutines.
func (x *external) close() {
	x.cancel()
	x.mu.Lock()
	s := x.speaker
	x.mu.Unlock()
	if s != nil {
		s.Close()
	}
	x.stack.Close()
	x.running.Wait()
}

// configure makes c what the speaker shall do; it does not wait.
func (x *external) configure(c bgp.Config) {
	x.mu.Lock()
	x.want, x.pending = &c, true
	x.mu.Unlock()
	x.poke()
}

// announce makes u what is announced for a prefix, nil withdraws it; it does not wait.
func (x *external) announce(p netip.Prefix, u *route.Unicast) {
	x.mu.Lock()
	x.out[p] = u
	x.mu.Unlock()
	x.poke()
}

func (x *external) poke() {
	select {
	case x.ready <- struct{}{}:
	default:
	}
}

// run configures the speaker and tells it what is announced, until close.
func (x *external) run(in chan<- externalMessage) {
	for {
		select {
		case <-x.ctx.Done():
			return
		case <-x.ready:
		}
		if want := x.take(); want != nil {
			if err := x.begin(*want, in); err != nil && x.ctx.Err() == nil {
				x.log.Error("external: sessions not configured", "err", err)
				x.retry(want)
			}
		}
		x.mu.Lock()
		s := x.speaker
		if s == nil {
			x.mu.Unlock()
			continue
		}
		out := x.out
		x.out = map[netip.Prefix]*route.Unicast{}
		x.mu.Unlock()
		if err := tellRouters(s, out); err != nil && !errors.Is(err, bgp.ErrClosed) {
			x.log.Error("external: not announced", "err", err)
		}
	}
}

// take returns the configuration to be brought about, nil for none.
func (x *external) take() *bgp.Config {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.pending {
		return nil
	}
	x.pending = false
	return x.want
}

// retry has c tried again later, unless there is a newer one then.
func (x *external) retry(c *bgp.Config) {
	time.AfterFunc(externalRetry, func() {
		x.mu.Lock()
		if x.want == c {
			x.pending = true
		}
		x.mu.Unlock()
		x.poke()
	})
}

// begin has the speaker do what c says, and starts it when there is none.
func (x *external) begin(c bgp.Config, in chan<- externalMessage) error {
	ctx, stop := context.WithTimeout(x.ctx, bgpApplyTime)
	defer stop()
	x.mu.Lock()
	s := x.speaker
	x.mu.Unlock()
	var err error
	if s != nil {
		err = s.Apply(ctx, c)
	} else if s, err = bgp.New(ctx, c, relay.Stack{IPStack: x.stack}, x.log); err == nil {
		x.mu.Lock()
		x.speaker = s
		x.mu.Unlock()
		if x.ctx.Err() != nil { // close may not have seen it
			s.Close()
			return nil
		}
		x.running.Go(func() { x.listen(s, in) })
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.fault = ""
	if err != nil {
		x.fault = err.Error()
	}
	return err
}

// tellRouters announces and withdraws what out says.
func tellRouters(s *bgp.Speaker, out map[netip.Prefix]*route.Unicast) error {
	var gone []netip.Prefix
	var routes []route.Unicast
	for p, u := range out {
		if u == nil {
			gone = append(gone, p)
		} else {
			routes = append(routes, *u)
		}
	}
	return errors.Join(s.WithdrawUnicast(gone), s.AnnounceUnicast(routes))
}

// listen hands on what the speaker hears until it is closed.
func (x *external) listen(s *bgp.Speaker, in chan<- externalMessage) {
	for {
		events, err := s.Next(x.ctx)
		if err != nil {
			return // closed
		}
		select {
		case in <- externalMessage{x, events}:
		case <-x.ctx.Done():
			return
		}
	}
}

// externalPackets is how many packets of the stack are taken at once.
const externalPackets = 32

// send hands what the stack sends to the slow path, which routes it. What finds that
// full, TCP sends again.
func (x *external) send(punts *fabric.Punts) {
	frames, packets, sizes := make([][]byte, externalPackets), make([][]byte, externalPackets), make([]int, externalPackets)
	for i := range frames {
		frames[i] = make([]byte, wire.EthernetLen+x.key.mtu)
		packets[i] = frames[i][wire.EthernetLen:]
	}
	for {
		n, err := x.stack.Read(packets, sizes)
		if errors.Is(err, port.ErrClosed) {
			return
		}
		for i := range n {
			typ := wire.TypeIPv4
			if x.key.at.Addr().Is6() {
				typ = wire.TypeIPv6
			}
			wire.Ethernet(frames[i]).SetType(typ)
			punts.SendOwn(x.key.vni, frames[i][:wire.EthernetLen+sizes[i]])
		}
	}
}

// status returns the sessions, and why there are none.
func (x *external) status() ([]bgp.Status, string) {
	x.mu.Lock()
	s, fault := x.speaker, x.fault
	x.mu.Unlock()
	if s == nil {
		return nil, fault
	}
	ctx, cancel := context.WithTimeout(x.ctx, bgpStatusTime)
	defer cancel()
	st, err := s.Status(ctx)
	if err != nil && fault == "" {
		fault = err.Error()
	}
	return st, fault
}

// externalConfig returns what the speaker of x is to do.
func externalConfig(x *external) bgp.Config {
	c := bgp.Config{
		ASN: x.key.asn, RouterID: x.key.id,
		Listen: []bgp.Listen{{At: netip.AddrPortFrom(x.key.at.Addr(), bgpPort)}},
	}
	family := bgp.IPv4
	if x.key.at.Addr().Is6() {
		family = bgp.IPv6
	}
	for i := range x.neighbors {
		p := &x.neighbors[i]
		c.Peers = append(c.Peers, bgp.Peer{
			Name: fmt.Sprintf("%v-%d", p.Address, x.began[p.Address]), Addr: p.Address, ASN: p.ASN, Passive: p.Passive.On(),
			Families: []bgp.Family{{AFI: family, MaxRoutes: p.MaxRoutes, WarnPercent: warnExternal}},
			Timers:   bgp.Timers{Hold: p.HoldTime.D()},
		})
	}
	return c
}

// bgpPort is the TCP port of BGP with routers outside the fabric.
const bgpPort = 179

// loadExternals reads the passwords of routers outside the fabric.
func (k *keyring) loadExternals(vrfs []config.VRF, fault func(string, error)) {
	for i := range vrfs {
		e := vrfs[i].External
		if e == nil {
			continue
		}
		for j := range e.Neighbors {
			file := e.Neighbors[j].PasswordFile
			if _, done := k.outside[file]; done || file == "" {
				continue
			}
			key, err := secret.LoadPassword(file, maxPassword)
			if err != nil {
				fault(fmt.Sprintf("vrfs[%d].external.neighbors[%d].password-file", i, j), err)
				continue
			}
			k.outside[file] = key
		}
	}
}

// prepareExternals plans the speakers of cfg. One whose key stays goes on.
func (n *Node) prepareExternals(p *plan, cfg *config.Node, keys *keyring) error {
	p.externals = map[externalKey]externalPlan{}
	p.speakers = map[table.VNI]map[netip.Addr]*fabric.Speaker{}
	wanted := map[externalKey][]config.ExternalNeighbor{}
	for name, st := range p.vrfs {
		e := st.cfg.External
		if e == nil {
			continue
		}
		for _, x := range e.Neighbors {
			vni, ok := domainOf(cfg, name, x.Address)
			if !ok {
				return fmt.Errorf("VRF %s: no gateway for %s", name, x.Address) // validation has seen it
			}
			bd := routedDomain(cfg, vni)
			k := externalKey{vrf: name, vni: vni, at: bd.Gateway.SpeakerFor(x.Address), asn: e.ASN, id: e.RouterID, mtu: externalMTU}
			if bd.MTU != 0 {
				k.mtu = min(k.mtu, bd.MTU)
			}
			wanted[k] = append(wanted[k], x)
		}
	}
	for k, list := range wanted {
		x := n.externals[k]
		if x == nil {
			var err error
			if x, err = newExternal(k, n.log); err != nil {
				return err
			}
			p.undo = append(p.undo, x.close)
		}
		entry := &fabric.Speaker{Neighbors: map[netip.Addr]struct{}{}, Stack: x.stack}
		guards := make([]hoststack.Guard, len(list))
		for i := range list {
			entry.Neighbors[list[i].Address] = struct{}{}
			guards[i] = hoststack.Guard{Password: keys.outside[list[i].PasswordFile], Hops: list[i].TTLSecurity}
		}
		if x.entry != nil && maps.Equal(x.entry.Neighbors, entry.Neighbors) {
			entry = x.entry
		}
		p.externals[k] = externalPlan{x, entry, list, guards}
		if p.speakers[k.vni] == nil {
			p.speakers[k.vni] = map[netip.Addr]*fabric.Speaker{}
		}
		p.speakers[k.vni][k.at.Addr()] = entry
	}
	return nil
}

// commitExternals makes the speakers of p those in force. Of a new one's routers
// nothing is known any more: what they said to another they say again.
func (n *Node) commitExternals(p *plan) {
	old := n.externals
	n.externals = make(map[externalKey]*external, len(p.externals))
	for k, e := range p.externals {
		x := e.external
		x.adopt(e.neighbors, e.guards)
		x.entry = e.entry
		if old[k] == nil {
			for i := range e.neighbors {
				n.vrfs[k.vrf].outside.rib.Down(e.neighbors[i].Address)
			}
			x.start(n.externalIn, n.env.Punts)
		}
		x.configure(externalConfig(x))
		n.externals[k] = x
	}
	for k, x := range old {
		if n.externals[k] == nil {
			n.leaving.Go(x.close)
		}
	}
}

// adopt makes list the routers, and guards how TCP with each is protected. One that was
// none before, or is protected otherwise, gets a new session, also when the speaker has
// not noticed yet that it was none. One that is none any more keeps its guard: it is yet
// to be told so, and nothing that it says is heard.
func (x *external) adopt(list []config.ExternalNeighbor, guards []hoststack.Guard) {
	for i := range list {
		a := list[i].Address
		if !slices.ContainsFunc(x.neighbors, func(o config.ExternalNeighbor) bool { return o.Address == a }) ||
			!x.guards[a].Equal(guards[i]) {
			x.began[a]++
		}
		x.guards[a] = guards[i]
	}
	x.neighbors = list
	x.stack.Protect(x.guards)
}

// closeExternals ends all speakers: their routers are told while packets still flow.
func (n *Node) closeExternals() {
	n.mu.Lock()
	all := n.externals
	n.externals = nil
	n.mu.Unlock()
	for _, x := range all {
		n.leaving.Go(x.close)
	}
	n.leaving.Wait()
}

// hearExternal takes what a speaker heard.
func (n *Node) hearExternal(m externalMessage) {
	n.mu.Lock()
	defer n.mu.Unlock()
	x := m.from
	st := n.vrfs[x.key.vrf]
	if n.externals[x.key] != x || st == nil || st.outside == nil {
		return // no longer configured
	}
	st.heard(x, m.events)
	n.commitExternal(st)
}

// sortedExternals returns the speakers by VRF, VNI and address.
func (n *Node) sortedExternals() []*external {
	return slices.SortedFunc(maps.Values(n.externals), func(a, b *external) int {
		return cmp.Or(cmp.Compare(a.key.vrf, b.key.vrf), cmp.Compare(a.key.vni, b.key.vni), a.key.at.Addr().Compare(b.key.at.Addr()))
	})
}
