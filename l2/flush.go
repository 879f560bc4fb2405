package l2

import "github.com/ztos/ztos/engine/table"

// Flush forgets the learned entries of vni that doomed chooses and returns how
// many.
func (l *Learner) Flush(vni table.VNI, doomed func(Entry) bool) int {
	d := l.domains[vni]
	if d == nil {
		return 0
	}
	return l.flushWhere(d, Flushed, func(e Entry) bool { return e.learned() && doomed(e) })
}
