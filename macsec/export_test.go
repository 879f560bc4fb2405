package macsec

import "github.com/ztos/ztos/crypto/aead"

// SetTagStyle makes s send with another set of ES, SC and SCB than an explicit
// SCI, as some of the published frames do.
func SetTagStyle(s *SecY, style TCI) { s.setTagStyle(style) }

// RecoverPN is recoverPN.
var RecoverPN = recoverPN

// IV returns the IV that sa uses for pn.
func IV(sa *TxSA, pn uint64) []byte {
	var iv [aead.NonceSize]byte
	sa.putIV(&iv, pn)
	return iv[:]
}

// IsKeyOf reports whether r is the key of sa.
func IsKeyOf(r RetiredSA, sa *RxSA) bool { return r.aead == sa.aead }
