package macsec

import (
	"encoding/binary"

	"github.com/ztos/ztos/crypto/aead"
	"github.com/ztos/ztos/engine/counter"
)

// Tx is one worker's transmit side: the packet numbers of the burst in hand and
// what has been counted since the last flush. The zero value is ready. A worker
// keeps one for all its SecYs; it must not be copied, and is best part of a
// larger object that lives as long as the worker.
type Tx struct {
	sa        *TxSA
	next, end uint64 // packet numbers reserved and unused

	pkts, octets uint64 // protected with sa and not yet counted

	iv [aead.NonceSize]byte
}

// BeginTx starts a burst of n frames: it reserves n packet numbers of the SA in
// use for t. Numbers left over from the burst before are skipped.
//
// It returns counter.None, MACsecNoTxSA when no SA is in use, or
// MACsecPNExhausted when the granted or the last packet number does not allow n
// more; then the burst's frames are to be dropped for that reason. Several
// workers, each with its own Tx.
//
// Hot path: once a burst and SecY; no allocation.
func (s *SecY) BeginTx(t *Tx, n int) counter.Reason {
	t.next, t.end = 0, 0
	n = max(n, 1)
	for {
		sa := s.cur.Load()
		if sa != t.sa {
			t.FlushCounters()
			t.sa = sa
		}
		if sa == nil {
			return counter.MACsecNoTxSA
		}
		if first, ok := sa.Reserve(n); ok {
			t.next, t.end = first, first+uint64(n)
			return counter.None
		}
		if s.cur.Load() == sa {
			return counter.MACsecPNExhausted
		}
		// Control switched ANs, and removed the old one, under our feet.
	}
}

// Protect seals frame, one contiguous Ethernet frame from DA to the last octet of
// its payload, into dst and returns the protected frame's length, which is
// ProtectedLen(len(frame)). It uses the SecY and a packet number of the last
// BeginTx; beyond those reserved there, it reserves one more for itself.
//
// dst must not overlap frame and must have room for the result; what is behind
// it stays as it is. frame is not changed.
//
// Other reasons than None leave the frame unsent: FrameTooShort below 14 bytes,
// MACsecTooLong when dst is too small (counted OutPktsTooLong), MACsecNoTxSA and
// MACsecPNExhausted as BeginTx.
//
// Hot path: no allocation (TestNoAllocs).
func (t *Tx) Protect(dst, frame []byte) (int, counter.Reason) {
	sa := t.sa
	if sa == nil {
		return 0, counter.MACsecNoTxSA
	}
	s := sa.secy
	if len(frame) < minFrame {
		return 0, counter.FrameTooShort
	}
	n := len(frame) + s.overhead
	if len(dst) < n {
		s.counters.outPktsTooLong.Add(1)
		return 0, counter.MACsecTooLong
	}
	if t.next == t.end {
		first, ok := sa.Reserve(1)
		if !ok {
			return 0, counter.MACsecPNExhausted
		}
		t.next, t.end = first, first+1
	}
	pn := t.next
	t.next++

	hdr := addrLen + s.tagLen
	secure := n - hdr - ICVLen
	clear := s.clearLen(secure)
	in := frame[addrLen:]
	if s.hidden {
		copy(dst, s.cfg.HiddenAddrs[:])
		// EtherType and frame stand apart: one copy, then in place.
		in = dst[hdr : hdr+secure]
		binary.BigEndian.PutUint16(in, etherTypeTEB)
		copy(in[2:], frame)
	} else {
		copy(dst, frame[:addrLen])
		copy(dst[hdr:], in[:clear])
	}
	SecTAG(dst[addrLen:]).Put(s.txTCI|TCI(sa.an), secure, pn, s.sci)

	sa.putIV(&t.iv, pn)
	// The AAD is what stands before the output: DA, SA, SecTAG and the octets
	// that stay readable.
	if !sa.aead.Seal(dst[hdr+clear:n], t.iv[:], in[clear:], dst[:hdr+clear]) {
		return 0, counter.WorkerFault // lengths that were just computed do not fit
	}
	t.pkts++
	t.octets += uint64(secure)
	return n, counter.None
}

// FlushCounters publishes what was counted. The worker calls it at the end of
// each burst, after the last Protect.
//
// Hot path: once a burst.
func (t *Tx) FlushCounters() {
	if t.pkts == 0 {
		return
	}
	sa := t.sa
	sa.counters.outPkts.Add(t.pkts)
	sa.secy.counters.outPkts.Add(t.pkts)
	sa.secy.counters.outOctets.Add(t.octets)
	t.pkts, t.octets = 0, 0
}
