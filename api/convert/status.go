package convert

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
)

// Node returns n as a message.
func Node(n *status.Node) *pb.GetStatusResponse {
	return &pb.GetStatusResponse{
		Name:        n.Name,
		Roles:       each(n.Roles, config.Role.String),
		Address:     addrText(n.Address),
		Address6:    addrText(n.Address6),
		Version:     n.Version,
		UptimeNs:    int64(n.Uptime),
		Generation:  n.Generation,
		ConfigAgeNs: int64(n.ConfigAge),
		ConfigFile:  n.ConfigFile,
		Gso:         n.GSO,
		Gro:         n.GRO,
		Devices: each(n.Devices, func(d status.Device) *pb.Device {
			return &pb.Device{Name: d.Name, Driver: d.Driver, Note: d.Note, Detail: d.Detail, Hops: int32(d.Hops)}
		}),
		Workers: each(n.Workers, func(w status.Worker) *pb.Worker {
			return &pb.Worker{Name: w.Name, Faults: w.Faults}
		}),
	}
}

// FromNode is the reverse of Node.
func FromNode(m *pb.GetStatusResponse) (status.Node, error) {
	var r reader
	n := status.Node{
		Name:       m.GetName(),
		Address:    r.addr("address", m.GetAddress()),
		Address6:   r.addr("address6", m.GetAddress6()),
		Version:    m.GetVersion(),
		Uptime:     config.Duration(m.GetUptimeNs()),
		Generation: m.GetGeneration(),
		ConfigAge:  config.Duration(m.GetConfigAgeNs()),
		ConfigFile: m.GetConfigFile(),
		GSO:        m.GetGso(),
		GRO:        m.GetGro(),
		Devices: each(m.GetDevices(), func(d *pb.Device) status.Device {
			return status.Device{Name: d.GetName(), Driver: d.GetDriver(), Note: d.GetNote(), Detail: d.GetDetail(), Hops: int(d.GetHops())}
		}),
		Workers: each(m.GetWorkers(), func(w *pb.Worker) status.Worker {
			return status.Worker{Name: w.GetName(), Faults: w.GetFaults()}
		}),
	}
	for i, s := range m.GetRoles() {
		var role config.Role
		r.text(fmt.Sprintf("roles[%d]", i), s, &role)
		n.Roles = append(n.Roles, role)
	}
	return n, r.err()
}

// Port returns p as a message.
func Port(p status.Port) *pb.Port {
	return &pb.Port{
		Name: p.Name, Kind: p.Kind.String(), Device: p.Device,
		Present: p.Present, Up: p.Up, Mtu: i32(p.MTU), Mac: macText(p.MAC),
		Owned: p.Owned, Queues: i32(p.Queues), Detail: p.Detail, Driver: p.Driver, Note: p.Note, Macs: int64(p.MACs),
		Circuits: each(p.Circuits, func(c status.Circuit) *pb.Circuit {
			return &pb.Circuit{Vni: uint32(c.VNI), Vlan: uint32(c.VLAN), InnerVlan: uint32(c.InnerVLAN), All: c.All}
		}),
		RxFrames: p.RxFrames, RxBytes: p.RxBytes, TxFrames: p.TxFrames, TxBytes: p.TxBytes,
		TxRefused: p.TxRefused, RxDropped: p.RxDropped,
	}
}

// FromPort is the reverse of Port.
func FromPort(m *pb.Port) (status.Port, error) {
	var r reader
	p := status.Port{
		Name: m.GetName(), Device: m.GetDevice(),
		Present: m.GetPresent(), Up: m.GetUp(), MTU: int(m.GetMtu()), MAC: r.mac("mac", m.GetMac()),
		Owned: m.GetOwned(), Queues: int(m.GetQueues()), Detail: m.GetDetail(), Driver: m.GetDriver(), Note: m.GetNote(), MACs: int(m.GetMacs()),
		Circuits: each(m.GetCircuits(), func(c *pb.Circuit) status.Circuit {
			return status.Circuit{
				VNI:       r.vni("circuits.vni", c.GetVni(), false),
				VLAN:      uint16(r.small("circuits.vlan", c.GetVlan(), 4095)),
				InnerVLAN: uint16(r.small("circuits.inner_vlan", c.GetInnerVlan(), 4095)),
				All:       c.GetAll(),
			}
		}),
		RxFrames: m.GetRxFrames(), RxBytes: m.GetRxBytes(), TxFrames: m.GetTxFrames(), TxBytes: m.GetTxBytes(),
		TxRefused: m.GetTxRefused(), RxDropped: m.GetRxDropped(),
	}
	r.text("kind", m.GetKind(), &p.Kind)
	return p, r.err()
}

