package contract

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"time"
)

// Options bear on how strictly a contract is read.
type Options struct {
	// KnownRules makes unknown rule ids in deviations and waivers an error. Nil: not checked.
	KnownRules []string
	// LiteralSecrets accepts secrets written out, for test servers on loopback addresses only.
	LiteralSecrets bool
	// Now tells which waivers have expired. Nil: not checked.
	Now func() time.Time
}

//go:embed shipped/*.yaml
var shipped embed.FS

// ShippedNames lists the contracts that can be run by name; bases are not among them.
func ShippedNames() []string {
	return []string{"standard", "appsecplus", "devensoft", "semansys", "talkdesk"}
}

// Shipped is a contract that grantcheck carries.
func Shipped(name string) (*Contract, error) { return shippedWith(name, Options{}) }

// ShippedSource is the text of a shipped contract, bases included.
func ShippedSource(name string) ([]byte, error) {
	data, err := shipped.ReadFile("shipped/" + name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("no shipped contract %q%s", name, orList(name, ShippedNames()))
	}
	return data, nil
}

func shippedWith(name string, opt Options) (*Contract, error) {
	data, err := ShippedSource(name)
	if err != nil {
		return nil, err
	}
	return finish(load(name, data, "", opt))
}

// Load reads a contract file, with what it extends, and refuses it with a
// *LoadError that holds every problem.
func Load(path string) (*Contract, error) { return LoadWith(path, Options{}) }

// LoadWith is Load with options.
func LoadWith(path string, opt Options) (*Contract, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return finish(load(path, data, filepath.Dir(path), opt))
}

// Parse reads a contract from memory; what it extends is shipped, or stands in dir ("": shipped only).
func Parse(name string, data []byte, dir string, opt Options) (*Contract, error) {
	return finish(load(name, data, dir, opt))
}

// Open takes the name of a shipped contract or a file.
func Open(nameOrPath string) (*Contract, error) { return OpenWith(nameOrPath, Options{}) }

// OpenWith is Open with options.
func OpenWith(nameOrPath string, opt Options) (*Contract, error) {
	c, problems, err := Lint(nameOrPath, opt)
	if err != nil {
		return nil, err
	}
	return finish(c, problems)
}

// Lint is Open that returns everything it found, warnings included. The
// contract is nil when it could not be built; the error says that nothing
// could be read at all.
func Lint(nameOrPath string, opt Options) (*Contract, []Problem, error) {
	if data, err := ShippedSource(nameOrPath); err == nil {
		c, problems := load(nameOrPath, data, "", opt)
		return c, problems, nil
	}
	data, err := readFile(nameOrPath)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(nameOrPath, "./\\") {
			return nil, nil, fmt.Errorf("no contract %q: neither a file nor a shipped contract%s", nameOrPath, orList(nameOrPath, ShippedNames()))
		}
		return nil, nil, err
	}
	c, problems := load(nameOrPath, data, filepath.Dir(nameOrPath), opt)
	return c, problems, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil && errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("contract %s: %w", path, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("contract %s cannot be read: %w", path, err)
	case info.IsDir():
		return nil, fmt.Errorf("contract %s is a directory; name the file in it", path)
	case info.Size() > maxBytes:
		return nil, fmt.Errorf("contract %s holds %d bytes; a contract has at most %d", path, info.Size(), maxBytes)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("contract %s cannot be read: %w", path, err)
	}
	return data, nil
}

// finish keeps errors and drops warnings.
func finish(c *Contract, problems []Problem) (*Contract, error) {
	var bad []Problem
	for _, p := range problems {
		if !p.Warning {
			bad = append(bad, p)
		}
	}
	if len(bad) > 0 || c == nil {
		return nil, &LoadError{bad}
	}
	return c, nil
}

// load does all of it: read, check, inherit, build, lint.
func load(name string, data []byte, dir string, opt Options) (*Contract, []Problem) {
	l := &loader{opt: opt}
	root := l.tree(name, data, dir, nil)
	if root == nil {
		return nil, l.sorted()
	}
	c := build(root)
	c.File, c.tree, c.opt = name, root, opt
	l.problems = append(l.problems, lint(c, opt)...)
	for _, p := range l.problems {
		if !p.Warning {
			return nil, l.sorted()
		}
	}
	return c, l.sorted()
}

type loader struct {
	opt      Options
	order    []*file
	problems []Problem
}

