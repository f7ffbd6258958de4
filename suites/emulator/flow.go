package emulator

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// endpoint is a place of the emulator that answers.
type endpoint string

const (
	tokenEndpoint         endpoint = "token"
	authorizationEndpoint endpoint = "authorization"
	metadataEndpoint      endpoint = "metadata"
	jwksEndpoint          endpoint = "jwks"
	introspectionEndpoint endpoint = "introspection"
	revocationEndpoint    endpoint = "revocation"
	resourceEndpoint      endpoint = "resource" // and UserInfo
	hookEndpoint          endpoint = "hook"
	noEndpoint            endpoint = "none" // unknown paths
)

// stage is one step of a token request, in this order.
type stage string

const (
	stageMethod       stage = "method"       // HTTP method
	stageReceive      stage = "receive"      // the body is read
	stageParse        stage = "parse"        // f.params and f.form are filled
	stageRoute        stage = "route"        // f.grantType and f.grant are known
	stageLimit        stage = "limit"        // rate limits
	stageAuthenticate stage = "authenticate" // f.client and f.method are known
	stageDispatch     stage = "dispatch"     // the grant exists, the client may use it, documented parameters are there
	stageGrant        stage = "grant"        // the grant's own checks; f.authorization and f.scope are set
	stageIssue        stage = "issue"        // f.issue holds what will be answered
)

// reason says which requirement a refusal is about.
type reason string

const (
	missingParameter    reason = "missing_parameter"
	invalidParameter    reason = "invalid_parameter"
	duplicateParameter  reason = "duplicate_parameter"
	malformedRequest    reason = "malformed_request"
	wrongMethod         reason = "wrong_method"
	wrongContentType    reason = "wrong_content_type"
	tooLarge            reason = "too_large"
	missingGrantType    reason = "missing_grant_type"
	unknownGrant        reason = "unknown_grant"
	unauthorizedClient  reason = "unauthorized_client"
	missingClientAuth   reason = "missing_client_auth"
	unknownClient       reason = "unknown_client"
	wrongSecret         reason = "wrong_secret"
	wrongAuthMethod     reason = "wrong_auth_method"
	malformedBasic      reason = "malformed_basic"
	unsupportedScheme   reason = "unsupported_scheme"
	twoAuthMethods      reason = "two_auth_methods"
	clientIDMismatch    reason = "client_id_mismatch"
	badClientAssertion  reason = "bad_client_assertion"
	badScope            reason = "bad_scope"
	unknownUser         reason = "unknown_user"
	wrongPassword       reason = "wrong_password"
	badCode             reason = "bad_code"
	usedCode            reason = "used_code"
	redirectMismatch    reason = "redirect_mismatch"
	badVerifier         reason = "bad_verifier"
	badRefreshToken     reason = "bad_refresh_token"
	badAssertion        reason = "bad_assertion"
	rateLimited         reason = "rate_limited"
	guessLimited        reason = "guess_limited"
	serverFault         reason = "server_fault"
	noToken             reason = "no_token"
	invalidToken        reason = "invalid_token"
	insufficientScope   reason = "insufficient_scope"
	badAuthorizeRequest reason = "bad_authorize_request"
	notFound            reason = "not_found"
)

// refusal is a request that was not granted. Check and refuse fill it from the
// standard's table, the dialect overlays what the contract documents, onRefusal
// hooks have the last word.
type refusal struct {
	Reason      reason
	Parameter   string // the parameter it is about, if one
	Status      int
	Code        string
	Description string
	RetryAfter  time.Duration // how long until it would be granted; 0: unknown
	Token       string        // which check failed, for hooks: "signature", "exp" … of an assertion
}

