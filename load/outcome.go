package load

import (
	"bytes"
	"hash/maphash"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An Outcome is what became of one request.
type Outcome uint8

const (
	Token       Outcome = iota
	Throttled           // the documented or standard answer to a limit, whatever its status
	Refused             // an OAuth error, or any other 4xx
	Malformed           // success without a usable token
	ServerError         // 5xx
	Timeout
	Connection // refused, reset, TLS

	outcomes = int(Connection) + 1
)

var outcomeNames = [outcomes]string{"token", "throttled", "refused", "malformed", "server_error", "timeout", "connection"}

func (o Outcome) String() string { return outcomeNames[o] }

// A Dialect says how an endpoint words its answers. The zero value is the standard's.
type Dialect struct {
	AccessToken string // where the member stands, dots between names: "data.access_token"; access_token if ""
	Error       string // error if ""
	ExpiresIn   string // expires_in if ""

	// Throttle lists the documented answers to a limit, beside 429 and 503 with Retry-After.
	Throttle []ThrottleAnswer
	// RetryHint names the header that says how long to wait; Retry-After if "".
	RetryHint string
	// RetryUnit is what the hint counts; a second if zero. A date is understood in any case.
	RetryUnit time.Duration
}

// A ThrottleAnswer matches by status, by error code, or by both; what is zero is not compared.
type ThrottleAnswer struct {
	Status int
	Code   string
}

// A Judgement is what one answer comes to.
type Judgement struct {
	Outcome Outcome
	Code    string // error code, "" for none
	Token   uint64 // digest of the access token within this process, 0 for none
	Expires int64  // seconds, -1 if not told
	Key     uint64 // digest of the header of a token that is a JWT: it changes with the signing key
	Form    Form   // what is wrong with an answer that is usable all the same
}

// Form is a set of defects of a token response.
type Form uint8

const (
	WrongMediaType Form = 1 << iota
	NoNoStore
	NoTokenType
	BadExpiresIn
)

var digestSeed = maphash.MakeSeed()

// Judge reads one answer. It keeps nothing of body.
func (d *Dialect) Judge(status int, h http.Header, body []byte) Judgement {
	j := Judgement{Expires: -1}
	var m members
	ok := m.read(body, d)
	if !ok && len(body) > 0 {
		ok = m.form(body, d)
	}
	j.Code = m.code()
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && h.Get("Retry-After") != "", d.throttled(status, j.Code, &m):
		j.Outcome = Throttled
	case status >= 500:
		j.Outcome = ServerError
	case status >= 400, j.Code != "" && !m.hasToken():
		j.Outcome = Refused
	case status < 200 || status > 299, !ok, !m.hasToken():
		j.Outcome = Malformed
	default:
		j.Token = maphash.Bytes(digestSeed, m.token)
		if t := m.text(m.token); len(t) > 2 && t[0] == 'e' && t[1] == 'y' {
			if i := bytes.IndexByte(t, '.'); i > 0 {
				j.Key = maphash.Bytes(digestSeed, t[:i])
			}
		}
		j.Form, j.Expires = m.defects(h)
	}
	return j
}

func (d *Dialect) throttled(status int, code string, m *members) bool {
	for _, t := range d.Throttle {
		if (t.Status == 0 || t.Status == status) && (t.Code == "" || t.Code == code) && (t.Status != 0 || t.Code != "") && !m.hasToken() {
			return true
		}
	}
	return false
}

// members are the parts of a token response that count under load, as they stand in the body.
type members struct {
	token, err, expires, kind []byte // JSON values; nil when absent
	plain                     bool   // values are bare, from a form
}

func (m *members) hasToken() bool { return len(m.text(m.token)) > 0 }

// text returns the content of a string value; nil for any other.
func (m *members) text(v []byte) []byte {
	if m.plain {
		return v
	}
	if len(v) < 2 || v[0] != '"' {
		return nil
	}
	return v[1 : len(v)-1]
}

func (m *members) code() string {
	v := m.text(m.err)
	if v == nil && len(m.err) > 0 && m.err[0] >= '0' && m.err[0] <= '9' {
		v = m.err
	}
	for _, c := range knownCodes {
		if string(v) == c {
			return c // no allocation
		}
	}
	return string(v[:min(len(v), 64)])
}

var knownCodes = []string{
	"invalid_client", "invalid_grant", "invalid_request", "unauthorized_client", "unsupported_grant_type",
	"invalid_scope", "server_error", "temporarily_unavailable", "rate_limited", "slow_down", "access_denied",
}

func (m *members) defects(h http.Header) (f Form, expires int64) {
	expires = -1
	if ct := h["Content-Type"]; len(ct) == 0 || !strings.HasPrefix(ct[0], "application/json") && !m.plain {
		f |= WrongMediaType
	}
	if cc := h["Cache-Control"]; len(cc) == 0 || !slices.ContainsFunc(cc, func(v string) bool { return strings.Contains(v, "no-store") }) {
		f |= NoNoStore
	}
	if len(m.text(m.kind)) == 0 {
		f |= NoTokenType
	}
	if m.expires != nil {
		n, ok := digits(m.expires)
		if !ok {
			f |= BadExpiresIn
			n, _ = digits(bytes.Trim(m.expires, `"`))
		}
		expires = n
	}
	return f, expires
}

