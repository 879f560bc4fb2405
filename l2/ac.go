package l2

import (
	"fmt"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
)

// MatchKind says which frames of a port an attachment circuit takes.
type MatchKind uint8

const (
	MatchUntagged MatchKind = iota // no tag, or a priority tag (VID 0)
	MatchVLAN                      // outermost tag has VID VLAN
	MatchQinQ                      // outermost tag has VID VLAN, the next one Inner
	MatchAll                       // whatever no other circuit of the port takes, tags and all
)

// Match is what an attachment circuit takes from its port.
type Match struct {
	Kind  MatchKind
	VLAN  uint16 // 1 to 4094; valid iff MatchVLAN or MatchQinQ
	Inner uint16 // 1 to 4094; valid iff MatchQinQ
	// TPID is that of the outermost tag. 0 takes both 0x8100 and 0x88a8, and
	// sends 0x8100 for MatchVLAN and 0x88a8 for MatchQinQ. The inner tag of
	// MatchQinQ is taken with either and sent with 0x8100.
	TPID uint16
}

// String returns "untagged", "vlan 100", "vlan 200.5" or "all".
func (m Match) String() string {
	switch m.Kind {
	case MatchUntagged:
		return "untagged"
	case MatchVLAN:
		return fmt.Sprintf("vlan %d", m.VLAN)
	case MatchQinQ:
		return fmt.Sprintf("vlan %d.%d", m.VLAN, m.Inner)
	case MatchAll:
		return "all"
	}
	return fmt.Sprintf("match %d", uint8(m.Kind))
}

// validate reports what is wrong with m.
func (m Match) validate() error {
	if m.Kind > MatchAll {
		return fmt.Errorf("l2: %v is unknown", m)
	}
	tagged := m.Kind == MatchVLAN || m.Kind == MatchQinQ
	if tagged && (m.VLAN < 1 || m.VLAN > 4094) || m.Kind == MatchQinQ && (m.Inner < 1 || m.Inner > 4094) {
		return fmt.Errorf("l2: %v: VID is not in 1 to 4094", m)
	}
	if m.TPID != 0 && !wire.IsTPID(m.TPID) {
		return fmt.Errorf("l2: %v: TPID %#04x is neither 0x8100 nor 0x88a8", m, m.TPID)
	}
	return nil
}

// AC is an attachment circuit: a port, or some tags of it, in one bridge domain.
// Immutable but for its cells.
type AC struct {
	ID    table.ACID
	Port  table.PortID
	VNI   table.VNI // of its bridge domain
	Match Match

	// Tunnel takes frames that have more tags than Match names, and carries
	// those as the tenant's payload (dot1q-tunnel). MatchAll always does.
	Tunnel bool
	// PCP is the priority in tags that are put on, 0 to 7.
	PCP uint8
	// Group is a split-horizon group: circuits of one group do not reach each
	// other. 0 is no group.
	Group uint32

	Storm *Storm // of this circuit; nil: no limit
	Gate  *Gate  // of its port, from Learner.PortGate; nil: no limit

	Segment *Segment // that it leads to; nil: nobody else does
}

// Egress puts the circuit's tags on f, in front of tags that f may still have.
// TagStackTooDeep, with f unchanged, when they are more than pkt.MaxTags then: see
// InlineTags.
//
// Hot path: no allocation.
func (a *AC) Egress(f *pkt.Frame) counter.Reason {
	switch a.Match.Kind {
	case MatchVLAN:
		if !f.PushTag(pkt.Tag{TPID: a.outerTPID(wire.TypeVLAN), TCI: a.tci(a.Match.VLAN)}) {
			return counter.TagStackTooDeep
		}
	case MatchQinQ:
		if f.NumTags > pkt.MaxTags-2 {
			return counter.TagStackTooDeep
		}
		f.PushTag(pkt.Tag{TPID: wire.TypeVLAN, TCI: a.tci(a.Match.Inner)})
		f.PushTag(pkt.Tag{TPID: a.outerTPID(wire.TypeSVLAN), TCI: a.tci(a.Match.VLAN)})
	}
	return counter.None
}

func (a *AC) outerTPID(usual uint16) uint16 {
	if a.Match.TPID != 0 {
		return a.Match.TPID
	}
	return usual
}

func (a *AC) tci(vid uint16) uint16 { return uint16(a.PCP)<<13 | vid }
