//go:build netns

package netplumb_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/lab/netplumb"
)

// pair makes two namespaces of this test and opens them.
func pair(t *testing.T) (a, b *netplumb.Namespace) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("needs root: it makes network namespaces")
	}
	var ns [2]*netplumb.Namespace
	for i := range ns {
		name := fmt.Sprintf("npt%d-%d", os.Getpid(), i)
		if err := netplumb.Create(name); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := netplumb.Delete(name); err != nil {
				t.Error(err)
			}
		})
		n, err := netplumb.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Close() })
		ns[i] = n
	}
	return ns[0], ns[1]
}

// must fails the test on the first error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestVethCarriesPing(t *testing.T) {
	a, b := pair(t)
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	must(t, a.AddVeth(netplumb.End{Dev: "eth0", MAC: mac}, b, netplumb.End{Dev: "eth0"}, 9000))
	for i, n := range []*netplumb.Namespace{a, b} {
		must(t,
			n.SetUp("eth0", true),
			n.AddAddr("eth0", netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/24", i+1))),
			n.AddAddr("eth0", netip.MustParsePrefix(fmt.Sprintf("2001:db8::%d/64", i+1))))
	}
	must(t, a.AddRoute(netip.MustParsePrefix("198.51.100.0/24"), netip.MustParseAddr("192.0.2.2")))
	for _, dst := range []string{"192.0.2.2", "2001:db8::2", "127.0.0.1"} {
		if out, err := netplumb.Output(a.Name(), "ping", "-c1", "-W2", dst); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	d, err := a.Device("eth0")
	must(t, err)
	if d.MTU != 9000 || !d.Up || d.MAC.String() != mac.String() {
		t.Errorf("got %+v", d)
	}
	// iproute2 sees the same world, with /sys of the namespace.
	out, err := exec.Command("ip", "netns", "exec", a.Name(), "ls", "/sys/class/net").CombinedOutput()
	must(t, err)
	ours, err := netplumb.Output(a.Name(), "ls", "/sys/class/net")
	must(t, err)
	if string(out) != string(ours) || !strings.Contains(string(ours), "eth0") {
		t.Errorf("devices: ip netns exec %q, ours %q", out, ours)
	}
	must(t, a.DeleteLink("eth0"), a.DeleteLink("eth0"))
	devs, err := b.Devices()
	must(t, err)
	if !slices.Equal(devs, []string{"lo"}) {
		t.Errorf("left in b: %v", devs)
	}
}

// TestTagged: the two ends agree on a VLAN, frames on the wire carry the tag,
// and neither an untagged neighbour nor one in another VLAN is heard.
func TestTagged(t *testing.T) {
	for _, tt := range []struct {
		name           string
		vlanA, vlanB   int
		wantPing       bool
		wantTagOnPlain bool
	}{
		{"same VLAN", 7, 7, true, false},
		{"other VLAN", 7, 8, false, false},
		{"untagged neighbour", 7, 0, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := pair(t)
			must(t, a.AddVeth(netplumb.End{Dev: "trunk0"}, b, netplumb.End{Dev: "trunk0"}, 1500))
			dev := [2]string{"eth0", "eth0"}
			for i, n := range []*netplumb.Namespace{a, b} {
				if id := [2]int{tt.vlanA, tt.vlanB}[i]; id != 0 {
					must(t, n.AddTagged("eth0", "trunk0", id, 1500))
				} else {
					dev[i] = "trunk0"
				}
				must(t, n.SetUp(dev[i], true), n.AddAddr(dev[i], netip.MustParsePrefix(fmt.Sprintf("192.0.2.%d/24", i+1))))
			}
			var seen []byte
			if tt.wantTagOnPlain {
				must(t, b.SetUp("trunk0", true))
				done := make(chan []byte)
				ready, stop := make(chan struct{}), make(chan struct{})
				go func() { done <- sniffTag(b.Name(), "trunk0", ready, stop) }()
				<-ready
				defer func() {
					close(stop)
					if seen = <-done; len(seen) == 0 {
						t.Error("no frame with an 802.1Q tag on the wire")
					}
				}()
			}
			out, err := netplumb.Output(a.Name(), "ping", "-c1", "-W1", "192.0.2.2")
			if (err == nil) != tt.wantPing {
				t.Errorf("ping: %v\n%s", err, out)
			}
		})
	}
	a, _ := pair(t)
	if err := a.AddTagged("x", "lo", 4095, 1500); err == nil {
		t.Error("VLAN 4095: no error")
	}
}

func TestOffloads(t *testing.T) {
	a, b := pair(t)
	must(t, a.AddVeth(netplumb.End{Dev: "p"}, b, netplumb.End{Dev: "q"}, 1500))
	for _, want := range []bool{false, true} {
		must(t, a.SetOffloads("p", want))
		got, err := a.TSO("p")
		must(t, err)
		if got != want {
			t.Errorf("TSO %v, want %v", got, want)
		}
	}
	if err := a.SetOffloads("absent", true); err == nil {
		t.Error("offloads of an absent device: no error")
	}
}

