package control

import (
	"net/netip"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/engine/table"
	"github.com/ztos/ztos/fabric"
)

// guardGrace is how long a spine goes by its grants alone after it started, at
// most: by then its peers have announced what they host. Without it a spine that
// restarts would drop everything until BGP has come up.
const guardGrace = 60 * time.Second

// spineVRFs returns what a spine may pass on: the members of each VNI.
func (n *Node) spineVRFs(cfg *config.Node) map[table.VNI]*fabric.VRF {
	out := map[table.VNI]*fabric.VRF{}
	for i := range cfg.VRFs {
		v := &cfg.VRFs[i]
		if v.Announced && n.guarding {
			for _, vni := range v.VNIs {
				out[vni] = &fabric.VRF{Name: v.Name, Members: n.announcers(v, vni)}
			}
			continue
		}
		vrf := &fabric.VRF{Name: v.Name, Members: map[netip.Addr]struct{}{}}
		for _, a := range v.VTEPs {
			vrf.Members[a] = struct{}{}
		}
		for _, vni := range v.VNIs {
			out[vni] = vrf
		}
	}
	return out
}

// announcers returns the VTEPs of v that announce vni.
func (n *Node) announcers(v *config.VRF, vni table.VNI) map[netip.Addr]struct{} {
	out := map[netip.Addr]struct{}{}
	for _, a := range v.VTEPs {
		if n.overlay.Member(a, vni) {
			out[a] = struct{}{}
		}
	}
	return out
}

// guard publishes the members anew when they changed, and ends the grace when all
// peers have said what they host, or at its time.
func (n *Node) guard(changed bool) {
	if n.overlay == nil || !n.cfg.Self.Is(config.Spine) {
		return
	}
	if !n.guarding && (n.now() >= int64(guardGrace) || n.overlay.Synced(bgpPeers(n.cfg))) {
		n.guarding, changed = true, true
	}
	if !changed || !n.guarding {
		return
	}
	t := n.tables.Load().Tables
	t.VRFs = n.spineVRFs(n.cfg)
	n.tables.Publish(fabric.NewSnapshot(t))
}
