package tap_test

import (
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/port/tap"
)

// answer makes f, a UDP datagram over IPv4 or IPv6, its own answer.
func answer(f *pkt.Frame) {
	swap := func(a, b, n int) {
		for i := range n {
			f.Head[a+i], f.Head[b+i] = f.Head[b+i], f.Head[a+i]
		}
	}
	swap(0, 6, 6)
	if f.Head[12] == 0x08 {
		swap(26, 30, 4)
		swap(34, 36, 2)
		return
	}
	swap(22, 38, 16)
	swap(54, 56, 2)
}

// TestQueuesKeepFlows: a flow stays at its queue although its answers are written
// to other ones, which makes a kernel that chooses by itself move it; and flows
// spread over all queues, also after the device was created again.
func TestQueuesKeepFlows(t *testing.T) {
	const queues, flows, rounds = 4, 32, 12
	ns, p := host(t, "1", tap.Config{Queues: queues})
	neighbours := func() {
		ns.IP("neigh replace 10.7.0.2 lladdr 02:00:00:00:00:02 dev tap0")
		ns.IP("neigh replace fd07::2 lladdr 02:00:00:00:00:02 dev tap0")
	}
	neighbours()

	var mu sync.Mutex
	at := map[uint16]map[int]int{} // frames by source port and queue
	got := 0
	var readers sync.WaitGroup
	for q := range queues {
		rx := p.Rx(q)
		tx, err := p.NewTx()
		if err != nil {
			t.Fatal(err)
		}
		other, err := p.NewTx() // of the next queue
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() {
			v := pkt.NewVector(64)
			for n := 0; ; n++ {
				if err := rx.Recv(v); errors.Is(err, port.ErrClosed) {
					return
				}
				mu.Lock()
				for i := range v.Used() {
					f := &v.Frames[i]
					l4 := 34
					if f.Head[12] == 0x86 {
						l4 = 54
					}
					if len(f.Head) < l4+8 || binary.BigEndian.Uint16(f.Head[l4+2:]) != 9 {
						continue
					}
					src := binary.BigEndian.Uint16(f.Head[l4:])
					if at[src] == nil {
						at[src] = map[int]int{}
					}
					at[src][q]++
					got++
					answer(f)
					if n%2 == 0 {
						tx.Push(f)
					} else {
						other.Push(f)
					}
				}
				tx.Flush()
				other.Flush()
				mu.Unlock()
			}
		})
	}
	defer readers.Wait()
	defer p.Close()

	exchange := func() {
		t.Helper()
		mu.Lock()
		at, got = map[uint16]map[int]int{}, 0
		mu.Unlock()
		var conns []net.Conn
		ns.Do(func() {
			for i := range flows {
				ip := []string{"10.7.0.2", "fd07::2"}[i%2]
				if c, err := net.Dial("udp", net.JoinHostPort(ip, "9")); err == nil {
					conns = append(conns, c)
				}
			}
		})
		if len(conns) != flows {
			t.Fatalf("%d sockets of %d", len(conns), flows)
		}
		for r := range rounds {
			for _, c := range conns {
				if _, err := c.Write([]byte{byte(r)}); err != nil {
					t.Fatal(err)
				}
			}
			want := flows * (r + 1)
			for end := time.Now().Add(5 * time.Second); ; {
				mu.Lock()
				n := got
				mu.Unlock()
				if n >= want {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("%d datagrams of %d arrived", n, want)
				}
				time.Sleep(time.Millisecond) // the kernel works in between
			}
		}
		mu.Lock()
		defer mu.Unlock()
		used := map[int]int{}
		for src, qs := range at {
			if len(qs) != 1 {
				t.Errorf("flow from port %d: frames by queue %v, want one queue", src, qs)
			}
			for q := range qs {
				used[q]++
			}
		}
		if len(at) != flows || len(used) != queues {
			t.Errorf("%d flows, by queue %v; want %d on all %d queues", len(at), used, flows, queues)
		}
		for _, c := range conns {
			c.Close()
		}
	}
	exchange()
	ns.IP("link del tap0")
	for end := time.Now().Add(5 * time.Second); !p.Status().Up; {
		if time.Now().After(end) {
			t.Fatal("the device does not come back")
		}
	}
	ns.Set("ipv6/conf/tap0/disable_ipv6", "0")
	ns.IP("addr add 10.7.0.1/24 dev tap0")
	ns.IP("addr add fd07::1/64 dev tap0 nodad")
	neighbours()
	exchange()
}
