package afxdp_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/afxdp"
	"github.com/ztos/ztos/engine/port/nstest"
	"golang.org/x/sys/unix"
)

// TestObstacles: everything that stands in the way is said by its own sentence,
// and the device is left as it was.
func TestObstacles(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup func(t *testing.T, nsA, nsB *nstest.NS)
		cfg   afxdp.Config
		want  error
	}{
		{"MTU", func(t *testing.T, a, b *nstest.NS) { b.IP("link set dev b mtu 3819") },
			afxdp.Config{}, afxdp.ErrMTU},
		{"the other end's MTU", func(t *testing.T, a, b *nstest.NS) { a.IP("link set dev a mtu 9000") },
			afxdp.Config{}, afxdp.ErrPeerMTU},
		{"queues", nil, afxdp.Config{Queues: 2}, afxdp.ErrQueues},
		{"no gain on veth", nil, afxdp.Config{ZeroCopy: true}, afxdp.ErrNoGainVeth},
		{"busy", func(t *testing.T, a, b *nstest.NS) { open(t, b, afxdp.Config{Device: "b"}) },
			afxdp.Config{}, afxdp.ErrBusy},
		{"software device", func(t *testing.T, a, b *nstest.NS) {
			b.IP("link del dev b")
			b.IP("link add name b type bridge")
			b.Up("b")
		}, afxdp.Config{}, afxdp.ErrNoXDP},
		{"bridge without a gain", func(t *testing.T, a, b *nstest.NS) {
			b.IP("link del dev b")
			b.IP("link add name b type bridge")
			b.Up("b")
		}, afxdp.Config{ZeroCopy: true}, afxdp.ErrNoGain},
		{"TAP of somebody else", func(t *testing.T, a, b *nstest.NS) {
			b.IP("link del dev b")
			b.IP("tuntap add dev b mode tap")
			b.Up("b")
		}, afxdp.Config{}, afxdp.ErrChecksum},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nsA, nsB := nstest.New(t), nstest.New(t)
			nstest.Veth(t, nsA, "a", nsB, "b")
			if tt.setup != nil {
				tt.setup(t, nsA, nsB)
			}
			tt.cfg.Device = "b"
			var err error
			nsB.Do(func() {
				var p *afxdp.Port
				if p, err = afxdp.Open(tt.cfg); err == nil {
					p.Close()
				}
			})
			if !errors.Is(err, tt.want) || !afxdp.IsObstacle(err) || afxdp.Why(err) != tt.want.Error() {
				t.Errorf("Open: %v\nwant  %v", err, tt.want)
			}
			t.Log(err)
			if out, _ := nsB.Try("link show dev b"); strings.Contains(out, "xdp") && !errors.Is(tt.want, afxdp.ErrBusy) {
				t.Errorf("a program was left behind: %s", out)
			}
		})
	}
}

// TestNoPrivilege: without capabilities the word is about them, and without the
// right to pin memory about that.
func TestNoPrivilege(t *testing.T) {
	if err := openWithout(t, ^uint64(0)); !errors.Is(err, afxdp.ErrPrivilege) {
		t.Errorf("without capabilities: %v, want ErrPrivilege", err)
	}
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &was); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 1 << 16, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_MEMLOCK, &was)
	if err := openWithout(t, 1<<unix.CAP_IPC_LOCK); !errors.Is(err, afxdp.ErrMemory) {
		t.Errorf("without CAP_IPC_LOCK: %v, want ErrMemory", err)
	}
}

// openWithout opens a port on a thread that lacks some capabilities, and returns
// why that failed.
func openWithout(t *testing.T, caps uint64) error {
	t.Helper()
	ns := nstest.New(t)
	nstest.Veth(t, ns, "a", ns, "b")
	var err error
	ns.Do(func() {
		// Of this thread only, which ends with the test.
		hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var have [2]unix.CapUserData
		if err = unix.Capget(&hdr, &have[0]); err != nil {
			return
		}
		less := have
		less[0].Effective &^= uint32(caps)
		less[1].Effective &^= uint32(caps >> 32)
		if err = unix.Capset(&hdr, &less[0]); err != nil {
			return
		}
		var p *afxdp.Port
		if p, err = afxdp.Open(afxdp.Config{Device: "b"}); err == nil {
			p.Close()
		}
		unix.Capset(&hdr, &have[0])
	})
	return err
}

// TestNoLeak: descriptors are all closed, also those of ports that failed.
func TestNoLeak(t *testing.T) {
	nsA, nsB := nstest.New(t), nstest.New(t)
	nstest.Veth(t, nsA, "a", nsB, "b")
	count := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(d)
	}
	before := 0
	for i := range 6 {
		nsB.Do(func() {
			p, err := afxdp.Open(afxdp.Config{Device: "b"})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := afxdp.Open(afxdp.Config{Device: "b"}); !errors.Is(err, afxdp.ErrBusy) {
				t.Errorf("second: %v", err)
			}
			if err := p.Reopen(); err != nil {
				t.Error(err)
			}
			p.Close()
		})
		if i == 0 {
			before = count() // the library has descriptors of its own by now
		}
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors open, were %d", after, before)
	}
}

// TestObstacleLater: an MTU that grows beyond what one buffer holds closes the
// port with a word, and one that fits again opens it.
func TestObstacleLater(t *testing.T) {
	a, b, nsA, nsB := pair(t, afxdp.Config{})
	tx := newTx(t, a)
	v := pkt.NewVector(4)
	nsB.IP("link set dev b mtu 9000")
	if st := b.Status(); st.Up || !errors.Is(b.Obstacle(), afxdp.ErrMTU) || !strings.Contains(st.Detail, afxdp.ErrMTU.Error()) {
		t.Errorf("%+v, obstacle %v", st, b.Obstacle())
	}
	if err := b.Rx(0).Recv(v); !errors.Is(err, port.ErrDown) {
		t.Errorf("Recv: %v", err)
	}
	nsB.IP("link set dev b mtu 1500")
	if st := b.Status(); !st.Up || b.Obstacle() != nil {
		t.Errorf("%+v, obstacle %v", st, b.Obstacle())
	}
	send(t, tx, udp(1, 100))
	recv(t, b.Rx(0), v)
	_ = nsA
}

// TestGeneric: behind the driver, for whoever knows that no tags and partial
// checksums come; frames pass both ways.
func TestGeneric(t *testing.T) {
	a, b, _, _ := pair(t, afxdp.Config{Attach: afxdp.Generic})
	if d := b.Status().Detail; d != "driver veth, generic, copy" {
		t.Errorf("detail %q", d)
	}
	done := new(pkt.Frame)
	done.Reset(complete(t, udp(1, 700)))
	v := pkt.NewVector(4)
	send(t, newTx(t, a), done)
	recv(t, b.Rx(0), v)
	if string(v.Frames[0].Head) != string(done.Head) {
		t.Errorf("got %x", v.Frames[0].Head)
	}
	send(t, newTx(t, b), done)
	recv(t, a.Rx(0), v)
}
