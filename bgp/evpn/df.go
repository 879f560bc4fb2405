package evpn

import (
	"encoding/binary"
	"hash/crc32"
	"net/netip"
	"slices"
)

// Candidate is a node on a segment: its address in the election and what its
// segment route said.
type Candidate struct {
	Addr netip.Addr // originator of the segment route
	DF   DFElection
}

// Agree returns the algorithm and capabilities that all candidates have, or the
// default ones when they differ in either (RFC 8584 section 2.2). Don't Preempt
// may differ: it changes while an election runs (RFC 9785 section 4.3).
func Agree(cands []Candidate) (DFAlg, DFCaps) {
	for i := range cands {
		if cands[i].DF.Alg != cands[0].DF.Alg ||
			(cands[i].DF.Caps^cands[0].DF.Caps)&^CapDontPreempt != 0 {
			return DFModulo, 0
		}
	}
	if len(cands) == 0 || cands[0].DF.Alg > DFLowest {
		return DFModulo, 0
	}
	return cands[0].DF.Alg, cands[0].DF.Caps &^ CapDontPreempt
}

// Elect returns the designated forwarder of tag v on a segment and who would be
// it without that one; invalid addresses where there is none.
func Elect(alg DFAlg, v uint32, esi ESI, cands []Candidate) (df, backup netip.Addr) {
	i := elect(alg, v, esi, cands)
	if i < 0 {
		return
	}
	df = cands[i].Addr
	rest := slices.Delete(slices.Clone(cands), i, i+1)
	if j := elect(alg, v, esi, rest); j >= 0 {
		backup = rest[j].Addr
	}
	return df, backup
}

// elect returns the index of the winner, -1 without candidates. The order of
// cands does not matter.
func elect(alg DFAlg, v uint32, esi ESI, cands []Candidate) int {
	if len(cands) == 0 {
		return -1
	}
	if alg == DFModulo || alg > DFLowest {
		// RFC 7432 section 8.5: the ordinal in the list sorted by address.
		return ordinal(cands, int(v%uint32(len(cands))))
	}
	better := byPreference(alg)
	if alg == DFHRW {
		better = byWeight(v, esi)
	}
	best := 0
	for i := range cands {
		if better(&cands[i], &cands[best]) {
			best = i
		}
	}
	return best
}

// ordinal returns the index of the candidate with the n-th lowest address. IPv4
// comes before IPv6, as netip compares.
func ordinal(cands []Candidate, n int) int {
	for i := range cands {
		lower := 0
		for j := range cands {
			if cands[j].Addr.Less(cands[i].Addr) {
				lower++
			}
		}
		if lower == n {
			return i
		}
	}
	return 0 // two with one address; the caller has none
}

// byWeight compares by highest random weight, then lowest address.
func byWeight(v uint32, esi ESI) func(a, b *Candidate) bool {
	digest := weightDigest(v, esi)
	return func(a, b *Candidate) bool {
		x, y := weight(digest, a.Addr), weight(digest, b.Addr)
		return x > y || x == y && a.Addr.Less(b.Addr)
	}
}

// weightDigest is D(V, Es) of RFC 8584 section 3.2: CRC-32 of the tag and the
// segment, without its highest bit.
func weightDigest(v uint32, esi ESI) uint32 {
	var b [14]byte
	binary.BigEndian.PutUint32(b[:], v)
	copy(b[4:], esi[:])
	return crc32.ChecksumIEEE(b[:]) &^ (1 << 31)
}

// weight is Wrand of RFC 8584 section 3.2. Of the address only the low 31 bits
// count, modulo 2^31.
func weight(digest uint32, a netip.Addr) uint32 {
	b := a.AsSlice()
	si := binary.BigEndian.Uint32(b[len(b)-4:])
	const m, c = 1103515245, 12345
	return (m*((m*si+c)^digest) + c) &^ (1 << 31)
}

// byPreference compares by RFC 9785 section 4.1: preference, then Don't Preempt,
// then lowest address.
func byPreference(alg DFAlg) func(a, b *Candidate) bool {
	return func(a, b *Candidate) bool {
		if a.DF.Preference != b.DF.Preference {
			return (a.DF.Preference > b.DF.Preference) == (alg == DFHighest)
		}
		x, y := a.DF.Caps&CapDontPreempt, b.DF.Caps&CapDontPreempt
		if x != y {
			return x != 0
		}
		return a.Addr.Less(b.Addr)
	}
}
