package exchange

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"grantcheck/suites/contract"
)

// Options are the settings of a [Target]. The zero value is usable.
type Options struct {
	URL          string        // token endpoint in place of base_url and path; the other endpoints keep their place relative to it
	Timeout      time.Duration // of one exchange, connecting included; 10s if zero
	MaxBody      int64         // bytes of an answer that are kept; 1 MiB if zero
	CAFile       string        // further trusted certificates, PEM; overrides the contract's
	Cert, Key    string        // client certificate, PEM files; override the contract's
	Proxy        string        // http://[user:password@]host:port
	InsecureHTTP bool          // allow http:// beyond loopback
	HookTimeout  time.Duration // 60s if zero
	Prompt       Prompt        // asks a person for an authorization code where nothing else does

	// Resolve looks the addresses of a host up; the system's resolver if nil.
	Resolve func(ctx context.Context, host string) ([]string, error)

	Now  func() time.Time // time.Now if nil
	Rand io.Reader        // crypto/rand if nil

	Secrets map[string]string // NAME to value, as contract.Bind returns them: shown as ${NAME}, but for client ids
}

// A Target is a bound contract with its addresses and everything it takes to talk to them.
// It is safe for concurrent use.
type Target struct {
	Contract *contract.Contract
	Redactor *Redactor

	opt     Options
	token   *url.URL // of the endpoint, before what a grant changes
	base    string   // what the other endpoints' paths are joined to
	oldBase string   // what base was before Options.URL
	tls     *tls.Config
	proxy   *url.URL
	keys    keyCache
	drawing sync.Mutex // Options.Rand serves one at a time
}

// NewTarget makes a target of a contract whose references are bound. It refuses an address that
// is not absolute, one without TLS beyond loopback unless allowed, and files that cannot be read.
func NewTarget(c *contract.Contract, opt Options) (*Target, error) {
	opt.Timeout = cmp.Or(opt.Timeout, 10*time.Second)
	opt.MaxBody = cmp.Or(opt.MaxBody, 1<<20)
	opt.HookTimeout = cmp.Or(opt.HookTimeout, time.Minute)
	opt.CAFile = cmp.Or(opt.CAFile, c.Transport.CAFile)
	opt.Cert = cmp.Or(opt.Cert, c.Transport.CertFile)
	opt.Key = cmp.Or(opt.Key, c.Transport.KeyFile)
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Rand == nil {
		opt.Rand = rand.Reader
	}
	t := &Target{Contract: c, opt: opt, base: c.Endpoint.BaseURL, oldBase: c.Endpoint.BaseURL}

	address := join(c.Endpoint.BaseURL, c.Endpoint.Path)
	if opt.URL != "" {
		address = opt.URL
		t.base = moveBase(opt.URL, c.Endpoint.Path)
	}
	u, err := url.Parse(address)
	if err == nil && u.User != nil {
		return nil, fmt.Errorf("token endpoint %s: an address holds no credentials; they belong to the client of contract %s", u.Redacted(), c.Name)
	}
	if err != nil || !u.IsAbs() || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("token endpoint %q: not an absolute http or https address; set endpoint.base_url in contract %s, or --url", address, c.Name)
	}
	if u.Scheme == "http" && !opt.InsecureHTTP && !Loopback(u.Hostname()) {
		return nil, fmt.Errorf("token endpoint %s: credentials would travel without TLS; use https, or --insecure-http if you mean it", address)
	}
	t.token = u
	if t.tls, err = tlsConfig(opt); err != nil {
		return nil, err
	}
	if opt.Proxy != "" {
		if t.proxy, err = url.Parse(opt.Proxy); err != nil || t.proxy.Host == "" || t.proxy.Scheme != "http" {
			return nil, fmt.Errorf("proxy %q: want http://host:port", Printable(opt.Proxy, 80))
		}
	}
	t.Redactor = NewRedactor(t.withoutIDs(opt.Secrets))
	t.learnContract()
	return t, nil
}

