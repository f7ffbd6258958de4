package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// parameter is one name and value of a request, decoded and as sent.
type parameter struct {
	Name, Value       string
	RawName, RawValue string // before percent decoding; equal to Name and Value outside forms
	In                string // body or query
	Part              string // the part it plays: client_id for a vendor's client_key
}

type parameters []parameter

// get is the first value of that name, and whether the name occurs.
func (ps parameters) get(name string) (string, bool) {
	for _, p := range ps {
		if p.Name == name {
			return p.Value, true
		}
	}
	return "", false
}

const (
	maxBody       = 1 << 20 // bytes of a request body
	maxParameters = 20000
)

func standardMethodAllowed(f *flow) bool {
	switch f.endpoint {
	case tokenEndpoint:
		return slices.Contains(f.e.dialect.methods(f.r.URL.Path), f.r.Method)
	case revocationEndpoint, introspectionEndpoint:
		return f.r.Method == http.MethodPost
	case authorizationEndpoint, hookEndpoint, resourceEndpoint:
		return f.r.Method == http.MethodGet || f.r.Method == http.MethodPost
	}
	return f.r.Method == http.MethodGet || f.r.Method == http.MethodHead
}

func (f *flow) checkMethod() *refusal {
	return f.require(atMethod, f.b.methodAllowed(f), wrongMethod)
}

// receive reads the body.
func (f *flow) receive() *refusal {
	if f.r.Body == nil || f.r.Body == http.NoBody {
		return nil
	}
	if f.r.ContentLength > maxBody {
		return f.require(atSize, false, tooLarge)
	}
	var buf bytes.Buffer
	if n := f.r.ContentLength; n > 0 {
		buf.Grow(int(n) + bytes.MinRead)
	}
	n, err := io.Copy(&buf, io.LimitReader(f.r.Body, maxBody+1))
	f.body = buf.Bytes()
	if err != nil {
		return refuse(malformedRequest)
	}
	return f.require(atSize, n <= maxBody, tooLarge)
}

// standardBodyKind goes by the media type, whatever its letter case and parameters,
// among those that the contract documents.
func standardBodyKind(f *flow) string {
	if f.r.Method == http.MethodGet {
		return "query"
	}
	t, _, err := mime.ParseMediaType(f.r.Header.Get("Content-Type"))
	if err != nil && !errors.Is(err, mime.ErrInvalidMediaParameter) {
		t = ""
	}
	if t == "" && len(f.body) == 0 {
		return "form" // nothing to read, nothing to misread
	}
	kinds := map[string]string{
		"application/x-www-form-urlencoded": "form",
		"application/json":                  "json",
		"multipart/form-data":               "multipart",
	}
	if f.endpoint != tokenEndpoint {
		kinds = map[string]string{"application/x-www-form-urlencoded": "form"}
	} else if !slices.Contains(f.e.dialect.mediaTypes(f.r.URL.Path), t) {
		return ""
	}
	return kinds[t]
}

// parse fills f.params with everything sent and f.form with what counts.
func (f *flow) parse() *refusal {
	f.query = f.queryOf()
	kind := f.b.bodyKind(f)
	if r := f.require(atMediaType, kind != "", wrongContentType); r != nil {
		return r
	}
	f.bodyKind = kind
	var err error
	switch kind {
	case "query":
		f.params = f.query
	case "json":
		f.params, err = parseJSON(f.body)
	case "multipart":
		f.params, err = f.parseMultipart()
	default:
		f.params, err = f.parseForm()
	}
	if r := f.require(atEncoding, err == nil, malformedRequest); r != nil {
		return r
	}
	if kind != "query" {
		for _, p := range f.query {
			if f.b.fromQuery(f, p.Name) {
				f.params = append(f.params, p)
			}
		}
	}
	if len(f.params) > maxParameters {
		return refuse(malformedRequest)
	}
	return f.fill()
}

