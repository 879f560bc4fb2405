package udpgen_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/ztos/ztos/perf/udpgen"
)

// receiver is a Receiver on loopback and the two ways to it.
type receiver struct {
	t       *testing.T
	control net.Conn
	answers *json.Decoder
	data    net.Conn
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	// A port that is free now.
	free, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	addr := free.LocalAddr().(*net.UDPAddr)
	free.Close()
	path := filepath.Join(t.TempDir(), "s")
	r, err := udpgen.Listen(uint16(addr.Port), path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- r.Serve() }()
	t.Cleanup(func() {
		r.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	b := &receiver{t: t}
	if b.control, err = net.Dial("unix", path); err != nil {
		t.Fatal(err)
	}
	if b.data, err = net.Dial("udp4", addr.String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.control.Close(); b.data.Close() })
	b.answers = json.NewDecoder(b.control)
	return b
}

// ask returns the answer to a request.
func (b *receiver) ask(op string, trial uint32, frames int) (c udpgen.Count) {
	b.t.Helper()
	fmt.Fprintf(b.control, `{"op":%q,"trial":%d,"frames":%d}`+"\n", op, trial, frames)
	if err := b.answers.Decode(&c); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// send sends one datagram.
func (b *receiver) send(trial uint32, seq uint64) {
	if _, err := b.data.Write(bundle(trial, 64, seq)); err != nil {
		b.t.Error(err)
	}
}

// TestTrialsDoNotMeet: a trial begins after the last datagram of the one before
// it has come, or it would measure that one's backlog.
func TestTrialsDoNotMeet(t *testing.T) {
	const late, pause, tries = 20, 2 * time.Millisecond, 20
	b := newReceiver(t)
	for range tries {
		b.ask("begin", 1, 100)
		b.send(1, 0)
		if c := b.ask("end", 1, 1); c.Received != 1 {
			t.Fatalf("got %+v of 1", c)
		}
		backlog := make(chan time.Duration) // the longest pause in it
		go func() {
			longest, before := time.Duration(0), time.Now()
			for seq := range uint64(late) {
				b.send(1, seq+1)
				time.Sleep(pause)
				longest, before = max(longest, time.Since(before)), time.Now()
			}
			backlog <- longest
		}()
		begun := make(chan struct{})
		go func() {
			b.ask("begin", 2, 100)
			close(begun)
		}()
		early := false
		var longest time.Duration
		select {
		case <-begun:
			early, longest = true, <-backlog
		case longest = <-backlog:
			<-begun
		}
		if longest > 10*pause {
			continue // the machine was busy: such a pause may look like the end
		}
		if early {
			t.Errorf("it began while the other's were on their way, %v apart at most", longest)
		}
		for seq := range uint64(10) {
			b.send(2, seq)
		}
		if c := b.ask("end", 2, 10); c != (udpgen.Count{Received: 10}) {
			t.Errorf("got %+v of 10", c)
		}
		return
	}
	t.Errorf("the sender was never left alone in %d tries", tries)
}

// TestLateIsLost: what has not come soon after the last was sent does not count,
// and does not wait for it.
func TestLateIsLost(t *testing.T) {
	b := newReceiver(t)
	b.ask("begin", 1, 2)
	b.send(1, 0)
	if c := b.ask("end", 1, 2); c.Received != 1 {
		t.Errorf("got %+v of 1 in time", c)
	}
	b.send(1, 1)
}
