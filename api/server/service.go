package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/ztos/ztos/api/convert"
	"github.com/ztos/ztos/api/profile"
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// apiVersion counts incompatible changes of ztos.v1: none may happen.
const apiVersion = 1

// fdbBatch is how many entries a message of ListFDB holds: about 40 KB.
const fdbBatch = 512

// service implements ztos.v1 over a Backend. It embeds, as the other services do,
// generated code that has no methods: a call that is missing here does not compile,
// where it would else answer UNIMPLEMENTED.
type service struct {
	pb.UnsafeNodeServer
	b        Backend
	watchers chan struct{} // one token per trace or capture at work
}

// GetVersion implements ztos.v1.
func (s *service) GetVersion(context.Context, *pb.GetVersionRequest) (*pb.GetVersionResponse, error) {
	return &pb.GetVersionResponse{Version: s.b.Status().Version, Api: apiVersion}, nil
}

// GetStatus implements ztos.v1.
func (s *service) GetStatus(context.Context, *pb.GetStatusRequest) (*pb.GetStatusResponse, error) {
	n := s.b.Status()
	return convert.Node(&n), nil
}

// ListPorts implements ztos.v1.
func (s *service) ListPorts(context.Context, *pb.ListPortsRequest) (*pb.ListPortsResponse, error) {
	m := &pb.ListPortsResponse{}
	for _, p := range s.b.Ports() {
		m.Ports = append(m.Ports, convert.Port(p))
	}
	return m, nil
}

// ListPeers implements ztos.v1.
func (s *service) ListPeers(context.Context, *pb.ListPeersRequest) (*pb.ListPeersResponse, error) {
	m := &pb.ListPeersResponse{}
	for _, p := range s.b.Peers() {
		m.Peers = append(m.Peers, convert.Peer(p))
	}
	return m, nil
}

// ListMACsec implements ztos.v1.
func (s *service) ListMACsec(_ context.Context, q *pb.ListMACsecRequest) (*pb.ListMACsecResponse, error) {
	m := &pb.ListMACsecResponse{}
	for _, y := range s.b.SecYs() {
		if q.GetVni() == 0 || q.GetVni() == uint32(y.VNI) {
			m.Secys = append(m.Secys, convert.SecY(y))
		}
	}
	if q.GetVni() != 0 && m.Secys == nil {
		return nil, fmt.Errorf("MACsec on VNI %d: %w", q.GetVni(), status.ErrNotFound)
	}
	return m, nil
}

// GetMTU implements ztos.v1.
func (s *service) GetMTU(context.Context, *pb.GetMTURequest) (*pb.GetMTUResponse, error) {
	m := &pb.GetMTUResponse{}
	for _, t := range s.b.MTUs() {
		m.Mtus = append(m.Mtus, convert.MTU(t))
	}
	return m, nil
}

// GetDrops implements ztos.v1.
func (s *service) GetDrops(_ context.Context, q *pb.GetDropsRequest) (*pb.GetDropsResponse, error) {
	return &pb.GetDropsResponse{Drops: convert.Drops(s.b.Drops(), q.GetAll())}, nil
}

// GetCounters implements ztos.v1.
func (s *service) GetCounters(context.Context, *pb.GetCountersRequest) (*pb.GetCountersResponse, error) {
	m := &pb.GetCountersResponse{}
	for _, g := range groups(s.b) {
		m.Groups = append(m.Groups, convert.Group(g))
	}
	return m, nil
}

// groups returns all counters of b but the drops.
func groups(b Backend) (out []status.CounterGroup) {
	for _, p := range b.Ports() {
		out = append(out, status.CounterGroup{Kind: "port", Name: p.Name, Counts: []status.Count{
			{Name: "rx-frames", Value: p.RxFrames}, {Name: "rx-bytes", Value: p.RxBytes},
			{Name: "tx-frames", Value: p.TxFrames}, {Name: "tx-bytes", Value: p.TxBytes},
			{Name: "tx-refused", Value: p.TxRefused}, {Name: "rx-dropped", Value: p.RxDropped},
		}})
	}
	for _, p := range b.Peers() {
		out = append(out, status.CounterGroup{Kind: "peer", Name: p.Name, Counts: []status.Count{
			{Name: "rx-packets", Value: p.RxPackets}, {Name: "rx-bytes", Value: p.RxBytes},
			{Name: "tx-packets", Value: p.TxPackets}, {Name: "tx-bytes", Value: p.TxBytes},
			{Name: "transit", Value: p.Transit},
		}})
	}
	for _, y := range b.SecYs() {
		out = append(out, status.CounterGroup{Kind: "macsec", Name: fmt.Sprint(y.VNI), Counts: y.Counters})
		for _, c := range y.RxSCs {
			out = append(out, status.CounterGroup{Kind: "macsec-rx", Name: fmt.Sprintf("%d/%s", y.VNI, c.SCI), Counts: c.Counters})
		}
	}
	return append(out, b.Counters()...)
}

