package contract

// Grant types whose contract keys differ from the registered value (RFC 7521 family).
const (
	GrantClientCredentials = "client_credentials"
	GrantPassword          = "password"
	GrantAuthorizationCode = "authorization_code"
	GrantRefreshToken      = "refresh_token"
	GrantJWTBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	GrantSAML2Bearer       = "urn:ietf:params:oauth:grant-type:saml2-bearer"
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
)

var grantURNs = map[string]string{
	"jwt_bearer": GrantJWTBearer, "saml2_bearer": GrantSAML2Bearer,
	"token_exchange": GrantTokenExchange, "device_code": GrantDeviceCode,
}

var (
	conditions = []string{
		"missing_parameter", "invalid_parameter", "unknown_client", "wrong_secret", "missing_client_auth",
		"two_auth_methods", "unknown_user", "wrong_password", "bad_code", "used_code", "redirect_mismatch",
		"bad_verifier", "bad_refresh_token", "bad_assertion", "bad_scope", "unknown_grant", "unauthorized_client",
		"wrong_method", "wrong_content_type", "rate_limited", "server_fault", "maintenance", "other", "unspecified",
	}
	parts = []string{
		"access_token", "token_type", "expires_in", "expires_at", "issued_at", "refresh_token", "scope", "id_token",
		"error", "error_description", "error_uri",
	}
	sources = []string{
		"client.id", "client.secret", "client.assertion", "client.redirect_uri", "user.name", "user.password",
		"scopes.request", "code", "code_verifier", "assertion", "access_token", "refresh_token", "uuid",
	}
	effects = []string{
		"bad-client-credentials", "bad-user-credentials", "burst", "consumes-code", "consumes-refresh", "leaks-to-logs",
		"lockout-risk", "may-revoke", "mints-many", "mints-token", "revokes", "slow",
	}
	authMethods = []string{"basic", "post", "jwt", "tls", "none"}
	editions    = []string{"oauth20", "bcp", "oauth21"}
)

// Conditions are the words of `when` in an error row.
func Conditions() []string { return append([]string(nil), conditions...) }

// Effects are the effects of probes that `safety.allow` and --allow consent to.
func Effects() []string { return append([]string(nil), effects...) }

var optionalShape = oneOf("true or a list of keys", yesNo, listOf(&shape{what: "a key", kind: text}))

const optionalDoc = "true: left out of a run when one of its references is unset; a list of its keys: only these are left out"

var optionalKey = key{name: "optional", is: optionalShape, doc: optionalDoc}

var conditionShape = object("a condition",
	key{"grants", oneOrMore(&shape{what: "a grant", kind: text}), "holds for these grants", nil},
	key{"scope_includes", public, "holds when the requested scope includes this", nil},
	key{"client", words("public", "confidential"), "holds for clients of this type", nil},
	key{"auth", words(authMethods...), "holds for this client authentication method", nil},
	key{"parameter", dict("a map of parameters", freeDoc), "holds when these parameters have these values", nil},
)

var typeWord = &shape{
	what: "a type", kind: text, null: true,
	word: []string{"string", "integer", "number", "boolean", "array", "object", "null"},
}

