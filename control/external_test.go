package control

import (
	"testing"
	"testing/synctest"

	"github.com/ztos/ztos/bgp"
)

// TestExternalRetry: what could not be configured is tried again, but never once a
// newer configuration has taken its place.
func TestExternalRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &external{ready: make(chan struct{}, 1)}
		next := func() uint32 {
			t.Helper()
			<-x.ready
			if c := x.take(); c != nil {
				return c.ASN
			}
			return 0
		}
		x.configure(bgp.Config{ASN: 1})
		if got := next(); got != 1 {
			t.Fatalf("AS %d taken, want 1", got)
		}
		x.retry(x.want)
		if got := next(); got != 1 {
			t.Errorf("AS %d tried again, want 1", got)
		}
		x.retry(x.want)
		x.configure(bgp.Config{ASN: 2})
		if got := next(); got != 2 {
			t.Fatalf("AS %d taken, want 2", got)
		}
		if got := next(); got != 0 { // the timer of the first
			t.Errorf("AS %d again, want none", got)
		}
	})
}
