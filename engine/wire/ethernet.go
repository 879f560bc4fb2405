package wire

import "encoding/binary"

// Ethernet types, host order.
const (
	TypeIPv4   uint16 = 0x0800
	TypeARP    uint16 = 0x0806
	TypeVLAN   uint16 = 0x8100 // 802.1Q customer tag
	TypeIPv6   uint16 = 0x86dd
	TypeSVLAN  uint16 = 0x88a8 // 802.1ad service tag
	TypeMACsec uint16 = 0x88e5
	TypeEAPOL  uint16 = 0x888e

	// MinType is the least value that is an EtherType; smaller ones are the
	// length of an 802.3 frame with an LLC header.
	MinType uint16 = 0x0600
)

// Lengths of headers, bytes.
const (
	EthernetLen = 14 // DA 6, SA 6, type 2
	TagLen      = 4  // TPID 2, TCI 2
)

// Ethernet is a view of a frame that starts at the destination MAC.
//
//	 0                   6                  12        14
//	+-------------------+------------------+---------+---------
//	| destination MAC   | source MAC       | type    | payload
//	+-------------------+------------------+---------+---------
type Ethernet []byte

// Valid reports whether the header is all there.
func (e Ethernet) Valid() bool { return len(e) >= EthernetLen }

// Dst returns the six octets of the destination MAC, a slice of e.
func (e Ethernet) Dst() []byte { return e[0:6:6] }

// Src returns the six octets of the source MAC, a slice of e.
func (e Ethernet) Src() []byte { return e[6:12:12] }

// Type returns the field behind the source MAC: an EtherType, a TPID, or a
// length below MinType.
func (e Ethernet) Type() uint16 { return binary.BigEndian.Uint16(e[12:]) }

// SetType writes the field behind the source MAC.
func (e Ethernet) SetType(t uint16) { binary.BigEndian.PutUint16(e[12:], t) }

// Put writes the whole header. dst and src are six octets; they may not overlap
// the header.
func (e Ethernet) Put(dst, src []byte, t uint16) {
	copy(e[0:6], dst[:6])
	copy(e[6:12], src[:6])
	e.SetType(t)
}

// Tag is a view of one 802.1Q or 802.1ad tag, from its TPID on, with the type
// that follows it.
//
//	 0        2               4
//	+--------+---+-+---------+-------------
//	| TPID   |PCP|D| VID     | next type
//	+--------+---+-+---------+-------------
//	          3   1  12 bits
type Tag []byte

// Valid reports whether the tag and the type behind it are all there.
func (t Tag) Valid() bool { return len(t) >= TagLen+2 }

// TPID returns the tag protocol identifier.
func (t Tag) TPID() uint16 { return binary.BigEndian.Uint16(t) }

// TCI returns PCP (3 bits), DEI (1) and VID (12).
func (t Tag) TCI() uint16 { return binary.BigEndian.Uint16(t[2:]) }

// Next returns the type that follows the tag: an EtherType or another TPID.
func (t Tag) Next() uint16 { return binary.BigEndian.Uint16(t[4:]) }

// Put writes TPID and TCI and leaves the type behind them alone.
func (t Tag) Put(tpid, tci uint16) {
	binary.BigEndian.PutUint16(t, tpid)
	binary.BigEndian.PutUint16(t[2:], tci)
}

// IsTPID reports whether t is the TPID of a tag that the engine takes off.
//
// Hot path: no allocation, inlined.
func IsTPID(t uint16) bool { return t == TypeVLAN || t == TypeSVLAN }
