package macsec_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/macsec"
)

// scapyCase is one frame for testdata/scapy_peer.py.
type scapyCase struct {
	Op      string    `json:"op"`
	Frame   string    `json:"frame"`
	Key     string    `json:"key"`
	SCI     string    `json:"sci"`
	Salt    string    `json:"salt"`
	SSCI    uint32    `json:"ssci"`
	AN      macsec.AN `json:"an"`
	PN      uint64    `json:"pn"`
	Offset  int       `json:"offset"`
	Encrypt bool      `json:"encrypt"`
	XPN     bool      `json:"xpn"`
}

// TestScapy exchanges random frames of all suites, offsets and lengths with an
// implementation that is not ours: what scapy protects we validate, and what we
// protect scapy validates; and both make the same octets of one frame.
func TestScapy(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %#x", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}

	type expect struct {
		name   string
		plain  []byte // tenant frame, to come out of scapy's or our validation
		wire   []byte // what we protected
		peer   *macsec.SecY
		sc     macsec.SCI
		hidden bool
	}
	var cases []scapyCase
	var want []expect
	for name, c := range configs() {
		for i := range 20 {
			n := 14 + rng.IntN(100) // mostly around the border of short frames
			if i%5 == 0 {
				n = 14 + rng.IntN(1501)
			}
			plain := random(n)
			plain[0] &^= 1
			// From 0x0600 on: scapy reads less as a length.
			plain[12], plain[13] = 6+byte(rng.IntN(0x60)), byte(rng.Uint32())

			key, salt := random(c.Suite.KeyLen()), []byte{}
			pn, ssci := uint64(1+rng.Uint32N(1<<32-2)), uint32(0)
			if c.Suite.XPN() {
				salt, ssci, pn = random(macsec.SaltLen), 1+rng.Uint32N(1<<31), 1+rng.Uint64()>>(1+rng.IntN(62))
			}
			c.TxSCI = macsec.SCI(random(8))
			an := macsec.AN(rng.IntN(4))

			a := newSecY(t, c)
			installTx(t, a, macsec.TxSAConfig{AN: an, SAK: secret.New(key), Salt: secret.New(salt), SSCI: ssci, StartPN: pn, Granted: macsec.Unlimited})
			must(t, a.UseAN(an))
			wire := protect(t, a, plain)

			cb := c
			cb.TxSCI = macsec.SCI{1}
			b := newSecY(t, cb)
			lowest := pn - min(pn-1, uint64(rng.IntN(5000)))
			addRx(t, b, c.TxSCI, macsec.RxSAConfig{AN: an, SAK: secret.New(key), Salt: secret.New(salt), SSCI: ssci, LowestPN: lowest})

			cs := scapyCase{
				Op: "validate", Frame: hex.EncodeToString(wire), Key: hex.EncodeToString(key), SCI: c.TxSCI.String(),
				Salt: hex.EncodeToString(salt), SSCI: ssci, AN: an, PN: pn, Offset: c.Offset,
				Encrypt: !c.IntegrityOnly, XPN: c.Suite.XPN(),
			}
			e := expect{name, plain, wire, b, c.TxSCI, c.Mode == macsec.Hidden}
			// To scapy a hidden frame is one with our outer addresses and a
			// payload of EtherType 0x6558.
			outer := plain
			if e.hidden {
				outer = append(append(clone(hiddenAddrs[:]), 0x65, 0x58), plain...)
			}
			cases, want = append(cases, cs), append(want, e)
			cs.Op, cs.Frame = "protect", hex.EncodeToString(outer)
			cases, want = append(cases, cs), append(want, e)
		}
	}

	for i, res := range runScapy(t, cases) {
		e, c := want[i], cases[i]
		if res.Error != "" {
			t.Fatalf("%s: scapy could not %s: %s", e.name, c.Op, res.Error)
		}
		got := unhex(t, res.Out)
		if c.Op == "validate" {
			outer := e.plain
			if e.hidden {
				outer = append(append(clone(hiddenAddrs[:]), 0x65, 0x58), e.plain...)
			}
			if !bytes.Equal(got, outer) {
				t.Errorf("%s: of our frame of %d bytes scapy made\n got %x\nwant %x", e.name, len(e.plain), got, outer)
			}
			continue
		}
		if !bytes.Equal(got, e.wire) {
			t.Errorf("%s: %d bytes, protected\nscapy %x\n ours %x", e.name, len(e.plain), got, e.wire)
		}
		tenant, sc, r := validate(e.peer, got)
		if r != counter.None || sc.SCI() != e.sc || !bytes.Equal(tenant, e.plain) {
			t.Errorf("%s: scapy's frame of %d bytes: %v\n got %x\nwant %x", e.name, len(e.plain), r, tenant, e.plain)
		}
	}
	t.Logf("%d frames, half of them each way", len(cases))
}

// runScapy hands the cases to scapy. It is required: a missing one fails.
func runScapy(t *testing.T, cases []scapyCase) []struct{ Out, Error string } {
	t.Helper()
	in, err := json.Marshal(cases)
	must(t, err)
	python := "/usr/bin/python3" // Debian's own, which sees Debian's packages
	if _, err := os.Stat(python); err != nil {
		python = "python3"
	}
	cmd := exec.Command(python, "testdata/scapy_peer.py")
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v; needed: apt-get install python3-scapy python3-cryptography\n%s", err, stderr.Bytes())
	}
	var res []struct{ Out, Error string }
	must(t, json.Unmarshal(out, &res))
	if len(res) != len(cases) {
		t.Fatalf("%d results for %d cases", len(res), len(cases))
	}
	return res
}
