package udpgen

import (
	"net"
	"net/netip"
	"time"
)

// HeaderLen is headerLen.
const HeaderLen = headerLen

// PutHeader writes a header.
func PutHeader(b []byte, trial uint32, seq uint64) { header{trial, seq}.put(b) }

// Decode reads a header.
func Decode(b []byte) (trial uint32, seq uint64, ok bool) {
	h, ok := decode(b)
	return h.trial, h.seq, ok
}

// CountOf counts bundles of payloads of one trial, each with its segment size.
func CountOf(trial uint32, frames uint64, bundles [][]byte, sizes []int) Count {
	var t tally
	t.reset(trial, frames)
	for i, b := range bundles {
		t.addBundle(b, sizes[i])
	}
	return t.count
}

// Pacer is a pacer of that rate.
type Pacer struct{ p pacer }

// NewPacer returns a pacer.
func NewPacer(rate float64) *Pacer { return &Pacer{pacer{rate: rate}} }

// Due is pacer.due.
func (p *Pacer) Due(elapsed time.Duration) (int, time.Duration) { return p.p.due(elapsed) }

// Frame returns a frame of the template with header and checksum.
func Frame(dev *net.Interface, next net.HardwareAddr, src, dst netip.AddrPort, size int, trial uint32, seq uint64) []byte {
	w := &way{dev, next, src, dst}
	f, sum := w.template(size)
	finish(f, sum, header{trial, seq})
	return f
}

// Parsers of the kernel's tables.
var (
	ParseRoutes     = parseRoutes
	ParseNeighbours = parseNeighbours
)
