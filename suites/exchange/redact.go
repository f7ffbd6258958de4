package exchange

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// A Redactor replaces secret values, wherever and however encoded they stand in a text.
//
// Credentials that came by a reference become ${NAME}, so that a curl line stays usable; what
// exchanges taught becomes <access_token>, <code>, the second one <code-2>. A value is found
// plain, percent-encoded in part or wholly, form-encoded, escaped for JSON, HTML or a shell, in
// base64 at any alignment and of either alphabet, in hex, and in up to three of these layers.
// From eight bytes on letter case is ignored.
//
// Values of less than four bytes, and words of the protocol itself such as "password", would take
// half of every text with them: these are masked only in the parameter, credential or member that
// carries them. It is safe for concurrent use.
type Redactor struct {
	mu      sync.RWMutex
	known   map[string]string // value to what stands for it
	named   []string          // the values that came with a name
	shown   map[string]bool
	counts  map[string]int
	needles map[[4]byte][]needle
	least   int // bytes of the shortest needle
}

type needle struct {
	norm  string // as it is looked for: letters in lower case, plus as space
	exact string // "" when letter case is ignored
	shown string
}

// sensitiveParts are the parts whose values are learned from requests and answers.
var sensitiveParts = []string{
	"client_secret", "password", "client_assertion", "assertion", "code", "code_verifier", "refresh_token",
	"access_token", "id_token", "token", "subject_token", "actor_token", "device_code",
}

// protocolWords are never looked for by value.
var protocolWords = []string{
	"access_token", "refresh_token", "authorization_code", "client_credentials", "client_secret", "client_id", "password",
	"secret", "token", "code", "error", "scope", "bearer", "basic", "grant_type", "client", "user", "openid", "true", "false", "null", "http", "https",
	"application/json", "application/x-www-form-urlencoded", "content-type", "authorization", "no-store", "no-cache", "text/html", "location",
}

// NewRedactor makes a redactor that shows the values of secrets as ${NAME}.
func NewRedactor(secrets map[string]string) *Redactor {
	r := &Redactor{known: map[string]string{}, shown: map[string]bool{}, counts: map[string]int{}, needles: map[[4]byte][]needle{}}
	names := make([]string, 0, len(secrets))
	for name := range secrets {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if v := secrets[name]; v != "" && r.known[v] == "" {
			r.add(v, "${"+name+"}")
			r.named = append(r.named, v)
		}
	}
	return r
}

// Show marks a value as made up by the harness: no secret, so that a report can show it.
func (r *Redactor) Show(value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.known[value]; !known {
		r.shown[value] = true
	}
}

// Learn has a value masked from now on as <part>. Values that are shown, known or empty are left.
// A variation of a known secret stays an expansion of its name: ${NAME%?} without its last
// character, ${NAME~~} in swapped letter case.
func (r *Redactor) Learn(part, value string) {
	if value == "" {
		return
	}
	r.mu.RLock()
	_, known := r.known[value]
	skip := known || r.shown[value]
	r.mu.RUnlock()
	if skip {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.known[value]; known {
		return
	}
	for _, secret := range r.named {
		name := r.known[secret]
		switch {
		case len(secret) < 4:
		case strings.HasPrefix(secret, value) && utf8.RuneCountInString(secret[len(value):]) == 1:
			r.add(value, strings.TrimSuffix(name, "}")+"%?}")
			return
		case value == SwapCase(secret):
			r.add(value, strings.TrimSuffix(name, "}")+"~~}")
			return
		case strings.Contains(value, secret) && len(value) <= len(secret)+4:
			return // masked as the secret with a rest
		}
	}
	r.counts[part]++
	name := "<" + part + ">"
	if n := r.counts[part]; n > 1 {
		name = fmt.Sprintf("<%s-%d>", part, n)
	}
	r.add(value, name)
}

// SwapCase swaps upper and lower case letters, for the probe that needs it.
func SwapCase(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsUpper(c) {
			return unicode.ToLower(c)
		}
		return unicode.ToUpper(c)
	}, s)
}

// add registers a value; the lock is held, or nobody else knows r yet.
func (r *Redactor) add(value, shown string) {
	r.known[value] = shown
	if len(value) < 4 || slices.Contains(protocolWords, strings.ToLower(value)) {
		return
	}
	// A value that looks encoded itself is also met one or two layers down.
	seen := map[string]bool{}
	t := plainText(value)
	for range 3 {
		if v := string(t.b); len(v) >= 4 && !seen[v] {
			seen[v] = true
			n := needle{norm: normalize(v), shown: shown}
			if len(v) < 8 {
				n.exact = strings.ReplaceAll(v, "+", " ")
			}
			r.seek(n)
		}
		t, _ = t.decode(anyEscape)
	}
	// A signed token gives itself away by its signature alone.
	if seg := strings.Split(value, "."); len(seg) == 3 && len(seg[2]) >= 16 && strings.HasPrefix(value, "ey") {
		r.seek(needle{norm: normalize(seg[2]), shown: shown})
	}
}

