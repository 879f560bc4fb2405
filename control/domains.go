package control

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/macsec"
	"github.com/ztos/ztos/vxlan"
)

// domainState is a bridge domain that lives across snapshots.
type domainState struct {
	cfg    config.BridgeDomain
	counts *l2.Counters
	domain *fabric.Domain // of the snapshot in force
	tooBig *l2.TooBig
}

// learnRing is how many new MACs wait for control: more in a tick come again
// with their next frame.
const learnRing = 1 << 14

// prepareDomains builds the bridge domains of cfg, their attachment circuits and
// adjacencies, and the ports' access tables.
func (n *Node) prepareDomains(p *plan, cfg *config.Node, keys *keyring, t *fabric.Tables) error {
	p.domains = map[table.VNI]*domainState{}
	p.reach = cfg.Reach()
	var err error
	if p.grants, err = grantAll(n.store, n.newTxSAs(cfg, p.only), keys); err != nil {
		return err
	}
	byPort := map[string][]*fabric.AC{}
	for i := range cfg.BridgeDomains {
		bd := &cfg.BridgeDomains[i]
		d, err := n.prepareDomain(p, cfg, keys, t, i, bd, byPort)
		if err != nil {
			return err
		}
		p.domains[bd.VNI] = d
		t.Domains = append(t.Domains, d.domain)
	}
	for i := range cfg.Ports {
		c := &cfg.Ports[i]
		s := p.ports[c.Name]
		fp := &fabric.Port{ID: s.id, Name: c.Name, Device: s.device, Counts: s.counts}
		var acs []*l2.AC
		for _, ac := range byPort[c.Name] {
			ac.Port = fp
			acs = append(acs, ac.AC)
		}
		access, err := l2.NewAccess(acs)
		if err != nil {
			return config.Faults{{Path: fmt.Sprintf("ports[%d]", i), Problem: err.Error()}}
		}
		fp.Access = access
		t.Ports = append(t.Ports, fp)
		limit := l2.Limit{Max: int(c.MACLimit)}
		p.commit = append(p.commit, func() { n.learner.SetPort(s.id, limit) })
	}
	for vni, old := range n.domains {
		d := p.domains[vni]
		if d == nil {
			p.finish = append(p.finish, func() { n.learner.RemoveDomain(vni) })
			p.commit = append(p.commit, func() { n.proxy.RemoveDomain(vni) })
		}
		if s := old.domain.SecY; s != nil && (d == nil || d.domain.SecY == nil) {
			p.finish = append(p.finish, func() {
				s.Close()
				retire(n, s.TakeRetired())
			})
		}
	}
	for name, old := range n.ports {
		if _, stays := p.ports[name]; !stays {
			p.finish = append(p.finish, func() { n.learner.RemovePort(old.id) })
		}
	}
	return nil
}

