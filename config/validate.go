package config

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// nameRE is what names of nodes, peers, ports, bridge domains and VRFs look like.
var nameRE = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

// checker collects faults below one path.
type checker struct {
	out  *Faults
	path string
}

// at returns a checker for a key below c, printf-like. It is called some ten
// times for each VNI whether or not there is a fault, so the usual formats, no
// argument or one index, are put together without fmt.
func (c checker) at(format string, args ...any) checker {
	dot := ""
	if c.path != "" && !strings.HasPrefix(format, "[") {
		dot = "."
	}
	if len(args) == 0 {
		return checker{c.out, c.path + dot + format}
	}
	if i, ok := args[0].(int); ok && len(args) == 1 {
		if before, after, ok := strings.Cut(format, "%d"); ok {
			return checker{c.out, c.path + dot + before + strconv.Itoa(i) + after}
		}
	}
	return checker{c.out, c.path + dot + fmt.Sprintf(format, args...)}
}

// fault records one at c's path.
func (c checker) fault(fix, problem string, args ...any) {
	c.out.add(c.path, fmt.Sprintf(problem, args...), fix)
}

// Validate returns all faults of n, which Defaults must have seen, in the order
// of the document's sections. Parse calls it.
func (n *Node) Validate() Faults {
	var out Faults
	n.check(&out)
	n.cross(&out)
	return out
}

// check looks at each section for itself.
func (n *Node) check(out *Faults) {
	c := checker{out: out}
	n.Self.check(c.at("node"))
	n.API.check(c.at("api"))
	n.Underlay.check(c.at("underlay"))
	if n.Host.Mode == HostTUN {
		checkDevice(c.at("host.device"), n.Host.Device)
	}
	if f := n.WireGuard.PrivateKeyFile; f != "" {
		checkFile(c.at("wireguard.private-key-file"), f)
	}
	for i := range n.Peers {
		n.Peers[i].check(c.at("peers[%d]", i))
	}
	for i := range n.Ports {
		n.Ports[i].check(c.at("ports[%d]", i))
	}
	for i := range n.EthernetSegments {
		n.EthernetSegments[i].check(c.at("ethernet-segments[%d]", i))
	}
	for i := range n.BridgeDomains {
		n.BridgeDomains[i].check(c.at("bridge-domains[%d]", i))
	}
	for i := range n.VRFs {
		n.VRFs[i].check(c.at("vrfs[%d]", i))
	}
	for i := range n.Contracts {
		n.Contracts[i].check(c.at("contracts[%d]", i))
	}
	if n.BGP != nil {
		n.BGP.check(c.at("bgp"))
	}
	if n.BFD != nil {
		n.BFD.check(c.at("bfd"))
	}
}

func (s *Self) check(c checker) {
	checkName(c.at("name"), s.Name)
	if len(s.Roles) == 0 {
		c.at("roles").fault("say [leaf], [spine] or [leaf, spine]", "no role")
	}
	for i, r := range s.Roles {
		for _, o := range s.Roles[:i] {
			if r == o {
				c.at("roles[%d]", i).fault("keep one", "role %q twice", r)
			}
		}
	}
	checkVTEP(c.at("address"), s.Address)
	if s.Address6.IsValid() {
		checkVTEP(c.at("address6"), s.Address6)
		if !s.Address6.Is6() {
			c.at("address6").fault("put the IPv4 address into `address`", "%s is not IPv6", s.Address6)
		}
		if s.Address.Is6() {
			c.at("address6").fault("remove it, or put an IPv4 address into `address`", "`address` is IPv6 already")
		}
	}
	checkFile(c.at("state-dir"), s.StateDir)
}

func (a *API) check(c checker) {
	checkFile(c.at("socket"), a.Socket)
	// sockaddr_un holds 108 bytes with the final 0.
	if len(a.Socket) > 107 {
		c.at("socket").fault("use a shorter path", "a unix socket's path holds at most 107 bytes, not %d", len(a.Socket))
	}
	if m := a.Metrics; m.IsValid() {
		if !m.Addr().IsLoopback() {
			c.at("metrics").fault("use 127.0.0.1 or [::1]: metrics and pprof have no access control", "%s is not a loopback address", m.Addr())
		}
		checkPort(c.at("metrics"), m)
	}
}

