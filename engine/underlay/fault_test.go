package underlay_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/ztos/ztos/engine/port/nstest"
	"github.com/ztos/ztos/engine/underlay"
	"golang.org/x/sys/unix"
)

// underlayNS returns Muxes in two namespaces that are joined by a cable of the
// given MTU, addresses 10.9.0.1 and .2, fd09::1 and ::2.
func underlayNS(t testing.TB, mtu int, cfg underlay.Config) (a, b *underlay.Mux, nsA, nsB *nstest.NS) {
	t.Helper()
	nsA, nsB = nstest.New(t), nstest.New(t)
	nstest.Veth(t, nsA, "a", nsB, "b")
	for _, x := range []struct {
		ns       *nstest.NS
		dev, end string
		m        **underlay.Mux
	}{{nsA, "a", "1", &a}, {nsB, "b", "2", &b}} {
		x.ns.Set("ipv6/conf/"+x.dev+"/disable_ipv6", "0")
		x.ns.IP(fmt.Sprintf("link set dev %s mtu %d", x.dev, mtu))
		x.ns.IP("addr add 10.9.0." + x.end + "/24 dev " + x.dev)
		x.ns.IP("addr add fd09::" + x.end + "/64 dev " + x.dev + " nodad")
		var err error
		x.ns.Do(func() { *x.m, err = underlay.Open(cfg) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { (*x.m).Close() })
	}
	return a, b, nsA, nsB
}

// TestOversized: segments that fit the MTU exactly pass; larger ones are refused
// and counted as such, fragment nothing, and do not turn GSO off.
func TestOversized(t *testing.T) {
	for _, tt := range []struct {
		name, addr string
		fits       int
	}{{"IPv4", "10.9.0.2", 1472}, {"IPv6", "fd09::2", 1452}} {
		t.Run(tt.name, func(t *testing.T) {
			a, b, _, nsB := underlayNS(t, 1500, underlay.Config{Listen: at("[::]:4000")})
			tx, dst := a.NewTx(), to(b, tt.addr)
			tx.Push(dst, 0, group(0, 20, tt.fits, tt.fits), tt.fits)
			tx.Push(dst, 0, group(0, 20, tt.fits+1, tt.fits+1), tt.fits+1)
			tx.Push(dst, 0, group(0, 1, tt.fits+1, tt.fits+1), tt.fits+1)
			tx.Push(dst, 0, group(0, 2, tt.fits, 10), tt.fits)
			if sent, failed := tx.Flush(); sent != 22 || failed != 21 || tx.Oversized() != 21 {
				t.Errorf("%d sent, %d failed, %d oversized, want 22, 21, 21", sent, failed, tx.Oversized())
			}
			if got := collect(t, b, 22); len(got) != 22 {
				t.Errorf("%d arrived, want 22", len(got))
			}
			if s := a.Status(); !s.GSO || s.LastError == "" {
				t.Errorf("status %+v", s)
			}
			if out, _ := nsB.Exec("grep", "-h", "^Ip: ", "/proc/net/snmp"); bytes.Contains([]byte(out), []byte("ReasmReqds")) {
				var reasm int
				f := bytes.Fields([]byte(out[bytes.LastIndex([]byte(out), []byte("Ip: ")):]))
				fmt.Sscan(string(f[15]), &reasm)
				if reasm != 0 {
					t.Errorf("%d fragments arrived", reasm)
				}
			}
			tx.Push(dst, 0, make([]byte, 70000), 70000)
			if sent, failed := tx.Flush(); sent != 0 || failed != 1 || tx.Oversized() != 1 {
				t.Errorf("70,000 bytes: %d sent, %d failed, %d oversized", sent, failed, tx.Oversized())
			}
		})
	}
}

// TestNoGSOByDevice: a cable without checksum offload still carries everything,
// whatever this kernel does about it.
func TestNoGSOByDevice(t *testing.T) {
	a, b, nsA, _ := underlayNS(t, 1500, underlay.Config{Listen: at("0.0.0.0:4000")})
	if out, err := nsA.Exec("ethtool", "-K", "a", "tx", "off"); err != nil {
		t.Fatalf("ethtool: %v\n%s", err, out)
	}
	tx := a.NewTx()
	for range 2 {
		tx.Push(to(b, "10.9.0.2"), 0, group(0, 44, 1472, 100), 1472)
		if sent, failed := tx.Flush(); sent != 44 || failed != 0 {
			t.Fatalf("Flush = %d, %d", sent, failed)
		}
		if got := collect(t, b, 44); len(got) != 44 {
			t.Errorf("%d arrived, want 44", len(got))
		}
	}
	t.Logf("%+v", a.Status())
}

// TestFallback: a socket on which the kernel refuses GSO goes on without it.
func TestFallback(t *testing.T) {
	a, b := open(t, underlay.Config{Listen: at("127.0.0.1:0")}), open(t, underlay.Config{Listen: at("127.0.0.1:0")})
	underlay.RefuseGSO(a)
	tx := a.NewTx()
	for range 3 {
		tx.Push(to(b, "127.0.0.1"), 0, group(0, 44, 1400, 100), 1400)
		tx.Push(to(b, "127.0.0.1"), 0, group(0, 128, 50, 20), 50)
	}
	want := 3 * (44 + 128)
	if sent, failed := tx.Flush(); sent != want || failed != 0 {
		t.Fatalf("Flush = %d, %d, want %d", sent, failed, want)
	}
	if got := collect(t, b, want); len(got) != want {
		t.Errorf("%d arrived, want %d", len(got), want)
	}
	if s := a.Status(); s.GSO || s.GSOWhy == "" || s.Refused == 0 {
		t.Errorf("status %+v", s)
	}
	tx.Push(to(b, "127.0.0.1"), 0, group(0, 44, 1400, 100), 1400)
	if sent, _ := tx.Flush(); sent != 44 {
		t.Errorf("after the fallback %d sent", sent)
	}
}

func TestNoChecksum(t *testing.T) {
	for _, tt := range []struct{ listen, addr string }{
		{"127.0.0.1:0", "127.0.0.1"}, {"[::1]:0", "::1"}, {"[::]:0", "127.0.0.1"}, {"[::]:0", "::1"},
	} {
		cfg := underlay.Config{Listen: at(tt.listen), NoChecksum: true}
		a, b := open(t, cfg), open(t, cfg)
		tx := a.NewTx()
		tx.Push(to(b, tt.addr), 0, group(0, 10, 1000, 10), 1000)
		if sent, failed := tx.Flush(); sent != 10 || failed != 0 {
			t.Fatalf("%s: Flush = %d, %d", tt.listen, sent, failed)
		}
		if got := collect(t, b, 10); len(got) != 10 {
			t.Errorf("%s: %d arrived", tt.listen, len(got))
		}
		if s := a.Status(); s.GSO || s.Refused != 0 {
			t.Errorf("%s: %+v", tt.listen, s)
		}
	}
}

// TestWrongFamily: an IPv6 destination and an IPv4 socket fail, and nothing else.
func TestWrongFamily(t *testing.T) {
	a, b := open(t, underlay.Config{Listen: at("127.0.0.1:0")}), open(t, underlay.Config{Listen: at("127.0.0.1:0")})
	tx := a.NewTx()
	tx.Push(to(b, "::1"), 0, group(0, 3, 100, 50), 100)
	tx.Push(to(b, "127.0.0.1"), 0, []byte("x"), 1)
	if sent, failed := tx.Flush(); sent != 1 || failed != 3 || tx.Oversized() != 0 {
		t.Errorf("Flush = %d, %d", sent, failed)
	}
	if err := a.SendTo(to(b, "::1"), []byte("x")); !errors.Is(err, unix.EAFNOSUPPORT) {
		t.Errorf("SendTo: %v", err)
	}
}

// TestRefusedPort: nobody listens; the ICMP answers stop nothing.
func TestRefusedPort(t *testing.T) {
	a, b := open(t, underlay.Config{Listen: at("127.0.0.1:0")}), open(t, underlay.Config{Listen: at("127.0.0.1:0")})
	tx := a.NewTx()
	dead := underlay.NewEndpoint(at("127.0.0.1:1"))
	for range 10 {
		tx.Push(dead, 0, group(0, 5, 100, 100), 100)
		tx.Push(to(b, "127.0.0.1"), 0, []byte("x"), 1)
		if sent, failed := tx.Flush(); sent != 6 || failed != 0 {
			t.Fatalf("Flush = %d, %d", sent, failed)
		}
	}
	if got := collect(t, b, 10); len(got) != 10 {
		t.Errorf("%d arrived", len(got))
	}
}

// TestFull: a link far slower than the sender makes Flush wait a little, not for
// ever, and count what it could not send.
func TestFull(t *testing.T) {
	a, b, nsA, _ := underlayNS(t, 1500, underlay.Config{Listen: at("0.0.0.0:4000"), SendBuf: 1 << 17})
	if out, err := nsA.Exec("tc", "qdisc", "add", "dev", "a", "root", "tbf",
		"rate", "8mbit", "burst", "64kb", "latency", "10s"); err != nil {
		t.Fatalf("tc: %v\n%s", err, out)
	}
	tx, data := a.NewTx(), group(0, 10, 1400, 1400)
	for range 60 {
		tx.Push(to(b, "10.9.0.2"), 0, data, 1400)
	}
	sent, failed := tx.Flush()
	if sent+failed != 600 || failed == 0 || tx.Oversized() != 0 {
		t.Errorf("%d sent, %d failed, %d oversized", sent, failed, tx.Oversized())
	}
	if s := a.Status(); s.LastError == "" || !s.GSO {
		t.Errorf("status %+v", s)
	}
}

func TestOpenFaults(t *testing.T) {
	m := open(t, underlay.Config{Listen: at("127.0.0.1:0")})
	for _, tt := range []struct {
		name string
		cfg  underlay.Config
		want error
	}{
		{"no address", underlay.Config{}, nil},
		{"port taken", underlay.Config{Listen: m.LocalAddr()}, unix.EADDRINUSE},
		{"foreign address", underlay.Config{Listen: at("192.0.2.1:0")}, unix.EADDRNOTAVAIL},
		{"source ports reversed", underlay.Config{Listen: at("127.0.0.1:0"), SourcePortMin: 9, SourcePortMax: 8}, nil},
		{"too few source ports", underlay.Config{
			Listen: at("127.0.0.1:0"), SourcePorts: 3, SourcePortMin: 50000, SourcePortMax: 50001,
		}, nil},
	} {
		m, err := underlay.Open(tt.cfg)
		if err == nil {
			m.Close()
			t.Errorf("%s: opened", tt.name)
		} else if tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}
