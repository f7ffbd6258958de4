package suites

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// clientAuthRules is the group client-auth of the catalogue.
var clientAuthRules = []Rule{
	{
		ID:    "client-auth.basic-supported",
		Title: "Supports HTTP Basic for clients that hold a client password",
		Group: "client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §2.3.1",
		Editions: OAuth20 | BCP,
		Summary:  "A server that issues client passwords has to accept them through HTTP Basic.",
		Why:      "Standard client libraries sign in this way first and cannot use the server.",
		Applies:  Applies{Auth: []string{"basic"}, When: "client has a secret and is not registered for another method only"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with credentials in Authorization: Basic, form-encoded then base64-encoded, none in the body.",
		Expect:   "ok.",
		Tolerates: []string{
			"Not judged when the client registration pins another method (a certified server then rightly refuses); OAuth 2.1 downgrades Basic to optional.",
		},
		Fault:   "Only reads client_secret from the body; Basic yields 401 invalid_client.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			c.methodSupported("basic")
		},
	},
	{
		ID:    "client-auth.post-supported",
		Title: "Supports the client secret in the request body",
		Group: "client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "draft-ietf-oauth-v2-1-15 §2.4.1 (RFC 6749 §2.3.1: MAY)",
		Editions: OAuth21,
		Summary:  "OAuth 2.1 makes body credentials the mandatory form; OAuth 2.0 only permits them and recommends against them.",
		Why:      "Standard client libraries sign in this way first and cannot use the server.",
		Applies:  Applies{Auth: []string{"post"}, When: "client has a secret and is not registered for another method only"},
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with client_id and client_secret in the body and no Authorization header.",
		Expect:   "ok.",
		Tolerates: []string{
			"Under OAuth 2.0 editions this rule is not evaluated unless the contract documents the method (then doc.auth-method-works judges it).",
		},
		Fault:   "Body credentials alone never authenticate: 401 invalid_client.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			c.methodSupported("post")
		},
	},
	{
		ID:    "client-auth.basic-form-decoding",
		Title: "Form-decodes the Basic user name and password",
		Group: "client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §2.3.1, Appendix B",
		Editions: AllEditions,
		Summary:  "Identifier and secret are form-encoded before they become Basic user name and password, so the server has to decode them.",
		Why:      "Clients with an ordinary strong password, full of special characters, cannot sign in.",
		Applies:  Applies{Auth: []string{"basic"}, When: "a fixture client whose id or secret contains a reserved character (colon, percent, plus, space or non-ASCII)"},
		Requires: []string{"client-auth.basic-supported"},
		Probe:    "Golden request with Basic built from the form-encoded id and secret.",
		Expect:   "ok.",
		Tolerates: []string{
			"Additionally accepting the undecoded form is not flagged.",
		},
		Fault:   "Compares the still-encoded text: 401 for secrets holding reserved characters.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			pairs, f := c.specialClient()
			if f.URLEncoded == "never" {
				c.PageSays("the page documents id and secret without form encoding in Basic")
			}
			var refused *Sample
			for i, p := range pairs {
				if i > 0 && exchange.GrantType(p.grant) == "authorization_code" {
					if _, err := c.run.supply.code(c.ctx, p.grant, f, nil); err != nil {
						continue // no client of the authorization endpoint
					}
				}
				ask := func(what string, in func(exchange.Request) exchange.Request) *Sample {
					return c.Probe(Step(in(c.goldenWith(p, f.Name, exchange.Inputs{})), "%s", what), Provokes("wrong_secret"))
				}
				basic := func(encoded bool) func(exchange.Request) exchange.Request {
					return func(r exchange.Request) exchange.Request { return r.Auth("basic").BasicEncoded(encoded) }
				}
				s := ask("id and secret form-encoded", basic(true))
				if s.Answer.OK() {
					return
				}
				if ask("id and secret as they are", basic(false)).Answer.OK() || slices.Contains(c.Target().AuthMethods(p.grant, f), "post") &&
					ask("id and secret in the body", func(r exchange.Request) exchange.Request { return r.Auth("post") }).Answer.OK() {
					c.Expect(s).To(BeTokenResponse())
				}
				refused = s
			}
			c.look(refused)
			c.Inconclusive("neither form-encoded nor plain are the credentials of the client %s taken", f.Name)
		},
	},
	{
		ID:    "client-auth.basic-scheme-case",
		Title: "Matches the authentication scheme name case-insensitively",
		Group: "client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 9110 §11.1",
		Editions: AllEditions,
		Summary:  "HTTP authentication scheme names are case-insensitive.",
		Why:      "Clients are locked out over the case of a word.",
		Applies:  Applies{Auth: []string{"basic"}},
		Requires: []string{"client-auth.basic-supported"},
		Probe:    "Golden request with \"basic\" and with \"BASIC\" as the scheme.",
		Expect:   "ok for both.",
		Fault:    "Only the spelling \"Basic\" is recognized.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			for _, scheme := range []string{"basic", "BASIC"} {
				c.ExpectAccepted(c.Probe(Step(c.GoldenBy("basic").Scheme(scheme), "scheme spelled %s", scheme), Positive()))
			}
		},
	},
	{
		ID:    "client-auth.wrong-secret-refused",
		Title: "Refuses a wrong client secret",
		Group: "client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2.1, §4.4.2, §10.2",
		Editions: AllEditions,
		Summary:  "Client authentication has to be verified before a token is issued.",
		Why:      "Anyone who knows a client identifier can get tokens in its name.",
		Applies:  Applies{Auth: []string{"basic", "post"}},
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with a random secret of the same length and alphabet, by each method that works; and with the secret of the second client, if there is one.",
		Expect:   "refused, each time.",
		Tolerates: []string{
			"400 or 401 (judged by error.* rules).",
		},
		Fault:    "Accepts any secret for a known client_id.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"wrong_secret"},
		Check: func(c *Case) {
			req := c.Victim("basic", "post")
			c.ExpectRefused(c.Probe(Step(req.Secret(c.WrongSecret(req)), "a random secret of the same length")))
			for _, method := range []string{"basic", "post"} { // each is code of its own
				if method == req.AuthMethod() || !c.alsoWorks(method) {
					continue
				}
				other := c.Victim(method)
				if !c.mayGuess(other.Secret(c.WrongSecret(other))) {
					return
				}
				c.ExpectRefused(c.Probe(Step(other.Secret(c.WrongSecret(other)), "the same by %s", method)))
			}
			if f := c.Target().ClientNamed("second"); f != nil && f.Secret != "" {
				req := c.Victim("basic", "post")
				_, secret := req.Credentials()
				named := req.AuthMethod() == "basic" || req.Has("client_id") // else the secret says who it is
				if named && secret != f.Secret && c.mayGuess(req.Secret(f.Secret)) {
					c.ExpectRefused(c.Probe(Step(req.Secret(f.Secret), "the secret of another client")))
				}
			}
		},
	},
	{
		ID:    "client-auth.secret-exact-match",
		Title: "Compares the client secret exactly",
		Group: "client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §2.3.1, §10.10",
		Editions: AllEditions,
		Summary:  "A prefix, an extension or a case variant of the secret is a different secret.",
		Why:      "The secret is far easier to guess than its length promises.",
		Applies:  Applies{Auth: []string{"basic", "post"}},
		Requires: []string{"client-auth.wrong-secret-refused"},
		Probe:    "Three golden requests: secret minus its last character; secret plus one character; secret with letter case swapped (skipped when it has no letters).",
		Expect:   "refused, all three.",
		Fault:    "Compares only the first eight characters of the secret.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"wrong_secret"},
		Check: func(c *Case) {
			for _, change := range []struct {
				what string
				to   func(string) string
			}{
				{"the secret without its last character", func(s string) string { r := []rune(s); return string(r[:max(0, len(r)-1)]) }},
				{"the secret with a character more", func(s string) string { return s + "x" }},
				{"the secret with upper and lower case swapped", exchange.SwapCase},
			} {
				req := c.Victim("basic", "post")
				_, secret := req.Credentials()
				if other := change.to(secret); other != "" && other != secret {
					c.ExpectRefused(c.Probe(Step(req.Secret(other), "%s", change.what)))
				}
			}
		},
	},
	{
		ID:    "client-auth.secret-beyond-byte-72",
		Title: "Compares the client secret beyond its 72nd byte",
		Group: "client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §2.3.1, §10.10",
		Editions: AllEditions,
		Summary:  "A secret that differs is a different secret, wherever it differs; bcrypt reads 72 bytes and leaves the rest out.",
		Why:      "Whoever learns the beginning of a long secret, or of a self-made one with a fixed beginning, holds all of it.",
		Applies:  Applies{Auth: []string{"basic", "post"}, When: "a fixture client whose secret has more than 72 bytes"},
		Requires: []string{"client-auth.secret-exact-match"},
		Probe:    "Two golden requests of that client: its secret with the last character changed, and cut off after 72 bytes.",
		Expect:   "refused, both.",
		Tolerates: []string{
			"A server that refuses to register so long a secret: there is no such client then.",
		},
		Fault:    "Hashes secrets with a function that reads 72 bytes.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"wrong_secret"},
		Check: func(c *Case) {
			f := c.longSecret()
			req := func() exchange.Request { return c.GoldenAs(f.Name, "") }
			if m := req().AuthMethod(); m != "basic" && m != "post" {
				c.NotApplicable("the client with the long secret authenticates by %s", m)
			}
			if s := c.Probe(Step(req(), "the whole secret"), Positive()); !s.Answer.OK() {
				c.look(s)
				c.Blocked("the client with the long secret is not answered with a token, but with %s", s.Came())
			}
			last := "x"
			if strings.HasSuffix(f.Secret, last) {
				last = "y"
			}
			for _, other := range [][2]string{{"another last character", f.Secret[:len(f.Secret)-1] + last}, {"the first 72 bytes alone", f.Secret[:72]}} {
				c.ExpectRefused(c.Probe(Step(req().Secret(other[1]), "%s of a secret of %d bytes", other[0], len(f.Secret))))
			}
		},
	},
	{
		ID:    "client-auth.unknown-client-refused",
		Title: "Refuses an unknown client",
		Group: "client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2.1, §5.2",
		Editions: AllEditions,
		Summary:  "An unknown client is a listed cause of failed client authentication.",
		Why:      "A stranger gets tokens without being anybody.",
		Applies:  Applies{Auth: []string{"basic", "post"}},
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with a random client_id and a random secret.",
		Expect:   "refused.",
		Fault:    "Unknown clients are auto-provisioned and get a token.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"unknown_client"},
		Check: func(c *Case) {
			req := c.GoldenBy("basic", "post")
			id, _ := req.Credentials()
			c.ExpectRefused(c.Probe(Step(req.ClientID(c.Target().RandomLike(id)).Secret(c.WrongSecret(req)), "a random client")))
		},
	},
	{
		ID:    "client-auth.client-id-exact",
		Title: "Compares the client identifier exactly",
		Group: "client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §1.9, §2.2",
		Editions: AllEditions,
		Summary:  "Parameter values are case sensitive unless the clause says otherwise, and for client_id none does.",
		Why:      "A database that folds case knows one client by many names; limits, logs and revocation by name miss it.",
		Applies:  Applies{Auth: []string{"basic", "post"}, When: "client_id holds letters and is no UUID"},
		Requires: []string{"client-auth.unknown-client-refused"},
		Probe:    "Golden request with the right secret and client_id in other letter case.",
		Expect:   "refused.",
		Tolerates: []string{
			"A UUID: its letter case means nothing (RFC 9562 §4).",
		},
		Fault:    "Looks clients up without regard to letter case.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"unknown_client"},
		Check: func(c *Case) {
			req := c.GoldenBy("basic", "post")
			id, _ := req.Credentials()
			other := exchange.SwapCase(id)
			if id == "" || other == id || uuidForm.MatchString(id) {
				c.NotApplicable("letter case means nothing in the client identifier")
			}
			c.ExpectRefused(c.Probe(Step(req.ClientID(other), "client_id in other letter case, with the right secret")))
		},
	},
	{
		ID:    "client-auth.missing-refused",
		Title: "Refuses a confidential client that does not authenticate",
		Group: "client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2.1",
		Editions: AllEditions,
		Summary:  "Confidential clients, and any client issued credentials, have to authenticate at the token endpoint.",
		Why:      "Anyone who knows a client identifier can get tokens in its name.",
		Applies:  Applies{Auth: []string{"basic", "post", "jwt"}},
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request with client_id only, no secret, no assertion, no Authorization header.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_client or invalid_request; 400 or 401.",
		},
		Fault:    "A client_id alone is enough to get a token.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"missing_client_auth", "missing_parameter"},
		Check: func(c *Case) {
			req := c.GoldenBy("basic", "post", "jwt")
			c.pageSaysIf(slices.Contains(c.Target().AuthMethods(req.Grant(), req.Client()), "none"), "the page documents requests without client authentication")
			c.ExpectRefused(c.Probe(Step(req.NoSecret(), "client_id alone"), About("client_secret")))
		},
	},
	{
		ID:    "client-auth.anonymous-refused",
		Title: "Refuses a request that names no client at all",
		Group: "client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2.1",
		Editions: AllEditions,
		Summary:  "Without identification there is nobody to authenticate.",
		Why:      "A stranger gets tokens without being anybody.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden request without client_id, secret, assertion and Authorization header.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_client or invalid_request; 400 or 401.",
		},
		Fault:    "Missing client_id maps to an internal default client.",
		Provokes: []string{"missing_client_auth", "missing_parameter"},
		Check: func(c *Case) {
			c.ExpectRefused(c.Probe(Step(c.identified().NoAuth(), "no client at all"), About("client_id")))
		},
	},
	{
		ID:    "client-auth.empty-secret-refused",
		Title: "Treats an empty client_secret as not sent and refuses it",
		Group: "client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2, §3.2.1",
		Editions: AllEditions,
		Summary:  "An empty parameter counts as omitted, so it cannot satisfy authentication of a client that has a secret.",
		Why:      "Anyone who knows a client identifier can get tokens in its name.",
		Applies:  Applies{Auth: []string{"basic", "post"}, When: "the client's real secret is not the empty string"},
		Requires: []string{"client-auth.missing-refused", "client-auth.wrong-secret-refused"},
		Probe:    "Golden request with \"client_secret=\"; with Basic and an empty password.",
		Expect:   "refused, both.",
		Fault:    "Empty secret short-circuits the comparison and issues a token.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"wrong_secret", "missing_client_auth", "missing_parameter"},
		Check: func(c *Case) {
			for _, method := range []string{"post", "basic"} {
				if !c.run.methodUsable(method) {
					continue
				}
				req := c.Victim(method)
				if _, secret := req.Credentials(); secret == "" {
					c.NotApplicable("the client's secret is the empty string")
				}
				c.ExpectRefused(c.Probe(Step(req.Secret(""), "an empty secret by %s", method), About("client_secret")))
			}
		},
	},
	{
		ID:    "client-auth.malformed-basic",
		Title: "Refuses malformed Basic credentials cleanly",
		Group: "client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2, RFC 7617 §2",
		Editions: AllEditions,
		Summary:  "Credentials that cannot be decoded are failed authentication or a malformed request, never a server fault and never ignored in favour of nothing.",
		Why:      "A typing mistake in a header brings down a request, or slips past the check.",
		Applies:  Applies{Auth: []string{"basic"}},
		Requires: []string{"request.form-accepted", "client-auth.anonymous-refused"},
		Probe:    "Golden grant parameters with \"Authorization: Basic %%%\", with \"Basic\" alone, and with a base64 text that has no colon.",
		Expect:   "refused, all three.",
		Tolerates: []string{
			"400 invalid_request or 401 invalid_client.",
		},
		Fault:    "Decoder panic: 500 on non-base64 credentials.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"missing_client_auth"},
		Check: func(c *Case) {
			for _, bad := range []struct {
				what   string
				change func(exchange.Request) exchange.Request
			}{
				{"Basic with text that is not base64", func(r exchange.Request) exchange.Request { return r.BasicRaw("%%%") }},
				{"Basic with nothing behind it", func(r exchange.Request) exchange.Request { return r.BasicRaw("") }},
				{"Basic with base64 of a text without a colon", func(r exchange.Request) exchange.Request { return r.BasicText(c.Nonce()) }},
			} {
				c.ExpectRefused(c.Probe(Step(bad.change(c.GoldenBy("basic")), "%s", bad.what)))
			}
		},
	},
	{
		ID:    "client-auth.basic-junk",
		Title: "Refuses Basic credentials with something behind them",
		Group: "client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 7617 §2; RFC 9110 §11.4, §11.6.2",
		Editions: AllEditions,
		Summary:  "Basic credentials are one base64 text; with other characters behind it they are malformed.",
		Why:      "Two readers of one field that stop at different places see different clients: a filter lets pass what the server takes otherwise.",
		Applies:  Applies{Auth: []string{"basic"}},
		Requires: []string{"client-auth.malformed-basic", "client-auth.basic-supported"},
		Probe:    "Golden request with valid Basic credentials followed by characters that base64 does not have, and by a further word.",
		Expect:   "refused, both.",
		Tolerates: []string{
			"400 invalid_request or 401 invalid_client.",
		},
		Fault:    "Reads base64 up to the first character that is none, and leaves the rest out.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"wrong_secret", "missing_client_auth"},
		Check: func(c *Case) {
			for _, junk := range [][2]string{{"!grantcheck!", "characters that base64 does not have"}, {" grantcheck", "a further word"}} {
				req := c.GoldenBy("basic")
				c.ExpectRefused(c.Probe(Step(req.Authorization(req.GetHeader("Authorization")+junk[0]), "valid Basic credentials, and behind them %s", junk[1])))
			}
		},
	},
	{
		ID:    "client-auth.unsupported-scheme",
		Title: "Refuses an authentication scheme it does not support",
		Group: "client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "An unsupported authentication method is a listed cause of invalid_client.",
		Why:      "A stranger gets tokens without being anybody.",
		Requires: []string{"request.form-accepted", "client-auth.anonymous-refused"},
		Probe:    "Golden grant parameters, no body credentials, \"Authorization: GrantCheck abc\".",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_client or invalid_request; 400 or 401. With valid body credentials in the same request nothing is asserted.",
		},
		Fault:    "An unknown scheme counts as authenticated upstream and a token is issued.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"missing_client_auth"},
		Check: func(c *Case) {
			c.ExpectRefused(c.Probe(Step(c.identified().Authorization("GrantCheck abc"), "an authentication scheme nobody defines")))
		},
	},
	{
		ID:    "client-auth.two-methods",
		Title: "Refuses two client authentication methods in one request",
		Group: "client-auth",
		Level: MustNot, Wording: Keyword, Binds: "both", Posture: Advise,
		Source:       "RFC 6749 §2.3, §5.2",
		Editions:     AllEditions,
		Summary:      "A client may use one method per request; using more than one mechanism is a named cause of invalid_request.",
		Why:          "Two answers to the question who is asking leave room for an attacker in between.",
		Applies:      Applies{Auth: []string{"basic", "post"}},
		Requires:     []string{"request.form-accepted", "client-auth.basic-supported"},
		Probe:        "Golden request with identical valid credentials both in Basic and in the body.",
		Expect:       "refused; error invalid_request or invalid_client.",
		StrictExpect: "error invalid_request.",
		Tolerates: []string{
			"A body client_id next to Basic is not a second method (see client-auth.client-id-with-basic). Acceptance is a warning: the sender is at fault and deployed servers accept it.",
		},
		Fault:    "Two credentials that agree are accepted as one.",
		Effects:  []Effect{MintsToken},
		Provokes: []string{"two_auth_methods"},
		Check: func(c *Case) {
			basic, post, known := c.bothMethods()
			s := c.Probe(Step(withBody(basic, post, ""), "the same credentials in Basic and in the body"))
			if s.Answer.OK() && !known {
				c.Note("credentials in the body next to Basic were disregarded; the page documents no client authentication in the body")
				return
			}
			codes := []string{"invalid_request", "invalid_client"}
			if c.Strict() {
				codes = codes[:1]
			}
			c.ExpectRefused(s, codes...)
		},
	},
	{
		ID:    "client-auth.two-methods-conflict",
		Title: "Does not let one valid credential rescue an invalid second one",
		Group: "client-auth",
		Level: MustNot, Wording: Keyword, Binds: "both", Posture: Advise,
		Source:   "RFC 6749 §2.3, §5.2",
		Editions: AllEditions,
		Summary:  "With two mechanisms in conflict the authoritative one is undefined, so the request has to fail.",
		Why:      "Two answers to the question who is asking leave room for an attacker in between.",
		Applies:  Applies{Auth: []string{"basic", "post"}},
		Requires: []string{"client-auth.wrong-secret-refused", "client-auth.basic-supported"},
		Probe:    "Twice: valid Basic with wrong body secret; wrong Basic with valid body secret.",
		Expect:   "refused, both.",
		Tolerates: []string{
			"Any error code, 400 or 401.",
		},
		Fault:    "A failed first credential falls through to the second one; two that agree are still refused.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"two_auth_methods", "wrong_secret"},
		Check: func(c *Case) {
			basic, post, known := c.bothMethods()
			s := c.Probe(Step(withBody(basic, post, c.WrongSecret(post)), "right secret in Basic, wrong in the body"))
			if s.Answer.OK() && !known {
				c.Note("a wrong secret in the body next to Basic was disregarded; the page documents no client authentication in the body")
			} else {
				c.ExpectRefused(s)
			}
			basic, post, _ = c.bothMethods()
			c.ExpectRefused(c.Probe(Step(withBody(basic.Secret(c.WrongSecret(basic)), post, ""), "wrong secret in Basic, right in the body")))
		},
	},
	{
		ID:    "client-auth.client-id-with-basic",
		Title: "Accepts a matching client_id parameter next to Basic",
		Group: "client-auth",
		Level: May, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §3.2.1",
		Editions: AllEditions,
		Summary:  "A client may identify itself with client_id; doing so alongside Basic is not a second authentication method.",
		Why:      "Clients that name themselves, as they may, are refused.",
		Applies:  Applies{Auth: []string{"basic"}},
		Requires: []string{"client-auth.basic-supported"},
		Probe:    "Golden request with Basic plus the same client_id in the body (no client_secret).",
		Expect:   "ok.",
		Fault:    "Counts client_id as body authentication and answers invalid_request.",
		Effects:  []Effect{MintsToken},
		Check: func(c *Case) {
			req := c.GoldenBy("basic")
			id, _ := req.Credentials()
			c.ExpectAccepted(c.Probe(Step(req.Add(c.nameOf(req, "client_id"), id), "client_id next to Basic"), Positive()))
		},
	},
	{
		ID:    "client-auth.client-id-mismatch",
		Title: "Refuses a client_id that contradicts the authenticated client",
		Group: "client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §5.2 (multiple credentials), RFC 7521 §4.2",
		Editions: AllEditions,
		Summary:  "Two different client identities in one request make it invalid; the assertion framework states the equality outright.",
		Why:      "Nobody can say afterwards which client the token was issued to.",
		Applies:  Applies{Auth: []string{"basic"}},
		Requires: []string{"client-auth.client-id-with-basic", "client-auth.wrong-secret-refused"},
		Probe:    "Golden request with valid Basic and a different, existing or random, client_id in the body.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_request or invalid_client.",
		},
		Fault:    "Issues the token to the client named in the body.",
		Effects:  []Effect{BadClientCredentials},
		Provokes: []string{"two_auth_methods", "unknown_client"},
		Check: func(c *Case) {
			req := c.GoldenBy("basic")
			id, _ := req.Credentials()
			other := c.Target().RandomLike(id)
			if f := c.Target().ClientNamed("second"); f != nil && f.ID != id {
				other = f.ID
			}
			c.ExpectRefused(c.Probe(Step(req.Add(c.nameOf(req, "client_id"), other), "client_id of another client next to Basic")))
		},
	},
	{
		ID:    "client-auth.credentials-in-query",
		Title: "Does not accept client credentials in the request URI",
		Group: "client-auth",
		Level: MustNot, Wording: Keyword, Binds: "client", Posture: Advise,
		Source:   "RFC 6749 §2.3.1",
		Editions: AllEditions,
		Summary:  "Body credentials are confined to the body and must not appear in the URI.",
		Why:      "Codes, passwords and secrets end up in access logs and browser histories.",
		Applies:  Applies{Auth: []string{"post"}},
		Requires: []string{"client-auth.missing-refused"},
		Probe:    "Golden request with client_id and client_secret moved to the query and nothing else changed (throw-away credential: it will be logged).",
		Expect:   "refused.",
		Fault:    "Reads client credentials, and only these, from the query and issues a token.",
		Effects:  []Effect{LeaksToLogs, MintsToken},
		Provokes: []string{"missing_client_auth", "missing_parameter"},
		Check: func(c *Case) {
			req := c.Victim("post")
			p, _ := req.Param("client_secret")
			if req.Method() != "POST" || p.In == exchange.InQuery {
				c.PageSays("the page documents the client credentials in the query")
			} else if p.In == exchange.InHeader {
				c.NotApplicable("the page documents the client credentials in a header field")
			}
			c.ExpectRefused(c.Probe(Step(req.MoveTo(exchange.InQuery, "client_id", "client_secret"), "client credentials in the query"), About("client_secret")))
		},
	},
	{
		ID:    "client-auth.secret-strength",
		Title: "The client secret is long enough to resist guessing",
		Group: "client-auth",
		Level: Must, Wording: Keyword, Binds: "operator", Posture: Observe,
		Source:       "RFC 6749 §10.10",
		Editions:     AllEditions,
		Summary:      "Credentials that no person has to remember must not be guessable with a chance above 2^-128.",
		Why:          "A short secret can be guessed, and whoever guesses it acts as the client.",
		Applies:      Applies{Auth: []string{"basic", "post"}, When: "the secret was generated by the server, as the contract says"},
		Probe:        "Static: length and character classes of the fixture secret, computed locally and never printed.",
		Expect:       "At least 96 bits estimated.",
		StrictExpect: "At least 128 bits estimated.",
		Tolerates: []string{
			"Secrets chosen by the operator for a test server; 96 allows for estimation error.",
		},
		Fault: "The server hands out an eight-digit secret.",
		Check: func(c *Case) {
			bar, found := 96.0, false
			if c.Strict() {
				bar = 128
			}
			for _, f := range c.Target().Clients() {
				if f.SecretBy == "server" && f.Secret != "" {
					found = true
					if bits := secretBits(f.Secret); bits < bar {
						c.Violate(nil, fmt.Sprintf("a secret of %.0f bits or more, by its length and kinds of characters", bar), fmt.Sprintf("about %.0f bits", bits))
					}
				}
			}
			if !found {
				c.NotApplicable("the contract does not say that the server generated the secret")
			}
		},
	},
}

