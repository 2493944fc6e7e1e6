package control

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"encoding/json"

	"github.com/lbmedic/lbmedic/remediate"
	"github.com/lbmedic/lbmedic/remediate/journal"
)

// checkpointEvery is how many records a restart has to read at most, about.
const checkpointEvery = 1000

// Book is the journal together with what it adds up to. It is shared by all controllers of a process.
type Book struct {
	journal *journal.Journal

	mu       sync.Mutex // one append and fold at a time, in the journal's order
	ledger   atomic.Pointer[remediate.Ledger]
	broken   atomic.Pointer[string]
	watchers map[int]func()
	next     int
	tried    time.Time // when a journal that could not be written was last tried again
}

// Sighting is the body of a record that is for people only.
type Sighting struct {
	Balancer string `json:"balancer,omitempty"`
	Target   string `json:"target,omitempty"`
	What     string `json:"what"`
	Detail   string `json:"detail,omitempty"`
}

// NewBook folds what a journal recovered. It takes over the journal; Close closes it.
func NewBook(j *journal.Journal, recovered journal.Recovered) (*Book, error) {
	ledger, err := AddUp(recovered)
	if err != nil {
		return nil, err
	}
	b := &Book{journal: j, watchers: map[int]func(){}}
	b.ledger.Store(ledger)
	if !recovered.Incomplete || ledger.Frozen != nil {
		return b, nil
	}
	// Records are missing, so what seems ours may have been given back since. Nothing is undone on that ground alone:
	// automation stays frozen until a person has looked. Orders stand, for losing one would be worse.
	return b, b.Freeze("lbmedic", "a part of the journal is missing: compare `lbmedic status` with what you expect, then `lbmedic thaw`")
}

// AddUp is what a journal adds up to, as far as it could be read.
func AddUp(recovered journal.Recovered) (*remediate.Ledger, error) {
	ledger := remediate.NewLedger()
	if len(recovered.State) > 0 {
		if err := json.Unmarshal(recovered.State, ledger); err != nil {
			return nil, fmt.Errorf("read the journal's checkpoint: %w", err)
		}
	}
	for _, r := range recovered.Records {
		if err := ledger.Fold(r.Seq, r.At, r.Kind, r.Body); err != nil {
			return nil, err
		}
	}
	return ledger, nil
}

// Close writes a checkpoint and closes the journal.
func (b *Book) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.journal.Checkpoint(b.journal.Last(), b.ledger.Load())
	if cerr := b.journal.Close(); err == nil {
		err = cerr
	}
	return err
}

// Ledger is what the journal adds up to now. It is never modified.
func (b *Book) Ledger() *remediate.Ledger { return b.ledger.Load() }

// Broken says why nothing can be journaled, and is empty when the last attempt worked.
func (b *Book) Broken() string {
	if s := b.broken.Load(); s != nil {
		return *s
	}
	return ""
}

// Append writes a record, folds it and returns its number once it is on disk.
func (b *Book) Append(kind string, body any) (uint64, error) {
	return b.appendAll(journal.Entry{Kind: kind, Body: body})
}

// appendAll writes records by one write and one sync, and returns the number of the last.
func (b *Book) appendAll(entries ...journal.Entry) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	records, err := b.journal.AppendAll(entries...)
	if err != nil {
		why := err.Error()
		b.broken.Store(&why)
		return 0, err
	}
	b.broken.Store(nil)
	ledger := b.ledger.Load().Clone()
	for _, r := range records {
		if err := ledger.Fold(r.Seq, r.At, r.Kind, r.Body); err != nil {
			return 0, err
		}
	}
	b.ledger.Store(ledger)
	seq := records[len(records)-1].Seq
	if b.journal.Pending() > checkpointEvery {
		if err := b.journal.Checkpoint(seq, ledger); err != nil {
			return seq, nil // the records themselves are on disk; the next Append tries again
		}
	}
	return seq, nil
}

// Saw writes down something for people. It is lost where the journal cannot be written, which Append tells.
func (b *Book) Saw(all ...Sighting) {
	if len(all) == 0 {
		return
	}
	entries := make([]journal.Entry, len(all))
	for i, s := range all {
		entries[i] = journal.Entry{Kind: remediate.KindSaw, Body: s}
	}
	if _, err := b.appendAll(entries...); err != nil {
		return // Broken tells it
	}
}

// retryEvery is how often a journal that could not be written is tried again at most.
const retryEvery = time.Second

// retry tries a journal that could not be written once more, for nothing else may do so: nothing is done that cannot be
// journaled. It reports whether the journal works again.
func (b *Book) retry(now time.Time) bool {
	if b.Broken() == "" {
		return false
	}
	b.mu.Lock()
	due := now.Sub(b.tried) >= retryEvery
	if due {
		b.tried = now
	}
	b.mu.Unlock()
	if due {
		b.Saw(Sighting{What: "journal", Detail: "the journal can be written again"})
	}
	return b.Broken() == ""
}

// Freeze stops all automation until Thaw, over restarts too.
func (b *Book) Freeze(by, reason string) error {
	_, err := b.Append(remediate.KindFreeze, remediate.Freeze{By: by, Reason: reason, At: time.Now()})
	b.changed()
	return err
}

// Thaw lets automation act again.
func (b *Book) Thaw(by, reason string) error {
	_, err := b.Append(remediate.KindThaw, remediate.Freeze{By: by, Reason: reason, At: time.Now()})
	b.changed()
	return err
}

// Read returns the records behind seq, oldest first.
func (b *Book) Read(seq uint64, limit int) ([]journal.Record, error) {
	return b.journal.Read(seq, limit)
}

// Last is the number of the newest record.
func (b *Book) Last() uint64 { return b.journal.Last() }

// Wait returns once there is a record behind seq, and Ledger holds it.
func (b *Book) Wait(ctx context.Context, seq uint64) error {
	if err := b.journal.Wait(ctx, seq); err != nil {
		return err
	}
	b.mu.Lock() // held from the append until its record is folded
	defer b.mu.Unlock()
	return nil
}

// onChange has wake called when something changed that every controller must see. The func returned ends that.
func (b *Book) onChange(wake func()) func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := b.next
	b.next++
	b.watchers[id] = wake
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.watchers, id)
	}
}

func (b *Book) changed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, wake := range b.watchers {
		wake()
	}
}
