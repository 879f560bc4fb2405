package l3

// Timers returns how many timers there are: a seam for tests.
func (n *Neighbours) Timers() int { return len(n.timers) }
