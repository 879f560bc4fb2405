//go:build netns

package frr_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/port/nstest"
)

// irbDoc is a leaf with a subnet of a VRF whose L3VNI FRR has too. MACsec is not
// the kernel's: the VNIs say so.
const irbDoc = `
node: {name: leaf1, roles: [leaf], address: 192.0.2.1, state-dir: DIR/state}
api: {socket: DIR/sock}
underlay: {listen: "127.0.0.1:51820", vxlan-listen: 192.0.2.1, source-ports: 0}
host: {mode: none}
peers: [{name: frr, carrier: plain, endpoint: "192.0.2.2:0"}]
bgp: {asn: 65000, transport: underlay, neighbors: [{address: 192.0.2.2}]}
ports: [{name: t1, kind: afpacket, device: t1}]
bridge-domains:
- vni: 200
  attach: [{port: t1}]
  protection: none
  evpn: {vteps: [192.0.2.2]}
  vrf: red
  gateway: {addresses: [10.1.1.1/24, "fd00:1::1/64"]}
- {vni: 1000, protection: none, evpn: {vteps: [192.0.2.2]}}
vrfs:
- name: red
  l3vni: 1000
  router-mac: "02:00:00:00:00:aa"
  routes: [{prefix: 10.66.0.0/16, blackhole: true, advertise: true}]
`

// evpnRoutes returns the routes that an engine has by EVPN, in words.
func evpnRoutes(t *testing.T, c *client.Client) string {
	t.Helper()
	var b strings.Builder
	for r, err := range c.Routes(context.Background(), status.RouteFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Origin == "evpn" && r.Best {
			for _, p := range r.Paths {
				fmt.Fprintf(&b, "%s %v by %v/%d/%v\n", r.VRF, r.Prefix, p.VTEP, p.VNI, p.MAC)
			}
		}
	}
	return b.String()
}

// TestSymmetricIRB: a ZTOS leaf and FRR 8.4.4 with the kernel's VXLAN route to each
// other by type 5 and type 2 routes and an L3VNI. The VRF of FRR is its default
// one: not every kernel has VRF devices.
//
//	host -- t1 [ leaf1 ] e0 --- e1 [ FRR, br1000, vx1000 ] x0 -- far
//	10.1.1.11    192.0.2.1      192.0.2.2          10.2.2.1      10.2.2.11
func TestSymmetricIRB(t *testing.T) {
	b := newBed(t)
	host, far := nstest.New(t), nstest.New(t)
	nstest.Veth(t, host, "h0", b.us, "t1")
	nstest.Veth(t, far, "h0", b.them, "x0")
	for ns, dev := range map[*nstest.NS]string{host: "h0", far: "h0", b.them: "x0"} {
		ns.Set("ipv6/conf/"+dev+"/disable_ipv6", "0") // test namespaces begin without
	}
	for _, s := range []string{"addr add 10.1.1.11/24 dev h0", "-6 addr add fd00:1::11/64 dev h0 nodad", "route add default via 10.1.1.1", "-6 route add default via fd00:1::1"} {
		host.IP(s)
	}
	for _, s := range []string{"addr add 10.2.2.11/24 dev h0", "-6 addr add fd00:22::11/64 dev h0 nodad", "route add default via 10.2.2.1", "-6 route add default via fd00:22::1"} {
		far.IP(s)
	}
	for _, s := range []string{
		"addr add 10.2.2.1/24 dev x0", "-6 addr add fd00:22::1/64 dev x0 nodad",
		"link add br1000 address 02:00:00:00:00:bb type bridge",
		"link add vx1000 type vxlan id 1000 dstport 4789 local 192.0.2.2 nolearning",
		"link set vx1000 master br1000 addrgenmode none",
	} {
		b.them.IP(s)
	}
	b.them.Up("br1000")
	b.them.Up("vx1000")
	b.them.Set("ipv4/ip_forward", "1")
	b.them.Set("ipv6/conf/all/forwarding", "1")
	r := newRouter(t, b.them, leafConf(` address-family ipv4 unicast
  network 10.2.2.0/24
 exit-address-family
 address-family ipv6 unicast
  network fd00:22::/64
 exit-address-family
 address-family l2vpn evpn
  advertise ipv4 unicast
  advertise ipv6 unicast
 exit-address-family
`))
	if out, err := r.vtysh("zebra", "configure terminal", "vni 1000"); err != nil || out != "" {
		t.Fatalf("L3VNI in FRR: %v %s", err, out)
	}
	c := newEngine(t, b.us, irbDoc)
	r.established(ours)

	// Theirs, in our FIB.
	for _, want := range []string{
		"red 10.2.2.0/24 by 192.0.2.2/1000/02:00:00:00:00:bb\n", "red fd00:22::/64 by 192.0.2.2/1000/02:00:00:00:00:bb\n",
	} {
		r.until(want, func() bool { return strings.Contains(evpnRoutes(t, c), want) })
	}

	// Ours, in FRR: subnets, what is announced by configuration, and the host, once
	// it has said something, each with our label, route target and router MAC.
	ping := func(ns *nstest.NS, to string) func() bool {
		return func() bool {
			_, err := ns.Exec("ping", "-n", "-c", "1", "-W", "1", to)
			return err == nil
		}
	}
	r.until("the host reaches its gateway", ping(host, "10.1.1.1"))
	r.until("the host reaches its gateway, IPv6", ping(host, "fd00:1::1"))
	for _, key := range []string{
		"[5]:[0]:[24]:[10.1.1.0]", "[5]:[0]:[64]:[fd00:1::]", "[5]:[0]:[16]:[10.66.0.0]",
	} {
		r.until(key, func() bool { return routeIn(r, key, "VNI 1000", "RT:65000:1000", "ET:8", "Rmac:02:00:00:00:00:aa") })
	}
	for _, ip := range []string{"[32]:[10.1.1.11]", "[128]:[fd00:1::11]"} {
		r.until(ip, func() bool {
			return routeIn(r, ip, "VNI 200/1000", "RT:65000:200", "RT:65000:1000", "Rmac:02:00:00:00:00:aa")
		})
	}

	// And packets, there and back, routed by both.
	r.until("host to far", ping(host, "10.2.2.11"))
	r.until("far to host", ping(far, "10.1.1.11"))
	r.until("host to far, IPv6", ping(host, "fd00:22::11"))
	r.until("far to host, IPv6", ping(far, "fd00:1::11"))

	// FRR takes one back.
	if out, err := r.vtysh("bgpd", "configure terminal", "router bgp 65000", "address-family ipv4 unicast", "no network 10.2.2.0/24"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	r.until("the withdrawal", func() bool { return !strings.Contains(evpnRoutes(t, c), "10.2.2.0/24") })
	if !strings.Contains(evpnRoutes(t, c), "fd00:22::/64") {
		t.Error("the other prefix went too")
	}
}

// routeIn reports whether the route in FRR whose key has key has all texts.
func routeIn(r *router, key string, texts ...string) bool {
	_, text, ok := strings.Cut(r.routes(), key)
	if !ok {
		return false
	}
	text, _, _ = strings.Cut(text, "BGP routing table entry") // the next one
	for _, x := range texts {
		if !strings.Contains(text, x) {
			return false
		}
	}
	return true
}
