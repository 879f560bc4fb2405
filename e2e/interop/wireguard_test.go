//go:build interop

package interop_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/config"
)

// wgLink is a WireGuard link between an engine and a peer, with VXLAN on it.
type wgLink struct {
	suffix  string // of the peer's devices wg0 and vx0
	port    uint16 // both listen on it
	engine  wgKey
	peer    wgKey
	psk     bool
	pskText string
	vtep    [2]string // the engine's and the peer's
}

// newWGLink makes keys. family is "" or "6": that of the VTEPs.
func newWGLink(b *bed, suffix, family string) *wgLink {
	w := &wgLink{suffix: suffix, port: 51820, engine: newWGKey(), peer: newWGKey(), pskText: newWGKey().private}
	w.vtep = [2]string{leafV4, peerV4}
	if family == "6" {
		w.vtep = [2]string{leafV6, peerV6}
	}
	return w
}

// hostPrefix returns the prefix of one address.
func hostPrefix(a string) netip.Prefix {
	p := netip.MustParseAddr(a)
	return netip.PrefixFrom(p, p.BitLen())
}

// engineConfig returns the engine's configuration; endpoint is an address, or
// empty when only the peer can initiate.
func (w *wgLink) engineConfig(b *bed, mtu int, endpoint string) *config.Node {
	c := b.base(mtu)
	c.Self.Address = netip.MustParseAddr(w.vtep[0])
	c.Underlay.Listen = netip.AddrPortFrom(netip.IPv6Unspecified(), w.port)
	c.WireGuard.PrivateKeyFile = b.file("wg"+w.suffix, w.engine.private)
	p := config.Peer{Name: "peer", PublicKey: w.peer.public, AllowedIPs: []netip.Prefix{hostPrefix(w.vtep[1])}}
	if w.psk {
		p.PresharedKeyFile = b.file("psk"+w.suffix, w.pskText)
	}
	if endpoint != "" {
		p.Endpoint = netip.AddrPortFrom(netip.MustParseAddr(endpoint), w.port)
	}
	c.Peers = []config.Peer{p}
	c.BridgeDomains[0].VTEPs = []netip.Addr{netip.MustParseAddr(w.vtep[1])}
	return c
}

// setPeer is the script that tells the kernel's wg of the engine.
func (w *wgLink) setPeer(endpoint string) string {
	s := fmt.Sprintf("wg set wg%s peer %s allowed-ips %v", w.suffix, w.engine.public, hostPrefix(w.vtep[0]))
	if w.psk {
		s += " preshared-key /tmp/psk" + w.suffix
	}
	if endpoint != "" {
		s += " endpoint " + netip.AddrPortFrom(netip.MustParseAddr(endpoint), w.port).String()
	}
	return s + "\n"
}

// up is the script that brings the kernel's wg up, with the route to the engine.
func (w *wgLink) up() string {
	return fmt.Sprintf("ip link set wg%s up\nip route add %v dev wg%s\n", w.suffix, hostPrefix(w.vtep[0]), w.suffix)
}

// kernel is the script that makes the kernel's wg.
func (w *wgLink) kernel(mtu int, endpoint string) string {
	return "umask 077\n" +
		fmt.Sprintf("echo %s > /tmp/wg%s\necho %s > /tmp/psk%s\n", w.peer.private, w.suffix, w.pskText, w.suffix) +
		fmt.Sprintf("ip link add wg%s mtu %d type wireguard\n", w.suffix, mtu) +
		fmt.Sprintf("wg set wg%s private-key /tmp/wg%s listen-port %d\n", w.suffix, w.suffix, w.port) + w.setPeer(endpoint) +
		fmt.Sprintf("ip addr add %v dev wg%s\n", hostPrefix(w.vtep[1]), w.suffix) + w.up()
}

// vxlan is the script that makes the vxlan device on it; it is down.
func (w *wgLink) vxlan() string {
	return strings.ReplaceAll(kernelVXLAN(w.vtep[1], w.vtep[0], "wg"+w.suffix, ""), "vx0", "vx"+w.suffix)
}

