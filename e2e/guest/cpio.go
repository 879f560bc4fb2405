package guest

import (
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
)

// archive collects the files of an initramfs and writes them in the "newc" cpio
// format that the kernel unpacks (Documentation/driver-api/early-userspace/
// buffer-format.rst): ASCII headers of 110 bytes, names and contents padded to
// 4 bytes.
type archive struct {
	files map[string]entry // by absolute path
}

// entry is a file: its contents or, for a directory, none.
type entry struct {
	mode uint32 // file type and permissions
	data []byte
}

const (
	modeDir  = 0o040755
	modeFile = 0o100755 // executable: libraries and programs alike
)

// add puts a file with its contents at an absolute path, with the folders
// above it.
func (a *archive) add(name string, data []byte) {
	if a.files == nil {
		a.files = map[string]entry{}
	}
	name = path.Clean("/" + name)
	a.files[name] = entry{modeFile, data}
	for dir := path.Dir(name); dir != "/"; dir = path.Dir(dir) {
		a.files[dir] = entry{mode: modeDir}
	}
}

// copy puts a file of this machine at the path name, links followed.
func (a *archive) copy(name, from string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("guest: %w", err)
	}
	a.add(name, b)
	return nil
}

// writeTo writes the archive. Names are sorted, so folders come before what is
// in them.
func (a *archive) writeTo(w io.Writer) error {
	names := make([]string, 0, len(a.files))
	for n := range a.files {
		names = append(names, n)
	}
	slices.Sort(names)
	for i, n := range names {
		if err := writeEntry(w, i+1, strings.TrimPrefix(n, "/"), a.files[n]); err != nil {
			return err
		}
	}
	return writeEntry(w, 0, "TRAILER!!!", entry{})
}

// writeEntry writes one file.
func writeEntry(w io.Writer, inode int, name string, e entry) error {
	// magic, inode, mode, uid, gid, links, mtime, size, device (major, minor),
	// device it stands for (major, minor), length of the name with its NUL,
	// checksum (unused).
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		inode, e.mode, 0, 0, 1, 0, len(e.data), 0, 0, 0, 0, len(name)+1, 0)
	if _, err := io.WriteString(w, pad(header+name+"\x00")); err != nil {
		return err
	}
	if _, err := w.Write(e.data); err != nil {
		return err
	}
	_, err := io.WriteString(w, strings.Repeat("\x00", -len(e.data)&3))
	return err
}

// pad fills s with NULs to a multiple of 4 bytes.
func pad(s string) string { return s + strings.Repeat("\x00", -len(s)&3) }
