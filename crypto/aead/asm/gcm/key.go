package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// rounds returns AES's rounds for a key size.
func rounds(bits int) int { return bits/32 + 6 }

// initKey emits the set-up of a key: AES's key schedule (FIPS 197 section 5.2,
// with the instruction that substitutes words in constant time), H, its powers.
func initKey(bits int) {
	name := fmt.Sprintf("gcmInit%d", bits)
	TEXT(name, NOSPLIT, "func(w *byte, key *byte)")
	Doc(name + " fills g from key.")
	g := Load(Param("w"), GP64())
	key := Load(Param("key"), GP64())

	n := rounds(bits)
	store := func(i int, x VecPhysical) { VMOVDQU(x, Mem{Base: g, Disp: roundKeys + 16*i}) }

	Comment("Key schedule. X0 is the tag's and hash's block of zeros on its way through AES.")
	VMOVDQU(Mem{Base: key}, X1)
	store(0, X1)
	VMOVDQA(X1, X0)
	rcon := 1
	// advance makes k, a round key, the one two or one later: its words added
	// up from the left, and the substituted last word of the key before.
	advance := func(k, before VecPhysical, rcon int, word uint8) {
		VAESKEYGENASSIST(U8(rcon), before, X3)
		VPSHUFD(U8(word), X3, X3)
		VPSLLDQ(U8(4), k, X4)
		VPXOR(X4, k, k)
		VPSLLDQ(U8(4), k, X4)
		VPXOR(X4, k, k)
		VPSLLDQ(U8(4), k, X4)
		VPXOR(X4, k, k)
		VPXOR(X3, k, k)
	}
	use := func(i int, k VecPhysical) {
		store(i, k)
		if i == n {
			VAESENCLAST(k, X0, X0)
		} else {
			VAESENC(k, X0, X0)
		}
	}
	if bits == 128 {
		for i := 1; i <= n; i++ {
			advance(X1, X1, rcon, 0xff)
			rcon = rcon<<1 ^ rcon>>7*0x11b
			use(i, X1)
		}
	} else {
		VMOVDQU(Mem{Base: key, Disp: 16}, X2)
		use(1, X2)
		for i := 2; i <= n; i++ {
			if i%2 == 0 {
				advance(X1, X2, rcon, 0xff)
				rcon <<= 1
				use(i, X1)
			} else {
				advance(X2, X1, 0, 0xaa)
				use(i, X2)
			}
		}
	}

	Comment("H divided by x: a shift to the left; what falls out is added as the polynomial.")
	VPSHUFB(swapConst, X0, X0)
	VPSHUFD(U8(0xd3), X0, X1)
	VPSRAD(U8(31), X1, X1)
	VPAND(shiftConst, X1, X1)
	VPADDQ(X0, X0, X0)
	VPXOR(X1, X0, X0)

	Comment("Powers, H^1 at the end and H^52 in front; zeros behind.")
	VMOVDQU(polyConst, X5)
	VPXOR(X1, X1, X1)
	for i := range 4 {
		VMOVDQU(X1, Mem{Base: g, Disp: powersEnd + 16*i})
	}
	at := GP64()
	LEAQ(Mem{Base: g, Disp: powersEnd - 16}, at)
	VMOVDQA(X0, X1)
	Label("power")
	VMOVDQU(X1, Mem{Base: at})
	VPCLMULQDQ(U8(0x00), X0, X1, X2)
	VPCLMULQDQ(U8(0x01), X0, X1, X3)
	VPCLMULQDQ(U8(0x10), X0, X1, X4)
	VPXOR(X4, X3, X3)
	VPCLMULQDQ(U8(0x11), X0, X1, X1)
	VPCLMULQDQ(U8(0x01), X2, X5, X4)
	VPSHUFD(U8(0x4e), X2, X2)
	VPXOR(X4, X3, X3)
	VPXOR(X2, X3, X3)
	VPCLMULQDQ(U8(0x01), X3, X5, X4)
	VPSHUFD(U8(0x4e), X3, X3)
	VPXOR(X4, X1, X1)
	VPXOR(X3, X1, X1)
	SUBQ(U8(16), at)
	CMPQ(at, g)
	JAE(LabelRef("power"))

	Comment("Leave no key behind in registers.")
	VZEROALL()
	RET()
}
