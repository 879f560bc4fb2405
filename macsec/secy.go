package macsec

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/ztos/ztos/crypto/replay"
)

// Errors of control operations; each comes wrapped with what it is about, never
// with key material. After an error nothing has changed.
var (
	ErrConfig  = errors.New("invalid SecY configuration")
	ErrKey     = errors.New("key material does not fit the cipher suite")
	ErrAN      = errors.New("association number is not 0 to 3")
	ErrANInUse = errors.New("association number is in use")
	ErrNoSA    = errors.New("no such SA")
	ErrNoSC    = errors.New("no such secure channel")
	ErrSCInUse = errors.New("secure channel exists")
	ErrOwnSCI  = errors.New("SCI is the SecY's own")
	// ErrKeyReuse: the key would be used twice: on two ANs, from a packet number
	// that it has used before, or in two channels with one SSCI.
	ErrKeyReuse = errors.New("key would be used twice")
	ErrStartPN  = errors.New("start packet number is out of range")
)

// Mode says what of a tenant frame is secure data.
type Mode uint8

// Modes.
const (
	// Standard secures EtherType and payload; DA and SA stay readable.
	Standard Mode = 1 + iota
	// Hidden secures the whole tenant frame behind outer addresses.
	Hidden
)

// String returns standard or hidden.
func (m Mode) String() string {
	switch m {
	case Standard:
		return "standard"
	case Hidden:
		return "hidden"
	}
	return fmt.Sprintf("mode-%d", uint8(m))
}

// MarshalText is String.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// DefaultReplayWindow is for whoever has no better number: several paths and
// workers reorder frames, and 1024 at 10 Gbit/s of large frames is 1.2 ms.
//
// Workers that share a TxSA need more when they also share CPUs: one that loses
// its CPU with a burst in hand comes back after a scheduler's time slice, 10 ms
// or so, in which the others may have sent thousands of frames. The window is
// exact, so a wide one costs nothing but a byte a number (replay.New).
const DefaultReplayWindow = 1024

// Config is what stays the same through a SecY's life.
type Config struct {
	Suite Suite
	Mode  Mode
	// IntegrityOnly sends and expects E = C = 0: the payload is readable.
	// Standard mode only.
	IntegrityOnly bool
	// Offset is the number of octets after the SecTAG that are authenticated
	// but readable: 0, 30 or 50. 30 and 50 need standard mode, encryption and
	// a suite without XPN. They include the EtherType: 30 leaves an untagged
	// IPv4 header and 8 octets behind it readable.
	Offset int
	// ReplayWindow is how many numbers, the highest included, are accepted out
	// of order; see DefaultReplayWindow. 0 accepts only increasing numbers.
	// At most replay.MaxSize.
	ReplayWindow uint32
	// AllowImplicitSCI accepts frames without an SCI: with ES set the SCI is
	// the source address and port 1; without, it is that of the only receive
	// channel. Over VXLAN the source address is a tenant's, so the default is
	// to require the SCI.
	AllowImplicitSCI bool
	// TxSCI is the transmit channel's SCI. It must be unique in the VNI.
	TxSCI SCI
	// HiddenAddrs is the DA and SA that hidden mode sends: individual, locally
	// administered addresses that mean nothing to tenants. Hidden mode only.
	HiddenAddrs [addrLen]byte
}

// Validate returns nil, or an error that wraps ErrConfig and joins all faults.
func (c *Config) Validate() error {
	var faults []error
	bad := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("macsec: %w: "+format, append([]any{ErrConfig}, args...)...))
	}
	if !c.Suite.Valid() {
		bad("cipher suite %d is not known", uint8(c.Suite))
	}
	switch c.Offset {
	case 0:
	case 30, 50:
		if c.Suite.XPN() {
			bad("confidentiality offset %d with %v", c.Offset, c.Suite)
		}
		if c.IntegrityOnly {
			bad("confidentiality offset %d without encryption", c.Offset)
		}
	default:
		bad("confidentiality offset %d, want 0, 30 or 50", c.Offset)
	}
	switch c.Mode {
	case Standard:
		if c.HiddenAddrs != [addrLen]byte{} {
			bad("outer addresses in standard mode")
		}
	case Hidden:
		if c.IntegrityOnly || c.Offset != 0 {
			bad("hidden mode hides nothing without encryption at offset 0")
		}
		if !localUnicast(c.HiddenAddrs[:6]) || !localUnicast(c.HiddenAddrs[6:]) {
			bad("outer addresses must be individual and locally administered")
		}
	default:
		bad("mode %d is not known", uint8(c.Mode))
	}
	if c.ReplayWindow > replay.MaxSize {
		bad("replay window %d, at most %d", c.ReplayWindow, replay.MaxSize)
	}
	if c.TxSCI == (SCI{}) {
		bad("transmit SCI is zero")
	}
	return errors.Join(faults...)
}

