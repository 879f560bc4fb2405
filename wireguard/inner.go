package wireguard

import (
	"encoding/binary"

	"github.com/ztos/ztos/engine/counter"
)

// Inner returns the IP packet in an opened data message, its padding cut off by
// its own length field. plain is what Session.Open returned and is not empty (an
// empty one is a keepalive). The reason is counter.WGBadInner when plain is not a
// whole IPv4 or IPv6 packet. Worker.
//
// Hot path: no allocation.
func Inner(plain []byte) (packet []byte, r counter.Reason) {
	if len(plain) < 20 {
		return nil, counter.WGBadInner
	}
	var n, least int
	switch plain[0] >> 4 {
	case 4: // RFC 791 section 3.1: total length, header included
		n, least = int(binary.BigEndian.Uint16(plain[2:])), 20
	case 6: // RFC 8200 section 3: payload length, header not included
		n, least = int(binary.BigEndian.Uint16(plain[4:]))+40, 40
	default:
		return nil, counter.WGBadInner
	}
	if n < least || n > len(plain) {
		return nil, counter.WGBadInner
	}
	return plain[:n], counter.None
}
