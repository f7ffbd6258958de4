package exchange

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A Kind is the JSON type of a value; "" is no value.
type Kind string

const (
	Null   Kind = "null"
	Bool   Kind = "boolean"
	Number Kind = "number"
	String Kind = "string"
	Array  Kind = "array"
	Object Kind = "object"
)

// A Value is one JSON value with its literal text.
type Value struct {
	Kind    Kind
	Raw     string   // as it stands in the body: the literal of a number, escapes and quotes included
	Text    string   // decoded string; Raw for other kinds
	Members []Member // of an object, in order, repeated names included
	Items   []Value  // of an array
}

// A Member is one member of an object.
type Member struct {
	Name  string
	Value Value
}

// Present reports that the value is there and not null.
func (v Value) Present() bool { return v.Kind != "" && v.Kind != Null }

// Get returns the first member of that name, the zero Value if there is none.
func (v Value) Get(name string) Value {
	for _, m := range v.Members {
		if m.Name == name {
			return m.Value
		}
	}
	return Value{}
}

// At follows a path of member names and array indexes, as [contract.Field.Path] has them.
func (v Value) At(path ...string) Value {
	for _, step := range path {
		if v.Kind == Array {
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v.Items) {
				return Value{}
			}
			v = v.Items[i]
			continue
		}
		v = v.Get(step)
	}
	return v
}

// Names returns the names of the members in order, repeated ones included.
func (v Value) Names() []string {
	names := make([]string, len(v.Members))
	for i, m := range v.Members {
		names[i] = m.Name
	}
	return names
}

// Repeated returns the member names that occur more than once, each once.
func (v Value) Repeated() []string {
	var out []string
	seen := map[string]int{}
	for _, m := range v.Members {
		if seen[m.Name]++; seen[m.Name] == 2 {
			out = append(out, m.Name)
		}
	}
	return out
}

// Integer returns the value of a number literal without fraction or exponent.
func (v Value) Integer() (int64, bool) {
	if v.Kind != Number {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Raw, 10, 64)
	return n, err == nil
}

// Float returns the value of any number literal.
func (v Value) Float() (float64, bool) {
	if v.Kind != Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(v.Raw, 64)
	return f, err == nil
}

// A Document is a body read strictly.
type Document struct {
	Value           // the zero Value when nothing could be read
	Err      error  // why the body is not one JSON value, nil when it is (RFC 8259)
	BOM      bool   // starts with EF BB BF
	NotUTF8  bool   // some byte sequence is not UTF-8
	Trailing string // what follows the value, white space aside
	Form     bool   // a documented form-encoded answer: every member is a string
	Controls bool   // a NUL byte stands in the body
	Depth    int    // deepest nesting
}

// IsObject reports that the body is one JSON object, strictly, or a documented form.
func (d *Document) IsObject() bool { return d.Err == nil && d.Kind == Object }

// maxDepth bounds nesting: deeper is an error, never a crash.
const maxDepth = 256

// ParseStrict reads a body as one JSON value. What can be read of a faulty one is there beside Err.
func ParseStrict(body []byte) *Document {
	d := &Document{NotUTF8: !utf8.Valid(body), Controls: bytes.IndexByte(body, 0) >= 0}
	if bytes.HasPrefix(body, []byte("\xef\xbb\xbf")) {
		d.BOM = true
		body = body[3:]
	}
	p := parser{in: string(body)}
	p.space()
	if p.pos == len(p.in) {
		d.Err = fmt.Errorf("empty body")
		return d
	}
	d.Value = p.value(1)
	d.Depth = p.deepest
	p.space()
	if p.err == nil {
		d.Trailing = p.in[p.pos:]
	}
	switch {
	case p.err != nil:
		d.Err = p.err
	case d.BOM:
		d.Err = fmt.Errorf("a byte order mark before the value")
	case d.Trailing != "":
		d.Err = fmt.Errorf("text after the value, at byte %d", p.pos)
	case d.NotUTF8:
		d.Err = fmt.Errorf("not UTF-8")
	}
	return d
}

