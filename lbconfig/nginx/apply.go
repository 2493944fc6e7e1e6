package nginx

import (
	"context"
	"errors"
	"fmt"
)

// What Apply's error wraps. In each case the files are as they were, but for Outcome.Kept.
var (
	ErrChanged    = errors.New("the configuration changed on disk")       // somebody's newer edit wins
	ErrRefused    = errors.New("the new configuration is refused")        // by our reader or by `nginx -t`
	ErrUnknown    = errors.New("the new configuration cannot be judged")  // `nginx -t` did not run to its end
	ErrNotApplied = errors.New("nginx did not take the configuration on") // no proof that it runs with it
)

// Outcome is what became of a change.
type Outcome struct {
	Applied  bool
	Report   Report   // of the validation; its zero value means that it did not come to it
	Workers  []Worker // after the reload, those that are shutting down included
	Restored []string // files that hold their old bytes again
	Kept     []string // files that somebody else changed meanwhile, left as that one wants them
}

// Apply makes edits of base live: it writes them, has the real program judge them, reloads, and proves the reload by
// new workers that started after the signal, by old ones that were all told to stop, and by effect, the caller's own
// probe. Without edits it does the same for the files as they stand. Without that proof the old bytes are put back, and nginx is brought back to them where it may have left them.
//
// base is the closure that the edits were made for. If the files differ from it just before they are written, or from
// what was judged just before the signal, the newer edit wins and ErrChanged is returned. The signal is held back until
// the youngest worker is one second old, because a reload is not to follow another one, ours or foreign, any closer.
// When ctx ends before the signal, the old bytes are put back; after it, the proof is waited for all the same.
func (i *Instance) Apply(ctx context.Context, base *Closure, edits []FileEdit, effect func(context.Context) error) (Outcome, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	c := change{i: i, base: base, tree: overlay{Disk{}, map[string][]byte{}}}
	err := c.run(ctx, edits, effect)
	if err != nil {
		err = fmt.Errorf("apply an edit of %s: %w", i.Conf, err)
	}
	return c.out, err
}
