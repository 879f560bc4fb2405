package config

import (
	"fmt"
	"net/netip"

	"github.com/ztos/ztos/engine/table"
)

// maxReplayWindow is what crypto/replay can hold, numbers; each costs a byte.
const maxReplayWindow = 1 << 24

func checkVNI(c checker, v table.VNI) {
	if v < 1 || v > table.MaxVNI {
		c.fault(fmt.Sprintf("use 1 to %d", table.MaxVNI), "VNI %d is out of range", v)
	}
}

func (b *BridgeDomain) check(c checker) {
	checkVNI(c.at("vni"), b.VNI)
	checkName(c.at("name"), b.Name)
	if b.MTU != 0 && (b.MTU < 576 || b.MTU > 65535) {
		c.at("mtu").fault("use 576 to 65535, or 0 for the largest possible", "%d is out of range", b.MTU)
	}
	for i := range b.Attach {
		b.Attach[i].check(c.at("attach[%d]", i))
	}
	checkAddrs(c.at("vteps"), b.VTEPs)
	if b.EVPN != nil {
		b.EVPN.check(c.at("evpn"))
	}
	b.checkStatic(c.at("static-macs"))
	b.checkGateway(c)
	b.checkSuppress(c)
	checkSpan(c.at("ageing"), b.Ageing, "1s", "1000000s", "")
	switch {
	case b.MACsec == nil && b.Protection == ProtectMACsec:
		c.at("macsec").fault("add a macsec section, or say `protection: none`", "VNI %d has no keys and must not be without protection unsaid", b.VNI)
	case b.MACsec != nil && b.Protection == ProtectNone:
		c.at("protection").fault("remove the macsec section, or `protection: none`", "none, yet there is a macsec section")
	case b.MACsec != nil:
		b.MACsec.check(c.at("macsec"), b.Remotes())
	}
}

func (a *Attach) check(c checker) {
	if a.Port == "" {
		c.at("port").fault("name a port of `ports`", "no port")
	}
	checkVLAN(c, a.VLAN, a.InnerVLAN)
	if a.All && (a.VLAN != 0 || a.InnerVLAN != 0) {
		c.at("all").fault("remove one of them", "all and a VLAN exclude each other")
	}
}

// checkVLAN wants 0 or VLANs that 802.1Q lets tenants use.
func checkVLAN(c checker, vlan, inner uint16) {
	if vlan > 4094 {
		c.at("vlan").fault("use 1 to 4094, or 0 for untagged", "VLAN %d is out of range", vlan)
	}
	if inner > 4094 {
		c.at("inner-vlan").fault("use 1 to 4094, or 0 for none", "VLAN %d is out of range", inner)
	}
	if inner != 0 && vlan == 0 {
		c.at("inner-vlan").fault("add the outer tag as `vlan`", "inner VLAN %d without an outer one", inner)
	}
}

// checkStatic checks the static MACs at c against b's circuits and VTEPs.
func (b *BridgeDomain) checkStatic(c checker) {
	seen := map[table.MAC]bool{}
	for i, s := range b.StaticMACs {
		at := c.at("[%d]", i)
		switch {
		case s.MAC == 0:
			at.at("mac").fault("give a unicast MAC", "no MAC")
		case s.MAC.IsMulticast():
			at.at("mac").fault("give a unicast MAC", "%s is a group address", s.MAC)
		case seen[s.MAC]:
			at.at("mac").fault("keep one", "%s twice in VNI %d", s.MAC, b.VNI)
		}
		seen[s.MAC] = true
		switch {
		case s.Port == "" && !s.VTEP.IsValid():
			at.fault("say where it is", "neither port nor vtep")
		case s.Port != "" && s.VTEP.IsValid():
			at.fault("keep one", "both port and vtep")
		case s.Port != "":
			if !b.attached(s.Port, s.VLAN, s.InnerVLAN) {
				at.at("port").fault("add it to `attach`, or correct port and vlan", "%s is not attached to VNI %d", circuit(s.Port, s.VLAN, s.InnerVLAN), b.VNI)
			}
		default:
			if s.VLAN != 0 || s.InnerVLAN != 0 {
				at.at("vlan").fault("remove it", "a VLAN belongs to a port, not to a VTEP")
			}
			if !hasAddr(b.Remotes(), s.VTEP) {
				at.at("vtep").fault("add it to `vteps`", "%s is not a VTEP of VNI %d", s.VTEP, b.VNI)
			}
		}
	}
}

// attached reports whether b has the circuit.
func (b *BridgeDomain) attached(port string, vlan, inner uint16) bool {
	for _, a := range b.Attach {
		if a.Port == port && (a.All || a.VLAN == vlan && a.InnerVLAN == inner) {
			return true
		}
	}
	return false
}

// circuit names an attachment circuit for people: h1, h1.100 or h1.200.5.
func circuit(port string, vlan, inner uint16) string {
	switch {
	case inner != 0:
		return fmt.Sprintf("%s.%d.%d", port, vlan, inner)
	case vlan != 0:
		return fmt.Sprintf("%s.%d", port, vlan)
	}
	return port
}

func hasAddr(as []netip.Addr, a netip.Addr) bool {
	for _, o := range as {
		if o == a {
			return true
		}
	}
	return false
}

