package config_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/fabric/bfd"
)

// bfdDoc adds the smallest section that works, and what it says in more words.
func bfdDoc(t *testing.T, section string, edits ...edit) string {
	t.Helper()
	return edited(t, append([]edit{{"bridge-domains:\n", section + "bridge-domains:\n"}}, edits...))
}

func TestBFDDefaults(t *testing.T) {
	n, err := config.Parse([]byte(bfdDoc(t, "bfd: {}\n")), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	b := n.BFD
	if b.Transport != config.BGPFabric || b.TxInterval.D() != 50*time.Millisecond || b.RxInterval.D() != 50*time.Millisecond || b.Multiplier != 3 || b.HoldUp.D() != time.Second {
		t.Errorf("%+v", b)
	}
	if len(b.Neighbors) != 2 {
		t.Fatalf("neighbours %+v, want those of BGP", b.Neighbors)
	}
	// One is a peer's own address, the other is behind it.
	x, y := b.Neighbors[0], b.Neighbors[1]
	if x.Name != "spine1" || x.Hops != 1 || x.Multiplier != 3 || x.Shutdown.On() || x.KeyID != nil || x.Authentication.Type() != bfd.NoAuth {
		t.Errorf("%+v", x)
	}
	if y.Name != "10-254-0-9" || y.Hops != 2 || y.Address != netip.MustParseAddr("10.254.0.9") {
		t.Errorf("%+v", y)
	}
	if a := n.LocalFor(x.Address); a != n.Self.Address {
		t.Errorf("local address %v", a)
	}
	out, err := config.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := config.Parse(out, ""); err != nil || len(again.BFD.Neighbors) != 2 {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestBFDOwnWords(t *testing.T) {
	n, err := config.Parse([]byte(bfdDoc(t, `bfd:
  tx-interval: 20ms
  multiplier: 5
  hold-up: 0s
  neighbors:
  - {address: 10.255.0.254, rx-interval: 30ms, key-file: /etc/ztos/bfd.key}
  - {name: far, address: 10.254.0.7, hops: 3, multiplier: 4, key-file: /k, key-id: 0, authentication: keyed-sha1, shutdown: true}
`)), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	x, y := n.BFD.Neighbors[0], n.BFD.Neighbors[1]
	if n.BFD.HoldUp.D() != 0 || x.TxInterval.D() != 20*time.Millisecond || x.RxInterval.D() != 30*time.Millisecond || x.Multiplier != 5 || *x.KeyID != 1 || x.Authentication.Type() != bfd.MeticulousSHA1 {
		t.Errorf("%+v", x)
	}
	if y.Name != "far" || y.Hops != 3 || y.Multiplier != 4 || *y.KeyID != 0 || y.Authentication.Type() != bfd.KeyedSHA1 || !y.Shutdown.On() {
		t.Errorf("%+v", y)
	}
}

// TestBFDFaults has one case per fault.
func TestBFDFaults(t *testing.T) {
	neighbor := func(more string) string {
		return "bfd: {neighbors: [{address: 10.255.0.254, " + more + "}]}\n"
	}
	for _, tt := range []struct {
		section string
		edits   []edit
		want    string
	}{
		{"bfd: {tx-interval: 9ms}\n", nil, "bfd.tx-interval: 9ms is out of range"},
		{"bfd: {rx-interval: 2m}\n", nil, "bfd.rx-interval: 2m0s is out of range"},
		{"bfd: {tx-interval: 10000001ns}\n", nil, "bfd.tx-interval: 10.000001ms is not whole microseconds"},
		{"bfd: {multiplier: 1}\n", nil, "bfd.multiplier: 1 is out of range"},
		{"bfd: {hold-up: 2h}\n", nil, "bfd.hold-up: 2h0m0s is out of range"},
		{neighbor("hops: 256"), nil, "bfd.neighbors[0].hops: 256 is out of range"},
		{neighbor("multiplier: 256"), nil, "bfd.neighbors[0].multiplier: 256 is out of range"},
		{neighbor("name: A"), nil, "bfd.neighbors[0].name:"},
		{neighbor("key-file: k"), nil, "bfd.neighbors[0].key-file:"},
		{neighbor("key-id: 3"), nil, "bfd.neighbors[0].key-id: there is no key"},
		{neighbor("authentication: keyed-sha1"), nil, "bfd.neighbors[0].authentication: there is no key"},
		{"bfd: {neighbors: [{address: 10.255.0.254}, {address: 10.255.0.254, name: b}]}\n", nil, "bfd.neighbors[1].address:"},
		{"bfd: {neighbors: [{address: 10.255.0.1}]}\n", nil, "bfd.neighbors[0].address: 10.255.0.1 is this node's own address"},
		{"bfd: {neighbors: [{address: 10.99.0.1}]}\n", nil, "bfd.neighbors[0].address: no WireGuard peer reaches 10.99.0.1"},
		{"bfd: {neighbors: [{address: 10.254.0.7, hops: 1}]}\n", nil, "bfd.neighbors[0].hops: 10.254.0.7 is not the host route of one peer alone: the path to it goes over others"},
		{"bfd: {neighbors: [{address: \"fd00::1\"}]}\n", []edit{{"10.254.0.0/16]", "10.254.0.0/16, \"fd00::/16\"]"}}, "bfd.neighbors[0].address: the node has no address of the family of fd00::1"},
		{"bfd: {transport: fabric}\n", []edit{{"mode: netstack", "mode: none"}, {"asn: 65000", "asn: 65000\n  transport: underlay"}}, "bfd.transport: host.mode is none: no stack in the fabric that BFD could use"},
		{"bfd: {}\n", []edit{{"bgp:\n  asn: 65000\n  neighbors:\n  - address: 10.255.0.254\n  - address: 10.254.0.9\n", ""}}, "bfd.neighbors: no neighbour: nothing would be watched"},
	} {
		var got []string
		for _, f := range parseFaults(t, bfdDoc(t, tt.section, tt.edits...)) {
			got = append(got, f.Path+": "+f.Problem)
			if f.Fix == "" {
				t.Errorf("%s: it does not say what to do", f)
			}
		}
		if len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
			t.Errorf("%s: got %q, want %q", tt.section, got, tt.want)
		}
	}
	if !slices.Contains(strings.Fields(parseFaults(t, bfdDoc(t, neighbor("authentication: md5"))).Error()), "\"md5\"") {
		t.Error("an unknown way to authenticate is not named")
	}
}

// TestHostPeer: an address that two peers have is nobody's own.
func TestHostPeer(t *testing.T) {
	n, err := config.Parse([]byte(bfdDoc(t, "bfd: {}\n", edit{"bgp:\n", `- name: spine2
  public-key: ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=
  allowed-ips: [10.255.0.253/32, 10.254.0.9/32, 10.255.0.254/32]
bgp:
`})), "test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]string{"10.255.0.253": "spine2", "10.254.0.9": "spine2", "10.255.0.254": "", "10.254.0.1": ""} {
		if got, ok := n.HostPeer(netip.MustParseAddr(addr)); got != want || ok != (want != "") {
			t.Errorf("%s: %q, want %q", addr, got, want)
		}
	}
	if n.BFD.Neighbors[0].Hops != 2 {
		t.Errorf("%+v", n.BFD.Neighbors[0])
	}
}