// lost checks that nothing gets out of an engine that does not know where its
// peer is, and returns the reason.
func (e *engine) lost(h shell) (reason string) {
	e.Helper()
	reason = "wg-endpoint-unknown"
	if err := h.silence(far4); err != nil {
		e.Error(err)
	}
	if e.drops()[reason] == 0 {
		e.Errorf("%s was not counted: %v", reason, e.drops())
	}
	return reason
}

// handshake returns when the kernel completed its last handshake with the
// engine, seconds; 0 is never.
func (w *wgLink) handshake(t *testing.T, p shell) int64 {
	t.Helper()
	f := strings.Fields(p.must(t, "wg show wg"+w.suffix+" latest-handshakes"))
	if len(f) != 2 {
		t.Fatalf("latest-handshakes: %q", f)
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// testWireGuard: VXLAN in WireGuard, with and without MACsec, with the guest at
// the other end.
func testWireGuard(t *testing.T, b *bed, p shell) {
	h := in(b.host)
	for _, tt := range []struct {
		name   string
		v6     bool   // the endpoints
		vtep   string // "6": IPv6 VTEPs
		engine bool   // the engine has the endpoint and initiates
		psk    bool
		macsec bool
		tcp    bool
		then   func(*testing.T, *wgCase)
	}{
		{"the engine initiates, IPv4, PSK, all three layers", false, "", true, true, true, true, engineRestarts},
		{"the kernel initiates, IPv6, PSK", true, "", false, true, false, true, forcedHandshakes},
		{"the kernel initiates, IPv4", false, "6", false, false, false, false, roaming},
		{"the engine initiates, IPv6", true, "6", true, false, false, false, keepalives},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := b.with(t)
			w := newWGLink(b, "0", tt.vtep)
			w.psk = tt.psk
			c := &wgCase{bed: b, wgLink: w, h: h, p: p, leafU: leafU4, peerU: peerU4}
			if tt.v6 {
				c.leafU, c.peerU = leafU6, peerU6
			}
			wgMTU := guestMTU - 80
			if tt.engine && !tt.v6 { // a peer of no known endpoint may come over IPv6
				wgMTU += 20
			}
			mtu := wgMTU - 50
			if tt.vtep == "6" {
				mtu -= 20
			}
			toEngine, toPeer := c.leafU, ""
			if tt.engine {
				toEngine, toPeer = toPeer, c.peerU
			}
			cfg := w.engineConfig(b, guestMTU, toPeer)
			script := "ip link del wg0 2> /dev/null || true\n" + w.kernel(wgMTU, toEngine) + w.vxlan()
			dev := "vx0"
			if tt.macsec {
				dev = "ms0"
				mtu -= 32
				k := newKeys(config.GCMAES256, true)
				k.protect(b, cfg)
				script += k.kernel(mtu)
			} else {
				script += "ip link set vx0 up\n" + addresses("vx0")
			}
			// The responder is there first.
			excuse := ""
			if tt.engine {
				p.must(t, script)
			}
			e := b.start(t, b.leaf, cfg)
			c.e = e
			if got := e.tenantMTU(); got != mtu {
				t.Errorf("tenant MTU %d, want %d", got, mtu)
			}
			b.must(b.host.SetMTU("eth0", mtu))
			h.must(t, "ip neigh flush dev eth0")
			if !tt.engine {
				excuse = e.lost(h)
				p.must(t, script)
				if err := p.reach(host4); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(h.reach(far4), h.reach(far6)); err != nil {
				t.Fatal(err)
			}
			for _, err := range []error{
				h.ping(far4, "-s 0"),
				h.ping(far4, fmt.Sprintf("-M do -s %d", mtu-28)),
				h.ping(far6, fmt.Sprintf("-M do -s %d", mtu-48)),
				p.ping(host4, fmt.Sprintf("-M do -I %s -s %d", dev, mtu-28)),
				// The engine's own host stack answers inside WireGuard.
				p.ping(w.vtep[0], ""),
			} {
				if err != nil {
					t.Error(err)
				}
			}
			if tt.tcp {
				for _, reverse := range []bool{false, true} {
					r, err := h.tcp(far4, reverse)
					if err != nil || r.Bytes < 256<<10 {
						t.Errorf("TCP, reverse %v: %+v, %v", reverse, r, err)
					}
					t.Logf("TCP, reverse %v: %.0f Mbit/s, %d retransmits", reverse, r.BitsPerSecond/1e6, r.Retransmits)
				}
			}
			if w.handshake(t, p) == 0 || !e.peer().HasHandshake {
				t.Errorf("no handshake: %+v", e.peer())
			}
			if tt.macsec {
				clean(t, "engine", counts(e.secy()), "InPktsOK")
				clean(t, "kernel", kernelCounts(t, p), "InPktsOK")
			}
			e.lossless(excuse, "wg-no-session") // both before the first handshake
			tt.then(t, c)
		})
	}
	t.Run("pinned endpoint", func(t *testing.T) { pinned(t, b.with(t), h, p) })
	t.Run("wrong PSK", func(t *testing.T) {
		b := b.with(t)
		w := newWGLink(b, "0", "")
		w.psk = true
		cfg := w.engineConfig(b, guestMTU, peerU4)
		w.pskText = newWGKey().private
		p.must(t, "ip link del wg0 2> /dev/null || true\n"+w.kernel(guestMTU-60, leafU4)+w.vxlan()+"ip link set vx0 up\n"+addresses("vx0"))
		e := b.start(t, b.leaf, cfg)
		if err := errors.Join(h.silence(far4), p.silence(host4)); err != nil {
			t.Error(err)
		}
		if w.handshake(t, p) != 0 || e.peer().HasSession {
			t.Errorf("a session: %+v", e.peer())
		}
	})
}

// wgCase is a WireGuard link with the guest that works.
type wgCase struct {
	*bed
	*wgLink
	e            *engine
	h, p         shell
	leafU, peerU string // underlay addresses in use
}

// again waits until a handshake younger than since was completed at both ends,
// and pings pass.
func (c *wgCase) again(t *testing.T, what string, since time.Time, before int64) {
	t.Helper()
	c.await(what, 20*time.Second, func() error {
		pe := c.e.peer()
		if age := pe.HandshakeAge.D(); !pe.HasHandshake || age > time.Since(since) {
			return fmt.Errorf("the engine's last handshake is %v old", age)
		}
		if now := c.handshake(t, c.p); now < before || now == 0 {
			return fmt.Errorf("the kernel's last handshake was at %d, not after %d", now, before)
		}
		return nil
	})
	if err := errors.Join(c.h.reach(far4), c.h.ping(far4, ""), c.p.ping(host4, "")); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// engineRestarts ends the engine and starts it again: it makes a new session, and
// its packet numbers go on above those that the kernel has seen.
func engineRestarts(t *testing.T, c *wgCase) {
	before := c.handshake(t, c.p)
	c.e.stop()
	if err := c.h.silence(far4); err != nil {
		t.Errorf("without an engine: %v", err)
	}
	since := time.Now()
	c.e.launch()
	if err := c.h.reach(far4); err != nil {
		t.Error(err)
	}
	c.again(t, "the engine restarted", since, before)
	clean(t, "kernel", kernelCounts(t, c.p), "InPktsOK")
	c.e.lossless("wg-no-session", "wg-unknown-index")
}

// forcedHandshakes makes the kernel forget its sessions three times while pings
// flow; each time it makes a new one.
func forcedHandshakes(t *testing.T, c *wgCase) {
	flood := c.p.keepPinging(t, host4, "0.01", "forced")
	for i, script := range []string{
		"wg set wg0 peer " + c.engine.public.String() + " remove\n" + c.setPeer(c.leafU),
		"ip link set wg0 down\n" + c.up(),
		"wg set wg0 peer " + c.engine.public.String() + " remove\n" + c.setPeer(c.leafU),
	} {
		before := c.handshake(t, c.p)
		since := time.Now()
		c.p.must(t, script)
		c.again(t, fmt.Sprint("handshake ", i+2), since, before)
	}
	got, err := flood.stop()
	if err != nil || len(got.got) < got.sent/2 {
		t.Errorf("%d pings, %d answers: %v", got.sent, len(got.got), err)
	}
	t.Logf("%d pings, %d answers", got.sent, len(got.got))
	c.e.lossless("wg-endpoint-unknown")
}

// roaming lets the guest change its port, then its address; the engine follows
// what authenticates: to another address at once, to another port of the same
// address when the old one was silent for a while, because its peers may use
// several.
func roaming(t *testing.T, c *wgCase) {
	flood := c.p.keepPinging(t, host4, "0.02", "roam")
	for _, move := range []struct{ script, want string }{
		{"wg set wg0 listen-port 51999", peerU4 + ":51999"},
		{"wg set wg0 peer " + c.engine.public.String() + " endpoint [" + leafU6 + "]:51820", "[" + peerU6 + "]:51999"},
		{"wg set wg0 listen-port 51820; " + strings.TrimSpace(c.setPeer(leafU4)), peerU4 + ":51820"},
	} {
		// The kernel follows too: a packet of the engine that is under way calls
		// it back before it has sent any, so it is told again.
		c.await("the engine follows to "+move.want, 10*time.Second, func() error {
			c.p.must(t, move.script)
			time.Sleep(100 * time.Millisecond) // a few pings
			if got := c.e.peer().Endpoint.String(); got != move.want {
				return fmt.Errorf("endpoint %s", got)
			}
			return nil
		})
		if err := errors.Join(c.h.reach(far4), c.h.ping(far4, "")); err != nil {
			t.Errorf("at %s: %v", move.want, err)
		}
	}
	got, err := flood.stop()
	if err != nil || len(got.got) == 0 {
		t.Errorf("%d pings, %d answers: %v", got.sent, len(got.got), err)
	}
	t.Logf("%d pings, %d answers", got.sent, len(got.got))
	c.e.lossless("wg-endpoint-unknown")
}

// pinned: an authentic packet from an address that is not allowed does not move
// the endpoint.
func pinned(t *testing.T, b *bed, h, p shell) {
	w := newWGLink(b, "0", "")
	cfg := w.engineConfig(b, guestMTU, peerU4)
	cfg.Peers[0].PinnedEndpoints = []netip.Prefix{hostPrefix(peerU4)}
	p.must(t, "ip link del wg0 2> /dev/null || true\n"+w.kernel(guestMTU-60, leafU4)+w.vxlan()+"ip link set vx0 up\n"+addresses("vx0"))
	e := b.start(t, b.leaf, cfg)
	if err := errors.Join(h.reach(far4), h.ping(far4, "")); err != nil {
		t.Fatal(err)
	}
	// The kernel answers to where the engine's packets come from, and so comes
	// back by itself, perhaps before it has sent any: then it is told again.
	b.await("a packet from elsewhere", 10*time.Second, func() error {
		out, err := p.try("wg set wg0 peer " + w.engine.public.String() + " endpoint [" + leafU6 + "]:51820; ping -n -c 3 -i 0.1 -W 1 " + host4)
		if err != nil {
			t.Errorf("from elsewhere: %v\n%s", err, out)
		}
		if e.counter("wireguard", "refused-pinned") == 0 {
			return errors.New("refused-pinned was not counted")
		}
		return nil
	})
	if got := e.peer().Endpoint.String(); got != peerU4+":51820" {
		t.Errorf("the endpoint moved to %s", got)
	}
}

// keepalives restarts the engine with a persistent keepalive: without any traffic
// it makes a session, and keeps on being heard.
func keepalives(t *testing.T, c *wgCase) {
	c.e.stop()
	c.p.must(t, "wg set wg0 peer "+c.engine.public.String()+" remove\n"+c.setPeer("")+"ip link set vx0 down")
	c.e.cfg.Peers[0].Keepalive = config.Duration(time.Second)
	c.e.launch()
	var first int64
	c.await("a session without traffic", 10*time.Second, func() error {
		if c.handshake(t, c.p) == 0 {
			return errors.New("the kernel knows of none")
		}
		first = c.received(t)
		return nil
	})
	c.await("keepalives", 10*time.Second, func() error {
		// A keepalive is a data message of 32 bytes; two of them.
		if now := c.received(t); now < first+64 {
			return fmt.Errorf("the kernel received %d bytes since", now-first)
		}
		return nil
	})
	c.e.lossless()
}

// received returns the bytes that the kernel got from the engine.
func (c *wgCase) received(t *testing.T) int64 {
	t.Helper()
	f := strings.Fields(c.p.must(t, "wg show wg0 transfer"))
	if len(f) != 3 {
		t.Fatalf("transfer: %q", f)
	}
	n, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
