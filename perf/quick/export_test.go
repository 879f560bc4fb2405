package quick

import (
	"github.com/ztos/ztos/lab"
	"github.com/ztos/ztos/perf/bed"
	"github.com/ztos/ztos/perf/metrics"
)

// ReportOf finishes a report over the given Gbit/s of each mode, with what the
// engines counted; mallocs are those of the workers.
func ReportOf(gbps map[string][]float64, auth, replay, frames, mallocs uint64) *Report {
	t := &lab.Topology{Tenants: []lab.Tenant{{}}}
	r := newReport(&Config{Rounds: 1}, &bed.Bed{Topology: t})
	for name := range gbps {
		for _, v := range gbps[name] {
			r.add(name, Sample{Gbps: v, CalibrationNS: 1000})
		}
	}
	r.counted = counted{
		metrics.Counters{Auth: auth, Replay: replay, Frames: frames, Mallocs: mallocs + 1000},
		metrics.Allocs{Objects: mallocs, Bytes: 64 * mallocs},
	}
	r.finish()
	return r
}
