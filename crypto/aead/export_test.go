package aead

// The implementations of AES-GCM, so that tests run each of them in one process.
// NewGCMWide returns nil where it does not apply.
var (
	NewGCMWide     = newGCMWide
	NewGCMPortable = newGCMPortable
)

// Wide reports whether NewChaCha20Poly1305 returns the wide implementation.
func Wide() bool { return chachaWideUsable }

// Portable returns the implementation that every platform has.
func Portable(key []byte) (AEAD, error) { return newChaChaPortable(key) }

// Kept returns the memory in which a keeps its key, as far as it can be reached.
func Kept(a AEAD) [][]byte {
	if s, ok := a.(*serial); ok {
		if s.key == nil {
			return nil
		}
		return [][]byte{s.key[:]}
	}
	return keptWide(a)
}
