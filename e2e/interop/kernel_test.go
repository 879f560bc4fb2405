//go:build interop

package interop_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/ztos/ztos/e2e/guest"
	"github.com/ztos/ztos/lab/netplumb"
)

const guestMTU = 1600 // of the link between leaf and guest

// TestInteropKernel: MACsec and WireGuard of Debian's kernel at the other end.
// Beside everything else one session with it lasts from the beginning to the end,
// over the kernel's own renewal of its keys.
func TestInteropKernel(t *testing.T) {
	t.Parallel() // with the other test that waits
	b := newBed(t)
	p := b.bootGuest()
	p.serve(t, "0.0.0.0")
	long := kernelRekey(b, p)
	t.Run("MACsec", func(t *testing.T) { testMACsec(t, b, p) })
	t.Run("WireGuard", func(t *testing.T) { testWireGuard(t, b, p) })
	t.Run("renewed keys", long.finish)
}

// bootGuest boots the one guest of a test, linked with the leaf by u0 there and
// eth0 in the guest. It has further programs of this machine.
func (b *bed) bootGuest(programs ...string) shell {
	b.Helper()
	prefixes := func(v4, v6 string) []netip.Prefix {
		return []netip.Prefix{netip.MustParsePrefix(v4 + "/24"), netip.MustParsePrefix(v6 + "/64")}
	}
	g := guest.Boot(b.T, guest.Config{Memory: 288 + 48*len(programs), Namespace: b.leaf.Name(), Programs: programs, NICs: []guest.NIC{{
		Tap: "u0", MTU: guestMTU, HostAddrs: prefixes(leafU4, leafU6), GuestAddrs: prefixes(peerU4, peerU6),
	}}})
	b.Logf("guest: kernel %s", g.Kernel())
	return inGuest(g)
}

// kernelRekey starts a second engine beside the first, with a port, a host and a
// VNI of its own. The guest alone knows an endpoint, so it is the initiator, and
// renews the session after REKEY_AFTER_TIME.
func kernelRekey(b *bed, p shell) *longSession {
	b.Helper()
	host := b.namespace("host2")
	b.must(b.leaf.AddVeth(netplumb.End{Dev: "h2"}, host, netplumb.End{Dev: "eth0"}, 1400),
		b.leaf.SetSilent("h2"), b.leaf.SetUp("h2", true), host.SetUp("eth0", true),
		host.AddAddr("eth0", netip.MustParsePrefix("10.9.0.1/24")))
	w := newWGLink(b, "9", "")
	w.port, w.psk = 51900, true
	w.vtep = [2]string{"10.255.9.1", "10.255.9.2"}
	cfg := w.engineConfig(b, 1500, "")
	cfg.Ports[0].Name, cfg.Ports[0].Device, cfg.Ports[0].Own = "h2", "h2", false
	cfg.BridgeDomains[0].Attach[0].Port = "h2"
	cfg.BridgeDomains[0].VNI++
	e := b.start(b.T, b.leaf, cfg)
	p.must(b, w.kernel(1440, leafU4)+
		"wg set wg9 peer "+w.engine.public.String()+" persistent-keepalive 25\n"+
		strings.ReplaceAll(w.vxlan(), fmt.Sprint("id ", testVNI), fmt.Sprint("id ", testVNI+1))+
		"ip link set vx9 mtu 1390 up\nip addr add 10.9.0.2/24 dev vx9")
	return startLong(e, in(host), "10.9.0.2")
}