// methodSupported judges a method of sending the client secret that the golden request may not use.
func (c *Case) methodSupported(method string) {
	p := c.run.golden
	f := c.Target().ClientNamed(p.client)
	if p.auth == method {
		c.look(c.goldenAnswer(p))
		return
	}
	if f == nil || f.Secret == "" {
		c.NotApplicable("the client of the golden request holds no secret")
	}
	documented := slices.Contains(c.Target().AuthMethods(p.grant, f), method)
	if !documented && p.auth != "basic" && p.auth != "post" {
		c.NotApplicable("the client is documented for %s", p.auth)
	}
	s := c.Probe(Step(c.Golden().Auth(method), "client authentication by %s", method), Provokes("missing_client_auth"))
	if s.Answer.OK() {
		c.run.mu.Lock()
		c.run.works[pair{p.grant, method, p.client}] = true
		c.run.mu.Unlock()
		return
	}
	c.confirm(s)
	if d, _ := deviationFor(c.Contract(), c.rule.ID); !documented && d == nil && s.Answer.Refused() {
		c.look(s)
		c.Note("client authentication by %s was refused; the contract lists %s alone, and the client may be registered for nothing else", method, p.auth)
		return
	}
	c.Expect(s).To(BeTokenResponse())
}

// specialClient finds a client whose id or secret is changed by form encoding, and the grants that it
// may be registered for: the golden one first.
func (c *Case) specialClient() ([]pair, *contract.Client) {
	p := c.pairBy([]string{"basic", "post"})
	special := func(f *contract.Client) bool {
		return f != nil && f.Secret != "" && exchange.FormEncode(f.ID)+exchange.FormEncode(f.Secret) != f.ID+f.Secret
	}
	if f := c.Target().ClientNamed(p.client); special(f) {
		return []pair{p}, f
	}
	f := c.Target().ClientNamed("special_secret")
	if !special(f) {
		c.Needs(fixtureNeed("special_secret"))
	}
	pairs, seen := []pair{p}, []string{exchange.GrantType(p.grant)}
	for _, q := range c.run.candidates() {
		grantType := exchange.GrantType(q.grant)
		if slices.Contains(seen, grantType) || grantType == "refresh_token" {
			continue
		}
		seen, pairs = append(seen, grantType), append(pairs, q)
	}
	return pairs, f
}

