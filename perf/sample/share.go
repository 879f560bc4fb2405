package sample

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/google/pprof/profile"
)

// Value returns what a sample weighs, in the unit of Unit: of the runtime's
// profiles the last value, which is CPU time, bytes in use, time waited, or a
// number of goroutines.
func Value(s *profile.Sample) int64 { return s.Value[len(s.Value)-1] }

// Unit returns the unit of Value: nanoseconds, bytes or count.
func Unit(p *profile.Profile) string {
	if len(p.SampleType) == 0 {
		return "count"
	}
	return p.SampleType[len(p.SampleType)-1].Unit
}

// Stack returns the functions of a sample, the leaf first, with those that the
// compiler put inline.
func Stack(s *profile.Sample) []string {
	var out []string
	for _, l := range s.Location {
		if len(l.Line) == 0 {
			out = append(out, "0x"+strconv.FormatUint(l.Address, 16)) // not ours: the vDSO
		}
		for _, line := range l.Line {
			name := "?"
			if line.Function != nil {
				name = line.Function.Name
			}
			out = append(out, name)
		}
	}
	return out
}

// FamilyOf returns the family of a sample with that stack, by the package's
// order.
func FamilyOf(stack []string) Family {
	switch {
	case slices.ContainsFunc(stack, Cipher):
		return Crypto
	case len(stack) == 0:
		return Other
	case EntersKernel(stack[0]):
		return Kernel
	}
	return Of(stack[0])
}

// Shares says how the samples of a profile divide. Shares are 0 to 1.
type Shares struct {
	Samples int64 `json:"samples"` // how many stacks were taken; of CPU profiles 100 a second of CPU time
	Total   int64 `json:"total"`   // in the profile's unit
	// AEAD is the share of samples with a cipher's function on their stack.
	AEAD float64 `json:"aead_of_all"`
	// AEADOwn is the same of the samples that are not the kernel's.
	AEADOwn float64 `json:"aead_without_kernel"`
	// Families is the share of each family, by its name; together 1.
	Families map[string]float64 `json:"families"`
}

// Share divides the samples of p. All shares of an empty profile are 0.
func Share(p *profile.Profile) Shares {
	var of [numFamilies]int64
	s := Shares{Families: map[string]float64{}}
	var aead int64
	for _, sample := range p.Sample {
		stack := Stack(sample)
		v := Value(sample)
		of[FamilyOf(stack)] += v
		if slices.ContainsFunc(stack, Cipher) {
			aead += v
		}
		s.Samples += sample.Value[0]
		s.Total += v
	}
	s.AEAD = ratio(aead, s.Total)
	s.AEADOwn = ratio(aead, s.Total-of[Kernel])
	for _, f := range Families {
		s.Families[f.String()] = ratio(of[f], s.Total)
	}
	return s
}

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// Function is what a profile says of one function, in the profile's unit.
type Function struct {
	Name string `json:"function"`
	Flat int64  `json:"flat"` // in itself
	Cum  int64  `json:"cum"`  // in itself and in what it calls
}

// Top returns the n functions that have most in themselves, the most first.
func Top(p *profile.Profile, n int) []Function {
	by := map[string]*Function{}
	for _, s := range p.Sample {
		seen := map[string]bool{} // a recursive function counts once
		for i, name := range Stack(s) {
			f := by[name]
			if f == nil {
				f = &Function{Name: name}
				by[name] = f
			}
			if i == 0 {
				f.Flat += Value(s)
			}
			if !seen[name] {
				seen[name] = true
				f.Cum += Value(s)
			}
		}
	}
	all := make([]Function, 0, len(by))
	for _, f := range by {
		if f.Flat != 0 {
			all = append(all, *f)
		}
	}
	slices.SortFunc(all, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Flat, a.Flat), cmp.Compare(b.Cum, a.Cum), cmp.Compare(a.Name, b.Name))
	})
	return all[:min(n, len(all))]
}

// Format returns a value for people: 1.42 s, 310 ms, 3.5 MiB, 17.
func Format(v int64, unit string) string {
	type step struct {
		size float64
		name string
	}
	var steps []step
	switch unit {
	case "nanoseconds":
		steps = []step{{1e9, " s"}, {1e6, " ms"}, {1e3, " us"}, {1, " ns"}}
	case "bytes":
		steps = []step{{1 << 30, " GiB"}, {1 << 20, " MiB"}, {1 << 10, " KiB"}, {1, " B"}}
	}
	for _, s := range steps {
		if x := float64(v) / s.size; x >= 1 && s.size > 1 {
			return strconv.FormatFloat(x, 'f', digits(x), 64) + s.name
		} else if x >= 1 {
			return fmt.Sprintf("%d%s", v, s.name)
		}
	}
	return strconv.FormatInt(v, 10)
}

// digits returns how many decimals make three figures.
func digits(x float64) int {
	switch {
	case x >= 100:
		return 0
	case x >= 10:
		return 1
	}
	return 2
}
