package status

import (
	"net/netip"

	"github.com/ztos/ztos/config"
)

// BFD is the node's BFD. The zero value is a node without.
type BFD struct {
	Enabled   bool         `json:"enabled"`
	Sessions  []BFDSession `json:"sessions"`  // in the configuration's order
	Strangers []Count      `json:"strangers"` // packets that belong to no session, by what was wrong
}

// BFDSession is a BFD session.
type BFDSession struct {
	Name               string          `json:"name"`
	Address            netip.Addr      `json:"address"`
	Hops               int             `json:"hops"`
	State              string          `json:"state"`           // admin-down, down, init, up
	Age                config.Duration `json:"age"`             // in that state
	TheirState         string          `json:"theirState"`      // as the neighbour said last
	LastDown           string          `json:"lastDown"`        // why it left the state up last; "none": it did not
	TheirDiagnostic    string          `json:"theirDiagnostic"` // as the neighbour said last
	Tx                 config.Duration `json:"tx"`              // between packets sent now; 0: none are
	Detection          config.Duration `json:"detection"`       // 0: nothing was heard yet
	Multiplier         int             `json:"multiplier"`
	TheirMultiplier    int             `json:"theirMultiplier"`
	Authentication     string          `json:"authentication"` // none, keyed-sha1, meticulous-keyed-sha1
	Discriminator      uint32          `json:"discriminator"`
	TheirDiscriminator uint32          `json:"theirDiscriminator"` // 0 when not known
	PathWithheld       bool            `json:"pathWithheld"`       // flows take other paths
	Counters           []Count         `json:"counters"`
}
