//go:build interop

package interop_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/lab/netplumb"
)

// irbDoc is a leaf with two VRFs that have the same subnet. MACsec is not the
// kernel's: the VNIs say so.
const irbDoc = `
node: {name: leaf, roles: [leaf], address: 192.0.2.1}
underlay: {mtu: 1600, listen: "127.0.0.1:51820", vxlan-listen: 192.0.2.1}
host: {mode: none}
peers: [{name: frr, carrier: plain, endpoint: "192.0.2.2:0"}]
bgp: {asn: 65000, transport: underlay, neighbors: [{address: 192.0.2.2}]}
ports:
- {name: h1, kind: afpacket, device: h1}
- {name: h2, kind: afpacket, device: h2}
bridge-domains:
- vni: 200
  attach: [{port: h1}]
  protection: none
  evpn: {vteps: [192.0.2.2]}
  vrf: red
  gateway: {addresses: [10.1.0.254/24, "fd00:1::fe/64"]}
- vni: 201
  attach: [{port: h2}]
  protection: none
  evpn: {vteps: [192.0.2.2]}
  vrf: blue
  gateway: {addresses: [10.1.0.254/24, "fd00:1::fe/64", 10.77.0.254/24]}
- {vni: 1000, protection: none, evpn: {vteps: [192.0.2.2]}}
- {vni: 1001, protection: none, evpn: {vteps: [192.0.2.2]}}
vrfs:
- name: red
  l3vni: 1000
  router-mac: "02:00:00:00:aa:00"
  routes: [{prefix: 10.66.0.0/16, blackhole: true, advertise: true}]
- name: blue
  l3vni: 1001
  router-mac: "02:00:00:00:aa:01"
  routes: [{prefix: 10.67.0.0/16, blackhole: true, advertise: true}]
`

// irbVRF is a VRF of TestInteropSymmetricIRB, with the places of its hosts. Both
// have the same addresses.
type irbVRF struct {
	name         string
	table        int // in the guest
	l2, l3, l2us table.VNI
	mac, ourMAC  string // router MACs of FRR and of the leaf
	host         shell  // at the leaf: host4 and host6
	subnet       shell  // in the guest, subnet4 and subnet6: FRR announces their prefixes
	alone        shell  // in the guest, alone4 and alone6: FRR announces them alone, as hosts of L2VNI l2
	advertised   string // by configuration of the leaf
}

const (
	subnet4, subnet6 = "10.2.0.2", "fd00:2::2"
	alone4, alone6   = "10.3.0.2", "fd00:3::2"
	blue4            = "10.88.0.2" // in the guest, of blue only: a second address of subnet
	ourBlue4         = "10.77.0.1" // at the leaf, of blue only: a second address of host
	irbHops          = "ttl=62 "   // 64 but for ingress and egress router
)

// script makes the VRF in the guest: its device, the L3VNI with its bridge, the
// L2VNI with a bridge that has the gateway, and both hosts as namespaces.
func (v *irbVRF) script() string {
	return strings.NewReplacer("VRF", v.name, "TABLE", strconv.Itoa(v.table), "MAC", v.mac,
		"L2", fmt.Sprint(v.l2), "L3", fmt.Sprint(v.l3)).Replace(`
ip link add VRF type vrf table TABLE
ip link set VRF up
ip route add table TABLE unreachable default metric 4278198272
ip link add brL3 address MAC type bridge
ip link set brL3 master VRF
ip link add brL2 type bridge
ip link set brL2 master VRF
for vni in L3 L2; do
  ip link add vx$vni type vxlan id $vni dstport 4789 local 192.0.2.2 nolearning
  ip link set vx$vni master br$vni addrgenmode none
  ip link set br$vni up
  ip link set vx$vni up
done
ip addr add 10.3.0.254/24 dev brL2
ip addr add fd00:3::fe/64 dev brL2 nodad
ip netns add VRF-subnet
ip link add s-VRF type veth peer name eth0 netns VRF-subnet
ip link set s-VRF master VRF
ip link set s-VRF up
ip addr add 10.2.0.254/24 dev s-VRF
ip addr add fd00:2::fe/64 dev s-VRF nodad
ip netns add VRF-alone
ip link add a-VRF type veth peer name eth0 netns VRF-alone
ip link set a-VRF master brL2
ip link set a-VRF up
for h in subnet:2 alone:3; do
  n="ip -n VRF-${h%:*}"
  $n link set lo up
  $n link set eth0 up
  $n addr add 10.${h#*:}.0.2/24 dev eth0
  $n addr add fd00:${h#*:}::2/64 dev eth0 nodad
  $n route add default via 10.${h#*:}.0.254
  $n route add default via fd00:${h#*:}::fe
done
`)
}