var fieldKeys = []key{
	{
		"type", oneOf("a type or a list of types", typeWord, &shape{what: "null", kind: null}, &shape{
			what: "a list of types", kind: list, elem: oneOf("a type", typeWord, &shape{what: "null", kind: null}),
		}),
		"string, integer, number, boolean, array, object, null; a list if the page knows several", nil,
	},
	{
		"required", oneOf("true, false, implied or a condition", yesNo, words("implied", "true", "false"), conditionShape),
		"true: the page says so; implied: it shows it throughout; false: it says optional; or a condition",
		[]string{"mandatory"},
	},
	{"const", free, "the one value the page fixes", []string{"fixed", "equals"}},
	{"enum", listOf(free), "the values the page lists", []string{"values", "one_of"}},
	{"default", freeDoc, "documentation only, never asserted", nil},
	{"example", freeDoc, "documentation only, never asserted", []string{"sample", "examples"}},
	{"typical", oneOf("a number or a duration", number, duration), "expected within the tolerance; a deviation is a note", nil},
	{"tolerance", share, "share by which typical may be missed, 10% unless given", nil},
	{"min", oneOf("a number or a duration", number, duration), "asserted lower bound, also of numbers in strings", []string{"minimum"}},
	{"max", oneOf("a number or a duration", number, duration), "asserted upper bound, also of numbers in strings", []string{"maximum"}},
	{"exact", yesNo, "true beside const: letter case counts in token_type", nil},
	{"format", pattern, "jwt, uri, uuid, integer or a pattern; asserted", []string{"pattern", "regex"}},
	{"example_format", prose, "what the page's example looks like; never asserted", nil},
	{"list", words("space", "comma", "plus"), "what separates the items of a list in a string", []string{"separator", "delimiter"}},
	{"in", words("body", "query", "header"), "where a parameter travels; body unless given", nil},
	{
		"value", oneOf("text, a number or a list", &shape{what: "text", kind: text, refs: allowed}, &shape{what: "a number", kind: integer},
			&shape{what: "a number", kind: float}, yesNo, listOf(free), dict("a map", free)),
		"where a parameter is taken from: a source word, a ${NAME}, hook.NAME or a literal", nil,
	},
	{"as", named("a part", parts...), "the part a member plays when its name is not the standard one", []string{"role", "plays"}},
	{"unit", words("seconds", "milliseconds", "minutes", "epoch", "epoch_milliseconds", "rfc3339"), "unit of a time or an instant", nil},
	{"origin", words("standard"), "the page omits it, the grant needs it: sent, never asserted as documented", nil},
	{"only_when", conditionShape, "presence outside the condition is a finding", nil},
	{"url_encoded", words("always", "never", "ambiguous"), "whether the value is form-encoded; ambiguous: either passes", nil},
	{"meaning", prose, "remark on what the page says; never asserted", []string{"description", "note", "remark", "comment"}},
	{"listed_as_required", yesNo, "remark on what the page says; never asserted", nil},
}

var (
	fieldShape = &shape{what: "a field", kind: mapping, keys: fieldKeys}
	fieldsMap  = dict("a map of fields", fieldShape)
	// In a row, a bare value is short for const and null takes a member away.
	rowFields = dict("a map of fields", &shape{what: "a field or a value", null: true, alts: []*shape{
		fieldShape,
		{what: "a value", kind: text},
		{what: "a value", kind: integer},
		{what: "a value", kind: float},
		{what: "a value", kind: boolean},
		{what: "null", kind: null},
	}})
)

var claimsShape = dict("a map of claims", &shape{what: "any value", any: true, refs: allowed, null: true})

var assertionShape = oneOf("a map or unspecified", words("unspecified"), object("an assertion",
	key{
		"alg", words("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"),
		"signature algorithm; HS* sign with the client's secret",
		[]string{"algorithm"},
	},
	key{"kid", str, "key id in the header", []string{"key_id"}},
	key{"audience", public, "issuer, token_endpoint or a literal", []string{"aud"}},
	key{"lifetime", seconds, "from iat to exp", []string{"exp", "expires_in"}},
	key{"key_file", cred, "private key in PEM, where it is not the client's", []string{"key"}},
	key{"claims", claimsShape, "members to add, replace or, with null, drop; iss and sub are the client's id unless given", nil},
	key{"header", claimsShape, "header members to add, replace or, with null, drop", nil},
	optionalKey,
))

