package status_test

import (
	"encoding/json"
	"testing"

	"github.com/ztos/ztos/config/status"
)

func TestJSON(t *testing.T) {
	for _, tt := range []struct {
		v    any
		want string
	}{
		{status.MAC{VNI: 5, MAC: 0x020000000001, Port: "h1"}, `{"vni":5,"mac":"02:00:00:00:00:01","port":"h1","vtep":"","static":false,"evpn":false,"quarantined":false,"age":"0s"}`},
		{status.VRF{Name: "red", RouterMAC: 0x02000000000a}, `{"name":"red","routerMac":"02:00:00:00:00:0a","urpf":"","gateways":null,"routes":0,"neighbours":0}`},
		{status.Path{}.MAC, `""`},
		{status.Port{Name: "h1"}.Circuits, `null`},
		{status.LivenessDown, `"down"`},
	} {
		got, err := json.Marshal(tt.v)
		if err != nil || string(got) != tt.want {
			t.Errorf("got %s, %v, want %s", got, err, tt.want)
		}
	}
}

func TestMACFilter(t *testing.T) {
	m := &status.MAC{VNI: 5, MAC: 7, Port: "h1"}
	for _, tt := range []struct {
		f    status.MACFilter
		want bool
	}{
		{status.MACFilter{}, true},
		{status.MACFilter{VNI: 5, MAC: 7, Port: "h1"}, true},
		{status.MACFilter{VNI: 6}, false},
		{status.MACFilter{MAC: 8}, false},
		{status.MACFilter{Port: "h2"}, false},
	} {
		if got := tt.f.Match(m); got != tt.want {
			t.Errorf("%+v: got %v", tt.f, got)
		}
	}
}
