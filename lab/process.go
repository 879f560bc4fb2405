package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ztos/ztos/lab/netplumb"
)

// EngineProcess is the name of the engine's process in a leaf or spine.
const EngineProcess = "engine"

// tokenVar is the environment variable by which a lab knows its processes:
// TOKEN, or TOKEN:NODE/PROCESS. Children inherit it.
const tokenVar = "ZTOS_LAB"

// Times that processes get.
const (
	termTimeout = 5 * time.Second       // from SIGTERM to SIGKILL
	killTimeout = 10 * time.Second      // from SIGKILL to giving up
	pollEvery   = 20 * time.Millisecond // between looks
)

// spawn starts the process p in its node, with its output in logPath, and
// writes the state before and after. exited is closed when it ends; the
// process outlives the caller.
func (l *Lab) spawn(s *state, p processState, logPath string) (exited chan struct{}, err error) {
	p.PID, p.Start, p.Stopped = 0, 0, false
	if old := s.process(p.Node, p.Name); old != nil {
		*old = p
	} else {
		s.Processes = append(s.Processes, p)
	}
	if err := s.write(l.dir); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(logPath, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	defer log.Close()
	cmd := exec.Command(p.Command[0], p.Command[1:]...)
	cmd.Env = append(os.Environ(), tokenVar+"="+s.Token+":"+p.Node+"/"+p.Name)
	if p.Name == EngineProcess {
		cmd.Env = append(cmd.Env, l.opts.EngineEnv...)
	}
	cmd.Stdout, cmd.Stderr = log, log
	// A session of its own: an interrupt at the terminal is not for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := netplumb.Start(s.namespace(p.Node), cmd); err != nil {
		return nil, fmt.Errorf("lab: %s: start %s: %w", p.Node, p.Name, err)
	}
	exited = make(chan struct{})
	go func() { // reaps it while this program lives
		_ = cmd.Wait() // how it ended is not asked for; its log says why
		close(exited)
	}()
	rec := s.process(p.Node, p.Name)
	rec.PID = cmd.Process.Pid
	rec.Start, _ = startTime(rec.PID) // 0 when it is gone already: no process matches
	return exited, s.write(l.dir)
}

// awaitSocket waits until something listens on the unix socket, the process
// ends, or time is up.
func awaitSocket(ctx context.Context, socket string, exited chan struct{}) error {
	for {
		c, err := net.Dial("unix", socket)
		if err == nil {
			return c.Close()
		}
		select {
		case <-exited:
			return errors.New("ended before its API answered")
		case <-ctx.Done():
			return fmt.Errorf("API socket does not answer: %w", context.Cause(ctx))
		case <-time.After(pollEvery):
		}
	}
}

// logTail returns the last lines of a log file, for an error.
func logTail(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "no log"
	}
	defer f.Close()
	const most = 2000
	if st, err := f.Stat(); err == nil && st.Size() > most {
		if _, err := f.Seek(-most, io.SeekEnd); err != nil {
			return "no log"
		}
	}
	b, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return "its log is empty"
	}
	return "end of its log:\n" + strings.TrimSpace(string(b))
}

// startTime returns when a process began, clock ticks since boot: field 22 of
// /proc/PID/stat. A zombie counts as gone.
func startTime(pid int) (uint64, bool) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, false
	}
	// The second field is the command in brackets and may hold anything.
	_, rest, ok := strings.Cut(string(b[max(0, bytes.LastIndexByte(b, ')')):]), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return 0, false
	}
	t, err := strconv.ParseUint(fields[19], 10, 64)
	return t, err == nil
}

// alive reports whether the recorded process still runs.
func (p *processState) alive() bool {
	t, ok := startTime(p.PID)
	return p.PID > 0 && ok && p.Start != 0 && t == p.Start
}

// marked returns the processes whose environment holds the token: "TOKEN" and
// all of its processes, or exactly "TOKEN:NODE/PROCESS".
func marked(token string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []int
	whole, prefix := []byte(tokenVar+"="+token), []byte(tokenVar+"="+token+":")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		env, err := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if err != nil {
			continue
		}
		if slices.ContainsFunc(bytes.Split(env, []byte{0}), func(kv []byte) bool {
			return bytes.Equal(kv, whole) || bytes.HasPrefix(kv, prefix)
		}) {
			out = append(out, pid)
		}
	}
	return out
}

// end ends every process of recs that still is the one recorded, and every
// process marked with the token: first signal, then SIGKILL after termTimeout.
// It returns an error when one is still there at last.
func end(recs []processState, token string, signal syscall.Signal) error {
	find := func() []int {
		pids := marked(token)
		for i := range recs {
			if recs[i].alive() && !slices.Contains(pids, recs[i].PID) {
				pids = append(pids, recs[i].PID)
			}
		}
		return slices.DeleteFunc(pids, func(pid int) bool { _, ok := startTime(pid); return !ok })
	}
	told := map[int]bool{}
	deadline := time.Now().Add(termTimeout)
	for {
		pids := find()
		if len(pids) == 0 {
			return nil
		}
		if now := time.Now(); now.After(deadline) {
			if signal == unix.SIGKILL {
				return fmt.Errorf("lab: processes %v do not end", pids)
			}
			signal, deadline = unix.SIGKILL, now.Add(killTimeout)
			clear(told)
		}
		for _, pid := range pids {
			if told[pid] {
				continue
			}
			told[pid] = true
			sendTo(pid, recs, token, signal)
		}
		time.Sleep(pollEvery)
	}
}

// sendTo signals pid through a file that stands for that very process, and
// looks again whether it is ours once it has that file: the number may have
// gone to another process in between.
func sendTo(pid int, recs []processState, token string, signal syscall.Signal) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return // gone
	}
	defer unix.Close(fd)
	ours := slices.ContainsFunc(recs, func(p processState) bool { return p.PID == pid && p.alive() })
	if !ours && !slices.Contains(marked(token), pid) {
		return
	}
	_ = unix.PidfdSendSignal(fd, signal, nil, 0) // ESRCH: gone; find sees the rest
}
