package config_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/ztos/ztos/config"
)

const firstNeighbor = "  - address: 10.255.0.254\n"

func TestUnnumbered(t *testing.T) {
	n := parseBGP(t, edit{firstNeighbor, "  - peer: spine1\n"})
	x := n.BGP.Neighbors[0]
	if x.Name != "spine1" || x.Peer != "spine1" || x.Address.IsValid() || !n.BGP.Unnumbered() || x.ASN != 65000 {
		t.Errorf("%+v", x)
	}
	if numbered := parseBGP(t); numbered.BGP.Unnumbered() || numbered.BGP.Shared() == n.BGP.Shared() {
		t.Error("the first unnumbered neighbour can come while the node runs")
	}
	out, err := config.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := config.Parse(out, ""); err != nil || again.BGP.Neighbors[0] != x {
		t.Errorf("read back: %v", err)
	}
	// BFD goes to the address that is the peer's own, and says so to this session.
	n = parseBGP(t, edit{firstNeighbor, "  - {peer: spine1, name: up}\n"}, edit{"bridge-domains:", "bfd: {}\nbridge-domains:"})
	b := &n.BFD.Neighbors[0]
	if b.Name != "up" || b.Address != netip.MustParseAddr("10.255.0.254") || b.Hops != 1 || n.Watched(b) != &n.BGP.Neighbors[0] {
		t.Errorf("%+v", b)
	}
	if y := n.Watched(&n.BFD.Neighbors[1]); y != &n.BGP.Neighbors[1] {
		t.Errorf("the numbered one: %+v", y)
	}
	if other := *b; n.Watched(&config.BFDNeighbor{Name: "leaf2", Address: other.Address}) != nil {
		t.Error("BFD with somebody behind the peer tells the peer's session")
	}
	if other := *b; n.Watched(&config.BFDNeighbor{Name: "up", Address: other.Address, Hops: 2}) != nil {
		t.Error("BFD over two hops tells the peer's session")
	}
	if n.Watched(&config.BFDNeighbor{Address: b.Address}) != &n.BGP.Neighbors[0] {
		t.Error("BFD without a name tells nobody")
	}
}

func TestUnnumberedFaults(t *testing.T) {
	plain := edit{"bgp:\n", "- {name: k, carrier: plain, endpoint: \"192.0.2.9:0\"}\nbgp:\n"}
	for _, tt := range []struct {
		name  string
		edits []edit
		want  []string
	}{
		{"unknown peer", []edit{{firstNeighbor, "  - peer: spine2\n"}}, []string{`bgp.neighbors[0].peer: there is no peer "spine2"`}},
		{"both", []edit{{firstNeighbor, firstNeighbor + "    peer: spine1\n"}}, []string{"bgp.neighbors[0].peer: the session goes to the peer's link-local address, or to 10.255.0.254"}},
		{"neither", []edit{{firstNeighbor, "  - {name: spine1}\n"}}, []string{"bgp.neighbors[0].address: no address"}},
		{"no room for IPv6", []edit{{firstNeighbor, "  - peer: spine1\n"}, {"bgp:\n", "underlay: {mtu: 1359}\nbgp:\n"}}, []string{"bgp.neighbors[0].peer: 1279 bytes are left inside WireGuard, and IPv6 needs 1280"}},
		{"twice", []edit{{firstNeighbor, "  - peer: spine1\n  - {peer: spine1, name: again}\n"}}, []string{"bgp.neighbors[1].peer: spine1 is taken by bgp.neighbors[0]"}},
		{"plain", []edit{{firstNeighbor, "  - peer: k\n"}, plain, {"host:\n", "underlay: {vxlan-listen: 192.0.2.1}\nhost:\n"}}, []string{
			"bgp.neighbors[0].peer: peer k is plain: it has no key, and no session that BGP could run inside",
		}},
		{"underlay", []edit{{firstNeighbor, "  - peer: spine1\n"}, {"asn: 65000", "asn: 65000\n  transport: underlay"}}, []string{
			"bgp.neighbors[0].peer: an unnumbered session runs inside WireGuard, and transport is underlay",
		}},
		{"password without kernel", []edit{{firstNeighbor, "  - {peer: spine1, password-file: /etc/pw}\n"}}, []string{"bgp.neighbors[0].password-file: host.mode netstack cannot sign TCP segments"}},
		{"link-local allowed IP", []edit{{"10.254.0.0/16]", "10.254.0.0/16, \"fe80::/64\"]"}}, []string{"peers[0].allowed-ips[2]: fe80::/64 is link-local: such an address follows from the peer's key"}},
		{"link-local address", []edit{{firstNeighbor, "  - address: fe80::1\n"}}, []string{
			"bgp.neighbors[0].address: fe80::1 is loopback or link-local", "bgp.neighbors[0].address: no peer reaches fe80::1",
		}},
		{"BFD without an address", []edit{
			{firstNeighbor, "  - peer: spine1\n"}, {"[10.255.0.254/32, ", "["}, {"bridge-domains:", "bfd: {}\nbridge-domains:"},
		}, []string{"bfd.neighbors[0].address: spine1 has no address: none follows from the allowed-ips of its peer"}},
		{"BFD with one of two addresses", []edit{
			{firstNeighbor, "  - peer: spine1\n"}, {"[10.255.0.254/32, ", "[10.255.0.254/32, 10.255.0.2/32, "}, {"bridge-domains:", "bfd: {}\nbridge-domains:"},
		}, []string{"bfd.neighbors[0].address: spine1 has no address: none follows from the allowed-ips of its peer"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range parseFaults(t, edited(t, tt.edits)) {
				got = append(got, f.Path+": "+f.Problem)
				if f.Fix == "" {
					t.Errorf("%s: says not what to do", f.Path)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got  %s\nwant %s", fmt.Sprintf("%q", got), fmt.Sprintf("%q", tt.want))
			}
		})
	}
}
