package contract

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

type kind int

const (
	null kind = iota
	boolean
	integer
	float
	text
	mapping
	list
)

func (k kind) String() string {
	return [...]string{"null", "true or false", "a whole number", "a number", "text", "a map", "a list"}[k]
}

// node is a YAML value with its place: aliases and merge keys resolved, tags gone.
type node struct {
	kind      kind
	text      string // of scalars
	number    any    // int64, uint64 or float64
	items     []*node
	entries   []*entry
	flow      bool // written as {...} or [...]
	resolved  bool // the text came through a reference
	poisoned  bool // holds an unknown key: what it seems to lack may be misspelt
	file      *file
	line, col int
}

type entry struct{ key, val *node }

func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for _, e := range n.entries {
		if e.key.text == name {
			return e.val
		}
	}
	return nil
}

// at walks maps down by key; nil when there is no such place.
func (n *node) at(path ...string) *node {
	for _, p := range path {
		n = n.get(p)
	}
	return n
}

func (n *node) keyOf(name string) *node {
	if n != nil {
		for _, e := range n.entries {
			if e.key.text == name {
				return e.key
			}
		}
	}
	return nil
}

func (n *node) remove(name string) {
	for i, e := range n.entries {
		if e.key.text == name {
			n.entries = append(n.entries[:i:i], n.entries[i+1:]...)
			return
		}
	}
}

func (n *node) clone() *node {
	if n == nil {
		return nil
	}
	c := *n
	c.items, c.entries = nil, nil
	for _, i := range n.items {
		c.items = append(c.items, i.clone())
	}
	for _, e := range n.entries {
		c.entries = append(c.entries, &entry{key: e.key, val: e.val.clone()})
	}
	return &c
}

// value is the scalar as Go: nil, bool, int64, float64 or string; lists and maps as []any, map[string]any.
func (n *node) value() any {
	if n == nil {
		return nil
	}
	switch n.kind {
	case boolean:
		return n.text == "true"
	case integer, float:
		return n.number
	case text:
		return n.text
	case list:
		out := []any{}
		for _, i := range n.items {
			out = append(out, i.value())
		}
		return out
	case mapping:
		out := map[string]any{}
		for _, e := range n.entries {
			out[e.key.text] = e.val.value()
		}
		return out
	}
	return nil
}

// Bounds on what is read: a contract is a page of text.
const (
	maxBytes = 256 << 10
	maxDepth = 40
	maxNodes = 50_000
)

// parse reads one document. Problems are those of YAML itself.
func parse(f *file, data []byte) (*node, []Problem) { return parseUpTo(f, data, maxBytes, maxNodes) }

// parseLarge reads other people's documents, which may be longer than contracts.
func parseLarge(f *file, data []byte) (*node, []Problem) {
	return parseUpTo(f, data, 16*maxBytes, 16*maxNodes)
}

func parseUpTo(f *file, data []byte, bytes, nodes int) (root *node, problems []Problem) {
	fail := func(line, col int, format string, args ...any) (*node, []Problem) {
		return nil, []Problem{f.problem(line, col, "", fmt.Sprintf(format, args...))}
	}
	if len(data) > bytes {
		return fail(0, 0, "the file holds %d bytes; at most %d are read", len(data), bytes)
	}
	if !utf8.Valid(data) {
		for i, l := range f.lines {
			if !utf8.ValidString(l) {
				return fail(i+1, 1, "the line is not UTF-8")
			}
		}
	}
	src := strings.ReplaceAll(strings.TrimPrefix(string(data), "\ufeff"), "\r\n", "\n")
	if i := strings.IndexFunc(src, func(r rune) bool { return r < 0x20 && r != '\n' && r != '\t' || r == 0x7f }); i >= 0 {
		before := src[:i]
		return fail(strings.Count(before, "\n")+1, utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])+1,
			"a control character (%U)", rune(src[i]))
	}
	// The parser is a third party's and recursive; what it cannot take must not end the program.
	defer func() {
		if r := recover(); r != nil {
			root, problems = fail(0, 0, "this is not YAML that can be read")
		}
	}()
	tokens := lexer.Tokenize(src)
	if line, col := tooDeep(tokens); line > 0 {
		return fail(line, col, "nested more than %d deep", maxDepth)
	}
	doc, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var e yaml.Error
		if errors.As(err, &e) && e.GetToken() != nil && e.GetToken().Position != nil {
			p := e.GetToken().Position
			return fail(p.Line, p.Column, "%s", explainSyntax(e.GetMessage(), f, p.Line))
		}
		return fail(0, 0, "this is not YAML that can be read")
	}
	if len(doc.Docs) > 1 && doc.Docs[1].Body != nil {
		t := doc.Docs[1].Body.GetToken()
		return fail(t.Position.Line, 1, "a second document; a file holds one contract")
	}
	if len(doc.Docs) == 0 || doc.Docs[0].Body == nil {
		return fail(1, 1, "the file is empty; a contract starts with \"contract: 1\"")
	}
	r := reader{file: f, anchors: map[string]*node{}, most: nodes}
	root = r.read(doc.Docs[0].Body, 0)
	if len(r.problems) == 0 && root != nil && root.kind != mapping {
		r.fail(root, "a contract is a map of keys, this is %s", root.kind)
	}
	if root != nil && root.kind != mapping {
		root = nil
	}
	return root, r.problems
}

