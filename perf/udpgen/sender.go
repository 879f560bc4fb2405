package udpgen

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// link puts datagrams on their way: n of them, numbered from seq.
type link interface {
	send(trial uint32, seq uint64, n int) error
	close() error
}

// Trial is one attempt at a rate.
type Trial struct {
	Count
	Wanted  float64 `json:"wanted"`  // frames per second that were asked for
	Offered float64 `json:"offered"` // frames per second that were sent
	Sent    uint64  `json:"sent"`    // frames
}

// Loss returns the part of what was sent that did not arrive, 0 to 1.
func (t Trial) Loss() float64 {
	if t.Sent == 0 {
		return 1
	}
	return 1 - float64(min(t.Received, t.Sent))/float64(t.Sent)
}

// Sender sends trials to one receiver. One goroutine at a time. Make it with
// Dial, and Close it.
type Sender struct {
	link    link
	control net.Conn
	answers *bufio.Scanner
	trial   uint32
}

// Dial opens what is needed to send payloads of size bytes to a receiver. With
// offloads the tenant's device cuts super-frames (UDP_SEGMENT), without each
// frame is put on the device by itself (AF_PACKET). It must run in the
// namespace of the tenant, on any thread of a process that lives there.
func Dial(ctx context.Context, to netip.AddrPort, control string, size int, offloads bool) (*Sender, error) {
	if !to.Addr().Is4() || size < MinSize || size > MaxSize {
		return nil, fmt.Errorf("udpgen: %d bytes to %v: want %d to %d bytes over IPv4", size, to, MinSize, MaxSize)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", control)
	if err != nil {
		return nil, fmt.Errorf("udpgen: control: %w", err)
	}
	s := &Sender{control: c, answers: bufio.NewScanner(c)}
	if offloads {
		s.link, err = openSocket(to, size)
	} else {
		s.link, err = openFrames(to, size)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("udpgen: %w", err), c.Close())
	}
	return s, nil
}

// Close gives the sockets back.
func (s *Sender) Close() error { return errors.Join(s.link.close(), s.control.Close()) }

// Try sends for the given time at rate, frames per second, and returns what
// arrived. Loss is no error.
func (s *Sender) Try(ctx context.Context, rate float64, d time.Duration) (Trial, error) {
	t := Trial{Wanted: rate}
	frames := uint64(rate * d.Seconds())
	if rate <= 0 || frames == 0 || frames > maxFrames {
		return t, fmt.Errorf("udpgen: %.0f frames per second for %v: out of range", rate, d)
	}
	// Numbers of several senders must differ: a late datagram of another must
	// not count.
	s.trial = max(1, uint32(time.Now().UnixNano()))
	if _, err := s.ask(request{opBegin, s.trial, frames}); err != nil {
		return t, err
	}
	took, err := s.send(ctx, &t, frames)
	if err != nil {
		return t, err
	}
	t.Offered = float64(t.Sent) / took.Seconds()
	t.Count, err = s.ask(request{opEnd, s.trial, t.Sent})
	return t, err
}

// send sends frames at the trial's rate and returns how long it took, at least
// what the last burst stands for.
func (s *Sender) send(ctx context.Context, t *Trial, frames uint64) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// It stands for a machine of its own, which the nodes do not slow down. Where
	// that is not allowed it competes with them.
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	// The default slack of a sleep is as long as an interval.
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("udpgen: timer slack: %w", err)
	}
	p := pacer{rate: t.Wanted}
	start := time.Now()
	var burst time.Duration // when the last one began
	for t.Sent < frames {
		elapsed := time.Since(start)
		n, wait := p.due(elapsed)
		if n == 0 {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			sleep(max(wait, Interval-(elapsed-burst)))
			continue
		}
		burst = elapsed
		n = int(min(uint64(n), frames-t.Sent))
		if err := s.link.send(s.trial, t.Sent, n); err != nil {
			return 0, fmt.Errorf("udpgen: %w", err)
		}
		t.Sent += uint64(n)
	}
	last := time.Duration(float64(t.Sent) / t.Wanted * float64(time.Second))
	return max(time.Since(start), last), nil
}

// sleep is time.Sleep by the thread itself, which is more exact: the runtime's
// timers come up to a millisecond late.
func sleep(d time.Duration) {
	ts := unix.NsecToTimespec(d.Nanoseconds())
	// A signal may end it early: the caller looks at the clock.
	_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &ts, nil)
}

// ask sends a request and returns the answer.
func (s *Sender) ask(q request) (c Count, err error) {
	if err := s.control.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return c, fmt.Errorf("udpgen: control: %w", err)
	}
	if err := json.NewEncoder(s.control).Encode(q); err != nil {
		return c, fmt.Errorf("udpgen: control: %w", err)
	}
	if !s.answers.Scan() {
		return c, fmt.Errorf("udpgen: control: no answer to %s (%v)", q.Op, s.answers.Err())
	}
	if err := json.Unmarshal(s.answers.Bytes(), &c); err != nil {
		return c, fmt.Errorf("udpgen: control: %w", err)
	}
	return c, nil
}
