package check

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/lab"
)

// Ping is the result of some echo requests.
type Ping struct {
	From     string     `json:"from"`
	To       netip.Addr `json:"to"`
	Sent     int        `json:"sent"`
	Received int        `json:"received"`
	// Mean round trip in milliseconds; 0 without an answer.
	RTT float64 `json:"rtt_ms"`
}

// pingOptions says how to ping. The zero value sends one packet.
type pingOptions struct {
	count        int           // echo requests; 0 is 1
	interval     time.Duration // between them; 0 is 50 ms
	size         int           // bytes of ICMP payload; 0 is 56
	dontFragment bool
	marker       *Marker // fills the payload
}

// pingWait is how long an answer may take. It is long, so that a machine that is
// busy otherwise is not taken for a lossy one; ping(8) waits for two round trips
// only.
const pingWait = 1500 * time.Millisecond

// ping sends echo requests from a node and waits for the answers. That answers
// are missing is no error: the result says so.
func (b *Bench) ping(ctx context.Context, from string, to netip.Addr, o pingOptions) (Ping, error) {
	r := Ping{From: from, To: to}
	c := conversation{to: to, id: uint16(rand.Uint32()), sent: map[uint16]time.Time{}}
	if err := b.in(from, func() error { return c.open(o.dontFragment) }); err != nil {
		return r, fmt.Errorf("ping from %s: %w", from, err)
	}
	defer c.conn.Close()
	c.payload = make([]byte, max(o.size, 8))
	if o.size == 0 {
		c.payload = make([]byte, 56)
	}
	if o.marker != nil {
		o.marker.fill(c.payload)
	}
	count := max(o.count, 1)
	answers := make(chan int, 1)
	go func() { answers <- c.receive(count) }()
	for seq := range count {
		if seq > 0 {
			pause(ctx, max(o.interval, 50*time.Millisecond))
		}
		r.Sent++
		// What the kernel refuses, as while a link is down, counts as lost.
		_ = c.send(uint16(seq))
	}
	c.conn.SetReadDeadline(time.Now().Add(pingWait))
	r.Received = <-answers
	if r.Received > 0 {
		r.RTT = c.total.Seconds() * 1e3 / float64(r.Received)
	}
	return r, ctx.Err()
}

// conversation is the echo requests of one ping and their answers.
type conversation struct {
	conn    *net.IPConn
	to      netip.Addr
	id      uint16
	payload []byte

	mu    sync.Mutex
	sent  map[uint16]time.Time // not answered yet, by sequence number
	total time.Duration        // sum of the round trips; by receive alone
}

// open makes the raw socket, in the namespace.
func (c *conversation) open(dontFragment bool) error {
	network, level, option, do := "ip4:icmp", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO
	if c.to.Is6() {
		network, level, option, do = "ip6:ipv6-icmp", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DO
	}
	conn, err := net.ListenPacket(network, "")
	if err != nil {
		return err
	}
	c.conn = conn.(*net.IPConn)
	if !dontFragment {
		return nil
	}
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = raw.Control(func(fd uintptr) { serr = unix.SetsockoptInt(int(fd), level, option, do) })
	return errors.Join(err, os.NewSyscallError("setsockopt", serr))
}

// Types of ICMP messages, over IPv4 and IPv6.
const (
	echoRequest4, echoReply4 = 8, 0
	echoRequest6, echoReply6 = 128, 129
)

func (c *conversation) send(seq uint16) error {
	m := make([]byte, 8, 8+len(c.payload))
	m[0] = echoRequest4
	binary.BigEndian.PutUint16(m[4:], c.id)
	binary.BigEndian.PutUint16(m[6:], seq)
	m = append(m, c.payload...)
	if c.to.Is6() {
		m[0] = echoRequest6 // the kernel computes the checksum
	} else {
		binary.BigEndian.PutUint16(m[2:], checksum(m))
	}
	c.mu.Lock()
	c.sent[seq] = time.Now()
	c.mu.Unlock()
	_, err := c.conn.WriteTo(m, &net.IPAddr{IP: c.to.AsSlice()})
	return err
}

