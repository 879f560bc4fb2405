package macsec

import "github.com/ztos/ztos/engine/table"

// State is what can be shown of a SecY. It holds no key.
type State struct {
	Suite            Suite
	Mode             Mode
	IntegrityOnly    bool
	Offset           int // octets
	ReplayWindow     uint32
	AllowImplicitSCI bool
	Overhead         int // bytes added to a frame

	TxSCI    SCI
	TxUsable bool // an SA is in use
	TxAN     AN   // valid iff TxUsable
	TxSAs    []TxSAState
	RxSCs    []RxSCState // in order of addition

	Counters SecYCounters
}

// TxSAState is what can be shown of a transmit SA.
type TxSAState struct {
	AN          AN
	InUse       bool
	Fingerprint string // of the SAK
	SSCI        uint32 // 0 without XPN
	NextPN      uint64
	Granted     uint64 // first PN that may not be used yet
	SoftLimit   bool   // a new SAK is due
	OutPkts     uint64
}

// RxSCState is what can be shown of a receive channel.
type RxSCState struct {
	SCI      SCI
	VTEP     table.VTEPID
	SAs      []RxSAState
	Counters RxSCCounters
}

// RxSAState is what can be shown of a receive SA.
type RxSAState struct {
	AN          AN
	Fingerprint string // of the SAK
	SSCI        uint32 // 0 without XPN
	NextPN      uint64 // one more than the highest accepted
	LowestPN    uint64 // as set; the window's end may be higher
	Counters    RxSACounters
}

// State returns the SecY's state, for people and for control to compare with
// what is wanted. ANs come in ascending order. Any goroutine; it allocates.
func (s *SecY) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{
		Suite:            s.cfg.Suite,
		Mode:             s.cfg.Mode,
		IntegrityOnly:    s.cfg.IntegrityOnly,
		Offset:           s.cfg.Offset,
		ReplayWindow:     s.cfg.ReplayWindow,
		AllowImplicitSCI: s.cfg.AllowImplicitSCI,
		Overhead:         s.overhead,
		TxSCI:            s.sci,
		Counters:         s.Counters(),
	}
	cur := s.cur.Load()
	if cur != nil {
		st.TxUsable, st.TxAN = true, cur.an
	}
	for _, sa := range s.txSAs {
		if sa == nil {
			continue
		}
		st.TxSAs = append(st.TxSAs, TxSAState{
			AN:          sa.an,
			InUse:       sa == cur,
			Fingerprint: sa.fingerprint,
			SSCI:        sa.ssci,
			NextPN:      sa.NextPN(),
			Granted:     sa.Granted(),
			SoftLimit:   sa.SoftLimitReached(),
			OutPkts:     sa.OutPkts(),
		})
	}
	for _, sc := range s.rx.Load().list {
		c := RxSCState{SCI: sc.sci, VTEP: sc.vtep, Counters: sc.Counters()}
		for i := range sc.sas {
			sa := sc.sas[i].Load()
			if sa == nil {
				continue
			}
			c.SAs = append(c.SAs, RxSAState{
				AN:          sa.an,
				Fingerprint: sa.fingerprint,
				SSCI:        sa.ssci,
				NextPN:      sa.NextPN(),
				LowestPN:    sa.LowestPN(),
				Counters:    sa.Counters(),
			})
		}
		st.RxSCs = append(st.RxSCs, c)
	}
	return st
}
