package lab_test

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/lab"
)

var update = flag.Bool("update", false, "write the golden files")

func TestStandardFiles(t *testing.T) {
	for _, tt := range []struct {
		file                   string
		leaves, spines, hosts  int
		underlayMTU, tenantMTU int
	}{
		{"standard.yaml", 3, 2, 6, 9000, 1500},
		{"standard-1500.yaml", 3, 2, 6, 1500, 1358},
		{"two-leaf.yaml", 2, 0, 2, 9000, 1500},
	} {
		t.Run(tt.file, func(t *testing.T) {
			topo, err := lab.Load(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			count := map[lab.Kind]int{}
			for _, n := range topo.Nodes {
				count[n.Kind]++
				if n.Kind.Engine() {
					c, _, err := lab.CheckedConfig(topo, n.Name)
					if err != nil {
						t.Fatal(err)
					}
					if c.Underlay.MTU != tt.underlayMTU {
						t.Errorf("%s: underlay MTU %d", n.Name, c.Underlay.MTU)
					}
				}
				if n.Host != nil && n.Host.MTU != tt.tenantMTU {
					t.Errorf("%s: MTU %d", n.Name, n.Host.MTU)
				}
			}
			if count[lab.Leaf] != tt.leaves || count[lab.Spine] != tt.spines || count[lab.Host] != tt.hosts {
				t.Errorf("nodes: %v", count)
			}
			if len(topo.Tenants) == 2 { // the tenants look the same from inside
				red, blue := topo.Hosts("red"), topo.Hosts("blue")
				for i := range red {
					if !slices.Equal(red[i].Host.Addresses, blue[i].Host.Addresses) || red[i].Host.MAC != blue[i].Host.MAC {
						t.Errorf("%s and %s differ", red[i].Name, blue[i].Name)
					}
				}
			}
		})
	}
}

// TestGolden holds the configurations that follow from small topologies; see
// the files in testdata. -update writes them.
func TestGolden(t *testing.T) {
	for _, tt := range []struct{ topo, node string }{
		{"two-leaf.yaml", "leaf1"},
		{"standard.yaml", "spine1"},
		{"standard.yaml", "leaf3"},
		{"testdata/options.yaml", "leaf1"},
		{"testdata/plain.yaml", "leaf2"},
	} {
		name := strings.TrimSuffix(filepath.Base(tt.topo), ".yaml") + "." + tt.node
		t.Run(name, func(t *testing.T) {
			topo, err := lab.Load(tt.topo)
			if err != nil {
				t.Fatal(err)
			}
			got, doc, err := lab.CheckedConfig(topo, tt.node)
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(golden, doc, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := config.Load(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) { // not the bytes: their layout is config's
				t.Errorf("differs from %s; -update writes it again. Got:\n%s", golden, doc)
			}
		})
	}
}

// TestRoutes: a leaf accepts and routes the other leaves' addresses by every
// spine that both are linked to, but by the direct link alone where there is one.
func TestRoutes(t *testing.T) {
	topo, err := lab.Load("testdata/options.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := lab.CheckedConfig(topo, "leaf1")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"2001:db8:f::2": "leaf2", "2001:db8:f::3": "spine1", "2001:db8:f::100": "spine1"}
	for a, by := range want {
		var got []string
		for i := range c.Peers {
			if c.Peers[i].Reaches(netip.MustParseAddr(a)) {
				got = append(got, c.Peers[i].Name)
			}
		}
		if !slices.Equal(got, []string{by}) {
			t.Errorf("%s by %v, want %s", a, got, by)
		}
	}
}

// small is a valid topology; the fault tests spoil one place of it.
const small = `name: small
tenants:
- {name: red, vni: 100}
nodes:
- {name: leaf1, kind: leaf, address: 10.0.0.1}
- {name: leaf2, kind: leaf, address: 10.0.0.2}
- {name: h1, kind: host, host: {tenant: red, port: "leaf1:p1", addresses: [10.9.0.1/24]}}
- {name: h2, kind: host, host: {tenant: red, port: "leaf2:p1", addresses: [10.9.0.2/24]}}
- {name: x, kind: linux, setup: [[ip, link]], processes: [{name: nap, command: [sleep, "60"]}]}
links:
- ends:
  - {at: "leaf1:u1", addresses: [192.0.2.0/31]}
  - {at: "leaf2:u1", addresses: [192.0.2.1/31]}
`

func TestFaults(t *testing.T) {
	if _, err := lab.Parse([]byte(small), ""); err != nil {
		t.Fatalf("the valid one: %v", err)
	}
	for _, tt := range []struct {
		name, old, new string
		want           []string // path: part of the problem
	}{
		{"unknown key", "vni: 100", "vnii: 100", []string{`tenants[0].vnii: unknown key "vnii"`}},
		{"unknown keys, all of them", "kind: linux, setup:", "kind: linuks, seetup:", []string{"nodes[4].kind: ", "nodes[4].seetup: "}},
		{"type", "vni: 100", "vni: many", []string{"tenants[0].vni: want a whole number"}},
		{"list", "setup: [[ip, link]]", "setup: ip", []string{"nodes[4].setup: want a list"}},
		{"map", "host: {tenant: red, port: \"leaf1:p1\", addresses: [10.9.0.1/24]}", "host: 7", []string{"nodes[2].host: want `key: value`"}},
		{"address", "address: 10.0.0.1", "address: 10.0.0.1/24", []string{"nodes[0].address: "}},
		{"prefix", "10.9.0.1/24", "10.9.0.1", []string{"nodes[2].host.addresses[0]: "}},
		{"interface", `"leaf1:p1"`, "leaf1", []string{"nodes[2].host.port: "}},
		{"duplicate key", "name: small", "name: small\nname: twice", []string{": not YAML"}},
		{"anchor", "vni: 100", "vni: &a 100", []string{": anchors"}},
		{"not YAML", "tenants:", "tenants: ]", []string{": not YAML"}},
		{"no lab name", "name: small", "description: none", []string{"name: no name"}},
		{"long lab name", "name: small", "name: abcdefghijklmnopq", []string{"name: \"abcdefghijklmnopq\" is not a name"}},
		{"slash in name", "name: small", "name: ../etc", []string{"name: "}},
		{"driver", "name: small", "name: small\ndriver: vm", []string{"driver: "}},
		{"node twice", "name: leaf2", "name: leaf1", []string{"nodes[1].name: name \"leaf1\" twice", "nodes[3].host.port: no node", "links[0].ends[1].at: no node"}},
		{"node named keys", "name: x", "name: keys", []string{"nodes[4].name: "}},
		{"no kind", "kind: linux, ", "", []string{"nodes[4].kind: no kind"}},
		{"address twice", "10.0.0.2", "10.0.0.1", []string{"nodes[1].address: 10.0.0.1 is the address of leaf1 too"}},
		{"no address", ", address: 10.0.0.2", "", []string{"nodes[1].address: no address"}},
		{"not for the kind", "kind: linux", "kind: leaf, forward: true, address: 10.0.0.9", []string{"nodes[4].forward: not for", "nodes[4].setup: not for"}},
		{"no tenant", "tenant: red, port: \"leaf1", "tenant: green, port: \"leaf1", []string{"nodes[2].host.tenant: no tenant"}},
		{"attached to nothing", "leaf2:p1", "leaf9:p1", []string{"nodes[3].host.port: no node"}},
		{"attached to a host", "leaf2:p1", "h1:p1", []string{"nodes[3].host.port: h1 is a host"}},
		{"cable twice", "leaf2:u1", "leaf2:p1", []string{"links[0].ends[1].at: interface leaf2:p1 is used by nodes[3].host.port too"}},
		{"long interface", "leaf2:u1", "leaf2:abcdefghijklmnop", []string{"links[0].ends[1].at: "}},
		{"lo", "leaf2:u1", "leaf2:lo", []string{"links[0].ends[1].at: lo is"}},
		{"one end", `  - {at: "leaf2:u1", addresses: [192.0.2.1/31]}`, "", []string{"links[0].ends: 1 ends"}},
		{"to itself", "leaf2:u1", "leaf1:u2", []string{"links[0]: both ends"}},
		{"to a host", "leaf2:u1", "h1:u1", []string{"links[0].ends[1].at: h1 is a host"}},
		{"link MTU", "- ends:", "- mtu: 100\n  ends:", []string{"links[0].mtu: 100 is out of range"}},
		{"interface address twice", "192.0.2.1/31", "192.0.2.0/31", []string{"links[0].ends[1].addresses: 192.0.2.0 is the address of leaf1:u1"}},
		{"multicast address", "10.9.0.1/24", "224.0.0.1/24", []string{"nodes[2].host.addresses[0]: "}},
		{"gateway off the subnet", "[10.9.0.1/24]", "[10.9.0.1/24], gateways: [10.8.0.1]", []string{"nodes[2].host.gateways[0]: "}},
		{"two gateways", "[10.9.0.1/24]", "[10.9.0.1/24], gateways: [10.9.0.7, 10.9.0.8]", []string{"nodes[2].host.gateways[1]: a second"}},
		{"VLAN", "[10.9.0.1/24]", "[10.9.0.1/24], vlan: 4095", []string{"nodes[2].host.vlan: "}},
		{"group MAC", "[10.9.0.1/24]", `[10.9.0.1/24], mac: "01:00:00:00:00:01"`, []string{"nodes[2].host.mac: "}},
		{"host MTU over the tenant's", "[10.9.0.1/24]", "[10.9.0.1/24], mtu: 1501", []string{"nodes[2].host.mtu: "}},
		{"IPv6 on a small MTU", "[10.9.0.1/24]", `["fd00::1/64"], mtu: 1000`, []string{"nodes[2].host.addresses[0]: IPv6"}},
		{"VNI", "vni: 100", "vni: 16777216", []string{"tenants[0].vni: "}},
		{"keys", "vni: 100", "vni: 100, keys: 5", []string{"tenants[0].keys: "}},
		{"empty command", "[[ip, link]]", "[[]]", []string{"nodes[4].setup[0]: no command"}},
		{"process named engine", "name: nap", "name: engine", []string{"nodes[4].processes[0].name: "}},
		{"route", "setup: [[ip, link]]", `routes: [{to: 10.0.0.0/8, via: "fd00::1"}]`, []string{"nodes[4].routes[0]: "}},
		{"VTEP out of reach", `"leaf2:u1"`, `"x:u1"`, []string{"nodes[0]: engine configuration of leaf1: tenant red: no link to leaf leaf2", "nodes[1]: "}},
		{"endpoint family", "[192.0.2.1/31]", `["2001:db8::1/64"]`, []string{"nodes[0]: engine configuration of leaf1: leaf2 has no ipv4 address"}},
		{"VTEP family", "name: small", "name: small\nfabric: {vtep-family: ipv6}", []string{"nodes[0]: engine configuration of leaf1: leaf leaf2 has no ipv6 address", "nodes[1]: "}},
		{"overlay", "address: 10.0.0.1}", "address: 10.0.0.1, engine: {underlay: {mtuu: 9}}}", []string{"nodes[0]: engine configuration of leaf1: underlay.mtuu: "}},
		{"MACsec", "vni: 100", "vni: 100, offset: 7", []string{"nodes[0]: engine configuration of leaf1: bridge-domains[0].macsec.offset: ", "nodes[1]: "}},
		{"BFD without WireGuard", "name: small", "name: small\nfabric: {bfd: {}, carrier: plain}", []string{"nodes[0]: engine configuration of leaf1: ", "nodes[1]: "}},
		{"BFD neighbours by hand", "name: small", "name: small\nfabric: {bfd: {neighbors: [{address: 10.0.0.1}]}}", []string{"nodes[0]: engine configuration of leaf1: fabric.bfd", "nodes[1]: "}},
		{"plain carrier off the link", "name: small", "name: small\nfabric: {carrier: plain}", []string{"nodes[0]: engine configuration of leaf1: plain carrier", "nodes[1]: "}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if !strings.Contains(small, tt.old) {
				t.Fatalf("%q is not in the topology", tt.old)
			}
			topo, err := lab.Parse([]byte(strings.Replace(small, tt.old, tt.new, 1)), "")
			var got config.Faults
			if !errors.As(err, &got) || topo != nil {
				t.Fatalf("got %v, %v", topo, err)
			}
			for i, f := range got {
				s := f.Path + ": " + f.Problem
				if i >= len(tt.want) || !strings.HasPrefix(s, tt.want[i]) {
					t.Errorf("fault %d: %s", i, f)
				}
				if f.Line == 0 && f.Path != "" && f.Path != "name" {
					t.Errorf("no line: %s", f)
				}
			}
			if len(got) < len(tt.want) {
				t.Errorf("%d faults, want %d", len(got), len(tt.want))
			}
		})
	}
}

func TestBounds(t *testing.T) {
	many := "name: a\nnodes:\n"
	for i := range lab.MaxNodes + 1 {
		many += "- {name: n" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + ", kind: linux}\n"
	}
	for name, doc := range map[string]string{
		"nodes": many,
		"bytes": "name: a #" + strings.Repeat("x", lab.MaxSize),
		"depth": "name: " + strings.Repeat("[", 300),
		"lines": strings.Repeat("- ", 300),
		"empty": "# nothing\n",
		"two":   "name: a\n---\nname: b\n",
	} {
		if _, err := lab.Parse([]byte(doc), name); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := lab.Load("testdata/absent.yaml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
}

// FuzzParse: no input panics, and what is accepted keeps the bounds.
func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	for _, file := range []string{"two-leaf.yaml", "testdata/plain.yaml"} {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		topo, err := lab.Parse(b, "fuzz")
		if err != nil {
			return
		}
		if topo.Name == "" || len(topo.Name) > lab.MaxName || len(topo.Nodes) > lab.MaxNodes || len(topo.Links) > lab.MaxLinks {
			t.Fatalf("out of bounds: %+v", topo)
		}
		for _, n := range topo.Nodes {
			if n.Kind == 0 || len(n.Name) > lab.MaxName || (n.Kind == lab.Host) != (n.Host != nil) {
				t.Fatalf("bad node: %+v", n)
			}
		}
	})
}
