// Package exchange builds, sends, paces, bounds, records and redacts one exchange with an
// endpoint: a request in the words of a contract, and its answer read back the same way.
//
// A [Target] is a bound contract with its addresses. [Target.Request] builds the documented
// request; the copying methods of [Request] change one point of it; a [Client] sends it exactly as
// told; the [Answer] of the [Exchange] finds members by the part they play.
package exchange

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"grantcheck/suites/contract"
)

// Version goes into the User-Agent field of every request.
var Version = "dev"

// Where a parameter travels.
const (
	InBody   = "body"
	InQuery  = "query"
	InHeader = "header"
)

// The media types a request body can take.
const (
	FormType      = "application/x-www-form-urlencoded"
	JSONType      = "application/json"
	MultipartType = "multipart/form-data"
)

// CredentialParts are the parts that authenticate a client when they travel as parameters.
var CredentialParts = []string{"client_id", "client_secret", "client_assertion", "client_assertion_type"}

// A Param is one parameter of a request.
type Param struct {
	// Part is the standard name of what the parameter carries ("client_secret", "scope"), whatever
	// the vendor calls it; the name itself where it carries nothing standard.
	Part  string
	Name  string
	Value string
	In    string // InBody, InQuery or InHeader

	RawName  bool // Name stands in the body or query as it is, not percent-encoded
	RawValue bool // likewise Value; in a JSON body Value is then JSON text

	Type string // JSON type in a JSON body; "" is string
	List bool   // one element of an array in a JSON body; elsewhere the name is repeated
}

// A HeaderLine is one field line, in order and spelling as sent or received.
type HeaderLine struct{ Name, Value string }

// A Request is one request to send. It is a value: every method that changes something returns a
// changed copy, and leaves the receiver as it is.
//
// Methods address a parameter by the part it plays, or else by its name: Set("client_secret", …)
// reaches client_key too, where the contract says that client_key carries client.secret.
type Request struct {
	target *Target
	grant  *contract.Grant
	client *contract.Client
	err    error

	method  string
	url     string
	params  []Param
	headers []HeaderLine // Authorization lines included, Basic credentials excluded
	format  string       // FormType, JSONType, MultipartType
	ctype   string       // Content-Type as sent, noType for none, "" for that of format
	raw     []byte       // the whole body, when hasRaw
	hasRaw  bool
	suffix  string // appended to the encoded body

	auth  string // basic, post, none, jwt, tls; "" when taken out
	basic *basic

	chunked, expect, http1, fresh bool
	address                       string

	purpose string
	secrets []learned
}

const noType = "\x00none"

type basic struct {
	scheme     string
	id, secret string
	encoded    bool // form-encoded before base64
}

func (b basic) text() string {
	if b.encoded {
		return FormEncode(b.id) + ":" + FormEncode(b.secret)
	}
	return b.id + ":" + b.secret
}

func (b basic) header() string {
	return b.scheme + " " + base64.StdEncoding.EncodeToString([]byte(b.text()))
}

// Basic returns the value of an Authorization field with id and secret form-encoded (RFC 6749
// §2.3.1), for use with [Request.Authorization].
func Basic(id, secret string) string {
	return basic{scheme: "Basic", id: id, secret: secret, encoded: true}.header()
}

// FormEncode percent-encodes all but unreserved characters; a space becomes %20.
func FormEncode(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}

// FormEncodePlus is [FormEncode] with a plus sign for a space.
func FormEncodePlus(s string) string { return url.QueryEscape(s) }

// PercentEncodeAll percent-encodes every byte, needed or not.
func PercentEncodeAll(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, "%%%02X", s[i])
	}
	return b.String()
}

// ---- reading ----

// Err tells why a request cannot be sent, nil when it can.
func (r Request) Err() error { return r.err }

// Method returns the HTTP method.
func (r Request) Method() string { return r.method }

// Grant returns the grant the request was built for, nil for other requests.
func (r Request) Grant() *contract.Grant { return r.grant }

// Client returns the fixture the request was built for, nil when there is none.
func (r Request) Client() *contract.Client { return r.client }

