package lab_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ztos/ztos/lab"
)

// TestExtended: what is new follows what is there, which stays as it was, down to
// the engine configurations' channels, keys and router identifiers.
func TestExtended(t *testing.T) {
	topo, err := lab.Load("evpn.yaml")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("evpn-more.yaml")
	if err != nil {
		t.Fatal(err)
	}
	next, err := topo.Extended(data, "evpn-more.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(topo.Nodes) != 11 || len(next.Nodes) != 16 || len(next.Tenants) != 3 || len(next.Links) != 8 {
		t.Fatalf("%d nodes became %d, with %d tenants and %d links", len(topo.Nodes), len(next.Nodes), len(next.Tenants), len(next.Links))
	}
	if n, ok := next.Node("green1"); !ok || n.Host.MTU != 1500 {
		t.Errorf("the defaults are missing: %+v", n)
	}
	before, _, err := lab.CheckedConfig(topo, "leaf3")
	if err != nil {
		t.Fatal(err)
	}
	after, _, err := lab.CheckedConfig(next, "leaf3")
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range before.BridgeDomains {
		e := after.BridgeDomains[i]
		if d.VNI != e.VNI || d.MACsec.Tx.SCI != e.MACsec.Tx.SCI || !slices.Equal(d.MACsec.Tx.SAs, e.MACsec.Tx.SAs) {
			t.Errorf("VNI %d: the channel changed: %+v, %+v", d.VNI, d.MACsec.Tx, e.MACsec.Tx)
		}
	}
	if red := after.BridgeDomains[0].MACsec.Peers; len(red) != 3 || red[2].VTEP.String() != "10.255.0.4" {
		t.Errorf("channels of red: %+v", red)
	}
	if len(after.BridgeDomains) != 2 {
		t.Errorf("leaf3 has %d tenants, none of its hosts is of a third", len(after.BridgeDomains))
	}
}

// TestExtendedFaults: faults have the paths and lines of the extension; what is
// there already does not come out of it changed.
func TestExtendedFaults(t *testing.T) {
	const whole = `tenants: [{name: green, vni: 300}]
nodes:
- {name: leaf9, kind: leaf, address: 10.0.0.9}
- {name: h9, kind: host, host: {tenant: green, port: "leaf9:p1"}}
links:
- ends:
  - {at: "leaf9:u1", addresses: [192.0.2.8/31]}
  - {at: "leaf1:u9", addresses: [192.0.2.9/31]}
`
	topo, err := lab.Parse([]byte(small), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topo.Extended([]byte(whole), "x.yaml"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, old, new, want string }{
		{"nothing", whole, "", "x.yaml: the document is empty; begin with `nodes:`"},
		{"not for an extension", "tenants:", "name: other\ntenants:", `x.yaml:1: name: unknown key "name"`},
		{"VNI of another", "vni: 300", "vni: 100", "x.yaml:1: tenants[0].vni: VNI 100 twice"},
		{"tenant that is there", "name: green", "name: red", `x.yaml:1: tenants[0].name: name "red" twice`},
		{"node that is there", "name: leaf9", "name: leaf1", `x.yaml:3: nodes[0].name: name "leaf1" twice`},
		{"address that is there", "10.0.0.9", "10.0.0.1", "x.yaml:3: nodes[0].address: 10.0.0.1 is the address of leaf1 too"},
		{"interface that is there", "leaf1:u9", "leaf1:u1", "x.yaml:8: links[0].ends[1].at: interface leaf1:u1 is used by"},
		{"no such tenant", "tenant: green", "tenant: blue", `x.yaml:4: nodes[1].host.tenant: no tenant "blue"`},
		{"out of reach", "tenant: green", "tenant: red", "(the lab's) nodes[1]: engine configuration of leaf2: tenant red: no link to leaf leaf9"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := topo.Extended([]byte(strings.Replace(whole, tt.old, tt.new, 1)), "x.yaml")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if len(topo.Nodes) != 5 || len(topo.Links) != 1 || len(topo.Tenants) != 1 {
		t.Errorf("the topology has changed: %d nodes, %d links, %d tenants", len(topo.Nodes), len(topo.Links), len(topo.Tenants))
	}
}