// MAC returns m as a message.
func MAC(m status.MAC) *pb.MACEntry {
	return &pb.MACEntry{
		Vni: uint32(m.VNI), Mac: macText(m.MAC), Port: m.Port, Vlan: uint32(m.VLAN),
		InnerVlan: uint32(m.InnerVLAN), Vtep: addrText(m.VTEP), Static: m.Static, AgeNs: int64(m.Age),
		Evpn: m.EVPN, Quarantined: m.Quarantined, Segment: m.Segment,
	}
}

// FromMAC is the reverse of MAC.
func FromMAC(m *pb.MACEntry) (status.MAC, error) {
	var r reader
	e := status.MAC{
		VNI: r.vni("vni", m.GetVni(), false), MAC: r.mac("mac", m.GetMac()), Port: m.GetPort(),
		VLAN:      uint16(r.small("vlan", m.GetVlan(), 4095)),
		InnerVLAN: uint16(r.small("inner_vlan", m.GetInnerVlan(), 4095)),
		VTEP:      r.addr("vtep", m.GetVtep()), Static: m.GetStatic(), Age: config.Duration(m.GetAgeNs()),
		EVPN: m.GetEvpn(), Quarantined: m.GetQuarantined(), Segment: m.GetSegment(),
	}
	return e, r.err()
}

// Peer returns p as a message.
func Peer(p status.Peer) *pb.Peer {
	m := &pb.Peer{
		Name: p.Name, Carrier: p.Carrier.String(), PublicKey: p.PublicKey.String(),
		Endpoint: apText(p.Endpoint), Liveness: pb.Peer_Liveness(p.Liveness) + pb.Peer_LIVENESS_OFF,
		RxPackets: p.RxPackets, RxBytes: p.RxBytes, TxPackets: p.TxPackets, TxBytes: p.TxBytes, Transit: p.Transit,
	}
	for _, a := range p.AllowedIPs {
		m.AllowedIps = append(m.AllowedIps, a.String())
	}
	if p.HasSession {
		m.SessionAgeNs = new(int64(p.SessionAge))
	}
	if p.HasHandshake {
		m.HandshakeAgeNs = new(int64(p.HandshakeAge))
	}
	return m
}

// FromPeer is the reverse of Peer.
func FromPeer(m *pb.Peer) (status.Peer, error) {
	var r reader
	p := status.Peer{
		Name: m.GetName(), Endpoint: r.addrPort("endpoint", m.GetEndpoint()),
		AllowedIPs: r.prefixes("allowed_ips", m.GetAllowedIps()),
		HasSession: m.SessionAgeNs != nil, SessionAge: config.Duration(m.GetSessionAgeNs()),
		HasHandshake: m.HandshakeAgeNs != nil, HandshakeAge: config.Duration(m.GetHandshakeAgeNs()),
		RxPackets: m.GetRxPackets(), RxBytes: m.GetRxBytes(), TxPackets: m.GetTxPackets(), TxBytes: m.GetTxBytes(),
		Transit: m.GetTransit(),
	}
	switch m.GetLiveness() {
	case pb.Peer_LIVENESS_UP:
		p.Liveness = status.LivenessUp
	case pb.Peer_LIVENESS_DOWN:
		p.Liveness = status.LivenessDown
	}
	r.text("carrier", m.GetCarrier(), &p.Carrier)
	r.text("public_key", m.GetPublicKey(), &p.PublicKey)
	return p, r.err()
}

