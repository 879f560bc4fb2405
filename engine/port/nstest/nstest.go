// Package nstest gives tests network namespaces of their own, which vanish with
// the test. It runs ip(8) for set-up, and is imported by tests only.
package nstest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/port/netdev"
	"golang.org/x/sys/unix"
)

// NS is a network namespace, held by one OS thread.
type NS struct {
	t    testing.TB
	tid  int
	work chan func()
}

// NeedRoot skips the test of whoever is not root, except in CI (environment
// variable CI), where it fails.
func NeedRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("this test needs root: it makes network namespaces")
	}
	t.Skip("this test needs root: it makes network namespaces")
}

// New returns a fresh namespace whose loopback device is up. It needs root.
func New(t testing.TB) *NS {
	t.Helper()
	NeedRoot(t)
	ns := &NS{t: t, work: make(chan func())}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread, and the namespace with it, ends with the
		// goroutine.
		runtime.LockOSThread()
		err := unix.Unshare(unix.CLONE_NEWNET)
		ns.tid = unix.Gettid()
		ready <- err
		for f := range ns.work {
			f()
		}
	}()
	if err := <-ready; err != nil {
		t.Fatalf("unshare: %v", err)
	}
	t.Cleanup(func() { close(ns.work) })
	ns.IP("link set lo up")
	return ns
}

// Do runs f on the namespace's thread: sockets that f opens belong there. f must
// not call t.Fatal.
func (ns *NS) Do(f func()) {
	done := make(chan struct{})
	ns.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

// Try runs ip(8) in the namespace with the words of args.
func (ns *NS) Try(args string) (string, error) { return ns.Exec("ip", strings.Fields(args)...) }

// IP runs ip(8) in the namespace with the words of args, which must succeed.
func (ns *NS) IP(args string) {
	ns.t.Helper()
	if out, err := ns.Try(args); err != nil {
		ns.t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
}

// Exec runs a command in the namespace and returns what it wrote.
func (ns *NS) Exec(name string, args ...string) (string, error) {
	var out []byte
	var err error
	ns.Do(func() { out, err = exec.Command(name, args...).CombinedOutput() })
	return string(out), err
}

// Set writes a file below /proc/sys/net as the namespace sees it.
func (ns *NS) Set(path, value string) {
	ns.t.Helper()
	var err error
	ns.Do(func() { err = os.WriteFile("/proc/sys/net/"+path, []byte(value), 0) })
	if err != nil {
		ns.t.Fatalf("sysctl: %v", err)
	}
}

// Veth joins a and b by a pair of devices with the given names, both up, without
// IPv6 addresses of their own, so that nothing is sent but by the test.
func Veth(t testing.TB, a *NS, nameA string, b *NS, nameB string) {
	t.Helper()
	VethQueues(t, a, nameA, b, nameB, 1)
}

// VethQueues is Veth with n queues at both ends and in both directions.
func VethQueues(t testing.TB, a *NS, nameA string, b *NS, nameB string, n int) {
	t.Helper()
	q := fmt.Sprintf(" numtxqueues %d numrxqueues %[1]d", n)
	a.IP("link add name " + nameA + q + " type veth peer name " + nameB + q)
	if b != a {
		a.IP("link set dev " + nameB + " netns " + strconv.Itoa(b.tid))
	}
	a.Set("ipv6/conf/"+nameA+"/disable_ipv6", "1")
	b.Set("ipv6/conf/"+nameB+"/disable_ipv6", "1")
	a.Up(nameA)
	b.Up(nameB)
	a.waitCarrier(nameA)
	b.waitCarrier(nameB)
}

// Up makes a device administratively up.
func (ns *NS) Up(device string) {
	ns.t.Helper()
	ns.IP("link set dev " + device + " up")
}

// waitCarrier waits until the kernel has worked the device's link-up event:
// before that, it drops what is sent, without an error.
func (ns *NS) waitCarrier(device string) {
	ns.t.Helper()
	for range 1000 {
		up := false
		ns.Do(func() {
			if d, err := netdev.Open(device); err == nil {
				up = d.Status().Up
				d.Close()
			}
		})
		if up {
			ns.Up(device) // takes the lock under which the event is worked
			return
		}
		time.Sleep(time.Millisecond)
	}
	ns.t.Fatalf("%s has no carrier", device)
}
