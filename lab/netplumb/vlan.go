package netplumb

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// AddTagged makes dev, down, the device whose frames go over parent with the
// 802.1Q VLAN id (1 to 4094), with the MTU in bytes.
//
// It is a VLAN device over parent. On a kernel built without 802.1Q devices,
// parent itself is renamed to dev and two BPF programs tag what it sends and
// untag what it gets; frames without that tag are dropped, as a VLAN device
// does not see them either. parent must be down.
func (n *Namespace) AddTagged(dev, parent string, id, mtu int) error {
	if id < 1 || id > 4094 {
		return fmt.Errorf("netplumb: %s: VLAN %d: need 1 to 4094", n.name, id)
	}
	err := n.addVLAN(dev, parent, id, mtu)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	if err := n.change("rename", parent, func(l netlink.Link) error { return n.nl.LinkSetName(l, dev) }); err != nil {
		return err
	}
	if err := n.SetMTU(dev, mtu); err != nil {
		return err
	}
	return n.tag(dev, id)
}

// addVLAN makes an 802.1Q device.
func (n *Namespace) addVLAN(dev, parent string, id, mtu int) error {
	p, err := n.link(parent)
	if err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.ParentIndex = dev, mtu, p.Attrs().Index
	if err := n.nl.LinkAdd(&netlink.Vlan{LinkAttrs: attrs, VlanId: id, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}); err != nil {
		return n.fault("VLAN", dev, err)
	}
	// The parent carries only the tagged frames: nothing of its own.
	if err := n.SetSysctl("net.ipv6.conf."+sysctlDev(parent)+".disable_ipv6", "1"); err != nil {
		return err
	}
	return n.SetUp(parent, true)
}

// tag attaches the two BPF programs to dev. They live as long as the device.
func (n *Namespace) tag(dev string, id int) error {
	l, err := n.link(dev)
	if err != nil {
		return err
	}
	return Do(n.name, func() error {
		for _, p := range []struct {
			hook uint32
			prog []insn
		}{{tcxEgress, pushVLAN(id)}, {tcxIngress, popVLAN(id)}} {
			if err := attachTCX(l.Attrs().Index, p.hook, p.prog); err != nil {
				return n.fault("VLAN tagging on", dev, err)
			}
		}
		return nil
	})
}

// insn is struct bpf_insn: opcode, destination (low nibble) and source
// register, jump offset in instructions, immediate. Host order.
type insn struct {
	op, regs uint8
	off      int16
	imm      int32
}

// Values of linux/bpf.h used here.
const (
	bpfProgLoad     = 5
	bpfProgAttach   = 8
	progSchedCLS    = 3
	tcxIngress      = 46
	tcxEgress       = 47
	helperPush      = 18 // bpf_skb_vlan_push(skb, proto, tci)
	helperPop       = 19 // bpf_skb_vlan_pop(skb)
	skbVLANPresent  = 20 // offset in struct __sk_buff
	skbVLANTCI      = 24
	actOK           = 0
	actShot         = 2
	opMovImm        = 0xb7 // dst = imm, 64 bit
	opMovReg        = 0xbf
	opLoadWord      = 0x61 // dst = *(u32 *)(src + off)
	opAndImm        = 0x57
	opJumpEqualImm  = 0x15
	opJumpDifferImm = 0x55
	opCall          = 0x85
	opExit          = 0x95
)

// bigEndian8100 is the 802.1Q ethertype in network order on little-endian
// machines, as the helper takes it.
const bigEndian8100 = 0x0081

// pushVLAN is the egress program: tag, or drop when that fails.
func pushVLAN(id int) []insn {
	return []insn{
		{op: opMovImm, regs: 2, imm: bigEndian8100},
		{op: opMovImm, regs: 3, imm: int32(id)},
		{op: opCall, imm: helperPush},
		{op: opJumpDifferImm, regs: 0, off: 1, imm: 0},
		{op: opExit}, // r0 == 0 == actOK
		{op: opMovImm, regs: 0, imm: actShot},
		{op: opExit},
	}
}

// popVLAN is the ingress program: only frames of the VLAN pass, untagged.
func popVLAN(id int) []insn {
	return []insn{
		{op: opLoadWord, regs: 2 | 1<<4, off: skbVLANPresent},
		{op: opJumpEqualImm, regs: 2, off: 6, imm: 0},
		{op: opLoadWord, regs: 2 | 1<<4, off: skbVLANTCI},
		{op: opAndImm, regs: 2, imm: 0xfff},
		{op: opJumpDifferImm, regs: 2, off: 3, imm: int32(id)},
		{op: opCall, imm: helperPop},
		{op: opJumpDifferImm, regs: 0, off: 1, imm: 0},
		{op: opExit}, // r0 == 0 == actOK
		{op: opMovImm, regs: 0, imm: actShot},
		{op: opExit},
	}
}

// attachTCX loads prog and hangs it on the device of the calling thread's
// namespace. The device holds the program; the file can be closed.
func attachTCX(ifindex int, hook uint32, prog []insn) error {
	licence := []byte("Apache-2.0\x00")
	load := struct {
		progType, count                 uint32
		insns, licence                  uint64
		logLevel, logSize               uint32
		logBuf                          uint64
		kernVersion, flags              uint32
		name                            [16]byte
		ifindex, expectedAttach, fd, n1 uint32
	}{
		progType: progSchedCLS, count: uint32(len(prog)),
		insns:   uint64(uintptr(unsafe.Pointer(&prog[0]))),
		licence: uint64(uintptr(unsafe.Pointer(&licence[0]))),
	}
	copy(load.name[:], "lab_vlan")
	var fd uintptr
	var errno unix.Errno
	for range 10 { // the verifier gives up when a signal comes, as Go's scheduler sends
		fd, _, errno = unix.Syscall(unix.SYS_BPF, bpfProgLoad, uintptr(unsafe.Pointer(&load)), unsafe.Sizeof(load))
		if errno != unix.EAGAIN && errno != unix.EINTR {
			break
		}
	}
	runtime.KeepAlive(prog)
	runtime.KeepAlive(licence)
	if errno != 0 {
		return os.NewSyscallError("bpf load", errno)
	}
	defer unix.Close(int(fd))
	attach := struct{ target, prog, hook, flags, replace, relative, r0, r1 uint32 }{
		target: uint32(ifindex), prog: uint32(fd), hook: hook,
	}
	if _, _, errno := unix.Syscall(unix.SYS_BPF, bpfProgAttach, uintptr(unsafe.Pointer(&attach)), unsafe.Sizeof(attach)); errno != 0 {
		return os.NewSyscallError("bpf attach", errno)
	}
	return nil
}
