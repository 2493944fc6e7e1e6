package nginx

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/lbmedic/lbmedic/internal/durable"
	"github.com/lbmedic/lbmedic/lbconfig"
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
// probe. Without that proof the old bytes are put back, and nginx is brought back to them where it may have left them.
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

// change is one Apply under way.
type change struct {
	i        *Instance
	base     *Closure
	tree     overlay // the files as they shall be
	expected Hash
	written  []string
	out      Outcome
}

func (c *change) run(ctx context.Context, edits []FileEdit, effect func(context.Context) error) error {
	m, err := openMaster(c.i.PIDFile, c.i.Exe, c.i.sameConf)
	if err != nil {
		return err
	}
	defer m.close()
	if err := c.prepare(edits); err != nil {
		return err
	}
	if err := c.write(); err != nil {
		return errors.Join(err, c.restore())
	}
	if err := c.judge(ctx); err != nil {
		return errors.Join(err, c.restore())
	}
	sure, err := c.reload(ctx, m, effect)
	if err == nil {
		c.out.Applied = true
		return nil
	}
	err = errors.Join(err, c.restore())
	if !sure && len(c.out.Restored) > 0 {
		// nginx may run with the new bytes, or may still take them on: bring it back to the old ones.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.i.patience())
		defer cancel()
		r := reload{i: c.i, m: m}
		if _, back := r.run(bounded, func() error { return nil }); back != nil {
			err = errors.Join(err, fmt.Errorf("reload the old configuration: %w", back))
		}
	}
	return err
}

// prepare works out the new bytes and refuses what can be refused before a file is touched.
func (c *change) prepare(edits []FileEdit) error {
	if got := c.i.Load().Hash(); got != c.base.Hash() {
		return fmt.Errorf("%w since it was read; read it again", ErrChanged)
	}
	for _, e := range edits {
		f := c.base.File(e.Source.Path)
		if f == nil || !bytes.Equal(f.Source.Bytes, e.Source.Bytes) {
			return fmt.Errorf("%w: %s is not the file that the edit was made for", ErrChanged, e.Source.Path)
		}
		data, err := e.Bytes()
		if err != nil {
			return err
		}
		if _, twice := c.tree.files[e.Source.Path]; twice {
			return fmt.Errorf("%w: two edits of %s", ErrRefused, e.Source.Path)
		}
		c.tree.files[e.Source.Path] = data
	}
	after := Load(c.i.Prefix, c.i.Conf, c.tree)
	for _, p := range after.Problems {
		if p.Severity == lbconfig.Error {
			return fmt.Errorf("%w: %s", ErrRefused, p)
		}
	}
	c.expected = after.Hash()
	return nil
}

func (c *change) write() error {
	for path, data := range c.tree.files {
		// The last look: what somebody writes between here and the rename is lost to them.
		if err := c.holds(path, c.base.File(path).Source.Bytes); err != nil {
			return err
		}
		if err := durable.WriteFile(path, data, 0o644); err != nil {
			return err
		}
		c.written = append(c.written, path)
	}
	return nil
}

func (c *change) holds(path string, want []byte) error {
	got, _, err := Disk{}.Read(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: %s", ErrChanged, path)
	}
	return nil
}

func (c *change) judge(ctx context.Context) error {
	c.out.Report = c.i.Check(ctx)
	switch c.out.Report.Verdict {
	case Valid:
		return c.unchanged()
	case Invalid:
		return fmt.Errorf("%w: %s", ErrRefused, firstError(c.out.Report.Problems))
	}
	return fmt.Errorf("%w: %s", ErrUnknown, c.out.Report.Why)
}

func firstError(problems []lbconfig.Problem) string {
	for _, p := range problems {
		if p.Severity == lbconfig.Error {
			return p.String()
		}
	}
	return "it does not say why"
}

// unchanged holds while the files are those that were judged.
func (c *change) unchanged() error {
	if c.i.Load().Hash() != c.expected {
		return fmt.Errorf("%w while it was judged; decide again", ErrChanged)
	}
	return nil
}

// restore puts the old bytes back, where the file still holds what we wrote.
func (c *change) restore() error {
	var failed error
	for _, path := range c.written {
		err := c.holds(path, c.tree.files[path])
		if errors.Is(err, ErrChanged) {
			c.out.Kept = append(c.out.Kept, path)
			continue
		}
		if err == nil {
			err = durable.WriteFile(path, c.base.File(path).Source.Bytes, 0o644)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("put back the old %s, do it by hand: %w", path, err))
			continue
		}
		c.out.Restored = append(c.out.Restored, path)
	}
	return failed
}

// overlay is a Tree with some files replaced.
type overlay struct {
	Tree
	files map[string][]byte
}

func (o overlay) Read(path string) (data []byte, id string, err error) {
	if data, ok := o.files[path]; ok {
		return data, path, nil
	}
	return o.Tree.Read(path)
}
