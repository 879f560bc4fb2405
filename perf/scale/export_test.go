package scale

import "fmt"

// BeginMark of WriteDoc for the program scale.
var BeginMark = fmt.Sprintf(beginMark, "scale")

// EndMark of WriteDoc.
const EndMark = endMark
