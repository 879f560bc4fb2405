package afxdp_test

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
	"github.com/ztos/ztos/engine/port/afxdp"
	"github.com/ztos/ztos/engine/port/nstest"
)

var _ port.Port = (*afxdp.Port)(nil)

// open opens a port in a namespace and closes it with the test.
func open(t testing.TB, ns *nstest.NS, cfg afxdp.Config) *afxdp.Port {
	t.Helper()
	var p *afxdp.Port
	var err error
	ns.Do(func() { p, err = afxdp.Open(cfg) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// plain opens an AF_PACKET port: the other end of the cable, which shows what is
// sent as it is and can leave checksums to the device.
func plain(t testing.TB, ns *nstest.NS, device string) *afpacket.Port {
	t.Helper()
	var p *afpacket.Port
	var err error
	ns.Do(func() { p, err = afpacket.Open(afpacket.Config{Device: device}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func newTx(t testing.TB, p port.Port) port.Tx {
	t.Helper()
	tx, err := p.NewTx()
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// pair returns an AF_PACKET port and an AF_XDP port on the ends of one cable.
func pair(t testing.TB, cfg afxdp.Config) (a *afpacket.Port, b *afxdp.Port, nsA, nsB *nstest.NS) {
	t.Helper()
	nsA, nsB = nstest.New(t), nstest.New(t)
	nstest.Veth(t, nsA, "a", nsB, "b")
	cfg.Device = "b"
	return plain(t, nsA, "a"), open(t, nsB, cfg), nsA, nsB
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

// TestRecv: what AF_PACKET sends arrives with the tags and the offload that
// AF_PACKET would say.
func TestRecv(t *testing.T) {
	a, b, _, _ := pair(t, afxdp.Config{})
	tx := newTx(t, a)
	done := new(pkt.Frame)
	done.Reset(complete(t, udp(1, 18)))
	wrong := new(pkt.Frame)
	wrong.Reset(bytes.Clone(done.Head))
	wrong.Head[50]++
	for _, tt := range []struct {
		name string
		f    *pkt.Frame
		tags []pkt.Tag
	}{
		{"plain", done, nil},
		{"wrong checksum", wrong, nil},
		{"partial checksum", udp(1, 100), nil},
		{"MTU", udp(1, 1472), nil},
		{"tagged", udp(1, 100), []pkt.Tag{tag(0x8100, 0xa123)}},
		{"tagged, complete", done, []pkt.Tag{tag(0x8100, 0xa123)}},
		{"tagged, MTU", udp(1, 1472), []pkt.Tag{tag(0x8100, 7)}},
		{"priority tag", udp(1, 100), []pkt.Tag{tag(0x8100, 0)}},
		{"service tag", udp(1, 100), []pkt.Tag{tag(0x88a8, 5)}},
		{"two tags", udp(1, 100), []pkt.Tag{tag(0x88a8, 5), tag(0x8100, 6)}},
		{"shortest", udp(1, 0), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := new(pkt.Frame)
			f.CopyFrom(tt.f)
			want, o := bytes.Clone(f.Head), f.Offload
			for i := len(tt.tags) - 1; i >= 0; i-- {
				f.PushTag(tt.tags[i])
			}
			send(t, tx, f)
			v := pkt.NewVector(4)
			recv(t, b.Rx(0), v)
			g := &v.Frames[0]
			// Tags are beside the bytes, or in them: what access makes of both is
			// the same.
			got := bytes.Clone(g.Head)
			for i := int(g.NumTags) - 1; i >= 0; i-- {
				got = inBytes(got, g.Tags[i])
			}
			for i := len(tt.tags) - 1; i >= 0; i-- {
				want = inBytes(want, tt.tags[i])
			}
			if v.N != 1 || g.Len != len(g.Head) || !bytes.Equal(got, want) {
				t.Fatalf("%d frames of %d bytes, want %d bytes\ngot  %.80x\nwant %.80x", v.N, len(got), len(want), got, want)
			}
			o.CsumStart += uint16(4 * (len(tt.tags) - int(g.NumTags)) * b2i(o.NeedsCsum))
			if g.Offload != o {
				t.Errorf("offload %+v\nwant    %+v", g.Offload, o)
			}
		})
	}
	if n := b.Rx(0).Dropped(); n != 0 {
		t.Errorf("%d frames dropped", n)
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// TestSend: frames leave with their tags and complete checksums, super-frames in
// segments.
func TestSend(t *testing.T) {
	a, b, _, _ := pair(t, afxdp.Config{})
	tx := newTx(t, b)
	done := new(pkt.Frame)
	done.Reset(complete(t, udp(1, 18)))
	pieces := tcp(4380, 1460)
	h := pieces.Head
	pieces.Head, pieces.Frags = h[:54+1460], [][]byte{h[54+1460 : 54+2920], h[54+2920:]}
	for _, tt := range []struct {
		name  string
		f     *pkt.Frame
		tags  []pkt.Tag
		segs  int
		bytes int // payload of all segments
	}{
		{"plain", done, nil, 1, 18},
		{"partial checksum", udp(1, 100), nil, 1, 100},
		{"odd length", udp(1, 101), nil, 1, 101},
		{"MTU", udp(1, 1472), nil, 1, 1472},
		{"tagged", udp(1, 100), []pkt.Tag{tag(0x8100, 0xa123)}, 1, 100},
		{"tagged, MTU", udp(1, 1472), []pkt.Tag{tag(0x8100, 7)}, 1, 1472},
		{"two tags", udp(1, 100), []pkt.Tag{tag(0x88a8, 5), tag(0x8100, 6)}, 1, 100},
		{"TCP super-frame", tcp(20000, 1460), nil, 14, 20000},
		{"TCP super-frame, tagged", tcp(20000, 1460), []pkt.Tag{tag(0x8100, 9)}, 14, 20000},
		{"TCP super-frame in pieces", pieces, nil, 3, 4380},
		{"TCP super-frame of MaxFrame", tcp(port.MaxFrame-54, 1460), nil, 45, port.MaxFrame - 54},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := bytes.Clone(tt.f.Head)
			for i := len(tt.tags) - 1; i >= 0; i-- {
				tt.f.PushTag(tt.tags[i])
			}
			send(t, tx, tt.f)
			if !bytes.Equal(before, tt.f.Head) {
				t.Error("the frame was changed")
			}
			v := pkt.NewVector(64)
			segs, payload := 0, 0
			for segs < tt.segs {
				recv(t, a.Rx(0), v)
				for i := range v.Used() {
					g := &v.Frames[i]
					segs++
					in := g.Head
					if len(tt.tags) > 0 && (g.NumTags != 1 || g.Tags[0] != tt.tags[0]) {
						t.Fatalf("tags %v", g.Tags[:g.NumTags])
					}
					if len(tt.tags) == 2 {
						in = append(bytes.Clone(in[:12]), in[16:]...)
					}
					if !right(in) {
						t.Errorf("segment %d: wrong checksum", segs)
					}
					hdr := 42
					if in[23] == 6 {
						hdr = 54
					}
					for j, c := range in[hdr:] {
						if c != byte((payload+j+hdr-42)*7) {
							t.Fatalf("segment %d: byte %d differs", segs, j)
						}
					}
					payload += len(in) - hdr
				}
			}
			if segs != tt.segs || payload != tt.bytes {
				t.Errorf("%d segments with %d bytes, want %d with %d", segs, payload, tt.segs, tt.bytes)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	_, b, _, nsB := pair(t, afxdp.Config{})
	tx := newTx(t, b)
	short := new(pkt.Frame)
	short.Reset(make([]byte, 13))
	bad := tcp(3000, 1460)
	bad.Offload.GSOType = 2
	for _, tt := range []struct {
		name string
		f    *pkt.Frame
		want counter.Reason
	}{
		{"beyond the MTU", udp(1, 1600), counter.FrameTooLong},
		{"segments beyond the MTU", tcp(30000, 1500), counter.FrameTooLong},
		{"beyond a UMEM frame", udp(1, 5000), counter.FrameTooLong},
		{"beyond MaxRecvFrame", udp(1, 65536), counter.FrameTooLong},
		{"too short", short, counter.FrameTooShort},
		{"unknown GSO type", bad, counter.BadOffload},
	} {
		good := udp(1, 100)
		tx.Push(good)
		tx.Push(tt.f)
		tx.Push(good)
		if sent, refused := tx.Flush(); sent != 2 || refused != 1 || tx.Refusal() != tt.want {
			t.Errorf("%s: %d sent, %d refused for %v; want 2, 1 for %v", tt.name, sent, refused, tx.Refusal(), tt.want)
		}
	}
	if send(t, tx, udp(1, 100)); tx.Refusal() != counter.None {
		t.Errorf("Refusal = %v after a good Flush", tx.Refusal())
	}
	nsB.IP("link set dev b down")
	tx.Push(udp(1, 100))
	tx.Push(udp(1, 100))
	if sent, refused := tx.Flush(); sent != 0 || refused != 2 || tx.Refusal() != counter.PortDown {
		t.Errorf("down: %d sent, %d refused for %v", sent, refused, tx.Refusal())
	}
}

// TestOwnFramesIgnored: a port does not receive what it sends.
func TestOwnFramesIgnored(t *testing.T) {
	t.Parallel()
	a, b, _, _ := pair(t, afxdp.Config{})
	send(t, newTx(t, b), udp(1, 100))
	v := pkt.NewVector(4)
	recv(t, a.Rx(0), v)
	if err := b.Rx(0).Recv(v); err != port.ErrTimeout {
		t.Errorf("the sender got %d frames, %v", v.N, err)
	}
}

// TestManyFrames: more frames than the rings and the memory hold, several times
// over, both ways, in order; none is lost.
func TestManyFrames(t *testing.T) {
	a, b, _, _ := pair(t, afxdp.Config{})
	txa, txb := newTx(t, a), newTx(t, b)
	v := pkt.NewVector(64)
	carry := func(tx port.Tx, rx port.Rx) {
		t.Helper()
		const frames, burst = 10000, 50
		for next := 0; next < frames; {
			for i := range burst {
				f := udp(1, 100)
				binary.BigEndian.PutUint32(f.Head[42:], uint32(next+i))
				tx.Push(f)
			}
			if sent, _ := tx.Flush(); sent != burst {
				t.Fatalf("%d sent, %v", sent, tx.Refusal())
			}
			for end := next + burst; next < end; {
				recv(t, rx, v)
				for _, f := range v.Used() {
					if got := binary.BigEndian.Uint32(f.Head[42:]); got != uint32(next) {
						t.Fatalf("frame %d where %d should be", got, next)
					}
					next++
				}
			}
		}
	}
	carry(txa, b.Rx(0))
	carry(txb, a.Rx(0))
	// Without anybody who reads: all that a TCP stream sends before it waits for
	// an answer has room, and more runs over, counted.
	const window = 3000
	flood := func(n int) (got int) {
		for range n / 50 {
			for range 50 {
				txa.Push(udp(1, 100))
			}
			txa.Flush()
		}
		for b.Rx(0).Recv(v) == nil {
			got += v.N
		}
		return got
	}
	if got, d := flood(window), b.Rx(0).Dropped(); got != window || d != 0 {
		t.Errorf("%d arrived and %d were dropped of %d", got, d, window)
	}
	const over = 4 * window
	if got, d := flood(over), b.Rx(0).Dropped(); d == 0 || got < window || uint64(got)+d > over {
		t.Errorf("%d arrived and %d were dropped of %d", got, d, over)
	}
	carry(txa, b.Rx(0))
}

// TestTwoSenders: two workers share the queue; every frame leaves once.
func TestTwoSenders(t *testing.T) {
	a, b, _, _ := pair(t, afxdp.Config{})
	const each = 4000
	done := make(chan int, 2)
	for w := range 2 {
		tx := newTx(t, b)
		go func() {
			sent := 0
			for i := 0; i < each; i += 20 {
				for j := range 20 {
					f := udp(uint16(w), 100)
					binary.BigEndian.PutUint32(f.Head[42:], uint32(i+j))
					tx.Push(f)
				}
				s, _ := tx.Flush()
				sent += s
			}
			done <- sent
		}()
	}
	v := pkt.NewVector(64)
	var next [2]uint32
	for got := 0; got < 2*each; {
		recv(t, a.Rx(0), v)
		for _, f := range v.Used() {
			w := f.Head[35]
			if n := binary.BigEndian.Uint32(f.Head[42:]); n != next[w] || !right(f.Head) {
				t.Fatalf("sender %d: frame %d where %d should be", w, n, next[w])
			}
			next[w]++
			got++
		}
	}
	if n := <-done + <-done; n != 2*each {
		t.Errorf("%d sent, want %d", n, 2*each)
	}
}

// TestQueues: the device's queues, shared among the port's; no frame twice or
// lost.
func TestQueues(t *testing.T) {
	for _, queues := range []int{1, 2, 3} {
		nsA, nsB := nstest.New(t), nstest.New(t)
		nstest.VethQueues(t, nsA, "a", nsB, "b", 3)
		a, b := plain(t, nsA, "a"), open(t, nsB, afxdp.Config{Device: "b", Queues: queues})
		tx, txb := newTx(t, a), newTx(t, b)
		const flows = 120
		v, total, used := pkt.NewVector(32), 0, 0
		for i := range flows {
			send(t, tx, udp(uint16(1000+i), 100))
		}
		seen := map[uint16]bool{}
		for q := range queues {
			n := 0
			for b.Rx(q).Recv(v) == nil {
				for _, f := range v.Used() {
					seen[binary.BigEndian.Uint16(f.Head[34:])] = true
				}
				n += v.N
			}
			if n > 0 {
				used++
			}
			total += n
		}
		if total != flows || len(seen) != flows || used != queues {
			t.Errorf("%d queues: %d frames of %d flows on %d queues, want %d on all", queues, total, len(seen), used, flows)
		}
		send(t, txb, udp(1, 100))
		recv(t, a.Rx(0), v)
	}
}

func TestCloseUnblocks(t *testing.T) {
	t.Parallel()
	_, b, _, _ := pair(t, afxdp.Config{})
	err := make(chan error)
	go func() {
		v := pkt.NewVector(4)
		for {
			if e := b.Rx(0).Recv(v); e != port.ErrTimeout {
				err <- e
				return
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	start := time.Now()
	b.Close()
	if e := <-err; e != port.ErrClosed {
		t.Errorf("Recv: %v, want ErrClosed", e)
	}
	if d := time.Since(start); d > port.IdleTimeout/2 {
		t.Errorf("took %v", d)
	}
	if _, e := b.NewTx(); !errors.Is(e, port.ErrClosed) {
		t.Errorf("NewTx after Close: %v", e)
	}
	if e := b.Close(); e != nil {
		t.Errorf("second Close: %v", e)
	}
}

func TestStatusAndMTU(t *testing.T) {
	_, b, _, nsB := pair(t, afxdp.Config{})
	nsB.IP("link set dev b address 02:00:00:00:00:77 mtu 1400")
	s := b.Status()
	if !s.Present || !s.Up || s.MTU != 1400 || s.MAC != [6]byte{2, 0, 0, 0, 0, 0x77} ||
		s.Driver != port.AFXDP || s.Detail != "driver veth, native, copy" {
		t.Errorf("%+v", s)
	}
	if err := b.SetMTU(1300); !errors.Is(err, port.ErrNotOwned) {
		t.Errorf("SetMTU: %v, want ErrNotOwned", err)
	}
	b.Close()
	own := open(t, nsB, afxdp.Config{Device: "b", Own: true})
	if err := own.SetMTU(1300); err != nil || own.Status().MTU != 1300 {
		t.Errorf("SetMTU: %v, now %d", err, own.Status().MTU)
	}
	if err := own.SetMTU(9000); !errors.Is(err, afxdp.ErrMTU) {
		t.Errorf("SetMTU(9000): %v, want ErrMTU", err)
	}
}

func TestNoAllocs(t *testing.T) {
	a, b, _, _ := pair(t, afxdp.Config{})
	txa, txb := newTx(t, a), newTx(t, b)
	v := pkt.NewVector(64)
	tagged := udp(1, 100)
	tagged.PushTag(tag(0x8100, 5))
	in := []*pkt.Frame{udp(1, 100), tagged, udp(1, 1472)}
	out := append(in, tcp(20000, 1460))
	send(t, txb, out...) // the scratch is made with the first super-frame
	if n := testing.AllocsPerRun(50, func() {
		for _, f := range in {
			txa.Push(f)
		}
		txa.Flush()
		for got := 0; got < len(in); got += v.N {
			if b.Rx(0).Recv(v) != nil {
				t.Fatal("nothing arrived")
			}
		}
		for _, f := range out {
			txb.Push(f)
		}
		if _, refused := txb.Flush(); refused != 0 {
			t.Fatal(txb.Refusal())
		}
	}); n != 0 {
		t.Errorf("%v allocations per burst, want 0", n)
	}
}
