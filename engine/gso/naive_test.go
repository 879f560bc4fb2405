package gso_test

import (
	"fmt"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/pkt"
)

// naive is merging written the obvious way, over what gopacket decodes: which
// frames of a burst make one super-frame. It returns groups of indices, ordered
// by their first, and how many flows there were: with more than 8 a merger that
// has 8 slots may rightly join less, because naive has no limit.
func naive(frames []*pkt.Frame, udp bool) (groups [][]int, seen int) {
	type open struct {
		group  int
		last   decoded
		size   int
		total  int
		idStep int // -1: not known
	}
	flows, all := map[string]*open{}, map[string]bool{}
	for i, f := range frames {
		d := decode(f)
		groups = append(groups, []int{i})
		here := len(groups) - 1
		if !d.l4 || d.udp && !udp {
			continue
		}
		if !d.comparable {
			for k, o := range flows {
				if o.last.macs == d.macs {
					delete(flows, k)
				}
			}
			continue
		}
		all[d.flow] = true
		o := flows[d.flow]
		ok := o != nil && d.mergeable && d.same == o.last.same && len(d.payload) <= o.size &&
			o.total+len(d.payload) <= 65535-8 && len(groups[o.group]) < 128 &&
			(d.udp || d.seq == o.last.seq+uint32(len(o.last.payload)))
		step := 0
		if ok && d.v4 {
			step = int(d.id - o.last.id)
			ok = (step == 1 || step == 0 && d.df) && (o.idStep < 0 || o.idStep == step)
		}
		if ok && !o.last.valid {
			ok = false // the head is bad: d may begin anew
		} else if ok && !d.valid {
			delete(flows, d.flow)
			continue
		}
		if ok {
			groups = groups[:here]
			groups[o.group] = append(groups[o.group], i)
			o.idStep, o.total = step, o.total+len(d.payload)
			o.last = d
			if d.psh || len(d.payload) < o.size {
				delete(flows, d.flow)
			}
			continue
		}
		delete(flows, d.flow)
		if d.mergeable && !d.psh {
			flows[d.flow] = &open{group: here, last: d, size: len(d.payload), total: f.Len, idStep: -1}
		}
	}
	return groups, len(all)
}

// decoded is a frame as gopacket and the rules of merging see it.
type decoded struct {
	l4         bool   // TCP or UDP
	udp        bool   //
	comparable bool   // no options, extension headers, fragment, padding
	mergeable  bool   // payload, flags, checksum present
	valid      bool   // checksums are right
	flow       string // where it came in, MACs, addresses, ports
	macs       string
	same       string // what must be equal from segment to segment
	v4, df     bool
	id         uint16
	seq        uint32
	psh        bool
	payload    []byte
}

func decode(f *pkt.Frame) (d decoded) {
	p := gopacket.NewPacket(f.Head, layers.LayerTypeEthernet, gopacket.Default)
	d.macs = string(f.Head[:12])
	var l3len int
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		frag := ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0
		d.l4 = ip.Protocol == 6 || ip.Protocol == 17
		d.udp = ip.Protocol == 17
		d.comparable = ip.IHL == 5 && !frag
		d.v4, d.df, d.id = true, ip.Flags&layers.IPv4DontFragment != 0, ip.Id
		d.same = fmt.Sprint(ip.TOS, ip.TTL, ip.Flags)
		l3len = int(ip.Length)
		hdr := append([]byte{}, ip.Contents...)
		d.valid = naiveSum(hdr, 0) == 0xffff
	case *layers.IPv6:
		d.l4 = p.Layer(layers.LayerTypeTCP) != nil || p.Layer(layers.LayerTypeUDP) != nil
		d.udp = p.Layer(layers.LayerTypeUDP) != nil
		d.comparable = ip.NextHeader == 6 || ip.NextHeader == 17
		d.same = fmt.Sprint(ip.TrafficClass, ip.FlowLabel, ip.HopLimit)
		l3len = 40 + int(ip.Length)
		d.valid = true
	default:
		return d
	}
	off := len(p.Layer(layers.LayerTypeEthernet).LayerContents())
	if q := p.Layer(layers.LayerTypeDot1Q); q != nil {
		off += len(q.LayerContents())
	}
	if !d.l4 || !d.comparable {
		return d
	}
	d.comparable = off+l3len == f.Len
	var l4 []byte
	if t, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP); ok {
		d.seq, d.psh, d.payload = t.Seq, t.PSH, t.Payload
		d.mergeable = t.ACK && !t.FIN && !t.SYN && !t.RST && !t.URG && !t.ECE && !t.CWR && len(t.Payload) > 0
		d.same += fmt.Sprint(t.Ack, t.Window, t.Urgent, t.DataOffset, t.Contents[20:])
		l4 = append(append(l4, t.Contents...), t.Payload...)
	} else if u, ok := p.Layer(layers.LayerTypeUDP).(*layers.UDP); ok {
		d.payload = u.Payload
		d.mergeable = len(u.Payload) > 0 && u.Checksum != 0
		l4 = append(append(l4, u.Contents...), u.Payload...)
	} else {
		d.comparable = false
		return d
	}
	src, dst := p.NetworkLayer().NetworkFlow().Endpoints()
	pseudo := append(append([]byte{}, src.Raw()...), dst.Raw()...)
	proto := byte(6)
	if d.udp {
		proto = 17
	}
	pseudo = append(pseudo, 0, 0, byte(len(l4)>>8), byte(len(l4)), 0, proto)
	if naiveSum(l4, uint32(naiveSum(pseudo, 0))) != 0xffff {
		d.valid = false
	}
	d.flow = fmt.Sprint(f.VNI, f.InAC, f.VTEP, f.InPort, f.Tags, f.NumTags, f.Head[:off],
		p.NetworkLayer().NetworkFlow(), p.TransportLayer().TransportFlow(), d.udp)
	return d
}

