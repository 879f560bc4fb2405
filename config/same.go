package config

import (
	"fmt"
	"slices"
)

// Equal reports whether b and o say the same, at some 100 ns: what an apply asks
// of every bridge domain.
func (b *BridgeDomain) Equal(o *BridgeDomain) bool {
	return b.VNI == o.VNI && b.Name == o.Name && b.MTU == o.MTU &&
		slices.Equal(b.Attach, o.Attach) && slices.Equal(b.VTEPs, o.VTEPs) && slices.Equal(b.StaticMACs, o.StaticMACs) &&
		b.VRF == o.VRF && b.Gateway.equal(o.Gateway) && slices.Equal(b.StaticNeighbours, o.StaticNeighbours) &&
		b.Ageing == o.Ageing && b.MACLimit == o.MACLimit && b.MACLimitAction == o.MACLimitAction &&
		same(b.Storm, o.Storm) && b.MSSClamp == o.MSSClamp && b.MACsec.equal(o.MACsec) && b.Protection == o.Protection &&
		b.Suppress == o.Suppress && b.SuppressUnknown == o.SuppressUnknown &&
		b.BindingLimit == o.BindingLimit && b.PortBindingLimit == o.PortBindingLimit &&
		b.EVPN.equal(o.EVPN)
}

func (e *EVPN) equal(o *EVPN) bool {
	if e == nil || o == nil {
		return e == o
	}
	return e.RD == o.RD && slices.Equal(e.Export, o.Export) && slices.Equal(e.Import, o.Import) &&
		slices.Equal(e.VTEPs, o.VTEPs)
}

func (m *MACsec) equal(o *MACsec) bool {
	if m == nil || o == nil {
		return m == o
	}
	return m.Cipher == o.Cipher && m.Mode == o.Mode && m.Encrypt == o.Encrypt && m.Offset == o.Offset &&
		same(m.ReplayWindow, o.ReplayWindow) &&
		m.Tx.SCI == o.Tx.SCI && m.Tx.SSCI == o.Tx.SSCI && m.Tx.AN == o.Tx.AN && slices.Equal(m.Tx.SAs, o.Tx.SAs) &&
		slices.EqualFunc(m.Peers, o.Peers, func(a, b RxSC) bool {
			return a.VTEP == b.VTEP && a.SCI == b.SCI && a.SSCI == b.SSCI && slices.Equal(a.SAs, b.SAs)
		})
}

// same reports whether both are nil or point at equal values.
func same[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// Clone returns a copy of m that shares nothing with it that can be changed.
func (m *MACsec) Clone() *MACsec {
	c := *m
	if m.ReplayWindow != nil {
		c.ReplayWindow = new(*m.ReplayWindow)
	}
	c.Tx.SAs = slices.Clone(m.Tx.SAs)
	c.Peers = slices.Clone(m.Peers)
	for i := range c.Peers {
		c.Peers[i].SAs = slices.Clone(c.Peers[i].SAs)
	}
	return &c
}

// ValidateSAs returns what is wrong with bridge domain i after a change of its
// secure associations; the rest of n is as Validate has seen it.
func (n *Node) ValidateSAs(i int) Faults {
	var out Faults
	at := checker{out: &out}.at("bridge-domains[%d]", i)
	b := &n.BridgeDomains[i]
	b.check(at)
	if b.MACsec == nil {
		return out
	}
	mine := map[nonceKey]int{}
	for j := range b.MACsec.Tx.SAs {
		mine[b.MACsec.nonceKey(j)] = j
	}
	for k := range n.BridgeDomains {
		m := n.BridgeDomains[k].MACsec
		if k == i || m == nil {
			continue
		}
		for j := range m.Tx.SAs {
			if own, dup := mine[m.nonceKey(j)]; dup && m.Tx.SAs[j].KeyFile != "" {
				at.at("macsec.tx.sas[%d].key-file", own).repeats(fmt.Sprintf("bridge-domains[%d].macsec.tx", k))
			}
		}
	}
	return out
}
