package routes

import (
	"bytes"
	"encoding/binary"
	"net/netip"
)

// What both systems are configured with, and the speaker announces.
const (
	asn       = 65000
	l2VNI     = 200  // of the MACs
	l3VNI     = 1000 // of the prefixes
	routerMAC = 0x0200000000bb
	firstMAC  = 0x060000000000
	firstNet  = 16 << 24 // 16.0.0.0/24; a million of /24 end in 31.255.255.0
)

// MaxRoutes is how many routes of a type the speaker has addresses for.
const MaxRoutes = 1 << 20

var (
	leaf    = netip.MustParseAddr("192.0.2.1")
	speaker = netip.MustParseAddr("192.0.2.2")
)

// perUpdate routes fill an UPDATE of at most 4,096 octets (RFC 4271 section 4.1).
const perUpdate = 100

// Path attributes (RFC 4271 section 4.3, RFC 4760, RFC 4360, RFC 6514).
const (
	attrOrigin, attrASPath, attrLocalPref = 1, 2, 5
	attrReach, attrUnreach                = 14, 15
	attrExtended, attrPMSI                = 16, 22
)

// Messages (RFC 4271 section 4.1).
const (
	msgOpen, msgUpdate, msgNotification, msgKeepalive = 1, 2, 3, 4
	msgHeader                                         = 19
)

// message returns a whole BGP message.
func message(typ byte, body []byte) []byte {
	m := append(bytes.Repeat([]byte{0xff}, 16), 0, 0, typ)
	binary.BigEndian.PutUint16(m[16:], uint16(msgHeader+len(body)))
	return append(m, body...)
}

// attr appends a path attribute with a length of two octets.
func attr(b []byte, flags, typ byte, value []byte) []byte {
	b = append(b, flags|0x10, typ)
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}

// update returns an UPDATE with routes, which are EVPN NLRI. Without communities
// it withdraws them.
func update(routes, communities []byte, more ...byte) []byte {
	var a []byte
	family := []byte{0, 25, 70}
	if communities == nil {
		a = attr(a, 0x80, attrUnreach, append(family, routes...))
	} else {
		a = attr(a, 0x40, attrOrigin, []byte{0})
		a = attr(a, 0x40, attrASPath, nil)
		a = attr(a, 0x40, attrLocalPref, []byte{0, 0, 0, 100})
		head := append(append(append(family, 4), speaker.AsSlice()...), 0)
		a = attr(a, 0x80, attrReach, append(head, routes...))
		a = attr(a, 0xc0, attrExtended, communities)
		a = append(a, more...)
	}
	return message(msgUpdate, append([]byte{0, 0, byte(len(a) >> 8), byte(len(a))}, a...))
}

// communities returns the route target of a VNI and the encapsulation VXLAN (RFC
// 8365 sections 5.1.2.1 and 5.1.3), and with router the router's MAC (RFC 9135
// section 8.1).
func communities(vni uint32, router bool) []byte {
	b := []byte{0, 2, asn >> 8, asn & 0xff}
	b = binary.BigEndian.AppendUint32(b, vni)
	b = append(b, 3, 12, 0, 0, 0, 0, 0, 8)
	if router {
		b = append(append(b, 6, 3), mac(routerMAC)...)
	}
	return b
}

func mac(m uint64) []byte { return binary.BigEndian.AppendUint64(nil, m)[2:] }

// distinguisher appends a route distinguisher of type 1 (RFC 4364 section 4.2).
func distinguisher(b []byte, number byte) []byte {
	return append(append(append(b, 0, 1), speaker.AsSlice()...), 0, number)
}

func label(b []byte, vni uint32) []byte { return append(b, byte(vni>>16), byte(vni>>8), byte(vni)) }

// macRoute appends MAC i as a type 2 route without an address (RFC 7432 section
// 7.2).
func macRoute(b []byte, i int) []byte {
	b = distinguisher(append(b, 2, 33), 2)
	b = append(b, make([]byte, 10+4)...) // ESI, Ethernet tag
	b = append(append(b, 48), mac(firstMAC+uint64(i))...)
	return label(append(b, 0), l2VNI)
}

// prefixRoute appends prefix i as a type 5 route (RFC 9136 section 3.1).
func prefixRoute(b []byte, i int) []byte {
	b = distinguisher(append(b, 5, 34), 3)
	b = append(b, make([]byte, 10+4)...) // ESI, Ethernet tag
	b = binary.BigEndian.AppendUint32(append(b, 24), uint32(firstNet+i<<8))
	return label(append(b, 0, 0, 0, 0), l3VNI) // no gateway
}

// floodRoute returns the UPDATE that makes the speaker a member of the MACs' VNI
// (RFC 7432 section 7.3).
func floodRoute() []byte {
	b := distinguisher([]byte{3, 17}, 2)
	b = append(append(b, 0, 0, 0, 0, 32), speaker.AsSlice()...)
	pmsi := label([]byte{0, 6}, l2VNI) // ingress replication
	return update(b, communities(l2VNI, false), attr(nil, 0xc0, attrPMSI, append(pmsi, speaker.AsSlice()...))...)
}

// kind is a route type to load.
type kind struct {
	name  string
	route func(b []byte, i int) []byte
	ext   []byte
}

var (
	macs     = kind{"type 2", macRoute, communities(l2VNI, false)}
	prefixes = kind{"type 5", prefixRoute, communities(l3VNI, true)}
)

// updates returns the UPDATEs that announce, or withdraw, the first n routes.
func (k kind) updates(n int, withdraw bool) (out [][]byte) {
	ext := k.ext
	if withdraw {
		ext = nil
	}
	for i := 0; i < n; i += perUpdate {
		var routes []byte
		for j := i; j < min(n, i+perUpdate); j++ {
			routes = k.route(routes, j)
		}
		out = append(out, update(routes, ext))
	}
	return out
}
