package counter_test

import (
	"regexp"
	"testing"

	"github.com/ztos/ztos/engine/counter"
)

func TestEveryReasonHasANameOfItsOwn(t *testing.T) {
	ok := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	seen := map[string]counter.Reason{}
	for r := range counter.Reason(counter.NumReasons) {
		if !ok.MatchString(r.String()) || r.Help() == "" {
			t.Errorf("reason %d: name %q, help %q", r, r, r.Help())
		}
		if other, dup := seen[r.String()]; dup {
			t.Errorf("reasons %d and %d share the name %q", other, r, r)
		}
		seen[r.String()] = r
	}
}

func TestBlockCountsByReason(t *testing.T) {
	var b counter.Block
	b.Drop(counter.WGReplayed, 3)
	b.Drop(counter.WGReplayed, 1)
	if got := b.Drops(counter.WGReplayed); got != 4 {
		t.Errorf("drops = %d, want 4", got)
	}
	if got := b.Drops(counter.WGAuthFailed); got != 0 {
		t.Errorf("drops of another reason = %d, want 0", got)
	}
	if n := testing.AllocsPerRun(100, func() { b.Drop(counter.PortDown, 1) }); n != 0 {
		t.Errorf("%v allocations per drop, want 0", n)
	}
}

func TestDropWithoutReasonPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a drop without a reason went through")
		}
	}()
	new(counter.Block).Drop(counter.None, 1)
}