func (u *Underlay) check(c checker) {
	if u.Listen.Addr().IsMulticast() {
		c.at("listen").fault("use a local address or [::]", "%s is multicast", u.Listen.Addr())
	}
	checkPort(c.at("listen"), u.Listen)
	checkRange(c.at("mtu"), u.MTU, 1280, 65535)
	checkRange(c.at("queues"), u.Queues, 0, 64)
	if u.SourcePorts != nil {
		checkRange(c.at("source-ports"), *u.SourcePorts, 0, 16)
	}
	if len(u.AFXDP) > 8 {
		c.at("afxdp").fault("use at most 8", "%d devices", len(u.AFXDP))
	}
	for i, dev := range u.AFXDP {
		at := c.at("afxdp[%d]", i)
		checkDevice(at, dev)
		if dev != "" && slices.Contains(u.AFXDP[:i], dev) {
			at.fault("keep one", "device %q twice", dev)
		}
	}
	if u.VXLANListen.IsValid() {
		checkUnicast(c.at("vxlan-listen"), u.VXLANListen)
	}
}

func (p *Peer) check(c checker) {
	checkName(c.at("name"), p.Name)
	if p.Carrier == CarrierPlain {
		p.checkPlain(c)
	} else {
		p.checkWireGuard(c)
	}
	if p.Endpoint.IsValid() {
		checkUnicast(c.at("endpoint"), p.Endpoint.Addr())
	}
	seen := make(map[netip.Prefix]bool, len(p.AllowedIPs))
	for i, pfx := range p.AllowedIPs {
		at := c.at("allowed-ips[%d]", i)
		checkPrefix(at, pfx)
		if seen[pfx] {
			at.fault("keep one", "%s twice", pfx)
		}
		seen[pfx] = true
		if pfx.IsValid() && pfx.Addr().Is6() && pfx.Addr().IsLinkLocalUnicast() {
			at.fault("remove it: for `bgp` a neighbor with `peer` is enough", "%s is link-local: such an address follows from the peer's key", pfx)
		}
	}
	checkAddrs(c.at("vteps"), p.VTEPs)
	for i, v := range p.VTEPs {
		if v.IsValid() && !p.Reaches(v) {
			c.at("vteps[%d]", i).fault("add it to the peer's allowed-ips", "%s is outside the peer's allowed-ips", v)
		}
	}
}

func (p *Peer) checkPlain(c checker) {
	const fix = "remove it, or say carrier: wireguard"
	if !p.Endpoint.IsValid() {
		c.at("endpoint").fault("give the peer's VTEP address", "a plain peer needs an endpoint")
	}
	if !p.PublicKey.IsZero() {
		c.at("public-key").fault(fix, "a plain peer has no key")
	}
	if p.PresharedKeyFile != "" {
		c.at("preshared-key-file").fault(fix, "a plain peer has no key")
	}
	if len(p.PinnedEndpoints) > 0 {
		c.at("pinned-endpoints").fault(fix, "a plain peer does not roam")
	}
	if p.Keepalive != 0 {
		c.at("keepalive").fault(fix, "a plain peer has no keepalive")
	}
	if p.Liveness != nil {
		c.at("liveness").fault(fix, "a plain peer has no liveness check")
	}
}

func (p *Peer) checkWireGuard(c checker) {
	if p.PublicKey.IsZero() {
		c.at("public-key").fault("give what `wg pubkey` prints for the peer's private key", "a wireguard peer needs a public key")
	}
	if p.PresharedKeyFile != "" {
		checkFile(c.at("preshared-key-file"), p.PresharedKeyFile)
	}
	if p.Endpoint.IsValid() {
		checkPort(c.at("endpoint"), p.Endpoint)
	}
	pinned := !p.Endpoint.IsValid() || len(p.PinnedEndpoints) == 0
	for i, pfx := range p.PinnedEndpoints {
		checkPrefix(c.at("pinned-endpoints[%d]", i), pfx)
		pinned = pinned || pfx.Contains(p.Endpoint.Addr())
	}
	if !pinned {
		c.at("pinned-endpoints").fault("add a prefix that holds it", "the endpoint %s is not among them", p.Endpoint.Addr())
	}
	if len(p.AllowedIPs) == 0 {
		c.at("allowed-ips").fault("list the outer addresses behind this peer", "none: every packet from this peer would be dropped")
	}
	if k := p.Keepalive.D(); k != 0 {
		checkSpan(c.at("keepalive"), p.Keepalive, "1s", "65535s", ", or 0 for off")
	}
	if l := p.Liveness; l != nil {
		checkSpan(c.at("liveness.interval"), l.Interval, "10ms", "60s", "")
		checkRange(c.at("liveness.multiplier"), l.Multiplier, 2, 255)
	}
}

