package convert

import (
	"net/netip"

	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config/status"
)

// segment returns s as a message.
func segment(s status.Segment) *pb.Segment {
	return &pb.Segment{
		Name: s.Name, Esi: s.ESI, Port: s.Port, Mode: s.Mode, Up: s.Up,
		Vnis: each(s.VNIs, func(v status.SegmentVNI) *pb.SegmentVNI {
			return &pb.SegmentVNI{
				Vni: uint32(v.VNI), Self: v.Self, Df: addrText(v.DF), Backup: addrText(v.Backup),
				Peers: each(v.Peers, addrText), Why: v.Why,
			}
		}),
	}
}

// segment is the reverse of segment.
func (r *reader) segment(m *pb.Segment) status.Segment {
	return status.Segment{
		Name: m.GetName(), ESI: m.GetEsi(), Port: m.GetPort(), Mode: m.GetMode(), Up: m.GetUp(),
		VNIs: each(m.GetVnis(), func(v *pb.SegmentVNI) status.SegmentVNI {
			return status.SegmentVNI{
				VNI: r.vni("segments.vnis.vni", v.GetVni(), true), Self: v.GetSelf(),
				DF: r.addr("segments.vnis.df", v.GetDf()), Backup: r.addr("segments.vnis.backup", v.GetBackup()),
				Peers: each(v.GetPeers(), func(s string) netip.Addr { return r.addr("segments.vnis.peers", s) }), Why: v.GetWhy(),
			}
		}),
	}
}

// group returns g as a message.
func group(g status.SegmentGroup) *pb.SegmentGroup {
	return &pb.SegmentGroup{
		Vni: uint32(g.VNI), Esi: g.ESI, Local: g.Local, Vteps: each(g.VTEPs, addrText), Backup: each(g.Backup, addrText),
	}
}

// group is the reverse of group.
func (r *reader) group(m *pb.SegmentGroup) status.SegmentGroup {
	address := func(path string) func(string) netip.Addr {
		return func(s string) netip.Addr { return r.addr(path, s) }
	}
	return status.SegmentGroup{
		VNI: r.vni("groups.vni", m.GetVni(), true), ESI: m.GetEsi(), Local: m.GetLocal(),
		VTEPs: each(m.GetVteps(), address("groups.vteps")), Backup: each(m.GetBackup(), address("groups.backup")),
	}
}
