package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Errors of the loaders; each comes wrapped with the file's path and never with
// anything of its content.
var (
	// ErrPermissions: others than the owner can use the file, or the owner is
	// neither this process's user nor root.
	ErrPermissions = errors.New("unsafe permissions")
	// ErrNotFile: a directory, device, socket or FIFO.
	ErrNotFile = errors.New("not a regular file")
	// ErrEncoding: not what the loader expects: hex digits or base64.
	ErrEncoding = errors.New("not a key in the expected encoding")
	// ErrLength: the key has another length than the caller takes.
	ErrLength = errors.New("wrong key length")
)

// maxFile is the largest key file that is read, bytes: 64 hex digits and a
// newline need 65; nothing legitimate comes near.
const maxFile = 4096

// LoadHex reads a key written as hex digits, in either case, with white space
// before and after allowed, from the file at path. The key must have one of
// sizes, in bytes.
//
// The file must be regular, have no permission beyond 0600 and belong to the
// process's user or to root. A symbolic link is followed, and what it leads to
// is judged: type, mode and owner are asked of the open descriptor, so nothing
// can be swapped between check and read.
//
// Errors wrap ErrPermissions, ErrNotFile, ErrEncoding, ErrLength or those of os.
func LoadHex(path string, sizes ...int) (Key, error) {
	return load(path, "hex digits", sizes, func(dst, src []byte) (int, error) {
		return hex.Decode(dst, src)
	})
}

// LoadBase64 reads a 32-byte key in base64 with padding, as `wg genkey` writes
// it, from the file at path. Rules and errors are those of LoadHex.
func LoadBase64(path string) (Key32, error) {
	k, err := load(path, "base64", []int{32}, func(dst, src []byte) (int, error) {
		return base64.StdEncoding.Strict().Decode(dst, src)
	})
	if err != nil {
		return Key32{}, err
	}
	return Key32(k), nil
}

// LoadPassword reads a text of 1 to most bytes, without the line ends behind it,
// from the file at path. Rules and errors are those of LoadHex.
func LoadPassword(path string, most int) (Key, error) {
	raw, err := readPrivate(path)
	defer clear(raw)
	if err != nil {
		return Key{}, err
	}
	text := bytes.TrimRight(raw, "\r\n")
	switch n := len(text); {
	case n == 0 || n > most:
		return Key{}, fmt.Errorf("secret: %s: %w: %d bytes, want 1 to %d", path, ErrLength, n, most)
	case bytes.IndexByte(text, 0) >= 0 || bytes.ContainsAny(text, "\r\n"):
		return Key{}, fmt.Errorf("secret: %s: %w (one line of text)", path, ErrEncoding)
	}
	return New(text), nil
}

// load reads and decodes; form names the encoding for the error. The errors of
// decode are not passed on: those of encoding/hex quote a byte of the key.
func load(path, form string, sizes []int, decode func(dst, src []byte) (int, error)) (Key, error) {
	raw, err := readPrivate(path)
	defer clear(raw)
	if err != nil {
		return Key{}, err
	}
	text := bytes.TrimSpace(raw)
	buf := make([]byte, len(text)) // both encodings shrink
	defer clear(buf)
	n, err := decode(buf, text)
	if err != nil || n == 0 {
		return Key{}, fmt.Errorf("secret: %s: %w (%s)", path, ErrEncoding, form)
	}
	for _, s := range sizes {
		if n == s {
			return New(buf[:n]), nil
		}
	}
	return Key{}, fmt.Errorf("secret: %s: %w: %d bytes, want %s", path, ErrLength, n, joinOr(sizes))
}

// readPrivate returns the content of a file that passes the rules of LoadHex.
// The caller wipes it, also after an error.
func readPrivate(path string) ([]byte, error) {
	// O_NONBLOCK: opening a FIFO must not hang.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err) // a PathError names the path
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("secret: %s: %w", path, ErrNotFile)
	}
	if perm := fi.Mode().Perm(); perm&^0o600 != 0 {
		return nil, fmt.Errorf("secret: %s: %w: mode is %#o, must not exceed 0600; run: chmod 600 %s",
			path, ErrPermissions, perm, strconv.Quote(path))
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && !trustedOwner(int(st.Uid), os.Geteuid()) {
		return nil, fmt.Errorf("secret: %s: %w: owner is uid %d, must be uid %d or root; run: chown %d %s",
			path, ErrPermissions, st.Uid, os.Geteuid(), os.Geteuid(), strconv.Quote(path))
	}
	if fi.Size() > maxFile {
		return nil, fmt.Errorf("secret: %s: %w: %d bytes are more than any key file", path, ErrEncoding, fi.Size())
	}
	raw := make([]byte, maxFile+1)
	n, err := io.ReadFull(f, raw)
	switch {
	case err == nil: // grew beyond the limit since Stat
		return raw, fmt.Errorf("secret: %s: %w: larger than any key file", path, ErrEncoding)
	case err == io.EOF, err == io.ErrUnexpectedEOF:
		return raw[:n], nil
	default:
		return raw, fmt.Errorf("secret: %w", err)
	}
}

// trustedOwner reports whether a process of euid may take a key from a file of
// owner.
func trustedOwner(owner, euid int) bool { return owner == euid || owner == 0 }

func joinOr(sizes []int) string {
	s := make([]string, len(sizes))
	for i, n := range sizes {
		s[i] = strconv.Itoa(n)
	}
	return strings.Join(s, " or ")
}
