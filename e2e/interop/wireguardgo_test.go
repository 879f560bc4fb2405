//go:build interop

package interop_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"

	"github.com/ztos/ztos/lab/netplumb"
	"github.com/ztos/ztos/perf/iperf"
)

// goPeer is wireguard-go in a namespace, with its TUN device wg0. It runs in the
// test's process, which is how a test can make it begin a handshake.
type goPeer struct {
	*bed
	dev *device.Device
	ns  *netplumb.Namespace
}

// wireguardGo starts wireguard-go at the peer's end of w; endpoint is the
// engine's address, or empty.
func (b *bed) wireguardGo(ns *netplumb.Namespace, w *wgLink, mtu int, endpoint string) *goPeer {
	b.Helper()
	uapi := fmt.Sprintf("private_key=%s\nlisten_port=%d\npublic_key=%x\nallowed_ip=%v\n", hexKey(w.peer.private), w.port, w.engine.public[:], hostPrefix(w.vtep[0]))
	if w.psk {
		uapi += "preshared_key=" + hexKey(w.pskText) + "\n"
	}
	if endpoint != "" {
		uapi += "endpoint=" + netip.AddrPortFrom(netip.MustParseAddr(endpoint), w.port).String() + "\n"
	}
	g := &goPeer{bed: b, ns: ns}
	// Devices and sockets stay in the namespace in which they were opened. The
	// device goes up here, before it is told so by the kernel.
	b.must(netplumb.Do(ns.Name(), func() error {
		t, err := tun.CreateTUN("wg0", mtu)
		if err != nil {
			return err
		}
		quiet := &device.Logger{Verbosef: device.DiscardLogf, Errorf: device.DiscardLogf}
		g.dev = device.NewDevice(t, conn.NewDefaultBind(), quiet)
		return errors.Join(g.dev.IpcSet(uapi), g.dev.Up())
	}))
	b.Cleanup(g.dev.Close)
	in(ns).must(b, fmt.Sprintf("ip addr add %v dev wg0\n", hostPrefix(w.vtep[1]))+w.up())
	return g
}

// initiate makes wireguard-go initiate.
func (g *goPeer) initiate(w *wgLink) error {
	p := g.dev.LookupPeer(device.NoisePublicKey(w.engine.public))
	if p == nil {
		return errors.New("wireguard-go does not know the engine")
	}
	return p.SendHandshakeInitiation(false)
}

// last returns the UAPI's last_handshake_time_sec, and whether it is not 0.
func (g *goPeer) last() (sec string, ok bool) {
	g.Helper()
	text, err := g.dev.IpcGet()
	g.must(err)
	_, rest, _ := strings.Cut(text, "last_handshake_time_sec=")
	sec, _, _ = strings.Cut(rest, "\n")
	return sec, sec != "" && sec != "0"
}

// goLink is an engine and wireguard-go with the kernel's vxlan device on it.
type goLink struct {
	*bed
	w    *wgLink
	e    *engine
	g    *goPeer
	h, p shell
	mtu  int // of the tenant
	// What the engine dropped before it knew its peer's endpoint.
	excuse string
}

// newGoLink makes the link. Only the end that initiates knows an endpoint.
func newGoLink(t *testing.T, v6, engineInitiates, psk bool) *goLink {
	t.Helper()
	const underlayMTU = 1600
	b := newBed(t)
	peer := b.underlay(underlayMTU, true)
	w := newWGLink(b, "0", "")
	w.psk = psk
	leafU, peerU := leafU4, peerU4
	if v6 {
		leafU, peerU = leafU6, peerU6
	}
	toEngine, toPeer := leafU, ""
	if engineInitiates {
		toEngine, toPeer = toPeer, peerU
	}
	l := &goLink{bed: b, w: w, h: in(b.host), p: in(peer), mtu: underlayMTU - 80 - 50}
	if engineInitiates && !v6 {
		l.mtu += 20
	}
	start := func() { l.e = b.start(t, b.leaf, w.engineConfig(b, underlayMTU, toPeer)) }
	// The responder is there first.
	if !engineInitiates {
		start()
		l.excuse = l.e.lost(l.h)
	}
	l.g = b.wireguardGo(peer, w, l.mtu+50, toEngine)
	l.p.must(t, w.vxlan()+"ip link set vx0 up\n"+addresses("vx0"))
	if engineInitiates {
		start()
	} else if err := l.p.reach(host4); err != nil {
		t.Fatal(err)
	}
	if got := l.e.tenantMTU(); got != l.mtu {
		t.Errorf("tenant MTU %d, want %d", got, l.mtu)
	}
	b.must(b.host.SetMTU("eth0", l.mtu))
	return l
}