// sorted puts problems in file order and adds their excerpts; by now every
// secret is known to be one.
func (l *loader) sorted() []Problem {
	rank := map[string]int{}
	files := map[string]*file{}
	for i, f := range l.order {
		rank[f.name], files[f.name] = i, f
	}
	sort.SliceStable(l.problems, func(i, j int) bool {
		a, b := l.problems[i], l.problems[j]
		if rank[a.File] != rank[b.File] {
			return rank[a.File] < rank[b.File]
		}
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	var out []Problem
	for i, p := range l.problems {
		if i > 0 && len(out) > 0 && out[len(out)-1].String() == p.String() {
			continue
		}
		p.Message = files[p.File].scrub(p.Message)
		if p.Line != 1 || p.Column != 1 || p.Path == "" { // what is missing is nowhere to be seen
			p.Excerpt = files[p.File].excerpt(p.Line, p.Column)
		}
		out = append(out, p)
	}
	return out
}

// scrub takes concealed literals out of a message.
func (f *file) scrub(msg string) string {
	if f != nil {
		for _, h := range f.hide {
			if len(h) > 3 {
				msg = strings.ReplaceAll(msg, h, "***")
			}
		}
	}
	return msg
}

// tree reads one file and merges it over what it extends. The stack holds the
// names of the files being read, for cycles.
func (l *loader) tree(name string, data []byte, dir string, stack []string) *node {
	f := newFile(name, data)
	l.order = append(l.order, f)
	root, problems := parse(f, data)
	l.problems = append(l.problems, problems...)
	if root == nil {
		return nil
	}
	root.poisoned = root.poisoned || len(problems) > 0
	c := &checker{file: f, name: root.get("name").str(), literals: l.opt.LiteralSecrets}
	c.mapping(root, contractShape, "")
	c.parameterSecrets(root)
	c.head(root)
	l.problems = append(l.problems, c.problems...)

	stack = append(stack, name)
	var base *node
	for _, p := range root.get("extends").each() {
		if p.kind != text {
			continue
		}
		parent := l.parent(p, name, dir, stack)
		if parent == nil {
			root.poisoned = true
			continue
		}
		for _, own := range []string{"name", "abstract", "extends", "contract"} {
			parent.remove(own)
		}
		if base == nil {
			base = parent
		} else {
			base = merge(base, parent, contractShape)
		}
	}
	l.orphanNulls(root, base, contractShape, "")
	return merge(base, root, contractShape)
}

func (l *loader) parent(p *node, name, dir string, stack []string) *node {
	fail := func(format string, args ...any) *node {
		l.problems = append(l.problems, p.file.problem(p.line, p.col, "extends", fmt.Sprintf(format, args...)))
		return nil
	}
	path := p.text
	isPath := strings.HasSuffix(path, ".yaml") || strings.HasSuffix(path, ".yml")
	if !isPath && !kebab.MatchString(path) {
		return fail("expected the name of a contract or a .yaml file beside this one")
	}
	if !isPath {
		path += ".yaml"
	}
	if dir != "" {
		full := filepath.Join(dir, path)
		// A file that extends its own name means the shipped contract.
		if !isPath && same(full, name) {
			full = ""
		}
		if full != "" {
			if data, err := readFile(full); err == nil {
				for i, s := range stack {
					if same(s, full) {
						return fail("contracts extend each other in a circle: %s", strings.Join(append(append([]string{}, stack[i:]...), full), " -> "))
					}
				}
				return l.tree(full, data, filepath.Dir(full), stack)
			} else if isPath || !errors.Is(err, fs.ErrNotExist) {
				return fail("%v", err)
			}
		}
	} else if isPath {
		return fail("a shipped contract extends shipped contracts only")
	}
	data, err := ShippedSource(p.text)
	if err != nil {
		near := didYouMean(p.text, append(append([]string{"base"}, ShippedNames()...), besides(dir)...))
		where := ""
		if dir != "" {
			where = fmt.Sprintf(", and there is no %s beside this file", path)
		}
		return fail("unknown contract %q: no shipped contract has that name%s%s", p.text, where, near)
	}
	for i, s := range stack {
		if s == p.text {
			return fail("contracts extend each other in a circle: %s", strings.Join(append(append([]string{}, stack[i:]...), p.text), " -> "))
		}
	}
	return l.tree(p.text, data, "", stack)
}

func same(a, b string) bool { return filepath.Clean(a) == filepath.Clean(b) }

func besides(dir string) (names []string) {
	if dir == "" {
		return nil
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.yaml"))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".yaml"))
	}
	return names
}

// head checks what every file needs for itself.
func (c *checker) head(root *node) {
	if root.get("contract") == nil && !root.poisoned {
		c.fail(root, "contract", "the format version is missing: contract: 1")
	}
	if root.get("name") == nil && !root.poisoned {
		c.fail(root, "name", "the contract has no name")
	}
	if root.get("abstract").bool() {
		c.baseCredentials(root, contractShape, "")
	}
}

// baseCredentials: a base may not hold credentials, not even references to them.
func (c *checker) baseCredentials(n *node, s *shape, path string) {
	for _, e := range n.pairs() {
		var elem *shape
		if s.elem != nil {
			elem = s.elem
		} else if k, ok := s.key(e.key.text); ok {
			elem = k.is
		}
		at := join(path, e.key.text)
		identity := (at == "client.id" || at == "user.name" || strings.HasPrefix(at, "clients.") && e.key.text == "id" ||
			strings.HasPrefix(at, "users.") && e.key.text == "name") && e.val.kind != null
		if identity || elem != nil && elem.refs == secret && e.val.kind != null {
			c.fail(e.key, at, "a base holds no credentials; move this to the contract that extends it")
			continue
		}
		if sub := elem.forKind(mapping); sub != nil && e.val.kind == mapping {
			c.baseCredentials(e.val, sub, at)
		}
	}
}

// orphanNulls reports a null that removes nothing: an empty map was meant, or a name is misspelt.
func (l *loader) orphanNulls(n, base *node, s *shape, path string) {
	for _, e := range n.pairs() {
		var elem *shape
		if s.elem != nil {
			elem = s.elem
		} else if k, ok := s.key(e.key.text); ok {
			elem = k.is
		}
		if elem == nil {
			continue
		}
		under := base.get(e.key.text)
		if e.val.kind == null {
			if under == nil && !e.val.poisoned && !elem.null && elem.forKind(null) == nil {
				hint := ""
				if elem.forKind(mapping) != nil {
					hint = "; an empty map is written {}"
				} else if elem.forKind(list) != nil {
					hint = "; an empty list is written []"
				}
				n.poisoned = true
				l.problems = append(l.problems, e.key.file.problem(e.key.line, e.key.col, join(path, e.key.text),
					fmt.Sprintf("%s has no value, which removes an inherited key, and none is inherited%s", quoteKey(e.key.text), hint)))
			}
			continue
		}
		if sub := elem.forKind(mapping); sub != nil && e.val.kind == mapping {
			l.orphanNulls(e.val, under, sub, join(path, e.key.text))
		}
		for i, item := range e.val.list() {
			if sub := elem.forKind(list); sub != nil && sub.elem.forKind(mapping) != nil {
				l.orphanNulls(item, nil, sub.elem.forKind(mapping), fmt.Sprintf("%s[%d]", join(path, e.key.text), i))
			}
		}
	}
}

// merge lays child over base: maps key by key, everything else replaces, null removes.
func merge(base, child *node, s *shape) *node {
	out := *child
	out.entries = nil
	if base != nil && base.kind == mapping {
		out.entries = append(out.entries, base.entries...)
		out.poisoned = out.poisoned || base.poisoned
	}
	for _, e := range child.entries {
		var elem *shape
		if s != nil && s.elem != nil {
			elem = s.elem
		} else if s != nil {
			if k, ok := s.key(e.key.text); ok {
				elem = k.is
			}
		}
		if e.val.kind == null && (elem == nil || !elem.null && elem.forKind(null) == nil) {
			out.remove(e.key.text)
			continue
		}
		merged := &entry{key: e.key, val: e.val}
		if e.val.kind == mapping {
			var under *node
			if b := out.get(e.key.text); b != nil && b.kind == mapping {
				under = b
			}
			merged.val = merge(under, e.val, elem.forKind(mapping))
		}
		replaced := false
		for i, old := range out.entries {
			if old.key.text == e.key.text {
				out.entries = append(append(append([]*entry{}, out.entries[:i]...), merged), out.entries[i+1:]...)
				replaced = true
				break
			}
		}
		if !replaced {
			out.entries = append(out.entries, merged)
		}
	}
	return &out
}

// Clone is a deep copy.
func (c *Contract) Clone() *Contract {
	out := *c
	v := reflect.ValueOf(&out).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.CanSet() {
			f.Set(deepCopy(f))
		}
	}
	return &out
}

func deepCopy(v reflect.Value) reflect.Value {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return v
		}
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(deepCopy(v.Elem()))
		return p
	case reflect.Slice:
		if v.IsNil() {
			return v
		}
		s := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		for i := range v.Len() {
			s.Index(i).Set(deepCopy(v.Index(i)))
		}
		return s
	case reflect.Map:
		if v.IsNil() {
			return v
		}
		m := reflect.MakeMapWithSize(v.Type(), v.Len())
		for it := v.MapRange(); it.Next(); {
			m.SetMapIndex(it.Key(), deepCopy(it.Value()))
		}
		return m
	case reflect.Interface:
		if v.IsNil() {
			return v
		}
		i := reflect.New(v.Type()).Elem()
		i.Set(deepCopy(v.Elem()))
		return i
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return v
		}
		s := reflect.New(v.Type()).Elem()
		s.Set(v)
		for i := range v.NumField() {
			if f := s.Field(i); f.CanSet() {
				f.Set(deepCopy(v.Field(i)))
			}
		}
		return s
	}
	return v
}
