package convert

import (
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// BFD returns b as a message.
func BFD(b *status.BFD) *pb.GetBFDResponse {
	return &pb.GetBFDResponse{
		Enabled: b.Enabled, Strangers: Counts(b.Strangers),
		Sessions: each(b.Sessions, func(s status.BFDSession) *pb.BFDSession {
			return &pb.BFDSession{
				Name: s.Name, Address: addrText(s.Address), Hops: uint32(s.Hops), State: s.State, AgeNs: int64(s.Age),
				TheirState: s.TheirState, LastDown: s.LastDown, TheirDiagnostic: s.TheirDiagnostic,
				TxNs: int64(s.Tx), DetectionNs: int64(s.Detection),
				Multiplier: uint32(s.Multiplier), TheirMultiplier: uint32(s.TheirMultiplier), Authentication: s.Authentication,
				Discriminator: s.Discriminator, TheirDiscriminator: s.TheirDiscriminator, PathWithheld: s.PathWithheld,
				Counters: Counts(s.Counters),
			}
		}),
	}
}

// FromBFD is the reverse of BFD.
func FromBFD(m *pb.GetBFDResponse) (status.BFD, error) {
	var r reader
	b := status.BFD{
		Enabled: m.GetEnabled(), Strangers: FromCounts(m.GetStrangers()),
		Sessions: each(m.GetSessions(), func(s *pb.BFDSession) status.BFDSession {
			return status.BFDSession{
				Name: s.GetName(), Address: r.addr("sessions.address", s.GetAddress()), Hops: int(s.GetHops()), State: s.GetState(),
				Age: config.Duration(s.GetAgeNs()), TheirState: s.GetTheirState(), LastDown: s.GetLastDown(),
				TheirDiagnostic: s.GetTheirDiagnostic(), Tx: config.Duration(s.GetTxNs()), Detection: config.Duration(s.GetDetectionNs()),
				Multiplier: int(s.GetMultiplier()), TheirMultiplier: int(s.GetTheirMultiplier()), Authentication: s.GetAuthentication(),
				Discriminator: s.GetDiscriminator(), TheirDiscriminator: s.GetTheirDiscriminator(), PathWithheld: s.GetPathWithheld(),
				Counters: FromCounts(s.GetCounters()),
			}
		}),
	}
	return b, r.err()
}
