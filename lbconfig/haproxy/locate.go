package haproxy

import (
	"strings"

	"github.com/lbmedic/lbmedic/lbconfig"
)

// Locate completes places: the column where a message names a word of its line, and file and line where it names only a
// section ("Proxy 'web': unable to find …").
func (fs Files) Locate(problems []lbconfig.Problem) {
	for i := range problems {
		p := &problems[i]
		if p.Line == 0 && p.File == "" {
			fs.locateSection(p)
		}
		if p.Line == 0 || p.Col != 0 {
			continue
		}
		for _, f := range fs {
			if f.Source.Path == p.File && p.Line <= len(f.Lines) {
				if w, ok := named(f.Lines[p.Line-1].Words, quoted(p.Text)); ok {
					p.Col = f.Source.Place(w.Span.Start).Col
				}
			}
		}
	}
}

// named finds the word a message is about: one that it quotes, else one that holds what it quotes, else the keyword.
func named(words []Word, quotes []string) (Word, bool) {
	if len(words) == 0 {
		return Word{}, false
	}
	if w, ok := argument(words, quotes); ok {
		return w, true
	}
	for _, q := range quotes {
		for _, w := range words[1:] {
			if len(q) > 1 && strings.Contains(w.Text, q) {
				return w, true
			}
		}
	}
	return words[0], true
}

// quoted are the 'quoted' parts of a message, without its suggestions.
func quoted(text string) []string {
	text, _, _ = strings.Cut(text, "; did you mean")
	var out []string
	for i, part := range strings.Split(text, "'") {
		if i%2 == 1 {
			out = append(out, part)
		}
	}
	return out
}

// locateSection places a message at the line of the section it names that holds another word it quotes, else at the section.
func (fs Files) locateSection(p *lbconfig.Problem) {
	quotes := quoted(p.Text)
	for _, f := range fs {
		for _, s := range f.Sections {
			if s.Name == "" || s.Kind == "defaults" || len(quotes) == 0 || !mentions(p.Text, s) {
				continue
			}
			at := f.Lines[s.Header].Words[0]
			for _, l := range f.Lines[s.Header+1 : s.End] {
				if w, ok := argument(l.Words, quotes[1:]); ok {
					at = w
					break
				}
			}
			place := f.Source.Place(at.Span.Start)
			p.File, p.Line, p.Col = place.File, place.Line, place.Col
			return
		}
	}
}

func mentions(text string, s Section) bool {
	text = strings.ToLower(text)
	return strings.Contains(text, "proxy '"+strings.ToLower(s.Name)+"'") || strings.Contains(text, s.Kind+" '"+strings.ToLower(s.Name)+"'")
}

// argument finds a word behind the keyword that is quoted.
func argument(words []Word, quotes []string) (Word, bool) {
	for _, q := range quotes {
		for _, w := range words[min(1, len(words)):] {
			if w.Text == q {
				return w, true
			}
		}
	}
	return Word{}, false
}
