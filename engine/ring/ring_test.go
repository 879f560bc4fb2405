package ring_test

import (
	"sync"
	"testing"

	"github.com/ztos/ztos/engine/ring"
)

// TestRing: values come out in order, what does not fit is lost and counted.
func TestRing(t *testing.T) {
	r := ring.New[int](5) // 8
	for i := range 10 {
		if ok := r.Push(i); ok != (i < 8) {
			t.Fatalf("Push(%d) = %v", i, ok)
		}
	}
	if r.Lost() != 2 {
		t.Errorf("%d lost, want 2", r.Lost())
	}
	buf := make([]int, 5)
	next := 0
	for _, want := range []int{5, 3, 0} {
		n := r.Pop(buf)
		if n != want {
			t.Fatalf("Pop = %d, want %d", n, want)
		}
		for _, v := range buf[:n] {
			if v != next {
				t.Fatalf("%d came, want %d", v, next)
			}
			next++
		}
	}
}

// TestWriters: what many writers push comes once, each writer's in its order.
func TestWriters(t *testing.T) {
	const writers, each = 4, 5000
	r := ring.New[[2]int](64)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := 0; i < each; {
				if r.Push([2]int{w, i}) {
					i++
				}
			}
		})
	}
	next := [writers]int{}
	buf := make([][2]int, 16)
	for got := 0; got < writers*each; {
		n := r.Pop(buf)
		for _, v := range buf[:n] {
			if v[1] != next[v[0]] {
				t.Fatalf("writer %d: %d came, want %d", v[0], v[1], next[v[0]])
			}
			next[v[0]]++
		}
		got += n
	}
	wg.Wait()
}

func TestNoAllocs(t *testing.T) {
	r := ring.New[int](4)
	buf := make([]int, 4)
	if n := testing.AllocsPerRun(100, func() { r.Push(1); r.Pop(buf) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func TestBadSize(t *testing.T) {
	for _, n := range []int{-1, 0, 1, ring.MaxSize + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("New(%d) did not panic", n)
				}
			}()
			ring.New[int](n)
		}()
	}
}
