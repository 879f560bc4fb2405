package check

import (
	"encoding/hex"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// dump returns what gopacket makes of an Ethernet frame and its first bytes, for
// messages of failures.
func dump(f []byte) string {
	p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Lazy)
	var names []string
	for _, l := range p.Layers() {
		names = append(names, l.LayerType().String())
	}
	return strings.Join(names, " / ") + "\n" + hex.Dump(f[:min(len(f), 160)])
}
