package macsec_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strconv"
	"testing"

	"github.com/ztos/ztos/crypto/secret"
	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/macsec"
)

// annexC is one published frame of IEEE 802.1AE Annex C.
type annexC struct {
	Name, Cipher, Key, SCI, Plain, Protected, IV, PN string
	Salt                                             string
	SSCI                                             uint32
	AN                                               macsec.AN
	Encrypt, ES, SCB                                 bool
	SendSCI                                          bool `json:"send_sci"`
}

func annexCVectors(t *testing.T) []annexC {
	raw, err := os.ReadFile("testdata/annex-c.json")
	must(t, err)
	var doc struct{ Vectors []annexC }
	must(t, json.Unmarshal(raw, &doc))
	if len(doc.Vectors) != 18 {
		t.Fatalf("%d vectors, want 18: 16 with 32-bit numbers and 2 with XPN", len(doc.Vectors))
	}
	return doc.Vectors
}

// TestAnnexC reproduces every published frame, both ways.
func TestAnnexC(t *testing.T) {
	for _, v := range annexCVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			suite, err := macsec.ParseSuite(v.Cipher)
			must(t, err)
			sci, err := macsec.ParseSCI(v.SCI)
			must(t, err)
			pn, err := strconv.ParseUint(v.PN, 10, 64)
			must(t, err)
			key, salt := secret.New(unhex(t, v.Key)), secret.New(unhex(t, v.Salt))
			c := macsec.Config{
				Suite: suite, Mode: macsec.Standard, IntegrityOnly: !v.Encrypt, TxSCI: sci,
				ReplayWindow: 64, AllowImplicitSCI: true,
			}

			a := newSecY(t, c)
			var style macsec.TCI
			for bit, on := range map[macsec.TCI]bool{macsec.TCISC: v.SendSCI, macsec.TCIES: v.ES, macsec.TCISCB: v.SCB} {
				if on {
					style |= bit
				}
			}
			macsec.SetTagStyle(a, style)
			sa := installTx(t, a, macsec.TxSAConfig{AN: v.AN, SAK: key, SSCI: v.SSCI, Salt: salt, StartPN: pn, Granted: macsec.Unlimited})
			must(t, a.UseAN(v.AN))
			if iv := hex.EncodeToString(macsec.IV(sa, pn)); iv != v.IV {
				t.Errorf("IV\n got %s\nwant %s", iv, v.IV)
			}
			want := unhex(t, v.Protected)
			if got := protect(t, a, unhex(t, v.Plain)); !bytes.Equal(got, want) {
				t.Errorf("protected\n got %x\nwant %x", got, want)
			}

			c.TxSCI = macsec.SCI{1}
			b := newSecY(t, c)
			addRx(t, b, sci, macsec.RxSAConfig{AN: v.AN, SAK: key, SSCI: v.SSCI, Salt: salt, LowestPN: pn - 10})
			got, sc, r := validate(b, want)
			if r != counter.None || sc.SCI() != sci || !bytes.Equal(got, unhex(t, v.Plain)) {
				t.Errorf("validated: %v\n got %x\nwant %s", r, got, v.Plain)
			}
		})
	}
}
