package l2

import (
	"fmt"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
)

// Traffic counts frames and bytes; a super-frame counts as the frames it stands
// for.
type Traffic struct {
	Frames counter.Shared
	Bytes  counter.Shared // of Ethernet frames, without FCS; a super-frame's headers count once
}

// Counters are the counts of one bridge domain. Written by workers once a burst
// or run of frames; they outlive the BDs that point at them.
type Counters struct {
	RxLocal, RxTunnel Traffic // came in by an attachment circuit / from a VTEP
	TxLocal, TxTunnel Traffic // decided to leave; a flooded frame counts once for each copy
	// Flooded frames by Class, once each.
	Flooded [numClasses]counter.Shared
	Drops   counter.Shared // decided to be dropped, by the bridge
}

// BDConfig is what a BD is built from. The pointers are cells that outlive it.
type BDConfig struct {
	VNI   table.VNI
	Name  string
	FDB   *FDB           // of this VNI, from Learner.FDB
	ACs   []*AC          // of this VNI
	VTEPs []table.VTEPID // BUM frames from attachment circuits go to all of them
	Known []table.VTEPID // further VTEPs that unicast may go to or come from
	Told  []table.VTEPID // of those, VTEPs whose MACs EVPN says: see Bridge
	Storm *Storm         // of the VNI, for all that enters it; nil: no limit
	Gate  *Gate          // from Learner.Gate; nil: no limit
	Count *Counters      // nil: counted nowhere that anybody sees
	// Routed: the bridge domain has a gateway, which takes part in floods.
	Routed bool
}

// BD is a bridge domain as workers see it. Immutable but for its cells.
type BD struct {
	VNI   table.VNI
	Name  string
	FDB   *FDB
	ACs   []*AC
	VTEPs []table.VTEPID // the flood list
	Count *Counters
	// Routed: there is a gateway.
	Routed bool

	storm   *Storm
	gate    *Gate
	acByID  idIndex
	vteps   idIndex // flood list and Known
	told    idIndex
	grouped bool // some circuit has a split-horizon group
	shared  bool // some circuit leads to a segment
}

// NewBD checks c and builds the bridge domain.
func NewBD(c BDConfig) (*BD, error) {
	if c.VNI == 0 || c.VNI > table.MaxVNI {
		return nil, fmt.Errorf("l2: VNI %d is not in 1 to %d", c.VNI, table.MaxVNI)
	}
	if c.FDB == nil {
		return nil, fmt.Errorf("l2: VNI %d has no FDB", c.VNI)
	}
	if c.Count == nil {
		c.Count = &Counters{}
	}
	b := &BD{
		VNI: c.VNI, Name: c.Name, FDB: c.FDB, ACs: c.ACs, VTEPs: c.VTEPs, Count: c.Count, Routed: c.Routed,
		storm: c.Storm, gate: c.Gate,
	}
	for _, ac := range c.ACs {
		if ac.ID == 0 || ac.VNI != c.VNI {
			return nil, fmt.Errorf("l2: VNI %d: attachment circuit %d belongs to VNI %d", c.VNI, ac.ID, ac.VNI)
		}
		if !b.acByID.add(uint32(ac.ID)) {
			return nil, fmt.Errorf("l2: VNI %d: attachment circuit %d twice", c.VNI, ac.ID)
		}
		b.grouped = b.grouped || ac.Group != 0
		b.shared = b.shared || ac.Segment != nil
	}
	for _, id := range c.Told {
		b.told.add(uint32(id))
	}
	if err := b.index(c.VTEPs, c.Known); err != nil {
		return nil, err
	}
	return b, nil
}

// WithFlood returns b with another flood list and other VTEPs that are only known;
// all else is shared. b stays as it is.
func (b *BD) WithFlood(vteps, known []table.VTEPID) (*BD, error) {
	c := *b
	c.VTEPs, c.vteps = vteps, idIndex{}
	if err := c.index(vteps, known); err != nil {
		return nil, err
	}
	return &c, nil
}

// index fills b.vteps.
func (b *BD) index(flood, known []table.VTEPID) error {
	for _, id := range flood {
		if id == 0 || !b.vteps.add(uint32(id)) {
			return fmt.Errorf("l2: VNI %d: VTEP %d is 0 or twice in the flood list", b.VNI, id)
		}
	}
	for _, id := range known {
		b.vteps.add(uint32(id))
	}
	return nil
}

// AC returns the attachment circuit id of this bridge domain, nil when it has
// none of that id.
//
// Hot path: no allocation.
func (b *BD) AC(id table.ACID) *AC {
	if i := b.acByID.find(uint32(id)); i >= 0 {
		return b.ACs[i]
	}
	return nil
}

// reaches reports whether a flooded frame that came in by in, nil for a VTEP,
// leaves by out.
func reaches(in, out *AC) bool {
	return in == nil || in.ID != out.ID && (in.Group == 0 || in.Group != out.Group)
}

// AppendFlood appends to dst the circuits by which a flooded frame leaves that
// came in by in, or with in nil from VTEP from, 0: from the gateway here. It also
// returns what is kept from segments.
//
// Hot path: no allocation while dst has room.
func (b *BD) AppendFlood(dst []*AC, in *AC, from table.VTEPID) ([]*AC, Held) {
	var held Held
	for _, out := range b.ACs {
		if !reaches(in, out) {
			continue
		}
		if r := withheld(out, from); r != counter.None {
			held.add(r)
			continue
		}
		dst = append(dst, out)
	}
	return dst, held
}

// floodLocals returns how many circuits AppendFlood appends, and what is held.
func (b *BD) floodLocals(in *AC, from table.VTEPID) (n int, held Held) {
	switch {
	case b.shared:
	case in == nil:
		return len(b.ACs), held
	case !b.grouped:
		return len(b.ACs) - 1, held
	}
	for _, out := range b.ACs {
		if !reaches(in, out) {
			continue
		}
		if r := withheld(out, from); r != counter.None {
			held.add(r)
			continue
		}
		n++
	}
	return n, held
}

// idIndex finds the place of an id in a list: by walking a short list, by a map
// in a long one. Immutable once built.
type idIndex struct {
	ids []uint32
	at  map[uint32]int
}

// walkIDs is the longest list that is walked: 8 words, less than a map's lookup
// costs.
const walkIDs = 8

// add appends id and reports whether it is new.
func (x *idIndex) add(id uint32) bool {
	if x.find(id) >= 0 {
		return false
	}
	x.ids = append(x.ids, id)
	if len(x.ids) > walkIDs {
		if x.at == nil {
			x.at = make(map[uint32]int)
			for i, v := range x.ids {
				x.at[v] = i
			}
		}
		x.at[id] = len(x.ids) - 1
	}
	return true
}

// find returns the place of id, -1 when it is not there.
func (x *idIndex) find(id uint32) int {
	if x.at != nil {
		if i, ok := x.at[id]; ok {
			return i
		}
		return -1
	}
	for i, v := range x.ids {
		if v == id {
			return i
		}
	}
	return -1
}
