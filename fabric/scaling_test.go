package fabric_test

import (
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/ztos/ztos/crypto/aead"
	"github.com/ztos/ztos/engine/port"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/fabric"
)

// manyOuts is a device whose every Tx counts for itself.
type manyOuts struct{ port.Port }

func (manyOuts) NewTx() (port.Tx, error) { return &wirePort{}, nil }

// chain is the graphs of one flow's workers, leaf in, spine and leaf out, one
// after the other on one thread.
type chain [3]interface{ Step() error }

// newChains returns n chains of one bed: what workers of one node share, tables,
// sessions, SAs, windows and counters, the chains share.
func newChains(t testing.TB, n int, frames []injection) (*bed, []chain) {
	b := newBed(t, option{})
	b.introduce()
	l1, sp, l2 := b.nodes["leaf1"], b.nodes["spine"], b.nodes["leaf2"]
	for _, p := range l2.parts.Ports {
		if p.ID == 1 {
			p.Device = manyOuts{}
		}
	}
	l2.publish()
	var out []chain
	for i := range n {
		first, second := newPipe(), newPipe()
		second.to = netip.AddrPortFrom(endpoint(2), 51820)
		name := fmt.Sprint(i)
		out = append(out, chain{
			fabric.NewLeafIn(l1.env, "in "+name, l1.block(), table.PortID(1), &wirePort{frames: frames}, first, nil),
			fabric.NewUnderlayIn(sp.env, "spine "+name, sp.block(), first, false, second, nil),
			fabric.NewUnderlayIn(l2.env, "out "+name, l2.block(), second, false, newPipe(), nil),
		})
	}
	return b, out
}

// parallel runs work(i, rounds) for i up to n, each on a thread of its own, and
// returns the time until all are through.
func parallel(n, rounds int, work func(i, rounds int)) time.Duration {
	var wg sync.WaitGroup
	start := time.Now()
	for i := range n {
		wg.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			work(i, rounds)
		})
	}
	wg.Wait()
	return time.Since(start)
}

// cipherLoop is what the machine can do at all: a loop of the four AEAD calls that
// a segment costs between leaf in and leaf out, and two more at the spine.
type cipherLoop struct {
	gcm, chacha aead.AEAD
	buf         []byte
	nonce       [aead.NonceSize]byte
}

func newCipherLoop(t testing.TB) *cipherLoop {
	c := &cipherLoop{buf: make([]byte, 2048)}
	var err error
	if c.gcm, err = aead.NewGCM(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	if c.chacha, err = aead.NewChaCha20Poly1305(make([]byte, 32)); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cipherLoop) segment() {
	const n = 1500
	for _, a := range []aead.AEAD{c.gcm, c.chacha, c.chacha} {
		a.Seal(c.buf[:n+aead.TagSize], c.nonce[:], c.buf[:n], nil)
		if !a.Open(c.buf[:n], c.nonce[:], c.buf[:n+aead.TagSize], nil) {
			panic("the loop does not open what it sealed")
		}
	}
}

// BenchmarkScaling is how throughput grows with workers, for the whole path and,
// measured in between, for a loop of AEAD calls that share nothing: what the
// machine's cores allow. Its ratio is the engine's own loss: 1 is none. Take more
// workers than cores for nothing but the engine's behaviour then.
func BenchmarkScaling(b *testing.B) {
	const rounds, tries = 60, 7
	frames := traffic()["super-frames"]
	segs := 40 * len(frames)
	for _, n := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("workers=%d", n), func(b *testing.B) {
			bed, chains := newChains(b, n, frames)
			loops := make([]*cipherLoop, n)
			for i := range loops {
				loops[i] = newCipherLoop(b)
			}
			path := func(i, rounds int) {
				for range rounds {
					for _, g := range chains[i] {
						if err := g.Step(); err != nil {
							b.Error(err)
							return
						}
					}
				}
			}
			ciphers := func(i, rounds int) {
				for range rounds * segs {
					loops[i].segment()
				}
			}
			path(0, 3)
			for b.Loop() {
				best := [4]time.Duration{math.MaxInt64, math.MaxInt64, math.MaxInt64, math.MaxInt64}
				for range tries {
					for k, d := range []time.Duration{
						parallel(1, rounds, path), parallel(n, rounds, path),
						parallel(1, rounds, ciphers), parallel(n, rounds, ciphers),
					} {
						best[k] = min(best[k], d)
					}
				}
				speedup := func(one, all time.Duration) float64 { return float64(n) * one.Seconds() / all.Seconds() }
				engine, machine := speedup(best[0], best[1]), speedup(best[2], best[3])
				b.ReportMetric(float64(n*rounds*segs*1460*8)/best[1].Seconds()/1e9, "Gbit/s")
				b.ReportMetric(engine, "speedup")
				b.ReportMetric(machine, "machine-speedup")
				b.ReportMetric(engine/machine, "ratio")
			}
			bed.noDrops()
		})
	}
}
