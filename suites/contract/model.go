// Package contract holds what a vendor documents about one token endpoint: the
// model, strict loading with annotated errors, the JSON Schema for editors and
// the contracts shipped with grantcheck.
//
// A contract reads like the vendor's page and never repeats the standard; what
// it leaves out is not asserted. FORMAT.md describes the format in full; format.go
// is its one definition, from which the loader and the schema are made.
package contract

import "time"

// Contract is one token endpoint as its page documents it. The zero value of
// every member means that the page is silent.
//
// Strings may hold ${NAME} references until Bind has replaced them.
type Contract struct {
	Version  int
	Name     string // kebab case
	Title    string
	Extends  []string
	Abstract bool     // usable only as a base
	Edition  string   // oauth20, bcp or oauth21
	Verdicts []string // which verdicts decide the exit code: documented, standard
	Page     []string

	Endpoint              Endpoint
	AuthorizationEndpoint *AuthorizationEndpoint
	Metadata              *Metadata
	Revocation            *Protected
	Introspection         *Protected
	Resource              *Resource
	Transport             Transport
	Login                 *Login

	Client  Client
	Clients []Client // further fixtures, named: second, public, no_grant, special_secret, sacrificial, or vendor names
	User    *User
	Users   []User
	Scopes  Scopes
	Grants  []Grant // in the order of the page
	Hooks   map[string]string

	Errors      []ErrorRow
	ErrorFields []Field
	Token       Token
	Headers     []HeaderField
	RateLimits  []RateLimit
	SLOs        []SLO

	Deviations   []Deviation
	Waivers      []Waiver
	Safety       Safety
	ClockSkew    time.Duration // 120s unless given
	NotSpecified []string

	// File is where the contract came from: a path, or the name of a shipped contract.
	File string
	// Absent lists the optional parts that Bind left out because their variables are unset.
	Absent []Absent

	tree  *node   // merged, as loaded
	opt   Options // as loaded
	bound bool
}

// Absent is an optional part of a contract that a run goes without.
type Absent struct {
	Where     string   // clients.second, grants.password, client.secret
	Variables []string // what to set to have it
	Because   string   // the absent part that it needs, if it is not its own variables
}

// Endpoint is the token endpoint as documented; a Grant may replace parts of it.
type Endpoint struct {
	BaseURL       string
	Path          string
	Method        []string // the first makes the golden request, each is tried
	ContentType   []string // likewise
	Parameters    []Field  // sent with every grant
	BrowserOrigin string
}

// AuthorizationEndpoint is where a code comes from.
type AuthorizationEndpoint struct {
	Path           string // on the base URL; or
	URL            string // elsewhere
	ScopeParameter string // query or body
	Parameters     []Field
	PKCE           string // required, optional, unsupported, or empty
}

// Metadata switches the RFC 8414 rules on, if it has an issuer.
type Metadata struct {
	Issuer string // exact issuer identifier; may be empty beside JWKS
	JWKS   string // key set address where the page names one outside metadata
}

// Protected is an endpoint called with a client's credentials (RFC 7009, RFC 7662).
type Protected struct {
	URL    string
	Client *Client // nil: the primary client
}

// Resource is a harmless GET for the bearer rules.
type Resource struct {
	URL      string
	Expect   int    // its normal status; 0 means any 2xx
	UserInfo bool   // it is the OpenID UserInfo endpoint
	Needs    string // the scope it needs; empty: any token will do
	// Scoped is a further resource whose scope the golden token lacks.
	Scoped *Resource
}

// Transport is what the page or the operator says about TLS.
type Transport struct {
	TLS      string // required, or empty
	CAFile   string
	CertFile string
	KeyFile  string
}

// Login is a server-rendered login walked over plain HTTP to obtain codes.
type Login struct {
	URL      string            // where the walk starts, with the parameters of the authorization request; empty: the authorization endpoint
	User     string            // name of a user fixture; empty: the primary user
	Fields   map[string]string // form field name to the part it plays or a literal
	Consent  string            // text of the button that grants, where several exist
	MaxSteps int
}

// Client is a client fixture.
type Client struct {
	Name        string // "" for the primary client
	Type        string // confidential or public; empty: confidential if it holds a credential
	ID          string
	Secret      string
	KeyFile     string
	Auth        []string // basic, post, jwt, tls, none, in order of preference
	URLEncoded  string   // always (default), never, ambiguous
	Assertion   *Assertion
	RedirectURI string
	SecretBy    string // server, if the page says the secret is generated for the client
	When        string
}

// Assertion describes a JWT that the harness signs anew for every request.
type Assertion struct {
	Unspecified bool // the page is silent: nothing can be signed by its rules
	Alg         string
	Kid         string
	Audience    string // issuer, token_endpoint, or a literal
	Lifetime    time.Duration
	KeyFile     string
	Claims      []Claim
	Header      []Claim
}