// standardRefusals is what the standards say of each reason: status, code and text.
// 401 turns into 400 nowhere; the answer adds a challenge to every 401.
var standardRefusals = map[reason]refusal{
	missingParameter:    {Status: 400, Code: "invalid_request", Description: "a required parameter is missing"},
	invalidParameter:    {Status: 400, Code: "invalid_request", Description: "a parameter has an unsupported value"},
	duplicateParameter:  {Status: 400, Code: "invalid_request", Description: "a parameter is repeated"},
	malformedRequest:    {Status: 400, Code: "invalid_request", Description: "the request is malformed"},
	wrongMethod:         {Status: 405, Code: "invalid_request", Description: "the method is not allowed"},
	wrongContentType:    {Status: 415, Code: "invalid_request", Description: "the media type is not supported"},
	tooLarge:            {Status: 413, Code: "invalid_request", Description: "the request is too large"},
	missingGrantType:    {Status: 400, Code: "invalid_request", Description: "grant_type is missing"},
	unknownGrant:        {Status: 400, Code: "unsupported_grant_type", Description: "the grant type is not supported"},
	unauthorizedClient:  {Status: 400, Code: "unauthorized_client", Description: "the client may not use this grant type"},
	missingClientAuth:   {Status: 401, Code: "invalid_client", Description: "client authentication is missing"},
	unknownClient:       {Status: 401, Code: "invalid_client", Description: "client authentication failed"},
	wrongSecret:         {Status: 401, Code: "invalid_client", Description: "client authentication failed"},
	wrongAuthMethod:     {Status: 401, Code: "invalid_client", Description: "client authentication failed"},
	malformedBasic:      {Status: 401, Code: "invalid_client", Description: "the credentials are malformed"},
	unsupportedScheme:   {Status: 401, Code: "invalid_client", Description: "the authentication scheme is not supported"},
	twoAuthMethods:      {Status: 400, Code: "invalid_request", Description: "more than one client authentication method"},
	clientIDMismatch:    {Status: 400, Code: "invalid_request", Description: "client_id does not name the authenticated client"},
	badClientAssertion:  {Status: 401, Code: "invalid_client", Description: "client authentication failed"},
	badScope:            {Status: 400, Code: "invalid_scope", Description: "the scope is unknown or malformed"},
	unknownUser:         {Status: 400, Code: "invalid_grant", Description: "the user credentials are not valid"},
	wrongPassword:       {Status: 400, Code: "invalid_grant", Description: "the user credentials are not valid"},
	badCode:             {Status: 400, Code: "invalid_grant", Description: "the authorization code is not valid"},
	usedCode:            {Status: 400, Code: "invalid_grant", Description: "the authorization code is not valid"},
	redirectMismatch:    {Status: 400, Code: "invalid_grant", Description: "redirect_uri is not that of the authorization request"},
	badVerifier:         {Status: 400, Code: "invalid_grant", Description: "code_verifier does not fit the code challenge"},
	badRefreshToken:     {Status: 400, Code: "invalid_grant", Description: "the refresh token is not valid"},
	badAssertion:        {Status: 400, Code: "invalid_grant", Description: "the assertion is not valid"},
	rateLimited:         {Status: 429, Description: "too many requests"},
	guessLimited:        {Status: 429, Description: "too many failed attempts"},
	serverFault:         {Status: 500, Code: "server_error", Description: "internal error"},
	noToken:             {Status: 401, Description: "a token is needed"},
	invalidToken:        {Status: 401, Code: "invalid_token", Description: "the token is not valid"},
	insufficientScope:   {Status: 403, Code: "insufficient_scope", Description: "the token lacks the scope"},
	badAuthorizeRequest: {Status: 400, Code: "invalid_request", Description: "the authorization request is not valid"},
	notFound:            {Status: 404, Code: "not_found", Description: "nothing is here"},
}

// refuse starts a refusal; about names the parameter or the part it is about.
func refuse(why reason, about ...string) *refusal {
	r := standardRefusals[why]
	r.Reason = why
	if len(about) > 0 {
		r.Parameter = about[0]
	}
	return &r
}

