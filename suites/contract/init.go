package contract

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Answers are what a new contract starts from. Everything but Name may be left out.
type Answers struct {
	Name  string // made kebab case
	Title string
	Page  string // address of the documentation
	URL   string // token endpoint; without it, a variable stands for the base
	// Grants are contract keys (jwt_bearer) or grant_type values; client_credentials if none.
	Grants []string
	Auth   []string // basic, post, jwt, none, or names of RFC 7591 such as client_secret_basic
	Alg    string   // of client assertions
	Scopes []string

	Issuer, JWKS, AuthorizationURL, RevocationURL, IntrospectionURL, UserInfoURL string
	PKCE                                                                         bool
}

// Template is a commented contract that lints clean: references for everything
// that is the operator's, and hints where the vendor's page has to be read.
func Template(a Answers) ([]byte, error) {
	a.Name = kebabCase(a.Name)
	if a.Name == "" {
		return nil, fmt.Errorf("a new contract needs a name of letters and digits")
	}
	grants, err := grantKeys(a.Grants)
	if err != nil {
		return nil, err
	}
	auth, err := authWords(a.Auth)
	if err != nil {
		return nil, err
	}
	base, path := "${"+variableOf(a.Name, "BASE_URL")+"}", "/oauth2/token"
	if a.URL != "" {
		u, err := url.Parse(a.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Fragment != "" || u.User != nil {
			return nil, fmt.Errorf("the token endpoint has to be an absolute http or https address without fragment or credentials")
		}
		base, path = u.Scheme+"://"+u.Host, u.EscapedPath()
		if u.RawQuery != "" {
			path += "?" + u.RawQuery
		}
	}
	v := func(s string) string { return "${" + variableOf(a.Name, s) + "}" }
	public := slices.Equal(auth, []string{"none"})
	w := &writer{}
	w.line("# Contract of a token endpoint. Write down what the vendor's page says and nothing more: what is left")
	w.line("# out is not asserted, and the standards are known already.")
	w.line("# Check it with: grantcheck contract lint FILE")
	w.line("contract: 1")
	w.line("name: %s", a.Name)
	w.line("title: %s", quoteYAML(orElse(clean(a.Title), a.Name+" token endpoint"), false))
	w.line("extends: base")
	if a.Page != "" {
		w.line("page: %s", quoteYAML(clean(a.Page), false))
	} else {
		w.line("# page: https://docs.example.com/oauth        # the page this is taken from")
	}
	w.line("")
	w.line("endpoint:")
	w.line("  base_url: %s", quoteYAML(base, false))
	w.line("  path: %s", quoteYAML(path, false))
	w.line("  # content_type: application/json            # form encoding unless the page says otherwise")
	code := slices.Contains(grants, "authorization_code")
	if a.AuthorizationURL != "" || code {
		w.line("authorization_endpoint:")
		if a.AuthorizationURL != "" {
			w.line("  url: %s", quoteYAML(clean(a.AuthorizationURL), false))
		} else {
			w.line("  path: /oauth2/authorize")
		}
		if a.PKCE {
			w.line("  pkce: optional                              # required, optional or unsupported")
		}
	}
	if a.Issuer != "" || a.JWKS != "" {
		w.line("metadata:")
		w.optional("issuer", a.Issuer)
		w.optional("jwks", a.JWKS)
	}
	for _, e := range []struct{ name, url string }{{"revocation", a.RevocationURL}, {"introspection", a.IntrospectionURL}, {"resource", a.UserInfoURL}} {
		if e.url != "" {
			w.line("%s:", e.name)
			w.optional("url", e.url)
			if e.name == "resource" {
				w.line("  userinfo: true")
			}
		}
	}
	w.line("")
	w.line("client:                                         # values come from the environment or --env-file")
	if public {
		w.line("  type: public")
	}
	w.line("  id: %s", v("CLIENT_ID"))
	hmac := strings.HasPrefix(a.Alg, "HS")
	if slices.Contains(auth, "basic") || slices.Contains(auth, "post") || hmac && slices.Contains(auth, "jwt") {
		w.line("  secret: %s", v("CLIENT_SECRET"))
	}
	if slices.Contains(auth, "jwt") && !hmac {
		w.line("  key_file: %s                 # private key in PEM", v("KEY_FILE"))
	}
	w.line("  auth: [%s]", strings.Join(auth, ", "))
	if slices.Contains(auth, "jwt") {
		w.line("  assertion: {alg: %s, audience: token_endpoint, lifetime: 60s}", orElse(a.Alg, "RS256"))
	}
	if code {
		w.line("  redirect_uri: %s", v("REDIRECT_URI"))
	}
	w.line("# clients:                                      # further fixtures unlock further rules")
	w.line("#   second: {id: %q, secret: %q, auth: [basic], optional: true}", v("SECOND_CLIENT_ID"), v("SECOND_CLIENT_SECRET"))
	if slices.Contains(grants, "password") {
		w.line("user:")
		w.line("  name: %s", v("USERNAME"))
		w.line("  password: %s", v("PASSWORD"))
	}
	if len(a.Scopes) > 0 {
		w.line("scopes:")
		var quoted []string
		for _, s := range a.Scopes {
			quoted = append(quoted, quoteYAML(s, true))
		}
		w.line("  request: [%s]", strings.Join(quoted, ", "))
	}
	hooks := map[string]string{"saml2_bearer": "saml_assertion", "device_code": "device_code", "token_exchange": "subject_token"}
	heading := false
	for _, g := range grants {
		if h := hooks[g]; h != "" {
			if !heading {
				w.line("hooks:                                          # commands or URLs that yield what only the outside can make")
				heading = true
			}
			w.line("  %s: %s", h, v(strings.ToUpper(h)+"_HOOK"))
		}
	}
	w.line("")
	w.line("grants:")
	for _, g := range grants {
		w.grant(g, hooks[g], v)
	}
	w.line("")
	w.line("# errors:                                       # the page's error table, one row per line of it")
	w.line("#   - {when: [unknown_client, wrong_secret], status: 401, code: invalid_client}")
	w.line("# error_fields:")
	w.line("#   error: {type: string, required: true}")
	w.line("# rate_limit: {limit: 60, window: 60s, subject: client, status: 429, retry_hint: Retry-After}")
	w.line("token:")
	w.line("  use: bearer_header")
	w.line("# waivers:")
	w.line("#   - {rule: headers.pragma-no-cache, reason: why it may wait, expires: 2027-03-31, owner: who sees to it}")
	return []byte(w.String()), nil
}

type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) {
	fmt.Fprintf(w, format+"\n", args...)
}

