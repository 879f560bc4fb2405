package afxdp

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// license is what the kernel is told about the program that this file builds:
// only to a program that may be used under the GPL does it lend kernel functions.
// So this file may be used under the MIT license or the GPL, version 2, too.
const license = "Dual MIT/GPL"

// metaLen is the length of what the program puts in front of a frame, bytes:
//
//	0      2     4            6           8        16
//	+------+-----+------------+-----------+--------+
//	| TPID | TCI | csum_start | csum_off  | flags  | frame ...
//	+------+-----+------------+-----------+--------+
//
// All in host order but the TPID, which is as on the wire.
const metaLen = 16

// Bits of the flags.
const (
	metaTag  = 1 << 0 // the device took this tag off the frame
	metaCsum = 1 << 1 // the checksum at csum_start + csum_off is partial
)

// hints are the things about a frame that its bytes do not say, and that the
// program asks the kernel for.
type hints struct {
	tags bool // the VLAN tag that the device took off
	csum bool // veth: the checksum that the sending stack left undone
}

func (h hints) any() bool { return h.tags || h.csum }

// newProgram loads the program for the device: it sends every frame to the socket
// in sockets at the place of the receive queue, and drops frames on a queue that
// has none, which are nobody else's business either.
func newProgram(index int, sockets *ebpf.Map, h hints, generic bool) (*ebpf.Program, error) {
	spec := &ebpf.ProgramSpec{
		Name: "ztos_port", Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: license,
	}
	var err error
	if spec.Instructions, err = instructions(sockets.FD(), h); err != nil {
		return nil, err
	}
	if h.tags && !generic {
		spec.Flags, spec.Ifindex = unix.BPF_F_XDP_DEV_BOUND_ONLY, uint32(index)
	}
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		return nil, fmt.Errorf("load the program: %w", err)
	}
	return p, nil
}

// Offsets in struct xdp_md.
const (
	mdData     = 0
	mdMeta     = 8
	mdRxQueue  = 16
	xdpAborted = 0
	xdpDrop    = 1
)

// Places on the program's stack: the metadata as it is put together.
const (
	atTPID  = -metaLen
	atTCI   = atTPID + 2
	atStart = atTPID + 4
	atOff   = atTPID + 6
	atFlags = atTPID + 8
)

// instructions returns the program.
func instructions(sockets int, h hints) (asm.Instructions, error) {
	ins := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	var kernel *btf.Spec
	if h.any() {
		var err error
		if kernel, err = btf.LoadKernelSpec(); err != nil {
			return nil, fmt.Errorf("%w: types: %w", errLacking, err)
		}
		ins = append(ins,
			asm.Mov.Imm(asm.R0, 0),
			asm.StoreMem(asm.RFP, atTPID, asm.R0, asm.DWord),
			asm.StoreMem(asm.RFP, atFlags, asm.R0, asm.DWord))
	}
	if h.tags {
		call, err := kfunc(kernel, "bpf_xdp_metadata_rx_vlan_tag")
		if err != nil {
			return nil, err
		}
		ins = append(ins,
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, atTPID),
			asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, atTCI),
			call,
			// 0: there is a tag. EOPNOTSUPP: the driver cannot tell, although it
			// said that it could. Anything else: there is none.
			asm.JEq.Imm32(asm.R0, -int32(unix.EOPNOTSUPP), "abort"),
			asm.JNE.Imm32(asm.R0, 0, "untagged"),
			asm.Mov.Imm(asm.R0, metaTag),
			asm.StoreMem(asm.RFP, atFlags, asm.R0, asm.DWord),
			asm.Mov.Imm(asm.R0, 0).WithSymbol("untagged"))
	}
	if h.csum {
		more, err := checksumHint(kernel)
		if err != nil {
			return nil, err
		}
		ins = append(ins, more...)
	}
	if h.any() {
		ins = append(ins,
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.Mov.Imm(asm.R2, -metaLen),
			asm.FnXdpAdjustMeta.Call(),
			asm.JNE.Imm(asm.R0, 0, "abort"),
			asm.LoadMem(asm.R1, asm.R6, mdMeta, asm.Word),
			asm.LoadMem(asm.R2, asm.R6, mdData, asm.Word),
			asm.Mov.Reg(asm.R3, asm.R1), asm.Add.Imm(asm.R3, metaLen),
			asm.JGT.Reg(asm.R3, asm.R2, "abort"),
			asm.LoadMem(asm.R4, asm.RFP, atTPID, asm.DWord),
			asm.StoreMem(asm.R1, 0, asm.R4, asm.DWord),
			asm.LoadMem(asm.R4, asm.RFP, atFlags, asm.DWord),
			asm.StoreMem(asm.R1, 8, asm.R4, asm.DWord))
	}
	ins = append(ins,
		asm.LoadMem(asm.R2, asm.R6, mdRxQueue, asm.Word),
		asm.LoadMapPtr(asm.R1, sockets),
		asm.Mov.Imm(asm.R3, xdpDrop),
		asm.FnRedirectMap.Call(),
		asm.Return())
	if h.any() {
		ins = append(ins, asm.Mov.Imm(asm.R0, xdpAborted).WithSymbol("abort"), asm.Return())
	}
	return ins, nil
}