// TestInteropWireGuardGo: VXLAN in WireGuard with wireguard-go at the other end,
// either end initiating.
func TestInteropWireGuardGo(t *testing.T) {
	for _, tt := range []struct {
		name            string
		v6, engine, psk bool
	}{
		{"the engine initiates, IPv4, PSK", false, true, true},
		{"wireguard-go initiates, IPv6", true, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newGoLink(t, tt.v6, tt.engine, tt.psk)
			if err := errors.Join(l.h.reach(far4), l.h.reach(far6)); err != nil {
				t.Fatal(err)
			}
			if _, ok := l.g.last(); !ok || !l.e.peer().HasHandshake {
				t.Errorf("no handshake: %+v", l.e.peer())
			}
			for _, err := range []error{
				l.h.ping(far4, "-s 0"),
				l.h.ping(far4, fmt.Sprintf("-M do -s %d", l.mtu-28)),
				l.h.ping(far6, fmt.Sprintf("-M do -s %d", l.mtu-48)),
				l.p.ping(host4, fmt.Sprintf("-M do -s %d", l.mtu-28)),
				l.p.ping(leafV4, ""),
			} {
				if err != nil {
					t.Error(err)
				}
			}
			l.p.serve(t, far4)
			for _, reverse := range []bool{false, true} {
				r, err := l.h.tcp(far4, reverse)
				if err != nil || r.Bytes < 1<<20 {
					t.Errorf("TCP, reverse %v: %+v, %v", reverse, r, err)
				}
				t.Logf("TCP, reverse %v: %.0f Mbit/s, %d retransmits", reverse, r.BitsPerSecond/1e6, r.Retransmits)
			}
			l.e.lossless(l.excuse, "wg-no-session") // both before the first handshake
			if tt.engine {
				goRestarts(t, l)
			} else {
				goHandshakes(t, l)
			}
		})
	}
}

// goRestarts restarts the engine; wireguard-go holds sessions that the engine
// does not know any more, and gets new ones.
func goRestarts(t *testing.T, l *goLink) {
	l.e.restart()
	if err := errors.Join(l.h.reach(far4), l.h.ping(far4, ""), l.p.ping(host4, "")); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if !l.e.peer().HasHandshake {
		t.Errorf("no handshake: %+v", l.e.peer())
	}
	// wireguard-go may have sent under the old session meanwhile.
	l.e.lossless("wg-unknown-index", "wg-no-session")
}

// goHandshakes lets wireguard-go renew the session three times under load, as it
// does every two minutes: no ping is lost, nothing fails to authenticate.
func goHandshakes(t *testing.T, l *goLink) {
	before := l.e.drops()
	flood := l.h.keepPinging(t, far4, "0.005", "go")
	type result struct {
		iperf.Result
		error
	}
	load := make(chan result, 1)
	go func() {
		// Bounded, so that what is lost is not lost in a queue.
		out, err := l.h.try("iperf3 -J -b 50M -t 16 --bidir -c " + far4)
		r, perr := iperf.Parse([]byte(out))
		if perr != nil {
			err = errors.Join(perr, err)
		}
		load <- result{r, err}
	}()
	since := time.Now()
	for i := range 3 {
		time.Sleep(5100 * time.Millisecond) // REKEY_TIMEOUT since the last one
		// wireguard-go may have begun one by itself, and refuses another then: it arms
		// the timer that sends an initiation again after it has sent it, and where the
		// response is faster, nothing disarms it.
		l.must(l.g.initiate(l.w))
		l.await(fmt.Sprint("handshake ", i+2), 3*time.Second, func() error {
			if age := l.e.peer().HandshakeAge.D(); age > time.Since(since) {
				return fmt.Errorf("the last handshake is %v old", age)
			}
			return nil
		})
		since = time.Now()
	}
	if r := <-load; r.error != nil || r.Bytes < 50<<20 {
		t.Errorf("load: %+v", r)
	}
	flood.lossless(t)
	if now := l.e.drops(); now.String() != before.String() {
		t.Errorf("dropped before: %v; after: %v", before, now)
	}
}

// TestInteropRekey: the engine is the initiator, and renews the session after
// REKEY_AFTER_TIME; wireguard-go goes along.
func TestInteropRekey(t *testing.T) {
	t.Parallel() // with the other test that waits
	l := newGoLink(t, false, true, true)
	long := startLong(l.e, l.h, far4)
	long.finish(t)
}
