package route

import (
	"encoding/binary"
	"fmt"

	"github.com/osrg/gobgp/v4/pkg/packet/bgp"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/scrub"
	"github.com/ztos/ztos/engine/table"
)

// Extended communities: type and sub-type octets, as sent.
var (
	encapsulation  = [2]byte{0x03, 0x0c} // RFC 9012 section 4.1
	defaultGateway = [2]byte{0x03, 0x0d} // RFC 7432 section 7.8
	mobility       = [2]byte{0x06, 0x00} // RFC 7432 section 7.7
	esiLabel       = [2]byte{0x06, 0x01} // RFC 7432 section 7.5
	esImport       = [2]byte{0x06, 0x02} // RFC 7432 section 7.6
	routerMAC      = [2]byte{0x06, 0x03} // RFC 9135 section 8.1
	dfElection     = [2]byte{0x06, 0x06} // RFC 8584 section 2.2
	arpND          = [2]byte{0x06, 0x08} // RFC 9047 section 2
)

// veil returns kind as it is inside GoBGP.
func veil(kind [2]byte) [2]byte { return [2]byte{scrub.VeilType(kind[0]), kind[1]} }

// community puts the extended community c, eight octets as they are inside
// GoBGP, into a. Those it does not know are left out.
func community(c [8]byte, a *evpn.Attrs) {
	if rt := evpn.RT(c); rt.Valid() {
		a.RTs = append(a.RTs, rt)
		return
	}
	switch [2]byte(c[:2]) {
	case encapsulation:
		if typ := binary.BigEndian.Uint16(c[6:]); typ < 32 {
			a.Encaps |= 1 << typ
		}
	case defaultGateway:
		a.IsGateway = true
	case veil(mobility): // flags, reserved, sequence number of 4 octets
		a.Mobility = evpn.Mobility{Present: true, Sticky: c[2]&1 != 0, Seq: binary.BigEndian.Uint32(c[4:])}
	case veil(esiLabel): // flags, reserved 2, label 3
		a.ESILabel = evpn.ESILabel{Present: true, SingleActive: c[2]&1 != 0, Label: uint32(c[5])<<16 | uint32(c[6])<<8 | uint32(c[7])}
	case veil(esImport):
		a.ESImport = table.MACFrom(c[2:])
	case veil(routerMAC):
		a.RouterMAC = table.MACFrom(c[2:])
	case veil(dfElection): // algorithm in 5 bits, bitmap 2, reserved, preference 2
		a.DF = evpn.DFElection{
			Present: true, Alg: evpn.DFAlg(c[2] & 0x1f),
			Caps: evpn.DFCaps(binary.BigEndian.Uint16(c[3:])), Preference: binary.BigEndian.Uint16(c[6:]),
		}
	case veil(arpND): // flags, reserved 5
		a.Neighbour = evpn.Neighbour{Present: true, Bits: evpn.NeighbourBits(c[2])}
	}
}

// communities returns the extended communities of a for GoBGP, nil when there
// are none: first the encapsulation, then route targets, as FRR has them.
func communities(a *evpn.Attrs) ([]bgp.ExtendedCommunityInterface, error) {
	var out list
	for typ := range 32 {
		if a.Encaps&(1<<typ) != 0 {
			out.add(encapsulation, 0, 0, 0, 0, 0, byte(typ))
		}
	}
	for _, rt := range a.RTs {
		if !rt.Valid() {
			return nil, fmt.Errorf("bgp/route: route target %v is of no known form", rt)
		}
		out.add([2]byte(rt[:2]), rt[2:]...)
	}
	if a.RouterMAC != 0 {
		out.addMAC(routerMAC, a.RouterMAC)
	}
	if m := a.Mobility; m.Present {
		out.add(mobility, bit(m.Sticky), 0, byte(m.Seq>>24), byte(m.Seq>>16), byte(m.Seq>>8), byte(m.Seq))
	}
	if a.IsGateway {
		out.add(defaultGateway, 0, 0, 0, 0, 0, 0)
	}
	if n := a.Neighbour; n.Present {
		out.add(arpND, byte(n.Bits), 0, 0, 0, 0, 0)
	}
	if l := a.ESILabel; l.Present {
		out.add(esiLabel, bit(l.SingleActive), 0, 0, byte(l.Label>>16), byte(l.Label>>8), byte(l.Label))
	}
	if a.ESImport != 0 {
		out.addMAC(esImport, a.ESImport)
	}
	if d := a.DF; d.Present {
		out.add(dfElection, byte(d.Alg)&0x1f, byte(d.Caps>>8), byte(d.Caps), 0, byte(d.Preference>>8), byte(d.Preference))
	}
	return out.all, out.err
}

// list collects extended communities.
type list struct {
	all []bgp.ExtendedCommunityInterface
	err error
}

// add appends the community of kind with the six octets of value.
func (l *list) add(kind [2]byte, value ...byte) {
	kind = veil(kind)
	ec, err := bgp.ParseExtended(append([]byte{kind[0], kind[1]}, value...))
	if err != nil {
		l.err = fmt.Errorf("bgp/route: extended community %x: %w", kind, err)
		return
	}
	l.all = append(l.all, ec)
}

func (l *list) addMAC(kind [2]byte, m table.MAC) {
	var b [6]byte
	m.Put(b[:])
	l.add(kind, b[:]...)
}

func bit(on bool) byte {
	if on {
		return 1
	}
	return 0
}
