package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longest is how many runes of one string a server controls stand in a report; saved runs are not cut.
const longest = 2000

// clean makes a string that a server controls safe to stand in one line of any report: control
// characters, escape sequences, direction marks and invalid UTF-8 become visible, and what is
// longer than anybody reads is cut with a note. CI runners take lines that begin with ::name:: or hold
// ##[name] as commands, so these are broken up too.
func clean(s string) string { return commands.Replace(cleanUpTo(s, longest, false)) }

// cleanText is clean for text of several lines: line feeds and tabs stay.
func cleanText(s string) string { return commands.Replace(cleanUpTo(s, 2*longest, true)) }

// cleanCommand is clean for a command line, which is for copying and of no use when cut short: only at
// its beginning could it be taken for a runner's command.
func cleanCommand(s string) string {
	s = cleanUpTo(s, 8*longest, false)
	if strings.HasPrefix(s, "curl ") {
		return oldCommands.Replace(s)
	}
	return commands.Replace(s)
}

var (
	old         = []string{"##[", `#\x23[`, "##vso[", `#\x23vso[`, "##teamcity[", `#\x23teamcity[`}
	oldCommands = strings.NewReplacer(old...)
	commands    = func() *strings.Replacer {
		pairs := slices.Clone(old)
		for c := 'a'; c <= 'z'; c++ {
			for _, l := range []rune{c, unicode.ToUpper(c)} {
				pairs = append(pairs, "::"+string(l), `:\x3a`+string(l))
			}
		}
		return strings.NewReplacer(pairs...)
	}()
)

func cleanUpTo(s string, limit int, lines bool) string {
	var b strings.Builder
	n := 0
	for i := 0; i < len(s); {
		c, size := utf8.DecodeRuneInString(s[i:])
		if n >= limit {
			fmt.Fprintf(&b, "… (cut, %s bytes in all)", thousands(int64(len(s))))
			break
		}
		switch {
		case c == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case lines && (c == '\n' || c == '\t'):
			b.WriteRune(c)
		case lines && c == '\r' && strings.HasPrefix(s[i+size:], "\n"):
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == ' ':
			b.WriteByte(' ')
		case unsafe(c):
			if c < 0x100 {
				fmt.Fprintf(&b, `\x%02x`, c)
			} else {
				fmt.Fprintf(&b, `\u%04x`, c)
			}
		default:
			b.WriteRune(c)
		}
		n++
		i += size
	}
	return b.String()
}

// unsafe reports whether a rune could steer a terminal, reorder a line, or hide.
func unsafe(c rune) bool {
	if ' ' <= c && c <= '~' {
		return false
	}
	return !unicode.IsGraphic(c) || unicode.IsSpace(c) && c != ' '
}
