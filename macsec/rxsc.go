package macsec

import (
	"fmt"
	"sync/atomic"

	"github.com/ztos/ztos/crypto/replay"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/table"
)

// RxSC is a receive secure channel: what one peer sends. Methods are for any
// goroutine.
type RxSC struct {
	sci  SCI
	vtep table.VTEPID
	sas  [NumANs]atomic.Pointer[RxSA]

	counters rxSCCounters
}

// lowestPNs holds, by key fingerprint, the least acceptable packet number for a
// SAK that was removed from a channel and comes back. Guarded by SecY.mu.
type lowestPNs map[string]uint64

// SCI returns the channel's identifier.
func (c *RxSC) SCI() SCI { return c.sci }

// VTEP returns what AddRxSC was given: the leaf that holds the channel's key.
func (c *RxSC) VTEP() table.VTEPID { return c.vtep }

// RxSA returns the SA of an, nil when there is none.
func (c *RxSC) RxSA(an AN) *RxSA {
	if !an.Valid() {
		return nil
	}
	return c.sas[an].Load()
}

// hasSSCI reports whether an SA of the channel has this SAK with this SSCI.
func (c *RxSC) hasSSCI(fingerprint string, ssci uint32) bool {
	for i := range c.sas {
		if sa := c.sas[i].Load(); sa != nil && sa.fingerprint == fingerprint && sa.ssci == ssci {
			return true
		}
	}
	return false
}

// RxSAConfig is what InstallRxSA takes.
type RxSAConfig struct {
	AN  AN
	SAK secret.Key // of the suite's length; may be wiped afterwards
	// SSCI and Salt are for XPN suites only: the peer's short SCI under this
	// SAK, not 0; and 12 bytes.
	SSCI uint32
	Salt secret.Key
	// LowestPN is the lowest acceptable packet number; 0 means 1. With XPN it
	// also says where the peer's 64-bit numbers stand: they are recovered when
	// the first frame's is less than 2^31 away, or in the first 2^32.
	LowestPN uint64
}

// RxSA is a receive secure association: a SAK and its replay window. Methods are
// for any goroutine.
type RxSA struct {
	cipherState
	an          AN
	fingerprint string
	ssci        uint32
	window      *replay.Window
	lowest      atomic.Uint64 // least acceptable PN, or closed

	counters rxSACounters
}

// closed is the least acceptable packet number of an SA that was removed: none
// reaches it.
const closed = ^uint64(0)

// AN returns the association number.
func (a *RxSA) AN() AN { return a.an }

// Fingerprint returns the SAK's fingerprint.
func (a *RxSA) Fingerprint() string { return a.fingerprint }

// NextPN returns one more than the highest packet number accepted, or the lowest
// acceptable one when that is greater.
//
// Hot path: inlined.
func (a *RxSA) NextPN() uint64 { return max(a.window.Next(), a.lowest.Load()) }

// LowestPN returns the lowest acceptable packet number that was set. The replay
// window's end may be higher.
func (a *RxSA) LowestPN() uint64 { return a.lowest.Load() }

// SetLowestPN raises the lowest acceptable packet number, as key agreement asks
// for. A lower one than the present changes nothing.
func (a *RxSA) SetLowestPN(pn uint64) {
	for {
		old := a.lowest.Load()
		if pn <= old || a.lowest.CompareAndSwap(old, pn) {
			return
		}
	}
}

// rxTable finds a channel by SCI: open addressing in a power-of-two table that is
// at most half full. Immutable; an empty slot has a nil channel.
type rxTable struct {
	slots []rxSlot
	shift uint8   // 64 - log2(len(slots))
	list  []*RxSC // in order of addition
}

type rxSlot struct {
	sci uint64
	sc  *RxSC
}

// newRxTable returns the table of list, which it keeps.
func newRxTable(list []*RxSC) *rxTable {
	t := &rxTable{slots: make([]rxSlot, 2), shift: 63, list: list}
	for len(t.slots) < 2*len(list) {
		t.slots = make([]rxSlot, 2*len(t.slots))
		t.shift--
	}
	for _, sc := range list {
		i := t.hash(sc.sci.word())
		for t.slots[i].sc != nil {
			i = (i + 1) & (len(t.slots) - 1)
		}
		t.slots[i] = rxSlot{sc.sci.word(), sc}
	}
	return t
}

// hash is Fibonacci hashing: SCIs differ in few bits, in the middle and at the
// end.
//
// Hot path: inlined.
func (t *rxTable) hash(sci uint64) int { return int(sci * 0x9e3779b97f4a7c15 >> t.shift) }

// lookup returns the channel, nil when there is none.
//
// Hot path: no allocation.
func (t *rxTable) lookup(sci uint64) *RxSC {
	for i := t.hash(sci); ; i++ {
		slot := &t.slots[i&(len(t.slots)-1)]
		if slot.sc == nil || slot.sci == sci {
			return slot.sc
		}
	}
}

