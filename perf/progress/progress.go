package progress

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Bar shows how far a run is. On a terminal it is one line that is drawn again;
// elsewhere every step is a line of its own. One goroutine at a time.
type Bar struct {
	w        io.Writer
	terminal bool
	total    int
	done     int
	start    time.Time
}

// New returns a bar of total steps, at least one, that writes to w.
func New(w io.Writer, terminal bool, total int) *Bar {
	return &Bar{w: w, terminal: terminal, total: total, start: time.Now()}
}

// Step counts one step as done and shows what it was.
func (p *Bar) Step(what string) {
	p.done++
	took := time.Since(p.start)
	if !p.terminal {
		fmt.Fprintf(p.w, "[%2d/%d %3.0f s] %s\n", p.done, p.total, took.Seconds(), what)
		return
	}
	const width = 24
	full := min(width*p.done/p.total, width)
	// \033[K clears what an older, longer line left behind.
	fmt.Fprintf(p.w, "\r[%s%s] %d/%d %s, %s left  %s\033[K", strings.Repeat("#", full),
		strings.Repeat(".", width-full), p.done, p.total, short(took), short(p.left(took)), what)
}

// left guesses how long the rest takes: as long for each step as those before.
func (p *Bar) left(took time.Duration) time.Duration {
	return took / time.Duration(max(p.done, 1)) * time.Duration(max(p.total-p.done, 0))
}

// short writes a time as 1:23, minutes and seconds.
func short(d time.Duration) string {
	s := int(d.Seconds() + 0.5)
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// End leaves the line.
func (p *Bar) End() {
	if p.terminal {
		fmt.Fprintln(p.w)
	}
}
