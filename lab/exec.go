package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/ztos/ztos/lab/netplumb"
)

// Cmd is a command that runs in a node: an exec.Cmd whose methods that start it
// do so inside the node's namespace. Make it with Lab.Command.
type Cmd struct {
	*exec.Cmd
	namespace string
}

// Start starts the command. Wait must follow, as with exec.Cmd.
func (c *Cmd) Start() error { return netplumb.Start(c.namespace, c.Cmd) }

// Run is Start and Wait.
func (c *Cmd) Run() error { return netplumb.Run(c.namespace, c.Cmd) }

// Output runs the command and returns its standard output.
func (c *Cmd) Output() ([]byte, error) {
	if c.Stdout != nil {
		return nil, errors.New("lab: Stdout is set")
	}
	var b bytes.Buffer
	c.Stdout = &b
	err := c.Run()
	return b.Bytes(), err
}

// CombinedOutput runs the command and returns its standard output and error.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil {
		return nil, errors.New("lab: Stdout or Stderr is set")
	}
	var b bytes.Buffer
	c.Stdout, c.Stderr = &b, &b
	err := c.Run()
	return b.Bytes(), err
}

// Command returns a command for a node of a lab that exists. It is killed when
// ctx ends; what it leaves running in the background is ended by Down. The node
// has its own network and /sys; files and users are the machine's. Error:
// ErrNotUp.
func (l *Lab) Command(ctx context.Context, node string, argv ...string) (*Cmd, error) {
	s, err := readState(l.dir)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fmt.Errorf("lab: %s: %w", l.name, ErrNotUp)
	}
	ns := s.namespace(node)
	if ns == "" {
		return nil, fmt.Errorf("lab: %s: no node %q", l.name, node)
	}
	if len(argv) == 0 {
		return nil, fmt.Errorf("lab: %s: no command", node)
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), tokenVar+"="+s.Token)
	// A child in the background may hold the output pipe for ever.
	cmd.WaitDelay = time.Second
	return &Cmd{cmd, ns}, nil
}

// Exec runs a command in a node with the given standard streams, which may be
// nil. A command that fails gives an *exec.ExitError.
func (l *Lab) Exec(ctx context.Context, node string, argv []string, stdin io.Reader, stdout, stderr io.Writer) error {
	c, err := l.Command(ctx, node, argv...)
	if err != nil {
		return err
	}
	c.Stdin, c.Stdout, c.Stderr = stdin, stdout, stderr
	return c.Run()
}