// check checks m for a bridge domain whose remote VTEPs are vteps.
func (m *MACsec) check(c checker, vteps []netip.Addr) {
	switch m.Offset {
	case 0:
	case 30, 50:
		// IEEE 802.1AE gives the XPN suites no confidentiality offset; without
		// encryption, or with the MACs inside, one would only mislead.
		switch {
		case m.Cipher.XPN():
			c.at("offset").fault("use 0, or a suite without xpn", "%s takes no offset", m.Cipher)
		case !m.Encrypt.On():
			c.at("offset").fault("use 0, or encrypt: true", "an offset without encryption")
		case m.Mode == ModeHidden:
			c.at("offset").fault("use 0, or mode: standard", "an offset would show the MACs that hidden mode hides")
		}
	default:
		c.at("offset").fault("use 0, 30 or 50", "%d is not an offset", m.Offset)
	}
	if m.Mode == ModeHidden && !m.Encrypt.On() {
		c.at("mode").fault("use mode: standard, or encrypt: true", "hidden mode hides nothing without encryption")
	}
	if w := m.ReplayWindow; w != nil && *w > maxReplayWindow {
		c.at("replay-window").fault(fmt.Sprintf("use 0 to %d", maxReplayWindow), "%d is out of range", *w)
	}
	tx := c.at("tx")
	m.checkSC(tx, m.Tx.SCI, m.Tx.SSCI, m.Tx.SAs)
	if m.Tx.AN > 3 {
		tx.at("an").fault("use 0 to 3", "AN %d is out of range", m.Tx.AN)
	} else if !hasAN(m.Tx.SAs, m.Tx.AN) {
		tx.at("an").fault("add it, or choose an AN of sas", "AN %d has no SA in sas", m.Tx.AN)
	}
	scis := map[SCI]string{m.Tx.SCI: "tx"}
	sscis := map[uint32]string{m.Tx.SSCI: "tx"}
	keyed := map[netip.Addr]bool{}
	for i, p := range m.Peers {
		at := c.at("peers[%d]", i)
		m.checkSC(at, p.SCI, p.SSCI, p.SAs)
		name := fmt.Sprintf("peers[%d]", i)
		if by, dup := scis[p.SCI]; dup && !p.SCI.IsZero() {
			at.at("sci").fault("give each channel its own", "SCI %s is that of %s", p.SCI, by)
		}
		if by, dup := sscis[p.SSCI]; dup && p.SSCI != 0 {
			at.at("ssci").fault("give each channel its own", "SSCI %d is that of %s", p.SSCI, by)
		}
		scis[p.SCI], sscis[p.SSCI] = name, name
		keyed[p.VTEP] = true
		if !p.VTEP.IsValid() {
			at.at("vtep").fault("name the remote VTEP that sends on it", "no VTEP")
		} else if !hasAddr(vteps, p.VTEP) {
			at.at("vtep").fault("add it to the bridge domain's `vteps`", "%s is not a VTEP of this VNI", p.VTEP)
		}
	}
	for _, v := range vteps {
		if !keyed[v] {
			c.at("peers").fault("add it", "VTEP %s has no receive channel: all it sends would be dropped", v)
		}
	}
}

// checkSC checks a secure channel of either direction.
func (m *MACsec) checkSC(c checker, sci SCI, ssci uint32, sas []SA) {
	if sci.IsZero() {
		c.at("sci").fault("give 16 hex digits, unique in the VNI", "no SCI")
	}
	switch xpn := m.Cipher.XPN(); {
	case xpn && ssci == 0:
		c.at("ssci").fault("number the channels of the VNI from 1", "%s needs an SSCI", m.Cipher)
	case !xpn && ssci != 0:
		c.at("ssci").fault("remove it, or use a suite with xpn", "%s has no SSCI", m.Cipher)
	}
	if len(sas) == 0 {
		c.at("sas").fault("add {an: 0, key-file: ...}", "no SA")
	}
	ans := map[uint8]bool{}
	keys := map[string]uint8{}
	for i, sa := range sas {
		at := c.at("sas[%d]", i)
		if sa.AN > 3 {
			at.at("an").fault("use 0 to 3", "AN %d is out of range", sa.AN)
		} else if ans[sa.AN] {
			at.at("an").fault("keep one", "AN %d twice", sa.AN)
		}
		ans[sa.AN] = true
		checkFile(at.at("key-file"), sa.KeyFile)
		// Both SAs would start at packet number 1 with one key and one SCI:
		// the same nonce twice breaks GCM.
		if an, dup := keys[sa.KeyFile]; dup && sa.KeyFile != "" {
			at.at("key-file").fault("make a new key", "key file of AN %d again: two SAs of a channel must not share a key", an)
		}
		keys[sa.KeyFile] = sa.AN
		switch xpn := m.Cipher.XPN(); {
		case xpn && sa.SaltFile == "":
			at.at("salt-file").fault("name a file with 24 hex digits", "%s needs a salt", m.Cipher)
		case xpn:
			checkFile(at.at("salt-file"), sa.SaltFile)
		case sa.SaltFile != "":
			at.at("salt-file").fault("remove it, or use a suite with xpn", "%s has no salt", m.Cipher)
		}
	}
}

func hasAN(sas []SA, an uint8) bool {
	for _, sa := range sas {
		if sa.AN == an {
			return true
		}
	}
	return false
}
