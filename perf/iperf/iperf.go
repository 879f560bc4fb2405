package iperf

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ztos/ztos/perf/bed"
)

// Result is one measurement.
type Result struct {
	Seconds       float64 // how long the receiver received
	BitsPerSecond float64 // received TCP payload
	Bytes         uint64  // received TCP payload
	Retransmits   int     // TCP segments that the sender sent again
}

// Serve starts a server on node that takes one test after the other.
func Serve(b *bed.Bed, node string) (*bed.Proc, error) {
	return b.Start(node, "iperf3-server-"+node, "", "iperf3", "-s")
}

// TCP sends streams TCP streams from node to server for duration, after
// omit that is not counted. duration is at least 1 s; both are cut to whole
// seconds.
func TCP(ctx context.Context, b *bed.Bed, node string, server string, streams int,
	duration, omit time.Duration) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, duration+omit+10*time.Second)
	defer cancel()
	out, err := b.Output(ctx, node, "iperf3", "-c", server, "--json",
		"--connect-timeout", "3000",
		"-P", strconv.Itoa(streams),
		"-t", strconv.Itoa(int(duration/time.Second)),
		"-O", strconv.Itoa(int(omit/time.Second)))
	r, parseErr := Parse(out)
	if parseErr != nil {
		// iperf3 says in its JSON what went wrong, its exit status does not.
		return Result{}, errors.Join(parseErr, err)
	}
	return r, err
}

// ErrBusy is wrapped when the server has not done with the test before: the end of it
// is still on its way.
var ErrBusy = errors.New("the server is busy")

// Parse reads the JSON that iperf3 prints. The error is what iperf3 itself says
// there, if it does.
func Parse(text []byte) (Result, error) {
	var doc struct {
		Error string `json:"error"`
		End   struct {
			Sent struct {
				Retransmits int `json:"retransmits"`
			} `json:"sum_sent"`
			Received struct {
				Seconds       float64 `json:"seconds"`
				Bytes         uint64  `json:"bytes"`
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return Result{}, fmt.Errorf("iperf: output: %w", err)
	}
	if strings.Contains(doc.Error, "server is busy") {
		return Result{}, fmt.Errorf("iperf: %w", ErrBusy)
	}
	if doc.Error != "" {
		return Result{}, fmt.Errorf("iperf: %s", doc.Error)
	}
	return Result{
		Seconds:       doc.End.Received.Seconds,
		BitsPerSecond: doc.End.Received.BitsPerSecond,
		Bytes:         doc.End.Received.Bytes,
		Retransmits:   doc.End.Sent.Retransmits,
	}, nil
}
