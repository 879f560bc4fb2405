package config_test

import (
	"bytes"
	"encoding"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ztos/ztos/config"
)

// TestStrict gives documents that are refused for their form.
func TestStrict(t *testing.T) {
	for _, tt := range []struct{ name, doc, want string }{
		{"empty", "", "t.yaml: the document is empty; begin with a `node` section"},
		{"only a comment", "# hello\n", "t.yaml: the document is empty; begin with a `node` section"},
		{"a list", "- a\n", "t.yaml:1: want `key: value` lines, not a list"},
		{"a word", "hello\n", "t.yaml:1: want `key: value` lines, not a single value"},
		{"unknown section", "nodes: {}\n", `t.yaml:1: nodes: unknown key "nodes"; did you mean "node"?`},
		{"unknown key", "node:\n  name: a\n  color: red\n", `t.yaml:3: node.color: unknown key "color"; known here: name, roles, address, address6, state-dir`},
		{"unknown key in a list", "ports:\n- name: a\n- {name: b, vlan: 5}\n", `t.yaml:3: ports[1].vlan: unknown key "vlan"`},
		{"duplicate key", "node:\n  name: a\n  name: b\n", `t.yaml:3: node.name: key "name" is here twice, first on line 2; keep one`},
		{"duplicate section", "node: {name: a}\napi: {}\nnode: {name: b}\n", `t.yaml:3: node: key "node" is here twice, first on line 1`},
		{"two documents", "node: {name: a}\n---\nnode: {name: b}\n", "t.yaml:3: a second YAML document in one file"},
		{"anchor", "node: &a {name: a}\n", "t.yaml:1: node: anchors, aliases and tags are not understood here"},
		{"alias", "node: *a\n", "t.yaml:1: node: anchors, aliases and tags are not understood here"},
		{"merge key", "node:\n  <<: {name: a}\n", "anchors"},
		{"tag", "node:\n  name: !!str a\n", "t.yaml:2: node.name: anchors, aliases and tags are not understood here"},
		{"map for a list", "ports: {name: a}\n", "t.yaml:1: ports: want a list, not `key: value` lines"},
		{"value for a map", "node: leaf1\n", "t.yaml:1: node: want `key: value` lines, not a single value"},
		{"list for a value", "node: {name: [a]}\n", "t.yaml:1: node.name: want one value, not a list"},
		{"list for an address", "node: {address: [10.0.0.1]}\n", "t.yaml:1: node.address: want one value, not a list"},
		{"string for a number", "underlay: {mtu: \"1500\"}\n", `t.yaml:1: underlay.mtu: want a whole number, not "1500"`},
		{"float for a number", "underlay: {mtu: 1500.5}\n", `t.yaml:1: underlay.mtu: want a whole number, not "1500.5"`},
		{"huge number", "underlay: {mtu: 99999999999999999999}\n", "t.yaml:1: underlay.mtu: want a whole number"},
		{"word for a boolean", "ports: [{own: maybe}]\n", `t.yaml:1: ports[0].own: want true or false, not "maybe"`},
		{"empty entry", "ports:\n-\n", "t.yaml:2: ports[0]: an empty entry; fill it in or remove its hyphen"},
		{"zone", "node: {address: \"fe80::1%eth0\"}\n", `t.yaml:1: node.address: "fe80::1%eth0" is not an IP address`},
		{"tab", "node:\n\tname: a\n", "t.yaml:2: not YAML: "},
		{"unclosed", "node: {name: a\n", "not YAML: "},
		{"deep flow", strings.Repeat("[", 1<<20), "t.yaml: nested deeper than 64 levels"},
		{"deep list", strings.Repeat("- ", 1<<20), "t.yaml: nested deeper than 64 levels"},
		{"too large", strings.Repeat("#", config.MaxSize+1), "t.yaml: document of 33554433 bytes is larger than 33554432"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse([]byte(tt.doc), "t.yaml")
			if err == nil {
				t.Fatal("accepted")
			}
			for line := range strings.Lines(err.Error()) {
				if strings.HasPrefix(line, tt.want) || !strings.HasPrefix(tt.want, "t.yaml") && strings.Contains(line, tt.want) {
					return
				}
			}
			t.Errorf("got:\n%s\nwant a line that begins: %s", err, tt.want)
		})
	}
}

