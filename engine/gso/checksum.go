package gso

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/wire"
)

// sctpChecksumOff is the offset of SCTP's CRC32c, bytes. A kernel that offloads
// it says NeedsCsum too; nothing in a virtio-net header tells the CRC from an
// internet checksum, only the protocol does.
const sctpChecksumOff = 8

// castagnoli is the table of SCTP's CRC32c.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CompleteChecksum makes the checksum that f.Offload says is partial, in place,
// and clears NeedsCsum. The field holds the folded pseudo-header sum; it becomes
// the checksum over everything from CsumStart to the end of the frame, Frags
// included. A UDP checksum that comes out as 0 becomes 0xffff. SCTP gets its
// CRC32c. A frame that needs nothing is left alone.
//
// It returns BadOffload, with f unchanged, for a super-frame and for offsets that
// do not lie behind the Ethernet header and inside Head; None otherwise.
//
// Hot path: no allocation (TestNoAllocs).
func CompleteChecksum(f *pkt.Frame) counter.Reason {
	if !f.Offload.NeedsCsum {
		return counter.None
	}
	start, off := int(f.Offload.CsumStart), int(f.Offload.CsumOff)
	at := start + off
	if f.Offload.GSOType != pkt.GSONone || start < wire.EthernetLen || off%2 != 0 || at+2 > len(f.Head) {
		return counter.BadOffload
	}
	if off == sctpChecksumOff && isSCTP(f) && at+4 <= len(f.Head) {
		completeSCTP(f, start, at)
		return counter.None
	}
	sum, odd := wire.Sum(f.Head[start:], 0), (len(f.Head)-start)%2 == 1
	for _, p := range f.Frags {
		if odd {
			sum = wire.SumOdd(p, sum)
		} else {
			sum = wire.Sum(p, sum)
		}
		odd = odd != (len(p)%2 == 1)
	}
	check := ^wire.Fold(sum)
	if check == 0 && off == wire.UDPChecksumOff {
		check = 0xffff
	}
	binary.BigEndian.PutUint16(f.Head[at:], check)
	f.Offload.NeedsCsum = false
	return counter.None
}

// isSCTP reports whether f is an SCTP packet whose header starts at CsumStart.
func isSCTP(f *pkt.Frame) bool {
	if !f.Parsed && wire.Parse(f) != counter.None {
		return false
	}
	return f.IPProto == wire.ProtoSCTP && f.L4Off == f.Offload.CsumStart
}

// completeSCTP writes the CRC32c over the packet from start on, the field at
// taken as zero, least significant byte first (RFC 9260 appendix A).
func completeSCTP(f *pkt.Frame, start, at int) {
	binary.LittleEndian.PutUint32(f.Head[at:], 0)
	crc := crc32.Update(0, castagnoli, f.Head[start:])
	for _, p := range f.Frags {
		crc = crc32.Update(crc, castagnoli, p)
	}
	binary.LittleEndian.PutUint32(f.Head[at:], crc)
	f.Offload.NeedsCsum = false
}
