package emulator

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// member is one member of a JSON object. Value is a string, int, int64, float64,
// bool, nil, object, []any, []string or raw.
type member struct {
	Name  string
	Part  string // the part it plays if the name does not say it: access_token for a vendor's accessToken
	Value any
}

// raw is JSON text (or, in a form answer, form text) written as it stands.
type raw string

// object is a JSON object in order; names may repeat.
type object []member

// find is the place of the member that plays a part, at any depth, outermost first.
func (o object) find(part string) *member {
	for i := range o {
		if m := &o[i]; m.Part == part || m.Part == "" && m.Name == part {
			return m
		}
	}
	for i := range o {
		switch v := o[i].Value.(type) {
		case object:
			if m := v.find(part); m != nil {
				return m
			}
		case []any:
			for _, item := range v {
				if inner, ok := item.(object); ok {
					if m := inner.find(part); m != nil {
						return m
					}
				}
			}
		}
	}
	return nil
}

// get is the value of the member that plays a part; nil if there is none.
func (o object) get(part string) any {
	if m := o.find(part); m != nil {
		return m.Value
	}
	return nil
}

// set replaces the value of a part, or appends the member.
func (o *object) set(part string, v any) {
	if m := o.find(part); m != nil {
		m.Value = v
		return
	}
	*o = append(*o, member{Name: part, Value: v})
}

// drop removes the member that plays a part, at whatever depth.
func (o *object) drop(part string) {
	for i := range *o {
		if m := (*o)[i]; m.Part == part || m.Part == "" && m.Name == part {
			*o = append((*o)[:i:i], (*o)[i+1:]...)
			return
		}
	}
	for i := range *o {
		if inner, ok := (*o)[i].Value.(object); ok && inner.find(part) != nil {
			inner.drop(part)
			(*o)[i].Value = inner
			return
		}
	}
}

// put sets a member at a path, making objects, and lists for numeric steps, on the way.
func (o *object) put(path []string, part string, v any) {
	if len(path) == 1 {
		for i := range *o {
			if (*o)[i].Name == path[0] {
				(*o)[i] = member{Name: path[0], Part: part, Value: v}
				return
			}
		}
		*o = append(*o, member{Name: path[0], Part: part, Value: v})
		return
	}
	at := -1
	for i := range *o {
		if (*o)[i].Name == path[0] {
			at = i
		}
	}
	if at < 0 {
		*o = append(*o, member{Name: path[0], Value: object{}})
		at = len(*o) - 1
	}
	m := &(*o)[at]
	if path[1] == "0" && len(path) == 2 { // a list of one value
		m.Value = []any{v}
		return
	}
	if n, err := strconv.Atoi(path[1]); err == nil && n == 0 && len(path) > 2 {
		list, _ := m.Value.([]any)
		if len(list) == 0 {
			list = []any{object{}}
		}
		first, _ := list[0].(object)
		first.put(path[2:], part, v)
		list[0] = first
		m.Value = list
		return
	}
	inner, _ := m.Value.(object)
	inner.put(path[1:], part, v)
	m.Value = inner
}

// json writes the object.
func (o object) json() []byte { return appendJSON(make([]byte, 0, 512), o) }

func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case raw:
		return append(b, v...)
	case string:
		return appendString(b, v)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case float64:
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	case object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.Name), ':')
			b = appendJSON(b, m.Value)
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, item)
		}
		return append(b, ']')
	case []string:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, item)
		}
		return append(b, ']')
	}
	return appendString(b, fmt.Sprint(v))
}

func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < 0x20 || c == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			b = append(b, c)
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}

// form writes the members as a form: the answers of a few vendors.
func (o object) form() []byte {
	var b strings.Builder
	for _, m := range o {
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(m.Name))
		b.WriteByte('=')
		switch v := m.Value.(type) {
		case nil:
		case string:
			b.WriteString(url.QueryEscape(v))
		case raw:
			b.WriteString(string(v))
		default:
			b.WriteString(url.QueryEscape(string(appendJSON(nil, v))))
		}
	}
	return []byte(b.String())
}

