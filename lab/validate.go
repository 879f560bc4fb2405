package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
)

var (
	nameRE = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,14}[a-z0-9])?$`)
	devRE  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,14}$`)
)

// faults collects what is wrong with a topology.
type faults config.Faults

// add records a fault at path; fix may be empty.
func (fs *faults) add(path, fix, format string, args ...any) {
	*fs = append(*fs, config.Fault{Path: path, Problem: fmt.Sprintf(format, args...), Fix: fix})
}

// between wants lo <= v <= hi.
func (fs *faults) between(path string, v, lo, hi int) {
	if v < lo || v > hi {
		fs.add(path, fmt.Sprintf("use %d to %d", lo, hi), "%d is out of range", v)
	}
}

// name wants a name, and each only once.
func (fs *faults) name(path, s string, seen map[string]bool) {
	switch {
	case s == "":
		fs.add(path, "use 1 to 16 of a-z, 0-9 and hyphen", "no name")
	case !nameRE.MatchString(s):
		fs.add(path, "use 1 to 16 of a-z, 0-9 and hyphen, no hyphen first or last", "%q is not a name", s)
	case seen[s]:
		fs.add(path, "give each its own", "name %q twice", s)
	}
	seen[s] = true
}

// validate returns all that is wrong with a complete tree. What follows from
// several sections together (peers, keys, tenants' reach) is looked at by
// building the engine configurations, once the sections themselves are right.
func (t *Topology) validate() config.Faults {
	var fs faults
	fs.name("name", t.Name, map[string]bool{})
	if t.Driver != "netns" {
		fs.add("driver", "use netns", "no driver %q", t.Driver)
	}
	for _, b := range []struct {
		path    string
		n, most int
	}{{"nodes", len(t.Nodes), MaxNodes}, {"links", len(t.Links), MaxLinks}, {"tenants", len(t.Tenants), MaxTenants}} {
		if b.n > b.most {
			fs.add(b.path, "split the lab", "%d, more than %d", b.n, b.most)
		}
	}
	if len(t.Nodes) == 0 {
		fs.add("nodes", "list the nodes", "no node")
	}
	t.validateTenants(&fs)
	devs := map[Ref]string{} // interface -> path that uses it
	t.validateNodes(&fs, devs)
	t.validateLinks(&fs, devs)
	if len(fs) == 0 {
		t.validateEngines(&fs)
	}
	return config.Faults(fs)
}

// validateTenants looks at the tenants.
func (t *Topology) validateTenants(fs *faults) {
	names, vnis := map[string]bool{}, map[table.VNI]bool{}
	for i := range t.Tenants {
		n, at := &t.Tenants[i], fmt.Sprintf("tenants[%d]", i)
		fs.name(at+".name", n.Name, names)
		switch {
		case n.VNI == 0 || n.VNI > table.MaxVNI:
			fs.add(at+".vni", "use 1 to 16777215", "%d is not a VNI", n.VNI)
		case vnis[n.VNI]:
			fs.add(at+".vni", "give each tenant its own", "VNI %d twice", n.VNI)
		}
		vnis[n.VNI] = true
		fs.between(at+".mtu", n.MTU, 576, 65535)
		fs.between(at+".keys", n.Keys, 1, 4)
		switch {
		case n.L3VNI && n.VRF == "":
			fs.add(at+".vrf", "name the VRF", "an L3VNI without a VRF")
		case n.L3VNI && len(n.Gateways) > 0:
			fs.add(at+".gateways", "remove it", "an L3VNI has no gateway")
		case n.DHCPRelay != nil && len(n.Gateways) == 0:
			fs.add(at+".dhcp-relay", "add gateways, or remove it", "only a gateway relays DHCP")
		case !n.L3VNI && (n.VRF != "") != (len(n.Gateways) > 0):
			fs.add(at+".gateways", "give both, or none", "vrf and gateways belong together")
		}
	}
}

