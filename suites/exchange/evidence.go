package exchange

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"grantcheck/report"
)

// shownBody is how much of a body a report keeps.
const shownBody = 16 << 10

// Report returns the exchange as evidence: redacted, bodies cut to 16 KiB.
func (e *Exchange) Report() report.Exchange {
	w := e.Request.redacted()
	out := report.Exchange{
		Request: report.Request{Method: w.Method, URL: w.URL, Headers: headers(w.Headers), Body: strings.ToValidUTF8(string(w.Body), "\uFFFD")},
		TookMS:  float64(e.Took.Microseconds()) / 1000,
		Curl:    e.Curl(), Error: e.ErrText(), Purpose: e.Request.purpose, At: e.Sent,
	}
	if e.Status == 0 {
		return out
	}
	red := e.Request.redactor()
	resp := &report.Response{Status: e.Status, Proto: e.Proto, Truncated: e.Truncated}
	for _, h := range e.HeaderRaw {
		resp.Headers = append(resp.Headers, report.Header{Name: h.Name, Value: red.Redact(h.Value)})
	}
	body := e.maskShort(red)
	if len(body) < int(e.BodyBytes) || e.Truncated {
		resp.BodyBytes = e.BodyBytes
	}
	resp.Body = strings.ToValidUTF8(body, "\uFFFD")
	out.Response = resp
	return out
}

// maskShort redacts the part of the body that is shown; a token too short to be looked for is masked
// in its member.
func (e *Exchange) maskShort(red *Redactor) string {
	body := cut(e.Body, red)
	for _, s := range e.Answer().carried() {
		if s.value != "" && len(s.value) < 4 && s.part != "code" {
			body = strings.ReplaceAll(body, `"`+s.value+`"`, `"<`+s.part+`>"`)
		}
	}
	return body
}

// cut redacts the start of a body. It looks beyond what it shows, so that no secret is cut in two
// and missed.
func cut(body []byte, red *Redactor) string {
	const beyond = 16 << 10
	if len(body) <= shownBody+beyond {
		return first(red.Redact(string(body)), shownBody)
	}
	text := red.Redact(string(body[:shownBody+beyond]))
	return first(text, min(shownBody, max(0, len(text)-beyond)))
}

func first(s string, n int) string { return s[:min(n, len(s))] }

func headers(lines []HeaderLine) report.Headers {
	out := report.Headers{}
	for _, h := range lines {
		out = append(out, report.Header{Name: h.Name, Value: h.Value})
	}
	return out
}

func (r Request) redactor() *Redactor {
	if r.target == nil {
		return nil
	}
	return r.target.Redactor
}

// redacted returns the request as it may be shown. Placeholders stand unencoded, so that they can
// be read.
func (r Request) redacted() Wire {
	red := r.redactor()
	w := r.wire(func(p Param) Param {
		if v, masked := r.mask(p); masked {
			p.Value, p.Type = v, ""
			p.RawValue = p.In != InBody || r.format == FormType
		}
		return p
	})
	w.URL = red.Redact(w.URL)
	for i, h := range w.Headers {
		w.Headers[i].Value = r.maskHeader(h)
	}
	full := len(w.Body)
	w.Body = []byte(cut(w.Body, red))
	if full > shownBody {
		w.Body = fmt.Appendf(w.Body, "… (%d bytes)", full)
	}
	return w
}

// mask returns what is shown for a parameter: its secret replaced by value, and the value of a
// sensitive part replaced whatever it is, unless the harness made it up.
func (r Request) mask(p Param) (string, bool) {
	red := r.redactor()
	if red == nil || p.Value == "" {
		return p.Value, false
	}
	if v := red.Redact(p.Value); v != p.Value {
		return v, true
	}
	if !slices.Contains(sensitiveParts, p.Part) && !slices.Contains(sensitiveParts, p.Name) {
		return p.Value, false
	}
	return red.name(cmp.Or(p.Part, p.Name), p.Value)
}

// name returns what stands for the value of a sensitive part; masked is false for a value that is
// shown.
func (r *Redactor) name(part, value string) (shown string, masked bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if name, ok := r.known[value]; ok {
		return name, true
	}
	if r.shown[value] || value == "" {
		return value, false
	}
	return "<" + part + ">", true
}

