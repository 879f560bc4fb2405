package proxy_test

import (
	"net/netip"
	"testing"

	"github.com/ztos/ztos/engine/pkt"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/wire"
	"github.com/ztos/ztos/l2/proxy"
)

func TestRead(t *testing.T) {
	none := netip.Addr{}
	for _, tt := range []struct {
		name string
		f    *pkt.Frame
		want proxy.Word
		bad  bool
	}{
		{"ARP request", arp(t, table.Broadcast, macA, macA, 1, "10.1.0.1", "10.1.0.2"),
			proxy.Word{Sender: ip4, MAC: macA, Target: ip4b, Ask: true, Says: true}, false},
		{"ARP request to one", arp(t, macB, macA, macA, 1, "10.1.0.1", "10.1.0.2"), proxy.Word{Sender: ip4, MAC: macA, Says: true}, false},
		{"ARP probe", arp(t, table.Broadcast, macA, macA, 1, "0.0.0.0", "10.1.0.2"), proxy.Word{MAC: macA, Target: ip4b, Ask: true}, false},
		{"gratuitous ARP, request", arp(t, table.Broadcast, macA, macA, 1, "10.1.0.1", "10.1.0.1"), proxy.Word{Sender: ip4, MAC: macA, Says: true}, false},
		{"gratuitous ARP, reply", arp(t, table.Broadcast, macA, macA, 2, "10.1.0.1", "10.1.0.1"), proxy.Word{Sender: ip4, MAC: macA, Says: true}, false},
		{"ARP reply", arp(t, macB, macA, macA, 2, "10.1.0.1", "10.1.0.2"), proxy.Word{Sender: ip4, MAC: macA, Says: true}, false},
		{"ARP in another's name", arp(t, table.Broadcast, macB, macA, 1, "10.1.0.1", "10.1.0.2"), proxy.Word{}, true},
		{"RARP", arp(t, table.Broadcast, macA, macA, 3, "10.1.0.1", "10.1.0.2"), proxy.Word{}, true},
		{"ARP reply of nobody", arp(t, macB, macA, macA, 2, "0.0.0.0", "10.1.0.2"), proxy.Word{}, true},
		{"ARP of a group", arp(t, table.Broadcast, macA, macA, 1, "224.0.0.1", "10.1.0.2"), proxy.Word{}, true},
		{"ARP of all", arp(t, table.Broadcast, macA, macA, 1, "255.255.255.255", "10.1.0.2"), proxy.Word{}, true},
		{"ARP about loopback", arp(t, table.Broadcast, macA, macA, 1, "10.1.0.1", "127.0.0.1"), proxy.Word{}, true},

		{"solicitation", solicit(t, macA, macA, "fd00:1::2", "fd00:1::1"),
			proxy.Word{Sender: netip.MustParseAddr("fd00:1::2"), MAC: macA, Target: ip6, Ask: true, Hint: true}, false},
		{"solicitation without a MAC", solicit(t, macA, 0, "fd00:1::2", "fd00:1::1"),
			proxy.Word{Sender: netip.MustParseAddr("fd00:1::2"), MAC: macA, Target: ip6, Ask: true}, false},
		{"duplicate address detection", solicit(t, macA, 0, "::", "fd00:1::1"), proxy.Word{Sender: none, MAC: macA, Target: ip6, Ask: true}, false},
		{"duplicate address detection with a MAC", solicit(t, macA, macA, "::", "fd00:1::1"), proxy.Word{}, true},
		{"solicitation in another's name", solicit(t, macB, macA, "fd00:1::2", "fd00:1::1"), proxy.Word{}, true},
		{"advertisement", advert(t, macA, macA, "fd00:1::1", 0x60), proxy.Word{Sender: ip6, MAC: macA, Says: true}, false},
		{"advertisement of a router", advert(t, macA, macA, "fd00:1::1", 0xe0), proxy.Word{Sender: ip6, MAC: macA, Says: true, Router: true}, false},
		{"advertisement, not overriding", advert(t, macA, macA, "fd00:1::1", 0x40), proxy.Word{Sender: ip6, MAC: macA}, false},
		{"advertisement without a MAC", advert(t, macA, 0, "fd00:1::1", 0x60), proxy.Word{Sender: ip6, MAC: macA}, false},
		{"advertisement in another's name", advert(t, macB, macA, "fd00:1::1", 0x60), proxy.Word{}, true},
	} {
		if !proxy.IsWord(tt.f) {
			t.Errorf("%s: no word", tt.name)
			continue
		}
		if w, ok := proxy.Read(tt.f); ok == tt.bad || ok && w != tt.want {
			t.Errorf("%s: %+v, %v, want %+v, %v", tt.name, w, ok, tt.want, !tt.bad)
		}
	}
	far := solicit(t, macA, macA, "fd00:1::2", "fd00:1::1")
	wire.IPv6(far.Head[wire.EthernetLen:])[7] = 254
	if _, ok := proxy.Read(far); ok {
		t.Error("a solicitation from beyond the link is read")
	}
	for name, f := range map[string]*pkt.Frame{
		"a router solicitation": icmp6(t, table.Broadcast, macA, "fe80::1", "ff02::2", 255, 133, payload("\x00\x00\x00\x00")),
		"an echo":               icmp6(t, macB, macA, "fd00:1::2", "fd00:1::1", 255, 128, payload("\x00\x01\x00\x01")),
	} {
		if proxy.IsWord(f) {
			t.Errorf("%s is a word", name)
		}
	}
}

// FuzzRead: nothing that a host sends makes the decoder panic, or makes a reply that
// says anything but what the table has.
func FuzzRead(f *testing.F) {
	for _, s := range []*pkt.Frame{
		arp(f, table.Broadcast, macA, macA, 1, "10.1.0.1", "10.1.0.2"), arp(f, table.Broadcast, macA, macA, 1, "0.0.0.0", "10.1.0.2"),
		solicit(f, macA, macA, "fd00:1::2", "fd00:1::1"), solicit(f, macA, 0, "::", "fd00:1::1"), advert(f, macA, macA, "fd00:1::1", 0x60),
	} {
		f.Add(s.Head)
	}
	r := newRig(f, nil)
	for _, a := range []netip.Addr{ip4b, ip6} {
		r.b.Remote(proxy.Remote{VNI: vni, Addr: a, MAC: macC})
	}
	r.tick(0)
	f.Fuzz(func(t *testing.T, data []byte) {
		in := &pkt.Frame{Head: data, Len: len(data)}
		if wire.Parse(in) != 0 || !proxy.IsWord(in) {
			return
		}
		w, ok := proxy.Read(in)
		if !ok {
			return
		}
		r.d.Snoop(&w, 1, r.now)
		var dst [proxy.MaxReply]byte
		n, v := r.d.Reply(dst[:], in, &w, 1)
		if v != proxy.Answered {
			return
		}
		out := &pkt.Frame{Head: dst[:n], Len: n}
		wire.Parse(out)
		got, ok := proxy.Read(out)
		if !ok || got.Ask || !got.Says || got.Sender != w.Target || got.MAC != macC {
			t.Fatalf("%x is answered with %x, %+v", data, dst[:n], got)
		}
	})
}
