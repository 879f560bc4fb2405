package underlay_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/underlay"
)

// open opens a Mux and closes it with the test.
func open(t testing.TB, cfg underlay.Config) *underlay.Mux {
	t.Helper()
	m, err := underlay.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// to returns an endpoint on the given address with m's port.
func to(m underlay.Conn, ip string) *underlay.Endpoint {
	return underlay.NewEndpoint(netip.AddrPortFrom(netip.MustParseAddr(ip), m.LocalAddr().Port()))
}

// datagrams cuts what bundles hold into copies.
func datagrams(b []underlay.Bundle) (out [][]byte) {
	for _, x := range b {
		for d := x.Buf; len(d) > 0; d = d[min(x.SegSize, len(d)):] {
			out = append(out, bytes.Clone(d[:min(x.SegSize, len(d))]))
		}
	}
	return out
}

// collect receives on all queues until want datagrams came or nothing comes.
func collect(t testing.TB, m underlay.Conn, want int) (out [][]byte) {
	t.Helper()
	b := make([]underlay.Bundle, 64)
	for idle := 0; len(out) < want && idle < 4*m.Queues(); {
		for q := range m.Queues() {
			n, err := m.Receiver(q).Recv(b)
			if err == underlay.ErrTimeout {
				idle++
			} else if err != nil {
				t.Fatal(err)
			}
			out = append(out, datagrams(b[:n])...)
		}
	}
	return out
}

// group is n datagrams of size bytes, the last of last bytes, each beginning
// with its number.
func group(first, n, size, last int) []byte {
	b := make([]byte, (n-1)*size+last)
	for i := range n {
		d := b[i*size:]
		for j := range d[:min(size, len(d))] {
			d[j] = byte(first + i + j)
		}
	}
	return b
}

// TestSameDatagrams: GSO and GRO, on or off, change how datagrams travel, not
// which arrive; over IPv4, IPv6, and a dual-stack socket with either.
func TestSameDatagrams(t *testing.T) {
	for _, net := range []struct{ name, listen, addr, src string }{
		{"IPv4", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		{"IPv6", "[::1]:0", "::1", "::1"},
		{"dual, IPv4", "[::]:0", "127.0.0.1", "127.0.0.1"},
		{"dual, IPv6", "[::]:0", "::1", "::1"},
		{"dual, mapped", "[::]:0", "::ffff:127.0.0.1", "127.0.0.1"},
	} {
		for off := range 4 {
			t.Run(fmt.Sprintf("%s, off %02b", net.name, off), func(t *testing.T) {
				cfg := underlay.Config{Listen: at(net.listen), DisableGSO: off&1 != 0, DisableGRO: off&2 != 0}
				a, b := open(t, cfg), open(t, cfg)
				if s := a.Status(); s.GSO == cfg.DisableGSO || s.GRO == cfg.DisableGRO || (s.GSOWhy != "") != cfg.DisableGSO {
					t.Errorf("status %+v", s)
				}
				tx, dst := a.NewTx(), to(b, net.addr)
				var want [][]byte
				for _, g := range []struct{ n, size, last int }{
					{1, 1, 1}, {1, 1400, 1400}, {10, 1472, 1472}, {44, 1472, 100}, {128, 60, 60},
					{128, 511, 1}, {300, 100, 7}, {70, 1472, 1472}, {2, 9000, 8000}, {5, 32000, 5},
				} {
					data := group(len(want), g.n, g.size, g.last)
					tx.Push(dst, 0, data, g.size)
					want = append(want, datagrams([]underlay.Bundle{{Buf: data, SegSize: g.size}})...)
				}
				if sent, failed := tx.Flush(); sent != len(want) || failed != 0 {
					t.Fatalf("Flush = %d, %d, want %d, 0 (%s)", sent, failed, len(want), a.Status().LastError)
				}
				buf := make([]underlay.Bundle, 64)
				var got [][]byte
				most := 0
				for len(got) < len(want) {
					n, err := b.Rx(0).Recv(buf)
					if err != nil {
						t.Fatalf("%d of %d arrived: %v", len(got), len(want), err)
					}
					for _, x := range buf[:n] {
						most = max(most, len(x.Buf)/max(x.SegSize, 1))
						if x.Src.Addr() != netip.MustParseAddr(net.src) || x.Src.Port() != a.LocalAddr().Port() {
							t.Fatalf("from %v, want %s and port %d", x.Src, net.src, a.LocalAddr().Port())
						}
					}
					got = append(got, datagrams(buf[:n])...)
				}
				for i := range want {
					if !bytes.Equal(got[i], want[i]) {
						t.Fatalf("datagram %d: %d bytes, want %d", i, len(got[i]), len(want[i]))
					}
				}
				if on := off == 0; on != (most > 1) {
					t.Errorf("largest bundle has %d datagrams", most)
				}
			})
		}
	}
}

// TestPaths: every path has a port of its own, datagrams arrive on the queue
// that owns the port they were sent to, and answers reach the source port.
func TestPaths(t *testing.T) {
	a := open(t, underlay.Config{Listen: at("127.0.0.1:0"), Queues: 2, SourcePorts: 5})
	b := open(t, underlay.Config{Listen: at("127.0.0.1:0")})
	if a.Paths() != 6 || len(a.Status().SourcePorts) != 6 {
		t.Fatalf("%d paths, %v", a.Paths(), a.Status().SourcePorts)
	}
	seen := map[uint16]bool{}
	for i, p := range a.Status().SourcePorts {
		if seen[p] || i > 0 && p < 49152 {
			t.Errorf("path %d has port %d", i, p)
		}
		seen[p] = true
	}
	for range 2 { // the second Tx sends path 0 from the other listening socket
		tx := a.NewTx()
		for path := range 12 {
			tx.Push(to(b, "127.0.0.1"), path, []byte{byte(path)}, 1)
		}
		if sent, failed := tx.Flush(); sent != 12 || failed != 0 {
			t.Fatalf("Flush = %d, %d", sent, failed)
		}
		buf := make([]underlay.Bundle, 32)
		for got := 0; got < 12; {
			n, err := b.Rx(0).Recv(buf)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range buf[:n] {
				for _, d := range datagrams([]underlay.Bundle{x}) {
					got++
					if want := a.Status().SourcePorts[d[0]%6]; x.Src.Port() != want {
						t.Errorf("path %d came from port %d, want %d", d[0], x.Src.Port(), want)
					}
				}
			}
		}
	}
	for i, p := range a.Status().SourcePorts[1:] {
		e := underlay.NewEndpoint(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), p))
		if err := b.SendTo(e, []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		buf := make([]underlay.Bundle, 8)
		if n, err := a.Rx(i % 2).Recv(buf); n != 1 || buf[0].Buf[0] != byte(i) {
			t.Errorf("answer to port %d: %d, %v", p, n, err)
		}
	}
}

// TestQueues: the sockets of the listening port share a peer's paths evenly, and
// all datagrams of a path reach one of them, over IPv4, IPv6 and both at once.
func TestQueues(t *testing.T) {
	const queues, paths, rounds = 4, 32, 10
	for _, tt := range []struct{ listen, ip string }{
		{"127.0.0.1:0", "127.0.0.1"}, {"[::1]:0", "::1"}, {"[::]:0", "127.0.0.1"}, {"[::]:0", "::1"},
	} {
		t.Run(tt.listen+" "+tt.ip, func(t *testing.T) {
			b := open(t, underlay.Config{Listen: at(tt.listen), Queues: queues})
			from := "127.0.0.1:0"
			if strings.Contains(tt.ip, ":") {
				from = "[::1]:0"
			}
			a := open(t, underlay.Config{Listen: at(from), SourcePorts: paths - 1})
			tx := a.NewTx()
			for i := range paths * rounds {
				tx.Push(to(b, tt.ip), i, []byte{byte(i % paths)}, 1)
			}
			tx.Flush()
			queueOf, total := map[byte]int{}, 0
			buf := make([]underlay.Bundle, 64)
			for q := range queues {
				for {
					k, err := b.Rx(q).Recv(buf)
					if err != nil {
						break
					}
					for _, d := range datagrams(buf[:k]) {
						if old, ok := queueOf[d[0]]; ok && old != q {
							t.Errorf("path %d at queues %d and %d", d[0], old, q)
						}
						queueOf[d[0]] = q
						total++
					}
				}
			}
			if total != paths*rounds {
				t.Errorf("%d datagrams, want %d", total, paths*rounds)
			}
			var count [queues]int
			for _, q := range queueOf {
				count[q]++
			}
			// The listening port is anywhere, and a port in use makes a gap.
			for q, n := range count {
				if n < paths/queues-3 {
					t.Errorf("queue %d has %d of %d paths: %v", q, n, paths, count)
				}
			}
		})
	}
}

func TestCloseUnblocks(t *testing.T) {
	for _, sources := range []int{0, 3} {
		m := open(t, underlay.Config{Listen: at("127.0.0.1:0"), SourcePorts: sources})
		tx := m.NewTx()
		err := make(chan error)
		go func() {
			b := make([]underlay.Bundle, 8)
			for {
				if _, e := m.Rx(0).Recv(b); e != underlay.ErrTimeout {
					err <- e
					return
				}
			}
		}()
		time.Sleep(20 * time.Millisecond)
		start := time.Now()
		m.Close()
		if e := <-err; e != underlay.ErrClosed {
			t.Errorf("Recv: %v", e)
		}
		if d := time.Since(start); d > port.IdleTimeout/2 {
			t.Errorf("took %v", d)
		}
		for _, tx := range []*underlay.Tx{tx, m.NewTx()} {
			tx.Push(underlay.NewEndpoint(at("127.0.0.1:9")), 0, []byte("abc"), 1)
			if sent, failed := tx.Flush(); sent != 0 || failed != 3 {
				t.Errorf("Flush after Close = %d, %d", sent, failed)
			}
		}
		if e := m.SendTo(underlay.NewEndpoint(at("127.0.0.1:9")), []byte("x")); !errors.Is(e, underlay.ErrClosed) {
			t.Errorf("SendTo after Close: %v", e)
		}
		m.Close()
		if s := m.Status(); s.Dropped != 0 {
			t.Errorf("status after Close %+v", s)
		}
	}
}

// TestConcurrency: workers send and receive while control closes; with -race.
func TestConcurrency(t *testing.T) {
	for range 20 {
		m, err := underlay.Open(underlay.Config{Listen: at("127.0.0.1:0"), Queues: 2, SourcePorts: 2, Burst: 4})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan bool)
		for q := range 2 {
			go func() {
				b := make([]underlay.Bundle, 4)
				for {
					if _, err := m.Rx(q).Recv(b); err == underlay.ErrClosed {
						break
					}
				}
				done <- true
			}()
			go func() {
				tx, data := m.NewTx(), group(0, 5, 100, 100)
				for i := 0; ; i++ {
					tx.Push(to(m, "127.0.0.1"), i, data, 100)
					if sent, _ := tx.Flush(); sent == 0 {
						break
					}
				}
				done <- true
			}()
		}
		time.Sleep(time.Millisecond)
		m.Close()
		for range 4 {
			<-done
		}
	}
}

