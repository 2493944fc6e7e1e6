package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// specimen is a real state directory with two checkpoints, history before them and records behind them.
type specimen struct {
	files   map[string][]byte
	written []Record
	seq     uint64 // of the newest checkpoint
}

func makeSpecimen(t testing.TB) specimen {
	t.Helper()
	dir := t.TempDir()
	j, _ := mustOpen(t, dir, Settings{Keep: 4})
	s := specimen{files: map[string][]byte{}}
	for i := range 10 {
		s.written = append(s.written, mustAppend(t, j, "take", note{strings.Repeat("x", i)}))
		if i == 3 || i == 6 {
			s.seq = s.written[i].Seq
			if err := j.Checkpoint(s.seq, map[string]uint64{"seq": s.seq}); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustClose(t, j)
	for _, name := range []string{"journal", "checkpoint", "checkpoint.old"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		s.files[name] = data
	}
	return s
}

// memoryDir is a folder where a sync costs nothing, for tests that open thousands of journals.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "journal")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	return dir
}

// lay writes the specimen into a fresh directory with one file changed.
func (s specimen) lay(t testing.TB, name string, data []byte) string {
	t.Helper()
	dir := memoryDir(t)
	for n, d := range s.files {
		if n == name {
			d = data
		}
		if err := os.WriteFile(filepath.Join(dir, n), d, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// check opens a damaged specimen and holds the answer against what was written.
func (s specimen) check(t *testing.T, dir string) (Recovered, Record) {
	t.Helper()
	j, rec, err := Open(dir, Settings{Keep: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if rec.State != nil && string(rec.State) != fmt.Sprintf(`{"seq":%d}`, rec.Seq) {
		t.Fatalf("state %s at %d was never written", rec.State, rec.Seq)
	}
	for i, r := range rec.Records {
		if at := int(rec.Seq) + i; at >= len(s.written) || !reflect.DeepEqual(r, s.written[at]) {
			t.Fatalf("record %d behind checkpoint %d is %+v, which is not what was written there", i, rec.Seq, r)
		}
	}
	next, err := j.Append("after", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.checkpointed(t, j, dir, next.Seq)
	again, err := Inspect(dir)
	want := append(rec.Records[:len(rec.Records):len(rec.Records)], next)
	if err != nil || len(again.Damage) > 0 || again.Seq != rec.Seq || again.Incomplete != rec.Incomplete || !reflect.DeepEqual(again.Records, want) {
		t.Fatalf("after the repair: %+v, %v", again, err)
	}
	return rec, next
}

// checkpointed expects that the next checkpoint ends what is left of the damage.
func (s specimen) checkpointed(t *testing.T, j *Journal, dir string, seq uint64) {
	t.Helper()
	if err := j.Checkpoint(seq, "read back"); err != nil {
		t.Fatal(err)
	}
	if rec, err := Inspect(dir); err != nil || rec.Incomplete || rec.Seq != seq {
		t.Fatalf("after a checkpoint: %+v, %v", rec, err)
	}
}

// bits to flip: the lowest, the one between a capital and a small letter, the highest.
var bits = []byte{0x01, 0x20, 0x80}

func TestTheJournalCutAtEveryByteKeepsItsPrefix(t *testing.T) {
	t.Parallel()
	s := makeSpecimen(t)
	data := s.files["journal"]
	for n := range data {
		rec, _ := s.check(t, s.lay(t, "journal", data[:n]))
		whole := strings.Count(string(data[:n]), "\n") - 1 // lines behind the header
		first := len(s.written) - (strings.Count(string(data), "\n") - 1)
		if want := max(0, first+whole-int(s.seq)); len(rec.Records) != want {
			t.Errorf("cut at %d of %d: %d records, want %d", n, len(data), len(rec.Records), want)
		}
		atLine := n == 0 || data[n-1] == '\n'
		if (len(rec.Damage) == 0) != atLine {
			t.Errorf("cut at %d: damage %v", n, rec.Damage)
		}
		if lost := first+max(0, whole) < int(s.seq); rec.Incomplete != lost && whole >= 0 {
			t.Errorf("cut at %d: incomplete is %v, damage %v", n, rec.Incomplete, rec.Damage)
		}
	}
}

func TestAFlippedBitAnywhereRefusesItsLineAndAllBehind(t *testing.T) {
	t.Parallel()
	s := makeSpecimen(t)
	data := s.files["journal"]
	first := len(s.written) - (strings.Count(string(data), "\n") - 1)
	for n := range data {
		bit := bits[n%len(bits)]
		bad := append([]byte(nil), data...)
		bad[n] ^= bit
		rec, next := s.check(t, s.lay(t, "journal", bad))
		before := strings.Count(string(data[:n]), "\n") - 1
		if want := max(0, first+before-int(s.seq)); len(rec.Records) != want {
			t.Errorf("flip %#x at %d: %d records, want %d", bit, n, len(rec.Records), want)
		}
		if len(rec.Damage) != 1 || rec.Damage[0].Aside != "journal.bad-1" || !rec.Incomplete || rec.Damage[0].Torn {
			t.Errorf("flip %#x at %d: incomplete %v, damage %+v", bit, n, rec.Incomplete, rec.Damage)
		}
		if next.Seq <= s.written[len(s.written)-1].Seq {
			t.Errorf("flip %#x at %d: number %d, which was refused, is given out again", bit, n, next.Seq)
		}
	}
}

func TestAnUnreadableCheckpointCostsNothing(t *testing.T) {
	t.Parallel()
	s := makeSpecimen(t)
	data := s.files["checkpoint"]
	damaged := map[string][]byte{}
	for n := range data {
		damaged[fmt.Sprintf("cut at %d", n)] = data[:n]
		bad := append([]byte(nil), data...)
		bad[n] ^= bits[n%len(bits)]
		damaged[fmt.Sprintf("flip %#x at %d", bits[n%len(bits)], n)] = bad
	}
	for name, bad := range damaged {
		rec, _ := s.check(t, s.lay(t, "checkpoint", bad))
		if rec.Seq != 4 || len(rec.Records) != 6 || rec.Incomplete || len(rec.Damage) != 1 || rec.Damage[0].Aside != "checkpoint.bad-1" {
			t.Errorf("%s: %+v", name, rec)
		}
	}
}

func TestMissingRecordsAreNoticed(t *testing.T) {
	s := makeSpecimen(t)
	lines := strings.SplitAfter(string(s.files["journal"]), "\n")
	without := func(i int) []byte { return []byte(strings.Join(append(lines[:i:i], lines[i+1:]...), "")) }
	swapped := append([]string(nil), lines...)
	swapped[len(lines)-2], swapped[len(lines)-3] = swapped[len(lines)-3], swapped[len(lines)-2]
	for name, test := range map[string]struct {
		file string
		data []byte
	}{
		"a line taken out":        {"journal", without(len(lines) - 3)},
		"a line twice":            {"journal", []byte(strings.Join(append(lines[:len(lines)-1:len(lines)-1], lines[len(lines)-2]), ""))},
		"two lines swapped":       {"journal", []byte(strings.Join(swapped, ""))},
		"no line left":            {"journal", []byte(lines[0])},
		"an empty journal":        {"journal", nil},
		"a binary journal":        {"journal", []byte("\x00\xff\n\x00")},
		"one endless line":        {"journal", []byte(strings.Repeat("z", 3*MaxRecord))},
		"no readable checkpoints": {"checkpoint", []byte("\n")},
	} {
		t.Run(name, func(t *testing.T) {
			dir := s.lay(t, test.file, test.data)
			if test.file == "checkpoint" {
				if err := os.WriteFile(filepath.Join(dir, "checkpoint.old"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
				j, rec, err := Open(dir, Settings{})
				if err != nil {
					t.Fatal(err)
				}
				defer j.Close()
				if !rec.Incomplete || rec.State != nil || len(rec.Damage) != 2 {
					t.Errorf("%+v", rec)
				}
				return
			}
			if rec, _ := s.check(t, dir); !rec.Incomplete {
				t.Errorf("%+v", rec)
			}
		})
	}
}

func TestAnUnreadableCheckpointBesideAnEmptyJournalIsNoticed(t *testing.T) {
	dir := t.TempDir()
	for name, data := range map[string][]byte{"journal": header("journal"), "checkpoint": {0}} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, rec := mustOpen(t, dir, Settings{}); !rec.Incomplete || len(rec.Damage) != 1 {
		t.Errorf("%+v", rec)
	}
}

func TestAMissingJournalBehindACheckpointIsNoticed(t *testing.T) {
	dir := makeSpecimen(t).lay(t, "", nil)
	if err := os.Remove(filepath.Join(dir, "journal")); err != nil {
		t.Fatal(err)
	}
	j, rec := mustOpen(t, dir, Settings{})
	if !rec.Incomplete || rec.Seq != 7 || j.Last() != 7 {
		t.Errorf("%+v, last %d", rec, j.Last())
	}
	if r := mustAppend(t, j, "take", nil); r.Seq != 8 {
		t.Errorf("the next record is %d", r.Seq)
	}
	// Without the newest checkpoint, records 5 to 7 are nowhere any more: 8 must not pass for the one behind 4.
	if err := os.Remove(filepath.Join(dir, "checkpoint")); err != nil {
		t.Fatal(err)
	}
	if rec, err := Inspect(dir); err != nil || !rec.Incomplete || rec.Seq != 4 || len(rec.Records) > 0 {
		t.Errorf("%+v, %v", rec, err)
	}
}

func TestANewerFormatIsRefusedAndLeftAlone(t *testing.T) {
	s := makeSpecimen(t)
	for _, name := range []string{"journal", "checkpoint", "checkpoint.old"} {
		what := strings.TrimSuffix(name, ".old")
		head := strings.Replace(string(header(what)), " 1 ", " 2 ", 1)
		text, _, _ := cutLast(head, " ")
		head = string(headerOf(text))
		dir := s.lay(t, name, []byte(head+"something new\n"))
		_, _, err := Open(dir, Settings{})
		var newer *NewerError
		if !errors.As(err, &newer) || newer.Version != 2 {
			t.Errorf("%s: %v", name, err)
		}
		got, rerr := os.ReadFile(filepath.Join(dir, name))
		if rerr != nil || string(got) != head+"something new\n" {
			t.Errorf("%s was changed: %q, %v", name, got, rerr)
		}
	}
}

func TestFewDamagedFilesAreKept(t *testing.T) {
	dir := t.TempDir()
	for i := range keepAside + 3 {
		j, _ := mustOpen(t, dir, Settings{})
		mustClose(t, j)
		f, err := os.OpenFile(filepath.Join(dir, "journal"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(f, "damage %d\n", i)
		f.Close()
	}
	j, rec := mustOpen(t, dir, Settings{})
	defer j.Close()
	kept, err := filepath.Glob(filepath.Join(dir, "journal.bad-*"))
	if err != nil || len(kept) != keepAside {
		t.Errorf("kept %v, %v", kept, err)
	}
	got, err := os.ReadFile(filepath.Join(dir, rec.Damage[0].Aside))
	if err != nil || string(got) != fmt.Sprintf("damage %d\n", keepAside+2) {
		t.Errorf("the newest is %q, %v", got, err)
	}
}
