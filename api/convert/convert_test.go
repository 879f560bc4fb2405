package convert_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/ztos/ztos/api/convert"
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
)

// fill sets every field of v to something that is not zero, so that a field that
// conversion forgets shows.
func fill(r *rand.Rand, v reflect.Value) {
	n := func(k int) int { return 1 + r.IntN(k) }
	switch p := v.Addr().Interface().(type) {
	case *netip.Addr:
		*p = netip.AddrFrom4([4]byte{10, byte(n(250)), byte(n(250)), byte(n(250))})
		return
	case *netip.AddrPort:
		*p = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 15: byte(n(250))}), uint16(n(65535)))
		return
	case *netip.Prefix:
		*p = netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n(250))}), 8)
		return
	case *time.Time:
		*p = time.Unix(0, int64(n(1<<60)))
		return
	case *table.VNI:
		*p = table.VNI(n(int(table.MaxVNI)))
		return
	case *table.MAC:
		*p = table.MAC(n(1 << 48))
		return
	case *config.Role:
		*p = config.Role(n(2))
		return
	case *config.Carrier:
		*p = config.Carrier(n(2))
		return
	case *config.PortKind:
		*p = config.PortKind(n(4))
		return
	case *config.Cipher:
		*p = config.Cipher(n(4))
		return
	case *config.MACsecMode:
		*p = config.MACsecMode(n(2))
		return
	case *config.URPF:
		*p = config.URPF(n(3))
		return
	case *status.Liveness:
		*p = status.Liveness(n(2))
		return
	case *status.Direction:
		*p = status.Direction(n(2))
		return
	case *trace.Stage:
		*p = trace.Stage(n(trace.NumStages - 1))
		return
	case *counter.Reason:
		*p = counter.Reason(n(counter.NumReasons - 1))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			fill(r, f)
			switch name := v.Type().Field(i).Name; {
			case name == "AN" || name == "TxAN":
				f.SetUint(uint64(n(3)))
			case name == "VLAN" || name == "InnerVLAN":
				f.SetUint(uint64(n(4094)))
			case name == "KeyFile" || name == "SaltFile":
				f.SetString("/" + f.String())
			case name == "Count" && f.Kind() == reflect.Int:
				f.SetInt(int64(n(convert.MaxFollow)))
			case name == "Snap":
				f.SetInt(int64(n(convert.MaxSnap)))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n(3), 3))
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(r, v.Elem())
	case reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case reflect.String:
		v.SetString(string(rune('a' + n(25))))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(n(1 << 30)))
	case reflect.Uint8:
		v.SetUint(uint64(n(255)))
	case reflect.Uint16:
		v.SetUint(uint64(n(65535)))
	case reflect.Uint32:
		v.SetUint(uint64(n(1 << 30)))
	case reflect.Uint64:
		v.SetUint(r.Uint64() | 1)
	case reflect.Func: // not on the wire
	default:
		panic("convert: no value for " + v.Type().String())
	}
}

// roundTrip sends random values over the wire and back.
func roundTrip[T any, M proto.Message](t *testing.T, to func(T) M, from func(M) (T, error)) {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		var want T
		fill(r, reflect.ValueOf(&want).Elem())
		m := to(want)
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		back := m.ProtoReflect().New().Interface().(M)
		if err := proto.Unmarshal(b, back); err != nil {
			t.Fatal(err)
		}
		got, err := from(back)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%T (seed %d, %v):\ngot  %+v\nwant %+v", want, seed, err, got, want)
		}
	}
	var zero T
	got, err := from(to(zero))
	if _, request := any(to(zero)).(interface{ GetSa() *pb.SARef }); request {
		return // a request for nothing is refused: TestRefused
	}
	if err == nil && !reflect.DeepEqual(got, zero) {
		t.Errorf("%T: zero value became %+v", zero, got)
	}
}

func noErr[M, T any](f func(M) T) func(M) (T, error) {
	return func(m M) (T, error) { return f(m), nil }
}

func byPtr[T, M any](f func(*T) M) func(T) M { return func(v T) M { return f(&v) } }