// flow is one request on its way through the emulator: all that a hook may want to know.
type flow struct {
	e        *Emulator
	b        *behaviour
	r        *http.Request
	w        http.ResponseWriter
	now      time.Time
	seq      uint64 // number of this request to this emulator, from 1
	endpoint endpoint
	node     string // local address the request came to, without port

	body      []byte
	bodyKind  string     // form, json, multipart or query; empty before parsing
	params    parameters // as they came, body then counted query
	query     parameters // of the URL, counted or not
	form      map[string]string
	parameter string // at atDocumentedParam and atConstant: the name

	cred   credentials
	client *client
	method string // how the client authenticated: basic, post, jwt, none

	grantType     string
	grant         *grant
	user          *user
	code          *code
	refresh       *refreshToken
	assertion     *jws
	access        *accessToken
	authorization *authorization // what the tokens will rest on
	scope         []string       // granted
	asked         scopeAsk

	limits  []limitState // of the limits that count this request
	issue   *issue       // set when tokens were issued
	refusal *refusal     // set when the request was refused
}

// credentials is what a request presents to authenticate its client.
type credentials struct {
	authorizations int    // number of Authorization fields
	scheme         string // as sent, empty without the field
	token          string // what follows the scheme
	basic          bool   // scheme Basic
	malformed      bool   // not base64, or no colon inside
	rawID          string // halves of the Basic credentials, still form-encoded
	rawSecret      string
	bodyID         string // client_id of the body
	bodySecret     string // client_secret of the body
	assertion      string
	assertionType  string
}

// methods lists the authentication methods that a request uses.
func (c *credentials) methods() []string {
	var m []string
	if c.scheme != "" {
		m = append(m, "basic")
	}
	if c.bodySecret != "" {
		m = append(m, "post")
	}
	if c.assertion != "" || c.assertionType != "" {
		m = append(m, "jwt")
	}
	return m
}

// check asks one requirement, through the fault that replaces it if there is one.
func (f *flow) check(p point, standard func() *refusal) *refusal {
	if len(f.b.checks) > 0 {
		if other := f.b.checks[p]; other != nil {
			return other(f, standard)
		}
	}
	return standard()
}

// require is check for a plain condition.
func (f *flow) require(p point, holds bool, why reason, about ...string) *refusal {
	if len(f.b.checks) > 0 {
		if other := f.b.checks[p]; other != nil {
			return other(f, func() *refusal {
				if holds {
					return nil
				}
				return refuse(why, about...)
			})
		}
	}
	if holds {
		return nil
	}
	return refuse(why, about...)
}

// hooks and facts often asked by faults.

// param is the value of a parameter by the part it plays; empty means absent.
func (f *flow) param(name string) string { return f.form[name] }

// sent says whether a parameter came at all, empty values included.
func (f *flow) sent(name string) bool {
	for _, p := range f.params {
		if p.Part == name {
			return true
		}
	}
	return false
}

// emptyBody is the request with nothing in it.
func (f *flow) emptyBody() bool { return len(f.body) == 0 && f.endpoint == tokenEndpoint }

// grantIs compares with the grant_type value of the documented grant.
func (f *flow) grantIs(types ...string) bool {
	return f.grant != nil && slices.Contains(types, f.grant.kind)
}

// stageFunc is what a stage does.
type stageFunc struct {
	name stage
	run  func(*flow) *refusal
}

// tokenStages is the way of a token request.
var tokenStages = []stageFunc{
	{stageMethod, (*flow).checkMethod},
	{stageReceive, (*flow).receive},
	{stageParse, (*flow).parse},
	{stageRoute, (*flow).route},
	{stageLimit, (*flow).limit},
	{stageAuthenticate, (*flow).authenticate},
	{stageDispatch, (*flow).dispatch},
	{stageGrant, (*flow).runGrant},
	{stageIssue, (*flow).issueTokens},
}

// managementStages is the way of a request to revocation and introspection, which
// authenticate clients as the token endpoint does.
var managementStages = []stageFunc{
	{stageMethod, (*flow).checkMethod},
	{stageReceive, (*flow).receive},
	{stageParse, (*flow).parse},
	{stageAuthenticate, (*flow).authenticate},
}

