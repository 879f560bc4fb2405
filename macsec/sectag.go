package macsec

import (
	"encoding/binary"
	"fmt"
)

// EtherTypes, host order.
const (
	EtherType    = 0x88e5 // of a SecTAG
	etherTypeTEB = 0x6558 // of a whole Ethernet frame inside another: hidden mode
)

// Lengths, bytes.
const (
	addrLen   = 12               // DA and SA
	tagShort  = 8                // SecTAG without SCI, its EtherType included
	TagLen    = 16               // SecTAG with SCI, its EtherType included
	ICVLen    = 16               // integrity check value
	minFrame  = 14               // DA, SA and EtherType
	hdrLen    = addrLen + TagLen // before the secure data of what we send: 28
	shortData = 48               // secure data below this has its length in SL
	minMPDU   = 17               // SecTAG to ICV: the shortest that is looked into
)

// TCI is the octet of a SecTAG that holds the tag control information and, in
// the lowest two bits, the association number.
type TCI uint8

// Bits of a TCI.
const (
	TCIVersion TCI = 0x80 // V: 0 for the only version there is
	TCIES      TCI = 0x40 // end station: the SCI is the source address and port 1
	TCISC      TCI = 0x20 // the SecTAG holds an SCI
	TCISCB     TCI = 0x10 // single copy broadcast, for EPON
	TCIE       TCI = 0x08 // encryption
	TCIC       TCI = 0x04 // changed text: the secure data is not the user data
	tciAN      TCI = 0x03
)

// AN returns the association number.
func (t TCI) AN() AN { return AN(t & tciAN) }

// SecTAG is a view of a security tag, from its EtherType on:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-------------------------------+-+-+-+-+-+-+---+---+-----------+
//	|            0x88e5             |V|E|S|S|E|C|AN | 0 |     SL    |
//	|                               | |S|C|C| | |   |   |           |
//	|                               | | | |B| | |   |   |           |
//	+-------------------------------+-+-+-+-+-+-+---+---+-----------+
//	|                     packet number (lower 32 bits)             |
//	+---------------------------------------------------------------+
//	|                     SCI, iff SC is set                        |
//	|                                                               |
//	+---------------------------------------------------------------+
//
// Getters need len >= 8, SCI and Put need len >= 16. All numbers are in network
// order on the wire and in host order here.
type SecTAG []byte

// Valid reports whether t starts with the MACsec EtherType and is not cut off.
// It is not the validation of a received frame: that is CheckMPDU.
func (t SecTAG) Valid() bool {
	return len(t) >= tagShort && binary.BigEndian.Uint16(t) == EtherType && len(t) >= t.Len()
}

// Len returns the length with the EtherType: 16 when SC is set, else 8.
func (t SecTAG) Len() int {
	if t.TCI()&TCISC != 0 {
		return TagLen
	}
	return tagShort
}

// TCI returns the control bits and the association number.
func (t SecTAG) TCI() TCI { return TCI(t[2]) }

// SL returns the short length, 0 to 63: the octets of secure data when they are
// fewer than 48, else 0.
func (t SecTAG) SL() int { return int(t[3] & 0x3f) }

// PN returns the packet number on the wire.
func (t SecTAG) PN() uint32 { return binary.BigEndian.Uint32(t[4:8]) }

// SCI returns the explicit SCI. Valid iff SC is set.
func (t SecTAG) SCI() SCI { return SCI(t[8:16]) }

// Put writes a whole SecTAG. secure is the number of octets of secure data; pn
// the packet number, of which the lower 32 bits are sent; sci is written iff tci
// has SC.
//
// Hot path: no allocation.
func (t SecTAG) Put(tci TCI, secure int, pn uint64, sci SCI) {
	binary.BigEndian.PutUint16(t, EtherType)
	t[2] = byte(tci)
	t[3] = 0
	if secure < shortData {
		t[3] = byte(secure)
	}
	binary.BigEndian.PutUint32(t[4:], uint32(pn))
	if tci&TCISC != 0 {
		copy(t[8:16], sci[:])
	}
}

// TagFault says why a SecTAG is not valid. All count as InPktsBadTag; each has a
// counter of its own besides.
type TagFault uint8

// Tag faults, in the order in which they are looked for. Zero is none.
const (
	TagOK        TagFault = iota
	TagTruncated          // fewer than 17 octets from the EtherType on
	TagVersion            // V is set
	TagSCI                // ES or SCB is set, and SC too
	TagReserved           // bits 7 and 8 of the SL octet are not 0
	TagLength             // SL and the frame's length do not agree
	TagPNZero             // PN is 0 and the suite is not XPN
	NumTagFaults          // number of the above, TagOK included
)

// String returns the stable name.
func (f TagFault) String() string {
	names := [NumTagFaults]string{"ok", "truncated", "version", "sci", "reserved", "length", "pn-zero"}
	if f >= NumTagFaults {
		return fmt.Sprintf("tag-fault-%d", uint8(f))
	}
	return names[f]
}

// CheckMPDU validates what follows DA and SA in a received frame: SecTAG, secure
// data and ICV. mpdu starts with the MACsec EtherType; that is condition b).
//
//	a) It comprises at least 17 octets.
//	c) The V bit in the TCI is clear.
//	d) If the ES or the SCB bit is set, then the SC bit is clear.
//	e) Bits 7 and 8 of octet 4 of the SecTAG are clear.
//	f) to i) SecTAG and ICV, 24 or 32 octets, and as many as SL says if it is
//	   not 0, else at least 48.
//	and PN is not 0, unless the suite is XPN.
//
// An SL of 48 to 63 is a fault too: a sender never sets it. The ICV is 16 octets,
// also when C is set, because no suite here has another.
//
// Hot path: no allocation.
func CheckMPDU(mpdu []byte, xpn bool) TagFault {
	if len(mpdu) < minMPDU {
		return TagTruncated
	}
	t := SecTAG(mpdu)
	tci := t.TCI()
	if tci&TCIVersion != 0 {
		return TagVersion
	}
	if tci&(TCIES|TCISCB) != 0 && tci&TCISC != 0 {
		return TagSCI
	}
	if mpdu[3]&0xc0 != 0 {
		return TagReserved
	}
	secure, sl := len(mpdu)-t.Len()-ICVLen, t.SL()
	if sl >= shortData || (sl != 0 && secure != sl) || (sl == 0 && secure < shortData) {
		return TagLength
	}
	if t.PN() == 0 && !xpn {
		return TagPNZero
	}
	return TagOK
}
