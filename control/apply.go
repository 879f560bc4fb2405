package control

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/vxlan"
)

// settleTime is how long an apply waits for workers to let go of the old
// snapshot. A worker holds one for a burst, well below a millisecond; only a
// stuck one takes longer, and then what it may still use is kept.
const settleTime = 2 * time.Second

// Reload reads the configuration file again and applies it.
func (n *Node) Reload() (generation uint64, err error) {
	data, err := os.ReadFile(n.path)
	if err != nil {
		return 0, faultsOf(refused(err))
	}
	generation, err = n.apply(data, n.path, false)
	return generation, faultsOf(err)
}

// Apply makes data, a whole configuration document, the one in force and returns
// its generation; with dryRun it only checks, and returns the one that stays. The
// error is config.Faults with every fault when it can't be, and then nothing has
// changed.
func (n *Node) Apply(data []byte, dryRun bool) (generation uint64, err error) {
	generation, err = n.apply(data, "", dryRun)
	return generation, faultsOf(err)
}

func (n *Node) apply(data []byte, name string, dryRun bool) (generation uint64, err error) {
	if generation, err = n.take(data, name, dryRun); err == nil && !dryRun {
		n.proveIsolation()
	}
	return generation, err
}

// take is apply without the proof that follows it.
func (n *Node) take(data []byte, name string, dryRun bool) (generation uint64, err error) {
	cfg, keys, err := parse(data, name)
	if err != nil {
		return 0, err
	}
	defer keys.wipe()
	n.mu.Lock()
	defer n.mu.Unlock()
	if faults := fixedFaults(n.cfg, cfg); len(faults) > 0 {
		return 0, Refused{faults}
	}
	if faults := sharedKeys(cfg, keys); len(faults) > 0 {
		n.breaking.Add(1)
		return 0, Refused{inFile(faults, name)}
	}
	if dryRun {
		return n.applied, nil
	}
	if err := n.applyLocked(&plan{}, cfg, keys); err != nil {
		return 0, err
	}
	return n.applied, nil
}

// fixedFaults names the sections that can't change while the node runs.
func fixedFaults(old, new *config.Node) (faults config.Faults) {
	check := func(path string, a, b any) {
		if !reflect.DeepEqual(a, b) {
			faults = append(faults, config.Fault{
				Path: path, Problem: "can't change while the node runs", Fix: "restart the engine with the new configuration",
			})
		}
	}
	check("node", old.Self, new.Self)
	check("api", old.API, new.API)
	check("underlay", old.Underlay, new.Underlay)
	check("host", old.Host, new.Host)
	check("wireguard", old.WireGuard, new.WireGuard)
	check("bgp", old.BGP.Shared(), new.BGP.Shared())
	check("bfd", old.BFD.Shared(), new.BFD.Shared())
	return faults
}

// plan is an apply under way: what it made, and how to undo or finish it.
type plan struct {
	// only is the one VNI whose configuration changed, and whose keys alone
	// were read; 0: all may have.
	only table.VNI

	ports   map[string]*portState
	peers   map[string]*peerState
	domains map[table.VNI]*domainState
	vrfs    map[string]*vrfState
	routed  map[table.VNI]*l3.VRF // of bridge domains and L3VNIs; nil when only is not 0
	// Speakers to routers outside the fabric, and what of them the snapshot has.
	externals map[externalKey]externalPlan
	speakers  map[table.VNI]map[netip.Addr]*fabric.Speaker

	grants grants // of the transmit SAs that are new
	reach  *config.Reach
	evpn   *evpn.Config // nil: as before, or without BGP
	replay []table.VNI  // VRFs that take all routes of EVPN anew, by L3VNI

	undo   []func() // newest last
	commit []func()
	finish []func() // after the old snapshot is settled
}

// applyLocked makes cfg the configuration in force, or undoes all it did and
// returns Refused.
func (n *Node) applyLocked(p *plan, cfg *config.Node, keys *keyring) error {
	var snap *fabric.Snapshot
	tables, err := n.prepare(p, cfg, keys)
	if err == nil {
		snap = fabric.NewSnapshot(tables)
		err = n.prospect(p, cfg, snap)
	}
	if err != nil {
		for i := len(p.undo) - 1; i >= 0; i-- {
			p.undo[i]()
		}
		return refused(err)
	}
	for _, f := range p.commit {
		f()
	}
	gen := n.tables.Publish(snap)
	n.applied++
	n.appliedAt = time.Now()
	started := n.newPorts(p)
	n.cfg, n.ports, n.peers, n.domains = cfg, p.ports, p.peers, p.domains
	n.configureOverlay(p)
	if n.bfd != nil && p.only == 0 {
		n.bindBFD(n.bfd)
	}
	n.listSecYs()
	for _, s := range started {
		s.status = s.device.Status()
		n.tellDriver(s, port.Status{})
		n.startPort(s)
	}
	n.schedule()
	n.sizePorts(slices.Collect(maps.Values(n.ports))...)
	if !n.settle(gen) {
		n.log.Error("a worker holds an old snapshot: what it may use is kept until the node ends", "generation", n.applied)
		return nil
	}
	for _, f := range p.finish {
		f()
	}
	return nil
}