// withoutIDs takes out the values that are a client's id and nothing secret: ids are shown.
func (t *Target) withoutIDs(secrets map[string]string) map[string]string {
	hidden := map[string]bool{}
	for _, c := range t.Clients() {
		hidden[c.Secret] = true
	}
	for _, u := range t.Users() {
		hidden[u.UserName], hidden[u.Password] = true, true
	}
	kept := maps.Clone(secrets)
	for _, c := range t.Clients() {
		maps.DeleteFunc(kept, func(_, value string) bool { return value == c.ID && !hidden[value] })
	}
	return kept
}

// learnContract has the redactor know the credentials that stand in the contract itself, as those
// of a test server may, and the ids that may be shown.
func (t *Target) learnContract() {
	for _, c := range t.Clients() {
		t.Redactor.Learn("client_secret", c.Secret)
	}
	for _, u := range t.Users() {
		t.Redactor.Learn("password", u.Password)
	}
	if t.proxy != nil {
		if p, ok := t.proxy.User.Password(); ok {
			t.Redactor.Learn("proxy_password", p)
		}
	}
}

func tlsConfig(opt Options) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if opt.CAFile != "" {
		pem, err := os.ReadFile(opt.CAFile)
		if err != nil {
			return nil, fmt.Errorf("certificate authority: %w", err)
		}
		if cfg.RootCAs, err = x509.SystemCertPool(); err != nil {
			cfg.RootCAs = x509.NewCertPool()
		}
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificate authority %s: no PEM certificate in it", opt.CAFile)
		}
	}
	if opt.Cert != "" || opt.Key != "" {
		pair, err := tls.LoadX509KeyPair(opt.Cert, opt.Key)
		if err != nil {
			return nil, fmt.Errorf("client certificate %q with key %q: %w", opt.Cert, opt.Key, err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// Loopback reports whether host is this machine by name or address.
func Loopback(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

func join(base, path string) string {
	if base != "" && strings.HasSuffix(base, "/") && strings.HasPrefix(path, "/") {
		return base + path[1:]
	}
	return base + path
}

// moveBase finds the base of a token endpoint's address: what is left without the documented path,
// else scheme and host.
func moveBase(address, path string) string {
	if rest, ok := strings.CutSuffix(address, path); ok && path != "" {
		return rest
	}
	if u, err := url.Parse(address); err == nil {
		return u.Scheme + "://" + u.Host
	}
	return address
}

// ---- addresses ----

// TokenURL returns the token endpoint; that of a grant when grant changes it.
func (t *Target) TokenURL(grant *contract.Grant) string {
	if grant == nil || grant.Endpoint == nil || grant.Endpoint.BaseURL == "" && grant.Endpoint.Path == "" {
		return t.token.String()
	}
	e := grant.Endpoint
	path := cmp.Or(e.Path, t.Contract.Endpoint.Path)
	if e.BaseURL != "" {
		return t.Rebase(join(e.BaseURL, path))
	}
	return join(t.base, path)
}

// Rebase moves an address of the contract that lies under base_url to where Options.URL says; one
// elsewhere stays. A path alone is joined to the base.
func (t *Target) Rebase(address string) string {
	if strings.HasPrefix(address, "/") {
		return join(t.base, address)
	}
	if t.base == t.oldBase || t.oldBase == "" {
		return address
	}
	if rest, ok := strings.CutPrefix(address, strings.TrimSuffix(t.oldBase, "/")); ok && (rest == "" || strings.ContainsAny(rest[:1], "/?#")) {
		return join(t.base, rest)
	}
	old, err1 := url.Parse(t.oldBase)
	u, err2 := url.Parse(address)
	base, err3 := url.Parse(t.base)
	if err1 == nil && err2 == nil && err3 == nil && u.Host == old.Host {
		u.Scheme, u.Host = base.Scheme, base.Host
		return u.String()
	}
	return address
}

// AuthorizationURL returns the authorization endpoint, "" if the contract has none.
func (t *Target) AuthorizationURL() string {
	a := t.Contract.AuthorizationEndpoint
	switch {
	case a == nil:
		return ""
	case a.URL != "":
		return t.Rebase(a.URL)
	case a.Path == "":
		return ""
	}
	return join(t.base, a.Path)
}

// Issuer returns the issuer identifier, "" if the contract names none.
func (t *Target) Issuer() string {
	if t.Contract.Metadata == nil {
		return ""
	}
	return t.Contract.Metadata.Issuer
}

// MetadataURLs returns where the metadata document may be, in order: RFC 8414 §3.1, then OpenID
// discovery inserted and appended; nil without an issuer.
func (t *Target) MetadataURLs() []string {
	if t.Issuer() == "" {
		return nil
	}
	u, err := url.Parse(t.Rebase(t.Issuer()))
	if err != nil || u.Host == "" {
		return nil
	}
	path := strings.TrimSuffix(u.Path, "/")
	at := func(p string) string { return u.Scheme + "://" + u.Host + p }
	urls := []string{at("/.well-known/oauth-authorization-server" + path), at("/.well-known/openid-configuration" + path)}
	if path != "" {
		urls = append(urls, at(path+"/.well-known/openid-configuration"))
	}
	return urls
}

// RevocationURL returns the revocation endpoint, "" if the contract has none.
func (t *Target) RevocationURL() string { return t.protected(t.Contract.Revocation) }

// IntrospectionURL returns the introspection endpoint, "" if the contract has none.
func (t *Target) IntrospectionURL() string { return t.protected(t.Contract.Introspection) }

func (t *Target) protected(p *contract.Protected) string {
	if p == nil {
		return ""
	}
	return t.Rebase(p.URL)
}

// ResourceURL returns the protected resource, "" if the contract has none.
func (t *Target) ResourceURL() string {
	if t.Contract.Resource == nil {
		return ""
	}
	return t.Rebase(t.Contract.Resource.URL)
}

// Now returns the time as Options.Now tells it.
func (t *Target) Now() time.Time { return t.opt.Now() }

// Timeout returns how long one exchange may take.
func (t *Target) Timeout() time.Duration { return t.opt.Timeout }

// TLS is how the target is reached over TLS, for who sends by other means; it is not to be changed.
func (t *Target) TLS() *tls.Config { return t.tls }

// Proxy is the HTTP proxy to go through, nil for none.
func (t *Target) Proxy() *url.URL { return t.proxy }

// ---- fixtures ----

// Clients returns every client fixture, the primary one first.
func (t *Target) Clients() []*contract.Client {
	var all []*contract.Client
	add := func(c *contract.Client) {
		if c != nil && c.ID != "" && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	add(&t.Contract.Client)
	for i := range t.Contract.Clients {
		add(&t.Contract.Clients[i])
	}
	if p := t.Contract.Revocation; p != nil {
		add(p.Client)
	}
	if p := t.Contract.Introspection; p != nil {
		add(p.Client)
	}
	return all
}

// ClientNamed returns a client fixture, nil if it is not there; "" is the primary one.
func (t *Target) ClientNamed(name string) *contract.Client {
	if name == "" {
		return &t.Contract.Client
	}
	for i := range t.Contract.Clients {
		if t.Contract.Clients[i].Name == name {
			return &t.Contract.Clients[i]
		}
	}
	return nil
}

// Users returns every user fixture, the primary one first.
func (t *Target) Users() []*contract.User {
	var all []*contract.User
	if t.Contract.User != nil {
		all = append(all, t.Contract.User)
	}
	for i := range t.Contract.Users {
		all = append(all, &t.Contract.Users[i])
	}
	return all
}

// UserNamed returns a user fixture, nil if it is not there; "" is the primary one.
func (t *Target) UserNamed(name string) *contract.User {
	if name == "" {
		return t.Contract.User
	}
	for _, u := range t.Users() {
		if u.Name == name {
			return u
		}
	}
	return nil
}

// ClientOf returns the fixture that a grant is documented for.
func (t *Target) ClientOf(grant *contract.Grant) *contract.Client {
	if grant != nil && grant.Client != "" {
		if c := t.ClientNamed(grant.Client); c != nil {
			return c
		}
	}
	return &t.Contract.Client
}

// AuthMethods returns the documented methods of a client at a grant, the preferred one first.
func (t *Target) AuthMethods(grant *contract.Grant, client *contract.Client) []string {
	if client == nil {
		client = t.ClientOf(grant)
	}
	if grant != nil && len(grant.Auth) > 0 && client == t.ClientOf(grant) {
		return grant.Auth
	}
	return client.Methods()
}

// Methods returns the documented HTTP methods of a grant, ContentTypes its request media types;
// the first of each makes the golden request.
func (t *Target) Methods(grant *contract.Grant) []string {
	if m := t.Contract.TokenEndpoint(grant).Method; len(m) > 0 {
		return m
	}
	return []string{"POST"}
}

// ContentTypes returns the documented request media types of a grant.
func (t *Target) ContentTypes(grant *contract.Grant) []string {
	if c := t.Contract.TokenEndpoint(grant).ContentType; len(c) > 0 {
		return c
	}
	return []string{FormType}
}

// ---- the documented request ----

// Inputs are what the sources of a request's parameters draw from. The zero value draws on the
// contract alone.
type Inputs struct {
	Client *contract.Client // nil: the grant's fixture
	User   *contract.User   // nil: the primary user

	Code         string
	CodeVerifier string
	RedirectURI  string // "": the client's
	RefreshToken string
	AccessToken  string
	Assertion    string   // "": signed by the contract's words
	Scope        []string // nil: scopes.request; empty: none is sent

	Method      string // one of the documented, "": the first
	ContentType string // one of the documented, "": the first

	// Hook yields a value for hook.NAME, given the request as JSON; nil asks the contract's hooks.
	Hook func(name string, request []byte) (string, error)
}

// A NeedError says that a request cannot be made for want of a source.
type NeedError struct {
	Grant  string // key
	Param  string
	Source string // "code", "refresh_token", "user.name" …
}

func (e *NeedError) Error() string {
	return fmt.Sprintf("grant %s: parameter %s needs %s, and there is none", e.Grant, e.Param, e.Source)
}

// GrantType returns the grant_type value of a grant.
func GrantType(g *contract.Grant) string { return cmp.Or(g.Type, g.Key) }

// Parameters returns the documented parameters of a grant in the order they are sent: grant_type
// first, then the contract's order, then those of the endpoint.
func (t *Target) Parameters(grant *contract.Grant) []contract.Field {
	fields := slices.Clone(grant.Parameters)
	if i := slices.IndexFunc(fields, func(f contract.Field) bool { return f.Name == "grant_type" }); i > 0 {
		g := fields[i]
		fields = slices.Insert(slices.Delete(fields, i, i+1), 0, g)
	}
	for _, f := range t.Contract.TokenEndpoint(grant).Parameters {
		if !slices.ContainsFunc(fields, func(g contract.Field) bool { return strings.EqualFold(g.Name, f.Name) }) {
			fields = append(fields, f)
		}
	}
	return fields
}

// Request builds the documented request of a grant with one client authentication method: ""
// is the preferred one. grant_type comes first, then the order of the contract; Accept is
// application/json; there is no client_id next to Basic. The error is a [*NeedError] when a
// required parameter has no source.
func (t *Target) Request(grant *contract.Grant, auth string, in Inputs) (Request, error) {
	client := in.Client
	if client == nil {
		client = t.ClientOf(grant)
	}
	if auth == "" {
		auth = t.AuthMethods(grant, client)[0]
	}
	r := t.blank(cmp.Or(in.Method, t.Methods(grant)[0]), t.TokenURL(grant))
	r.grant, r.client, r.auth = grant, client, auth
	r.format = formatOf(cmp.Or(in.ContentType, t.ContentTypes(grant)[0]))
	if declared := cmp.Or(in.ContentType, t.ContentTypes(grant)[0]); declared != r.format && r.format != MultipartType {
		r.ctype = declared
	}

	src := sources{t: t, grant: grant, client: client, in: in}
	later := map[string]string{} // parameter to the hook that makes it, having seen all others
	for range 2 {                // conditions may look at parameters that come after
		r.params = nil
		for _, f := range t.Parameters(grant) {
			if err := t.addParameter(&r, f, src, later); err != nil {
				return Request{}, err
			}
		}
		src.sent = r.params
	}
	if in.CodeVerifier != "" && !r.Has("code_verifier") {
		r = r.Add("code_verifier", in.CodeVerifier) // a challenge was sent, listed or not
	}
	if r = t.authenticate(r, auth); r.err != nil {
		return Request{}, fmt.Errorf("grant %s: %w", grant.Key, r.err)
	}
	for i, p := range r.params {
		name, ok := later[p.Name]
		if !ok {
			continue
		}
		value, err := src.hook(name, r)
		if err != nil {
			return Request{}, fmt.Errorf("grant %s: parameter %s: %w", grant.Key, p.Name, err)
		}
		r.params[i].Value = value
		t.Redactor.Learn(p.Part, value)
	}
	return r, nil
}

func (t *Target) addParameter(r *Request, f contract.Field, src sources, later map[string]string) error {
	part := f.Role()
	in := cmp.Or(f.In, InBody)
	if r.method == "GET" && in == InBody {
		in = InQuery
	}
	word, fixed, ok := f.Source(GrantType(src.grant))
	// credentials travel as the method says
	switch part {
	case "client_secret":
		if r.auth != "post" {
			return nil
		}
	case "client_id":
		if r.auth == "basic" {
			return nil
		}
	case "client_assertion":
		if r.auth != "jwt" && word == "client.assertion" {
			return nil
		}
	case "client_assertion_type":
		if r.auth != "jwt" && f.Const == nil && f.Value == nil {
			return nil
		}
	}
	probe := *r
	probe.params = src.sent
	if f.Required.Condition != nil && !probe.Holds(f.Required.Condition) || f.OnlyWhen != nil && !probe.Holds(f.OnlyWhen) {
		return nil
	}
	if name, isHook := strings.CutPrefix(word, "hook."); isHook {
		later[f.Name] = name
		r.params = append(r.params, Param{Part: part, Name: f.Name, In: in})
		return nil
	}
	var values []any
	list := false
	switch fixed := fixed.(type) {
	case []any:
		list = true
		for _, item := range fixed {
			v, err := src.value(item, f)
			if err != nil {
				return fmt.Errorf("grant %s: parameter %s: %w", src.grant.Key, f.Name, err)
			}
			if v != nil {
				values = append(values, v)
			}
		}
	case nil:
		v, err := src.from(word, f)
		if err != nil {
			return fmt.Errorf("grant %s: parameter %s: %w", src.grant.Key, f.Name, err)
		}
		if v != nil {
			values = []any{v}
		}
	default:
		values = []any{fixed}
	}
	if len(values) == 0 {
		needed := slices.Contains([]string{"true", "implied", "conditional"}, f.Required.Mode) || f.Origin == "standard" && f.Required.Mode == ""
		if !needed || word == "scopes.request" && ok { // nothing to ask for is a legal request
			return nil
		}
		return &NeedError{Grant: src.grant.Key, Param: f.Name, Source: cmp.Or(word, "a value")}
	}
	typ := ""
	if len(f.Type) > 0 && !list {
		typ = f.Type[0]
	}
	for _, v := range values {
		text, vtype := literal(v)
		r.params = append(r.params, Param{Part: part, Name: f.Name, Value: text, In: in, Type: cmp.Or(typ, vtype), List: list})
	}
	return nil
}

// literal writes a value as a form carries it, and tells its JSON type unless it is a string.
func literal(v any) (text, typ string) {
	switch v := v.(type) {
	case string:
		return v, ""
	case bool:
		return strconv.FormatBool(v), "boolean"
	case nil:
		return "", ""
	case int, int64, uint64, float64:
		b, _ := json.Marshal(v)
		return string(b), "number"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v), ""
	}
	return string(b), map[byte]string{'[': "array", '{': "object"}[b[0]]
}

func formatOf(contentType string) string {
	media, _, _ := strings.Cut(strings.ToLower(contentType), ";")
	switch media = strings.TrimSpace(media); media {
	case JSONType, MultipartType:
		return media
	}
	if strings.HasSuffix(media, "+json") {
		return JSONType
	}
	return FormType
}

// blank is a request without parameters or credentials.
func (t *Target) blank(method, address string) Request {
	return Request{
		target: t, method: method, url: address, format: FormType,
		headers: []HeaderLine{{"User-Agent", "grantcheck/" + Version}, {"Accept", "application/json"}},
	}
}

// Blank returns a request without parameters or credentials to the token endpoint of a grant,
// which may be nil; its client is the grant's fixture.
func (t *Target) Blank(grant *contract.Grant) Request {
	r := t.blank("POST", t.TokenURL(grant))
	r.grant, r.client = grant, t.ClientOf(grant)
	return r
}

// Get returns a plain GET, for metadata, key sets and resources.
func (t *Target) Get(address string) Request {
	r := t.blank("GET", address)
	r.ctype = noType
	return r
}

// Resource returns a GET of the protected resource with token as bearer token; none if token is "".
func (t *Target) Resource(token string) Request {
	r := t.Get(t.ResourceURL())
	if token == "" {
		return r
	}
	return r.Bearer(token)
}

// Preflight returns the CORS preflight for a POST from origin.
func (t *Target) Preflight(grant *contract.Grant, origin string) Request {
	r := t.Get(t.TokenURL(grant))
	r.method = "OPTIONS"
	return r.Header("Origin", origin).Header("Access-Control-Request-Method", "POST").
		Header("Access-Control-Request-Headers", "authorization,content-type")
}

// Revocation returns a request to revoke token (RFC 7009 §2.1) with the documented credentials;
// client, if not nil, uses another fixture. A token_type_hint is added with Set.
func (t *Target) Revocation(token string, client *contract.Client) (Request, error) {
	return t.tokenCall(t.Contract.Revocation, "revocation", token, client)
}

// Introspection returns a request to introspect token (RFC 7662 §2.1), likewise.
func (t *Target) Introspection(token string, client *contract.Client) (Request, error) {
	return t.tokenCall(t.Contract.Introspection, "introspection", token, client)
}

func (t *Target) tokenCall(p *contract.Protected, what, token string, client *contract.Client) (Request, error) {
	if p == nil {
		return Request{}, fmt.Errorf("contract %s has no %s endpoint", t.Contract.Name, what)
	}
	if client == nil {
		if client = p.Client; client == nil {
			client = &t.Contract.Client
		}
	}
	r := t.blank("POST", t.protected(p))
	r.client = client
	r.params = []Param{{Part: "token", Name: "token", Value: token, In: InBody}}
	r = t.authenticate(r, t.AuthMethods(nil, client)[0])
	return r, r.err
}

// authenticate adds a client's credentials to a request that holds none, but for those that
// Request has placed where the contract lists them.
func (t *Target) authenticate(r Request, method string) Request {
	c := r.client
	r.auth = method
	switch method {
	case "basic":
		r.basic = &basic{scheme: "Basic", id: c.ID, secret: c.Secret, encoded: c.URLEncoded != "never"}
	case "post":
		if r.lists("client_id") || !r.lists("client_secret") { // a page may ask for the secret alone
			r = r.withClientID(c.ID)
		}
		if !r.Has("client_secret") {
			r = r.credential("client_secret", c.Secret)
		}
	case "none", "tls":
		r = r.withClientID(c.ID)
	case "jwt":
		if !r.Has("client_assertion_type") {
			r = r.credential("client_assertion_type", contract.ClientAssertionType)
		}
		if r.Has("client_assertion") {
			return r // as the contract lists it, signed or a hook's
		}
		token, err := t.ClientAssertion(c, r.grant)
		if err == nil {
			var signed string
			if signed, err = token.Sign(); err == nil {
				return r.credential("client_assertion", signed)
			}
		}
		r.err = err
	default:
		r.err = fmt.Errorf("client authentication method %q: want basic, post, none, jwt or tls", method)
	}
	return r
}

// lists reports that the contract lists a parameter that plays part.
func (r Request) lists(part string) bool {
	return r.grant != nil && r.target != nil && slices.ContainsFunc(r.target.Parameters(r.grant), func(f contract.Field) bool { return f.Role() == part })
}

// withClientID adds client_id unless a parameter plays it already.
func (r Request) withClientID(id string) Request {
	if r.Has("client_id") {
		return r
	}
	return r.credential("client_id", id)
}

// credential appends a credential parameter under the vendor's name and in the documented place.
func (r Request) credential(part, value string) Request {
	p := r.newParam(part, value)
	if r.grant != nil && r.target != nil {
		for _, f := range r.target.Parameters(r.grant) {
			if f.Role() == part {
				p.Part, p.Name = part, f.Name
				if f.In != "" && f.In != InBody {
					p.In = f.In
				}
			}
		}
	}
	return r.with(append(slices.Clone(r.params), p))
}

// ---- sources ----

type sources struct {
	t      *Target
	grant  *contract.Grant
	client *contract.Client
	in     Inputs
	sent   []Param // of the first round, for conditions
}

// value returns what one element of a literal list or a claim stands for: the value of a source
// word, else itself.
func (s sources) value(v any, f contract.Field) (any, error) {
	if word, ok := v.(string); ok && slices.Contains(sourceWords, word) {
		return s.from(word, f)
	}
	return v, nil
}

var sourceWords = []string{
	"client.id", "client.secret", "client.assertion", "client.redirect_uri", "user.name", "user.password",
	"scopes.request", "code", "code_verifier", "assertion", "access_token", "refresh_token", "uuid",
}

// from returns the value of a source word, nil if there is none.
func (s sources) from(word string, f contract.Field) (value any, err error) {
	text := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	user := s.in.User
	if user == nil {
		user = s.t.Contract.User
	}
	switch word {
	case "client.id":
		return text(s.client.ID), nil
	case "client.secret":
		return s.client.Secret, nil // an empty secret is a secret
	case "client.redirect_uri":
		return text(cmp.Or(s.in.RedirectURI, s.client.RedirectURI, s.t.Contract.Client.RedirectURI)), nil
	case "client.assertion":
		j, err := s.t.ClientAssertion(s.client, s.grant)
		if err != nil {
			return nil, err
		}
		signed, err := j.Sign()
		return text(signed), err
	case "user.name", "user.password":
		if user == nil {
			return nil, nil
		}
		if word == "user.name" {
			return text(user.UserName), nil
		}
		return text(user.Password), nil
	case "scopes.request":
		scope := s.in.Scope
		if scope == nil {
			scope = s.t.Contract.Scopes.Request
		}
		return text(strings.Join(scope, listSeparator(f.List))), nil
	case "code":
		return text(s.in.Code), nil
	case "code_verifier":
		return text(s.in.CodeVerifier), nil
	case "access_token":
		return text(s.in.AccessToken), nil
	case "refresh_token":
		return text(s.in.RefreshToken), nil
	case "assertion":
		if s.in.Assertion != "" {
			return s.in.Assertion, nil
		}
		if s.grant.Assertion == nil && s.client.Assertion == nil {
			return nil, nil
		}
		j, err := s.t.GrantAssertion(s.grant, s.client)
		if err != nil {
			return nil, err
		}
		signed, err := j.Sign()
		return text(signed), err
	case "uuid":
		return s.t.UUID(), nil
	}
	return nil, nil
}

// hook asks for a value that only the outside can make.
func (s sources) hook(name string, r Request) (string, error) {
	w := r.Wire()
	headers := map[string]string{}
	for _, h := range w.Headers {
		headers[h.Name] = h.Value
	}
	params := map[string]string{}
	for _, p := range r.params {
		params[p.Name] = p.Value
	}
	request, err := json.Marshal(map[string]any{
		"hook": name, "grant": s.grant.Key, "grant_type": GrantType(s.grant), "client_id": s.client.ID,
		"method": w.Method, "url": w.URL, "headers": headers, "parameters": params, "body": string(w.Body),
	})
	if err != nil {
		return "", err
	}
	if s.in.Hook != nil {
		return s.in.Hook(name, request)
	}
	return s.t.Hook(name, request)
}

func listSeparator(kind string) string {
	switch kind {
	case "comma":
		return ","
	case "plus":
		return "+"
	}
	return " "
}

// Holds reports whether a condition of the contract holds for this request. A nil condition does.
func (r Request) Holds(c *contract.Condition) bool {
	if c == nil {
		return true
	}
	if len(c.Grants) > 0 && (r.grant == nil || !slices.Contains(c.Grants, r.grant.Key) && !slices.Contains(c.Grants, GrantType(r.grant))) {
		return false
	}
	if c.ScopeIncludes != "" && !slices.Contains(r.Scope(), c.ScopeIncludes) {
		return false
	}
	if c.Client != "" && (r.client == nil || (c.Client == "public") != r.client.Public()) {
		return false
	}
	if c.Auth != "" && c.Auth != r.auth {
		return false
	}
	for name, want := range c.Parameter {
		text, _ := literal(want)
		if !r.carries(name, text) {
			return false
		}
	}
	return true
}

// carries looks for a parameter in the request, and for a fixed one of the authorization request
// that went before.
func (r Request) carries(name, value string) bool {
	if p, ok := r.Param(name); ok {
		return p.Value == value
	}
	if r.target == nil || r.target.Contract.AuthorizationEndpoint == nil {
		return false
	}
	for _, f := range r.target.Contract.AuthorizationEndpoint.Parameters {
		if f.Name != name {
			continue
		}
		for _, v := range []any{f.Const, f.Value} {
			if text, _ := literal(v); v != nil && text == value {
				return true
			}
		}
	}
	return false
}

// ---- randomness ----

// Nonce returns 16 random letters and digits. What the harness makes up is no secret: it is shown.
func (t *Target) Nonce() string { return t.Random(16) }

// Random returns n random letters and digits, shown in reports.
func (t *Target) Random(n int) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	s := t.random(n, alphabet)
	t.Redactor.Show(s)
	return s
}

func (t *Target) random(n int, alphabet string) string {
	b := t.bytes(n)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

// bytes draws n random bytes.
func (t *Target) bytes(n int) []byte {
	b := make([]byte, n)
	t.drawing.Lock()
	defer t.drawing.Unlock()
	if _, err := io.ReadFull(t.opt.Rand, b); err != nil {
		panic("exchange: no randomness: " + err.Error())
	}
	return b
}

// RandomLike returns a random value of the same length and kinds of characters as secret, and not
// secret itself; shown in reports.
func (t *Target) RandomLike(secret string) string {
	const lower, upper, digit = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	for {
		out := []byte(t.random(max(len(secret), 1), lower+upper+digit))
		for i := range min(len(secret), len(out)) {
			for _, set := range []string{lower, upper, digit} {
				if strings.IndexByte(set, secret[i]) >= 0 {
					out[i] = set[int(out[i])%len(set)]
				}
			}
		}
		if string(out) != secret {
			t.Redactor.Show(string(out))
			return string(out)
		}
	}
}

// UUID returns a random UUID (RFC 9562 §5.4).
func (t *Target) UUID() string {
	b := t.bytes(16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// Host returns host and port of the token endpoint.
func (t *Target) Host() (host, port string) {
	host = t.token.Hostname()
	port = cmp.Or(t.token.Port(), map[string]string{"http": "80", "https": "443"}[t.token.Scheme])
	return host, port
}

// address returns where to connect for u: the given address, with u's port if it has none.
func dialAddress(u *url.URL, to string) string {
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	if to == "" {
		return net.JoinHostPort(u.Hostname(), port)
	}
	if _, _, err := net.SplitHostPort(to); err == nil {
		return to
	}
	return net.JoinHostPort(strings.Trim(to, "[]"), port)
}