func (w *writer) optional(key, value string) {
	if value != "" {
		w.line("  %s: %s", key, quoteYAML(clean(value), false))
	}
}

func (w *writer) grant(g, hook string, v func(string) string) {
	switch g {
	case "authorization_code":
		w.line("  authorization_code:")
		w.line("    code: %s                   # command or URL that yields a fresh code", v("CODE_HOOK"))
	case "jwt_bearer":
		w.line("  jwt_bearer:")
		w.line("    assertion:")
		w.line("      alg: RS256")
		w.line("      key_file: %s", v("ASSERTION_KEY_FILE"))
		w.line("      audience: token_endpoint")
		w.line("      lifetime: 60s")
		w.line("      claims: {iss: %q, sub: %q}", v("ASSERTION_ISSUER"), v("ASSERTION_SUBJECT"))
	case "saml2_bearer":
		w.line("  saml2_bearer:")
		w.line("    parameters:")
		w.line("      grant_type: {required: true}")
		w.line("      assertion:  {required: true, value: hook.%s}", hook)
	case "device_code":
		w.line("  device_code:")
		w.line("    parameters:")
		w.line("      grant_type:  {required: true}")
		w.line("      device_code: {required: true, value: hook.%s}", hook)
	case "token_exchange":
		w.line("  token_exchange:")
		w.line("    parameters:")
		w.line("      grant_type:         {required: true}")
		w.line("      subject_token:      {required: true, value: hook.%s}", hook)
		w.line(`      subject_token_type: {required: true, const: "urn:ietf:params:oauth:token-type:access_token"}`)
	case "client_credentials", "password", "refresh_token":
		w.line("  %s: {}", g)
	default:
		w.line("  %s:                          # a grant of the vendor's own: list its parameters", quoteYAML(g, false))
		w.line("    parameters:")
		w.line("      grant_type: {required: true}")
	}
	if g == "client_credentials" {
		w.line("    # in place of {}, what the page says of the answer:")
		w.line("    # response:")
		w.line("    #   status: 200")
		w.line("    #   fields:")
		w.line("    #     access_token: {type: string, required: true}")
		w.line("    #     token_type:   {type: string, required: true, const: Bearer}")
		w.line("    #     expires_in:   {type: integer, required: true, typical: 3600}")
	}
}