// headerLine is one header field line, its name spelt as sent.
type headerLine struct{ Name, Value string }

// drop says where the connection is lost.
type drop int

const (
	dropNever  drop = iota
	dropBefore      // before the status line
	dropInside      // after half of the body, which was announced whole
)

// answer is what goes out. The zero value of every member means: as usual.
type answer struct {
	Status int
	Header []headerLine // in order; names may repeat
	Body   object
	Text   []byte // in place of Body
	Form   bool   // Body is written as a form
	NoBody bool

	Prefix, Suffix []byte // around the body
	Rewrite        func(body []byte) []byte

	Delay   time.Duration // before the first byte
	Pieces  int           // the body comes in this many pieces …
	Pause   time.Duration // … with this pause between them
	Chunked bool          // no Content-Length
	Close   bool          // Connection: close
	Gzip    bool
	Drop    drop
	// Wire writes the header lines by hand, in order and spelt as they are, without
	// Date unless it is among them, and closes the connection. HTTP10 says HTTP/1.0.
	Wire, HTTP10 bool
	// Phrase replaces the reason phrase; it needs Wire.
	Phrase string
	// Conn, if set, is given the connection after the answer was written by hand (it implies Wire).
	Conn func(conn net.Conn, buf *bufio.ReadWriter)
}

// set replaces all lines of a field, add adds one, del removes them, has and value look.
func (a *answer) set(name, value string) {
	for i := range a.Header {
		if strings.EqualFold(a.Header[i].Name, name) {
			a.Header[i] = headerLine{name, value}
			rest := a.Header[:i+1]
			for _, h := range a.Header[i+1:] {
				if !strings.EqualFold(h.Name, name) {
					rest = append(rest, h)
				}
			}
			a.Header = rest
			return
		}
	}
	a.Header = append(a.Header, headerLine{name, value})
}

func (a *answer) add(name, value string) { a.Header = append(a.Header, headerLine{name, value}) }

func (a *answer) del(name string) {
	var rest []headerLine
	for _, h := range a.Header {
		if !strings.EqualFold(h.Name, name) {
			rest = append(rest, h)
		}
	}
	a.Header = rest
}

func (a *answer) has(name string) bool {
	for _, h := range a.Header {
		if strings.EqualFold(h.Name, name) {
			return true
		}
	}
	return false
}

