package xdp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/netdev"
	"github.com/ztos/ztos/engine/port/nstest"
	"github.com/ztos/ztos/engine/underlay"
	"github.com/ztos/ztos/engine/underlay/xdp"
)

// Addresses of the two ends of a cable.
var (
	a4, b4 = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	a6, b6 = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
)

// cable returns two namespaces joined by a veth, device c at either end, with
// addresses and permanent neighbours.
func cable(t testing.TB, mtu int) (a, b *nstest.NS) {
	t.Helper()
	a, b = nstest.New(t), nstest.New(t)
	nstest.Veth(t, a, "c", b, "d")
	b.IP("link set dev d down")
	b.IP("link set dev d name c up")
	for _, x := range []struct {
		ns     *nstest.NS
		v4, v6 netip.Addr
	}{{a, a4, a6}, {b, b4, b6}} {
		x.ns.IP(fmt.Sprintf("link set dev c mtu %d", mtu))
		x.ns.IP("addr add " + x.v4.String() + "/24 dev c")
		x.ns.Set("ipv6/conf/c/accept_dad", "0")
		x.ns.Set("ipv6/conf/c/disable_ipv6", "0")
		x.ns.IP("addr add " + x.v6.String() + "/64 dev c nodad")
	}
	for _, x := range []struct {
		ns, far *nstest.NS
		to      []netip.Addr
	}{{a, b, []netip.Addr{b4, b6}}, {b, a, []netip.Addr{a4, a6}}} {
		mac := macOf(t, x.far)
		for _, to := range x.to {
			x.ns.IP(fmt.Sprintf("neigh replace %s lladdr %s dev c nud permanent", to, net.HardwareAddr(mac[:])))
		}
	}
	return a, b
}

func macOf(t testing.TB, ns *nstest.NS) (mac [6]byte) {
	t.Helper()
	ns.Do(func() {
		d, err := netdev.Open("c")
		if err != nil {
			t.Error(err)
			return
		}
		mac = d.Status().MAC
		d.Close()
	})
	return mac
}