func TestEndpoint(t *testing.T) {
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ in, want string }{
		{"192.0.2.1:4789", "192.0.2.1:4789"},
		{"[::ffff:192.0.2.1]:4789", "192.0.2.1:4789"},
		{"[2001:db8::1]:4789", "[2001:db8::1]:4789"},
		{"[fe80::1%7]:4789", "[fe80::1%7]:4789"},
		{"[fe80::1%lo]:4789", fmt.Sprintf("[fe80::1%%%d]:4789", lo.Index)},
	} {
		e := underlay.NewEndpoint(at(tt.in))
		if got := e.String(); got != tt.want || e.Addr() != at(tt.want) {
			t.Errorf("%s: %s, want %s", tt.in, got, tt.want)
		}
	}
}

// TestLinkLocal: a sender's zone comes back as one that can be answered.
func TestLinkLocal(t *testing.T) {
	a, b, nsA, nsB := underlayNS(t, 1500, underlay.Config{Listen: at("[::]:4000")})
	nsA.IP("addr add fe80::1/64 dev a nodad")
	nsB.IP("addr add fe80::2/64 dev b nodad")
	var dst *underlay.Endpoint
	nsA.Do(func() { dst = underlay.NewEndpoint(at("[fe80::2%a]:4000")) })
	if err := a.SendTo(dst, []byte("ping")); err != nil {
		t.Fatal(err)
	}
	buf := make([]underlay.Bundle, 4)
	// Neighbour discovery may take a retry of a second when the machine is busy.
	recv := func(r *underlay.Rx) (n int, err error) {
		for range 20 {
			if n, err = r.Recv(buf); err != underlay.ErrTimeout {
				break
			}
		}
		return n, err
	}
	if n, err := recv(b.Rx(0)); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	back := underlay.NewEndpoint(buf[0].Src)
	if back.Addr() != buf[0].Src || buf[0].Src.Addr().Zone() == "" {
		t.Errorf("from %v, endpoint %v", buf[0].Src, back)
	}
	if err := b.SendTo(back, []byte("pong")); err != nil {
		t.Fatal(err)
	}
	if n, err := recv(a.Rx(0)); n != 1 || buf[0].Src != dst.Addr() {
		t.Errorf("%d from %v, %v", n, buf[0].Src, err)
	}
}

