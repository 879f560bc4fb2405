package control

import (
	"strings"

	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/l2"
)

// foreignOrigin reports that a VTEP sent a frame whose source MAC is at another
// place, with the SCIs by which the VTEP is known, once in sayEvery for a VTEP of a
// VNI; all such frames are counted, as mac-foreign-vtep. It returns whether c is that.
func (n *Node) foreignOrigin(c *l2.Change) bool {
	if c.Kind != l2.MoveRefused || c.To.Kind != l2.DestVTEP {
		return false
	}
	d := n.domains[c.VNI]
	if d == nil {
		return false
	}
	places := n.places(d)
	key := vtepKey{c.VNI, places[c.To].VTEP}
	now := n.now()
	if last, ok := n.foreign[key]; ok && now-last < sayEvery {
		return true
	}
	n.foreign[key] = now
	has := places[c.From]
	at := has.Port
	if has.VTEP.IsValid() {
		at = has.VTEP.String()
	}
	n.log.Warn("a leaf sent a frame with a MAC that is elsewhere: dropped", "vni", c.VNI, "mac", c.MAC,
		"vtep", key.addr, "sci", n.channelsOf(d, table.VTEPID(c.To.ID)), "mac-at", at)
	return true
}

// channelsOf names the receive channels of a VTEP; empty without MACsec.
func (n *Node) channelsOf(d *domainState, id table.VTEPID) string {
	if d.domain.SecY == nil {
		return ""
	}
	var scis []string
	for _, sc := range d.domain.SecY.State().RxSCs {
		if sc.VTEP == id {
			scis = append(scis, sc.SCI.String())
		}
	}
	return strings.Join(scis, " ")
}
