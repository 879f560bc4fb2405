package noise

import (
	"bytes"
	"encoding/binary"
	"time"
)

// TimestampSize is the length of a TAI64N label, bytes.
const TimestampSize = 12

// tai64Epoch is the TAI64 label of 1970-01-01 00:00:00 UTC: 2^62 + 10 s, leap
// seconds since then left out, as every WireGuard implementation does.
const tai64Epoch = 1<<62 + 10

// timestampStep is the granularity of the labels that we send, ns: 2^24, about
// 16.8 ms, so that they do not tell how precisely the machine keeps time.
const timestampStep = 1 << 24

// Timestamp is a TAI64N label: seconds and nanoseconds, big endian, so that
// labels compare as bytes. It guards initiations against replay: a responder
// accepts only greater ones from a peer. The zero value is before all others.
type Timestamp [TimestampSize]byte

// TimestampOf returns the label of t, rounded down to 2^24 ns.
func TimestampOf(t time.Time) (ts Timestamp) {
	binary.BigEndian.PutUint64(ts[:], uint64(tai64Epoch+t.Unix()))
	binary.BigEndian.PutUint32(ts[8:], uint32(t.Nanosecond())&^(timestampStep-1))
	return ts
}

// After reports whether t is greater than o.
func (t Timestamp) After(o Timestamp) bool { return bytes.Compare(t[:], o[:]) > 0 }

// Next returns the smallest label after t that TimestampOf could return. A
// sender uses it when the wall clock stood still or went back.
func (t Timestamp) Next() Timestamp {
	sec, ns := binary.BigEndian.Uint64(t[:]), binary.BigEndian.Uint32(t[8:])
	ns = ns&^(timestampStep-1) + timestampStep
	if ns >= uint32(time.Second) {
		sec, ns = sec+1, 0
	}
	binary.BigEndian.PutUint64(t[:], sec)
	binary.BigEndian.PutUint32(t[8:], ns)
	return t
}