func TestRoundTrip(t *testing.T) {
	roundTrip(t, byPtr(convert.Node), convert.FromNode)
	roundTrip(t, convert.Port, convert.FromPort)
	roundTrip(t, convert.MAC, convert.FromMAC)
	roundTrip(t, convert.Peer, convert.FromPeer)
	roundTrip(t, convert.SecY, convert.FromSecY)
	roundTrip(t, convert.Group, noErr(convert.FromGroup))
	roundTrip(t, convert.MTU, noErr(convert.FromMTU))
	roundTrip(t, byPtr(convert.BGP), convert.FromBGP)
	roundTrip(t, byPtr(convert.Isolation), convert.FromIsolation)
	roundTrip(t, byPtr(convert.EVPN), convert.FromEVPN)
	roundTrip(t, byPtr(convert.BFD), convert.FromBFD)
	roundTrip(t, convert.Move, convert.FromMove)
	roundTrip(t, convert.Explanation, convert.FromExplanation)
	roundTrip(t, convert.Duplicate, convert.FromDuplicate)
	roundTrip(t, convert.SA, convert.FromSA)
	roundTrip(t, convert.TraceRequest, convert.FromTraceRequest)
	roundTrip(t, byPtr(convert.TraceRecord), convert.FromTraceRecord)
	roundTrip(t, convert.CaptureRequest, convert.FromCaptureRequest)
	roundTrip(t, byPtr(convert.CapturePacket), convert.FromCapturePacket)
	roundTrip(t, convert.MACFilter, func(m *pb.ListFDBRequest) (status.MACFilter, error) {
		return convert.FromMACFilter(m.GetVni(), m.GetMac(), m.GetPort())
	})
	roundTrip(t, convert.VRF, convert.FromVRF)
	roundTrip(t, convert.Route, convert.FromRoute)
	roundTrip(t, convert.Neighbour, convert.FromNeighbour)
	roundTrip(t, convert.RouteFilter, convert.FromRouteFilter)
	if q, err := convert.FromNeighbourFilter(convert.NeighbourFilter(status.NeighbourFilter{VRF: "red", VNI: 7, Family: 6})); err != nil || q != (status.NeighbourFilter{VRF: "red", VNI: 7, Family: 6}) {
		t.Errorf("neighbour filter became %+v, %v", q, err)
	}
	roundTrip(t, func(fs config.Faults) *pb.FaultList { return convert.Faults(fs, 100) }, noErr(convert.FromFaults))
}

func TestDrops(t *testing.T) {
	in := []status.Drop{
		{Worker: "b", Reason: counter.SplitHorizon, Count: 2},
		{Worker: "a", Reason: counter.SplitHorizon, Count: 1},
		{Worker: "a", Reason: counter.FrameTooShort, Count: 5},
		{Worker: "a", Reason: counter.BDUnknown, Count: 0},
	}
	got := convert.Drops(in, false)
	if len(got) != 2 || got[0].Reason != "frame-too-short" || got[1].Count != 3 || got[1].Workers[0].Name != "a" || got[1].Help == "" {
		t.Errorf("got %v", got)
	}
	if all := convert.Drops(in, true); len(all) != counter.NumReasons-1 {
		t.Errorf("all: got %d reasons, want %d", len(all), counter.NumReasons-1)
	}
	back, err := convert.FromDrops(got)
	if err != nil || len(back) != 3 || back[0] != in[2] {
		t.Errorf("back: got %v, %v", back, err)
	}
}

func TestFaultsCut(t *testing.T) {
	got := convert.FromFaults(convert.Faults(make(config.Faults, 7), 5))
	if len(got) != 6 || got[5].Problem != "and 2 more" {
		t.Errorf("got %v", got)
	}
}

