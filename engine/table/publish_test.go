package table_test

import (
	"sync"
	"testing"

	"github.com/ztos/ztos/engine/table"
)

func TestSettled(t *testing.T) {
	var p table.Publisher[int]
	r := p.NewReader()
	if r.Enter() != nil {
		t.Fatal("Enter before the first Publish returned a value")
	}
	one, two := 1, 2
	g1 := p.Publish(&one)
	if v := r.Enter(); v != &one {
		t.Fatalf("Enter = %v, want the published value", v)
	}
	g2 := p.Publish(&two)
	if g2 != g1+1 || p.Generation() != g2 || p.Load() != &two {
		t.Fatalf("generation %d after %d; current %v", g2, g1, p.Load())
	}
	if p.Settled(g2) {
		t.Fatal("settled while a reader holds the older value")
	}
	if !p.Settled(g1) {
		t.Fatal("not settled for the generation that the reader holds")
	}
	r.Leave()
	if !p.Settled(g2) {
		t.Fatal("not settled after the reader left")
	}
	r.Enter()
	if !p.Settled(g2) {
		t.Fatal("not settled though the reader entered the newest value")
	}
	r.Close()
}

// TestPublishUnderTraffic wipes a value once Settled says that nobody can see
// it; a reader that sees a wiped value proves Settled wrong.
func TestPublishUnderTraffic(t *testing.T) {
	type value struct{ alive bool }
	var p table.Publisher[value]
	p.Publish(&value{alive: true})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		r := p.NewReader()
		wg.Go(func() {
			defer r.Close()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !r.Enter().alive {
					t.Error("a reader saw a value after Settled")
				}
				r.Leave()
			}
		})
	}
	for range 2000 {
		old := p.Load()
		gen := p.Publish(&value{alive: true})
		for !p.Settled(gen) {
		}
		old.alive = false // a data race, and so a failure under -race, if a reader is still there
	}
	close(stop)
	wg.Wait()
}

func TestEnterAllocatesNothing(t *testing.T) {
	var p table.Publisher[int]
	v := 1
	p.Publish(&v)
	r := p.NewReader()
	if n := testing.AllocsPerRun(100, func() { r.Enter(); r.Leave() }); n != 0 {
		t.Fatalf("%v allocations per burst, want 0", n)
	}
}

func TestMAC(t *testing.T) {
	b := []byte{0x02, 0x00, 0x5e, 0x10, 0x20, 0xff}
	m := table.MACFrom(b)
	if got, want := m.String(), "02:00:5e:10:20:ff"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
	out := make([]byte, 6)
	m.Put(out)
	if string(out) != string(b) {
		t.Errorf("Put wrote %x, want %x", out, b)
	}
	if m.IsMulticast() || !table.Broadcast.IsMulticast() || !table.MACFrom([]byte{1, 0, 0x5e, 0, 0, 1}).IsMulticast() {
		t.Error("IsMulticast is wrong for a unicast, the broadcast or a multicast address")
	}
}
