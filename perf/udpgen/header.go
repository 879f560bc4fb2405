package udpgen

import "encoding/binary"

// headerLen is the length of what the generator puts in front of each payload:
// magic 4, trial 4, sequence number 8.
const headerLen = 16

// MinSize and MaxSize bound the UDP payload, bytes. MaxSize leaves room for IPv4
// 20 and UDP 8 in an MTU of 1500.
const (
	MinSize = headerLen
	MaxSize = 1500 - 28
)

// magic begins each payload, so that stray datagrams are not counted.
const magic = 0x7a746f73

// header is the begin of a datagram's payload, big endian.
//
//	| magic 4 | trial 4 | sequence number 8 |
type header struct {
	trial uint32 // which trial it belongs to
	seq   uint64 // from 0
}

// put writes h to b[:headerLen].
func (h header) put(b []byte) {
	binary.BigEndian.PutUint32(b, magic)
	binary.BigEndian.PutUint32(b[4:], h.trial)
	binary.BigEndian.PutUint64(b[8:], h.seq)
}

// decode reads the header of a payload. ok is false for one that is too short or
// not the generator's.
func decode(b []byte) (h header, ok bool) {
	if len(b) < headerLen || binary.BigEndian.Uint32(b) != magic {
		return header{}, false
	}
	return header{binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint64(b[8:])}, true
}
