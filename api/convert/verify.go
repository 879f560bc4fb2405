package convert

import (
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// Isolation returns s as a message.
func Isolation(s *status.Isolation) *pb.VerifyIsolationResponse {
	return &pb.VerifyIsolationResponse{
		Generation: s.Generation, Tenants: int64(s.Tenants), Steps: s.Steps, Nowhere: s.Nowhere,
		ElapsedNs: int64(s.Elapsed), More: s.More,
		Breaches: each(s.Breaches, func(b status.Breach) *pb.Breach {
			return &pb.Breach{From: b.From, To: b.To, Step: b.Step}
		}),
	}
}

// FromIsolation is the reverse of Isolation.
func FromIsolation(m *pb.VerifyIsolationResponse) (status.Isolation, error) {
	return status.Isolation{
		Generation: m.GetGeneration(), Tenants: int(m.GetTenants()), Steps: m.GetSteps(), Nowhere: m.GetNowhere(),
		Elapsed: config.Duration(m.GetElapsedNs()), More: m.GetMore(),
		Breaches: each(m.GetBreaches(), func(b *pb.Breach) status.Breach {
			return status.Breach{From: b.GetFrom(), To: b.GetTo(), Step: b.GetStep()}
		}),
	}, nil
}