func (r *Redactor) seek(n needle) {
	key := [4]byte([]byte(n.norm[:4]))
	r.needles[key] = append(r.needles[key], n)
	if r.least == 0 || len(n.norm) < r.least {
		r.least = len(n.norm)
	}
}

// Redact replaces every known secret in s.
func (r *Redactor) Redact(s string) string {
	if r == nil || len(s) < 4 {
		return s
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.needles) == 0 {
		return s
	}
	return r.redact(s)
}

// Contains reports whether a secret stands in text, however encoded.
func Contains(text, secret string) bool {
	if len(secret) < 4 {
		return false
	}
	r := &Redactor{known: map[string]string{}, needles: map[[4]byte][]needle{}}
	r.add(secret, "*")
	spans, _ := (&search{r: r, budget: budgetFor(text)}).find(text, 0)
	return len(spans) > 0
}

type span struct {
	from, to int
	shown    string
}

// unreadable stands for a text with more layers of encodings than there is time to undo.
const unreadable = "[not shown: encoded too many times over]"

func (r *Redactor) redact(s string) string {
	spans, ok := (&search{r: r, budget: budgetFor(s)}).find(s, 0)
	if !ok {
		return unreadable
	}
	return replace(s, spans)
}

func replace(s string, spans []span) string {
	if len(spans) == 0 {
		return s
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(b.to, a.to))
	})
	var b strings.Builder
	at := 0
	for i := 0; i < len(spans); {
		from, to, best := spans[i].from, spans[i].to, spans[i]
		for i++; i < len(spans) && spans[i].from < to; i++ {
			to = max(to, spans[i].to)
			if spans[i].to-spans[i].from > best.to-best.from {
				best = spans[i]
			}
		}
		b.WriteString(s[at:from])
		b.WriteString(best.shown)
		at = to
	}
	b.WriteString(s[at:])
	return b.String()
}

// A search looks for the needles of a redactor in one text. Its budget, in bytes looked at, keeps a
// text made to have many decodings from taking for ever: what cannot be searched is not shown.
type search struct {
	r      *Redactor
	budget int
}

func budgetFor(s string) int { return 1<<20 + 200*len(s) }

// find returns where secrets stand in s. What one encoder wrote over another's work is undone
// kind by kind, three layers deep, as only the right order brings the value back. ok is false when
// the budget did not last.
func (f *search) find(s string, depth int) (spans []span, ok bool) {
	kinds := escapeKinds
	if depth > 0 || len(s) > maxKindwise {
		kinds = kinds[:1]
	}
	layer := []text{plainText(s)}
	var seen map[string]bool
	tried := map[place]bool{}
	for n := 0; ; n++ {
		var next []text
		for _, t := range layer {
			if f.budget -= len(t.b); f.budget < 0 {
				return nil, false
			}
			spans = append(spans, f.r.match(t)...)
			if depth < 2 {
				inner, ok := f.inBase64(t, depth, tried)
				if !ok {
					return nil, false
				}
				spans = append(spans, inner...)
				if inner, ok = f.inHex(t, depth, tried); !ok {
					return nil, false
				}
				spans = append(spans, inner...)
			}
			if n == 3 || !bytes.ContainsAny(t.b, anyEscape) {
				continue
			}
			if seen == nil {
				seen = map[string]bool{s: true}
			}
			for _, kind := range kinds {
				if plain, changed := t.decode(kind); changed && !seen[string(plain.b)] {
					seen[string(plain.b)] = true
					next = append(next, plain)
				}
			}
		}
		if layer = next; len(layer) == 0 {
			return spans, true
		}
	}
}

// place is a run of characters that was looked into: layers share most of theirs.
type place struct{ from, length int }

// maxKindwise bounds the texts that are decoded kind by kind; longer ones are decoded of all kinds
// at once, which misses rare nestings.
const maxKindwise = 64 << 10

// What starts an escape, all kinds together, and each by itself.
const anyEscape = "%\\&"

var escapeKinds = []string{anyEscape, "%", "\\", "&"}

func (r *Redactor) match(t text) (spans []span) {
	norm := normalize(string(t.b))
	for i := 0; i+4 <= len(norm); i++ {
		for _, n := range r.needles[[4]byte([]byte(norm[i:i+4]))] {
			if !strings.HasPrefix(norm[i:], n.norm) {
				continue
			}
			if n.exact != "" && strings.ReplaceAll(string(t.b[i:i+len(n.norm)]), "+", " ") != n.exact {
				continue
			}
			spans = append(spans, span{t.from[i], t.to[i+len(n.norm)-1], n.shown})
		}
	}
	return spans
}