// receive returns how many requests were answered, unchanged, by the time that
// all are or the read deadline has passed.
func (c *conversation) receive(count int) (n int) {
	buf := make([]byte, 1<<16)
	for n < count {
		size, from, err := c.conn.ReadFromIP(buf)
		if err != nil {
			return n
		}
		src, _ := netip.AddrFromSlice(from.IP)
		m := buf[:size]
		if src.Unmap() != c.to || size < 8 || binary.BigEndian.Uint16(m[4:]) != c.id || !bytes.Equal(m[8:], c.payload) ||
			m[0] != echoReply6 && m[0] != echoReply4 {
			continue
		}
		seq := binary.BigEndian.Uint16(m[6:])
		c.mu.Lock()
		if at, ok := c.sent[seq]; ok {
			c.total += time.Since(at)
			n++
			delete(c.sent, seq)
		}
		c.mu.Unlock()
	}
	return n
}

// Matrix is who reached whom.
type Matrix struct {
	Pairs    int     `json:"pairs"` // of hosts and families
	Sent     int     `json:"sent"`
	Received int     `json:"received"`
	RTT      float64 `json:"rtt_ms"` // mean over the pairs
}

// Matrix pings from every host to every other of its tenant over IPv4 and IPv6,
// with the tenant's marker as payload. Every request must be answered, except
// those of a round before that only fills neighbour tables and FDBs.
func (b *Bench) Matrix(ctx context.Context, count int) (Matrix, error) {
	return b.matrix(ctx, "", count)
}

// matrix is Matrix of one tenant, or of all for "".
func (b *Bench) matrix(ctx context.Context, only string, count int) (Matrix, error) {
	var (
		mu   sync.Mutex
		r    Matrix
		jobs []func() error
	)
	b.pairs(func(tenant string, from, to *lab.Node) {
		if only != "" && tenant != only {
			return
		}
		marker := MarkerOf(tenant)
		for _, v6 := range []bool{false, true} {
			dst := addr(to, v6)
			if !dst.IsValid() || !addr(from, v6).IsValid() {
				continue
			}
			jobs = append(jobs, func() error {
				warm := pingOptions{count: 3, marker: &marker}
				if p, err := b.ping(ctx, from.Name, dst, warm); err != nil || p.Received == 0 {
					return errors.Join(fmt.Errorf("%s does not reach %s (%v): 0 of %d answered", from.Name, to.Name, dst, p.Sent), err)
				}
				p, err := b.ping(ctx, from.Name, dst, pingOptions{count: count, marker: &marker})
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				r.Pairs++
				r.Sent += p.Sent
				r.Received += p.Received
				r.RTT += p.RTT
				if p.Received < p.Sent {
					return fmt.Errorf("%s to %s (%v): %d of %d answered", from.Name, to.Name, dst, p.Received, p.Sent)
				}
				return nil
			})
		}
	})
	b.note("%d pairs of hosts and families", len(jobs))
	err := bounded(6, jobs)
	if r.Pairs > 0 {
		r.RTT /= float64(r.Pairs)
	} else if err == nil {
		err = errors.New("check: no pair of hosts to ping")
	}
	return r, err
}

// AwaitReach waits until a host reaches the others of its tenant: WireGuard
// sessions are there.
func (b *Bench) AwaitReach(ctx context.Context, most time.Duration) error {
	var jobs []func() error
	b.pairs(func(_ string, from, to *lab.Node) {
		dst := addr(to, false)
		if !dst.IsValid() {
			return
		}
		jobs = append(jobs, func() error {
			return eventually(ctx, most, func() error {
				p, err := b.ping(ctx, from.Name, dst, pingOptions{})
				if err == nil && p.Received == 0 {
					err = fmt.Errorf("%s does not reach %s (%v) within %v", from.Name, to.Name, dst, most)
				}
				return err
			})
		})
	})
	return bounded(6, jobs)
}