// parseLenient reads what it can of the first object or array in a body: a guard prefix, a byte
// order mark, raw control characters, text behind and an early end are forgiven.
func parseLenient(body []byte) Value {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	body = bytes.TrimLeft(body, " \t\r\n\x00")
	if len(body) == 0 || body[0] == '<' {
		return Value{}
	}
	start := bytes.IndexAny(body, "{[")
	if start < 0 || start > 64 {
		return Value{}
	}
	p := parser{in: string(body), pos: start, lenient: true}
	return p.value(1)
}

// parseForm reads a form-encoded body; ok is false if it does not look like one.
func parseForm(body []byte) (v Value, ok bool) {
	text := strings.TrimSpace(string(body))
	if text == "" || strings.ContainsAny(text, " \t\r\n<{\"") || !strings.Contains(text, "=") {
		return Value{}, false
	}
	v = Value{Kind: Object, Raw: text}
	for pair := range strings.SplitSeq(text, "&") {
		name, value, _ := strings.Cut(pair, "=")
		n, err1 := url.QueryUnescape(name)
		val, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || n == "" {
			return Value{}, false
		}
		v.Members = append(v.Members, Member{n, Value{Kind: String, Raw: value, Text: val}})
	}
	return v, true
}

// parser is a recursive descent over RFC 8259 that keeps order, repetition and literals.
type parser struct {
	in      string
	pos     int
	lenient bool
	err     error
	deepest int
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format+", at byte %d", append(args, p.pos)...)
	}
}

func (p *parser) space() {
	for p.pos < len(p.in) && strings.IndexByte(" \t\r\n", p.in[p.pos]) >= 0 {
		p.pos++
	}
}

func (p *parser) peek() byte {
	if p.pos < len(p.in) {
		return p.in[p.pos]
	}
	return 0
}

func (p *parser) value(depth int) (v Value) {
	p.deepest = max(p.deepest, depth)
	if depth > maxDepth {
		p.fail("nested deeper than %d", maxDepth)
		return v
	}
	start := p.pos
	defer func() {
		if v.Kind != "" {
			v.Raw = p.in[start:min(p.pos, len(p.in))]
			if v.Kind != String {
				v.Text = v.Raw
			}
		}
	}()
	switch c := p.peek(); {
	case p.pos >= len(p.in):
		p.fail("the body ends early")
	case c == '{':
		v.Kind = Object
		p.object(&v, depth)
	case c == '[':
		v.Kind = Array
		p.array(&v, depth)
	case c == '"':
		v.Kind = String
		v.Text = p.str()
	case c == '-' || c >= '0' && c <= '9':
		p.number()
		if p.err == nil {
			v.Kind = Number
		}
	default:
		for word, kind := range map[string]Kind{"true": Bool, "false": Bool, "null": Null} {
			if strings.HasPrefix(p.in[p.pos:], word) {
				p.pos += len(word)
				v.Kind = kind
				return v
			}
		}
		p.fail("unexpected %q", c)
	}
	return v
}

func (p *parser) object(v *Value, depth int) {
	p.pos++
	p.space()
	if p.peek() == '}' {
		p.pos++
		return
	}
	for p.err == nil {
		p.space()
		if p.peek() != '"' {
			p.fail("want a member name")
			return
		}
		name := p.str()
		p.space()
		if p.err != nil {
			return
		}
		if p.peek() != ':' {
			p.fail("want a colon")
			return
		}
		p.pos++
		p.space()
		value := p.value(depth + 1)
		if value.Kind != "" && (p.err == nil || value.Kind == Object || value.Kind == Array) {
			v.Members = append(v.Members, Member{name, value})
		}
		p.space()
		switch {
		case p.err != nil:
			return
		case p.peek() == ',':
			p.pos++
		case p.peek() == '}' && p.pos < len(p.in):
			p.pos++
			return
		default:
			p.fail("want a comma or the end of the object")
		}
	}
}

