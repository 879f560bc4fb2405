package tun_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/nstest"
	"github.com/ztos/ztos/engine/port/tun"
	"golang.org/x/sys/unix"
)

func open(t *testing.T, ns *nstest.NS, cfg tun.Config) *tun.Device {
	t.Helper()
	ns.Set("ipv6/conf/default/disable_ipv6", "1")
	var d *tun.Device
	var err error
	ns.Do(func() { d, err = tun.Open(cfg) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// echo turns an ICMP echo request into its reply, by swapping addresses and
// patching type and checksum.
func echo(p []byte) {
	src := [4]byte(p[12:16])
	copy(p[12:16], p[16:20])
	copy(p[16:20], src[:])
	p[20] = 0
	sum := uint32(binary.BigEndian.Uint16(p[22:])) + 0x0800
	binary.BigEndian.PutUint16(p[22:], uint16(sum+sum>>16))
}

// TestPing: the host pings an address behind the device, which the test answers.
func TestPing(t *testing.T) {
	ns := nstest.New(t)
	d := open(t, ns, tun.Config{Name: "ztos0", MTU: 1400})
	ns.IP("addr add 10.6.0.1/24 dev ztos0")
	done := make(chan error)
	go func() {
		b := make([]byte, 1400)
		for {
			n, err := d.ReadPacket(b)
			if errors.Is(err, port.ErrTimeout) {
				continue
			}
			if err != nil {
				done <- err
				return
			}
			if n >= 28 && b[0]>>4 == 4 && b[9] == 1 && b[20] == 8 {
				echo(b[:n])
				if err := d.WritePacket(b[:n]); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	if out, err := ns.Exec("ping", "-c", "3", "-i", "0.05", "-s", "1372", "-M", "do", "-W", "2", "10.6.0.2"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if s := d.Status(); !s.Up || s.MTU != 1400 {
		t.Errorf("%+v", s)
	}
	if err := d.SetMTU(1300); err != nil || d.Status().MTU != 1300 {
		t.Errorf("SetMTU: %v", err)
	}
	start := time.Now()
	d.Close()
	if err := <-done; err != port.ErrClosed {
		t.Errorf("ReadPacket after Close: %v", err)
	}
	if w := time.Since(start); w > port.IdleTimeout/2 {
		t.Errorf("took %v", w)
	}
	if err := d.WritePacket([]byte{0x45}); err != port.ErrClosed {
		t.Errorf("WritePacket after Close: %v", err)
	}
	d.Close()
}

func TestFaults(t *testing.T) {
	ns := nstest.New(t)
	d := open(t, ns, tun.Config{Name: "ztos0"})
	for _, p := range [][]byte{nil, {0}, make([]byte, 40)} {
		if err := d.WritePacket(p); !errors.Is(err, unix.EINVAL) {
			t.Errorf("WritePacket of %d zero bytes: %v, want EINVAL", len(p), err)
		}
	}
	ns.Do(func() {
		if _, err := tun.Open(tun.Config{Name: "ztos0"}); err == nil {
			t.Error("the same name twice")
		}
		if _, err := tun.Open(tun.Config{Name: ""}); err == nil {
			t.Error("no name")
		}
	})
	if _, err := d.ReadPacket(make([]byte, 100)); err != port.ErrTimeout {
		t.Errorf("ReadPacket: %v", err)
	}
	ns.IP("link set dev ztos0 down")
	good := append([]byte{0x45}, make([]byte, 39)...)
	if err := d.WritePacket(good); !errors.Is(err, port.ErrDown) {
		t.Errorf("WritePacket while down: %v", err)
	}
	ns.IP("link del dev ztos0")
	if _, err := d.ReadPacket(make([]byte, 100)); !errors.Is(err, port.ErrDown) {
		t.Errorf("ReadPacket while gone: %v", err)
	}
	if err := d.WritePacket(good); !errors.Is(err, port.ErrDown) {
		t.Errorf("WritePacket while gone: %v", err)
	}
}
