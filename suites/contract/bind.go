package contract

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strings"
)

// Reference is one ${NAME} of a contract.
type Reference struct {
	Name     string
	Where    string // client.secret
	Position string // file:line
	Secret   bool   // masked wherever it would be shown; addresses and scopes are not
	Optional string // the part that falls away when the variable is unset; empty: it is needed

	path []string
}

// Lookup gives the value of a variable. An empty value counts as unset.
type Lookup func(name string) (string, bool)

// BindOptions bear on which variables are needed.
type BindOptions struct {
	URL     string   // token endpoint in place of base_url and path, whose variables are then not needed
	Enabled []string // keys of grants with "enabled: ask" that the operator has switched on
}

// Missing is one variable without a value.
type Missing struct {
	Name     string
	Where    []string // client.secret (acme.yaml:7)
	Optional bool     // the run could do without
}

// MissingError names every unset variable at once.
type MissingError struct {
	Contract string
	Missing  []Missing // those that are needed first
}

func (e *MissingError) Error() string {
	needed, width := 0, 0
	for _, m := range e.Missing {
		if !m.Optional {
			needed++
			width = max(width, len(m.Name))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "contract %s needs %d variable%s that %s unset:", e.Contract, needed, map[bool]string{true: "", false: "s"}[needed == 1],
		map[bool]string{true: "is", false: "are"}[needed == 1])
	column := 0
	for _, m := range e.Missing {
		switch {
		case !m.Optional:
			fmt.Fprintf(&b, "\n  %-*s  %s", width, m.Name, strings.Join(m.Where, ", "))
			continue
		case column == 0:
			b.WriteString("\nunset too, but a run can do without:\n  ")
		case column+len(m.Name) > 76:
			b.WriteString("\n  ")
			column = 0
		default:
			b.WriteByte(' ')
		}
		b.WriteString(m.Name)
		column += len(m.Name) + 1
	}
	return b.String()
}

// Names are the variables that are needed.
func (e *MissingError) Names() (names []string) {
	for _, m := range e.Missing {
		if !m.Optional {
			names = append(names, m.Name)
		}
	}
	return names
}

// References lists every ${NAME} in the order of the contract, once for each place; none once it is bound.
func (c *Contract) References() []Reference {
	if c.tree == nil || c.bound {
		return nil
	}
	var out []Reference
	walkReferences(c.tree, contractShape, nil, "", &out, nil)
	for i, r := range out {
		if len(r.path) == 2 && r.path[0] == "hooks" && c.needsHook("hook."+r.path[1]) {
			out[i].Optional = ""
		}
	}
	return out
}

// needsHook tells whether a grant that is always used cannot do without a hook.
func (c *Contract) needsHook(word string) bool {
	for i := range c.Grants {
		g := &c.Grants[i]
		if n := c.tree.at("grants", g.Key); g.Enabled != "true" || n.get("optional").bool() {
			continue
		}
		for _, f := range c.RequestParameters(g) {
			if f.Value == word && (f.Required.Mode == "true" || f.Required.Mode == "implied") {
				return true
			}
		}
	}
	return false
}

// walkReferences visits every text that may hold references. With a lookup it replaces them in place.
func walkReferences(n *node, s *shape, path []string, optional string, out *[]Reference, value func(name string) string) {
	switch {
	case n == nil || s == nil:
	case n.kind == mapping:
		m := s.forKind(mapping)
		if m == nil {
			return
		}
		group := optional
		if n.get("optional").bool() || m.hasKey("when") && len(path) == 2 && n.get("when") != nil {
			group = dotted(path)
		}
		single := n.get("optional").strs()
		for _, e := range n.entries {
			elem := m.elem
			if m.any {
				elem = m
			} else if elem == nil {
				k, ok := m.key(e.key.text)
				if !ok {
					continue
				}
				elem = k.is
			}
			at := append(slices.Clone(path), e.key.text)
			g := group
			if slices.Contains(single, e.key.text) || len(path) == 1 && path[0] == "hooks" {
				g = dotted(at)
			}
			walkReferences(e.val, elem, at, g, out, value)
		}
	case n.kind == list:
		l := s.forKind(list)
		if l == nil {
			return
		}
		elem := l.elem
		if l.any {
			elem = l
		}
		for i, item := range n.items {
			walkReferences(item, elem, append(slices.Clone(path), fmt.Sprintf("[%d]", i)), optional, out, value)
		}
	case n.kind == text && strings.Contains(n.text, "${"):
		t := s.forKind(text)
		if t == nil || t.refs == verbatim {
			return
		}
		if value != nil {
			n.resolved = true
			n.text = reference.ReplaceAllStringFunc(n.text, func(m string) string { return value(m[2 : len(m)-1]) })
			return
		}
		for _, m := range reference.FindAllStringSubmatch(n.text, -1) {
			*out = append(*out, Reference{
				Name: m[1], Where: dotted(path), Position: fmt.Sprintf("%s:%d", n.file.name, n.line),
				Secret: !t.show, Optional: optional, path: path,
			})
		}
	}
}

func (s *shape) hasKey(name string) bool { _, ok := s.key(name); return ok }

func dotted(path []string) string {
	out := ""
	for _, p := range path {
		if strings.HasPrefix(p, "[") {
			out += p
		} else {
			out = join(out, p)
		}
	}
	return out
}

// Bind replaces every reference and returns a copy with the values of the
// references that are secret, by variable name. Optional parts whose variables
// are unset are left out and listed in Absent; an unset variable that is needed
// is a *MissingError. Bind starts from the contract as loaded: fields that a
// caller has changed since are not seen.
func (c *Contract) Bind(lookup Lookup, opt BindOptions) (*Contract, map[string]string, error) {
	if c.Abstract {
		return nil, nil, fmt.Errorf("contract %s is a base: it cannot be run, only extended", c.Name)
	}
	if c.tree == nil || c.bound {
		return c.Clone(), map[string]string{}, nil
	}
	values, unset := map[string]string{}, map[string]bool{}
	refs := c.References()
	for _, r := range refs {
		if v, ok := lookup(r.Name); ok && v != "" {
			values[r.Name] = v
		} else {
			unset[r.Name] = true
		}
	}
	c.deriveBase(opt.URL, values, unset)

	b := binder{tree: c.tree.clone(), refs: refs, unset: unset, opt: opt}
	b.drop()
	if err := b.cascade(); err != nil {
		return nil, nil, fmt.Errorf("contract %s: %w", c.Name, err)
	}
	if missing := b.missing(); missing != nil {
		return nil, nil, &MissingError{Contract: c.Name, Missing: missing}
	}
	pruned := b.tree.clone()
	walkReferences(b.tree, contractShape, nil, "", nil, func(name string) string { return values[name] })
	out := build(b.tree)
	out.File, out.tree, out.opt, out.bound, out.Absent = c.File, pruned, c.opt, true, b.absent
	if opt.URL != "" {
		for _, part := range []struct {
			name  string
			field *string
		}{{"base_url", &out.Endpoint.BaseURL}, {"path", &out.Endpoint.Path}} {
			for _, r := range refs {
				if r.Where == "endpoint."+part.name && unset[r.Name] {
					*part.field = ""
				}
			}
		}
	}
	if err := out.literalsOnLoopback(opt.URL); err != nil {
		return nil, nil, err
	}
	secrets := map[string]string{}
	for _, r := range refs {
		if v, ok := values[r.Name]; ok && r.Secret {
			secrets[r.Name] = v
		}
	}
	return out, secrets, nil
}

// deriveBase finds the value of a base_url that is one unset reference from the
// address given instead, for other addresses that stand on it.
func (c *Contract) deriveBase(address string, values map[string]string, unset map[string]bool) {
	base := c.Endpoint.BaseURL
	if address == "" || !isReference(base) {
		return
	}
	name := base[2 : len(base)-1]
	u, err := url.Parse(address)
	if !unset[name] || err != nil || u.Host == "" {
		return
	}
	path := reference.ReplaceAllStringFunc(c.Endpoint.Path, func(m string) string { return values[m[2:len(m)-1]] })
	if trimmed, ok := strings.CutSuffix(address, path); ok && path != "" {
		values[name] = trimmed
	} else {
		values[name] = u.Scheme + "://" + u.Host
	}
	delete(unset, name)
}

// binder takes the optional parts out of a tree.
type binder struct {
	tree   *node
	refs   []Reference
	unset  map[string]bool
	opt    BindOptions
	absent []Absent
	needed []Reference // unset, and no optional part covers them
}

func (b *binder) drop() {
	gone := map[string][]string{}
	var order []string
	for _, r := range b.refs {
		switch {
		case !b.unset[r.Name] || b.idleGrant(r.path):
		case b.opt.URL != "" && (r.Where == "endpoint.base_url" || r.Where == "endpoint.path"):
		case r.Optional == "":
			b.needed = append(b.needed, r)
		default:
			if gone[r.Optional] == nil {
				order = append(order, r.Optional)
			}
			if !slices.Contains(gone[r.Optional], r.Name) {
				gone[r.Optional] = append(gone[r.Optional], r.Name)
			}
		}
	}
	for _, where := range order {
		b.cut(where)
		b.absent = append(b.absent, Absent{Where: where, Variables: gone[where]})
	}
}

// idleGrant tells whether a place lies in a grant that this run does not use;
// what is unset there stays empty.
func (b *binder) idleGrant(path []string) bool {
	if len(path) < 2 || path[0] != "grants" {
		return false
	}
	switch b.tree.at("grants", path[1], "enabled").str() {
	case "false":
		return true
	case "ask":
		return !slices.Contains(b.opt.Enabled, path[1])
	}
	return false
}

// cut removes the part at a dotted place.
func (b *binder) cut(where string) {
	for _, e := range b.tree.entries {
		if e.key.text == where {
			b.tree.remove(where)
			return
		}
		for _, sub := range e.val.pairs() {
			at := join(e.key.text, sub.key.text)
			if at == where {
				e.val.remove(sub.key.text)
				return
			}
			for _, leaf := range sub.val.pairs() {
				if join(at, leaf.key.text) == where {
					sub.val.remove(leaf.key.text)
					return
				}
				for _, end := range leaf.val.pairs() {
					if join(join(at, leaf.key.text), end.key.text) == where {
						leaf.val.remove(end.key.text)
						return
					}
				}
			}
		}
	}
}

// cascade takes out what rests on a part that is gone, until nothing does.
func (b *binder) cascade() error {
	clients := append([]*entry{{key: &node{}, val: b.tree.get("client")}}, b.tree.get("clients").pairs()...)
	for _, e := range clients {
		e.val.dropAuth(b.tree)
	}
	b.hooks()
	for again := true; again; {
		again = false
		c := build(b.tree)
		for _, where := range []string{"revocation", "introspection"} {
			n := b.tree.get(where)
			if name := n.get("client"); name != nil && name.kind == text && b.lost("clients."+name.text) {
				if err := b.takeOut(where, n, "clients."+name.text); err != nil {
					return err
				}
				again = true
			}
		}
		if name := b.tree.at("login", "user").str(); name != "" && b.lost("users."+name) || b.tree.get("login") != nil && name == "" && b.lost("user") {
			if err := b.takeOut("login", b.tree.get("login"), map[bool]string{true: "user", false: "users." + name}[name == ""]); err != nil {
				return err
			}
			again = true
		}
		for i := range c.Grants {
			g := &c.Grants[i]
			n := b.tree.at("grants", g.Key)
			because := ""
			if g.Client != "" && b.lost("clients."+g.Client) {
				because = "clients." + g.Client
			} else if _, source := c.unfed(g); source != "" {
				because = b.lostSource(source)
			}
			if because == "" {
				continue
			}
			if b.idleGrant([]string{"grants", g.Key}) {
				continue
			}
			if err := b.takeOut(join("grants", g.Key), n, because); err != nil {
				return err
			}
			again = true
			break
		}
	}
	return nil
}

// hooks takes out parameters that nothing asks for firmly and whose hook is
// absent. A claim has to be there: its hook is needed after all.
func (b *binder) hooks() {
	gone := func(n *node) bool {
		name, ok := strings.CutPrefix(n.str(), "hook.")
		return ok && b.lost("hooks."+name)
	}
	parameters := func(n *node) {
		for _, e := range slices.Clone(n.pairs()) {
			if r := e.val.get("required").str(); gone(e.val.get("value")) && r != "true" && r != "implied" {
				n.remove(e.key.text)
			}
		}
	}
	claims := func(assertion *node) {
		for _, k := range []string{"claims", "header"} {
			for _, e := range assertion.get(k).pairs() {
				if gone(e.val) {
					where := "hooks." + strings.TrimPrefix(e.val.text, "hook.")
					for _, r := range b.refs {
						if r.Where == where {
							b.needed = append(b.needed, r)
						}
					}
				}
			}
		}
	}
	parameters(b.tree.at("endpoint", "parameters"))
	parameters(b.tree.at("authorization_endpoint", "parameters"))
	claims(b.tree.at("client", "assertion"))
	for _, e := range b.tree.get("clients").pairs() {
		claims(e.val.get("assertion"))
	}
	for _, e := range b.tree.get("grants").pairs() {
		parameters(e.val.get("parameters"))
		parameters(e.val.at("endpoint", "parameters"))
		if !b.idleGrant([]string{"grants", e.key.text}) {
			claims(e.val.get("assertion"))
		}
	}
}

func (b *binder) lost(where string) bool {
	return slices.ContainsFunc(b.absent, func(a Absent) bool { return a.Where == where })
}

// lostSource is the absent part that a source word draws on, if there is one.
func (b *binder) lostSource(source string) string {
	section, _, _ := strings.Cut(source, ".")
	name := map[string]string{
		"client.secret": "client.secret", "client.id": "client", "client.redirect_uri": "client.redirect_uri",
		"client.assertion": "client.key_file", "scopes.request": "scopes.request",
	}[source]
	if section == "hook" {
		name = "hooks." + strings.TrimPrefix(source, "hook.")
	}
	for _, w := range []string{name, section} {
		if w != "" && b.lost(w) {
			return w
		}
	}
	return ""
}

// takeOut removes an optional part because another one is absent. A part that
// is not optional makes the other one's variables needed.
func (b *binder) takeOut(where string, n *node, because string) error {
	var vars []string
	for _, a := range b.absent {
		if a.Where == because {
			vars = a.Variables
		}
	}
	if !n.get("optional").bool() {
		for _, r := range b.refs {
			if slices.Contains(vars, r.Name) && b.unset[r.Name] && r.Optional == because {
				b.needed = append(b.needed, r)
			}
		}
		if len(b.needed) == 0 {
			return fmt.Errorf("%s rests on %s, which is absent; mark it optional: true", where, because)
		}
	}
	b.cut(where)
	b.absent = append(b.absent, Absent{Where: where, Variables: vars, Because: because})
	return nil
}

// dropAuth keeps the methods for which a client still has a credential.
func (n *node) dropAuth(root *node) {
	auth := n.get("auth")
	if auth == nil || len(n.get("optional").strs()) == 0 && !n.at("assertion", "optional").bool() {
		return
	}
	kept := auth.clone()
	kept.kind, kept.items, kept.text = list, nil, ""
	for _, m := range auth.each() {
		switch m.str() {
		case "basic", "post":
			if n.get("secret") == nil {
				continue
			}
		case "jwt":
			hmac := strings.HasPrefix(n.at("assertion", "alg").str(), "HS") && n.get("secret") != nil
			if n.get("key_file") == nil && n.at("assertion", "key_file") == nil && !hmac {
				continue
			}
		case "tls":
			if root.at("transport", "cert_file") == nil {
				continue
			}
		}
		kept.items = append(kept.items, m)
	}
	if len(kept.items) == 0 {
		kept.items = []*node{{kind: text, text: "none", file: auth.file, line: auth.line, col: auth.col}}
	}
	n.remove("auth")
	n.entries = append(n.entries, &entry{key: &node{kind: text, text: "auth", file: auth.file, line: auth.line, col: auth.col}, val: kept})
}

// missing groups the unset variables by name; nil when none is needed.
func (b *binder) missing() []Missing {
	if len(b.needed) == 0 {
		return nil
	}
	var out []Missing
	add := func(r Reference, optional bool) {
		where := fmt.Sprintf("%s (%s)", r.Where, r.Position)
		for i := range out {
			if out[i].Name == r.Name {
				if out[i].Optional == optional && !slices.Contains(out[i].Where, where) {
					out[i].Where = append(out[i].Where, where)
				}
				return
			}
		}
		out = append(out, Missing{Name: r.Name, Where: []string{where}, Optional: optional})
	}
	for _, r := range b.needed {
		add(r, false)
	}
	for _, r := range b.refs {
		if b.unset[r.Name] && !b.idleGrant(r.path) {
			add(r, true)
		}
	}
	return out
}

// literalsOnLoopback refuses secrets that are written out unless the endpoint is this machine.
func (c *Contract) literalsOnLoopback(address string) error {
	if address == "" {
		address = c.Endpoint.BaseURL
	}
	if c.opt.LiteralSecrets && c.hasLiterals() && !isLoopback(address) {
		return errors.New("contract " + c.Name + ": secrets written out are for test servers on loopback addresses only; use ${NAME}")
	}
	return nil
}

func (c *Contract) hasLiterals() bool {
	probe := &checker{file: &file{}}
	probe.mapping(c.tree, contractShape, "")
	probe.parameterSecrets(c.tree)
	return len(probe.problems) > 0
}

// EnvFile holds variables read from a file.
type EnvFile struct {
	Name   string
	Values map[string]string
	lines  map[string]int
}

// ParseEnvFile reads KEY=VALUE lines: blank lines, comments, a leading export and quotes are understood.
// Errors name the line, never a value.
func ParseEnvFile(name string, data []byte) (*EnvFile, error) {
	f := &EnvFile{Name: name, Values: map[string]string{}, lines: map[string]int{}}
	var errs []error
	bad := func(i int, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s:%d: %s", name, i+1, fmt.Sprintf(format, args...)))
	}
	text := strings.TrimPrefix(strings.ReplaceAll(string(data), "\r\n", "\n"), "\ufeff")
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "export "); ok {
			line = strings.TrimSpace(rest)
		}
		key, value, ok := strings.Cut(line, "=")
		switch {
		case !ok:
			bad(i, "expected NAME=VALUE")
			continue
		case !variable.MatchString(key):
			bad(i, "expected NAME=VALUE, the name of letters, digits and underscores, without spaces around the =")
			continue
		}
		value, err := unquoteEnv(value)
		if err != nil {
			bad(i, "%s: %v", key, err)
			continue
		}
		if first, dup := f.lines[key]; dup {
			bad(i, "%s stands on line %d already", key, first)
			continue
		}
		f.Values[key], f.lines[key] = value, i+1
	}
	return f, errors.Join(errs...)
}