// ListFDB implements ztos.v1.
func (s *service) ListFDB(q *pb.ListFDBRequest, out grpc.ServerStreamingServer[pb.ListFDBResponse]) error {
	f, err := convert.FromMACFilter(q.GetVni(), q.GetMac(), q.GetPort())
	if err != nil {
		return err
	}
	m := &pb.ListFDBResponse{}
	for e := range s.b.FDB(f) {
		m.Entries = append(m.Entries, convert.MAC(e))
		if len(m.Entries) == fdbBatch {
			if err := out.Send(m); err != nil {
				return err
			}
			m = &pb.ListFDBResponse{}
		}
	}
	if len(m.Entries) == 0 {
		return nil
	}
	return out.Send(m)
}

// ListVRFs implements ztos.v1.
func (s *service) ListVRFs(context.Context, *pb.ListVRFsRequest) (*pb.ListVRFsResponse, error) {
	m := &pb.ListVRFsResponse{}
	for _, v := range s.b.VRFs() {
		m.Vrfs = append(m.Vrfs, convert.VRF(v))
	}
	return m, nil
}

// ListRoutes implements ztos.v1.
func (s *service) ListRoutes(q *pb.ListRoutesRequest, out grpc.ServerStreamingServer[pb.ListRoutesResponse]) error {
	f, err := convert.FromRouteFilter(q)
	if err != nil {
		return err
	}
	return batches(s.b.Routes(f), convert.Route, func(rs []*pb.Route) error {
		return out.Send(&pb.ListRoutesResponse{Routes: rs})
	})
}

// ListNeighbours implements ztos.v1.
func (s *service) ListNeighbours(q *pb.ListNeighboursRequest, out grpc.ServerStreamingServer[pb.ListNeighboursResponse]) error {
	f, err := convert.FromNeighbourFilter(q)
	if err != nil {
		return err
	}
	return batches(s.b.Neighbours(f), convert.Neighbour, func(ns []*pb.Neighbour) error {
		return out.Send(&pb.ListNeighboursResponse{Neighbours: ns})
	})
}

