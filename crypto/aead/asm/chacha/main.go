// Command chacha writes the AVX-512 code of package aead's wide
// ChaCha20-Poly1305 (RFC 8439). It is run by go generate in that package.
//
// ChaCha20 is "vertical": a ZMM register holds one word of the state of sixteen
// blocks, and each of the sixteen lanes may belong to another message. Poly1305
// is vertical too: eight messages side by side, one per 64-bit lane, in limbs of
// 44, 44 and 42 bits that VPMADD52LUQ and VPMADD52HUQ multiply. A register of
// the generator's code is a physical one; the comments say what it holds.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

// z names the ZMM registers by number.
var z = [32]VecPhysical{
	Z0, Z1, Z2, Z3, Z4, Z5, Z6, Z7, Z8, Z9, Z10, Z11, Z12, Z13, Z14, Z15,
	Z16, Z17, Z18, Z19, Z20, Z21, Z22, Z23, Z24, Z25, Z26, Z27, Z28, Z29, Z30, Z31,
}

func main() {
	ConstraintExpr("amd64")
	chachaLanes()
	chachaRuns()
	lanesFill()
	polyInit()
	polyPowers()
	polyBlocks()
	polyWords()
	polyRun()
	Generate()
}
