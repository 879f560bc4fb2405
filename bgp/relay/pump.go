package relay

import (
	"bufio"
	"io"

	"github.com/ztos/ztos/bgp/scrub"
)

// bufSize holds the longest message (RFC 8654 section 4: 65535 bytes).
const bufSize = 1 << 16

// pump copies messages from src to dst, each as fn rewrites it, until one side
// ends. What cannot be a message of BGP is copied as it is from there on: GoBGP,
// or the peer, answers it.
func pump(dst io.Writer, src *bufio.Reader, fn func(out, msg []byte) []byte) error {
	out := make([]byte, 0, bufSize)
	for {
		head, err := src.Peek(scrub.HeaderLen)
		if err != nil {
			return err
		}
		n, ok := scrub.Length(head)
		if !ok {
			_, err := io.Copy(dst, src)
			return err
		}
		msg, err := src.Peek(n)
		if err != nil {
			return err
		}
		out = fn(out, msg)
		if _, err := src.Discard(n); err != nil {
			return err
		}
		if len(out) < bufSize && buffered(src) {
			continue // one write for all that is there
		}
		if _, err := dst.Write(out); err != nil {
			return err
		}
		out = out[:0]
	}
}

// buffered reports whether a whole message waits in src.
func buffered(src *bufio.Reader) bool {
	if src.Buffered() < scrub.HeaderLen {
		return false
	}
	head, err := src.Peek(scrub.HeaderLen)
	if err != nil {
		return false
	}
	n, ok := scrub.Length(head)
	return ok && src.Buffered() >= n
}