// AddRxSC adds the receive channel of the peer that sends with sci. vtep is given
// back by Validate. It has no SA yet. Errors: ErrSCInUse; ErrOwnSCI, because our
// own frames, reflected, would authenticate.
func (s *SecY) AddRxSC(sci SCI, vtep table.VTEPID) (*RxSC, error) {
	if sci == s.sci {
		return nil, fmt.Errorf("macsec: receive channel %v: %w", sci, ErrOwnSCI)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.rx.Load()
	if t.lookup(sci.word()) != nil {
		return nil, fmt.Errorf("macsec: receive channel %v: %w", sci, ErrSCInUse)
	}
	sc := &RxSC{sci: sci, vtep: vtep}
	if s.lowest[sci] == nil {
		s.lowest[sci] = lowestPNs{}
	}
	s.rx.Store(newRxTable(append(t.list[:len(t.list):len(t.list)], sc)))
	return sc, nil
}

// RemoveRxSC takes a receive channel away with its SAs. Their SAKs are remembered
// as RemoveRxSA does. Error: ErrNoSC.
func (s *SecY) RemoveRxSC(sci SCI) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.rx.Load().list
	list := make([]*RxSC, 0, len(old))
	for _, sc := range old {
		if sc.sci != sci {
			list = append(list, sc)
		}
	}
	if len(list) == len(old) {
		return fmt.Errorf("macsec: receive channel %v: %w", sci, ErrNoSC)
	}
	sc := s.rx.Load().lookup(sci.word())
	s.rx.Store(newRxTable(list))
	for an := range AN(NumANs) {
		s.closeRxSALocked(sc, an)
	}
	return nil
}

// RxSC returns the receive channel of sci, nil when there is none.
func (s *SecY) RxSC(sci SCI) *RxSC { return s.rx.Load().lookup(sci.word()) }

// InstallRxSA adds an SA to the receive channel of sci; frames are accepted from
// now on.
//
// A SAK that was in this channel before and was removed accepts only numbers
// above those accepted then, because its replay window is gone. What happened in
// another SecY or process only the caller knows: for a SAK that outlives them,
// LowestPN is RxSAState.NextPN of then, or old frames can be replayed.
//
// Errors: ErrNoSC; ErrAN; ErrANInUse when the AN has an SA, which must be removed
// first; ErrKey; ErrStartPN; ErrKeyReuse when another AN of the channel has this
// SAK, or when the transmit channel has it with the same SSCI.
func (s *SecY) InstallRxSA(sci SCI, c RxSAConfig) (*RxSA, error) {
	fail := func(format string, args ...any) (*RxSA, error) {
		return nil, fmt.Errorf("macsec: receive channel %v AN %d: "+format, append([]any{sci, c.AN}, args...)...)
	}
	if !c.AN.Valid() {
		return fail("%w", ErrAN)
	}
	cs, err := newCipherState(s.cfg.Suite, sci, c.SAK, c.SSCI, c.Salt)
	if err != nil {
		return fail("%w", err)
	}
	if c.LowestPN >= s.cfg.Suite.pnEnd() {
		return fail("%w: %d, last is %d", ErrStartPN, c.LowestPN, s.cfg.Suite.pnEnd()-1)
	}
	sa := &RxSA{
		cipherState: cs,
		an:          c.AN,
		fingerprint: c.SAK.Fingerprint(),
		ssci:        c.SSCI,
		window:      replay.New(s.cfg.ReplayWindow),
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.rx.Load().lookup(sci.word())
	if sc == nil {
		return fail("%w", ErrNoSC)
	}
	if sc.sas[c.AN].Load() != nil {
		return fail("%w", ErrANInUse)
	}
	for i := range sc.sas {
		if o := sc.sas[i].Load(); o != nil && o.fingerprint == sa.fingerprint {
			return fail("%w: AN %d has it", ErrKeyReuse, o.an)
		}
	}
	if s.xpn {
		for _, o := range s.txSAs {
			if o != nil && o.fingerprint == sa.fingerprint && o.ssci == c.SSCI {
				return fail("%w: the transmit channel has it with SSCI %d", ErrKeyReuse, c.SSCI)
			}
		}
	}
	sa.lowest.Store(max(1, c.LowestPN, s.lowest[sci][sa.fingerprint]))
	sc.sas[c.AN].Store(sa)
	return sa, nil
}

// RemoveRxSA takes the SA of an away from the receive channel of sci; its frames
// then count as InPktsNotUsingSA. Errors: ErrNoSC, ErrAN, ErrNoSA.
func (s *SecY) RemoveRxSA(sci SCI, an AN) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	sc := s.rx.Load().lookup(sci.word())
	err := ErrNoSA
	switch {
	case sc == nil:
		err = ErrNoSC
	case !an.Valid():
		err = ErrAN
	default:
		if s.closeRxSALocked(sc, an) {
			return nil
		}
	}
	return fmt.Errorf("macsec: receive channel %v AN %d: %w", sci, an, err)
}

// closeRxSALocked takes the SA of an out of sc and remembers how far it came. It
// reports false when there is none.
func (s *SecY) closeRxSALocked(sc *RxSC, an AN) bool {
	sa := sc.sas[an].Swap(nil)
	if sa == nil {
		return false
	}
	// Close it for workers that still hold it, before looking how far they
	// came: see the end of Validate's replay check.
	lowest := sa.lowest.Swap(closed)
	s.lowest[sc.sci][sa.fingerprint] = max(lowest, sa.window.Next())
	s.retired = append(s.retired, RetiredSA{sa.aead})
	return true
}