// AuthMethod returns basic, post, none, jwt or tls; "" once the authentication was taken out.
func (r Request) AuthMethod() string { return r.auth }

// Format returns the media type in which the body is encoded: FormType, JSONType or MultipartType.
func (r Request) Format() string { return r.format }

// Label returns what the request is for: golden, probe, control …
func (r Request) Label() string { return r.purpose }

// Params returns a copy of the parameters in order.
func (r Request) Params() []Param { return slices.Clone(r.params) }

// Param returns the first parameter that plays part, or bears that name.
func (r Request) Param(part string) (Param, bool) {
	if i := r.find(part); i >= 0 {
		return r.params[i], true
	}
	return Param{}, false
}

// Get returns the value of a parameter, "" when there is none. Values of a list are joined by
// spaces.
func (r Request) Get(part string) string {
	i := r.find(part)
	if i < 0 {
		return ""
	}
	p := r.params[i]
	if !p.List {
		return p.Value
	}
	var all []string
	for _, q := range r.params {
		if q.Name == p.Name && q.In == p.In {
			all = append(all, q.Value)
		}
	}
	return strings.Join(all, " ")
}

// Has reports whether a parameter plays part, or bears that name.
func (r Request) Has(part string) bool { return r.find(part) >= 0 }

// GrantParts returns the parts of all parameters but the client's credentials and headers.
func (r Request) GrantParts() []string {
	var parts []string
	for _, p := range r.params {
		if p.In != InHeader && !slices.Contains(CredentialParts, p.Part) {
			parts = append(parts, p.Part)
		}
	}
	return parts
}

// Credentials returns the client's id and secret as the request carries them, in Basic or as
// parameters.
func (r Request) Credentials() (id, secret string) {
	if r.basic != nil {
		return r.basic.id, r.basic.secret
	}
	return r.Get("client_id"), r.Get("client_secret")
}

// Scope returns the scope asked for, as a list; nil when none is.
func (r Request) Scope() []string {
	p, ok := r.Param("scope")
	if !ok {
		return nil
	}
	if p.List {
		return strings.Fields(r.Get("scope"))
	}
	return strings.FieldsFunc(p.Value, func(c rune) bool { return c == ' ' || c == ',' || c == '+' })
}

// find returns the index of the parameter that plays part: the first by part, else by name.
func (r Request) find(part string) int {
	if i := slices.IndexFunc(r.params, func(p Param) bool { return p.Part == part }); i >= 0 {
		return i
	}
	return slices.IndexFunc(r.params, func(p Param) bool { return p.Name == part })
}

func (r Request) matches(p Param, part string) bool {
	i := r.find(part)
	return i >= 0 && p.Name == r.params[i].Name && p.Part == r.params[i].Part
}

// ---- parameters ----

func (r Request) with(params []Param) Request {
	r.params = params
	return r
}

// set replaces the first occurrence of part and drops further ones; it appends what is not there.
func (r Request) set(part, value string, raw bool) Request {
	i := r.find(part)
	if i < 0 {
		p := r.newParam(part, value)
		p.RawValue = raw
		return r.with(append(slices.Clone(r.params), p))
	}
	var out []Param
	for j, p := range r.params {
		switch {
		case j == i:
			p.Value, p.RawValue, p.List = value, raw, false
			if p.Type != "" && !validJSON(p.Type, value) {
				p.Type = "" // a nonce in place of a number travels as a string
			}
			out = append(out, p)
		case !r.matches(p, part):
			out = append(out, p)
		}
	}
	return r.with(out)
}

func validJSON(typ, value string) bool {
	var v any
	if json.Unmarshal([]byte(value), &v) != nil {
		return false
	}
	switch v.(type) {
	case float64:
		return typ == "integer" || typ == "number"
	case bool:
		return typ == "boolean"
	case []any:
		return typ == "array"
	case map[string]any:
		return typ == "object"
	case nil:
		return typ == "null"
	}
	return false
}

