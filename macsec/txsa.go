package macsec

import (
	"fmt"
	"sync/atomic"

	"github.com/ztos/ztos/crypto/secret"
)

// Unlimited as a granted limit lets a TxSA use every packet number of the suite:
// right for keys that do not outlive the process.
const Unlimited = ^uint64(0)

// TxSAConfig is what InstallTxSA takes.
type TxSAConfig struct {
	AN  AN
	SAK secret.Key // of the suite's length; may be wiped afterwards
	// SSCI and Salt are for XPN suites only: the channel's short SCI under this
	// SAK, not 0; and 12 bytes.
	SSCI uint32
	Salt secret.Key
	// StartPN is the first packet number to use; 0 means 1. For a SAK that
	// survives restarts it is the limit that was granted and saved last.
	StartPN uint64
	// Granted is the first packet number that may not be used yet: control
	// saves it to disk before it grants it. 0 grants nothing; see Unlimited.
	Granted uint64
}

// TxSA is a transmit secure association: a SAK and its packet numbers. Its
// methods may be called from any goroutine.
type TxSA struct {
	cipherState
	an          AN
	fingerprint string
	ssci        uint32
	soft, end   uint64 // first PN past the soft limit; first PN that may not be used
	secy        *SecY

	_       [64]byte // next is written by all workers
	next    atomic.Uint64
	granted atomic.Uint64
	softHit atomic.Uint32 // 0: below; 1: reached; 2: reached and reported
	_       [40]byte

	counters txSACounters
}

// AN returns the association number.
func (a *TxSA) AN() AN { return a.an }

// Fingerprint returns the SAK's fingerprint.
func (a *TxSA) Fingerprint() string { return a.fingerprint }

// NextPN returns the next packet number to be used.
func (a *TxSA) NextPN() uint64 { return a.next.Load() }

// Granted returns the first packet number that may not be used: what control
// granted, at most the end of the suite's numbers.
func (a *TxSA) Granted() uint64 { return min(a.granted.Load(), a.end) }

// Extend raises the granted limit to limit, the first packet number that may not
// be used. Control calls it after limit is saved on disk. A lower limit than the
// present one changes nothing.
func (a *TxSA) Extend(limit uint64) {
	for {
		old := a.granted.Load()
		if limit <= old || a.granted.CompareAndSwap(old, limit) {
			return
		}
	}
}

// SoftLimitReached reports whether a packet number past the soft limit has been
// reserved: three quarters of the space.
func (a *TxSA) SoftLimitReached() bool { return a.softHit.Load() != 0 }

// TakeSoftLimit is SoftLimitReached that returns true once: the moment to ask for
// a new SAK.
func (a *TxSA) TakeSoftLimit() bool {
	return a.softHit.Load() == 1 && a.softHit.CompareAndSwap(1, 2)
}

// Reserve takes n successive packet numbers and returns the first. ok is false,
// and nothing is taken, when n are not left below the granted limit or the end
// of the numbers. n is at least 1.
//
// Hot path: once a burst; one locked instruction when no other worker interferes.
func (a *TxSA) Reserve(n int) (first uint64, ok bool) {
	limit := a.Granted()
	for {
		first = a.next.Load()
		// next never exceeds end, so there is no overflow. A swap instead of an
		// addition: a failed addition would burn numbers.
		if first >= limit || uint64(n) > limit-first || n < 1 {
			return 0, false
		}
		if a.next.CompareAndSwap(first, first+uint64(n)) {
			break
		}
	}
	if first+uint64(n) > a.soft {
		a.softHit.CompareAndSwap(0, 1)
	}
	return first, true
}

