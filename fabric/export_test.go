package fabric

// Waiting reports whether a packet waits for the slow path: a seam for tests that
// step graphs.
func (p *Punts) Waiting() bool { return p.peek(0) != nil }