// bgp is the VRF's part of bgpd's configuration.
func (v *irbVRF) bgp() string {
	more := ""
	if v.name == "blue" {
		more = "  network 10.88.0.0/24\n"
	}
	return "router bgp 65000 vrf " + v.name + "\n bgp router-id 192.0.2.2\n" +
		" address-family ipv4 unicast\n  network 10.2.0.0/24\n" + more + " exit-address-family\n" +
		" address-family ipv6 unicast\n  network fd00:2::/64\n exit-address-family\n" +
		" address-family l2vpn evpn\n  advertise ipv4 unicast\n  advertise ipv6 unicast\n exit-address-family\nexit\n"
}

// inside returns a shell in a namespace of a guest.
func (s shell) inside(ns string) shell {
	return func(ctx context.Context, script string) (string, error) {
		return s(ctx, "ip netns exec "+ns+" dash <<'END'\n"+script+"\nEND")
	}
}

// hop is ping that wants every answer to have come over both routers.
func (s shell) hop(addr, options string) error {
	out, _ := s.try("ping -n -c 10 -i 0.02 -w 5 " + options + " " + addr) // the summary says what the status says
	if err := parsePing(out).lossless(10); err != nil {
		return err
	}
	if n := strings.Count(out, irbHops); n != 10 {
		return fmt.Errorf("%d of 10 answers have %s:\n%s", n, irbHops, tail(out))
	}
	return nil
}

