package afxdp_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/afxdp"
	"github.com/ztos/ztos/engine/port/nstest"
	"golang.org/x/sys/unix"
)

// TestDownUp: ErrDown while the device is down, then the same Rx and Tx go on.
func TestDownUp(t *testing.T) {
	t.Parallel()
	a, b, _, nsB := pair(t, afxdp.Config{})
	testOutage(t, a, b, func() { nsB.IP("link set dev b down") }, func() { nsB.IP("link set dev b up") })
}

// TestRemovedAndCreated: the same after the device was removed and made anew.
func TestRemovedAndCreated(t *testing.T) {
	t.Parallel()
	a, b, nsA, nsB := pair(t, afxdp.Config{})
	testOutage(t, a, b, func() { nsB.IP("link del dev b") }, func() { nstest.Veth(t, nsA, "a", nsB, "b") })
}

// testOutage sends from a to b, both ways, before and after an outage of b.
func testOutage(t *testing.T, a port.Port, b *afxdp.Port, down, up func()) {
	tx, txb := newTx(t, a), newTx(t, b)
	v := pkt.NewVector(4)
	exchange := func(again bool) error {
		for _, p := range []port.Port{a, b} { // what an earlier attempt left
			for again && p.Rx(0).Recv(v) == nil {
			}
		}
		tx.Push(udp(5, 100))
		txb.Push(udp(6, 100))
		if s, r := tx.Flush(); s != 1 || r != 0 {
			return fmt.Errorf("a: %d sent, %d refused for %v", s, r, tx.Refusal())
		}
		if s, r := txb.Flush(); s != 1 || r != 0 {
			return fmt.Errorf("b: %d sent, %d refused for %v", s, r, txb.Refusal())
		}
		for _, p := range []port.Port{a, b} {
			if p.Rx(0).Recv(v) != nil || v.N != 1 {
				return fmt.Errorf("%s: %d frames", p.Name(), v.N)
			}
		}
		return nil
	}
	eventually := func() (err error) {
		for i := range 10 {
			if err = exchange(i > 0); err == nil {
				return nil
			}
		}
		return err
	}
	if err := eventually(); err != nil {
		t.Fatal(err)
	}
	waiting := make(chan error, 1)
	go func() { waiting <- b.Rx(0).Recv(pkt.NewVector(4)) }()
	down()
	// At once: the worker that waits is told.
	if err := <-waiting; !errors.Is(err, port.ErrDown) && err != port.ErrTimeout {
		t.Errorf("Recv: %v", err)
	}
	sawDown := 0
	for range 4 {
		if errors.Is(b.Rx(0).Recv(v), port.ErrDown) {
			sawDown++
		}
	}
	if sawDown < 4 {
		t.Errorf("ErrDown %d times", sawDown)
	}
	txb.Push(udp(6, 100))
	if s, r := txb.Flush(); s != 0 || r != 1 || txb.Refusal() != counter.PortDown {
		t.Errorf("while down: %d sent, %d refused for %v", s, r, txb.Refusal())
	}
	if st := b.Status(); st.Up {
		t.Errorf("while down: %+v", st)
	}
	up()
	if err := eventually(); err != nil {
		t.Errorf("after the outage: %v", err)
	}
	if st := b.Status(); !st.Up || !st.Present {
		t.Errorf("after the outage: %+v", st)
	}
}

// TestDownAtOnce: a Recv that waits is told of the device's going down long
// before it would look by itself.
func TestDownAtOnce(t *testing.T) {
	_, b, _, nsB := pair(t, afxdp.Config{})
	v := pkt.NewVector(4)
	for try := range 5 {
		for b.Rx(0).Recv(v) == nil {
		}
		res := make(chan error, 1)
		go func() { res <- b.Rx(0).Recv(v) }()
		time.Sleep(10 * time.Millisecond)
		nsB.IP("link set dev b down")
		err := <-res
		nsB.IP("link set dev b up")
		if errors.Is(err, port.ErrDown) {
			return
		}
		t.Logf("try %d: %v", try, err) // the machine was slower than IdleTimeout
	}
	t.Error("a waiting Recv never said ErrDown")
}

// TestReopenUnderTraffic: control reopens while workers receive and send; run
// with -race. What a worker has in hand stays readable.
func TestReopenUnderTraffic(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t, afxdp.Config{})
	tx, txb := newTx(t, a), newTx(t, b)
	got, stop, stopped := make(chan int), make(chan bool), make(chan bool)
	go func() {
		n, v := 0, pkt.NewVector(8)
		for {
			err := b.Rx(0).Recv(v)
			if err == port.ErrClosed {
				got <- n
				return
			}
			for _, f := range v.Used() {
				n += int(f.Head[0]) / 2 // reads what is lent
			}
		}
	}()
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				txb.Push(udp(1, 100))
				txb.Flush()
			}
		}
	}()
	for range 10 {
		if err := b.Reopen(); err != nil {
			t.Error(err)
		}
		for range 10 {
			tx.Push(udp(1, 100))
			tx.Flush()
		}
		b.Rx(0).Dropped()
		b.Status()
	}
	close(stop)
	<-stopped
	// The last frames go to the last socket.
	for range 20 {
		send(t, tx, udp(1, 100))
		time.Sleep(time.Millisecond)
	}
	b.Close()
	if n := <-got; n < 20 {
		t.Errorf("%d arrived", n)
	}
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	ns, peer := nstest.New(t), nstest.New(t)
	ns.Do(func() {
		_, err := afxdp.Open(afxdp.Config{Device: "b"})
		if !errors.Is(err, unix.ENODEV) || afxdp.IsObstacle(err) {
			t.Errorf("Open: %v, want ENODEV", err)
		}
	})
	b := open(t, ns, afxdp.Config{Device: "b", AllowAbsent: true})
	if s := b.Status(); s.Present || s.Up {
		t.Errorf("absent device: %+v", s)
	}
	nstest.Veth(t, peer, "a", ns, "b")
	testOutage(t, plain(t, peer, "a"), b, func() { ns.IP("link del dev b") }, func() { nstest.Veth(t, peer, "a", ns, "b") })
}

// TestFull: a device far slower than the sender makes Flush wait a little, not
// for ever, and refuse what it could not send.
func TestFull(t *testing.T) {
	_, b, nsA, _ := pair(t, afxdp.Config{})
	nsA.IP("link set dev a down") // veth without its other end takes nothing
	tx := newTx(t, b)
	sent, refused := 0, 0
	for range 50 {
		for range 64 {
			tx.Push(udp(1, 100))
		}
		s, r := tx.Flush()
		sent, refused = sent+s, refused+r
	}
	if sent+refused != 3200 || refused == 0 {
		t.Errorf("%d sent, %d refused for %v", sent, refused, tx.Refusal())
	}
	nsA.IP("link set dev a up")
}
