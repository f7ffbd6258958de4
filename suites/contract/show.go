package contract

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Show is the effective contract as YAML: everything inherited in its place, and
// beside each value the file and line that it comes from. References are shown
// as such; secrets written out are masked.
func (c *Contract) Show() string {
	s := shower{}
	if from := c.tree.get("extends").strs(); len(from) > 0 {
		fmt.Fprintf(&s.out, "# %s, with what it inherits from %s\n", c.Name, strings.Join(from, ", "))
	}
	root := *c.tree
	root.remove("extends") // what it gave is written out below
	root.entries = slices.Clone(root.entries)
	slices.SortStableFunc(root.entries, func(a, b *entry) int {
		rank := func(e *entry) int {
			return slices.IndexFunc(contractShape.keys, func(k key) bool { return k.name == e.key.text })
		}
		return rank(a) - rank(b)
	})
	s.mapping(&root, contractShape, "", 0)
	return s.out.String()
}

type shower struct {
	out strings.Builder
}

var (
	plainScalar = regexp.MustCompile(`^(\$\{[A-Za-z0-9_]+\}|[A-Za-z_/][A-Za-z0-9_./+-]*)$`)
	wordValue   = regexp.MustCompile(`(?i)^(true|false|null|yes|no|on|off|y|n|\.inf|\.nan)$`)
)

func quoteYAML(s string, flow bool) string {
	if plainScalar.MatchString(s) && !wordValue.MatchString(s) && !(flow && strings.Contains(s, "$")) {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20 || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func (s *shower) scalar(n *node, sh *shape, param string, flow bool) string {
	switch n.kind {
	case null:
		return "null"
	case text:
		t := sh.forKind(text)
		hidden := t != nil && t.refs == secret || isSecretName(param)
		if hidden && !isReference(n.text) && !isSource(n.text) {
			return `"***"`
		}
		return quoteYAML(n.text, flow)
	}
	return n.text
}

func (s *shower) origin(n *node) string {
	return "# " + filepath.Base(n.file.name) + ":" + strconv.Itoa(n.line)
}

func (s *shower) line(indent int, text string, n *node) {
	line := strings.Repeat("  ", indent) + text
	fmt.Fprintf(&s.out, "%-*s %s\n", 47, line, s.origin(n))
}

func (s *shower) mapping(n *node, sh *shape, param string, indent int) {
	m := sh.forKind(mapping)
	for _, e := range n.entries {
		var elem *shape
		if m != nil && m.any {
			elem = m
		} else if m != nil && m.elem != nil {
			elem = m.elem
		} else if k, ok := m.key(e.key.text); ok {
			elem = k.is
		}
		p := param
		if m != nil && m.elem == fieldShape {
			p = e.key.text
		} else if e.key.text != "value" && e.key.text != "const" {
			p = ""
		}
		s.value(quoteYAML(e.key.text, false)+":", e.val, elem, p, indent)
	}
}

func (s *shower) value(lead string, n *node, sh *shape, param string, indent int) {
	switch {
	case n.kind == mapping && len(n.entries) == 0:
		s.line(indent, lead+" {}", n)
	case n.kind == mapping:
		fmt.Fprintf(&s.out, "%s%s\n", strings.Repeat("  ", indent), lead)
		next := param
		if sh.forKind(mapping) == fieldShape {
			next = strings.TrimSuffix(strings.Trim(lead, `"`), ":")
		}
		s.mapping(n, sh, next, indent+1)
	case n.kind == list && s.flat(n):
		var items []string
		elem := sh.forKind(list).element()
		for _, i := range n.items {
			items = append(items, s.scalar(i, elem, param, true))
		}
		s.line(indent, lead+" ["+strings.Join(items, ", ")+"]", n)
	case n.kind == list:
		fmt.Fprintf(&s.out, "%s%s\n", strings.Repeat("  ", indent), lead)
		elem := sh.forKind(list).element()
		for _, i := range n.items {
			s.item(i, elem, param, indent+1)
		}
	default:
		s.line(indent, lead+" "+s.scalar(n, sh, param, false), n)
	}
}

// item writes a list item; its first key stands on the line of the dash.
func (s *shower) item(n *node, sh *shape, param string, indent int) {
	if n.kind != mapping || len(n.entries) == 0 {
		s.value("-", n, sh, param, indent)
		return
	}
	sub := shower{}
	sub.mapping(n, sh, param, indent+1)
	text := []byte(sub.out.String())
	text[indent*2] = '-'
	s.out.Write(text)
}

func (s *shape) element() *shape {
	switch {
	case s == nil:
		return nil
	case s.any:
		return s
	}
	return s.elem
}

func (s *shower) flat(n *node) bool {
	width := 0
	for _, i := range n.items {
		if i.kind == mapping || i.kind == list {
			return false
		}
		width += len(i.text) + 2
	}
	return width < 100
}
