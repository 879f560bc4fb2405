package tap

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Left to itself the kernel sends a flow's frames to the queue that its last
// answer was written to, and forgets that after three silent seconds. Answers
// come by whichever worker has the tunnel's flow, so a flow would wander between
// workers, and its frames overtake each other. A small BPF program chooses
// instead: by addresses and ports, the same queue for both directions, by
// addresses alone for fragments, and by EtherType for what is not IP.

// insn is one instruction of the kernel's BPF machine (linux/bpf.h, struct
// bpf_insn).
type insn struct {
	op   uint8
	regs uint8 // destination in the low half, source in the high one
	off  int16 // of a jump, instructions
	imm  int32
}

// Operation codes: class, size or source, and mode or operation.
const (
	ldAbsB, ldAbsH      = 0x30, 0x28 // r0 = packet[imm], bytes in network order
	ldIndB, ldIndH      = 0x50, 0x48 // r0 = packet[src+imm]
	ldIndW              = 0x40
	movImm, movReg      = 0xb7, 0xbf
	addImm, addReg      = 0x07, 0x0f
	mulReg, xorReg      = 0x2f, 0xaf
	andImm              = 0x57
	lshImm, rshImm      = 0x67, 0x77
	ldImm64             = 0x18
	jmp, jeqImm, jneImm = 0x05, 0x15, 0x55
	exit                = 0x95
)

// Registers: r6 is the packet for loads, r7 the offset of the header in hand, r8
// the hash so far, r9 the protocol.
const r0, r1, r2, r6, r7, r8, r9 = 0, 1, 2, 6, 7, 8, 9

// program is instructions with jumps to labels.
type program struct {
	code   []insn
	labels map[string]int
	jumps  map[int]string
}

func (p *program) add(op uint8, dst, src uint8, imm int32) {
	p.code = append(p.code, insn{op: op, regs: dst | src<<4, imm: imm})
}

func (p *program) jump(op uint8, dst uint8, imm int32, to string) {
	p.jumps[len(p.code)] = to
	p.add(op, dst, 0, imm)
}

func (p *program) label(name string) { p.labels[name] = len(p.code) }

// steering returns the program. A load behind a frame's end makes it return 0:
// queue 0.
func steering() []insn {
	p := &program{labels: map[string]int{}, jumps: map[int]string{}}
	p.add(movReg, r6, r1, 0)
	p.add(movImm, r7, 0, 14)
	p.add(movImm, r8, 0, 0)
	p.add(movImm, r9, 0, 0)
	p.add(ldAbsH, 0, 0, 12)
	for _, next := range []string{"inner", "untagged"} { // two tags
		p.jump(jeqImm, r0, unix.ETH_P_8021Q, "tag-"+next)
		p.jump(jneImm, r0, unix.ETH_P_8021AD, "untagged")
		p.label("tag-" + next)
		p.add(ldIndH, 0, r7, 2)
		p.add(addImm, r7, 0, 4)
	}
	p.label("untagged")
	p.jump(jeqImm, r0, unix.ETH_P_IP, "ipv4")
	p.jump(jeqImm, r0, unix.ETH_P_IPV6, "ipv6")
	p.add(movReg, r8, r0, 0)
	p.jump(jmp, 0, 0, "end")

	p.label("ipv4")
	for _, at := range []int32{12, 16} {
		p.add(ldIndW, 0, r7, at)
		p.add(xorReg, r8, r0, 0)
	}
	p.add(ldIndB, 0, r7, 9)
	p.add(movReg, r9, r0, 0)
	p.add(ldIndH, 0, r7, 6)
	p.add(andImm, r0, 0, 0x3fff) // more fragments, or not the first
	p.jump(jneImm, r0, 0, "end")
	p.add(ldIndB, 0, r7, 0)
	p.add(andImm, r0, 0, 15)
	p.add(lshImm, r0, 0, 2)
	p.add(addReg, r7, r0, 0)
	p.jump(jmp, 0, 0, "ports")

	p.label("ipv6")
	for at := int32(8); at < 40; at += 4 {
		p.add(ldIndW, 0, r7, at)
		p.add(xorReg, r8, r0, 0)
	}
	p.add(ldIndB, 0, r7, 6)
	p.add(movReg, r9, r0, 0)
	p.add(addImm, r7, 0, 40)

	p.label("ports")
	for _, proto := range []int32{unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_SCTP} {
		p.jump(jeqImm, r9, proto, "with-ports")
	}
	p.jump(jmp, 0, 0, "end")
	p.label("with-ports")
	p.add(lshImm, r8, 0, 16)
	for _, at := range []int32{0, 2} {
		p.add(ldIndH, 0, r7, at)
		p.add(xorReg, r8, r0, 0)
	}

	p.label("end")
	p.add(lshImm, r9, 0, 48)
	p.add(xorReg, r8, r9, 0)
	// Fibonacci hashing: the product's high half depends on all of r8.
	k := uint64(0x9e3779b97f4a7c15)
	p.add(ldImm64, r2, 0, int32(uint32(k)))
	p.add(0, 0, 0, int32(k>>32))
	p.add(mulReg, r8, r2, 0)
	p.add(rshImm, r8, 0, 33)
	p.add(movReg, r0, r8, 0)
	p.add(exit, 0, 0, 0)

	for at, to := range p.jumps {
		p.code[at].off = int16(p.labels[to] - at - 1)
	}
	return p.code
}

// steer lets our program choose the queue of every frame of the device that fd
// is a queue of. The kernel refuses with EPERM without CAP_BPF.
func steer(fd int) error {
	code, license, log := steering(), []byte("Apache-2.0\x00"), make([]byte, 4096)
	var pin runtime.Pinner // the kernel is told where they lie
	defer pin.Unpin()
	pin.Pin(&code[0])
	pin.Pin(&license[0])
	pin.Pin(&log[0])
	attr := struct { // linux/bpf.h, union bpf_attr, of BPF_PROG_LOAD
		kind, count   uint32
		code, license uint64
		level, size   uint32
		log           uint64
		version       uint32
		_             [76]byte
	}{
		kind: unix.BPF_PROG_TYPE_SOCKET_FILTER, count: uint32(len(code)),
		code: uint64(uintptr(unsafe.Pointer(&code[0]))), license: uint64(uintptr(unsafe.Pointer(&license[0]))),
		level: 1, size: uint32(len(log)), log: uint64(uintptr(unsafe.Pointer(&log[0]))),
	}
	prog, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_LOAD, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr))
	if errno != 0 {
		return fmt.Errorf("BPF_PROG_LOAD: %w: %s", errno, unix.ByteSliceToString(log))
	}
	defer unix.Close(int(prog)) // the device keeps it
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETSTEERINGEBPF, int(prog)); err != nil {
		return fmt.Errorf("TUNSETSTEERINGEBPF: %w", err)
	}
	return nil
}
