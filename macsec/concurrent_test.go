package macsec_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/macsec"
)

// TestRolloverUnderTraffic: workers send and receive without a pause while
// control rolls SAKs over all four ANs, again and again. Every frame must arrive.
func TestRolloverUnderTraffic(t *testing.T) {
	const workers, burst, rollovers = 3, 16, 60
	for _, suite := range []macsec.Suite{macsec.GCMAES128, macsec.GCMAESXPN256} {
		// A worker that loses its CPU between BeginTx and Validate comes back
		// some milliseconds and tens of thousands of numbers later.
		c := config(suite, macsec.Standard)
		c.ReplayWindow = 1 << 18
		a, b := pair(t, c)
		var (
			stop  atomic.Bool
			turns [workers]atomic.Uint64 // bursts finished: what Settled is to a real node
			sent  atomic.Uint64
			wg    sync.WaitGroup
		)
		for g := range workers {
			wg.Go(func() {
				var tx macsec.Tx
				var rx macsec.Rx
				frame := frameOf(60, byte(g))
				slots := make([]byte, burst*200)
				lens := make([]int, burst)
				for !stop.Load() {
					if r := a.BeginTx(&tx, burst); r != counter.None {
						t.Errorf("BeginTx: %v", r)
						return
					}
					for i := range burst {
						n, r := tx.Protect(slots[i*200:(i+1)*200], frame)
						if r != counter.None {
							t.Errorf("Protect: %v", r)
							return
						}
						lens[i] = n
					}
					tx.FlushCounters()
					for i := range burst {
						tenant, _, r := b.Validate(&rx, slots[i*200:][:lens[i]])
						if r != counter.None || !slices.Equal(tenant, frame) {
							t.Errorf("Validate: %v", r)
							return
						}
					}
					rx.FlushCounters()
					sent.Add(burst)
					turns[g].Add(1)
					runtime.Gosched()
				}
			})
		}
		settle := func() { // every worker has begun and finished a burst since
			var was [workers]uint64
			for g := range turns {
				was[g] = turns[g].Load()
			}
			for g := range turns {
				for turns[g].Load() < was[g]+2 && !t.Failed() {
					runtime.Gosched()
				}
			}
		}
		for i := 1; i <= rollovers && !t.Failed(); i++ {
			an, old := macsec.AN(i%4), macsec.AN((i-1)%4)
			key := sak(suite, byte(i+1))
			_, err := b.InstallRxSA(sciA, rxConfig(suite, an, key))
			must(t, err)
			installTx(t, a, txConfig(suite, an, key))
			must(t, a.UseAN(an))
			_, err = a.RemoveTxSA(old) // at once: BeginTx finds the new one
			must(t, err)
			settle()
			must(t, b.RemoveRxSA(sciA, old))
		}
		stop.Store(true)
		wg.Wait()
		in := b.State().RxSCs[0].Counters
		want := macsec.RxSCCounters{InPktsOK: sent.Load()}
		if in != want || a.Counters().OutPktsEncrypted != sent.Load() {
			t.Errorf("%v: sent %d, out %d, in %+v", suite, sent.Load(), a.Counters().OutPktsEncrypted, in)
		}
		t.Logf("%v: %d frames, %d rollovers", suite, sent.Load(), rollovers)
	}
}

// TestPNNeverReused: workers reserve runs of random length while the limit grows
// step by step. No number is given twice, none beyond what is granted, and none
// burnt by a refusal. Then the same with a SAK that moves between ANs, where it
// goes on from the granted limit as after a restart.
func TestPNNeverReused(t *testing.T) {
	t.Run("one SA", func(t *testing.T) { reserveConcurrently(t, false) })
	t.Run("SAK moves", func(t *testing.T) { reserveConcurrently(t, true) })
}

func reserveConcurrently(t *testing.T, moves bool) {
	const workers, last = 4, 1 << 16
	s := newSecY(t, config(macsec.GCMAES128, macsec.Standard))
	key := sak(macsec.GCMAES128, 1)
	c := txConfig(macsec.GCMAES128, 0, key)
	c.Granted = 50
	sa := installTx(t, s, c)
	must(t, s.UseAN(0))
	installTx(t, s, txConfig(macsec.GCMAES128, 3, sak(macsec.GCMAES128, 2)))

	var current atomic.Pointer[macsec.TxSA]
	current.Store(sa)
	var stop atomic.Bool
	got := make([][]uint64, workers)
	var wg sync.WaitGroup
	for g := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 3))
			for !stop.Load() {
				n := 1 + rng.IntN(20)
				sa := current.Load()
				if first, ok := sa.Reserve(n); ok {
					if first+uint64(n) > sa.Granted() {
						t.Errorf("%d of them from %d, granted %d", n, first, sa.Granted())
					}
					for i := range uint64(n) {
						got[g] = append(got[g], first+i)
					}
				} else {
					runtime.Gosched()
				}
			}
		})
	}
	limit, an := uint64(50), macsec.AN(0)
	for limit < last {
		limit += 500
		sa.Extend(limit)
		for sa.NextPN()+20 < limit {
			runtime.Gosched()
		}
		if moves && rand.IntN(4) == 0 {
			must(t, s.UseAN(3))
			_, err := s.RemoveTxSA(an)
			must(t, err)
			an = (an + 1) % 3
			c.AN, c.StartPN, c.Granted = an, limit, limit
			sa = installTx(t, s, c)
			must(t, s.UseAN(an))
			current.Store(sa)
		}
	}
	stop.Store(true)
	wg.Wait()
	var all []uint64
	for _, l := range got {
		all = append(all, l...)
	}
	slices.Sort(all)
	for i, pn := range all {
		if i > 0 && pn == all[i-1] {
			t.Fatalf("number %d used twice", pn)
		}
		if !moves && pn != uint64(i+1) {
			t.Fatalf("number %d at place %d: one was burnt", pn, i+1)
		}
	}
	if len(all) < last/2 || all[len(all)-1] >= limit {
		t.Errorf("%d numbers up to %d, granted %d", len(all), all[len(all)-1], limit)
	}
}

// TestDuplicatesAcrossWorkers: every worker validates the same frames; each is
// delivered once.
func TestDuplicatesAcrossWorkers(t *testing.T) {
	const workers, frames = 4, 500
	a, b := pair(t, config(macsec.GCMAES128, macsec.Standard))
	var wire [][]byte
	for range frames {
		wire = append(wire, protect(t, a, frameOf(80, 0)))
	}
	var delivered [frames]atomic.Uint32
	var wg sync.WaitGroup
	for g := range workers {
		wg.Go(func() {
			var rx macsec.Rx
			for _, i := range rand.New(rand.NewPCG(uint64(g), 5)).Perm(frames) {
				switch _, _, r := b.Validate(&rx, clone(wire[i])); r {
				case counter.None:
					delivered[i].Add(1)
				case counter.MACsecReplayed:
				default:
					t.Errorf("frame %d: %v", i, r)
				}
			}
			rx.FlushCounters()
		})
	}
	wg.Wait()
	for i := range delivered {
		if n := delivered[i].Load(); n != 1 {
			t.Errorf("frame %d delivered %d times", i, n)
		}
	}
	if c := b.State().RxSCs[0].Counters; c.InPktsOK != frames || c.InPktsReplayed != frames*(workers-1) {
		t.Errorf("counters %+v", c)
	}
}
