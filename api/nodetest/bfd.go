package nodetest

import (
	"net/netip"
	"time"

	"github.com/ztos/ztos/config"
	"github.com/ztos/ztos/config/status"
)

// BFD implements server.Backend.
func (n *Node) BFD() status.BFD {
	return status.BFD{
		Enabled: true,
		Sessions: []status.BFDSession{
			{Name: "spine1", Address: netip.MustParseAddr("10.255.0.101"), Hops: 1, State: "up", TheirState: "up",
				Age: config.Duration(90 * time.Minute), LastDown: "none", TheirDiagnostic: "none",
				Tx: config.Duration(50 * time.Millisecond), Detection: config.Duration(150 * time.Millisecond), Multiplier: 3, TheirMultiplier: 3,
				Authentication: "none", Discriminator: 0x1234abcd, TheirDiscriminator: 77,
				Counters: []status.Count{{Name: "sent", Value: 123}, {Name: "received", Value: 120}, {Name: "went-down", Value: 0}, {Name: "refused-ttl", Value: 2}}},
			{Name: "spine2", Address: netip.MustParseAddr("10.255.0.102"), Hops: 1, State: "down", TheirState: "down",
				Age: config.Duration(4 * time.Second), LastDown: "detection-time-expired", TheirDiagnostic: "neighbour-signaled-down",
				Tx: config.Duration(time.Second), Detection: config.Duration(150 * time.Millisecond), Multiplier: 3, TheirMultiplier: 3,
				Authentication: "meticulous-keyed-sha1", Discriminator: 5, PathWithheld: true,
				Counters: []status.Count{{Name: "sent", Value: 9}, {Name: "received", Value: 5}, {Name: "went-down", Value: 1}, {Name: "refused-auth-digest", Value: 3}}},
		},
		Strangers: []status.Count{{Name: "refused-stranger", Value: 1}, {Name: "refused-version", Value: 0}},
	}
}