// inBase64 decodes every run of base64 characters at its four alignments.
func (f *search) inBase64(t text, depth int, tried map[place]bool) (spans []span, ok bool) {
	for _, run := range runs(t.b, f.r.least*4/3, isBase64) {
		at := place{t.from[run[0]], run[1] - run[0]}
		if tried[at] {
			continue
		}
		tried[at] = true
		norm := strings.NewReplacer("-", "+", "_", "/").Replace(string(t.b[run[0]:run[1]]))
		for off := 0; off < 4 && off < len(norm); off++ {
			part := norm[off:]
			if len(part)%4 == 1 {
				part = part[:len(part)-1]
			}
			plain, err := base64.RawStdEncoding.DecodeString(part)
			if err != nil || len(plain) < 4 {
				continue
			}
			found, ok := f.find(string(plain), depth+1)
			if !ok {
				return nil, false
			}
			if len(found) == 0 {
				continue
			}
			if off == 0 && printable(plain) {
				end := run[1]
				for end < len(t.b) && t.b[end] == '=' && end < run[1]+2 {
					end++
				}
				spans = append(spans, span{t.from[run[0]], t.to[end-1], "base64(" + replace(string(plain), found) + ")"})
				break
			}
			for _, s := range found {
				from := run[0] + off + s.from/3*4
				to := min(run[1], run[0]+off+(s.to+2)/3*4)
				spans = append(spans, span{t.from[from], t.to[to-1], s.shown})
			}
		}
	}
	return spans, true
}

func (f *search) inHex(t text, depth int, tried map[place]bool) (spans []span, ok bool) {
	for _, run := range runs(t.b, f.r.least*2, isHex) {
		at := place{t.from[run[0]], run[0] - run[1]}
		if tried[at] {
			continue
		}
		tried[at] = true
		for off := range 2 {
			b := t.b[run[0]+off : run[1]]
			plain, err := hex.DecodeString(string(b[:len(b)/2*2]))
			if err != nil {
				continue
			}
			found, ok := f.find(string(plain), depth+1)
			if !ok {
				return nil, false
			}
			for _, s := range found {
				spans = append(spans, span{t.from[run[0]+off+2*s.from], t.to[run[0]+off+2*s.to-1], s.shown})
			}
		}
	}
	return spans, true
}

func runs(b []byte, shortest int, is func(byte) bool) (out [][2]int) {
	for i := 0; i < len(b); {
		if !is(b[i]) {
			i++
			continue
		}
		j := i
		for j < len(b) && is(b[j]) {
			j++
		}
		if j-i >= shortest {
			out = append(out, [2]int{i, j})
		}
		i = j
	}
	return out
}

func isBase64(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '-' || c == '_'
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func printable(b []byte) bool {
	return utf8.Valid(b) && !slices.ContainsFunc([]rune(string(b)), func(c rune) bool { return !unicode.IsPrint(c) })
}

// normalize makes letters lower case and the plus sign a space, byte for byte.
func normalize(s string) string {
	b := []byte(s)
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
			b[i] = c + 'a' - 'A'
		case c == '+':
			b[i] = ' '
		}
	}
	return string(b)
}

// text is a layer of a text, with the place in the original where each byte comes from.
type text struct {
	b        []byte
	from, to []int
}

func plainText(s string) text {
	t := text{b: []byte(s), from: make([]int, len(s)), to: make([]int, len(s))}
	for i := range t.b {
		t.from[i], t.to[i] = i, i+1
	}
	return t
}

// decode undoes one layer of the escapes that start with one of these characters: percent-encoding,
// JSON and C escapes, HTML entities.
func (t text) decode(kinds string) (text, bool) {
	var out text
	changed := false
	if !bytes.ContainsAny(t.b, kinds) {
		return t, false
	}
	out = text{make([]byte, 0, len(t.b)), make([]int, 0, len(t.b)), make([]int, 0, len(t.b))}
	for i := 0; i < len(t.b); {
		var plain []byte
		n := 0
		if strings.IndexByte(kinds, t.b[i]) >= 0 {
			plain, n = unescape(t.b[i:])
		}
		if n == 0 {
			plain, n = t.b[i:i+1], 1
		} else {
			changed = true
		}
		for range plain {
			out.from = append(out.from, t.from[i])
			out.to = append(out.to, t.to[i+n-1])
		}
		out.b = append(out.b, plain...)
		i += n
	}
	return out, changed
}

