package afpacket_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/afpacket"
	"github.com/ztos/ztos/engine/port/nstest"
	"golang.org/x/sys/unix"
)

// TestDownUp: ErrDown while the device is down, then the same Rx and Tx go on.
func TestDownUp(t *testing.T) {
	t.Parallel()
	a, b, _, nsB := pair(t, afpacket.Config{Queues: 2})
	testOutage(t, a, b, func() { nsB.IP("link set dev b down") }, func() { nsB.IP("link set dev b up") })
}

// TestRemovedAndCreated: the same after the device was removed and made anew.
func TestRemovedAndCreated(t *testing.T) {
	t.Parallel()
	for _, queues := range []int{1, 3} {
		t.Run(fmt.Sprint(queues, " queues"), func(t *testing.T) {
			a, b, nsA, nsB := pair(t, afpacket.Config{Queues: queues})
			testOutage(t, a, b, func() { nsB.IP("link del dev b") }, func() { nstest.Veth(t, nsA, "a", nsB, "b") })
		})
	}
}

// testOutage sends from a to b, both ways, before and after an outage of b.
func testOutage(t *testing.T, a, b *afpacket.Port, down, up func()) {
	tx, txb := newTx(t, a), newTx(t, b)
	v := pkt.NewVector(4)
	exchange := func(again bool) (err error) {
		for _, p := range []*afpacket.Port{a, b} { // what an earlier attempt left
			for q := range p.Queues() {
				for again && p.Rx(q).Recv(v) == nil {
				}
			}
		}
		tx.Push(udp(5, 100, 0))
		txb.Push(udp(6, 100, 0))
		if s, r := tx.Flush(); s != 1 || r != 0 {
			return fmt.Errorf("a: %d sent, %d refused for %v", s, r, tx.Refusal())
		}
		if s, r := txb.Flush(); s != 1 || r != 0 {
			return fmt.Errorf("b: %d sent, %d refused for %v", s, r, txb.Refusal())
		}
		for _, p := range []*afpacket.Port{a, b} {
			got := 0
			for q := range p.Queues() {
				if p.Rx(q).Recv(v) == nil {
					got += v.N
				}
			}
			if got != 1 {
				return fmt.Errorf("%s: %d frames", p.Name(), got)
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
	down()
	sawDown := 0
	for range 4 {
		for q := range b.Queues() {
			if errors.Is(b.Rx(q).Recv(v), port.ErrDown) {
				sawDown++
			}
		}
	}
	if sawDown < 4 {
		t.Errorf("ErrDown %d times", sawDown)
	}
	txb.Push(udp(6, 100, 0))
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

// TestReopenUnderTraffic: control reopens while a worker is in Recv; run with
// -race.
func TestReopenUnderTraffic(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t, afpacket.Config{})
	tx := newTx(t, a)
	got := make(chan int)
	go func() {
		n, v := 0, pkt.NewVector(8)
		for {
			err := b.Rx(0).Recv(v)
			if err == port.ErrClosed {
				got <- n
				return
			}
			n += v.N
		}
	}()
	for range 50 {
		if err := b.Reopen(); err != nil {
			t.Error(err)
		}
		if err := a.Reopen(); err != nil {
			t.Error(err)
		}
		for range 10 {
			send(t, tx, udp(1, 100, 0))
		}
		b.Rx(0).Dropped()
	}
	// The last frames go to the last socket.
	for range 20 {
		send(t, tx, udp(1, 100, 0))
		time.Sleep(time.Millisecond)
	}
	b.Close()
	if n := <-got; n == 0 {
		t.Error("nothing arrived")
	}
}

func TestAbsent(t *testing.T) {
	t.Parallel()
	ns, peer := nstest.New(t), nstest.New(t)
	ns.Do(func() {
		if _, err := afpacket.Open(afpacket.Config{Device: "b"}); !errors.Is(err, unix.ENODEV) {
			t.Errorf("Open: %v, want ENODEV", err)
		}
	})
	b := open(t, ns, afpacket.Config{Device: "b", Queues: 2, AllowAbsent: true})
	if s := b.Status(); s.Present || s.Up {
		t.Errorf("absent device: %+v", s)
	}
	nstest.Veth(t, peer, "a", ns, "b")
	a := open(t, peer, afpacket.Config{Device: "a", Queues: 2})
	testOutage(t, a, b, func() { ns.IP("link del dev b") }, func() { nstest.Veth(t, peer, "a", ns, "b") })
}

// TestFull: a device far slower than the sender makes Flush wait a little, not
// for ever, and refuse what it could not send.
func TestFull(t *testing.T) {
	for _, tt := range []struct{ name, latency string }{
		{"queueing discipline full", "1ms"}, {"socket buffer full", "10s"},
	} {
		a, _, nsA, _ := pair(t, afpacket.Config{SendBuf: 1 << 17})
		if out, err := nsA.Exec("tc", "qdisc", "add", "dev", "a", "root", "tbf",
			"rate", "8mbit", "burst", "64kb", "latency", tt.latency); err != nil {
			t.Fatalf("tc: %v\n%s", err, out)
		}
		tx := newTx(t, a)
		f := tcp(20000, 1460)
		for range 60 {
			tx.Push(f)
		}
		sent, refused := tx.Flush()
		if sent+refused != 60 || refused == 0 || sent == 0 || tx.Refusal() != counter.PortTxFull {
			t.Errorf("%s: %d sent, %d refused for %v", tt.name, sent, refused, tx.Refusal())
		}
	}
}