// newParam gives a parameter that the contract does not list the place that the others have.
func (r Request) newParam(name, value string) Param {
	p := Param{Part: name, Name: name, Value: value, In: InBody}
	if r.method == "GET" {
		p.In = InQuery
	}
	return p
}

// Set gives a parameter one value, in the place it has; one that is not there is appended.
func (r Request) Set(part, value string) Request { return r.set(part, value, false) }

// SetRaw is [Request.Set] with a value that is not percent-encoded: "%ZZ", "a+b", "%FF%FE".
func (r Request) SetRaw(part, raw string) Request { return r.set(part, raw, true) }

// Add appends a parameter, also one whose name is there already.
func (r Request) Add(name, value string) Request {
	return r.with(append(slices.Clone(r.params), r.newParam(name, value)))
}

// AddRaw appends a parameter whose name and value are not percent-encoded.
func (r Request) AddRaw(name, value string) Request {
	p := r.newParam(name, value)
	p.RawName, p.RawValue = true, true
	return r.with(append(slices.Clone(r.params), p))
}

// AddMany appends n parameters name0=value, name1=value and so on.
func (r Request) AddMany(n int, name, value string) Request {
	params := slices.Grow(slices.Clone(r.params), n)
	for i := range n {
		params = append(params, r.newParam(fmt.Sprint(name, i), value))
	}
	return r.with(params)
}

// Before sends a parameter twice: once more with value, directly before the one that is there.
func (r Request) Before(part, value string) Request { return r.repeat(part, value, 0) }

// After sends a parameter twice: once more with value, directly after the one that is there.
func (r Request) After(part, value string) Request { return r.repeat(part, value, 1) }

func (r Request) repeat(part, value string, offset int) Request {
	i := r.find(part)
	if i < 0 {
		return r.Add(part, value)
	}
	p := r.params[i]
	p.Value, p.RawValue = value, false
	return r.with(slices.Insert(slices.Clone(r.params), i+offset, p))
}

// Drop leaves parameters out, every occurrence of each.
func (r Request) Drop(parts ...string) Request {
	for _, part := range parts {
		if r.find(part) < 0 {
			continue
		}
		var kept []Param
		for _, p := range r.params {
			if !r.matches(p, part) {
				kept = append(kept, p)
			}
		}
		r = r.with(kept)
	}
	return r
}

// DropAll leaves every parameter out; credentials in the Authorization field stay.
func (r Request) DropAll() Request { return r.with(nil) }

// edit changes every occurrence of a parameter.
func (r Request) edit(part string, change func(*Param)) Request {
	params := slices.Clone(r.params)
	for i, p := range params {
		if r.matches(p, part) {
			change(&params[i])
		}
	}
	return r.with(params)
}

// Rename sends a parameter under another name; it goes on playing its part.
func (r Request) Rename(part, name string) Request {
	return r.edit(part, func(p *Param) { p.Name, p.RawName = name, false })
}

// RenameRaw is [Request.Rename] with a name that is not percent-encoded: "grant%5Ftype".
func (r Request) RenameRaw(part, raw string) Request {
	return r.edit(part, func(p *Param) { p.Name, p.RawName = raw, true })
}

// Reverse turns the order of the parameters round.
func (r Request) Reverse() Request {
	params := slices.Clone(r.params)
	slices.Reverse(params)
	return r.with(params)
}

// MoveTo lets parameters travel in the body, the query or a header: all but headers if no part is
// named. Basic credentials stay where they are.
func (r Request) MoveTo(in string, parts ...string) Request {
	params := slices.Clone(r.params)
	for i, p := range params {
		if len(parts) == 0 && p.In != InHeader || slices.ContainsFunc(parts, func(part string) bool { return r.matches(p, part) }) {
			params[i].In = in
		}
	}
	return r.with(params)
}

// ---- body ----

// AsForm sends the parameters form-encoded.
func (r Request) AsForm() Request { return r.as(FormType) }

// AsJSON sends the parameters as members of one JSON object, in order.
func (r Request) AsJSON() Request { return r.as(JSONType) }