var clientKeys = []key{
	{"type", words("confidential", "public"), "client type (RFC 6749 section 2.1)", nil},
	{"id", str, "client identifier", []string{"client_id"}},
	{"secret", cred, "client secret; none with basic means an empty password", []string{"client_secret", "password"}},
	{"key_file", cred, "private key in PEM for jwt", []string{"key"}},
	{"auth", oneOrMore(words(authMethods...)), "documented methods in order of preference", []string{"method", "methods", "token_endpoint_auth_method"}},
	{"url_encoded", words("always", "never", "ambiguous"), "for basic: id and secret form-encoded before base64", nil},
	{"assertion", assertionShape, "the JWT behind jwt and client.assertion, signed anew for each request", nil},
	{"redirect_uri", address, "as registered", []string{"redirect", "redirect_url", "callback"}},
	{"secret_by", words("server"), "server: the page says the secret is generated for the client; its strength is judged", nil},
	{"when", prose, "condition under which the fixture applies; without its references it is left out", nil},
	optionalKey,
}

var (
	clientShape = &shape{what: "a client", kind: mapping, keys: clientKeys}
	userShape   = object("a user",
		key{"name", str, "user name, as typed in (any script)", []string{"username", "user", "login", "email"}},
		key{"password", cred, "password", nil},
		key{"when", prose, "condition under which the fixture applies; without its references it is left out", nil},
		optionalKey)
)

var endpointKeys = []key{
	{"base_url", address, "joined with path as written; normally ${NAME}", []string{"url", "base", "host", "server"}},
	{"path", address, "path of the token endpoint; references may stand inside", []string{"token_path", "token"}},
	{"method", oneOrMore(words("POST", "GET", "PUT", "PATCH")), "as documented; the first makes the golden request", nil},
	{"content_type", oneOrMore(requestType), "as documented; the first makes the golden request", []string{"media_type", "encoding"}},
	{"parameters", fieldsMap, "sent with every grant", []string{"params"}},
	{"browser_origin", address, "a web origin the page promises to serve; switches the CORS rules on", []string{"origin", "cors"}},
	optionalKey,
}

var responseShape = object("a response",
	key{"status", status, "status of the success answer", nil},
	key{"content_type", mediaType, "JSON unless given; form encoding is read too", nil},
	key{"fields", fieldsMap, "members of the answer; a.b is nested, a.0.b in the first element, \\. a dot of the name", []string{"members", "parameters", "body"}},
)

var grantShape = object("a grant",
	key{"type", public, "the grant_type value where the key is a label", []string{"grant_type"}},
	key{"parameters", fieldsMap, "the whole request as the page lists it", []string{"params", "request"}},
	key{"response", responseShape, "the success answer", []string{"answer"}},
	key{"endpoint", &shape{what: "an endpoint", kind: mapping, keys: endpointKeys}, "what differs for this grant", nil},
	key{"client", &shape{what: "a client's name", kind: text}, "name of the client fixture to use", nil},
	key{"auth", oneOrMore(words(authMethods...)), "client authentication methods for this grant", nil},
	key{"assertion", assertionShape, "for jwt_bearer: as under client", nil},
	key{"documented", words("full", "purpose_only"), "purpose_only: the page names the grant without showing the request", nil},
	key{"enabled", oneOf("true, false or ask", yesNo, words("ask", "true", "false")), "ask: only when the operator switches it on", nil},
	key{"code", cred, "hook that returns a fresh authorization code", []string{"code_hook", "hook"}},
	key{"rotation", words("always", "never", "sometimes"), "under refresh_token: whether a new refresh token comes", nil},
	key{"grace", oneOf("a duration or unlimited", duration, words("unlimited")), "how long a rotated refresh token works on", nil},
	optionalKey,
)

var hintShape = oneOf("a name, unspecified or a map", &shape{what: "a name", kind: text}, object("a hint",
	key{"name", &shape{what: "a name", kind: text}, "header or member that carries the number", nil},
	key{"unit", words("seconds", "milliseconds", "minutes", "epoch", "epoch_milliseconds", "rfc3339"), "unit of the number", nil},
	key{"in", words("header", "body"), "header unless given", nil},
))

