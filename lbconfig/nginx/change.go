package nginx

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/lbmedic/lbmedic/internal/durable"
	"github.com/lbmedic/lbmedic/lbconfig"
)

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
		c.written = append(c.written, path) // also where this fails: the new bytes may be there all the same
		if err := durable.WriteFile(path, data, 0o644); err != nil {
			return err
		}
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
		return nil
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
		old := c.base.File(path).Source.Bytes
		err := c.holds(path, c.tree.files[path])
		if errors.Is(err, ErrChanged) {
			if c.holds(path, old) == nil { // never written, or somebody was faster
				c.out.Restored = append(c.out.Restored, path)
			} else {
				c.out.Kept = append(c.out.Kept, path)
			}
			continue
		}
		if err == nil {
			err = durable.WriteFile(path, old, 0o644)
		}
		if errors.Is(err, durable.ErrNotDurable) {
			failed, err = errors.Join(failed, err), nil
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
