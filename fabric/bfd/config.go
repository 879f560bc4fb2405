package bfd

import (
	"errors"
	"fmt"
	"net/netip"
)

// Bounds of intervals, ns. Below 10 ms a scheduler's delays look like failures.
const (
	microsecond = 1000
	millisecond = 1000 * microsecond
	second      = 1000 * millisecond

	LeastInterval = 10 * millisecond
	MostInterval  = 60 * second
	// slow is the least interval while a session is not up (RFC 5880 section
	// 6.8.3).
	slow = second
)

// Config is a session that is wanted.
type Config struct {
	Name   string     // unique
	Local  netip.Addr // the sender's address; invalid: the stack's choice
	Remote netip.Addr // unique
	// Hops is how far the other side is: 1 for a session of one hop (RFC 5881), 2
	// to 255 for one over at most so many (RFC 5883). Packets from further away
	// are refused by their TTL (RFC 5881 section 5).
	Hops uint8
	// Tx is how often packets shall be sent when the session is up, and Rx how
	// often they may come at most: ns, whole microseconds.
	Tx, Rx int64
	Mult   uint8 // packets missed before the session is down, from 1
	Auth   Auth
	Down   bool // switched off: administratively down
}

// Multihop reports whether the session is one of RFC 5883.
func (c *Config) Multihop() bool { return c.Hops > 1 }

// Port returns the UDP port that the session's packets go to.
func (c *Config) Port() uint16 {
	if c.Multihop() {
		return MultihopPort
	}
	return SingleHopPort
}

// leastTTL is the least TTL, or hop limit, of packets.
func (c *Config) leastTTL() uint8 { return uint8(256 - int(c.Hops)) }

// Validate returns all faults of c, joined.
func (c *Config) Validate() error {
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("bfd: session %q: "+format, append([]any{c.Name}, args...)...))
	}
	if c.Name == "" {
		fault("it needs a name")
	}
	if !c.Remote.IsValid() || c.Remote.IsUnspecified() || c.Remote.IsMulticast() {
		fault("address %v: want that of a host", c.Remote)
	}
	if c.Local.IsValid() && c.Local.Is4() != c.Remote.Is4() {
		fault("addresses %v and %v are of two families", c.Local, c.Remote)
	}
	if c.Hops == 0 {
		fault("0 hops: want 1 to 255")
	}
	for what, d := range map[string]int64{"transmit": c.Tx, "receive": c.Rx} {
		if d < LeastInterval || d > MostInterval || d%microsecond != 0 {
			fault("%s interval of %d ns: want 10 ms to 60 s", what, d)
		}
	}
	if c.Mult == 0 {
		fault("multiplier 0: want 1 to 255")
	}
	switch c.Auth.Type {
	case NoAuth:
	case KeyedSHA1, MeticulousSHA1:
		if n := c.Auth.Key.Len(); n == 0 || n > MaxKey {
			fault("a key of %d bytes: want 1 to %d", n, MaxKey)
		}
	default:
		fault("authentication type %d is not spoken here", c.Auth.Type)
	}
	return errors.Join(errs...)
}

// same reports whether a session of o can go on as one of c: all but times,
// multiplier and switch are equal.
func (c *Config) same(o *Config) bool {
	return c.Name == o.Name && c.Local == o.Local && c.Remote == o.Remote && c.Hops == o.Hops &&
		c.Auth.Type == o.Auth.Type && c.Auth.KeyID == o.Auth.KeyID && c.Auth.Key.Equal(o.Auth.Key)
}
