package afpacket_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/port/afpacket"
)

// tagged returns f with 802.1Q tags of the given VIDs in its bytes, the first
// outermost.
func tagged(f *pkt.Frame, vids ...uint16) *pkt.Frame {
	for i := len(vids) - 1; i >= 0; i-- {
		b := append([]byte{}, f.Head[:12]...)
		b = binary.BigEndian.AppendUint16(b, 0x8100)
		b = binary.BigEndian.AppendUint16(b, vids[i])
		f.Head = append(b, f.Head[12:]...)
		f.Offload.CsumStart += 4
	}
	f.Len = len(f.Head)
	return f
}

// fragment makes f a fragment of its datagram: offset in units of 8 bytes.
func fragment(f *pkt.Frame, id uint16, offset int, more bool) *pkt.Frame {
	word := uint16(offset)
	if more {
		word |= 0x2000
	}
	binary.BigEndian.PutUint16(f.Head[18:], id)
	binary.BigEndian.PutUint16(f.Head[20:], word)
	f.Offload = pkt.Offload{}
	return f
}

// udp6 returns a UDP datagram over IPv6 with a flow label.
func udp6(src uint16, label uint32) *pkt.Frame {
	b := make([]byte, 14+40+8+64)
	copy(b, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd})
	binary.BigEndian.PutUint32(b[14:], 6<<28|label)
	binary.BigEndian.PutUint16(b[18:], 72)
	b[20], b[21] = 17, 64
	b[22], b[37], b[38], b[53] = 0xfd, 1, 0xfd, 2
	binary.BigEndian.PutUint16(b[54:], src)
	binary.BigEndian.PutUint16(b[56:], 9)
	binary.BigEndian.PutUint16(b[58:], 72)
	f := new(pkt.Frame)
	f.Reset(b)
	return f
}

// other returns a frame that is not IP.
func other(etherType uint16, host byte) *pkt.Frame {
	b := make([]byte, 64)
	copy(b, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, host})
	binary.BigEndian.PutUint16(b[12:], etherType)
	f := new(pkt.Frame)
	f.Reset(b)
	return f
}

// TestFanoutKeepsFlows: whatever a frame looks like, all frames of its flow
// arrive at one queue; and flows spread over the queues wherever the kernel can
// tell them apart: with tags and over IPv6 too.
func TestFanoutKeepsFlows(t *testing.T) {
	t.Parallel()
	const queues, flows = 4, 64
	for _, tt := range []struct {
		name   string
		frames func(flow int) []*pkt.Frame
		spread bool
	}{
		{"VLAN", func(i int) []*pkt.Frame {
			return []*pkt.Frame{tagged(udp(uint16(1000+i), 64, 0), 100), tagged(udp(uint16(1000+i), 300, 0), 100)}
		}, true},
		{"QinQ", func(i int) []*pkt.Frame {
			return []*pkt.Frame{tagged(udp(uint16(1000+i), 64, 0), 100, 7), tagged(udp(uint16(1000+i), 300, 0), 100, 7)}
		}, true},
		{"IPv6", func(i int) []*pkt.Frame {
			return []*pkt.Frame{udp6(uint16(1000+i), 0), udp6(uint16(1000+i), 0)}
		}, true},
		{"IPv6 with flow labels", func(i int) []*pkt.Frame {
			return []*pkt.Frame{udp6(uint16(1000+i), uint32(0x1234+i)), udp6(uint16(1000+i), uint32(0x1234+i))}
		}, true},
		{"super-frames and single ones", func(i int) []*pkt.Frame {
			return []*pkt.Frame{udp(uint16(1000+i), 3000, 1000), udp(uint16(1000+i), 64, 0)}
		}, true},
		// Only the first has ports; by addresses all of them stay together.
		{"fragments", func(i int) []*pkt.Frame {
			return []*pkt.Frame{
				fragment(udp(uint16(1000+i), 64, 0), uint16(i), 0, true),
				fragment(udp(uint16(i*977), 64, 0), uint16(i), 9, true),
				fragment(udp(uint16(i*31), 64, 0), uint16(i), 18, false),
			}
		}, false},
		{"ARP", func(i int) []*pkt.Frame { return []*pkt.Frame{other(0x0806, byte(i)), other(0x0806, byte(i))} }, false},
		{"unknown EtherType", func(i int) []*pkt.Frame {
			return []*pkt.Frame{other(0x88b5, byte(i)), other(0x88b5, byte(i))}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, b, _, _ := pair(t, afpacket.Config{Queues: queues})
			tx := newTx(t, a)
			total := 0
			for i := range flows {
				for _, f := range tt.frames(i) {
					// The flow's number travels in the last bytes.
					copy(f.Head[len(f.Head)-4:], fmt.Sprintf("%04d", i))
					tx.Push(f)
					total++
				}
			}
			if _, refused := tx.Flush(); refused != 0 {
				t.Fatalf("%d frames refused: %v", refused, tx.Refusal())
			}
			queueOf, used, got := map[string]int{}, map[int]int{}, 0
			v := pkt.NewVector(32)
			for q := range queues {
				for b.Rx(q).Recv(v) == nil {
					for _, f := range v.Used() {
						flow := string(f.Head[len(f.Head)-4:])
						if old, ok := queueOf[flow]; ok && old != q {
							t.Errorf("flow %s at queues %d and %d", flow, old, q)
						}
						queueOf[flow] = q
						used[q]++
						got++
					}
				}
			}
			if got != total {
				t.Errorf("%d frames of %d arrived", got, total)
			}
			if tt.spread && len(used) != queues {
				t.Errorf("frames by queue %v: not all of %d are used", used, queues)
			}
			t.Logf("frames by queue: %v", used)
		})
	}
}
