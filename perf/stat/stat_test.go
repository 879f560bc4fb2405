package stat_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/ztos/ztos/perf/stat"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []float64
		want float64
	}{
		{"none", nil, 0},
		{"one", []float64{3}, 3},
		{"odd, unsorted", []float64{9, 1, 5}, 5},
		{"even", []float64{4, 1, 2, 9}, 3},
	} {
		in := slices.Clone(tt.in)
		if got := stat.Median(in); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
		if !slices.Equal(in, tt.in) {
			t.Errorf("%s: the input was changed to %v", tt.name, in)
		}
	}
}

func TestPercentile(t *testing.T) {
	thousand := make([]float64, 1000)
	for i := range thousand {
		thousand[i] = float64(i + 1)
	}
	for _, tt := range []struct {
		name string
		in   []float64
		p    float64
		want float64
	}{
		{"none", nil, 0.5, 0},
		{"one", []float64{7}, 0.999, 7},
		{"half of two", []float64{1, 2}, 0.5, 1},
		{"half", thousand, 0.5, 500},
		{"99 %", thousand, 0.99, 990},
		{"99.9 %", thousand, 0.999, 999},
		{"all", thousand, 1, 1000},
		{"nothing", thousand, 0, 1},
	} {
		if got := stat.Percentile(tt.in, tt.p); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

// TestPercentileModel compares with the definition, counted out.
func TestPercentileModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		v := make([]float64, 1+rng.IntN(300))
		for i := range v {
			v[i] = float64(rng.IntN(40))
		}
		slices.Sort(v)
		for _, p := range []float64{0.01, 0.25, 0.5, 0.9, 0.99, 0.999} {
			got := stat.Percentile(v, p)
			below := 0 // values that got does not fall short of
			for _, x := range v {
				if x <= got {
					below++
				}
			}
			smaller := slices.Index(v, got) // values below got
			if float64(below) < p*float64(len(v)) || float64(smaller) >= p*float64(len(v)) {
				t.Fatalf("%v of %v: got %v", p, v, got)
			}
		}
	}
}

func TestSeries(t *testing.T) {
	var s stat.Series
	for _, v := range []float64{4, 1, 9} {
		s.Add(v)
	}
	if s.Median != 4 || s.Min != 1 || s.Max != 9 || !slices.Equal(s.Rounds, []float64{4, 1, 9}) {
		t.Errorf("got %+v", s)
	}
}