var rateLimitShape = object("a rate limit",
	key{"documented", yesNo, "whether the page documents a limit", nil},
	key{"limit", oneOf("a whole number or unspecified", count, words("unspecified")), "requests in the window", nil},
	key{"window", oneOf("a duration or unspecified", duration, words("unspecified")), "length of the window", nil},
	key{"subject", prose, "client, address, user, refresh_token, endpoint, or the page's words", nil},
	key{"grants", oneOrMore(&shape{what: "a grant", kind: text}), "if the limit is for some grants only", nil},
	key{"counts", words("all", "failures", "successes"), "what counts against it", nil},
	key{"status", status, "status of a throttled answer", nil},
	key{"code", errorCode, "error code of a throttled answer", nil},
	key{"retry_hint", hintShape, "header or member that says when to come back", []string{"retry_after"}},
	key{"headers", object("headers of a limit",
		key{"limit", hintShape, "header with the limit", nil},
		key{"remaining", hintShape, "header with what remains", nil},
		key{"reset", hintShape, "header with the time of reset", nil}), "the page's dialect", nil},
	key{"exclusive", yesNo, "true: nobody else uses this quota while the run lasts", nil},
)

var lifetimeShape = oneOf("seconds, a duration or a map", count, duration, object("a lifetime",
	key{"typical", seconds, "expected within the tolerance", nil},
	key{"min", seconds, "lower bound", nil},
	key{"max", seconds, "upper bound", nil},
	key{"tolerance", share, "share by which typical may be missed", nil}))

var outcomeShape = oneOf("text or a map", prose, object("an answer",
	key{"status", oneOrMore(status), "status of the answer", nil},
	key{"code", oneOrMore(errorCode), "error code of the answer", []string{"error"}},
	key{"text", prose, "in words", nil}))

var protectedShape = func(what string) *shape {
	return object(what,
		key{"url", address, "address of the endpoint", []string{"endpoint", "path"}},
		key{
			"client", oneOf("a client's name or a client", &shape{what: "a client's name", kind: text}, clientShape),
			"the credentials to use; the primary client unless given", nil,
		},
		optionalKey)
}

