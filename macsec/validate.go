package macsec

import (
	"encoding/binary"

	"github.com/ztos/ztos/crypto/aead"
	"github.com/ztos/ztos/crypto/replay"
	"github.com/ztos/ztos/engine/counter"
)

// Rx is one worker's receive side: what has been counted since the last flush.
// The zero value is ready. A worker keeps one for all its SecYs; it must not be
// copied, and is best part of a larger object that lives as long as the worker.
type Rx struct {
	secy *SecY
	sc   *RxSC
	sa   *RxSA

	pkts, octets uint64 // accepted by sa and not yet counted

	iv [aead.NonceSize]byte
}

// Validate takes in one received frame, from DA to the last octet of its ICV,
// and returns the tenant frame that it protected, in the same memory, and the
// channel that authenticated it. In standard mode DA and SA are moved forward to
// stand before EtherType and payload; in hidden mode the tenant frame already
// stands in one piece. frame is overwritten, also when it is refused.
//
// Otherwise tenant is nil and the reason is one of
//
//	FrameTooShort       fewer than 14 bytes, outside or inside
//	MACsecUntagged      no SecTAG                       InPktsNoTag
//	MACsecBadTag        SecTAG not valid                InPktsBadTag and per TagFault
//	MACsecUnknownSCI    no such channel, or no SCI      InPktsNoSCI
//	MACsecModeMismatch  E, C or mode not as configured  InPktsModeMismatch
//	MACsecNotUsingSA    the AN has no SA                InPktsNotUsingSA
//	MACsecLate          before the replay window        InPktsLate
//	MACsecReplayed      seen before                     InPktsReplayed
//	MACsecNotValid      the ICV does not verify         InPktsNotValid
//
// sc is the frame's channel as far as it was found; before authentication (all
// reasons but the mode mismatch of a decrypted frame) it is only what the frame
// claims.
//
// Several workers, each with its own Rx.
//
// Hot path: no allocation (TestNoAllocs).
func (s *SecY) Validate(r *Rx, frame []byte) (tenant []byte, sc *RxSC, reason counter.Reason) {
	if len(frame) < minFrame {
		return nil, nil, counter.FrameTooShort
	}
	if binary.BigEndian.Uint16(frame[addrLen:]) != EtherType {
		s.counters.inPktsNoTag.Add(1)
		return nil, nil, counter.MACsecUntagged
	}
	tag := SecTAG(frame[addrLen:])
	if f := CheckMPDU(tag, s.xpn); f != TagOK {
		s.counters.inPktsBadTag[f].Add(1)
		return nil, nil, counter.MACsecBadTag
	}
	tci := tag.TCI()
	sc = s.channel(frame, tag, tci)
	if sc == nil {
		s.counters.inPktsNoSCI.Add(1)
		return nil, nil, counter.MACsecUnknownSCI
	}
	if tci&(TCIE|TCIC) != s.confTCI {
		sc.counters.inPktsModeMismatch.Add(1)
		return nil, sc, counter.MACsecModeMismatch
	}
	sa := sc.sas[tci&tciAN].Load()
	if sa == nil {
		sc.counters.inPktsNotUsingSA.Add(1)
		return nil, sc, counter.MACsecNotUsingSA
	}

	pn := uint64(tag.PN())
	lowest := sa.lowest.Load()
	if s.xpn {
		pn = recoverPN(uint32(pn), max(lowest, sa.window.Next()))
	}
	v := replay.Late
	if pn >= lowest {
		v = sa.window.Check(pn)
	}
	if v != replay.OK {
		return nil, sc, refuse(sc, sa, v)
	}

	hdr := addrLen + tag.Len()
	secure := frame[hdr : len(frame)-ICVLen]
	clear := s.clearLen(len(secure))
	sa.putIV(&r.iv, pn)
	if !sa.aead.Open(secure[clear:], r.iv[:], frame[hdr+clear:], frame[:hdr+clear]) {
		sc.counters.inPktsNotValid.Add(1)
		sa.counters.inPktsNotValid.Add(1)
		return nil, sc, counter.MACsecNotValid
	}
	// Authentic. Another worker may have marked it, or moved the window on. And
	// control may have closed the SA: it notes how far the window came after
	// raising lowest, so a number marked before is known, and one marked after
	// is refused here.
	v = sa.window.Mark(pn)
	if v == replay.OK && pn < sa.lowest.Load() {
		v = replay.Late
	}
	if v != replay.OK {
		return nil, sc, refuse(sc, sa, v)
	}

	// A peer that secures the other part of the frame must not be taken for
	// one that does as we do: in the wrong mode a tenant's bytes would be read
	// as addresses. Hidden frames have local outer addresses, so a tenant's own
	// 0x6558 frame passes a standard VNI unless its addresses are local too.
	inner := len(secure) >= 2 && binary.BigEndian.Uint16(secure) == etherTypeTEB
	if s.hidden {
		if !inner {
			sc.counters.inPktsModeMismatch.Add(1)
			return nil, sc, counter.MACsecModeMismatch
		}
		tenant = secure[2:]
	} else {
		if inner && localUnicast(frame) && localUnicast(frame[6:]) {
			sc.counters.inPktsModeMismatch.Add(1)
			return nil, sc, counter.MACsecModeMismatch
		}
		tenant = frame[hdr-addrLen : len(frame)-ICVLen]
		copy(tenant, frame[:addrLen])
	}
	if len(tenant) < minFrame {
		sc.counters.inPktsRunt.Add(1)
		return nil, sc, counter.FrameTooShort
	}

	if sa != r.sa || sc != r.sc {
		r.FlushCounters()
		r.secy, r.sc, r.sa = s, sc, sa
	}
	r.pkts++
	r.octets += uint64(len(secure))
	return tenant, sc, counter.None
}

// channel returns the receive channel that a frame with a valid SecTAG names,
// nil when there is none.
//
// Hot path: no allocation.
func (s *SecY) channel(frame []byte, tag SecTAG, tci TCI) *RxSC {
	t := s.rx.Load()
	switch {
	case tci&TCISC != 0:
		return t.lookup(binary.BigEndian.Uint64(tag[8:16]))
	case !s.implicit || tci&TCISCB != 0:
		return nil // SCB is EPON's
	case tci&TCIES != 0:
		// The source address and port 1.
		return t.lookup(binary.BigEndian.Uint64(frame[4:12])<<16 | 1)
	case len(t.list) == 1:
		return t.list[0] // point to point: the only peer there is
	}
	return nil
}

// refuse counts a frame that the replay window does not take.
func refuse(sc *RxSC, sa *RxSA, v replay.Verdict) counter.Reason {
	if v == replay.Replayed {
		sc.counters.inPktsReplayed.Add(1)
		sa.counters.inPktsReplayed.Add(1)
		return counter.MACsecReplayed
	}
	sc.counters.inPktsLate.Add(1)
	sa.counters.inPktsLate.Add(1)
	return counter.MACsecLate
}

// FlushCounters publishes what was counted. The worker calls it at the end of
// each burst, after the last Validate.
//
// Hot path: once a burst.
func (r *Rx) FlushCounters() {
	if r.pkts == 0 {
		return
	}
	r.sa.counters.inPktsOK.Add(r.pkts)
	r.sc.counters.inPktsOK.Add(r.pkts)
	r.secy.counters.inOctets.Add(r.octets)
	r.pkts, r.octets = 0, 0
}
