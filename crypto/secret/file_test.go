package secret_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ztos/ztos/crypto/secret"
)

// write makes a file with exactly mode, whatever the umask.
func write(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "red.0.sak")
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, mode); err != nil {
		t.Fatal(err)
	}
	return p
}

const hex16 = "ad7a2bd03eac835a6f620fdcb506b345"

func TestLoadHex(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content string
		mode    os.FileMode
		want    error
		says    string
	}{
		{"plain", hex16, 0o600, nil, ""},
		{"newline and upper case", "\n " + strings.ToUpper(hex16) + " \r\n", 0o600, nil, ""},
		{"read-only", hex16, 0o400, nil, ""},
		{"32 bytes", hex16 + hex16, 0o600, nil, ""},
		{"group may read", hex16, 0o640, secret.ErrPermissions, "chmod 600"},
		{"world may read", hex16, 0o604, secret.ErrPermissions, "mode is 0604"},
		{"executable", hex16, 0o700, secret.ErrPermissions, "mode is 0700"},
		{"too short", hex16[:30], 0o600, secret.ErrLength, "15 bytes, want 16 or 32"},
		{"too long", hex16 + "00", 0o600, secret.ErrLength, "17 bytes"},
		{"odd digits", hex16[:31], 0o600, secret.ErrEncoding, "hex digits"},
		{"not hex", hex16[:31] + "g", 0o600, secret.ErrEncoding, ""},
		{"inner space", hex16[:16] + " " + hex16[16:], 0o600, secret.ErrEncoding, ""},
		{"empty", "", 0o600, secret.ErrEncoding, ""},
		{"huge", strings.Repeat("0", 5000), 0o600, secret.ErrEncoding, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := write(t, tt.content, tt.mode)
			k, err := secret.LoadHex(p, 16, 32)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got error %v, want %v", err, tt.want)
			}
			if err == nil {
				if want := strings.ToLower(strings.TrimSpace(tt.content)); hex.EncodeToString(k.Bytes()) != want {
					t.Error("the key is not what the file holds")
				}
				return
			}
			if k.Valid() {
				t.Error("a key in spite of an error")
			}
			msg := err.Error()
			if !strings.Contains(msg, p) || !strings.Contains(msg, tt.says) {
				t.Errorf("message %q lacks the path or %q", msg, tt.says)
			}
			if strings.Contains(msg, hex16[:6]) || strings.Contains(msg, "'g'") {
				t.Errorf("message %q quotes the key", msg)
			}
		})
	}
}

func TestLoadBase64(t *testing.T) {
	raw := make([]byte, 32)
	raw[0] = 0xf0
	good := base64.StdEncoding.EncodeToString(raw)
	k, err := secret.LoadBase64(write(t, good+"\n", 0o600))
	if err != nil || k.Array()[0] != 0xf0 {
		t.Fatalf("got %v", err)
	}
	for _, tt := range []struct {
		name, content string
		want          error
	}{
		{"no padding", strings.TrimRight(good, "="), secret.ErrEncoding},
		{"stray bits", good[:42] + "B=", secret.ErrEncoding},
		{"31 bytes", base64.StdEncoding.EncodeToString(raw[:31]), secret.ErrLength},
		{"hex", hex.EncodeToString(raw), secret.ErrLength}, // 64 digits are 48 bytes of base64
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := secret.LoadBase64(write(t, tt.content, 0o600)); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// TestLoadJudgesTheTarget: a link is followed, and its target's mode decides.
func TestLoadJudgesTheTarget(t *testing.T) {
	link := func(to string) string {
		p := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(to, p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	if _, err := secret.LoadHex(link(write(t, hex16, 0o600)), 16); err != nil {
		t.Errorf("link to a private file: %v", err)
	}
	if _, err := secret.LoadHex(link(write(t, hex16, 0o644)), 16); !errors.Is(err, secret.ErrPermissions) {
		t.Errorf("link to an open file: %v", err)
	}
	if _, err := secret.LoadHex(link("/nowhere/at/all"), 16); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("dangling link: %v", err)
	}
}

func TestLoadRefusesNonFiles(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{dir, fifo, "/dev/null"} {
		if _, err := secret.LoadHex(p, 16); !errors.Is(err, secret.ErrNotFile) {
			t.Errorf("%s: %v", p, err) // and a FIFO without a writer must not hang
		}
	}
}

func TestLoadRefusesForeignOwner(t *testing.T) {
	p := write(t, hex16, 0o600)
	if os.Geteuid() != 0 {
		t.Log("not root: only the rule itself is tested")
	} else {
		if err := os.Chown(p, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := secret.LoadHex(p, 16); !errors.Is(err, secret.ErrPermissions) {
			t.Errorf("file of uid 65534: %v", err)
		}
	}
	for _, tt := range []struct {
		owner, euid int
		want        bool
	}{{0, 0, true}, {0, 1000, true}, {1000, 1000, true}, {1001, 1000, false}, {1000, 0, false}} {
		if got := secret.TrustedOwner(tt.owner, tt.euid); got != tt.want {
			t.Errorf("owner %d, euid %d: got %v", tt.owner, tt.euid, got)
		}
	}
}
