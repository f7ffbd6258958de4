package suites

import (
	"bytes"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/onsi/gomega/types"

	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// responseRules is the group response of the catalogue.
var responseRules = []Rule{
	{
		ID:    "response.status-200",
		Title: "Returns 200 with a successful token response",
		Group: "response",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.1",
		Editions: AllEditions,
		Summary:  "Successful token responses use status 200.",
		Why:      "Clients that check the status as written treat a granted token as a failure.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Every ok-looking answer of the run (body carries access_token).",
		Expect:   "Status is 200.",
		Fault:    "Answers 201 Created with the token.",
		Passive:  true,
		Check: func(c *Case) {
			c.Each(c.Tokens(), noToken, func(s *Sample) {
				g := c.GrantOf(s)
				c.pageSaysIf(g != nil && g.Response.Status == s.Status, "the page documents status %d", s.Status)
				c.Expect(s).To(HaveStatus(200))
			})
		},
	},
	{
		ID:    "response.content-type",
		Title: "Labels the token response application/json",
		Group: "response",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.1",
		Editions: AllEditions,
		Summary:  "Parameters are delivered in the application/json media type.",
		Why:      "Client libraries refuse to read the answer, and no token arrives.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden response.",
		Expect:   "Media type (before any parameter) equals application/json, case-insensitively.",
		Tolerates: []string{
			"Any charset parameter; other parameters. Signed responses such as application/jwt only if the contract documents them.",
		},
		Fault:   "Sends text/html with a JSON body.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(issued(c), noToken, func(s *Sample) {
				c.pageSaysIf(s.MediaType() != "" && documentedType(c, s) == s.MediaType(), "the page documents %s", s.MediaType())
				c.Expect(s).To(HaveMediaType("application/json"))
			})
		},
	},
	{
		ID:    "response.accept-independent",
		Title: "Answers JSON whatever the Accept header says",
		Group: "response",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §5.1, §5.2",
		Editions: AllEditions,
		Summary:  "The media type of token answers and errors is fixed; no clause makes it negotiable.",
		Why:      "HTML meant for people reaches a client that can only read JSON.",
		Requires: []string{"response.content-type"},
		Probe:    "Golden request, and a refused one, each without Accept and with Accept: text/html.",
		Expect:   "JSON body and media type for all four.",
		Tolerates: []string{
			"406 for text/html; signed responses that the contract documents.",
		},
		Fault:   "Renders an HTML error page for Accept: text/html.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			golden, refused := c.Golden(), refusedRequest(c)
			for _, p := range c.Target().Parameters(golden.Grant()) {
				if strings.EqualFold(p.Name, "Accept") {
					c.NotApplicable("the page documents the Accept field as a parameter")
				}
			}
			usual := c.GoldenAnswers()
			for _, req := range []exchange.Request{golden, refused} {
				what := "a token"
				opts := []Option{Positive()}
				if req.Label() == golden.Label() && len(usual) > 0 && !inJSON(usual[len(usual)-1]) {
					continue // response.content-type and response.json-object tell
				}
				if req.Label() != golden.Label() {
					what, opts = "a refusal", []Option{Provokes("unknown_grant")}
					if usual := c.Probe(req, opts...); !inJSON(usual) {
						continue // its form is wrong whatever Accept says: error.json-body and error.content-type tell
					}
					req = refusedRequest(c)
				}
				for _, accept := range []string{"", "text/html"} {
					probe := Step(req.DropHeader("Accept"), "%s without Accept", what)
					if accept != "" {
						probe = Step(req.Header("Accept", accept), "%s with Accept: %s", what, accept)
					}
					s := c.Probe(probe, opts...)
					if s.Status == 406 && accept != "" || s.MediaType() != "" && documentedType(c, s) == s.MediaType() {
						continue
					}
					c.Expect(s).To(satisfy("JSON, whatever Accept says", func(s *Sample) (string, bool) {
						return fmt.Sprintf("%d with %s", s.Status, fieldLines(s, "Content-Type")), inJSON(s)
					}))
					if consumes(req.Grant()) {
						req = c.Golden()
					}
				}
			}
		},
	},
	{
		ID:    "response.json-object",
		Title: "The token response body is one JSON object",
		Group: "response",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.1",
		Editions: AllEditions,
		Summary:  "The parameters are members of a JSON structure.",
		Why:      "Client libraries refuse to read the answer, and no token arrives.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden response.",
		Expect:   "Body parses strictly as a single JSON object; nothing but whitespace after it.",
		Tolerates: []string{
			"Whitespace, member order, extra members; a leading byte order mark (judged by response.utf8).",
		},
		Fault:   "Prefixes the body with an anti-hijacking guard such as )]}'.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(issued(c), noToken, func(s *Sample) {
				d := jsonOf(s)
				c.pageSaysIf(d.Form, "the page documents a form-encoded answer")
				c.Expect(s).To(satisfy("one JSON object and nothing else", func(*Sample) (string, bool) {
					switch {
					case d.Form:
						return "a form-encoded body", false
					case d.Err != nil:
						return d.Err.Error(), false
					}
					return "a JSON " + string(d.Kind), d.IsObject()
				}))
			})
		},
	},
	{
		ID:    "response.flat",
		Title: "Token parameters are top-level members",
		Group: "response",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.1",
		Editions: AllEditions,
		Summary:  "Each parameter sits at the highest structure level.",
		Why:      "Client libraries refuse to read the answer, and no token arrives.",
		Requires: []string{"response.json-object"},
		Probe:    "Golden response.",
		Expect:   "access_token and token_type are members of the outermost object.",
		Tolerates: []string{
			"Additional nested vendor members; duplicates of the data inside them.",
		},
		Fault:   "Wraps the parameters in a \"data\" object.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(issued(c), noToken, func(s *Sample) {
				for _, part := range []string{exchange.AccessToken, exchange.TokenType} {
					f, documented := documentedField(c, s, part)
					if !s.Answer.Part(part).Present() {
						continue // response.token-type misses it
					}
					c.pageSaysIf(documented && f.Name != part && s.Answer.Member(f).Present(), "the page documents %s as %s", part, f.Name)
					c.Expect(s).To(satisfy(part+" as a member of the outermost object", func(*Sample) (string, bool) {
						if documented && s.Answer.Member(f).Present() {
							return "it as " + f.Name, jsonOf(s).Get(part).Present()
						}
						return "it elsewhere", jsonOf(s).Get(part).Present()
					}))
				}
			})
		},
	},
	{
		ID:    "response.access-token",
		Title: "access_token is present, a non-empty printable ASCII string",
		Group: "response",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.1, Appendix A.12",
		Editions: AllEditions,
		Summary:  "The access token is mandatory; its syntax is one or more visible ASCII characters or spaces.",
		Why:      "Clients cannot store, send or use the token.",
		Requires: []string{"response.flat"},
		Probe:    "Golden response.",
		Expect:   "access_token is a JSON string of length at least 1, characters 0x20 to 0x7E.",
		Tolerates: []string{
			"Any length and structure.",
		},
		Fault:   "access_token contains a line feed inside the encoded value.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(issued(c), noToken, func(s *Sample) {
				c.excuseType(s, exchange.AccessToken)
				c.Expect(s).To(bePrintable(exchange.AccessToken))
			})
		},
	},
	{
		ID:    "response.token-type",
		Title: "token_type is present and well-formed",
		Group: "response",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.1, Appendix A.13",
		Editions: AllEditions,
		Summary:  "The token type is mandatory; it is a name or a URI.",
		Why:      "Clients cannot store, send or use the token.",
		Requires: []string{"response.flat"},
		Probe:    "Golden response.",
		Expect:   "token_type is a JSON string; matches the type-name characters (letters, digits, - . _) or is a URI reference.",
		Tolerates: []string{
			"Any letter case; types other than Bearer (DPoP, N_A, vendor URIs).",
		},
		Fault:   "token_type is omitted.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(issued(c), noToken, func(s *Sample) {
				c.excuseType(s, exchange.TokenType)
				c.Expect(s).To(satisfy("token_type as a type name or a URI", func(s *Sample) (string, bool) {
					v := s.Answer.Part(exchange.TokenType)
					if v.Kind != exchange.String {
						return kindWords(v, exchange.TokenType), false
					}
					_, err := url.Parse(v.Text)
					return fmt.Sprintf("%q", exchange.Printable(v.Text, 60)), typeName.MatchString(v.Text) || uriText.MatchString(v.Text) && err == nil
				}))
			})
		},
	},
	{
		ID:    "response.token-type-usable",
		Title: "token_type names the Bearer type when bearer tokens are issued",
		Group: "response",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6750 §4, §6.1.1; RFC 6749 §7.1",
		Editions: AllEditions,
		Summary:  "The registered name of the bearer type is Bearer and compares case-insensitively.",
		Why:      "Clients cannot store, send or use the token.",
		Applies:  Applies{When: "contract or protected resource shows bearer use"},
		Requires: []string{"response.token-type"},
		Probe:    "Golden response.",
		Expect:   "token_type equals Bearer, ignoring case.",
		Tolerates: []string{
			"bearer, BEARER; DPoP or another type when the contract names it.",
		},
		Fault:   "token_type is \"JWT\" on answers outside OpenID.",
		Passive: true,
		Check: func(c *Case) {
			if c.Contract().Token.Use != "bearer_header" && c.Contract().Resource == nil {
				c.NotApplicable("nothing in the contract says that the tokens are bearer tokens")
			}
			c.Each(issued(c), noToken, func(s *Sample) {
				if c.openIDAnswer(s) {
					return // judged by token.id-token-bearer
				}
				v := s.Answer.Part(exchange.TokenType)
				if f, ok := documentedField(c, s, exchange.TokenType); ok && (equalValue(f.Const, v, true) || slices.ContainsFunc(f.Enum, func(e any) bool { return equalValue(e, v, true) })) {
					return
				}
				c.Expect(s).To(satisfy("token_type Bearer, in any letter case", func(*Sample) (string, bool) {
					return "token_type " + exchange.Printable(v.Text, 60), strings.EqualFold(v.Text, "Bearer")
				}))
			})
		},
	},
	{
		ID:    "response.expires-in-present",
		Title: "Includes expires_in",
		Group: "response",
		Level: Should, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §5.1",
		Editions: AllEditions,
		Summary:  "The lifetime is recommended; without it the server should state the lifetime another way.",
		Why:      "Clients do not know when to renew and fail at a random moment.",
		Requires: []string{"response.flat"},
		Probe:    "Golden response.",
		Expect:   "expires_in is present.",
		Tolerates: []string{
			"Absence when the contract states a lifetime, or a JWT access token carries exp.",
		},
		Fault:   "Omits expires_in and documents nothing.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(issued(c), noToken, func(s *Sample) {
				_, claims, jwt := jwtOf(s.Answer.Text(exchange.AccessToken))
				if c.Contract().Token.Lifetime != nil || jwt && claims.Get("exp").Kind == exchange.Number {
					return
				}
				f, documented := documentedField(c, s, exchange.ExpiresAt)
				c.pageSaysIf(documented && s.Answer.Has(exchange.ExpiresAt), "the page documents %s in its place", f.Name)
				c.Expect(s).To(satisfy("expires_in", func(s *Sample) (string, bool) { return "no expires_in", s.Answer.Part(exchange.ExpiresIn).Present() }))
			})
		},
	},
	{
		ID:    "response.expires-in-number",
		Title: "expires_in is a JSON number",
		Group: "response",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.1",
		Editions: AllEditions,
		Summary:  "Numerical values are sent as JSON numbers, not as strings.",
		Why:      "Clients do not know when to renew and fail at a random moment.",
		Applies:  Applies{When: "expires_in present"},
		Requires: []string{"response.flat"},
		Probe:    "Golden response.",
		Expect:   "expires_in is a JSON number.",
		Fault:    "Sends \"3600\" as a string.",
		Passive:  true,
		Check: func(c *Case) {
			c.Each(carrying(issued(c), exchange.ExpiresIn), "no answer carries expires_in", func(s *Sample) {
				v := s.Answer.Part(exchange.ExpiresIn)
				if jsonOf(s).Form && digits.MatchString(v.Text) {
					return // a form knows no numbers
				}
				c.excuseType(s, exchange.ExpiresIn)
				c.Expect(s).To(satisfy("expires_in as a JSON number", func(*Sample) (string, bool) {
					return kindWords(v, exchange.ExpiresIn), v.Kind == exchange.Number
				}))
			})
		},
	},
	{
		ID:    "response.expires-in-sane",
		Title: "expires_in is a whole, non-negative number of seconds",
		Group: "response",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 Appendix A.14",
		Editions: AllEditions,
		Summary:  "The grammar allows decimal digits only.",
		Why:      "Clients do not know when to renew and fail at a random moment.",
		Applies:  Applies{When: "expires_in present"},
		Requires: []string{"response.expires-in-number"},
		Probe:    "Golden response.",
		Expect:   "A non-negative integer literal without fraction or exponent. Zero and values above one year (31 536 000) are warnings.",
		Tolerates: []string{
			"3600.0 is a warning, not a failure (equal JSON value).",
		},
		Fault:   "Sends -1 for tokens that never expire.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(carrying(issued(c), exchange.ExpiresIn), "no answer carries expires_in", func(s *Sample) {
				v := s.Answer.Part(exchange.ExpiresIn)
				came := "expires_in " + exchange.Printable(v.Text, 40)
				n, err := strconv.ParseFloat(v.Text, 64)
				whole := err == nil && n >= 0 && n == math.Trunc(n)
				c.Expect(s).To(satisfy("expires_in as a whole, non-negative number of seconds", func(*Sample) (string, bool) { return came, whole }))
				life, _ := s.Answer.Lifetime()
				switch {
				case !digits.MatchString(v.Text):
					c.Warn(s, "expires_in in plain digits", came)
				case n == 0:
					c.Warn(s, "a lifetime above zero", came)
				case life > 31536000*time.Second:
					c.Warn(s, "a lifetime of a year (31536000 seconds) at most", came)
				}
			})
		},
	},
	{
		ID:    "response.lifetime-short",
		Title: "Bearer tokens live an hour at most",
		Group: "response",
		Level: Should, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 6750 §5.3",
		Editions: AllEditions,
		Summary:  "Token servers should issue bearer tokens of one hour or less.",
		Why:      "A leaked bearer token works for whoever finds it until it expires.",
		Applies:  Applies{When: "token_type Bearer and expires_in present"},
		Requires: []string{"response.expires-in-sane"},
		Probe:    "Golden response.",
		Expect:   "expires_in at most 3600.",
		Tolerates: []string{
			"A longer lifetime documented in the contract is a note.",
		},
		Fault:   "expires_in is 2592000.",
		Passive: true,
		Check: func(c *Case) {
			bearer := slices.DeleteFunc(carrying(issued(c), exchange.ExpiresIn), func(s *Sample) bool {
				return !strings.EqualFold(s.Answer.Text(exchange.TokenType), "Bearer")
			})
			c.Each(bearer, "no bearer token came with expires_in", func(s *Sample) {
				life, _ := s.Answer.Lifetime()
				if longest, ok := documentedLifetime(c, s); ok && life > time.Hour && longest >= life {
					c.Note("the page documents a lifetime above one hour")
					return
				}
				c.Expect(s).To(satisfy("a lifetime of 3600 seconds at most", func(*Sample) (string, bool) {
					return fmt.Sprintf("%d seconds", int64(life.Seconds())), life <= time.Hour
				}))
			})
		},
	},
	{
		ID:    "response.scope-reported",
		Title: "Reports the scope when it differs from the requested one",
		Group: "response",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.3, §5.1",
		Editions: AllEditions,
		Summary:  "scope is optional only if identical to what was asked for.",
		Why:      "The client believes it holds rights that it does not have, and fails later, far from the cause.",
		Applies:  Applies{When: "requested scope known; granted scope observable by introspection or JWT scope claim"},
		Requires: []string{"response.flat"},
		Probe:    "Golden request with two scopes of which the client may have only one.",
		Expect:   "scope member present, or the token's observable scope equals the request.",
		Tolerates: []string{
			"Order and duplicates of scope tokens; unobservable scope is inconclusive, not failed.",
		},
		Fault:   "Drops a scope that the client may not have, without saying so.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			scopes := c.Contract().Scopes
			if len(scopes.Forbidden) == 0 {
				c.Needs("a forbidden scope")
			}
			may := append(slices.Clone(scopes.Grantable), scopes.Request...)
			if len(may) == 0 {
				c.Needs("a grantable scope")
			}
			asked := []string{may[0], scopes.Forbidden[0]}
			req := goldenWithScope(c, asked)
			s := c.Probe(Step(req, "a scope the client may have and one it may not"), Provokes("bad_scope"))
			c.look(s)
			if !s.Answer.OK() {
				c.Note("the endpoint refuses a scope that the client may not have, and so never narrows one")
				return
			}
			if s.Answer.Part(exchange.Scope).Present() {
				return
			}
			granted, how := observedScope(c, s)
			if how == "" {
				c.Inconclusive("the answer tells no scope, and what the token may do cannot be seen: it is opaque, and the contract names no introspection endpoint")
			}
			c.Expect(s).To(satisfy("scope in the answer, as it differs from the requested one", func(*Sample) (string, bool) {
				return fmt.Sprintf("no scope, while %s tells %q", how, strings.Join(granted, " ")), sameSet(granted, asked)
			}))
		},
	},
	{
		ID:    "response.scope-syntax",
		Title: "scope is one space-delimited string",
		Group: "response",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.3, Appendix A.4",
		Editions: AllEditions,
		Summary:  "Scope is a list of space-delimited strings in a single value.",
		Why:      "Clients misread the rights they were given.",
		Applies:  Applies{When: "scope present"},
		Requires: []string{"response.flat"},
		Probe:    "Golden response.",
		Expect:   "scope is a JSON string of scope tokens separated by single spaces.",
		Tolerates: []string{
			"Empty string (nothing granted) is a note; leading, trailing or doubled spaces are a warning.",
		},
		Fault:   "scope is a JSON array.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(carrying(issued(c), exchange.Scope), "no answer carries scope", func(s *Sample) {
				v := s.Answer.Part(exchange.Scope)
				f, _ := documentedField(c, s, exchange.Scope)
				c.excuseType(s, exchange.Scope)
				form := "a " + string(v.Kind)
				if v.Kind == exchange.String {
					form = exchange.Printable(fmt.Sprintf("%q", v.Text), 80)
				}
				expect := func(ok bool) {
					c.Expect(s).To(satisfy("scope as one string of space-delimited names", func(*Sample) (string, bool) { return form, ok }))
				}
				expect(v.Kind == exchange.String)
				// A comma and a percent sign may stand in a name: only a list of what was asked for shows that they separate.
				if list := strings.Split(v.Text, ","); len(list) > 1 && !strings.Contains(v.Text, " ") && allIn(list, requestedScope(c, s)) {
					c.pageSaysIf(f.List == "comma", "the page documents a comma-separated list")
					expect(false)
				}
				if list := strings.Split(strings.NewReplacer("%20", " ", "+", " ").Replace(v.Text), " "); len(list) > 1 && !strings.Contains(v.Text, " ") && allIn(list, requestedScope(c, s)) {
					c.pageSaysIf(f.URLEncoded == "always" || f.URLEncoded == "ambiguous" || f.List == "plus", "the page documents it URL-encoded")
					expect(false)
				}
				switch tidy := strings.Join(strings.Fields(v.Text), " "); {
				case v.Text == "":
					c.Note("scope is an empty string")
				case v.Text != tidy && strings.Trim(v.Text, " ") != "" && scopeText.MatchString(tidy) && !strings.ContainsAny(v.Text, "\t\r\n"):
					c.Warn(s, "scope names separated by single spaces", form)
				default:
					expect(scopeText.MatchString(v.Text))
				}
			})
		},
	},
	{
		ID:    "response.no-unrequested-id-token",
		Title: "No id_token appears when openid was not requested",
		Group: "response",
		Level: NoLevel, Wording: Practice, Binds: "server", Posture: Observe,
		Source:   "OIDC Core §3.1.2.1 (behaviour unspecified without openid)",
		Editions: AllEditions,
		Summary:  "Without the openid scope the flow is plain OAuth.",
		Why:      "Personal data would reach clients that never asked who the user is.",
		Applies:  Applies{When: "openid is not among the requested scopes"},
		Requires: []string{"response.flat"},
		Probe:    "Golden response.",
		Expect:   "No id_token member.",
		Tolerates: []string{
			"Presence is an observation.",
		},
		Fault:   "Every answer carries an id_token.",
		Passive: true,
		Check: func(c *Case) {
			plain := slices.DeleteFunc(issued(c), func(s *Sample) bool {
				granted, told := s.Answer.Scopes()
				unknown := !told && exchange.GrantType(s.Request.Grant()) == "refresh_token" // that of a grant of its own
				return unknown || s.Nonce != "" || slices.Contains(requestedScope(c, s), "openid") || slices.Contains(granted, "openid")
			})
			c.Each(plain, "openid was requested throughout", func(s *Sample) {
				_, documented := documentedField(c, s, exchange.IDToken)
				c.pageSaysIf(documented, "the page documents id_token")
				c.Expect(s).To(satisfy("no id_token, as openid was not requested", func(s *Sample) (string, bool) { return "an id_token", !s.Answer.Has(exchange.IDToken) }))
			})
		},
	},
	{
		ID:    "response.refresh-token-syntax",
		Title: "refresh_token, when present, is a non-empty printable ASCII string",
		Group: "response",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.1, Appendix A.17",
		Editions: AllEditions,
		Summary:  "Same character range as access tokens.",
		Why:      "Clients cannot store, send or use the token.",
		Applies:  Applies{When: "refresh_token present"},
		Requires: []string{"response.flat"},
		Probe:    "Golden response.",
		Expect:   "JSON string of length at least 1, characters 0x20 to 0x7E.",
		Tolerates: []string{
			"Absence.",
		},
		Fault:   "refresh_token ends in a non-ASCII letter, and works when sent back.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(carrying(issued(c), exchange.RefreshToken), "no answer carries refresh_token", func(s *Sample) {
				c.excuseType(s, exchange.RefreshToken)
				c.Expect(s).To(bePrintable(exchange.RefreshToken))
			})
		},
	},
	{
		ID:    "response.optional-members-typed",
		Title: "Optional members are absent rather than null or empty",
		Group: "response",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §5.1, Appendix A",
		Editions: AllEditions,
		Summary:  "The grammar gives optional members no null form.",
		Why:      "Strictly typed clients crash on a value that should not be there.",
		Requires: []string{"response.flat"},
		Probe:    "Golden response.",
		Expect:   "None of refresh_token, scope, expires_in, id_token is null.",
		Tolerates: []string{
			"Null in vendor extension members.",
		},
		Fault:   "Sends \"refresh_token\": null.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(issued(c), noToken, func(s *Sample) {
				for _, part := range []string{exchange.RefreshToken, exchange.Scope, exchange.ExpiresIn, exchange.IDToken} {
					f, ok := documentedField(c, s, part)
					c.pageSaysIf(ok && slices.Contains(f.Type, "null"), "the page documents that %s may be null", f.Name)
					c.Expect(s).To(satisfy("optional members absent rather than null", func(s *Sample) (string, bool) {
						return part + " null", s.Answer.Part(part).Kind != exchange.Null
					}))
				}
			})
		},
	},
	{
		ID:    "response.no-duplicate-members",
		Title: "No response member occurs twice",
		Group: "response",
		Level: MustNot, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2; RFC 8259 §4",
		Editions: AllEditions,
		Summary:  "A response may carry each parameter once only.",
		Why:      "Two readers of one answer see two different values.",
		Requires: []string{"response.json-object"},
		Probe:    "Golden response, scanned token by token (a map decoder hides duplicates).",
		Expect:   "All top-level member names are distinct.",
		Fault:    "token_type appears twice.",
		Passive:  true,
		Check: func(c *Case) {
			c.Each(issued(c), noToken, func(s *Sample) {
				c.Expect(s).To(haveDistinctMembers())
			})
		},
	},
	{
		ID:    "response.utf8",
		Title: "The JSON is UTF-8 without a byte order mark",
		Group: "response",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 8259 §8.1",
		Editions: AllEditions,
		Summary:  "JSON exchanged between systems is UTF-8, and a generator must not prepend a BOM.",
		Why:      "Client libraries refuse to read the answer, and no token arrives.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden and error responses, raw bytes.",
		Expect:   "Valid UTF-8; does not begin with EF BB BF.",
		Fault:    "Prepends a BOM.",
		Passive:  true,
		Check: func(c *Case) {
			c.Each(append(issued(c), oauthErrors(c)...), "no answer came", func(s *Sample) {
				text := bytes.TrimLeft(bytes.TrimPrefix(s.Body, byteOrderMark), " \t\r\n")
				if s.MediaType() != "application/json" && !bytes.HasPrefix(text, []byte("{")) {
					return // not meant as JSON: response.content-type and error.json-body say so
				}
				c.Expect(s).To(satisfy("JSON in UTF-8 without a byte order mark", func(s *Sample) (string, bool) {
					if bytes.HasPrefix(s.Body, byteOrderMark) {
						return "a byte order mark first", false
					}
					return "bytes that are not UTF-8", utf8.Valid(s.Body)
				}))
			})
		},
	},
	{
		ID:    "response.token-strength",
		Title: "Issued opaque tokens are long and random enough to resist guessing",
		Group: "response",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:       "RFC 6749 §10.10",
		Editions:     AllEditions,
		Summary:      "The chance of guessing a token must not exceed 2^-128.",
		Why:          "Tokens can be guessed, and whoever guesses one has the access of its owner.",
		Applies:      Applies{When: "token is opaque (not a signed JWT); opt-in sample of 20 tokens"},
		Requires:     []string{"response.access-token"},
		Probe:        "20 golden requests; estimate the varying part of the tokens.",
		Expect:       "At least 96 bits estimated (varying characters times log2 of the observed alphabet); no arithmetic sequence, no repeated prefix beyond a fixed one.",
		StrictExpect: "At least 128 bits estimated.",
		Tolerates: []string{
			"Identical tokens across requests (a server may return the live token again): sample by distinct values only. Estimation can only falsify, never prove.",
			"The clause says 2^-128, but estimates from samples run low and a random UUID holds 122 bits: 96 is the bar, as in the OpenID suite, and the gap is a note.",
		},
		Fault:   "Tokens are an incrementing counter in hex.",
		Effects: []Effect{MintsMany},
		Alone:   true,
		Check: func(c *Case) {
			if g := c.Golden().Grant(); exchange.GrantType(g) == "authorization_code" {
				c.NotApplicable("every token takes a login; code.strength and refresh.strength judge what the run obtained")
			}
			var tokens []string
			var last *Sample
			for range 20 {
				last = c.Accepted(Step(c.Golden(), "a sample of twenty tokens"))
				c.Expect(last).To(BeTokenResponse())
				token := last.Answer.Text(exchange.AccessToken)
				if _, _, jwt := jwtOf(token); jwt {
					c.NotApplicable("the access tokens are signed JWTs, not opaque")
				}
				tokens = append(tokens, token)
			}
			tokens = slices.Compact(slices.Sorted(slices.Values(tokens)))
			if len(tokens) < 4 {
				c.Inconclusive("twenty requests brought %d different tokens: too few for an estimate", len(tokens))
			}
			bits, sequence := strength(tokens)
			bar := 96.0
			if c.Strict() {
				bar = 128
			}
			c.Expect(last).To(satisfy(fmt.Sprintf("at least %.0f varying bits, and no sequence", bar), func(*Sample) (string, bool) {
				if sequence != "" {
					return sequence, false
				}
				return fmt.Sprintf("about %.0f bits in %d different tokens", bits, len(tokens)), bits >= bar
			}))
			if bits < 128 {
				c.Note("about %.0f bits vary, where the clause asks for 128; estimates from samples run low", bits)
			}
		},
	},
	{
		ID:    "response.distinct-tokens",
		Title: "Two grants yield two access tokens",
		Group: "response",
		Level: NoLevel, Wording: Practice, Binds: "server", Posture: Observe,
		Source:   "RFC 6749 is silent; OpenID suite (information)",
		Editions: AllEditions,
		Summary:  "Nothing forbids handing out the live token again, but shared tokens make revocation and audit coarse.",
		Why:      "Revoking one session would silently end another, or fail to end any.",
		Requires: []string{"response.access-token"},
		Probe:    "Two golden requests, a second apart.",
		Expect:   "Different access_token values.",
		Tolerates: []string{
			"Equal values with a shorter remaining lifetime (token cache).",
		},
		Fault:   "The same token is returned for an hour.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			first := c.Accepted(Step(c.Golden(), "one token"))
			c.Expect(first).To(BeTokenResponse())
			c.Wait(time.Second, "a moment between two tokens")
			second := c.Accepted(Step(c.Golden(), "another token"))
			c.Expect(second).To(BeTokenResponse())
			before, _ := first.Answer.Lifetime()
			after, told := second.Answer.Lifetime()
			if told && after < before {
				return // a cached token with the life that is left of it
			}
			c.Expect(second).To(satisfy("another access token", func(*Sample) (string, bool) {
				return "the same one", first.Answer.Text(exchange.AccessToken) != second.Answer.Text(exchange.AccessToken)
			}))
		},
	},
	{
		ID:    "response.expires-in-remaining",
		Title: "A live token handed out again carries the life that is left of it",
		Group: "response",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §4.2.2, §5.1",
		Editions: AllEditions,
		Summary:  "expires_in counts from the moment of the answer it stands in.",
		Why:      "A client that was given a token from a cache believes it for longer than it lives, and fails at a random moment.",
		Applies:  Applies{When: "a second request brings the same token, and its expiry can be seen"},
		Requires: []string{"response.expires-in-number"},
		Probe:    "Two golden requests, three seconds apart.",
		Expect:   "With the same token, expires_in is less than before.",
		Tolerates: []string{
			"A token whose life was really extended: its exp claim, or introspection, tells a later end.",
			"An opaque token whose end nobody tells: note.",
		},
		Fault:   "A cached token comes with the expires_in that it had when it was new.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			if consumes(c.run.golden.grant) {
				c.NotApplicable("the golden request uses up a code or a refresh token each time")
			}
			first := c.token(c.Accepted(Step(c.Golden(), "one token")))
			ends, told := c.ends(first)
			c.Wait(3*time.Second, "a token to age")
			second := c.token(c.Accepted(Step(c.Golden(), "another token")))
			token := second.Answer.Text(exchange.AccessToken)
			before, one := first.Answer.Lifetime()
			after, two := second.Answer.Lifetime()
			switch {
			case token != first.Answer.Text(exchange.AccessToken):
				c.NotApplicable("each request brings a token of its own")
			case !one || !two:
				c.NotApplicable("the answers do not tell how long the token lives")
			case after < before:
				return
			}
			later, toldAgain := c.ends(second)
			switch {
			case !told || !toldAgain:
				c.look(second)
				c.Note("the same token came again with the same expires_in; nobody tells whether its life was extended")
			case !later.After(ends):
				c.look(first)
				c.Violate(second, fmt.Sprintf("less than expires_in %d, as the same token has aged", int(before.Seconds())), fmt.Sprintf("expires_in %d, and the same end", int(after.Seconds())))
			}
		},
	},
}