// unquoteEnv reads a value as a shell would: 'as it is', "with \" \\ \$ \n", or bare up to " #".
func unquoteEnv(s string) (string, error) {
	if s == "" || s[0] != '\'' && s[0] != '"' {
		if i := strings.Index(s, " #"); i >= 0 {
			s = s[:i]
		}
		return strings.TrimSpace(s), nil
	}
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			if rest := strings.TrimSpace(s[i+1:]); rest != "" && rest[0] != '#' {
				return "", fmt.Errorf("text after the closing quote")
			}
			return b.String(), nil
		case quote == '"' && s[i] == '\\' && i+1 < len(s):
			i++
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case '"', '\\', '$', '`':
				b.WriteByte(s[i])
			default:
				b.WriteByte('\\')
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(s[i])
		}
	}
	return "", fmt.Errorf("the closing quote is missing")
}

// Environment looks variables up in the environment and, where that has none, in
// a file (which may be nil). A credential whose parts would come from both
// places, an id from here and its secret from there, is an error.
func (c *Contract) Environment(env Lookup, file *EnvFile) (Lookup, error) {
	set := func(name string) (string, bool) { v, ok := env(name); return v, ok && v != "" }
	if file == nil {
		return set, nil
	}
	groups := map[string][]string{}
	var order []string
	for _, r := range c.References() {
		group := credential(r.path)
		if group == "" || slices.Contains(groups[group], r.Name) {
			continue
		}
		if groups[group] == nil {
			order = append(order, group)
		}
		groups[group] = append(groups[group], r.Name)
	}
	var errs []error
	for _, g := range order {
		var here, there []string
		for _, name := range groups[g] {
			v, inEnv := set(name)
			w, inFile := file.Values[name]
			switch {
			case inEnv && inFile && v == w:
			case inEnv:
				here = append(here, name)
			case inFile:
				there = append(there, name)
			}
		}
		if len(here) > 0 && len(there) > 0 {
			sort.Strings(here)
			sort.Strings(there)
			errs = append(errs, fmt.Errorf("%s: %s comes from the environment and %s from %s; a credential comes from one place: unset %s in the environment, or set %s there too",
				g, strings.Join(here, ", "), strings.Join(there, ", "), file.Name, strings.Join(here, ", "), strings.Join(there, ", ")))
		}
	}
	return func(name string) (string, bool) {
		if v, ok := set(name); ok {
			return v, true
		}
		v, ok := file.Values[name]
		return v, ok && v != ""
	}, errors.Join(errs...)
}

// credential is the fixture to which a reference belongs as an id or a secret of it.
func credential(path []string) string {
	if len(path) < 2 {
		return ""
	}
	last := path[len(path)-1]
	switch {
	case path[0] == "client" || path[0] == "user":
		if last != "redirect_uri" {
			return path[0]
		}
	case path[0] == "clients" || path[0] == "users":
		if last != "redirect_uri" {
			return dotted(path[:2])
		}
	case path[0] == "transport" && (last == "cert_file" || last == "key_file"):
		return "transport"
	case path[0] == "grants" && len(path) > 3 && path[2] == "assertion":
		return dotted(path[:3])
	}
	return ""
}