// unescape returns what the escape at the start of b stands for and its length, 0 if there is none.
func unescape(b []byte) (plain []byte, n int) {
	digits := func(from, count, base int) (uint64, bool) {
		if len(b) < from+count {
			return 0, false
		}
		v, err := strconv.ParseUint(string(b[from:from+count]), base, 32)
		return v, err == nil
	}
	switch b[0] {
	case '%':
		if v, ok := digits(1, 2, 16); ok {
			return []byte{byte(v)}, 3
		}
	case '\\':
		if len(b) < 2 {
			return nil, 0
		}
		switch c := b[1]; c {
		case 'u':
			v, ok := digits(2, 4, 16)
			if !ok {
				return nil, 0
			}
			if utf16.IsSurrogate(rune(v)) && len(b) >= 12 && b[6] == '\\' && b[7] == 'u' {
				if low, ok := digits(8, 4, 16); ok {
					return utf8.AppendRune(nil, utf16.DecodeRune(rune(v), rune(low))), 12
				}
			}
			return utf8.AppendRune(nil, rune(v)), 6
		case 'x':
			if v, ok := digits(2, 2, 16); ok {
				return []byte{byte(v)}, 4
			}
		default:
			if i := strings.IndexByte(`"\/'bfnrt`, c); i >= 0 {
				return []byte{"\"\\/'\b\f\n\r\t"[i]}, 2
			}
		}
	case '&':
		end := slices.Index(b[:min(len(b), 12)], ';')
		if end < 0 {
			return nil, 0
		}
		entity := string(b[:end+1])
		if s := html.UnescapeString(entity); s != entity {
			return []byte(s), end + 1
		}
	}
	return nil, 0
}

// learned is a value that an exchange teaches.
type learned struct{ part, value string }

// learn has the redactor know what a request carried and an answer brought.
func (e *Exchange) learn() {
	if e.Request.target == nil {
		return
	}
	r := e.Request.target.Redactor
	for _, s := range e.Request.carried() {
		r.Learn(s.part, s.value)
	}
	for _, s := range e.Answer().carried() {
		r.Learn(s.part, s.value)
	}
}

// carried returns the secrets that a request carries.
func (r Request) carried() []learned {
	out := slices.Clone(r.secrets)
	for _, p := range r.params {
		if slices.Contains(sensitiveParts, p.Part) || slices.Contains(sensitiveParts, p.Name) {
			value := p.Value
			if p.RawValue {
				t, _ := plainText(value).decode("%")
				value = string(t.b)
			}
			out = append(out, learned{cmp.Or(p.Part, p.Name), value})
		}
	}
	if r.basic != nil {
		out = append(out, learned{"client_secret", r.basic.secret})
	}
	for _, h := range r.headers {
		scheme, value, _ := strings.Cut(h.Value, " ")
		switch {
		case strings.EqualFold(h.Name, "Cookie"):
			out = append(out, learned{"cookie", h.Value})
		case !strings.EqualFold(h.Name, "Authorization"):
		case strings.EqualFold(scheme, "Basic"):
			if text, ok := decodeBase64(value); ok {
				if _, secret, ok := strings.Cut(text, ":"); ok {
					t, _ := plainText(secret).decode("%")
					out = append(out, learned{"client_secret", string(t.b)})
				}
			}
		case strings.EqualFold(scheme, "Bearer"):
			out = append(out, learned{"access_token", value})
		}
	}
	return out
}

func decodeBase64(s string) (string, bool) {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "="))
	return string(b), err == nil
}

// carried returns the tokens and codes of an answer, at any depth, and those in its Location.
func (a *Answer) carried() []learned {
	var out []learned
	for _, part := range []string{AccessToken, RefreshToken, IDToken} {
		if v := a.Part(part); v.Kind == String {
			out = append(out, learned{part, v.Text})
		}
	}
	var walk func(Value, int)
	walk = func(v Value, depth int) {
		for _, m := range v.Members {
			if m.Value.Kind == String && slices.Contains(sensitiveParts, m.Name) && m.Name != "code" && m.Name != "token" {
				out = append(out, learned{m.Name, m.Value.Text})
			}
			walk(m.Value, depth+1)
		}
		for _, item := range v.Items {
			walk(item, depth+1)
		}
	}
	walk(a.lenient, 0)
	if _, query, ok := strings.Cut(a.ex.Header.Get("Location"), "?"); ok {
		if v, ok := parseForm([]byte(query)); ok {
			out = append(out, learned{"code", v.Get("code").Text})
		}
	}
	for _, cookie := range a.ex.Header.Values("Set-Cookie") {
		pair, _, _ := strings.Cut(cookie, ";")
		if _, value, ok := strings.Cut(pair, "="); ok && len(value) >= 8 {
			out = append(out, learned{"cookie", value})
		}
	}
	return out
}

// Secrets returns the secrets that the request carries, by the part they play; made-up values
// included. For rules that look for an echo, with [Contains].
func (r Request) Secrets() map[string]string {
	out := map[string]string{}
	for _, s := range r.carried() {
		if s.value != "" {
			out[s.part] = s.value
		}
	}
	return out
}