// grantKeys turns grant_type values into contract keys.
func grantKeys(grants []string) (keys []string, err error) {
	for _, g := range grants {
		for k, urn := range grantURNs {
			if g == urn {
				g = k
			}
		}
		if g == "implicit" { // never reaches the token endpoint
			continue
		}
		if strings.TrimSpace(g) == "" || strings.ContainsAny(g, " \t\n${}") {
			return nil, fmt.Errorf("%q is no grant type", g)
		}
		if hint := nearest(g, standardGrants); hint != "" && hint != g {
			return nil, fmt.Errorf("%q is no registered grant type; did you mean %q?", g, hint)
		}
		if !slices.Contains(keys, g) {
			keys = append(keys, g)
		}
	}
	if len(keys) == 0 {
		keys = []string{"client_credentials"}
	}
	return keys, nil
}

var standardGrants = []string{"client_credentials", "password", "authorization_code", "refresh_token", "jwt_bearer", "saml2_bearer", "token_exchange", "device_code"}

// authWords takes the contract's words and the registered names (RFC 7591 section 2).
func authWords(methods []string) (out []string, err error) {
	registered := map[string]string{"client_secret_basic": "basic", "client_secret_post": "post", "private_key_jwt": "jwt", "client_secret_jwt": "jwt", "none": "none"}
	for _, m := range methods {
		w := m
		if r, ok := registered[m]; ok {
			w = r
		}
		if strings.HasSuffix(m, "tls_client_auth") || m == "tls" { // needs a certificate: left to the author
			continue
		}
		if !slices.Contains(authMethods, w) {
			return nil, fmt.Errorf("%q is no client authentication method%s", m, orList(m, authMethods))
		}
		if !slices.Contains(out, w) {
			out = append(out, w)
		}
	}
	if len(out) > 1 { // the primary client is the confidential one
		out = slices.DeleteFunc(out, func(m string) bool { return m == "none" })
	}
	if len(out) == 0 {
		out = []string{"basic"}
	}
	return out, nil
}

func variableOf(name, what string) string {
	n := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	if n[0] >= '0' && n[0] <= '9' {
		n = "_" + n
	}
	return n + "_" + what
}

var notKebab = regexp.MustCompile(`[^a-z0-9]+`)

func kebabCase(s string) string {
	s = strings.Trim(notKebab.ReplaceAllString(strings.ToLower(s), "-"), "-")
	if len(s) > 40 {
		s = strings.Trim(s[:40], "-")
	}
	return s
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// clean keeps foreign text on one line and out of references.
func clean(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "${", "$ {")
}

// AnswersFromMetadata reads a metadata document (RFC 8414 section 2, OpenID
// Connect Discovery).
func AnswersFromMetadata(document []byte) (Answers, error) {
	var m struct {
		Issuer           string   `json:"issuer"`
		TokenEndpoint    string   `json:"token_endpoint"`
		AuthorizationURL string   `json:"authorization_endpoint"`
		JWKS             string   `json:"jwks_uri"`
		Revocation       string   `json:"revocation_endpoint"`
		Introspection    string   `json:"introspection_endpoint"`
		UserInfo         string   `json:"userinfo_endpoint"`
		Service          string   `json:"service_documentation"`
		Grants           []string `json:"grant_types_supported"`
		Auth             []string `json:"token_endpoint_auth_methods_supported"`
		Algs             []string `json:"token_endpoint_auth_signing_alg_values_supported"`
		Challenge        []string `json:"code_challenge_methods_supported"`
	}
	if err := json.Unmarshal(document, &m); err != nil {
		return Answers{}, fmt.Errorf("not a metadata document: %w", err)
	}
	if m.TokenEndpoint == "" {
		return Answers{}, fmt.Errorf("the metadata document names no token_endpoint")
	}
	a := Answers{
		URL: m.TokenEndpoint, Page: m.Service, Issuer: m.Issuer, JWKS: m.JWKS, AuthorizationURL: m.AuthorizationURL,
		RevocationURL: m.Revocation, IntrospectionURL: m.Introspection, UserInfoURL: m.UserInfo, Grants: m.Grants, PKCE: len(m.Challenge) > 0,
	}
	if len(a.Grants) == 0 { // the default of RFC 8414, less what never reaches the token endpoint
		a.Grants = []string{"authorization_code"}
	}
	for _, method := range m.Auth {
		if _, err := authWords([]string{method}); err == nil {
			a.Auth = append(a.Auth, method)
		}
	}
	if len(m.Algs) > 0 && slices.Contains(a.Auth, "private_key_jwt") || slices.Contains(a.Auth, "client_secret_jwt") {
		k := contractAlgs()
		for _, alg := range m.Algs {
			if slices.Contains(k, alg) && (!strings.HasPrefix(alg, "HS") || !slices.Contains(a.Auth, "private_key_jwt")) {
				a.Alg = alg
				break
			}
		}
		if a.Alg == "" && !slices.Contains(a.Auth, "private_key_jwt") {
			a.Alg = "HS256"
		}
	}
	a.Name = hostName(orElse(m.Issuer, m.TokenEndpoint))
	return a, nil
}

