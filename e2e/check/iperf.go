package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// TCP is one iperf3 TCP stream.
type TCP struct {
	From        string  `json:"from"`
	To          string  `json:"to"`
	Seconds     float64 `json:"seconds"`
	Mbps        float64 `json:"mbps"`        // received TCP payload, Mbit/s
	Bytes       uint64  `json:"bytes"`       // received TCP payload
	Retransmits int     `json:"retransmits"` // segments that the sender's kernel sent again
}

// TCP runs one iperf3 TCP stream from a host to another of its tenant. It fails
// when nothing gets through.
func (b *Bench) TCP(ctx context.Context, from, to string, secs int) (TCP, error) {
	if _, err := b.hostNode(from); err != nil {
		return TCP{}, err
	}
	return b.tcpFrom(ctx, from, to, secs)
}

// tcpFrom is TCP from any node.
func (b *Bench) tcpFrom(ctx context.Context, from, to string, secs int) (TCP, error) {
	r := TCP{From: from, To: to}
	dst, err := b.hostNode(to)
	if err != nil {
		return r, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(secs)*time.Second+20*time.Second)
	defer cancel()
	server, err := b.Lab.Command(ctx, to, "iperf3", "-s", "-1", "--forceflush")
	if err != nil {
		return r, err
	}
	listens := newWatch("Server listening")
	server.Stdout = listens
	if err := server.Start(); err != nil {
		return r, fmt.Errorf("iperf3 on %s: %w", to, err)
	}
	defer func() {
		cancel()
		server.Wait()
	}()
	if err := listens.await(ctx, 5*time.Second); err != nil {
		return r, fmt.Errorf("iperf3 on %s does not listen: %w", to, err)
	}
	out, runErr := b.run(ctx, from, "iperf3", "-c", addr(dst, false).String(), "--json",
		"--connect-timeout", "3000", "-t", strconv.Itoa(secs))
	if err := r.parse(out); err != nil {
		return r, errors.Join(fmt.Errorf("iperf3 from %s to %s: %w", from, to, err), runErr)
	}
	if r.Bytes == 0 {
		return r, fmt.Errorf("iperf3 from %s to %s: nothing got through", from, to)
	}
	return r, nil
}

// parse reads what iperf3 --json prints. iperf3 says there what went wrong.
func (r *TCP) parse(out string) error {
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
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		return fmt.Errorf("output: %w: %s", err, tail(out, 200))
	}
	if doc.Error != "" {
		return errors.New(doc.Error)
	}
	r.Seconds = doc.End.Received.Seconds
	r.Mbps = doc.End.Received.BitsPerSecond / 1e6
	r.Bytes = doc.End.Received.Bytes
	r.Retransmits = doc.End.Sent.Retransmits
	return nil
}
