package wireguard

import "net/netip"

// maxSources is how many source addresses the limiter remembers. When it is
// full, addresses that are not in it are refused: memory stays bounded under a
// flood, at the price of newcomers.
const maxSources = 8192

// sourceLimiter is a token bucket for each source address. It holds tokens as
// time: one message costs 1/rate of a second. Control goroutine only.
type sourceLimiter struct {
	cost, full int64 // ns
	sources    map[netip.Addr]bucket
	swept      int64 // ns, last removal of full buckets
}

// bucket is full again, and forgotten, when full ns have passed since at.
type bucket struct {
	tokens int64 // ns
	at     int64 // ns since start
}

func newSourceLimiter(rate, burst int) *sourceLimiter {
	cost := int64(1e9) / int64(rate)
	return &sourceLimiter{cost: cost, full: cost * int64(burst), sources: map[netip.Addr]bucket{}}
}

// allow takes one message's tokens from src's bucket; false when it has too
// few. IPv6 sources share the bucket of their /64, because one host has all of
// it.
func (l *sourceLimiter) allow(now int64, src netip.Addr) bool {
	if src.Is6() {
		if p, err := src.WithZone("").Prefix(64); err == nil {
			src = p.Addr()
		}
	}
	b, ok := l.sources[src]
	if !ok {
		l.sweep(now)
		if len(l.sources) >= maxSources {
			return false
		}
		b = bucket{tokens: l.full, at: now}
	}
	b.tokens = min(l.full, b.tokens+(now-b.at))
	b.at = now
	ok = b.tokens >= l.cost
	if ok {
		b.tokens -= l.cost
	}
	l.sources[src] = b
	return ok
}

// sweep forgets buckets that are full again, at most once in the time one takes
// to fill.
func (l *sourceLimiter) sweep(now int64) {
	if now-l.swept < l.full {
		return
	}
	l.swept = now
	for src, b := range l.sources {
		if b.tokens+(now-b.at) >= l.full {
			delete(l.sources, src)
		}
	}
}

// loadMeter says whether the node is under load: whether more handshake messages
// than limit came within one second, now or during the hold time before.
// Control goroutine only.
type loadMeter struct {
	limit int
	hold  int64 // ns
	start int64 // ns, of the second being counted
	count int
	until int64 // ns, under load until then
}

// note counts one message and reports whether the node is under load.
func (m *loadMeter) note(now int64) bool {
	if now-m.start >= 1e9 {
		m.start, m.count = now, 0
	}
	m.count++
	if m.count > m.limit {
		m.until = now + m.hold
	}
	return now < m.until
}