func (n *Node) prepareDomain(p *plan, cfg *config.Node, keys *keyring, t *fabric.Tables, i int, bd *config.BridgeDomain, byPort map[string][]*fabric.AC) (*domainState, error) {
	path := fmt.Sprintf("bridge-domains[%d]", i)
	old := n.domains[bd.VNI]
	if d := n.unchanged(p, cfg, t, bd, old); d != nil {
		for j, ac := range d.domain.BD.ACs {
			at := &fabric.AC{AC: ac, Domain: d.domain}
			byPort[bd.Attach[j].Port] = append(byPort[bd.Attach[j].Port], at)
			t.ACs = append(t.ACs, at)
		}
		if bd.MACsec == nil || p.only != 0 {
			return d, nil
		}
		// The key files may hold other keys than they did.
		_, err := n.planSecY(p, path+".macsec", bd, old, keys)
		return d, err
	}
	d := &domainState{cfg: *bd, counts: &l2.Counters{}, tooBig: l2.NewTooBig(l2.DefaultTooBigRate)}
	if old != nil {
		d.counts, d.tooBig = old.counts, old.tooBig
	}
	d.domain = &fabric.Domain{
		TenantMTU: tenantMTU(cfg, bd, p.reach), ClampMSS: bd.MSSClamp.On(), TooBig: d.tooBig,
		Adjacencies: map[netip.Addr]*fabric.Adjacency{},
	}
	var err error
	if p.only == 0 {
		d.domain.IRB, err = n.irb(p, cfg, bd, d.domain.TenantMTU, old)
	} else { // only its keys changed
		d.domain.IRB = old.domain.IRB
	}
	n.prepareProxy(p, cfg.Self.Address, d)
	if err != nil {
		return nil, routingFault(path, err)
	}
	learn := l2.DomainConfig{
		VNI: bd.VNI, Ageing: uint32(bd.Ageing.D() / time.Second),
		Limit: l2.Limit{Max: int(bd.MACLimit), Action: limitAction(bd.MACLimitAction)},
	}
	b := l2.BDConfig{
		VNI: bd.VNI, Name: bd.Name, FDB: n.learner.FDB(bd.VNI), Gate: n.learner.Gate(bd.VNI),
		Count: d.counts, Storm: l2.NewStorm(stormLimits(cfg, bd)), Routed: bd.Gateway != nil,
	}
	for _, a := range bd.Attach {
		ac := &fabric.AC{AC: n.circuit(bd.VNI, a, p.ports[a.Port].id), Domain: d.domain}
		ac.Segment = n.segmentCell(cfg, a.Port, ac.ID)
		b.ACs = append(b.ACs, ac.AC)
		byPort[a.Port] = append(byPort[a.Port], ac)
		t.ACs = append(t.ACs, ac)
		learn.Circuits = append(learn.Circuits, l2.Circuit{ID: ac.ID, Port: ac.AC.Port})
	}
	for _, v := range bd.Remotes() {
		adj, err := n.adjacency(cfg, t, bd.VNI, v)
		if err != nil {
			return nil, config.Faults{{Path: remotePath(path, bd, v), Problem: err.Error()}}
		}
		adj.Domain = d.domain
		d.domain.Adjacencies[v] = adj
		learn.VTEPs = append(learn.VTEPs, adj.ID)
		if !slices.Contains(bd.VTEPs, v) {
			learn.Told = append(learn.Told, adj.ID)
		}
	}
	b.VTEPs, b.Known = floodIDs(bd.VTEPs, n.found(bd), d.domain.Adjacencies)
	b.Told = learn.Told
	learn.Statics = n.statics(bd, cfg.Self.Address)
	if d.domain.BD, err = l2.NewBD(b); err != nil {
		return nil, config.Faults{{Path: path, Problem: err.Error()}}
	}
	p.commit = append(p.commit, func() {
		if err := n.learner.SetDomain(learn); err != nil {
			n.log.Error("static MACs not set", "vni", bd.VNI, "err", err)
		}
	})
	if bd.MACsec == nil {
		return d, nil
	}
	sp, err := n.planSecY(p, path+".macsec", bd, old, keys)
	if err != nil {
		return nil, err
	}
	d.domain.SecY = sp.secy
	return d, nil
}

// remotePath names the place in the document that grants bd the VTEP v.
func remotePath(path string, bd *config.BridgeDomain, v netip.Addr) string {
	if i := slices.Index(bd.VTEPs, v); i >= 0 {
		return fmt.Sprintf("%s.vteps[%d]", path, i)
	}
	if i := slices.Index(bd.EVPN.VTEPs, v); i >= 0 {
		return fmt.Sprintf("%s.evpn.vteps[%d]", path, i)
	}
	i := slices.IndexFunc(bd.MACsec.Peers, func(p config.RxSC) bool { return p.VTEP == v })
	return fmt.Sprintf("%s.macsec.peers[%d].vtep", path, i)
}

// unchanged returns the state of bd that is in force, when all that it was made
// of is as it was; else nil. It is what most bridge domains are in most applies.
func (n *Node) unchanged(p *plan, cfg *config.Node, t *fabric.Tables, bd *config.BridgeDomain, old *domainState) *domainState {
	switch {
	case old == nil || p.only == bd.VNI:
		return nil
	case p.only != 0: // what the others are made of did not change
		return old
	case old.domain.IRB.VRFOf() != p.routed[bd.VNI]:
		return nil
	case old.domain.IRB != nil && !maps.Equal(old.domain.IRB.Speakers, p.speakers[bd.VNI]):
		return nil
	case !bd.Equal(&old.cfg) || !sameSegments(cfg, bd, old) || old.domain.TenantMTU != tenantMTU(cfg, bd, p.reach):
		return nil
	}
	for v, adj := range old.domain.Adjacencies {
		if r, ok := t.Routes.Lookup(v); !ok || r != adj.Route {
			return nil
		}
	}
	// Equal, and not what was read before: that would keep old documents alive.
	d := *old
	d.cfg = *bd
	return &d
}

// planSecY plans and prepares the SecY of bd.
func (n *Node) planSecY(p *plan, path string, bd *config.BridgeDomain, old *domainState, keys *keyring) (*secyPlan, error) {
	sp := &secyPlan{path: path, want: bd.MACsec, keys: keys, store: n.store, grants: p.grants}
	var was *macsec.SecY
	if old != nil {
		was = old.domain.SecY
		sp.secy = was
	}
	if err := sp.open(bd.VNI); err != nil {
		return nil, err
	}
	p.undo = append(p.undo, func() {
		sp.rollback()
		retire(n, sp.secy.TakeRetired())
	})
	if err := sp.prepare(func(v netip.Addr) table.VTEPID {
		return handle(n.ids.vteps, vtepKey{bd.VNI, v})
	}); err != nil {
		return nil, err
	}
	p.commit = append(p.commit, func() {
		if err := sp.commit(); err != nil {
			n.log.Error("AN not switched", "vni", bd.VNI, "err", err)
		}
	})
	p.finish = append(p.finish, func() {
		sp.finish()
		retire(n, sp.secy.TakeRetired())
		if was != nil && was != sp.secy {
			was.Close()
			retire(n, was.TakeRetired())
		}
	})
	return sp, nil
}

