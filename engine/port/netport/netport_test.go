package netport_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/afpacket"
	"github.com/ztos/ztos/engine/port/afxdp"
	"github.com/ztos/ztos/engine/port/netport"
	"github.com/ztos/ztos/engine/port/nstest"
)

var _ port.Port = (*netport.Port)(nil)

// bed is a cable between an AF_PACKET port and one that is tested.
type bed struct {
	*testing.T
	nsA, nsB *nstest.NS
	a        *afpacket.Port
	b        *netport.Port
	txa, txb port.Tx
	v        *pkt.Vector
}

func newBed(t *testing.T, cfg netport.Config, setup func(nsA, nsB *nstest.NS)) *bed {
	t.Helper()
	d := &bed{T: t, nsA: nstest.New(t), nsB: nstest.New(t), v: pkt.NewVector(8)}
	nstest.Veth(t, d.nsA, "a", d.nsB, "b")
	if setup != nil {
		setup(d.nsA, d.nsB)
	}
	cfg.Device = "b"
	var err error
	d.nsA.Do(func() { d.a, err = afpacket.Open(afpacket.Config{Device: "a"}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.a.Close() })
	d.nsB.Do(func() { d.b, err = netport.Open(cfg) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.b.Close() })
	if d.txa, err = d.a.NewTx(); err != nil {
		t.Fatal(err)
	}
	if d.txb, err = d.b.NewTx(); err != nil {
		t.Fatal(err)
	}
	return d
}

// frame is a frame of 60 bytes of no protocol that the kernel answers.
func frame() *pkt.Frame {
	b := make([]byte, 60)
	copy(b, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb6})
	f := new(pkt.Frame)
	f.Reset(b)
	return f
}

// passes sends a frame each way until both arrive, at most a few times.
func (d *bed) passes() {
	d.Helper()
	for range 10 {
		d.txa.Push(frame())
		d.txa.Flush()
		d.txb.Push(frame())
		d.txb.Flush()
		// Both are asked: a port that is not asked does not look at its device.
		errA, errB := d.a.Rx(0).Recv(d.v), d.b.Rx(0).Recv(d.v)
		if errA == nil && errB == nil {
			return
		}
	}
	d.Errorf("frames do not pass: %+v", d.b.Status())
}

// is checks driver and note.
func (d *bed) is(driver string, why error) {
	d.Helper()
	s := d.b.Status()
	note := ""
	if why != nil {
		note = "AF_PACKET instead of AF_XDP: " + why.Error()
	}
	if s.Driver != driver || s.Note != note || !s.Up {
		d.Errorf("%+v\nwant driver %s, note %q", s, driver, note)
	}
	d.passes()
}

func TestXDP(t *testing.T) {
	d := newBed(t, netport.Config{}, nil)
	d.is(port.AFXDP, nil)
	if d.txb.CanUDPGSO() {
		t.Error("UDP super-frames")
	}
}

// TestFallbacks: each obstacle, and what is said.
func TestFallbacks(t *testing.T) {
	for _, tt := range []struct {
		name  string
		cfg   netport.Config
		setup func(nsA, nsB *nstest.NS)
		want  error
	}{
		{"MTU", netport.Config{}, func(a, b *nstest.NS) { b.IP("link set dev b mtu 9000") }, afxdp.ErrMTU},
		{"the other end's MTU", netport.Config{}, func(a, b *nstest.NS) { a.IP("link set dev a mtu 9000") }, afxdp.ErrPeerMTU},
		{"queues", netport.Config{Queues: 2}, nil, afxdp.ErrQueues},
		{"no gain", netport.Config{WhenFaster: true}, nil, afxdp.ErrNoGainVeth},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newBed(t, tt.cfg, tt.setup)
			s := d.b.Status()
			if s.Driver != port.AFPacket || s.Note != "AF_PACKET instead of AF_XDP: "+tt.want.Error() || !s.Up {
				t.Errorf("%+v", s)
			}
			if tt.cfg.Queues == 0 {
				d.passes()
			}
			tt.cfg.Fallback, tt.cfg.Device = netport.ToNothing, "b"
			d.b.Close()
			d.nsB.Do(func() {
				if p, err := netport.Open(tt.cfg); !errors.Is(err, tt.want) {
					t.Errorf("without a fallback: %v, want %v", err, tt.want)
					p.Close()
				}
			})
		})
	}
}

