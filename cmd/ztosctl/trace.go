package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/trace"
)

// stageHelp lists the stages for help texts.
func stageHelp() string {
	return "Stages, in path order: " + strings.Join(trace.StageNames(), ", ") + "."
}

// completeStages offers the stages to a shell.
func completeStages(cmd *cobra.Command) {
	fn := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return trace.StageNames(), cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc("stage", fn); err != nil {
		panic(err) // no such flag: a bug
	}
}

func (a *app) traceCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "Follow real frames from stage to stage, with the reason when one is dropped",
		Long: "Trace samples frames where they enter the node and prints a line for each stage that they\n" +
			"pass. It ends after --count frames, after --duration, or at Ctrl-C. Other traffic pays for it\n" +
			"with some speed, and loses nothing.\n\n" + stageHelp(),
		Example: "  ztosctl trace\n  ztosctl trace --count 5 --vni 10100 --mac 02:00:00:00:00:01\n  ztosctl trace --stage underlay-rx -o json",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	count := f.Int("count", 10, "frames to follow, 1 to 10000")
	vni := vniFlag(cmd, "only frames of this VNI, where it is known as they enter")
	mac := f.String("mac", "", "only frames from or to this tenant MAC address")
	ip := f.String("ip", "", "only frames from or to this IP address")
	stage := f.String("stage", "", "only frames that enter here: port-rx, underlay-rx or host-out")
	snap := f.Int("snaplen", 0, "bytes of each frame to print with -o json")
	duration := f.Duration("duration", 0, "end after this time; 0 is no limit")
	completeStages(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q := status.TraceRequest{Count: *count, Snap: *snap}
		var err error
		if q.VNI, err = vni(); err != nil {
			return err
		}
		if q.MAC, err = parseMAC(*mac); err != nil {
			return err
		}
		if *ip != "" {
			if q.IP, err = netip.ParseAddr(*ip); err != nil {
				return usagef("--ip %q: want an IP address", *ip)
			}
		}
		if *stage != "" {
			if q.Stage, err = trace.ParseStage(*stage); err != nil {
				return usagef("--stage %q: want one of %s", *stage, strings.Join(trace.StageNames(), ", "))
			}
		}
		return a.watch(cmd, *duration, func(ctx context.Context, c *client.Client) error {
			return a.trace(ctx, c, q)
		})
	}
	return cmd
}

// watch runs fn until it ends, the duration is over, or Ctrl-C. Both of these are
// how watching is meant to end.
func (a *app) watch(cmd *cobra.Command, d time.Duration, fn func(ctx context.Context, c *client.Client) error) error {
	if d < 0 {
		return usagef("--duration %v: want a time", d)
	}
	ctx := cmd.Context()
	if d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	err := a.connected(func(c *client.Client) error { return fn(ctx, c) })
	// The deadline travels with the request: the engine may notice it before the
	// clock here does.
	timeUp := d > 0 && errors.Is(err, context.DeadlineExceeded)
	if timeUp || ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// sighting is a trace record as JSON shows it.
type sighting struct {
	Frame  uint32         `json:"frame"`
	Time   time.Time      `json:"time"`
	Stage  string         `json:"stage"`
	Worker string         `json:"worker"`
	Drop   string         `json:"drop,omitempty"` // reason
	VNI    uint32         `json:"vni,omitempty"`
	Port   string         `json:"port,omitempty"`
	Peer   netip.AddrPort `json:"peer,omitzero"`
	Out    bool           `json:"out,omitempty"` // towards peer
	Length int            `json:"length"`
	Segs   int            `json:"segments"`
	Data   []byte         `json:"data,omitempty"` // base64
	Note   string         `json:"note,omitempty"`
	Missed uint64         `json:"missed,omitempty"`
}

// trace follows frames and prints a line for each sighting.
func (a *app) trace(ctx context.Context, c *client.Client, q status.TraceRequest) error {
	const row = "%-6s  %-15s  %-16s  %6s  %4s  %8s  %-24s  %s\n"
	q.Begun = func() {
		a.note("following %d frames; Ctrl-C ends it", q.Count)
		if !a.json() {
			fmt.Fprintf(a.out, row, "FRAME", "TIME", "STAGE", "BYTES", "SEGS", "VNI", "PORT OR PEER", "WHAT")
		}
	}
	enc := json.NewEncoder(a.out)
	var missed uint64
	err := c.Trace(ctx, q, func(r status.TraceRecord) error {
		missed = r.Missed
		reason := ""
		if r.Reason != counter.None {
			reason = r.Reason.String()
		}
		if a.json() {
			return enc.Encode(sighting{
				Frame: r.ID, Time: r.Time, Stage: r.Stage.String(), Worker: r.Worker, Drop: reason, VNI: uint32(r.VNI),
				Port: r.Port, Peer: r.Peer, Out: r.Out, Length: r.Len, Segs: r.Segs, Data: r.Data, Note: r.Note, Missed: r.Missed,
			})
		}
		_, err := fmt.Fprintf(a.out, row, fmt.Sprint("#", r.ID), r.Time.Local().Format("15:04:05.000000"), r.Stage,
			fmt.Sprint(r.Len), fmt.Sprint(r.Segs), dash(number(uint32(r.VNI))), dash(place(r.Port, r.Peer, r.Out)), what(r, reason))
		return err
	})
	a.lost(missed)
	return err
}

// what says what became of the frame at the stage.
func what(r status.TraceRecord, reason string) string {
	s := r.Note
	if reason != "" {
		s = "DROPPED " + reason
		if r.Note != "" {
			s += ": " + r.Note
		}
	}
	if s == "" {
		return r.Worker
	}
	return s
}

// place names where a frame came from or goes to.
func place(port string, peer netip.AddrPort, out bool) string {
	switch {
	case port != "":
		return port
	case !peer.IsValid():
		return ""
	case out:
		return "> " + peer.String()
	}
	return "< " + peer.String()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// lost says how many records did not come because we were too slow.
func (a *app) lost(n uint64) {
	if n > 0 {
		a.note("%d records were lost: they came faster than they could be written", n)
	}
}