// localUnicast reports whether the address in a[:6] is individual and locally
// administered.
//
// Hot path: inlined.
func localUnicast(a []byte) bool { return a[0]&3 == 2 }

// SecY is a MAC Security Entity: the MACsec of one VNI on this node. Workers use
// BeginTx, Validate and the exact-size functions; everything else is control's,
// from any goroutine.
type SecY struct {
	// Fixed by New, read by every frame.
	sci      SCI
	txTCI    TCI  // AN 0
	confTCI  TCI  // E and C as configured
	xpn      bool // suite's
	hidden   bool
	implicit bool
	clear    int // octets of secure data that stay readable; all of them when large
	tagLen   int // of what we send
	overhead int
	cfg      Config

	// Swapped by control, loaded by every burst or frame.
	cur atomic.Pointer[TxSA]
	rx  atomic.Pointer[rxTable]

	mu      sync.Mutex // guards what follows
	txSAs   [NumANs]*TxSA
	usedPNs map[string]uint64 // by key fingerprint: the number from which on a removed TxSA's key is unused
	lowest  map[SCI]lowestPNs // of every receive channel there has been
	retired []RetiredSA       // since the last TakeRetired

	counters secyCounters
}

// New returns a SecY without SAs and receive channels: it protects nothing and
// refuses everything. The error wraps ErrConfig.
func New(cfg Config) (*SecY, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &SecY{
		sci:      cfg.TxSCI,
		txTCI:    TCISC,
		xpn:      cfg.Suite.XPN(),
		hidden:   cfg.Mode == Hidden,
		implicit: cfg.AllowImplicitSCI,
		clear:    cfg.Offset,
		tagLen:   TagLen,
		cfg:      cfg,
		usedPNs:  map[string]uint64{},
		lowest:   map[SCI]lowestPNs{},
	}
	if cfg.IntegrityOnly {
		s.clear = int(^uint(0) >> 1)
	} else {
		s.confTCI = TCIE | TCIC
	}
	s.setTagStyle(TCISC)
	s.rx.Store(newRxTable(nil))
	return s, nil
}

// TakeRetired returns the keys of the SAs that were removed since the last call.
// Workers that looked them up before may still use them in the burst they are in:
// the caller waits until every worker has begun a new burst, and then calls Wipe
// on each.
func (s *SecY) TakeRetired() []RetiredSA {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.retired
	s.retired = nil
	return r
}

// Close removes every channel and SA: the SecY protects nothing and refuses
// everything.
func (s *SecY) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cur.Store(nil)
	for _, sa := range s.txSAs {
		if sa != nil {
			s.closeTxSALocked(sa)
		}
	}
	list := s.rx.Load().list
	s.rx.Store(newRxTable(nil))
	for _, sc := range list {
		for an := range AN(NumANs) {
			s.closeRxSALocked(sc, an)
		}
	}
}

// setTagStyle fixes the bits that say how the SCI is sent. Tests alone use
// another style than an explicit SCI.
func (s *SecY) setTagStyle(style TCI) {
	s.txTCI = style | s.confTCI
	s.tagLen = tagShort
	if style&TCISC != 0 {
		s.tagLen = TagLen
	}
	s.overhead = s.tagLen + ICVLen
	if s.hidden {
		s.overhead += minFrame // outer addresses and 0x6558
	}
}

// Config returns what New was given.
func (s *SecY) Config() Config { return s.cfg }

// Overhead returns how many bytes longer a protected frame is: 32, in hidden
// mode 46.
func (s *SecY) Overhead() int { return s.overhead }

// ProtectedLen returns the exact length of what Protect makes of a tenant frame
// of n bytes.
func (s *SecY) ProtectedLen(n int) int { return n + s.overhead }

// clearLen returns how many of secure octets of secure data stay readable.
//
// Hot path: inlined.
func (s *SecY) clearLen(secure int) int { return min(s.clear, secure) }
