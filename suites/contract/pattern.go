package contract

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
)

// CompilePattern compiles the pattern of a `format` key. Go's engine counts
// repetitions to 1000 only, pages say things like {1,2043}: such a count is
// written out in pieces. The four named formats (jwt, uri, uuid, integer) are
// no patterns and do not belong here.
func CompilePattern(p string) (*regexp.Regexp, error) {
	re, err := regexp.Compile(p)
	var se *syntax.Error
	if err == nil || !errors.As(err, &se) || se.Code != syntax.ErrInvalidRepeatSize {
		return re, err
	}
	return regexp.Compile(splitRepeats(p))
}

var repeat = regexp.MustCompile(`^\{(\d{1,6})(,(\d{0,6}))?\}`)

// splitRepeats rewrites x{m,n} with a count over 1000 as x{1000}x{…}….
func splitRepeats(p string) string {
	var out strings.Builder
	atom := 0 // where in out the last atom starts
	var groups []int
	for i := 0; i < len(p); {
		start := out.Len()
		switch p[i] {
		case '\\':
			end := min(i+2, len(p))
			out.WriteString(p[i:end])
			i, atom = end, start
		case '[':
			end := classEnd(p, i)
			out.WriteString(p[i:end])
			i, atom = end, start
		case '(':
			groups = append(groups, start)
			out.WriteByte('(')
			i++
		case ')':
			out.WriteByte(')')
			if n := len(groups); n > 0 {
				atom, groups = groups[n-1], groups[:n-1]
			}
			i++
		case '{':
			m := repeat.FindStringSubmatch(p[i:])
			if m == nil {
				out.WriteByte('{')
				i, atom = i+1, start
				continue
			}
			i += len(m[0])
			low, _ := strconv.Atoi(m[1])
			high, _ := strconv.Atoi(m[3])
			if m[2] == "" {
				high = low
			}
			if low <= 1000 && high <= 1000 || low+high > 20000 {
				out.WriteString(m[0])
				continue
			}
			x := out.String()[atom:]
			head := out.String()[:atom]
			out.Reset()
			out.WriteString(head + "(?:" + pieces(x, low, "{%d}"))
			switch {
			case m[2] != "" && m[3] == "":
				out.WriteString("(?:" + x + ")*")
			case high > low:
				out.WriteString(pieces(x, high-low, "{0,%d}"))
			}
			out.WriteString(")")
		default:
			out.WriteByte(p[i])
			i, atom = i+1, start
		}
	}
	return out.String()
}

func pieces(x string, n int, format string) string {
	var b strings.Builder
	for ; n > 0; n -= 1000 {
		b.WriteString("(?:" + x + ")" + fmt.Sprintf(format, min(n, 1000)))
	}
	return b.String()
}

// classEnd is the index after the bracket expression that starts at i.
func classEnd(p string, i int) int {
	for j := i + 1; j < len(p); j++ {
		switch {
		case p[j] == '\\':
			j++
		case p[j] == '[' && j+1 < len(p) && p[j+1] == ':':
			if end := strings.Index(p[j:], ":]"); end > 0 {
				j += end + 1
			}
		case p[j] == ']' && j > i+1 && !(j == i+2 && p[i+1] == '^'):
			return j + 1
		}
	}
	return len(p)
}
