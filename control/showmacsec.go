package control

import (
	"cmp"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strconv"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/worker"
	"github.com/ztos/ztos/l2"
	"github.com/ztos/ztos/macsec"
	"github.com/ztos/ztos/wireguard"
)

func macOf(b [6]byte) table.MAC { return table.MACFrom(b[:]) }

// SecYs returns the MACsec of every protected VNI; never a key.
func (n *Node) SecYs() []status.SecY {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []status.SecY
	for _, d := range n.sortedDomains() {
		if d.domain.SecY == nil {
			continue
		}
		vteps := map[table.VTEPID]netip.Addr{}
		for _, v := range d.cfg.Remotes() {
			vteps[handle(n.ids.vteps, vtepKey{d.cfg.VNI, v})] = v
		}
		out = append(out, showSecY(&d.cfg, d.domain.SecY.State(), vteps))
	}
	return out
}

func showSecY(cfg *config.BridgeDomain, st macsec.State, vteps map[table.VTEPID]netip.Addr) status.SecY {
	m := cfg.MACsec
	s := status.SecY{
		VNI: cfg.VNI, Name: cfg.Name, Cipher: m.Cipher, Mode: m.Mode,
		Encrypt: !st.IntegrityOnly, Offset: st.Offset, ReplayWindow: st.ReplayWindow, Overhead: st.Overhead,
		TxSCI: config.SCI(st.TxSCI), TxUsable: st.TxUsable, TxAN: uint8(st.TxAN),
		Counters: counts(st.Counters),
	}
	for f, v := range st.Counters.BadTag {
		if v > 0 {
			s.Counters = append(s.Counters, status.Count{Name: "BadTag-" + macsec.TagFault(f).String(), Value: v})
		}
	}
	for _, a := range st.TxSAs {
		s.TxSAs = append(s.TxSAs, status.TxSA{
			AN: uint8(a.AN), InUse: a.InUse, Fingerprint: a.Fingerprint, SSCI: a.SSCI,
			NextPN: a.NextPN, GrantedPN: a.Granted, SoftLimit: a.SoftLimit, OutPkts: a.OutPkts,
		})
	}
	for _, c := range st.RxSCs {
		rx := status.RxSC{VTEP: vteps[c.VTEP], SCI: config.SCI(c.SCI), Counters: counts(c.Counters)}
		for _, a := range c.SAs {
			rx.SAs = append(rx.SAs, status.RxSA{
				AN: uint8(a.AN), Fingerprint: a.Fingerprint, SSCI: a.SSCI,
				NextPN: a.NextPN, LowestPN: a.LowestPN, Counters: counts(a.Counters),
			})
		}
		s.RxSCs = append(s.RxSCs, rx)
	}
	slices.SortFunc(s.RxSCs, func(a, b status.RxSC) int {
		return cmp.Or(a.VTEP.Compare(b.VTEP), slices.Compare(a.SCI[:], b.SCI[:]))
	})
	return s
}

// counts names the uint64 fields of a struct of counters after themselves.
func counts(v any) (out []status.Count) {
	r := reflect.ValueOf(v)
	for i := range r.NumField() {
		if f := r.Field(i); f.Kind() == reflect.Uint64 {
			out = append(out, status.Count{Name: r.Type().Field(i).Name, Value: f.Uint()})
		}
	}
	return out
}

// Counters returns the counters of VNIs, of WireGuard, of workers and sockets.
func (n *Node) Counters() []status.CounterGroup {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []status.CounterGroup
	for _, d := range n.sortedDomains() {
		out = append(out, status.CounterGroup{
			Kind: "vni", Name: strconv.FormatUint(uint64(d.cfg.VNI), 10), Counts: n.vniCounts(d),
		})
	}
	if n.wg != nil {
		g := status.CounterGroup{Kind: "wireguard"}
		for s := range wireguard.Stat(wireguard.NumStats) {
			g.Counts = append(g.Counts, status.Count{Name: s.String(), Value: n.wg.Count(s)})
		}
		out = append(out, g)
	}
	open := n.underlays()
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(open))) {
		st := open[name].Status()
		out = append(out, status.CounterGroup{Kind: "underlay", Name: name, Counts: []status.Count{
			{Name: "truncated", Value: st.Truncated}, {Name: "kernel-dropped", Value: st.Dropped}, {Name: "gso-refused", Value: st.Refused},
		}})
		for _, d := range st.Devices {
			out = append(out, status.CounterGroup{Kind: "underlay-device", Name: d.Name, Counts: []status.Count{
				{Name: "kernel-dropped", Value: d.Dropped}, {Name: "malformed", Value: d.Malformed},
			}})
		}
	}
	out = append(out, status.CounterGroup{Kind: "learning", Counts: []status.Count{{Name: "ring-lost", Value: n.ring.Lost()}}})
	out = append(out, n.isolationCounts())
	return append(out, n.workerCounts()...)
}

func (n *Node) workerCounts() (out []status.CounterGroup) {
	add := func(w *worker.Worker) {
		bursts, idle := w.Bursts()
		out = append(out, status.CounterGroup{Kind: "worker", Name: w.Name(), Counts: []status.Count{
			{Name: "frames", Value: w.Block().Taken()}, {Name: "bursts", Value: bursts}, {Name: "idle", Value: idle},
		}})
	}
	for _, w := range n.fixed {
		add(w.Worker)
	}
	for _, p := range n.ports {
		for _, w := range p.workers {
			add(w)
		}
	}
	slices.SortFunc(out, func(a, b status.CounterGroup) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

func (n *Node) vniCounts(d *domainState) (out []status.Count) {
	c := d.counts
	add := func(name string, v uint64) { out = append(out, status.Count{Name: name, Value: v}) }
	for _, t := range []struct {
		name string
		t    *l2.Traffic
	}{{"rx-local", &c.RxLocal}, {"tx-local", &c.TxLocal}, {"rx-tunnel", &c.RxTunnel}, {"tx-tunnel", &c.TxTunnel}} {
		add(t.name+"-frames", t.t.Frames.Load())
		add(t.name+"-bytes", t.t.Bytes.Load())
	}
	for i, name := range []string{l2.Broadcast: "broadcast", l2.Multicast: "multicast", l2.UnknownUnicast: "unknown-unicast"} {
		add("flooded-"+name, c.Flooded[i].Load())
	}
	add("bridge-drops", c.Drops.Load())
	if st, ok := n.learner.Stats(d.cfg.VNI); ok {
		for _, x := range []status.Count{
			{Name: "macs", Value: uint64(st.Entries)}, {Name: "mac-moves", Value: st.Moves},
			{Name: "mac-moves-refused", Value: st.Refused}, {Name: "macs-limited", Value: st.Limited}, {Name: "macs-aged", Value: st.Aged},
		} {
			add(x.Name, x.Value)
		}
	}
	return out
}
