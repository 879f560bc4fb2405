package convert

import (
	pb "github.com/ztos/ztos/api/ztosv1"
	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// SecY returns s as a message.
func SecY(s status.SecY) *pb.SecY {
	m := &pb.SecY{
		Vni: uint32(s.VNI), Name: s.Name, Cipher: s.Cipher.String(), Mode: s.Mode.String(),
		Encrypt: s.Encrypt, Offset: i32(s.Offset), ReplayWindow: s.ReplayWindow, Overhead: i32(s.Overhead),
		TxSci: sciText(s.TxSCI), TxSas: each(s.TxSAs, txSA), RxScs: each(s.RxSCs, rxSC), Counters: Counts(s.Counters),
	}
	if s.TxUsable {
		m.TxAn = new(uint32(s.TxAN))
	}
	return m
}

func txSA(a status.TxSA) *pb.TxSA {
	return &pb.TxSA{
		An: uint32(a.AN), InUse: a.InUse, Fingerprint: a.Fingerprint, Ssci: a.SSCI,
		NextPn: a.NextPN, GrantedPn: a.GrantedPN, SoftLimit: a.SoftLimit, OutPkts: a.OutPkts,
	}
}

func rxSC(c status.RxSC) *pb.RxSC {
	return &pb.RxSC{Vtep: addrText(c.VTEP), Sci: sciText(c.SCI), Sas: each(c.SAs, rxSA), Counters: Counts(c.Counters)}
}

func rxSA(a status.RxSA) *pb.RxSA {
	return &pb.RxSA{
		An: uint32(a.AN), Fingerprint: a.Fingerprint, Ssci: a.SSCI,
		NextPn: a.NextPN, LowestPn: a.LowestPN, Counters: Counts(a.Counters),
	}
}

// FromSecY is the reverse of SecY.
func FromSecY(m *pb.SecY) (status.SecY, error) {
	var r reader
	s := status.SecY{
		VNI: r.vni("vni", m.GetVni(), false), Name: m.GetName(), Encrypt: m.GetEncrypt(), Offset: int(m.GetOffset()),
		ReplayWindow: m.GetReplayWindow(), Overhead: int(m.GetOverhead()),
		TxUsable: m.TxAn != nil, TxAN: r.an("tx_an", m.GetTxAn()), Counters: FromCounts(m.GetCounters()),
	}
	r.text("cipher", m.GetCipher(), &s.Cipher)
	r.text("mode", m.GetMode(), &s.Mode)
	r.text("tx_sci", m.GetTxSci(), &s.TxSCI)
	s.TxSAs = each(m.GetTxSas(), func(a *pb.TxSA) status.TxSA {
		return status.TxSA{
			AN: r.an("tx_sas.an", a.GetAn()), InUse: a.GetInUse(), Fingerprint: a.GetFingerprint(), SSCI: a.GetSsci(),
			NextPN: a.GetNextPn(), GrantedPN: a.GetGrantedPn(), SoftLimit: a.GetSoftLimit(), OutPkts: a.GetOutPkts(),
		}
	})
	s.RxSCs = each(m.GetRxScs(), func(c *pb.RxSC) status.RxSC {
		sc := status.RxSC{
			VTEP: r.addr("rx_scs.vtep", c.GetVtep()), Counters: FromCounts(c.GetCounters()),
			SAs: each(c.GetSas(), func(a *pb.RxSA) status.RxSA {
				return status.RxSA{
					AN: r.an("rx_scs.sas.an", a.GetAn()), Fingerprint: a.GetFingerprint(), SSCI: a.GetSsci(),
					NextPN: a.GetNextPn(), LowestPN: a.GetLowestPn(), Counters: FromCounts(a.GetCounters()),
				}
			}),
		}
		r.text("rx_scs.sci", c.GetSci(), &sc.SCI)
		return sc
	})
	return s, r.err()
}

// an reads an association number.
func (r *reader) an(path string, v uint32) uint8 { return uint8(r.small(path, v, 3)) }

// SARef returns a as a message.
func SARef(a status.SARef) *pb.SARef {
	return &pb.SARef{Vni: uint32(a.VNI), Direction: pb.Direction(a.Direction), Sci: sciText(a.SCI), An: uint32(a.AN)}
}

// FromSARef is the reverse of SARef. What it accepts names one SA.
func FromSARef(m *pb.SARef) (status.SARef, error) {
	var r reader
	a := r.saRef(m)
	return a, r.err()
}

func (r *reader) saRef(m *pb.SARef) status.SARef {
	a := status.SARef{VNI: r.vni("sa.vni", m.GetVni(), true), AN: r.an("sa.an", m.GetAn())}
	r.text("sa.sci", m.GetSci(), &a.SCI)
	switch m.GetDirection() {
	case pb.Direction_DIRECTION_TX:
		a.Direction = status.Tx
	case pb.Direction_DIRECTION_RX:
		a.Direction = status.Rx
		if a.SCI.IsZero() {
			r.fault("sa.sci", "a receive SA needs the SCI of its channel")
		}
	default:
		r.fault("sa.direction", "neither tx nor rx")
	}
	return a
}

// SA returns a as a message.
func SA(a status.SA) *pb.InstallSARequest {
	return &pb.InstallSARequest{Sa: SARef(a.SARef), KeyFile: a.KeyFile, SaltFile: a.SaltFile}
}

// FromSA is the reverse of SA.
func FromSA(m *pb.InstallSARequest) (status.SA, error) {
	var r reader
	a := status.SA{SARef: r.saRef(m.GetSa()), KeyFile: m.GetKeyFile(), SaltFile: m.GetSaltFile()}
	r.file("key_file", a.KeyFile, true)
	r.file("salt_file", a.SaltFile, false)
	return a, r.err()
}

// file wants an absolute path: the engine's working folder is not the caller's.
func (r *reader) file(path, s string, required bool) {
	switch {
	case s == "" && !required:
	case s == "":
		r.fault(path, "no file")
	case s[0] != '/':
		r.fault(path, "%q is not an absolute path", s)
	}
}

// FromUseAN reads a request to transmit with another AN.
func FromUseAN(m *pb.UseANRequest) (status.SARef, error) {
	var r reader
	a := status.SARef{VNI: r.vni("vni", m.GetVni(), true), Direction: status.Tx, AN: r.an("an", m.GetAn())}
	return a, r.err()
}

// Faults returns fs as a message with at most limit entries.
func Faults(fs config.Faults, limit int) *pb.FaultList {
	m := &pb.FaultList{Omitted: i32(max(0, len(fs)-limit))}
	for _, f := range fs[:min(len(fs), limit)] {
		m.Faults = append(m.Faults, &pb.Fault{File: f.File, Line: i32(f.Line), Path: f.Path, Problem: f.Problem, Fix: f.Fix})
	}
	return m
}

// FromFaults is the reverse of Faults; what was omitted becomes one more fault
// that says how many.
func FromFaults(m *pb.FaultList) config.Faults {
	fs := each(m.GetFaults(), func(f *pb.Fault) config.Fault {
		return config.Fault{File: f.GetFile(), Line: int(f.GetLine()), Path: f.GetPath(), Problem: f.GetProblem(), Fix: f.GetFix()}
	})
	if n := m.GetOmitted(); n > 0 {
		var r reader
		r.fault("", "and %d more", n)
		fs = append(fs, r.faults...)
	}
	return fs
}