func (a *answer) value(name string) string {
	for _, h := range a.Header {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// text replaces the body by a text of some media type.
func (a *answer) text(mediaType, body string) {
	a.set("Content-Type", mediaType)
	a.Text, a.NoBody = []byte(body), false
}

// render is the body as it will be sent, before compression.
func (a *answer) render() []byte {
	if a.NoBody {
		return nil
	}
	body := a.Text
	switch {
	case body != nil:
	case a.Form:
		body = a.Body.form()
	default:
		body = a.Body.json()
	}
	if a.Prefix != nil || a.Suffix != nil {
		body = bytes.Join([][]byte{a.Prefix, body, a.Suffix}, nil)
	}
	if a.Rewrite != nil {
		body = a.Rewrite(body)
	}
	return body
}

// send writes the answer.
func (a *answer) send(f *flow) {
	if a.Delay > 0 {
		f.e.sleep(f.r.Context(), a.Delay)
	}
	if a.Drop == dropBefore {
		panic(http.ErrAbortHandler)
	}
	body := a.render()
	if a.Gzip && len(body) > 0 {
		var z bytes.Buffer
		w := gzip.NewWriter(&z)
		w.Write(body)
		w.Close()
		body = z.Bytes()
		a.set("Content-Encoding", "gzip")
		a.set("Vary", "Accept-Encoding")
	}
	if !a.Wire && !a.HTTP10 && a.Conn == nil {
		a.sendNormally(f, body)
		return
	}
	conn, buf, err := http.NewResponseController(f.w).Hijack()
	if err != nil { // HTTP/2: nothing can be written by hand
		a.sendNormally(f, body)
		return
	}
	defer conn.Close()
	proto := "HTTP/1.1"
	if a.HTTP10 {
		proto = "HTTP/1.0"
	}
	phrase := a.Phrase
	if phrase == "" {
		phrase = http.StatusText(a.Status)
	}
	fmt.Fprintf(buf, "%s %d %s\r\n", proto, a.Status, phrase)
	for _, h := range a.Header {
		fmt.Fprintf(buf, "%s: %s\r\n", h.Name, h.Value)
	}
	if !a.has("Content-Length") && !a.HTTP10 {
		fmt.Fprintf(buf, "Content-Length: %d\r\n", len(body))
	}
	if a.Conn == nil {
		buf.WriteString("Connection: close\r\n")
	}
	buf.WriteString("\r\n")
	if a.Drop == dropInside {
		body = body[:len(body)/2]
	}
	if f.r.Method != http.MethodHead {
		buf.Write(body)
	}
	buf.Flush()
	if a.Conn != nil {
		a.Conn(conn, buf)
	}
}

func (a *answer) sendNormally(f *flow, body []byte) {
	h := f.w.Header()
	for _, line := range a.Header {
		h[line.Name] = append(h[line.Name], line.Value)
	}
	if !a.has("Date") {
		h["Date"] = []string{f.e.httpDate(f.now)}
	}
	if a.Close {
		h["Connection"] = []string{"close"}
	}
	if !a.Chunked && !a.NoBody {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
	}
	if !a.has("Content-Type") {
		h["Content-Type"] = nil // no guessing
	}
	f.w.WriteHeader(a.Status)
	if f.r.Method == http.MethodHead || a.NoBody {
		return
	}
	rc := http.NewResponseController(f.w)
	if a.Drop == dropInside {
		f.w.Write(body[:len(body)/2])
		rc.Flush()
		panic(http.ErrAbortHandler)
	}
	pieces := max(a.Pieces, 1)
	if a.Chunked && pieces == 1 {
		pieces = 2
	}
	for i := range pieces {
		from, to := len(body)*i/pieces, len(body)*(i+1)/pieces
		if i > 0 {
			rc.Flush()
			f.e.sleep(f.r.Context(), a.Pause)
		}
		if _, err := f.w.Write(body[from:to]); err != nil {
			return
		}
	}
}

// tokenAnswer is the success answer of the token endpoint.
func (f *flow) tokenAnswer() *answer {
	a := &answer{Status: http.StatusOK}
	f.e.dialect.success(f, a)
	noStore(a)
	return a
}

func noStore(a *answer) {
	a.set("Cache-Control", "no-store")
	a.set("Pragma", "no-cache")
}

// errorAnswer is the answer to a refused request, at any endpoint.
func (f *flow) errorAnswer(r *refusal) *answer {
	a := &answer{Status: r.Status}
	switch f.endpoint {
	case tokenEndpoint:
		f.e.dialect.failure(f, r, a)
	case resourceEndpoint:
		f.bearerChallenge(r, a)
	default:
		a.set("Content-Type", "application/json")
		a.Body = object{{Name: "error", Value: r.Code}, {Name: "error_description", Value: r.Description}}
	}
	noStore(a)
	if f.endpoint != resourceEndpoint {
		challenge(a)
	}
	switch r.Reason {
	case wrongMethod:
		a.set("Allow", strings.Join(f.e.methodsAt(f.endpoint, f.r.URL.Path), ", "))
	case rateLimited, guessLimited:
		if r.RetryAfter > 0 && !a.has("Retry-After") {
			for _, v := range f.b.retryAfter(f, r.RetryAfter) {
				a.add("Retry-After", v)
			}
		}
	case tooLarge:
		a.Close = true
	}
	return a
}

// ceilSeconds rounds up: an honest Retry-After never lies early.
func ceilSeconds(d time.Duration) string {
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
