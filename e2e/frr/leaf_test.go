//go:build netns

package frr_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/bgp"
	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/bgp/relay"
	"github.com/ztos/ztos/bgp/route"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/port/nstest"
	"github.com/ztos/ztos/engine/table"
)

var (
	ours   = netip.MustParseAddr("192.0.2.1")
	theirs = netip.MustParseAddr("192.0.2.2")
)

// leafConf is FRR as a leaf: lines go into "router bgp".
func leafConf(lines string) string {
	return fmt.Sprintf(`router bgp 65000
 bgp router-id %[1]v
 no bgp default ipv4-unicast
 neighbor %[2]v remote-as 65000
 neighbor %[2]v timers connect 2
%[3]s
 address-family l2vpn evpn
  neighbor %[2]v activate
  advertise-all-vni
 exit-address-family
exit
`, theirs, ours, lines)
}

// bed is a Speaker's namespace and one with FRR, a VXLAN device of VNI 100 and a
// bridge.
type bed struct {
	t        testing.TB
	us, them *nstest.NS
}

func newBed(t testing.TB) bed {
	t.Helper()
	b := bed{t, nstest.New(t), nstest.New(t)}
	nstest.Veth(t, b.us, "e0", b.them, "e1")
	b.us.IP("addr add 192.0.2.1/24 dev e0")
	b.them.IP("addr add 192.0.2.2/24 dev e1")
	b.them.IP("link add br100 type bridge")
	b.them.IP("link add vx100 type vxlan id 100 dstport 4789 local 192.0.2.2 nolearning")
	b.them.IP("link set vx100 master br100")
	b.them.IP("link add h0 type veth peer name h1")
	b.them.IP("link set h0 master br100")
	for _, dev := range []string{"br100", "vx100", "h0", "h1"} {
		b.them.Up(dev)
	}
	return b
}

// speaker is the configuration of our side.
func speaker(change func(p *bgp.Peer)) bgp.Config {
	p := bgp.Peer{Name: "frr", Addr: theirs, ASN: 65000, Families: []bgp.Family{{AFI: bgp.EVPN}}}
	if change != nil {
		change(&p)
	}
	return bgp.Config{
		ASN: 65000, RouterID: ours, Peers: []bgp.Peer{p},
		Listen: []bgp.Listen{{At: netip.AddrPortFrom(ours, 179)}},
	}
}

// ourRoutes are routes of types 2, 3 and 5.
func ourRoutes() []evpn.Route {
	rt, _ := evpn.NewRT(65000, 100)
	l3, _ := evpn.NewRT(65000, 1000)
	rd := evpn.NewRD(ours, 2)
	a := evpn.Attrs{NextHop: ours, RTs: []evpn.RT{rt}, Encaps: evpn.EncapVXLAN}
	mac, imet, pfx := a, a, a
	mac.Label1 = 100
	imet.PMSI = evpn.PMSI{Present: true, Type: evpn.PMSIIngressReplication, VNI: 100, Endpoint: ours}
	pfx.Label1, pfx.RouterMAC, pfx.RTs = 1000, 0x0200000000aa, []evpn.RT{l3}
	return []evpn.Route{
		{Key: evpn.KeyOfMAC(rd, 0, 0x020000000001, netip.Addr{}), Attrs: mac},
		{Key: evpn.KeyOfMAC(rd, 0, 0x020000000001, netip.MustParseAddr("10.0.0.1")), Attrs: mac},
		{Key: evpn.KeyOfMulticast(rd, 0, ours), Attrs: imet},
		{Key: evpn.KeyOfPrefix(evpn.NewRD(ours, 3), 0, netip.MustParsePrefix("10.9.0.0/16")), Attrs: pfx},
	}
}

// kernelMAC reports whether the kernel's VXLAN device has a MAC behind our VTEP.
func (b bed) kernelMAC(mac table.MAC) bool {
	out, err := b.them.Exec("bridge", "fdb", "get", mac.String(), "dev", "vx100", "self")
	return err == nil && out != ""
}

