package wire

import (
	"encoding/binary"
	"math/bits"
)

// Multipliers of the flow hash: odd, half of the bits set, no pattern. They are
// fixed, so that one flow keeps its path across restarts and nodes; the hash
// spreads flows and must not be trusted against somebody who chooses flows.
const (
	hashK0 uint64 = 0x9e3779b97f4a7c15
	hashK1 uint64 = 0xd1b54a32d192ed03
	hashK2 uint64 = 0x8cb92ba72f3d8dd7
	hashK3 uint64 = 0xaef17502108ef2d9
)

// mix folds the 128-bit product of a and b: every bit of the result depends on
// every bit of both.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// hash4 hashes an IPv4 flow: addresses as they lie in the header, 8 bytes, and
// rest, ports and protocol.
func hash4(addrs []byte, rest uint64) uint32 {
	h := mix(binary.LittleEndian.Uint64(addrs)^hashK0, rest^hashK1)
	return hashEnd(h)
}

// hash6 hashes an IPv6 flow: addresses as they lie in the header, 32 bytes.
func hash6(addrs []byte, rest uint64) uint32 {
	_ = addrs[31]
	s := mix(binary.LittleEndian.Uint64(addrs)^hashK0, binary.LittleEndian.Uint64(addrs[8:])^hashK1)
	d := mix(binary.LittleEndian.Uint64(addrs[16:])^hashK2, binary.LittleEndian.Uint64(addrs[24:])^hashK3)
	return hashEnd(mix(s^hashK3, d^rest^hashK0))
}

// hashMAC hashes what has no flow that we know: destination and source MAC, 12
// bytes, and the EtherType, 0 for an 802.3 length, which changes per frame.
func hashMAC(b []byte, t uint16) uint32 {
	if t < MinType {
		t = 0
	}
	_ = b[11]
	h := mix(binary.LittleEndian.Uint64(b)^hashK2,
		uint64(binary.LittleEndian.Uint32(b[8:]))<<16^uint64(t)^hashK3)
	return hashEnd(h)
}

// hashEnd spreads h once more and never returns 0, which Frame.Hash keeps for
// "not hashed".
func hashEnd(h uint64) uint32 {
	h = mix(h^hashK1, hashK2)
	return max(uint32(h)^uint32(h>>32), 1)
}