// checksumHint reads the socket buffer that veth's driver keeps beside the frame:
// struct veth_xdp_buff { struct xdp_buff xdp; struct sk_buff *skb; }. The kernel
// checks every access against its own types, and what is not there reads as 0.
func checksumHint(kernel *btf.Spec) (asm.Instructions, error) {
	cast, err := kfunc(kernel, "bpf_cast_to_kern_ctx")
	if err != nil {
		return nil, err
	}
	retype, err := kfunc(kernel, "bpf_rdonly_cast")
	if err != nil {
		return nil, err
	}
	var buff, skb *btf.Struct
	if err := kernel.TypeByName("veth_xdp_buff", &buff); err != nil {
		return nil, fmt.Errorf("%w: veth's types: %w", errLacking, err)
	}
	if err := kernel.TypeByName("sk_buff", &skb); err != nil {
		return nil, fmt.Errorf("%w: types: %w", errLacking, err)
	}
	id, err := kernel.TypeID(buff)
	if err != nil {
		return nil, fmt.Errorf("%w: veth's types: %w", errLacking, err)
	}
	var f [6]member
	for i, name := range []string{"ip_summed", "csum_start", "csum_offset", "data", "head"} {
		if f[i], err = findMember(skb, name); err != nil {
			return nil, err
		}
	}
	summed, start, offset, data, head := f[0], f[1], f[2], f[3], f[4]
	at, err := findMember(buff, "skb")
	if err != nil {
		return nil, err
	}
	const checksumPartial = 3
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		cast,
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.Mov.Imm(asm.R2, int32(id)),
		retype,
		asm.LoadMem(asm.R1, asm.R0, at.off, asm.DWord),
		asm.LoadMem(asm.R2, asm.R1, summed.off, asm.Byte),
		asm.RSh.Imm(asm.R2, int32(summed.shift)),
		asm.And.Imm(asm.R2, 1<<summed.bits-1),
		asm.JNE.Imm(asm.R2, checksumPartial, "complete"),
		// csum_start counts from head, and ours from the frame's first byte.
		asm.LoadMem(asm.R2, asm.R1, start.off, asm.Half),
		asm.LoadMem(asm.R3, asm.R1, data.off, asm.DWord),
		asm.LoadMem(asm.R4, asm.R1, head.off, asm.DWord),
		asm.Sub.Reg(asm.R3, asm.R4),
		asm.Sub.Reg(asm.R2, asm.R3),
		asm.StoreMem(asm.RFP, atStart, asm.R2, asm.Half),
		asm.LoadMem(asm.R2, asm.R1, offset.off, asm.Half),
		asm.StoreMem(asm.RFP, atOff, asm.R2, asm.Half),
		asm.LoadMem(asm.R2, asm.RFP, atFlags, asm.DWord),
		asm.Or.Imm(asm.R2, metaCsum),
		asm.StoreMem(asm.RFP, atFlags, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("complete"),
	}, nil
}

// member is where a field of a kernel struct is: its byte, and the bits of it.
type member struct {
	off         int16
	shift, bits uint32
}

// findMember finds a field by name, in anonymous structs and unions too.
func findMember(t btf.Type, name string) (member, error) {
	if off, bits, ok := search(t, name); ok {
		m := member{int16(off / 8), uint32(off % 8), uint32(bits)}
		if off/8 > 1<<15-1 || bits > 0 && off%8+bits > 8 {
			return member{}, fmt.Errorf("%w: field %s is out of reach", errLacking, name)
		}
		return m, nil
	}
	return member{}, fmt.Errorf("%w: field %s", errLacking, name)
}

// search returns the place of a field in bits, and its width when it is a bit
// field.
func search(t btf.Type, name string) (off, bits btf.Bits, ok bool) {
	var members []btf.Member
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		members = t.Members
	case *btf.Union:
		members = t.Members
	}
	for _, m := range members {
		if m.Name == name {
			return m.Offset, m.BitfieldSize, true
		}
		if m.Name != "" {
			continue
		}
		if off, bits, ok = search(m.Type, name); ok {
			return m.Offset + off, bits, true
		}
	}
	return 0, 0, false
}

// errLacking: the kernel has no description of its types, or lacks one or a
// function that the program needs.
var errLacking = errors.New("the kernel lacks what the program needs")

// kfunc returns the call of a kernel function that is no helper.
func kfunc(kernel *btf.Spec, name string) (asm.Instruction, error) {
	var fn *btf.Func
	if err := kernel.TypeByName(name, &fn); err != nil {
		return asm.Instruction{}, fmt.Errorf("%w: function %s", errLacking, name)
	}
	id, err := kernel.TypeID(fn)
	if err != nil {
		return asm.Instruction{}, fmt.Errorf("%w: function %s", errLacking, name)
	}
	return asm.Instruction{
		OpCode: asm.OpCode(asm.JumpClass).SetJumpOp(asm.Call), Src: asm.PseudoKfuncCall, Constant: int64(id),
	}, nil
}