// batches converts what in yields and sends it, fdbBatch at a time.
func batches[T, M any](in iter.Seq[T], to func(T) M, send func([]M) error) error {
	var batch []M
	for v := range in {
		if batch = append(batch, to(v)); len(batch) == fdbBatch {
			if err := send(batch); err != nil {
				return err
			}
			batch = nil
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return send(batch)
}

// ApplyConfig implements ztos.v1.
func (s *service) ApplyConfig(_ context.Context, q *pb.ApplyConfigRequest) (*pb.ApplyConfigResponse, error) {
	if len(q.GetDocument()) > config.MaxSize {
		return nil, config.Faults{{Problem: fmt.Sprintf("document of %d bytes is larger than %d", len(q.GetDocument()), config.MaxSize)}}
	}
	gen, err := s.b.Apply(q.GetDocument(), q.GetDryRun())
	return &pb.ApplyConfigResponse{Generation: gen}, err
}

// Reload implements ztos.v1.
func (s *service) Reload(context.Context, *pb.ReloadRequest) (*pb.ReloadResponse, error) {
	gen, err := s.b.Reload()
	return &pb.ReloadResponse{Generation: gen}, err
}

// InstallSA implements ztos.v1.
func (s *service) InstallSA(_ context.Context, q *pb.InstallSARequest) (*pb.InstallSAResponse, error) {
	sa, err := convert.FromSA(q)
	if err != nil {
		return nil, err
	}
	return &pb.InstallSAResponse{}, s.b.InstallSA(sa)
}

// UseAN implements ztos.v1.
func (s *service) UseAN(_ context.Context, q *pb.UseANRequest) (*pb.UseANResponse, error) {
	ref, err := convert.FromUseAN(q)
	if err != nil {
		return nil, err
	}
	return &pb.UseANResponse{}, s.b.UseAN(ref.VNI, ref.AN)
}

// RemoveSA implements ztos.v1.
func (s *service) RemoveSA(_ context.Context, q *pb.RemoveSARequest) (*pb.RemoveSAResponse, error) {
	ref, err := convert.FromSARef(q.GetSa())
	if err != nil {
		return nil, err
	}
	return &pb.RemoveSAResponse{}, s.b.RemoveSA(ref)
}

// FlushFDB implements ztos.v1.
func (s *service) FlushFDB(_ context.Context, q *pb.FlushFDBRequest) (*pb.FlushFDBResponse, error) {
	f, err := convert.FromMACFilter(q.GetVni(), q.GetMac(), q.GetPort())
	if err != nil {
		return nil, err
	}
	n, err := s.b.FlushFDB(f)
	return &pb.FlushFDBResponse{Flushed: int64(n)}, err
}

// watch takes a watcher's token and returns how to give it back.
func (s *service) watch() (release func(), err error) {
	select {
	case s.watchers <- struct{}{}:
		return func() { <-s.watchers }, nil
	default:
		return nil, grpcstatus.Errorf(codes.ResourceExhausted, "%d traces and captures are at work already", maxWatchers)
	}
}

// begun returns what tells the caller, by the stream's header, that watching
// begins: frames sent after the header has come are seen.
func begun(out grpc.ServerStream) func() {
	return func() {
		// It fails when the stream has ended; the next Send says so too.
		if err := out.SendHeader(nil); err != nil {
			return
		}
	}
}

// Trace implements ztos.v1.
func (s *service) Trace(q *pb.TraceRequest, out grpc.ServerStreamingServer[pb.TraceRecord]) error {
	req, err := convert.FromTraceRequest(q)
	if err != nil {
		return err
	}
	release, err := s.watch()
	if err != nil {
		return err
	}
	defer release()
	req.Begun = begun(out)
	return s.b.Trace(out.Context(), req, func(r status.TraceRecord) error {
		return out.Send(convert.TraceRecord(&r))
	})
}

// Capture implements ztos.v1.
func (s *service) Capture(q *pb.CaptureRequest, out grpc.ServerStreamingServer[pb.CapturePacket]) error {
	req, err := convert.FromCaptureRequest(q)
	if err != nil {
		return err
	}
	release, err := s.watch()
	if err != nil {
		return err
	}
	defer release()
	req.Begun = begun(out)
	return s.b.Capture(out.Context(), req, func(p status.CapturePacket) error {
		return out.Send(convert.CapturePacket(&p))
	})
}

// profileChunk is how many bytes of a profile one message holds.
const profileChunk = 256 << 10

// Profile implements ztos.v1. The process profiles itself: no Backend takes
// part.
func (s *service) Profile(q *pb.ProfileRequest, out grpc.ServerStreamingServer[pb.ProfileChunk]) error {
	req, err := convert.FromProfileRequest(q)
	if err != nil {
		return err
	}
	req.Begun = begun(out)
	err = profile.Take(out.Context(), req, chunks{out})
	if errors.Is(err, profile.ErrBusy) {
		return grpcstatus.Error(codes.ResourceExhausted, err.Error())
	}
	return err
}

// chunks is a Writer to a stream of pieces.
type chunks struct {
	out grpc.ServerStreamingServer[pb.ProfileChunk]
}

// Write sends b, in pieces. It waits for a caller that is slow, and fails when
// the caller is gone or the server ends.
func (c chunks) Write(b []byte) (n int, err error) {
	for piece := range slices.Chunk(b, profileChunk) {
		if err := c.out.Context().Err(); err != nil {
			return n, err
		}
		if err := c.out.Send(&pb.ProfileChunk{Data: piece}); err != nil {
			return n, err
		}
		n += len(piece)
	}
	return n, nil
}