// validateNodes looks at the nodes and notes their host ports in devs.
func (t *Topology) validateNodes(fs *faults, devs map[Ref]string) {
	names, addrs := map[string]bool{}, map[netip.Addr]string{}
	for i := range t.Nodes {
		n, at := &t.Nodes[i], fmt.Sprintf("nodes[%d]", i)
		fs.name(at+".name", n.Name, names)
		if n.Name == "keys" {
			fs.add(at+".name", "choose another", "keys is a folder of the run directory")
		}
		if n.Kind == 0 {
			fs.add(at+".kind", "say leaf, spine, host or linux", "no kind")
			continue
		}
		if n.Kind.Engine() {
			if !n.Address.IsValid() {
				fs.add(at+".address", "give the node's address in the fabric", "no address")
			}
			for j, a := range []netip.Addr{n.Address, n.Address6} {
				path := at + [2]string{".address", ".address6"}[j]
				if other, dup := addrs[a]; dup && a.IsValid() {
					fs.add(path, "give each node its own", "%s is the address of %s too", a, other)
				}
				addrs[a] = n.Name
			}
		}
		for _, bad := range []struct {
			key     string
			here    bool
			allowed bool
		}{
			{"address", n.Address.IsValid(), n.Kind.Engine()},
			{"address6", n.Address6.IsValid(), n.Kind.Engine()},
			{"engine", n.Engine != nil, n.Kind.Engine()},
			{"host", n.Host != nil, n.Kind == Host},
			{"forward", n.Forward, n.Kind == Linux},
			{"routes", n.Routes != nil, !n.Kind.Engine()},
			{"setup", n.Setup != nil, !n.Kind.Engine()},
		} {
			if bad.here && !bad.allowed {
				fs.add(at+"."+bad.key, "remove it", "not for a node of kind %s", n.Kind)
			}
		}
		if n.Kind == Host {
			t.validateHost(fs, n, at, devs)
		}
		validateExtras(fs, n, at)
	}
}

// validateExtras looks at routes, setup commands and processes of a node.
func validateExtras(fs *faults, n *Node, at string) {
	for j, r := range n.Routes {
		if !r.To.IsValid() || !r.Via.IsValid() || r.To.Addr().Is6() != r.Via.Is6() {
			fs.add(fmt.Sprintf("%s.routes[%d]", at, j), "give `to` as PREFIX/BITS and `via` as an address of the same family", "not a route")
		}
	}
	for j, c := range n.Setup {
		if len(c) == 0 || c[0] == "" {
			fs.add(fmt.Sprintf("%s.setup[%d]", at, j), "write a list of words", "no command")
		}
	}
	if len(n.Processes) > MaxProcesses {
		fs.add(at+".processes", "", "%d, more than %d", len(n.Processes), MaxProcesses)
	}
	seen := map[string]bool{EngineProcess: true}
	for j, p := range n.Processes {
		path := fmt.Sprintf("%s.processes[%d]", at, j)
		fs.name(path+".name", p.Name, seen)
		if len(p.Command) == 0 || p.Command[0] == "" {
			fs.add(path+".command", "write a list of words", "no command")
		}
	}
}

// validateHost looks at a host's attachment.
func (t *Topology) validateHost(fs *faults, n *Node, at string, devs map[Ref]string) {
	h := n.Host
	if h == nil {
		fs.add(at+".host", "say where it is attached", "a host needs it")
		return
	}
	at += ".host"
	fs.device(at+".port", h.Port, devs)
	far, ok := t.Node(h.Port.Node)
	switch {
	case !ok:
		fs.add(at+".port", "", "no node %q", h.Port.Node)
	case far.Kind != Leaf && far.Kind != Linux:
		fs.add(at+".port", "attach it to a leaf or a Linux node", "%s is a %s", far.Name, far.Kind)
	case far.Kind == Linux && h.Tenant != "":
		fs.add(at+".tenant", "remove it", "a Linux node has no tenants")
	case far.Kind == Leaf:
		if tn, ok := t.Tenant(h.Tenant); !ok {
			fs.add(at+".tenant", "", "no tenant %q", h.Tenant)
		} else if h.MTU > tn.MTU {
			fs.add(at+".mtu", "", "%d is more than the tenant's %d", h.MTU, tn.MTU)
		}
	}
	if h.VLAN > 4094 {
		fs.add(at+".vlan", "use 1 to 4094, or 0 for untagged", "%d is not a VLAN", h.VLAN)
	}
	if h.MAC.IsMulticast() {
		fs.add(at+".mac", "", "%s is a group address", h.MAC)
	}
	fs.between(at+".mtu", h.MTU, 576, 65535)
	fs.addresses(at+".addresses", h.Addresses, h.MTU)
	var families [2]bool
	for j, g := range h.Gateways {
		path := fmt.Sprintf("%s.gateways[%d]", at, j)
		onlink := false
		for _, p := range h.Addresses {
			onlink = onlink || p.Masked().Contains(g)
		}
		if !onlink {
			fs.add(path, "", "%s is on no subnet of the host", g)
		}
		if f := g.Is6(); families[btoi(f)] {
			fs.add(path, "keep one of a family", "a second gateway")
		} else {
			families[btoi(f)] = true
		}
	}
}

