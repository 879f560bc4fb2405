package netdev_test

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/port/netdev"
	"github.com/ztos/ztos/engine/port/nstest"
	"golang.org/x/sys/unix"
)

// TestDevice: every method sees the namespace in which the device was opened,
// not the caller's.
func TestDevice(t *testing.T) {
	ns := nstest.New(t)
	ns.IP("link add name v0 type veth peer name v1")
	ns.IP("link set dev v1 up")
	var d *netdev.Device
	var err error
	ns.Do(func() { d, err = netdev.Open("v0") })
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if i, err := d.Index(); i == 0 || err != nil {
		t.Errorf("Index = %d, %v", i, err)
	}
	if s := d.Status(); !s.Present || s.Up || d.Up() || !strings.Contains(s.Detail, "administratively down") {
		t.Errorf("at first: %+v", s)
	}
	mac := [6]byte{2, 1, 2, 3, 4, 5}
	if err := errors.Join(d.SetMAC(mac), d.SetMTU(1234), d.SetUp(true)); err != nil {
		t.Error(err)
	}
	if s := d.Status(); s.MAC != mac || s.MTU != 1234 || !d.Up() {
		t.Errorf("set: %+v", s)
	}
	// A worker that waits for frames asks these from time to time.
	if n := testing.AllocsPerRun(100, func() {
		if _, err := d.Index(); err != nil || !d.Up() {
			t.Error("the device is gone")
		}
	}); n != 0 {
		t.Errorf("Index and Up allocate %v times", n)
	}
	ns.IP("link set dev v1 down")
	// The kernel notes a lost carrier in a work item of its own.
	for end := time.Now().Add(3 * time.Second); d.Status().Up && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
	if s := d.Status(); s.Up || !strings.Contains(s.Detail, "no carrier") {
		t.Errorf("peer down: %+v", s)
	}
	if err := d.SetUp(false); err != nil || d.Up() {
		t.Errorf("SetUp(false): %v", err)
	}

	var inside, outside, own string
	ns.Do(func() { inside, _ = os.Readlink("/proc/thread-self/ns/net") })
	own, _ = os.Readlink("/proc/thread-self/ns/net")
	if err := d.InNamespace(func() error {
		outside, _ = os.Readlink("/proc/thread-self/ns/net")
		return nil
	}); err != nil || outside != inside || inside == own {
		t.Errorf("InNamespace runs in %s, want %s: %v", outside, inside, err)
	}

	ns.IP("link del dev v0")
	if _, err := d.Index(); !errors.Is(err, unix.ENODEV) {
		t.Errorf("Index of nothing: %v", err)
	}
	if s := d.Status(); s.Present || s.Up || d.Up() {
		t.Errorf("nothing: %+v", s)
	}
	for _, err := range []error{d.SetMTU(1), d.SetMAC(mac), d.SetUp(true)} {
		if err == nil {
			t.Error("set on nothing")
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"", "sixteen-letters-"} {
		if d, err := netdev.Open(name); err == nil {
			d.Close()
			t.Errorf("%q opened", name)
		}
	}
}
