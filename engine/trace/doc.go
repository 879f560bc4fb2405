// Package trace lets people watch real frames on their way: capture copies the
// bytes that pass a stage, sampling follows single frames from stage to stage
// with the reason when one is dropped.
//
// Workers ask Tap.Active once a burst and skip everything else while nobody
// watches, so the forwarding path pays one atomic load a burst. While somebody
// watches, frames are copied under a lock and dropped records are counted:
// watching may slow forwarding down, and never blocks it.
//
// Layer 1. No goroutine, no clock: workers pass the time in.
package trace
