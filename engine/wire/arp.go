package wire

import "encoding/binary"

// ARP operations.
const (
	ARPRequest uint16 = 1
	ARPReply   uint16 = 2
)

// ARPLen is the length of an ARP packet for IPv4 over Ethernet:
// 8 + 2 x (6 + 4) bytes.
const ARPLen = 28

// ARP is a view of an ARP packet for IPv4 over Ethernet (RFC 826).
//
//	 0      2      4   5   6      8           14         18          24         28
//	+------+------+---+---+------+-----------+----------+-----------+----------+
//	| HTYPE| PTYPE| 6 | 4 | OPER | SHA       | SPA      | THA       | TPA      |
//	+------+------+---+---+------+-----------+----------+-----------+----------+
type ARP []byte

// arpFixed is HTYPE 1 (Ethernet), PTYPE 0x0800, lengths 6 and 4, as the first
// six octets read as one number.
const arpFixed uint64 = 0x0001_0800_06_04

// Valid reports whether a is a whole packet for IPv4 over Ethernet, of any
// operation.
func (a ARP) Valid() bool {
	return len(a) >= ARPLen && binary.BigEndian.Uint64(a)>>16 == arpFixed
}

// Op returns the operation, ARPRequest, ARPReply or another.
func (a ARP) Op() uint16 { return binary.BigEndian.Uint16(a[6:]) }

// SenderMAC returns the sender's six octets, a slice of a.
func (a ARP) SenderMAC() []byte { return a[8:14:14] }

// SenderIP returns the sender's IPv4 address, host order.
func (a ARP) SenderIP() uint32 { return binary.BigEndian.Uint32(a[14:]) }

// TargetMAC returns the target's six octets, a slice of a.
func (a ARP) TargetMAC() []byte { return a[18:24:24] }

// TargetIP returns the target's IPv4 address, host order.
func (a ARP) TargetIP() uint32 { return binary.BigEndian.Uint32(a[24:]) }

// Put writes the whole packet. The MACs are six octets, the addresses host
// order.
func (a ARP) Put(op uint16, senderMAC []byte, senderIP uint32, targetMAC []byte, targetIP uint32) {
	binary.BigEndian.PutUint64(a, arpFixed<<16|uint64(op))
	copy(a[8:14], senderMAC[:6])
	binary.BigEndian.PutUint32(a[14:], senderIP)
	copy(a[18:24], targetMAC[:6])
	binary.BigEndian.PutUint32(a[24:], targetIP)
}