var contractShape = object("a contract",
	key{"contract", &shape{what: "1", kind: integer, test: func(n *node) string {
		if n.text != "1" {
			return "this program reads format version 1"
		}
		return ""
	}, json: map[string]any{"const": 1}}, "format version, 1", []string{"version"}},
	key{"name", &shape{what: "a name in kebab case", kind: text, test: func(n *node) string {
		if !kebab.MatchString(n.text) {
			return "a name is in kebab case: small letters, digits and single hyphens"
		}
		return ""
	}, json: map[string]any{"pattern": kebab.String()}}, "identifier, kebab case", nil},
	key{"title", prose, "human title", nil},
	key{"extends", oneOrMore(&shape{what: "a contract's name", kind: text}), "contracts to start from, merged left to right, this file last", []string{"base", "inherits"}},
	key{"abstract", yesNo, "true: usable only as a base", nil},
	key{"edition", words(editions...), "which body of standards is judged", nil},
	key{"verdicts", listOf(words("documented", "standard")), "which verdicts decide the exit code; both unless given", nil},
	key{"page", oneOrMore(&shape{what: "an address", kind: text}), "address of the documentation; printed in reports", []string{"pages", "source", "docs"}},
	key{"endpoint", &shape{what: "an endpoint", kind: mapping, keys: endpointKeys}, "the token endpoint", []string{"token_endpoint"}},
	key{"authorization_endpoint", object("an authorization endpoint",
		key{"path", address, "on the base of the token endpoint", nil},
		key{"url", address, "elsewhere", nil},
		key{"scope_parameter", words("query", "body"), "where the page puts scope", nil},
		key{"parameters", fieldsMap, "what an authorization request has to add", nil},
		key{"pkce", words("required", "optional", "unsupported"), "what the page says about RFC 7636", nil},
		optionalKey), "where a code comes from", []string{"authorize", "authorization"}},
	key{"metadata", object("metadata",
		key{"issuer", address, "exact issuer identifier; switches the metadata rules on", nil},
		key{"jwks", address, "address of the key set where the page names it outside metadata", []string{"jwks_uri", "keys"}},
		optionalKey), "authorization server metadata (RFC 8414)", []string{"discovery"}},
	key{"revocation", protectedShape("a revocation endpoint"), "RFC 7009", []string{"revocation_endpoint", "revoke"}},
	key{"introspection", protectedShape("an introspection endpoint"), "RFC 7662", []string{"introspection_endpoint", "introspect"}},
	key{"resource", object("a resource",
		key{"url", address, "a harmless GET", nil},
		key{"expect", status, "its normal status; any 2xx unless given", []string{"status"}},
		key{"userinfo", yesNo, "true: it is the OpenID Connect UserInfo endpoint", nil},
		key{"scoped", object("a resource with a scope",
			key{"url", address, "a harmless GET that needs a scope", nil},
			key{"needs", public, "the scope it needs, which scopes.request lacks", []string{"scope"}},
			optionalKey), "a resource that needs a scope the golden token lacks", nil},
		optionalKey), "a resource for the bearer rules (RFC 6750)", []string{"resources", "api"}},
	key{"transport", object("transport",
		key{"tls", words("required"), "required if the page says so", nil},
		key{"ca_file", address, "certificates of a private CA in PEM", nil},
		key{"cert_file", cred, "client certificate for mutual TLS in PEM", nil},
		key{"key_file", cred, "its key in PEM", nil},
		optionalKey), "what the page or the operator says about TLS", []string{"tls"}},
	key{"login", object("a login",
		key{"url", address, "where the walk starts; the authorization endpoint unless given", nil},
		key{"user", &shape{what: "a user's name", kind: text}, "name of the user fixture; the primary user unless given", nil},
		key{
			"fields", dict("a map of form fields", &shape{what: "user.name, user.password, a ${NAME} or a literal", kind: text, refs: allowed}),
			"form fields that the walk would not recognise, and what to put into them", nil,
		},
		key{"consent", prose, "text of the button that grants, where several stand on the page", nil},
		key{"max_steps", count, "pages before the walk gives up, 10 unless given", nil},
		optionalKey), "a server-rendered login, walked to obtain codes", nil},
	key{"client", clientShape, "the primary client fixture", nil},
	key{
		"clients", dict("a map of clients", clientShape),
		"further fixtures by name: second, public, no_grant, special_secret, sacrificial, or vendor names", nil,
	},
	key{"user", userShape, "the primary user fixture", nil},
	key{"users", dict("a map of users", userShape), "further users by name: second, non_ascii", nil},
	key{"scopes", object("scopes",
		key{"request", listOf(public), "sent where a request takes scope", nil},
		key{"grantable", listOf(public), "what this client may have", []string{"allowed"}},
		key{"forbidden", listOf(public), "what exists but this client may not have", []string{"denied"}},
		key{"default", oneOf("text or a list", prose, listOf(prose)), "what the page says is granted when none is requested", nil},
		optionalKey), "what the client may ask for", []string{"scope"}},
	key{"grants", dict("a map of grants", grantShape), "the documented grants", []string{"grant", "flows"}},
	key{"hooks", dict("a map of hooks", cred), "names of commands or URLs that yield what only the outside can make", nil},
	key{"errors", listOf(object("an error row",
		key{"when", listOf(named("a condition", conditions...)), "conditions, see FORMAT.md", []string{"condition", "if"}},
		key{"status", oneOrMore(status), "status, class or list; 200 if the page answers errors with success", nil},
		key{"code", oneOrMore(errorCode), "value of the member that plays error", []string{"error"}},
		key{"fields", rowFields, "further members of this row; a bare value is short for const", nil},
		key{"grants", oneOrMore(&shape{what: "a grant", kind: text}), "restricts the row to these grants", nil},
		key{"parameters", oneOrMore(&shape{what: "a parameter", kind: text}), "restricts missing_parameter and invalid_parameter to these", nil},
		key{"content_type", mediaType, "if it is not that of the success answer", nil},
		key{"meaning", prose, "own words", []string{"description"}},
	)), "the page's error table, one row per line of it", []string{"error"}},
	key{"error_fields", fieldsMap, "members every error body has", nil},
	key{"token", object("token",
		key{"use", prose, "bearer_header, or what the page says instead", nil},
		key{"lifetime", lifetimeShape, "of access tokens: a bare value is exact", []string{"expires_in"}},
		key{"refresh_lifetime", lifetimeShape, "of refresh tokens; judged in slow runs only", nil},
		key{"code_lifetime", lifetimeShape, "of authorization codes; judged in slow runs only", nil},
		key{"live", oneOf("a whole number or a map", count, object("a bound",
			key{"max", count, "how many live at a time", nil},
			key{"per", words("refresh_token", "client", "user"), "counted by", nil})), "how many access tokens live at a time", nil},
		key{"profile", words("rfc9068"), "rfc9068 if the page claims JWT access tokens of that profile", nil},
		key{"renewal", prose, "remark", nil},
		key{"sample_resource", address, "a path to try", nil},
	), "what the page says about the tokens", nil},
	key{"headers", dict("a map of headers", &shape{what: "a header", kind: mapping, keys: append([]key{
		{"status", oneOrMore(status), "answers that carry the header", nil},
	}, fieldKeys...)}), "documented response headers", nil},
	key{"rate_limit", oneOf("a rate limit or a list of them", rateLimitShape, listOf(rateLimitShape)), "documented limits", []string{"rate_limits", "throttle"}},
	key{"slo", listOf(object("an objective",
		key{"metric", words("latency", "success"), "what is measured", nil},
		key{"percentile", number, "for latency", nil},
		key{"max", duration, "for latency", nil},
		key{"min", share, "for success", nil},
		key{"rate", rate, "offered load", nil},
		key{"for", duration, "how long", nil},
		key{"count_429_as", words("excluded", "failure", "success"), "what a throttled answer is", nil},
	)), "service level objectives, judged under load only", []string{"slos"}},
	key{"deviations", listOf(object("a deviation",
		key{"rules", listOf(&shape{what: "a rule", kind: text}), "rules that the page parts from; the first names the probe", []string{"rule"}},
		key{"documented", outcomeShape, "what the page says", nil},
		key{"standard", outcomeShape, "what the standard says", nil},
		key{"mode", words("required", "allowed"), "required: the page's behaviour is asserted; allowed: either is fine", nil},
		key{"reason", prose, "why", nil},
	)), "where page and standard part", []string{"deviation"}},
	key{"waivers", listOf(object("a waiver",
		key{"rule", &shape{what: "a rule", kind: text}, "one rule; patterns are not allowed", []string{"rules"}},
		key{"reason", prose, "obligatory", nil},
		key{"expires", date, "obligatory; past its date a waiver stops counting", []string{"until", "expiry"}},
		key{"owner", prose, "who answers for it", nil},
	)), "rules kept out of the exit code for a while", []string{"waiver"}},
	key{"safety", object("safety",
		key{"max_requests", count, "requests of a run", nil},
		key{"max_rate", rate, "pace of a run", []string{"rate"}},
		key{"max_tokens", count, "tokens minted in a run", nil},
		key{"allow", listOf(named("an effect", effects...)), "effects that need no further consent", []string{"effects"}},
		key{"max_bad_client_logins", count, "wrong secrets per client", nil},
		key{"max_bad_user_logins", count, "wrong passwords per user", nil},
	), "what a run may do without further consent", nil},
	key{"clock_skew", seconds, "allowed difference of clocks, 120s unless given", nil},
	key{"not_specified", oneOrMore(prose), "what the page leaves open; printed, never asserted", []string{"unspecified"}},
)
