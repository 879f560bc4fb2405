package convert

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ztos/ztos/api/profile"
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config/status"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
)

// Limits of a request to watch frames.
const (
	MaxFollow = 10000 // frames of one trace
	MaxSnap   = 65535 // bytes of each frame
)

// MACFilter returns f as a message.
func MACFilter(f status.MACFilter) *pb.ListFDBRequest {
	return &pb.ListFDBRequest{Vni: uint32(f.VNI), Mac: macText(f.MAC), Port: f.Port}
}

// FromMACFilter reads the filter of ListFDB and FlushFDB.
func FromMACFilter(vni uint32, mac, port string) (status.MACFilter, error) {
	var r reader
	f := status.MACFilter{VNI: r.vni("vni", vni, false), MAC: r.mac("mac", mac), Port: port}
	return f, r.err()
}

// TraceRequest returns q as a message.
func TraceRequest(q status.TraceRequest) *pb.TraceRequest {
	return &pb.TraceRequest{
		Count: i32(q.Count), Vni: uint32(q.VNI), Mac: macText(q.MAC), Ip: addrText(q.IP),
		Stage: stageText(q.Stage), Snaplen: i32(q.Snap),
	}
}

// FromTraceRequest is the reverse of TraceRequest.
func FromTraceRequest(m *pb.TraceRequest) (status.TraceRequest, error) {
	var r reader
	q := status.TraceRequest{
		Count: int(r.between("count", int64(m.GetCount()), 1, MaxFollow)),
		VNI:   r.vni("vni", m.GetVni(), false),
		MAC:   r.mac("mac", m.GetMac()),
		IP:    r.addr("ip", m.GetIp()).Unmap(),
		Stage: r.stage("stage", m.GetStage()),
		Snap:  int(r.between("snaplen", int64(m.GetSnaplen()), 0, MaxSnap)),
	}
	return q, r.err()
}

// TraceRecord returns t as a message.
func TraceRecord(t *status.TraceRecord) *pb.TraceRecord {
	m := &pb.TraceRecord{
		Id: t.ID, Stage: stageText(t.Stage), Worker: t.Worker, TimeUnixNs: unixNanos(t.Time), Vni: uint32(t.VNI), Port: t.Port,
		Peer: apText(t.Peer), Out: t.Out, Length: i32(t.Len), Segments: i32(t.Segs), Data: t.Data, Note: t.Note, Missed: t.Missed,
	}
	if t.Reason != counter.None {
		m.Reason = t.Reason.String()
	}
	return m
}

// FromTraceRecord is the reverse of TraceRecord.
func FromTraceRecord(m *pb.TraceRecord) (status.TraceRecord, error) {
	var r reader
	t := status.TraceRecord{
		ID: m.GetId(), Stage: r.stage("stage", m.GetStage()), Worker: m.GetWorker(), Time: unix(m.GetTimeUnixNs()),
		Reason: r.reason("reason", m.GetReason()), VNI: table.VNI(m.GetVni()), Port: m.GetPort(), Peer: r.addrPort("peer", m.GetPeer()),
		Out: m.GetOut(), Len: int(m.GetLength()), Segs: int(m.GetSegments()), Data: m.GetData(), Note: m.GetNote(), Missed: m.GetMissed(),
	}
	return t, r.err()
}

// CaptureRequest returns q as a message.
func CaptureRequest(q status.CaptureRequest) *pb.CaptureRequest {
	return &pb.CaptureRequest{
		Stages: each(q.Stages, stageText), Vni: uint32(q.VNI), Snaplen: i32(q.Snap),
		Count: int64(q.Count), DurationNs: int64(q.Duration),
	}
}

// FromCaptureRequest is the reverse of CaptureRequest.
func FromCaptureRequest(m *pb.CaptureRequest) (status.CaptureRequest, error) {
	var r reader
	q := status.CaptureRequest{
		VNI:      r.vni("vni", m.GetVni(), false),
		Snap:     int(r.between("snaplen", int64(m.GetSnaplen()), 0, MaxSnap)),
		Count:    int(r.between("count", m.GetCount(), 0, math.MaxInt32)),
		Duration: time.Duration(r.between("duration_ns", m.GetDurationNs(), 0, math.MaxInt64)),
	}
	if q.Snap == 0 {
		q.Snap = MaxSnap
	}
	if len(m.GetStages()) == 0 || len(m.GetStages()) >= trace.NumStages {
		r.fault("stages", "want 1 to %d of %v", trace.NumStages-1, trace.StageNames())
		return q, r.err()
	}
	for i, s := range m.GetStages() {
		st := r.stage(fmt.Sprintf("stages[%d]", i), s)
		if s == "" {
			r.fault(fmt.Sprintf("stages[%d]", i), "no stage")
		}
		q.Stages = append(q.Stages, st)
	}
	return q, r.err()
}

// CapturePacket returns p as a message.
func CapturePacket(p *status.CapturePacket) *pb.CapturePacket {
	return &pb.CapturePacket{
		Stage: stageText(p.Stage), TimeUnixNs: unixNanos(p.Time), Vni: uint32(p.VNI), Port: p.Port, Peer: apText(p.Peer),
		Out: p.Out, Length: i32(p.Len), Segments: i32(p.Segs), Data: p.Data, Missed: p.Missed,
	}
}

// FromCapturePacket is the reverse of CapturePacket.
func FromCapturePacket(m *pb.CapturePacket) (status.CapturePacket, error) {
	var r reader
	p := status.CapturePacket{
		Stage: r.stage("stage", m.GetStage()), Time: unix(m.GetTimeUnixNs()), VNI: table.VNI(m.GetVni()), Port: m.GetPort(),
		Peer: r.addrPort("peer", m.GetPeer()), Out: m.GetOut(), Len: int(m.GetLength()), Segs: int(m.GetSegments()),
		Data: m.GetData(), Missed: m.GetMissed(),
	}
	return p, r.err()
}

// ProfileRequest returns q as a message.
func ProfileRequest(q profile.Request) *pb.ProfileRequest {
	return &pb.ProfileRequest{Kind: q.Kind.String(), DurationNs: int64(q.Duration)}
}

// FromProfileRequest is the reverse of ProfileRequest.
func FromProfileRequest(m *pb.ProfileRequest) (profile.Request, error) {
	var r reader
	kind, err := profile.ParseKind(m.GetKind())
	if err != nil {
		r.fault("kind", "%q is not one of %s", m.GetKind(), strings.Join(profile.Kinds(), ", "))
		return profile.Request{}, r.err()
	}
	q := profile.Request{Kind: kind, Duration: time.Duration(m.GetDurationNs())}
	if q.Check() != nil { // the kind is known, so it is the time
		r.fault("duration_ns", "%v is not %v to %v", q.Duration, profile.MinDuration, profile.MaxDuration)
	}
	return q, r.err()
}

// stageText is the empty text for any stage.
func stageText(s trace.Stage) string {
	if s == 0 {
		return ""
	}
	return s.String()
}
