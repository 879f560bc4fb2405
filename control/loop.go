package control

import (
	"maps"
	"net/netip"
	"time"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/macsec"
	"github.com/ztos/ztos/wireguard"
)

// How often the loop looks at what nobody wakes it for.
const (
	tickEvery  = 100 * time.Millisecond // packet number grants, ageing, settled sessions
	watchEvery = 500 * time.Millisecond // devices, and the underlay's next hops past the kernel
	saveEvery  = 30 * time.Second       // how far peers' packet numbers have come
)

// retired are keys of what ended, to be wiped when no worker can be in a burst
// that began before.
type retired struct {
	gen  uint64
	keys []wiper
}

// wiper is a WireGuard session or the SAK of a MACsec SA.
type wiper interface{ Wipe() }

// loop is control's one goroutine: handshakes and timers, learned MACs, packet
// number grants, devices.
func (n *Node) loop() {
	defer close(n.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var ticked, watched time.Time
	saved := time.Now()
	for {
		select {
		case <-n.stop:
			return
		case p := <-n.punts:
			n.handshakes(p)
		case m := <-n.bgpIn: // nil without BGP
			n.hear(m)
		case m := <-n.externalIn:
			n.hearExternal(m)
		case <-n.wake:
		case <-timer.C:
		}
		n.mu.Lock()
		next := n.bfdWork(tickEvery)
		next = min(next, n.protocol())
		n.learn()
		// Before EVPN: what hosts said is announced with what follows from it.
		if at := n.neighbourWork(); at != 0 {
			next = min(next, max(time.Duration(at-n.now()), time.Millisecond))
		}
		next = n.proxyWork(next)
		next = n.watchSegments(next)
		outcome, next := n.syncOverlay(next)
		outcome = n.settleProxy(outcome)
		now := time.Now()
		var secys []*macsec.SecY
		save := false
		if now.Sub(ticked) >= tickEvery {
			ticked = now
			n.age()
			n.wipeRetired()
			secys = n.secYs()
			n.warnSoftLimits()
			save = now.Sub(saved) >= saveEvery
		}
		var dsts []netip.Addr
		watch := now.Sub(watched) >= watchEvery
		if watch {
			watched = now
			n.watchPorts()
			dsts = n.destinations()
		}
		n.mu.Unlock()
		n.announce(outcome)
		if watch {
			n.watchUnderlay(dsts)
		}
		// The disk may be slow; timers and applies do not wait for it, only
		// this loop does.
		n.say("packet numbers", extendGrants(secys, n.store))
		if save {
			saved = now
			n.say("received packet numbers", n.saveReceived(secys))
		}
		timer.Reset(min(next, tickEvery))
	}
}

// handshakes works p and what else waits, bounded so that a flood does not keep
// the timers waiting.
func (n *Node) handshakes(p punt) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.wg == nil {
		return
	}
	for range 64 {
		n.send(n.wg.HandleMessage(n.now(), p.src, p.msg()))
		select {
		case p = <-n.punts:
		default:
			return
		}
	}
}

// protocol runs WireGuard's timers and returns when they want to run next.
func (n *Node) protocol() (next time.Duration) {
	if n.wg == nil {
		return tickEvery
	}
	now := n.now()
	n.send(n.wg.Tick(now))
	for _, e := range n.wg.TakeEvents() {
		var to netip.AddrPort
		if ep := e.Peer.Endpoint(); ep != nil {
			to = ep.Addr
		}
		n.log.Info("wireguard: "+e.Kind.String(), "peer", n.peerName(e.Peer), "endpoint", to)
		if e.Kind == wireguard.PeerDown {
			n.tunnelDown(now)
		}
	}
	if at := n.wg.NextDeadline(now); at > now {
		return time.Duration(at - now)
	}
	return time.Millisecond
}

func (n *Node) send(outs []wireguard.Out) {
	for i := range outs {
		o := &outs[i]
		if o.To == nil {
			continue
		}
		if err := n.mux.SendTo(o.To.Sock.(*underlay.Endpoint), o.Msg); err != nil {
			n.log.Debug("handshake message not sent", "to", o.To.Addr, "err", err)
		}
	}
}

// peerName returns the configured name of p.
func (n *Node) peerName(p *wireguard.Peer) string {
	for name, st := range n.peers {
		if st.wg == p {
			return name
		}
	}
	return ""
}

// secYs returns the SecYs of all bridge domains. The slice is never changed:
// the next apply makes another.
func (n *Node) secYs() []*macsec.SecY { return n.secys }

// listSecYs makes the list that the loop walks ten times a second.
func (n *Node) listSecYs() {
	n.secys = make([]*macsec.SecY, 0, len(n.domains))
	n.secyVNIs = make([]table.VNI, 0, len(n.domains))
	for vni, d := range n.domains {
		if d.domain.SecY != nil {
			n.secys = append(n.secys, d.domain.SecY)
			n.secyVNIs = append(n.secyVNIs, vni)
		}
	}
}

// warnSoftLimits warns of SAs that run out of packet numbers. Only the one in use
// does.
func (n *Node) warnSoftLimits() {
	for i, s := range n.secys {
		if sa := s.InUse(); sa != nil && sa.TakeSoftLimit() {
			n.log.Warn("three quarters of an SA's packet numbers are used: roll over to another AN", "vni", n.secyVNIs[i], "an", sa.AN())
		}
	}
}

// saveReceived puts on disk how far peers' packet numbers have come.
func (n *Node) saveReceived(secys []*macsec.SecY) error {
	limits := map[string]uint64{}
	for _, s := range secys {
		maps.Copy(limits, received(s))
	}
	return n.store.Raise(limits)
}

// say logs a fault when it appears and when it is gone.
func (n *Node) say(what string, err error, args ...any) {
	switch {
	case err != nil && !n.lost[what]:
		n.lost[what] = true
		n.log.Error(what+": fault", append(args, "err", err)...)
	case err == nil && n.lost[what]:
		delete(n.lost, what)
		n.log.Info(what+": works again", args...)
	}
}

// wipeRetired overwrites the keys of what ended, once no worker can use them.
func (n *Node) wipeRetired() {
	if n.wg != nil {
		retire(n, n.wg.TakeRetired())
	}
	for len(n.retired) > 0 && n.tables.Settled(n.retired[0].gen) {
		for _, k := range n.retired[0].keys {
			k.Wipe()
		}
		n.wiped += len(n.retired[0].keys)
		n.retired = n.retired[1:]
	}
}

// retire puts keys of what workers no longer find where wipeRetired takes them
// from. The snapshot is published again so that Settled speaks of bursts begun
// after that. Under Node.mu.
func retire[K wiper](n *Node, keys []K) {
	if len(keys) == 0 {
		return
	}
	r := retired{gen: n.tables.Publish(n.tables.Load())}
	for _, k := range keys {
		r.keys = append(r.keys, k)
	}
	n.retired = append(n.retired, r)
}
