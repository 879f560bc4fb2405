//go:build netns

package frr_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ztos/ztos/api/client"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/port/nstest"
)

// externalDoc is a leaf with routers of two customers, who have the same addresses.
const externalDoc = `
node: {name: leaf1, roles: [leaf], address: 192.0.2.1, state-dir: DIR/state}
api: {socket: DIR/sock}
underlay: {listen: "127.0.0.1:51820", vxlan-listen: 192.0.2.1, source-ports: 0}
host: {mode: none}
peers: [{name: frr, carrier: plain, endpoint: "192.0.2.2:0"}]
bgp: {asn: 65000, transport: underlay, neighbors: [{address: 192.0.2.2}]}
ports:
- {name: t1, kind: afpacket, device: t1}
- {name: t2, kind: afpacket, device: t2}
- {name: t3, kind: afpacket, device: t3}
bridge-domains:
- vni: 209
  attach: [{port: t1}]
  protection: none
  vrf: red
  gateway: {addresses: [10.9.0.1/29, "fd00:9::1/64"]}
- vni: 210
  attach: [{port: t2}]
  protection: none
  vrf: red
  gateway: {addresses: [10.9.1.1/30]}
- vni: 309
  attach: [{port: t3}]
  protection: none
  vrf: blue
  gateway: {addresses: [10.9.0.1/29]}
- {vni: 1000, protection: none, evpn: {vteps: [192.0.2.2]}}
vrfs:
- name: red
  l3vni: 1000
  external:
    neighbors:
    - {address: 10.9.0.2, asn: 65101, accept: [10.64.0.0/10]}
    - {address: "fd00:9::2", asn: 65101, accept: ["fd00:64::/32"]}
    - {address: 10.9.1.2, asn: 65102, accept: [0.0.0.0/0], passive: true}
- name: blue
  external:
    neighbors:
    - {address: 10.9.0.2, asn: 65101, accept: [10.64.0.0/10]}
`

// customer starts FRR as a router of a customer: it announces networks, IPv6 ones by
// its own session.
func customer(t *testing.T, ns *nstest.NS, asn int, gateway, gateway6 string, networks ...string) *router {
	t.Helper()
	conf := fmt.Sprintf("router bgp %d\n bgp router-id 198.51.100.%d\n no bgp ebgp-requires-policy\n no bgp network import-check\n no bgp default ipv4-unicast\n", asn, asn%100)
	v4, v6 := "", ""
	for _, n := range networks {
		if strings.Contains(n, ":") {
			v6 += "  network " + n + "\n"
		} else {
			v4 += "  network " + n + "\n"
		}
	}
	family := func(name, peer, networks string) {
		conf += fmt.Sprintf(" neighbor %[2]s remote-as 65000\n neighbor %[2]s timers connect 2\n address-family %[1]s unicast\n  neighbor %[2]s activate\n%[3]s exit-address-family\n", name, peer, networks)
	}
	family("ipv4", gateway, v4)
	if gateway6 != "" {
		family("ipv6", gateway6, v6)
	}
	return newRouter(t, ns, conf+"exit\n")
}

// sessionsWith returns how often FRR's session with a neighbour was established.
func (r *router) sessionsWith(peer string) int {
	var all map[string]struct {
		N int `json:"connectionsEstablished"`
	}
	if err := json.Unmarshal([]byte(r.bgp("show bgp neighbors "+peer+" json")), &all); err != nil {
		return 0
	}
	return all[peer].N
}

