package l2

import (
	"encoding/binary"
	"fmt"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
)

// Access tells, for one port, which attachment circuit a frame came in by. It
// is three array lookups, whatever the number of circuits: 8 KB a port, and
// 8 KB for each outer VID with inner ones. Immutable.
type Access struct {
	untagged, all *AC
	vlan          [4096]uint16 // index into outer; 0: none
	outer         []outerVLAN
	acs           []*AC // of the inner tables; [0] is nil
}

// outerVLAN is what a port has for one outermost VID.
type outerVLAN struct {
	ac    *AC           // MatchVLAN; nil: none
	inner *[4096]uint16 // MatchQinQ: index into Access.acs; nil: none
}

// NewAccess returns the table of a port with the circuits acs. It refuses two
// circuits that take the same frames, and a Match that is not valid.
func NewAccess(acs []*AC) (*Access, error) {
	a := &Access{outer: make([]outerVLAN, 1), acs: make([]*AC, 1)}
	for _, ac := range acs {
		m := ac.Match
		if err := m.validate(); err != nil {
			return nil, err
		}
		var free bool
		switch m.Kind {
		case MatchUntagged:
			free = take(&a.untagged, ac)
		case MatchAll:
			free = take(&a.all, ac)
		case MatchVLAN:
			free = take(&a.outerOf(m.VLAN).ac, ac)
		case MatchQinQ:
			o := a.outerOf(m.VLAN)
			if o.inner == nil {
				o.inner = new([4096]uint16)
			}
			if free = o.inner[m.Inner] == 0; free {
				o.inner[m.Inner] = uint16(len(a.acs))
				a.acs = append(a.acs, ac)
			}
		}
		if !free {
			return nil, fmt.Errorf("l2: port %d: two attachment circuits take %v", ac.Port, m)
		}
		if len(a.acs) > 1<<16-1 {
			return nil, fmt.Errorf("l2: port %d: more than %d QinQ attachment circuits", ac.Port, 1<<16-2)
		}
	}
	return a, nil
}

func take(place **AC, ac *AC) bool {
	if *place != nil {
		return false
	}
	*place = ac
	return true
}

func (a *Access) outerOf(vid uint16) *outerVLAN {
	if a.vlan[vid] == 0 {
		a.vlan[vid] = uint16(len(a.outer))
		a.outer = append(a.outer, outerVLAN{})
	}
	return &a.outer[a.vlan[vid]]
}

// Classify finds the circuit that f came in by and takes off the tags that the
// circuit matches. Tags may be in f.Tags, taken off by the device, and in f's
// bytes behind them, in any division; wire.StripTags need not, and for circuits
// that carry the tenant's own tags should not, have been called. Tags beyond the
// match stay where they are: those in the bytes are payload already; those in
// f.Tags are for InlineTags to put there before f leaves by another way than
// Egress.
//
// The best match is the one with most tags: QinQ, then VLAN, then untagged with
// Tunnel, then all. A priority tag (outermost, VID 0) counts as no tag.
//
//	VLANNotAllowed   no circuit, or tags left over that the circuit does not carry
//	TagStackTooDeep  a third tag, where the circuit does not carry any
//	FrameTooShort    fewer than 14 bytes, or a tag cut off
//	BadOffload       CsumStart points into the tags
//
// f is not changed when the reason is not None. Hot path: no allocation.
func (a *Access) Classify(f *pkt.Frame) (table.ACID, counter.Reason) {
	if len(f.Head) < wire.EthernetLen {
		return 0, counter.FrameTooShort
	}
	t0, ok := tagAt(f, 0)
	if !ok {
		ac := a.untagged
		if ac == nil {
			ac = a.all
		}
		if ac == nil {
			return 0, counter.VLANNotAllowed
		}
		return ac.ID, counter.None
	}
	return a.classifyTagged(f, t0)
}

