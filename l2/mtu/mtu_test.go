package mtu_test

import (
	"fmt"
	"testing"

	"github.com/ztos/ztos/l2/mtu"
)

// TestTenant is the published table: untagged tenant, standard mode.
func TestTenant(t *testing.T) {
	columns := []struct {
		name  string
		stack mtu.Stack
	}{
		{"WG v4, VTEP v4", mtu.Stack{WireGuard: true, MACsec: true}},
		{"WG v6, VTEP v4", mtu.Stack{WireGuard: true, UnderlayIPv6: true, MACsec: true}},
		{"WG v6, VTEP v6", mtu.Stack{WireGuard: true, UnderlayIPv6: true, VTEPIPv6: true, MACsec: true}},
		{"no WG, VTEP v4", mtu.Stack{MACsec: true}},
	}
	rows := []struct {
		underlay int
		want     [4]int
	}{
		{1500, [4]int{1358, 1338, 1318, 1418}},
		{8500, [4]int{8358, 8338, 8318, 8418}},
		{9001, [4]int{8859, 8839, 8819, 8919}},
		{1644, [4]int{1502, 1482, 1462, 1562}},
	}
	for _, row := range rows {
		for i, col := range columns {
			t.Run(fmt.Sprintf("%d %s", row.underlay, col.name), func(t *testing.T) {
				s := col.stack
				s.UnderlayMTU = row.underlay
				got := mtu.Tenant(s)
				if got != row.want[i] {
					t.Errorf("Tenant = %d, want %d", got, row.want[i])
				}
				if u := mtu.Underlay(got, s); u != row.underlay {
					t.Errorf("Underlay(%d) = %d, want %d", got, u, row.underlay)
				}
				s.Tags = 1
				if tagged := mtu.Tenant(s); tagged != got-4 {
					t.Errorf("one tag: %d, want %d", tagged, got-4)
				}
				s.Tags, s.Hidden = 0, true
				if hidden := mtu.Tenant(s); hidden != got-14 {
					t.Errorf("hidden: %d, want %d", hidden, got-14)
				}
			})
		}
	}
}

func TestOverhead(t *testing.T) {
	for _, tt := range []struct {
		name  string
		stack mtu.Stack
		want  int
	}{
		{"plain VXLAN v4", mtu.Stack{}, 50},
		{"plain VXLAN v6", mtu.Stack{VTEPIPv6: true}, 70},
		{"MACsec v4", mtu.Stack{MACsec: true}, 82},
		{"MACsec v6", mtu.Stack{MACsec: true, VTEPIPv6: true}, 102},
		{"WireGuard only", mtu.Stack{WireGuard: true}, 110},
		{"all, v4", mtu.Stack{WireGuard: true, MACsec: true}, 142},
		{"all, WG v6, VTEP v6", mtu.Stack{WireGuard: true, MACsec: true, UnderlayIPv6: true, VTEPIPv6: true}, 182},
		{"underlay v6 without WireGuard changes nothing", mtu.Stack{UnderlayIPv6: true}, 50},
		{"hidden without MACsec changes nothing", mtu.Stack{Hidden: true}, 50},
		{"QinQ inside, hidden", mtu.Stack{MACsec: true, Hidden: true, Tags: 2}, 104},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := mtu.Overhead(tt.stack); got != tt.want {
				t.Errorf("Overhead = %d, want %d", got, tt.want)
			}
		})
	}
}

// TestTenant1500 checks which underlay a tenant MTU of 1500 needs.
func TestTenant1500(t *testing.T) {
	for _, tt := range []struct {
		stack  mtu.Stack
		want   int
		padded int
	}{
		{mtu.Stack{WireGuard: true, MACsec: true}, 1642, 1644},
		{mtu.Stack{WireGuard: true, MACsec: true, UnderlayIPv6: true}, 1662, 1664},
		{mtu.Stack{WireGuard: true, MACsec: true, UnderlayIPv6: true, VTEPIPv6: true}, 1682, 1696},
		{mtu.Stack{MACsec: true}, 1582, 1582},
	} {
		if got := mtu.UnderlayPadded(1500, tt.stack); got != tt.padded {
			t.Errorf("UnderlayPadded(1500, %+v) = %d, want %d", tt.stack, got, tt.padded)
		}
		if got := mtu.Underlay(1500, tt.stack); got != tt.want {
			t.Errorf("Underlay(1500, %+v) = %d, want %d", tt.stack, got, tt.want)
		}
	}
}

func TestTenantTooSmall(t *testing.T) {
	if got := mtu.Tenant(mtu.Stack{UnderlayMTU: 100, WireGuard: true, MACsec: true}); got != 0 {
		t.Errorf("Tenant = %d, want 0", got)
	}
}
