package check

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// SuperFrames is the result of one TCP stream between two hosts: how many
// segments it had, and in how many frames or super-frames they left the sender's
// device and reached the receiver's.
type SuperFrames struct {
	TCP  Segments `json:"tcp"`
	Left uint64   `json:"left_in_frames"`
	Came uint64   `json:"came_in_frames"`
}

// leastMerged is how many segments a frame must hold on average. A stream at full
// speed has 15 to 40.
const leastMerged = 4

// SuperFrames sends one TCP stream of a tenant each way. Super-frames of the
// sender's kernel must reach the engine's port whole, and the engine's must reach
// the receiver's device whole: also on a trunk, with the tag on them.
func (b *Bench) SuperFrames(ctx context.Context, tenant string, secs int) (out []SuperFrames, err error) {
	h := b.Topo.Hosts(tenant)
	for _, way := range [][2]string{{h[0].Name, h[1].Name}, {h[1].Name, h[0].Name}} {
		_, left, err := b.deviceFrames(ctx, way[0])
		if err != nil {
			return out, err
		}
		came, _, err := b.deviceFrames(ctx, way[1])
		if err != nil {
			return out, err
		}
		var r SuperFrames
		if r.TCP, err = b.segments(ctx, way[0], way[1], secs); err != nil {
			return out, err
		}
		_, leftNow, err := b.deviceFrames(ctx, way[0])
		if err != nil {
			return out, err
		}
		cameNow, _, err := b.deviceFrames(ctx, way[1])
		if err != nil {
			return out, err
		}
		r.Left, r.Came = leftNow-left, cameNow-came
		out = append(out, r)
		var errs []error
		if r.Left*leastMerged > r.TCP.Sent {
			errs = append(errs, fmt.Errorf("%s sent %d segments in %d frames", way[0], r.TCP.Sent, r.Left))
		}
		if r.Came*leastMerged > r.TCP.Received {
			errs = append(errs, fmt.Errorf("%s got %d segments in %d frames", way[1], r.TCP.Received, r.Came))
		}
		if err := errors.Join(errs...); err != nil {
			return out, fmt.Errorf("%w: want %d times fewer at least", err, leastMerged)
		}
	}
	return out, nil
}

// deviceFrames returns how many frames or super-frames a host's devices have
// received and sent, loopback left out.
func (b *Bench) deviceFrames(ctx context.Context, host string) (rx, tx uint64, err error) {
	text, err := b.run(ctx, host, "cat", "/proc/net/dev")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		f := strings.Fields(rest)
		if !ok || name == "lo" || len(f) < 16 {
			continue
		}
		// Bytes, packets and six more received; then the same of what was sent.
		r, rerr := strconv.ParseUint(f[1], 10, 64)
		t, terr := strconv.ParseUint(f[9], 10, 64)
		if err := errors.Join(rerr, terr); err != nil {
			return 0, 0, fmt.Errorf("check: /proc/net/dev of %s: %w", host, err)
		}
		rx, tx = rx+r, tx+t
	}
	return rx, tx, nil
}
