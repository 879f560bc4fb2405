package convert

import (
	"encoding"
	"fmt"
	"math"
	"net/netip"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/engine/trace"
)

// reader collects the faults of one message.
type reader struct{ faults config.Faults }

func (r *reader) fault(path, format string, args ...any) {
	r.faults = append(r.faults, config.Fault{Path: path, Problem: fmt.Sprintf(format, args...)})
}

// err returns the faults, nil when there are none.
func (r *reader) err() error { return r.faults.Err() }

// vni reads a VNI; 0 is any, or refused when required.
func (r *reader) vni(path string, v uint32, required bool) table.VNI {
	if v > uint32(table.MaxVNI) || required && v == 0 {
		r.fault(path, "VNI %d is out of range 1 to %d", v, table.MaxVNI)
	}
	return table.VNI(v)
}

// small reads a number up to limit.
func (r *reader) small(path string, v uint32, limit uint32) uint32 {
	if v > limit {
		r.fault(path, "%d is more than %d", v, limit)
		return 0
	}
	return v
}

func (r *reader) mac(path, s string) table.MAC {
	if s == "" {
		return 0
	}
	m, err := table.ParseMAC(s)
	if err != nil {
		r.fault(path, "%v", err)
	}
	return m
}

func (r *reader) addr(path, s string) (a netip.Addr) {
	if s == "" {
		return a
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		r.fault(path, "%q is not an IP address", s)
	}
	return a
}

func (r *reader) addrPort(path, s string) (a netip.AddrPort) {
	if s == "" {
		return a
	}
	a, err := netip.ParseAddrPort(s)
	if err != nil {
		r.fault(path, "%q is not an address and port", s)
	}
	return a
}

func (r *reader) prefixes(path string, ss []string) (out []netip.Prefix) {
	for i, s := range ss {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			r.fault(fmt.Sprintf("%s[%d]", path, i), "%q is not a prefix", s)
			continue
		}
		out = append(out, p)
	}
	return out
}

// text reads s into v, which stays as it is when s is empty.
func (r *reader) text(path, s string, v encoding.TextUnmarshaler) {
	if s == "" {
		return
	}
	if err := v.UnmarshalText([]byte(s)); err != nil {
		r.fault(path, "%v", err)
	}
}

func (r *reader) stage(path, s string) trace.Stage {
	if s == "" {
		return 0
	}
	st, err := trace.ParseStage(s)
	if err != nil {
		r.fault(path, "%v", err)
	}
	return st
}

// reasons maps the stable names back.
var reasons = func() map[string]counter.Reason {
	m := map[string]counter.Reason{}
	for r := counter.None + 1; int(r) < counter.NumReasons; r++ {
		m[r.String()] = r
	}
	return m
}()

func (r *reader) reason(path, s string) counter.Reason {
	if s == "" {
		return counter.None
	}
	v, ok := reasons[s]
	if !ok {
		r.fault(path, "there is no drop reason %q", s)
	}
	return v
}

// between reads a number from lo to hi.
func (r *reader) between(path string, v, lo, hi int64) int64 {
	if v < lo || v > hi {
		r.fault(path, "%d is not %d to %d", v, lo, hi)
		return lo
	}
	return v
}

// addrText, apText and macText are the empty text for none.
func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func apText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func macText(m table.MAC) string {
	if m == 0 {
		return ""
	}
	return m.String()
}

func sciText(s config.SCI) string {
	if s.IsZero() {
		return ""
	}
	return s.String()
}

// i32 returns v as an int32, at its bounds when it is beyond.
func i32(v int) int32 { return int32(max(math.MinInt32, min(math.MaxInt32, v))) }

// each maps a slice; nil stays nil.
func each[A, B any](in []A, f func(A) B) []B {
	if in == nil {
		return nil
	}
	out := make([]B, len(in))
	for i := range in {
		out[i] = f(in[i])
	}
	return out
}
