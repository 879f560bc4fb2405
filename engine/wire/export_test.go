package wire

// Seams for checksum_test.go: both ways of summing, whatever the CPU.
var (
	FoldGeneric = func(b []byte) uint16 { return fold64(sumGeneric(b)) }
	FoldVector  = func(b []byte) uint16 {
		n := len(b) &^ 31
		if n == 0 {
			return fold64(sumTail(b, 0))
		}
		return fold64(sumTail(b[n:], sumVector(&b[0], n)))
	}
	HasVector = hasVector
)