// circuit returns the attachment circuit that a asks for.
func (n *Node) circuit(vni table.VNI, a config.Attach, id table.PortID) *l2.AC {
	m := l2.Match{VLAN: a.VLAN, Inner: a.InnerVLAN}
	switch {
	case a.All:
		m.Kind = l2.MatchAll
	case a.InnerVLAN != 0:
		m.Kind = l2.MatchQinQ
	case a.VLAN != 0:
		m.Kind = l2.MatchVLAN
	}
	key := acKey{vni, a.Port, a.VLAN, a.InnerVLAN, a.All}
	return &l2.AC{
		ID: handle(n.ids.acs, key), Port: id, VNI: vni, Match: m, Gate: n.learner.PortGate(id),
	}
}

// adjacency returns the way to VTEP v in a VNI.
func (n *Node) adjacency(cfg *config.Node, t *fabric.Tables, vni table.VNI, v netip.Addr) (*fabric.Adjacency, error) {
	a := &fabric.Adjacency{ID: handle(n.ids.vteps, vtepKey{vni, v}), VTEP: v}
	var ok bool
	if a.Route, ok = t.Routes.Lookup(v); !ok {
		return nil, fmt.Errorf("no peer's allowed-ips cover %v", v)
	}
	a.Plain = a.Route.Paths[0].WireGuard == nil
	for _, p := range a.Route.Paths {
		if (p.WireGuard == nil) != a.Plain {
			return nil, fmt.Errorf("%v is reached both with and without WireGuard", v)
		}
	}
	if a.Plain {
		return a, nil
	}
	src := t.Local4
	if v.Is6() {
		src = t.Local6
	}
	if !src.IsValid() {
		return nil, fmt.Errorf("the node has no address of the family of %v", v)
	}
	var err error
	a.Encap, err = vxlan.NewTemplate(vxlan.TemplateConfig{
		Src: src, Dst: v, VNI: vni, Port: cfg.Underlay.VXLANPort, Checksum: checksum(cfg.Underlay.VXLANUDPChecksum),
	})
	return a, err
}

func checksum(c config.UDPChecksum) vxlan.Checksum {
	switch c {
	case config.ChecksumZero:
		return vxlan.ChecksumZero
	case config.ChecksumFull:
		return vxlan.ChecksumFull
	}
	return vxlan.ChecksumAuto
}

func limitAction(a config.LimitAction) l2.LimitAction {
	if a == config.LimitDrop {
		return l2.LimitDrop
	}
	return l2.LimitForward
}

func stormLimits(cfg *config.Node, bd *config.BridgeDomain) l2.StormLimits {
	s := cfg.StormDefaults
	if bd.Storm != nil {
		s = *bd.Storm
	}
	return l2.StormLimits{
		Broadcast:      l2.Rate{Frames: s.Broadcast},
		Multicast:      l2.Rate{Frames: s.Multicast},
		UnknownUnicast: l2.Rate{Frames: s.UnknownUnicast},
	}
}

func (n *Node) statics(bd *config.BridgeDomain, self netip.Addr) (out []l2.Static) {
	for _, s := range bd.StaticMACs {
		dest := l2.Remote(handle(n.ids.vteps, vtepKey{bd.VNI, s.VTEP}))
		if s.Port != "" {
			dest = l2.Local(handle(n.ids.acs, acKey{bd.VNI, s.Port, s.VLAN, s.InnerVLAN, n.allCircuit(bd, s.Port)}))
		}
		out = append(out, l2.Static{MAC: s.MAC, Dest: dest})
	}
	if bd.Gateway != nil {
		out = append(out, l2.Static{MAC: bd.Gateway.MAC, Dest: l2.Gateway})
	}
	if bd.Suppress {
		out = append(out, l2.Static{MAC: proxyMAC(self), Dest: l2.Gateway})
	}
	return out
}

// allCircuit reports whether port is attached to bd with all its frames.
func (n *Node) allCircuit(bd *config.BridgeDomain, port string) bool {
	return slices.ContainsFunc(bd.Attach, func(a config.Attach) bool { return a.Port == port && a.All })
}

