package server

import (
	"context"
	"errors"
	"strings"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/ztos/ztos/api/convert"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// maxFaults is how many faults an answer carries. Status details travel in HTTP/2
// trailers, which receivers bound.
const maxFaults = 100

// toStatus turns a Backend's error into a gRPC status error.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := grpcstatus.FromError(err); ok {
		return err
	}
	if fs, ok := errors.AsType[config.Faults](err); ok && len(fs) > 0 {
		// The message is for callers that do not know the detail.
		first := fs[0].String()
		st := grpcstatus.New(codes.InvalidArgument, oneLine(first))
		if with, err := st.WithDetails(convert.Faults(fs, maxFaults)); err == nil {
			st = with
		}
		return st.Err()
	}
	code := codes.Internal
	switch {
	case errors.Is(err, context.Canceled):
		code = codes.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errors.Is(err, status.ErrNotFound):
		code = codes.NotFound
	case errors.Is(err, status.ErrPrecondition):
		code = codes.FailedPrecondition
	}
	return grpcstatus.Error(code, oneLine(err.Error()))
}

// oneLine returns s on one line of at most 1024 bytes: it travels in a header.
func oneLine(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "\n", " | ")
	return strings.ToValidUTF8(s[:min(len(s), 1024)], "")
}
