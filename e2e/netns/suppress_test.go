//go:build netns

package netns_test

import (
	"testing"
)

// TestSuppress: leaves answer ARP and ND for hosts of other leaves (RFC 9161), with
// real hosts, and what hosts say wrongly is refused.
func TestSuppress(t *testing.T) {
	b := up(t, "testdata/suppress.yaml", "e2e-supp")
	reach(t, b)
	step(t, "Bindings", b.Bindings)
	step(t, "Explain", b.Explain)
	step(t, "Answered", b.ProxyAnswered)
	step(t, "Unknown", b.ProxyUnknown)
	step(t, "Defended", b.ProxyDefended)
	step(t, "Spoofed", b.ProxySpoofed)
	step(t, "Limited", b.ProxyLimited)
	step(t, "Duplicate", b.ProxyDuplicate)
	step(t, "Moved", b.ProxyMoved)
	step(t, "Withdrawn", b.ProxyWithdrawn)
	step(t, "Silent", b.ProxySilent)
}