// routesBy returns the routes of an engine that have an origin and lead, in words.
func routesBy(t *testing.T, c *client.Client, origin string) string {
	t.Helper()
	var b strings.Builder
	for r, err := range c.Routes(context.Background(), status.RouteFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Origin == origin && r.Best {
			fmt.Fprintf(&b, "%s %v by", r.VRF, r.Prefix)
			for _, p := range r.Paths {
				fmt.Fprintf(&b, " %v", p.Host)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

// TestExternal: routers of customers, which are FRR, speak BGP to the gateways of
// their VRFs. What they may announce is routed, in their VRF alone, and told to other
// leaves by type 5; what other leaves have is told to them; packets follow.
//
//	c1 (AS 65101) -- t1 [      ] e0 --- e1 [ FRR, br1000, vx1000 ] x0 -- far
//	c2 (AS 65102) -- t2 [ leaf1]            10.2.2.1/24                  10.2.2.11
//	c3 (AS 65101) -- t3 [      ]           VRF blue: t3 alone
func TestExternal(t *testing.T) {
	b := newBed(t)
	c1, c2, c3, far := nstest.New(t), nstest.New(t), nstest.New(t), nstest.New(t)
	for dev, ns := range map[string]*nstest.NS{"t1": c1, "t2": c2, "t3": c3} {
		nstest.Veth(t, ns, "h0", b.us, dev)
		ns.Set("ipv6/conf/h0/disable_ipv6", "0")
		ns.Set("ipv4/ip_forward", "1")
		ns.Up("lo")
	}
	nstest.Veth(t, far, "h0", b.them, "x0")
	for ns, dev := range map[*nstest.NS]string{far: "h0", b.them: "x0"} {
		ns.Set("ipv6/conf/"+dev+"/disable_ipv6", "0")
	}
	c1.Set("ipv6/conf/lo/disable_ipv6", "0")
	for _, s := range []string{
		"addr add 10.9.0.2/29 dev h0", "-6 addr add fd00:9::2/64 dev h0 nodad", "addr add 10.64.1.1/32 dev lo", "-6 addr add fd00:64:1::1/128 dev lo nodad",
		"addr add 10.9.0.4/29 dev h0", // of a stranger
	} {
		c1.IP(s)
	}
	for _, s := range []string{"addr add 10.9.1.2/30 dev h0", "addr add 172.16.2.1/32 dev lo"} {
		c2.IP(s)
	}
	for _, s := range []string{"addr add 10.9.0.2/29 dev h0", "addr add 10.64.1.1/32 dev lo", "addr add 10.64.2.1/32 dev lo"} {
		c3.IP(s)
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
	leaf := newRouter(t, b.them, leafConf(` address-family ipv4 unicast
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
	if out, err := leaf.vtysh("zebra", "configure terminal", "vni 1000"); err != nil || out != "" {
		t.Fatalf("L3VNI in FRR: %v %s", err, out)
	}
	c, doc := newEngineOf(t, b.us, externalDoc)
	leaf.established(ours)
	r1 := customer(t, c1, 65101, "10.9.0.1", "fd00:9::1", "10.64.1.0/24", "10.200.0.0/16", "fd00:64:1::/48")
	r2 := customer(t, c2, 65102, "10.9.1.1", "", "172.16.2.0/24")
	r3 := customer(t, c3, 65101, "10.9.0.1", "", "10.64.1.0/24", "10.64.2.0/24")

	// What they may announce, each in its VRF.
	for _, want := range []string{
		"red 10.64.1.0/24 by 10.9.0.2\n", "red fd00:64:1::/48 by fd00:9::2\n", "red 172.16.2.0/24 by 10.9.1.2\n",
		"blue 10.64.1.0/24 by 10.9.0.2\n", "blue 10.64.2.0/24 by 10.9.0.2\n",
	} {
		leaf.until(want, func() bool { return strings.Contains(routesBy(t, c, "external"), want) })
	}
	if all := routesBy(t, c, "external"); strings.Count(all, "\n") != 5 {
		t.Errorf("five routes of customers are wanted:\n%s", all)
	}
	// And other leaves hear of it: of red's, blue having no L3VNI.
	for _, key := range []string{"[5]:[0]:[24]:[10.64.1.0]", "[5]:[0]:[48]:[fd00:64:1::]", "[5]:[0]:[24]:[172.16.2.0]"} {
		leaf.until(key, func() bool { return routeIn(leaf, key, "VNI 1000", "RT:65000:1000", "Rmac:") })
	}
	for _, never := range []string{"10.64.2.0", "10.200.0.0"} {
		if strings.Contains(leaf.routes(), never) {
			t.Errorf("another leaf heard of %s", never)
		}
	}

	// What the fabric has, and the other customer of red: told with this AS in front.
	kernel := func(ns *nstest.NS, prefix, via string) func() bool {
		return func() bool {
			family := "-4"
			if strings.Contains(prefix, ":") {
				family = "-6"
			}
			out, _ := ns.Exec("ip", family, "route", "show", prefix)
			return strings.Contains(out, "via "+via)
		}
	}
	r1.until("c1 has the far subnet", kernel(c1, "10.2.2.0/24", "10.9.0.1"))
	r1.until("c1 has the other subnet of red", kernel(c1, "10.9.1.0/30", "10.9.0.1"))
	r1.until("c1 has c2's prefix", kernel(c1, "172.16.2.0/24", "10.9.0.1"))
	r1.until("c1 has the far subnet, IPv6", func() bool {
		out, _ := c1.Exec("ip", "-6", "route", "show", "fd00:22::/64")
		return strings.Contains(out, "via ") // FRR prefers the gateway's link-local address where it is told one
	})
	r2.until("c2 has c1's prefix", kernel(c2, "10.64.1.0/24", "10.9.1.1"))
	if text := r2.bgp("show bgp ipv4 unicast 10.64.1.0/24"); !strings.Contains(text, "65000 65101") {
		t.Errorf("the path of c1's prefix at c2:\n%s", text)
	}
	for _, prefix := range []string{"10.2.2.0/24", "172.16.2.0/24"} {
		if kernel(c3, prefix, "10.9.0.1")() {
			t.Errorf("blue's router has %s of red", prefix)
		}
	}

	// Packets, there and back.
	ping := func(ns *nstest.NS, from, to string) func() bool {
		return func() bool {
			_, err := ns.Exec("ping", "-n", "-c", "1", "-W", "1", "-I", from, to)
			return err == nil
		}
	}
	r1.until("c1 to far", ping(c1, "10.64.1.1", "10.2.2.11"))
	r1.until("c1 to far, IPv6", ping(c1, "fd00:64:1::1", "fd00:22::11"))
	r1.until("c1 to c2", ping(c1, "10.64.1.1", "172.16.2.1"))
	leaf.until("far to c1", ping(far, "10.2.2.11", "10.64.1.1"))
	leaf.until("far to c2", ping(far, "10.2.2.11", "172.16.2.1"))
	if ping(far, "10.2.2.11", "10.64.2.1")() {
		t.Error("far reaches blue")
	}

	// Nobody else is heard.
	if _, err := c1.Exec("bash", "-c", "exec timeout 2 bash -c 'exec 3<>/dev/tcp/10.9.0.1/179' 2>&1"); err != nil {
		t.Errorf("the neighbour itself connects: %v", err) // from 10.9.0.2: this shows that the next would
	}
	c1.IP("route add 10.9.0.1/32 dev h0 src 10.9.0.4")
	if out, err := c1.Exec("bash", "-c", "exec timeout 2 bash -c 'exec 3<>/dev/tcp/10.9.0.1/179' 2>&1"); err == nil {
		t.Errorf("a stranger connects: %s", out)
	}
	c1.IP("route del 10.9.0.1/32 dev h0")

	// What was not taken is counted.
	sessions := func() (up map[string]bool, faults string) {
		s, err := c.BGP(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		up = map[string]bool{}
		for _, p := range s.Peers {
			up[p.VRF+" "+p.Address.String()] = p.State == "established"
		}
		for _, x := range s.External {
			for _, f := range x.Faults {
				if f.Count > 0 {
					faults += fmt.Sprintf("%s %s %d\n", x.VRF, f.Name, f.Count)
				}
			}
		}
		return up, faults
	}
	if up, faults := sessions(); len(up) != 5 || !up["red 10.9.0.2"] || !up["red fd00:9::2"] || !up["red 10.9.1.2"] || !up["blue 10.9.0.2"] || faults != "red not-allowed 1\n" {
		t.Errorf("sessions %v, not taken %q", up, faults)
	}

	edit := func(old, new string) {
		t.Helper()
		if !strings.Contains(doc, old) {
			t.Fatalf("%q is not in the document", old)
		}
		doc = strings.Replace(doc, old, new, 1)
		if _, err := c.Apply(context.Background(), []byte(doc), false); err != nil {
			t.Fatal(err)
		}
	}
	// A router proves itself: by its distance and by a password, which FRR's kernel signs
	// and verifies. While one side has none, or another, there is no session.
	fault := func(name string) func() bool {
		return func() bool {
			_, faults := sessions()
			return strings.Contains(faults, "red "+name+" ")
		}
	}
	guard := func(r *router, asn int, commands ...string) {
		t.Helper()
		if out, err := r.vtysh("bgpd", append([]string{"configure terminal", fmt.Sprintf("router bgp %d", asn)}, commands...)...); err != nil || out != "" {
			t.Fatalf("%v: %v %s", commands, err, out)
		}
	}
	surplus := func(faults string) (n int) {
		_, rest, _ := strings.Cut(faults, "red tcp-surplus ")
		_, _ = fmt.Sscan(rest, &n) // 0 when there was none
		return n
	}
	password := func(name, text string) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const open2, open6 = "accept: [0.0.0.0/0], passive: true}", `accept: ["fd00:64::/32"]}`
	signed := ", password-file: " + password("c2", "first")
	closed2 := "accept: [0.0.0.0/0], passive: true, ttl-security: 1" + signed + "}"
	closed6 := `accept: ["fd00:64::/32"], password-file: ` + password("c1", "another") + "}"
	up := func(which string, want bool) func() bool {
		return func() bool {
			all, _ := sessions()
			return all["red "+which] == want
		}
	}
	edit(open2, closed2)
	r2.bgp("clear bgp 10.9.1.1") // it takes no signed end of its session
	r2.until("c2 is too far", func() bool { return fault("tcp-distance")() && up("10.9.1.2", false)() })
	guard(r2, 65102, "neighbor 10.9.1.1 ttl-security hops 1")
	r2.until("c2 is unsigned", fault("tcp-unsigned"))
	guard(r2, 65102, "neighbor 10.9.1.1 password second")
	r2.until("c2 has another password", fault("tcp-signature"))
	if up("10.9.1.2", true)() {
		t.Error("c2's session is up with another password")
	}
	guard(r2, 65102, "neighbor 10.9.1.1 password first")
	r2.until("c2 is back", func() bool {
		return up("10.9.1.2", true)() && strings.Contains(routesBy(t, c, "external"), "red 172.16.2.0/24 by 10.9.1.2\n")
	})
	guard(r1, 65101, "neighbor fd00:9::1 password another")
	r1.until("c1 is signed, and need not be", func() bool { return fault("tcp-surplus")() && up("fd00:9::2", false)() })
	edit(open6, closed6)
	r1.until("c1 is back over IPv6", func() bool {
		return up("fd00:9::2", true)() && strings.Contains(routesBy(t, c, "external"), "red fd00:64:1::/48")
	})
	_, before := sessions()
	edit(", ttl-security: 1"+signed, "")
	r2.bgp("clear bgp 10.9.1.1") // nor an unsigned one
	r2.until("c2 is signed, and need not be", func() bool {
		_, now := sessions()
		return surplus(now) > surplus(before) && up("10.9.1.2", false)()
	})
	guard(r2, 65102, "no neighbor 10.9.1.1 password first", "no neighbor 10.9.1.1 ttl-security hops 1")
	r2.until("c2 is back without a password", func() bool {
		return up("10.9.1.2", true)() && strings.Contains(routesBy(t, c, "external"), "red 172.16.2.0/24 by 10.9.1.2\n")
	})
	if n := r1.sessionsWith("10.9.0.1"); n != 1 {
		t.Errorf("c1's session over IPv4 was established %d times, want once", n)
	}

	// The configuration changes: what may be announced now is taken, without a new
	// session; a router that is no longer configured is told, and its routes go.
	edit("accept: [10.64.0.0/10]", "accept: [10.64.0.0/10, 10.200.0.0/16]")
	leaf.until("what may be announced now", func() bool {
		return strings.Contains(routesBy(t, c, "external"), "red 10.200.0.0/16 by 10.9.0.2\n") && strings.Contains(leaf.routes(), "[10.200.0.0]")
	})
	if n := r1.sessionsWith("10.9.0.1"); n != 1 {
		t.Errorf("c1's session was established %d times, want once", n)
	}
	edit(`    - {address: 10.9.1.2, asn: 65102, accept: [0.0.0.0/0], passive: true}
`, "")
	leaf.until("c2's routes go", func() bool { return !strings.Contains(routesBy(t, c, "external"), "172.16.2.0") })
	r2.until("c2 is told", func() bool {
		return !kernel(c2, "10.64.1.0/24", "10.9.1.1")() && strings.Contains(r2.bgp("show bgp neighbors 10.9.1.1"), "Cease")
	})
	if up, _ := sessions(); len(up) != 4 || !up["red 10.9.0.2"] {
		t.Errorf("sessions %v", up)
	}

	// A prefix that is taken back, and a router that dies.
	if out, err := r1.vtysh("bgpd", "configure terminal", "router bgp 65101", "address-family ipv4 unicast", "no network 10.64.1.0/24"); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	leaf.until("the withdrawal", func() bool {
		return !strings.Contains(routesBy(t, c, "external"), "red 10.64.1.0/24") && !strings.Contains(leaf.routes(), "[10.64.1.0]")
	})
	r3.kill("bgpd", syscall.SIGKILL)
	began := time.Now()
	leaf.until("blue's routes go with their router", func() bool { return !strings.Contains(routesBy(t, c, "external"), "blue") })
	t.Logf("blue's routes went %v after bgpd was killed", time.Since(began).Round(time.Millisecond))
	if all := routesBy(t, c, "external"); !strings.Contains(all, "red 10.200.0.0/16") || !strings.Contains(all, "red fd00:64:1::/48") {
		t.Errorf("red's routes went too:\n%s", all)
	}
}
