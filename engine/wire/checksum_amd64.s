#include "textflag.h"

// func sumVector(p *byte, n int) uint64
//
// Each 64-bit lane holds two 32-bit words. They are added apart, the low one
// masked and the high one shifted down, into 64-bit lanes, so nothing carries
// out: 4 instructions for 32 bytes, 8 accumulators to hide their latency.
// Loads are unaligned on purpose: payloads start at any address.
TEXT ·sumVector(SB), NOSPLIT, $0-24
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), CX

	VPXOR    Y0, Y0, Y0 // accumulators Y0..Y7
	VPXOR    Y1, Y1, Y1
	VPXOR    Y2, Y2, Y2
	VPXOR    Y3, Y3, Y3
	VPXOR    Y4, Y4, Y4
	VPXOR    Y5, Y5, Y5
	VPXOR    Y6, Y6, Y6
	VPXOR    Y7, Y7, Y7
	VPCMPEQD Y15, Y15, Y15
	VPSRLQ   $32, Y15, Y15 // mask of the low word of each lane

	CMPQ CX, $128
	JB   small

loop128:
	VMOVDQU (SI), Y8
	VMOVDQU 32(SI), Y9
	VMOVDQU 64(SI), Y10
	VMOVDQU 96(SI), Y11
	VPAND   Y8, Y15, Y12
	VPAND   Y9, Y15, Y13
	VPADDQ  Y12, Y0, Y0
	VPADDQ  Y13, Y1, Y1
	VPAND   Y10, Y15, Y12
	VPAND   Y11, Y15, Y13
	VPADDQ  Y12, Y2, Y2
	VPADDQ  Y13, Y3, Y3
	VPSRLQ  $32, Y8, Y8
	VPSRLQ  $32, Y9, Y9
	VPSRLQ  $32, Y10, Y10
	VPSRLQ  $32, Y11, Y11
	VPADDQ  Y8, Y4, Y4
	VPADDQ  Y9, Y5, Y5
	VPADDQ  Y10, Y6, Y6
	VPADDQ  Y11, Y7, Y7
	ADDQ    $128, SI
	SUBQ    $128, CX
	CMPQ    CX, $128
	JAE     loop128

small:
	TESTQ CX, CX
	JZ    reduce

loop32:
	VMOVDQU (SI), Y8
	VPAND   Y8, Y15, Y12
	VPSRLQ  $32, Y8, Y8
	VPADDQ  Y12, Y0, Y0
	VPADDQ  Y8, Y4, Y4
	ADDQ    $32, SI
	SUBQ    $32, CX
	JNZ     loop32

reduce:
	VPADDQ       Y1, Y0, Y0
	VPADDQ       Y3, Y2, Y2
	VPADDQ       Y5, Y4, Y4
	VPADDQ       Y7, Y6, Y6
	VPADDQ       Y2, Y0, Y0
	VPADDQ       Y6, Y4, Y4
	VPADDQ       Y4, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPADDQ       X1, X0, X0
	VPSRLDQ      $8, X0, X1
	VPADDQ       X1, X0, X0
	VMOVQ        X0, AX
	VZEROUPPER
	MOVQ         AX, ret+16(FP)
	RET