// longSecret finds a client whose secret is longer than what bcrypt reads.
func (c *Case) longSecret() *contract.Client {
	for _, f := range c.Target().Clients() {
		if len(f.Secret) > 72 && (f.Name == "" || f.Name == "long_secret") {
			return f
		}
	}
	c.Needs(fixtureNeed("long_secret"))
	return nil
}

// mayGuess reports whether one more wrong secret is within what the contract allows.
func (c *Case) mayGuess(req exchange.Request) bool {
	who, limit, _ := c.run.wrongFor(req)
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	return limit == 0 || c.run.cost.wrong[who] < limit
}

// alsoWorks reports whether the golden grant is answered with a token by another client authentication
// method too: documented, or found to work.
func (c *Case) alsoWorks(method string) bool {
	p := c.run.golden
	p.auth = method
	if p.grant == nil || !slices.Contains(c.Target().AuthMethods(p.grant, c.Target().ClientNamed(p.client)), method) {
		return c.run.answered(p) == answeredOK
	}
	if c.run.answered(p) == notAsked {
		c.decided(c.run.try(c.ctx, c, p), probe{})
	}
	return c.run.answered(p) == answeredOK
}

// identified returns the golden request of a grant that needs a client.
func (c *Case) identified() exchange.Request {
	req := c.Dummy()
	id, secret := req.Credentials()
	if id == "" && secret == "" && !req.Has("client_assertion") {
		c.NotApplicable("the documented request names no client")
	}
	switch exchange.GrantType(req.Grant()) {
	case contract.GrantJWTBearer, contract.GrantSAML2Bearer, contract.GrantTokenExchange:
		c.NotApplicable("the grant %s needs no client authentication (RFC 7521 §4.1)", req.Grant().Key)
	case "authorization_code":
	default:
		if req.AuthMethod() == "none" {
			c.NotApplicable("a public client need not name itself for the grant %s (RFC 6749 §3.2.1)", req.Grant().Key)
		}
	}
	return c.Golden()
}

