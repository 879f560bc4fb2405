package full

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/ztos/ztos/perf/bed"
	"github.com/ztos/ztos/perf/iperf"
	"github.com/ztos/ztos/perf/machine"
	"github.com/ztos/ztos/perf/mode"
	"github.com/ztos/ztos/perf/rtt"
	"github.com/ztos/ztos/perf/udpgen"
	"github.com/ztos/ztos/perf/usage"
)

// udpPort is where the UDP receiver listens.
const udpPort = 5300

// measurement is one thing to measure of a mode in a case.
type measurement struct {
	name  string
	shows []Figure // what the progress says of it
	do    func(context.Context, *mode.Mode, Case) error
}

// measurements returns what a round measures of x. The order matters: what
// disturbs least comes first.
func (r *runner) measurements(x run, round int) []measurement {
	tcp := measurement{"tcp", []Figure{TCP1, CPU}, r.tcp}
	if x.tcpOnly || round%r.c.Sparse != 0 {
		return []measurement{tcp}
	}
	var rates []Figure
	for _, size := range UDPSizes {
		rates = append(rates, UDP(size))
	}
	return []measurement{
		{"rtt", []Figure{IdleP50, LoadedP50}, r.roundTrips},
		tcp,
		{"tcp4", []Figure{TCP4}, r.tcp4},
		{"udp", rates, r.udp},
	}
}

// busyTime is how long iperf3's server may have to do with the test before: on a slow
// path what ends a test waits behind it, and may be lost and sent again. Now and then
// it never ends; then there is another server.
const busyTime = 5 * time.Second

// stream runs iperf3. A failure gets a second chance, and a server that is busy its
// time.
func (r *runner) stream(ctx context.Context, m *mode.Mode, streams int) (out iperf.Result, err error) {
	begin, failures := time.Now(), 0
	for {
		out, err = iperf.TCP(ctx, r.b, bed.H1, m.Server(r.b).String(), streams, r.c.TCPTime, 0)
		if busy := errors.Is(err, iperf.ErrBusy) && time.Since(begin) < busyTime; !busy {
			failures++
		}
		if err == nil || ctx.Err() != nil || failures == 2 {
			return out, err
		}
		if failures == 1 && errors.Is(err, iperf.ErrBusy) {
			r.iperf.Stop()
			if r.iperf, err = iperf.Serve(r.b, bed.H2); err != nil {
				return out, err
			}
		}
		time.Sleep(300 * time.Millisecond)
	}
}

// tcp measures one stream and what it costs.
func (r *runner) tcp(ctx context.Context, m *mode.Mode, k Case) error {
	out := r.report.result(m.Name, k)
	out.add(Calibration, machine.Calibrate())
	pids := pids(m)
	before, err := look(pids)
	if err != nil {
		return err
	}
	one, err := r.stream(ctx, m, 1)
	if err != nil {
		return err
	}
	after, err := look(pids)
	if err != nil {
		return err
	}
	out.add(TCP1, one.BitsPerSecond/1e9)
	out.add(Retransmits, float64(one.Retransmits))
	if frames := frames(one.Bytes, m.MTU); frames > 0 {
		out.add(System, float64((after.system-before.system).Nanoseconds())/frames)
		if len(pids) > 0 {
			out.add(CPU, float64((after.nodes-before.nodes).Nanoseconds())/frames)
		}
	}
	if len(pids) == 0 {
		return nil
	}
	rss, err := usage.RSS(pids)
	if err != nil {
		return err
	}
	out.add(RSS, float64(rss)/(1<<20))
	return nil
}

// tcp4 measures four streams.
func (r *runner) tcp4(ctx context.Context, m *mode.Mode, k Case) error {
	four, err := r.stream(ctx, m, 4)
	if err != nil {
		return err
	}
	r.report.result(m.Name, k).add(TCP4, four.BitsPerSecond/1e9)
	return nil
}

// used is the processor time that was used up to a moment.
type used struct{ nodes, system time.Duration }

// look returns what was used until now.
func look(pids []int) (u used, err error) {
	if u.nodes, err = usage.CPU(pids); err != nil {
		return u, err
	}
	u.system, err = usage.System()
	return u, err
}

