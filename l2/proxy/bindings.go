package proxy

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/table/fib"
	"github.com/ztos/ztos/l2"
)

// Default limits of what hosts can make a bridge domain remember: some addresses
// for each of a few thousand hosts, and for each machine at a port.
const (
	DefaultLimit     = 16384
	DefaultPortLimit = 1024
)

// Config is one bridge domain's part of the Bindings.
type Config struct {
	VNI       table.VNI
	Drop      bool // questions about unknown addresses go nowhere
	Ageing    int64
	Limit     int // most bindings of local hosts; 0: DefaultLimit
	PortLimit int // of those at one port; 0: DefaultPortLimit
	Circuits  map[table.ACID]table.PortID
	Statics   map[netip.Addr]table.MAC // which no host changes
	// MAC and LinkLocal are what the node's probes come from.
	MAC       table.MAC
	LinkLocal netip.Addr
}

// Remote is what EVPN says of an address.
type Remote struct {
	VNI       table.VNI
	Addr      netip.Addr
	Remove    bool // what follows is zero
	MAC       table.MAC
	Router    bool
	Immutable bool // no local host may have the address with another MAC
}

// Bindings is which host of which bridge domain has which address: local ones as
// heard, remote ones as EVPN says. It asks for nothing and tells nobody by itself:
// Tick says what to ask, TakeChanges what became of it, and Publish makes it what
// workers see. One goroutine at a time; times are ns since start.
type Bindings struct {
	at      func(table.VNI, table.MAC) (table.ACID, bool)
	domains map[table.VNI]*domain
	probes  []Probe
	changes []Change
}

// Probe is a question to one host.
type Probe struct {
	VNI  table.VNI
	Addr netip.Addr
	MAC  table.MAC
}

// domain is a bridge domain's bindings. due is when something is to be done about
// one of them, at the earliest; 0 is never.
type domain struct {
	cfg    Config
	fib    *fib.FIB[*Binding]
	count  *Counters
	tell   *l2.Bucket
	public *Domain // as workers have it

	hosts  map[netip.Addr]*entry
	remote map[netip.Addr]Remote
	byMAC  map[table.MAC][]netip.Addr // of hosts
	ports  map[table.PortID]int       // how many of hosts are there
	held   map[netip.Addr]bool        // duplicates: nobody is told of them
	hinted map[netip.Addr]int64       // when an unknown host was asked
	dirty  map[netip.Addr]struct{}    // not published yet
	due    int64
	stats  Stats
}

// New returns Bindings of no bridge domain. at says at which circuit the FDB has a
// MAC: what a host says is believed only where its MAC is.
func New(at func(table.VNI, table.MAC) (table.ACID, bool)) *Bindings {
	return &Bindings{at: at, domains: map[table.VNI]*domain{}}
}

// Prepare returns the Domain that workers see by c, which SetDomain puts in force.
// What lives across configurations is shared.
func (b *Bindings) Prepare(c Config) *Domain {
	d := b.domains[c.VNI]
	if d == nil {
		return (&domain{fib: &fib.FIB[*Binding]{}, count: &Counters{}, tell: l2.NewBucket(tellRate, tellBurst)}).view(c)
	}
	if p := d.public; p.MAC == c.MAC && p.Drop == c.Drop {
		return p
	}
	return d.view(c)
}

func (d *domain) view(c Config) *Domain {
	return &Domain{VNI: c.VNI, MAC: c.MAC, LinkLocal: c.LinkLocal, Drop: c.Drop, Count: d.count, bindings: d.fib, tell: d.tell}
}

// SetDomain makes c what holds for its bridge domain, of which workers see p, made
// by Prepare of c. fresh says that the bridge domain was not there before: its
// remote bindings are to be said with Remote.
func (b *Bindings) SetDomain(c Config, p *Domain) (fresh bool) {
	if c.Limit == 0 {
		c.Limit = DefaultLimit
	}
	if c.PortLimit == 0 {
		c.PortLimit = DefaultPortLimit
	}
	d := b.domains[c.VNI]
	if fresh = d == nil; fresh {
		d = &domain{
			fib: p.bindings, count: p.Count, tell: p.tell,
			hosts: map[netip.Addr]*entry{}, remote: map[netip.Addr]Remote{}, byMAC: map[table.MAC][]netip.Addr{},
			ports: map[table.PortID]int{}, held: map[netip.Addr]bool{}, hinted: map[netip.Addr]int64{},
			dirty: map[netip.Addr]struct{}{},
		}
		b.domains[c.VNI] = d
	}
	for a := range d.cfg.Statics {
		d.touch(a)
	}
	d.cfg, d.public = c, p
	for a := range c.Statics {
		d.touch(a)
	}
	// Hosts at circuits that are gone, and addresses that are configured now.
	for _, a := range slices.SortedFunc(maps.Keys(d.hosts), netip.Addr.Compare) {
		e := d.hosts[a]
		if _, ok := c.Circuits[e.AC]; !ok || c.Statics[a] != 0 {
			b.drop(d, e)
		}
	}
	d.due = 1 // another ageing time may make something due
	return fresh
}

