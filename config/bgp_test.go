package config_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config"
)

// bgpDoc is a node with the smallest section that works.
const bgpDoc = `node:
  name: n1
  roles: [leaf]
  address: 10.255.0.1
host:
  mode: netstack
wireguard:
  private-key-file: /etc/ztos/wg.key
peers:
- name: spine1
  public-key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
  allowed-ips: [10.255.0.254/32, 10.254.0.0/16]
bgp:
  asn: 65000
  neighbors:
  - address: 10.255.0.254
  - address: 10.254.0.9
bridge-domains:
- {vni: 100, protection: none}
`

func parseBGP(t *testing.T, edits ...edit) *config.Node {
	t.Helper()
	n, err := config.Parse([]byte(edited(t, edits)), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func edited(t *testing.T, edits []edit) string {
	t.Helper()
	s := bgpDoc
	for _, e := range edits {
		if !strings.Contains(s, e.old) {
			t.Fatalf("%q is not in the document", e.old)
		}
		s = strings.Replace(s, e.old, e.new, 1)
	}
	return s
}

func TestBGPDefaults(t *testing.T) {
	n := parseBGP(t)
	g := n.BGP
	if g.RouterID != netip.MustParseAddr("10.255.0.1") || g.Reflect.On() || g.Transport != config.BGPFabric || g.Port != 179 || g.RestartTime.D() != 120*time.Second {
		t.Errorf("%+v", g)
	}
	x := g.Neighbors
	if x[0].Name != "spine1" || x[1].Name != "10-254-0-9" || x[0].ASN != 65000 || x[0].HoldTime.D() != 9*time.Second || !x[0].RTConstraint.On() || x[0].Passive.On() {
		t.Errorf("%+v", x)
	}
	rt, _ := evpn.NewRT(65000, 100)
	e := n.BridgeDomains[0].EVPN
	if e.RD.String() != "10.255.0.1:100" || !slices.Equal(e.Export, []config.RT{{RT: rt}}) || !slices.Equal(e.Import, []config.ImportRT{{Import: evpn.Exact(rt)}}) {
		t.Errorf("%+v", e)
	}
	// What is said stays, and calling Defaults again changes nothing.
	n = parseBGP(t,
		edit{"protection: none", `protection: none, evpn: {rd: "65000:7", import: ["*:100"]}`},
		edit{"asn: 65000", "asn: 65000\n  router-id: 192.0.2.1\n  restart-time: 0s"})
	e = n.BridgeDomains[0].EVPN
	if e.RD.String() != "65000:7" || !e.Import[0].Any || e.Export[0].RT != rt || n.BGP.RestartTime.D() != 0 {
		t.Errorf("%+v, restart %v", e, n.BGP.RestartTime)
	}
	// One word makes a reflector: the role.
	n = parseBGP(t, edit{"roles: [leaf]", "roles: [leaf, spine]"}, edit{"bridge-domains:", "vrfs: [{name: red, vnis: [100], vteps: [10.255.0.1]}]\nbridge-domains:"})
	if !n.BGP.Reflect.On() {
		t.Error("a spine does not reflect")
	}
}

func TestBGPFaults(t *testing.T) {
	const first = "  - address: 10.255.0.254\n"
	at := func(key string) []edit { return []edit{{first, first + "    " + key + "\n"}} }
	under := func(key string) []edit { return []edit{{"asn: 65000", "asn: 65000\n  " + key}} }
	for _, tt := range []struct {
		name  string
		edits []edit
		want  []string
	}{
		{"no AS", []edit{{"  asn: 65000\n", ""}}, []string{"bgp.asn: 0 is no AS number"}},
		{"last AS", []edit{{"asn: 65000", "asn: 4294967295"}}, []string{
			"bgp.asn: 4294967295 is no AS number", "bgp.neighbors[0].asn: 4294967295 is no AS number", "bgp.neighbors[1].asn: 4294967295 is no AS number",
		}},
		{"unknown key", under("router: 1.2.3.4"), []string{`bgp.router: unknown key "router"`}},
		{"router id of IPv6", under("router-id: \"2001:db8::1\""), []string{"bgp.router-id: 2001:db8::1 is no router id"}},
		{"no router id", []edit{{"address: 10.255.0.1\n", "address: \"2001:db8::1\"\n"}}, []string{"bgp.router-id: no router id, and `node.address` is not IPv4"}},
		{"transport", under("transport: wire"), []string{`bgp.transport: "wire" is not a transport of BGP: want fabric, underlay`}},
		{"restart time", under("restart-time: 5000s"), []string{"bgp.restart-time: 1h23m20s is out of range"}},
		{"half seconds", under("restart-time: 1500ms"), []string{"bgp.restart-time: 1.5s is not whole seconds"}},
		{"long-lived without restart", under("restart-time: 0s\n  long-lived-time: 60s"), []string{"bgp.long-lived-time: graceful restart is off"}},
		{"no neighbours", []edit{{"  neighbors:\n" + first + "  - address: 10.254.0.9\n", "  neighbors: []\n"}}, []string{"bgp.neighbors: no neighbour: nothing would be learned"}},
		{"no address", []edit{{first, "  - name: x\n"}}, []string{"bgp.neighbors[0].address: no address"}},
		{"address twice", []edit{{"10.254.0.9", "10.255.0.254"}}, []string{
			"bgp.neighbors[1].name: spine1 is taken by bgp.neighbors[0]", "bgp.neighbors[1].address: 10.255.0.254 is taken by bgp.neighbors[0]",
		}},
		{"bad name", at("name: Spine"), []string{`bgp.neighbors[0].name: "Spine" is not a name`}},
		{"own address", []edit{{"10.254.0.9", "10.255.0.1"}}, []string{"bgp.neighbors[1].address: 10.255.0.1 is this node's own address"}},
		{"out of reach", []edit{{"10.254.0.9", "10.253.0.9"}}, []string{"bgp.neighbors[1].address: no peer reaches 10.253.0.9"}},
		{"relative password file", at("password-file: pw"), []string{`bgp.neighbors[0].password-file: "pw" is relative`, "bgp.neighbors[0].password-file: host.mode netstack cannot sign TCP segments"}},
		{"password without kernel", at("password-file: /etc/pw"), []string{"bgp.neighbors[0].password-file: host.mode netstack cannot sign TCP segments"}},
		{"TTL security without kernel", at("ttl-security: 1"), []string{"bgp.neighbors[0].ttl-security: host.mode netstack has no TTL security"}},
		{"255 hops", append(at("ttl-security: 255"), edit{"mode: netstack", "mode: tun"}), []string{"bgp.neighbors[0].ttl-security: 255 is out of range"}},
		{"warning of no limit", at("warn-percent: 50"), []string{"bgp.neighbors[0].warn-percent: there is no limit to warn of"}},
		{"warning above", at("max-routes: 5\n    warn-percent: 101"), []string{"bgp.neighbors[0].warn-percent: 101 is out of range"}},
		{"hold time", at("hold-time: 2s"), []string{"bgp.neighbors[0].hold-time: 2s is out of range"}},
		{"own AS", at("allow-own-as: 11"), []string{"bgp.neighbors[0].allow-own-as: 11 is out of range"}},
		{"no stack", []edit{{"mode: netstack", "mode: none"}}, []string{"bgp.transport: host.mode is none: no stack in the fabric that BGP could use"}},
		{"a great VNI", []edit{{"vni: 100,", "vni: 70000,"}}, []string{"bridge-domains[0].evpn.rd: none follows from VNI 70000, which is above 65535"}},
		{"a great VNI and AS", []edit{{"vni: 100,", "vni: 70000,"}, {"asn: 65000", "asn: 4200000000"}}, []string{
			"bridge-domains[0].evpn.rd: none follows from VNI 70000, which is above 65535",
			"bridge-domains[0].evpn: no route target follows from AS 4200000000 and VNI 70000: two octets are left for the VNI",
		}},
		{"RD twice", []edit{{"- {vni: 100, protection: none}", "- {vni: 100, protection: none}\n- {vni: 101, protection: none, evpn: {rd: \"10.255.0.1:100\"}}"}}, []string{
			"bridge-domains[1].evpn.rd: 10.255.0.1:100 is taken by bridge-domains[0]",
		}},
		{"RD", []edit{{"protection: none", "protection: none, evpn: {rd: 7}"}}, []string{`bridge-domains[0].evpn.rd: evpn: route distinguisher "7": want AS:number or IPv4:number`}},
		{"wildcard export", []edit{{"protection: none", `protection: none, evpn: {export: ["*:100"]}`}}, []string{
			`bridge-domains[0].evpn.export[0]: evpn: route target "*:100": administrator "*" is no AS and no IPv4 address`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range parseFaults(t, edited(t, tt.edits)) {
				got = append(got, f.Path+": "+f.Problem)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %s\nwant %s", fmt.Sprintf("%q", got), fmt.Sprintf("%q", tt.want))
			}
		})
	}
	// EVPN without BGP.
	s := strings.Replace(bgpDoc, "protection: none", "protection: none, evpn: {}", 1)
	a, b := strings.Index(s, "bgp:"), strings.Index(s, "bridge-domains:")
	fs := parseFaults(t, s[:a]+s[b:])
	if len(fs) != 1 || fs[0].Path != "bridge-domains[0].evpn" {
		t.Errorf("%v", fs)
	}
}
