package afpacket_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/afpacket"
	"github.com/ztos/ztos/engine/port/nstest"
)

var _ port.Port = (*afpacket.Port)(nil)

// open opens a port in a namespace and closes it with the test.
func open(t testing.TB, ns *nstest.NS, cfg afpacket.Config) *afpacket.Port {
	t.Helper()
	var p *afpacket.Port
	var err error
	ns.Do(func() { p, err = afpacket.Open(cfg) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func newTx(t testing.TB, p *afpacket.Port) port.Tx {
	t.Helper()
	tx, err := p.NewTx()
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// pair returns two ports on the ends of one cable.
func pair(t testing.TB, cfg afpacket.Config) (a, b *afpacket.Port, nsA, nsB *nstest.NS) {
	t.Helper()
	nsA, nsB = nstest.New(t), nstest.New(t)
	nstest.Veth(t, nsA, "a", nsB, "b")
	cfg.Device = "a"
	a = open(t, nsA, cfg)
	cfg.Device = "b"
	return a, open(t, nsB, cfg), nsA, nsB
}

// udp builds an Ethernet frame with an IPv4 UDP datagram from the given port,
// its checksum left to the device; with size != 0 a super-frame.
func udp(src uint16, payload, size int) *pkt.Frame {
	b := make([]byte, 42+payload)
	copy(b, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0, 0x45})
	binary.BigEndian.PutUint16(b[16:], uint16(28+payload))
	b[22], b[23] = 64, 17
	copy(b[26:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	var sum uint32
	for i := 14; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[24:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(b[34:], src)
	binary.BigEndian.PutUint16(b[36:], 9)
	binary.BigEndian.PutUint16(b[38:], uint16(8+payload))
	binary.BigEndian.PutUint16(b[40:], 0x1234)
	for i := range b[42:] {
		b[42+i] = byte(i * 7)
	}
	f := new(pkt.Frame)
	f.Reset(b)
	f.Offload = pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 6}
	if size > 0 {
		f.Offload.GSOType, f.Offload.GSOSize = pkt.GSOUDP, uint16(size)
	}
	return f
}

// tcp makes a super-frame of TCP over IPv4 with a header of 20 bytes.
func tcp(payload, size int) *pkt.Frame {
	f := udp(1, payload+12, 0)
	f.Head[23] = 6
	copy(f.Head[24:], []byte{0, 0})
	copy(f.Head[34:54], []byte{0, 1, 0, 9, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0})
	f.Offload = pkt.Offload{
		GSOType: pkt.GSOTCPv4, GSOSize: uint16(size), NeedsCsum: true, CsumStart: 34, CsumOff: 16,
	}
	return f
}

// send sends frames, all of which must go.
func send(t testing.TB, tx port.Tx, fs ...*pkt.Frame) {
	t.Helper()
	for _, f := range fs {
		tx.Push(f)
	}
	if sent, refused := tx.Flush(); sent != len(fs) || refused != 0 {
		t.Fatalf("Flush = %d sent, %d refused (%v), want %d sent", sent, refused, tx.Refusal(), len(fs))
	}
}

// recv waits for the next burst.
func recv(t testing.TB, rx port.Rx, v *pkt.Vector) {
	t.Helper()
	for range 20 {
		err := rx.Recv(v)
		if err == nil {
			return
		}
		if err != port.ErrTimeout {
			t.Fatal(err)
		}
	}
	t.Fatal("nothing arrived")
}

func TestSendRecv(t *testing.T) {
	a, b, _, _ := pair(t, afpacket.Config{})
	tx := newTx(t, a)
	tag := func(tpid, tci uint16) pkt.Tag { return pkt.Tag{TPID: tpid, TCI: tci} }
	split := func(f *pkt.Frame, at ...int) *pkt.Frame {
		b := f.Head
		f.Head, b = b[:at[0]], b[at[0]:]
		for i, p := range at {
			end := len(b)
			if i+1 < len(at) {
				end = at[i+1] - p
			}
			f.Frags = append(f.Frags, b[:end])
			b = b[end:]
		}
		return f
	}
	plain := new(pkt.Frame)
	plain.Reset(udp(1, 18, 0).Head)
	for _, tt := range []struct {
		name string
		f    *pkt.Frame
		tags []pkt.Tag
	}{
		{"plain", plain, nil},
		{"partial checksum", udp(1, 100, 0), nil},
		{"MTU", udp(1, 1472, 0), nil},
		{"tagged", udp(1, 100, 0), []pkt.Tag{tag(0x8100, 0xa123)}},
		{"tagged, MTU", udp(1, 1472, 0), []pkt.Tag{tag(0x8100, 7)}},
		{"service tag", udp(1, 100, 0), []pkt.Tag{tag(0x88a8, 5)}},
		{"two tags", udp(1, 100, 0), []pkt.Tag{tag(0x88a8, 5), tag(0x8100, 6)}},
		{"TCP super-frame", tcp(20000, 1460), nil},
		{"TCP super-frame, tagged", tcp(20000, 1460), []pkt.Tag{tag(0x8100, 9)}},
		{"TCP super-frame, two tags", tcp(20000, 1460), []pkt.Tag{tag(0x88a8, 5), tag(0x8100, 6)}},
		{"TCP super-frame in pieces", split(tcp(4380, 1460), 54+1460, 54+2920), nil},
		{"TCP super-frame in pieces, tagged", split(tcp(4380, 1460), 54+1460, 54+2920), []pkt.Tag{tag(0x8100, 9)}},
		{"TCP super-frame, CWR", func() *pkt.Frame {
			f := tcp(5000, 1460)
			f.Head[34+13] |= 0x80
			f.Offload.ECN = true
			return f
		}(), nil},
		{"TCP super-frame of MaxFrame", tcp(port.MaxFrame-54, 1460), nil},
		{"UDP super-frame", udp(1, 8000, 1000), nil},
		{"UDP super-frame of MaxFrame", udp(1, port.MaxFrame-42, 1472), nil},
		{"UDP super-frame of MaxFrame, tagged", udp(1, port.MaxFrame-46, 1472), []pkt.Tag{tag(0x8100, 9)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := append([]byte{}, tt.f.Head...)
			for _, g := range tt.f.Frags {
				want = append(want, g...)
			}
			for i := len(tt.tags) - 1; i >= 0; i-- {
				tt.f.PushTag(tt.tags[i])
			}
			o := tt.f.Offload
			if len(tt.tags) == 2 { // the inner one arrives in the bytes
				in := binary.BigEndian.AppendUint16(append([]byte{}, want[:12]...), tt.tags[1].TPID)
				in = binary.BigEndian.AppendUint16(in, tt.tags[1].TCI)
				want = append(in, want[12:]...)
				o.CsumStart += 4
			}
			send(t, tx, tt.f)
			v := pkt.NewVector(4)
			recv(t, b.Rx(0), v)
			g := &v.Frames[0]
			if v.N != 1 || g.Len != len(want) || !bytes.Equal(g.Head, want) {
				t.Fatalf("%d frames of %d bytes, want %d bytes\ngot  %.80x\nwant %.80x", v.N, g.Len, len(want), g.Head, want)
			}
			if g.Offload != o {
				t.Errorf("offload %+v\nwant    %+v", g.Offload, o)
			}
			if n := min(len(tt.tags), 1); int(g.NumTags) != n || n == 1 && g.Tags[0] != tt.tags[0] {
				t.Errorf("tags %+v, want the outermost of %+v", g.Tags[:g.NumTags], tt.tags)
			}
		})
	}
	if n := b.Rx(0).Dropped(); n != 0 {
		t.Errorf("%d frames dropped", n)
	}
}

// TestLargest: beyond 65,536 bytes the kernel cuts a super-frame by itself; no
// byte is lost.
func TestLargest(t *testing.T) {
	a, b, _, _ := pair(t, afpacket.Config{})
	tx, v := newTx(t, a), pkt.NewVector(64)
	f := udp(1, 65507, 1472)
	f.PushTag(pkt.Tag{TPID: 0x8100, TCI: 9})
	send(t, tx, f)
	for got := 0; got < 65507; {
		recv(t, b.Rx(0), v)
		for _, g := range v.Used() {
			if !bytes.Equal(g.Head[42:], f.Head[42+got:][:g.Len-42]) || g.NumTags != 1 {
				t.Fatalf("a segment of %d bytes behind %d differs", g.Len, got)
			}
			got += g.Len - 42
		}
	}
}

// TestOwnFramesIgnored: a port does not receive what it sends.
func TestOwnFramesIgnored(t *testing.T) {
	t.Parallel()
	for _, queues := range []int{1, 2} {
		a, b, _, _ := pair(t, afpacket.Config{Queues: queues})
		send(t, newTx(t, a), udp(1, 100, 0))
		v := pkt.NewVector(4)
		arrived := 0
		for q := range queues {
			if b.Rx(q).Recv(v) == nil {
				arrived += v.N
			}
			if err := a.Rx(q).Recv(v); err != port.ErrTimeout {
				t.Errorf("%d queues: the sender got %d frames, %v", queues, v.N, err)
			}
		}
		if arrived != 1 {
			t.Errorf("%d queues: %d frames arrived", queues, arrived)
		}
	}
}

func TestRefusals(t *testing.T) {
	a, b, nsA, _ := pair(t, afpacket.Config{})
	tx := newTx(t, a)
	pieces := udp(1, 10, 0)
	for range 1100 {
		pieces.Frags = append(pieces.Frags, []byte{1})
		pieces.Len++
	}
	short := new(pkt.Frame)
	short.Reset(make([]byte, 13))
	bad := tcp(3000, 1460)
	bad.Offload.GSOType = 2
	for _, tt := range []struct {
		name string
		f    *pkt.Frame
		want counter.Reason
	}{
		{"beyond the MTU", udp(1, 1600, 0), counter.FrameTooLong},
		{"beyond MaxRecvFrame", udp(1, 65536, 1000), counter.FrameTooLong},
		{"in too many pieces", pieces, counter.FrameTooLong},
		{"too short", short, counter.FrameTooShort},
		{"unknown GSO type", bad, counter.BadOffload},
	} {
		good := udp(1, 100, 0)
		tx.Push(good)
		tx.Push(tt.f)
		tx.Push(good)
		if sent, refused := tx.Flush(); sent != 2 || refused != 1 || tx.Refusal() != tt.want {
			t.Errorf("%s: %d sent, %d refused for %v; want 2, 1 for %v", tt.name, sent, refused, tx.Refusal(), tt.want)
		}
	}
	if send(t, tx, udp(1, 100, 0)); tx.Refusal() != counter.None {
		t.Errorf("Refusal = %v after a good Flush", tx.Refusal())
	}
	nsA.IP("link set dev a down")
	tx.Push(udp(1, 100, 0))
	tx.Push(udp(1, 100, 0))
	if sent, refused := tx.Flush(); sent != 0 || refused != 2 || tx.Refusal() != counter.PortDown {
		t.Errorf("down: %d sent, %d refused for %v", sent, refused, tx.Refusal())
	}
	_ = b
}

// TestBatches: more frames than a batch holds, and more pieces than iovecs.
func TestBatches(t *testing.T) {
	a, b, _, _ := pair(t, afpacket.Config{})
	tx := newTx(t, a)
	const frames = 200
	for i := range frames {
		f := udp(1, 10+i, 0)
		for range 70 {
			f.Frags = append(f.Frags, []byte{byte(i)})
			f.Len++
		}
		tx.Push(f)
	}
	if sent, refused := tx.Flush(); sent != frames || refused != 0 {
		t.Fatalf("Flush = %d, %d", sent, refused)
	}
	v := pkt.NewVector(64)
	for got := 0; got < frames; {
		recv(t, b.Rx(0), v)
		for _, f := range v.Used() {
			if f.Len != 42+10+got+70 || f.Head[f.Len-1] != byte(got) {
				t.Fatalf("frame %d has %d bytes, last %d", got, f.Len, f.Head[f.Len-1])
			}
			got++
		}
	}
}

// TestFanout: each flow on one queue, no frame twice or lost, all queues used.
func TestFanout(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t, afpacket.Config{Queues: 4})
	tx := newTx(t, a)
	const flows, rounds = 128, 4
	for range rounds {
		for i := range flows {
			tx.Push(udp(uint16(1000+i), 100, 0))
		}
		if _, refused := tx.Flush(); refused != 0 {
			t.Fatal("refused")
		}
	}
	queueOf, total := map[uint16]int{}, 0
	v := pkt.NewVector(32)
	for q := range 4 {
		n := 0
		for b.Rx(q).Recv(v) == nil {
			for _, f := range v.Used() {
				src := binary.BigEndian.Uint16(f.Head[34:])
				if old, ok := queueOf[src]; ok && old != q {
					t.Errorf("flow %d on queues %d and %d", src, old, q)
				}
				queueOf[src] = q
				n++
			}
		}
		if n == 0 {
			t.Errorf("queue %d got nothing", q)
		}
		total += n
	}
	if total != flows*rounds {
		t.Errorf("%d frames arrived, want %d", total, flows*rounds)
	}
}

func TestCloseUnblocks(t *testing.T) {
	t.Parallel()
	a, _, _, _ := pair(t, afpacket.Config{})
	err := make(chan error)
	go func() {
		v := pkt.NewVector(4)
		for {
			if e := a.Rx(0).Recv(v); e != port.ErrTimeout {
				err <- e
				return
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	start := time.Now()
	a.Close()
	if e := <-err; e != port.ErrClosed {
		t.Errorf("Recv: %v, want ErrClosed", e)
	}
	if d := time.Since(start); d > port.IdleTimeout/2 {
		t.Errorf("took %v", d)
	}
	if _, e := a.NewTx(); !errors.Is(e, port.ErrClosed) {
		t.Errorf("NewTx after Close: %v", e)
	}
	if e := a.Close(); e != nil {
		t.Errorf("second Close: %v", e)
	}
}

func TestStatusAndMTU(t *testing.T) {
	a, _, nsA, _ := pair(t, afpacket.Config{})
	nsA.IP("link set dev a address 02:00:00:00:00:77 mtu 1400")
	if s := a.Status(); !s.Present || !s.Up || s.MTU != 1400 || s.MAC != [6]byte{2, 0, 0, 0, 0, 0x77} || s.Detail != "driver veth" {
		t.Errorf("%+v", s)
	}
	if err := a.SetMTU(1300); !errors.Is(err, port.ErrNotOwned) {
		t.Errorf("SetMTU: %v, want ErrNotOwned", err)
	}
	own := open(t, nsA, afpacket.Config{Device: "a", Own: true})
	if err := own.SetMTU(1300); err != nil || own.Status().MTU != 1300 {
		t.Errorf("SetMTU: %v, now %d", err, own.Status().MTU)
	}
}

func TestNoAllocs(t *testing.T) {
	a, b, _, _ := pair(t, afpacket.Config{})
	tx, v := newTx(t, a), pkt.NewVector(32)
	fs := []*pkt.Frame{udp(1, 100, 0), tcp(20000, 1460), udp(1, 8000, 1000)}
	fs[0].PushTag(pkt.Tag{TPID: 0x8100, TCI: 5})
	if n := testing.AllocsPerRun(50, func() {
		for _, f := range fs {
			tx.Push(f)
		}
		tx.Flush()
		if b.Rx(0).Recv(v) != nil || v.N == 0 {
			t.Fatal("nothing arrived")
		}
		if v.N < len(fs) {
			b.Rx(0).Recv(v)
		}
	}); n != 0 {
		t.Errorf("%v allocations per burst, want 0", n)
	}
}
