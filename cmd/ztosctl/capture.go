package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/trace"
)

func (a *app) captureCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "capture --stage STAGE [-w FILE]",
		Short: "Copy what passes a stage, as pcapng for Wireshark or as a line per packet",
		Long: "Capture copies the packets that pass one or several stages. With -w they go to a pcapng file\n" +
			"(- is stdout) of mode 0600 with one interface per stage, named after it. Without -w each is a\n" +
			"line. It ends after --count packets, after --duration, or at Ctrl-C.\n\n" +
			"What a stage shows: port-rx, access, bridge, macsec-validate and port-tx tenant frames in clear;\n" +
			"macsec-protect and vxlan-decap MACsec frames; vxlan-encap, wireguard-open, outer-route, host-in\n" +
			"and host-out IP packets; wireguard-seal and underlay-rx UDP payloads, which Wireshark is told to\n" +
			"read as WireGuard or VXLAN.\n\n" + stageHelp(),
		Example: "  ztosctl capture --stage macsec-protect -w frames.pcapng --count 100\n" +
			"  ztosctl capture --stage port-rx --stage port-tx --vni 10100 --duration 10s -w tenant.pcapng\n" +
			"  ztosctl capture --stage wireguard-open -w - | wireshark -k -i -",
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	stages := f.StringSlice("stage", nil, "stage to capture at; may be repeated")
	file := f.StringP("write", "w", "", "pcapng file to write; - is stdout")
	vni := vniFlag(cmd, "only packets of this VNI, where the stage knows it")
	snap := f.Int("snaplen", 0, "bytes of each packet; 0 is all")
	count := f.Int("count", 0, "end after this many packets; 0 is no limit")
	duration := f.Duration("duration", 0, "end after this time; 0 is no limit")
	completeStages(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q := status.CaptureRequest{Snap: *snap, Count: *count, Duration: max(*duration, 0)}
		var err error
		if q.VNI, err = vni(); err != nil {
			return err
		}
		if len(*stages) == 0 {
			return usagef("--stage is missing: one of %s", strings.Join(trace.StageNames(), ", "))
		}
		for _, name := range *stages {
			s, err := trace.ParseStage(name)
			if err != nil {
				return usagef("--stage %q: want one of %s", name, strings.Join(trace.StageNames(), ", "))
			}
			q.Stages = append(q.Stages, s)
		}
		// The engine ends the capture after the duration; we only do so when it
		// does not.
		late := *duration
		if late > 0 {
			late += 5 * time.Second
		}
		return a.watch(cmd, late, func(ctx context.Context, c *client.Client) error {
			q.Begun = func() { a.note("capturing at %s; Ctrl-C ends it", strings.Join(*stages, ", ")) }
			return a.capture(ctx, c, q, *file)
		})
	}
	return cmd
}

// packet is a captured packet as JSON shows it.
type packet struct {
	Time   time.Time `json:"time"`
	Stage  string    `json:"stage"`
	VNI    uint32    `json:"vni,omitempty"`
	Port   string    `json:"port,omitempty"`
	Peer   string    `json:"peer,omitempty"`
	Out    bool      `json:"out,omitempty"`
	Length int       `json:"length"`
	Segs   int       `json:"segments"`
	Data   []byte    `json:"data"` // base64
	Missed uint64    `json:"missed,omitempty"`
}

// capture writes packets to file as pcapng, or to stdout as text when there is no
// file.
func (a *app) capture(ctx context.Context, c *client.Client, q status.CaptureRequest, file string) (err error) {
	put, finish, err := a.sink(q, file)
	if err != nil {
		return err
	}
	var packets int
	var missed uint64
	err = c.Capture(ctx, q, func(p status.CapturePacket) error {
		packets++
		missed = p.Missed
		return put(p)
	})
	err = errors.Join(err, finish())
	a.note("%d packets", packets)
	a.lost(missed)
	return err
}

// sink returns where packets go, and what ends it.
func (a *app) sink(q status.CaptureRequest, file string) (put func(status.CapturePacket) error, finish func() error, err error) {
	finish = func() error { return nil }
	switch {
	case file == "" && a.json():
		enc := json.NewEncoder(a.out)
		return func(p status.CapturePacket) error {
			return enc.Encode(packet{
				Time: p.Time, Stage: p.Stage.String(), VNI: uint32(p.VNI), Port: p.Port, Peer: endpoint(p.Peer),
				Out: p.Out, Length: p.Len, Segs: p.Segs, Data: p.Data, Missed: p.Missed,
			})
		}, finish, nil
	case file == "":
		return a.printPacket, finish, nil
	}
	var w io.Writer = a.out
	if file != "-" {
		// A capture may hold tenants' words in clear.
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return nil, nil, err
		}
		w, finish = f, f.Close
	}
	ng, err := newPcapng(w, q.Stages, q.Snap)
	if err != nil {
		return nil, nil, errors.Join(err, finish())
	}
	return ng.put, finish, nil
}

// printPacket writes a line for p.
func (a *app) printPacket(p status.CapturePacket) error {
	head := p.Data[:min(len(p.Data), 24)]
	_, err := fmt.Fprintf(a.out, "%-15s  %-16s  %6d  %8s  %-24s  %x\n", p.Time.Local().Format("15:04:05.000000"), p.Stage,
		p.Len, dash(number(uint32(p.VNI))), dash(place(p.Port, p.Peer, p.Out)), head)
	return err
}