// newPorts returns the ports of p that are not running yet.
func (n *Node) newPorts(p *plan) (out []*portState) {
	for name, s := range p.ports {
		if n.ports[name] != s {
			out = append(out, s)
		}
	}
	return out
}

// settle waits until no worker sees anything older than gen.
func (n *Node) settle(gen uint64) bool {
	for end := time.Now().Add(settleTime); ; time.Sleep(100 * time.Microsecond) {
		if n.tables.Settled(gen) {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// prepare builds all that cfg needs beside what runs. Every step that can fail
// is here.
func (n *Node) prepare(p *plan, cfg *config.Node, keys *keyring) (t fabric.Tables, err error) {
	if p.only != 0 {
		// Copied before anything is prepared: the snapshot's parts are immutable.
		t = n.tables.Load().Tables
		t.Ports, t.ACs, t.Domains = nil, nil, nil
		p.ports, p.peers = n.ports, n.peers
		return t, n.prepareDomains(p, cfg, keys, &t)
	}
	var faults config.Faults
	if p.evpn, faults = evpnConfig(cfg); len(faults) > 0 {
		return t, faults
	}
	if err = n.preparePorts(p, cfg); err != nil {
		return t, err
	}
	peers, undo, commit, finish, err := n.planPeers(cfg, keys)
	if err != nil {
		return t, err
	}
	p.peers = peers
	p.undo = append(p.undo, undo)
	p.commit = append(p.commit, commit)
	p.finish = append(p.finish, finish)
	outer, err := n.outerRoutes(cfg, peers)
	if err != nil {
		return t, err
	}
	t = fabric.Tables{
		Leaf: cfg.Self.Is(config.Leaf), Spine: cfg.Self.Is(config.Spine),
		PlainLocal: cfg.Underlay.VXLANListen,
		Routes:     outer,
		VRFs:       n.spineVRFs(cfg),
		VXLAN:      vxlan.Receiver{Port: cfg.Underlay.VXLANPort, TrustTunnel: true, ZeroChecksum6: cfg.Underlay.VXLANUDPChecksum == config.ChecksumZero},
	}
	t.Local4, t.Local6 = locals(cfg)
	t.LinkLocal = n.linkLocal(cfg)
	for _, st := range peers {
		t.Peers = append(t.Peers, st.entry)
	}
	n.prepareVRFs(p, cfg)
	if err = n.prepareExternals(p, cfg, keys); err != nil {
		return t, err
	}
	if err = n.prepareDomains(p, cfg, keys, &t); err != nil {
		return t, err
	}
	t.MergeUDP = len(p.ports) > 0
	for _, s := range p.ports {
		t.MergeUDP = t.MergeUDP && takesUDP(s.device)
	}
	if err = n.prepareBGP(p, cfg, keys); err != nil {
		return t, err
	}
	return t, n.prepareBFD(p, cfg, keys)
}

// locals returns the node's fabric addresses by family.
func locals(cfg *config.Node) (v4, v6 netip.Addr) {
	for _, a := range []netip.Addr{cfg.Self.Address, cfg.Self.Address6} {
		switch {
		case !a.IsValid():
		case a.Is4():
			v4 = a
		default:
			v6 = a
		}
	}
	return v4, v6
}

// preparePorts opens the ports that are new or changed. A changed port's device
// is opened before the old one is closed, so a refused apply leaves it running;
// a TAP can't be opened twice, and changes by being removed first.
func (n *Node) preparePorts(p *plan, cfg *config.Node) error {
	p.ports = map[string]*portState{}
	var faults config.Faults
	for i := range cfg.Ports {
		c := &cfg.Ports[i]
		old := n.ports[c.Name]
		if old != nil && !old.changed(c) {
			p.ports[c.Name] = old
			continue
		}
		path := fmt.Sprintf("ports[%d]", i)
		if old != nil && old.cfg.Kind == config.TAP && old.cfg.Device == c.Device {
			faults = append(faults, config.Fault{Path: path, Problem: "a TAP can't change while it is open", Fix: "remove the port, apply, and add it again"})
			continue
		}
		if usesXDP(c) && n.heldByXDP(c.Device) {
			faults = append(faults, config.Fault{Path: path, Problem: "AF_XDP gives a device to one port at a time", Fix: "remove the port, apply, and add it again"})
			continue
		}
		dev, err := openPort(c)
		if err != nil {
			faults = append(faults, config.Fault{Path: path + ".device", Problem: err.Error()})
			continue
		}
		s := &portState{id: handle(n.ids.ports, c.Name), cfg: *c, device: dev, counts: &fabric.PortCounters{}}
		if old != nil {
			s.counts = old.counts
		}
		p.ports[c.Name] = s
		p.undo = append(p.undo, func() { dev.Close() })
	}
	for name, old := range n.ports {
		if p.ports[name] != old {
			p.finish = append(p.finish, func() { n.stopPort(old) })
		}
	}
	return faults.Err()
}

// takesUDP reports whether d takes merged UDP super-frames.
func takesUDP(d any) bool {
	c, ok := d.(interface{ CanUDPGSO() bool })
	return ok && c.CanUDPGSO()
}
