package stat

import "slices"

// Median returns the middle value, or the mean of the two in the middle; 0 for
// none. v is not changed.
func Median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	half := len(v) / 2
	if len(v)%2 == 1 {
		return v[half]
	}
	return (v[half-1] + v[half]) / 2
}

// Percentile returns the smallest of the sorted values that at least the part p
// of them, 0 to 1, does not exceed (nearest rank); 0 for none.
func Percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	// Rounding up by whole numbers in thousandths of a percent: 0.999 times
	// 1000 must be rank 999, whatever its binary fraction is.
	rank := (int(p*1e5+0.5)*len(sorted) + 99_999) / 100_000
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// Series is one figure over the rounds of a run. The zero value has no rounds.
type Series struct {
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Rounds []float64 `json:"rounds"` // in the order in which they were measured
}

// Add adds the figure of one more round.
func (s *Series) Add(v float64) {
	s.Rounds = append(s.Rounds, v)
	s.Median, s.Min, s.Max = Median(s.Rounds), slices.Min(s.Rounds), slices.Max(s.Rounds)
}