// maskHeader redacts a field; Basic credentials are shown decoded.
func (r Request) maskHeader(h HeaderLine) string {
	red := r.redactor()
	if scheme, text, ok := r.basicText(h); ok {
		id, secret, colon := strings.Cut(text, ":")
		if shown, masked, _ := r.maskBasic(secret); colon && masked {
			return scheme + " base64(" + red.Redact(id) + ":" + shown + ")"
		}
	}
	return red.Redact(h.Value)
}

// basicText decodes an Authorization line of the Basic scheme.
func (r Request) basicText(h HeaderLine) (scheme, text string, ok bool) {
	if !strings.EqualFold(h.Name, "Authorization") {
		return "", "", false
	}
	scheme, value, ok := strings.Cut(h.Value, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	b, err := base64.StdEncoding.DecodeString(value)
	return scheme, string(b), err == nil && printable(b) && len(b) > 0
}

// maskBasic is mask for the secret of Basic credentials; encoded tells that it is form-encoded there.
func (r Request) maskBasic(secret string) (shown string, masked, encoded bool) {
	red := r.redactor()
	if plain, err := url.PathUnescape(secret); err == nil && plain != secret && red != nil {
		red.mu.RLock()
		_, asIs := red.known[secret]
		name, known := red.known[plain]
		red.mu.RUnlock()
		if known && !asIs {
			return name, true, true
		}
	}
	shown, masked = r.mask(Param{Part: "client_secret", Value: secret})
	return shown, masked, false
}

// ---- curl ----

// Curl returns a shell line that repeats the request with curl. Secrets stand as ${NAME}, which the
// shell expands; tokens and codes as <access_token>, to be filled in.
func (e *Exchange) Curl() string { return e.Request.Curl() }

// Curl returns the line for a request; see [Exchange.Curl].
func (r Request) Curl() string {
	full := r.Wire()
	line := []string{"curl", "-sS", "-i"}
	add := func(words ...string) { line = append(line, words...) }
	add("-X", quote(r.method))
	if r.http1 || r.chunked || r.expect {
		add("--http1.1")
	}
	if r.target != nil {
		o := r.target.opt
		for _, f := range []struct{ flag, value string }{{"--cacert", o.CAFile}, {"--cert", o.Cert}, {"--key", o.Key}} {
			if f.value != "" && !strings.Contains(f.value, "\n") {
				add(f.flag, quote(f.value))
			}
		}
		if r.target.proxy != nil {
			add("--proxy", quote(r.target.proxy.Scheme+"://"+r.target.proxy.Host))
		}
	}
	query := r.curlQuery(add)
	if u, err := url.Parse(query); err == nil && r.address != "" {
		add("--connect-to", quote(u.Host+":"+dialAddress(u, r.address)))
	}
	add(quote(query))
	r.curlHeaders(full, add)
	if note := r.curlBody(full, add); note != "" {
		return strings.Join(line, " ") + "  # " + note
	}
	if pipe, ok := binaryPipe(full.Body); ok {
		return pipe + strings.Join(line, " ") + " --data-binary @-"
	}
	return strings.Join(line, " ")
}

// curlQuery adds what of the query holds a secret as parameters that curl encodes, and returns the
// address with the rest.
func (r Request) curlQuery(add func(...string)) string {
	var rest []Param
	for _, p := range r.params {
		if p.In != InQuery {
			continue
		}
		v, masked := r.mask(p)
		if masked && strings.Contains(v, "${") && !p.RawValue {
			add("--url-query", quote(encodedName(p)+"="+v))
			continue
		}
		if p.Value = v; masked {
			p.RawValue = true
		}
		rest = append(rest, p)
	}
	return r.redactor().Redact(r.fullURL(rest))
}

func encodedName(p Param) string {
	if p.RawName {
		return p.Name
	}
	return FormEncode(p.Name)
}

func (r Request) curlHeaders(w Wire, add func(...string)) {
	has := map[string]bool{}
	for _, h := range w.Headers {
		has[strings.ToLower(h.Name)] = true
		value := r.redactor().Redact(h.Value)
		if scheme, text, ok := r.basicText(h); ok {
			add("-H", r.curlBasic(scheme, text))
			continue
		}
		if h.Value == "" {
			add("-H", quote(h.Name+";"))
			continue
		}
		add("-H", quote(h.Name+": "+value))
	}
	for _, name := range []string{"Accept", "User-Agent", "Content-Type"} {
		if !has[strings.ToLower(name)] && (name != "Content-Type" || len(w.Body) > 0) {
			add("-H", quote(name+":"))
		}
	}
	if r.chunked {
		add("-H", quote("Transfer-Encoding: chunked"))
	}
	if r.expect {
		add("-H", quote("Expect: 100-continue"))
	}
}

// curlBasic has the shell make the Basic credentials.
func (r Request) curlBasic(scheme, text string) string {
	id, secret, colon := strings.Cut(text, ":")
	shown, masked, encoded := r.maskBasic(secret)
	if !colon || !masked {
		return quote("Authorization: " + scheme + " " + base64.StdEncoding.EncodeToString([]byte(text)))
	}
	inner := quote(id + ":" + shown)
	if encoded {
		inner = quote(id+":") + `"$(printf %s ` + quote(shown) + ` | jq -sRr @uri)"`
	}
	return quote("Authorization: "+scheme+" ") + `"$(printf %s ` + inner + ` | base64 -w0)"`
}

// curlBody adds the body; it returns a note where the line cannot say all.
func (r Request) curlBody(full Wire, add func(...string)) (note string) {
	switch {
	case len(full.Body) == 0:
		if full.Method != "GET" && full.Method != "HEAD" && full.Method != "OPTIONS" {
			add("--data-raw", "''")
		}
		return ""
	case len(full.Body) > shownBody:
		add("--data-binary", "@body")
		return fmt.Sprintf("the body of %d bytes is not shown", len(full.Body))
	}
	if _, binary := binaryPipe(full.Body); binary {
		if r.redactor().Redact(string(full.Body)) != string(full.Body) {
			add("--data-binary", "@body")
			return "the body holds bytes that a shell line cannot carry, and a secret"
		}
		return ""
	}
	if r.format == FormType && !r.hasRaw && r.suffix == "" {
		r.curlForm(add)
		return ""
	}
	w := r.redacted()
	add("--data-raw", quote(string(w.Body)))
	return ""
}

// curlForm joins what is exact, and leaves to curl the encoding of what the shell expands.
func (r Request) curlForm(add func(...string)) {
	var exact []Param
	flush := func() {
		if len(exact) > 0 {
			add("--data-raw", quote(encodeForm(exact, InBody)))
			exact = nil
		}
	}
	for _, p := range r.params {
		if p.In != InBody {
			continue
		}
		v, masked := r.mask(p)
		if masked && strings.Contains(v, "${") && !p.RawValue {
			flush()
			add("--data-urlencode", quote(encodedName(p)+"="+v))
			continue
		}
		if p.Value = v; masked {
			p.RawValue = true
		}
		exact = append(exact, p)
	}
	flush()
}

// binaryPipe returns a printf that makes a body which no shell word can hold; ok is false for text.
func binaryPipe(body []byte) (pipe string, ok bool) {
	text := utf8.Valid(body) && !slices.ContainsFunc([]rune(string(body)), func(c rune) bool {
		return unicode.IsControl(c) && c != '\n' && c != '\r' && c != '\t'
	})
	if text || len(body) > shownBody {
		return "", false
	}
	var b strings.Builder
	for _, c := range body {
		if c > ' ' && c < 0x7f && c != '\\' && c != '\'' && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\%03o`, c)
		}
	}
	return "printf '" + b.String() + "' | ", true
}

// quote makes one shell word: everything in single quotes but ${NAME}, which stands in double
// quotes so that the shell expands it.
func quote(s string) string {
	var b strings.Builder
	plain := func(s string) {
		if s != "" {
			b.WriteString("'" + strings.ReplaceAll(s, "'", `'\''`) + "'")
		}
	}
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			break
		}
		n := referenceLength(s[i:])
		if n == 0 {
			plain(s[:i+2])
			s = s[i+2:]
			continue
		}
		plain(s[:i])
		b.WriteString(`"` + s[i:i+n] + `"`)
		s = s[i+n:]
	}
	plain(s)
	if b.Len() == 0 {
		return "''"
	}
	return b.String()
}

// referenceLength returns the length of the ${NAME} at the start of s, with the expansions that
// [Redactor.Learn] makes; 0 if it is none.
func referenceLength(s string) int {
	end := strings.IndexByte(s, '}')
	if end < 3 {
		return 0
	}
	name := strings.TrimSuffix(strings.TrimSuffix(s[2:end], "%?"), "~~")
	for i, c := range name {
		if !(c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || i > 0 && c >= '0' && c <= '9') {
			return 0
		}
	}
	return end + 1
}
