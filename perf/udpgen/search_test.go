package udpgen_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/ztos/ztos/perf/udpgen"
)

// path is a simulated one: it loses what is above its capacity.
type path struct {
	capacity float64 // frames per second
	sender   float64 // most that its sender can send; 0 is no limit
	hiccups  float64 // part of the attempts that lose 0.5 % for no reason
	long     float64 // capacity of long attempts, if not the same
	stalls   int     // long attempts, the first ones, of which nothing arrives
	tries    int
	rng      *rand.Rand
}

func (p *path) try(rate float64, long bool) (udpgen.Trial, error) {
	p.tries++
	t := udpgen.Trial{Wanted: rate, Offered: rate}
	if p.sender > 0 {
		t.Offered = min(rate, p.sender)
	}
	capacity := p.capacity
	if long && p.long > 0 {
		capacity = p.long
	}
	if long && p.stalls > 0 {
		p.stalls--
		capacity = 0
	}
	t.Sent = uint64(t.Offered)
	t.Received = uint64(min(t.Offered, capacity))
	if p.rng != nil && p.rng.Float64() < p.hiccups {
		t.Received -= t.Received / 200
	}
	return t, nil
}

var plan = udpgen.Plan{Start: 20_000, Step: 2, Min: 1000, Max: 4e6, Precision: 0.03, MaxLoss: 0.001, Trials: 20, Confirms: 6}

func TestSearch(t *testing.T) {
	for _, tt := range []struct {
		name string
		path path
		plan func(*udpgen.Plan)
		want float64
		ok   func(udpgen.Found) bool
	}{
		{name: "above the start", path: path{capacity: 173_000}, want: 173_000},
		{name: "below the start", path: path{capacity: 3_100}, want: 3_100},
		{name: "just at the start", path: path{capacity: 20_000}, want: 20_000},
		{
			name: "from a rate known before", path: path{capacity: 173_000}, want: 173_000,
			plan: func(p *udpgen.Plan) { p.Start, p.Step = 165_000, 1.1 },
			ok:   func(f udpgen.Found) bool { return f.Trials <= 7 },
		},
		{
			name: "more than the bound", path: path{capacity: 1e9}, want: 4e6,
			ok: func(f udpgen.Found) bool { return f.Confirmed && !f.SenderLimited },
		},
		{
			name: "nothing gets through", path: path{capacity: 0}, want: 0,
			ok: func(f udpgen.Found) bool { return !f.Confirmed },
		},
		{
			name: "the sender is at its end", path: path{capacity: 1e6, sender: 300_000}, want: 300_000,
			ok: func(f udpgen.Found) bool { return f.SenderLimited },
		},
		{
			name: "long attempts get less through", path: path{capacity: 173_000, long: 160_000}, want: 155_000,
			ok: func(f udpgen.Found) bool { return f.Confirmed && f.Rate <= 160_000 },
		},
		{
			name: "long attempts get half through", path: path{capacity: 300_000, long: 150_000}, want: 145_000,
			ok: func(f udpgen.Found) bool { return f.Confirmed && f.Rate <= 150_000 },
		},
		{
			name: "a long attempt stalls", path: path{capacity: 173_000, stalls: 1}, want: 84_000,
			ok: func(f udpgen.Found) bool { return f.Confirmed },
		},
		{
			name: "no long attempt is good", path: path{capacity: 173_000, long: 1}, want: 0,
			ok: func(f udpgen.Found) bool { return !f.Confirmed },
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := plan
			if tt.plan != nil {
				tt.plan(&p)
			}
			got, err := udpgen.Search(p, tt.path.try)
			if err != nil {
				t.Fatal(err)
			}
			if math.Abs(got.Rate-tt.want) > 0.06*tt.want {
				t.Errorf("rate %.0f, want %.0f: %+v", got.Rate, tt.want, got)
			}
			if got.Trials != tt.path.tries || got.Trials > p.Trials+1+p.Confirms {
				t.Errorf("%d attempts said, %d made, bound %d", got.Trials, tt.path.tries, p.Trials+1+p.Confirms)
			}
			if got.Confirmed && got.Loss >= p.MaxLoss {
				t.Errorf("confirmed with a loss of %v", got.Loss)
			}
			if tt.ok != nil && !tt.ok(got) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestSearchNoisy: on a machine whose neighbours disturb one attempt in ten the
// result is below the capacity, but not by far.
func TestSearchNoisy(t *testing.T) {
	for seed := range uint64(200) {
		p := path{capacity: 173_000, hiccups: 0.1, rng: rand.New(rand.NewPCG(seed, 1))}
		got, err := udpgen.Search(plan, p.try)
		if err != nil {
			t.Fatal(err)
		}
		if got.Rate > 1.001*p.capacity || got.Rate < 0.5*p.capacity {
			t.Errorf("seed %d: %+v", seed, got)
		}
	}
}

func TestSearchStopsOnError(t *testing.T) {
	gone := errors.New("gone")
	n := 0
	_, err := udpgen.Search(plan, func(rate float64, _ bool) (udpgen.Trial, error) {
		n++
		if n == 3 {
			return udpgen.Trial{}, gone
		}
		return udpgen.Trial{Offered: rate, Sent: 10, Count: udpgen.Count{Received: 10}}, nil
	})
	if !errors.Is(err, gone) || n != 3 {
		t.Errorf("error %v after %d attempts", err, n)
	}
}