func (p *Port) check(c checker) {
	checkName(c.at("name"), p.Name)
	if p.Kind == 0 {
		c.at("kind").fault("say afpacket, tap, afxdp or auto", "no kind")
	}
	if p.Fallback != 0 && p.Kind != 0 && p.Kind != AFXDP {
		c.at("fallback").fault("remove it, or say kind: afxdp", "kind %s has no fallback to choose", p.Kind)
	}
	checkDevice(c.at("device"), p.Device)
	checkRange(c.at("queues"), p.Queues, 0, 64)
}

// checkName wants nameRE.
func checkName(c checker, s string) {
	const fix = "use 1 to 32 of a-z, 0-9 and hyphen"
	if s == "" {
		c.fault(fix, "no name")
	} else if !nameRE.MatchString(s) {
		c.fault(fix, "%q is not a name", s)
	}
}

// checkFile wants a clean absolute path.
func checkFile(c checker, path string) {
	switch {
	case path == "":
		c.fault("give an absolute path", "no path")
	case !filepath.IsAbs(path):
		c.fault("give an absolute path", "%q is relative", path)
	case strings.ContainsRune(path, 0):
		c.fault("give an absolute path", "%q holds a NUL", path)
	}
}

// checkDevice wants a name that Linux takes for a netdev: 1 to 15 bytes.
func checkDevice(c checker, s string) {
	switch {
	case s == "":
		c.fault("name the netdev", "no device")
	case len(s) > 15 || s == "." || s == ".." || strings.ContainsAny(s, "/: \t\n\r\v\f\x00"):
		c.fault("use 1 to 15 characters, none of them a slash, colon or space", "%q is not a device name", s)
	}
}

// checkRange wants lo <= v <= hi.
func checkRange(c checker, v, lo, hi int) {
	if v < lo || v > hi {
		c.fault(fmt.Sprintf("use %d to %d", lo, hi), "%d is out of range", v)
	}
}

// checkSpan wants lo <= d <= hi; more is what else the fix may say.
func checkSpan(c checker, d Duration, lo, hi, more string) {
	var l, h Duration
	if l.UnmarshalText([]byte(lo)) != nil || h.UnmarshalText([]byte(hi)) != nil {
		panic("config: bad bounds in code")
	}
	if d < l || d > h {
		c.fault(fmt.Sprintf("use %s to %s%s", lo, hi, more), "%s is out of range", d)
	}
}

// checkPort wants a port in a.
func checkPort(c checker, a netip.AddrPort) {
	if a.Port() == 0 {
		c.fault("write ADDRESS:PORT with a port from 1 to 65535", "no port")
	}
}

// checkUnicast wants an address that a host can have.
func checkUnicast(c checker, a netip.Addr) {
	switch {
	case !a.IsValid():
		c.fault("give an IPv4 or IPv6 address", "no address")
	case a.IsUnspecified(), a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		c.fault("give the address of one host", "%s is not a unicast address", a)
	}
}

// checkVTEP wants an address that can be reached over the fabric.
func checkVTEP(c checker, a netip.Addr) {
	if a.IsLoopback() || a.IsLinkLocalUnicast() {
		c.fault("give an address that other nodes can route to", "%s is loopback or link-local", a)
		return
	}
	checkUnicast(c, a)
}

// checkAddrs wants VTEPs, each once.
func checkAddrs(c checker, as []netip.Addr) {
	seen := map[netip.Addr]bool{}
	for i, a := range as {
		at := c.at("[%d]", i)
		checkVTEP(at, a)
		if a.IsValid() && seen[a] {
			at.fault("keep one", "%s twice", a)
		}
		seen[a] = true
	}
}

// checkPrefix wants a prefix without host bits.
func checkPrefix(c checker, p netip.Prefix) {
	if !p.IsValid() {
		c.fault("write ADDRESS/BITS", "no prefix")
	} else if p != p.Masked() {
		c.fault(fmt.Sprintf("write %s, or /%d for the one address", p.Masked(), p.Addr().BitLen()), "%s has host bits", p)
	}
}
