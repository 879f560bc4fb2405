package tap_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/nstest"
	"github.com/ztos/ztos/engine/port/tap"
	"golang.org/x/sys/unix"
)

var _ port.Port = (*tap.Port)(nil)

// open creates a TAP device in a namespace, quiet but for what the test does.
func open(t testing.TB, ns *nstest.NS, cfg tap.Config) *tap.Port {
	t.Helper()
	ns.Set("ipv6/conf/default/disable_ipv6", "1")
	var p *tap.Port
	var err error
	ns.Do(func() { p, err = tap.Open(cfg) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// host opens a device with addresses .N and ::N.
func host(t testing.TB, n string, cfg tap.Config) (*nstest.NS, *tap.Port) {
	t.Helper()
	ns := nstest.New(t)
	cfg.Device = "tap0"
	p := open(t, ns, cfg)
	ns.Set("ipv6/conf/tap0/disable_ipv6", "0")
	ns.IP("addr add 10.7.0." + n + "/24 dev tap0")
	ns.IP("addr add fd07::" + n + "/64 dev tap0 nodad")
	return ns, p
}

// TestTCP: real TCP with TSO between two hosts that own the kernel's end.
func TestTCP(t *testing.T) {
	for _, queues := range []int{1, 2} {
		h1, p1 := host(t, "1", tap.Config{Queues: queues})
		h2, p2 := host(t, "2", tap.Config{Queues: queues})
		there, back := nstest.Forward(t, p1, p2, nil), nstest.Forward(t, p2, p1, nil)
		for _, ip := range []string{"10.7.0.2", "fd07::2"} {
			if err := nstest.TCP(h1, h2, ip, 8<<20); err != nil {
				t.Errorf("%s: %v", ip, err)
			}
		}
		t.Logf("%d queues: %d frames there, %d of them super-frames; %d back", queues,
			there.Frames.Load(), there.Super.Load(), back.Frames.Load())
		if there.Super.Load() == 0 {
			t.Error("no super-frame was seen")
		}
		if n := there.Refused.Load() + back.Refused.Load(); n != 0 {
			t.Errorf("%d frames refused", n)
		}
	}
}

// udp returns a frame for the kernel's end: IPv4, UDP to port 9, in pieces.
func udp(payload, size int, pieces int) *pkt.Frame {
	b := make([]byte, 42)
	copy(b, []byte{255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 9, 8, 0, 0x45})
	binary.BigEndian.PutUint16(b[16:], uint16(28+payload))
	b[22], b[23] = 64, 17
	copy(b[26:], []byte{10, 7, 0, 9, 10, 7, 0, 1})
	var sum uint32
	for i := 14; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[24:], ^uint16(sum+sum>>16))
	binary.BigEndian.PutUint16(b[34:], 77)
	binary.BigEndian.PutUint16(b[36:], 9)
	binary.BigEndian.PutUint16(b[38:], uint16(8+payload))
	// Pseudo-header sum.
	sum = 0
	for i := 26; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum += 17 + uint32(8+payload)
	sum = sum&0xffff + sum>>16
	binary.BigEndian.PutUint16(b[40:], uint16(sum+sum>>16))
	f := new(pkt.Frame)
	f.Reset(b)
	for i := range pieces {
		n := payload / pieces
		if i == pieces-1 {
			n = payload - i*n
		}
		f.Frags = append(f.Frags, bytes.Repeat([]byte{byte('a' + i)}, n))
	}
	f.Len += payload
	f.Offload = pkt.Offload{NeedsCsum: true, CsumStart: 34, CsumOff: 6}
	if size > 0 {
		f.Offload.GSOType, f.Offload.GSOSize = pkt.GSOUDP, uint16(size)
	}
	return f
}

// TestWrite: single frames and UDP super-frames reach a socket on the kernel's
// end, cut and summed.
func TestWrite(t *testing.T) {
	ns, p := host(t, "1", tap.Config{})
	ns.IP("neigh add 10.7.0.9 lladdr 02:00:00:00:00:09 dev tap0")
	var sock int
	var err error
	ns.Do(func() { sock, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(sock)
	unix.SetsockoptTimeval(sock, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 2})
	if err := unix.Bind(sock, &unix.SockaddrInet4{Port: 9}); err != nil {
		t.Fatal(err)
	}
	tx, _ := p.NewTx()
	if !tx.CanUDPGSO() {
		t.Fatal("this kernel takes no UDP super-frames")
	}
	tx.Push(udp(5, 0, 1))
	tx.Push(udp(3000, 1000, 3))
	if sent, refused := tx.Flush(); sent != 2 || refused != 0 {
		t.Fatalf("Flush = %d, %d for %v", sent, refused, tx.Refusal())
	}
	b := make([]byte, 2000)
	for i, want := range []struct {
		n    int
		fill byte
	}{{5, 'a'}, {1000, 'a'}, {1000, 'b'}, {1000, 'c'}} {
		n, err := unix.Read(sock, b)
		if err != nil || n != want.n || b[0] != want.fill || b[n-1] != want.fill {
			t.Fatalf("datagram %d: %d bytes of %q, %v", i, n, b[:1], err)
		}
	}
	for _, tt := range []struct {
		name string
		f    *pkt.Frame
		want counter.Reason
	}{
		{"too short", func() *pkt.Frame { f := new(pkt.Frame); f.Reset(make([]byte, 13)); return f }(), counter.FrameTooShort},
		{"too long", udp(66000, 1000, 1), counter.FrameTooLong},
		{"bad offload", func() *pkt.Frame { f := udp(3000, 1000, 3); f.Offload.GSOType = 2; return f }(), counter.BadOffload},
	} {
		tx.Push(tt.f)
		tx.Push(udp(5, 0, 1))
		if sent, refused := tx.Flush(); sent != 1 || refused != 1 || tx.Refusal() != tt.want {
			t.Errorf("%s: %d sent, %d refused for %v", tt.name, sent, refused, tx.Refusal())
		}
	}
	if !tx.CanUDPGSO() {
		t.Error("a bad frame turned UDP super-frames off")
	}
}

// TestOutages: down and up, deleted and created again, with MTU and MAC kept.
func TestOutages(t *testing.T) {
	ns, p := host(t, "1", tap.Config{MTU: 1400, MAC: [6]byte{2, 0, 0, 0, 0, 1}, Queues: 2})
	tx, _ := p.NewTx()
	v := pkt.NewVector(4)
	sendable := func() bool {
		tx.Push(udp(5, 0, 1))
		sent, _ := tx.Flush()
		return sent == 1
	}
	if !sendable() {
		t.Fatal("refused at the start")
	}
	ns.IP("link set dev tap0 down")
	err := p.Rx(0).Recv(v)
	for i := 0; err == nil && i < 16; i++ {
		err = p.Rx(0).Recv(v) // what the host's stack had queued before
	}
	if !errors.Is(err, port.ErrDown) {
		t.Errorf("Recv while down: %v", err)
	}
	if sendable() || tx.Refusal() != counter.PortDown || p.Status().Up {
		t.Errorf("while down: refused for %v, %+v", tx.Refusal(), p.Status())
	}
	ns.IP("link set dev tap0 up")
	if !sendable() {
		t.Error("refused after up")
	}
	if err := p.SetMTU(1300); err != nil {
		t.Error(err)
	}
	ns.IP("link del dev tap0")
	if sendable() || tx.Refusal() != counter.PortDown {
		t.Errorf("while gone: refused for %v", tx.Refusal())
	}
	for i := 0; !sendable() && i < 10; i++ {
		if err := p.Rx(i % 2).Recv(v); err == nil {
			t.Error("frames from nowhere")
		}
	}
	s := p.Status()
	if !s.Present || !s.Up || s.MTU != 1300 || s.MAC != [6]byte{2, 0, 0, 0, 0, 1} {
		t.Errorf("created again: %+v", s)
	}
	if !sendable() {
		t.Error("refused by the new device")
	}
	// Both queues receive again.
	ns.IP("addr add 10.7.0.1/24 dev tap0")
	ns.Exec("ping", "-c1", "-W1", "10.7.0.50")
	got := 0
	for q := range 2 {
		if p.Rx(q).Recv(v) == nil {
			got += v.N
		}
	}
	if got == 0 {
		t.Error("no ARP request arrived from the new device")
	}
}

func TestCloseUnblocks(t *testing.T) {
	ns, p := host(t, "1", tap.Config{})
	err := make(chan error)
	go func() {
		v := pkt.NewVector(4)
		for {
			if e := p.Rx(0).Recv(v); e != nil && e != port.ErrTimeout {
				err <- e
				return
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	start := time.Now()
	p.Close()
	if e := <-err; e != port.ErrClosed {
		t.Errorf("Recv: %v", e)
	}
	if d := time.Since(start); d > port.IdleTimeout/2 {
		t.Errorf("took %v", d)
	}
	if _, e := p.NewTx(); !errors.Is(e, port.ErrClosed) {
		t.Errorf("NewTx after Close: %v", e)
	}
	if out, e := ns.Try("link show dev tap0"); e == nil {
		t.Errorf("the device is still there:\n%s", out)
	}
	p.Close()
}

func TestOpenFaults(t *testing.T) {
	ns := nstest.New(t)
	ns.IP("link add name v0 type veth peer name v1")
	for _, name := range []string{"", "a-name-that-is-too-long", "v0"} {
		ns.Do(func() {
			if p, err := tap.Open(tap.Config{Device: name}); err == nil {
				p.Close()
				t.Errorf("%q opened", name)
			}
		})
	}
}

func TestNoAllocs(t *testing.T) {
	ns, p := host(t, "1", tap.Config{})
	ns.IP("neigh add 10.7.0.9 lladdr 02:00:00:00:00:09 dev tap0")
	var sock int
	ns.Do(func() { sock, _ = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) })
	defer unix.Close(sock)
	if err := unix.Connect(sock, &unix.SockaddrInet4{Port: 9, Addr: [4]byte{10, 7, 0, 9}}); err != nil {
		t.Fatal(err)
	}
	tx, _ := p.NewTx()
	v := pkt.NewVector(8)
	f, g := udp(5, 0, 1), udp(3000, 1000, 3)
	data := make([]byte, 100)
	if n := testing.AllocsPerRun(50, func() {
		tx.Push(f)
		tx.Push(g)
		tx.Flush()
		unix.Write(sock, data)
		if p.Rx(0).Recv(v) != nil {
			t.Fatal("nothing arrived")
		}
	}); n != 0 {
		t.Errorf("%v allocations per burst, want 0", n)
	}
}
