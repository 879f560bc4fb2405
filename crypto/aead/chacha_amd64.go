package aead

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// chacha_amd64.s is written by the program in asm/chacha, which is a module of its
// own, so that ours does not depend on what it is made with.
//
//go:generate go run -C asm ./chacha -out ../chacha_amd64.s -pkg aead

// chachaWideUsable: the CPU has the instructions of chacha_amd64.s and the
// kernel saves their registers, which x/sys/cpu checks too.
var chachaWideUsable = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ &&
	cpu.X86.HasAVX512VL && cpu.X86.HasAVX512IFMA && cpu.X86.HasBMI2

// lanes is sixteen key stream blocks to be made at once, lane by lane: which
// block of which message.
type lanes struct {
	counter [16]uint32
	nonce   [3][16]uint32 // words 0, 1, 2 of the nonce
	mask    [16]uint64    // which of the block's 64 bytes are wanted
}

// places says for each of sixteen lanes what it is XORed with and where to. Bytes
// that the lane's mask lacks are neither read nor written.
type places struct{ src, dst [16]unsafe.Pointer }

// message is one Op whose lengths fit.
type message struct {
	nonce   [3]uint32
	counter uint32         // what chachaRuns does of it: the first block,
	kib     int            // how many KiB,
	src     unsafe.Pointer // from where
	dst     unsafe.Pointer // to where
	text    unsafe.Pointer // plaintext or ciphertext without tag
	out     unsafe.Pointer
	n       int // bytes of text
	op      int // index in the caller's ops: a pointer would put them on the heap
	aad     []byte
}

// poly is Poly1305 of eight messages side by side, lane by lane, in limbs of 44,
// 44 and 42 bits.
type poly struct {
	// r^1 to r^4, each as r0 r1 r2 and, for what goes over 2^130, 20 r1 20 r2.
	power [4][5][8]uint64
	acc   [3][8]uint64
}

// run is one message for polyRun: its blocks, aligned to the end of units of
// sixteen.
type run struct {
	src   unsafe.Pointer    // the blocks before the last unit
	units int               // how many units they make
	skip  int               // how many blocks, 0 to 15, the first of these lacks at its start; 0 if units is 0
	last  [16][TagSize]byte // the last unit, with padding and lengths
}

// The assembly's offsets.
const (
	_ = uint(unsafe.Offsetof(message{}.counter)-12) + uint(12-unsafe.Offsetof(message{}.counter))
	_ = uint(unsafe.Offsetof(message{}.kib)-16) + uint(16-unsafe.Offsetof(message{}.kib))
	_ = uint(unsafe.Offsetof(message{}.dst)-32) + uint(32-unsafe.Offsetof(message{}.dst))
	_ = uint(unsafe.Sizeof(message{})-96) + uint(96-unsafe.Sizeof(message{}))
	_ = uint(unsafe.Offsetof(lanes{}.nonce)-64) + uint(64-unsafe.Offsetof(lanes{}.nonce))
	_ = uint(unsafe.Offsetof(lanes{}.mask)-256) + uint(256-unsafe.Offsetof(lanes{}.mask))
	_ = uint(unsafe.Offsetof(places{}.dst)-128) + uint(128-unsafe.Offsetof(places{}.dst))
	_ = uint(unsafe.Offsetof(run{}.units)-8) + uint(8-unsafe.Offsetof(run{}.units))
	_ = uint(unsafe.Offsetof(run{}.skip)-16) + uint(16-unsafe.Offsetof(run{}.skip))
	_ = uint(unsafe.Offsetof(run{}.last)-24) + uint(24-unsafe.Offsetof(run{}.last))
	_ = uint(unsafe.Offsetof(poly{}.acc)-1280) + uint(1280-unsafe.Offsetof(poly{}.acc))
)

// chachaLanes XORs the first n of sixteen key stream blocks, 1 <= n <= 16, to
// where p says.
//
//go:noescape
func chachaLanes(key *[8]uint32, l *lanes, p *places, n int)

// chachaRuns XORs the whole KiB of n messages, n >= 1, with their key streams.
//
//go:noescape
func chachaRuns(key *[8]uint32, m *message, n int)

// lanesFill sets the n lanes from at on, at + n <= 16, to the whole blocks of one
// message that follow each other from counter, src and dst on. It stores
// pointers without telling the garbage collector: p must be on the stack.
//
//go:noescape
func lanesFill(l *lanes, p *places, at, n int, nonce *[3]uint32, counter uint32, src, dst unsafe.Pointer)

// polyInit sets the accumulators to 0 and r^1 from the messages' one-time keys.
//
//go:noescape
func polyInit(st *poly, keys *[8][32]byte)

// polyPowers sets r^2, r^3 and r^4 from r^1: polyBlocks needs them.
//
//go:noescape
func polyPowers(st *poly)

// polyBlocks absorbs n * 64 bytes, n >= 1, at src[i] into the messages i that
// mask has. The other messages' src must be readable as far too.
//
//go:noescape
func polyBlocks(st *poly, src *[8]unsafe.Pointer, n int, mask uint8)

// polyWords absorbs n blocks, n >= 1, that lie as low and high words of the
// eight messages, each into the messages that its mask has.
//
//go:noescape
func polyWords(st *poly, words *[2][8]uint64, masks *uint8, n int)

// polyRun absorbs the blocks of u into the message at lane of st, 0 to 7.
//
//go:noescape
func polyRun(st *poly, lane int, u *run)