func digits(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 18 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

func (m *members) form(body []byte, d *Dialect) bool {
	if bytes.IndexByte(body, '=') < 0 || body[0] == '<' || body[0] == '{' {
		return false
	}
	q, err := url.ParseQuery(string(body))
	if err != nil {
		return false
	}
	m.plain = true
	get := func(path, standard string) []byte {
		if path == "" {
			path = standard
		}
		if v, ok := q[path]; ok {
			return []byte(v[0])
		}
		return nil
	}
	m.token, m.err = get(d.AccessToken, "access_token"), get(d.Error, "error")
	m.expires, m.kind = get(d.ExpiresIn, "expires_in"), get("", "token_type")
	return len(q) > 0
}

// read scans one JSON object, and only for the members that count. It refuses what is not JSON.
func (m *members) read(body []byte, d *Dialect) bool {
	s := scanner{b: body}
	p := d.paths()
	if !m.object(&s, &p) {
		return false
	}
	s.space()
	return s.i == len(s.b)
}

type paths struct{ token, err, expires, kind string }

func (d *Dialect) paths() paths {
	p := paths{d.AccessToken, d.Error, d.ExpiresIn, "token_type"}
	if p.token == "" {
		p.token = "access_token"
	}
	if p.err == "" {
		p.err = "error"
	}
	if p.expires == "" {
		p.expires = "expires_in"
	}
	return p
}

// object walks over one object and keeps what p names.
func (m *members) object(s *scanner, p *paths) bool {
	for first := true; ; first = false {
		name, more, ok := s.name(first)
		if !ok || !more {
			return ok
		}
		var to *[]byte
		switch string(name) {
		case p.token:
			to = &m.token
		case p.err:
			to = &m.err
		case p.expires:
			to = &m.expires
		case p.kind:
			to = &m.kind
		default:
			if inner := p.below(name); inner != (paths{}) && s.peek() == '{' {
				if !m.object(s, &inner) {
					return false
				}
				continue
			}
		}
		v, ok := s.value()
		if !ok {
			return false
		}
		if to != nil {
			*to = v
		}
	}
}

// below is what of the paths lies under name.
func (p *paths) below(name []byte) paths {
	cut := func(path string) string {
		if len(path) > len(name)+1 && path[len(name)] == '.' && path[:len(name)] == string(name) {
			return path[len(name)+1:]
		}
		return ""
	}
	return paths{cut(p.token), cut(p.err), cut(p.expires), cut(p.kind)}
}

// A scanner walks over JSON without decoding it.
type scanner struct {
	b     []byte
	i     int
	depth int
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) peek() byte {
	if s.space(); s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// name opens an object, or goes on in one, up to the value of the next name; more is false at its end.
func (s *scanner) name(first bool) (name []byte, more, ok bool) {
	if first {
		if s.depth++; s.depth > 64 || !s.take('{') {
			return nil, false, false
		}
	}
	switch {
	case s.take('}'):
		s.depth--
		return nil, false, true
	case !first && !s.take(','):
		return nil, false, false
	}
	s.space()
	name, ok = s.quoted()
	if !ok || !s.take(':') {
		return nil, false, false
	}
	return name[1 : len(name)-1], true, true
}

// quoted walks over a string and returns it with its quotes.
func (s *scanner) quoted() ([]byte, bool) {
	start := s.i
	if start >= len(s.b) || s.b[start] != '"' {
		return nil, false
	}
	for i := start + 1; i < len(s.b); {
		n := bytes.IndexByte(s.b[i:], '"')
		if n < 0 {
			return nil, false
		}
		end := i + n
		back := end
		for back > start+1 && s.b[back-1] == '\\' {
			back--
		}
		if i = end + 1; (end-back)%2 == 0 {
			s.i = i
			return s.b[start:i], true
		}
	}
	return nil, false
}

// value walks over any value and returns it as it stands.
func (s *scanner) value() ([]byte, bool) {
	s.space()
	start := s.i
	if start >= len(s.b) {
		return nil, false
	}
	ok := true
	switch c := s.b[start]; {
	case c == '"':
		return s.quoted()
	case c == '{':
		var none members
		ok = none.object(s, &paths{"\x00", "\x00", "\x00", "\x00"})
	case c == '[':
		ok = s.array()
	case c == '-' || c >= '0' && c <= '9':
		for s.i < len(s.b) && strings.IndexByte("+-.eE0123456789", s.b[s.i]) >= 0 {
			s.i++
		}
	default:
		for _, w := range [...]string{"true", "false", "null"} {
			if len(s.b)-s.i >= len(w) && string(s.b[s.i:s.i+len(w)]) == w {
				s.i += len(w)
				return s.b[start:s.i], true
			}
		}
		return nil, false
	}
	return s.b[start:s.i], ok
}

func (s *scanner) array() bool {
	if s.depth++; s.depth > 64 {
		return false
	}
	defer func() { s.depth-- }()
	s.i++
	if s.take(']') {
		return true
	}
	for {
		if _, ok := s.value(); !ok {
			return false
		}
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

// hint reads how long a throttled answer asks to wait, in seconds: -1 for nothing, -2 for what
// cannot be read.
func (d *Dialect) hint(h http.Header, now time.Time) float64 {
	name, unit := d.RetryHint, d.RetryUnit
	if name == "" {
		name = "Retry-After"
	}
	if unit == 0 {
		unit = time.Second
	}
	vs := h.Values(name)
	if len(vs) == 0 {
		return -1
	}
	if n, err := strconv.ParseUint(strings.TrimSpace(vs[0]), 10, 31); err == nil && len(vs) == 1 {
		return (time.Duration(n) * unit).Seconds()
	}
	if t, err := http.ParseTime(vs[0]); err == nil && len(vs) == 1 {
		return max(0, t.Sub(now).Seconds())
	}
	return malformedHint
}
