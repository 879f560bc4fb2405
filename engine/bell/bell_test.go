package bell_test

import (
	"testing"
	"time"

	"github.com/ztos/ztos/engine/bell"
)

func TestBell(t *testing.T) {
	b, err := bell.New()
	if err != nil {
		t.Fatal(err)
	}
	if b.Wait(time.Millisecond) {
		t.Error("it rang before anybody rang it")
	}
	b.Ring()
	b.Ring()
	if !b.Wait(time.Minute) {
		t.Error("a ring before Wait is lost")
	}
	if b.Wait(time.Millisecond) {
		t.Error("two rings before one Wait are heard twice")
	}
	go b.Ring()
	if !b.Wait(time.Minute) {
		t.Error("a ring during Wait is lost")
	}
}
