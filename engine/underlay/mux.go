package underlay

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"github.com/ztos/ztos/engine/port/fdio"
	"golang.org/x/sys/unix"
)

// Config says where to listen and how. Only Listen is needed.
type Config struct {
	// Listen is an IPv4 or IPv6 address, or [::] for both; port 0 lets the
	// kernel choose.
	Listen netip.AddrPort
	Queues int // sockets on the listening port; 0 means 1

	// SourcePorts is how many further sockets there are, each on a port of
	// its own from SourcePortMin to SourcePortMax (0: 49152 to 65535).
	SourcePorts                  int
	SourcePortMin, SourcePortMax uint16

	Burst   int // datagrams or GRO bundles that one Recv can return; 0 means DefaultBurst
	RecvBuf int // bytes each socket may hold; 0 means DefaultRecvBuf
	SendBuf int // the same for sending; 0 means DefaultSendBuf

	DisableGSO bool // send one datagram per message
	DisableGRO bool // receive one datagram per message

	// NoChecksum sends UDP checksum 0, and takes it over IPv6 (RFC 6935). It
	// turns GSO off: the kernel refuses the two together.
	NoChecksum bool
	// AcceptZeroChecksum6 takes UDP checksum 0 over IPv6 and sends none.
	AcceptZeroChecksum6 bool
}

// Defaults.
const (
	DefaultBurst   = 32
	DefaultRecvBuf = 16 << 20
	DefaultSendBuf = 8 << 20
)

// oldMaxSegments is UDP_MAX_SEGMENTS of kernels before 6.9.
const oldMaxSegments = 64

// Mux is the sockets of one listening address. Any goroutine, except for what
// its Rx and Tx allow.
type Mux struct {
	listen  netip.AddrPort
	socks   []socket // those of the queues, then those of the source ports
	queues  int
	rx      []*Rx
	noCheck bool

	gsoOff  atomic.Pointer[string] // why; nil while on
	groOff  string
	maxSegs atomic.Int32
	refused atomic.Uint64
	lastErr atomic.Uint32 // syscall.Errno

	// users counts who may still use descriptors: every Rx and Tx, and Close
	// itself. The last one closes them.
	users atomic.Int32

	mu     sync.RWMutex // guards what follows; read-locked around SendTo
	closed bool
	tx     []*Tx
}

var _ Conn = (*Mux)(nil)

// Open opens the sockets in the calling thread's network namespace. Errors wrap
// what the kernel said. Where the kernel has no IPv6, [::] listens on IPv4 only.
func Open(cfg Config) (*Mux, error) {
	ip := cfg.Listen.Addr().Unmap()
	if !ip.IsValid() || cfg.Queues < 0 || cfg.SourcePorts < 0 || cfg.Burst < 0 {
		return nil, fmt.Errorf("underlay: listen %v, %d queues, %d source ports, burst %d: out of range",
			cfg.Listen, cfg.Queues, cfg.SourcePorts, cfg.Burst)
	}
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&cfg.Queues, 1)
	def(&cfg.Burst, DefaultBurst)
	def(&cfg.RecvBuf, DefaultRecvBuf)
	def(&cfg.SendBuf, DefaultSendBuf)
	if cfg.SourcePortMin == 0 && cfg.SourcePortMax == 0 {
		cfg.SourcePortMin, cfg.SourcePortMax = minSourcePort, maxSourcePort
	}
	if cfg.SourcePortMin == 0 || cfg.SourcePortMin > cfg.SourcePortMax {
		return nil, fmt.Errorf("underlay: source ports %d to %d: out of range", cfg.SourcePortMin, cfg.SourcePortMax)
	}
	if ip == netip.IPv6Unspecified() && !hasIPv6() {
		ip = netip.IPv4Unspecified()
	}
	m := &Mux{queues: cfg.Queues, noCheck: cfg.NoChecksum}
	if err := m.openAll(&cfg, netip.AddrPortFrom(ip, cfg.Listen.Port())); err != nil {
		m.closeFDs()
		return nil, fmt.Errorf("underlay: %w", err)
	}
	return m, nil
}

func (m *Mux) openAll(cfg *Config, listen netip.AddrPort) error {
	m.listen = listen
	if listen.Port() != 0 && inUse(listen) {
		return fmt.Errorf("listen %v: %w", listen, unix.EADDRINUSE)
	}
	for range cfg.Queues {
		s, err := open(cfg, m.listen)
		if err != nil {
			return err
		}
		m.socks = append(m.socks, s)
		m.listen = netip.AddrPortFrom(listen.Addr(), s.port) // the others share what the first got
	}
	if cfg.Queues > 1 {
		steer(m.socks[0].fd, cfg.Queues) //nolint:errcheck // then the kernel's hash shares out
	}
	lo, hi := int(cfg.SourcePortMin), int(cfg.SourcePortMax)
	port := lo + rand.IntN(hi-lo+1)
	for range cfg.SourcePorts {
		s, err := openSource(cfg, listen.Addr(), port)
		if err != nil {
			return err
		}
		m.socks = append(m.socks, s)
		port = int(s.port) + 1
	}
	m.setOffloads(cfg)
	for q := range cfg.Queues {
		fds := []int{m.socks[q].fd}
		for i := cfg.Queues + q; i < len(m.socks); i += cfg.Queues {
			fds = append(fds, m.socks[i].fd)
		}
		r, err := newRx(m, fds, cfg.Burst)
		if err != nil {
			return err
		}
		m.rx = append(m.rx, r)
	}
	m.users.Store(int32(len(m.rx)) + 1)
	return nil
}

