package macsec_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/ztos/ztos/crypto/aead"
	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/macsec"
)

// unhex decodes hex digits; spaces separate fields.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func clone(b []byte) []byte { return append([]byte(nil), b...) }

// sak returns a key of the suite's length that depends on n.
func sak(suite macsec.Suite, n byte) secret.Key {
	b := make([]byte, suite.KeyLen())
	for i := range b {
		b[i] = n + byte(i)*7
	}
	return secret.New(b)
}

var (
	sciA = macsec.SCI{0x0a, 0, 0, 0, 0, 1, 0, 1}
	sciB = macsec.SCI{0x0a, 0, 0, 0, 0, 2, 0, 1}

	hiddenAddrs = [12]byte{0x02, 0, 0, 0, 0, 0xb, 0x02, 0, 0, 0, 0, 0xa}
)

// config returns a valid configuration with encryption.
func config(suite macsec.Suite, mode macsec.Mode) macsec.Config {
	c := macsec.Config{Suite: suite, Mode: mode, ReplayWindow: macsec.DefaultReplayWindow, TxSCI: sciA}
	if mode == macsec.Hidden {
		c.HiddenAddrs = hiddenAddrs
	}
	return c
}

// txConfig and rxConfig fill in what the suite needs: the SSCI of the sending
// end is 1, the salt fixed.
func txConfig(suite macsec.Suite, an macsec.AN, key secret.Key) macsec.TxSAConfig {
	c := macsec.TxSAConfig{AN: an, SAK: key, Granted: macsec.Unlimited}
	if suite.XPN() {
		c.SSCI, c.Salt = 1, secret.New([]byte("salt of 12 b"))
	}
	return c
}

func rxConfig(suite macsec.Suite, an macsec.AN, key secret.Key) macsec.RxSAConfig {
	t := txConfig(suite, an, key)
	return macsec.RxSAConfig{AN: an, SAK: key, SSCI: t.SSCI, Salt: t.Salt}
}

func newSecY(t testing.TB, c macsec.Config) *macsec.SecY {
	t.Helper()
	s, err := macsec.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// pair returns two SecYs: a sends with AN 0, b receives from a. VTEP of a at b
// is 7.
func pair(t testing.TB, c macsec.Config) (a, b *macsec.SecY) {
	t.Helper()
	c.TxSCI = sciA
	a = newSecY(t, c)
	c.TxSCI = sciB
	b = newSecY(t, c)
	installTx(t, a, txConfig(c.Suite, 0, sak(c.Suite, 1)))
	must(t, a.UseAN(0))
	addRx(t, b, sciA, rxConfig(c.Suite, 0, sak(c.Suite, 1)))
	return a, b
}

func installTx(t testing.TB, s *macsec.SecY, c macsec.TxSAConfig) *macsec.TxSA {
	t.Helper()
	sa, err := s.InstallTxSA(c)
	must(t, err)
	return sa
}

// addRx adds the channel of sci, of VTEP 7, with its SAs.
func addRx(t testing.TB, s *macsec.SecY, sci macsec.SCI, cs ...macsec.RxSAConfig) *macsec.RxSC {
	t.Helper()
	sc, err := s.AddRxSC(sci, 7)
	must(t, err)
	for _, c := range cs {
		_, err := s.InstallRxSA(sci, c)
		must(t, err)
	}
	return sc
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// frameOf returns an IPv4-looking frame of n bytes, n >= 14.
func frameOf(n int, seed byte) []byte {
	f := make([]byte, n)
	copy(f, []byte{0x52, 0x54, 0, 0, 0, 2, 0x52, 0x54, 0, 0, 0, 1, 0x08, 0x00})
	for i := minFrame; i < n; i++ {
		f[i] = byte(i)*3 + seed
	}
	return f
}

const minFrame = 14

// protect seals one frame in a burst of its own.
func protect(t testing.TB, s *macsec.SecY, frame []byte) []byte {
	t.Helper()
	var tx macsec.Tx
	if r := s.BeginTx(&tx, 1); r != counter.None {
		t.Fatalf("BeginTx: %v", r)
	}
	dst := make([]byte, s.ProtectedLen(len(frame)))
	n, r := tx.Protect(dst, frame)
	if r != counter.None || n != len(dst) {
		t.Fatalf("Protect: %d, %v; ProtectedLen says %d", n, r, len(dst))
	}
	tx.FlushCounters()
	return dst
}

// validate opens a copy of frame.
func validate(s *macsec.SecY, frame []byte) ([]byte, *macsec.RxSC, counter.Reason) {
	var rx macsec.Rx
	defer rx.FlushCounters()
	return s.Validate(&rx, clone(frame))
}

// runt returns a frame from sciA that authenticates at pair's b and holds one
// octet of secure data, as no Protect makes it.
func runt(t testing.TB, c macsec.Config) []byte {
	t.Helper()
	key, err := aead.NewGCM(sak(c.Suite, 1).Bytes())
	must(t, err)
	f := make([]byte, 12+16+1+16)
	copy(f, frameOf(14, 0)[:12])
	macsec.SecTAG(f[12:]).Put(macsec.TCISC|macsec.TCIE|macsec.TCIC, 1, 77, sciA)
	iv := append(clone(sciA[:]), 0, 0, 0, 77)
	if !key.Seal(f[28:], iv, []byte{0x08}, f[:28]) {
		t.Fatal("seal")
	}
	return f
}
