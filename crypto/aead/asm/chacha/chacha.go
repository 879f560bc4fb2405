package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// Offsets in type lanes of package aead, which asserts them.
const (
	lanesCounter = 0
	lanesNonce   = 64
	lanesMask    = 256
	// In type places.
	placesSrc = 0
	placesDst = 128
)

// sigma is "expand 32-byte k", the first row of the state.
var sigma = [4]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}

// chachaData declares the constants once.
var chachaData = func() func() (sig, iota Mem) {
	var sig, count Mem
	done := false
	return func() (Mem, Mem) {
		if !done {
			done = true
			sig = GLOBL("chachaSigma", RODATA|NOPTR)
			for i, w := range sigma {
				DATA(4*i, U32(w))
			}
			count = GLOBL("chachaCount", RODATA|NOPTR)
			for i := range 16 {
				DATA(4*i, U32(uint32(i)))
			}
		}
		return sig, count
	}
}()

// rounds makes Z0..Z15 go through ten double rounds. Four quarter rounds, which
// do not depend on each other, are woven, each one instruction behind the one
// before it: rotations, which only one port does, then come evenly.
func rounds(label string) {
	n := RCX
	MOVQ(U32(10), n)
	Label(label)
	for _, q := range [2][4][4]int{
		{{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}},
		{{0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14}},
	} {
		const steps = 12
		for t := range steps + 3 {
			for i := range 4 {
				if s := t - i; s >= 0 && s < steps {
					quarterStep(q[i], s)
				}
			}
		}
	}
	DECQ(n)
	JNZ(LabelRef(label))
}

// quarterStep is instruction s, 0 to 11, of the quarter round of registers q.
func quarterStep(q [4]int, s int) {
	// x += y; w ^= x; w <<<= rot
	part := [4]struct {
		x, y, w int
		rot     uint8
	}{{0, 1, 3, 16}, {2, 3, 1, 12}, {0, 1, 3, 8}, {2, 3, 1, 7}}[s/3]
	x, y, w := z[q[part.x]], z[q[part.y]], z[q[part.w]]
	switch s % 3 {
	case 0:
		VPADDD(y, x, x)
	case 1:
		VPXORD(x, w, w)
	case 2:
		VPROLD(U8(part.rot), w, w)
	}
}

// transpose turns Z0..Z15, word w of sixteen blocks each, into Z0..Z15, sixteen
// words of block b each. It uses all other registers.
func transpose() {
	for i := 0; i < 16; i += 2 {
		VPUNPCKLDQ(z[i+1], z[i], z[16+i])
		VPUNPCKHDQ(z[i+1], z[i], z[17+i])
	}
	// Now each 128-bit lane gets words 4g..4g+3 of one block: lane l of
	// register 4g+j that of block 4l+j.
	for i := 0; i < 16; i += 4 {
		t := z[16+i:]
		VPUNPCKLQDQ(t[2], t[0], z[i])
		VPUNPCKHQDQ(t[2], t[0], z[i+1])
		VPUNPCKLQDQ(t[3], t[1], z[i+2])
		VPUNPCKHQDQ(t[3], t[1], z[i+3])
	}
	// And the four lanes of one block come together.
	for j := range 4 {
		t := z[16+4*j:]
		VSHUFI32X4(U8(0x44), z[4+j], z[j], t[0])
		VSHUFI32X4(U8(0x44), z[12+j], z[8+j], t[1])
		VSHUFI32X4(U8(0xee), z[4+j], z[j], t[2])
		VSHUFI32X4(U8(0xee), z[12+j], z[8+j], t[3])
		VSHUFI32X4(U8(0x88), t[1], t[0], z[j])
		VSHUFI32X4(U8(0xdd), t[1], t[0], z[4+j])
		VSHUFI32X4(U8(0x88), t[3], t[2], z[8+j])
		VSHUFI32X4(U8(0xdd), t[3], t[2], z[12+j])
	}
}

func chachaLanes() {
	sig, _ := chachaData()
	TEXT("chachaLanes", NOSPLIT, "func(key *[8]uint32, l, p *byte, n int)")
	Doc("chachaLanes XORs the first n of sixteen key stream blocks, 1 <= n <= 16, to where l says.")
	Pragma("noescape")
	key, l, p, n := RAX, RBX, RSI, RDX
	Load(Param("key"), key)
	Load(Param("l"), l)
	Load(Param("p"), p)
	Load(Param("n"), n)
	for i := range 4 {
		VPBROADCASTD(sig.Offset(4*i), z[i])
	}
	for i := range 8 {
		VPBROADCASTD(Mem{Base: key, Disp: 4 * i}, z[4+i])
	}
	for i := range 4 {
		VMOVDQU32(Mem{Base: l, Disp: 64 * i}, z[12+i])
	}
	rounds("rounds")
	for i := range 4 {
		VPADDD_BCST(sig.Offset(4*i), z[i], z[i])
	}
	for i := range 8 {
		VPADDD_BCST(Mem{Base: key, Disp: 4 * i}, z[4+i], z[4+i])
	}
	for i := range 4 {
		VPADDD(Mem{Base: l, Disp: 64 * i}, z[12+i], z[12+i])
	}
	transpose()
	for i := range 16 {
		if i > 0 {
			CMPQ(n, U8(uint8(i)))
			JLE(LabelRef("done"))
		}
		src, dst := R8, R9
		MOVQ(Mem{Base: p, Disp: placesSrc + 8*i}, src)
		MOVQ(Mem{Base: p, Disp: placesDst + 8*i}, dst)
		KMOVQ(Mem{Base: l, Disp: lanesMask + 8*i}, K1)
		VMOVDQU8_Z(Mem{Base: src}, K1, z[16+i])
		VPXORD(z[16+i], z[i], z[i])
		VMOVDQU8(z[i], K1, Mem{Base: dst})
	}
	Label("done")
	VZEROUPPER()
	RET()
}

