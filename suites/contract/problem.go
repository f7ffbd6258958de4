package contract

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"
)

// Problem is one finding of loading or linting, at a place in a file.
type Problem struct {
	File    string
	Line    int // from 1; 0 when the problem is not at one place
	Column  int // from 1, in characters
	Path    string
	Message string
	Warning bool // the contract can be used all the same
	Excerpt string
}

// String is the one-line form: file:line:column: message.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// LoadError holds everything that is wrong with a contract, in file order.
type LoadError struct{ Problems []Problem }

func (e *LoadError) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
		if p.Excerpt != "" {
			b.WriteByte('\n')
			b.WriteString(p.Excerpt)
		}
	}
	return b.String()
}

// file is one contract source.
type file struct {
	name   string // as shown to the user
	lines  []string
	masked []string // lines with secrets replaced, made on first use
	hide   []string // literals that must not be shown
}

func newFile(name string, data []byte) *file {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	return &file{name: name, lines: strings.Split(text, "\n")}
}

// conceal keeps the text of a scalar out of every excerpt of its file.
func (f *file) conceal(n *node) {
	if f == nil || n == nil || n.kind == mapping || n.kind == list || n.text == "" || isReference(n.text) {
		return
	}
	f.masked = nil
	for _, part := range strings.Split(n.text, "\n") {
		if part = strings.TrimSpace(part); part != "" {
			f.hide = append(f.hide, part)
		}
	}
	sort.Slice(f.hide, func(i, j int) bool { return len(f.hide[i]) > len(f.hide[j]) })
}

// secretKey finds "key:" where the key sounds like a credential. Excerpts are
// masked by line because a file that does not parse has to be quoted too.
var secretKey = regexp.MustCompile(`(?i)["']?[\w.$-]*(secret|secrt|passw|pwd|token|assert|private|credential|api[_-]?key|key_?file|cert_?file|\bcode|hook|bearer|auth[a-z]*n|\bpin)[\w.-]*["']?\s*[:=]\s*`)

func maskLines(lines []string, hide []string) []string {
	out := make([]string, len(lines))
	deep := -1 // indentation of a secret key whose value may go on below
	for i, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " \t"))
		if deep >= 0 && strings.TrimSpace(line) != "" {
			if !continues(line) { // however it is indented: the file may be broken
				out[i] = line[:indent] + "***"
				continue
			}
			if indent <= deep {
				deep = -1
			}
		}
		at := 0
		var b strings.Builder
		for {
			loc := secretKey.FindStringIndex(line[at:])
			if loc == nil {
				b.WriteString(line[at:])
				break
			}
			b.WriteString(line[at : at+loc[1]])
			at += loc[1]
			rest := line[at:]
			switch value := strings.TrimSpace(rest); {
			case value == "" || value[0] == '|' || value[0] == '>':
				deep = indent
			case value[0] == '{' || value[0] == '[' || value[0] == '*' || value[0] == '#':
			case value[0] == '&' && strings.ContainsAny(value, "{["):
			default:
				n := harmless(value)
				if n == 0 {
					b.WriteString("***")
					at = len(line)
					deep = indent
					continue
				}
				lead := len(rest) - len(strings.TrimLeft(rest, " \t"))
				b.WriteString(rest[:lead+n])
				at += lead + n
			}
		}
		text := b.String()
		for _, h := range hide {
			text = strings.ReplaceAll(text, h, "***")
		}
		out[i] = text
	}
	return out
}

var (
	keyLine     = regexp.MustCompile(`^\s*(- )?["']?[\w.$#-]+["']?\s*:(\s|$)`)
	plainValue  = regexp.MustCompile(`^(true|false|null|~|implied|always|never|ask|full|unspecified|\d{3}|[1-5]xx|[a-z_]+_[a-z_]+|[a-z_]*endpoint)\s*([,}\]#]|$)`)
	quotedValue = regexp.MustCompile(`^["']?\$\{[A-Za-z_][A-Za-z0-9_]*\}["']?`)
)

// continues tells a nested key or comment from the text of a block scalar.
func continues(line string) bool {
	t := strings.TrimSpace(line)
	return keyLine.MatchString(line) || strings.HasPrefix(t, "#")
}

// harmless is the length of a value that gives nothing away: a reference, a
// word of the format, a status. 0: mask it.
func harmless(v string) int {
	if loc := quotedValue.FindStringIndex(v); loc != nil {
		rest := strings.TrimLeft(v[loc[1]:], " \t")
		if rest == "" || strings.ContainsRune(",}]#", rune(rest[0])) {
			return loc[1]
		}
		return 0
	}
	if m := plainValue.FindStringSubmatchIndex(v); m != nil {
		return m[3]
	}
	return 0
}

// excerpt shows the line with its neighbours and a mark below the column,
// secrets masked.
func (f *file) excerpt(line, col int) string {
	if f == nil || line < 1 || line > len(f.lines) {
		return ""
	}
	if f.masked == nil {
		f.masked = maskLines(f.lines, f.hide)
	}
	from, to := max(1, line-2), min(len(f.lines), line+2)
	for to > line && strings.TrimSpace(f.lines[to-1]) == "" {
		to--
	}
	width := len(fmt.Sprint(to))
	shift := 0 // long lines are shown from here
	if col > 100 {
		shift = col - 60
	}
	var b strings.Builder
	for i := from; i <= to; i++ {
		sign := " "
		if i == line {
			sign = ">"
		}
		b.WriteString(strings.TrimRight(fmt.Sprintf("%s %*d | %s", sign, width, i, printable(clip(f.masked[i-1], shift))), " "))
		b.WriteByte('\n')
		if i == line {
			lead := min(max(col-1, 0), utf8.RuneCountInString(f.lines[i-1])) - shift
			if shift > 0 {
				lead++
			}
			fmt.Fprintf(&b, "  %*s | %s^\n", width, "", strings.Repeat(" ", max(lead, 0)))
		}
	}
	return b.String()
}

// clip shows 120 characters of a line from an offset.
func clip(s string, from int) string {
	r := []rune(s)
	if from > 0 {
		r = append([]rune("…"), r[min(from, len(r)):]...)
	}
	if len(r) > 120 {
		r = append(r[:119:119], '…')
	}
	return string(r)
}

// printable keeps a contract from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r == utf8.RuneError ||
			r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
			return '·'
		}
		return r
	}, s)
}
