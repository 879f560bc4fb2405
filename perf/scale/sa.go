package scale

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"runtime"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/macsec"
)

// sasPerSecY is one to transmit and nine to receive.
const sasPerSecY = 10

// replayWindow is the default of the configuration, which is most of what a
// receive SA takes.
const replayWindow = 16377

// SA measures SecYs of ten SAs each at each of sizes, in SAs, multiples of ten.
func SA(sizes []int) Series {
	s := Series{
		Name: "sa", Title: "MACsec SAs, in SecYs of one to transmit and nine to receive", Axis: "SAs",
		Metrics: []Metric{
			{"bytes", "heap for an SA, with a replay window of 16,377", "B", true},
			{"hit", "lookup of a random receive channel by SCI and of its SA", "ns", true},
			{"miss", "lookup of an SCI that is not there, in a random SecY", "ns", true},
			{"protect", "a frame of 64 bytes protected with a random SecY", "ns", true},
			{"install", "an SA installed, its key expanded", "ns", true},
		},
	}
	for _, n := range sizes {
		s.Points = append(s.Points, Point{n, sas(n)})
	}
	return s
}

type channel struct {
	secy int
	sci  macsec.SCI
}

func sci(secy, i int) (s macsec.SCI) {
	s[0] = 2
	binary.BigEndian.PutUint32(s[1:], uint32(secy))
	binary.BigEndian.PutUint16(s[6:], uint16(i+1))
	return s
}

func sakOf(secy, i int) secret.Key {
	k := sha256.Sum256(fmt.Appendf(nil, "%d %d", secy, i))
	return secret.New(k[:])
}

func sas(n int) []float64 {
	r := seeded(n)
	count := max(1, n/sasPerSecY)
	before := heap()
	var secys []*macsec.SecY
	var channels []channel
	install := fill(count*sasPerSecY, func() { secys = make([]*macsec.SecY, count) }, func() {
		for i := range secys {
			secys[i] = secY(i)
		}
	})
	bytes := (heap() - before) / float64(count*sasPerSecY)
	for i := range secys {
		for k := 1; k < sasPerSecY; k++ {
			channels = append(channels, channel{i, sci(i, k)})
		}
	}
	hits, misses := draws(r, channels), draws(r, channels)
	for i := range misses {
		misses[i].sci[7] += sasPerSecY
	}
	find := func(keys []channel) float64 {
		return ns(lookups, func() {
			for i := range keys {
				if sc := secys[keys[i].secy].RxSC(keys[i].sci); sc != nil && sc.RxSA(0) == nil {
					panic("scale: a channel without SA")
				}
			}
		})
	}
	hit, miss := find(hits), find(misses)
	var tx macsec.Tx
	in, out := make([]byte, 64), make([]byte, 128)
	const frames = 1 << 14
	protect := ns(frames, func() {
		for i := range frames {
			if rs := secys[hits[i].secy].BeginTx(&tx, 1); rs != counter.None {
				panic(rs)
			}
			if _, rs := tx.Protect(out, in); rs != counter.None {
				panic(rs)
			}
		}
	})
	runtime.KeepAlive(secys)
	return []float64{bytes, hit, miss, protect, install}
}

func secY(i int) *macsec.SecY {
	s, err := macsec.New(macsec.Config{Suite: macsec.GCMAES256, Mode: macsec.Standard, ReplayWindow: replayWindow, TxSCI: sci(i, 0)})
	must(err)
	_, err = s.InstallTxSA(macsec.TxSAConfig{SAK: sakOf(i, 0), Granted: macsec.Unlimited})
	must(err)
	must(s.UseAN(0))
	for k := 1; k < sasPerSecY; k++ {
		_, err := s.AddRxSC(sci(i, k), table.VTEPID(k))
		must(err)
		_, err = s.InstallRxSA(sci(i, k), macsec.RxSAConfig{SAK: sakOf(i, k)})
		must(err)
	}
	return s
}