func contractAlgs() []string {
	k, _ := assertionShape.forKind(mapping).key("alg")
	return k.is.word
}

func hostName(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return kebabCase(u.Hostname())
}

// AnswersFromOpenAPI reads the OAuth flows of an OpenAPI 3 or Swagger 2
// description, JSON or YAML. Of several schemes with different token endpoints
// the first in order of name counts.
func AnswersFromOpenAPI(document []byte) (Answers, error) {
	f := newFile("description", document)
	root, problems := parseLarge(f, document)
	if root == nil {
		return Answers{}, fmt.Errorf("not an OpenAPI description: %s", problems[0].Message)
	}
	a := Answers{Title: root.at("info", "title").str(), Name: root.at("info", "title").str(), Page: root.at("externalDocs", "url").str()}
	schemes := map[string]*node{}
	for _, e := range append(slices.Clone(root.at("components", "securitySchemes").pairs()), root.get("securityDefinitions").pairs()...) {
		schemes[e.key.text] = e.val
	}
	take := func(token, authorization string, grant string, scopes *node, refresh string) {
		if token != "" && a.URL != "" && resolve(root, token) != a.URL {
			return
		}
		if token != "" {
			a.URL = resolve(root, token)
		}
		if authorization != "" {
			a.AuthorizationURL = resolve(root, authorization)
		}
		a.Grants = append(a.Grants, grant)
		if refresh != "" {
			a.Grants = append(a.Grants, "refresh_token")
		}
		for _, s := range scopes.pairs() {
			if s.key.text != "" && !strings.ContainsAny(s.key.text, " \"\\") && !slices.Contains(a.Scopes, s.key.text) {
				a.Scopes = append(a.Scopes, s.key.text)
			}
		}
	}
	flows := map[string]string{
		"clientCredentials": "client_credentials", "password": "password", "authorizationCode": "authorization_code",
		"application": "client_credentials", "accessCode": "authorization_code",
	}
	for _, name := range slices.Sorted(maps.Keys(schemes)) {
		s := schemes[name]
		if s.get("type").str() != "oauth2" {
			continue
		}
		if grant := flows[s.get("flow").str()]; grant != "" { // Swagger 2
			take(s.get("tokenUrl").str(), s.get("authorizationUrl").str(), grant, s.get("scopes"), "")
		}
		for _, flow := range s.get("flows").pairs() {
			if grant := flows[flow.key.text]; grant != "" {
				take(flow.val.get("tokenUrl").str(), flow.val.get("authorizationUrl").str(), grant, flow.val.get("scopes"), flow.val.get("refreshUrl").str())
			}
		}
	}
	if len(a.Grants) == 0 {
		return Answers{}, fmt.Errorf("the description has no OAuth flow with a tokenUrl under components.securitySchemes")
	}
	if kebabCase(a.Name) == "" {
		a.Name = hostName(a.URL)
	}
	return a, nil
}

// resolve makes an address absolute against the first server of a description.
func resolve(root *node, address string) string {
	base := ""
	for _, s := range root.get("servers").list() {
		base = s.get("url").str()
		break
	}
	if h := root.get("host").str(); base == "" && h != "" {
		scheme := "https"
		if s := root.get("schemes").strs(); len(s) > 0 && !slices.Contains(s, "https") {
			scheme = s[0]
		}
		base = scheme + "://" + h + root.get("basePath").str() + "/"
	}
	b, err1 := url.Parse(base)
	u, err2 := url.Parse(address)
	if err1 != nil || err2 != nil {
		return address
	}
	return b.ResolveReference(u).String()
}
