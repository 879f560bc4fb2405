package config

import "net/netip"

// Contract permits packets between prefixes of two VRFs of this leaf, which have
// nothing to do with each other otherwise. It works in both directions, and for
// nothing but the prefixes that it names: what is in `from` and of `return` may
// send to what is in `to` and of `prefixes`, and the reverse.
type Contract struct {
	// The contract's name, unique: 1 to 32 of a-z, 0-9 and hyphen. Required.
	Name string `yaml:"name"`
	// The VRF whose hosts reach something in the other. Required.
	From string `yaml:"from"`
	// The VRF that has it. Required.
	To string `yaml:"to"`
	// Prefixes of `to` that hosts of `from` reach: routes of `from` from now on.
	// They may not overlap what `from` has itself or by another contract.
	// Required.
	Prefixes []netip.Prefix `yaml:"prefixes"`
	// Prefixes of `from` whose hosts may use the contract: routes of `to` from
	// now on, for the way back. They may not overlap what `to` has itself or by
	// another contract. Of each family that `prefixes` has, and no other.
	// Required.
	Return []netip.Prefix `yaml:"return"`
	// Announces `prefixes` to other leaves of `from`, and `return` to other
	// leaves of `to`, by EVPN: they need no contract of their own. Only what has
	// a route here. Needs `bgp` and an l3vni. Default false.
	Advertise bool `yaml:"advertise"`
}
