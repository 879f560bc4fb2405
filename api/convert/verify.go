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
		Permitted: each(s.Permitted, func(p status.Permit) *pb.Permit {
			return &pb.Permit{Contract: p.Contract, From: p.From, To: p.To, Step: p.Step}
		}),
		Further: s.Further,
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
		Permitted: each(m.GetPermitted(), func(p *pb.Permit) status.Permit {
			return status.Permit{Contract: p.GetContract(), From: p.GetFrom(), To: p.GetTo(), Step: p.GetStep()}
		}),
		Further: m.GetFurther(),
	}, nil
}
