package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/ztos/ztos/api/convert"
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
)

// ErrUnreachable: no engine answers on the socket, it does not let us in, or it
// is ending.
var ErrUnreachable = errors.New("cannot reach the engine")

// Client is a connection to one node's API. Any goroutine.
type Client struct {
	conn *grpc.ClientConn
	node pb.NodeClient
	evpn pb.EVPNClient
	bfd  pb.BFDClient
	path string
}

// Dial returns a client for the socket at path. It does not connect yet: the
// first call does.
func Dial(path string) (*Client, error) {
	// passthrough and not unix:, which does not take every path as it is.
	conn, err := grpc.NewClient("passthrough:///engine",
		grpc.WithContextDialer(dialer(path)),
		grpc.WithTransportCredentials(insecure.NewCredentials()), // the socket's mode and the kernel's word protect it
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20), grpc.MaxCallSendMsgSize(64<<20)),
	)
	if err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	return &Client{conn, pb.NewNodeClient(conn), pb.NewEVPNClient(conn), pb.NewBFDClient(conn), path}, nil
}

// Close ends the connection and all calls on it.
func (c *Client) Close() error { return c.conn.Close() }

// Node returns the raw service, for what the methods here do not offer.
func (c *Client) Node() pb.NodeClient { return c.node }

// fail translates the error of a call.
func (c *Client) fail(err error) error {
	st, ok := grpcstatus.FromError(err)
	if err == nil || !ok {
		return err
	}
	switch st.Code() {
	case codes.InvalidArgument:
		for _, d := range st.Details() {
			if fl, ok := d.(*pb.FaultList); ok {
				return convert.FromFaults(fl)
			}
		}
	case codes.NotFound:
		return wrapped{st.Message(), status.ErrNotFound}
	case codes.FailedPrecondition:
		return wrapped{st.Message(), status.ErrPrecondition}
	case codes.Unavailable:
		return fmt.Errorf("%w on %s: %s", ErrUnreachable, c.path, reason(st.Message()))
	case codes.Canceled:
		return wrapped{st.Message(), context.Canceled}
	case codes.DeadlineExceeded:
		return wrapped{"the engine did not answer in time", context.DeadlineExceeded}
	}
	return errors.New(st.Message())
}

// wrapped is the server's message, which names its error already.
type wrapped struct {
	text string
	err  error
}

// Error returns the server's message.
func (w wrapped) Error() string { return w.text }

// Unwrap returns the error behind it.
func (w wrapped) Unwrap() error { return w.err }

// collect converts each message, and returns the first error.
func collect[M, T any](ms []M, from func(M) (T, error)) ([]T, error) {
	out := make([]T, 0, len(ms))
	for _, m := range ms {
		v, err := from(m)
		if err != nil {
			return nil, fmt.Errorf("client: the engine's answer: %w", err)
		}
		out = append(out, v)
	}
	return out, nil
}

// Version returns the engine's version.
func (c *Client) Version(ctx context.Context) (string, error) {
	m, err := c.node.GetVersion(ctx, &pb.GetVersionRequest{})
	return m.GetVersion(), c.fail(err)
}

// Status returns what the node says of itself.
func (c *Client) Status(ctx context.Context) (status.Node, error) {
	m, err := c.node.GetStatus(ctx, &pb.GetStatusRequest{})
	if err != nil {
		return status.Node{}, c.fail(err)
	}
	return convert.FromNode(m)
}

// Ports returns the tenant ports.
func (c *Client) Ports(ctx context.Context) ([]status.Port, error) {
	m, err := c.node.ListPorts(ctx, &pb.ListPortsRequest{})
	if err != nil {
		return nil, c.fail(err)
	}
	return collect(m.GetPorts(), convert.FromPort)
}

// Peers returns the underlay neighbours.
func (c *Client) Peers(ctx context.Context) ([]status.Peer, error) {
	m, err := c.node.ListPeers(ctx, &pb.ListPeersRequest{})
	if err != nil {
		return nil, c.fail(err)
	}
	return collect(m.GetPeers(), convert.FromPeer)
}

// SecYs returns the MACsec state of vni, of all VNIs for 0.
func (c *Client) SecYs(ctx context.Context, vni table.VNI) ([]status.SecY, error) {
	m, err := c.node.ListMACsec(ctx, &pb.ListMACsecRequest{Vni: uint32(vni)})
	if err != nil {
		return nil, c.fail(err)
	}
	return collect(m.GetSecys(), convert.FromSecY)
}

// MTUs returns what fits through each VNI.
func (c *Client) MTUs(ctx context.Context) ([]status.MTU, error) {
	m, err := c.node.GetMTU(ctx, &pb.GetMTURequest{})
	if err != nil {
		return nil, c.fail(err)
	}
	return collect(m.GetMtus(), func(m *pb.MTU) (status.MTU, error) { return convert.FromMTU(m), nil })
}