// Counts returns cs as messages.
func Counts(cs []status.Count) []*pb.Count {
	return each(cs, func(c status.Count) *pb.Count { return &pb.Count{Name: c.Name, Value: c.Value} })
}

// FromCounts is the reverse of Counts.
func FromCounts(ms []*pb.Count) []status.Count {
	return each(ms, func(c *pb.Count) status.Count { return status.Count{Name: c.GetName(), Value: c.GetValue()} })
}

// Group returns g as a message.
func Group(g status.CounterGroup) *pb.CounterGroup {
	return &pb.CounterGroup{Kind: g.Kind, Name: g.Name, Counts: Counts(g.Counts)}
}

// FromGroup is the reverse of Group.
func FromGroup(m *pb.CounterGroup) status.CounterGroup {
	return status.CounterGroup{Kind: m.GetKind(), Name: m.GetName(), Counts: FromCounts(m.GetCounts())}
}

// MTU returns t as a message.
func MTU(t status.MTU) *pb.MTU {
	return &pb.MTU{
		Vni: uint32(t.VNI), Name: t.Name, UnderlayMtu: i32(t.UnderlayMTU), Cap: i32(t.Cap), TenantMtu: i32(t.TenantMTU),
		Layers: each(t.Layers, func(l status.Layer) *pb.Layer { return &pb.Layer{Name: l.Name, Bytes: i32(l.Bytes)} }),
	}
}

// FromMTU is the reverse of MTU.
func FromMTU(m *pb.MTU) status.MTU {
	return status.MTU{
		VNI: table.VNI(m.GetVni()), Name: m.GetName(), UnderlayMTU: int(m.GetUnderlayMtu()), Cap: int(m.GetCap()), TenantMTU: int(m.GetTenantMtu()),
		Layers: each(m.GetLayers(), func(l *pb.Layer) status.Layer { return status.Layer{Name: l.GetName(), Bytes: int(l.GetBytes())} }),
	}
}

// Drops returns ds summed by reason, in the order of the reasons; with all, also
// the reasons that did not occur.
func Drops(ds []status.Drop, all bool) []*pb.Drop {
	byReason := map[counter.Reason]*pb.Drop{}
	get := func(r counter.Reason) *pb.Drop {
		d := byReason[r]
		if d == nil {
			d = &pb.Drop{Reason: r.String(), Help: r.Help()}
			byReason[r] = d
		}
		return d
	}
	for _, d := range ds {
		if d.Count == 0 || d.Reason == counter.None || int(d.Reason) >= counter.NumReasons {
			continue
		}
		m := get(d.Reason)
		m.Count += d.Count
		m.Workers = append(m.Workers, &pb.Count{Name: d.Worker, Value: d.Count})
	}
	var out []*pb.Drop
	for r := counter.None + 1; int(r) < counter.NumReasons; r++ {
		if byReason[r] == nil && !all {
			continue
		}
		m := get(r)
		slices.SortFunc(m.Workers, func(a, b *pb.Count) int { return cmp.Compare(a.Name, b.Name) })
		out = append(out, m)
	}
	return out
}

// FromDrops is the reverse of Drops: one entry per reason and worker, and one
// with count 0 for a reason that did not occur.
func FromDrops(ms []*pb.Drop) ([]status.Drop, error) {
	var r reader
	var out []status.Drop
	for i, m := range ms {
		reason := r.reason(fmt.Sprintf("drops[%d].reason", i), m.GetReason())
		if len(m.GetWorkers()) == 0 {
			out = append(out, status.Drop{Reason: reason, Count: m.GetCount()})
		}
		for _, w := range m.GetWorkers() {
			out = append(out, status.Drop{Worker: w.GetName(), Reason: reason, Count: w.GetValue()})
		}
	}
	return out, r.err()
}

// unix returns the time of ns since 1970, the zero time for 0.
func unix(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// unixNanos is the reverse of unix.
func unixNanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
