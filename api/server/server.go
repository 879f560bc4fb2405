package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
)

// Bounds of what callers can cost.
const (
	maxRecv     = config.MaxSize + 1<<16 // a configuration, and its message around it
	maxSend     = 16 << 20
	maxRequests = 64              // at a time, per connection
	maxWatchers = 8               // traces and captures at a time
	graceTime   = 2 * time.Second // for requests in progress at Close
)

// Server is a listening API. Close ends it.
type Server struct {
	grpc   *grpc.Server
	path   string
	socket os.FileInfo

	ctx    context.Context // ends with Close: streams end with it
	cancel context.CancelFunc
	served chan error
	once   sync.Once
}

// Listen makes the socket at path and serves b on it. The folder is made when
// missing. Errors: ErrInUse, those of the file system.
func Listen(path string, b Backend) (*Server, error) {
	return listenAs(path, b, ownOrRoot)
}

func listenAs(path string, b Backend, allowed func(uid uint32) bool) (*Server, error) {
	l, err := listen(path)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	st, err := os.Lstat(path)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("server: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{path: path, socket: st, ctx: ctx, cancel: cancel, served: make(chan error, 1)}
	s.grpc = grpc.NewServer(
		grpc.Creds(peerCred{allowed}),
		grpc.MaxRecvMsgSize(maxRecv),
		grpc.MaxSendMsgSize(maxSend),
		grpc.MaxConcurrentStreams(maxRequests),
		grpc.ConnectionTimeout(5*time.Second),
		grpc.ChainUnaryInterceptor(s.unary),
		grpc.ChainStreamInterceptor(s.stream),
	)
	pb.RegisterNodeServer(s.grpc, &service{b: b, watchers: make(chan struct{}, maxWatchers)})
	pb.RegisterEVPNServer(s.grpc, &evpnService{b: b})
	pb.RegisterBFDServer(s.grpc, &bfdService{b: b})
	pb.RegisterVerifyServer(s.grpc, &verifyService{b: b})
	pb.RegisterDHCPServer(s.grpc, &dhcpService{b: b})
	go func() { s.served <- s.grpc.Serve(l) }()
	return s, nil
}

// Path returns the socket's path.
func (s *Server) Path() string { return s.path }

// Close ends streams, waits a moment for other requests, and removes the socket.
// It may be called more than once. It returns what ended serving early.
func (s *Server) Close() (err error) {
	s.once.Do(func() {
		s.cancel()
		done := make(chan struct{})
		go func() { s.grpc.GracefulStop(); close(done) }()
		select {
		case <-done:
		case <-time.After(graceTime):
			s.grpc.Stop()
			<-done
		}
		// A Close that overtakes the start of serving is no fault.
		if err = <-s.served; errors.Is(err, grpc.ErrServerStopped) {
			err = nil
		}
		// A successor may have made its own socket meanwhile.
		if sameFile(s.path, s.socket) {
			if rm := os.Remove(s.path); rm != nil && err == nil {
				err = rm
			}
		}
	})
	return err
}

// unary contains panics and translates errors.
func (s *Server) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (resp any, err error) {
	defer contain(info.FullMethod, &err)
	resp, err = next(ctx, req)
	return resp, toStatus(err)
}

// stream does the same for streams, and ends them at Close.
func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) (err error) {
	defer contain(info.FullMethod, &err)
	ctx, cancel := context.WithCancelCause(ss.Context())
	defer cancel(nil)
	stop := context.AfterFunc(s.ctx, func() { cancel(errClosing) })
	defer stop()
	err = next(srv, &boundStream{ss, ctx})
	if context.Cause(ctx) == errClosing {
		return errClosing
	}
	return toStatus(err)
}

var errClosing = grpcstatus.Error(codes.Unavailable, "the engine is ending")

// boundStream is a stream whose context ends with the server.
type boundStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context returns the bound context.
func (b *boundStream) Context() context.Context { return b.ctx }

// contain turns a panic into INTERNAL. The forwarding path must not die of a
// request. The stack goes to stderr, as the runtime would print it.
func contain(method string, err *error) {
	if r := recover(); r != nil {
		fmt.Fprintf(os.Stderr, "server: %s: panic: %v\n%s", method, r, debug.Stack())
		*err = grpcstatus.Errorf(codes.Internal, "%s: a bug was contained; see the engine's log", method)
	}
}
