package exchange

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"grantcheck/suites/contract"
)

// The parts that members of an answer play.
const (
	AccessToken      = "access_token"
	TokenType        = "token_type"
	ExpiresIn        = "expires_in"
	ExpiresAt        = "expires_at"
	IssuedAt         = "issued_at"
	RefreshToken     = "refresh_token"
	Scope            = "scope"
	IDToken          = "id_token"
	ErrorPart        = "error"
	ErrorDescription = "error_description"
)

// An Outcome is what an answer to a token request comes to.
type Outcome string

const (
	OK           Outcome = "ok"           // status 2xx and an access token, found leniently
	Refused      Outcome = "refused"      // a 4xx, or a 2xx or 3xx without a token
	Fault        Outcome = "fault"        // a 5xx that is not inconclusive: ask again once, then it is a finding
	Inconclusive Outcome = "inconclusive" // throttled, timed out, lost: decides nothing
)

// An Answer is what an exchange brought, read through the contract: members are found by the part
// they play. Reading is lenient; [Answer.Strict] is not.
type Answer struct {
	ex      *Exchange
	grant   *contract.Grant
	target  *Target
	lenient Value
	once    sync.Once
	strict  *Document
	outcome Outcome
	reason  string
}

// Answer reads the exchange through the contract; it is read once.
func (e *Exchange) Answer() *Answer {
	e.once.Do(func() { e.answer = read(e) })
	return e.answer
}

func read(e *Exchange) *Answer {
	a := &Answer{ex: e, grant: e.Request.grant, target: e.Request.target}
	if e.Err == nil || len(e.Body) > 0 {
		a.lenient = parseLenient(e.Body)
		if a.lenient.Kind == "" || a.lenient.Kind == Array && len(a.lenient.Items) == 0 {
			if form, ok := parseForm(e.Body); ok {
				a.lenient = form
			}
		}
	}
	a.outcome, a.reason = a.judge()
	return a
}

// Outcome returns what the answer comes to.
func (a *Answer) Outcome() Outcome { return a.outcome }

// OK reports a status 2xx with an access token.
func (a *Answer) OK() bool { return a.outcome == OK }

// Refused reports an answer that decides and carries no token: a 4xx, or any 2xx or 3xx without.
func (a *Answer) Refused() bool { return a.outcome == Refused }

// Fault reports a 5xx that decides nothing yet: repeated once, it is a finding.
func (a *Answer) Fault() bool { return a.outcome == Fault }

// Inconclusive returns why the answer decides nothing, "" when it does.
func (a *Answer) Inconclusive() string {
	if a.outcome == Inconclusive {
		return a.reason
	}
	return ""
}

// inconclusiveStatus are those that stop a token without saying anything about the request.
var inconclusiveStatus = map[int]string{
	408: "request timed out at the server", 425: "too early", 429: "throttled",
	502: "bad gateway", 503: "service unavailable", 504: "gateway timed out",
}

func (a *Answer) judge() (Outcome, string) {
	status := a.ex.Status
	switch {
	case a.ex.Err != nil:
		return Inconclusive, fmt.Sprintf("%s: %s", a.ex.ErrKind, a.ex.ErrText())
	case inconclusiveStatus[status] != "":
		return Inconclusive, fmt.Sprintf("status %d, %s", status, inconclusiveStatus[status])
	case a.throttledAsDocumented():
		return Inconclusive, fmt.Sprintf("status %d, throttled as the contract documents", status)
	case status >= 200 && status < 300 && a.Has(AccessToken):
		return OK, ""
	case status >= 200 && status < 500:
		return Refused, ""
	case status >= 500:
		return Fault, fmt.Sprintf("status %d", status)
	}
	return Inconclusive, fmt.Sprintf("status %d is no final answer", status)
}

// Throttled reports an answer that says: too many. That is 429, 503 with Retry-After, and whatever
// the contract documents for its limits.
func (a *Answer) Throttled() bool {
	return a.ex.Status == 429 || a.ex.Status == 503 && a.ex.Header.Get("Retry-After") != "" || a.throttledAsDocumented()
}

