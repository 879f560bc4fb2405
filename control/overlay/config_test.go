package overlay_test

import (
	"net/netip"
	"testing"

	"github.com/ztos/ztos/bgp/evpn"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/control/overlay"
	"github.com/ztos/ztos/engine/table"
)

// TestConfiguration: what the document says of EVPN, and who is named for a VNI and
// may announce it; nobody else.
func TestConfiguration(t *testing.T) {
	rd, _ := evpn.ParseRD("10.0.0.1:100")
	rt, _ := evpn.ParseRT("65000:100")
	any100 := evpn.AnyAS(100)
	n := &config.Node{
		Self: config.Self{Address: vtep(1), Roles: []config.Role{config.Leaf, config.Spine}},
		BGP:  &config.BGP{ASN: as, RouterID: vtep(1)},
		BridgeDomains: []config.BridgeDomain{
			{
				VNI: 100, VTEPs: []netip.Addr{vtep(2)}, MACsec: &config.MACsec{Peers: []config.RxSC{{VTEP: vtep(4)}}},
				EVPN: &config.EVPN{
					RD: config.RD{RD: rd}, Import: []config.ImportRT{{Import: any100}}, Export: []config.RT{{RT: rt}},
					VTEPs: []netip.Addr{vtep(3)},
				},
			},
			{VNI: 200, VTEPs: []netip.Addr{vtep(5)}},
		},
		VRFs: []config.VRF{{VNIs: []table.VNI{300, 301}, VTEPs: []netip.Addr{vtep(2), vtep(6)}}},
	}
	c := overlay.Configuration(n)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if !c.Members || c.VTEP != vtep(1) || c.RouterID != vtep(1) || len(c.BDs) != 1 {
		t.Fatalf("%+v", c)
	}
	if b := c.BDs[0]; b.VNI != 100 || b.RD != rd || len(b.Import) != 1 || b.Import[0] != any100 || len(b.Export) != 1 || b.Export[0] != rt {
		t.Errorf("%+v", b)
	}
	for _, tt := range []struct {
		vtep int
		want []table.VNI
	}{{2, []table.VNI{100, 300, 301}}, {3, []table.VNI{100}}, {4, []table.VNI{100}}, {5, nil}, {6, []table.VNI{300, 301}}, {7, nil}} {
		got := c.Grants[vtep(tt.vtep)].VNIs
		if len(got) != len(tt.want) {
			t.Errorf("VTEP %d may announce %v, want %v", tt.vtep, got, tt.want)
		}
		for _, vni := range tt.want {
			if !got[vni] {
				t.Errorf("VTEP %d may not announce %d", tt.vtep, vni)
			}
		}
	}
}
