// White-box: the pieces of an image that need no QEMU have no exported names.

package guest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestArchive(t *testing.T) {
	var a archive
	a.add("/a/b/c", []byte("hello"))
	a.add("x", nil)
	var got bytes.Buffer
	if err := a.writeTo(&got); err != nil {
		t.Fatal(err)
	}
	header := func(inode, mode, size, name int) string {
		return fmt.Sprintf("070701%08x%08x0000000000000000%08x00000000%08x%032x%08x%08x", inode, mode, 1, size, 0, name, 0)
	}
	// Headers are 110 bytes: header and name with its NUL are padded to 4.
	want := header(1, 0o040755, 0, 2) + "a\x00" +
		header(2, 0o040755, 0, 4) + "a/b\x00\x00\x00" +
		header(3, 0o100755, 5, 6) + "a/b/c\x00" + "hello\x00\x00\x00" +
		header(4, 0o100755, 0, 2) + "x\x00" +
		header(0, 0, 0, 11) + "TRAILER!!!\x00\x00\x00\x00"
	if got.String() != want {
		t.Errorf("got\n%q, want\n%q", got.String(), want)
	}
	if cpio, err := exec.LookPath("cpio"); err == nil { // another reader
		cmd := exec.Command(cpio, "-it", "--quiet")
		cmd.Stdin = &got
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != "a\na/b\na/b/c\nx\n" {
			t.Errorf("cpio: %q, %v", out, err)
		}
	}
}

func TestPreferred(t *testing.T) {
	for _, tt := range []struct{ names, want string }{
		{"linux-image-6.1.0-9-cloud-amd64 linux-image-6.1.0-56-cloud-amd64 linux-image-6.1.0-50-cloud-amd64", "linux-image-6.1.0-56-cloud-amd64"},
		{"linux-image-6.12.117+deb12-cloud-amd64 linux-image-6.1.0-9-cloud-amd64", "linux-image-6.1.0-9-cloud-amd64"},
		{"linux-image-6.12.9+deb13-cloud-amd64 linux-image-6.12.41+deb13-cloud-amd64", "linux-image-6.12.41+deb13-cloud-amd64"},
	} {
		if got := preferred(strings.Fields(tt.names)); got != tt.want {
			t.Errorf("%s: got %s", tt.names, got)
		}
	}
	list := "linux-image-6.1.0-9-cloud-amd64 - Linux 6.1 for x86-64 cloud (signed)\n" +
		"linux-image-6.1.0-9-cloud-amd64-dbg - Debug symbols\nlinux-image-6.1.0-9-cloud-amd64-unsigned - Linux\n" +
		"linux-image-6.12.41+deb13-cloud-amd64 - Linux 6.12\n"
	if got := kernelRE.FindAllString(list, -1); len(got) < 2 {
		t.Errorf("found %q", got)
	}
}

func TestParseAnswer(t *testing.T) {
	for _, tt := range []struct {
		line string
		id   int
		want answer
		ok   bool
	}{
		{"3 0 aGk=", 3, answer{0, "hi"}, true},
		{"4 127", 4, answer{127, ""}, true},
		{"ready 6.1", 0, answer{}, false},
		{"3 x aGk=", 0, answer{}, false},
		{"3 0 !", 0, answer{}, false},
		{"3 0 aGk= more", 0, answer{}, false},
		{"", 0, answer{}, false},
	} {
		id, got, ok := parseAnswer(strings.Fields(tt.line))
		if ok != tt.ok || ok && (id != tt.id || got != tt.want) {
			t.Errorf("%q: got %d, %+v, %v", tt.line, id, got, ok)
		}
	}
}

// FuzzParseAnswer: nothing that a guest says panics.
func FuzzParseAnswer(f *testing.F) {
	f.Add("3 0 aGk=")
	f.Add("4 127")
	f.Fuzz(func(t *testing.T, line string) {
		if _, a, ok := parseAnswer(strings.Fields(line)); !ok && a.output != "" {
			t.Errorf("output %q of a refused answer", a.output)
		}
	})
}

// TestModuleNeeds reads the strings of a module as a compiler lays them out.
func TestModuleNeeds(t *testing.T) {
	if got := moduleNeeds([]byte("not an ELF file")); got != nil {
		t.Errorf("got %v", got)
	}
	info := []byte("license=GPL\x00depends=gcm,udp_tunnel\x00softdep=pre: ctr cmac\x00depends=\x00")
	if got := fmt.Sprint(needs(info)); got != "[gcm udp_tunnel ctr cmac]" {
		t.Errorf("got %s", got)
	}
}

// TestAddProgram brings a program of this machine with its libraries.
func TestAddProgram(t *testing.T) {
	self := "/bin/sh"
	var a archive
	if err := addProgram(t.Context(), &a, self); err != nil {
		t.Fatal(err)
	}
	if len(a.files["/usr/local/bin/sh"].data) == 0 {
		t.Error("no program")
	}
	if err := addProgram(t.Context(), &a, filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent program: %v", err)
	}
}
