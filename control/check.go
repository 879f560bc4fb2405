package control

import (
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/l2/mtu"
)

// Refused is a configuration that can't be applied: all its faults. Nothing was
// changed.
type Refused struct{ Faults config.Faults }

// Error returns one line per fault.
func (r Refused) Error() string { return r.Faults.Error() }

// refused wraps the faults in err, which may be config.Faults or one error.
func refused(err error) error {
	if fs, ok := err.(config.Faults); ok {
		return Refused{fs}
	}
	return Refused{config.Faults{{Problem: err.Error()}}}
}

// Check reads the configuration at path and the key files that it names, and
// computes its MTUs. It returns a report for people, or Refused with every fault.
// Nothing is opened or changed.
func Check(path string) (report string, err error) {
	n, keys, err := load(path)
	if err != nil {
		return "", err
	}
	keys.wipe()
	reach := n.Reach()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: node %s is valid\n", path, n.Self.Name)
	for i := range n.BridgeDomains {
		d := &n.BridgeDomains[i]
		fmt.Fprintf(&b, "  VNI %d (%s): tenant MTU %d\n", d.VNI, d.Name, tenantMTU(n, d, reach))
	}
	return b.String(), nil
}

// load reads and checks the document and its keys.
func load(path string) (*config.Node, *keyring, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, refused(err)
	}
	n, keys, err := parse(data, path)
	if err != nil {
		return nil, nil, err
	}
	if faults := sharedKeys(n, keys); len(faults) > 0 {
		keys.wipe()
		return nil, nil, Refused{inFile(faults, path)}
	}
	return n, keys, nil
}

// inFile says of faults which file they are in.
func inFile(faults config.Faults, name string) config.Faults {
	for i := range faults {
		faults[i].File = name
	}
	return faults
}

func parse(data []byte, name string) (*config.Node, *keyring, error) {
	n, err := config.Parse(data, name)
	if err != nil {
		return nil, nil, refused(err)
	}
	faults := sizes(n)
	_, underived := evpnConfig(n)
	faults = append(faults, underived...)
	keys, bad := loadKeys(n)
	faults = append(faults, bad...)
	if len(faults) > 0 {
		keys.wipe()
		return nil, nil, Refused{inFile(faults, name)}
	}
	return n, keys, nil
}

// minTenantMTU is the least tenant MTU worth having: every IPv4 host must take
// 576 bytes (RFC 791 section 3.2).
const minTenantMTU = 576

// sizes refuses what the underlay's MTU has no room for.
func sizes(n *config.Node) (faults config.Faults) {
	reach := n.Reach()
	for i := range n.BridgeDomains {
		d := &n.BridgeDomains[i]
		path := fmt.Sprintf("bridge-domains[%d].mtu", i)
		most := mtu.Tenant(stack(n, d, reach))
		switch {
		case most < minTenantMTU:
			faults = append(faults, config.Fault{
				Path:    path,
				Problem: fmt.Sprintf("an underlay MTU of %d leaves a tenant %d bytes", n.Underlay.MTU, most),
				Fix:     fmt.Sprintf("raise underlay.mtu to %d or more", mtu.Underlay(minTenantMTU, stack(n, d, reach))),
			})
		case d.MTU > most:
			faults = append(faults, config.Fault{
				Path:    path,
				Problem: fmt.Sprintf("%d is more than the %d that an underlay MTU of %d leaves", d.MTU, most, n.Underlay.MTU),
				Fix:     fmt.Sprintf("lower it, or raise underlay.mtu to %d", mtu.Underlay(d.MTU, stack(n, d, reach))),
			})
		}
	}
	return faults
}

// tenantMTU returns the largest tenant IP packet of d, bytes.
func tenantMTU(n *config.Node, d *config.BridgeDomain, reach *config.Reach) int {
	most := mtu.Tenant(stack(n, d, reach))
	if d.MTU != 0 {
		return min(d.MTU, most)
	}
	return most
}

// stack returns what is around a tenant frame of d on the way to the VTEP that
// takes the most. reach is of n's peers.
func stack(n *config.Node, d *config.BridgeDomain, reach *config.Reach) mtu.Stack {
	s := mtu.Stack{UnderlayMTU: n.Underlay.MTU}
	for _, v := range d.Remotes() {
		wg, u6 := carrierOf(n, reach, v)
		s.WireGuard = s.WireGuard || wg
		s.UnderlayIPv6 = s.UnderlayIPv6 || u6
		s.VTEPIPv6 = s.VTEPIPv6 || v.Is6()
	}
	if d.MACsec != nil {
		s.MACsec = true
		s.Hidden = d.MACsec.Mode == config.ModeHidden
	}
	for i := range d.Attach {
		if d.Attach[i].All {
			s.Tags = 2 // the tenant's own tags travel inside
		}
	}
	return s
}

// carrierOf says how packets for VTEP v travel: inside WireGuard, and whether
// the underlay may be IPv6.
func carrierOf(n *config.Node, reach *config.Reach, v netip.Addr) (wireguard, underlay6 bool) {
	for p := range reach.Peers(v) {
		if p.Carrier == config.CarrierPlain {
			continue
		}
		wireguard = true
		underlay6 = underlay6 || endpoint6(n, p)
	}
	return wireguard, underlay6
}

// endpoint6 reports whether p may be spoken to over IPv6. A peer whose endpoint
// is not configured may come from either family that the node listens on.
func endpoint6(n *config.Node, p *config.Peer) bool {
	if p.Endpoint.IsValid() {
		return p.Endpoint.Addr().Is6() && !p.Endpoint.Addr().Is4In6()
	}
	return n.Underlay.Listen.Addr().Is6()
}
