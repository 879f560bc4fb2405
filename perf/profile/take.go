package profile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ztos/ztos/api/client"
	take "github.com/ztos/ztos/api/profile"
	"github.com/ztos/ztos/perf/bed"
)

// capture takes a profile of every node at the same time and returns them in
// the order of Nodes.
func capture(ctx context.Context, b *bed.Bed, q take.Request) ([][]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, q.Duration+30*time.Second)
	defer cancel()
	all := make([][]byte, len(Nodes))
	errs := make(chan error, len(Nodes))
	for i, node := range Nodes {
		go func() {
			var err error
			all[i], err = one(ctx, b.Socket(node), q)
			if err != nil {
				err = fmt.Errorf("profile: %s of %s: %w", q.Kind, node, err)
			}
			errs <- err
		}()
	}
	var err error
	for range Nodes {
		err = errors.Join(err, <-errs)
	}
	return all, err
}

// one takes a profile of the engine at a socket.
func one(ctx context.Context, socket string, q take.Request) (raw []byte, err error) {
	c, err := client.Dial(socket)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	var out bytes.Buffer
	err = c.Profile(ctx, q, &out)
	return out.Bytes(), err
}
