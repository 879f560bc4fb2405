package wireguard

import (
	"fmt"
	"time"
)

// Params are the protocol's constants. Tests make them small; everybody else
// uses DefaultParams. A field that is zero means its default.
type Params struct {
	RekeyAfterTime   time.Duration // an initiator renews a session this old when it sends
	RejectAfterTime  time.Duration // a session this old neither seals nor opens
	RekeyAttemptTime time.Duration // how long a handshake is retried before giving up
	RekeyTimeout     time.Duration // between two initiations to one peer, at least
	RekeyJitter      time.Duration // random addition to RekeyTimeout, 0 to this
	KeepaliveTimeout time.Duration // answer data with a keepalive when nothing else was sent for this long
	CookieRefresh    time.Duration // lifetime of a cookie and of the secret behind it

	RekeyAfterMessages  uint64 // a session that sealed more than this is renewed
	RejectAfterMessages uint64 // counters from this on are neither sent nor accepted

	InitiationInterval time.Duration // at most one initiation of one peer is accepted in this time
	UnderLoadRate      int           // handshake messages a second above which the node is under load
	UnderLoadHold      time.Duration // how long it stays under load afterwards
	SourceRate         int           // under load: handshake messages a second from one source address
	SourceBurst        int           // and how many at once
	PortHold           time.Duration // how long an endpoint's port must be silent before another port of the same address replaces it
}

// DefaultParams returns the whitepaper's constants (section 6.1) and, for what it
// leaves open, the values of wireguard-go and ours.
func DefaultParams() Params {
	return Params{
		RekeyAfterTime:   120 * time.Second,
		RejectAfterTime:  180 * time.Second,
		RekeyAttemptTime: 90 * time.Second,
		RekeyTimeout:     5 * time.Second,
		RekeyJitter:      334 * time.Millisecond,
		KeepaliveTimeout: 10 * time.Second,
		CookieRefresh:    120 * time.Second,

		RekeyAfterMessages:  1 << 60,
		RejectAfterMessages: 1<<64 - 1<<13 - 1,

		InitiationInterval: 20 * time.Millisecond,
		UnderLoadRate:      200,
		UnderLoadHold:      time.Second,
		SourceRate:         20,
		SourceBurst:        5,
		PortHold:           2 * time.Second,
	}
}

// withDefaults returns p with zero fields set, or an error when the values
// contradict each other.
func (p Params) withDefaults() (Params, error) {
	d := DefaultParams()
	for _, f := range []struct{ v, def *time.Duration }{
		{&p.RekeyAfterTime, &d.RekeyAfterTime},
		{&p.RejectAfterTime, &d.RejectAfterTime},
		{&p.RekeyAttemptTime, &d.RekeyAttemptTime},
		{&p.RekeyTimeout, &d.RekeyTimeout},
		{&p.RekeyJitter, &d.RekeyJitter},
		{&p.KeepaliveTimeout, &d.KeepaliveTimeout},
		{&p.CookieRefresh, &d.CookieRefresh},
		{&p.InitiationInterval, &d.InitiationInterval},
		{&p.UnderLoadHold, &d.UnderLoadHold},
		{&p.PortHold, &d.PortHold},
	} {
		if *f.v == 0 {
			*f.v = *f.def
		}
		if *f.v < 0 {
			return p, fmt.Errorf("wireguard: params: negative duration %v", *f.v)
		}
	}
	for _, f := range []struct{ v, def *int }{
		{&p.UnderLoadRate, &d.UnderLoadRate},
		{&p.SourceRate, &d.SourceRate},
		{&p.SourceBurst, &d.SourceBurst},
	} {
		if *f.v == 0 {
			*f.v = *f.def
		}
		if *f.v < 0 {
			return p, fmt.Errorf("wireguard: params: negative rate %d", *f.v)
		}
	}
	if p.RekeyAfterMessages == 0 {
		p.RekeyAfterMessages = d.RekeyAfterMessages
	}
	if p.RejectAfterMessages == 0 {
		p.RejectAfterMessages = d.RejectAfterMessages
	}
	switch {
	case p.RekeyAfterTime >= p.RejectAfterTime:
		return p, fmt.Errorf("wireguard: params: rekey after %v, but reject after %v", p.RekeyAfterTime, p.RejectAfterTime)
	case p.RekeyAfterMessages > p.RejectAfterMessages:
		return p, fmt.Errorf("wireguard: params: rekey after %d messages, but reject after %d", p.RekeyAfterMessages, p.RejectAfterMessages)
	case p.RejectAfterMessages > d.RejectAfterMessages:
		return p, fmt.Errorf("wireguard: params: reject after %d messages, above %d", p.RejectAfterMessages, d.RejectAfterMessages)
	}
	return p, nil
}

// lastMinute is the age from which an initiator renews a session that it only
// receives with (whitepaper section 6.2): late enough for the peer's keepalive
// and early enough for one retransmission.
func (p *Params) lastMinute() int64 {
	return max(int64(p.RejectAfterTime-p.KeepaliveTimeout-p.RekeyTimeout), int64(p.RekeyAfterTime))
}