// bothMethods returns the golden request with Basic and with credentials in the body. known tells
// that the endpoint is documented or was found to read the latter.
func (c *Case) bothMethods() (basic, post exchange.Request, known bool) {
	if !c.run.methodUsable("basic") {
		c.NotApplicable("the endpoint takes no HTTP Basic")
	}
	basic = c.GoldenBy("basic")
	return basic, basic.Auth("post"), c.run.methodUsable("post")
}

// withBody adds the body credentials of post to basic, with another secret if one is given.
func withBody(basic, post exchange.Request, secret string) exchange.Request {
	for _, part := range []string{"client_id", "client_secret"} {
		p, _ := post.Param(part)
		if part == "client_secret" && secret != "" {
			p.Value = secret
		}
		basic = basic.Add(p.Name, p.Value)
	}
	return basic
}

var uuidForm = regexp.MustCompile(`^(?i)[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$`)

// secretBits estimates how hard a secret is to guess: its length, times what the kinds of
// characters in it could hold. It can only refute.
func secretBits(secret string) float64 {
	if uuidForm.MatchString(secret) && strings.Contains(secret, "-") {
		return 122 // RFC 9562 §5.4
	}
	alphabet := 0.0
	for _, kind := range []struct {
		characters string
		size       float64
	}{
		{"0123456789", 10}, {"abcdef", 6}, {"ghijklmnopqrstuvwxyz", 20}, {"ABCDEF", 6}, {"GHIJKLMNOPQRSTUVWXYZ", 20},
	} {
		if strings.ContainsAny(secret, kind.characters) {
			alphabet += kind.size
		}
	}
	if strings.IndexFunc(secret, func(r rune) bool { return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') }) >= 0 {
		alphabet += 20
	}
	distinct := map[rune]bool{}
	for _, r := range secret {
		distinct[r] = true
	}
	if len(distinct) < 4 { // repetition holds nothing
		alphabet = float64(len(distinct))
	}
	return float64(len(secret)) * math.Log2(max(alphabet, 1))
}