func (p *parser) array(v *Value, depth int) {
	p.pos++
	p.space()
	if p.peek() == ']' {
		p.pos++
		return
	}
	for p.err == nil {
		p.space()
		item := p.value(depth + 1)
		if item.Kind != "" {
			v.Items = append(v.Items, item)
		}
		p.space()
		switch {
		case p.err != nil:
			return
		case p.peek() == ',':
			p.pos++
		case p.peek() == ']' && p.pos < len(p.in):
			p.pos++
			return
		default:
			p.fail("want a comma or the end of the array")
		}
	}
}

// number reads RFC 8259 §6: no leading zero, no plus, digits on both sides of a point.
func (p *parser) number() {
	digits := func() bool {
		n := p.pos
		for p.pos < len(p.in) && p.in[p.pos] >= '0' && p.in[p.pos] <= '9' {
			p.pos++
		}
		return p.pos > n
	}
	if p.peek() == '-' {
		p.pos++
	}
	if p.peek() == '0' {
		p.pos++
		if c := p.peek(); c >= '0' && c <= '9' {
			p.fail("a number with a leading zero")
			return
		}
	} else if !digits() {
		p.fail("a number without digits")
		return
	}
	if p.peek() == '.' {
		p.pos++
		if !digits() {
			p.fail("a number without digits behind its point")
			return
		}
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		if !digits() {
			p.fail("a number without digits in its exponent")
		}
	}
}

func (p *parser) str() string {
	var b strings.Builder
	p.pos++
	for p.pos < len(p.in) {
		c := p.in[p.pos]
		switch {
		case c == '"':
			p.pos++
			return b.String()
		case c == '\\':
			p.escape(&b)
			if p.err != nil {
				return b.String()
			}
		case c < 0x20 && !p.lenient:
			p.fail("a raw control character in a string")
			return b.String()
		default:
			b.WriteByte(c)
			p.pos++
		}
	}
	p.fail("a string without its end")
	return b.String()
}

func (p *parser) escape(b *strings.Builder) {
	p.pos++
	c := p.peek()
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 && p.pos < len(p.in) {
		b.WriteByte("\"\\/\b\f\n\r\t"[i])
		p.pos++
		return
	}
	if c != 'u' {
		p.fail("an escape that JSON does not know")
		return
	}
	r, ok := p.hex4()
	if !ok {
		p.fail("an escape that JSON does not know")
		return
	}
	if utf16.IsSurrogate(r) {
		at := p.pos
		if p.peek() == '\\' && p.pos+1 < len(p.in) && p.in[p.pos+1] == 'u' {
			p.pos++
			if low, ok := p.hex4(); ok {
				if full := utf16.DecodeRune(r, low); full != utf8.RuneError {
					b.WriteRune(full)
					return
				}
			}
		}
		p.pos = at // a lone surrogate: the grammar allows it
		r = utf8.RuneError
	}
	b.WriteRune(r)
}

// hex4 reads the four digits behind \u, standing on the u.
func (p *parser) hex4() (rune, bool) {
	if p.pos+5 > len(p.in) {
		return 0, false
	}
	n, err := strconv.ParseUint(p.in[p.pos+1:p.pos+5], 16, 16)
	if err != nil {
		return 0, false
	}
	p.pos += 5
	return rune(n), true
}

// search returns the value of the outermost member whose name is one of names and that accept
// likes, level by level.
func (v Value) search(accept func(Value) bool, names ...string) Value {
	level := []Value{v}
	for len(level) > 0 {
		var next []Value
		for _, x := range level {
			for _, m := range x.Members {
				if slices.Contains(names, m.Name) && accept(m.Value) {
					return m.Value
				}
				next = append(next, m.Value)
			}
			next = append(next, x.Items...)
		}
		level = next
	}
	return Value{}
}
