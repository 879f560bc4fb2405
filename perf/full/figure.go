package full

import (
	"fmt"

	"github.com/ztos/ztos/perf/stat"
)

// Figure is the name of one figure in the JSON; its end is the unit.
type Figure string

// The figures.
const (
	TCP1        Figure = "tcp1_gbps" // one stream, received payload
	TCP4        Figure = "tcp4_gbps" // four streams, together
	Retransmits Figure = "tcp1_retransmits"
	// Processor time of all nodes' processes for each frame of the one
	// stream; none where kernels carry it.
	CPU Figure = "cpu_ns_per_frame"
	// Processor time of the whole machine for each frame of the one stream:
	// nodes, both hosts with iperf3, and all kernels.
	System Figure = "system_ns_per_frame"
	// Round trips on the idle path, and while one TCP stream runs.
	IdleP50    Figure = "rtt_idle_p50_us"
	IdleP99    Figure = "rtt_idle_p99_us"
	IdleP999   Figure = "rtt_idle_p999_us"
	LoadedP50  Figure = "rtt_loaded_p50_us"
	LoadedP99  Figure = "rtt_loaded_p99_us"
	LoadedP999 Figure = "rtt_loaded_p999_us"
	LoadedLost Figure = "rtt_loaded_lost_ratio"
	// Resident memory of the largest node process, after the measurements.
	RSS Figure = "rss_mib"
	// One ChaCha20-Poly1305 seal of 1500 bytes, just before.
	Calibration Figure = "calibration_ns"
)

// UDPSizes are the UDP payloads that are measured, bytes.
var UDPSizes = []int{64, 512, 1400}

// UDP is the highest rate of datagrams of size bytes with less than 0.1 % loss.
func UDP(size int) Figure { return Figure(fmt.Sprintf("udp%d_kpps", size)) }

// UDPLimited is 1 in rounds in which the generator was at its end and the path
// was not.
func UDPLimited(size int) Figure { return Figure(fmt.Sprintf("udp%d_sender_limited", size)) }

// Result is the figures of one mode in one case.
type Result map[Figure]*stat.Series

// add takes the value of one more round.
func (r Result) add(f Figure, v float64) {
	if r[f] == nil {
		r[f] = &stat.Series{}
	}
	r[f].Add(v)
}

// median returns the median of a figure; ok is false when it was not measured.
func (r Result) median(f Figure) (v float64, ok bool) {
	if r[f] == nil {
		return 0, false
	}
	return r[f].Median, true
}
