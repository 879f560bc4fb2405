package config_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ztos/ztos/config"
)

// edit is a change of a document's text: old must be there.
type edit struct{ old, new string }

// faultsOf applies edits to a document of testdata and returns its faults as
// "path: problem", with no file, line or fix.
func faultsOf(t *testing.T, file string, edits []edit) []string {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	s := string(data)
	for _, e := range edits {
		if !strings.Contains(s, e.old) {
			t.Fatalf("%q is not in %s", e.old, file)
		}
		s = strings.Replace(s, e.old, e.new, 1)
	}
	var out []string
	for _, f := range parseFaults(t, s) {
		out = append(out, f.Path+": "+f.Problem)
		section, _, _ := strings.Cut(f.Path, ".")
		if f.Line < 1 && strings.Contains(s, "\n"+section+":") {
			t.Errorf("%s has no line", f)
		}
	}
	return out
}

// parseFaults returns the faults of a document, none when it is good.
func parseFaults(t *testing.T, s string) config.Faults {
	t.Helper()
	n, err := config.Parse([]byte(s), "test.yaml")
	if err == nil {
		return nil
	}
	fs, ok := errors.AsType[config.Faults](err)
	if !ok || len(fs) == 0 {
		t.Fatalf("error %v is not Faults", err)
	}
	if n != nil {
		t.Error("a node beside faults")
	}
	return fs
}

