package guest

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
)

// errGone is the error of commands that the guest did not answer before it
// ended.
var errGone = errors.New("guest: the guest has ended")

// maxAnswer bounds one answer of the guest, base64 included.
const maxAnswer = 64 << 20

// ExitError is what Run returns when the command's exit status is not 0.
type ExitError struct {
	Command string
	Status  int    // 1 to 255
	Output  string // both standard streams
}

// Error returns command, status and the end of the output.
func (e *ExitError) Error() string {
	return fmt.Sprintf("guest: %q: exit status %d: %s", e.Command, e.Status, strings.TrimSpace(e.Output[max(0, len(e.Output)-2000):]))
}

// answer is one command's result.
type answer struct {
	status int
	output string
}

// control is the host's end of the control port. Any goroutine.
type control struct {
	conn  net.Conn
	ready chan string   // the guest's kernel release, once
	gone  chan struct{} // closed when the connection ended

	mu      sync.Mutex
	next    int
	waiting map[int]chan answer
}

// newControl reads conn until it ends.
func newControl(conn net.Conn) *control {
	c := &control{conn: conn, ready: make(chan string, 1), gone: make(chan struct{}), waiting: map[int]chan answer{}}
	go c.read()
	return c
}

// read hands out the guest's answers.
func (c *control) read() {
	defer close(c.gone)
	s := bufio.NewScanner(c.conn)
	s.Buffer(make([]byte, 64<<10), maxAnswer)
	for s.Scan() {
		words := strings.Fields(s.Text())
		if len(words) == 2 && words[0] == "ready" {
			select {
			case c.ready <- words[1]:
			default:
			}
			continue
		}
		if id, a, ok := parseAnswer(words); ok {
			c.mu.Lock()
			ch := c.waiting[id]
			delete(c.waiting, id)
			c.mu.Unlock()
			if ch != nil {
				ch <- a
			}
		}
	}
}

// parseAnswer reads ID STATUS [BASE64]; empty output has no third word.
func parseAnswer(words []string) (id int, a answer, ok bool) {
	if len(words) != 2 && len(words) != 3 {
		return 0, a, false
	}
	id, err1 := strconv.Atoi(words[0])
	status, err2 := strconv.Atoi(words[1])
	if err1 != nil || err2 != nil {
		return 0, a, false
	}
	a.status = status
	if len(words) == 3 {
		b, err := base64.StdEncoding.DecodeString(words[2])
		if err != nil {
			return 0, a, false
		}
		a.output = string(b)
	}
	return id, a, true
}

// run runs shell commands in the guest.
func (c *control) run(ctx context.Context, command string) (string, error) {
	ch := make(chan answer, 1)
	c.mu.Lock()
	c.next++
	id := c.next
	c.waiting[id] = ch
	_, err := fmt.Fprintf(c.conn, "%d %s\n", id, base64.StdEncoding.EncodeToString([]byte(command)))
	c.mu.Unlock()
	if err == nil {
		select {
		case a := <-ch:
			if a.status != 0 {
				return a.output, &ExitError{command, a.status, a.output}
			}
			return a.output, nil
		case <-ctx.Done():
			err = fmt.Errorf("guest: %q: %w", command, context.Cause(ctx))
		case <-c.gone:
			err = errGone
		}
	}
	c.mu.Lock()
	delete(c.waiting, id)
	c.mu.Unlock()
	return "", err
}