// AsMultipart sends the parameters as parts of a multipart body.
func (r Request) AsMultipart() Request { return r.as(MultipartType) }

func (r Request) as(format string) Request {
	r.format, r.ctype = format, ""
	return r
}

// RawBody replaces the encoded parameters by b; parameters in query and headers stay.
func (r Request) RawBody(b []byte) Request {
	r.raw, r.hasRaw = b, true
	return r
}

// AppendBody puts text behind the encoded body as it is: "&grantcheck=%".
func (r Request) AppendBody(raw string) Request {
	r.suffix += raw
	return r
}

// WithContentType sends this Content-Type, whatever the body is.
func (r Request) WithContentType(value string) Request {
	r.ctype = value
	return r
}

// NoContentType sends none.
func (r Request) NoContentType() Request { return r.WithContentType(noType) }

// ---- method, address, headers ----

// WithMethod sends another HTTP method. The parameters stay where they are, so a GET needs
// MoveTo(InQuery) as well.
func (r Request) WithMethod(method string) Request {
	r.method = method
	return r
}

// WithURL sends the request to another address; parameters in the query are added to it.
func (r Request) WithURL(address string) Request {
	r.url = address
	return r
}

// URL returns the address, query parameters included.
func (r Request) URL() string { return r.fullURL(r.params) }

// Header gives a field one line, in place of all its lines.
func (r Request) Header(name, value string) Request {
	return r.DropHeader(name).AddHeader(name, value)
}

// AddHeader adds a field line, also where one of that name is there already.
func (r Request) AddHeader(name, value string) Request {
	r.headers = append(slices.Clone(r.headers), HeaderLine{name, value})
	return r
}

// DropHeader leaves a field out, the Basic credentials for "Authorization" included, and a
// documented parameter that travels as that field.
func (r Request) DropHeader(name string) Request {
	same := func(h HeaderLine) bool { return strings.EqualFold(h.Name, name) }
	r.headers = slices.DeleteFunc(slices.Clone(r.headers), same)
	r.params = slices.DeleteFunc(slices.Clone(r.params), func(p Param) bool { return p.In == InHeader && strings.EqualFold(p.Name, name) })
	switch {
	case strings.EqualFold(name, "Authorization"):
		r.basic = nil
	case strings.EqualFold(name, "Content-Type"):
		r.ctype = noType
	}
	return r
}

// GetHeader returns the first line of a field as it will be sent, "" when there is none.
func (r Request) GetHeader(name string) string {
	for _, h := range r.Wire().Headers {
		if strings.EqualFold(h.Name, name) {
			return h.Value
		}
	}
	return ""
}

// ---- client authentication ----

// Auth authenticates the client by another method: basic, post, none, jwt or tls. Nothing else
// changes. [Request.Err] tells when the fixture lacks what the method needs.
func (r Request) Auth(method string) Request {
	if r.target == nil || r.client == nil {
		r.err = fmt.Errorf("client authentication by %q: the request belongs to no client fixture", method)
		return r
	}
	return r.target.authenticate(r.NoAuth(), method)
}

// NoAuth takes the client's credentials out, wherever they are, client_id included.
func (r Request) NoAuth() Request {
	r = r.Drop(CredentialParts...).DropHeader("Authorization")
	r.auth = ""
	return r
}

// NoSecret leaves client_id as a parameter and takes every proof of identity out.
func (r Request) NoSecret() Request {
	id, _ := r.Credentials()
	if id == "" && r.client != nil {
		id = r.client.ID
	}
	if r.Has("client_id") {
		r = r.Drop("client_secret", "client_assertion", "client_assertion_type").DropHeader("Authorization").Set("client_id", id)
		r.auth = ""
		return r
	}
	r = r.NoAuth()
	return r.withClientID(id)
}

// ClientID replaces the client's id where the credentials are: in Basic, or the parameter.
func (r Request) ClientID(id string) Request {
	if r.basic != nil {
		b := *r.basic
		b.id = id
		r.basic = &b
		return r
	}
	return r.Set("client_id", id)
}

