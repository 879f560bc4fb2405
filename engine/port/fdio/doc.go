// Package fdio shares a file descriptor between the one worker that reads or
// writes it and the control goroutine that may close or replace it, and holds
// the batched system calls on it.
//
// Two things make that hard in plain Go. A descriptor that control closes while
// a worker is in a system call may be opened again as something else, so only
// its user, or nobody's user, may close it (Gate, Handle). And shutdown(2) does
// not wake a reader of a packet socket or TAP device, so every wait also watches
// an eventfd (Handle.Wait).
//
// Calls that cannot block go around the Go scheduler (RawSyscall): with two
// workers on two processors, a system call of more than 20 us that the
// scheduler knows of costs the worker its processor, and a futex to win it
// back. Calls that may block are known to the scheduler.
//
// Linux only. Layer 1. No goroutine, no clock.
package fdio
