package pgo

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/google/pprof/profile"
)

// Merge sums CPU profiles, each with the same weight whatever its number of
// samples, and leaves what the compiler reads: names of functions, where they
// start, and the lines of calls. Paths, addresses and times of the machine are
// not in the result. The profiles are used up. It fails when none has a sample.
func Merge(ps []*profile.Profile) (*profile.Profile, error) {
	ps = slices.DeleteFunc(slices.Clone(ps), func(p *profile.Profile) bool { return samples(p) == 0 })
	if len(ps) == 0 {
		return nil, fmt.Errorf("pgo: no profile has a sample")
	}
	most := int64(0)
	for _, p := range ps {
		most = max(most, samples(p))
	}
	for _, p := range ps {
		p.Scale(float64(most) / float64(samples(p)))
		strip(p)
	}
	out, err := profile.Merge(ps)
	if err != nil {
		return nil, fmt.Errorf("pgo: %w", err)
	}
	strip(out) // Merge dates and locates it
	// The heaviest first: what is alike stands together and is packed well.
	slices.SortStableFunc(out.Sample, func(a, b *profile.Sample) int { return cmp.Compare(b.Value[0], a.Value[0]) })
	if err := out.CheckValid(); err != nil {
		return nil, fmt.Errorf("pgo: %w", err)
	}
	return out, nil
}

// samples returns how many samples p has.
func samples(p *profile.Profile) (n int64) {
	for _, s := range p.Sample {
		n += s.Value[0]
	}
	return n
}

// strip removes what the compiler does not read.
func strip(p *profile.Profile) {
	p.TimeNanos, p.DurationNanos, p.Comments, p.DocURL, p.Mapping = 0, 0, nil, "", nil
	for _, l := range p.Location {
		// Equal lines become one location in Merge once their addresses are
		// gone.
		l.Address, l.Mapping = 0, nil
	}
	for _, f := range p.Function {
		f.Filename = ""
	}
	for _, s := range p.Sample {
		s.Label, s.NumLabel, s.NumUnit = nil, nil, nil
	}
}
