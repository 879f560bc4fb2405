package nstest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
)

// Forwarder carries all frames of one port to another.
type Forwarder struct {
	Frames  atomic.Uint64 // frames and super-frames sent
	Super   atomic.Uint64 // super-frames among them
	Refused atomic.Uint64
}

// Forward carries frames from all queues of one port to another, changed by edit
// unless that is nil, until the ports are closed.
func Forward(t testing.TB, from, to port.Port, edit func(f *pkt.Frame)) *Forwarder {
	t.Helper()
	w := new(Forwarder)
	for q := range from.Queues() {
		rx := from.Rx(q)
		tx, err := to.NewTx()
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan bool)
		go func() {
			defer close(done)
			v := pkt.NewVector(64)
			for {
				err := rx.Recv(v)
				if errors.Is(err, port.ErrClosed) {
					return
				}
				for i := range v.Used() {
					f := &v.Frames[i]
					if edit != nil {
						edit(f)
					}
					if f.Offload.GSOType != pkt.GSONone {
						w.Super.Add(1)
					}
					tx.Push(f)
				}
				sent, refused := tx.Flush()
				w.Frames.Add(uint64(sent))
				w.Refused.Add(uint64(refused))
			}
		}()
		t.Cleanup(func() { from.Close(); <-done })
	}
	return w
}

// TCP sends n random bytes from namespace a to a listener at ip in namespace b,
// has their hash sent back, and compares.
func TCP(a, b *NS, ip string, n int) error {
	var l net.Listener
	var err error
	b.Do(func() { l, err = net.Listen("tcp", net.JoinHostPort(ip, "0")) })
	if err != nil {
		return err
	}
	defer l.Close()
	l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	served := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			served <- err
			return
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		h := sha256.New()
		if _, err = io.CopyN(h, c, int64(n)); err == nil {
			_, err = c.Write(h.Sum(nil))
		}
		served <- err
	}()
	var c net.Conn
	a.Do(func() { c, err = net.DialTimeout("tcp", l.Addr().String(), 10*time.Second) })
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	h, r := sha256.New(), rand.NewChaCha8([32]byte{1})
	if _, err = io.CopyN(io.MultiWriter(c, h), r, int64(n)); err != nil {
		return err
	}
	got := make([]byte, sha256.Size)
	if _, err = io.ReadFull(c, got); err != nil {
		return err
	}
	if !bytes.Equal(got, h.Sum(nil)) {
		return fmt.Errorf("the %d bytes arrived changed", n)
	}
	return <-served
}
