package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Segments is the result of one TCP stream of which both kernels counted the
// segments. Sent minus Received is what got lost on the way, exactly: a segment
// that was sent again counts on both sides each time, whether it was needed or
// not.
type Segments struct {
	From        string  `json:"from"`
	To          string  `json:"to"`
	Seconds     float64 `json:"seconds"`
	Mbps        float64 `json:"mbps"`     // received TCP payload, Mbit/s
	Bytes       uint64  `json:"bytes"`    // received TCP payload
	Sent        uint64  `json:"sent"`     // segments with data that the sender's kernel sent
	Received    uint64  `json:"received"` // and that the receiver's kernel got
	Retransmits uint64  `json:"retransmits"`
}

// Lost returns how many segments did not arrive.
func (s Segments) Lost() int64 { return int64(s.Sent) - int64(s.Received) }

// segments sends as much as goes through one TCP connection between two hosts
// for secs seconds and counts its segments when all of them are acknowledged.
func (b *Bench) segments(ctx context.Context, from, to string, secs int) (s Segments, err error) {
	s = Segments{From: from, To: to}
	dst, err := b.hostNode(to)
	if err != nil {
		return s, err
	}
	tx, rx, err := b.connection(ctx, from, to, addr(dst, false))
	if err != nil {
		return s, fmt.Errorf("check: TCP from %s to %s: %w", from, to, err)
	}
	defer rx.Close()
	defer tx.Close()

	var got int64
	drained := make(chan error, 1)
	go func() {
		n, err := io.Copy(io.Discard, rx)
		got = n
		drained <- err
	}()
	start := time.Now()
	end := start.Add(time.Duration(secs) * time.Second)
	err = tx.SetWriteDeadline(end.Add(10 * time.Second))
	for buf := make([]byte, 256<<10); err == nil && time.Now().Before(end) && ctx.Err() == nil; {
		_, err = tx.Write(buf)
	}
	s.Seconds = time.Since(start).Seconds()
	if err = errors.Join(err, ctx.Err()); err != nil {
		return s, fmt.Errorf("check: TCP from %s to %s: %w", from, to, err)
	}
	// The connection's counters go with it: both are read while it is open,
	// when nothing of it is on its way any more.
	sent, err := settled(ctx, tx)
	if err != nil {
		return s, fmt.Errorf("check: TCP from %s: %w", from, err)
	}
	received, err := tcpInfo(rx)
	if err != nil {
		return s, fmt.Errorf("check: TCP at %s: %w", to, err)
	}
	s.Sent, s.Received = uint64(sent.Data_segs_out), uint64(received.Data_segs_in)
	s.Retransmits = uint64(sent.Total_retrans)
	if err := errors.Join(tx.CloseWrite(), <-drained); err != nil {
		return s, fmt.Errorf("check: TCP at %s: %w", to, err)
	}
	s.Bytes = uint64(got)
	s.Mbps = float64(s.Bytes) * 8 / 1e6 / s.Seconds
	return s, nil
}

// connection returns both ends of a TCP connection between two hosts.
func (b *Bench) connection(ctx context.Context, from, to string, dst netip.Addr) (tx, rx *net.TCPConn, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var l *net.TCPListener
	err = b.in(to, func() (err error) {
		l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(dst, 0)))
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	defer l.Close()
	err = b.in(from, func() error {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
		if err == nil {
			tx = c.(*net.TCPConn)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	deadline, _ := ctx.Deadline()
	if err = l.SetDeadline(deadline); err == nil {
		rx, err = l.AcceptTCP()
	}
	if err != nil {
		tx.Close()
		return nil, nil, err
	}
	return tx, rx, nil
}

// settled waits until everything that was written to c is acknowledged and
// returns the counters of that moment. A copy that the sender's kernel sent too
// much may still be under way then, for a few milliseconds at most; nothing
// moving for longer is the end.
func settled(ctx context.Context, c *net.TCPConn) (info *unix.TCPInfo, err error) {
	var last uint32
	still := 0
	err = eventually(ctx, 10*time.Second, func() error {
		if info, err = tcpInfo(c); err != nil {
			return err
		}
		if info.Unacked != 0 || info.Notsent_bytes != 0 || info.Segs_out+info.Segs_in != last {
			still = 0
		}
		last = info.Segs_out + info.Segs_in
		if still++; still < 4 {
			return fmt.Errorf("%d segments are not acknowledged", info.Unacked)
		}
		return nil
	})
	return info, err
}

// tcpInfo reads the kernel's counters of one connection.
func tcpInfo(c *net.TCPConn) (*unix.TCPInfo, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var info *unix.TCPInfo
	var opt error
	if err := raw.Control(func(fd uintptr) {
		info, opt = unix.GetsockoptTCPInfo(int(fd), unix.SOL_TCP, unix.TCP_INFO)
	}); err != nil {
		return nil, err
	}
	return info, opt
}