// RemoveDomain forgets a bridge domain.
func (b *Bindings) RemoveDomain(vni table.VNI) {
	if d := b.domains[vni]; d != nil {
		for _, a := range slices.SortedFunc(maps.Keys(d.hosts), netip.Addr.Compare) {
			b.drop(d, d.hosts[a])
		}
		delete(b.domains, vni)
	}
}

// Domains returns the VNIs of the bridge domains, sorted.
func (b *Bindings) Domains() []table.VNI { return slices.Sorted(maps.Keys(b.domains)) }

// Remote takes what EVPN says of an address. The newest information counts (RFC
// 9161 section 3.2): a local host that had the address has it no more. If it has
// another MAC it is asked, and has the address again when it answers.
func (b *Bindings) Remote(r Remote) {
	d := b.domains[r.VNI]
	if d == nil {
		return
	}
	d.touch(r.Addr)
	if r.Remove {
		delete(d.remote, r.Addr)
		return
	}
	d.remote[r.Addr] = r
	if e := d.hosts[r.Addr]; e != nil {
		b.drop(d, e)
		if e.MAC != r.MAC {
			b.ask(d, r.Addr, e.MAC)
		}
	}
}

// Hold says that an address is a duplicate, or is none any more: meanwhile nobody
// is told who has it (RFC 9161 section 3.7).
func (b *Bindings) Hold(vni table.VNI, addr netip.Addr, on bool) {
	d := b.domains[vni]
	if d == nil || d.held[addr] == on {
		return
	}
	if on {
		d.held[addr] = true
	} else {
		delete(d.held, addr)
	}
	d.touch(addr)
}

// Lost says that a MAC is at no circuit of this node any more.
func (b *Bindings) Lost(vni table.VNI, mac table.MAC) {
	d := b.domains[vni]
	if d == nil {
		return
	}
	for _, a := range slices.Clone(d.byMAC[mac]) {
		b.drop(d, d.hosts[a])
	}
}

// Moved says that a MAC is at circuit at now.
func (b *Bindings) Moved(vni table.VNI, mac table.MAC, at table.ACID) {
	d := b.domains[vni]
	if d == nil {
		return
	}
	for _, a := range slices.Clone(d.byMAC[mac]) {
		if e := d.hosts[a]; e.AC != at {
			d.bind(e.rebound(mac, at, e.Router))
		}
	}
}

// touch notes that what workers see of an address may have changed.
func (d *domain) touch(a netip.Addr) { d.dirty[a] = struct{}{} }

// bind puts e in place of what its address had.
func (d *domain) bind(e *entry) {
	if old := d.hosts[e.Addr]; old != nil {
		d.unbind(old)
	}
	e.port = d.cfg.Circuits[e.AC]
	d.hosts[e.Addr] = e
	d.byMAC[e.MAC] = append(d.byMAC[e.MAC], e.Addr)
	d.ports[e.port]++
	d.touch(e.Addr)
}

func (d *domain) unbind(e *entry) {
	delete(d.hosts, e.Addr)
	rest := slices.DeleteFunc(d.byMAC[e.MAC], func(a netip.Addr) bool { return a == e.Addr })
	if d.byMAC[e.MAC] = rest; len(rest) == 0 {
		delete(d.byMAC, e.MAC)
	}
	if d.ports[e.port]--; d.ports[e.port] == 0 {
		delete(d.ports, e.port)
	}
	d.touch(e.Addr)
}

// drop forgets a local binding and says so.
func (b *Bindings) drop(d *domain, e *entry) {
	d.unbind(e)
	b.note(Change{Kind: Unbound, VNI: d.cfg.VNI, Addr: e.Addr, MAC: e.MAC, AC: e.AC})
}

func (b *Bindings) ask(d *domain, addr netip.Addr, mac table.MAC) {
	b.probes = append(b.probes, Probe{d.cfg.VNI, addr, mac})
	d.stats.Probes++
}

// shown returns what workers are to see of an address, nil for nothing.
func (d *domain) shown(a netip.Addr) *Binding {
	if mac := d.cfg.Statics[a]; mac != 0 {
		return &Binding{Addr: a, MAC: mac}
	}
	if d.held[a] {
		return nil
	}
	if e := d.hosts[a]; e != nil {
		return e.Binding
	}
	if r, ok := d.remote[a]; ok {
		return &Binding{Addr: a, MAC: r.MAC, Router: r.Router}
	}
	return nil
}

// Publish makes what was said since the last call what workers see, each bridge
// domain's in one store.
func (b *Bindings) Publish() error {
	for _, d := range b.domains {
		if len(d.dirty) == 0 {
			continue
		}
		list := make([]fib.Change[*Binding], 0, len(d.dirty))
		for a := range d.dirty {
			s := d.shown(a)
			list = append(list, fib.Change[*Binding]{Prefix: netip.PrefixFrom(a, a.BitLen()), Value: s, Delete: s == nil})
		}
		clear(d.dirty)
		if err := d.fib.Update(list); err != nil {
			return err
		}
	}
	return nil
}