// fdb changes the bridge's FDB entry of a host at port h0.
func (b bed) fdb(verb string, mac table.MAC, more ...string) {
	b.t.Helper()
	args := append([]string{"fdb", verb, mac.String(), "dev", "h0", "master"}, more...)
	if out, err := b.them.Exec("bridge", args...); err != nil {
		b.t.Fatalf("bridge %v: %v\n%s", args, err, out)
	}
}

func TestLeaf(t *testing.T) {
	b := newBed(t)
	r := newRouter(t, b.them, leafConf(""))
	n := newNode(t, b.us, speaker(nil))
	up := n.up()
	if up.Peer.RouterID != theirs || !up.Peer.IBGP || up.Peer.Addr != theirs {
		t.Errorf("%+v", up)
	}
	r.established(ours)

	// Theirs: the flood entry of VNI 100, and a MAC that the bridge learns.
	imet := n.route("type 3 route", func(u evpn.Update) bool { return u.Route.Key.Kind == evpn.Multicast })
	if p := imet.Route.Attrs.PMSI; !p.Present || p.VNI != 100 || p.Endpoint != theirs || p.Type != evpn.PMSIIngressReplication {
		t.Errorf("%+v", p)
	}
	rt, _ := evpn.NewRT(65000, 100)
	if a := imet.Route.Attrs; a.NextHop != theirs || len(a.RTs) != 1 || a.RTs[0] != rt || a.Encaps != evpn.EncapVXLAN {
		t.Errorf("%+v", a)
	}
	const host = table.MAC(0x020000000099)
	b.fdb("add", host, "dynamic")
	isHost := func(withdraw bool) func(evpn.Update) bool {
		return func(u evpn.Update) bool { return u.Route.Key.MAC == host && u.Withdraw == withdraw }
	}
	if a := n.route("type 2 route", isHost(false)).Route.Attrs; a.Label1 != 100 || a.NextHop != theirs {
		t.Errorf("%+v", a)
	}

	// Ours, in FRR and in the kernel.
	if err := n.Announce(ourRoutes()); err != nil {
		t.Fatal(err)
	}
	r.has(true, "[2]:[0]:[48]:[02:00:00:00:00:01]:[32]:[10.0.0.1]", "[3]:[0]:[32]:[192.0.2.1]", "[5]:[0]:[16]:[10.9.0.0]", "Rmac:02:00:00:00:00:aa")
	r.until("the MAC is in the kernel", func() bool { return b.kernelMAC(0x020000000001) })

	// Mobility: the host moves to us by a greater number, then back to them.
	moved := ourRoutes()[0]
	moved.Key.MAC = host
	moved.Attrs.Mobility = evpn.Mobility{Present: true, Seq: 1}
	if err := n.Announce([]evpn.Route{moved}); err != nil {
		t.Fatal(err)
	}
	n.route("withdrawal of the MAC that moved", isHost(true))
	r.until("the MAC that moved is in the kernel", func() bool { return b.kernelMAC(host) })
	b.fdb("replace", host, "dynamic")
	back := n.route("the MAC moved back", isHost(false))
	if m := back.Route.Attrs.Mobility; !m.Present || m.Seq != 2 {
		t.Errorf("mobility %+v, want sequence number 2", m)
	}

	// Withdrawals, both ways.
	var keys []evpn.Key
	for _, x := range append(ourRoutes(), moved) {
		keys = append(keys, x.Key)
	}
	if err := n.Withdraw(keys); err != nil {
		t.Fatal(err)
	}
	r.has(false, "[02:00:00:00:00:01]", "[192.0.2.1]", "[10.9.0.0]")
	r.until("the MAC has left the kernel", func() bool { return !b.kernelMAC(0x020000000001) })
	b.fdb("del", host)
	n.route("withdrawal", isHost(true))

	// The session ends with a notification, and FRR forgets.
	if err := n.Announce(ourRoutes()); err != nil {
		t.Fatal(err)
	}
	r.has(true, "[10.9.0.0]")
	n.Close()
	r.has(false, "[10.9.0.0]")
}