// throttledAsDocumented holds an answer against the contract's limits. A status without a code
// counts unless refusals are documented with it as well.
func (a *Answer) throttledAsDocumented() bool {
	if a.target == nil || a.grant == nil || a.ex.Status == 0 {
		return false
	}
	c := a.target.Contract
	code, hasCode := a.ErrorCode()
	for _, l := range c.RateLimits {
		if len(l.Grants) > 0 && !slices.Contains(l.Grants, a.grant.Key) {
			continue
		}
		sameStatus := l.Status == a.ex.Status || l.Status == 0
		switch {
		case l.Code != nil:
			if sameStatus && hasCode && code == scalar(l.Code) {
				return true
			}
		case l.Status == a.ex.Status && !a.Has(AccessToken) && !refusalStatus(c, l.Status):
			return true
		}
	}
	for _, row := range c.Errors {
		if !slices.Contains(row.When, "rate_limited") || len(row.Grants) > 0 && !slices.Contains(row.Grants, a.grant.Key) {
			continue
		}
		fits := len(row.Status) == 0 || slices.ContainsFunc(row.Status, func(s string) bool { return StatusMatches(s, a.ex.Status) })
		switch {
		case len(row.Code) > 0:
			if fits && hasCode && slices.ContainsFunc(row.Code, func(v any) bool { return scalar(v) == code }) {
				return true
			}
		case fits && len(row.Status) > 0 && !a.Has(AccessToken) && !refusalStatus(c, a.ex.Status):
			return true
		}
	}
	return false
}

// refusalStatus reports that a status says nothing of throttling by itself: the standard's, or one
// that the contract documents for other errors.
func refusalStatus(c *contract.Contract, status int) bool {
	if status == 400 || status == 401 || status < 400 {
		return true
	}
	for _, row := range c.Errors {
		if !slices.Contains(row.When, "rate_limited") && slices.ContainsFunc(row.Status, func(s string) bool { return StatusMatches(s, status) }) {
			return true
		}
	}
	return false
}

// StatusMatches compares a status with one of a contract: "400" or a class, "4xx".
func StatusMatches(pattern string, status int) bool {
	s := strconv.Itoa(status)
	if len(pattern) == 3 && strings.EqualFold(pattern[1:], "xx") {
		return s[:1] == pattern[:1]
	}
	return s == pattern
}

// scalar writes a code of a contract as an answer's text has it.
func scalar(v any) string {
	text, _ := literal(v)
	return text
}

// ---- members ----

// Part returns the member that plays a part, the zero Value if none does: the one the contract
// names, else the standard name at the top level, else the outermost nested one of that name.
func (a *Answer) Part(part string) Value {
	for _, f := range a.fields() {
		if f.As == part {
			if v := a.lenient.At(pathOf(f)...); v.Present() {
				return v
			}
		}
	}
	if v := a.lenient.Get(part); v.Kind != "" {
		return v
	}
	return a.lenient.search(func(Value) bool { return true }, part)
}

// fields are the documented members that may name a part: of the answer, of errors, of rows.
func (a *Answer) fields() []contract.Field {
	if a.target == nil {
		return nil
	}
	var fields []contract.Field
	if a.grant != nil {
		fields = append(fields, a.grant.Response.Fields...)
	}
	fields = append(fields, a.target.Contract.ErrorFields...)
	for _, row := range a.target.Contract.Errors {
		fields = append(fields, row.Fields...)
	}
	return fields
}

func pathOf(f contract.Field) []string {
	if len(f.Path) > 0 {
		return f.Path
	}
	return []string{f.Name}
}

// Has reports that a part is there with a value: not null, and not an empty string.
func (a *Answer) Has(part string) bool {
	v := a.Part(part)
	return v.Present() && !(v.Kind == String && v.Text == "")
}

// Text returns the text of a part: the decoded string, or the literal of a number; "" if it is
// absent or null.
func (a *Answer) Text(part string) string {
	v := a.Part(part)
	if !v.Present() {
		return ""
	}
	return v.Text
}

// Member returns the value at a documented field's path.
func (a *Answer) Member(f contract.Field) Value { return a.lenient.At(pathOf(f)...) }

// Lenient returns everything that could be read of the body.
func (a *Answer) Lenient() Value { return a.lenient }

// ErrorCode returns the value of the member that plays error; ok is false when none is readable:
// absent, empty, or neither string nor, where the contract knows such codes, number.
func (a *Answer) ErrorCode() (code string, ok bool) {
	v := a.Part(ErrorPart)
	if v.Kind != String && (v.Kind != Number || !a.numericCodes()) || v.Text == "" {
		return "", false
	}
	return v.Text, true
}

// numericCodes reports that the contract knows error codes that are numbers.
func (a *Answer) numericCodes() bool {
	if a.target == nil {
		return true
	}
	number := func(v any) bool {
		_, text := v.(string)
		return v != nil && !text
	}
	c := a.target.Contract
	return slices.ContainsFunc(a.fields(), func(f contract.Field) bool {
		return f.Part() == ErrorPart && (slices.Contains(f.Type, "integer") || slices.Contains(f.Type, "number"))
	}) || slices.ContainsFunc(c.Errors, func(r contract.ErrorRow) bool { return slices.ContainsFunc(r.Code, number) }) ||
		slices.ContainsFunc(c.RateLimits, func(l contract.RateLimit) bool { return number(l.Code) })
}