// btoi returns 1 for true.
func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// addresses wants interface addresses; IPv6 needs an MTU of 1280.
func (fs *faults) addresses(path string, ps []netip.Prefix, mtu int) {
	seen := map[netip.Addr]bool{}
	for i, p := range ps {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch a := p.Addr(); {
		case !p.IsValid():
			fs.add(at, "write ADDRESS/BITS", "no address")
		case a.IsUnspecified(), a.IsMulticast(), a.IsLoopback(), a.Is4In6():
			fs.add(at, "", "%s is no address for an interface", a)
		case seen[a]:
			fs.add(at, "keep one", "%s twice", a)
		case a.Is6() && mtu < 1280:
			fs.add(at, "use an MTU of at least 1280", "IPv6 does not fit an MTU of %d", mtu)
		}
		seen[p.Addr()] = true
	}
}

// device wants an interface that nothing else uses, and notes it.
func (fs *faults) device(path string, r Ref, devs map[Ref]string) {
	if !devRE.MatchString(r.Dev) {
		fs.add(path, "use 1 to 15 of a-z, 0-9 and hyphen after the colon", "%q is not an interface name", r.Dev)
	} else if r.Dev == "lo" {
		fs.add(path, "choose another name", "lo is the loopback")
	}
	if other, used := devs[r]; used {
		fs.add(path, "give each cable its own", "interface %s is used by %s too", r, other)
	}
	devs[r] = path
}

// validateLinks looks at the links.
func (t *Topology) validateLinks(fs *faults, devs map[Ref]string) {
	addrs := map[netip.Addr]string{}
	pairs := map[[2]string]bool{}
	for i := range t.Links {
		l, at := &t.Links[i], fmt.Sprintf("links[%d]", i)
		fs.between(at+".mtu", l.MTU, 1280, 65535)
		if len(l.Ends) != 2 {
			fs.add(at+".ends", "a link has two", "%d ends", len(l.Ends))
			continue
		}
		engines := 0
		for j, e := range l.Ends {
			path := fmt.Sprintf("%s.ends[%d]", at, j)
			fs.device(path+".at", e.At, devs)
			n, ok := t.Node(e.At.Node)
			switch {
			case !ok:
				fs.add(path+".at", "", "no node %q", e.At.Node)
			case n.Kind == Host:
				fs.add(path+".at", "attach it by its `host` section", "%s is a host", n.Name)
			case n.Kind.Engine():
				engines++
			}
			fs.addresses(path+".addresses", e.Addresses, l.MTU)
			for _, p := range e.Addresses {
				if other, dup := addrs[p.Addr()]; dup {
					fs.add(path+".addresses", "give each its own", "%s is the address of %s too", p.Addr(), other)
				}
				addrs[p.Addr()] = e.At.String()
			}
		}
		pair := [2]string{min(l.Ends[0].At.Node, l.Ends[1].At.Node), max(l.Ends[0].At.Node, l.Ends[1].At.Node)}
		if pair[0] == pair[1] {
			fs.add(at, "", "both ends are %s", pair[0])
		} else if engines == 2 && pairs[pair] {
			fs.add(at, "two engines are WireGuard peers once", "a second link between %s and %s", pair[0], pair[1])
		}
		pairs[pair] = true
	}
}

// validateEngines builds every engine's configuration with stand-in keys, so
// that what an engine would refuse is refused here, under the node's path.
func (t *Topology) validateEngines(fs *faults) {
	p := standIn{}
	for i := range t.Nodes {
		n, at := &t.Nodes[i], fmt.Sprintf("nodes[%d]", i)
		if !n.Kind.Engine() {
			continue
		}
		_, err := t.nodeConfig(n, p)
		var list config.Faults
		switch {
		case err == nil:
		case errors.As(err, &list):
			for _, f := range list {
				fs.add(at, f.Fix, "engine configuration of %s: %s: %s", n.Name, f.Path, f.Problem)
			}
		default:
			fs.add(at, "", "engine configuration of %s: %v", n.Name, err)
		}
	}
}
