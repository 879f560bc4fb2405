package netplumb

import (
	"fmt"
	"os"
	"strings"
)

// SetSysctl writes value to a net.* sysctl of the namespace. Dots separate the
// parts of key; a slash inside a part stands for a dot in a device name, as in
// sysctl(8): net.ipv4.conf.eth0/100.rp_filter.
func (n *Namespace) SetSysctl(key, value string) error {
	return Do(n.name, func() error { return writeSysctl(key, value) })
}

// writeSysctl writes in the namespace of the calling thread. /proc/thread-self
// matters: /proc/sys/net follows the opening thread's namespace.
func writeSysctl(key, value string) error {
	if !strings.HasPrefix(key, "net.") || strings.Contains(key, "..") {
		return fmt.Errorf("netplumb: sysctl %q: only net.* belongs to a namespace", key)
	}
	path := "/proc/sys/" + strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, key)
	if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
		return fmt.Errorf("netplumb: sysctl %s=%s: %w", key, value, err)
	}
	return nil
}