func TestNoAllocs(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::]:0"} {
		a := open(t, underlay.Config{Listen: at(listen), SourcePorts: 3})
		b := open(t, underlay.Config{Listen: at(listen), SourcePorts: 1})
		tx, dst, buf := a.NewTx(), to(b, "127.0.0.1"), make([]underlay.Bundle, 32)
		data := group(0, 44, 1472, 100)
		i := 0
		if n := testing.AllocsPerRun(50, func() {
			tx.Push(dst, i, data, 1472)
			tx.Push(dst, i+1, data[:100], 100)
			i++
			if _, failed := tx.Flush(); failed != 0 {
				t.Fatal("failed")
			}
			for got := 0; got < 45; {
				n, err := b.Rx(0).Recv(buf)
				if err != nil {
					t.Fatal(err)
				}
				for _, x := range buf[:n] {
					got += (len(x.Buf) + x.SegSize - 1) / x.SegSize
				}
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations per burst, want 0", listen, n)
		}
	}
}

// TestModel: random groups to random peers on random paths; every datagram
// arrives once and, per path and peer, in order.
func TestModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	a := open(t, underlay.Config{Listen: at("[::]:0"), SourcePorts: 4})
	peers := []*underlay.Mux{
		open(t, underlay.Config{Listen: at("127.0.0.1:0"), Queues: 2, SourcePorts: 1}),
		open(t, underlay.Config{Listen: at("[::1]:0"), DisableGRO: true}),
	}
	tx := a.NewTx()
	for range 30 {
		want := [2][5][][]byte{}
		total := [2]int{}
		for range 1 + r.IntN(40) {
			p, path := r.IntN(2), r.IntN(5)
			size := 3 + r.IntN(1400)
			n := 1 + r.IntN(min(150, 20000/size))
			data := group(r.IntN(256), n, size, 1+r.IntN(size))
			tx.Push(to(peers[p], []string{"127.0.0.1", "::1"}[p]), path, data, size)
			d := datagrams([]underlay.Bundle{{Buf: data, SegSize: size}})
			want[p][path] = append(want[p][path], d...)
			total[p] += len(d)
		}
		if sent, failed := tx.Flush(); sent != total[0]+total[1] || failed != 0 {
			t.Fatalf("Flush = %d, %d, want %d", sent, failed, total[0]+total[1])
		}
		pathOf := map[uint16]int{}
		for i, p := range a.Status().SourcePorts {
			pathOf[p] = i
		}
		buf := make([]underlay.Bundle, 16)
		for p, m := range peers {
			for q, idle := 0, 0; total[p] > 0 && idle < 4; q = (q + 1) % m.Queues() {
				n, err := m.Rx(q).Recv(buf)
				if err != nil {
					idle++
				}
				for _, x := range buf[:n] {
					path := pathOf[x.Src.Port()]
					for _, d := range datagrams([]underlay.Bundle{x}) {
						w := want[p][path]
						if len(w) == 0 || !bytes.Equal(w[0], d) {
							t.Fatalf("peer %d, path %d: out of order or changed", p, path)
						}
						want[p][path] = w[1:]
						total[p]--
					}
				}
			}
			if total[p] != 0 {
				t.Fatalf("peer %d: %d missing", p, total[p])
			}
		}
	}
}

// TestReuse: a spare endpoint is filled, without an allocation and with nothing
// left of what it was.
func TestReuse(t *testing.T) {
	six, four := netip.MustParseAddrPort("[2001:db8::1]:7"), netip.MustParseAddrPort("[::ffff:192.0.2.1]:8")
	spare := underlay.Reuse(nil, netip.AddrPort{})
	for _, a := range []netip.AddrPort{four, six} {
		got := underlay.Reuse(spare, a)
		if got != spare || *got.(*underlay.Endpoint) != *underlay.NewEndpoint(a) {
			t.Errorf("%v: %+v, want %+v", a, got, underlay.NewEndpoint(a))
		}
	}
	if n := testing.AllocsPerRun(10, func() { underlay.Reuse(spare, four) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := underlay.Reuse(nil, six); *got.(*underlay.Endpoint) != *underlay.NewEndpoint(six) {
		t.Errorf("without a spare: %+v", got)
	}
}
