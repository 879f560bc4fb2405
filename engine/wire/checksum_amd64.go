package wire

import "golang.org/x/sys/cpu"

// hasVector says that sumVector may be called: the CPU has AVX2 and the
// operating system keeps the upper halves of the registers.
var hasVector = cpu.X86.HasAVX2

// vectorMin is the length from which sumVector pays, bytes. Measured: below it
// its set-up and the addition across lanes cost more than the scalar chain.
const vectorMin = 256

// sumVector returns the sum of the n/4 little-endian 32-bit words at p, which
// does not overflow for any n below 16 GB. n must be a multiple of 32 and
// above 0. AVX2.
//
//go:noescape
func sumVector(p *byte, n int) uint64