// Where type message of package aead, which asserts it, has its run.
const (
	messageNonce   = 0
	messageCounter = 12
	messageKiB     = 16
	messageSrc     = 24
	messageDst     = 32
	messageSize    = 96
)

func chachaRuns() {
	sig, count := chachaData()
	TEXT("chachaRuns", NOSPLIT, "func(key *[8]uint32, m *byte, n int)")
	Doc("chachaRuns XORs the whole KiB of n messages, n >= 1, with their key streams.")
	Pragma("noescape")
	key, m, n, src, dst, kib, ctr := RAX, RBX, RDX, RSI, RDI, R9, R8L
	Load(Param("key"), key)
	Load(Param("m"), m)
	Load(Param("n"), n)
	Label("message")
	MOVQ(Mem{Base: m, Disp: messageKiB}, kib)
	TESTQ(kib, kib)
	JZ(LabelRef("next"))
	MOVL(Mem{Base: m, Disp: messageCounter}, ctr)
	MOVQ(Mem{Base: m, Disp: messageSrc}, src)
	MOVQ(Mem{Base: m, Disp: messageDst}, dst)
	Label("kib")
	for i := range 4 {
		VPBROADCASTD(sig.Offset(4*i), z[i])
	}
	for i := range 8 {
		VPBROADCASTD(Mem{Base: key, Disp: 4 * i}, z[4+i])
	}
	VPBROADCASTD(ctr, z[12])
	VPADDD(count, z[12], z[12])
	VMOVDQA32(z[12], z[16])
	for i := range 3 {
		VPBROADCASTD(Mem{Base: m, Disp: messageNonce + 4*i}, z[13+i])
	}
	rounds("rounds")
	for i := range 4 {
		VPADDD_BCST(sig.Offset(4*i), z[i], z[i])
	}
	for i := range 8 {
		VPADDD_BCST(Mem{Base: key, Disp: 4 * i}, z[4+i], z[4+i])
	}
	VPADDD(z[16], z[12], z[12])
	for i := range 3 {
		VPADDD_BCST(Mem{Base: m, Disp: messageNonce + 4*i}, z[13+i], z[13+i])
	}
	transpose()
	for i := range 16 {
		VPXORD(Mem{Base: src, Disp: 64 * i}, z[i], z[i])
		VMOVDQU32(z[i], Mem{Base: dst, Disp: 64 * i})
	}
	ADDL(U8(16), ctr)
	ADDQ(U32(1024), src)
	ADDQ(U32(1024), dst)
	DECQ(kib)
	JNZ(LabelRef("kib"))
	Label("next")
	ADDQ(U8(messageSize), m)
	DECQ(n)
	JNZ(LabelRef("message"))
	VZEROUPPER()
	RET()
}

// lanesFill writes lanes as vectors: lane by lane they cost more than anything
// else around the kernels.
func lanesFill() {
	_, count := chachaData()
	steps := GLOBL("chachaSteps", RODATA|NOPTR)
	for i := range 8 {
		DATA(8*i, U64(64*i))
	}
	TEXT("lanesFill", NOSPLIT, "func(l, p *byte, at, n int, nonce *[3]uint32, counter uint32, src, dst *byte)")
	Doc("lanesFill sets the n lanes from at on, at + n <= 16, to whole blocks that follow each other.")
	Pragma("noescape")
	l, p, at, n, nonce, ctr, src, dst := RAX, R10, RBX, RCX, RDX, R8L, RSI, RDI
	Load(Param("l"), l)
	Load(Param("p"), p)
	Load(Param("at"), at)
	Load(Param("n"), n)
	Load(Param("nonce"), nonce)
	Load(Param("counter"), ctr)
	Load(Param("src"), src)
	Load(Param("dst"), dst)
	MOVQ(I32(-1), R9)
	BZHIQ(n, R9, R9)
	KMOVW(R9L, K1)
	KSHIFTRW(U8(8), K1, K2)
	VPBROADCASTD(ctr, z[0])
	VPADDD(count, z[0], z[0])
	VMOVDQU32(z[0], K1, Mem{Base: l, Index: at, Scale: 4, Disp: lanesCounter})
	for i := range 3 {
		VPBROADCASTD(Mem{Base: nonce, Disp: 4 * i}, z[1+i])
		VMOVDQU32(z[1+i], K1, Mem{Base: l, Index: at, Scale: 4, Disp: lanesNonce + 64*i})
	}
	MOVQ(I32(512), R9)
	VPBROADCASTQ(R9, z[4]) // eight blocks further
	VMOVDQU64(steps, z[5])
	VPTERNLOGQ(U8(0xff), z[6], z[6], z[6]) // all ones
	VPBROADCASTQ(src, z[7])
	VPADDQ(z[5], z[7], z[7])
	VPADDQ(z[4], z[7], z[8])
	VPBROADCASTQ(dst, z[9])
	VPADDQ(z[5], z[9], z[9])
	VPADDQ(z[4], z[9], z[10])
	for i, x := range [3][2]VecPhysical{{z[6], z[6]}, {z[7], z[8]}, {z[9], z[10]}} {
		base, disp := l, [3]int{lanesMask, placesSrc, placesDst}[i]
		if i > 0 {
			base = p
		}
		VMOVDQU64(x[0], K1, Mem{Base: base, Index: at, Scale: 8, Disp: disp})
		VMOVDQU64(x[1], K2, Mem{Base: base, Index: at, Scale: 8, Disp: disp + 64})
	}
	VZEROUPPER()
	RET()
}