// InstallTxSA adds an SA to the transmit channel. It is not used before UseAN.
//
// Errors: ErrAN; ErrANInUse when the AN has an SA, which must be removed first;
// ErrKey; ErrStartPN; ErrKeyReuse when another AN has this SAK, when the SAK has
// been here before and StartPN is not beyond what it used, or when a receive SA
// has this SAK with the same SSCI.
func (s *SecY) InstallTxSA(c TxSAConfig) (*TxSA, error) {
	fail := func(format string, args ...any) (*TxSA, error) {
		return nil, fmt.Errorf("macsec: transmit AN %d: "+format, append([]any{c.AN}, args...)...)
	}
	if !c.AN.Valid() {
		return fail("%w", ErrAN)
	}
	cs, err := newCipherState(s.cfg.Suite, s.sci, c.SAK, c.SSCI, c.Salt)
	if err != nil {
		return fail("%w", err)
	}
	start, end := max(c.StartPN, 1), s.cfg.Suite.pnEnd()
	if start > end {
		return fail("%w: %d, last is %d", ErrStartPN, start, end-1)
	}
	sa := &TxSA{
		cipherState: cs,
		an:          c.AN,
		fingerprint: c.SAK.Fingerprint(),
		ssci:        c.SSCI,
		soft:        s.cfg.Suite.softLimit(),
		end:         end,
		secy:        s,
	}
	sa.next.Store(start)
	sa.granted.Store(c.Granted)

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.txSAs[c.AN] != nil {
		return fail("%w", ErrANInUse)
	}
	for _, o := range s.txSAs {
		if o != nil && o.fingerprint == sa.fingerprint {
			return fail("%w: AN %d has it", ErrKeyReuse, o.an)
		}
	}
	if used, ok := s.usedPNs[sa.fingerprint]; ok && start < used {
		return fail("%w: from packet number %d on, but it was used up to %d", ErrKeyReuse, start, used-1)
	}
	if s.xpn {
		for _, sc := range s.rx.Load().list {
			if sc.hasSSCI(sa.fingerprint, c.SSCI) {
				return fail("%w: receive channel %v has it with SSCI %d", ErrKeyReuse, sc.sci, c.SSCI)
			}
		}
	}
	s.txSAs[c.AN] = sa
	return sa, nil
}

// UseAN makes the SA of an the one that bursts begun from now on use. Bursts
// that have begun finish with the former one. Errors: ErrAN, ErrNoSA.
func (s *SecY) UseAN(an AN) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !an.Valid() {
		return fmt.Errorf("macsec: transmit AN %d: %w", an, ErrAN)
	}
	if s.txSAs[an] == nil {
		return fmt.Errorf("macsec: transmit AN %d: %w", an, ErrNoSA)
	}
	s.cur.Store(s.txSAs[an])
	return nil
}

// StopTx leaves the transmit channel without an SA in use: BeginTx returns
// MACsecNoTxSA until UseAN.
func (s *SecY) StopTx() { s.cur.Store(nil) }

// RemoveTxSA takes the SA of an away and returns the first packet number that it
// has not used: StartPN, if the SAK is to go on in another SecY. This SecY
// remembers it by itself. Bursts that have begun with the SA may still finish.
//
// Errors: ErrAN, ErrNoSA, ErrANInUse when it is the one in use: UseAN of another
// or StopTx comes first.
func (s *SecY) RemoveTxSA(an AN) (next uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !an.Valid() {
		return 0, fmt.Errorf("macsec: transmit AN %d: %w", an, ErrAN)
	}
	sa := s.txSAs[an]
	if sa == nil {
		return 0, fmt.Errorf("macsec: transmit AN %d: %w", an, ErrNoSA)
	}
	if s.cur.Load() == sa {
		return 0, fmt.Errorf("macsec: transmit AN %d: %w", an, ErrANInUse)
	}
	return s.closeTxSALocked(sa), nil
}

// closeTxSALocked takes sa, which is not in use, away and returns the first packet
// number that it has not used.
func (s *SecY) closeTxSALocked(sa *TxSA) (next uint64) {
	// A worker that holds the SA from before could still reserve. It finds the
	// numbers at their end.
	next = sa.next.Swap(sa.end)
	s.usedPNs[sa.fingerprint] = next
	s.txSAs[sa.an] = nil
	s.retired = append(s.retired, RetiredSA{sa.aead})
	return next
}

// TxSA returns the SA of an, nil when there is none.
func (s *SecY) TxSA(an AN) *TxSA {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !an.Valid() {
		return nil
	}
	return s.txSAs[an]
}

// InUse returns the SA that bursts begun now use, nil when there is none.
func (s *SecY) InUse() *TxSA { return s.cur.Load() }
