package afxdp

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Filter makes a port take UDP datagrams to some of the machine's ports and
// addresses, and leave every other frame to the kernel. Taken is what such a
// datagram looks like from a sender that makes no fuss: Ethernet without a tag,
// IPv4 without options and not a fragment, or IPv6 without extension headers.
// The kernel gets the others, puts fragments together, and hands them to whoever
// has the socket.
//
// With a Filter the port is not promiscuous, and asks the kernel for no tags and
// no checksums: a datagram's checksum may be unfinished.
type Filter struct {
	Ports []uint16 // UDP destination ports, host order, 1 to maxFilterPorts
}

// maxFilterPorts bounds the comparisons of each frame.
const maxFilterPorts = 64

// maxFilterAddrs is how many addresses a filter holds; a machine's further ones
// are left to the kernel.
const maxFilterAddrs = 4096

// addrKey is an address as the program looks it up: IPv4 as a mapped one.
type addrKey [16]byte

// newFilter loads the program that sends the frames which f takes to the socket of
// their queue, if there is one and the address is in addrs, and everything else
// to the kernel.
func newFilter(f *Filter, sockets, addrs *ebpf.Map) (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "ztos_underlay", Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "Apache-2.0",
		Instructions: filterInstructions(f, sockets.FD(), addrs.FD()),
	})
	if err != nil {
		return nil, fmt.Errorf("load the program: %w", err)
	}
	return p, nil
}

// Offsets of what the program looks at, bytes from the destination MAC.
const (
	mdDataEnd = 4 // in struct xdp_md

	atType  = 12
	atIP    = etherLen
	at4Frag = atIP + 6
	at4Prot = atIP + 9
	at4Dst  = atIP + 16
	at4Port = atIP + 20 + 2
	end4    = atIP + 20 + 8
	at6Next = atIP + 6
	at6Dst  = atIP + 24
	at6Port = atIP + 40 + 2
	end6    = atIP + 40 + 8

	protoUDP = 17
	xdpPass  = 2
	keyAt    = -16 // on the program's stack
)

// network returns v as a 16-bit load of the two bytes on the wire sees it.
func network(v uint16) int32 {
	return int32(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v)))
}

func filterInstructions(f *Filter, sockets, addrs int) asm.Instructions {
	ins := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadMem(asm.R2, asm.R6, mdData, asm.Word),
		asm.LoadMem(asm.R3, asm.R6, mdDataEnd, asm.Word),
		asm.Mov.Reg(asm.R4, asm.R2), asm.Add.Imm(asm.R4, end4),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R5, asm.R2, atType, asm.Half),
		asm.JEq.Imm(asm.R5, network(0x86dd), "six"),
		asm.JNE.Imm(asm.R5, network(0x0800), "pass"),

		asm.LoadMem(asm.R5, asm.R2, atIP, asm.Byte),
		asm.JNE.Imm(asm.R5, 0x45, "pass"), // no options
		asm.LoadMem(asm.R5, asm.R2, at4Frag, asm.Half),
		asm.And.Imm(asm.R5, network(0x3fff)), // more to come, or not the first
		asm.JNE.Imm(asm.R5, 0, "pass"),
		asm.LoadMem(asm.R5, asm.R2, at4Prot, asm.Byte),
		asm.JNE.Imm(asm.R5, protoUDP, "pass"),
		asm.LoadMem(asm.R7, asm.R2, at4Port, asm.Half),
		asm.Mov.Imm(asm.R5, 0),
		asm.StoreMem(asm.RFP, keyAt, asm.R5, asm.DWord),
		asm.StoreImm(asm.RFP, keyAt+8, int64(network(0)), asm.Half),
		asm.StoreImm(asm.RFP, keyAt+10, 0xffff, asm.Half),
		asm.LoadMem(asm.R5, asm.R2, at4Dst, asm.Word),
		asm.StoreMem(asm.RFP, keyAt+12, asm.R5, asm.Word),
		asm.Ja.Label("port"),

		asm.Mov.Reg(asm.R4, asm.R2).WithSymbol("six"), asm.Add.Imm(asm.R4, end6),
		asm.JGT.Reg(asm.R4, asm.R3, "pass"),
		asm.LoadMem(asm.R5, asm.R2, at6Next, asm.Byte),
		asm.JNE.Imm(asm.R5, protoUDP, "pass"),
		asm.LoadMem(asm.R7, asm.R2, at6Port, asm.Half),
		asm.LoadMem(asm.R5, asm.R2, at6Dst, asm.DWord),
		asm.StoreMem(asm.RFP, keyAt, asm.R5, asm.DWord),
		asm.LoadMem(asm.R5, asm.R2, at6Dst+8, asm.DWord),
		asm.StoreMem(asm.RFP, keyAt+8, asm.R5, asm.DWord),
	}
	for i, port := range f.Ports {
		j := asm.JEq.Imm(asm.R7, network(port), "ours")
		if i == 0 {
			j = j.WithSymbol("port")
		}
		ins = append(ins, j)
	}
	return append(ins,
		asm.Ja.Label("pass"),
		asm.LoadMapPtr(asm.R1, addrs).WithSymbol("ours"),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, keyAt),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.LoadMem(asm.R2, asm.R6, mdRxQueue, asm.Word),
		asm.LoadMapPtr(asm.R1, sockets),
		asm.Mov.Imm(asm.R3, xdpPass),
		asm.FnRedirectMap.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"),
		asm.Return())
}

// newAddrs returns the map of a filter's addresses.
func newAddrs() (*ebpf.Map, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "ztos_addrs", Type: ebpf.Hash, KeySize: 16, ValueSize: 1, MaxEntries: maxFilterAddrs,
	})
	if err != nil {
		return nil, fmt.Errorf("address map: %w", err)
	}
	return m, nil
}

// SetAddrs makes addrs the addresses whose datagrams a port with a Filter takes;
// at first it has none. A device without a program gets them when it has one.
func (p *Port) SetAddrs(addrs []netip.Addr) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addrs = slices.Clone(addrs[:min(len(addrs), maxFilterAddrs)])
	return p.putAddrsLocked()
}

// putAddrsLocked brings the program's map to p.addrs.
func (p *Port) putAddrsLocked() error {
	if p.bound == nil || p.bound.addrs == nil {
		return nil
	}
	want := make(map[addrKey]bool, len(p.addrs))
	for _, a := range p.addrs {
		want[a.As16()] = true
	}
	var k addrKey
	var v uint8
	var gone []addrKey
	m := p.bound.addrs
	it := m.Iterate()
	for it.Next(&k, &v) {
		if want[k] {
			delete(want, k)
		} else {
			gone = append(gone, k)
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("afxdp: %s: addresses: %w", p.cfg.Name, err)
	}
	for _, k := range gone {
		if err := m.Delete(&k); err != nil {
			return fmt.Errorf("afxdp: %s: addresses: %w", p.cfg.Name, err)
		}
	}
	for k := range want {
		if err := m.Put(&k, uint8(1)); err != nil {
			return fmt.Errorf("afxdp: %s: addresses: %w", p.cfg.Name, err)
		}
	}
	return nil
}