// Scopes returns the granted scope as a list, read from a string, a comma list or an array; ok is
// false when the answer does not tell.
func (a *Answer) Scopes() (scopes []string, ok bool) {
	v := a.Part(Scope)
	switch v.Kind {
	case Array:
		for _, item := range v.Items {
			scopes = append(scopes, item.Text)
		}
		return scopes, true
	case String:
		text := v.Text
		if !strings.ContainsAny(text, " ,") {
			text = strings.NewReplacer("%20", " ", "+", " ").Replace(text)
		}
		return strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == ',' }), true
	}
	return nil, false
}

// Lifetime returns how long the token lives by the answer itself: expires_in, or expires_at from
// when it came; ok is false when it does not tell.
func (a *Answer) Lifetime() (d time.Duration, ok bool) {
	if v := a.Part(ExpiresIn); v.Present() {
		n, err := strconv.ParseFloat(v.Text, 64)
		if err != nil || math.IsNaN(n) {
			return 0, false
		}
		unit := map[string]float64{"milliseconds": 1e-3, "minutes": 60}[a.unit(ExpiresIn)]
		if unit == 0 {
			unit = 1
		}
		s := min(max(n*unit, -1e9), 1e9)
		return time.Duration(s * float64(time.Second)), true
	}
	if at, ok := a.Time(ExpiresAt); ok {
		return at.Sub(a.ex.Sent.Add(a.ex.Took)), true
	}
	return 0, false
}

// Time returns a part that is an instant (expires_at, issued_at) in the documented unit.
func (a *Answer) Time(part string) (time.Time, bool) {
	v := a.Part(part)
	if !v.Present() {
		return time.Time{}, false
	}
	unit := a.unit(part)
	if unit == "rfc3339" || unit == "" && v.Kind == String && strings.Contains(v.Text, "T") {
		t, err := time.Parse(time.RFC3339, v.Text)
		return t, err == nil
	}
	n, err := strconv.ParseFloat(v.Text, 64)
	if err != nil || math.IsNaN(n) || math.Abs(n) > 1e15 {
		return time.Time{}, false
	}
	if unit == "epoch_milliseconds" {
		return time.UnixMilli(int64(n)), true
	}
	return time.Unix(int64(n), 0), true
}

// unit returns the documented unit of the member that plays part.
func (a *Answer) unit(part string) string {
	for _, f := range a.fields() {
		if f.As == part || f.As == "" && f.Name == part {
			return f.Unit
		}
	}
	return ""
}

// Holds reports whether a condition of the contract holds for this answer: scope_includes looks at
// the granted scope where the answer tells it, everything else at the request.
func (a *Answer) Holds(c *contract.Condition) bool {
	if c == nil {
		return true
	}
	if granted, ok := a.Scopes(); ok && c.ScopeIncludes != "" {
		if !slices.Contains(granted, c.ScopeIncludes) {
			return false
		}
		rest := *c
		rest.ScopeIncludes = ""
		return a.ex.Request.Holds(&rest)
	}
	return a.ex.Request.Holds(c)
}

// Strict returns the body read strictly as JSON, or as the form that the contract documents.
func (a *Answer) Strict() *Document {
	a.once.Do(func() {
		if !a.formDocumented() {
			a.strict = ParseStrict(a.ex.Body)
			return
		}
		v, ok := parseForm(a.ex.Body)
		a.strict = &Document{Value: v, Form: true, Depth: 2}
		if !ok {
			a.strict.Err = fmt.Errorf("not form-encoded, as the contract documents")
		}
	})
	return a.strict
}

// formDocumented reports that the contract says form encoding for this answer, and the answer is
// not plainly JSON.
func (a *Answer) formDocumented() bool {
	if a.grant == nil || formatOf(a.grant.Response.ContentType) != FormType || a.grant.Response.ContentType == "" {
		return false
	}
	_, isForm := parseForm(a.ex.Body)
	return isForm || parseLenient(a.ex.Body).Kind == ""
}

// ---- headers ----

