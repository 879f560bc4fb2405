package mem_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/mem"
)

var _ port.Port = (*mem.Port)(nil)

// eth returns a frame of n bytes that begins with distinct addresses.
func eth(n int, fill byte) []byte {
	b := bytes.Repeat([]byte{fill}, n)
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0})
	return b
}

func frame(b []byte, tags ...pkt.Tag) *pkt.Frame {
	f := new(pkt.Frame)
	f.Reset(b)
	f.NumTags = uint8(copy(f.Tags[:], tags))
	return f
}

func TestInjectRecv(t *testing.T) {
	p := mem.New("p", mem.Config{Headroom: 16})
	v := pkt.NewVector(2)
	rx := p.Rx(0)
	if err := rx.Recv(v); err != port.ErrTimeout {
		t.Fatalf("Recv of an empty queue: %v, want ErrTimeout", err)
	}
	src := eth(60, 1)
	o := pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 6}
	tag := pkt.Tag{TPID: 0x8100, TCI: 5}
	for range 3 {
		if !p.Inject(0, src, o, tag) {
			t.Fatal("Inject refused")
		}
	}
	src[20] = 99 // the port has its own copy
	for _, want := range []int{2, 1} {
		if err := rx.Recv(v); err != nil || v.N != want {
			t.Fatalf("Recv: %v, %d frames, want %d", err, v.N, want)
		}
		f := &v.Frames[0]
		if !bytes.Equal(f.Head, eth(60, 1)) || f.Offload != o || f.NumTags != 1 || f.Tags[0] != tag {
			t.Errorf("frame %+v", f)
		}
		if cap(f.Head) < 76 {
			t.Errorf("capacity %d, want 16 bytes of headroom", cap(f.Head))
		}
	}
	if p.Inject(0, src[:13], pkt.Offload{}) {
		t.Error("a frame shorter than Ethernet was taken")
	}
	if n := rx.Dropped(); n != 1 {
		t.Errorf("Dropped = %d, want 1", n)
	}
}

func TestSent(t *testing.T) {
	p := mem.New("p", mem.Config{})
	tx, _ := p.NewTx()
	f := frame(eth(60, 1), pkt.Tag{TPID: 0x88a8, TCI: 7}, pkt.Tag{TPID: 0x8100, TCI: 8})
	f.Frags = [][]byte{[]byte("ab"), []byte("c")}
	f.Len += 3
	f.Offload = pkt.Offload{GSOType: pkt.GSOUDP, NeedsCsum: true, GSOSize: 18, CsumStart: 34, CsumOff: 6}
	tx.Push(f)
	if sent, refused := tx.Flush(); sent != 1 || refused != 0 {
		t.Fatalf("Flush = %d, %d", sent, refused)
	}
	got := p.Sent()
	if len(got) != 1 || !bytes.Equal(got[0].Frame, append(eth(60, 1), "abc"...)) ||
		got[0].Offload != f.Offload || len(got[0].Tags) != 2 {
		t.Fatalf("Sent = %+v", got)
	}
	b, o := got[0].Wire()
	if len(b) != 71 || !bytes.Equal(b[12:22], []byte{0x88, 0xa8, 0, 7, 0x81, 0, 0, 8, 8, 0}) || o.CsumStart != 42 {
		t.Errorf("Wire = %x, %+v", b, o)
	}
	if len(p.Sent()) != 0 {
		t.Error("Sent returns the same frames twice")
	}
}

func TestRefusals(t *testing.T) {
	p := mem.New("p", mem.Config{})
	tx, _ := p.NewTx()
	for _, tt := range []struct {
		name string
		set  func()
		f    *pkt.Frame
		want counter.Reason
	}{
		{"up", func() {}, frame(eth(60, 1)), counter.None},
		{"full", func() { p.SetFull(true) }, frame(eth(60, 1)), counter.PortTxFull},
		{"down", func() { p.SetDown(true) }, frame(eth(60, 1)), counter.PortDown},
		{"up again", func() { p.SetDown(false); p.SetFull(false) }, frame(eth(60, 1)), counter.None},
		{"too long", func() {}, frame(make([]byte, port.MaxRecvFrame+1)), counter.FrameTooLong},
		{"closed", func() { p.Close() }, frame(eth(60, 1)), counter.PortDown},
	} {
		tt.set()
		tx.Push(tt.f)
		sent, refused := tx.Flush()
		if ok := tt.want == counter.None; (sent == 1) != ok || (refused == 1) == ok || tx.Refusal() != tt.want {
			t.Errorf("%s: %d sent, %d refused for %v, want %v", tt.name, sent, refused, tx.Refusal(), tt.want)
		}
	}
}

func TestDownAndClosed(t *testing.T) {
	p := mem.New("p", mem.Config{})
	v := pkt.NewVector(1)
	p.Inject(0, eth(60, 1), pkt.Offload{})
	p.SetDown(true)
	if err := p.Rx(0).Recv(v); !errors.Is(err, port.ErrDown) || p.Status().Up {
		t.Errorf("down: %v", err)
	}
	p.SetDown(false)
	if err := p.Rx(0).Recv(v); err != port.ErrTimeout {
		t.Errorf("up again: %v, want ErrTimeout: the queue is lost", err)
	}
	p.Close()
	if err := p.Rx(0).Recv(v); err != port.ErrClosed {
		t.Errorf("closed: %v", err)
	}
}

func TestLink(t *testing.T) {
	a, b := mem.New("a", mem.Config{}), mem.New("b", mem.Config{Queues: 2})
	mem.Link(a, b)
	tx, _ := a.NewTx()
	f := frame(eth(60, 1), pkt.Tag{TPID: 0x88a8, TCI: 7}, pkt.Tag{TPID: 0x8100, TCI: 8})
	f.Offload = pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 6}
	f.Hash = 3
	tx.Push(f)
	tx.Flush()
	v := pkt.NewVector(4)
	if err := b.Rx(1).Recv(v); err != nil || v.N != 1 {
		t.Fatalf("Recv: %v, %d frames", err, v.N)
	}
	g := &v.Frames[0]
	if g.NumTags != 1 || g.Tags[0].TPID != 0x88a8 || g.Len != 64 || g.Offload.CsumStart != 38 {
		t.Errorf("arrived as %+v", g)
	}
	if len(a.Sent()) != 0 {
		t.Error("a linked port records")
	}
}

func TestBlocking(t *testing.T) {
	p := mem.New("p", mem.Config{Blocking: true})
	got := make(chan error, 1)
	go func() {
		v := pkt.NewVector(1)
		for {
			err := p.Rx(0).Recv(v)
			if err == port.ErrTimeout {
				continue
			}
			got <- err
			if err != nil {
				return
			}
		}
	}()
	p.Inject(0, eth(60, 1), pkt.Offload{})
	for _, want := range []error{nil, port.ErrClosed} {
		select {
		case err := <-got:
			if err != want {
				t.Fatalf("Recv: %v, want %v", err, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("Recv did not wake")
		}
		p.Close()
	}
}

func TestMTU(t *testing.T) {
	if err := mem.New("p", mem.Config{}).SetMTU(1400); !errors.Is(err, port.ErrNotOwned) {
		t.Errorf("SetMTU of a foreign port: %v", err)
	}
	p := mem.New("p", mem.Config{Owned: true})
	if err := p.SetMTU(1400); err != nil || p.Status().MTU != 1400 {
		t.Errorf("SetMTU: %v, %d", err, p.Status().MTU)
	}
}