// frames returns how many frames of full size a TCP stream of that payload has:
// MTU less IPv4 20, TCP 20 and the timestamps' 12 each.
func frames(payload uint64, mtu int) float64 { return float64(payload) / float64(mtu-52) }

// pids returns the processes of a mode's nodes.
func pids(m *mode.Mode) []int {
	var out []int
	for _, p := range m.Procs() {
		out = append(out, p.PID)
	}
	return out
}

// roundTrips measures them on the idle path and while one TCP stream runs.
func (r *runner) roundTrips(ctx context.Context, m *mode.Mode, k Case) error {
	const idleInterval = 500 * time.Microsecond
	out := r.report.result(m.Name, k)
	idle, err := r.ping(ctx, m, idleInterval)
	if err != nil {
		return err
	}
	out.add(IdleP50, idle.P50)
	out.add(IdleP99, idle.P99)
	out.add(IdleP999, idle.P999)

	// The requests fall between the stream's first and last moments.
	const lead, tail = 300 * time.Millisecond, 300 * time.Millisecond
	stream := make(chan error, 1)
	go func() {
		_, err := r.stream(ctx, m, 1)
		stream <- err
	}()
	select {
	case <-ctx.Done():
	case <-time.After(lead):
	}
	loaded, err := r.ping(ctx, m, (r.c.TCPTime-lead-tail)/time.Duration(r.c.RTTCount))
	if streamErr := <-stream; err == nil {
		err = streamErr
	}
	if err != nil {
		return err
	}
	out.add(LoadedP50, loaded.P50)
	out.add(LoadedP99, loaded.P99)
	out.add(LoadedP999, loaded.P999)
	out.add(LoadedLost, float64(loaded.Lost)/float64(loaded.Sent))
	return nil
}

// ping measures round trips from H1.
func (r *runner) ping(ctx context.Context, m *mode.Mode, interval time.Duration) (out rtt.Result, err error) {
	text, err := r.b.Output(ctx, bed.H1, r.c.RTT, "-to", m.Server(r.b).String(),
		"-count", strconv.Itoa(r.c.RTTCount), "-interval", interval.String())
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, fmt.Errorf("full: output of rtt: %w", err)
	}
	return out, nil
}

// udp searches the highest rate of each size. The first time it begins with what
// it found for the size before, and later with what it found the last time.
func (r *runner) udp(ctx context.Context, m *mode.Mode, k Case) error {
	out := r.report.result(m.Name, k)
	rate := 60_000.0
	for _, size := range UDPSizes {
		key := fmt.Sprintf("%d %s %d", m.ID, k, size)
		step := 1.5
		if old := r.rates[key]; old > 0 {
			rate, step = old, 1.1
		}
		text, err := r.b.Output(ctx, bed.H1, r.udpCommand("search", m, size, k.offloads(), rate,
			"-step", fmt.Sprint(step), "-precision", "0.05", "-trials", "10", "-time", r.c.UDPTrial.String(), "-confirm", r.c.UDPConfirm.String())...)
		if err != nil {
			return err
		}
		var found udpgen.Found
		if err := json.Unmarshal(text, &found); err != nil {
			return fmt.Errorf("full: output of udpgen: %w", err)
		}
		r.rates[key] = found.Rate
		rate = max(found.Rate, 5_000)
		out.add(UDP(size), found.Rate/1e3)
		out.add(UDPLimited(size), bit(found.SenderLimited))
	}
	return nil
}

// bit is 1 for true.
func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// udpTrial makes one short attempt.
func (r *runner) udpTrial(ctx context.Context, m *mode.Mode, size int, offloads bool, rate float64) (t udpgen.Trial, err error) {
	text, err := r.b.Output(ctx, bed.H1, r.udpCommand("send", m, size, offloads, rate, "-time", "100ms")...)
	if err != nil {
		return t, err
	}
	return t, json.Unmarshal(text, &t)
}

// udpCommand returns a command line of udpgen.
func (r *runner) udpCommand(what string, m *mode.Mode, size int, offloads bool, rate float64, more ...string) []string {
	return append([]string{r.c.UDPGen, what,
		"-to", netip.AddrPortFrom(m.Server(r.b), udpPort).String(), "-control", r.control,
		"-size", strconv.Itoa(size), fmt.Sprintf("-offloads=%v", offloads), "-rate", strconv.FormatFloat(rate, 'f', 0, 64),
	}, more...)
}