// TestRestart: our Speaker dies without a word; FRR keeps its routes until the
// next one has announced them again, but for what that one no longer has. FRR
// 8.4.4 does so for unicast and not for EVPN, whose routes it forgets at once.
func TestRestart(t *testing.T) {
	b := newBed(t)
	r := newRouter(t, b.them, "bgp graceful-restart\n"+leafConf(fmt.Sprintf(` address-family ipv4 unicast
  neighbor %v activate
 exit-address-family
`, ours)))
	conf := speaker(func(p *bgp.Peer) {
		p.Families = append(p.Families, bgp.Family{AFI: bgp.IPv4})
		p.Restart = bgp.Restart{Enabled: true, Time: 60 * time.Second}
	})
	n := newNode(t, b.us, conf)
	n.up()
	n.await("End-of-RIB", func(e bgp.Event) bool { return e.EndOfRIB == bgp.EVPN })
	if err := n.Announce(ourRoutes()); err != nil {
		t.Fatal(err)
	}
	prefixes := []route.Unicast{
		{Prefix: netip.MustParsePrefix("10.8.0.0/16"), NextHop: ours},
		{Prefix: netip.MustParsePrefix("10.7.0.0/16"), NextHop: ours},
	}
	if err := n.AnnounceUnicast(prefixes); err != nil {
		t.Fatal(err)
	}
	r.has(true, "[10.9.0.0]")
	unicast := func(want bool, prefix string) {
		t.Helper()
		r.until(fmt.Sprintf("%s in FRR: %v", prefix, want), func() bool {
			return strings.Contains(r.bgp("show bgp ipv4 unicast"), prefix) == want
		})
	}
	unicast(true, "10.8.0.0/16")
	unicast(true, "10.7.0.0/16")

	n.Stop()
	r.until("the session is down", func() bool { return r.neighbor(ours).State != "Established" })
	for _, p := range []string{"10.8.0.0/16", "10.7.0.0/16"} {
		if text := r.bgp("show bgp ipv4 unicast"); !strings.Contains(text, p) {
			t.Errorf("FRR has not kept %s:\n%s", p, text)
		}
	}
	conf.Collect = time.Minute
	n = newNode(t, b.us, conf)
	if err := n.AnnounceUnicast(prefixes[:1]); err != nil {
		t.Fatal(err)
	}
	if err := n.Announce(ourRoutes()); err != nil {
		t.Fatal(err)
	}
	n.up()
	r.established(ours)
	unicast(false, "10.7.0.0/16")
	unicast(true, "10.8.0.0/16")
	r.has(true, "[02:00:00:00:00:01]", "[10.9.0.0]")

	// FRR dies; our side keeps.
	r.kill("bgpd", 9)
	if d := n.down(); !d.Graceful {
		t.Errorf("%+v, want graceful", d)
	}
}

// TestPasswordAndTTL: TCP MD5 and GTSM with FRR: both set, one side wrong.
func TestPasswordAndTTL(t *testing.T) {
	guarded := func(pw string, hops uint8) func(p *bgp.Peer) {
		return func(p *bgp.Peer) {
			p.Guard = relay.Guard{Hops: hops}
			if pw != "" {
				p.Guard.Password = secret.New([]byte(pw))
			}
		}
	}
	b := newBed(t)
	r := newRouter(t, b.them, leafConf(fmt.Sprintf(" neighbor %v password fabric\n neighbor %[1]v ttl-security hops 1\n", ours)))
	n := newNode(t, b.us, speaker(guarded("fabric", 1)))
	n.up()
	r.established(ours)
	n.Close()
	r.until("FRR has noticed", func() bool { s := r.neighbor(ours).State; return s != "" && s != "Established" })

	for _, tt := range []struct {
		name string
		p    func(p *bgp.Peer)
	}{
		{"another password", guarded("other", 1)},
		{"no password", guarded("", 1)},
		{"no TTL security", guarded("fabric", 0)},
	} {
		n := newNode(t, b.us, speaker(tt.p))
		// Long enough for FRR and for us to try more than once. FRR is asked: it
		// sets the least TTL only after it has accepted a connection, so that an
		// OPEN can slip through, and our side has all it waits for.
		for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			if r.neighbor(ours).State == "Established" {
				t.Fatalf("%s: established", tt.name)
			}
		}
		n.Close()
	}
}

