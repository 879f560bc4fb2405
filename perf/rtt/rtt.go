package rtt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/perf/stat"
)

// Result is the round trips of one measurement, microseconds.
type Result struct {
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
	Max  float64 `json:"max_us"`
	Sent int     `json:"sent"` // requests
	Lost int     `json:"lost"` // requests without an answer
}

// MaxCount is the most requests of one measurement: their sequence numbers have
// 16 bits.
const MaxCount = 1 << 16

// patience is how long the last answers may take.
const patience = time.Second

// payloadLen is the ICMP payload, as ping(8) has it by default.
const payloadLen = 56

// Measure sends count echo requests, one each interval, from the namespace of
// the calling process to the address, and waits for the answers. Lost ones are
// no error, unless all are.
func Measure(ctx context.Context, to netip.Addr, count int, interval time.Duration) (Result, error) {
	if !to.Is4() || count < 1 || count > MaxCount || interval <= 0 {
		return Result{}, fmt.Errorf("rtt: %d requests to %v every %v: out of range", count, to, interval)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMP)
	if err != nil {
		return Result{}, fmt.Errorf("rtt: %w", os.NewSyscallError("socket", err))
	}
	defer unix.Close(fd)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// What is measured is the path, not how long this thread waits for a
	// processor. Where that is not allowed it is both.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	// The default slack of a wait would be a part of the pace.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return Result{}, fmt.Errorf("rtt: timer slack: %w", err)
	}
	p := &pinger{
		fd: fd, to: to, id: uint16(rand.Uint32()),
		sent: make([]time.Time, 0, count), took: make([]float64, 0, count), answered: make([]bool, count),
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.As4()}); err != nil {
		return Result{}, fmt.Errorf("rtt: connect to %v: %w", to, err)
	}
	if err := p.run(ctx, count, interval); err != nil {
		return Result{}, fmt.Errorf("rtt: %w", err)
	}
	if len(p.took) == 0 {
		return Result{}, fmt.Errorf("rtt: none of %d requests to %v was answered", count, to)
	}
	return summary(p.took, count), nil
}

// summary sorts the round trips, microseconds, of which there may be fewer than
// requests.
func summary(took []float64, sent int) Result {
	slices.Sort(took)
	return Result{
		P50: stat.Percentile(took, 0.5), P99: stat.Percentile(took, 0.99), P999: stat.Percentile(took, 0.999),
		Max: took[len(took)-1], Sent: sent, Lost: sent - len(took),
	}
}

// pinger is the requests of one measurement and their answers.
type pinger struct {
	fd       int
	to       netip.Addr
	id       uint16
	sent     []time.Time // by sequence number
	answered []bool      // by sequence number
	took     []float64   // microseconds, in the order of the answers
	buf      [1 << 11]byte
}

// run sends by the clock and takes answers in between.
func (p *pinger) run(ctx context.Context, count int, interval time.Duration) error {
	next := time.Now()
	var end time.Time
	for {
		now := time.Now()
		if len(p.sent) < count && !now.Before(next) {
			if err := p.request(); err != nil {
				return err
			}
			if next = next.Add(interval); next.Before(now) {
				next = now.Add(interval) // woken late: no burst
			}
			end = now.Add(patience)
		}
		if len(p.took) == count || len(p.sent) == count && now.After(end) {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		until := next
		if len(p.sent) == count {
			until = end
		}
		if err := p.wait(time.Until(until)); err != nil {
			return err
		}
		if err := p.answers(); err != nil {
			return err
		}
	}
}

// wait waits for an answer, at most for d.
func (p *pinger) wait(d time.Duration) error {
	ts := unix.NsecToTimespec(max(d, 0).Nanoseconds())
	_, err := unix.Ppoll([]unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}, &ts, nil)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return os.NewSyscallError("ppoll", err)
	}
	return nil
}

// Types of ICMP messages.
const (
	echoRequest = 8
	echoReply   = 0
)

// request sends the next request.
func (p *pinger) request() error {
	m := p.buf[:8+payloadLen]
	clear(m)
	m[0] = echoRequest
	binary.BigEndian.PutUint16(m[4:], p.id)
	binary.BigEndian.PutUint16(m[6:], uint16(len(p.sent)))
	var sum uint32
	for i := 0; i < len(m); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(m[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(m[2:], ^uint16(sum))
	p.sent = append(p.sent, time.Now())
	_, err := unix.Write(p.fd, m)
	if errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.EAGAIN) {
		return nil // lost at once: it counts as such
	}
	return os.NewSyscallError("write", err)
}

// answers takes the answers that are there.
func (p *pinger) answers() error {
	for {
		n, err := unix.Read(p.fd, p.buf[:])
		now := time.Now()
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return os.NewSyscallError("read", err)
		}
		seq, ok := parseReply(p.buf[:n], p.id)
		if !ok || int(seq) >= len(p.sent) || p.answered[seq] {
			continue
		}
		p.answered[seq] = true
		p.took = append(p.took, float64(now.Sub(p.sent[seq]).Nanoseconds())/1e3)
	}
}

// parseReply returns the sequence number of an echo reply of that identifier; b
// begins with the IPv4 header, as raw sockets have it.
func parseReply(b []byte, id uint16) (seq uint16, ok bool) {
	if len(b) < 20 {
		return 0, false
	}
	head := int(b[0]&15) * 4
	if head < 20 || len(b) < head+8 {
		return 0, false
	}
	m := b[head:]
	if m[0] != echoReply || m[1] != 0 || binary.BigEndian.Uint16(m[4:]) != id {
		return 0, false
	}
	return binary.BigEndian.Uint16(m[6:]), true
}