const noToken = "no token was issued"

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	digits        = regexp.MustCompile(`^[0-9]+$`)
	typeName      = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)                                           // RFC 6749 Appendix A.13
	uriText       = regexp.MustCompile(`^(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$`) // RFC 3986
	scopeText     = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$`)  // Appendix A.4
	printable     = regexp.MustCompile(`^[\x20-\x7e]+$`)                                              // VSCHAR
)

// ends returns when the token of an answer ends, as its exp claim or introspection tells.
func (c *Case) ends(s *Sample) (at time.Time, ok bool) {
	token := s.Answer.Text(exchange.AccessToken)
	if _, claims, jwt := jwtOf(token); jwt {
		at, came := numericDate(claims, "exp")
		return at, came == ""
	}
	if c.Target().IntrospectionURL() == "" {
		return at, false
	}
	told := c.manage(c.introspection(token), "introspection").Answer.Lenient()
	at, came := numericDate(told, "exp")
	return at, came == "" && told.Get("active").Raw == "true"
}

// issued returns the answers with a token whose form counts: those to requests that ask for
// another form, or that no client sends, are left out.
func issued(c *Case) []*Sample {
	return c.Answers(func(s *Sample) bool {
		return s.Endpoint == tokenEndpoint && s.Answer.OK() && !strings.HasPrefix(s.Rule, "robust.") && s.Rule != "response.accept-independent"
	})
}

// carrying keeps the answers in which a part is there and not null.
func carrying(samples []*Sample, part string) []*Sample {
	return slices.DeleteFunc(samples, func(s *Sample) bool { return !s.Answer.Part(part).Present() })
}

// jsonOf reads an answer strictly; a byte order mark and bytes that are not UTF-8 are left to response.utf8.
func jsonOf(s *Sample) *exchange.Document {
	d := s.Answer.Strict()
	if d.Form || d.Err == nil {
		return d
	}
	return exchange.ParseStrict(bytes.ToValidUTF8(bytes.TrimPrefix(s.Body, byteOrderMark), []byte("\uFFFD")))
}

// inJSON reports one JSON object that is labelled as such.
func inJSON(s *Sample) bool { return s.MediaType() == "application/json" && jsonOf(s).IsObject() }

// documentedType returns the media type that the page documents for the answers of a grant, "" when it is silent.
func documentedType(c *Case, s *Sample) string {
	if g := c.GrantOf(s); g != nil {
		media, _, _ := strings.Cut(g.Response.ContentType, ";")
		return strings.ToLower(strings.TrimSpace(media))
	}
	return ""
}

// documentedField returns the response field that plays part in the answers of the sample's grant.
func documentedField(c *Case, s *Sample, part string) (contract.Field, bool) {
	if g := c.GrantOf(s); g != nil {
		return g.FieldFor(part)
	}
	return contract.Field{}, false
}

// excuseType has the page excuse the JSON type of a part where it documents that very type.
func (c *Case) excuseType(s *Sample, part string) {
	f, ok := documentedField(c, s, part)
	v := s.Answer.Part(part)
	c.pageSaysIf(ok && v.Kind != "" && slices.Contains(f.Type, string(v.Kind)), "the page documents %s as %s", f.Name, v.Kind)
}

// kindWords says what a member is.
func kindWords(v exchange.Value, name string) string {
	if v.Kind == "" {
		return "no " + name
	}
	return name + " as JSON " + string(v.Kind)
}

// bePrintable succeeds when a part is a non-empty string of visible ASCII characters and spaces (RFC 6749 Appendix A.12, A.17).
func bePrintable(part string) types.GomegaMatcher {
	return satisfy(part+" as a non-empty string of printable ASCII", func(s *Sample) (string, bool) {
		v := s.Answer.Part(part)
		switch {
		case v.Kind != exchange.String:
			return kindWords(v, part), false
		case v.Text == "":
			return "an empty string", false
		}
		for _, r := range v.Text {
			if r < 0x20 || r > 0x7e {
				return fmt.Sprintf("a string that holds %U", r), false
			}
		}
		return "", printable.MatchString(v.Text)
	})
}

// haveDistinctMembers succeeds when no name stands twice at the top level.
func haveDistinctMembers() types.GomegaMatcher {
	return satisfy("every member once", func(s *Sample) (string, bool) {
		twice := jsonOf(s).Repeated()
		return strings.Join(twice, ", ") + " more than once", len(twice) == 0
	})
}

// equalValue compares a documented value with a member; numbers also when written as strings.
func equalValue(documented any, v exchange.Value, foldCase bool) bool {
	if documented == nil || v.Kind == "" {
		return false
	}
	want := fmt.Sprint(documented)
	if foldCase && strings.EqualFold(want, v.Text) {
		return true
	}
	if a, err := strconv.ParseFloat(want, 64); err == nil {
		b, err := strconv.ParseFloat(v.Text, 64)
		return err == nil && a == b
	}
	return want == v.Text
}

// documentedLifetime returns the longest lifetime that the page announces for the access tokens of an answer.
func documentedLifetime(c *Case, s *Sample) (time.Duration, bool) {
	longest, ok := time.Duration(0), false
	f, _ := documentedField(c, s, exchange.ExpiresIn)
	fields := []contract.Field{f}
	if l := c.Contract().Token.Lifetime; l != nil {
		fields = append(fields, *l)
	}
	for _, f := range fields {
		for _, n := range numbersOf(f) {
			longest, ok = max(longest, time.Duration(n*unitOf(f)*float64(time.Second))), true
		}
	}
	return longest, ok
}

// numbersOf lists the numbers a field is documented with, its tolerance included.
func numbersOf(f contract.Field) (out []float64) {
	if n, err := strconv.ParseFloat(fmt.Sprint(f.Const), 64); err == nil && f.Const != nil {
		out = append(out, n)
	}
	if f.Typical != nil {
		out = append(out, *f.Typical*(1+f.Tolerance))
	}
	if f.Max != nil {
		out = append(out, *f.Max)
	}
	return out
}

// unitOf returns the documented unit of a time in seconds.
func unitOf(f contract.Field) float64 {
	switch f.Unit {
	case "milliseconds":
		return 1e-3
	case "minutes":
		return 60
	}
	return 1
}

// refusedRequest is the golden request with a grant type that no server knows, or without what it needs most.
func refusedRequest(c *Case) exchange.Request {
	req := c.Golden()
	if req.Has("grant_type") {
		return Step(req.Set("grant_type", "urn:example:grantcheck:"+c.Nonce()), "an unknown grant type")
	}
	for _, part := range []string{"code", "refresh_token", "password", "assertion"} {
		if req.Has(part) {
			return Step(req.Drop(part), "without %s", part)
		}
	}
	c.NotApplicable("the golden request has nothing in it that could be refused")
	return req
}

// goldenWithScope is the golden request asking for these scopes; the rule is not applicable where
// the scope is asked for elsewhere.
func goldenWithScope(c *Case, scopes []string) exchange.Request {
	p := c.run.golden
	if consumes(p.grant) {
		c.NotApplicable("the golden request takes its scope from an earlier grant")
	}
	req := c.run.supply.request(c.ctx, c, p, exchange.Inputs{Client: c.Target().ClientNamed(p.client), Scope: scopes})
	if !req.Has("scope") {
		return req.Set("scope", strings.Join(scopes, " "))
	}
	return req
}

// requestedScope is what the answered request asked for: itself, or the authorization request behind it.
func requestedScope(c *Case, s *Sample) []string {
	if asked := slices.Concat(s.Request.Scope(), s.authorized); len(asked) > 0 || !consumes(s.Request.Grant()) {
		return asked
	}
	return c.Contract().Scopes.Request
}

// observedScope reads the granted scope off the token itself, or off introspection; how is "" when it cannot be seen.
func observedScope(c *Case, s *Sample) (scopes []string, how string) {
	token := s.Answer.Text(exchange.AccessToken)
	if _, claims, ok := jwtOf(token); ok {
		for _, name := range []string{"scope", "scp"} {
			switch v := claims.Get(name); v.Kind {
			case exchange.String:
				return strings.Fields(v.Text), "the token's claim " + name
			case exchange.Array:
				for _, item := range v.Items {
					scopes = append(scopes, item.Text)
				}
				return scopes, "the token's claim " + name
			}
		}
	}
	if c.Target().IntrospectionURL() == "" {
		return nil, ""
	}
	req, err := c.Target().Introspection(token, nil)
	if err != nil {
		return nil, ""
	}
	seen := c.Probe(Step(req, "what the token may do"), Positive())
	doc := seen.Answer.Lenient()
	if doc.Get("active").Text != "true" || doc.Get("scope").Kind != exchange.String {
		return nil, ""
	}
	return strings.Fields(doc.Get("scope").Text), "introspection"
}

func sameSet(a, b []string) bool { return allIn(a, b) && allIn(b, a) }

func allIn(some, all []string) bool {
	return !slices.ContainsFunc(some, func(s string) bool { return !slices.Contains(all, s) })
}
