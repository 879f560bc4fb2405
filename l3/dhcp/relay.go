package dhcp

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"github.com/ztos/ztos/engine/counter"
	"github.com/ztos/ztos/engine/table"
)

// MaxServers is how many servers of a family a message goes to at most.
const MaxServers = 4

// MaxAdded is how many bytes a relay adds to a message at most.
const MaxAdded = 400

// Config is the relay of one bridge domain.
type Config struct {
	VNI table.VNI
	// Gateway4 and Gateway6 are addresses of the gateway, which tell a server the
	// subnet; Source4 and Source6 are the leaf's own in the VRF, to which servers
	// reply. The zero Addr where nothing of the family is relayed.
	Gateway4, Gateway6, Source4, Source6 netip.Addr
	// Servers of both families; a message goes to all of its own.
	Servers []netip.Addr
	// Circuits names the circuits in option 82 and in the interface id; one that it
	// does not have is named by the VNI alone.
	Circuits map[table.ACID]string
	// RemoteID is sub-option 2 of option 82; empty: none.
	RemoteID string
	// Override has clients renew by the gateway (RFC 5107).
	Override bool
	// Trusted takes messages that a relay in the bridge domain has relayed already.
	Trusted bool
}

// Relay is a Config at work. Immutable but for State.
type Relay struct {
	Config
	*State

	servers4, servers6 []netip.Addr
	circuits           map[table.ACID]string
}

// maxName is the longest circuit or remote id, bytes: with it option 82 is never
// longer than the 255 bytes that it may have.
const maxName = 100

// New checks c and returns its relay, which counts in s.
func New(c Config, s *State) (*Relay, error) {
	r := &Relay{Config: c, State: s, circuits: map[table.ACID]string{}}
	for _, a := range c.Servers {
		if a.Is4() {
			r.servers4 = append(r.servers4, a)
		} else {
			r.servers6 = append(r.servers6, a)
		}
	}
	switch {
	case len(c.Servers) == 0:
		return nil, errors.New("dhcp: a relay without servers")
	case len(r.servers4) > MaxServers || len(r.servers6) > MaxServers:
		return nil, fmt.Errorf("dhcp: more than %d servers of a family", MaxServers)
	case len(r.servers4) > 0 && !(c.Gateway4.Is4() && c.Source4.Is4()):
		return nil, errors.New("dhcp: an IPv4 server without an IPv4 address of the gateway and of the leaf")
	case len(r.servers6) > 0 && !(c.Gateway6.Is6() && c.Source6.Is6()):
		return nil, errors.New("dhcp: an IPv6 server without an IPv6 address of the gateway and of the leaf")
	case len(c.RemoteID) > maxName:
		return nil, fmt.Errorf("dhcp: remote id of %d bytes, want %d at most", len(c.RemoteID), maxName)
	}
	for ac, name := range c.Circuits {
		id := r.vniName() + "/" + name
		if len(id) > maxName {
			return nil, fmt.Errorf("dhcp: circuit id of %d bytes, want %d at most", len(id), maxName)
		}
		r.circuits[ac] = id
	}
	return r, nil
}

func (r *Relay) vniName() string { return strconv.FormatUint(uint64(r.VNI), 10) }

// circuit returns the name of a circuit: the VNI, and which it is.
func (r *Relay) circuit(ac table.ACID) string {
	if id, ok := r.circuits[ac]; ok {
		return id
	}
	return r.vniName()
}

// Servers4 returns the IPv4 servers. The caller must not change them.
func (r *Relay) Servers4() []netip.Addr { return r.servers4 }

// Servers6 returns the IPv6 servers. The caller must not change them.
func (r *Relay) Servers6() []netip.Addr { return r.servers6 }

// IsServer reports whether a is one of the servers.
func (r *Relay) IsServer(a netip.Addr) bool { return slices.Contains(r.Servers, a) }

// What is remembered of a bridge domain.
const (
	maxRecent = 16
	maxPeers  = 1024
	peerNs    = int64(60e9) // for how long; servers answer sooner
)

// State is what a relay counts and remembers; it outlives configurations. Count is
// for any goroutine, the rest says.
type State struct {
	Counts Counts

	mu     sync.Mutex
	recent [maxRecent]Request // a ring
	noted  int

	// Of the slow path alone.
	peers map[netip.Addr]peer
	order []netip.Addr // keys of peers, a ring once it has maxPeers
	next  int
}

// peer is who sent a message to be relayed.
type peer struct {
	mac table.MAC
	at  int64 // ns since start
}

// NewState returns one that has seen nothing.
func NewState() *State { return &State{peers: map[netip.Addr]peer{}} }

// Counts count messages; any goroutine.
type Counts struct {
	Requests4, Requests6 counter.Shared // of clients, relayed to servers
	Replies4, Replies6   counter.Shared // of servers, relayed to clients
	Faults               [NumFaults]counter.Shared
}

// Drop counts a message that goes no further for f, which is not None.
func (c *Counts) Drop(f Fault) { c.Faults[f].Add(1) }

// Request is a message of a client, for people.
type Request struct {
	At      int64 // ns since start
	MAC     table.MAC
	Type    string // DISCOVER, SOLICIT and such
	V6      bool
	Circuit string
	Fault   Fault // None: relayed
}

// note remembers a request.
func (s *State) note(q Request) {
	s.mu.Lock()
	s.recent[s.noted%maxRecent] = q
	s.noted++
	s.mu.Unlock()
}

// Unsent counts the request that was forwarded last as one that no server was sent.
// The slow path only.
func (s *State) Unsent() {
	s.Counts.Drop(Unsent)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.noted > 0 {
		s.recent[(s.noted-1)%maxRecent].Fault = Unsent
	}
}

// Recent returns the last requests, the newest first. Any goroutine.
func (s *State) Recent() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Request
	for i := s.noted - 1; i >= 0 && i >= s.noted-maxRecent; i-- {
		out = append(out, s.recent[i%maxRecent])
	}
	return out
}

// remember notes the MAC of a. The slow path only.
func (s *State) remember(a netip.Addr, mac table.MAC, now int64) {
	if _, known := s.peers[a]; !known {
		if len(s.order) < maxPeers {
			s.order = append(s.order, a)
		} else {
			delete(s.peers, s.order[s.next])
			s.order[s.next] = a
			s.next = (s.next + 1) % maxPeers
		}
	}
	s.peers[a] = peer{mac, now}
}

// peerMAC returns the MAC of a, when it asked lately. The slow path only.
func (s *State) peerMAC(a netip.Addr, now int64) (table.MAC, bool) {
	p, ok := s.peers[a]
	return p.mac, ok && now-p.at < peerNs
}

// typeName returns the name of a message type.
func typeName(names []string, typ uint8) string {
	if int(typ) < len(names) && names[typ] != "" {
		return names[typ]
	}
	return fmt.Sprintf("type %d", typ)
}