// naiveSum is the sum of RFC 1071, word by word.
func naiveSum(b []byte, s uint32) uint16 {
	for i := 0; i < len(b); i += 2 {
		s += uint32(b[i]) << 8
		if i+1 < len(b) {
			s += uint32(b[i+1])
		}
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// traffic makes bursts of several flows with everything that a merger must
// notice. rnd returns 0 to n-1.
type traffic struct {
	rnd   func(n int) int
	flows []*spec
	calm  int // of so many frames 26 have a fault
}

func newTraffic(rnd func(n int) int, flows int) *traffic {
	g := &traffic{rnd: rnd, calm: 40 + rnd(400)}
	for i := range flows {
		s := &spec{
			flow: byte(i), v6: rnd(2) == 0, udp: rnd(3) == 0, noDF: rnd(2) == 0, window: 500,
			id: uint16(rnd(1 << 16)), seq: uint32(rnd(1<<30)) * 5, ack: uint32(rnd(1 << 30)), payload: pattern(1 + rnd(300)),
		}
		if rnd(2) == 0 {
			s.opts = timestamps(uint32(rnd(100)))
		}
		g.flows = append(g.flows, s)
	}
	return g
}

// next returns the next frame of a random flow, now and then with a fault.
func (g *traffic) next(t testing.TB) *pkt.Frame {
	fl := g.flows[g.rnd(len(g.flows))]
	c := *fl
	c.payload = append([]byte{}, fl.payload...)
	c.payload[0] = byte(g.rnd(256))
	idStep := uint16(1)
	var after func(b []byte) []byte
	stays := false
	meta := func(*pkt.Frame) {}
	switch g.rnd(g.calm) {
	case 0:
		c.flags = wireFlags[g.rnd(len(wireFlags))]
	case 1, 2:
		c.flags = 0x08
	case 3:
		c.payload = nil
	case 4:
		c.payload = c.payload[:1+g.rnd(len(c.payload))]
	case 5:
		c.payload = append(c.payload, 1)
	case 6:
		c.ttl = 63
	case 7:
		c.tos = 3
	case 8:
		fl.ack++
	case 9:
		fl.window++
	case 10:
		c.seq += 100
	case 11:
		c.ipOpts = true
	case 12:
		c.frag, c.v6 = true, false
	case 13:
		stays = true // a retransmission
	case 14, 15:
		idStep = 0
	case 16:
		idStep = 9
	case 17:
		after = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	case 18:
		after = func(b []byte) []byte { b[14+10] ^= 4; return b } // IPv4 checksum, IPv6 source
	case 19:
		after = func(b []byte) []byte { return append(b, 0) }
	case 20:
		meta = func(f *pkt.Frame) { f.VNI = 9 }
	case 21:
		meta = func(f *pkt.Frame) { f.PushTag(pkt.Tag{TPID: 0x8100, TCI: 5}) }
	case 22:
		c.opts = timestamps(3)
	case 23:
		fl.noDF = !fl.noDF
	case 24:
		c.tag = 77
	case 25:
		after = func(b []byte) []byte { b[13] = 0x99; return b } // not IP
	}
	b := c.build(t)
	if after != nil {
		b = after(b)
	}
	if !stays {
		fl.seq = c.seq + uint32(len(c.payload))
		fl.id += idStep
	}
	f := frame(b)
	meta(f)
	return f
}

var wireFlags = []byte{0x01, 0x02, 0x04, 0x20, 0x40, 0x80, 0x09}