// TestReflector: FRR reflects routes between two Speakers, of which one dials and
// one is dialed.
func TestReflector(t *testing.T) {
	frr, a, c := nstest.New(t), nstest.New(t), nstest.New(t)
	nstest.Veth(t, a, "e0", frr, "ea")
	nstest.Veth(t, c, "e0", frr, "ec")
	frr.IP("addr add 192.0.2.2/24 dev ea")
	a.IP("addr add 192.0.2.1/24 dev e0")
	frr.IP("addr add 198.51.100.2/24 dev ec")
	c.IP("addr add 198.51.100.1/24 dev e0")
	far := netip.MustParseAddr("198.51.100.1")
	r := newRouter(t, frr, fmt.Sprintf(`router bgp 65000
 bgp router-id 192.0.2.2
 no bgp default ipv4-unicast
 neighbor %[1]v remote-as 65000
 neighbor %[1]v timers connect 2
 neighbor %[2]v remote-as 65000
 neighbor %[2]v passive
 address-family l2vpn evpn
  neighbor %[1]v activate
  neighbor %[1]v route-reflector-client
  neighbor %[2]v activate
  neighbor %[2]v route-reflector-client
 exit-address-family
exit
`, ours, far))
	ca := speaker(func(p *bgp.Peer) { p.Passive = true })
	na := newNode(t, a, ca)
	nc := newNode(t, c, bgp.Config{
		ASN: 65000, RouterID: far,
		Peers: []bgp.Peer{{Name: "frr", Addr: netip.MustParseAddr("198.51.100.2"), ASN: 65000, Families: []bgp.Family{{AFI: bgp.EVPN}}}},
	})
	na.up()
	nc.up()
	r.established(ours)
	r.established(far)
	want := ourRoutes()
	want[0].Attrs.Mobility = evpn.Mobility{Present: true, Sticky: true, Seq: 3}
	want[0].Attrs.ESI = evpn.ESIFromMAC(0x020000000077, 1)
	if err := na.Announce(want); err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		u := nc.route(w.Key.String(), func(u evpn.Update) bool { return u.Route.Key == w.Key && !u.Withdraw })
		g, p := u.Route.Attrs, u.Route.Attrs.Preference
		if g.NextHop != ours || g.Label1 != w.Attrs.Label1 || g.Mobility != w.Attrs.Mobility || g.RouterMAC != w.Attrs.RouterMAC || g.PMSI != w.Attrs.PMSI || g.ESI != w.Attrs.ESI {
			t.Errorf("got  %+v\nwant %+v", g, w.Attrs)
		}
		if p.Originator != ours || p.ClusterLen != 1 {
			t.Errorf("originator %v, %d clusters", p.Originator, p.ClusterLen)
		}
	}
	if err := na.Withdraw([]evpn.Key{want[2].Key}); err != nil {
		t.Fatal(err)
	}
	nc.route("withdrawal", func(u evpn.Update) bool { return u.Route.Key == want[2].Key && u.Withdraw })
	// The announcer goes, its routes with it.
	na.Close()
	nc.route("withdrawal with the session", func(u evpn.Update) bool { return u.Route.Key == want[0].Key && u.Withdraw })
}