// run passes the stages one by one; hooks of a stage run at the token endpoint only.
func (f *flow) run(stages []stageFunc) *refusal {
	hooked := len(f.b.hooks) > 0 && f.endpoint == tokenEndpoint
	for _, s := range stages {
		var h *stageHooks
		if hooked {
			h = f.b.hooks[s.name]
		}
		if h != nil {
			for _, fn := range h.before {
				if r := fn(f); r != nil {
					return r
				}
			}
		}
		if r := s.run(f); r != nil {
			return r
		}
		if h != nil {
			for _, fn := range h.after {
				if r := fn(f); r != nil {
					return r
				}
			}
		}
	}
	return nil
}

// ServeHTTP takes one request through the emulator.
func (e *Emulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := &flow{e: e, b: e.behaviour, r: r, w: w, now: e.now(), seq: e.seq.Add(1)}
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		f.node, _, _ = net.SplitHostPort(addr.String())
	}
	rt := e.routes[r.URL.Path]
	if rt == nil {
		rt = &route{at: noEndpoint, serve: func(f *flow) *answer { return f.refuse(refuse(notFound)) }}
	}
	f.endpoint = rt.at
	if f.endpoint == tokenEndpoint && e.script != nil {
		if a := e.script.next(f); a != nil {
			e.finish(f, a)
			return
		}
	}
	if e.opt.Latency > 0 && f.endpoint == tokenEndpoint {
		e.sleep(r.Context(), e.opt.Latency)
	}
	a := e.preflight(f)
	if a == nil {
		a = rt.serve(f)
	}
	e.finish(f, a)
}

// finish runs the answer hooks and sends.
func (e *Emulator) finish(f *flow, a *answer) {
	if f.endpoint == tokenEndpoint {
		f.limitHeaders(a)
		if e.journal != nil {
			e.journal.note(f, a)
		}
	}
	if o := f.b.corsOrigin(f); o != "" && f.endpoint == tokenEndpoint {
		a.set("Access-Control-Allow-Origin", o)
		a.set("Vary", "Origin")
	}
	for _, fn := range f.b.answers {
		fn(f, a)
	}
	a.send(f)
}

// serveToken is the token endpoint.
func (f *flow) serveToken() *answer {
	if r := f.run(tokenStages); r != nil {
		return f.refuse(r)
	}
	f.settle(true)
	return f.tokenAnswer()
}

// refuse turns a refusal into its documented answer.
func (f *flow) refuse(r *refusal) *answer {
	f.refusal, f.issue = r, nil
	if f.endpoint == tokenEndpoint {
		f.settle(false)
		f.e.dialect.overlay(f, r)
	}
	for _, fn := range f.b.refused {
		fn(f, r)
	}
	return f.errorAnswer(r)
}

// preflight answers a CORS preflight where the contract names a browser origin.
func (e *Emulator) preflight(f *flow) *answer {
	if f.r.Method != http.MethodOptions || f.endpoint != tokenEndpoint || f.r.Header.Get("Access-Control-Request-Method") == "" || f.b.corsOrigin(f) == "" {
		return nil
	}
	a := &answer{Status: http.StatusNoContent, NoBody: true}
	a.set("Access-Control-Allow-Methods", strings.Join(e.dialect.methods(f.r.URL.Path), ", "))
	a.set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	a.set("Access-Control-Max-Age", "600")
	return a
}

// queryOf parses the query of the URL leniently: what cannot be decoded is left raw.
func (f *flow) queryOf() parameters {
	var ps parameters
	for pair := range strings.SplitSeq(f.r.URL.RawQuery, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		p := parameter{RawName: rawName, RawValue: rawValue, In: "query"}
		var err error
		if p.Name, err = url.QueryUnescape(rawName); err != nil {
			p.Name = rawName
		}
		if p.Value, err = url.QueryUnescape(rawValue); err != nil {
			p.Value = rawValue
		}
		ps = append(ps, p)
	}
	return ps
}
