package metrics

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ztos/ztos/api/server"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/counter"
)

// maxThings bounds the ports, peers, VNIs, channels and counter groups that have
// series, each kind for itself.
const maxThings = 4096

// desc returns the description of a metric with its labels.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("ztos_"+name, help, labels, nil)
}

var (
	nodeInfo   = desc("node_info", "1, with who the node is.", "name", "version")
	uptime     = desc("node_uptime_seconds", "Seconds since the engine started.")
	generation = desc("node_config_generation", "Generation of the configuration in force.")
	configAge  = desc("node_config_age_seconds", "Seconds since the configuration in force was applied.")
	omitted    = desc("node_omitted_things", "Things without series: too many of their kind, or a name that is taken.")
	workers    = desc("engine_workers", "Forwarding threads.")
	faults     = desc("engine_worker_faults_total", "Bugs contained in a worker; the burst in hand was given up.", "worker")

	dropped = desc("engine_dropped_frames_total", "Frames dropped, by reason; see docs/counters.md.", "reason")

	deviceAFXDP = desc("engine_underlay_device_afxdp", "Of an underlay device that is to go by AF_XDP: 1 when it does, 0 when UDP sockets stand in.", "device")
	deviceHops  = desc("engine_underlay_device_next_hops", "Destinations to which frames go by AF_XDP.", "device")

	portUp      = desc("engine_port_up", "1 when the device is there and up.", "port", "device")
	portMTU     = desc("engine_port_mtu_bytes", "MTU of the device, bytes of Ethernet payload.", "port")
	portMACs    = desc("engine_port_learned_macs", "MACs learned on the port.", "port")
	portFrames  = desc("engine_port_frames_total", "Tenant frames; a super-frame counts as its segments.", "port", "direction")
	portBytes   = desc("engine_port_bytes_total", "Bytes of tenant frames.", "port", "direction")
	portRefused = desc("engine_port_refused_frames_total", "Frames that the device did not take.", "port")
	portDropped = desc("engine_port_kernel_dropped_frames_total", "Frames that the driver or the kernel dropped before any worker.", "port")

	peerSession   = desc("wireguard_peer_session", "1 when packets can be sealed for the peer.", "peer")
	peerLiveness  = desc("wireguard_peer_up", "Liveness check: 1 up, 0 down; absent when off.", "peer")
	peerAge       = desc("wireguard_peer_session_age_seconds", "Age of the current session's keys.", "peer")
	peerHandshake = desc("wireguard_peer_handshake_age_seconds", "Seconds since the last handshake.", "peer")
	peerPackets   = desc("wireguard_peer_packets_total", "Outer packets, opened or before sealing.", "peer", "direction")
	peerBytes     = desc("wireguard_peer_bytes_total", "Bytes of outer packets.", "peer", "direction")
	peerTransit   = desc("wireguard_peer_transit_packets_total", "Of the packets sent: routed on by the spine.", "peer")

	secyCount  = desc("macsec_secy_total", "Counters of a SecY, by their name in the MIB of IEEE 802.1AE.", "vni", "counter")
	rxscCount  = desc("macsec_rxsc_total", "Counters of a receive channel, by their name in the MIB.", "vni", "sci", "counter")
	secyUsable = desc("macsec_tx_usable", "1 when a transmit SA is in use.", "vni")
	secyAN     = desc("macsec_tx_an", "Number of the transmit SA in use.", "vni")
	nextPN     = desc("macsec_tx_next_packet_number", "Next packet number of a transmit SA.", "vni", "an")
	softLimit  = desc("macsec_tx_soft_limit", "1 when the SA's packet numbers run out: a new SAK is due.", "vni", "an")

	tenantMTU   = desc("mtu_tenant_bytes", "Largest Ethernet payload that fits through a VNI.", "vni")
	underlayMTU = desc("mtu_underlay_bytes", "Underlay MTU behind it.", "vni")

	vrfRoutes     = desc("vrf_routes", "Routes in the FIB of a VRF.", "vrf")
	vrfNeighbours = desc("vrf_neighbours", "Hosts that the gateways of a VRF know or ask for.", "vrf")

	other = desc("engine_count_total", "Further counters: of VNIs, handshakes, workers and sockets.", "kind", "name", "counter")
)

// collector reads a Backend at each scrape. Any goroutine.
type collector struct{ b server.Backend }

// Describe sends nothing: an unchecked collector, because what there is depends
// on the configuration.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// out sends metrics and counts what it leaves out.
type out struct {
	ch   chan<- prometheus.Metric
	left int
	seen map[series]bool
}

// series is a metric with its labels.
type series struct {
	d      *prometheus.Desc
	labels string
}

// send sends one series, once: a second one with the same labels, as of a worker
// that came back under its name, would fail the whole scrape.
func (o *out) send(d *prometheus.Desc, t prometheus.ValueType, v float64, labels []string) {
	k := series{d, strings.Join(labels, "\x00")}
	if o.seen[k] {
		o.left++
		return
	}
	o.seen[k] = true
	m, err := prometheus.NewConstMetric(d, t, v, labels...)
	if err != nil { // a label that is not UTF-8
		o.left++
		return
	}
	o.ch <- m
}

func (o *out) counter(d *prometheus.Desc, v uint64, labels ...string) {
	o.send(d, prometheus.CounterValue, float64(v), labels)
}

func (o *out) gauge(d *prometheus.Desc, v float64, labels ...string) {
	o.send(d, prometheus.GaugeValue, v, labels)
}

