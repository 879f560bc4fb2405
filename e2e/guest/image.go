package guest

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

//go:embed init.sh
var initScript []byte

// modules are loaded at boot, in order. Those that they need come along; crypto
// modules are listed because the kernel asks for them by algorithm, not by
// symbol.
var modules = []string{
	"virtio_pci", "virtio_console", "virtio_net",
	"gcm", "ctr", "cmac", "ghash-generic", "aesni_intel", "ghash_clmulni_intel", "crc32c_generic",
	"macsec", "wireguard", "vxlan", "vrf", "veth", "bridge", "8021q", "dummy", "tun",
}

// optionalModules are those of modules that a kernel may lack: then it has the
// same by another name, or nothing needs it.
var optionalModules = []string{"ghash-generic", "crc32c_generic", "ghash_clmulni_intel"}

// tools are the programs of this machine that every guest has, and
// optionalTools those that it has when they are installed here.
var (
	tools         = []string{"dash", "ip", "wg"}
	optionalTools = []string{"bridge", "tc", "ss", "ethtool", "ping", "tcpdump", "iperf3", "wpa_supplicant", "wpa_cli"}
)

// image is what QEMU boots.
type image struct {
	kernel string // vmlinuz
	initrd string // initramfs, not compressed
}

// cacheDir returns build/cache/guest of the repository that holds the working
// folder, or a folder in the user's cache.
func cacheDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("guest: %w", err)
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return filepath.Join(d, "build", "cache", "guest"), nil
		}
		if d == filepath.Dir(d) {
			break
		}
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("guest: %w", err)
	}
	return filepath.Join(base, "ztos-guest"), nil
}

// prepare returns the image, made at first use and kept. Several programs may
// call it at once: one works, the others wait.
func prepare(ctx context.Context) (image, error) {
	dir, err := cacheDir()
	if err != nil {
		return image{}, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return image{}, fmt.Errorf("guest: %w", err)
	}
	lock, err := os.Open(dir)
	if err != nil {
		return image{}, fmt.Errorf("guest: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return image{}, fmt.Errorf("guest: lock %s: %w", dir, err)
	}
	root, err := kernelTree(ctx, dir)
	if err != nil {
		return image{}, err
	}
	return initramfs(ctx, dir, root)
}

// run runs a program and returns its standard output; a failure's error holds
// its other output.
func run(ctx context.Context, dir string, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("guest: %q: %w: %s", argv, err, bytes.TrimSpace(errs.Bytes()))
	}
	return out.Bytes(), nil
}

// kernelTree returns the folder with the unpacked kernel package, downloading
// it when no kernel is in the cache yet.
func kernelTree(ctx context.Context, dir string) (string, error) {
	have, err := filepath.Glob(filepath.Join(dir, "linux-image-*-cloud-*", "boot", "vmlinuz-*"))
	if err == nil && len(have) > 0 {
		return filepath.Dir(filepath.Dir(preferred(have))), nil
	}
	name, err := latestKernel(ctx)
	if err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(dir, "download-")
	if err != nil {
		return "", fmt.Errorf("guest: %w", err)
	}
	defer os.RemoveAll(tmp)
	// As root apt would drop to a user that cannot write here.
	if _, err := run(ctx, tmp, "apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", name); err != nil {
		return "", err
	}
	debs, err := filepath.Glob(filepath.Join(tmp, "*.deb"))
	if err != nil || len(debs) != 1 {
		return "", fmt.Errorf("guest: apt-get download %s left %d packages", name, len(debs))
	}
	if _, err := run(ctx, tmp, "dpkg-deb", "-x", debs[0], "tree"); err != nil {
		return "", err
	}
	root := filepath.Join(dir, name)
	if err := os.Rename(filepath.Join(tmp, "tree"), root); err != nil {
		return "", fmt.Errorf("guest: %w", err)
	}
	return root, nil
}

// kernelRE matches the names of Debian's signed cloud kernels, for this
// machine's architecture alone.
var kernelRE = regexp.MustCompile(`(?m)^linux-image-[0-9][0-9a-z.+~]*(-[0-9]+)?-cloud-amd64\b`)

// latestKernel returns the name of the preferred cloud kernel package.
func latestKernel(ctx context.Context) (string, error) {
	out, err := run(ctx, "", "apt-cache", "search", "--names-only", `^linux-image-[0-9].*-cloud-amd64$`)
	if err != nil {
		return "", err
	}
	names := kernelRE.FindAllString(string(out), -1)
	if len(names) == 0 {
		return "", errors.New("guest: the package lists hold no linux-image-*-cloud-amd64: run apt-get update")
	}
	return preferred(names), nil
}

