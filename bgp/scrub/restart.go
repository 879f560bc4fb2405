package scrub

import "encoding/binary"

// EndOfRIB reports whether msg, one whole message, ends a family's routes, that of
// route target membership aside (RFC 4724 section 2): an UPDATE that says nothing,
// or only MP_UNREACH_NLRI without a route.
func EndOfRIB(msg []byte) bool {
	if len(msg) < HeaderLen || Type(msg) != Update {
		return false
	}
	u, ok := cut(msg[HeaderLen:])
	if !ok || len(u.withdrawn) > 0 || len(u.nlri) > 0 {
		return false
	}
	if len(u.attrs) == 0 {
		return true
	}
	a, rest, ok := nextAttr(u.attrs)
	return ok && len(rest) == 0 && a.typ == attrMPUnreach && len(a.value) == 3 && family(a.value) != rtcFamily
}

var rtcFamily = family{0, 1, 132} // RFC 4684 section 9

// Parts of an OPEN message (RFC 4271 section 4.2, RFC 5492 section 4, RFC 9072
// section 2).
const (
	openFixed     = 10 // version 1, AS 2, hold time 2, identifier 4, length 1
	paramCaps     = 2
	paramExtended = 255
	capRestart    = 64 // RFC 4724 section 3
	capLongLived  = 71 // RFC 9494 section 3.1
)

// The bits of graceful restart (RFC 4724 section 3); the second is that of long-lived
// graceful restart too.
const (
	restarted  = 0x80 // first octet of flags and time
	forwarding = 0x80 // flags of a family
)

// MarkRestarting sets, in msg, one whole OPEN message, the bits which say that its
// sender began again and went on forwarding, in all families of its capabilities of
// graceful restart and of long-lived graceful restart. What is no such message stays as it is.
func MarkRestarting(msg []byte) {
	if len(msg) < HeaderLen+openFixed || Type(msg) != Open {
		return
	}
	params := msg[HeaderLen+openFixed:]
	lenOctets := 1
	if len(params) >= 3 && params[0] == paramExtended {
		params, lenOctets = params[3:], 2
	}
	for len(params) > lenOctets {
		typ, n := params[0], int(params[1])
		if lenOctets == 2 {
			if len(params) < 3 {
				return
			}
			n = int(binary.BigEndian.Uint16(params[1:]))
		}
		head := 1 + lenOctets
		if len(params) < head+n {
			return
		}
		if typ == paramCaps {
			markCapabilities(params[head : head+n])
		}
		params = params[head+n:]
	}
}

// markCapabilities looks for both in a list of code 1, length 1, value.
func markCapabilities(caps []byte) {
	for len(caps) >= 2 {
		n := int(caps[1])
		if len(caps) < 2+n {
			return
		}
		switch v := caps[2 : 2+n]; {
		case caps[0] == capRestart && n >= 2:
			v[0] |= restarted
			markFamilies(v[2:], 4) // AFI 2, SAFI 1, flags 1
		case caps[0] == capLongLived:
			markFamilies(v, 7) // and the time, 3
		}
		caps = caps[2+n:]
	}
}

// markFamilies sets the flag in tuples of size octets.
func markFamilies(tuples []byte, size int) {
	for ; len(tuples) >= size; tuples = tuples[size:] {
		tuples[3] |= forwarding
	}
}
