package config_test

import (
	"net/netip"
	"os"
	"reflect"
	"testing"

	"github.com/ztos/ztos/config"
)

// full returns the bridge domain that has every key.
func full(t *testing.T) *config.BridgeDomain {
	t.Helper()
	data, err := os.ReadFile("testdata/leaf.yaml")
	if err != nil {
		t.Fatal(err)
	}
	n, err := config.Parse(data, "leaf.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := &n.BridgeDomains[0]
	d.VRF = "red"
	d.Gateway = &config.Gateway{MAC: 0x02005e000101, Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.1.1/24")}, RouterAdvertisements: true}
	d.Gateway.DHCPRelay = &config.DHCPRelay{Servers: []netip.Addr{netip.MustParseAddr("10.9.0.53")}, CircuitID: config.CircuitPort, RemoteID: config.RemoteNode}
	d.StaticNeighbours = []config.StaticNeighbour{{Address: netip.MustParseAddr("10.1.1.7"), MAC: 0x020000000007}}
	return d
}

// leaves calls fn with every value below v that has no parts, settable.
func leaves(v reflect.Value, path string, fn func(string, reflect.Value)) {
	switch {
	case v.Type() == reflect.TypeFor[netip.Addr](), v.Type() == reflect.TypeFor[netip.Prefix]():
		fn(path, v)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			leaves(v.Field(i), path+"."+v.Type().Field(i).Name, fn)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			leaves(v.Index(i), path, fn)
		}
		fn(path+" (length)", v)
	case v.Kind() == reflect.Pointer:
		if !v.IsNil() {
			leaves(v.Elem(), path, fn)
			fn(path+" (nil)", v)
		}
	default:
		fn(path, v)
	}
}

// change gives v another value.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[netip.Addr]():
		v.Set(reflect.ValueOf(netip.MustParseAddr("203.0.113.9")))
	case v.Type() == reflect.TypeFor[netip.Prefix]():
		v.Set(reflect.ValueOf(netip.MustParsePrefix("203.0.113.9/24")))
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.Kind() == reflect.Array:
		v.Index(0).SetUint(v.Index(0).Uint() ^ 1)
	case v.Kind() == reflect.Slice:
		v.Set(v.Slice(0, v.Len()-1))
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "x")
	case v.Kind() == reflect.Bool:
		v.SetBool(!v.Bool())
	case v.CanInt():
		v.SetInt(v.Int() + 1)
	case v.CanUint():
		v.SetUint(v.Uint() + 1)
	case v.Kind() == reflect.Pointer:
		v.SetZero()
	default:
		t.Fatalf("no way to change a %v", v.Type())
	}
}

// TestEqualSeesEveryField: whatever single value of a bridge domain changes,
// Equal says so; a field that is added to the type later too.
func TestEqualSeesEveryField(t *testing.T) {
	if a, b := full(t), full(t); !a.Equal(b) {
		t.Fatal("two readings of one document differ")
	}
	count := 0
	leaves(reflect.ValueOf(full(t)).Elem(), "", func(string, reflect.Value) { count++ })
	if count < 50 {
		t.Fatalf("the document has %d values only", count)
	}
	for i := range count {
		a, b := full(t), full(t)
		k := 0
		leaves(reflect.ValueOf(b).Elem(), "", func(path string, v reflect.Value) {
			if k++; k-1 != i || v.Kind() == reflect.Slice && v.Len() == 0 {
				return
			}
			change(t, v)
			if a.Equal(b) || b.Equal(a) {
				t.Errorf("another %s goes unnoticed", path)
			}
		})
	}
}

// TestCloneSharesNothing: no change of a clone is seen in the original.
func TestCloneSharesNothing(t *testing.T) {
	count := 0
	leaves(reflect.ValueOf(full(t).MACsec).Elem(), "", func(string, reflect.Value) { count++ })
	for i := range count {
		a, want := full(t), full(t)
		c := a.MACsec.Clone()
		k := 0
		leaves(reflect.ValueOf(c).Elem(), "", func(path string, v reflect.Value) {
			if k++; k-1 != i || v.Kind() == reflect.Slice && v.Len() == 0 {
				return
			}
			change(t, v)
			if !a.Equal(want) {
				t.Errorf("%s is shared", path)
			}
		})
	}
}
