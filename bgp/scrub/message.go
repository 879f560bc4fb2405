package scrub

import "encoding/binary"

// Message types of BGP (RFC 4271 section 4.1).
const (
	Open         = 1
	Update       = 2
	Notification = 3
	Keepalive    = 4
)

// HeaderLen is the length of a message's header: 16 octets of marker, length,
// type (RFC 4271 section 4.1).
const HeaderLen = 19

// maxPlain is the largest message without the extended message capability (RFC
// 4271 section 4.1).
const maxPlain = 4096

// Length returns the whole length of the message that begins with h, its first
// HeaderLen bytes; ok is false when h is no header of BGP.
func Length(h []byte) (n int, ok bool) {
	for _, b := range h[:16] {
		if b != 0xff {
			return 0, false
		}
	}
	n = int(binary.BigEndian.Uint16(h[16:]))
	return n, n >= HeaderLen
}

// Type returns the type of a message, of which HeaderLen bytes are there.
func Type(msg []byte) byte { return msg[18] }

// IdentifierEnd is how much of an OPEN message Identifier needs, bytes.
const IdentifierEnd = HeaderLen + 9

// Identifier returns the BGP identifier of the OPEN message that begins with head,
// IdentifierEnd bytes or more: version 1, AS 2, hold time 2, identifier 4 (RFC 4271
// section 4.2). ok is false for anything else.
func Identifier(head []byte) (id uint32, ok bool) {
	if len(head) < IdentifierEnd || Type(head) != Open {
		return 0, false
	}
	if n, ok := Length(head); !ok || n < IdentifierEnd {
		return 0, false
	}
	return binary.BigEndian.Uint32(head[HeaderLen+5:]), true
}

// AppendKeepalive appends a KEEPALIVE message to out.
func AppendKeepalive(out []byte) []byte {
	return appendHeader(out, Keepalive, HeaderLen)
}

// AppendCease appends the NOTIFICATION Cease with a subcode (RFC 4486).
func AppendCease(out []byte, subcode byte) []byte {
	return append(appendHeader(out, Notification, HeaderLen+2), 6, subcode)
}

func appendHeader(out []byte, typ byte, n int) []byte {
	for range 16 {
		out = append(out, 0xff)
	}
	return append(out, byte(n>>8), byte(n), typ)
}

// update is an UPDATE message cut into its three parts (RFC 4271 section 4.3).
type update struct {
	withdrawn []byte // IPv4 prefixes
	attrs     []byte
	nlri      []byte // IPv4 prefixes
}

// cut takes body, an UPDATE without its header, apart; ok is false when its
// lengths do not fit.
func cut(body []byte) (u update, ok bool) {
	if u.withdrawn, body, ok = counted(body); !ok {
		return u, false
	}
	u.attrs, u.nlri, ok = counted(body)
	return u, ok
}

// counted cuts two octets of length and as many bytes from b.
func counted(b []byte) (part, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// Path attributes that the package looks into.
const (
	attrMPReach   = 14 // RFC 4760 section 3
	attrMPUnreach = 15 // RFC 4760 section 4
	attrExtComm   = 16 // RFC 4360 section 2
)

const flagExtended = 0x10 // the length has two octets (RFC 4271 section 4.3)

// attr is one path attribute.
type attr struct {
	flags, typ byte
	value      []byte
	raw        []byte // with its header
}

// nextAttr cuts the first attribute from b, which is not empty; ok is false when
// its length does not fit.
func nextAttr(b []byte) (a attr, rest []byte, ok bool) {
	if len(b) < 3 {
		return a, nil, false
	}
	head, n := 3, int(b[2])
	if b[0]&flagExtended != 0 {
		if len(b) < 4 {
			return a, nil, false
		}
		head, n = 4, int(binary.BigEndian.Uint16(b[2:]))
	}
	if len(b) < head+n {
		return a, nil, false
	}
	return attr{b[0], b[1], b[head : head+n], b[:head+n]}, b[head+n:], true
}

// appendAttr appends an attribute with two octets of length.
func appendAttr(out []byte, flags, typ byte, value ...[]byte) []byte {
	n := 0
	for _, v := range value {
		n += len(v)
	}
	out = append(out, flags|flagExtended, typ, byte(n>>8), byte(n))
	for _, v := range value {
		out = append(out, v...)
	}
	return out
}