// echoes returns how many echo requests, of both families, a host has received.
func (s shell) echoes(t testing.TB) (n uint64) {
	t.Helper()
	var names []string
	for line := range strings.SplitSeq(s.must(t, "cat /proc/net/snmp /proc/net/snmp6"), "\n") {
		words := strings.Fields(line)
		switch {
		case len(words) == 2 && words[0] == "Icmp6InEchos":
			names = []string{"", "InEchos"}
		case len(words) < 2 || words[0] != "Icmp:":
			continue
		case names == nil:
			names = words
			continue
		}
		for i, name := range names {
			if name != "InEchos" {
				continue
			}
			v, err := strconv.ParseUint(words[i], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			n += v
		}
	}
	return n
}

// TestInteropSymmetricIRB: a leaf and FRR with VRFs of Debian's kernel route to
// each other in two VRFs that have the same addresses, by type 5 and type 2 routes
// and L3VNIs.
//
//	red host -- h1 [ leaf ] u0 ==QEMU== eth0 [ FRR, kernel ] -- subnet, alone of red
//	blue host - h2                                           -- subnet, alone of blue
//	10.1.0.1     192.0.2.1              192.0.2.2               10.2.0.2  10.3.0.2
func TestInteropSymmetricIRB(t *testing.T) {
	b := newBed(t)
	blueHost := b.namespace("blue")
	b.attach(b.leaf, "h2", blueHost)
	b.must(blueHost.AddAddr("eth0", netip.MustParsePrefix(ourBlue4+"/24")))
	for _, ns := range []*netplumb.Namespace{b.host, blueHost} {
		b.must(ns.AddRoute(netip.MustParsePrefix("0.0.0.0/0"), netip.MustParseAddr("10.1.0.254")),
			ns.AddRoute(netip.MustParsePrefix("::/0"), netip.MustParseAddr("fd00:1::fe")))
	}
	p := b.bootGuest(b.frrPrograms()...)
	vrfs := []*irbVRF{
		{name: "red", table: 100, l2: 300, l3: 1000, l2us: 200, mac: "02:00:00:00:bb:00", ourMAC: "02:00:00:00:aa:00", host: in(b.host), advertised: "10.66.0.0/16"},
		{name: "blue", table: 101, l2: 301, l3: 1001, l2us: 201, mac: "02:00:00:00:bb:01", ourMAC: "02:00:00:00:aa:01", host: in(blueHost), advertised: "10.67.0.0/16"},
	}
	zebra, bgpd := "", fmt.Sprintf(`router bgp 65000
 bgp router-id %[1]s
 no bgp default ipv4-unicast
 neighbor %[2]s remote-as 65000
 neighbor %[2]s timers connect 2
 address-family l2vpn evpn
  neighbor %[2]s activate
  advertise-all-vni
 exit-address-family
exit
`, peerU4, leafU4)
	script := "echo 1 > /proc/sys/net/ipv4/ip_forward\necho 1 > /proc/sys/net/ipv6/conf/all/forwarding\n"
	for _, v := range vrfs {
		v.subnet, v.alone = p.inside(v.name+"-subnet"), p.inside(v.name+"-alone")
		script += v.script()
		zebra += fmt.Sprintf("vrf %s\n vni %v\nexit-vrf\n", v.name, v.l3)
		bgpd += v.bgp()
	}
	p.must(t, script+"ip addr add 10.88.0.254/24 dev s-blue\nip -n blue-subnet addr add "+blue4+"/24 dev eth0")
	cfg, err := config.Parse([]byte(irbDoc), "leaf.yaml")
	b.must(err)
	i := irb{bed: b, e: b.start(t, b.leaf, cfg), r: b.startFRR(p, zebra, bgpd), red: vrfs[0], blue: vrfs[1]}
	for _, v := range vrfs {
		i.routes(v)
	}
	i.reach(i.red, i.blue)
	i.reach(i.blue, i.red)
	i.cross()
	i.withdraw()
}

// irb is a leaf and FRR with their VRFs.
type irb struct {
	*bed
	e         *engine
	r         frr
	red, blue *irbVRF
}

// routes waits until the routes of a VRF are there: FRR's in the engine's FIB, the
// engine's in FRR and in the kernel's table of that VRF.
func (i *irb) routes(v *irbVRF) {
	i.Helper()
	i.must(v.host.reach("10.1.0.254"), v.host.reach("fd00:1::fe"), v.alone.reach("10.3.0.254"), v.alone.reach("fd00:3::fe"))
	for _, prefix := range []string{"10.2.0.0/24", "fd00:2::/64", alone4 + "/32", alone6 + "/128"} {
		i.await(v.name+": "+prefix+" in the engine", frrLimit, func() error { return i.has(v, prefix) })
	}
	// Their subnet is not announced, so that only host routes lead there.
	for _, prefix := range []string{"10.3.0.0/24", "fd00:3::/64"} {
		if i.has(v, prefix) == nil {
			i.Errorf("%s: the subnet of hosts that are to be known alone is announced: %s", v.name, prefix)
		}
	}
	l2, l3 := fmt.Sprintf("RT:65000:%d", v.l2us), fmt.Sprintf("RT:65000:%d", v.l3)
	rmac := "Rmac:" + v.ourMAC
	for _, key := range []string{"[5]:[0]:[24]:[10.1.0.0]", "[5]:[0]:[64]:[fd00:1::]", "[5]:[0]:[16]:[" + strings.TrimSuffix(v.advertised, "/16") + "]"} {
		i.await(v.name+": "+key+" in FRR", frrLimit, func() error { return i.r.evpn(key, fmt.Sprintf("VNI %d", v.l3), l3, "ET:8", rmac) })
	}
	for _, key := range []string{"[32]:[" + host4 + "]", "[128]:[" + host6 + "]"} {
		i.await(v.name+": "+key+" in FRR", frrLimit, func() error { return i.r.evpn(key, fmt.Sprintf("VNI %d/%d", v.l2us, v.l3), l2, l3, rmac) })
	}
	for _, prefix := range []string{"10.1.0.0/24", host4, v.advertised, "fd00:1::/64", host6} {
		i.await(v.name+": "+prefix+" in the kernel", frrLimit, func() error { return i.installed(v, prefix) })
	}
}

// has wants a prefix of FRR in a VRF of the engine, by FRR's L3VNI and router MAC.
func (i *irb) has(v *irbVRF, prefix string) error {
	var got strings.Builder
	for r, err := range i.e.api.Routes(i.e.call(), status.RouteFilter{VRF: v.name}) {
		if err != nil {
			return err
		}
		fmt.Fprintf(&got, "%v by %s %+v\n", r.Prefix, r.Origin, r.Paths)
		if r.Prefix.String() != prefix || r.Origin != "evpn" || !r.Best || len(r.Paths) != 1 {
			continue
		}
		if p := r.Paths[0]; p.VTEP.String() == peerU4 && p.VNI == v.l3 && p.MAC.String() == v.mac {
			return nil
		}
	}
	return fmt.Errorf("%s: no %s by VNI %d and %s in:\n%s", v.name, prefix, v.l3, v.mac, got.String())
}

// installed wants a prefix in the kernel's table of a VRF in the guest, by the leaf
// and the bridge of the VRF's L3VNI.
func (i *irb) installed(v *irbVRF, prefix string) error {
	got := i.table(v)
	for line := range strings.SplitSeq(got, "\n") {
		if strings.HasPrefix(line, prefix+" ") && strings.Contains(line, leafU4+fmt.Sprintf(" dev br%d proto bgp", v.l3)) {
			return nil
		}
	}
	return fmt.Errorf("%s: not by br%d in table %d:\n%s", prefix, v.l3, v.table, got)
}

// table returns the kernel's table of a VRF in the guest, both families.
func (i *irb) table(v *irbVRF) string {
	i.Helper()
	return i.r.guest.must(i, fmt.Sprintf("ip route show table %d\nip -6 route show table %[1]d", v.table))
}

// reach pings between all pairs of leaf and FRR in a VRF, both ways and in full
// packets, and wants that the other VRF's hosts see nothing of it and that on the
// wire there is the L3VNI alone.
func (i *irb) reach(v, other *irbVRF) {
	i.Helper()
	for _, to := range []string{subnet4, subnet6, alone4, alone6} {
		i.must(v.host.reach(to)) // neighbours are resolved
	}
	seen, theirs := v.echoes(i), other.echoes(i)
	w := i.watch(i.leaf, "u0", "udp port 4789")
	mtu := func(to string) string {
		if strings.Contains(to, ":") {
			return "-M do -s 1452"
		}
		return "-M do -s 1472"
	}
	for _, to := range []string{subnet4, subnet6, alone4, alone6} {
		if err := errors.Join(v.host.hop(to, ""), v.host.hop(to, mtu(to))); err != nil {
			i.Errorf("%s: to %s: %v", v.name, to, err)
		}
	}
	for _, from := range []shell{v.subnet, v.alone} {
		for _, to := range []string{host4, host6} {
			if err := errors.Join(from.hop(to, ""), from.hop(to, mtu(to))); err != nil {
				i.Errorf("%s: to %s: %v", v.name, to, err)
			}
		}
	}
	routed := 0
	for _, p := range w.stop() {
		vx, _ := p.Layer(layers.LayerTypeVXLAN).(*layers.VXLAN)
		if vx == nil || !isEcho(p) {
			continue
		}
		inner := gopacket.NewPacket(vx.LayerPayload(), layers.LayerTypeEthernet, gopacket.Default)
		eth, _ := inner.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
		if eth == nil || vx.VNI != uint32(v.l3) || eth.DstMAC.String() != v.mac && eth.DstMAC.String() != v.ourMAC {
			i.Errorf("%s: an echo on the wire that is not of VNI %d from router to router: %v", v.name, v.l3, p)
			break
		}
		routed++
	}
	// Requests to 4 addresses and from 2 hosts to 2, each twice 10 times, and the
	// answers to them.
	const requests = (4 + 2*2) * 2 * 10
	if routed < 2*requests {
		i.Errorf("%s: %d echoes on the wire, want %d", v.name, routed, 2*requests)
	}
	for n, was := range seen {
		if got := v.echoes(i)[n] - was; got < requests/4 {
			i.Errorf("%s: %s has seen %d requests, want at least %d", v.name, irbHosts[n], got, requests/4)
		}
	}
	i.unseen(other, theirs)
}

// isEcho reports whether a packet in VXLAN is an echo request or its answer.
func isEcho(p gopacket.Packet) bool {
	if icmp, _ := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); icmp != nil {
		t := icmp.TypeCode.Type()
		return t == layers.ICMPv4TypeEchoRequest || t == layers.ICMPv4TypeEchoReply
	}
	if icmp, _ := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6); icmp != nil {
		t := icmp.TypeCode.Type()
		return t == layers.ICMPv6TypeEchoRequest || t == layers.ICMPv6TypeEchoReply
	}
	return false
}