func (o *out) flag(d *prometheus.Desc, v bool, labels ...string) {
	n := 0.0
	if v {
		n = 1
	}
	o.gauge(d, n, labels...)
}

// bounded returns the first maxThings of s and counts the rest.
func bounded[T any](o *out, s []T) []T {
	o.left += max(0, len(s)-maxThings)
	return s[:min(len(s), maxThings)]
}

// Collect sends all metrics of the node.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	o := &out{ch: ch, seen: map[series]bool{}}
	c.node(o)
	c.drops(o)
	c.ports(o)
	c.peers(o)
	c.macsec(o)
	c.bfd(o)
	c.dhcp(o)
	c.bgp(o)
	c.evpn(o)
	for _, m := range bounded(o, c.b.MTUs()) {
		vni := strconv.Itoa(int(m.VNI))
		o.gauge(tenantMTU, float64(m.TenantMTU), vni)
		o.gauge(underlayMTU, float64(m.UnderlayMTU), vni)
	}
	for _, v := range bounded(o, c.b.VRFs()) {
		o.gauge(vrfRoutes, float64(v.Routes), v.Name)
		o.gauge(vrfNeighbours, float64(v.Neighbours), v.Name)
	}
	for _, g := range bounded(o, c.b.Counters()) {
		for _, n := range g.Counts {
			o.counter(other, n.Value, g.Kind, g.Name, n.Name)
		}
	}
	o.gauge(omitted, float64(o.left))
}

func (c collector) node(o *out) {
	n := c.b.Status()
	o.gauge(nodeInfo, 1, n.Name, n.Version)
	o.gauge(uptime, n.Uptime.D().Seconds())
	o.gauge(generation, float64(n.Generation))
	o.gauge(configAge, n.ConfigAge.D().Seconds())
	o.gauge(workers, float64(len(n.Workers)))
	sum := map[string]uint64{} // a worker that came back has its name twice
	for _, w := range n.Workers {
		sum[w.Name] += w.Faults
	}
	for _, name := range bounded(o, slices.Sorted(maps.Keys(sum))) {
		o.counter(faults, sum[name], name)
	}
	for _, d := range bounded(o, n.Devices) {
		o.flag(deviceAFXDP, d.Note == "", d.Name)
		o.gauge(deviceHops, float64(d.Hops), d.Name)
	}
}

// drops sends every reason, also those at 0, so that rates begin at the first
// drop and alerts can name reasons that never occurred.
func (c collector) drops(o *out) {
	var sum [counter.NumReasons]uint64
	for _, d := range c.b.Drops() {
		if int(d.Reason) < len(sum) {
			sum[d.Reason] += d.Count
		}
	}
	for r := counter.None + 1; int(r) < counter.NumReasons; r++ {
		o.counter(dropped, sum[r], r.String())
	}
}

func (c collector) ports(o *out) {
	for _, p := range bounded(o, c.b.Ports()) {
		o.flag(portUp, p.Present && p.Up, p.Name, p.Device)
		o.gauge(portMTU, float64(p.MTU), p.Name)
		o.gauge(portMACs, float64(p.MACs), p.Name)
		o.counter(portFrames, p.RxFrames, p.Name, "rx")
		o.counter(portFrames, p.TxFrames, p.Name, "tx")
		o.counter(portBytes, p.RxBytes, p.Name, "rx")
		o.counter(portBytes, p.TxBytes, p.Name, "tx")
		o.counter(portRefused, p.TxRefused, p.Name)
		o.counter(portDropped, p.RxDropped, p.Name)
	}
}

func (c collector) peers(o *out) {
	for _, p := range bounded(o, c.b.Peers()) {
		o.flag(peerSession, p.HasSession, p.Name)
		if p.Liveness != status.LivenessOff {
			o.flag(peerLiveness, p.Liveness == status.LivenessUp, p.Name)
		}
		if p.HasSession {
			o.gauge(peerAge, p.SessionAge.D().Seconds(), p.Name)
		}
		if p.HasHandshake {
			o.gauge(peerHandshake, p.HandshakeAge.D().Seconds(), p.Name)
		}
		o.counter(peerPackets, p.RxPackets, p.Name, "rx")
		o.counter(peerPackets, p.TxPackets, p.Name, "tx")
		o.counter(peerBytes, p.RxBytes, p.Name, "rx")
		o.counter(peerBytes, p.TxBytes, p.Name, "tx")
		o.counter(peerTransit, p.Transit, p.Name)
	}
}

func (c collector) macsec(o *out) {
	channels := 0
	for _, y := range bounded(o, c.b.SecYs()) {
		vni := strconv.Itoa(int(y.VNI))
		o.flag(secyUsable, y.TxUsable, vni)
		if y.TxUsable {
			o.gauge(secyAN, float64(y.TxAN), vni)
		}
		for _, n := range y.Counters {
			o.counter(secyCount, n.Value, vni, n.Name)
		}
		for _, a := range y.TxSAs {
			an := strconv.Itoa(int(a.AN))
			o.gauge(nextPN, float64(a.NextPN), vni, an)
			o.flag(softLimit, a.SoftLimit, vni, an)
		}
		for _, rx := range y.RxSCs {
			if channels++; channels > maxThings {
				o.left++
				continue
			}
			for _, n := range rx.Counters {
				o.counter(rxscCount, n.Value, vni, rx.SCI.String(), n.Name)
			}
		}
	}
}
