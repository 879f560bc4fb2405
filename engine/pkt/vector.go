package pkt

// Vector is the burst of frames that one worker has in hand. The frames are
// allocated once with the vector; N of them are in use. Worker only.
type Vector struct {
	Frames []Frame
	N      int
}

// NewVector returns a vector that holds up to n frames.
func NewVector(n int) *Vector {
	return &Vector{Frames: make([]Frame, n)}
}

// Reset empties v.
func (v *Vector) Reset() { v.N = 0 }

// Full reports whether Add would return nil.
func (v *Vector) Full() bool { return v.N == len(v.Frames) }

// Add takes the next free frame, resets it over head and returns it; nil when v
// is full.
//
// Hot path: no allocation.
func (v *Vector) Add(head []byte) *Frame {
	if v.N == len(v.Frames) {
		return nil
	}
	f := &v.Frames[v.N]
	v.N++
	f.Reset(head)
	return f
}

// Used returns the frames in use, in order of arrival.
func (v *Vector) Used() []Frame { return v.Frames[:v.N] }
