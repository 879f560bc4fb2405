package wire

import "encoding/binary"

// TCPLen is the length of a TCP header without options, bytes.
const TCPLen = 20

// TCP flags, as they stand in octet 13.
const (
	FlagFIN uint8 = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
)

// TCP is a view of a TCP segment (RFC 9293 section 3.1).
//
//	+-------------------------------+-------------------------------+
//	|          Source Port          |       Destination Port        |  0
//	+-------------------------------+-------------------------------+
//	|                        Sequence Number                        |  4
//	+---------------------------------------------------------------+
//	|                    Acknowledgment Number                      |  8
//	+-------+-------+-+-+-+-+-+-+-+-+-------------------------------+
//	| Data  | Reser |C|E|U|A|P|R|S|F|            Window             | 12
//	| Offset| ved   |W|C|R|C|S|S|Y|I|                               |
//	+-------+-------+-+-+-+-+-+-+-+-+-------------------------------+
//	|           Checksum            |         Urgent Pointer        | 16
//	+-------------------------------+-------------------------------+
//	|                    Options, 0 to 40 bytes                     | 20
type TCP []byte

// TCPChecksumOff is the offset of the checksum field, bytes.
const TCPChecksumOff = 16

// Valid reports whether t holds a header with its options.
func (t TCP) Valid() bool {
	if len(t) < TCPLen {
		return false
	}
	n := t.HeaderLen()
	return n >= TCPLen && n <= len(t)
}

// HeaderLen returns the length of the header with its options, 0 to 60 bytes;
// valid ones are 20 and more.
func (t TCP) HeaderLen() int { return int(t[12]>>4) * 4 }

// SrcPort returns the source port.
func (t TCP) SrcPort() uint16 { return binary.BigEndian.Uint16(t) }

// DstPort returns the destination port.
func (t TCP) DstPort() uint16 { return binary.BigEndian.Uint16(t[2:]) }

// Seq returns the sequence number of the first payload byte.
func (t TCP) Seq() uint32 { return binary.BigEndian.Uint32(t[4:]) }

// SetSeq writes the sequence number. The checksum is left.
func (t TCP) SetSeq(seq uint32) { binary.BigEndian.PutUint32(t[4:], seq) }

// Ack returns the acknowledgment number.
func (t TCP) Ack() uint32 { return binary.BigEndian.Uint32(t[8:]) }

// Flags returns the flags of octet 13, FlagFIN to FlagCWR.
func (t TCP) Flags() uint8 { return t[13] }

// SetFlags writes the flags of octet 13. The checksum is left.
func (t TCP) SetFlags(f uint8) { t[13] = f }

// Window returns the window field, unscaled.
func (t TCP) Window() uint16 { return binary.BigEndian.Uint16(t[14:]) }

// Checksum returns the checksum field.
func (t TCP) Checksum() uint16 { return binary.BigEndian.Uint16(t[TCPChecksumOff:]) }

// SetChecksum writes the checksum field.
func (t TCP) SetChecksum(c uint16) { binary.BigEndian.PutUint16(t[TCPChecksumOff:], c) }

// TCP option kinds that the engine looks at.
const (
	tcpOptEnd uint8 = 0
	tcpOptNop uint8 = 1
	TCPOptMSS uint8 = 2
)

// Options returns a walk over the options of t, which must be Valid.
func (t TCP) Options() TCPOptions { return TCPOptions{rest: t[TCPLen:t.HeaderLen()]} }

// TCPOptions walks over options (RFC 9293 section 3.2). The zero value is at
// the end.
type TCPOptions struct{ rest []byte }

// Next returns the kind of the next option and its data, without kind and
// length, a slice of the segment. No-operation options are passed over. ok is
// false at the end of the list and at the first malformed option.
//
// Hot path: no allocation.
func (o *TCPOptions) Next() (kind uint8, data []byte, ok bool) {
	for len(o.rest) > 0 {
		kind = o.rest[0]
		switch kind {
		case tcpOptEnd:
			o.rest = nil
			return 0, nil, false
		case tcpOptNop:
			o.rest = o.rest[1:]
			continue
		}
		if len(o.rest) < 2 {
			break
		}
		n := int(o.rest[1])
		if n < 2 || n > len(o.rest) {
			break
		}
		data = o.rest[2:n:n]
		o.rest = o.rest[n:]
		return kind, data, true
	}
	o.rest = nil
	return 0, nil, false
}