// Counters returns all counters but the drops.
func (c *Client) Counters(ctx context.Context) ([]status.CounterGroup, error) {
	m, err := c.node.GetCounters(ctx, &pb.GetCountersRequest{})
	if err != nil {
		return nil, c.fail(err)
	}
	return collect(m.GetGroups(), func(m *pb.CounterGroup) (status.CounterGroup, error) { return convert.FromGroup(m), nil })
}

// Drops returns what was dropped, by reason and worker; with all, also one entry
// with count 0 for each reason that did not occur.
func (c *Client) Drops(ctx context.Context, all bool) ([]status.Drop, error) {
	m, err := c.node.GetDrops(ctx, &pb.GetDropsRequest{All: all})
	if err != nil {
		return nil, c.fail(err)
	}
	return convert.FromDrops(m.GetDrops())
}

// FDB yields the FDB entries that pass f. An error comes last.
func (c *Client) FDB(ctx context.Context, f status.MACFilter) iter.Seq2[status.MAC, error] {
	return func(yield func(status.MAC, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		in, err := c.node.ListFDB(ctx, convert.MACFilter(f))
		for err == nil {
			var m *pb.ListFDBResponse
			if m, err = in.Recv(); err != nil {
				break
			}
			for _, e := range m.GetEntries() {
				v, err := convert.FromMAC(e)
				if !yield(v, err) || err != nil {
					return
				}
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(status.MAC{}, c.fail(err))
		}
	}
}

// VRFs returns the VRFs of a leaf.
func (c *Client) VRFs(ctx context.Context) ([]status.VRF, error) {
	m, err := c.node.ListVRFs(ctx, &pb.ListVRFsRequest{})
	if err != nil {
		return nil, c.fail(err)
	}
	out := make([]status.VRF, 0, len(m.GetVrfs()))
	for _, v := range m.GetVrfs() {
		s, err := convert.FromVRF(v)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// Routes yields the routes that pass f. An error comes last.
func (c *Client) Routes(ctx context.Context, f status.RouteFilter) iter.Seq2[status.Route, error] {
	return func(yield func(status.Route, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		in, err := c.node.ListRoutes(ctx, convert.RouteFilter(f))
		for err == nil {
			var m *pb.ListRoutesResponse
			if m, err = in.Recv(); err != nil {
				break
			}
			for _, e := range m.GetRoutes() {
				v, err := convert.FromRoute(e)
				if !yield(v, err) || err != nil {
					return
				}
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(status.Route{}, c.fail(err))
		}
	}
}

// Neighbours yields the neighbours that pass f. An error comes last.
func (c *Client) Neighbours(ctx context.Context, f status.NeighbourFilter) iter.Seq2[status.Neighbour, error] {
	return func(yield func(status.Neighbour, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		in, err := c.node.ListNeighbours(ctx, convert.NeighbourFilter(f))
		for err == nil {
			var m *pb.ListNeighboursResponse
			if m, err = in.Recv(); err != nil {
				break
			}
			for _, e := range m.GetNeighbours() {
				v, err := convert.FromNeighbour(e)
				if !yield(v, err) || err != nil {
					return
				}
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(status.Neighbour{}, c.fail(err))
		}
	}
}

// Apply makes document the configuration in force, or with dryRun checks it. The
// error is config.Faults when the document is refused.
func (c *Client) Apply(ctx context.Context, document []byte, dryRun bool) (generation uint64, err error) {
	if len(document) > config.MaxSize {
		return 0, config.Faults{{Problem: fmt.Sprintf("document of %d bytes is larger than %d", len(document), config.MaxSize)}}
	}
	m, err := c.node.ApplyConfig(ctx, &pb.ApplyConfigRequest{Document: document, DryRun: dryRun})
	return m.GetGeneration(), c.fail(err)
}

// Reload makes the engine read its configuration file again.
func (c *Client) Reload(ctx context.Context) (generation uint64, err error) {
	m, err := c.node.Reload(ctx, &pb.ReloadRequest{})
	return m.GetGeneration(), c.fail(err)
}

// InstallSA installs an SA from key files on the engine's machine.
func (c *Client) InstallSA(ctx context.Context, sa status.SA) error {
	_, err := c.node.InstallSA(ctx, convert.SA(sa))
	return c.fail(err)
}

// UseAN makes the SecY of vni transmit with an.
func (c *Client) UseAN(ctx context.Context, vni table.VNI, an uint8) error {
	_, err := c.node.UseAN(ctx, &pb.UseANRequest{Vni: uint32(vni), An: uint32(an)})
	return c.fail(err)
}

// RemoveSA removes an SA.
func (c *Client) RemoveSA(ctx context.Context, ref status.SARef) error {
	_, err := c.node.RemoveSA(ctx, &pb.RemoveSARequest{Sa: convert.SARef(ref)})
	return c.fail(err)
}

// FlushFDB forgets the learned entries that pass f.
func (c *Client) FlushFDB(ctx context.Context, f status.MACFilter) (flushed int64, err error) {
	m, err := c.node.FlushFDB(ctx, &pb.FlushFDBRequest{Vni: uint32(f.VNI), Mac: convert.MACFilter(f).GetMac(), Port: f.Port})
	return m.GetFlushed(), c.fail(err)
}
