//go:build !amd64

package wire

// hasVector is false: this architecture sums in Go.
const hasVector = false

const vectorMin = 0

// sumVector is never called here.
func sumVector(*byte, int) uint64 { panic("wire: no vector sum on this architecture") }
