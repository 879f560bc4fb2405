//go:build interop

package guest_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ztos/ztos/e2e/guest"
	"github.com/ztos/ztos/lab/netplumb"
)

// TestInteropGuest boots one guest and looks at everything that other tests
// build on.
func TestInteropGuest(t *testing.T) {
	start := time.Now()
	tac, err := exec.LookPath("tac") // of coreutils: dynamic, and on every machine
	if err != nil {
		t.Fatal(err)
	}
	g := guest.Boot(t, guest.Config{Programs: []string{tac}, NICs: []guest.NIC{{
		HostAddrs:  []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8::1/64")},
		GuestAddrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24"), netip.MustParsePrefix("2001:db8::2/64")},
		MTU:        1600,
	}}})
	t.Logf("kernel %s, up after %v", g.Kernel(), time.Since(start).Round(100*time.Millisecond))

	t.Run("commands", func(t *testing.T) { testCommands(t, g) })
	t.Run("devices", func(t *testing.T) { testDevices(t, g) })
	t.Run("UDP", func(t *testing.T) { testUDP(t, g) })
}

func testCommands(t *testing.T, g *guest.Guest) {
	if out := g.MustRun(t, "echo one; echo two >&2"); out != "one\ntwo\n" {
		t.Errorf("got %q", out)
	}
	out, err := g.Run("echo no; exit 3")
	var exit *guest.ExitError
	if !errors.As(err, &exit) || exit.Status != 3 || out != "no\n" {
		t.Errorf("got %q, %v", out, err)
	}
	if out := g.MustRun(t, "seq 1 20000"); len(out) != 108894 || !strings.HasSuffix(out, "\n20000\n") {
		t.Errorf("long output: %d bytes", len(out))
	}
	if err := g.WriteFile("/tmp/it's", []byte("secret\n")); err != nil {
		t.Fatal(err)
	}
	if out := g.MustRun(t, `cat "/tmp/it's"; stat -c %a "/tmp/it's"`); out != "secret\n600\n" {
		t.Errorf("got %q", out)
	}
	if err := g.WriteFile("/nowhere/f", []byte("secret")); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("WriteFile into nowhere: %v", err)
	}
	if out := g.MustRun(t, "seq 1 3 | /usr/local/bin/tac"); out != "3\n2\n1\n" {
		t.Errorf("a program brought along: %q", out)
	}
	// A slow command does not hold up the next.
	slow := make(chan error, 1)
	go func() {
		_, err := g.Run("while [ ! -e /tmp/go ]; do sleep 0.1; done")
		slow <- err
	}()
	g.MustRun(t, "touch /tmp/go")
	if err := <-slow; err != nil {
		t.Error(err)
	}
}

// testDevices makes each kind of device that interop tests need.
func testDevices(t *testing.T, g *guest.Guest) {
	key := strings.Repeat("0123456789abcdef", 4) // of this test alone
	for _, tt := range []struct{ name, script, want string }{
		{"macsec", "ip link add link eth0 ms0 type macsec sci 0200000000000001 cipher gcm-aes-256 encrypt on && " +
			"ip macsec add ms0 tx sa 0 pn 1 on key 00 " + key + " && ip macsec show", "cipher suite: GCM-AES-256"},
		{"macsec XPN", "ip link add link eth0 ms1 type macsec sci 0200000000000002 cipher gcm-aes-xpn-128 && " +
			"ip macsec add ms1 tx sa 0 xpn 1 ssci 1 salt 0102030405060708090a0b0c on key 00 " + key[:32] + " && ip macsec show ms1", "GCM-AES-XPN-128"},
		{"vxlan", "ip link add vx0 type vxlan id 100 dstport 4789 local 192.0.2.2 remote 192.0.2.1 && ip -d link show vx0", "vxlan id 100"},
		{"macsec on vxlan", "ip link add link vx0 ms2 type macsec cipher gcm-aes-128 && ip link set vx0 up && ip link set ms2 up && ip link show ms2", "ms2@vx0"},
		{"vrf", "ip link add red type vrf table 100 && ip link set red up && ip -d link show red", "vrf table 100"},
		{"wireguard", "umask 077; wg genkey > /tmp/wg && ip link add wg0 type wireguard && wg set wg0 private-key /tmp/wg listen-port 51820 && " +
			"ip link set wg0 up && wg show wg0", "listening port: 51820"},
		{"bridge, veth, VLAN", "ip link add br0 type bridge && ip link add v0 type veth peer name v1 && ip link set v0 master br0 && " +
			"ip link add link v1 name v1.7 type vlan id 7 && ip -d link show v1.7", "vlan protocol 802.1Q id 7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if out := g.MustRun(t, tt.script); !strings.Contains(out, tt.want) {
				t.Errorf("want %q in:\n%s", tt.want, out)
			}
		})
	}
}

