package full

import (
	"fmt"

	"github.com/ztos/ztos/perf/mode"
)

// target is a figure that ZTOS with all layers must reach, over leaf, spine and
// leaf, and what it aims at.
type target struct {
	what      string
	unit      string
	must, aim float64
	atMost    bool // less is better
	value     func(r *Report) (float64, bool)
}

// targets are those that a run can show. The share of the ciphers is for `make
// profile` to show.
func targets() []target {
	const vs = "tcp1_vs_"
	udp64, udp1400 := UDP(64), UDP(1400)
	out := []target{
		{"TCP 1, `host`, over wireguard-go", "x", 1.2, 1.6, false, ratio(Host, vs+"wireguard_go")},
		{"TCP 1, `host`, over kernel VXLAN over wireguard-go", "x", 5, 8, false, ratio(Host, vs+"vxlan_over_wireguard_go")},
		{"TCP 4 over TCP 1, `host`", "x", 0.9, 1.2, false, fourOverOne(Host)},
		{"TCP 4 over TCP 1, `wire`", "x", 0.9, 1.2, false, fourOverOne(Wire)},
		{"TCP 1, `wire`, over wireguard-go", "x", 2.5, 4, false, ratio(Wire, vs+"wireguard_go")},
		{"TCP 1, `jumbo-host`, over the best of wireguard-go, hop by hop and end to end, and nebula", "x", 1.1, 1.5, false, ratio(JumboHost, vs+best)},
		{"TCP 1, `jumbo-wire`, over the best of these", "x", 1.1, 1.5, false, ratio(JumboWire, vs+best)},
		{"UDP 64, `wire`", " kpps", 150, 300, false, ours(Wire, udp64)},
		{"UDP 64, `host`", " kpps", 200, 350, false, ours(Host, udp64)},
		{"UDP 1400, `wire`", " kpps", 100, 150, false, ours(Wire, udp1400)},
		{"UDP 1400, `host`", " kpps", 100, 150, false, ours(Host, udp1400)},
		{"CPU of an idle node", " cores", 0.02, 0, true, func(r *Report) (float64, bool) {
			v, ok := r.Idle[mode.ZTOS]
			return v, ok
		}},
		{"added to the idle round trip, `host`", " us", 300, 120, true, addedRTT(Host)},
		{"added to the idle round trip, `wire`", " us", 300, 120, true, addedRTT(Wire)},
		{"frames that failed authentication or were taken for replays", "", 0, 0, true, func(r *Report) (float64, bool) {
			return float64(r.AuthDrops + r.ReplayDrops), r.Modes[mode.ZTOS] != nil
		}},
		{"heap allocations a frame", "", 0, 0, true, func(r *Report) (float64, bool) {
			if r.Allocs == nil || r.Allocs.Frames == 0 {
				return 0, false
			}
			return float64(r.Allocs.Mallocs) / float64(r.Allocs.Frames), true
		}},
	}
	return out
}

func ratio(k Case, name string) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		v, ok := r.Ratios[k][name]
		return v, ok
	}
}

func ours(k Case, f Figure) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) { return r.Modes[mode.ZTOS][k].median(f) }
}

func fourOverOne(k Case) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		four, ok := r.Modes[mode.ZTOS][k].median(TCP4)
		one, ok2 := r.Modes[mode.ZTOS][k].median(TCP1)
		return four / max(one, 1e-9), ok && ok2
	}
}

func addedRTT(k Case) func(*Report) (float64, bool) {
	return func(r *Report) (float64, bool) {
		v, ok := r.AddedRTT[k][mode.ZTOS]
		return v, ok
	}
}

// verdict says what v is worth.
func (t *target) verdict(v float64) string {
	reaches := func(limit float64) bool {
		if t.atMost {
			return v <= limit
		}
		return v >= limit
	}
	switch {
	case reaches(t.aim):
		return "aim"
	case reaches(t.must):
		return "must"
	}
	return "**missed**"
}

// targetRows returns what must be reached and what was, as a table; nil when
// nothing of it was measured.
func (r *Report) targetRows() grid {
	out := grid{{"ZTOS, all layers, leaf-spine-leaf", "must", "aim", "measured", "reached"}}
	for _, t := range targets() {
		v, ok := t.value(r)
		if !ok {
			continue
		}
		sign := ">= "
		if t.atMost {
			sign = "<= "
		}
		out = append(out, []string{
			t.what, sign + fmt.Sprint(t.must) + t.unit, fmt.Sprint(t.aim) + t.unit, format(v) + t.unit, t.verdict(v),
		})
	}
	if len(out) == 1 {
		return nil
	}
	return out
}
