//go:build interop

package interop_test

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/lab/netplumb"
)

// What every bed has in common.
const (
	testVNI = 10100

	host4, host6 = "10.1.0.1", "fd00:1::1" // the tenant's host at the leaf
	far4, far6   = "10.1.0.2", "fd00:1::2" // and at the peer

	// The underlay between leaf and peer.
	leafU4, leafU6 = "192.0.2.1", "2001:db8::1"
	peerU4, peerU6 = "192.0.2.2", "2001:db8::2"

	// VTEPs inside WireGuard.
	leafV4, leafV6 = "10.255.0.1", "fd00:255::1"
	peerV4, peerV6 = "10.255.0.2", "fd00:255::2"

	peerMAC = "02:00:00:00:00:02" // of the peer's vxlan device
	hostMAC = "02:00:00:00:00:01"
)

// bed is the namespaces, files and engines of one test. Everything goes away
// with the test.
type bed struct {
	*testing.T
	dir  string // short: the path of a unix socket has at most 107 bytes
	id   string // prefix of the namespaces' names
	leaf *netplumb.Namespace
	host *netplumb.Namespace
}

// bedSerial tells the beds of this program apart.
var bedSerial atomic.Int32

// newBed makes the leaf's namespace and that of its host, linked.
func newBed(t *testing.T) *bed {
	t.Helper()
	dir, err := os.MkdirTemp("", "iop-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &bed{T: t, dir: dir, id: fmt.Sprintf("iop%d-%d", os.Getpid(), bedSerial.Add(1))}
	b.leaf, b.host = b.namespace("leaf"), b.namespace("host")
	b.attach(b.leaf, "h1", b.host)
	return b
}

// with returns the bed for a subtest, which is what then fails.
func (b *bed) with(t *testing.T) *bed {
	c := *b
	c.T = t
	return &c
}

// namespace makes a namespace that lives as long as the test.
func (b *bed) namespace(name string) *netplumb.Namespace {
	b.Helper()
	name = b.id + "-" + name
	b.must(netplumb.Create(name))
	b.Cleanup(func() {
		if err := remove(name); err != nil {
			b.Error(err)
		}
	})
	ns, err := netplumb.Open(name)
	b.must(err)
	b.Cleanup(func() { ns.Close() })
	return ns
}

// attach makes host's eth0, with the tenant's addresses, and the leaf's port dev
// the ends of one wire.
func (b *bed) attach(leaf *netplumb.Namespace, dev string, host *netplumb.Namespace) {
	b.Helper()
	mac := table.MAC(0x020000000001)
	hw := make([]byte, 6)
	mac.Put(hw)
	b.must(leaf.AddVeth(netplumb.End{Dev: dev}, host, netplumb.End{Dev: "eth0", MAC: hw}, 1500))
	b.must(leaf.SetSilent(dev), leaf.SetUp(dev, true), host.SetUp("eth0", true))
	for _, a := range []string{host4 + "/24", host6 + "/64"} {
		b.must(host.AddAddr("eth0", netip.MustParsePrefix(a)))
	}
}

// underlay links the leaf with a new namespace for a peer: u0 at both ends.
// offloads are those of the leaf's end. The peer's end never has any: a kernel
// leaves the checksums inside VXLAN to a veth device, where nobody ever writes
// them; on a NIC, and without offloads, they are complete.
func (b *bed) underlay(mtu int, offloads bool) (peer *netplumb.Namespace) {
	b.Helper()
	peer = b.namespace("peer")
	b.must(b.leaf.AddVeth(netplumb.End{Dev: "u0"}, peer, netplumb.End{Dev: "u0"}, mtu))
	for ns, addrs := range map[*netplumb.Namespace][2]string{b.leaf: {leafU4, leafU6}, peer: {peerU4, peerU6}} {
		b.must(ns.SetOffloads("u0", offloads && ns == b.leaf), ns.SetUp("u0", true),
			ns.AddAddr("u0", netip.MustParsePrefix(addrs[0]+"/24")),
			ns.AddAddr("u0", netip.MustParsePrefix(addrs[1]+"/64")))
	}
	return peer
}

// must ends the test on the first error.
func (b *bed) must(errs ...error) {
	b.Helper()
	for _, err := range errs {
		if err != nil {
			b.Fatal(err)
		}
	}
}

// in returns a shell in a namespace.
func in(ns *netplumb.Namespace) shell {
	name := ns.Name()
	return func(ctx context.Context, script string) (string, error) {
		cmd := exec.CommandContext(ctx, "sh", "-c", script)
		// What a killed shell started may hold the pipe.
		cmd.WaitDelay = time.Second
		var out limited
		cmd.Stdout, cmd.Stderr = &out, &out
		err := netplumb.Run(name, cmd)
		return out.String(), err
	}
}

// file writes a file for the engine, mode 0600.
func (b *bed) file(name, text string) string {
	b.Helper()
	path := filepath.Join(b.dir, name)
	b.must(os.WriteFile(path, []byte(text+"\n"), 0o600))
	return path
}

// random returns n random bytes in hex.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// wgKey is a WireGuard key pair.
type wgKey struct {
	private string // base64
	public  config.PublicKey
}

func newWGKey() wgKey {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // the random source never fails
	}
	return wgKey{base64.StdEncoding.EncodeToString(k.Bytes()), config.PublicKey(k.PublicKey().Bytes())}
}

// hexKey turns a base64 key into the hex of wireguard-go.
func hexKey(s string) string {
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		panic(err) // it is one of ours
	}
	return hex.EncodeToString(b)
}

// base is the part of a leaf's configuration that all tests share: one port,
// one bridge domain without MACsec.
func (b *bed) base(mtu int) *config.Node {
	return &config.Node{
		Self: config.Self{Name: "leaf", Roles: []config.Role{config.Leaf}},
		Underlay: config.Underlay{
			MTU: mtu, Listen: netip.MustParseAddrPort("[::]:51820"),
		},
		Ports: []config.Port{{Name: "h1", Kind: config.AFPacket, Device: "h1", Own: true}},
		BridgeDomains: []config.BridgeDomain{{
			VNI: testVNI, Name: "red", Protection: config.ProtectNone,
			Attach: []config.Attach{{Port: "h1"}},
		}},
	}
}

// plain makes c a leaf at VTEP self, with its only peer at VTEP far, straight on
// the underlay.
func plain(c *config.Node, self, far string) *config.Node {
	v, p := netip.MustParseAddr(self), netip.MustParseAddr(far)
	c.Self.Address, c.Underlay.VXLANListen = v, v
	c.Peers = []config.Peer{{Name: "peer", Carrier: config.CarrierPlain, Endpoint: netip.AddrPortFrom(p, 0)}}
	c.BridgeDomains[0].VTEPs = []netip.Addr{p}
	return c
}

// await polls until fn returns nil, and fails the test when it does not in time.
func (b *bed) await(what string, limit time.Duration, fn func() error) {
	b.Helper()
	start := time.Now()
	for {
		err := fn()
		if err == nil {
			if d := time.Since(start); d > time.Second {
				b.Logf("%s: took %v", what, d.Round(10*time.Millisecond))
			}
			return
		}
		if time.Since(start) > limit {
			b.Fatalf("%s: not within %v: %v", what, limit, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
