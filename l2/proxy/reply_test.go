package proxy_test

import (
	"bytes"
	"net"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2/proxy"
)

func payload(s string) gopacket.Payload { return gopacket.Payload(s) }

// reply returns the proxy's answer to f at a circuit as gopacket reads it; nil for
// none.
func (r *rig) reply(f *pkt.Frame, at table.ACID) (gopacket.Packet, proxy.Verdict) {
	r.t.Helper()
	w, ok := proxy.Read(f)
	if !ok {
		r.t.Fatal("a word is not read")
	}
	before := bytes.Clone(f.Head)
	dst := make([]byte, proxy.MaxReply)
	n, v := r.d.Reply(dst, f, &w, at)
	if !bytes.Equal(before, f.Head) {
		r.t.Error("Reply changed the question")
	}
	if n == 0 {
		return nil, v
	}
	p := gopacket.NewPacket(dst[:n], layers.LayerTypeEthernet, gopacket.Default)
	if e := p.ErrorLayer(); e != nil {
		r.t.Fatalf("the reply does not read: %v", e.Error())
	}
	return p, v
}

// TestReplyARP: RFC 9161 section 3.3 a, for IPv4.
func TestReplyARP(t *testing.T) {
	r := newRig(t, nil)
	r.b.Remote(proxy.Remote{VNI: vni, Addr: ip4b, MAC: macC})
	r.tick(0)
	for name, sender := range map[string]string{"request": "10.1.0.1", "probe": "0.0.0.0"} {
		p, v := r.reply(arp(t, table.Broadcast, macA, macA, 1, sender, "10.1.0.2"), 1)
		if v != proxy.Answered || p == nil {
			t.Fatalf("%s: %v", name, v)
		}
		e, a := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet), p.Layer(layers.LayerTypeARP).(*layers.ARP)
		if !bytes.Equal(e.SrcMAC, hw(macC)) || !bytes.Equal(e.DstMAC, hw(macA)) {
			t.Errorf("%s: from %v to %v", name, e.SrcMAC, e.DstMAC)
		}
		if a.Operation != 2 || !bytes.Equal(a.SourceHwAddress, hw(macC)) || net.IP(a.SourceProtAddress).String() != "10.1.0.2" ||
			!bytes.Equal(a.DstHwAddress, hw(macA)) || net.IP(a.DstProtAddress).String() != sender {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if n := r.d.Count.Answered.Load(); n != 2 {
		t.Errorf("%d answers are counted", n)
	}
}

// TestReplyND: the same for IPv6, with the flags of section 3.3 d.
func TestReplyND(t *testing.T) {
	for _, router := range []bool{false, true} {
		r := newRig(t, nil)
		r.b.Remote(proxy.Remote{VNI: vni, Addr: ip6, MAC: macC, Router: router})
		r.tick(0)
		for _, tt := range []struct {
			name, from, to string
			toMAC          table.MAC
			flags          uint8
		}{
			{"solicitation", "fd00:1::2", "fd00:1::2", macA, 0x60},
			{"duplicate address detection", "::", "ff02::1", 0x333300000001, 0x20},
		} {
			mac := macA
			if tt.from == "::" {
				mac = 0
			}
			p, v := r.reply(solicit(t, macA, mac, tt.from, "fd00:1::1"), 1)
			if v != proxy.Answered || p == nil {
				t.Fatalf("%s: %v", tt.name, v)
			}
			e, ip := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet), p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
			a := p.Layer(layers.LayerTypeICMPv6NeighborAdvertisement).(*layers.ICMPv6NeighborAdvertisement)
			if !bytes.Equal(e.SrcMAC, hw(macC)) || !bytes.Equal(e.DstMAC, hw(tt.toMAC)) {
				t.Errorf("%s: from %v to %v", tt.name, e.SrcMAC, e.DstMAC)
			}
			want := tt.flags
			if router {
				want |= 0x80
			}
			if ip.SrcIP.String() != "fd00:1::1" || ip.DstIP.String() != tt.to || ip.HopLimit != 255 || a.Flags != want ||
				a.TargetAddress.String() != "fd00:1::1" || len(a.Options) != 1 || !bytes.Equal(a.Options[0].Data, hw(macC)) {
				t.Errorf("%s: %+v, %+v", tt.name, ip, a)
			}
		}
	}
}

