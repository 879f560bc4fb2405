package underlay

import (
	"net/netip"

	"github.com/ztos/ztos/engine/port"
)

// Errors that Recv and SendTo return; the same as those of ports, so that a
// worker need not know which it has in hand.
var (
	ErrTimeout = port.ErrTimeout
	ErrClosed  = port.ErrClosed
)

// MaxGroup and MaxSegments bound one GSO send (kernel UDP_MAX_SEGMENTS, and the
// largest UDP payload over IPv4).
const (
	MaxGroup    = 65507
	MaxSegments = 128
)

// Bundle is what one receive call slot got: one datagram, or many of one sender
// that GRO put back to back. Borrowed until the next Recv; the worker may
// overwrite the bytes.
type Bundle struct {
	Buf     []byte         // all datagrams, back to back; empty for an empty datagram
	SegSize int            // length of each but the last, which may be shorter; len(Buf) for one datagram
	Src     netip.AddrPort // sender, IPv4-mapped addresses unmapped; a zone is the interface index in decimal
}

// Datagrams returns how many datagrams the bundle holds.
//
// Hot path: inlined.
func (b *Bundle) Datagrams() int {
	if b.SegSize == 0 {
		return 1
	}
	return (len(b.Buf) + b.SegSize - 1) / b.SegSize
}

// Conn is the sockets of one listening address: a Mux, or its twin in memory.
// Any goroutine.
type Conn interface {
	// Queues returns how many Receivers there are, fixed at open; at least 1.
	Queues() int
	// Paths returns how many source ports there are, the listening port
	// (path 0) included.
	Paths() int
	// Receiver returns receive queue q, 0 to Queues()-1; always the same object.
	Receiver(q int) Receiver
	// NewSender opens a transmit side for one worker.
	NewSender() Sender
	// SendTo sends one datagram from the listening port without waiting: for
	// handshakes and other rare messages.
	SendTo(dst *Endpoint, b []byte) error
	// LocalAddr returns the listening address and port.
	LocalAddr() netip.AddrPort
	// Status says how things are.
	Status() Status
	// Close ends every Receiver and Sender: a Recv in progress returns
	// ErrClosed. Any number of times.
	Close() error
}

// Receiver is one receive queue. One worker.
type Receiver interface {
	// Recv waits until at least one datagram is there or port.IdleTimeout is
	// over, and fills b with what has arrived. n > 0 goes with a nil error;
	// errors are ErrTimeout and ErrClosed.
	Recv(b []Bundle) (n int, err error)
	// Truncated returns how many datagrams were lost because they were larger
	// than a buffer, since open (counter.UnderlayTruncated). Any goroutine.
	Truncated() uint64
}

// Sender is a transmit side. One worker.
type Sender interface {
	// Paths is Conn's.
	Paths() int
	// Push queues data, one datagram or several back to back: each has
	// segSize bytes but the last, which may have fewer. data stays unchanged
	// until Flush. path selects the source port, modulo Paths(). More than
	// MaxGroup bytes or MaxSegments segments are sent as several groups.
	Push(dst *Endpoint, path int, data []byte, segSize int)
	// Flush sends what is queued and returns how many segments were sent and
	// how many failed, since the Flush before: whatever Push flushed by
	// itself is included.
	Flush() (sentSegments, failedSegments int)
	// Oversized returns how many of the last Flush's failed segments were
	// larger than the MTU of the interface towards their destination.
	Oversized() int
}

// Status is what a Conn says of itself.
type Status struct {
	Listen      netip.AddrPort
	SourcePorts []uint16 // by path, the listening port first
	GSO         bool     // several datagrams leave by one call
	GSOWhy      string   // why not
	GRO         bool     // several datagrams may arrive by one call
	GROWhy      string   // why not
	MaxSegments int      // segments in one GSO group
	Refused     uint64   // GSO groups that the kernel refused and that were sent one by one
	Truncated   uint64   // datagrams larger than a buffer
	Dropped     uint64   // datagrams the kernel had no room for, modulo 2^32 a socket
	LastError   string   // the last reason for which a datagram was not sent; empty when none
	Devices     []Device // that datagrams go by without sockets, or should; package xdp
}

// Device is a network device by AF_XDP under the underlay.
type Device struct {
	Name      string
	On        bool   // datagrams go by AF_XDP
	Why       string // one plain sentence why not; empty when On
	Detail    string // one line for people: the driver, and how the program runs
	Hops      int    // destinations that frames are sent to
	Dropped   uint64 // frames for which the kernel found no room in a ring
	Malformed uint64 // frames that were no whole datagram
}
