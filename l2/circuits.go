package l2

import "iter"

// Circuits yields every attachment circuit that a frame may be classified to, as
// the tables have them; those of the inner tables as often as they stand there.
func (a *Access) Circuits() iter.Seq[*AC] {
	return func(yield func(*AC) bool) {
		give := func(ac *AC) bool { return ac == nil || yield(ac) }
		if !give(a.untagged) || !give(a.all) {
			return
		}
		for i := range a.outer {
			if !give(a.outer[i].ac) {
				return
			}
			if a.outer[i].inner == nil {
				continue
			}
			for _, k := range a.outer[i].inner {
				if !give(a.acs[k]) {
					return
				}
			}
		}
	}
}