// setOffloads turns on what the configuration and the kernel allow.
func (m *Mux) setOffloads(cfg *Config) {
	m.maxSegs.Store(MaxSegments)
	switch {
	case cfg.DisableGSO:
		m.stopGSO("disabled")
	case cfg.NoChecksum:
		m.stopGSO("zero checksums")
	default:
		if _, err := unix.GetsockoptInt(m.socks[0].fd, unix.SOL_UDP, unix.UDP_SEGMENT); err != nil {
			m.stopGSO("kernel: " + err.Error())
		}
	}
	if cfg.DisableGRO {
		m.groOff = "disabled"
		return
	}
	for _, s := range m.socks {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_UDP, unix.UDP_GRO, 1); err != nil {
			m.groOff = "kernel: " + err.Error()
		}
	}
}

// stopGSO turns GSO off for good.
func (m *Mux) stopGSO(why string) { m.gsoOff.CompareAndSwap(nil, &why) }

// Queues returns how many Rx there are.
func (m *Mux) Queues() int { return m.queues }

// Paths returns how many source ports there are.
func (m *Mux) Paths() int { return 1 + len(m.socks) - m.queues }

// Rx returns receive queue q, 0 to Queues()-1; always the same object.
func (m *Mux) Rx(q int) *Rx { return m.rx[q] }

// Receiver is Rx for callers that do not care what it is.
func (m *Mux) Receiver(q int) Receiver { return m.rx[q] }

// NewSender is NewTx for callers that do not care what it is.
func (m *Mux) NewSender() Sender { return m.NewTx() }

// LocalAddr returns the listening address and port.
func (m *Mux) LocalAddr() netip.AddrPort { return m.listen }

// Status says how things are.
func (m *Mux) Status() Status {
	s := Status{
		Listen:      m.listen,
		SourcePorts: []uint16{m.listen.Port()},
		GSO:         true,
		GRO:         m.groOff == "",
		GROWhy:      m.groOff,
		MaxSegments: int(m.maxSegs.Load()),
		Refused:     m.refused.Load(),
	}
	if why := m.gsoOff.Load(); why != nil {
		s.GSO, s.GSOWhy, s.MaxSegments = false, *why, 1
	}
	if e := syscall.Errno(m.lastErr.Load()); e != 0 {
		s.LastError = e.Error()
	}
	for _, r := range m.rx {
		s.Truncated += r.Truncated()
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	for i := range m.socks {
		if i >= m.queues {
			s.SourcePorts = append(s.SourcePorts, m.socks[i].port)
		}
		if !m.closed {
			s.Dropped += m.socks[i].drops()
		}
	}
	return s
}

// NewTx opens a transmit side for one worker. After Close its Flush fails
// everything.
func (m *Mux) NewTx() *Tx {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := newTx(m, len(m.tx))
	if m.closed {
		t.gate.Shut()
		return t
	}
	m.users.Add(1)
	m.tx = append(m.tx, t)
	return t
}

// SendTo sends one datagram from the listening port without waiting: for
// handshakes and other rare messages.
func (m *Mux) SendTo(dst *Endpoint, b []byte) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.closed {
		return fmt.Errorf("underlay: send to %v: %w", dst, ErrClosed)
	}
	s := &m.socks[0]
	p, n, ok := dst.sockaddr(s.v6)
	errno := syscall.EAFNOSUPPORT
	if ok {
		_, _, errno = unix.Syscall6(unix.SYS_SENDTO, uintptr(s.fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT,
			uintptr(unsafe.Pointer(p)), uintptr(n))
	}
	if errno != 0 {
		m.lastErr.Store(uint32(errno))
		return fmt.Errorf("underlay: send %d bytes to %v: %w", len(b), dst, errno)
	}
	return nil
}

// Close ends every Rx and Tx: a Recv in progress returns ErrClosed at once. The
// sockets close when the last of them has left. Any number of times.
func (m *Mux) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil
	}
	m.closed = true
	for _, r := range m.rx {
		free, busy := r.gate.Shut()
		if free {
			m.leave()
		}
		if busy {
			unix.Write(r.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		}
	}
	for _, t := range m.tx {
		if free, _ := t.gate.Shut(); free {
			m.leave()
		}
	}
	m.leave()
	return nil
}

// leave is called once by every user of the descriptors when it is through.
func (m *Mux) leave() {
	if m.users.Add(-1) == 0 {
		m.closeFDs()
	}
}

func (m *Mux) closeFDs() {
	for _, s := range m.socks {
		unix.Close(s.fd)
	}
	for _, r := range m.rx {
		unix.Close(r.epoll)
		unix.Close(r.wake)
	}
}

// fail remembers why a datagram was not sent.
func (m *Mux) fail(errno fdio.Errno) { m.lastErr.Store(uint32(errno)) }
