package bfd

// Stat counts what happens to packets and sessions. Those named Refused are
// packets that had no effect, one for each check of RFC 5880 section 6.8.6 and of
// the sections that it refers to.
type Stat uint8

// Stats. 0 is none.
const (
	Sent                 Stat = 1 + iota
	SendFailed                // the stack did not take it
	Received                  // passed all checks
	WentUp                    // the session
	WentDown                  // the session, from Up
	RefusedTTL                // came from further than configured (RFC 5881 section 5)
	RefusedVersion            // is not 1
	RefusedLength             // too short, or longer than its datagram
	RefusedMultiplier         // is 0
	RefusedMultipoint         // the M bit is set
	RefusedDiscriminator      // the sender's is 0
	RefusedUnknown            // names a session that there is not
	RefusedState              // names no session, though it is past its beginning
	RefusedStranger           // names no session, and there is none with its sender
	RefusedSource             // names a session with somebody else
	RefusedAuthSurplus        // is authenticated, which the session is not
	RefusedAuthMissing        // is not authenticated, which the session is
	RefusedAuthForm           // authentication of another type or length
	RefusedAuthKey            // by a key with another number
	RefusedAuthSequence       // a sequence number that is not next: a replay
	RefusedAuthDigest         // a wrong key, or a forgery
	IgnoredAdminDown          // the session is switched off here

	numStats
)

// NumStats is the number of Stats, with 0.
const NumStats = int(numStats)

var statNames = [NumStats]string{
	Sent:                 "sent",
	SendFailed:           "send-failed",
	Received:             "received",
	WentUp:               "went-up",
	WentDown:             "went-down",
	RefusedTTL:           "refused-ttl",
	RefusedVersion:       "refused-version",
	RefusedLength:        "refused-length",
	RefusedMultiplier:    "refused-multiplier",
	RefusedMultipoint:    "refused-multipoint",
	RefusedDiscriminator: "refused-discriminator",
	RefusedUnknown:       "refused-unknown",
	RefusedState:         "refused-state",
	RefusedStranger:      "refused-stranger",
	RefusedSource:        "refused-source",
	RefusedAuthSurplus:   "refused-auth-surplus",
	RefusedAuthMissing:   "refused-auth-missing",
	RefusedAuthForm:      "refused-auth-form",
	RefusedAuthKey:       "refused-auth-key",
	RefusedAuthSequence:  "refused-auth-sequence",
	RefusedAuthDigest:    "refused-auth-digest",
	IgnoredAdminDown:     "ignored-admin-down",
}

// String returns the stable name: lower case words joined by hyphens.
func (s Stat) String() string {
	if int(s) >= NumStats || s == 0 {
		return "stat-unknown"
	}
	return statNames[s]
}

// Stats are counters by Stat.
type Stats [NumStats]uint64
