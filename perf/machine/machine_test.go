package machine_test

import (
	"testing"

	"github.com/ztos/ztos/perf/machine"
)

func TestThis(t *testing.T) {
	m := machine.This()
	if m.CPU == "" || m.Cores < 1 || m.Kernel == "" || m.Kernel == "unknown" || m.Go == "" {
		t.Errorf("got %+v", m)
	}
}

func TestCalibrate(t *testing.T) {
	if ns := machine.Calibrate(); ns <= 0 {
		t.Errorf("a seal took %v ns", ns)
	}
}
