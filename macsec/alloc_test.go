package macsec_test

import (
	"fmt"
	"testing"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/macsec"
)

// TestNoAllocs runs every branch of both directions in every configuration.
func TestNoAllocs(t *testing.T) {
	for name, c := range configs() {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, c)
			installTx(t, a, txConfig(c.Suite, 1, sak(c.Suite, 2)))
			_, err := b.InstallRxSA(sciA, rxConfig(c.Suite, 1, sak(c.Suite, 2)))
			must(t, err)
			var tx macsec.Tx
			var rx macsec.Rx
			short, long := frameOf(30, 0), frameOf(1514, 0)
			slot, held := make([]byte, 2000), make([]byte, 2000)
			seen := map[counter.Reason]bool{}
			for r := range counter.NumReasons {
				seen[counter.Reason(r)] = false // so that the map does not grow below
			}
			an := macsec.AN(0)
			if n := testing.AllocsPerRun(50, func() {
				an ^= 1
				must(t, a.UseAN(an))
				a.BeginTx(&tx, 3)
				for _, f := range [][]byte{short, long, long, short, short[:5]} { // one more than reserved
					n, r := tx.Protect(slot, f)
					seen[r] = true
					if r != counter.None {
						continue
					}
					wire := held[:n]
					try := func(edit func(b []byte) []byte) {
						copy(wire, slot[:n])
						_, _, r := b.Validate(&rx, edit(wire))
						seen[r] = true
					}
					try(func(b []byte) []byte { return b[:13] })
					try(func(b []byte) []byte { b[12] = 8; return b })
					try(func(b []byte) []byte { b[14] |= 0x80; return b })
					try(func(b []byte) []byte { b[20] ^= 1; return b })
					try(func(b []byte) []byte { b[14] ^= 8; return b })
					try(func(b []byte) []byte { b[14] ^= 2; return b })
					try(func(b []byte) []byte { b[n-1] ^= 1; return b })
					try(func(b []byte) []byte { return b })
					try(func(b []byte) []byte { return b })
				}
				_, r := tx.Protect(slot[:10], short)
				seen[r] = true
				tx.FlushCounters()
				rx.FlushCounters()
			}); n != 0 {
				t.Errorf("%v allocations", n)
			}
			for _, r := range []counter.Reason{
				counter.None, counter.FrameTooShort, counter.MACsecTooLong, counter.MACsecUntagged, counter.MACsecBadTag,
				counter.MACsecUnknownSCI, counter.MACsecModeMismatch, counter.MACsecNotUsingSA, counter.MACsecNotValid,
				counter.MACsecReplayed,
			} {
				if !seen[r] {
					t.Errorf("%v was not met", r)
				}
			}
		})
	}
}

func BenchmarkProtect(b *testing.B) {
	for _, mode := range []macsec.Mode{macsec.Standard, macsec.Hidden} {
		for _, n := range []int{64, 512, 1448} {
			b.Run(fmt.Sprintf("%v/%d", mode, n), func(b *testing.B) {
				s, _ := pair(b, config(macsec.GCMAES256, mode))
				var tx macsec.Tx
				frame, dst := frameOf(n, 0), make([]byte, n+64)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for i := 0; i < b.N; i += 32 {
					s.BeginTx(&tx, 32)
					for range 32 {
						if _, r := tx.Protect(dst, frame); r != counter.None {
							b.Fatal(r)
						}
					}
					tx.FlushCounters()
				}
			})
		}
	}
}

// BenchmarkValidate includes a copy of the frame, which Validate overwrites.
func BenchmarkValidate(b *testing.B) {
	for _, mode := range []macsec.Mode{macsec.Standard, macsec.Hidden} {
		for _, n := range []int{64, 512, 1448} {
			b.Run(fmt.Sprintf("%v/%d", mode, n), func(b *testing.B) {
				s, peer := pair(b, config(macsec.GCMAES256, mode))
				const ring = 4096
				var wire [][]byte
				var tx macsec.Tx
				s.BeginTx(&tx, ring)
				for range ring {
					dst := make([]byte, s.ProtectedLen(n))
					tx.Protect(dst, frameOf(n, 0))
					wire = append(wire, dst)
				}
				var rx macsec.Rx
				buf := make([]byte, 2048)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				b.ResetTimer()
				for i := range b.N {
					if i%ring == 0 && i > 0 { // numbers start again: a new window
						b.StopTimer()
						rx.FlushCounters()
						_, peer = pair(b, config(macsec.GCMAES256, mode))
						b.StartTimer()
					}
					f := buf[:copy(buf, wire[i%ring])]
					if _, _, r := peer.Validate(&rx, f); r != counter.None {
						b.Fatal(r)
					}
					if i%32 == 0 {
						rx.FlushCounters()
					}
				}
			})
		}
	}
}
