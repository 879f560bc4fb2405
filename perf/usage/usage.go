package usage

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of processor times in /proc, USER_HZ, the same on every
// machine that Go runs on.
const tick = time.Second / 100

// CPU returns the processor time that the processes have used since they
// started, user and system, in steps of 10 ms each. What their packets cost
// in interrupts counts for whoever ran at that moment, often themselves.
func CPU(pids []int) (time.Duration, error) {
	var sum time.Duration
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0, fmt.Errorf("usage: %w", err)
		}
		t, err := parseStat(text)
		if err != nil {
			return 0, fmt.Errorf("usage: process %d: %w", pid, err)
		}
		sum += t
	}
	return sum, nil
}

// parseStat returns user and system time, fields 14 and 15 of /proc/PID/stat.
func parseStat(text []byte) (time.Duration, error) {
	// The second field is the command in brackets and may hold anything.
	fields := bytes.Fields(text[max(0, bytes.LastIndexByte(text, ')')+1):])
	if len(fields) < 13 {
		return 0, fmt.Errorf("%d fields in its stat", len(fields))
	}
	var sum time.Duration
	for _, f := range fields[11:13] {
		v, err := strconv.ParseUint(string(f), 10, 63)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(v) * tick
	}
	return sum, nil
}

// RSS returns the resident memory of the largest of the processes, bytes; 0 for
// none.
func RSS(pids []int) (uint64, error) {
	var most uint64
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, fmt.Errorf("usage: %w", err)
		}
		v, err := parseStatus(string(text))
		if err != nil {
			return 0, fmt.Errorf("usage: process %d: %w", pid, err)
		}
		most = max(most, v)
	}
	return most, nil
}

// parseStatus returns VmRSS of /proc/PID/status, bytes.
func parseStatus(text string) (uint64, error) {
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmRSS:" && f[2] == "kB" {
			kib, err := strconv.ParseUint(f[1], 10, 54)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS in its status")
}

// System returns the time for which the machine's processors have been busy
// since it started, whatever with; stolen time, which others had, left out.
func System() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("usage: %w", err)
	}
	t, err := parseSystem(string(text))
	if err != nil {
		return 0, fmt.Errorf("usage: /proc/stat: %w", err)
	}
	return t, nil
}

// parseSystem adds user, nice, system, irq and softirq of the first line of
// /proc/stat: "cpu user nice system idle iowait irq softirq steal ...".
func parseSystem(text string) (time.Duration, error) {
	line, _, _ := strings.Cut(text, "\n")
	f := strings.Fields(line)
	if len(f) < 8 || f[0] != "cpu" {
		return 0, fmt.Errorf("line %q", line)
	}
	var sum time.Duration
	for _, i := range []int{1, 2, 3, 6, 7} {
		v, err := strconv.ParseUint(f[i], 10, 63)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(v) * tick
	}
	return sum, nil
}