// tooDeep bounds nesting before the recursive parser sees it.
func tooDeep(tokens token.Tokens) (line, col int) {
	open, dashes, last := 0, 0, 0
	for _, t := range tokens {
		if t.Position == nil {
			continue
		}
		if t.Position.Line != last {
			last, dashes = t.Position.Line, 0
		}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			open++
		case token.MappingEndType, token.SequenceEndType:
			open--
		case token.SequenceEntryType, token.MappingKeyType, token.TagType, token.AnchorType:
			dashes++
		}
		if open > maxDepth || dashes > maxDepth || t.Position.Column > 4096 && t.Type == token.MappingValueType {
			return t.Position.Line, t.Position.Column
		}
	}
	return 0, 0
}

func explainSyntax(msg string, f *file, line int) string {
	if strings.Contains(msg, "must be specified") && line <= len(f.lines) && strings.Contains(f.lines[line-1], "${") {
		return `inside {...} or [...] a reference stands in quotes: "${NAME}"`
	}
	if strings.Contains(msg, "tab character") || strings.Contains(msg, "\t") {
		return "a tab; YAML is indented with spaces"
	}
	// The library's text may quote the source, and the source may be a secret.
	if i := strings.IndexAny(msg, "\"`"); i > 0 {
		msg = strings.TrimSpace(msg[:i])
	}
	return "not YAML: " + msg
}

func (f *file) problem(line, col int, path, msg string) Problem {
	return Problem{File: f.name, Line: line, Column: col, Path: path, Message: msg}
}

// reader turns the library's syntax tree into nodes.
type reader struct {
	file     *file
	anchors  map[string]*node
	count    int
	most     int
	problems []Problem
}

func (r *reader) fail(n *node, format string, args ...any) {
	n.poisoned = true
	r.problems = append(r.problems, r.file.problem(n.line, n.col, "", fmt.Sprintf(format, args...)))
}

