package metrics

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/perf/bed"
)

// Engine is where an engine serves its metrics.
type Engine struct {
	Node    string // in whose namespace
	Address string // IP and port
}

// Metrics of an engine that measurements read. What an engine takes in are
// frames from tenants at its ports and outer packets from its peers.
const (
	metricDrops   = "ztos_engine_dropped_frames_total"  // label reason: a counter.Reason's name
	metricFrames  = "ztos_engine_port_frames_total"     // label direction
	metricPackets = "ztos_wireguard_peer_packets_total" // label direction
	metricMallocs = "go_memstats_mallocs_total"
	labelReceived = `direction="rx"`
)

// authReasons and replayReasons are the drops that a lossless run must not have.
var (
	authReasons   = []counter.Reason{counter.WGAuthFailed, counter.MACsecNotValid}
	replayReasons = []counter.Reason{counter.WGReplayed, counter.MACsecReplayed, counter.MACsecLate}
)

// Counters is what engines have counted since their start.
type Counters struct {
	Auth    uint64 // frames dropped because their authentication failed
	Replay  uint64 // frames dropped as replayed or too late
	Frames  uint64 // frames from tenants and outer packets from peers, taken in
	Mallocs uint64 // heap allocations, whatever for
}

// Sub returns what was counted between o and c.
func (c Counters) Sub(o Counters) Counters {
	return Counters{c.Auth - o.Auth, c.Replay - o.Replay, c.Frames - o.Frames, c.Mallocs - o.Mallocs}
}

// Add returns the sum.
func (c Counters) Add(o Counters) Counters {
	return Counters{c.Auth + o.Auth, c.Replay + o.Replay, c.Frames + o.Frames, c.Mallocs + o.Mallocs}
}

// Read sums the counters of engines.
func Read(ctx context.Context, b *bed.Bed, engines []Engine) (Counters, error) {
	var sum Counters
	for _, e := range engines {
		c, err := readEngine(ctx, b, e)
		if err != nil {
			return Counters{}, err
		}
		sum = sum.Add(c)
	}
	return sum, nil
}

// readEngine fetches the metrics of one engine.
func readEngine(ctx context.Context, b *bed.Bed, e Engine) (c Counters, err error) {
	err = get(ctx, b, e, "/metrics", func(body io.Reader) (err error) {
		c, err = Parse(body)
		return err
	})
	return c, err
}

// get fetches path from an engine and hands its body to read.
func get(ctx context.Context, b *bed.Bed, e Engine, path string, read func(io.Reader) error) error {
	client := &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				return b.Dial(ctx, e.Node, network, address)
			},
		},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.Address+path, nil)
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("metrics: %s: %w", e.Node, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("metrics: %s: %s: %s", e.Node, path, resp.Status)
	}
	if err := read(resp.Body); err != nil {
		return fmt.Errorf("metrics: %s: %s: %w", e.Node, path, err)
	}
	return nil
}

// Parse reads the text exposition format, one "name{labels} value" a line. It
// fails when a metric that a measurement needs is not there at all.
func Parse(r io.Reader) (Counters, error) {
	var c Counters
	seen := map[string]bool{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		space := strings.LastIndexByte(line, ' ')
		if space < 0 {
			return c, fmt.Errorf("line %q", line)
		}
		name, labels, _ := strings.Cut(line[:space], "{")
		switch name {
		case metricDrops, metricFrames, metricPackets, metricMallocs:
		default:
			continue
		}
		v, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil {
			return c, fmt.Errorf("value of %s: %w", name, err)
		}
		seen[name] = true
		switch name {
		case metricFrames, metricPackets:
			if strings.Contains(labels, labelReceived) {
				c.Frames += uint64(v)
			}
		case metricMallocs:
			c.Mallocs += uint64(v)
		case metricDrops:
			if hasReason(labels, authReasons) {
				c.Auth += uint64(v)
			}
			if hasReason(labels, replayReasons) {
				c.Replay += uint64(v)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return c, err
	}
	// A spine has no ports, and a leaf on a plain carrier no WireGuard peer.
	if !seen[metricPackets] && !seen[metricFrames] {
		return c, fmt.Errorf("there is neither %s nor %s", metricPackets, metricFrames)
	}
	for _, name := range []string{metricDrops, metricMallocs} {
		if !seen[name] {
			return c, fmt.Errorf("there is no %s", name)
		}
	}
	return c, nil
}

// hasReason reports whether the label reason is one of reasons.
func hasReason(labels string, reasons []counter.Reason) bool {
	for _, r := range reasons {
		if strings.Contains(labels, `reason="`+r.String()+`"`) {
			return true
		}
	}
	return false
}
