package wire_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/ztos/ztos/engine/wire"
)

// naiveSum is the sum as RFC 1071 section 4.1 writes it: word by word, carries
// folded as they come.
func naiveSum(b []byte) uint16 {
	var s uint32
	for i := 0; i+1 < len(b); i += 2 {
		s += uint32(b[i])<<8 | uint32(b[i+1])
		s = s>>16 + s&0xffff
	}
	if len(b)%2 == 1 {
		s += uint32(b[len(b)-1]) << 8
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// TestSumRFC1071 is the worked example of RFC 1071 section 3: 00 01 f2 03 f4 f5
// f6 f7 sums to ddf2.
func TestSumRFC1071(t *testing.T) {
	b := []byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}
	if got := wire.Fold(wire.Sum(b, 0)); got != 0xddf2 {
		t.Errorf("got %04x, want ddf2", got)
	}
}

func checkSum(t *testing.T, b []byte) {
	t.Helper()
	want := naiveSum(b)
	if got := wire.Fold(wire.Sum(b, 0)); got != want {
		t.Fatalf("Sum of %d bytes: got %04x, want %04x", len(b), got, want)
	}
	if got := wire.FoldGeneric(b); got != want {
		t.Fatalf("generic sum of %d bytes: got %04x, want %04x", len(b), got, want)
	}
	if wire.HasVector {
		if got := wire.FoldVector(b); got != want {
			t.Fatalf("vector sum of %d bytes: got %04x, want %04x", len(b), got, want)
		}
	}
	// In two pieces, the second at an even or odd offset.
	cut := len(b) / 3
	s := wire.Sum(b[:cut], 0)
	if cut%2 == 0 {
		s = wire.Sum(b[cut:], s)
	} else {
		s = wire.SumOdd(b[cut:], s)
	}
	if got := wire.Fold(s); got != want {
		t.Fatalf("sum of %d bytes cut at %d: got %04x, want %04x", len(b), cut, got, want)
	}
}

// TestSumModel compares all ways of summing with the naive one at every length
// up to 600 and some long ones, at every alignment, with random, all-ones and
// all-zero content (the last two are where carries and 0 against ffff go wrong).
func TestSumModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	buf := make([]byte, 70000)
	for i := range buf {
		buf[i] = byte(rnd.Uint32())
	}
	ones, zeros := bytes.Repeat([]byte{0xff}, 70000), make([]byte, 70000)
	lengths := []int{1447, 1448, 1449, 1460, 4095, 8959, 9000, 65507, 65535, 65536}
	for n := range 600 {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		off := rnd.IntN(64)
		for _, b := range [][]byte{buf, ones, zeros} {
			checkSum(t, b[off:off+n])
		}
	}
}

// TestSumZero: only an all-zero input sums to zero, which is what tells a UDP
// datagram's missing checksum from one that came out as zero.
func TestSumZero(t *testing.T) {
	b := make([]byte, 1448)
	if got := wire.Sum(b, 0); got != 0 {
		t.Errorf("all zero: got %x", got)
	}
	b[0], b[1] = 0xff, 0xff
	if got := wire.Fold(wire.Sum(b, 0)); got != 0xffff {
		t.Errorf("ffff: got %04x", got)
	}
}

// TestUpdateChecksum holds the example of RFC 1624 section 4 (a header whose
// word changes from 5555 to 3285 with checksum dd2f, where the older formula
// came out as ffff and this one as 0000) and random headers against a full sum.
func TestUpdateChecksum(t *testing.T) {
	if got := wire.UpdateChecksum(0xdd2f, 0x5555, 0x3285); got != 0x0000 {
		t.Errorf("RFC 1624 example: got %04x, want 0000", got)
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	b := make([]byte, 20)
	for range 10000 {
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		check := ^wire.Fold(wire.Sum(b, 0))
		old, now := binary.BigEndian.Uint16(b[4:]), uint16(rnd.Uint32())
		binary.BigEndian.PutUint16(b[4:], now)
		if got, want := wire.UpdateChecksum(check, old, now), ^wire.Fold(wire.Sum(b, 0)); got != want {
			t.Fatalf("got %04x, want %04x", got, want)
		}
	}
}

// FuzzSum: the three ways of summing agree on any bytes.
func FuzzSum(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Add(bytes.Repeat([]byte{0xff}, 200), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, off uint8) {
		checkSum(t, b[min(int(off), len(b)):])
	})
}

func BenchmarkSum(b *testing.B) {
	buf := make([]byte, 65536)
	for _, n := range []int{20, 40, 64, 128, 256, 536, 1448, 8948} {
		for _, way := range []struct {
			name string
			sum  func([]byte) uint16
		}{
			{"auto", func(p []byte) uint16 { return uint16(wire.Sum(p, 0)) }},
			{"go", wire.FoldGeneric},
		} {
			b.Run(way.name+"/"+strconv.Itoa(n), func(b *testing.B) {
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					way.sum(buf[2 : 2+n])
				}
			})
		}
	}
}