// Secret replaces the client's secret where the credentials are: in Basic, or the parameter.
func (r Request) Secret(secret string) Request {
	if r.basic != nil {
		b := *r.basic
		b.secret = secret
		r.basic = &b
		return r
	}
	return r.Set("client_secret", secret)
}

// Scheme spells the scheme of the Basic credentials otherwise: "basic", "BASIC".
func (r Request) Scheme(name string) Request {
	if r.basic != nil {
		b := *r.basic
		b.scheme = name
		r.basic = &b
	}
	return r
}

// BasicEncoded says whether id and secret are form-encoded before base64.
func (r Request) BasicEncoded(encoded bool) Request {
	if r.basic != nil {
		b := *r.basic
		b.encoded = encoded
		r.basic = &b
	}
	return r
}

// BasicText sends "Basic" with the base64 of text in place of any other client authentication.
func (r Request) BasicText(text string) Request {
	return r.Authorization("Basic " + base64.StdEncoding.EncodeToString([]byte(text)))
}

// BasicRaw sends "Basic" followed by raw, as it is, in place of any other client authentication;
// "Basic" alone when raw is empty.
func (r Request) BasicRaw(raw string) Request {
	return r.Authorization(strings.TrimSpace("Basic " + raw))
}

// Authorization sends these Authorization lines in order, in place of any client authentication.
func (r Request) Authorization(lines ...string) Request {
	r = r.NoAuth()
	for _, l := range lines {
		r = r.AddHeader("Authorization", l)
	}
	return r
}

// Bearer sends token in an Authorization field.
func (r Request) Bearer(token string) Request {
	r = r.Header("Authorization", "Bearer "+token)
	return r.sensitive("access_token", token)
}

// sensitive has the redactor learn a value that no parameter carries.
func (r Request) sensitive(part, value string) Request {
	r.secrets = append(slices.Clone(r.secrets), learned{part, value})
	return r
}

// ---- transport ----

// Chunked sends the body with Transfer-Encoding: chunked and no Content-Length, over HTTP/1.1.
func (r Request) Chunked() Request {
	r.chunked = true
	return r
}

// ExpectContinue sends Expect: 100-continue over HTTP/1.1 and holds the body back until an answer
// comes, at most two seconds.
func (r Request) ExpectContinue() Request {
	r.expect = true
	return r
}

// HTTP1 uses HTTP/1.1 even where HTTP/2 would be negotiated.
func (r Request) HTTP1() Request {
	r.http1 = true
	return r
}

// Fresh uses a new connection and closes it afterwards.
func (r Request) Fresh() Request {
	r.fresh = true
	return r
}

// To connects to this resolved address ("192.0.2.7", port optional); Host field and server name
// stay.
func (r Request) To(address string) Request {
	r.address = address
	return r
}

// Purpose labels the request in the evidence: golden, probe, control …
func (r Request) Purpose(label string) Request {
	r.purpose = label
	return r
}

// ---- the wire ----

// A Wire is a request as it goes out. Under HTTP/2 the fields are the same, Host and
// Content-Length excepted, their names in lower case.
type Wire struct {
	Method  string
	URL     string
	Headers []HeaderLine // without Host, Content-Length, Transfer-Encoding and Expect
	Body    []byte
}

// Wire returns the request as it will be sent.
func (r Request) Wire() Wire { return r.wire(func(p Param) Param { return p }) }

