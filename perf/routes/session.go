package routes

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/ztos/ztos/lab/netplumb"
)

const (
	holdTime  = 240 // seconds, offered
	keepalive = 20 * time.Second
)

// session is a BGP session that sends what it is given. Its methods are for one
// goroutine. Close it.
type session struct {
	conn    net.Conn
	stop    chan struct{}
	running sync.WaitGroup

	mu  sync.Mutex
	err error // why it ended
}

// openMessage offers EVPN and nothing else, with ASNs of four octets.
func openMessage() []byte {
	caps := binary.BigEndian.AppendUint32([]byte{1, 4, 0, 25, 0, 70, 65, 4}, asn)
	b := []byte{4, asn >> 8, asn & 0xff, 0, holdTime}
	b = append(b, speaker.AsSlice()...)
	b = append(b, byte(len(caps)+2), 2, byte(len(caps)))
	return message(msgOpen, append(b, caps...))
}

// connect opens a session from namespace ns with the leaf, trying until it is
// there or ctx ends.
func connect(ctx context.Context, ns string) (*session, error) {
	for {
		s, err := try(ctx, ns)
		if err == nil {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("routes: no session: %w", err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func try(ctx context.Context, ns string) (*session, error) {
	s := &session{stop: make(chan struct{})}
	err := netplumb.Do(ns, func() (err error) {
		d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(speaker, 0)), Timeout: 2 * time.Second}
		s.conn, err = d.DialContext(ctx, "tcp", netip.AddrPortFrom(leaf, 179).String())
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.handshake(); err != nil {
		return nil, errors.Join(err, s.conn.Close())
	}
	s.running.Go(s.read)
	s.running.Go(s.live)
	return s, nil
}

// handshake takes the session to Established (RFC 4271 section 8).
func (s *session) handshake() error {
	if err := s.conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	if _, err := s.conn.Write(openMessage()); err != nil {
		return err
	}
	for _, want := range []byte{msgOpen, msgKeepalive} {
		typ, body, err := receive(s.conn)
		if err != nil {
			return err
		}
		if typ != want {
			return fmt.Errorf("message %d (% x), want %d", typ, body, want)
		}
		if want == msgOpen {
			if _, err := s.conn.Write(message(msgKeepalive, nil)); err != nil {
				return err
			}
		}
	}
	return s.conn.SetDeadline(time.Time{})
}

// receive reads a message.
func receive(r io.Reader) (typ byte, body []byte, err error) {
	var head [msgHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint16(head[16:]))
	if n < msgHeader {
		return 0, nil, fmt.Errorf("a message of %d octets", n)
	}
	body = make([]byte, n-msgHeader)
	_, err = io.ReadFull(r, body)
	return head[18], body, err
}

// read takes what the other side sends, which must not be a NOTIFICATION.
func (s *session) read() {
	for {
		typ, body, err := receive(s.conn)
		if err == nil && typ == msgNotification {
			err = fmt.Errorf("NOTIFICATION % x", body)
		}
		if err != nil {
			s.fail(err)
			return
		}
	}
}

// live keeps the session alive.
func (s *session) live() {
	t := time.NewTicker(keepalive)
	defer t.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-t.C:
		}
		if _, err := s.conn.Write(message(msgKeepalive, nil)); err != nil {
			s.fail(err)
			return
		}
	}
}

func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
	}
}

// fault returns why the session has ended; nil while it has not.
func (s *session) fault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return fmt.Errorf("routes: session: %w", s.err)
	}
	return nil
}

// begin sends messages, as fast as the other side takes them, without waiting.
func (s *session) begin(messages [][]byte) {
	s.running.Go(func() {
		for _, m := range messages {
			if _, err := s.conn.Write(m); err != nil {
				s.fail(err)
				return
			}
		}
	})
}

// close ends the session.
func (s *session) close() error {
	close(s.stop)
	err := s.conn.Close()
	s.running.Wait()
	return err
}