// irbHosts names the hosts of a VRF in the order of echoes.
var irbHosts = [3]string{"the leaf's host", "FRR's subnet", "FRR's lone host"}

// echoes returns how many echo requests each host of a VRF has received.
func (v *irbVRF) echoes(t testing.TB) [3]uint64 {
	t.Helper()
	return [3]uint64{v.host.echoes(t), v.subnet.echoes(t), v.alone.echoes(t)}
}

// unseen wants that no host of a VRF has received a request since was.
func (i *irb) unseen(v *irbVRF, was [3]uint64) {
	i.Helper()
	for n, got := range v.echoes(i) {
		if got != was[n] {
			i.Errorf("%s: %s has seen %d requests of the other VRF", v.name, irbHosts[n], got-was[n])
		}
	}
}

// cross pings from red what only blue has, on both sides. The routers answer that
// there is no way.
func (i *irb) cross() {
	i.Helper()
	// It is there, for those who may.
	i.must(i.blue.host.reach(blue4), i.blue.subnet.reach(ourBlue4))
	was := i.blue.echoes(i)
	for _, x := range []struct {
		from   shell
		to     string
		router string
	}{{i.red.host, blue4, "10.1.0.254"}, {i.red.subnet, ourBlue4, "10.2.0.254"}, {i.red.alone, ourBlue4, "10.3.0.254"}} {
		if err := x.from.unreachable(x.to, x.router); err != nil {
			i.Errorf("red: %v", err)
		}
	}
	i.unseen(i.blue, was)
}

