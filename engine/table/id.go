package table

import (
	"fmt"
	"net"
)

// PortID, ACID, VTEPID and PeerID are handles that control hands out and never
// gives to another thing while the node runs. 0 means none.
type (
	PortID uint32 // a port of this node
	ACID   uint32 // an attachment circuit: a port, or a VLAN of it, in a bridge domain
	VTEPID uint32 // a remote VTEP
	PeerID uint32 // an underlay peer
)

// VNI is a VXLAN network identifier, 1 to 16777215, host order.
type VNI uint32

// MaxVNI is the greatest VNI: 24 bits (RFC 7348 section 5).
const MaxVNI VNI = 1<<24 - 1

// MAC is an Ethernet address: its six octets, the first in the highest of the
// low 48 bits, so that values compare and hash as one word.
type MAC uint64

// Broadcast is ff-ff-ff-ff-ff-ff.
const Broadcast MAC = 1<<48 - 1

// MACFrom returns the address in b[:6].
//
// Hot path: no allocation, inlined.
func MACFrom(b []byte) MAC {
	_ = b[5]
	return MAC(b[0])<<40 | MAC(b[1])<<32 | MAC(b[2])<<24 | MAC(b[3])<<16 | MAC(b[4])<<8 | MAC(b[5])
}

// Put writes the six octets into b[:6].
func (m MAC) Put(b []byte) {
	_ = b[5]
	b[0], b[1], b[2] = byte(m>>40), byte(m>>32), byte(m>>24)
	b[3], b[4], b[5] = byte(m>>16), byte(m>>8), byte(m)
}

// IsMulticast reports whether the group bit is set; it is for Broadcast too.
func (m MAC) IsMulticast() bool { return m>>40&1 != 0 }

// String returns the colon form, lower case.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x",
		byte(m>>40), byte(m>>32), byte(m>>24), byte(m>>16), byte(m>>8), byte(m))
}

// ParseMAC returns the address that s names: six octets in the colon, the hyphen or
// the dotted form, as "02:00:00:00:00:01".
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil || len(hw) != 6 {
		return 0, fmt.Errorf("%q is not a MAC address: want six octets, as \"02:00:00:00:00:01\"", s)
	}
	return MACFrom(hw), nil
}

// MarshalText returns String, nothing for 0: no host has that address, it stands for
// none.
func (m MAC) MarshalText() ([]byte, error) {
	if m == 0 {
		return nil, nil
	}
	return []byte(m.String()), nil
}

// UnmarshalText is the reverse of MarshalText.
func (m *MAC) UnmarshalText(b []byte) (err error) {
	*m = 0
	if len(b) > 0 {
		*m, err = ParseMAC(string(b))
	}
	return err
}
