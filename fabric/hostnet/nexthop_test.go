package hostnet_test

import (
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ztos/ztos/engine/port/nstest"
	"github.com/ztos/ztos/engine/underlay/xdp"
	"github.com/ztos/ztos/fabric/hostnet"
)

func resolver(t *testing.T, ns *nstest.NS) *hostnet.Resolver {
	t.Helper()
	var r *hostnet.Resolver
	var err error
	ns.Do(func() { r, err = hostnet.NewResolver() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

func addrs(ss ...string) (out []netip.Addr) {
	for _, s := range ss {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

// TestNextHops: routes, gateways, source addresses, devices that are ours and
// those that are not, and what is left out.
func TestNextHops(t *testing.T) {
	ns, far := nstest.New(t), nstest.New(t)
	nstest.Veth(t, ns, "one", far, "far1")
	nstest.Veth(t, ns, "two", far, "far2")
	nstest.Veth(t, ns, "other", far, "far3")
	for i, dev := range []string{"one", "two", "other"} {
		ns.IP(fmt.Sprintf("addr add 192.0.%d.1/24 dev %s", i, dev))
		ns.Set("ipv6/conf/"+dev+"/accept_dad", "0")
		ns.Set("ipv6/conf/"+dev+"/disable_ipv6", "0")
		ns.IP(fmt.Sprintf("addr add 2001:db8:%d::1/64 dev %s nodad", i, dev))
		for _, to := range []string{fmt.Sprintf("192.0.%d.2", i), fmt.Sprintf("2001:db8:%d::2", i), "fe80::9"} {
			ns.IP(fmt.Sprintf("neigh replace %s lladdr 02:00:00:00:00:%02x dev %s nud permanent", to, 0x10+i, dev))
		}
	}
	ns.IP("addr add 198.51.100.7/32 dev lo")
	ns.IP("route add 203.0.113.0/24 via 192.0.1.2")
	ns.IP("route add 203.0.113.9/32 dev one via 192.0.0.2 src 198.51.100.7")
	ns.IP("route add 2001:db8:ff::/48 via fe80::9 dev two")
	ns.IP("route add blackhole 203.0.113.66/32")
	r := resolver(t, ns)

	mac := func(n byte) [6]byte { return [6]byte{2, 0, 0, 0, 0, n} }
	hop := func(dst, src string, dev int, m byte) xdp.Hop {
		return xdp.Hop{Dst: netip.MustParseAddr(dst), Src: netip.MustParseAddr(src), Device: dev, MAC: mac(m)}
	}
	devices := []string{"two", "gone", "one"}
	all := addrs("192.0.0.2", "::ffff:192.0.0.2", "192.0.1.2", "192.0.2.2", "203.0.113.5", "203.0.113.9", "203.0.113.66",
		"2001:db8:0::2", "2001:db8:ff::1", "8.8.8.8", "127.0.0.1", "192.0.0.1", "fe80::9%one")
	for _, tt := range []struct {
		name string
		src  netip.Addr
		want []xdp.Hop
	}{
		{"any", netip.IPv6Unspecified(), []xdp.Hop{
			hop("192.0.0.2", "192.0.0.1", 2, 0x10), hop("192.0.1.2", "192.0.1.1", 0, 0x11), hop("203.0.113.5", "192.0.1.1", 0, 0x11),
			hop("203.0.113.9", "198.51.100.7", 2, 0x10), hop("2001:db8:0::2", "2001:db8:0::1", 2, 0x10),
			hop("2001:db8:ff::1", "2001:db8:1::1", 0, 0x11),
		}},
		{"one IPv4 address", netip.MustParseAddr("198.51.100.7"), []xdp.Hop{
			hop("192.0.0.2", "198.51.100.7", 2, 0x10), hop("192.0.1.2", "198.51.100.7", 0, 0x11), hop("203.0.113.5", "198.51.100.7", 0, 0x11),
			hop("203.0.113.9", "198.51.100.7", 2, 0x10),
		}},
		{"one IPv6 address", netip.MustParseAddr("2001:db8:1::1"), []xdp.Hop{
			hop("2001:db8:0::2", "2001:db8:1::1", 2, 0x10), hop("2001:db8:ff::1", "2001:db8:1::1", 0, 0x11),
		}},
	} {
		got, err := r.Hops(devices, tt.src, all)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s:\n%+v, want\n%+v", tt.name, got, tt.want)
		}
	}
	if got, err := r.Hops(nil, netip.Addr{}, all); len(got) != 0 || err != nil {
		t.Errorf("without devices: %v, %v", got, err)
	}
	got, err := r.Addrs(netip.IPv6Unspecified())
	slices.SortFunc(got, netip.Addr.Compare)
	want := addrs("192.0.0.1", "192.0.1.1", "192.0.2.1", "198.51.100.7", "2001:db8::1", "2001:db8:1::1", "2001:db8:2::1")
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("addresses %v, %v, want %v", got, err, want)
	}
	for only, want := range map[string]int{"192.0.1.1": 1, "192.0.1.9": 0, "127.0.0.1": 0} {
		if got, err := r.Addrs(netip.MustParseAddr(only)); len(got) != want || err != nil {
			t.Errorf("only %s: %v, %v", only, got, err)
		}
	}
}

// TestNeighbourFollows: a next hop that nobody sends to through the kernel is
// found all the same, followed when its MAC address changes without a word, and
// given up when it is gone.
func TestNeighbourFollows(t *testing.T) {
	ns, far := nstest.New(t), nstest.New(t)
	nstest.Veth(t, ns, "one", far, "far1")
	ns.IP("addr add 192.0.2.1/24 dev one")
	far.IP("addr add 192.0.2.2/24 dev far1")
	for name, v := range map[string]string{ // in a moment what takes the kernel half a minute
		"base_reachable_time_ms": "200", "delay_first_probe_time": "0", "retrans_time_ms": "100", "ucast_solicit": "1", "mcast_solicit": "2",
	} {
		ns.Set("ipv4/neigh/one/"+name, v)
	}
	far.Set("ipv4/conf/far1/arp_notify", "0")
	r := resolver(t, ns)
	dst := addrs("192.0.2.2")
	until := func(what string, ok func([]xdp.Hop) bool) {
		t.Helper()
		var got []xdp.Hop
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			var err error
			if got, err = r.Hops([]string{"one"}, netip.Addr{}, dst); err != nil {
				t.Fatal(err)
			}
			if ok(got) {
				return
			}
		}
		out, _ := ns.Try("neigh show")
		t.Fatalf("%s: %+v; %s", what, got, out)
	}
	has := func(mac string) func([]xdp.Hop) bool {
		hw, err := net.ParseMAC(mac)
		if err != nil {
			t.Fatal(err)
		}
		return func(h []xdp.Hop) bool { return len(h) == 1 && h[0].MAC == [6]byte(hw) }
	}
	far.IP("link set dev far1 address 02:00:00:00:00:aa")
	until("first", has("02:00:00:00:00:aa"))
	far.IP("link set dev far1 address 02:00:00:00:00:bb")
	until("another MAC address", has("02:00:00:00:00:bb"))
	far.IP("addr del 192.0.2.2/24 dev far1")
	until("gone", func(h []xdp.Hop) bool { return len(h) == 0 })
	far.IP("addr add 192.0.2.2/24 dev far1")
	until("back", has("02:00:00:00:00:bb"))
}

// TestManyDestinations: routes of many destinations are followed some calls later,
// neighbours at once, and a new destination is found by the first call.
func TestManyDestinations(t *testing.T) {
	ns, far := nstest.New(t), nstest.New(t)
	nstest.Veth(t, ns, "one", far, "far1")
	nstest.Veth(t, ns, "two", far, "far2")
	ns.IP("addr add 192.0.2.1/24 dev one")
	ns.IP("addr add 198.51.100.1/24 dev two")
	ns.IP("neigh replace 192.0.2.2 lladdr 02:00:00:00:00:0a dev one nud permanent")
	ns.IP("neigh replace 198.51.100.2 lladdr 02:00:00:00:00:0b dev two nud permanent")
	ns.IP("route add 203.0.113.0/24 via 192.0.2.2")
	r := resolver(t, ns)
	var dsts []netip.Addr
	for i := range 150 {
		dsts = append(dsts, netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}))
	}
	// by returns how many ways lead by each of the devices' neighbours.
	by := func() (macs map[byte]int) {
		t.Helper()
		hops, err := r.Hops([]string{"one", "two"}, netip.Addr{}, dsts)
		if err != nil {
			t.Fatal(err)
		}
		macs = map[byte]int{}
		for _, h := range hops {
			macs[h.MAC[5]]++
			if (h.MAC[5] == 0x0b) != (h.Device == 1) {
				t.Errorf("hop %+v", h)
			}
		}
		return macs
	}
	want := func(what string, got map[byte]int, want map[byte]int) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: ways by neighbour %v, want %v", what, got, want)
		}
	}
	want("at first", by(), map[byte]int{0x0a: 150})
	ns.IP("route replace 203.0.113.0/24 via 198.51.100.2")
	for range 2 {
		by()
	}
	want("another route", by(), map[byte]int{0x0b: 150})
	ns.IP("neigh replace 198.51.100.2 lladdr 02:00:00:00:00:0b dev two nud permanent")
	dsts = append(dsts, netip.MustParseAddr("203.0.113.200"))
	want("one more", by(), map[byte]int{0x0b: 151})
	ns.IP("link del two")
	want("no device", by(), map[byte]int{})
	dsts = nil
	want("none", by(), map[byte]int{})
}
