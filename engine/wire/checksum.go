package wire

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds the 16-bit big-endian words of b to initial, an odd last byte padded
// with a zero byte, and returns the result unfolded: initial plus at most
// 0xffff. 65,000 calls can be chained before it overflows. Every piece but the
// last must have an even length; see SumOdd for the others.
//
// The sum is not inverted: ^Fold(Sum(b, 0)) is what goes into a header. It is 0
// only when initial and every byte of b are 0.
//
// It adds little-endian words, which load without a swap, and swaps the result:
// the one's complement sum does not depend on byte order (RFC 1071 section 2).
//
// Hot path: no allocation (TestNoAllocs). Every TCP payload passes here twice,
// when a super-frame is cut and when segments are merged.
func Sum(b []byte, initial uint32) uint32 {
	if hasVector && len(b) >= vectorMin {
		n := len(b) &^ 31
		return initial + uint32(fold64(sumTail(b[n:], sumVector(&b[0], n))))
	}
	return initial + uint32(fold64(sumGeneric(b)))
}

// SumOdd is Sum for a piece that starts at an odd offset of what is summed: its
// bytes count for the other half of their words (RFC 1071 section 2).
//
// Hot path: no allocation.
func SumOdd(b []byte, initial uint32) uint32 {
	s := Sum(b, 0)
	return initial + uint32(bits.ReverseBytes16(uint16(s)))
}

// Fold adds the carries of an unfolded sum into 16 bits.
//
// Hot path: no allocation, inlined.
func Fold(s uint32) uint16 {
	s = s>>16 + s&0xffff
	return uint16(s>>16 + s)
}

// fold64 folds a sum of little-endian 16-, 32- or 64-bit words into 16 bits and
// puts it in network order. 2^16 = 1 (mod 2^16-1), so wider words just fold.
func fold64(s uint64) uint16 {
	s = s>>32 + s&0xffffffff // below 2^33
	s = s>>32 + s&0xffffffff
	return bits.ReverseBytes16(Fold(uint32(s)))
}

// sumGeneric sums 64 bytes a round in one chain of add-with-carry.
func sumGeneric(b []byte) uint64 {
	var s, c uint64
	for len(b) >= 64 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), 0)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[8:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[16:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[24:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[32:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[40:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[48:]), c)
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b[56:]), c)
		s += c // s is at most 2^64-2 when it carried: no second carry
		b = b[64:]
	}
	return sumTail(b, s)
}

// sumTail adds what is left of b, at most 63 bytes on the fast paths, to s.
func sumTail(b []byte, s uint64) uint64 {
	var c uint64
	for len(b) >= 8 {
		s, c = bits.Add64(s, binary.LittleEndian.Uint64(b), 0)
		s += c
		b = b[8:]
	}
	var last uint64
	if len(b) >= 4 {
		last = uint64(binary.LittleEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		last += uint64(binary.LittleEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		last += uint64(b[0])
	}
	s, c = bits.Add64(s, last, 0)
	return s + c
}

// UpdateChecksum returns the checksum field of a header in which one 16-bit word
// changed from old to new: HC' = ~(~HC + ~m + m') (RFC 1624 section 3).
//
// Hot path: no allocation, inlined.
func UpdateChecksum(check, old, new uint16) uint16 {
	return ^Fold(uint32(^check) + uint32(^old) + uint32(new))
}

// PseudoIPv4 returns the unfolded sum of the pseudo-header of an L4 segment of
// l4Len bytes (RFC 9293 section 3.1, RFC 768). src and dst are host order.
//
// Hot path: no allocation, inlined.
func PseudoIPv4(src, dst uint32, proto uint8, l4Len int) uint32 {
	return src>>16 + src&0xffff + dst>>16 + dst&0xffff + uint32(proto) + uint32(l4Len)
}

// PseudoIPv6 returns the unfolded sum of the pseudo-header of an upper-layer
// packet of l4Len bytes (RFC 8200 section 8.1). addrs is source and destination
// as they lie in the header, 32 bytes; with a Routing header the last address
// of the route stands for the destination, and the caller must see to it.
//
// Hot path: no allocation.
func PseudoIPv6(addrs []byte, proto uint8, l4Len int) uint32 {
	_ = addrs[31]
	s, c := bits.Add64(binary.LittleEndian.Uint64(addrs), binary.LittleEndian.Uint64(addrs[8:]), 0)
	s, c = bits.Add64(s, binary.LittleEndian.Uint64(addrs[16:]), c)
	s, c = bits.Add64(s, binary.LittleEndian.Uint64(addrs[24:]), c)
	return uint32(fold64(s+c)) + uint32(proto) + uint32(l4Len>>16) + uint32(l4Len&0xffff)
}
