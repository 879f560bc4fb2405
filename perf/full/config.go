package full

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ztos/ztos/perf/mode"
)

// Case is how the tenants are.
type Case string

// The cases.
const (
	Host      Case = "host"
	Wire      Case = "wire"
	JumboHost Case = "jumbo-host"
	JumboWire Case = "jumbo-wire"
)

// Cases lists all cases, in the order of reports.
var Cases = []Case{Host, Wire, JumboHost, JumboWire}

// jumbo reports whether the tenants have the largest MTU.
func (c Case) jumbo() bool { return c == JumboHost || c == JumboWire }

// offloads reports whether the tenants' devices take super-frames.
func (c Case) offloads() bool { return c == Host || c == JumboHost }

// Config says what to run. There are no defaults but those of cmd/perf.
type Config struct {
	Topology    string // file of the bed: perf/row.yaml
	Engine      string // path of ztos-engine
	WireGuardGo string // path of the peer perf/peers/wireguard-go
	Nebula      string // path or name of nebula
	NebulaCert  string // path or name of nebula-cert
	UDPGen      string // path of perf/cmd/udpgen
	RTT         string // path of perf/cmd/rtt
	LogDir      string // folder for the output of the processes
	Command     string // what made the run, for the report

	Rounds int      // at least 1
	Only   []string // names of modes; empty for all
	Cases  []Case   // empty for all
	// Sparse measures all but one TCP stream in one round of so many, at least 1.
	Sparse int

	TCPTime    time.Duration // of one TCP measurement, whole seconds
	UDPTrial   time.Duration // of one attempt at a UDP rate
	UDPConfirm time.Duration // of the attempt that confirms one
	RTTCount   int           // echo requests of one measurement
	IdleTime   time.Duration // over which nodes without traffic are watched

	Progress io.Writer // gets a bar when Terminal, else a line per measurement
	Terminal bool
}

// MainModes are the modes of a short run: ZTOS, and each peer that protects what
// it carries.
var MainModes = []string{mode.BareName, mode.ZTOS, mode.WireGuardName, mode.WireGuardE2E, mode.VXLANWireGuard, mode.NebulaName}

// Check returns what is wrong with c.
func (c *Config) Check() error {
	switch {
	case c.Rounds < 1 || c.Sparse < 1:
		return fmt.Errorf("full: %d rounds, one in %d for UDP: want 1 at least", c.Rounds, c.Sparse)
	case c.TCPTime < time.Second || c.UDPTrial <= 0 || c.UDPConfirm <= 0 || c.RTTCount < 1 || c.IdleTime <= 0:
		return fmt.Errorf("full: times must be above 0, that of TCP 1 s at least")
	}
	for _, k := range c.Cases {
		if !slices.Contains(Cases, k) {
			return fmt.Errorf("full: no case %q: want %v", k, Cases)
		}
	}
	var names []string
	for _, r := range c.runs() {
		if !slices.Contains(names, r.mode.Name) {
			names = append(names, r.mode.Name)
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("full: nothing to run: modes %q, cases %v", c.Only, c.Cases)
	}
	for _, name := range c.Only {
		if !slices.Contains(ModeNames(), name) {
			return fmt.Errorf("full: no mode %q: want some of %s", name, strings.Join(ModeNames(), ", "))
		}
	}
	return nil
}

// run is a mode with the cases that it is measured in: one set of processes and
// links.
type run struct {
	mode  *mode.Mode
	cases []Case
	// tcpOnly leaves UDP and round trips out: their frames do not grow with
	// the MTU.
	tcpOnly bool
}

// tenantMTU is that of the tenants in the cases host and wire, bytes.
const tenantMTU = 1500

// allRuns returns every mode, in the order in which a round measures them. IDs
// are given out in that order.
func (c *Config) allRuns() []run {
	var out []run
	id := 0
	next := func() int { id++; return id }
	add := func(m *mode.Mode) { out = append(out, run{mode: m, cases: []Case{Host, Wire}}) }
	nebula := [2]string{c.Nebula, c.NebulaCert}

	add(mode.Bare(next(), tenantMTU))
	for _, l := range []mode.Layers{
		{WireGuard: true, MACsec: true}, {WireGuard: true}, {MACsec: true}, {},
	} {
		add(mode.Engine(next(), c.Engine, l, mode.LeafSpineLeaf, tenantMTU))
		add(mode.Engine(next(), c.Engine, l, mode.TwoNodes, tenantMTU))
	}
	add(mode.WireGuard(next(), c.WireGuardGo, mode.HopByHop, tenantMTU))
	add(mode.WireGuard(next(), c.WireGuardGo, mode.EndToEnd, tenantMTU))
	add(mode.VXLAN(next(), tenantMTU))
	add(mode.VXLANOverWireGuard(next(), c.WireGuardGo, mode.HopByHop, tenantMTU))
	add(mode.VXLANOverWireGuard(next(), c.WireGuardGo, mode.EndToEnd, tenantMTU))
	add(mode.Nebula(next(), nebula, tenantMTU))

	jumbo := func(m *mode.Mode) {
		out = append(out, run{mode: m, cases: []Case{JumboHost, JumboWire}, tcpOnly: true})
	}
	// The largest MTU is known once the bed is up: Run sets it.
	jumbo(mode.Engine(next(), c.Engine, mode.Layers{WireGuard: true, MACsec: true}, mode.LeafSpineLeaf, 0))
	jumbo(mode.WireGuard(next(), c.WireGuardGo, mode.HopByHop, 0))
	jumbo(mode.WireGuard(next(), c.WireGuardGo, mode.EndToEnd, 0))
	jumbo(mode.VXLANOverWireGuard(next(), c.WireGuardGo, mode.HopByHop, 0))
	jumbo(mode.Nebula(next(), nebula, 0))
	return out
}

// runs returns what c asks for.
func (c *Config) runs() []run {
	var out []run
	for _, r := range c.allRuns() {
		if len(c.Only) > 0 && !slices.Contains(c.Only, r.mode.Name) {
			continue
		}
		r.cases = slices.DeleteFunc(r.cases, func(k Case) bool { return len(c.Cases) > 0 && !slices.Contains(c.Cases, k) })
		if len(r.cases) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// ModeNames returns the names of all modes, in the order of reports.
func ModeNames() []string {
	var out []string
	for _, r := range (&Config{}).allRuns() {
		if !slices.Contains(out, r.mode.Name) {
			out = append(out, r.mode.Name)
		}
	}
	return out
}