// fill resolves names and repetitions; an empty value equals an absent parameter.
func (f *flow) fill() *refusal {
	f.form = make(map[string]string, len(f.params))
	var repeated map[string][]string
	seen := make(map[string]int, len(f.params))
	for i := range f.params {
		p := &f.params[i]
		p.Part = f.e.dialect.part(f.b.parameterName(f, p.Name))
		if first, ok := seen[p.Part]; ok {
			if f.e.dialect.known[p.Part] && !repeatable[p.Part] {
				if repeated == nil {
					repeated = map[string][]string{}
				}
				if repeated[p.Part] == nil {
					repeated[p.Part] = []string{f.params[first].Value}
				}
				repeated[p.Part] = append(repeated[p.Part], p.Value)
			}
			continue
		}
		seen[p.Part] = i
		if p.Value != "" {
			f.form[p.Part] = p.Value
		}
	}
	for i := range f.params { // in the order of the request, so that the refusal names the first
		name := f.params[i].Part
		values := repeated[name]
		if values == nil || seen[name] != i {
			continue
		}
		v, ok := f.b.duplicates(f, name, values)
		if !ok {
			return refuse(duplicateParameter, name)
		}
		delete(f.form, name)
		if v != "" {
			f.form[name] = v
		}
	}
	return nil
}

// repeatable parameters may occur more than once: RFC 8707, RFC 8693.
var repeatable = map[string]bool{"resource": true, "audience": true}

var errUTF8 = errors.New("not UTF-8")

func (f *flow) parseForm() (parameters, error) {
	var ps parameters
	var failed error
	for pair := range strings.SplitSeq(string(f.body), "&") {
		if pair == "" {
			continue
		}
		p := parameter{In: "body"}
		p.RawName, p.RawValue, _ = strings.Cut(pair, "=")
		var err error
		if p.Name, err = f.b.unescape(f, p.RawName); err != nil {
			p.Name, failed = p.RawName, err
		}
		if p.Value, err = f.b.unescape(f, p.RawValue); err != nil {
			p.Value, failed = p.RawValue, err
		}
		if !utf8.ValidString(p.Name) || !utf8.ValidString(p.Value) {
			failed = errUTF8
		}
		ps = append(ps, p)
	}
	return ps, failed
}

// formUnescape decodes one name or value of a form: plus is space, %XX a byte.
func formUnescape(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(s) {
				return "", errEscape
			}
			hi, lo := unhex(s[i+1]), unhex(s[i+2])
			if hi < 0 || lo < 0 {
				return "", errEscape
			}
			out = append(out, byte(hi<<4|lo))
			i += 2
		default:
			out = append(out, s[i])
		}
	}
	return string(out), nil
}

var errEscape = errors.New("bad percent encoding")

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// parseJSON reads one object; a list repeats the parameter, null leaves it out.
func parseJSON(body []byte) (parameters, error) {
	if !utf8.Valid(body) {
		return nil, errUTF8
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	var ps parameters
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return nil, err
		}
		n, _ := name.(string)
		for _, v := range jsonTexts(raw) {
			ps = append(ps, parameter{Name: n, RawName: n, Value: v, RawValue: v, In: "body"})
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("something follows the JSON object")
	}
	return ps, nil
}

// jsonTexts is the text form of a JSON value: strings plain, lists one by one, null none.
func jsonTexts(raw json.RawMessage) []string {
	var s string
	var list []json.RawMessage
	switch {
	case string(raw) == "null":
		return nil
	case json.Unmarshal(raw, &s) == nil:
		return []string{s}
	case json.Unmarshal(raw, &list) == nil:
		var out []string
		for _, item := range list {
			out = append(out, jsonTexts(item)...)
		}
		return out
	}
	return []string{string(raw)}
}

func (f *flow) parseMultipart() (parameters, error) {
	_, attr, err := mime.ParseMediaType(f.r.Header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	var ps parameters
	for mr := multipart.NewReader(bytes.NewReader(f.body), attr["boundary"]); ; {
		part, err := mr.NextPart()
		if err == io.EOF {
			return ps, nil
		}
		if err != nil {
			return ps, err
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return ps, err
		}
		if !utf8.Valid(value) {
			return ps, errUTF8
		}
		n := part.FormName()
		ps = append(ps, parameter{Name: n, RawName: n, Value: string(value), RawValue: string(value), In: "body"})
	}
}
