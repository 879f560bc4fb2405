package bfdnet

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/ztos/ztos/fabric/bfd"
)

const (
	// most is the packets that are taken from a socket before others get a turn.
	most = 64
	// late is how late the timer may come without doubt, and doubt how long
	// workers get at most.
	late  = 5 * time.Millisecond
	doubt = 50 * time.Millisecond
	// longest a Control packet can be, bytes: its Length has 8 bits.
	longest = 255
	// idle is how long the timer sleeps when nothing is due.
	idle = time.Minute
)

// Service is the sessions of a node with their sockets. Its methods are for any
// goroutine.
type Service struct {
	transport Transport
	began     time.Time
	tell      func([]bfd.Event)
	kick      chan struct{}
	stop      chan struct{}
	done      sync.WaitGroup

	mu        sync.Mutex // guards what follows
	closed    bool
	table     *bfd.Table
	receivers map[netip.AddrPort]*receiver
	senders   map[senderKey]Socket
	planned   int64 // when the timer wants to run
	granted   int64 // until when workers have time; 0: nothing is in doubt
	buf       [longest]byte
}

// receiver is the socket of a port.
type receiver struct {
	Socket
	port uint16
}

// senderKey names a session's socket: another address of either side is another
// one.
type senderKey struct {
	name          string
	local, remote netip.Addr
}

// New returns a service without sessions. tell is called with changes of sessions,
// in order; it must not wait, and not call the Service.
func New(t Transport, tell func([]bfd.Event)) *Service {
	s := &Service{
		transport: t, began: time.Now(), tell: tell,
		kick: make(chan struct{}, 1), stop: make(chan struct{}),
		table:     bfd.NewTable(rand.Uint32),
		receivers: map[netip.AddrPort]*receiver{}, senders: map[senderKey]Socket{},
	}
	s.done.Go(s.run)
	return s
}

// now returns ns since the service began, never 0.
func (s *Service) now() int64 { return int64(time.Since(s.began)) + 1 }

// run runs the timers.
func (s *Service) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.kick:
		case <-timer.C:
		}
		s.mu.Lock()
		timer.Reset(s.step())
		s.mu.Unlock()
	}
}

// step does what is due and returns how long nothing will be. s.mu is held.
func (s *Service) step() time.Duration {
	now := s.now()
	if s.table.NextExpiry() <= now {
		for _, r := range s.receivers {
			s.drain(r)
		}
		if wait := s.inDoubt(now); wait > 0 {
			// The other side must not come to doubt, too.
			s.send(s.table.Transmit(s.now()))
			return min(wait, time.Duration(max(s.table.NextTx()-now, 0)))
		}
	} else {
		s.granted = 0
	}
	s.send(s.table.Tick(s.now()))
	s.planned = s.table.Next()
	return min(time.Duration(max(s.planned-s.now(), 0)), idle)
}

// inDoubt returns how long to wait before a detection time that is over counts: as
// long as the timer came late, since workers may have been kept waiting, too. Once
// for each time.
func (s *Service) inDoubt(now int64) time.Duration {
	if s.table.NextExpiry() > now {
		s.granted = 0
		return 0
	}
	if s.granted == 0 {
		s.granted = now + int64(grace(time.Duration(now-s.planned)))
	}
	return max(time.Duration(s.granted-now), 0)
}

// grace returns how long workers get when the timer came behind its time.
func grace(behind time.Duration) time.Duration {
	if behind <= late {
		return 0
	}
	return min(behind, doubt)
}

// listen takes packets as they come.
func (s *Service) listen(r *receiver) {
	for r.Ready() == nil {
		s.mu.Lock()
		s.drain(r)
		sooner := s.table.Next() < s.planned
		s.mu.Unlock()
		if sooner {
			s.poke()
		}
	}
}

func (s *Service) poke() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// drain takes packets that wait. s.mu is held.
func (s *Service) drain(r *receiver) {
	for range most {
		n, from, ttl, ok := r.Recv(s.buf[:])
		if !ok {
			return
		}
		out, _ := s.table.Receive(s.now(), &bfd.Arrival{From: from.Addr(), TTL: ttl, Port: r.port, Payload: s.buf[:n]})
		s.send(out)
	}
}

// send sends packets and tells what has changed. s.mu is held.
func (s *Service) send(out []bfd.Out) {
	for _, o := range out {
		c := o.Session.Config()
		sock := s.senders[keyOf(&c)]
		if sock == nil || sock.Send(netip.AddrPortFrom(c.Remote, c.Port()), o.Packet) != nil {
			s.table.Failed(o.Session)
		}
	}
	if e := s.table.TakeEvents(); len(e) > 0 {
		s.tell(e)
	}
}

func keyOf(c *bfd.Config) senderKey { return senderKey{c.Name, c.Local, c.Remote.Unmap()} }

// Apply makes the sessions those of cs. On an error nothing has changed.
func (s *Service) Apply(cs []bfd.Config) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	receivers, senders := map[netip.AddrPort]bool{}, map[senderKey]bool{}
	var fresh []*receiver
	var opened []func()
	undo := func(err error) error {
		for _, f := range opened {
			f()
		}
		return err
	}
	for i := range cs {
		c := &cs[i]
		at := netip.AddrPortFrom(localOf(c), c.Port())
		receivers[at], senders[keyOf(c)] = true, true
		if s.receivers[at] == nil {
			sock, err := s.transport(at)
			if err != nil {
				return undo(fmt.Errorf("bfdnet: session %q: %w", c.Name, err))
			}
			r := &receiver{sock, c.Port()}
			s.receivers[at] = r
			fresh = append(fresh, r)
			opened = append(opened, func() { sock.Close(); delete(s.receivers, at) })
		}
		if k := keyOf(c); s.senders[k] == nil {
			sock, err := s.source(at.Addr())
			if err != nil {
				return undo(fmt.Errorf("bfdnet: session %q: %w", c.Name, err))
			}
			s.senders[k] = sock
			opened = append(opened, func() { sock.Close(); delete(s.senders, k) })
		}
	}
	out, err := s.table.Apply(s.now(), cs)
	if err != nil {
		return undo(err)
	}
	s.send(out)
	for _, r := range fresh {
		s.done.Go(func() { s.listen(r) })
	}
	for at, r := range s.receivers {
		if !receivers[at] {
			r.Close()
			delete(s.receivers, at)
		}
	}
	for k, sock := range s.senders {
		if !senders[k] {
			sock.Close()
			delete(s.senders, k)
		}
	}
	s.poke()
	return nil
}

// source opens a socket at a port of the range that sessions send from (RFC 5881
// section 4).
func (s *Service) source(at netip.Addr) (Socket, error) {
	var errs []error
	for range 20 { // somebody may have a port
		port := bfd.FirstSource + uint16(rand.N(1<<16-bfd.FirstSource))
		sock, err := s.transport(netip.AddrPortFrom(at, port))
		if err == nil {
			return sock, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// localOf returns the address that a session's packets come to.
func localOf(c *bfd.Config) netip.Addr {
	switch {
	case c.Local.IsValid():
		return c.Local
	case c.Remote.Unmap().Is4():
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// Status returns the sessions, the counters of packets that belong to none, and
// the time that their times are of, ns.
func (s *Service) Status() (sessions []bfd.Status, strangers bfd.Stats, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Status(), s.table.Stats(), s.now()
}

// Close takes the sessions down, which the other sides are told, and ends all
// goroutines.
func (s *Service) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	s.send(s.table.Leave(s.now()))
	close(s.stop)
	for _, r := range s.receivers {
		r.Close()
	}
	for _, sock := range s.senders {
		sock.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
}
