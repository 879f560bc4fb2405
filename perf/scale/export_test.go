package scale

// The marks of WriteDoc.
const (
	BeginMark = beginMark
	EndMark   = endMark
)