// wire encodes the request with each parameter passed through see.
func (r Request) wire(see func(Param) Param) Wire {
	params := make([]Param, len(r.params))
	for i, p := range r.params {
		params[i] = see(p)
	}
	w := Wire{Method: r.method, URL: r.fullURL(params)}
	var boundary string
	w.Body, boundary = r.body(params)

	for _, h := range r.headers {
		if !slices.ContainsFunc(params, func(p Param) bool { return p.In == InHeader && strings.EqualFold(p.Name, h.Name) }) {
			w.Headers = append(w.Headers, h)
		}
	}
	typed := false
	for _, p := range params {
		if p.In == InHeader {
			w.Headers = append(w.Headers, HeaderLine{p.Name, p.Value})
			typed = typed || strings.EqualFold(p.Name, "Content-Type")
		}
	}
	ctype := r.ctype
	if ctype == "" && (len(w.Body) > 0 || r.method == "POST") {
		ctype = r.format
	}
	if strings.EqualFold(ctype, MultipartType) && boundary != "" {
		ctype += "; boundary=" + boundary
	}
	if ctype != "" && ctype != noType && !typed {
		w.Headers = append(w.Headers, HeaderLine{"Content-Type", ctype})
	}
	if r.basic != nil {
		w.Headers = append(w.Headers, HeaderLine{"Authorization", r.basic.header()})
	}
	return w
}

func (r Request) fullURL(params []Param) string {
	q := encodeForm(params, InQuery)
	if q == "" {
		return r.url
	}
	base, fragment, hasFragment := strings.Cut(r.url, "#")
	sep := "?"
	if strings.Contains(base, "?") {
		sep = "&"
	}
	base += sep + q
	if hasFragment {
		base += "#" + fragment
	}
	return base
}

// body encodes the parameters that travel in the body; boundary is that of a multipart body.
func (r Request) body(params []Param) (body []byte, boundary string) {
	switch {
	case r.hasRaw:
		body = slices.Clone(r.raw)
	case r.format == JSONType:
		body = encodeJSON(params)
	case r.format == MultipartType:
		body, boundary = encodeMultipart(params)
	default:
		body = []byte(encodeForm(params, InBody))
	}
	return append(body, r.suffix...), boundary
}

func encodeForm(params []Param, in string) string {
	var b strings.Builder
	for _, p := range params {
		if p.In != in {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		name, value := p.Name, p.Value
		if !p.RawName {
			name = FormEncode(name)
		}
		if !p.RawValue {
			value = FormEncode(value)
		}
		b.WriteString(name + "=" + value)
	}
	return b.String()
}

// encodeJSON makes one object. A repeated name is a repeated member, but for the elements of a list.
func encodeJSON(params []Param) []byte {
	var members []string
	done := map[string]bool{}
	any := false
	for _, p := range params {
		if p.In != InBody {
			continue
		}
		any = true
		if !p.List {
			members = append(members, jsonString(p.Name)+":"+p.json())
			continue
		}
		if done[p.Name] {
			continue
		}
		done[p.Name] = true
		var items []string
		for _, q := range params {
			if q.In == InBody && q.List && q.Name == p.Name {
				items = append(items, q.json())
			}
		}
		members = append(members, jsonString(p.Name)+":["+strings.Join(items, ",")+"]")
	}
	if !any {
		return nil
	}
	return []byte("{" + strings.Join(members, ",") + "}")
}

func (p Param) json() string {
	if p.RawValue || p.Type != "" && p.Type != "string" && validJSON(p.Type, p.Value) {
		return p.Value
	}
	return jsonString(p.Value)
}

// jsonString keeps bytes that are not UTF-8 out, and < > & as they are.
func jsonString(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s)
	return strings.TrimSuffix(b.String(), "\n")
}

// encodeMultipart derives the boundary from the content, so that equal requests are equal bytes.
func encodeMultipart(params []Param) ([]byte, string) {
	sum := sha256.New()
	for _, p := range params {
		fmt.Fprintf(sum, "%q%q", p.Name, p.Value)
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	_ = w.SetBoundary("grantcheck-" + hex.EncodeToString(sum.Sum(nil)[:12]))
	for _, p := range params {
		if p.In != InBody {
			continue
		}
		h := textproto.MIMEHeader{}
		h.Set("Content-Disposition", `form-data; name="`+strings.NewReplacer("\\", "\\\\", `"`, "%22", "\r", "%0D", "\n", "%0A").Replace(p.Name)+`"`)
		part, _ := w.CreatePart(h)
		_, _ = part.Write([]byte(p.Value))
	}
	_ = w.Close()
	return b.Bytes(), w.Boundary()
}
