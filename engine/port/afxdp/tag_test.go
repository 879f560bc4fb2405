package afxdp_test

import (
	"bytes"
	"math/bits"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port/afxdp"
	"github.com/ztos/ztos/engine/port/netdev"
	"github.com/ztos/ztos/engine/port/nstest"
)

// pushBeside makes the device put a tag on everything that it sends, in the
// socket buffer beside the bytes, as a VLAN device on it does.
func pushBeside(t *testing.T, ns *nstest.NS, device string, tag pkt.Tag) error {
	t.Helper()
	dev, err := nsDevice(ns, device)
	if err != nil {
		return err
	}
	defer dev.Close()
	index, err := dev.Index()
	if err != nil {
		return err
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "Dual MIT/GPL",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R2, int32(bits.ReverseBytes16(tag.TPID))),
			asm.Mov.Imm(asm.R3, int32(tag.TCI)),
			asm.FnSkbVlanPush.Call(),
			asm.Mov.Imm(asm.R0, -1), // TCX_NEXT
			asm.Return(),
		},
	})
	if err != nil {
		return err
	}
	defer prog.Close()
	var l link.Link
	ns.Do(func() {
		l, err = link.AttachTCX(link.TCXOptions{Interface: index, Program: prog, Attach: ebpf.AttachTCXEgress})
	})
	if err != nil {
		return err
	}
	t.Cleanup(func() { l.Close() })
	return nil
}

func nsDevice(ns *nstest.NS, name string) (dev *netdev.Device, err error) {
	ns.Do(func() { dev, err = netdev.Open(name) })
	return dev, err
}

// TestTagBeside: a tag that is in no byte of the frame is not lost, with and
// without an unfinished checksum, and with a second tag in the bytes.
func TestTagBeside(t *testing.T) {
	for _, outer := range []pkt.Tag{tag(0x8100, 0xa123), tag(0x88a8, 100), tag(0x8100, 0)} {
		a, b, nsA, _ := pair(t, afxdp.Config{})
		tx := newTx(t, a)
		v := pkt.NewVector(4)
		send(t, tx, udp(1, 100))
		recv(t, b.Rx(0), v)
		if f := &v.Frames[0]; f.NumTags != 0 {
			t.Fatalf("untagged: tags %v", f.Tags[:f.NumTags])
		}
		if err := pushBeside(t, nsA, "a", outer); err != nil {
			t.Fatal(err)
		}
		done := new(pkt.Frame)
		done.Reset(complete(t, udp(1, 1472)))
		inner := udp(2, 100)
		inner.Head = inBytes(inner.Head, tag(0x8100, 6))
		inner.Len += 4
		inner.Offload.CsumStart += 4
		for i, f := range []*pkt.Frame{done, udp(1, 100), inner} {
			send(t, tx, f)
			recv(t, b.Rx(0), v)
			g := &v.Frames[0]
			if g.NumTags != 1 || g.Tags[0] != outer || !bytes.Equal(g.Head, f.Head) || g.Offload != f.Offload {
				t.Errorf("frame %d: tags %v, offload %+v, %x\nwant %v, %+v, %x", i,
					g.Tags[:g.NumTags], g.Offload, g.Head[:30], outer, f.Offload, f.Head[:30])
			}
		}
	}
}

// TestGenericIsBlind: why the generic hook is not taken on devices made of
// software: a tag beside the bytes is lost, and a checksum left undone arrives
// as if it were one.
func TestGenericIsBlind(t *testing.T) {
	a, b, nsA, _ := pair(t, afxdp.Config{Attach: afxdp.Generic})
	if err := pushBeside(t, nsA, "a", tag(0x8100, 7)); err != nil {
		t.Fatal(err)
	}
	v := pkt.NewVector(4)
	send(t, newTx(t, a), udp(1, 100))
	recv(t, b.Rx(0), v)
	g := &v.Frames[0]
	if g.NumTags != 0 || g.Head[12] == 0x81 || g.Offload.NeedsCsum || right(g.Head) {
		t.Errorf("the hook has learned to see: tags %v, offload %+v, %x", g.Tags[:g.NumTags], g.Offload, g.Head[:40])
	}
}