// TestAllAtOnce gives a document with faults of every stage: all are reported,
// and a value that can't be read is not reported as missing too.
func TestAllAtOnce(t *testing.T) {
	got := parseFaults(t, `
node:
  nme: leaf1
  roles: [leaf]
  address: somewhere
underlay:
  mtu: 10
  mtu: 1500
peers:
- name: a
  public-key: short
  allowed-ips: [10.0.0.0/8]
`).Error()
	want := strings.TrimPrefix(`
test.yaml:3: node.nme: unknown key "nme"; did you mean "name"?
test.yaml:5: node.address: "somewhere" is not an IP address
test.yaml:8: underlay.mtu: key "mtu" is here twice, first on line 7; keep one
test.yaml:11: peers[0].public-key: not a WireGuard public key: want the 44 characters of base64 that `+"`wg pubkey`"+` prints
test.yaml:3: node.name: no name; use 1 to 32 of a-z, 0-9 and hyphen`, "\n")
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestDefaults checks what an absent key means, and that what was said stays.
func TestDefaults(t *testing.T) {
	n, err := config.Load("testdata/leaf.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := *n.Underlay.SourcePorts; got != 0 {
		t.Errorf("source-ports: got %d, want the 0 that was said", got)
	}
	if n.Underlay.GSO.On() || !n.Underlay.GRO.On() {
		t.Errorf("gso, gro: got %v, %v", n.Underlay.GSO, n.Underlay.GRO)
	}
	if got := *n.BridgeDomains[0].MACsec.ReplayWindow; got != 0 {
		t.Errorf("replay-window: got %d, want the 0 that was said", got)
	}
	if got := *n.BridgeDomains[1].Storm; got != (config.Storm{Broadcast: 1000}) {
		t.Errorf("storm of storm-defaults: got %+v", got)
	}
	if got := n.Peers[1].Liveness; got.Interval.D() != 300*time.Millisecond || got.Multiplier != 3 {
		t.Errorf("liveness {}: got %+v", got)
	}

	var zero config.Node
	config.Defaults(&zero)
	if got := zero.Underlay; got.Queues != 0 || got.SourcePorts != nil || got.MTU != 1500 || !got.GSO.On() || got.VXLANPort != 4789 || got.Listen.String() != "[::]:51820" {
		t.Errorf("underlay of nothing: got %+v", got)
	}
	again := zero
	config.Defaults(&again)
	if !reflect.DeepEqual(again, zero) {
		t.Error("Defaults twice changed something")
	}
}

// TestValidateBuilt validates a tree that no YAML was read for.
func TestValidateBuilt(t *testing.T) {
	var n config.Node
	config.Defaults(&n)
	got := n.Validate()
	if len(got) != 3 || got[0].Path != "node.name" || got[1].Path != "node.roles" || got[2].Path != "node.address" {
		t.Errorf("got:\n%v", got)
	}
	if config.Faults(nil).Err() != nil {
		t.Error("no faults are an error")
	}
}

func TestLoadMissing(t *testing.T) {
	if _, err := config.Load(t.TempDir() + "/none.yaml"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestMarshalRefusesUnwritable(t *testing.T) {
	n := &config.Node{Ports: []config.Port{{Name: "a", Kind: 99}}}
	if _, err := config.Marshal(n); err == nil || !strings.Contains(err.Error(), "kind") {
		t.Errorf("got %v", err)
	}
}

// TestEveryFieldTagged wants a YAML key on each field, so that no part of the
// tree is out of the document's reach.
func TestEveryFieldTagged(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(ty reflect.Type) {
		for ty.Kind() == reflect.Pointer || ty.Kind() == reflect.Slice {
			ty = ty.Elem()
		}
		if ty.Kind() != reflect.Struct || seen[ty] || reflect.PointerTo(ty).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) || !strings.HasSuffix(ty.PkgPath(), "ztos/config") {
			return
		}
		seen[ty] = true
		for i := range ty.NumField() {
			if f := ty.Field(i); f.Tag.Get("yaml") == "" {
				t.Errorf("%v.%s has no yaml key", ty, f.Name)
			}
			walk(ty.Field(i).Type)
		}
	}
	walk(reflect.TypeFor[config.Node]())
	if len(seen) < 15 {
		t.Errorf("walked only %d types", len(seen))
	}
}

// FuzzParse: no panic, and what is accepted is written and read back unchanged.
func FuzzParse(f *testing.F) {
	for _, file := range documents(f) {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte("node: {name: a, roles: [leaf], address: 10.0.0.1}\n"))
	f.Add([]byte("a: &x [*x]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := config.Parse(data, "fuzz")
		if err != nil {
			return
		}
		out, err := config.Marshal(n)
		if err != nil {
			t.Fatalf("accepted, but has no written form: %v", err)
		}
		again, err := config.Parse(out, "again")
		if err != nil {
			t.Fatalf("what Marshal wrote is refused: %v\n%s", err, out)
		}
		if out2, err := config.Marshal(again); err != nil || !bytes.Equal(out, out2) {
			t.Fatalf("written twice, it differs (%v):\n%s\n%s", err, out, out2)
		}
	})
}