// TestTXOffloads: what a sender has is switched, what is received is not.
func TestTXOffloads(t *testing.T) {
	a, b := pair(t)
	must(t, a.AddVeth(netplumb.End{Dev: "p"}, b, netplumb.End{Dev: "q"}, 1500))
	features := func() string {
		out, err := netplumb.Output(a.Name(), "ethtool", "-k", "p")
		must(t, err)
		return string(out)
	}
	before := features()
	must(t, a.SetTXOffloads("p", false))
	off := features()
	for _, want := range []string{"\ntx-checksumming: off", "\nscatter-gather: off", "\ttx-tcp-segmentation: off",
		"\ngeneric-segmentation-offload: off", "\nrx-checksumming: on", "\ngeneric-receive-offload: off"} {
		if !strings.Contains(off, want) {
			t.Errorf("no %q in\n%s", want, off)
		}
	}
	must(t, a.SetTXOffloads("p", true))
	if after := features(); after != before {
		t.Errorf("off and on again is not as before:\n%s\nwas\n%s", after, before)
	}
}

func TestSilentPort(t *testing.T) {
	a, b := pair(t)
	must(t, a.AddVeth(netplumb.End{Dev: "p.1"}, b, netplumb.End{Dev: "q"}, 1500), a.SetSilent("p.1"), a.SetUp("p.1", true), b.SetUp("q", true))
	out, err := netplumb.Output(a.Name(), "ip", "addr", "show", "p.1")
	must(t, err)
	if s := string(out); !strings.Contains(s, "NOARP") || strings.Contains(s, "inet6") {
		t.Errorf("not silent:\n%s", s)
	}
}

func TestTapAndBridge(t *testing.T) {
	a, _ := pair(t)
	must(t, a.AddTap("tap0", 1600), a.AddBridge("br0", 1600, "tap0"), a.SetUp("br0", true))
	d, err := a.Device("tap0")
	must(t, err)
	if d.MTU != 1600 {
		t.Errorf("MTU %d", d.MTU)
	}
}

func TestNames(t *testing.T) {
	a, _ := pair(t)
	if err := netplumb.Create(a.Name()); !errors.Is(err, netplumb.ErrExists) {
		t.Errorf("second Create: %v", err)
	}
	for _, bad := range []string{"", "../x", "a/b", ".x", "-x", "a b", strings.Repeat("x", 65)} {
		if err := netplumb.Create(bad); err == nil {
			t.Errorf("Create(%q): no error", bad)
			netplumb.Delete(bad)
		}
	}
	if _, err := netplumb.Open("npt-absent"); !errors.Is(err, netplumb.ErrNotFound) {
		t.Errorf("Open of an absent one: %v", err)
	}
	if err := netplumb.Delete("npt-absent"); err != nil {
		t.Errorf("Delete of an absent one: %v", err)
	}
	names, err := netplumb.Names()
	must(t, err)
	if !slices.Contains(names, a.Name()) {
		t.Errorf("%s not in %v", a.Name(), names)
	}
}

func TestProcesses(t *testing.T) {
	a, _ := pair(t)
	cmd := exec.Command("sleep", "60")
	must(t, netplumb.Start(a.Name(), cmd))
	defer cmd.Wait()
	defer cmd.Process.Kill()
	pids, err := netplumb.Processes(a.Name())
	must(t, err)
	if !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("got %v, want [%d]", pids, cmd.Process.Pid)
	}
}

// sniffTag returns what the kernel says of the first frame of dev with an
// 802.1Q tag: the auxiliary data of a packet socket, or nil after stop.
func sniffTag(ns, dev string, ready, stop chan struct{}) (aux []byte) {
	err := netplumb.Do(ns, func() error {
		ifi, err := net.InterfaceByName(dev)
		if err != nil {
			return err
		}
		const allOrdered = 0x0300 // ETH_P_ALL in network order
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, allOrdered)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		for _, err := range []error{
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: allOrdered, Ifindex: ifi.Index}),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}),
		} {
			if err != nil {
				return err
			}
		}
		close(ready)
		buf, oob := make([]byte, 2048), make([]byte, 256)
		for {
			_, on, _, _, err := unix.Recvmsg(fd, buf, oob, 0)
			if err == nil {
				msgs, err := unix.ParseSocketControlMessage(oob[:on])
				if err != nil {
					return err
				}
				// struct tpacket_auxdata: status in the first word.
				if len(msgs) == 1 && msgs[0].Data[0]&unix.TP_STATUS_VLAN_VALID != 0 {
					aux = msgs[0].Data
					return nil
				}
			}
			select {
			case <-stop:
				return nil
			default:
			}
		}
	})
	if err != nil {
		panic(err)
	}
	return aux
}