// MediaType returns the media type of the answer in lower case, without parameters; "" without.
func (e *Exchange) MediaType() string {
	media, _, _ := strings.Cut(e.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// Directives returns the members of a comma-separated field (Cache-Control, Pragma, Allow), over
// all its lines: names in lower case, values unquoted.
func (e *Exchange) Directives(field string) map[string]string {
	out := map[string]string{}
	for _, line := range e.Header.Values(field) {
		for _, item := range splitList(line) {
			name, value, _ := strings.Cut(item, "=")
			if name = strings.ToLower(strings.TrimSpace(name)); name != "" {
				out[name] = unquote(strings.TrimSpace(value))
			}
		}
	}
	return out
}

// RetryAfter returns how long the answer asks to wait, as its Retry-After says; ok is false when
// there is none, or none that can be read.
func (e *Exchange) RetryAfter() (wait time.Duration, ok bool) {
	lines := e.Header.Values("Retry-After")
	if len(lines) == 0 {
		return 0, false
	}
	wait, err := ParseRetryAfter(lines[0], e.Sent.Add(e.Took))
	return wait, err == nil
}

// ParseRetryAfter reads delay-seconds or one of the three HTTP-date forms (RFC 9110 §5.6.7,
// §10.2.3) as a wait from now; a date that is past is no wait.
func ParseRetryAfter(value string, now time.Time) (time.Duration, error) {
	if value != "" && strings.Trim(value, "0123456789") == "" {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n > int64(math.MaxInt64/time.Second) {
			return math.MaxInt64, nil
		}
		return time.Duration(n) * time.Second, nil
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, fmt.Errorf("Retry-After %q: neither seconds nor an HTTP date (RFC 9110 §10.2.3)", Printable(value, 40))
	}
	return max(0, at.Sub(now)), nil
}

// A Challenge is one challenge of a WWW-Authenticate field (RFC 9110 §11.6.1).
type Challenge struct {
	Scheme  string
	Token68 string
	Params  []HeaderLine // in order, repeated names included; values unquoted
}

// Get returns the first parameter of that name, letter case aside; ok is false without.
func (c Challenge) Get(name string) (string, bool) {
	for _, p := range c.Params {
		if strings.EqualFold(p.Name, name) {
			return p.Value, true
		}
	}
	return "", false
}

// Challenges reads every WWW-Authenticate line. The error says what does not follow the grammar;
// what could be read is returned beside it.
func (e *Exchange) Challenges() ([]Challenge, error) {
	var all []Challenge
	var firstErr error
	for _, line := range e.Header.Values("Www-Authenticate") {
		got, err := ParseChallenges(line)
		all = append(all, got...)
		if err != nil && firstErr == nil {
			firstErr = err
		}
	}
	return all, firstErr
}

// Challenge returns the first challenge of a scheme, letter case aside.
func (e *Exchange) Challenge(scheme string) (Challenge, bool) {
	all, _ := e.Challenges()
	for _, c := range all {
		if strings.EqualFold(c.Scheme, scheme) {
			return c, true
		}
	}
	return Challenge{}, false
}

// ParseChallenges reads one WWW-Authenticate line.
func ParseChallenges(line string) (out []Challenge, err error) {
	bad := func(what, where string) error {
		return fmt.Errorf("WWW-Authenticate: %s at %q (RFC 9110 §11.6.1)", what, Printable(where, 40))
	}
	items := splitList(line)
	for _, item := range items {
		if item == "" {
			continue
		}
		head, rest, spaced := strings.Cut(item, " ")
		rest = strings.TrimLeft(rest, " \t")
		if name, value, isParam := cutParam(item); isParam && (!spaced || strings.Contains(head, "=") || strings.HasPrefix(rest, "=")) {
			if len(out) == 0 {
				return out, bad("a parameter without a scheme", item)
			}
			c := &out[len(out)-1]
			if c.Params = append(c.Params, HeaderLine{name, unquote(value)}); !validParam(value) && err == nil {
				err = bad("neither token nor quoted string", value)
			}
			continue
		}
		if !isToken(head) {
			return out, bad("no scheme", item)
		}
		c := Challenge{Scheme: head}
		if name, value, isParam := cutParam(rest); isParam && value != "" && strings.Trim(value, "=") != "" {
			c.Params = append(c.Params, HeaderLine{name, unquote(value)})
			if !validParam(value) && err == nil {
				err = bad("neither token nor quoted string", value)
			}
		} else if rest != "" {
			c.Token68 = rest
			if strings.ContainsAny(rest, " \t\"") && err == nil {
				err = bad("neither parameters nor token68", rest)
			}
		}
		out = append(out, c)
	}
	if len(out) == 0 && err == nil {
		err = bad("no challenge", line)
	}
	return out, err
}

// cutParam splits name = value; ok is false if it is not of that form.
func cutParam(s string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(s, "=")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	return name, value, ok && isToken(name)
}

func validParam(value string) bool {
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		return true
	}
	return isToken(value)
}

func isToken(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return true
}

// splitList splits at commas outside quoted strings, white space trimmed.
func splitList(s string) []string {
	var out []string
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			out = append(out, strings.TrimSpace(s[start:i]))
			start = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[start:]))
}

func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	s = s[1 : len(s)-1]
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Printable makes text of a server or user fit for an error: control characters shown as escapes,
// at most n bytes.
func Printable(s string, n int) string {
	cut := len(s) > n
	if cut {
		s = s[:n]
	}
	q := strconv.Quote(strings.ToValidUTF8(s, "\uFFFD"))
	q = strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
	if cut {
		q += "…"
	}
	return q
}