// TestRefused gives messages that another program could send.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		path string
	}{
		{"vni", second(convert.FromMACFilter(1<<24, "", "")), "vni"},
		{"mac", second(convert.FromMACFilter(0, "zz", "")), "mac"},
		{"no vni", second(convert.FromUseAN(&pb.UseANRequest{An: 1})), "vni"},
		{"an 4", second(convert.FromUseAN(&pb.UseANRequest{Vni: 1, An: 4})), "an"},
		{"an 256", second(convert.FromUseAN(&pb.UseANRequest{Vni: 1, An: 256})), "an"},
		{"no direction", second(convert.FromSARef(&pb.SARef{Vni: 1})), "sa.direction"},
		{"rx without sci", second(convert.FromSARef(&pb.SARef{Vni: 1, Direction: pb.Direction_DIRECTION_RX})), "sa.sci"},
		{"short sci", second(convert.FromSARef(&pb.SARef{Vni: 1, Direction: pb.Direction_DIRECTION_TX, Sci: "12"})), "sa.sci"},
		{"no key", second(convert.FromSA(&pb.InstallSARequest{Sa: &pb.SARef{Vni: 1, Direction: pb.Direction_DIRECTION_TX}})), "key_file"},
		{"relative key", second(convert.FromSA(&pb.InstallSARequest{Sa: &pb.SARef{Vni: 1, Direction: pb.Direction_DIRECTION_TX}, KeyFile: "k"})), "key_file"},
		{"nothing", second(convert.FromSA(&pb.InstallSARequest{})), "sa.vni"},
		{"trace of none", second(convert.FromTraceRequest(&pb.TraceRequest{})), "count"},
		{"trace of many", second(convert.FromTraceRequest(&pb.TraceRequest{Count: convert.MaxFollow + 1})), "count"},
		{"trace ip", second(convert.FromTraceRequest(&pb.TraceRequest{Count: 1, Ip: "x"})), "ip"},
		{"trace stage", second(convert.FromTraceRequest(&pb.TraceRequest{Count: 1, Stage: "x"})), "stage"},
		{"capture nowhere", second(convert.FromCaptureRequest(&pb.CaptureRequest{})), "stages"},
		{"capture at nothing", second(convert.FromCaptureRequest(&pb.CaptureRequest{Stages: []string{""}})), "stages[0]"},
		{"capture negative", second(convert.FromCaptureRequest(&pb.CaptureRequest{Stages: []string{"port-rx"}, Count: -1})), "count"},
		{"capture long ago", second(convert.FromCaptureRequest(&pb.CaptureRequest{Stages: []string{"port-rx"}, DurationNs: -1})), "duration_ns"},
		{"profile of nothing", second(convert.FromProfileRequest(&pb.ProfileRequest{DurationNs: 1e9})), "kind"},
		{"profile of no kind", second(convert.FromProfileRequest(&pb.ProfileRequest{Kind: "threads", DurationNs: 1e9})), "kind"},
		{"profile of no time", second(convert.FromProfileRequest(&pb.ProfileRequest{Kind: "cpu"})), "duration_ns"},
		{"profile too long", second(convert.FromProfileRequest(&pb.ProfileRequest{Kind: "trace", DurationNs: 60e9 + 1})), "duration_ns"},
		{"route of no address", second(convert.FromRouteFilter(&pb.ListRoutesRequest{Address: "x"})), "address"},
		{"neighbour of no family", second(convert.FromNeighbourFilter(&pb.ListNeighboursRequest{Family: 5})), "family"},
		{"route of no prefix", second(convert.FromRoute(&pb.Route{Prefix: "x"})), "prefix[0]"},
		{"capture wide", second(convert.FromCaptureRequest(&pb.CaptureRequest{Stages: []string{"port-rx"}, Snaplen: 65536})), "snaplen"},
	} {
		fs, ok := errors.AsType[config.Faults](tt.err)
		if !ok || fs[0].Path != tt.path {
			t.Errorf("%s: got %v, want a fault at %s", tt.name, tt.err, tt.path)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// FuzzRequests: no request panics, and what is accepted survives the round trip.
func FuzzRequests(f *testing.F) {
	for _, m := range []proto.Message{
		&pb.TraceRequest{Count: 5, Mac: "02:00:00:00:00:01", Ip: "10.0.0.1", Stage: "port-rx"},
		&pb.CaptureRequest{Stages: []string{"bridge"}, Snaplen: 64},
		&pb.ProfileRequest{Kind: "block", DurationNs: 1e9},
		&pb.InstallSARequest{Sa: &pb.SARef{Vni: 5, Direction: 2, Sci: "0a00000000010001"}, KeyFile: "/k"},
	} {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var tr pb.TraceRequest
		if proto.Unmarshal(data, &tr) == nil {
			if q, err := convert.FromTraceRequest(&tr); err == nil {
				if again, err := convert.FromTraceRequest(convert.TraceRequest(q)); err != nil || !reflect.DeepEqual(again, q) {
					t.Errorf("%+v became %+v, %v", q, again, err)
				}
			}
		}
		var c pb.CaptureRequest
		if proto.Unmarshal(data, &c) == nil {
			if q, err := convert.FromCaptureRequest(&c); err == nil && len(q.Stages) == 0 {
				t.Error("a capture without stages was accepted")
			}
		}
		var pr pb.ProfileRequest
		if proto.Unmarshal(data, &pr) == nil {
			if q, err := convert.FromProfileRequest(&pr); err == nil {
				again, err := convert.FromProfileRequest(convert.ProfileRequest(q))
				if err != nil || again.Kind != q.Kind || again.Duration != q.Duration || q.Check() != nil {
					t.Errorf("%+v became %+v, %v", q, again, err)
				}
			}
		}
		var sa pb.InstallSARequest
		if proto.Unmarshal(data, &sa) == nil {
			if a, err := convert.FromSA(&sa); err == nil && (a.AN > 3 || a.VNI == 0 || a.KeyFile == "") {
				t.Errorf("accepted %+v", a)
			}
		}
	})
}