// sockets opens a Mux in a namespace.
func sockets(t testing.TB, ns *nstest.NS, cfg underlay.Config) *underlay.Mux {
	t.Helper()
	if !cfg.Listen.IsValid() {
		cfg.Listen = netip.MustParseAddrPort("[::]:51820")
	}
	var m *underlay.Mux
	var err error
	ns.Do(func() { m, err = underlay.Open(cfg) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// open opens a Conn on a namespace's device, with what goes to the other end's
// addresses by it.
func open(t testing.TB, ns, far *nstest.NS, cfg underlay.Config) *xdp.Conn {
	t.Helper()
	m := sockets(t, ns, cfg)
	var c *xdp.Conn
	var err error
	ns.Do(func() { c, err = xdp.Open(xdp.Config{Mux: m, Devices: []string{"c"}}) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	update(t, c, macOf(t, far))
	return c
}

// update gives c the addresses of both ends.
func update(t testing.TB, c *xdp.Conn, far [6]byte) {
	t.Helper()
	var hops []xdp.Hop
	for _, x := range [][2]netip.Addr{{a4, b4}, {b4, a4}, {a6, b6}, {b6, a6}} {
		hops = append(hops, xdp.Hop{Src: x[0], Dst: x[1], MAC: far})
	}
	if err := c.Update([]netip.Addr{a4, a6, b4, b6}, hops); err != nil {
		t.Fatal(err)
	}
}

func device(t testing.TB, c underlay.Conn) underlay.Device {
	t.Helper()
	d := c.Status().Devices
	if len(d) != 1 {
		t.Fatalf("%d devices", len(d))
	}
	return d[0]
}

func endpoint(ip netip.Addr, port uint16) *underlay.Endpoint {
	return underlay.NewEndpoint(netip.AddrPortFrom(ip, port))
}

// datagram returns n bytes that tell which datagram they are.
func datagram(i, n int) []byte {
	b := make([]byte, n)
	for j := range b {
		b[j] = byte(i*7 + j)
	}
	if n >= 4 {
		binary.BigEndian.PutUint32(b, uint32(i))
	}
	return b
}

// group returns n datagrams of size bytes back to back, the last of last bytes.
func group(first, n, size, last int) (b []byte) {
	for i := range n {
		k := size
		if i == n-1 {
			k = last
		}
		b = append(b, datagram(first+i, k)...)
	}
	return b
}

type got struct {
	src  netip.AddrPort
	data []byte
}

// recv takes want datagrams from a receiver, or as many as come.
func recv(t testing.TB, r underlay.Receiver, want int) (out []got) {
	t.Helper()
	b := make([]underlay.Bundle, 32)
	for idle := 0; len(out) < want && idle < 8; {
		n, err := r.Recv(b)
		if err != nil {
			if !errors.Is(err, underlay.ErrTimeout) {
				t.Fatal(err)
			}
			idle++
		}
		for _, x := range b[:n] {
			for d := x.Buf; ; {
				k := min(x.SegSize, len(d))
				out = append(out, got{x.Src, bytes.Clone(d[:k])})
				if d = d[k:]; len(d) == 0 {
					break
				}
			}
		}
	}
	return out
}

func push(t testing.TB, tx underlay.Sender, dst *underlay.Endpoint, path int, data []byte, size, want int) {
	t.Helper()
	tx.Push(dst, path, data, size)
	if sent, failed := tx.Flush(); sent != want || failed != 0 {
		t.Fatalf("%d sent, %d failed, want %d and 0", sent, failed, want)
	}
}

// TestWays: each of the two ends by sockets or by AF_XDP; what one sends the other
// gets, whole and in order, from the same source ports. Where one end is the
// kernel, it judges our headers and checksums.
func TestWays(t *testing.T) {
	for _, tt := range []struct {
		name string
		a, b bool
	}{
		{"to sockets", true, false}, {"from sockets", false, true}, {"both", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			nsA, nsB := cable(t, 1500)
			cfg := underlay.Config{SourcePorts: 3}
			end := func(on bool, ns, far *nstest.NS) underlay.Conn {
				if on {
					return open(t, ns, far, cfg)
				}
				return sockets(t, ns, cfg)
			}
			a, b := end(tt.a, nsA, nsB), end(tt.b, nsB, nsA)
			tx, rx := a.NewSender(), b.Receiver(b.Queues()-1)
			ports := a.Status().SourcePorts
			if a.Paths() != 4 || len(ports) != 4 {
				t.Fatalf("%d paths, ports %v", a.Paths(), ports)
			}
			for i, dst := range []netip.Addr{b4, b6} {
				from := []netip.Addr{a4, a6}[i]
				most := 1500 - []int{28, 48}[i]
				for path := range 5 {
					for _, s := range []struct{ n, size, last int }{
						{1, 1, 1}, {1, 33, 33}, {40, 1000, 7}, {130, most, most}, {3, 501, 501},
					} {
						if !tt.b && s.n == 130 && dst.Is6() && path > 0 {
							continue // enough
						}
						data := group(1000*path, s.n, s.size, s.last)
						push(t, tx, endpoint(dst, 51820), path, data, s.size, s.n)
						ds := recv(t, rx, s.n)
						if len(ds) != s.n {
							t.Fatalf("to %v, path %d, %+v: %d of %d arrived; %+v", dst, path, s, len(ds), s.n, b.Status())
						}
						want := netip.AddrPortFrom(from, ports[path%4])
						for j, d := range ds {
							k := min(s.size, len(data))
							if d.src != want || !bytes.Equal(d.data, data[:k]) {
								t.Fatalf("to %v, path %d, %+v: datagram %d of %d bytes from %v, want %d from %v",
									dst, path, s, j, len(d.data), d.src, k, want)
							}
							data = data[k:]
						}
					}
				}
			}
			for _, c := range []underlay.Conn{a, b} {
				for _, d := range c.Status().Devices {
					if !d.On || d.Why != "" || d.Hops != 4 || d.Malformed != 0 || d.Dropped != 0 || !strings.Contains(d.Detail, "native") {
						t.Errorf("device %+v", d)
					}
				}
			}
		})
	}
}

// TestLeftToKernel: the program takes datagrams to our ports and addresses, and
// nothing else; what it leaves reaches whoever it is for.
func TestLeftToKernel(t *testing.T) {
	nsA, nsB := cable(t, 1500)
	b := open(t, nsB, nsA, underlay.Config{})
	nsB.IP("addr add 192.0.2.99/32 dev c") // of the machine, but not told to the program
	mac := macOf(t, nsB)
	nsA.IP(fmt.Sprintf("neigh replace 192.0.2.99 lladdr %s dev c nud permanent", net.HardwareAddr(mac[:])))
	dial := func(to string) net.Conn {
		t.Helper()
		var c net.Conn
		var err error
		nsA.Do(func() { c, err = net.Dial("udp", to) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	say := func(to string, n int) {
		t.Helper()
		if _, err := dial(to).Write(datagram(n, n)); err != nil {
			t.Fatal(err)
		}
	}
	xsk, sock := b.Receiver(1), b.Receiver(0)
	// To our port: by the ring.
	say("192.0.2.2:51820", 100)
	if d := recv(t, xsk, 1); len(d) != 1 || len(d[0].data) != 100 {
		t.Fatalf("by the ring: %v", d)
	}
	// To our port, in fragments, and to an address that is not in the list: by the
	// kernel, to the same socket.
	for i, to := range []string{"192.0.2.2:51820", "192.0.2.99:51820"} {
		n := []int{3000, 101}[i]
		say(to, n)
		if d := recv(t, sock, 1); len(d) != 1 || !bytes.Equal(d[0].data, datagram(n, n)) {
			t.Fatalf("%s: not by the kernel: %d", to, len(d))
		}
	}
	// To another port: somebody else's.
	var other net.PacketConn
	var err error
	nsB.Do(func() { other, err = net.ListenPacket("udp", "192.0.2.2:9") })
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	say("192.0.2.2:9", 102)
	other.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, _, err := other.ReadFrom(make([]byte, 2000)); n != 102 || err != nil {
		t.Fatalf("another port: %d bytes, %v", n, err)
	}
	// TCP and ICMP, of both families.
	if err := nstest.TCP(nsA, nsB, "192.0.2.2", 1<<16); err != nil {
		t.Error("TCP:", err)
	}
	if err := nstest.TCP(nsA, nsB, "2001:db8::2", 1<<16); err != nil {
		t.Error("TCP:", err)
	}
	if out, err := nsA.Exec("ping", "-c1", "-W5", "192.0.2.2"); err != nil {
		t.Errorf("ping: %v: %s", err, out)
	}
	// A list without our address leaves it to the kernel too; the old list's
	// entries are gone.
	if err := b.Update(nil, nil); err != nil {
		t.Fatal(err)
	}
	say("192.0.2.2:51820", 103)
	if d := recv(t, sock, 1); len(d) != 1 {
		t.Error("an address that was taken off the list did not go back to the kernel")
	}
	if d := device(t, b); d.Hops != 0 || !d.On {
		t.Errorf("device %+v", d)
	}
}

// TestUnknownHop: a destination without a known next hop goes by the sockets.
func TestUnknownHop(t *testing.T) {
	nsA, nsB := cable(t, 1500)
	a, b := open(t, nsA, nsB, underlay.Config{}), sockets(t, nsB, underlay.Config{})
	tx := a.NewSender()
	if err := a.Update([]netip.Addr{a4}, []xdp.Hop{
		{Dst: b6, Src: a6, MAC: [6]byte{2, 0, 0, 0, 0, 0xee}}, // nobody's MAC address
	}); err != nil {
		t.Fatal(err)
	}
	push(t, tx, endpoint(b4, 51820), 0, group(0, 5, 100, 100), 100, 5)
	if d := recv(t, b.Receiver(0), 5); len(d) != 5 {
		t.Errorf("%d of 5 arrived by the sockets", len(d))
	}
	// What has a next hop goes there, not by the sockets.
	push(t, tx, endpoint(b6, 51820), 0, group(0, 5, 100, 100), 100, 5)
	if d := recv(t, b.Receiver(0), 1); len(d) != 0 {
		t.Errorf("%d arrived that were sent to another MAC address", len(d))
	}
	for _, bad := range []xdp.Hop{{Dst: b4, Src: a6}, {Dst: b4, Src: a4, Device: 1}, {Dst: b4, Src: a4, Device: -1}, {}} {
		if a.Update(nil, []xdp.Hop{bad}) == nil {
			t.Errorf("hop %+v was taken", bad)
		}
	}
	if err := a.SendTo(endpoint(b4, 51820), []byte("handshake")); err != nil {
		t.Error(err)
	}
	if d := recv(t, b.Receiver(0), 1); len(d) != 1 || string(d[0].data) != "handshake" {
		t.Errorf("SendTo: %v", d)
	}
}

// TestTooLong: datagrams longer than the MTU fail as they do with sockets, and do
// not take others with them.
func TestTooLong(t *testing.T) {
	nsA, nsB := cable(t, 1500)
	a, b := open(t, nsA, nsB, underlay.Config{}), sockets(t, nsB, underlay.Config{})
	tx := a.NewSender()
	for i, dst := range []netip.Addr{b4, b6} {
		most := 1500 - []int{28, 48}[i]
		tx.Push(endpoint(dst, 51820), 0, group(0, 3, most+1, 10), most+1)
		tx.Push(endpoint(dst, 51820), 0, group(3, 2, most, most), most)
		if sent, failed := tx.Flush(); sent != 3 || failed != 2 || tx.Oversized() != 2 {
			t.Errorf("to %v: %d sent, %d failed, %d oversized", dst, sent, failed, tx.Oversized())
		}
		if d := recv(t, b.Receiver(0), 3); len(d) != 3 {
			t.Errorf("to %v: %d arrived", dst, len(d))
		}
	}
	if _, failed := tx.Flush(); failed != 0 || tx.Oversized() != 0 {
		t.Error("failures are counted twice")
	}
}

// TestFallback: with a device that AF_XDP does not go with everything goes by the
// sockets, and Status says why. When it goes again, so do the frames.
func TestFallback(t *testing.T) {
	nsA, nsB := cable(t, 9000)
	a, b := open(t, nsA, nsB, underlay.Config{}), sockets(t, nsB, underlay.Config{})
	tx := a.NewSender()
	const why = "the MTU is above 3818, the most that one AF_XDP buffer holds"
	both := func() {
		t.Helper()
		push(t, tx, endpoint(b4, 51820), 0, group(0, 3, 1400, 1400), 1400, 3)
		if d := recv(t, b.Receiver(0), 3); len(d) != 3 {
			t.Fatalf("%d of 3 arrived", len(d))
		}
		push(t, b.NewSender(), endpoint(a4, 51820), 0, group(0, 3, 1400, 1400), 1400, 3)
		q := 0
		if device(t, a).On {
			q = 1
		}
		if d := recv(t, a.Receiver(q), 3); len(d) != 3 {
			t.Fatalf("%d of 3 came back, on %v", len(d), q)
		}
	}
	if d := device(t, a); d.On || d.Why != why {
		t.Fatalf("device %+v", d)
	}
	both()
	if _, err := a.Receiver(1).Recv(make([]underlay.Bundle, 1)); !errors.Is(err, port.ErrDown) {
		t.Errorf("Recv of a device that is not open: %v", err)
	}
	// Now it fits.
	nsB.IP("link set dev c mtu 1500")
	nsA.IP("link set dev c mtu 1500")
	update(t, a, macOf(t, nsB))
	if d := device(t, a); !d.On || d.Why != "" || d.Hops != 4 {
		t.Fatalf("device %+v", d)
	}
	both()
	// And not any more: the program is taken off, and what it took goes to the
	// kernel again.
	nsA.IP("link set dev c down")
	update(t, a, macOf(t, nsB))
	if d := device(t, a); d.On || d.Why != "the device is down" || d.Hops != 0 {
		t.Fatalf("device %+v", d)
	}
	nsA.IP("link del c")
	update(t, a, [6]byte{2})
	if d := device(t, a); d.On || d.Why != "there is no such device" {
		t.Fatalf("device %+v", d)
	}
}

// TestBusy: a device that somebody else has by XDP is left to them.
func TestBusy(t *testing.T) {
	nsA, nsB := cable(t, 1500)
	first := open(t, nsA, nsB, underlay.Config{})
	second := open(t, nsA, nsB, underlay.Config{Listen: netip.MustParseAddrPort("[::]:51821")})
	if d := device(t, second); d.On || d.Why != "another XDP program or AF_XDP socket has the device" {
		t.Errorf("device %+v", d)
	}
	if d := device(t, first); !d.On {
		t.Errorf("device %+v", d)
	}
	// When they are gone it is taken, though nothing about the device changed.
	first.Close()
	for range 25 {
		update(t, second, macOf(t, nsB))
	}
	if d := device(t, second); !d.On || d.Hops != 4 {
		t.Errorf("device %+v", d)
	}
}

// TestQueues: a device of several receive queues has a Receiver for each, up to
// as many as asked for, and senders on all of them.
func TestQueues(t *testing.T) {
	nsA, nsB := nstest.New(t), nstest.New(t)
	nstest.VethQueues(t, nsA, "c", nsB, "d", 3)
	nsB.IP("link set dev d down")
	nsB.IP("link set dev d name c up")
	nsA.IP("addr add 192.0.2.1/24 dev c")
	nsB.IP("addr add 192.0.2.2/24 dev c")
	for want, queues := range map[int]int{3: 8, 2: 2} {
		t.Run(fmt.Sprint(queues), func(t *testing.T) {
			var ends []*xdp.Conn
			for _, ns := range []*nstest.NS{nsA, nsB} {
				m := sockets(t, ns, underlay.Config{SourcePorts: 2})
				var c *xdp.Conn
				var err error
				ns.Do(func() { c, err = xdp.Open(xdp.Config{Mux: m, Devices: []string{"c"}, Queues: queues}) })
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				ends = append(ends, c)
			}
			a, b := ends[0], ends[1]
			update(t, a, macOf(t, nsB))
			update(t, b, macOf(t, nsA))
			if got := b.Queues() - 1; got != want {
				t.Fatalf("%d queues of the device, want %d", got, want)
			}
			got := 0
			for i := range 3 { // each by another queue of the device, with its own receive queue at the other end
				push(t, a.NewSender(), endpoint(b4, 51820), i, group(10*i, 10, 600, 600), 600, 10)
			}
			for q := range want {
				n := len(recv(t, b.Receiver(1+q), 10))
				if n == 0 {
					t.Errorf("nothing at queue %d", q)
				}
				got += n
				if want < 3 && q == 0 { // two of the device's queues
					got += len(recv(t, b.Receiver(1), 10))
				}
			}
			if got != 30 {
				t.Errorf("%d of 30 arrived", got)
			}
		})
	}
}

// TestClose: a Recv in progress ends, everything fails afterwards, and a second
// Close does no harm.
func TestClose(t *testing.T) {
	nsA, nsB := cable(t, 1500)
	a := open(t, nsA, nsB, underlay.Config{})
	tx := a.NewSender()
	done := make(chan error)
	go func() {
		b := make([]underlay.Bundle, 1)
		for {
			if _, err := a.Receiver(1).Recv(b); err != underlay.ErrTimeout {
				done <- err
				return
			}
		}
	}()
	time.Sleep(20 * time.Millisecond)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != underlay.ErrClosed {
		t.Errorf("Recv: %v", err)
	}
	for _, s := range []underlay.Sender{tx, a.NewSender()} {
		s.Push(endpoint(b4, 51820), 0, group(0, 2, 100, 100), 100)
		if sent, failed := s.Flush(); sent != 0 || failed != 2 {
			t.Errorf("after Close: %d sent, %d failed", sent, failed)
		}
	}
	if a.Update(nil, nil) == nil || a.SendTo(endpoint(b4, 51820), []byte{1}) == nil {
		t.Error("no error after Close")
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if d := device(t, a); d.On {
		t.Errorf("device %+v", d)
	}
}

// TestMixed: many senders at once, more than a Recv has bundles for: every
// datagram arrives once, each sender's in order.
func TestMixed(t *testing.T) {
	nsA, nsB := cable(t, 1500)
	b := open(t, nsB, nsA, underlay.Config{})
	a := open(t, nsA, nsB, underlay.Config{SourcePorts: 40})
	tx := a.NewSender()
	r := rand.New(rand.NewPCG(1, 2))
	next := map[uint16]int{}
	sent := 0
	for range 5 {
		for range 60 {
			path := r.IntN(41)
			n, size := 1+r.IntN(3), 4+r.IntN(3)*100
			src := a.Status().SourcePorts[path]
			tx.Push(endpoint(b4, 51820), path, group(next[src], n, size, size), size)
			next[src] += n
			sent += n
		}
		if _, failed := tx.Flush(); failed != 0 {
			t.Fatal("failed", failed)
		}
	}
	seen := map[uint16]int{}
	ds := recv(t, b.Receiver(1), sent)
	if len(ds) != sent {
		t.Fatalf("%d of %d arrived", len(ds), sent)
	}
	for _, d := range ds {
		if i := int(binary.BigEndian.Uint32(d.data)); i != seen[d.src.Port()] {
			t.Fatalf("datagram %d from port %d, want %d", i, d.src.Port(), seen[d.src.Port()])
		}
		seen[d.src.Port()]++
	}
}

// TestNoAllocs: neither way allocates, with and without a known next hop.
func TestNoAllocs(t *testing.T) {
	nsA, nsB := cable(t, 1500)
	a, b := open(t, nsA, nsB, underlay.Config{SourcePorts: 3}), open(t, nsB, nsA, underlay.Config{})
	tx, rx := a.NewSender(), b.Receiver(1)
	data := group(0, 20, 1400, 1400)
	dst := []*underlay.Endpoint{endpoint(b4, 51820), endpoint(b6, 51820)}
	bundles := make([]underlay.Bundle, 32)
	i := 0
	if n := testing.AllocsPerRun(50, func() {
		i++
		tx.Push(dst[i%2], i, data, 1400)
		tx.Flush()
		for got := 0; got < 20; {
			k, err := rx.Recv(bundles)
			if err != nil {
				t.Fatal(err)
			}
			for j := range bundles[:k] {
				got += bundles[j].Datagrams()
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if err := a.Update(nil, nil); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(50, func() { tx.Push(dst[0], 1, data, 1400); tx.Flush() }); n != 0 {
		t.Errorf("%v allocations by the sockets", n)
	}
}
