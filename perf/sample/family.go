package sample

import (
	"slices"
	"strings"
)

// Family is a group of functions, by package.
type Family uint8

// The families.
const (
	Crypto Family = iota
	Kernel
	Engine
	Runtime
	Other
	numFamilies
)

// Families lists all families, in the order of the constants.
var Families = []Family{Crypto, Kernel, Engine, Runtime, Other}

// String returns the family's name.
func (f Family) String() string {
	return [numFamilies]string{"crypto", "kernel", "engine", "runtime", "other"}[f]
}

// module is the path in front of ZTOS's packages.
const module = "github.com/ztos/ztos/"

// cipherPackages are the packages whose functions seal and open, and nothing
// else on a frame's path: whatever stands on a stack above them works for them.
// A path stands for those below it too.
var cipherPackages = []string{
	module + "crypto",
	"crypto/aes",
	"crypto/cipher",
	"crypto/subtle",
	"crypto/internal/fips140/aes", // with gcm below it
	"crypto/internal/fips140/alias",
	"crypto/internal/fips140/subtle",
	"golang.org/x/crypto/chacha20",
	"golang.org/x/crypto/chacha20poly1305",
	"golang.org/x/crypto/internal/alias",
	"golang.org/x/crypto/internal/poly1305",
}

// notCiphers are packages below cipherPackages that do other things.
var notCiphers = []string{module + "crypto/replay", module + "crypto/secret"}

// kernelPackages hold nothing but entries into the kernel.
var kernelPackages = []string{"internal/runtime/syscall", "runtime/internal/syscall"}

// kernelPrefixes are the beginnings of function names that enter the kernel
// from packages which also do other things.
var kernelPrefixes = []string{
	"syscall.rawSyscall", "syscall.RawSyscall", "syscall.rawVforkSyscall", "syscall.Syscall",
	"golang.org/x/sys/unix.Syscall", "golang.org/x/sys/unix.RawSyscall",
}

// kernelRuntime are the runtime's own entries into the kernel.
var kernelRuntime = []string{
	"runtime.closefd", "runtime.futex", "runtime.madvise", "runtime.mincore", "runtime.open",
	"runtime.osyield", "runtime.read", "runtime.sysMmap", "runtime.sysMunmap", "runtime.tgkill",
	"runtime.timer_settime", "runtime.usleep", "runtime.write1",
}

// pkg returns the package path of a function's name, as profiles have it:
// "crypto/aes" of "crypto/aes.(*Block).Encrypt".
func pkg(function string) string {
	function, _, _ = strings.Cut(function, "[") // type arguments name packages too
	last := strings.LastIndexByte(function, '/') + 1
	if dot := strings.IndexByte(function[last:], '.'); dot >= 0 {
		return function[:last+dot]
	}
	return function // assembly without a package
}

// below reports whether path is one of folders or below one.
func below(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool {
		return strings.HasPrefix(path, f) && (len(path) == len(f) || path[len(f)] == '/')
	})
}

// Cipher reports whether a function belongs to an AEAD: AES-GCM or
// ChaCha20-Poly1305, ours, the standard library's or golang.org/x/crypto's.
func Cipher(function string) bool {
	p := pkg(function)
	return below(p, cipherPackages) && !below(p, notCiphers)
}

// EntersKernel reports whether a function as a leaf stands for the kernel's
// time.
func EntersKernel(function string) bool {
	return below(pkg(function), kernelPackages) || slices.Contains(kernelRuntime, function) ||
		slices.ContainsFunc(kernelPrefixes, func(p string) bool { return strings.HasPrefix(function, p) })
}

// Of returns the family of a function by itself.
func Of(function string) Family {
	p := pkg(function)
	switch {
	case below(p, notCiphers):
		return Engine
	case below(p, cipherPackages), below(p, []string{"crypto", "golang.org/x/crypto"}):
		return Crypto
	case EntersKernel(function), below(p, []string{"syscall", "golang.org/x/sys/unix"}):
		return Kernel
	case strings.HasPrefix(p, module), p == "main":
		return Engine
	case below(p, []string{"runtime", "internal/runtime", "internal/bytealg", "internal/poll", "sync", "internal/sync", "time"}), !strings.Contains(function, "."):
		return Runtime
	}
	return Other
}
