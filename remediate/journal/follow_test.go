package journal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestWaitEndsWithARecordTheContextOrTheJournal(t *testing.T) {
	j, _ := mustOpen(t, t.TempDir(), Settings{})
	waiting := func(ctx context.Context, seq uint64) <-chan error {
		done := make(chan error, 1)
		go func() { done <- j.Wait(ctx, seq) }()
		return done
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, second, never := waiting(t.Context(), 0), waiting(t.Context(), 1), waiting(ctx, 9)
	mustAppend(t, j, "a", nil)
	if err := <-first; err != nil {
		t.Errorf("behind 0: %v", err)
	}
	select {
	case err := <-second:
		t.Errorf("behind 1 there is nothing yet: %v", err)
	default:
	}
	mustAppend(t, j, "b", nil)
	if err := <-second; err != nil {
		t.Errorf("behind 1: %v", err)
	}
	cancel()
	if err := <-never; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	last := waiting(t.Context(), 2)
	mustClose(t, j)
	if err := <-last; !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := j.Read(0, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if _, err := j.Append("c", nil); !errors.Is(err, ErrClosed) {
		t.Errorf("append: %v", err)
	}
	if err := j.Checkpoint(2, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("checkpoint: %v", err)
	}
}

// Writers, a checkpointer and readers inside and outside the process: nobody sees a gap, a repetition or damage.
func TestReadersBesideWritersSeeEveryRecordOnce(t *testing.T) {
	t.Run("with all history", func(t *testing.T) { readBesideWriters(t, 1000) })
	t.Run("with rotations", func(t *testing.T) { readBesideWriters(t, 8) })
}

func readBesideWriters(t *testing.T, keep int) {
	const writers, each = 4, 100
	dir := memoryDir(t)
	j, _ := mustOpen(t, dir, Settings{Keep: keep})
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if _, err := j.Append("n", 1); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Go(func() {
		for seq := uint64(0); seq < writers*each && !t.Failed(); {
			if err := j.Wait(t.Context(), seq); err != nil {
				t.Error(err)
				return
			}
			records, err := j.Read(seq, 7)
			if err != nil {
				t.Error(err)
				return
			}
			for _, r := range records {
				if r.Seq <= seq || keep > writers*each && r.Seq != seq+1 {
					t.Errorf("record %d behind %d", r.Seq, seq)
				}
				seq = r.Seq
			}
		}
	})
	wg.Go(func() {
		for seq := uint64(0); seq < writers*each && !t.Failed(); {
			seq = j.Last()
			if err := j.Checkpoint(seq, seq); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for seq := uint64(0); seq < writers*each && !t.Failed(); {
			rec, err := Inspect(dir)
			if err != nil || rec.Incomplete || rec.Seq+uint64(len(rec.Records)) < seq {
				t.Errorf("from outside behind %d: %+v, %v", seq, rec, err)
			}
			seq = rec.Seq + uint64(len(rec.Records))
		}
	})
	wg.Wait()
}

func TestAJournalThatCannotTakeAWriteBackTakesNoMore(t *testing.T) {
	dir := t.TempDir()
	j, _ := mustOpen(t, dir, Settings{})
	first := mustAppend(t, j, "take", nil)
	readOnly, err := os.Open(filepath.Join(dir, "journal")) // neither a write nor a truncate succeeds on it
	if err != nil {
		t.Fatal(err)
	}
	was := j.file
	j.file = readOnly
	if _, err := j.Append("take", nil); !errors.Is(err, ErrBroken) {
		t.Fatalf("append: %v", err)
	}
	if err := was.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append("take", nil); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), "restart") {
		t.Errorf("a later append: %v", err)
	}
	if err := j.Checkpoint(first.Seq, nil); !errors.Is(err, ErrBroken) {
		t.Errorf("checkpoint: %v", err)
	}
	if got, err := j.Read(0, 10); err != nil || len(got) != 1 {
		t.Errorf("read: %v, %v", got, err)
	}
	mustClose(t, j)
	if j, _ := mustOpen(t, dir, Settings{}); mustAppend(t, j, "take", nil).Seq != 2 {
		t.Error("a restart does not help")
	}
}

func TestRecordsThatDoNotFitAreRefusedAndLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	j, _ := mustOpen(t, dir, Settings{})
	for name, test := range map[string]struct {
		kind string
		body any
		want string
	}{
		"too long":           {"take", strings.Repeat("x", MaxRecord), "more than 65536"},
		"no kind":            {"", nil, "want 1 to 64"},
		"a long kind":        {strings.Repeat("k", 65), nil, "want 1 to 64"},
		"a kind with a line": {"take\n", nil, "holds more than"},
		"no JSON":            {"take", func() {}, "unsupported type"},
	} {
		if _, err := j.Append(test.kind, test.body); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r := mustAppend(t, j, "take", strings.Repeat("x", MaxRecord-200)); r.Seq != 1 {
		t.Errorf("the next record is %d", r.Seq)
	}
	if err := j.Checkpoint(2, nil); err == nil {
		t.Error("a checkpoint of the future was taken")
	}
	if err := j.Checkpoint(1, strings.Repeat("y", 1<<20)); err != nil {
		t.Error(err)
	}
	if err := j.Checkpoint(0, nil); err == nil {
		t.Error("a checkpoint of the past was taken")
	}
	mustClose(t, j)
	if _, rec := mustOpen(t, dir, Settings{}); rec.Seq != 1 || len(rec.State) != 1<<20+2 || len(rec.Records) != 0 || len(rec.Damage) != 0 {
		t.Errorf("%d, %d bytes, %v, %v", rec.Seq, len(rec.State), rec.Records, rec.Damage)
	}
}

func TestOneBadEntryKeepsTheOthersOut(t *testing.T) {
	j, _ := mustOpen(t, t.TempDir(), Settings{})
	if _, err := j.AppendAll(Entry{"good", 1}, Entry{"bad", strings.Repeat("x", MaxRecord)}); err == nil {
		t.Error("no error")
	}
	records, err := j.AppendAll(Entry{"good", 1}, Entry{"good", 2})
	if err != nil || len(records) != 2 || records[1].Seq != 2 {
		t.Errorf("%+v, %v", records, err)
	}
}

func BenchmarkAppend(b *testing.B) {
	j, _ := mustOpen(b, b.TempDir(), Settings{})
	body := strings.Repeat("x", 200)
	for b.Loop() {
		mustAppend(b, j, "take.intent", body)
	}
}

func BenchmarkOpenWith10000Records(b *testing.B) {
	dir := memoryDir(b)
	j, _ := mustOpen(b, dir, Settings{})
	entries := make([]Entry, 100)
	for i := range entries {
		entries[i] = Entry{"take.intent", strings.Repeat("x", 200)}
	}
	for range 100 {
		if _, err := j.AppendAll(entries...); err != nil {
			b.Fatal(err)
		}
	}
	mustClose(b, j)
	for b.Loop() {
		j, _, err := Open(dir, Settings{})
		if err != nil {
			b.Fatal(err)
		}
		mustClose(b, j)
	}
}

func TestTheNewestRecordStaysHoweverSmallTheFileMustBe(t *testing.T) {
	dir := t.TempDir()
	j, _ := mustOpen(t, dir, Settings{Keep: 1, MaxBytes: 1})
	mustAppend(t, j, "first", nil)
	last := mustAppend(t, j, "last", nil)
	for range 3 {
		if err := j.Checkpoint(last.Seq, "all"); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, j)
	j, rec := mustOpen(t, dir, Settings{})
	if rec.Incomplete || rec.Seq != last.Seq {
		t.Errorf("%+v", rec)
	}
	if got, err := j.Read(0, 10); err != nil || len(got) != 1 || got[0].Kind != "last" {
		t.Errorf("%+v, %v", got, err)
	}
}