// preferred returns the newest Linux 6.1 among kernel names, the kernel of
// Debian 12 that the interoperability tests were written against; without one,
// the newest of all.
func preferred(names []string) string {
	slices.SortFunc(names, func(a, b string) int {
		const lts = "linux-image-6.1.0-"
		if strings.Contains(a, lts) != strings.Contains(b, lts) {
			if strings.Contains(a, lts) {
				return 1
			}
			return -1
		}
		return versionCompare(a, b)
	})
	return names[len(names)-1]
}

// versionCompare orders names by their runs of digits as numbers.
func versionCompare(a, b string) int {
	for a != "" && b != "" {
		na, ra := number(a)
		nb, rb := number(b)
		switch {
		case ra != a && rb != b && na != nb:
			return na - nb
		case ra != a && rb != b:
			a, b = ra, rb
		case a[0] != b[0]:
			return int(a[0]) - int(b[0])
		default:
			a, b = a[1:], b[1:]
		}
	}
	return len(a) - len(b)
}

// number returns the number at the start of s and the rest, which is s when
// there is none.
func number(s string) (int, string) {
	end := 0
	for end < len(s) && end < 9 && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(s[:end])
	if err != nil {
		return 0, s
	}
	return n, s[end:]
}

// initramfs returns the image of a kernel tree, built when it is not in the
// cache with the same init script and programs.
func initramfs(ctx context.Context, dir, root string) (image, error) {
	kernels, err := filepath.Glob(filepath.Join(root, "boot", "vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		return image{}, fmt.Errorf("guest: %s/boot: %d kernels, want 1", root, len(kernels))
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		return image{}, missing("busybox", err)
	}
	programs := []string{busybox}
	for i, t := range append(slices.Clone(tools), optionalTools...) {
		p, err := exec.LookPath(t)
		if err != nil && i < len(tools) {
			return image{}, missing(t, err)
		}
		if err == nil {
			programs = append(programs, p)
		}
	}
	stamp, err := fingerprint(append(programs, kernels[0]))
	if err != nil {
		return image{}, err
	}
	img := image{kernels[0], filepath.Join(dir, "initramfs-"+stamp)}
	if _, err := os.Stat(img.initrd); err == nil {
		return img, nil
	}
	var a archive
	a.add("/init", initScript)
	a.add("/etc/modules", []byte(strings.Join(modules, "\n")+"\n"))
	if err := a.copy("/bin/busybox", busybox); err != nil {
		return image{}, err
	}
	for _, p := range programs[1:] {
		if err := addProgram(ctx, &a, p); err != nil {
			return image{}, err
		}
	}
	release := strings.TrimPrefix(filepath.Base(kernels[0]), "vmlinuz-")
	if err := addModules(ctx, &a, root, release); err != nil {
		return image{}, err
	}
	// Older images of the cache are of no more use.
	old, err := filepath.Glob(filepath.Join(dir, "initramfs-*"))
	if err != nil {
		return image{}, fmt.Errorf("guest: %w", err)
	}
	for _, o := range old {
		if err := os.Remove(o); err != nil {
			return image{}, fmt.Errorf("guest: %w", err)
		}
	}
	var b bytes.Buffer
	if err := a.writeTo(&b); err != nil {
		return image{}, err
	}
	tmp := img.initrd + ".new"
	if err := os.WriteFile(tmp, b.Bytes(), 0o644); err != nil {
		return image{}, fmt.Errorf("guest: %w", err)
	}
	if err := os.Rename(tmp, img.initrd); err != nil {
		return image{}, fmt.Errorf("guest: %w", err)
	}
	return img, nil
}

// missing writes the error of a program that is not installed.
func missing(name string, err error) error {
	return fmt.Errorf("guest: %s: %w; scripts/install-deps.sh test installs what is needed", name, err)
}

// fingerprint names an image by the init script, the modules, and the size and
// age of the files that go in.
func fingerprint(files []string) (string, error) {
	h := sha256.New()
	h.Write(initScript)
	fmt.Fprintln(h, modules)
	for _, f := range files {
		st, err := os.Stat(f)
		if err != nil {
			return "", fmt.Errorf("guest: %w", err)
		}
		fmt.Fprintln(h, f, st.Size(), st.ModTime().UnixNano())
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// libraryRE matches the paths in ldd's output.
var libraryRE = regexp.MustCompile(`(?m)(?:=> |^\s*)(/\S+) \(0x`)

// addProgram puts a program into /usr/local/bin, before busybox's applets in
// the path, and its shared libraries at their own paths.
func addProgram(ctx context.Context, a *archive, program string) error {
	if err := a.copy("/usr/local/bin/"+filepath.Base(program), program); err != nil {
		return err
	}
	out, err := run(ctx, "", "ldd", program)
	if err != nil {
		return nil // a static program has no libraries, and ldd says so by failing
	}
	for _, m := range libraryRE.FindAllSubmatch(out, -1) {
		lib := string(m[1])
		if _, have := a.files[filepath.Clean(lib)]; have {
			continue
		}
		if err := a.copy(lib, lib); err != nil {
			return err
		}
	}
	return nil
}

// addModules puts the modules and those they need into the archive, with the
// index files that modprobe reads.
func addModules(ctx context.Context, a *archive, root, release string) error {
	base := filepath.Join(root, "lib", "modules", release)
	if _, err := os.Stat(base); errors.Is(err, fs.ErrNotExist) {
		base = filepath.Join(root, "usr", "lib", "modules", release)
	}
	// Into a folder of its own, as depmod wants it: /lib/modules/RELEASE.
	tmp, err := os.MkdirTemp(filepath.Dir(root), "modules-")
	if err != nil {
		return fmt.Errorf("guest: %w", err)
	}
	defer os.RemoveAll(tmp)
	all := map[string]string{} // module name -> file
	err = filepath.WalkDir(base, func(p string, d fs.DirEntry, err error) error {
		if name, _, ok := strings.Cut(filepath.Base(p), ".ko"); ok && err == nil && !d.IsDir() {
			all[strings.ReplaceAll(name, "-", "_")] = p
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("guest: %w", err)
	}
	// What a module needs is in its own .modinfo section: no list of the
	// package says it.
	done := map[string]bool{}
	var add func(name string) error
	add = func(name string) error {
		name = strings.ReplaceAll(name, "-", "_")
		file, ok := all[name]
		if !ok || done[name] {
			return nil
		}
		done[name] = true
		ko, err := unpackModule(ctx, file)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(base, file)
		if err != nil {
			return fmt.Errorf("guest: %w", err)
		}
		rel = rel[:strings.LastIndex(rel, ".ko")] + ".ko"
		to := filepath.Join(tmp, "lib", "modules", release, rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return fmt.Errorf("guest: %w", err)
		}
		if err := os.WriteFile(to, ko, 0o644); err != nil {
			return fmt.Errorf("guest: %w", err)
		}
		a.add(filepath.Join("/lib/modules", release, rel), ko)
		for _, need := range moduleNeeds(ko) {
			if err := add(need); err != nil {
				return err
			}
		}
		return nil
	}
	builtin, err := os.ReadFile(filepath.Join(base, "modules.builtin"))
	if err != nil {
		return fmt.Errorf("guest: %w", err)
	}
	inKernel := strings.ReplaceAll(string(builtin), "-", "_")
	for _, m := range modules {
		name := strings.ReplaceAll(m, "-", "_")
		if _, ok := all[name]; !ok && !strings.Contains(inKernel, "/"+name+".ko") && !slices.Contains(optionalModules, m) {
			return fmt.Errorf("guest: kernel %s has no module %s", release, m)
		}
		if err := add(m); err != nil {
			return err
		}
	}
	for _, f := range []string{"modules.builtin", "modules.builtin.modinfo", "modules.order"} {
		b, err := os.ReadFile(filepath.Join(base, f))
		if err != nil {
			return fmt.Errorf("guest: %w", err)
		}
		if err := os.WriteFile(filepath.Join(tmp, "lib", "modules", release, f), b, 0o644); err != nil {
			return fmt.Errorf("guest: %w", err)
		}
		a.add(filepath.Join("/lib/modules", release, f), b)
	}
	depmod, err := exec.LookPath("depmod")
	if err != nil {
		depmod = "/sbin/depmod"
	}
	if _, err := run(ctx, "", depmod, "-b", tmp, release); err != nil {
		return err
	}
	for _, f := range []string{"modules.dep", "modules.alias", "modules.softdep", "modules.symbols"} {
		if err := a.copy(filepath.Join("/lib/modules", release, f), filepath.Join(tmp, "lib", "modules", release, f)); err != nil {
			return err
		}
	}
	return nil
}

// unpackModule returns a module's ELF file, uncompressed.
func unpackModule(ctx context.Context, file string) ([]byte, error) {
	switch filepath.Ext(file) {
	case ".xz":
		return run(ctx, "", "xz", "-dc", file)
	case ".zst":
		return run(ctx, "", "zstd", "-dcq", file)
	case ".gz":
		return run(ctx, "", "gzip", "-dc", file)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("guest: %w", err)
	}
	return b, nil
}

// moduleNeeds returns the modules that a module asks for.
func moduleNeeds(ko []byte) []string { return needs(modinfo(ko)) }

// needs returns the modules that a .modinfo section names in "depends=" and in
// "softdep=pre:"; the section holds NUL-terminated strings.
func needs(info []byte) (names []string) {
	for _, s := range bytes.Split(info, []byte{0}) {
		if list, ok := strings.CutPrefix(string(s), "depends="); ok && list != "" {
			names = append(names, strings.Split(list, ",")...)
		}
		if list, ok := strings.CutPrefix(string(s), "softdep=pre: "); ok {
			names = append(names, strings.Fields(list)...)
		}
	}
	return names
}
