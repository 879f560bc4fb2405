package scrub

// family is an AFI and a SAFI, as the three octets in which MP attributes begin.
type family [3]byte

var evpnFamily = family{0, 25, 70} // L2VPN, EVPN: RFC 7432 section 7

// maxKnown is the last EVPN route type that GoBGP and package evpn both know:
// types 1 to 4 are RFC 7432's, type 5 is RFC 9136's. 6 to 8 are multicast
// membership (RFC 9251), 9 to 11 segmented multicast (RFC 9572).
const maxKnown = 5

// verdict is what is thought of one EVPN route.
type verdict uint8

const (
	keep verdict = iota
	unknown
	malformed
)

// judge looks at one EVPN route of type typ: its body must have a length that
// its type can have, and lengths and addresses inside must agree. The route is
// delimited by its own length octet, so one that is wrong inside spoils no other
// and need not cost the session, which is what RFC 7606 is for.
func judge(typ byte, body []byte) verdict {
	if typ == 0 || typ > maxKnown {
		return unknown
	}
	n := len(body)
	if n < 8 || !knownRD(body) {
		return malformed
	}
	ok := false
	switch typ {
	case 1: // RD 8, ESI 10, tag 4, label 3
		ok = n == 25 && knownESI(body[8:18])
	case 2:
		ok = n >= 33 && knownESI(body[8:18]) && macIP(body)
	case 3: // RD 8, tag 4, length of address 1, address
		ok = n == 17 && body[12] == 32 || n == 29 && body[12] == 128
	case 4: // RD 8, ESI 10, length of address 1, address
		ok = n >= 23 && knownESI(body[8:18]) &&
			(n == 23 && body[18] == 32 || n == 35 && body[18] == 128)
	case 5: // RD 8, ESI 10, tag 4, length of prefix 1, prefix, gateway, label 3
		ok = n == 34 && body[22] <= 32 || n == 58 && body[22] <= 128
		ok = ok && knownESI(body[8:18])
	}
	if !ok {
		return malformed
	}
	return keep
}

// macIP judges a type 2 route of 33 octets and more: RD 8, ESI 10, tag 4, length
// of MAC 1, MAC 6, length of IP 1, IP 0, 4 or 16, label 3, second label 0 or 3.
func macIP(body []byte) bool {
	ip := body[29]
	if body[22] != 48 || ip != 0 && ip != 32 && ip != 128 {
		return false
	}
	rest := len(body) - 30 - int(ip/8)
	return rest == 3 || rest == 6
}

// knownRD reports whether a route distinguisher has one of the types of RFC 4364
// section 4.2. GoBGP forgets the value of others, which would make routes of one
// another.
func knownRD(rd []byte) bool { return rd[0] == 0 && rd[1] <= 2 }

// knownESI reports whether an Ethernet segment identifier has one of the types of
// RFC 7432 section 5, or is reserved (255 is the first octet of MAX-ESI), and
// whether its last octet is 0 where the type leaves no use for it.
func knownESI(esi []byte) bool {
	switch esi[0] {
	case 0, 3, 0xff:
		return true
	case 1, 2, 4, 5:
		return esi[9] == 0
	}
	return false
}

// sift copies from routes, a list of EVPN NLRIs, those that are kept to out, and
// counts the others in c. ok is false, and nothing counted, when the list cannot
// be taken apart.
func sift(out, routes []byte, c *Counts) (kept []byte, ok bool) {
	if !whole(routes) {
		return nil, false
	}
	for len(routes) > 0 {
		typ, n := routes[0], int(routes[1])
		switch judge(typ, routes[2:2+n]) {
		case keep:
			out = append(out, routes[:2+n]...)
		case unknown:
			c.Unknown[typ]++
			c.Total++
		case malformed:
			c.Malformed++
			c.Total++
		}
		routes = routes[2+n:]
	}
	return out, true
}

// whole reports whether the type and length octets of routes lead to its end.
func whole(routes []byte) bool {
	for len(routes) > 0 {
		if len(routes) < 2 || len(routes) < 2+int(routes[1]) {
			return false
		}
		routes = routes[2+int(routes[1]):]
	}
	return true
}

// clean reports whether sift would keep all of routes: the usual case, in which
// nothing is copied.
func clean(routes []byte) bool {
	for len(routes) > 0 {
		if len(routes) < 2 || len(routes) < 2+int(routes[1]) {
			return true // not ours to mend
		}
		n := 2 + int(routes[1])
		if judge(routes[0], routes[2:n]) != keep {
			return false
		}
		routes = routes[n:]
	}
	return true
}
