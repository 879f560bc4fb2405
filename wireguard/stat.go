package wireguard

import "github.com/ztos/ztos/engine/counter"

// Stat counts what control does with handshake messages and peers. Frames that
// workers drop are counted under counter.Reason instead.
type Stat uint8

// Stats. Those named Refused are messages that had no effect.
const (
	InitiationSent Stat = iota
	InitiationAccepted
	ResponseSent
	ResponseAccepted
	CookieSent        // under load: a cookie instead of an answer
	CookieAccepted    // a peer under load gave us one
	KeepaliveSent     // an empty data message
	HandshakeGivenUp  // no answer within RekeyAttemptTime
	EndpointMoved     // a peer roamed
	PeerWentDown      // liveness
	PeerWentUp        // liveness
	RefusedMalformed  // length or type
	RefusedMAC1       // the sender does not know our public key
	RefusedRate       // under load, too many from this address
	RefusedAuth       // a sealed field does not authenticate
	RefusedPeer       // a public key that is not configured
	RefusedReplay     // an initiation with a time stamp that is not new
	RefusedFlood      // an initiation too soon after the last of this peer
	RefusedPinned     // from an address outside the peer's pinned set
	RefusedResponse   // answers no handshake that is under way
	RefusedCookie     // a cookie reply to nothing we sent, or not authentic
	RefusedIndexTable // no receiver index left
	NoEndpoint        // wanted to initiate and does not know where to
	InternalError     // random numbers or keys failed

	numStats
)

// NumStats is the number of Stats.
const NumStats = int(numStats)

var statNames = [NumStats]string{
	InitiationSent:     "initiation-sent",
	InitiationAccepted: "initiation-accepted",
	ResponseSent:       "response-sent",
	ResponseAccepted:   "response-accepted",
	CookieSent:         "cookie-sent",
	CookieAccepted:     "cookie-accepted",
	KeepaliveSent:      "keepalive-sent",
	HandshakeGivenUp:   "handshake-given-up",
	EndpointMoved:      "endpoint-moved",
	PeerWentDown:       "peer-went-down",
	PeerWentUp:         "peer-went-up",
	RefusedMalformed:   "refused-malformed",
	RefusedMAC1:        "refused-mac1",
	RefusedRate:        "refused-rate",
	RefusedAuth:        "refused-auth",
	RefusedPeer:        "refused-peer",
	RefusedReplay:      "refused-replay",
	RefusedFlood:       "refused-flood",
	RefusedPinned:      "refused-pinned",
	RefusedResponse:    "refused-response",
	RefusedCookie:      "refused-cookie",
	RefusedIndexTable:  "refused-index-table",
	NoEndpoint:         "no-endpoint",
	InternalError:      "internal-error",
}

// String returns the stable name: lower case words joined by hyphens.
func (s Stat) String() string {
	if int(s) >= NumStats {
		return "stat-unknown"
	}
	return statNames[s]
}

// stats are the counters of one node. Any goroutine may add and read.
type stats [NumStats]counter.Shared
