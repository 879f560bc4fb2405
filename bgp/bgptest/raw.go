package bgptest

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Message types (RFC 4271 section 4.1).
const (
	Open         = 1
	Update       = 2
	Notification = 3
	Keepalive    = 4
)

// limit bounds every wait; generous, for a loaded machine.
const limit = 30 * time.Second

// Config is who the speaker says it is.
type Config struct {
	ASN      uint32
	RouterID netip.Addr
	// Families are AFI and SAFI, as "0019 46".
	Families []string
	// Capabilities are further ones: code, length and value in hex.
	Capabilities []string
}

// Message is a message that came.
type Message struct {
	Type byte
	Body []byte
}

// Speaker is one established session.
type Speaker struct {
	t    testing.TB
	conn net.Conn
	open []byte // body of the other side's OPEN

	mu   sync.Mutex
	got  []Message
	err  error
	more chan struct{} // closed and replaced when something has come
}

// X decodes hex; white space is ignored.
func X(s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// New opens a session on conn, and keeps it alive until the test ends or Close.
func New(t testing.TB, conn net.Conn, c Config) *Speaker {
	t.Helper()
	s := &Speaker{t: t, conn: conn, more: make(chan struct{})}
	t.Cleanup(s.Close)
	s.Send(Open, open(c))
	go s.read()
	m := s.Await(Open)
	if m == nil {
		t.Fatal("bgptest: no OPEN came")
	}
	s.open = m.Body
	s.Send(Keepalive, nil)
	if m := s.Await(Keepalive); m == nil {
		t.Fatal("bgptest: no KEEPALIVE came")
	}
	return s
}

func open(c Config) []byte {
	var caps []byte
	add := func(code byte, value []byte) { caps = append(append(caps, code, byte(len(value))), value...) }
	for _, f := range c.Families {
		b := X(f)
		add(1, []byte{b[0], b[1], 0, b[2]})
	}
	add(65, binary.BigEndian.AppendUint32(nil, c.ASN))
	for _, x := range c.Capabilities {
		caps = append(caps, X(x)...)
	}
	asn := uint16(23456) // AS_TRANS
	if c.ASN < 1<<16 {
		asn = uint16(c.ASN)
	}
	b := []byte{4, byte(asn >> 8), byte(asn), 0, 90}
	b = append(b, c.RouterID.AsSlice()...)
	return append(append(b, byte(len(caps)+2), 2, byte(len(caps))), caps...)
}

// Send sends a message.
func (s *Speaker) Send(typ byte, body []byte) {
	s.t.Helper()
	n := 19 + len(body)
	msg := append([]byte(strings.Repeat("\xff", 16)), byte(n>>8), byte(n), typ)
	if _, err := s.conn.Write(append(msg, body...)); err != nil {
		s.t.Errorf("bgptest: send: %v", err)
	}
}

// SendUpdate sends an UPDATE with path attributes, in hex, and no IPv4 routes.
func (s *Speaker) SendUpdate(attrs ...string) {
	s.t.Helper()
	a := X(strings.Join(attrs, ""))
	s.Send(Update, append([]byte{0, 0, byte(len(a) >> 8), byte(len(a))}, a...))
}

// Attr returns a path attribute in hex.
func Attr(flags, typ byte, value string) string {
	v := X(value)
	return fmt.Sprintf("%02x%02x%04x%x", flags|0x10, typ, len(v), v)
}

func (s *Speaker) read() {
	for {
		m, err := readMessage(s.conn)
		s.mu.Lock()
		if err != nil {
			s.err = err
		} else {
			s.got = append(s.got, m)
		}
		close(s.more)
		s.more = make(chan struct{})
		s.mu.Unlock()
		if err != nil {
			return
		}
		if m.Type == Keepalive {
			// One for one keeps the session: the other side's interval is ours.
			n := append([]byte(strings.Repeat("\xff", 16)), 0, 19, Keepalive)
			if _, err := s.conn.Write(n); err != nil {
				continue // the reader will see it
			}
		}
	}
}

func readMessage(r io.Reader) (Message, error) {
	var head [19]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Message{}, err
	}
	body := make([]byte, int(binary.BigEndian.Uint16(head[16:]))-len(head))
	_, err := io.ReadFull(r, body)
	return Message{head[18], body}, err
}

// Await waits for a message of a type that has not been awaited before and
// returns it; nil when the connection ends, or nothing comes.
func (s *Speaker) Await(typ byte) *Message {
	return s.AwaitFunc(func(m Message) bool { return m.Type == typ })
}

// AwaitFunc waits for a message that fn accepts and removes it.
func (s *Speaker) AwaitFunc(fn func(Message) bool) *Message {
	deadline := time.After(limit)
	for {
		s.mu.Lock()
		for i, m := range s.got {
			if fn(m) {
				s.got = append(s.got[:i], s.got[i+1:]...)
				s.mu.Unlock()
				return &m
			}
		}
		more, err := s.more, s.err
		s.mu.Unlock()
		if err != nil {
			return nil
		}
		select {
		case <-more:
		case <-deadline:
			return nil
		}
	}
}

// Opened returns the body of the OPEN that came.
func (s *Speaker) Opened() []byte { return s.open }

// Has reports whether fn accepts a message that has come and was not awaited.
func (s *Speaker) Has(fn func(Message) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.got, fn)
}

// Alive fails the test when a NOTIFICATION has come or the connection has ended.
func (s *Speaker) Alive() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.got {
		if m.Type == Notification {
			s.t.Errorf("bgptest: NOTIFICATION %x", m.Body)
		}
	}
	if s.err != nil {
		s.t.Errorf("bgptest: the connection has ended: %v", s.err)
	}
}

// Close ends the connection without a word.
func (s *Speaker) Close() { s.conn.Close() }
