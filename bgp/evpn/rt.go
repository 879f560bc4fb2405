package evpn

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/ztos/ztos/engine/table"
)

// RT is a route target, the eight octets of its extended community as they are
// sent: type, sub-type 2, then administrator and number (RFC 4360 section 4).
type RT [8]byte

const rtSubType = 0x02

// autoVXLAN is the head of the number in a derived route target: A 0 (derived),
// type 1 (VXLAN), domain 0 (RFC 8365 section 5.1.2.1).
const autoVXLAN = 0x10000000

// NewRT returns the route target asn:n. For an AS above 65535 it has 2 octets
// for the number; ok is false when n does not fit.
func NewRT(asn, n uint32) (rt RT, ok bool) {
	rt[1] = rtSubType
	if asn <= 0xffff {
		binary.BigEndian.PutUint16(rt[2:], uint16(asn))
		binary.BigEndian.PutUint32(rt[4:], n)
		return rt, true
	}
	rt[0] = 2
	binary.BigEndian.PutUint32(rt[2:], asn)
	binary.BigEndian.PutUint16(rt[6:], uint16(n))
	return rt, n <= 0xffff
}

// AutoRT returns the route target that RFC 8365 section 5.1.2.1 derives from an
// AS and a VNI. There is none for an AS of four octets (ok is false): its form
// has no room for it.
func AutoRT(asn uint32, vni table.VNI) (rt RT, ok bool) {
	if asn > 0xffff {
		return RT{}, false
	}
	return NewRT(asn, autoVXLAN|uint32(vni))
}

// Valid reports whether t is a transitive route target of a known form.
func (t RT) Valid() bool { return t[0] <= 2 && t[1] == rtSubType }

// String returns "65000:100", "192.0.2.1:100" or, for a form that is not known,
// 16 hex digits.
func (t RT) String() string {
	if !t.Valid() {
		return fmt.Sprintf("%x", t[:])
	}
	return administered(t[:], uint16(t[0]))
}

// ParseRT reads "AS:number" or "IPv4:number". An AS above 65535 gives the form
// of a 4-octet AS.
func ParseRT(s string) (RT, error) {
	rt := RT{1: rtSubType}
	kind, err := parseAdministered(s, rt[2:])
	if err != nil {
		return RT{}, fmt.Errorf("evpn: route target %q: %w", s, err)
	}
	rt[0] = kind
	return rt, nil
}

// number returns the part behind the administrator.
func (t RT) number() uint32 {
	if t[0] == 0 {
		return binary.BigEndian.Uint32(t[4:])
	}
	return uint32(binary.BigEndian.Uint16(t[6:]))
}

// Import is what a VNI or VRF imports: one route target, or with Any every
// route target of a number whatever its administrator. The latter lets leaves
// of different AS numbers share a VNI when each derives its own route target.
type Import struct {
	RT     RT     // iff !Any
	Any    bool   // match by Number alone
	Number uint32 // iff Any: a VNI; also matches the derived form of it
}

// Exact returns the import of one route target.
func Exact(rt RT) Import { return Import{RT: rt} }

// AnyAS returns the import *:vni.
func AnyAS(vni table.VNI) Import { return Import{Any: true, Number: uint32(vni)} }

// ParseImport reads "*:number", or what ParseRT reads.
func ParseImport(s string) (Import, error) {
	num, ok := strings.CutPrefix(s, "*:")
	if !ok {
		rt, err := ParseRT(s)
		return Exact(rt), err
	}
	n, err := strconv.ParseUint(num, 10, 32)
	if err != nil {
		return Import{}, fmt.Errorf("evpn: route target %q: number %q is not 0 to 4294967295", s, num)
	}
	return Import{Any: true, Number: uint32(n)}, nil
}

// String returns "*:100", or the route target.
func (i Import) String() string {
	if i.Any {
		return fmt.Sprintf("*:%d", i.Number)
	}
	return i.RT.String()
}

// wild returns the number by which AnyAS imports match t: derived targets count
// as their VNI.
func (t RT) wild() uint32 {
	n := t.number()
	if t[0] == 0 && n&^uint32(table.MaxVNI) == autoVXLAN {
		n &= uint32(table.MaxVNI)
	}
	return n
}

// Matches reports whether i imports routes with t.
func (i Import) Matches(t RT) bool {
	if !i.Any {
		return i.RT == t
	}
	return t.Valid() && t.wild() == i.Number
}

// Interest is what route target constraint (RFC 4684) announces for a node.
type Interest struct {
	// RTs are those of all imports, and the ES-Import route targets of the
	// segments that this node is attached to; sorted.
	RTs []RT
	// All: a wildcard is imported, which no membership of a fixed length can
	// say; the node wants every route (the default membership).
	All bool
}
