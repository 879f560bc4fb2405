//go:build interop

package interop_test

import (
	"fmt"
	"testing"
	"time"
)

// rekeyAfter is REKEY_AFTER_TIME of WireGuard's whitepaper, section 6.1.
const rekeyAfter = 120 * time.Second

// longSession is a WireGuard session with pings through it, which lasts until
// its keys were renewed.
type longSession struct {
	e     *engine
	ping  *pinging
	start time.Time
}

// startLong waits for the session and begins to ping addr from the tenant's
// host.
func startLong(e *engine, h shell, addr string) *longSession {
	e.Helper()
	if err := h.reach(addr); err != nil {
		e.Fatal(err)
	}
	p := e.peer()
	if !p.HasHandshake {
		e.Fatalf("no handshake: %+v", p)
	}
	l := &longSession{e: e, start: time.Now().Add(-p.HandshakeAge.D()), ping: h.keepPinging(e.T, addr, "0.05", fmt.Sprint("long-", e.cfg.Underlay.Listen.Port()))}
	return l
}

// finish waits for the second handshake and wants every ping answered.
func (l *longSession) finish(t *testing.T) {
	deadline := l.start.Add(rekeyAfter + 30*time.Second)
	for {
		p := l.e.peer()
		if age := time.Since(l.start); p.HandshakeAge.D() < age-time.Second {
			if age-p.HandshakeAge.D() < rekeyAfter-time.Second {
				t.Errorf("a second handshake after %v: %+v", age-p.HandshakeAge.D(), p)
			}
			t.Logf("second handshake %v after the first", (age - p.HandshakeAge.D()).Round(100*time.Millisecond))
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no second handshake: %+v", p)
		}
		time.Sleep(time.Second)
	}
	time.Sleep(2 * time.Second) // with the new keys
	l.ping.lossless(t)
	l.e.lossless("wg-endpoint-unknown", "wg-no-session") // both before the first handshake
}
