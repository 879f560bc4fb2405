package noise

import (
	"encoding/binary"

	"golang.org/x/crypto/chacha20poly1305"
)

// Sizes of the messages, bytes of UDP payload, with their arithmetic.
const (
	tagSize = chacha20poly1305.Overhead // 16, Poly1305
	MACSize = 16                        // BLAKE2s-128

	InitiationSize  = 1 + 3 + 4 + 32 + (32 + tagSize) + (TimestampSize + tagSize) + 2*MACSize // 148
	ResponseSize    = 1 + 3 + 4 + 4 + 32 + (0 + tagSize) + 2*MACSize                          // 92
	CookieReplySize = 1 + 3 + 4 + 24 + (MACSize + tagSize)                                    // 64
	DataHeaderSize  = 1 + 3 + 4 + 8                                                           // 16
	DataMinSize     = DataHeaderSize + tagSize                                                // 32, a keepalive
)

// Type is the kind of a WireGuard message; the zero value is not a message.
type Type uint8

// The four kinds. On the wire the number is followed by three zero bytes.
const (
	TypeInvalid     Type = 0
	TypeInitiation  Type = 1
	TypeResponse    Type = 2
	TypeCookieReply Type = 3
	TypeData        Type = 4
)

// Classify returns the kind of the datagram b, TypeInvalid when the number is
// unknown, a reserved byte is not zero or the length is not the kind's.
//
// Hot path: no allocation.
func Classify(b []byte) Type {
	if len(b) < DataMinSize {
		return TypeInvalid
	}
	switch binary.LittleEndian.Uint32(b) {
	case uint32(TypeData):
		return TypeData
	case uint32(TypeInitiation):
		if len(b) == InitiationSize {
			return TypeInitiation
		}
	case uint32(TypeResponse):
		if len(b) == ResponseSize {
			return TypeResponse
		}
	case uint32(TypeCookieReply):
		if len(b) == CookieReplySize {
			return TypeCookieReply
		}
	}
	return TypeInvalid
}

// putType writes the message's number and the three reserved zero bytes.
func putType(b []byte, t Type) { binary.LittleEndian.PutUint32(b, uint32(t)) }

// Initiation is a view of the first message, 148 bytes. Integers are little
// endian, as in all WireGuard messages.
//
//	 0               4               8
//	+---+-----------+---------------+---------------- - - -+
//	| 1 | 0   0   0 | sender index  | ephemeral 32         |
//	+---+-----------+---------------+---------------- - - -+
//	40                              88                     116
//	| sealed static 32 + 16         | sealed time 12 + 16  |
//	116                             132                    148
//	| MAC1 16                       | MAC2 16              |
type Initiation []byte

// Valid reports whether m has the length and the type of an initiation. The
// other methods need it.
func (m Initiation) Valid() bool { return Classify(m) == TypeInitiation }

// Sender returns the index by which the initiator wants to be addressed.
func (m Initiation) Sender() uint32 { return binary.LittleEndian.Uint32(m[4:]) }

func (m Initiation) setSender(i uint32) { binary.LittleEndian.PutUint32(m[4:], i) }
func (m Initiation) ephemeral() []byte  { return m[8:40] }
func (m Initiation) static() []byte     { return m[40:88] }
func (m Initiation) timestamp() []byte  { return m[88:116] }

// Response is a view of the second message, 92 bytes.
//
//	 0               4               8               12
//	+---+-----------+---------------+---------------+------- - -+
//	| 2 | 0   0   0 | sender index  | receiver index| ephemeral |
//	44              60              76              92
//	| sealed empty  | MAC1          | MAC2          |
type Response []byte

// Valid reports whether m has the length and the type of a response. The other
// methods need it.
func (m Response) Valid() bool { return Classify(m) == TypeResponse }

// Sender returns the index by which the responder wants to be addressed.
func (m Response) Sender() uint32 { return binary.LittleEndian.Uint32(m[4:]) }

// Receiver returns the index that the initiator chose.
func (m Response) Receiver() uint32 { return binary.LittleEndian.Uint32(m[8:]) }

func (m Response) setSender(i uint32)   { binary.LittleEndian.PutUint32(m[4:], i) }
func (m Response) setReceiver(i uint32) { binary.LittleEndian.PutUint32(m[8:], i) }
func (m Response) ephemeral() []byte    { return m[12:44] }
func (m Response) empty() []byte        { return m[44:60] }

// CookieReply is a view of the third message, 64 bytes.
//
//	 0               4               8               32              64
//	+---+-----------+---------------+---------------+---------------+
//	| 3 | 0   0   0 | receiver index| nonce 24      | cookie 16+16  |
type CookieReply []byte

// Valid reports whether m has the length and the type of a cookie reply. The
// other methods need it.
func (m CookieReply) Valid() bool { return Classify(m) == TypeCookieReply }

// Receiver returns the sender index of the message that is answered.
func (m CookieReply) Receiver() uint32 { return binary.LittleEndian.Uint32(m[4:]) }

func (m CookieReply) nonce() []byte  { return m[8:32] }
func (m CookieReply) cookie() []byte { return m[32:64] }

// Data is a view of the fourth message: 16 bytes of header, the sealed packet
// and its tag.
//
//	 0               4               8               16
//	+---+-----------+---------------+---------------+----- - - -----+-----+
//	| 4 | 0   0   0 | receiver index| counter 8     | sealed packet | tag |
type Data []byte

// Valid reports whether m has at least the length, and the type, of a data
// message. The other methods need it.
//
// Hot path: inlined.
func (m Data) Valid() bool {
	return len(m) >= DataMinSize && binary.LittleEndian.Uint32(m) == uint32(TypeData)
}

// Receiver returns the index of the session at the receiver.
func (m Data) Receiver() uint32 { return binary.LittleEndian.Uint32(m[4:]) }

// Counter returns the packet's counter.
func (m Data) Counter() uint64 { return binary.LittleEndian.Uint64(m[8:]) }

// PutDataHeader writes the header of a data message into b[:16].
//
// Hot path: inlined.
func PutDataHeader(b []byte, receiver uint32, counter uint64) {
	_ = b[DataHeaderSize-1]
	binary.LittleEndian.PutUint32(b, uint32(TypeData))
	binary.LittleEndian.PutUint32(b[4:], receiver)
	binary.LittleEndian.PutUint64(b[8:], counter)
}
