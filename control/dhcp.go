package control

import (
	"fmt"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/fabric"
	"github.com/ztos/ztos/l3"
	"github.com/ztos/ztos/l3/dhcp"
)

// relay returns the DHCP relay of bd, which is routed in v, nil without one. What
// old counted and let pass is kept.
func (n *Node) relay(cfg *config.Node, bd *config.BridgeDomain, v *l3.VRF, old *domainState) (*fabric.DHCPRelay, error) {
	c := bd.Gateway.DHCPRelay
	if c == nil {
		return nil, nil
	}
	var was *fabric.DHCPRelay
	if old != nil && old.domain.IRB != nil {
		was = old.domain.IRB.Relay
	}
	state := dhcp.NewState()
	if was != nil {
		state = was.State
	}
	rc := dhcp.Config{
		VNI: bd.VNI, Servers: c.Servers, Circuits: map[table.ACID]string{},
		Gateway4: bd.Gateway.First(true), Gateway6: bd.Gateway.First(false), Source4: v.Loopback4, Source6: v.Loopback6,
		Override: c.ServerIDOverride, Trusted: c.Trusted,
	}
	if c.RemoteID == config.RemoteNode {
		rc.RemoteID = cfg.Self.Name
	}
	var circuits []table.ACID
	for _, a := range bd.Attach {
		id := handle(n.ids.acs, acKey{bd.VNI, a.Port, a.VLAN, a.InnerVLAN, a.All})
		circuits = append(circuits, id)
		if c.CircuitID == config.CircuitPort {
			rc.Circuits[id] = circuitName(a)
		}
	}
	r, err := dhcp.New(rc, state)
	if err != nil {
		return nil, err
	}
	d := fabric.NewDHCPRelay(r, circuits)
	d.Keep(was)
	return d, nil
}

// circuitName names a circuit for DHCP servers.
func circuitName(a config.Attach) string {
	switch {
	case a.InnerVLAN != 0:
		return fmt.Sprintf("%s.%d.%d", a.Port, a.VLAN, a.InnerVLAN)
	case a.VLAN != 0:
		return fmt.Sprintf("%s.%d", a.Port, a.VLAN)
	}
	return a.Port
}

// DHCP returns what the DHCP relays did, by VRF, then VNI.
func (n *Node) DHCP() status.DHCP {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	var out status.DHCP
	for _, st := range n.sortedVRFs() {
		v := status.DHCPVRF{Name: st.cfg.Name, Loopbacks: st.cfg.Loopbacks, Faults: dhcpFaults(st.vrf.Strays)}
		for _, d := range n.sortedDomains() {
			if d.cfg.VRF == st.cfg.Name && d.domain.IRB != nil && d.domain.IRB.Relay != nil {
				v.Relays = append(v.Relays, relayStatus(d, now))
			}
		}
		if len(v.Relays) > 0 {
			out.VRFs = append(out.VRFs, v)
		}
	}
	return out
}

func relayStatus(d *domainState, now int64) status.DHCPRelay {
	r := d.domain.IRB.Relay
	c := &r.Counts
	s := status.DHCPRelay{
		VNI: d.cfg.VNI, Name: d.cfg.Name, Servers: r.Servers,
		Requests4: c.Requests4.Load(), Replies4: c.Replies4.Load(), Requests6: c.Requests6.Load(), Replies6: c.Replies6.Load(),
		Faults: dhcpFaults(c),
	}
	for _, q := range r.Recent() {
		x := status.DHCPRequest{
			Age: config.Duration(max(time.Duration(now-q.At).Truncate(time.Millisecond), time.Millisecond)),
			MAC: q.MAC, Type: q.Type, V6: q.V6, Circuit: q.Circuit,
		}
		if q.Fault != dhcp.None {
			x.Fault = q.Fault.String()
		}
		s.Recent = append(s.Recent, x)
	}
	return s
}

// dhcpFaults returns all counts of messages that went no further.
func dhcpFaults(c *dhcp.Counts) (out []status.NamedCount) {
	for f := dhcp.None + 1; int(f) < dhcp.NumFaults; f++ {
		out = append(out, status.NamedCount{Name: f.String(), Count: c.Faults[f].Load()})
	}
	return out
}
