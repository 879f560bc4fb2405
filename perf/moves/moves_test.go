package moves_test

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/ztos/ztos/perf/moves"
)

const ms = time.Millisecond

func TestAccount(t *testing.T) {
	// Datagrams 10 ms apart, the move after 25 ms: 10 goes nowhere before, 30 and 40
	// go astray, 50 comes, 60 does not, all from 70 on do.
	got := moves.Account([]moves.Step{
		{0, [2]time.Duration{1 * ms, 0}},
		{10 * ms, [2]time.Duration{}},
		{20 * ms, [2]time.Duration{21 * ms, 0}},
		{30 * ms, [2]time.Duration{31 * ms, 0}},
		{40 * ms, [2]time.Duration{}},
		{50 * ms, [2]time.Duration{0, 52 * ms}},
		{60 * ms, [2]time.Duration{61 * ms, 0}},
		{70 * ms, [2]time.Duration{0, 71 * ms}},
		{80 * ms, [2]time.Duration{0, 81 * ms}},
	}, 25*ms)
	if want := (moves.Move{First: 0.027, Window: 0.045, Astray: 3, Lost: 1, Sent: 9}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	// A datagram that comes to both places has come.
	got = moves.Account([]moves.Step{
		{0, [2]time.Duration{1 * ms, 0}}, {10 * ms, [2]time.Duration{11 * ms, 12 * ms}},
	}, 5*ms)
	if want := (moves.Move{First: 0.007, Sent: 2}); got != want {
		t.Errorf("both: got %+v, want %+v", got, want)
	}
}

func TestAlone(t *testing.T) {
	here, both := [2]time.Duration{299 * ms, 0}, [2]time.Duration{299 * ms, 298 * ms}
	for _, tt := range []struct {
		name  string
		ago   time.Duration
		steps []moves.Step
		place int
		want  bool
	}{
		{"here", 300 * ms, []moves.Step{{0, here}}, 0, true},
		{"there", 300 * ms, []moves.Step{{0, here}}, 1, false},
		{"flooded", 300 * ms, []moves.Step{{0, both}}, 0, false},
		{"flooded before", 300 * ms, []moves.Step{{0, [2]time.Duration{1 * ms, 2 * ms}}, {298 * ms, here}}, 0, true},
		{"it began just now", 2 * ms, []moves.Step{{0, [2]time.Duration{1 * ms, 0}}}, 0, false},
		{"it has stopped", 900 * ms, []moves.Step{{0, here}}, 0, false},
		{"nothing came", 300 * ms, []moves.Step{{0, [2]time.Duration{}}}, 0, false},
	} {
		if got := moves.Alone(tt.ago, tt.steps, tt.place); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestValues(t *testing.T) {
	var m []moves.Move
	for i := range 200 {
		m = append(m, moves.Move{First: 1, Window: float64(200 - i), Astray: 2, Lost: i % 2, Sent: 10})
	}
	got := moves.Series(1000, m)
	if want := []float64{200, 100.5, 180, 198, 200, 1, 2000, 400, 100}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []moves.Config{
		{Rates: []int{1000}, Moves: 0},
		{Rates: []int{1000}, Moves: moves.MaxMoves + 1},
		{Rates: nil, Moves: 1},
		{Rates: []int{99}, Moves: 1},
		{Rates: []int{moves.MaxRate + 1}, Moves: 1},
		{Rates: []int{1000}, Moves: 1, Topology: "/nonexistent"},
	} {
		c.Progress = io.Discard
		if _, err := moves.Measure(t.Context(), c); err == nil {
			t.Errorf("%+v was measured", c)
		}
	}
}