// learn works what workers saw.
func (n *Node) learn() {
	now := l2.Seconds(n.now())
	// What aged or was flushed before comes before what is learned: EVPN decides
	// on the latter while it is learned.
	n.noteLearned()
	for {
		k := n.ring.Pop(n.sightings[:])
		n.learner.Learn(n.sightings[:k], now)
		if k < len(n.sightings) {
			break
		}
	}
	n.noteLearned()
}

// noteLearned tells the log and EVPN what the learner did.
func (n *Node) noteLearned() {
	changes := n.learner.TakeChanges()
	n.followMACs(changes)
	if n.overlay != nil {
		n.overlay.Learned(changes)
	}
	debug := n.log.Enabled(context.Background(), slog.LevelDebug)
	for _, c := range changes {
		switch c.Kind {
		case l2.Learned, l2.Aged, l2.Flushed, l2.Added, l2.Removed, l2.Moved, l2.Placed, l2.Displaced:
			if debug { // a full table brings a hundred thousand
				n.log.Debug(c.String())
			}
		default:
			if !n.foreignOrigin(&c) {
				n.log.Warn(c.String())
			}
		}
	}
}

// age forgets MACs that were not seen for their bridge domain's ageing time.
func (n *Node) age() {
	if now := l2.Seconds(n.now()); now != n.aged {
		n.aged = now
		n.learner.Age(now)
	}
}

// flushPort forgets the MACs learned on a port that went down.
func (n *Node) flushPort(id table.PortID) { n.learner.FlushPort(id) }

func (n *Node) sortedDomains() []*domainState {
	return slices.SortedFunc(maps.Values(n.domains), func(a, b *domainState) int { return cmp.Compare(a.cfg.VNI, b.cfg.VNI) })
}

// macsOn counts the MACs learned on a port.
func (n *Node) macsOn(port string) (count int) {
	for _, d := range n.domains {
		places := n.places(d)
		for e := range d.domain.BD.FDB.All() {
			if !e.Static && !e.External && places[e.Dest].Port == port {
				count++
			}
		}
	}
	return count
}

// places tells where the destinations of a bridge domain are, in words.
func (n *Node) places(d *domainState) map[l2.Dest]status.MAC {
	out := map[l2.Dest]status.MAC{l2.Gateway: {Port: "(gateway)"}}
	for _, a := range d.cfg.Attach {
		id := handle(n.ids.acs, acKey{d.cfg.VNI, a.Port, a.VLAN, a.InnerVLAN, a.All})
		out[l2.Local(id)] = status.MAC{Port: a.Port, VLAN: a.VLAN, InnerVLAN: a.InnerVLAN}
	}
	for _, v := range d.cfg.Remotes() {
		out[l2.Remote(handle(n.ids.vteps, vtepKey{d.cfg.VNI, v}))] = status.MAC{VTEP: v}
	}
	if n.overlay != nil {
		for id, g := range n.overlay.InGroups(d.cfg.VNI) {
			out[l2.InGroup(id)] = status.MAC{Segment: g.ESI.String()}
		}
	}
	return out
}

// FDB yields the entries that pass f, by VNI, then MAC.
func (n *Node) FDB(f status.MACFilter) iter.Seq[status.MAC] {
	n.mu.Lock()
	now := l2.Seconds(n.now())
	var list []status.MAC
	for _, d := range n.sortedDomains() {
		if f.VNI != 0 && f.VNI != d.cfg.VNI {
			continue
		}
		places := n.places(d)
		from := len(list)
		for e := range d.domain.BD.FDB.All() {
			m := places[e.Dest]
			m.VNI, m.MAC, m.Static, m.EVPN, m.Quarantined = d.cfg.VNI, e.MAC, e.Static, e.External, e.Frozen
			if !e.Static && !e.External && now > e.Seen {
				m.Age = config.Duration(time.Duration(now-e.Seen) * time.Second)
			}
			if f.Match(&m) {
				list = append(list, m)
			}
		}
		slices.SortFunc(list[from:], func(a, b status.MAC) int { return cmp.Compare(a.MAC, b.MAC) })
	}
	n.mu.Unlock()
	return slices.Values(list)
}

// FlushFDB forgets the learned entries that pass f and returns how many.
func (n *Node) FlushFDB(f status.MACFilter) (flushed int, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if f.VNI != 0 && n.domains[f.VNI] == nil {
		return 0, fmt.Errorf("%w: VNI %d", status.ErrNotFound, f.VNI)
	}
	if f.Port != "" && n.ports[f.Port] == nil {
		return 0, fmt.Errorf("%w: port %q", status.ErrNotFound, f.Port)
	}
	for _, d := range n.sortedDomains() {
		places := n.places(d)
		flushed += n.learner.Flush(d.cfg.VNI, func(e l2.Entry) bool {
			m := places[e.Dest]
			m.VNI, m.MAC = d.cfg.VNI, e.MAC
			return f.Match(&m)
		})
	}
	return flushed, nil
}
