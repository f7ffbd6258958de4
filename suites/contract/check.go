package contract

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	kebab     = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	variable  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	reference = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)
	wholeRef  = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`)
)

func isReference(s string) bool { return wholeRef.MatchString(strings.TrimSpace(s)) }

// checker holds one file against the shapes.
type checker struct {
	file     *file
	name     string // of the contract
	literals bool   // literal secrets are accepted
	problems []Problem
}

func (c *checker) fail(n *node, path string, format string, args ...any) {
	c.problems = append(c.problems, n.file.problem(n.line, n.col, path, fmt.Sprintf(format, args...)))
}

func join(path, name string) string {
	if strings.ContainsAny(name, `. "`) {
		name = strconv.Quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func (c *checker) check(n *node, s *shape, path string) {
	if s.any {
		c.free(n, s, path)
		return
	}
	if s.alts != nil {
		c.alternatives(n, s, path)
		return
	}
	if n.kind != s.kind {
		c.fail(n, path, "%s", c.mismatch(n, s))
		return
	}
	switch s.kind {
	case mapping:
		c.mapping(n, s, path)
	case list:
		for i, item := range n.items {
			c.check(item, s.elem, fmt.Sprintf("%s[%d]", path, i))
		}
	default:
		c.scalar(n, s, path)
	}
}

func (c *checker) mismatch(n *node, s *shape) string {
	if s.refs == secret {
		return fmt.Sprintf("expected a ${NAME} reference, this is %s", n.kind)
	}
	hint := ""
	switch {
	case n.kind == mapping && s.kind != mapping && n.flow && strings.Contains(n.file.line(n.line), "${"):
		hint = `; a reference inside {...} stands in quotes: "${NAME}"`
	case s.kind == text && s.word == nil && s.test == nil && (n.kind == integer || n.kind == float || n.kind == boolean):
		hint = "; put it in quotes"
	case s.kind == mapping && n.kind == text && strings.HasPrefix(n.text, "{"):
		hint = "; remove the quotes"
	case s.kind == list && n.kind == text && s.elem != nil:
		hint = "; write it in brackets: [...]"
	case n.kind == null && s.kind == mapping:
		hint = "; an empty one is written {}"
	}
	return fmt.Sprintf("expected %s, this is %s%s", s.what, n.kind, hint)
}

func (f *file) line(i int) string {
	if i < 1 || i > len(f.lines) {
		return ""
	}
	return f.lines[i-1]
}

// alternatives takes the first that accepts the node, and otherwise reports
// what the one of the same kind has against it.
func (c *checker) alternatives(n *node, s *shape, path string) {
	var best []Problem
	for _, a := range s.alts {
		if a.forKind(n.kind) == nil {
			continue
		}
		trial := &checker{file: c.file, name: c.name, literals: c.literals}
		trial.check(n, a, path)
		if len(trial.problems) == 0 {
			return
		}
		if best == nil {
			best = trial.problems
		} else if n.kind != mapping && n.kind != list {
			c.notAny(n, s, path)
			return
		}
	}
	if best != nil && (n.kind == mapping || n.kind == list || len(s.alts) < 3) {
		c.problems = append(c.problems, best...)
		return
	}
	if best != nil {
		c.notAny(n, s, path)
		return
	}
	c.fail(n, path, "%s", c.mismatch(n, s))
}

// notAny refuses a scalar that is none of several.
func (c *checker) notAny(n *node, s *shape, path string) {
	hint := didYouMean(n.text, alternativeWords(s))
	switch strings.ToLower(n.text) {
	case "yes", "on":
		hint = "; YAML reads it as text, write true"
	case "no", "off":
		hint = "; YAML reads it as text, write false"
	}
	c.fail(n, path, "%s is not %s%s", quoteKey(n.text), s.what, hint)
}

func alternativeWords(s *shape) (out []string) {
	out = append(out, s.word...)
	for _, a := range s.alts {
		out = append(out, alternativeWords(a)...)
	}
	return out
}

func (c *checker) mapping(n *node, s *shape, path string) {
	for i, e := range n.entries {
		name, at := e.key.text, join(path, e.key.text)
		elem := s.elem
		if elem == nil {
			k, ok := s.key(name)
			if !ok {
				n.poisoned = true
				if meant := c.unknownKey(n, i, s, path); meant == nil || meant.refs == secret {
					e.key.file.conceal(e.val) // it may be a secret whose key is misspelt
				}
				continue
			}
			elem = k.is
		}
		if e.val.kind == null && !elem.null && elem.forKind(null) == nil {
			continue // removal of an inherited key: judged when merging
		}
		c.check(e.val, elem, at)
	}
}

