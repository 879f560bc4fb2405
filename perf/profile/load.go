package profile

import (
	"context"
	"fmt"
	"time"

	"github.com/ztos/ztos/perf/bed"
	"github.com/ztos/ztos/perf/iperf"
)

// hostDev is the device of a host of a lab.
const hostDev = "eth0"

// Load is one kind of traffic on the bed.
type Load struct {
	Name string // in the names of files
	What string // in words
	// Streams run at the same time.
	Streams []Stream
	// Wire switches off what the tenants' devices do for their stacks: frames
	// come and go one by one, as from a wire, not as super-frames.
	Wire bool
}

// Stream is traffic of one iperf3(1) client.
type Stream struct {
	From, To string   // hosts
	Args     []string // of the client
}

// The loads. TCP is one stream each way; UDP is datagrams of 64 bytes as fast
// as the sender makes them.
var (
	A    = Load{Name: "a", What: "TCP from red1 to red2", Streams: []Stream{{bed.H1, bed.H2, nil}}}
	B    = Load{Name: "b", What: "TCP from red2 to red1", Streams: []Stream{{bed.H2, bed.H1, nil}}}
	Both = Load{Name: "both", What: "TCP both ways", Streams: []Stream{{bed.H1, bed.H2, nil}, {bed.H2, bed.H1, nil}}}
	Wire = Load{Name: "wire", What: "TCP both ways, tenants' offloads off", Streams: Both.Streams, Wire: true}
	UDP  = Load{Name: "udp", What: "UDP of 64 bytes from red1 to red2", Streams: []Stream{
		{bed.H1, bed.H2, []string{"--udp", "--length", "64", "--bitrate", "0"}},
	}}
)

// under runs fn while the load is on the bed.
func (l Load) under(ctx context.Context, b *bed.Bed, fn func() error) error {
	if l.Wire {
		if err := offloads(ctx, b, "off"); err != nil {
			return err
		}
	}
	for _, s := range l.Streams {
		// Servers of their own: one that lost its client may be busy for a
		// moment.
		server, err := iperf.Serve(b, s.To)
		if err != nil {
			return err
		}
		defer server.Stop()
		client, err := s.start(ctx, b)
		if err != nil {
			return fmt.Errorf("profile: %s: %w", l.What, err)
		}
		defer client.Stop()
	}
	if err := fn(); err != nil {
		return err
	}
	if l.Wire {
		return offloads(ctx, b, "on")
	}
	return nil
}

// start starts the client and waits until it sends.
func (s Stream) start(ctx context.Context, b *bed.Bed) (client *bed.Proc, err error) {
	argv := append([]string{"iperf3", "-c", b.Tenant(s.To).String(), "-t", "600", "--connect-timeout", "2000"}, s.Args...)
	err = bed.Wait(ctx, 10*time.Second, func() error {
		if client, err = b.Start(s.From, "iperf3-client-"+s.From, "", argv...); err != nil {
			return err
		}
		// A client that finds no server ends at once. It also needs a moment
		// to become as fast as it will be.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
			return client.Alive()
		}
	})
	return client, err
}

// offloads switches segmentation, its reverse and checksums of the hosts'
// devices "on" or "off".
func offloads(ctx context.Context, b *bed.Bed, to string) error {
	for _, host := range []string{bed.H1, bed.H2} {
		if err := b.Run(ctx, host, "ethtool -K %s tx %s sg %s tso %s gso %s gro %s", hostDev, to, to, to, to, to); err != nil {
			return err
		}
	}
	return nil
}