// TestChanges: the driver changes with the device, under the same Rx and Tx.
func TestChanges(t *testing.T) {
	d := newBed(t, netport.Config{}, nil)
	d.is(port.AFXDP, nil)
	if d.txb.CanUDPGSO() {
		t.Error("UDP super-frames by AF_XDP")
	}
	d.nsB.IP("link set dev b mtu 9000")
	d.is(port.AFPacket, afxdp.ErrMTU)
	d.nsB.IP("link set dev b mtu 1500")
	d.is(port.AFPacket, afxdp.ErrMTU) // not without a reason to look again
	if d.txb.CanUDPGSO() {
		t.Error("UDP super-frames were taken back once and are promised again")
	}
	d.nsB.IP("link del dev b")
	if s := d.b.Status(); s.Present || s.Up {
		t.Errorf("%+v", s)
	}
	nstest.Veth(t, d.nsA, "a", d.nsB, "b")
	d.passes()
	d.is(port.AFXDP, nil)
	d.nsB.IP("link del dev b")
	d.b.Status()
	nstest.Veth(t, d.nsA, "a", d.nsB, "b")
	d.nsB.IP("link set dev b mtu 9000")
	// The worker alone finds out, nobody asks for the status.
	d.passes()
	d.is(port.AFPacket, afxdp.ErrMTU)
}

// TestSetMTU: an MTU of the engine's own choice changes the driver, and back.
func TestSetMTU(t *testing.T) {
	d := newBed(t, netport.Config{Own: true}, nil)
	d.is(port.AFXDP, nil)
	for _, tt := range []struct {
		mtu    int
		driver string
		why    error
	}{
		{1400, port.AFXDP, nil}, {9000, port.AFPacket, afxdp.ErrMTU}, {1500, port.AFXDP, nil},
	} {
		if err := d.b.SetMTU(tt.mtu); err != nil || d.b.Status().MTU != tt.mtu {
			t.Fatalf("SetMTU(%d): %v, %+v", tt.mtu, err, d.b.Status())
		}
		d.is(tt.driver, tt.why)
	}
	d.b.Close()
	d = newBed(t, netport.Config{Own: true, Fallback: netport.ToNothing}, nil)
	if err := d.b.SetMTU(9000); !errors.Is(err, afxdp.ErrMTU) {
		t.Errorf("SetMTU(9000) without a fallback: %v", err)
	}
	d.is(port.AFXDP, nil)
}

// TestNoFallbackLater: without a fallback the port is down as long as AF_XDP
// does not go, says why, and comes back.
func TestNoFallbackLater(t *testing.T) {
	d := newBed(t, netport.Config{Fallback: netport.ToNothing}, nil)
	d.nsB.IP("link set dev b mtu 9000")
	if s := d.b.Status(); s.Up || s.Driver != port.AFXDP || !strings.Contains(s.Detail, afxdp.ErrMTU.Error()) {
		t.Errorf("%+v", s)
	}
	d.nsB.IP("link set dev b mtu 1500")
	d.is(port.AFXDP, nil)
}

// TestChangeUnderTraffic: a worker receives and sends while control changes the
// driver back and forth; run with -race.
func TestChangeUnderTraffic(t *testing.T) {
	d := newBed(t, netport.Config{Own: true}, nil)
	done := make(chan int)
	go func() {
		n, v := 0, pkt.NewVector(8)
		for {
			err := d.b.Rx(0).Recv(v)
			if err == port.ErrClosed {
				done <- n
				return
			}
			for i := range v.Used() {
				n += int(v.Frames[i].Head[0]) / 2
				d.txb.Push(&v.Frames[i])
			}
			d.txb.Flush()
		}
	}()
	send := func() {
		d.txa.Push(frame())
		d.txa.Flush()
		time.Sleep(time.Millisecond)
	}
	for i := range 6 {
		if err := d.b.SetMTU([]int{9000, 1500}[i%2]); err != nil {
			t.Error(err)
		}
		for range 10 {
			send()
		}
		d.b.Rx(0).Dropped()
	}
	for range 20 {
		send()
	}
	d.b.Close()
	if n := <-done; n < 20 {
		t.Errorf("%d arrived", n)
	}
	if err := d.b.Rx(0).Recv(d.v); err != port.ErrClosed {
		t.Errorf("Recv after Close: %v", err)
	}
}

func TestNoAllocs(t *testing.T) {
	for _, mtu := range []string{"1500", "9000"} {
		d := newBed(t, netport.Config{}, func(a, b *nstest.NS) { b.IP("link set dev b mtu " + mtu) })
		f := frame()
		if n := testing.AllocsPerRun(50, func() {
			d.txa.Push(f)
			d.txa.Flush()
			if d.b.Rx(0).Recv(d.v) != nil {
				t.Fatal("nothing arrived")
			}
			d.txb.Push(f)
			d.txb.Flush()
		}); n != 0 {
			t.Errorf("MTU %s: %v allocations per burst, want 0", mtu, n)
		}
	}
}