// TestFaults has one case per fault; each must give exactly this fault.
func TestFaults(t *testing.T) {
	const leaf, spine, plain, routing, reflector = "leaf.yaml", "spine.yaml", "plain-xpn.yaml", "routing.yaml", "reflector.yaml"
	const contract, segments, dhcp, external = "contract.yaml", "segments.yaml", "dhcp.yaml", "external.yaml"
	const h1 = "- name: h1\n  kind: afpacket\n  device: eth1\n"
	for _, tt := range []struct {
		name  string
		file  string
		edits []edit
		want  []string
	}{
		// node
		{"no name", leaf, []edit{{"name: leaf1", ""}}, []string{"node.name: no name"}},
		{"bad name", leaf, []edit{{"name: leaf1", "name: Leaf_1"}}, []string{`node.name: "Leaf_1" is not a name`}},
		{"no role", leaf, []edit{{"roles: [leaf]", "roles: []"}}, []string{"node.roles: no role"}},
		{"unknown role", leaf, []edit{{"roles: [leaf]", "roles: [leaf, core]"}}, []string{`node.roles[1]: "core" is not a role: want leaf, spine`}},
		{"role twice", leaf, []edit{{"roles: [leaf]", "roles: [leaf, leaf]"}}, []string{`node.roles[1]: role "leaf" twice`}},
		{"no address", leaf, []edit{{"  address: 10.255.0.1\n", ""}}, []string{"node.address: no address"}},
		{"loopback address", leaf, []edit{{"address: 10.255.0.1", "address: 127.0.0.1"}}, []string{"node.address: 127.0.0.1 is loopback or link-local"}},
		{"multicast address", leaf, []edit{{"address: 10.255.0.1", "address: 224.0.0.1"}}, []string{"node.address: 224.0.0.1 is not a unicast address"}},
		{"address6 is IPv4", leaf, []edit{{"address6: fd00:255::1", "address6: 10.255.0.9"}}, []string{"node.address6: 10.255.0.9 is not IPv6"}},
		{"two IPv6 addresses", plain, []edit{{"address: 2001:db8::1", "address: 2001:db8::1\n  address6: 2001:db8::7"}}, []string{"node.address6: `address` is IPv6 already"}},
		{"relative state-dir", leaf, []edit{{"/var/lib/ztos", "state"}}, []string{`node.state-dir: "state" is relative`}},
		// api
		{"long socket", leaf, []edit{{"/run/ztos/engine.sock", "/" + strings.Repeat("x", 107)}}, []string{"api.socket: a unix socket's path holds at most 107 bytes, not 108"}},
		{"metrics not loopback", leaf, []edit{{"127.0.0.1:9464", "0.0.0.0:9464"}}, []string{"api.metrics: 0.0.0.0 is not a loopback address"}},
		{"metrics without port", leaf, []edit{{"127.0.0.1:9464", "127.0.0.1"}}, []string{"api.metrics: no port"}},
		// underlay
		{"listen without port", leaf, []edit{{`"[::]:51820"`, `"::"`}}, []string{"underlay.listen: no port"}},
		{"listen multicast", leaf, []edit{{`"[::]:51820"`, `224.0.0.1:1`}}, []string{"underlay.listen: 224.0.0.1 is multicast"}},
		{"mtu too small", leaf, []edit{{"mtu: 1500", "mtu: 1279"}}, []string{"underlay.mtu: 1279 is out of range"}},
		{"AF_XDP device twice", leaf, []edit{{"afxdp: [eth9]", "afxdp: [eth9, eth9]"}}, []string{`underlay.afxdp[1]: device "eth9" twice`}},
		{"AF_XDP device name", leaf, []edit{{"afxdp: [eth9]", "afxdp: [a/b]"}}, []string{`underlay.afxdp[0]: "a/b" is not a device name`}},
		{"AF_XDP devices", leaf, []edit{{"afxdp: [eth9]", "afxdp: [a, b, c, d, e, f, g, h, i]"}}, []string{"underlay.afxdp: 9 devices"}},
		{"AF_XDP device of a port", leaf, []edit{{"afxdp: [eth9]", "afxdp: [eth1]"}}, []string{"ports[0].device: eth1 is a device of underlay.afxdp"}},
		{"queues", leaf, []edit{{"queues: 1", "queues: 65"}}, []string{"underlay.queues: 65 is out of range"}},
		{"source-ports", leaf, []edit{{"source-ports: 0", "source-ports: 17"}}, []string{"underlay.source-ports: 17 is out of range"}},
		{"vxlan-port too large", leaf, []edit{{"vxlan-port: 4789", "vxlan-port: 65536"}}, []string{`underlay.vxlan-port: want a number from 0 to 65535, not "65536"`}},
		{"checksum mode", leaf, []edit{{"checksum: full", "checksum: on"}}, []string{`underlay.vxlan-udp-checksum: "on" is not a UDP checksum mode: want auto, zero, full`}},
		{"vxlan-listen unused", leaf, []edit{{"vxlan-port: 4789", "vxlan-listen: 192.0.2.9"}}, []string{"underlay.vxlan-listen: no peer is plain, so nothing would listen here"}},
		{"vxlan-listen missing", plain, []edit{{"  vxlan-listen: 2001:db8::1\n", ""}}, []string{"underlay.vxlan-listen: a plain peer needs it"}},
		{"vxlan-listen of another family", plain, []edit{{"vxlan-listen: 2001:db8::1", "vxlan-listen: 192.0.2.1"}}, []string{"peers[0].endpoint: 2001:db8::2 can't be reached from underlay.vxlan-listen 192.0.2.1"}},
		{"vxlan-listen unspecified", plain, []edit{{"vxlan-listen: 2001:db8::1", `vxlan-listen: "::"`}}, []string{"underlay.vxlan-listen: :: is not a unicast address"}},
		{"one port for both", plain, []edit{{"vxlan-port: 8472", "vxlan-port: 51820"}}, []string{"underlay.vxlan-port: WireGuard listens on port 51820 too"}},
		{"gso not boolean", leaf, []edit{{"gso: false", "gso: 0"}}, []string{`underlay.gso: want true or false, not "0"`}},
		// host
		{"host mode", leaf, []edit{{"mode: tun", "mode: tap"}}, []string{`host.mode: "tap" is not a host mode: want netstack, tun, none`}},
		{"tun device", leaf, []edit{{"device: ztos0", "device: a/b"}}, []string{`host.device: "a/b" is not a device name`}},
		{"tun device is a port", leaf, []edit{{"device: tap1", "device: ztos0"}}, []string{"ports[1].device: ztos0 is the host's TUN device"}},
		// wireguard
		{"no private key", leaf, []edit{{"  private-key-file: /etc/ztos/wg.key\n", ""}}, []string{"wireguard.private-key-file: peers use wireguard and there is no private key"}},
		{"relative private key", leaf, []edit{{"/etc/ztos/wg.key", "wg.key"}}, []string{`wireguard.private-key-file: "wg.key" is relative`}},
		// peers
		{"peer name twice", leaf, []edit{{"name: spine2", "name: spine1"}}, []string{"peers[1].name: spine1 is taken by peers[0]"}},
		{"carrier", leaf, []edit{{"carrier: wireguard", "carrier: ipsec"}}, []string{`peers[0].carrier: "ipsec" is not a carrier: want wireguard, plain`}},
		{"no public key", leaf, []edit{{"  public-key: AAEC", "  #"}}, []string{"peers[0].public-key: a wireguard peer needs a public key"}},
		{"bad public key", leaf, []edit{{"public-key: AAEC", "public-key: AA"}}, []string{"peers[0].public-key: not a WireGuard public key: want the 44 characters of base64 that `wg pubkey` prints"}},
		{"public key twice", leaf, []edit{{"ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}}, []string{"peers[1].public-key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= is taken by peers[0]"}},
		{"relative preshared key", leaf, []edit{{"/etc/ztos/spine1.psk", "spine1.psk"}}, []string{`peers[0].preshared-key-file: "spine1.psk" is relative`}},
		{"endpoint without port", leaf, []edit{{"192.0.2.1:51820", "192.0.2.1"}}, []string{"peers[0].endpoint: no port"}},
		{"endpoint is no address", leaf, []edit{{"192.0.2.1:51820", "spine1:51820"}}, []string{`peers[0].endpoint: "spine1:51820" is not an address and port: want 192.0.2.1:51820 or "[2001:db8::1]:51820"`}},
		{"endpoint unspecified", leaf, []edit{{"192.0.2.1:51820\n  pinned-endpoints: [192.0.2.0/24,", "0.0.0.0:51820\n  pinned-endpoints: [0.0.0.0/0,"}}, []string{"peers[0].endpoint: 0.0.0.0 is not a unicast address"}},
		{"endpoint is not pinned", leaf, []edit{{"192.0.2.1:51820", "198.51.100.1:51820"}}, []string{"peers[0].pinned-endpoints: the endpoint 198.51.100.1 is not among them"}},
		{"pinned with host bits", leaf, []edit{{"[192.0.2.0/24,", "[192.0.2.1/24,"}}, []string{"peers[0].pinned-endpoints[0]: 192.0.2.1/24 has host bits"}},
		{"no allowed ips", leaf, []edit{{"#", "#"}, {"  allowed-ips: [10.255.0.0/24]\n", ""}}, []string{"peers[1].allowed-ips: none: every packet from this peer would be dropped"}},
		{"allowed ip is no prefix", leaf, []edit{{"[10.255.0.0/24]", "[10.255.0.0]"}}, []string{`peers[1].allowed-ips[0]: "10.255.0.0" is not a prefix: want ADDRESS/BITS`}},
		{"allowed ip twice", leaf, []edit{{"[10.255.0.0/24]", "[10.255.0.0/24, 10.255.0.0/24]"}}, []string{"peers[1].allowed-ips[1]: 10.255.0.0/24 twice"}},
		{"allowed ip is our own", leaf, []edit{{"[10.255.0.0/24]", "[10.255.0.1/32]"}}, []string{"peers[1].allowed-ips[0]: 10.255.0.1 is this node's own address"}},
		{"keepalive without unit", leaf, []edit{{"keepalive: 25s", "keepalive: 25"}}, []string{`peers[0].keepalive: "25" is not a duration: write a number with a unit, as 300ms or 25s`}},
		{"keepalive range", leaf, []edit{{"keepalive: 25s", "keepalive: 500ms"}}, []string{"peers[0].keepalive: 500ms is out of range"}},
		{"liveness interval", leaf, []edit{{"interval: 100ms", "interval: 1ms"}}, []string{"peers[0].liveness.interval: 1ms is out of range"}},
		{"liveness multiplier", leaf, []edit{{"multiplier: 5", "multiplier: 1"}}, []string{"peers[0].liveness.multiplier: 1 is out of range"}},
		{"peer vteps on a leaf", leaf, []edit{{"keepalive: 25s", "vteps: [10.255.0.2]"}}, []string{"peers[0].vteps: only a spine checks the VTEPs of a peer"}},
		{"peer vtep not allowed", spine, []edit{{"vteps: [10.255.0.2, 10.254.0.7]", "vteps: [10.255.0.2, 10.253.0.7]"}}, []string{"peers[1].vteps[1]: 10.253.0.7 is outside the peer's allowed-ips"}},
		{"peer vtep twice", spine, []edit{{"vteps: [10.255.0.2, 10.254.0.7]", "vteps: [10.255.0.2, 10.255.0.2]"}}, []string{"peers[1].vteps[1]: 10.255.0.2 twice"}},
		{"plain without endpoint", plain, []edit{{"  endpoint: 2001:db8::2\n", "  allowed-ips: [\"2001:db8::2/128\"]\n"}}, []string{"peers[0].endpoint: a plain peer needs an endpoint"}},
		{"plain endpoint twice", plain, []edit{{"ports:", "- {name: k2, carrier: plain, endpoint: \"2001:db8::2\"}\nports:"}}, []string{"peers[1].endpoint: 2001:db8::2 is taken by peers[0]"}},
		{"plain with wireguard's keys", plain, []edit{{"carrier: plain", "carrier: plain\n  public-key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n  preshared-key-file: /k\n  pinned-endpoints: [\"::/0\"]\n  keepalive: 1s\n  liveness: {}"}}, []string{
			"peers[0].public-key: a plain peer has no key",
			"peers[0].preshared-key-file: a plain peer has no key",
			"peers[0].pinned-endpoints: a plain peer does not roam",
			"peers[0].keepalive: a plain peer has no keepalive",
			"peers[0].liveness: a plain peer has no liveness check"}},
		// ports
		{"port name twice", leaf, []edit{{"- {name: t2, kind: tap,", "- {name: t3, kind: tap,"}, {"  - {port: t2, vlan: 200, inner-vlan: 5}\n", ""}, {"  - {mac: \"02:00:00:00:00:03\", port: t2, vlan: 200, inner-vlan: 5}\n", ""}}, []string{"ports[3].name: t3 is taken by ports[2]"}},
		{"no kind", leaf, []edit{{"  kind: afpacket\n", ""}}, []string{"ports[0].kind: no kind"}},
		{"unknown kind", leaf, []edit{{"kind: afpacket", "kind: dpdk"}}, []string{`ports[0].kind: "dpdk" is not a port kind: want afpacket, tap, afxdp, auto`}},
		{"fallback of afpacket", leaf, []edit{{"kind: afpacket", "kind: afpacket\n  fallback: none"}}, []string{"ports[0].fallback: kind afpacket has no fallback to choose"}},
		{"fallback of auto", leaf, []edit{{"kind: afpacket", "kind: auto\n  fallback: afpacket"}}, []string{"ports[0].fallback: kind auto has no fallback to choose"}},
		{"unknown fallback", leaf, []edit{{"kind: afpacket", "kind: afxdp\n  fallback: tap"}}, []string{`ports[0].fallback: "tap" is not a fallback: want afpacket, none`}},
		{"no device", leaf, []edit{{"  device: eth1\n", ""}}, []string{"ports[0].device: no device"}},
		{"device name too long", leaf, []edit{{"device: eth1", "device: abcdefghijklmnop"}}, []string{`ports[0].device: "abcdefghijklmnop" is not a device name`}},
		{"device twice", leaf, []edit{{"device: tap2", "device: tap1"}}, []string{"ports[2].device: tap1 is taken by ports[1]"}},
		{"port queues", leaf, []edit{{"  queues: 2\n", "  queues: -1\n"}}, []string{"ports[0].queues: -1 is out of range"}},
		{"negative mac-limit", leaf, []edit{{"mac-limit: 16", "mac-limit: -1"}}, []string{`ports[0].mac-limit: want a number from 0 to 4294967295, not "-1"`}},
		{"ports on a spine", spine, []edit{{"vrfs:", "ports:\n" + h1 + "vrfs:"}}, []string{"ports: only a leaf has ports"}},
		// bridge domains
		{"bridge domain on a spine", spine, []edit{{"vrfs:", "bridge-domains: [{vni: 1, protection: none}]\nvrfs:"}}, []string{"bridge-domains: only a leaf has bridge domains"}},
		{"vni 0", leaf, []edit{{"vni: 10200", "vni: 0"}}, []string{"bridge-domains[1].vni: VNI 0 is out of range"}},
		{"vni too large", leaf, []edit{{"vni: 10200", "vni: 16777216"}}, []string{"bridge-domains[1].vni: VNI 16777216 is out of range"}},
		{"vni twice", leaf, []edit{{"vni: 10200", "vni: 10100"}}, []string{"bridge-domains[1].vni: 10100 is taken by bridge-domains[0]"}},
		{"bridge domain name twice", leaf, []edit{{"vni: 10200", "vni: 10200\n  name: red"}}, []string{"bridge-domains[1].name: red is taken by bridge-domains[0]"}},
		{"tenant mtu", leaf, []edit{{"mtu: 1300", "mtu: 575"}}, []string{"bridge-domains[0].mtu: 575 is out of range"}},
		{"attach without port", leaf, []edit{{"{port: t1, vlan: 100}", "{vlan: 100}"}}, []string{"bridge-domains[0].attach[1].port: no port"}},
		{"attach to no port", leaf, []edit{{"{port: t1, vlan: 100}", "{port: t9, vlan: 100}"}}, []string{`bridge-domains[0].attach[1].port: there is no port "t9"`}},
		{"vlan 4095", leaf, []edit{{"vlan: 100", "vlan: 4095"}}, []string{"bridge-domains[0].attach[1].vlan: VLAN 4095 is out of range"}},
		{"inner vlan 4095", leaf, []edit{{"{port: t1, vlan: 100}", "{port: t1, vlan: 100, inner-vlan: 4095}"}}, []string{"bridge-domains[0].attach[1].inner-vlan: VLAN 4095 is out of range"}},
		{"inner vlan alone", leaf, []edit{{"{port: t1, vlan: 100}", "{port: t1, inner-vlan: 100}"}}, []string{"bridge-domains[0].attach[1].inner-vlan: inner VLAN 100 without an outer one"}},
		{"vlan twice", leaf, []edit{{"{port: h1, vlan: 200}", "{port: t1, vlan: 100}"}}, []string{"bridge-domains[1].attach[0]: VLAN 100 of port t1 is taken by VNI 10100"}},
		{"qinq twice", leaf, []edit{{"{port: h1, vlan: 200}", "{port: t2, vlan: 200, inner-vlan: 5}"}}, []string{"bridge-domains[1].attach[0]: VLAN 200 inner 5 of port t2 is taken by VNI 10100"}},
		{"untagged twice", leaf, []edit{{"{port: h1, vlan: 200}", "{port: h1}"}}, []string{"bridge-domains[1].attach[0]: untagged access of port h1 is taken by VNI 10100"}},
		{"all beside a vlan", leaf, []edit{{"{port: t3, all: true}", "{port: t3, all: true, vlan: 1}"}}, []string{"bridge-domains[0].attach[3].all: all and a VLAN exclude each other"}},
		{"circuit of a port taken whole", leaf, []edit{{"{port: h1, vlan: 200}", "{port: t3, vlan: 1}"}}, []string{"bridge-domains[1].attach[0]: VNI 10100 takes all of port t3"}},
		{"whole port with circuits", leaf, []edit{{"{port: h1, vlan: 200}", "{port: t1, all: true}"}}, []string{"bridge-domains[1].attach[0].all: VNI 10100 has a part of port t1"}},
		{"vtep twice", plain, []edit{{`vteps: ["2001:db8::2"]`, `vteps: ["2001:db8::2", "2001:db8::2"]`}}, []string{"bridge-domains[0].vteps[1]: 2001:db8::2 twice"}},
		{"vtep is our own", leaf, []edit{{"protection: none", "protection: none\n  vteps: [10.255.0.1]"}}, []string{"bridge-domains[1].vteps[0]: 10.255.0.1 is this node's own address"}},
		{"vtep without a route", leaf, []edit{{"protection: none", "protection: none\n  vteps: [10.254.0.1]"}}, []string{"bridge-domains[1].vteps[0]: no peer leads to VTEP 10.254.0.1"}},
		{"vtep of another family", leaf, []edit{{"  address6: fd00:255::1\n", ""}, {"protection: none", "protection: none\n  vteps: [\"fd00:255::2\"]"}}, []string{"bridge-domains[1].vteps[0]: fd00:255::2 is of another family than this node's VTEP"}},
		{"static mac missing", leaf, []edit{{`{mac: "02:00:00:00:00:01", port`, "{port"}}, []string{"bridge-domains[0].static-macs[0].mac: no MAC"}},
		{"static mac is no mac", leaf, []edit{{`"02:00:00:00:00:01"`, `"02:00:00:00:00:01:02:03"`}}, []string{`bridge-domains[0].static-macs[0].mac: "02:00:00:00:00:01:02:03" is not a MAC address: want six octets, as "02:00:00:00:00:01"`}},
		{"static group mac", leaf, []edit{{`"02:00:00:00:00:01"`, `"03:00:00:00:00:01"`}}, []string{"bridge-domains[0].static-macs[0].mac: 03:00:00:00:00:01 is a group address"}},
		{"static mac twice", leaf, []edit{{`"02:00:00:00:00:01"`, `"02:00:00:00:00:02"`}}, []string{"bridge-domains[0].static-macs[2].mac: 02:00:00:00:00:02 twice in VNI 10100"}},
		{"static mac nowhere", leaf, []edit{{`01", port: h1, vlan: 0}`, `01"}`}}, []string{"bridge-domains[0].static-macs[0]: neither port nor vtep"}},
		{"static mac at two places", leaf, []edit{{`01", port: h1, vlan: 0}`, `01", port: h1, vtep: 10.255.0.2}`}}, []string{"bridge-domains[0].static-macs[0]: both port and vtep"}},
		{"static mac at no circuit", leaf, []edit{{`01", port: h1, vlan: 0}`, `01", port: h1, vlan: 7}`}}, []string{"bridge-domains[0].static-macs[0].port: h1.7 is not attached to VNI 10100"}},
		{"static mac behind a stranger", leaf, []edit{{`02", vtep: 10.255.0.2}`, `02", vtep: 10.255.0.9}`}}, []string{"bridge-domains[0].static-macs[2].vtep: 10.255.0.9 is not a VTEP of VNI 10100"}},
		{"static mac behind a vtep with a vlan", leaf, []edit{{`02", vtep: 10.255.0.2}`, `02", vtep: 10.255.0.2, vlan: 5}`}}, []string{"bridge-domains[0].static-macs[2].vlan: a VLAN belongs to a port, not to a VTEP"}},
		{"ageing", leaf, []edit{{"ageing: 60s", "ageing: 10ms"}}, []string{"bridge-domains[0].ageing: 10ms is out of range"}},
		{"limit action", leaf, []edit{{"mac-limit-action: drop", "mac-limit-action: shut"}}, []string{`bridge-domains[0].mac-limit-action: "shut" is not a MAC limit action: want forward, drop`}},
		{"negative storm rate", leaf, []edit{{"broadcast: 100,", "broadcast: -1,"}}, []string{`bridge-domains[0].storm.broadcast: want a number from 0 to 18446744073709551615, not "-1"`}},
		// protection and MACsec
		{"no protection unsaid", leaf, []edit{{"protection: none", "mac-limit: 1"}}, []string{"bridge-domains[1].macsec: VNI 10200 has no keys and must not be without protection unsaid"}},
		{"protection none with keys", leaf, []edit{{"protection: macsec", "protection: none"}}, []string{"bridge-domains[0].protection: none, yet there is a macsec section"}},
		{"protection unknown", leaf, []edit{{"protection: none", "protection: ipsec"}}, []string{`bridge-domains[1].protection: "ipsec" is not a protection: want macsec, none`,
			"bridge-domains[1].macsec: VNI 10200 has no keys and must not be without protection unsaid"}},
		{"cipher", leaf, []edit{{"gcm-aes-128", "aes"}}, []string{`bridge-domains[0].macsec.cipher: "aes" is not a cipher suite: want gcm-aes-128, gcm-aes-256, gcm-aes-xpn-128, gcm-aes-xpn-256`}},
		{"mode", leaf, []edit{{"mode: standard", "mode: secret"}}, []string{`bridge-domains[0].macsec.mode: "secret" is not a MACsec mode: want standard, hidden`}},
		{"hidden without encryption", plain, []edit{{"mode: hidden", "mode: hidden\n    encrypt: false"}}, []string{"bridge-domains[0].macsec.mode: hidden mode hides nothing without encryption"}},
		{"offset 31", leaf, []edit{{"offset: 30", "offset: 31"}}, []string{"bridge-domains[0].macsec.offset: 31 is not an offset"}},
		{"offset with xpn", plain, []edit{{"mode: hidden", "offset: 30"}}, []string{"bridge-domains[0].macsec.offset: gcm-aes-xpn-256 takes no offset"}},
		{"offset without encryption", leaf, []edit{{"encrypt: true", "encrypt: false"}}, []string{"bridge-domains[0].macsec.offset: an offset without encryption"}},
		{"offset with hidden", leaf, []edit{{"mode: standard", "mode: hidden"}}, []string{"bridge-domains[0].macsec.offset: an offset would show the MACs that hidden mode hides"}},
		{"replay window", leaf, []edit{{"replay-window: 0", "replay-window: 16777217"}}, []string{"bridge-domains[0].macsec.replay-window: 16777217 is out of range"}},
		{"no sci", leaf, []edit{{"sci: \"0a00000000010001\"", "#"}}, []string{"bridge-domains[0].macsec.tx.sci: no SCI"}},
		{"short sci", leaf, []edit{{"0a00000000010001", "0a0000000001"}}, []string{`bridge-domains[0].macsec.tx.sci: "0a0000000001" is not an SCI: want 16 hex digits, in quotes`}},
		{"sci twice", leaf, []edit{{"0a00000000030001", "0a00000000010001"}}, []string{"bridge-domains[0].macsec.peers[1].sci: SCI 0a00000000010001 is that of tx"}},
		{"ssci without xpn", leaf, []edit{{"an: 1\n", "an: 1\n      ssci: 5\n"}}, []string{"bridge-domains[0].macsec.tx.ssci: gcm-aes-128 has no SSCI"}},
		{"no ssci", plain, []edit{{"      ssci: 2\n", ""}}, []string{"bridge-domains[0].macsec.tx.ssci: gcm-aes-xpn-256 needs an SSCI"}},
		{"ssci twice", plain, []edit{{"ssci: 2", "ssci: 1"}}, []string{"bridge-domains[0].macsec.peers[0].ssci: SSCI 1 is that of tx"}},
		{"no salt", plain, []edit{{", salt-file: /etc/ztos/lab.salt", ""}}, []string{"bridge-domains[0].macsec.tx.sas[0].salt-file: gcm-aes-xpn-256 needs a salt"}},
		{"salt without xpn", leaf, []edit{{"red.leaf1.1.sak}", "red.leaf1.1.sak, salt-file: /s}"}}, []string{"bridge-domains[0].macsec.tx.sas[1].salt-file: gcm-aes-128 has no salt"}},
		{"relative salt", plain, []edit{{"salt-file: /etc/ztos/lab.salt", "salt-file: lab.salt"}}, []string{`bridge-domains[0].macsec.tx.sas[0].salt-file: "lab.salt" is relative`}},
		{"no sa", leaf, []edit{{"sas:\n      - {an: 3, key-file: /etc/ztos/red.leaf3.3.sak}", "sas: []"}}, []string{"bridge-domains[0].macsec.peers[1].sas: no SA"}},
		{"an without sa", leaf, []edit{{"an: 1\n", "an: 2\n"}}, []string{"bridge-domains[0].macsec.tx.an: AN 2 has no SA in sas"}},
		{"an 4", leaf, []edit{{"an: 1\n", "an: 4\n"}}, []string{"bridge-domains[0].macsec.tx.an: AN 4 is out of range"}},
		{"an 4 in sas", leaf, []edit{{"{an: 3,", "{an: 4,"}}, []string{"bridge-domains[0].macsec.peers[1].sas[0].an: AN 4 is out of range"}},
		{"an twice", leaf, []edit{{"{an: 0,", "{an: 1,"}}, []string{"bridge-domains[0].macsec.tx.sas[1].an: AN 1 twice"}},
		{"no key file", leaf, []edit{{"{an: 3, key-file: /etc/ztos/red.leaf3.3.sak}", "{an: 3}"}}, []string{"bridge-domains[0].macsec.peers[1].sas[0].key-file: no path"}},
		{"key of two SAs", leaf, []edit{{"red.leaf1.1.sak", "red.leaf1.0.sak"}}, []string{"bridge-domains[0].macsec.tx.sas[1].key-file: key file of AN 0 again: two SAs of a channel must not share a key"}},
		{"key and sci of two VNIs", leaf, []edit{{"- vni: 10200", "- vni: 10300\n  macsec: {tx: {sci: \"0a00000000010001\", an: 3, sas: [{an: 3, key-file: /etc/ztos/red.leaf1.0.sak}]}}\n- vni: 10200"}}, []string{"bridge-domains[1].macsec.tx.sas[0].key-file: key and channel identifier are those of bridge-domains[0].macsec.tx: nonces would repeat"}},
		{"channel of no vtep", plain, []edit{{"    - vtep: 2001:db8::2\n", "    - vtep: 2001:db8::3\n"}}, []string{
			"bridge-domains[0].macsec.peers[0].vtep: 2001:db8::3 is not a VTEP of this VNI",
			"bridge-domains[0].macsec.peers: VTEP 2001:db8::2 has no receive channel: all it sends would be dropped"}},
		{"evpn: import twice", leaf, []edit{{"\"*:10100\"", "\"4200000000:7\""}}, []string{"bridge-domains[0].evpn.import[1]: 4200000000:7 twice"}},
		{"evpn: export twice", leaf, []edit{{"\"192.0.2.1:7\"]", "\"65000:10100\"]"}}, []string{"bridge-domains[0].evpn.export[1]: 65000:10100 twice"}},
		{"evpn: vtep without a key", leaf, []edit{{"    vteps: [10.255.0.3]\n", "    vteps: [10.255.0.4]\n"}}, []string{"bridge-domains[0].macsec.peers: VTEP 10.255.0.4 has no receive channel: all it sends would be dropped"}},
		{"evpn: vtep nobody leads to", leaf, []edit{{"- vni: 10200", "- vni: 10300\n  protection: none\n  evpn: {vteps: [203.0.113.1]}\n- vni: 10200"}}, []string{"bridge-domains[1].evpn.vteps[0]: no peer leads to VTEP 203.0.113.1"}},
		{"evpn: own vtep", leaf, []edit{{"- vni: 10200", "- vni: 10300\n  protection: none\n  evpn: {vteps: [10.255.0.1]}\n- vni: 10200"}}, []string{"bridge-domains[1].evpn.vteps[0]: 10.255.0.1 is this node's own address"}},
		{"evpn: unknown key", leaf, []edit{{"    rd: \"10.255.0.1:7\"", "    rds: 10.255.0.1:7"}}, []string{"bridge-domains[0].evpn.rds: unknown key \"rds\""}},
		{"suppress: unknown action", leaf, []edit{{"suppress-unknown: drop", "suppress-unknown: ask"}}, []string{"bridge-domains[0].suppress-unknown: \"ask\" is not a behaviour for unknown addresses: want flood, drop"}},
		{"suppress: limits", leaf, []edit{{"  binding-limit: 5000", "  binding-limit: 2000000"}, {"port-binding-limit: 50", "port-binding-limit: 1048577"}}, []string{
			"bridge-domains[0].binding-limit: 2000000 is out of range", "bridge-domains[0].port-binding-limit: 1048577 is out of range"}},
		{"suppress: what goes with it, without it", leaf, []edit{{"  suppress: true\n", ""}}, []string{
			"bridge-domains[0].suppress-unknown: without suppress it says nothing", "bridge-domains[0].binding-limit: without suppress it says nothing",
			"bridge-domains[0].port-binding-limit: without suppress it says nothing"}},
		{"suppress without bgp", routing, []edit{{"- vni: 10101\n", "- vni: 10101\n  suppress: true\n"}}, []string{"bridge-domains[0].suppress: without EVPN nobody says which hosts others have"}},
		// ethernet-segments
		{"segment without name", segments, []edit{{"name: server1, ", ""}}, []string{"ethernet-segments[0].name: no name"}},
		{"segment name twice", segments, []edit{{"name: server2", "name: server1"}}, []string{"ethernet-segments[1].name: server1 is taken by ethernet-segments[0]"}},
		{"segment without port", segments, []edit{{"port: h1, esi", "esi"}}, []string{"ethernet-segments[0].port: no port"}},
		{"segment at no port", segments, []edit{{"port: h1, esi", "port: h9, esi"}}, []string{`ethernet-segments[0].port: there is no port "h9"`}},
		{"two segments at a port", segments, []edit{{"port: h2, system", "port: h1, system"}}, []string{"ethernet-segments[1].port: h1 is taken by ethernet-segments[0]"}},
		{"no identifier", segments, []edit{{", lacp-key: 5", ""}}, []string{"ethernet-segments[1].esi: no identifier"}},
		{"two identifiers", segments, []edit{{"lacp-key: 5", "lacp-key: 5, discriminator: 6"}}, []string{"ethernet-segments[1].esi: the identifier is said in 2 ways"}},
		{"identifier twice", segments, []edit{{"lacp-key: 5", "discriminator: 3"}}, []string{"ethernet-segments[2].esi: 03:02:00:00:00:00:aa:00:00:03 is taken by ethernet-segments[1]"}},
		{"reserved identifier", segments, []edit{{"00:11:22:33:44:55:66:77:88:99", "00:00:00:00:00:00:00:00:00:00"}}, []string{`ethernet-segments[0].esi: evpn: Ethernet segment identifier "00:00:00:00:00:00:00:00:00:00" is reserved`}},
		{"short identifier", segments, []edit{{"00:11:22:33:44:55:66:77:88:99", "00:11"}}, []string{`ethernet-segments[0].esi: evpn: Ethernet segment identifier "00:11": want ten octets in hex`}},
		{"identifier given and derived", segments, []edit{{"port: h1, esi", `port: h1, system-mac: "02:00:00:00:00:aa", esi`}}, []string{"ethernet-segments[0].system-mac: the identifier is given, not derived"}},
		{"derived from no MAC", segments, []edit{{`system-mac: "02:00:00:00:00:aa", lacp`, "lacp"}}, []string{"ethernet-segments[1].system-mac: no MAC to derive the identifier from"}},
		{"derived from a group address", segments, []edit{{`system-mac: "02:00:00:00:00:aa", lacp`, `system-mac: "03:00:00:00:00:aa", lacp`}}, []string{"ethernet-segments[1].system-mac: no MAC to derive the identifier from"}},
		{"discriminator too great", segments, []edit{{"discriminator: 3", "discriminator: 16777216"}}, []string{"ethernet-segments[2].discriminator: 16777216 is out of range"}},
		{"unknown mode", segments, []edit{{"single-active", "active"}}, []string{`ethernet-segments[2].mode: "active" is not a mode of a segment: want all-active, single-active`}},
		{"unknown election", segments, []edit{{"algorithm: hrw", "algorithm: dice"}}, []string{`ethernet-segments[1].df.algorithm: "dice" is not a DF algorithm: want modulo, hrw, preference`}},
		{"preference without preference", segments, []edit{{"algorithm: hrw", "algorithm: hrw, preference: 7"}}, []string{"ethernet-segments[1].df.preference: hrw does not go by preference"}},
		{"non-revertive without preference", segments, []edit{{"algorithm: hrw", "non-revertive: true"}}, []string{"ethernet-segments[1].df.non-revertive: modulo is revertive"}},
		{"segments without bgp", segments, []edit{
			{"bgp: {asn: 65000, neighbors: [{address: 10.255.1.1}]}\n", ""},
			{"evpn: {vteps: [10.255.0.2]}, ", ""}, {"evpn: {vteps: [10.255.0.2]}, ", ""},
		}, []string{"ethernet-segments: without BGP no other leaf hears of a segment"}},
		{"two circuits of a segment", segments, []edit{{"{port: h2, vlan: 7}", "{port: h2, vlan: 7}, {port: h2, vlan: 9}"}}, []string{"bridge-domains[0].attach[2]: port h2 leads to an Ethernet segment, which has one circuit in a bridge domain"}},
		{"gateway beside a segment", segments, []edit{
			{"vni: 10102, ", "vni: 10102, vrf: red, gateway: {addresses: [10.1.2.1/24]}, "}, {"bridge-domains:", "vrfs: [{name: red}]\nbridge-domains:"},
		}, []string{"bridge-domains[1].gateway: a gateway in a bridge domain with an Ethernet segment is not supported"}},
		{"static MAC behind a segment", segments, []edit{{"vni: 10102, ", "vni: 10102, static-macs: [{mac: \"02:00:00:00:00:01\", port: h2, vlan: 8}], "}}, []string{"bridge-domains[1].static-macs[0]: a static MAC behind an Ethernet segment, which may be at another leaf, is not supported"}},
		{"suppress beside a segment", segments, []edit{{"vni: 10102, ", "vni: 10102, suppress: true, "}}, []string{"bridge-domains[1].suppress: suppress in a bridge domain with an Ethernet segment is not supported"}},
		{"static VTEPs beside a segment", segments, []edit{{"vni: 10102, ", "vni: 10102, vteps: [10.255.0.2], "}}, []string{"bridge-domains[1].vteps: a bridge domain with an Ethernet segment finds its VTEPs by EVPN alone"}},
		{"segments of a spine", reflector, []edit{{"bgp:\n", "ethernet-segments: [{name: a, port: h1, system-mac: \"02:00:00:00:00:aa\", discriminator: 3}]\nbgp:\n"}}, []string{"ethernet-segments: only a leaf has segments"}},
		{"announced without bgp", reflector, []edit{{"bgp:\n  asn: 65000\n  neighbors:\n  - {address: 10.255.0.1}\n  - {address: 10.255.0.2}\n", ""}}, []string{"vrfs[0].announced: without BGP nothing is announced"}},
		{"channel without vtep", leaf, []edit{{"storm-defaults", "# x\nstorm-defaults"}, {"    peers:\n    - vtep: 10.255.0.2", "    peers:\n    - {sci: \"0b00000000000001\", sas: [{an: 0, key-file: /k}]}\n    - vtep: 10.255.0.2"}}, []string{"bridge-domains[0].macsec.peers[0].vtep: no VTEP"}},
		// VRFs
		{"spine without vrfs", spine, []edit{{"vrfs:\n", "# "}, {"- name: red\n  vnis: [10100, 10101]\n  vteps: [10.255.0.1, 10.255.0.2]\n- name: blue\n  vnis: [10200]\n  vteps: [10.255.0.1, 10.254.0.7]\n", ""}}, []string{"vrfs: a spine without VRFs forwards nothing"}},
		{"vnis of a vrf on a leaf", leaf, []edit{{"storm-defaults:", "vrfs: [{name: red, vnis: [1], vteps: [10.255.0.2]}]\nstorm-defaults:"}}, []string{
			"vrfs[0].vnis: only a spine has VNIs in a VRF; a leaf's bridge domains name it",
			"vrfs[0].vteps: only a spine has VTEPs in a VRF; a leaf's L3VNI has them",
		}},
		{"l3vni on a spine", spine, []edit{{"vteps: [10.255.0.1, 10.254.0.7]", "l3vni: 5\n  vteps: [10.255.0.1, 10.254.0.7]"}}, []string{"vrfs[1]: only a leaf routes for tenants"}},

		// Routing on a leaf
		{"no such vrf", routing, []edit{{"vrf: red\n  gateway: {addresses: [10.1.2", "vrf: rde\n  gateway: {addresses: [10.1.2"}}, []string{"vrfs[0].routes[2].next-hops[0].address: 10.1.2.9 is in no subnet of VRF red", "bridge-domains[1].vrf: there is no VRF \"rde\""}},
		{"vrf without a gateway", routing, []edit{{"  gateway: {addresses: [10.1.2.1/24]}\n", ""}}, []string{"bridge-domains[1].gateway: a bridge domain in VRF \"red\" without a gateway", "vrfs[0].routes[2].next-hops[0].address: 10.1.2.9 is in no subnet of VRF red"}},
		{"gateway without a vrf", routing, []edit{{"vrf: red\n  gateway: {addresses: [10.1.2", "gateway: {addresses: [10.1.2"}}, []string{"bridge-domains[1].vrf: a gateway without a VRF", "vrfs[0].routes[2].next-hops[0].address: 10.1.2.9 is in no subnet of VRF red"}},
		{"gateway without addresses", routing, []edit{{"{addresses: [10.1.2.1/24]}", "{addresses: []}"}, {"{address: 10.1.2.9}", "{address: 10.1.1.8}"}}, []string{"bridge-domains[1].gateway.addresses: a gateway without addresses"}},
		{"gateway at the network address", routing, []edit{{"[10.1.2.1/24]", "[10.1.2.0/24]"}}, []string{"bridge-domains[1].gateway.addresses[0]: 10.1.2.0 is the network or broadcast address of its subnet"}},
		{"gateway at the broadcast address", routing, []edit{{"[10.1.2.1/24]", "[10.1.2.255/24]"}}, []string{"bridge-domains[1].gateway.addresses[0]: 10.1.2.255 is the network or broadcast address of its subnet"}},
		{"gateway at multicast", routing, []edit{{"[10.1.2.1/24]", "[10.1.2.1/24, 224.0.0.1/24]"}}, []string{"bridge-domains[1].gateway.addresses[1]: 224.0.0.1 is not a unicast address"}},
		{"gateway at a link-local address", routing, []edit{{"[10.1.2.1/24]", "[10.1.2.1/24, \"fe80::1/64\"]"}}, []string{"bridge-domains[1].gateway.addresses[1]: fe80::1 is loopback or link-local"}},
		{"gateway address twice", routing, []edit{{"[10.1.2.1/24]", "[10.1.2.1/24, 10.1.2.1/25]"}}, []string{"bridge-domains[1].gateway.addresses[1]: 10.1.2.1 is addresses[0] too"}},
		{"gateway with a group MAC", routing, []edit{{"mac: \"02:00:5e:00:01:01\"", "mac: \"01:00:5e:00:01:01\""}}, []string{"bridge-domains[0].gateway.mac: 01:00:5e:00:01:01 is a group address"}},
		{"overlapping subnets", routing, []edit{{"[10.1.2.1/24]", "[10.1.2.1/24, 10.1.0.1/22]"}}, []string{"bridge-domains[1].gateway.addresses[1]: 10.1.0.0/22 overlaps 10.1.1.0/24 of bridge-domains[0]"}},
		{"neighbour of nowhere", routing, []edit{{"{address: 10.1.1.7,", "{address: 10.9.1.7,"}}, []string{"bridge-domains[0].static-neighbours[0].address: 10.9.1.7 is in no subnet of VNI 10101"}},
		{"the gateway as a neighbour", routing, []edit{{"{address: 10.1.1.7,", "{address: 10.1.1.1,"}}, []string{"bridge-domains[0].static-neighbours[0].address: 10.1.1.1 is the gateway's own"}},
		{"neighbour with a group MAC", routing, []edit{{"\"02:00:00:00:00:07\"", "\"03:00:00:00:00:07\""}}, []string{"bridge-domains[0].static-neighbours[0].mac: 03:00:00:00:00:07 is not one host's"}},
		{"neighbours without a gateway", leaf, []edit{{"  ageing:", "  static-neighbours: [{address: 10.1.1.7, mac: \"02:00:00:00:00:07\"}]\n  ageing:"}}, []string{"bridge-domains[0].static-neighbours: only a gateway has neighbours"}},
		{"no such l3vni", routing, []edit{{"l3vni: 50001", "l3vni: 50002"}}, []string{"vrfs[0].l3vni: there is no bridge domain of VNI 50002"}},
		{"an l3vni with circuits", routing, []edit{{"- vni: 50001\n", "- vni: 50001\n  attach: [{port: h2, vlan: 9}]\n"}}, []string{"vrfs[0].l3vni: bridge domain vni-50001 is not an L3VNI: it has more than VTEPs and keys"}},
		{"an l3vni twice", routing, []edit{{"vrfs:\n", "vrfs:\n- {name: blue, l3vni: 50001}\n"}}, []string{"vrfs[1].l3vni: VNI 50001 is the L3VNI of vrfs[0] too"}},
		{"group router mac", routing, []edit{{"urpf: loose", "router-mac: \"01:00:00:00:00:01\"\n  urpf: loose"}}, []string{"vrfs[0].router-mac: 01:00:00:00:00:01 is a group address"}},
		{"no uRPF mode", routing, []edit{{"urpf: loose", "urpf: lose"}}, []string{"vrfs[0].urpf: \"lose\" is not a uRPF mode: want strict, loose, off"}},
		{"route with host bits", routing, []edit{{"10.1.2.12/32", "10.1.2.12/24"}}, []string{"vrfs[0].routes[0].prefix: 10.1.2.12/24 has host bits"}},
		{"route twice", routing, []edit{{"prefix: 10.66.0.0/16", "prefix: 10.9.0.0/16"}}, []string{"vrfs[0].routes[3].prefix: 10.9.0.0/16 twice"}},
		{"route to nowhere", routing, []edit{{", blackhole: true", ""}}, []string{"vrfs[0].routes[3].next-hops: no next hop"}},
		{"blackhole somewhere", routing, []edit{{"blackhole: true", "blackhole: true, next-hops: [{address: 10.1.1.9}]"}}, []string{"vrfs[0].routes[3].blackhole: blackhole and next hops exclude each other"}},
		{"advertised without bgp", routing, []edit{{"blackhole: true", "blackhole: true, advertise: true"}}, []string{"vrfs[0].routes[3].advertise: there is no BGP to announce it"}},
		{"advertised for another leaf", routing, []edit{{"{prefix: 10.1.2.12/32,", "{advertise: true, prefix: 10.1.2.12/32,"}, {"bridge-domains:", "bgp: {asn: 65000, neighbors: [{address: 10.255.0.101}]}\nbridge-domains:"}}, []string{"vrfs[0].routes[0].advertise: next hop 0 is another leaf"}},
		{"advertised without an l3vni", routing, []edit{{"blackhole: true", "blackhole: true, advertise: true"}, {"bridge-domains:", "bgp: {asn: 65000, neighbors: [{address: 10.255.0.101}]}\nbridge-domains:"}, {"  l3vni: 50001\n", ""}, {"  - {prefix: 10.1.2.12/32, next-hops: [{vtep: 10.255.0.2}]}\n  - {prefix: \"fd00:9::/64\", next-hops: [{vtep: 10.255.0.2}, {vtep: 10.255.0.3, router-mac: \"02:00:00:00:aa:02\"}]}\n", ""}}, []string{"vrfs[0].routes[1].advertise: VRF red has no L3VNI by which others could send"}},
		{"empty next hop", routing, []edit{{"{address: 10.1.2.9}", "{}"}}, []string{"vrfs[0].routes[2].next-hops[0]: neither address nor vtep"}},
		{"two-headed next hop", routing, []edit{{"{address: 10.1.2.9}", "{address: 10.1.2.9, vtep: 10.255.0.2}"}}, []string{"vrfs[0].routes[2].next-hops[0]: both address and vtep"}},
		{"next hop of another family", routing, []edit{{"{address: 10.1.2.9}", "{address: \"fd00:1::9\"}"}}, []string{"vrfs[0].routes[2].next-hops[0].address: fd00:1::9 is of another family than 10.9.0.0/16"}},
		{"next hop of nowhere", routing, []edit{{"{address: 10.1.2.9}", "{address: 10.8.2.9}"}}, []string{"vrfs[0].routes[2].next-hops[0].address: 10.8.2.9 is in no subnet of VRF red"}},
		{"the gateway as next hop", routing, []edit{{"{address: 10.1.2.9}", "{address: 10.1.2.1}"}}, []string{"vrfs[0].routes[2].next-hops[0].address: 10.1.2.1 is the gateway's own address"}},
		{"a host with a router mac", routing, []edit{{"{address: 10.1.2.9}", "{address: 10.1.2.9, router-mac: \"02:00:00:00:00:09\"}"}}, []string{"vrfs[0].routes[2].next-hops[0].router-mac: a router MAC belongs to a vtep"}},
		{"a leaf with a group router mac", routing, []edit{{"\"02:00:00:00:aa:02\"", "\"03:00:00:00:aa:02\""}}, []string{"vrfs[0].routes[1].next-hops[1].router-mac: 03:00:00:00:aa:02 is a group address"}},
		{"next hop twice", routing, []edit{{"{address: 10.1.2.9}", "{address: 10.1.2.9}, {address: 10.1.2.9}"}}, []string{"vrfs[0].routes[2].next-hops[1]: the same next hop twice"}},
		{"a leaf that is no member", routing, []edit{{"{vtep: 10.255.0.2}", "{vtep: 10.255.0.9}"}}, []string{"vrfs[0].routes[0].next-hops[0].vtep: 10.255.0.9 is not a VTEP of VNI 50001"}},
		{"a leaf without an l3vni", routing, []edit{{"  l3vni: 50001\n", ""}}, []string{
			"vrfs[0].routes[0].next-hops[0].vtep: VRF red has no L3VNI to send by", "vrfs[0].routes[1].next-hops[0].vtep: VRF red has no L3VNI to send by", "vrfs[0].routes[1].next-hops[1].vtep: VRF red has no L3VNI to send by",
		}},
		// contracts
		{"contract without a name", contract, []edit{{"- name: red-shared\n  from: red", "- from: red"}}, []string{"contracts[0].name: no name"}},
		{"contract name twice", contract, []edit{{"name: blue-shared", "name: red-shared"}}, []string{"contracts[1].name: red-shared is taken by contracts[0]"}},
		{"contract from no VRF", contract, []edit{{"  from: red\n", ""}}, []string{"contracts[0].from: no VRF"}},
		{"contract from an unknown VRF", contract, []edit{{"  from: red\n", "  from: rde\n"}}, []string{`contracts[0].from: there is no VRF "rde"`}},
		{"contract to an unknown VRF", contract, []edit{{"from: blue, to: shared", "from: blue, to: sharde"}}, []string{`contracts[1].to: there is no VRF "sharde"`}},
		{"contract with a VRF of nobody", contract, []edit{{"- name: shared\n", "- name: shared\n- name: idle\n"}, {"from: blue, to: shared", "from: idle, to: shared"}}, []string{"contracts[1].from: VRF idle routes nothing on this leaf"}},
		{"contract of a VRF that checks no source", contract, []edit{{"- name: shared\n", "- name: shared\n  urpf: off\n"}}, []string{
			"contracts[0].to: a contract goes by source addresses, which VRF shared does not check",
			"contracts[1].to: a contract goes by source addresses, which VRF shared does not check",
		}},
		{"contract with too many prefixes", contract, []edit{{"prefixes: [10.9.0.0/28]", "prefixes: [" + leakedHosts(65) + "]"}}, []string{"contracts[1].prefixes: 65 prefixes, and each packet is held against them: at most 64"}},
		{"contract of one VRF", contract, []edit{{"from: blue, to: shared", "from: shared, to: shared"}}, []string{"contracts[1].to: VRF shared is both sides"}},
		{"contract without prefixes", contract, []edit{{"prefixes: [10.9.0.0/28]", "prefixes: []"}}, []string{"contracts[1].prefixes: no prefix"}},
		{"contract without a way back", contract, []edit{{", return: [172.16.2.0/24]", ""}}, []string{"contracts[1].return: no prefix"}},
		{"contract without a way back for IPv6", contract, []edit{{"172.16.1.0/24, \"fd00:1::/64\"]", "172.16.1.0/24]"}}, []string{"contracts[0].return: no IPv6 prefix, and prefixes has some"}},
		{"contract to nothing of IPv4", contract, []edit{{"[10.9.0.0/24, \"fd00:9::/64\"]", "[\"fd00:9::/64\"]"}}, []string{"contracts[0].prefixes: no IPv4 prefix, and return has some"}},
		{"contract with host bits", contract, []edit{{"10.9.0.0/28", "10.9.0.1/28"}}, []string{"contracts[1].prefixes[0]: 10.9.0.1/28 has host bits"}},
		{"contract for multicast", contract, []edit{{"prefixes: [10.9.0.0/28]", "prefixes: [10.9.0.0/28, 239.0.0.0/8]"}}, []string{"contracts[1].prefixes[1]: 239.0.0.0/8 is not routed"}},
		{"contract prefix twice", contract, []edit{{"prefixes: [10.9.0.0/28]", "prefixes: [10.9.0.0/28, 10.9.0.8/29]"}}, []string{"contracts[1].prefixes[1]: 10.9.0.8/29 overlaps 10.9.0.0/28"}},
		{"contract with one prefix at both sides", contract, []edit{{"return: [172.16.2.0/24]", "return: [172.16.2.0/24, 10.9.0.0/29]"}}, []string{
			"contracts[1].prefixes[0]: 10.9.0.0/28 overlaps 10.9.0.0/29 of return",
			"contracts[1].return[1]: 10.9.0.0/29 overlaps 10.9.0.0/24, which VRF shared has by bridge-domains[2].gateway",
		}},
		{"contract over a subnet", contract, []edit{{"prefixes: [10.9.0.0/28]", "prefixes: [10.1.0.0/16]"}}, []string{"contracts[1].prefixes[0]: 10.1.0.0/16 overlaps 10.1.1.0/24, which VRF blue has by bridge-domains[1].gateway"}},
		{"contract inside a subnet on the way back", contract, []edit{{"return: [172.16.2.0/24]", "return: [10.8.0.128/25]"}}, []string{"contracts[1].return[0]: 10.8.0.128/25 overlaps 10.8.0.0/24, which VRF shared has by bridge-domains[2].gateway"}},
		{"contract over a static route", contract, []edit{{"prefixes: [10.9.0.0/24,", "prefixes: [10.9.0.0/24, 10.66.1.0/24,"}}, []string{"contracts[0].prefixes[1]: 10.66.1.0/24 overlaps 10.66.0.0/16, which VRF red has by vrfs[0].routes[1]"}},
		{"contract over a loopback", contract, []edit{{"- name: blue\n", "- name: blue\n  loopbacks: [10.9.0.3]\n"}}, []string{"contracts[1].prefixes[0]: 10.9.0.0/28 overlaps 10.9.0.3/32, which VRF blue has by vrfs[1].loopbacks[0]"}},
		{"contract over another", contract, []edit{{"return: [172.16.2.0/24]", "return: [172.16.0.0/16]"}}, []string{"contracts[1].return[0]: 172.16.0.0/16 overlaps 172.16.1.0/24, which VRF shared has by contract red-shared"}},
		{"contract for everything", contract, []edit{{"prefixes: [10.9.0.0/28]", "prefixes: [0.0.0.0/0]"}}, []string{
			"contracts[1].prefixes[0]: 0.0.0.0/0 overlaps 172.16.2.0/24 of return",
			"contracts[1].prefixes[0]: 0.0.0.0/0 overlaps 10.1.1.0/24, which VRF blue has by bridge-domains[1].gateway",
		}},
		{"contract advertised without bgp", contract, []edit{{"bgp: {asn: 65000, neighbors: [{address: 10.255.0.101}]}\n", ""}}, []string{"contracts[0].advertise: there is no BGP to announce it"}},
		{"contract advertised without an l3vni", contract, []edit{{"  l3vni: 50001\n", ""}}, []string{"contracts[0].advertise: neither VRF has an L3VNI by which others could send"}},
		{"contract on a spine", spine, []edit{{"vrfs:\n", "contracts:\n- {name: a, from: red, to: blue, prefixes: [10.9.0.0/24], return: [10.8.0.0/24]}\nvrfs:\n"}}, []string{"contracts: only a leaf routes for tenants"}},
		{"relay without servers", dhcp, []edit{{"{servers: [10.9.0.53]}", "{servers: []}"}}, []string{"bridge-domains[1].gateway.dhcp-relay.servers: a relay without servers"}},
		{"relay to multicast", dhcp, []edit{{"[10.9.0.53]", "[224.0.0.1]"}}, []string{"bridge-domains[1].gateway.dhcp-relay.servers[0]: 224.0.0.1 is not a unicast address", "bridge-domains[1].gateway.dhcp-relay.servers[0]: VRF red has no way to 224.0.0.1"}},
		{"relay to itself", dhcp, []edit{{"[10.9.0.53]", "[10.1.2.1]"}}, []string{"bridge-domains[1].gateway.dhcp-relay.servers[0]: 10.1.2.1 is the gateway's own"}},
		{"relay to a server twice", dhcp, []edit{{"[10.9.0.53]", "[10.9.0.53, 10.9.0.53]"}}, []string{"bridge-domains[1].gateway.dhcp-relay.servers[1]: 10.9.0.53 twice"}},
		{"relay to too many", dhcp, []edit{{"[10.9.0.53]", "[10.9.0.1, 10.9.0.2, 10.9.0.3, 10.9.0.4, 10.9.0.5]"}}, []string{"bridge-domains[1].gateway.dhcp-relay.servers[4]: more than 4 IPv4 servers"}},
		{"relay of a family that the gateway lacks", dhcp, []edit{{"[10.9.0.53]", "[\"fd00:9::53\"]"}}, []string{"bridge-domains[1].gateway.dhcp-relay.servers[0]: the gateway has no IPv6 address to name its subnet by"}},
		{"relay without a way", dhcp, []edit{{"[10.9.0.53]", "[10.8.0.53]"}}, []string{"bridge-domains[1].gateway.dhcp-relay.servers[0]: VRF red has no way to 10.8.0.53"}},
		{"relay into a blackhole", dhcp, []edit{{"[10.9.0.53]", "[10.66.0.53]"}}, []string{"bridge-domains[1].gateway.dhcp-relay.servers[0]: VRF red has no way to 10.66.0.53"}},
		{"relay without a loopback", dhcp, []edit{{"[10.99.0.1, \"fd00:99::1\"]", "[10.99.0.1]"}}, []string{"bridge-domains[0].gateway.dhcp-relay.servers[1]: VRF red has no IPv6 loopback to which the server could reply"}},
		{"relay of unknown form", dhcp, []edit{{"circuit-id: vni", "circuit-id: mac"}}, []string{"bridge-domains[0].gateway.dhcp-relay.circuit-id: \"mac\" is not a circuit id: want port, vni"}},
		{"loopback in a subnet", dhcp, []edit{{"[10.99.0.1, ", "[10.1.2.9, "}}, []string{"vrfs[0].loopbacks[0]: 10.1.2.9 is in a subnet of bridge domain vni-10102"}},
		{"loopback with a route", dhcp, []edit{{"10.66.0.0/16", "10.99.0.1/32"}}, []string{"vrfs[0].loopbacks[0]: routes[1] leads to it"}},
		{"two loopbacks of a family", dhcp, []edit{{"[10.99.0.1, ", "[10.99.0.1, 10.99.0.2, "}}, []string{"vrfs[0].loopbacks[1]: loopbacks[0] is IPv4 too"}},
		// routers outside the fabric
		{"router outside", external, []edit{{"address: 10.9.0.2", "address: 10.9.1.2"}}, []string{"vrfs[0].external.neighbors[0].address: 10.9.1.2 is in no subnet of VRF red"}},
		{"router is the gateway", external, []edit{{"address: 10.9.0.2", "address: 10.9.0.1"}}, []string{"vrfs[0].external.neighbors[0].address: 10.9.0.1 is the gateway's own address"}},
		{"router without a circuit", external, []edit{{"  attach: [{port: ext}]\n", ""}}, []string{
			"vrfs[0].external.neighbors[0].address: bridge domain red-ext has no circuit on this leaf",
			"vrfs[0].external.neighbors[1].address: bridge domain red-ext has no circuit on this leaf",
			"vrfs[0].external.neighbors[2].address: bridge domain red-ext has no circuit on this leaf",
		}},
		{"router without address", external, []edit{{"address: 10.9.0.2, ", ""}}, []string{"vrfs[0].external.neighbors[0].address: no address"}},
		{"router twice", external, []edit{{"address: 10.9.0.3", "address: 10.9.0.2"}}, []string{"vrfs[0].external.neighbors[1].address: 10.9.0.2 is taken by external.neighbors[0]"}},
		{"router of this AS", external, []edit{{"asn: 65101", "asn: 65000"}}, []string{"vrfs[0].external.neighbors[0].asn: 65000 is this side's"}},
		{"router without AS", external, []edit{{"asn: 65101, ", ""}}, []string{"vrfs[0].external.neighbors[0].asn: 0 is no AS number"}},
		{"nothing accepted", external, []edit{{", accept: [0.0.0.0/0]", ""}}, []string{"vrfs[0].external.neighbors[0].accept: no prefix: nothing would be taken"}},
		{"accepted with host bits", external, []edit{{"10.64.0.0/10", "10.65.0.0/10"}}, []string{"vrfs[0].external.neighbors[1].accept[0]: 10.65.0.0/10 has host bits"}},
		{"accepted of the other family", external, []edit{{`"::/0"`, "0.0.0.0/0"}}, []string{"vrfs[0].external.neighbors[2].accept[0]: 0.0.0.0/0 is of another family than fd00:9::2"}},
		{"external max-routes", external, []edit{{"max-routes: 500", "max-routes: 1000001"}}, []string{"vrfs[0].external.neighbors[1].max-routes: 1000001 is out of range"}},
		{"external hold-time", external, []edit{{"hold-time: 9s", "hold-time: 2s"}}, []string{"vrfs[0].external.neighbors[1].hold-time: 2s is out of range"}},
		{"external password-file", external, []edit{{"password-file: /etc/ztos/cust2.pw", "password-file: cust2.pw"}}, []string{`vrfs[0].external.neighbors[1].password-file: "cust2.pw" is relative`}},
		{"external ttl-security", external, []edit{{"ttl-security: 1", "ttl-security: 255"}}, []string{"vrfs[0].external.neighbors[1].ttl-security: 255 is out of range"}},
		{"external without neighbours", external, []edit{{"  external:\n    neighbors:", "  external: {router-id: 10.0.0.1}\n  routes:"},
			{`    - {address: 10.9.0.2, asn: 65101, accept: [0.0.0.0/0]}
    - {address: 10.9.0.3, asn: 65102, accept: [10.64.0.0/10, 192.168.0.0/16], passive: true, max-routes: 500, hold-time: 9s, password-file: /etc/ztos/cust2.pw, ttl-security: 1}
    - {address: "fd00:9::2", asn: 65101, accept: ["::/0"]}
`, "  - {prefix: 10.66.0.0/16, blackhole: true}\n"}}, []string{"vrfs[0].external.neighbors: no neighbour"}},
		{"external router-id", external, []edit{{"    neighbors:\n", "    router-id: 224.0.0.1\n    neighbors:\n"}}, []string{"vrfs[0].external.router-id: 224.0.0.1 is no router id"}},
		{"loopback of the node", dhcp, []edit{{"[10.99.0.1, ", "[127.0.0.1, "}}, []string{"vrfs[0].loopbacks[0]: 127.0.0.1 is loopback or link-local"}},
		{"loopbacks on a spine", spine, []edit{{"vteps: [10.255.0.1, 10.254.0.7]", "loopbacks: [10.99.0.1]\n  vteps: [10.255.0.1, 10.254.0.7]"}}, []string{"vrfs[1]: only a leaf routes for tenants"}},
		{"vrf name twice", spine, []edit{{"name: blue", "name: red"}}, []string{"vrfs[1].name: red is taken by vrfs[0]"}},
		{"vrf without vnis", spine, []edit{{"vnis: [10200]", "vnis: []"}}, []string{"vrfs[1].vnis: no VNI"}},
		{"vrf without vteps", spine, []edit{{"  vteps: [10.255.0.1, 10.254.0.7]\n", ""}, {"vteps: [10.255.0.2, 10.254.0.7]", "vteps: [10.255.0.2]"}}, []string{"vrfs[1].vteps: no VTEP: nothing in this VRF would be forwarded"}},
		{"vni in two vrfs", spine, []edit{{"vnis: [10200]", "vnis: [10101]"}}, []string{"vrfs[1].vnis[0]: VNI 10101 is in VRF red already"}},
		{"vni 0 in a vrf", spine, []edit{{"vnis: [10200]", "vnis: [0]"}}, []string{"vrfs[1].vnis[0]: VNI 0 is out of range"}},
		{"member without a route", spine, []edit{{"vteps: [10.255.0.1, 10.254.0.7]", "vteps: [10.255.0.1, 10.253.0.7]"}}, []string{"vrfs[1].vteps[1]: no peer leads to VTEP 10.253.0.7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := faultsOf(t, tt.file, tt.edits)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(tt.want, "\n  "))
			}
		})
	}
}

// leakedHosts is n prefixes of one host each, as YAML has them.
func leakedHosts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "10.9.0.%d/32,", 4+i)
	}
	return strings.TrimSuffix(b.String(), ",")
}