func (a *Access) classifyTagged(f *pkt.Frame, t0 pkt.Tag) (table.ACID, counter.Reason) {
	t1, two := tagAt(f, 1)
	var ac *AC
	match := 0 // tags that the circuit matches
	if t0.VID() == 0 {
		if ac = a.untagged; ac != nil {
			match = 1
			if two && !ac.Tunnel {
				ac = nil
			}
		}
	} else {
		o := &a.outer[a.vlan[t0.VID()]]
		if o.inner != nil && two {
			ac, match = a.acs[o.inner[t1.VID()]], 2
		}
		if !ac.takesTPID(t0) {
			ac, match = o.ac, 1
		}
		if !ac.takesTPID(t0) {
			ac, match = nil, 0
		}
		if ac == nil && a.untagged != nil && a.untagged.Tunnel {
			ac = a.untagged
		}
	}
	if ac == nil {
		if a.all == nil {
			return 0, counter.VLANNotAllowed
		}
		ac, match = a.all, 0
	}
	if _, more := tagAt(f, match); more && !ac.Tunnel && ac.Match.Kind != MatchAll {
		if match >= pkt.MaxTags {
			return 0, counter.TagStackTooDeep
		}
		return 0, counter.VLANNotAllowed
	}
	if r := dropTags(f, match); r != counter.None {
		return 0, r
	}
	return ac.ID, counter.None
}

// takesTPID reports whether a takes outermost tag t; false for a nil a.
func (a *AC) takesTPID(t pkt.Tag) bool {
	return a != nil && (a.Match.TPID == 0 || a.Match.TPID == t.TPID)
}

// tagAt returns f's i-th tag, outermost first, from f.Tags or from the bytes.
func tagAt(f *pkt.Frame, i int) (pkt.Tag, bool) {
	if i < int(f.NumTags) {
		return f.Tags[i], true
	}
	i -= int(f.NumTags)
	for off := 12; ; off += wire.TagLen {
		if len(f.Head) < off+wire.TagLen {
			return pkt.Tag{}, false
		}
		tpid := binary.BigEndian.Uint16(f.Head[off:])
		if !wire.IsTPID(tpid) {
			return pkt.Tag{}, false
		}
		if i == 0 {
			return pkt.Tag{TPID: tpid, TCI: binary.BigEndian.Uint16(f.Head[off+2:])}, true
		}
		i--
	}
}

// dropTags takes the n outermost tags off f: first those in f.Tags, then those
// in the bytes, over which DA and SA move forward.
func dropTags(f *pkt.Frame, n int) counter.Reason {
	outside := min(n, int(f.NumTags))
	inside := (n - outside) * wire.TagLen
	if inside > 0 {
		if len(f.Head) < wire.EthernetLen+inside {
			return counter.FrameTooShort
		}
		if f.Offload.NeedsCsum && int(f.Offload.CsumStart) < wire.EthernetLen+inside {
			return counter.BadOffload
		}
		copy(f.Head[inside:inside+12], f.Head[:12])
		f.Head = f.Head[inside:]
		moveOffsets(f, -inside)
	}
	for range outside {
		f.PopTag()
	}
	return counter.None
}

// moveOffsets tells f that what lies behind its MACs moved by n bytes.
func moveOffsets(f *pkt.Frame, n int) {
	f.Len += n
	if f.Offload.NeedsCsum {
		f.Offload.CsumStart = uint16(int(f.Offload.CsumStart) + n)
	}
	if f.L3Off != 0 {
		f.L3Off = uint16(int(f.L3Off) + n)
	}
	if f.L4Off != 0 {
		f.L4Off = uint16(int(f.L4Off) + n)
	}
}

// InlineTags puts the tags in f.Tags back into f's bytes: it copies Head with
// them into dst, which becomes Head. The tags that Classify left are the
// tenant's own and have to travel inside; a device that takes the outermost tag
// off makes this necessary. It returns how many bytes of dst are used now, 0 and
// f unchanged when dst is too short for len(f.Head) + 4 per tag.
//
// Hot path, but only of circuits that carry tenant tags: no allocation.
func InlineTags(dst []byte, f *pkt.Frame) int {
	size := int(f.NumTags) * wire.TagLen
	n := len(f.Head) + size
	if len(f.Head) < wire.EthernetLen || len(dst) < n {
		return 0
	}
	copy(dst, f.Head[:12])
	for i := range int(f.NumTags) {
		wire.Tag(dst[12+i*wire.TagLen:]).Put(f.Tags[i].TPID, f.Tags[i].TCI)
	}
	copy(dst[12+size:], f.Head[12:])
	f.Head = dst[:n]
	moveOffsets(f, size)
	f.Tags, f.NumTags = [pkt.MaxTags]pkt.Tag{}, 0
	return n
}