// unknownKey reports a key and returns the shape of the one that was probably meant.
func (c *checker) unknownKey(n *node, i int, s *shape, path string) *shape {
	e := n.entries[i]
	name := e.key.text
	if n.flow && i > 0 {
		prev := n.entries[i-1]
		if prev.val.kind == text && (e.val.kind == null || strings.ContainsRune(name, ' ')) {
			shown := quoteKey(name)
			if isSecretName(prev.key.text) {
				shown = "here"
				e.key.file.conceal(e.key)
			}
			c.fail(e.key, path, "a comma inside {...} starts a new key, %s; put the text of %s in quotes", shown, quoteKey(prev.key.text))
			return nil
		}
	}
	var names, known []string
	for _, k := range s.keys {
		names = append(names, k.name)
		known = append(append(known, k.name), k.alts...)
	}
	if near := nearest(name, known); near != "" {
		for _, k := range s.keys {
			if k.name == near || slices.Contains(k.alts, near) {
				c.fail(e.key, path, "unknown key %s in %s; did you mean %q?", quoteKey(name), s.what, k.name)
				return k.is
			}
		}
	}
	hint := ""
	home, is := homeOf(name)
	if home != "" && home != path {
		hint = "; it belongs under " + home
	} else if len(names) <= 12 {
		hint = "; it takes " + strings.Join(names, ", ")
	}
	c.fail(e.key, path, "unknown key %s in %s%s", quoteKey(name), s.what, hint)
	return is
}

// homeOf finds the one section of a contract that has such a key.
func homeOf(name string) (string, *shape) {
	found, is := "", (*shape)(nil)
	for _, k := range contractShape.keys {
		if k.name == name {
			return "the top level", k.is
		}
		if sub, ok := k.is.forKind(mapping).key(name); ok {
			if found != "" {
				return "", nil
			}
			found, is = k.name, sub.is
		}
	}
	return found, is
}

func (c *checker) scalar(n *node, s *shape, path string) {
	if s.refs == secret {
		c.secret(n, path)
		return
	}
	if n.kind == text && s.refs == allowed {
		if !c.references(n, path) {
			return
		}
		if strings.Contains(n.text, "${") {
			return
		}
	}
	if s.word != nil {
		for _, w := range s.word {
			if n.text == w {
				return
			}
		}
		if n.text != "" && strings.Contains(n.text, "${") {
			c.fail(n, path, "expected %s; a reference cannot stand here", s.what)
			return
		}
		if what, ok := strings.CutPrefix(s.what, "one of "); ok {
			c.fail(n, path, "%s is not one of %s%s", quoteKey(n.text), what, didYouMean(n.text, s.word))
		} else {
			_, noun, _ := strings.Cut(s.what, " ")
			c.fail(n, path, "unknown %s %s%s", noun, quoteKey(n.text), orList(n.text, s.word))
		}
		return
	}
	if s.test != nil {
		if msg := s.test(n); msg != "" {
			c.fail(n, path, "%s", msg)
		}
	}
}

func orList(got string, names []string) string {
	if hint := didYouMean(got, names); hint != "" {
		return hint
	}
	return "; known are " + strings.Join(names, ", ")
}

// free accepts anything, with references checked at every depth.
func (c *checker) free(n *node, s *shape, path string) {
	if s.refs != verbatim && n.kind == text {
		c.references(n, path)
	}
	for i, item := range n.items {
		c.free(item, s, fmt.Sprintf("%s[%d]", path, i))
	}
	for _, e := range n.entries {
		c.free(e.val, s, join(path, e.key.text))
	}
}

// references checks the syntax of every ${…} in a text.
func (c *checker) references(n *node, path string) bool {
	rest := n.text
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			return true
		}
		rest = rest[i+2:]
		end := strings.IndexByte(rest, '}')
		name := rest
		if end >= 0 {
			name = rest[:end]
		}
		if msg := badReference(name, end >= 0); msg != "" {
			c.fail(n, path, "%s", msg)
			return false
		}
		rest = rest[end+1:]
	}
}

func badReference(name string, closed bool) string {
	switch {
	case strings.Contains(name, "${"):
		return "a reference inside a reference; name the variable itself: ${NAME}"
	case !closed:
		return "a reference without its closing brace: ${NAME}"
	case name == "":
		return "a reference without a name: ${NAME}"
	case strings.ContainsAny(name, ":-=?+%#/"):
		if base := name[:strings.IndexAny(name, ":-=?+%#/")]; variable.MatchString(base) {
			return fmt.Sprintf("references have no defaults and no operators; write ${%s} and set the variable", base)
		}
		return "references have no defaults and no operators; write ${NAME}"
	case !variable.MatchString(name):
		return "the name of a variable has letters, digits and underscores: ${NAME}"
	}
	return ""
}

