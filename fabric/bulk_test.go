package fabric_test

import (
	"bytes"
	"testing"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/trace"
	"github.com/ztos/ztos/engine/underlay"
)

// copies returns the frames in VXLAN that a node got while f ran, as they came:
// protected.
func (n *node) copies(f func()) (out [][]byte) {
	w := n.tap.Capture([]trace.Stage{trace.VXLANDecap}, trace.Filter{}, 1<<16, 1000)
	f()
	w.Stop()
	for r := range w.C {
		out = append(out, r.Data)
	}
	return out
}

// A flooded super-frame is cut and protected once, whatever the number of VTEPs:
// it takes one packet number, and so one call of the cipher, for each segment,
// and all VTEPs get the same bytes.
func TestFloodIsProtectedOnce(t *testing.T) {
	for _, kind := range []flowKind{tcpSuper, udpSmall, udpSuper} {
		for _, o := range []option{{}, {hidden: true}} {
			b := newBed(t, o)
			f := &flow{from: 1, to: 2, vni: red, kind: kind} // nobody knows the host: unknown unicast
			frame, off, segs := f.frame()
			sa := b.nodes["leaf1"].secys[red].InUse()
			pn, pkts := sa.NextPN(), sa.OutPkts()
			var at2 [][]byte
			at3 := b.nodes["leaf3"].copies(func() {
				at2 = b.nodes["leaf2"].copies(func() { b.inject("leaf1", red, frame, off) })
			})
			if n := sa.NextPN() - pn; n != uint64(segs) {
				t.Errorf("kind %d: %d segments for two VTEPs took %d packet numbers", kind, segs, n)
			}
			if n := sa.OutPkts() - pkts; n != uint64(segs) {
				t.Errorf("kind %d: %d segments for two VTEPs were protected %d times", kind, segs, n)
			}
			if len(at2) != segs || len(at3) != segs {
				t.Fatalf("kind %d: leaf2 got %d frames, leaf3 %d, want %d each", kind, len(at2), len(at3), segs)
			}
			for i := range at2 {
				if !bytes.Equal(at2[i], at3[i]) {
					t.Errorf("kind %d: segment %d is not the same for both VTEPs", kind, i)
				}
			}
			for _, leaf := range []string{"leaf2", "leaf3"} {
				f.due = 0
				for _, s := range b.nodes[leaf].ports[red].Sent() {
					if _, err := f.arrived(s); err != nil {
						t.Error(err)
					}
				}
				if f.due != f.next {
					t.Errorf("kind %d: %s got up to %d of %d", kind, leaf, f.due, f.next)
				}
			}
			b.noDrops()
		}
	}
}

// counted counts the groups that leave by a sender.
type counted struct {
	underlay.Sender
	groups, datagrams int
}

func (c *counted) Push(dst *underlay.Endpoint, path int, data []byte, seg int) {
	c.groups++
	c.datagrams += (len(data) + seg - 1) / seg
	c.Sender.Push(dst, path, data, seg)
}

// A flooded super-frame leaves by one group for each VTEP's peer, not by one for
// each copy.
func TestFloodLeavesInGroups(t *testing.T) {
	f := &flow{from: 1, to: 2, vni: red, kind: tcpSuper}
	frame, off, segs := f.frame()
	frame[0] |= 1 // multicast
	s := newSteady(t, []injection{{frame, off}})
	c := &counted{Sender: s.first}
	s.leaf1 = s.leafIn(c)
	s.burst()
	// The last segment of each copy is shorter and ends its group.
	if c.datagrams != 2*segs || c.groups != 2 {
		t.Errorf("%d segments for two VTEPs left as %d datagrams in %d groups, want %d in 2", segs, c.datagrams, c.groups, 2*segs)
	}
}

// Equal datagrams of one flow leave as one super-frame where ports take that, and
// as they came where not; shorter and longer ones keep their place.
func TestDatagramsAreCoalesced(t *testing.T) {
	for _, merge := range []bool{true, false} {
		b := newBed(t, option{})
		b.introduce()
		l2 := b.nodes["leaf2"]
		l2.parts.MergeUDP = merge
		l2.publish()
		flows := []*flow{{id: 1, from: 1, to: 2, vni: red, kind: udpFull}, {id: 2, from: 1, to: 2, vni: red, kind: udpSmall}}
		for range 12 {
			for _, f := range flows {
				frame, off, _ := f.frame()
				if !b.nodes["leaf1"].ports[red].Inject(0, frame, off) {
					t.Fatal("the port refused a frame")
				}
			}
		}
		b.settle()
		sent := l2.ports[red].Sent()
		for _, s := range sent {
			id, _ := flowOf(s.Frame)
			n, err := flows[id-1].arrived(s)
			if err != nil {
				t.Error(err)
			}
			if want := s.Offload.GSOType == pkt.GSOUDP; merge != want || n > 1 && !want {
				t.Errorf("merge %v: %d datagrams with offload %+v", merge, n, s.Offload)
			}
		}
		if want := map[bool]int{true: 2, false: 24}[merge]; len(sent) != want {
			t.Errorf("merge %v: 24 datagrams of 2 flows left as %d frames, want %d", merge, len(sent), want)
		}
		for _, f := range flows {
			if f.due != f.next {
				t.Errorf("merge %v: flow %d: %d datagrams of %d", merge, f.id, f.due, f.next)
			}
		}
		b.noDrops()
	}
}