func (r *reader) read(a ast.Node, depth int) *node {
	n := &node{file: r.file, line: 1, col: 1}
	if a == nil {
		return n
	}
	if t := a.GetToken(); t != nil && t.Position != nil {
		n.line, n.col = t.Position.Line, max(t.Position.Column, 1)
	}
	if r.count++; r.count == r.most || depth > maxDepth {
		r.fail(n, "too much or too deeply nested")
	}
	if r.count >= r.most || depth > maxDepth {
		return n
	}
	switch v := a.(type) {
	case *ast.NullNode:
	case *ast.BoolNode:
		n.kind, n.text = boolean, strconv.FormatBool(v.Value)
	case *ast.IntegerNode:
		n.kind, n.text = integer, v.Token.Value
		switch i := v.Value.(type) {
		case int64:
			n.number = i
		case uint64:
			n.number = float64(i)
			if i < 1<<63 {
				n.number = int64(i)
			}
		default:
			r.fail(n, "a number that is too large")
		}
	case *ast.FloatNode:
		n.kind, n.text, n.number = float, v.Token.Value, v.Value
	case *ast.StringNode:
		n.kind, n.text = text, v.Value
	case *ast.LiteralNode:
		n.kind, n.text = text, ""
		if v.Value != nil {
			n.text = v.Value.Value
		}
	case *ast.InfinityNode, *ast.NanNode:
		r.fail(n, "no number that a contract could mean")
	case *ast.MappingValueNode:
		r.mapping(n, []*ast.MappingValueNode{v}, depth)
	case *ast.MappingNode:
		n.flow = v.IsFlowStyle
		r.mapping(n, v.Values, depth)
	case *ast.SequenceNode:
		n.kind, n.flow = list, v.IsFlowStyle
		for _, i := range v.Values {
			n.items = append(n.items, r.read(i, depth+1))
		}
	case *ast.AnchorNode:
		name := ""
		if v.Name != nil && v.Name.GetToken() != nil {
			name = v.Name.GetToken().Value
		}
		r.anchors[name] = nil // being read: an alias to it from inside is a cycle
		n = r.read(v.Value, depth+1)
		r.anchors[name] = n
	case *ast.AliasNode:
		name := ""
		if v.Value != nil && v.Value.GetToken() != nil {
			name = v.Value.GetToken().Value
		}
		target, known := r.anchors[name]
		switch {
		case !known:
			r.fail(n, "alias *%s has no anchor &%s above it%s", name, name, didYouMean(name, anchorNames(r.anchors)))
		case target == nil:
			r.fail(n, "alias *%s stands inside its own anchor", name)
		default:
			if r.count += size(target); r.count >= r.most {
				r.fail(n, "aliases make this file too large")
				return n
			}
			return target.clone()
		}
	case *ast.TagNode:
		r.fail(n, "tags (%s) have no meaning in a contract; remove it", v.Start.Value)
		return r.read(v.Value, depth+1)
	default:
		r.fail(n, "YAML of a kind that a contract does not use")
	}
	return n
}

func size(n *node) int {
	s := 1
	for _, i := range n.items {
		s += size(i)
	}
	for _, e := range n.entries {
		s += size(e.val)
	}
	return s
}

func anchorNames(m map[string]*node) (names []string) {
	for k := range m {
		names = append(names, k)
	}
	return names
}

func (r *reader) mapping(n *node, values []*ast.MappingValueNode, depth int) {
	n.kind = mapping
	var merged []*node
	for _, v := range values {
		if v.Key != nil && v.Key.IsMergeKey() {
			m := r.read(v.Value, depth+1)
			switch {
			case m.kind == mapping:
				merged = append(merged, m)
			case m.kind == list:
				merged = append(merged, m.items...)
			default:
				r.fail(m, "<<: takes a map or an alias of one")
			}
			continue
		}
		key := r.key(v.Key)
		val := r.read(v.Value, depth+1)
		if val.kind == null && val.line == 1 && val.col == 1 {
			val.line, val.col = key.line, key.col
		}
		if first := n.keyOf(key.text); first != nil {
			r.fail(key, "duplicate key %s; it stands on line %d already", quoteKey(key.text), first.line)
			continue
		}
		n.entries = append(n.entries, &entry{key, val})
	}
	if len(n.entries) > 0 && !n.flow { // the library places a block map at its first colon
		n.line, n.col = n.entries[0].key.line, n.entries[0].key.col
	}
	for _, m := range merged {
		if m.kind != mapping {
			r.fail(m, "<<: takes a map or an alias of one")
			continue
		}
		for _, e := range m.entries {
			if n.keyOf(e.key.text) == nil {
				n.entries = append(n.entries, e)
			}
		}
	}
}

func (r *reader) key(k ast.MapKeyNode) *node {
	n := &node{kind: text, file: r.file, line: 1, col: 1}
	if k == nil {
		return n
	}
	var a ast.Node = k
	if ex, ok := k.(*ast.MappingKeyNode); ok {
		a = ex.Value
	}
	if an, ok := a.(*ast.AnchorNode); ok {
		a = an.Value
	}
	if t := a.GetToken(); t != nil {
		n.text = t.Value
		if t.Position != nil {
			n.line, n.col = t.Position.Line, max(t.Position.Column, 1)
		}
	}
	switch s := a.(type) {
	case *ast.StringNode:
		n.text = s.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
	default:
		r.fail(n, "a key is a plain name")
	}
	return n
}

func quoteKey(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return strconv.Quote(s)
}
