package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// keepSecretsIn keeps the process's memory, which holds keys, out of core dumps
// and away from debuggers of the same user.
func keepSecretsIn() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("no core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("not dumpable: %w", err)
	}
	return nil
}
