package fabric

import "github.com/ztos/ztos/engine/table"

// vniTable maps VNIs to values with one multiply and, as a rule, one load. It is
// immutable after build and at most half full, so probes are short.
type vniTable[T any] struct {
	slots []vniSlot[T]
	shift uint
}

type vniSlot[T any] struct {
	vni   table.VNI // 0: free, VNI 0 is not a valid key
	value T
}

func newVNITable[T any](m map[table.VNI]T) *vniTable[T] {
	t := sizedVNITable[T](len(m))
	for vni, v := range m {
		t.add(vni, v)
	}
	return t
}

// sizedVNITable returns an empty table for n values.
func sizedVNITable[T any](n int) *vniTable[T] {
	bits := uint(1)
	for 1<<bits < 2*n {
		bits++
	}
	return &vniTable[T]{slots: make([]vniSlot[T], 1<<bits), shift: 32 - bits}
}

// add puts v in the place of what there is for vni. There is room.
func (t *vniTable[T]) add(vni table.VNI, v T) {
	i := t.home(vni)
	for t.slots[i].vni != 0 && t.slots[i].vni != vni {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = vniSlot[T]{vni, v}
}

// home is Fibonacci hashing: VNIs are often consecutive.
func (t *vniTable[T]) home(vni table.VNI) int {
	return int(uint32(vni) * 2654435769 >> t.shift)
}

// lookup returns the value for vni.
//
// Hot path: no allocation.
func (t *vniTable[T]) lookup(vni table.VNI) (v T, ok bool) {
	for i := t.home(vni); t.slots[i].vni != 0; i = (i + 1) & (len(t.slots) - 1) {
		if t.slots[i].vni == vni {
			return t.slots[i].value, true
		}
	}
	return v, false
}