// Claim adds or replaces (Value) or drops (Drop) a member.
type Claim struct {
	Name  string
	Value any
	Drop  bool
}

// User is a resource owner fixture.
type User struct {
	Name     string // fixture name, "" for the primary user
	UserName string
	Password string
	When     string
}

// Scopes says what the client may ask for.
type Scopes struct {
	Request   []string
	Grantable []string
	Forbidden []string
	Default   []string
	// DefaultText holds the page's words where it describes the default without listing it.
	DefaultText string
}

// Grant is one documented grant.
type Grant struct {
	Key        string // name in the contract
	Type       string // grant_type value (URNs written out)
	Parameters []Field
	// ParametersGiven tells a page that lists its request from an entry that leaves the standard's.
	ParametersGiven bool
	Response        Response
	Endpoint        *Endpoint // what differs for this grant; empty members inherit
	Client          string    // name of a client fixture
	Auth            []string
	Assertion       *Assertion
	Documented      string // full or purpose_only
	Enabled         string // true, false or ask
	Code            string // ${HOOK}: command or URL that yields a fresh code
	Rotation        string // always, never, sometimes, or empty
	Grace           time.Duration
	GraceUnlimited  bool
	GraceGiven      bool // a grace of zero was written
}

// Response is a documented success answer.
type Response struct {
	Status      int // 0: not given
	ContentType string
	Fields      []Field
}

// Field is one documented parameter, response member or error member.
type Field struct {
	Name             string   // dotted for nested members; Path splits it
	Path             []string // Name split at unescaped dots
	Type             []string
	Required         Required
	Const            any
	Enum             []any
	Default          any
	Example          any
	Typical          *float64
	Tolerance        float64 // share, 0.1 by default
	Min, Max         *float64
	Exact            bool
	Format           string
	ExampleFormat    string
	List             string // space, comma or plus
	In               string // body (default), query or header
	Value            any    // source word, ${NAME}, literal, or a list of them
	As               string // the part it plays, empty if its own name says it
	Unit             string
	Origin           string
	OnlyWhen         *Condition
	URLEncoded       string
	Meaning          string
	ListedAsRequired *bool

	fromReference bool // Value came through a reference, so it is no source word
}

// Required says how firmly the page asks for a field.
type Required struct {
	Mode      string // true, implied, false or conditional; empty: page silent
	Condition *Condition
}

// Condition holds when all of its given parts hold.
type Condition struct {
	Grants        []string
	ScopeIncludes string
	Client        string // public or confidential
	Auth          string
	Parameter     map[string]any
}

// ErrorRow is one line of the page's error table.
type ErrorRow struct {
	When        []string
	Status      []string // "400" or "4xx"; empty: the page names none
	Code        []any    // string or number; empty: the page names none
	Fields      []Field
	Dropped     []string // members of error_fields that this row's answers do not have
	Grants      []string
	Parameters  []string
	ContentType string
	Meaning     string
}

// Token is what the page says about the tokens themselves.
type Token struct {
	Use             string // bearer_header, or the page's own words
	Lifetime        *Field // Const for an exact value (seconds), else Typical, Min, Max
	RefreshLifetime *Field
	CodeLifetime    *Field
	Live            int    // access tokens alive at a time, 0: not limited
	LivePer         string // refresh_token, client, user
	Profile         string // rfc9068
	Renewal         string
	SampleResource  string
}

// HeaderField is a documented response header.
type HeaderField struct {
	Field
	Status []int
}

// RateLimit is one documented limit. Limit and Window are zero when the page leaves them open.
type RateLimit struct {
	Documented bool
	Limit      int
	Window     time.Duration
	Subject    string
	Grants     []string
	Counts     string // all, failures or successes
	Status     int
	Code       any
	RetryHint  *Hint
	Headers    map[string]Hint // limit, remaining, reset
	Exclusive  bool
}

// Hint names the header or member that carries a number.
type Hint struct {
	Name string
	Unit string
	In   string // header (default) or body
}

// SLO is one service level objective, judged under load only.
type SLO struct {
	Metric     string // latency or success
	Percentile float64
	Max        time.Duration
	Min        float64 // share
	Rate       float64 // requests per second
	For        time.Duration
	Count429As string // excluded, failure or success
}

// Deviation names rules whose documented behaviour differs from the standard.
type Deviation struct {
	Rules      []string
	Documented Outcome
	Standard   Outcome
	Mode       string // required or allowed
	Reason     string
}

// Outcome describes an answer: by status and code, or in words.
type Outcome struct {
	Status []string
	Code   []any
	Text   string
}

// Waiver keeps one rule out of the exit code until it expires.
type Waiver struct {
	Rule    string
	Reason  string
	Expires time.Time
	Owner   string
}

// Safety is what a run may do without further consent.
type Safety struct {
	MaxRequests        int
	MaxRate            float64 // requests per second, 0: none given
	MaxTokens          int
	Allow              []string
	MaxBadClientLogins int
	MaxBadUserLogins   int
}
