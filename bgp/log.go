package bgp

import (
	"context"
	"log/slog"
	"sync"
)

// quiet returns a logger for GoBGP that passes on warnings and errors, and says
// whose they are.
func quiet(log *slog.Logger, read *sync.Mutex) *slog.Logger {
	return slog.New(&gobgpHandler{log.Handler(), read}).With("component", "gobgp")
}

// gobgpHandler drops what is below a warning.
//
// GoBGP hands out paths and later marks them stale, without a lock that the
// reader could take. Its sessions log before they do so, and that is the only
// code of ours that they run: therefore the handler takes the lock that the
// reader takes after it has read, and what was read is ordered before the mark.
type gobgpHandler struct {
	slog.Handler
	read *sync.Mutex
}

// Enabled implements slog.Handler.
func (h *gobgpHandler) Enabled(ctx context.Context, l slog.Level) bool {
	h.read.Lock()
	//lint:ignore SA2001 only the order counts
	h.read.Unlock()
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h *gobgpHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return &gobgpHandler{h.Handler.WithAttrs(a), h.read}
}

// WithGroup implements slog.Handler.
func (h *gobgpHandler) WithGroup(n string) slog.Handler {
	return &gobgpHandler{h.Handler.WithGroup(n), h.read}
}
