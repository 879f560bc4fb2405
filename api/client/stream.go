package client

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"

	"google.golang.org/grpc"

	"github.com/ztos/ztos/api/convert"
	"github.com/ztos/ztos/api/profile"
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config/status"
)

// dialer connects to the unix socket at path, whatever it is asked for.
func dialer(path string) func(context.Context, string) (net.Conn, error) {
	return func(ctx context.Context, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
}

// reason returns the last part of a gRPC connection error, which says why.
func reason(msg string) string {
	for _, why := range []string{"no such file or directory", "connection refused", "permission denied"} {
		if strings.Contains(msg, why) {
			return why
		}
	}
	if strings.Contains(msg, "EOF") || strings.Contains(msg, "connection reset") || strings.Contains(msg, "broken pipe") || strings.Contains(msg, "closing") {
		return "it closed the connection"
	}
	return msg
}

// Trace follows frames and calls put for each sighting, until the frames have
// left, ctx ends, or put returns an error, which it returns. q.Begun is called
// when watching begins.
func (c *Client) Trace(ctx context.Context, q status.TraceRequest, put func(status.TraceRecord) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := c.node.Trace(ctx, convert.TraceRequest(q))
	if err != nil {
		return c.fail(err)
	}
	return receive(c, in, q.Begun, convert.FromTraceRecord, put)
}

// Capture copies what passes stages and calls put for each packet, until the
// limits of q, ctx's end, or an error of put, which it returns. q.Begun is called
// when watching begins.
func (c *Client) Capture(ctx context.Context, q status.CaptureRequest, put func(status.CapturePacket) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := c.node.Capture(ctx, convert.CaptureRequest(q))
	if err != nil {
		return c.fail(err)
	}
	return receive(c, in, q.Begun, convert.FromCapturePacket, put)
}

// Profile takes a profile of the engine and writes it to w: pprof's format,
// gzipped, or of profile.Trace an execution trace. q.Begun is called when its time
// begins to run. Nothing is written before the time is over. When ctx ends, so
// does the profile.
func (c *Client) Profile(ctx context.Context, q profile.Request, w io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, err := c.node.Profile(ctx, convert.ProfileRequest(q))
	if err != nil {
		return c.fail(err)
	}
	data := func(m *pb.ProfileChunk) ([]byte, error) { return m.GetData(), nil }
	return receive(c, in, q.Begun, data, func(b []byte) error {
		_, err := w.Write(b)
		return err
	})
}

// receive hands a stream's messages to put until the stream ends.
func receive[M, T any](c *Client, in grpc.ServerStreamingClient[M], begun func(), from func(*M) (T, error), put func(T) error) error {
	// Header waits for the server's word that watching begins. A request that
	// is refused ends without one, and Recv says why.
	if md, err := in.Header(); err == nil && md != nil && begun != nil {
		begun()
	}
	for {
		m, err := in.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return c.fail(err)
		}
		v, err := from(m)
		if err != nil {
			return err
		}
		if err := put(v); err != nil {
			return err
		}
	}
}
