package check

import (
	"bytes"
	"fmt"
)

// markerSize is how many bytes a marker has.
const markerSize = 16

// Marker is a pattern that a tenant's traffic carries, so that its bytes can be
// looked for where they must not be.
type Marker [markerSize]byte

// MarkerOf returns the marker of a tenant: readable in a hex dump, and too long
// to come up in ciphertext by chance.
func MarkerOf(tenant string) Marker {
	var m Marker
	copy(m[:], fmt.Sprintf("ZTOS<%s>clear-text", tenant))
	return m
}

// fill writes the marker over b, again and again.
func (m Marker) fill(b []byte) {
	for len(b) > 0 {
		b = b[copy(b, m[:]):]
	}
}

// in reports whether b holds the whole marker once: a payload of 31 bytes of
// pattern does, whatever place of the pattern it starts at.
func (m Marker) in(b []byte) bool {
	return bytes.Contains(b, m[:])
}
