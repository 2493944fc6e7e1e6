package tail

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// logger writes to a log as a program does, that opens it for appending and keeps it open.
type logger struct {
	path string
	file *os.File
}

func newLogger(t interface{ Fatal(...any) }, path string) *logger {
	l := &logger{path: path}
	if err := l.reopen(); err != nil {
		t.Fatal(err)
	}
	return l
}

func (l *logger) reopen() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			return err
		}
	}
	l.file = f
	return nil
}

func (l *logger) write(t interface{ Fatal(...any) }, text string) {
	if _, err := l.file.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// copyTruncate is what logrotate does where it is told copytruncate.
func (l *logger) copyTruncate() error {
	raw, err := os.ReadFile(l.path)
	if err != nil {
		return err
	}
	if err := os.Rename(l.path+".1", l.path+".2"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(l.path+".1", raw, 0o644); err != nil {
		return err
	}
	return os.Truncate(l.path, 0)
}

// read gives the lines that were written since the last time.
func read(t interface{ Fatal(...any) }, tail *Tail) (lines []string) {
	for more := true; more; {
		var err error
		if more, err = tail.Next(func(line []byte) { lines = append(lines, string(line)) }); err != nil {
			t.Fatal(err)
		}
	}
	return lines
}

func begin(t *testing.T, text string) (*logger, *Tail) {
	t.Helper()
	l := newLogger(t, filepath.Join(t.TempDir(), "app.log"))
	l.write(t, text)
	tail := &Tail{Path: l.path, Line: 20}
	t.Cleanup(func() {
		if err := tail.Close(); err != nil {
			t.Error(err)
		}
	})
	expect(t, tail)
	return l, tail
}

func expect(t *testing.T, tail *Tail, want ...string) {
	t.Helper()
	if got := read(t, tail); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLinesAreGivenFromTheEndOn(t *testing.T) {
	l, tail := begin(t, "old\nolder\n")
	l.write(t, "one\ntwo\nth")
	expect(t, tail, "one", "two")
	expect(t, tail)
	l.write(t, "ree\n\nfive\n")
	expect(t, tail, "three", "", "five")
}

func TestALongLineIsCut(t *testing.T) {
	l, tail := begin(t, "")
	l.write(t, strings.Repeat("a", 50)+"\nshort\n"+strings.Repeat("b", 15))
	expect(t, tail, strings.Repeat("a", 20), "short")
	l.write(t, strings.Repeat("b", 15))
	expect(t, tail)
	l.write(t, strings.Repeat("b", 1<<20)+"\nnext\n")
	expect(t, tail, strings.Repeat("b", 20), "next")
}

func TestAFileThatAppearsIsReadFromItsBeginning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	tail := &Tail{Path: path}
	expect(t, tail)
	newLogger(t, path).write(t, "first\n")
	expect(t, tail, "first")
	if err := tail.Close(); err != nil {
		t.Fatal(err)
	}
}

// A program goes on writing to a renamed log until it is told to open the new one.
func TestWhatIsWrittenToARenamedLogIsRead(t *testing.T) {
	l, tail := begin(t, "")
	l.write(t, "one\n")
	if err := os.Rename(l.path, l.path+".1"); err != nil {
		t.Fatal(err)
	}
	l.write(t, "two\n")
	expect(t, tail, "one", "two")
	if err := os.WriteFile(l.path, nil, 0o644); err != nil { // as logrotate does with create
		t.Fatal(err)
	}
	expect(t, tail)
	l.write(t, "three\n")
	expect(t, tail, "three")
	if err := l.reopen(); err != nil {
		t.Fatal(err)
	}
	l.write(t, "four\n")
	expect(t, tail, "four")
	if tail.last == nil {
		t.Fatal("the renamed log is let go")
	}
	if err := os.Remove(l.path + ".1"); err != nil {
		t.Fatal(err)
	}
	if expect(t, tail); tail.last != nil {
		t.Error("a deleted log is held, and takes up room on the disk")
	}
}

func TestWhatWasTruncatedIsReadFromTheCopy(t *testing.T) {
	l, tail := begin(t, "before\n")
	l.write(t, "one\ntw")
	expect(t, tail, "one")
	l.write(t, "o\nthree\n")
	if err := l.copyTruncate(); err != nil {
		t.Fatal(err)
	}
	l.write(t, "four\n")
	expect(t, tail, "two", "three", "four")
	if err := os.Truncate(l.path, 0); err != nil { // without a copy of it
		t.Fatal(err)
	}
	l.write(t, "five\n")
	expect(t, tail, "five")
}

// A copy that is written over is read no further: what is in it by now was never below where the reading was.
func TestACopyThatIsWrittenOverIsLetGo(t *testing.T) {
	l, tail := begin(t, "before\n")
	l.write(t, "one\n")
	if err := l.copyTruncate(); err != nil {
		t.Fatal(err)
	}
	expect(t, tail, "one")
	if err := os.WriteFile(l.path+".1", []byte("something else, and longer\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	l.write(t, "two\n")
	expect(t, tail, "two")
}

// By its size alone a log that was truncated and has grown beyond where it was read looks like one that was only written to.
func TestALogThatGrewAfterItWasTruncatedIsKnown(t *testing.T) {
	l, tail := begin(t, "before\n")
	if err := l.copyTruncate(); err != nil {
		t.Fatal(err)
	}
	l.write(t, "after\nand more than there was\n")
	expect(t, tail, "after", "and more than there ")
}

func TestOneCallReadsNoMoreThanItMay(t *testing.T) {
	l, tail := begin(t, "")
	tail.Read = 10
	l.write(t, "one\ntwo\nthree\nfour\n")
	var lines []string
	more, err := tail.Next(func(line []byte) { lines = append(lines, string(line)) })
	if err != nil || !more || !slices.Equal(lines, []string{"one", "two"}) {
		t.Errorf("got %q, more %v, %v", lines, more, err)
	}
	if err := l.copyTruncate(); err != nil { // what is left is in the copy
		t.Fatal(err)
	}
	expect(t, tail, "three", "four")
}

func TestOnlyRegularFilesAreFollowed(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, fifo, "/dev/zero"} {
		if _, err := (&Tail{Path: path}).Next(func([]byte) {}); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A program writes as fast as it can while its log is rotated again and again, by rename or by copy and truncation, with a reader that
// sees no more of it than the files. No line is lost and none comes twice.
func TestNoLineIsLostUnderLoad(t *testing.T) {
	const rotations, each = 60, 400
	for name, rotate := range map[string]func(*logger) error{
		"rename": func(l *logger) error {
			if err := os.Rename(l.path, l.path+".1"); err != nil {
				return err
			}
			return l.reopen()
		},
		"copytruncate": (*logger).copyTruncate,
	} {
		t.Run(name, func(t *testing.T) {
			l, tail := begin(t, "not of interest\n")
			tail.Line = 0
			// One rotation for each look that found something, however fast the program is: two are lost, as Next says.
			var rotated, seen atomic.Int32
			var turning sync.Mutex // one read of the kernel's may give the beginning of what was truncated and the end of what came after it
			done := make(chan struct{})
			var writer sync.WaitGroup
			writer.Go(func() {
				defer close(done)
				for n := range rotations * each {
					l.write(t, fmt.Sprintf("line %d\n", n))
					if n%each != each/2 {
						continue
					}
					for seen.Load() < rotated.Load() {
						runtime.Gosched()
					}
					turning.Lock()
					if err := rotate(l); err != nil {
						t.Error(err)
					}
					turning.Unlock()
					rotated.Add(1)
				}
			})
			var got []string
			for ended := false; !ended; {
				select {
				case <-done:
					ended = true
				default:
				}
				before := rotated.Load()
				turning.Lock()
				got = append(got, read(t, tail)...)
				turning.Unlock()
				if tail.now != nil && tail.now.offset > 0 {
					seen.Store(before)
				}
			}
			writer.Wait()
			for i, line := range got {
				if want := fmt.Sprintf("line %d", i); line != want {
					t.Fatalf("got %q as line %d of %d", line, i, len(got))
				}
			}
			if len(got) != rotations*each {
				t.Errorf("got %d lines, want %d", len(got), rotations*each)
			}
		})
	}
}

// Whatever is written and however it is rotated, the lines that come are those that were written.
func TestTailGivesWhatWasWritten(t *testing.T) {
	root, n := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		dir := filepath.Join(root, fmt.Sprint(n))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		l := newLogger(t, filepath.Join(dir, "app.log"))
		defer func() { _ = l.file.Close() }()
		l.write(t, "from before we came\n")
		tail := &Tail{Path: l.path, Read: rapid.Int64Range(1, 40).Draw(t, "read")}
		defer func() { _ = tail.Close() }()
		var got, want []string
		look := func(*rapid.T) { got = append(got, read(t, tail)...) }
		look(t)
		rotated, count := false, 0
		t.Repeat(map[string]func(*rapid.T){
			"write": func(t *rapid.T) {
				for range rapid.IntRange(1, 5).Draw(t, "lines") {
					line := fmt.Sprintf("%d%s", count, strings.Repeat("x", rapid.IntRange(0, 30).Draw(t, "length")))
					l.write(t, line+"\n")
					want = append(want, line)
					count++
				}
			},
			"look": func(t *rapid.T) { look(t); rotated = false },
			"rename": func(t *rapid.T) {
				if rotated {
					t.Skip("twice between two looks is lost")
				}
				if err := os.Rename(l.path, l.path+".1"); err != nil {
					t.Fatal(err)
				}
				if err := l.reopen(); err != nil {
					t.Fatal(err)
				}
				rotated = true
			},
			"copy and truncate": func(t *rapid.T) {
				if rotated || count == 0 {
					t.Skip("twice between two looks is lost")
				}
				look(t) // an empty file has nothing by which its copy would be known
				if err := l.copyTruncate(); err != nil {
					t.Fatal(err)
				}
				rotated = true
			},
			"": func(t *rapid.T) {},
		})
		look(t)
		if !slices.Equal(got, want) {
			t.Fatalf("got  %q\nwant %q", got, want)
		}
	})
}

// However the bytes of a log are cut into reads, the lines are the same.
func FuzzTake(f *testing.F) {
	f.Add([]byte("one\ntwo\n\nand a longer one\nrest"), 3)
	f.Add([]byte("\n\n\n"), 1)
	f.Fuzz(func(t *testing.T, text []byte, at int) {
		if at < 0 || at > len(text) {
			return
		}
		lines := func(parts ...[]byte) (lines []string) {
			s := stream{most: 8}
			add := func(line []byte) { lines = append(lines, string(line)) }
			for _, p := range parts {
				s.take(p, add)
			}
			s.end(add)
			return lines
		}
		whole, cut := lines(text), lines(text[:at], text[at:])
		if !slices.Equal(whole, cut) {
			t.Errorf("%q in one piece, %q in two", whole, cut)
		}
		for _, line := range whole {
			if len(line) > 8 {
				t.Errorf("%q is longer than 8 bytes", line)
			}
		}
	})
}

// A reading that is stopped goes on with the next line, and says that there is more.
func TestAStoppedReadingGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tail := &Tail{Path: path, Stop: func() bool { return true }}
	defer func() { _ = tail.Close() }()
	if _, err := tail.Next(func([]byte) {}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("one\n\nthree, which is longer than what is remembered of the bytes before an offset, so that they move\nfour"), 0o644); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 4 {
		n := len(got)
		more, err := tail.Next(func(line []byte) { got = append(got, string(line)) })
		if err != nil || len(got) > n+1 || more != (len(got) == n+1) {
			t.Fatalf("got %q, more %v, %v", got[n:], more, err)
		}
	}
	if len(got) != 3 || got[0] != "one" || got[1] != "" || !strings.HasPrefix(got[2], "three") {
		t.Errorf("got %q", got)
	}
}