// TestNoReply: what is not answered, and what becomes of it.
func TestNoReply(t *testing.T) {
	r := newRig(t, nil)
	r.hear(r.garp(macA, ip4), 1)
	r.b.Remote(proxy.Remote{VNI: vni, Addr: ip4b, MAC: macC})
	r.tick(0)
	for _, tt := range []struct {
		name string
		f    *pkt.Frame
		at   table.ACID
	}{
		{"an unknown address", arp(t, table.Broadcast, macA, macA, 1, "10.1.0.1", "10.1.0.9"), 1},
		{"the asker's own address", arp(t, table.Broadcast, macC, macC, 1, "0.0.0.0", "10.1.0.2"), 2},
		{"a neighbour at the same circuit", arp(t, table.Broadcast, macB, macB, 1, "10.1.0.3", "10.1.0.1"), 1},
		{"an announcement", r.garp(macB, ip4b), 2},
		{"a question to one", arp(t, macC, macA, macA, 1, "10.1.0.1", "10.1.0.2"), 1},
		{"an answer", arp(t, table.Broadcast, macA, macA, 2, "10.1.0.1", "10.1.0.2"), 1},
		{"an advertisement", advert(t, macA, macA, "fd00:1::1", 0x60), 1},
	} {
		if p, v := r.reply(tt.f, tt.at); p != nil || v != proxy.Pass {
			t.Errorf("%s: %v, %v", tt.name, v, p)
		}
	}
	if p, v := r.reply(arp(t, table.Broadcast, macB, macB, 1, "10.1.0.3", "10.1.0.1"), 2); p == nil || v != proxy.Answered {
		t.Errorf("a question about a host at another circuit: %v", v)
	}
	if f, a := r.d.Count.Flooded.Load(), r.d.Count.Answered.Load(); f != 1 || a != 1 {
		t.Errorf("%d unknown, %d answered", f, a)
	}
	r.cfg.Drop = true
	r.configure()
	if p, v := r.reply(arp(t, table.Broadcast, macA, macA, 1, "10.1.0.1", "10.1.0.9"), 1); p != nil || v != proxy.Drop || r.d.Count.Dropped.Load() != 1 {
		t.Errorf("an unknown address, to be dropped: %v", v)
	}
	if p, v := r.reply(arp(t, table.Broadcast, macA, macA, 1, "10.1.0.1", "10.1.0.2"), 1); p == nil || v != proxy.Answered {
		t.Errorf("a known address, the unknown to be dropped: %v", v)
	}
}

// TestAsk: what hosts are asked by, and that the answers are read.
func TestAsk(t *testing.T) {
	r := newRig(t, nil)
	dst := make([]byte, proxy.MaxReply)
	p := gopacket.NewPacket(dst[:r.d.Ask(dst, ip4, macA)], layers.LayerTypeEthernet, gopacket.Default)
	e, a := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet), p.Layer(layers.LayerTypeARP).(*layers.ARP)
	if !bytes.Equal(e.DstMAC, hw(macA)) || !bytes.Equal(e.SrcMAC, hw(selfMAC)) || a.Operation != 1 ||
		!bytes.Equal(a.SourceHwAddress, hw(selfMAC)) || net.IP(a.SourceProtAddress).String() != "0.0.0.0" || net.IP(a.DstProtAddress).String() != ip4.String() {
		t.Errorf("%+v %+v", e, a)
	}
	p = gopacket.NewPacket(dst[:r.d.Ask(dst, ip6, macA)], layers.LayerTypeEthernet, gopacket.Default)
	e, ip := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet), p.Layer(layers.LayerTypeIPv6).(*layers.IPv6)
	s := p.Layer(layers.LayerTypeICMPv6NeighborSolicitation).(*layers.ICMPv6NeighborSolicitation)
	if !bytes.Equal(e.DstMAC, hw(macA)) || !bytes.Equal(e.SrcMAC, hw(selfMAC)) || ip.SrcIP.String() != linkLocal.String() ||
		ip.DstIP.String() != "ff02::1:ff00:1" || s.TargetAddress.String() != ip6.String() || len(s.Options) != 1 || !bytes.Equal(s.Options[0].Data, hw(selfMAC)) {
		t.Errorf("%+v %+v %+v", e, ip, s)
	}
}

// TestNoAllocs: a worker's part, whatever becomes of the word.
func TestNoAllocs(t *testing.T) {
	r := newRig(t, nil)
	r.hear(r.garp(macA, ip4), 1)
	r.b.Remote(proxy.Remote{VNI: vni, Addr: ip4b, MAC: macC})
	r.b.Remote(proxy.Remote{VNI: vni, Addr: ip6, MAC: macC})
	r.tick(0)
	frames := []*pkt.Frame{
		arp(t, table.Broadcast, macA, macA, 1, "10.1.0.1", "10.1.0.2"), arp(t, table.Broadcast, macB, macB, 1, "10.1.0.3", "10.1.0.9"),
		solicit(t, macA, macA, "fd00:1::2", "fd00:1::1"), solicit(t, macA, 0, "::", "fd00:1::1"), advert(t, macB, macB, "fd00:1::7", 0x60),
	}
	dst := make([]byte, proxy.MaxReply)
	answered := 0
	allocs := testing.AllocsPerRun(100, func() {
		for _, f := range frames {
			r.now += second
			if w, ok := proxy.Read(f); ok && proxy.IsWord(f) {
				r.d.Snoop(&w, 1, r.now)
				if _, v := r.d.Reply(dst, f, &w, 1); v == proxy.Answered {
					answered++
				}
			}
		}
	})
	if allocs != 0 || answered != 3*101 {
		t.Errorf("%v allocations, %d answers", allocs, answered)
	}
}
