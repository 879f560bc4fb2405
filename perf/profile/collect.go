package profile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/pprof/profile"

	take "github.com/ztos/ztos/api/profile"
)

// Collect takes CPU profiles of all nodes under each load for d, 1 s to 60 s, and
// returns them, load by load in the order of Nodes. note gets a line for each
// load.
func Collect(ctx context.Context, o BedOptions, loads []Load, d time.Duration, note func(string)) (out []*profile.Profile, err error) {
	b, err := open(ctx, o)
	if b != nil {
		defer func() { err = errors.Join(err, b.Close()) }()
	}
	if err != nil {
		return nil, err
	}
	for _, l := range loads {
		note(fmt.Sprintf("%-4s  %s", l.Name, l.What))
		err := l.under(ctx, b, func() error {
			raws, err := capture(ctx, b, take.Request{Kind: take.CPU, Duration: d})
			if err != nil {
				return err
			}
			for _, raw := range raws {
				p, err := profile.ParseData(raw)
				if err != nil {
					return fmt.Errorf("profile: %w", err)
				}
				out = append(out, p)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