// testUDP sends datagrams both ways, over both families. Towards the guest, its
// answer "port unreachable" says that one came; from the guest, a DNS client
// sends them.
func testUDP(t *testing.T, g *guest.Guest) {
	if out, err := netplumb.Output(g.Namespace(), "ping", "-c1", "-W5", "-Mdo", "-s1572", "192.0.2.2"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	for _, addr := range []string{"192.0.2.2", "2001:db8::2"} {
		err := netplumb.Do(g.Namespace(), func() error {
			conn, err := net.Dial("udp", net.JoinHostPort(addr, "7000"))
			if err != nil {
				return err
			}
			defer conn.Close()
			if _, err := conn.Write(make([]byte, 1500)); err != nil {
				return err
			}
			if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				return err
			}
			_, err = conn.Read(make([]byte, 1))
			return err
		})
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("to %s: %v, want connection refused", addr, err)
		}
	}
	for _, addr := range []string{"192.0.2.1", "2001:db8::1"} {
		var server net.PacketConn
		err := netplumb.Do(g.Namespace(), func() (err error) {
			server, err = net.ListenPacket("udp", net.JoinHostPort(addr, "53"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		g.MustRun(t, "nslookup ztos "+addr+" >/dev/null 2>&1 &")
		if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 600)
		n, from, err := server.ReadFrom(b)
		if err != nil || !strings.Contains(string(b[:n]), "\x04ztos") {
			t.Errorf("to %s: got %q from %v, %v", addr, b[:n], from, err)
		}
		server.Close()
	}
}

// TestInteropGuestBridge: a NIC bridged with one end of a veth pair reaches the
// other end, where an engine would be, in a namespace that stays.
func TestInteropGuestBridge(t *testing.T) {
	name := "guest-br-test"
	for _, n := range []string{name, name + "-far"} {
		if err := netplumb.Create(n); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := netplumb.Delete(n); err != nil {
				t.Error(err)
			}
		})
	}
	here, err := netplumb.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	far, err := netplumb.Open(name + "-far")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	for _, err := range []error{
		here.AddVeth(netplumb.End{Dev: "v0"}, far, netplumb.End{Dev: "v1"}, 1500),
		here.SetUp("v0", true), far.SetUp("v1", true),
		far.AddAddr("v1", netip.MustParsePrefix("192.0.2.1/24")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	g, err := guest.Start(t.Context(), guest.Config{Namespace: name, NICs: []guest.NIC{{
		Bridge: "v0", NoOffloads: true, GuestAddrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24")},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := netplumb.Output(far.Name(), "ping", "-c1", "-W5", "192.0.2.2"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := g.Run("ethtool -k eth0 | grep -E '^(tx-checksumming|tcp-segmentation-offload|generic-receive-offload)'"); err == nil && strings.Count(out, ": off") < 2 {
		t.Errorf("offloads:\n%s", out)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if devs, err := here.Devices(); err != nil || strings.Join(devs, " ") != "lo v0" {
		t.Errorf("left: %v, %v", devs, err)
	}
	if _, err := g.Run("true"); err == nil {
		t.Error("Run after Close: no error")
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), fmt.Sprintf("guest-%d-*", os.Getpid())))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