// unreachable wants a router's word that nobody leads to addr.
func (s shell) unreachable(addr, router string) error {
	out, err := s.try("ping -n -c 3 -i 0.3 -W 1 " + addr)
	if err == nil || len(parsePing(out).got) > 0 {
		return fmt.Errorf("%s answers, and should not\n%s", addr, out)
	}
	if !strings.Contains(out, "From "+router+" ") || !strings.Contains(out, "nreachable") {
		return fmt.Errorf("%s does not say that %s is unreachable:\n%s", router, addr, out)
	}
	return nil
}

// withdraw takes a prefix of red back, on either side. The other ways of red stay,
// and blue has its own.
func (i *irb) withdraw() {
	i.Helper()
	i.r.configure("router bgp 65000 vrf red", "address-family ipv4 unicast", "no network 10.2.0.0/24")
	i.await("FRR's withdrawal", frrLimit, func() error {
		if i.has(i.red, "10.2.0.0/24") == nil {
			return errors.New("10.2.0.0/24 is still in the engine")
		}
		return nil
	})
	was := i.red.echoes(i)
	if err := i.red.host.unreachable(subnet4, "10.1.0.254"); err != nil {
		i.Errorf("red, withdrawn: %v", err)
	}
	i.unseen(i.red, was)
	if err := errors.Join(i.red.host.hop(subnet6, ""), i.red.host.hop(alone4, ""), i.has(i.blue, "10.2.0.0/24"), i.blue.host.hop(subnet4, "")); err != nil {
		i.Errorf("what was not withdrawn: %v", err)
	}

	next := *i.e.cfg
	next.VRFs = slices.Clone(next.VRFs)
	next.VRFs[0].Routes = nil
	doc, err := config.Marshal(&next)
	i.must(err)
	_, err = i.e.api.Apply(i.e.call(), doc, false)
	i.must(err)
	i.await("the engine's withdrawal", frrLimit, func() error {
		if i.installed(i.red, i.red.advertised) == nil {
			return errors.New(i.red.advertised + " is still in the kernel")
		}
		return nil
	})
	i.must(i.installed(i.red, "10.1.0.0/24"), i.installed(i.blue, i.blue.advertised))
	if strings.Contains(i.table(i.blue), i.red.advertised) || strings.Contains(i.table(i.red), i.blue.advertised) {
		i.Errorf("a prefix is in the other VRF's table:\n%s%s", i.table(i.red), i.table(i.blue))
	}
}