// secret accepts one whole reference.
func (c *checker) secret(n *node, path string) {
	if isReference(n.text) {
		return
	}
	n.file.conceal(n)
	if strings.Contains(n.text, "${") {
		if !c.references(n, path) {
			return
		}
		c.fail(n, path, "a secret is one reference and nothing beside it: ${NAME}")
		return
	}
	if c.literals {
		return
	}
	if name, ok := strings.CutPrefix(n.text, "$"); ok && variable.MatchString(name) {
		c.fail(n, path, "a reference has braces: ${%s}", name)
		return
	}
	c.fail(n, path, "a literal secret; write a reference such as ${%s} and set the variable", c.suggestVariable(path))
}

// suggestVariable makes a name from the contract's and the last words of the place.
func (c *checker) suggestVariable(path string) string {
	words := strings.Split(path, ".")
	last := words[len(words)-1]
	if last == "value" || last == "const" {
		words = words[len(words)-2 : len(words)-1]
	}
	if n := len(words); n > 2 {
		words = words[n-2:]
	}
	switch {
	case last == "code":
		words = []string{"code", "hook"}
	case words[0] == "hooks":
		words = []string{words[len(words)-1], "hook"}
	}
	name := strings.ToUpper(nonName.ReplaceAllString(strings.Join(append([]string{c.name}, words...), "_"), "_"))
	if name = strings.Trim(name, "_"); name == "" || name[0] >= '0' && name[0] <= '9' {
		return "NAME"
	}
	return name
}

var nonName = regexp.MustCompile(`[^A-Za-z0-9]+`)

// isSecretName tells from a parameter's name that its value is a credential.
func isSecretName(name string) bool {
	switch squash(name) {
	case "assertion", "clientassertion", "code", "codeverifier", "devicecode", "authorization", "apikey", "keyfile", "certfile", "cookie":
		return true
	}
	low := strings.ToLower(name)
	return strings.HasSuffix(low, "secret") || strings.HasSuffix(low, "password") || strings.HasSuffix(low, "token") ||
		strings.HasSuffix(low, "api_key") || strings.HasSuffix(low, "api-key")
}

// parameterSecrets refuses literals in parameters whose name says that they carry a credential.
func (c *checker) parameterSecrets(root *node) {
	each := func(params *node, path string) {
		if params == nil || params.kind != mapping {
			return
		}
		for _, e := range params.entries {
			if !isSecretName(e.key.text) {
				continue
			}
			for _, k := range []string{"value", "const"} {
				v := e.val.get(k)
				if v == nil || v.kind == null || v.kind == mapping {
					continue
				}
				vals := []*node{v}
				if v.kind == list {
					vals = v.items
				}
				for _, v := range vals {
					if v.kind == text && (isSource(v.text) || isReference(v.text)) {
						continue
					}
					c.secret(v, join(join(path, e.key.text), k))
				}
			}
		}
	}
	each(root.at("endpoint", "parameters"), "endpoint.parameters")
	each(root.at("authorization_endpoint", "parameters"), "authorization_endpoint.parameters")
	if g := root.get("grants"); g != nil {
		for _, e := range g.entries {
			each(e.val.get("parameters"), join("grants", e.key.text)+".parameters")
			each(e.val.at("endpoint", "parameters"), join("grants", e.key.text)+".endpoint.parameters")
		}
	}
	if l := root.at("login", "fields"); l != nil {
		for _, e := range l.entries {
			if isSecretName(e.key.text) && e.val.kind == text && !isSource(e.val.text) {
				c.secret(e.val, join("login.fields", e.key.text))
			}
		}
	}
}

func isSource(s string) bool {
	if strings.HasPrefix(s, "hook.") {
		return true
	}
	for _, w := range sources {
		if s == w {
			return true
		}
	}
	return false
}

// isLoopback tells whether an address can only be this machine.
func isLoopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// squash makes names comparable: client-id, clientID and client_id are one.
func squash(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == '.' || r == ' ' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// didYouMean is `; did you mean "x"?` for the nearest known name, or nothing.
func didYouMean(got string, known []string) string {
	if near := nearest(got, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// nearest is the known name that was probably meant; empty if none is near.
func nearest(got string, known []string) string {
	if len(got) > 80 || got == "" {
		return ""
	}
	best, least := "", 4
	g := squash(got)
	for _, k := range known {
		s := squash(k)
		d := distance(g, s)
		if d > 1 && len(g) > 2 && len(s) > 1 && (strings.HasPrefix(g, s) || strings.HasSuffix(g, s) || strings.HasPrefix(s, g) || strings.HasSuffix(s, g)) {
			d = 2
		}
		limit := min(3, len(s)/3)
		if len(s) > 1 {
			limit = max(1, limit)
		}
		if d <= limit && (d < least || d == least && k < best) {
			best, least = k, d
		}
	}
	return best
}

// distance counts insertions, deletions, substitutions and swaps of neighbours.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	prev2, prev := []int(nil), make([]int, len(y)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row := make([]int, len(y)+1)
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(prev[j]+1, row[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], prev2[j-2]+1)
			}
		}
		prev2, prev = prev, row
	}
	return prev[len(y)]
}
