package suites

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"grantcheck/suites/exchange"
)

// bearerUseRules is the group bearer-use of the catalogue.
var bearerUseRules = []Rule{
	{
		ID:    "bearer.header-accepted",
		Title: "The issued token works in the Authorization header",
		Group: "bearer-use",
		Level: Must, Wording: Keyword, Binds: "resource-server", Posture: Assert,
		Source:   "RFC 6750 §2.1",
		Editions: AllEditions,
		Summary:  "Resource servers have to support the header method.",
		Why:      "The token that was issued opens nothing.",
		Applies:  Applies{When: "protected resource configured"},
		Requires: []string{"response.access-token"},
		Probe:    "GET the protected resource with \"Authorization: Bearer <token>\".",
		Expect:   "Not 401 and not 403 insufficient_scope; by default any 2xx (configurable).",
		Tolerates: []string{
			"404 or 405 from the resource itself is inconclusive.",
		},
		Fault:   "Resource expects \"Token <token>\".",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			c.needResource()
			var first *Sample
			for _, p := range c.issuers() {
				s := c.Probe(Step(c.Target().Resource(c.issuedBy(p)), "a token of the %s grant", p.grant.Key), Positive(), At("resource"))
				switch {
				case c.opened(s):
					c.look(s)
					return
				case s.Status == 404, s.Status == 405, s.Status == 410:
					c.look(s)
					c.Inconclusive("the protected resource answers %d, which says nothing of the token", s.Status)
				case first == nil || first.Status != 401:
					first = s
				}
			}
			if first.Status == 403 && challengeError(first) != "insufficient_scope" {
				c.look(first)
				c.Inconclusive("the protected resource answers 403 without saying that the scope is insufficient: the user or client may not use it")
			}
			c.Expect(first).To(satisfy("status "+c.normal(), func(s *Sample) (string, bool) { return cameChallenge(s), c.opened(s) }))
		},
	},
	{
		ID:    "bearer.missing-token-challenge",
		Title: "A request without a token gets a Bearer challenge",
		Group: "bearer-use",
		Level: Must, Wording: Keyword, Binds: "resource-server", Posture: Advise,
		Source:   "RFC 6750 §3",
		Editions: AllEditions,
		Summary:  "Without usable credentials the resource server has to send WWW-Authenticate with scheme Bearer and at least one parameter.",
		Why:      "Clients are not told how to authenticate.",
		Applies:  Applies{When: "protected resource configured"},
		Probe:    "GET the resource without Authorization.",
		Expect:   "4xx (401 expected) with a Bearer challenge carrying at least one auth-param.",
		Tolerates: []string{
			"Extra challenges for other schemes. A bare \"Bearer\" without parameters is a warning (deployed practice differs).",
		},
		Fault: "401 without WWW-Authenticate.",
		Check: func(c *Case) {
			c.needResource()
			s := c.Probe(Step(c.Target().Resource(""), "no token"), At("resource"))
			c.Expect(s).To(satisfy("a 4xx", func(s *Sample) (string, bool) { return s.Came(), s.Status/100 == 4 }))
			c.Expect(s).To(satisfy("a Bearer challenge with a parameter", func(s *Sample) (string, bool) {
				ch, ok := s.Challenge("Bearer")
				return cameChallenge(s), ok && len(ch.Params) > 0
			}))
		},
	},
	{
		ID:    "bearer.missing-token-no-error",
		Title: "No error code is disclosed when no token was sent",
		Group: "bearer-use",
		Level: ShouldNot, Wording: Keyword, Binds: "resource-server", Posture: Advise,
		Source:   "RFC 6750 §3.1",
		Editions: AllEditions,
		Summary:  "Requests without authentication information should not receive an error code.",
		Why:      "Strangers learn more about the API than they need.",
		Applies:  Applies{When: "protected resource configured"},
		Requires: []string{"bearer.missing-token-challenge"},
		Probe:    "As bearer.missing-token-challenge.",
		Expect:   "No error parameter in the Bearer challenge.",
		Fault:    "error=\"invalid_request\" for a request without a token.",
		Check: func(c *Case) {
			c.Each(c.AnswersOf("bearer.missing-token-challenge"), "no request without a token was answered", func(s *Sample) {
				c.Expect(s).To(satisfy("a Bearer challenge without error", func(s *Sample) (string, bool) {
					return "error " + challengeError(s), challengeError(s) == ""
				}))
			})
		},
	},
	{
		ID:    "bearer.invalid-token-refused",
		Title: "A random token is refused at the resource",
		Group: "bearer-use",
		Level: Must, Wording: Keyword, Binds: "resource-server", Posture: Assert,
		Source:   "RFC 6749 §7",
		Editions: AllEditions,
		Summary:  "The resource server has to validate the token.",
		Why:      "The API is open to everybody who sends any token.",
		Applies:  Applies{When: "protected resource configured"},
		Requires: []string{"bearer.header-accepted"},
		Probe:    "GET the resource with a random token.",
		Expect:   "Status 401 or 403 or 400; not 2xx.",
		Fault:    "Any non-empty bearer value is accepted.",
		Check: func(c *Case) {
			c.needResource()
			s := c.Probe(Step(c.Target().Resource(c.Target().Random(40)), "a token that was never issued"), At("resource"))
			c.Expect(s).To(shut("a refusal: 401, 403 or 400"))
			if !slices.Contains([]int{400, 401, 403}, s.Status) {
				c.Note("a token that was never issued is answered with %d", s.Status)
			}
		},
	},
	{
		ID:    "bearer.invalid-token-401",
		Title: "A bad token yields 401 invalid_token",
		Group: "bearer-use",
		Level: Should, Wording: Keyword, Binds: "resource-server", Posture: Advise,
		Source:   "RFC 6750 §3.1",
		Editions: AllEditions,
		Summary:  "Expired, revoked or malformed tokens should give 401 with that error code.",
		Why:      "Clients do not notice that they need a new token, or ask for one in vain.",
		Applies:  Applies{When: "protected resource configured"},
		Requires: []string{"bearer.invalid-token-refused"},
		Probe:    "The answer to bearer.invalid-token-refused.",
		Expect:   "401 and Bearer challenge with error=\"invalid_token\".",
		Fault:    "403 without a challenge.",
		Check: func(c *Case) {
			c.Each(c.AnswersOf("bearer.invalid-token-refused"), "no random token was answered", func(s *Sample) {
				if code := challengeError(s); s.Status == 400 && (code == "invalid_request" || code == "invalid_token") {
					c.Note("a token that was never issued counts as malformed: 400 %s", code)
					return
				}
				c.Expect(s).To(HaveStatus(401))
				c.Expect(s).To(satisfy(`a Bearer challenge with error="invalid_token"`, func(s *Sample) (string, bool) {
					return cameChallenge(s), challengeError(s) == "invalid_token"
				}))
			})
		},
	},
	{
		ID:    "bearer.tampered-jwt-refused",
		Title: "A JWT access token with altered claims or signature is refused",
		Group: "bearer-use",
		Level: Must, Wording: Keyword, Binds: "resource-server", Posture: Assert,
		Source:   "RFC 6749 §7, §10.3",
		Editions: AllEditions,
		Summary:  "Tokens must not be modifiable into valid ones.",
		Why:      "The API is open to everybody who sends any token.",
		Applies:  Applies{When: "access token is documented or declared as a JWT; protected resource configured"},
		Requires: []string{"bearer.header-accepted", "bearer.invalid-token-refused"},
		Probe:    "Token with exp raised and signature unchanged; token re-encoded with alg none.",
		Expect:   "Refused, both.",
		Fault:    "Resource decodes without verifying.",
		Check: func(c *Case) {
			token := c.goodToken()
			raised, unsigned, ok := forge(token)
			if !ok {
				c.NotApplicable("the access token is no signed JWT")
			}
			for _, forged := range []struct{ token, what string }{
				{raised, "exp raised, signature unchanged"}, {unsigned, "alg none, no signature"}, {exchange.FlipSignature(token), "one bit of the signature changed"},
			} {
				s := c.Probe(Step(c.Target().Resource(forged.token), "the token with %s", forged.what), At("resource"))
				c.Expect(s).To(shut("a refusal of a token with " + forged.what))
			}
		},
	},
	{
		ID:    "bearer.expired-refused",
		Title: "An expired access token is refused",
		Group: "bearer-use",
		Level: Must, Wording: Keyword, Binds: "resource-server", Posture: Assert,
		Source:   "RFC 6749 §7",
		Editions: AllEditions,
		Summary:  "The resource server has to check expiry.",
		Why:      "A token found months later still opens the door.",
		Applies:  Applies{When: "opt-in for slow probes or a token known to be expired"},
		Requires: []string{"bearer.header-accepted", "bearer.invalid-token-refused"},
		Probe:    "Wait expires_in plus skew (default 120 s), then use the token.",
		Expect:   "Refused.",
		Tolerates: []string{
			"Skew within the allowance; documented grace.",
		},
		Fault:   "Expiry is not enforced; unknown tokens are refused.",
		Effects: []Effect{Slow},
		Check: func(c *Case) {
			c.needResource()
			token := c.goodToken()
			from := c.answerWith(token)
			c.outlive(from)
			s := c.Probe(Step(c.Target().Resource(token), "an access token after its expiry"), At("resource"))
			c.Expect(s).To(shut("a refusal of an expired token"))
		},
	},
	{
		ID:    "bearer.insufficient-scope",
		Title: "Missing privileges yield 403 insufficient_scope",
		Group: "bearer-use",
		Level: Should, Wording: Keyword, Binds: "resource-server", Posture: Advise,
		Source:   "RFC 6750 §3.1",
		Editions: AllEditions,
		Summary:  "A valid token that lacks the needed scope should give 403.",
		Why:      "Clients do not notice that they need a new token, or ask for one in vain.",
		Applies:  Applies{When: "a resource needing a scope the token lacks is configured"},
		Requires: []string{"bearer.header-accepted"},
		Probe:    "Use the token at that resource.",
		Expect:   "403 with error=\"insufficient_scope\".",
		Tolerates: []string{
			"404 where existence is hidden; challenge without scope attribute.",
		},
		Fault: "401 invalid_token for a scope problem.",
		Check: func(c *Case) {
			c.needResource()
			scoped := c.Contract().Resource.Scoped
			if scoped == nil || scoped.URL == "" {
				c.lacks("resource.scoped", "a resource beyond the scope of the token")
			}
			req := c.Golden()
			if asked := req.Scope(); scoped.Needs != "" && slices.Contains(asked, scoped.Needs) {
				fewer := slices.DeleteFunc(slices.Clone(asked), func(s string) bool { return s == scoped.Needs })
				if len(fewer) == 0 {
					c.NotApplicable("the golden request asks for the scope that the resource needs, and for no other")
				}
				req = c.GoldenScoped(fewer...)
			}
			from := c.token(c.Accepted(req))
			granted, told := c.granted(from)
			if told && scoped.Needs != "" && slices.Contains(granted, scoped.Needs) {
				c.NotApplicable("the token has the scope %s that the resource needs", scoped.Needs)
			}
			s := c.Probe(Step(c.Target().Get(c.Target().Rebase(scoped.URL)).Bearer(from.Answer.Text("access_token")), "a token without the scope"), At("resource"))
			if s.Status == 404 {
				c.look(s)
				c.Note("the resource hides from a token without its scope: 404")
				return
			}
			if s.Status/100 == 2 && !told {
				c.look(s)
				c.Inconclusive("the resource takes the token, and nobody tells its scope")
			}
			c.Expect(s).To(satisfy(`status 403 with a Bearer challenge and error="insufficient_scope"`, func(s *Sample) (string, bool) {
				return cameChallenge(s), s.Status == 403 && challengeError(s) == "insufficient_scope"
			}))
		},
	},
	{
		ID:    "bearer.scheme-case",
		Title: "The Bearer scheme name is matched case-insensitively",
		Group: "bearer-use",
		Level: Must, Wording: Derived, Binds: "resource-server", Posture: Advise,
		Source:   "RFC 9110 §11.1; draft-ietf-oauth-v2-1-15 §5.1.1",
		Editions: AllEditions,
		Summary:  "Authentication scheme names ignore case.",
		Why:      "Clients are locked out over the case of a word.",
		Applies:  Applies{When: "protected resource configured"},
		Requires: []string{"bearer.header-accepted"},
		Probe:    "Use \"bearer\" and \"BEARER\" as scheme.",
		Expect:   "Same outcome as with \"Bearer\".",
		Fault:    "Only \"Bearer\" matches.",
		Check: func(c *Case) {
			token := c.goodToken()
			for _, scheme := range []string{"bearer", "BEARER"} {
				s := c.Probe(Step(c.Target().Resource(token).Header("Authorization", scheme+" "+token), "the scheme as %s", scheme), Positive(), At("resource"))
				if !c.opened(s) {
					c.stillGood(token)
				}
				c.Expect(s).To(satisfy("the answer that Bearer gets, status "+c.normal(), func(s *Sample) (string, bool) { return cameChallenge(s), c.opened(s) }))
			}
		},
	},
	{
		ID:    "bearer.query-token-ignored",
		Title: "A token in the URI query is ignored",
		Group: "bearer-use",
		Level: Must, Wording: Keyword, Binds: "resource-server", Posture: Advise,
		Source:   "draft-ietf-oauth-v2-1-15 §5.1",
		Editions: OAuth21,
		Summary:  "OAuth 2.1 makes resource servers ignore tokens in the query; RFC 6750 only advises against them.",
		Why:      "Tokens end up in logs and browser histories.",
		Applies:  Applies{When: "protected resource configured"},
		Requires: []string{"bearer.header-accepted"},
		Probe:    "GET the resource with ?access_token=<token> and no header (short-lived token: it will be logged).",
		Expect:   "Same outcome as without a token.",
		Tolerates: []string{
			"Acceptance under the oauth20 edition.",
		},
		Fault:   "Query token is accepted.",
		Effects: []Effect{LeaksToLogs},
		Check: func(c *Case) {
			s := c.queryToken()
			c.Expect(s).To(shut("the answer to a request without a token, a refusal"))
		},
	},
	{
		ID:    "bearer.query-cache-private",
		Title: "An answer to a query token is marked private",
		Group: "bearer-use",
		Level: Should, Wording: Keyword, Binds: "resource-server", Posture: Advise,
		Source:   "RFC 6750 §2.3",
		Editions: OAuth20 | BCP,
		Summary:  "Where a token in the query is accepted, the successful answer should carry Cache-Control: private.",
		Why:      "A shared cache could hand one user's data to the next.",
		Applies:  Applies{When: "protected resource configured and a query token accepted"},
		Requires: []string{"bearer.header-accepted"},
		Probe:    "The accepted answer seen by bearer.query-token-ignored or its probe.",
		Expect:   "Cache-Control contains private or no-store.",
		Tolerates: []string{
			"Not applicable where query tokens are refused.",
		},
		Fault:   "Query token accepted, answer marked public.",
		Effects: []Effect{LeaksToLogs},
		Check: func(c *Case) {
			s := c.queryToken()
			if !c.opened(s) {
				c.NotApplicable("a token in the query is refused")
			}
			c.Expect(s).To(answerMatcher{
				expected: "Cache-Control: private or no-store",
				came:     func(s *Sample) string { return fieldLines(s, "Cache-Control") },
				match: func(s *Sample) bool {
					d := s.Directives("Cache-Control")
					_, private := d["private"]
					_, noStore := d["no-store"]
					return private || noStore
				},
			})
		},
	},
	{
		ID:    "bearer.form-body",
		Title: "A token in the form body is accepted or refused cleanly",
		Group: "bearer-use",
		Level: May, Wording: Keyword, Binds: "resource-server", Posture: Observe,
		Source:   "RFC 6750 §2.2",
		Editions: AllEditions,
		Summary:  "Resource servers may support the form parameter.",
		Why:      "Reports which ways of sending a token an attacker could use.",
		Applies:  Applies{When: "protected resource configured that takes POST forms"},
		Requires: []string{"bearer.header-accepted"},
		Probe:    "POST access_token=<token> as a form, no header.",
		Expect:   "2xx, or 401 with a Bearer challenge; no 5xx.",
		Tolerates: []string{
			"Either.",
		},
		Fault: "500 for a form-borne token.",
		Check: func(c *Case) {
			token := c.goodToken()
			if !c.Contract().Resource.UserInfo {
				c.NotApplicable("the contract does not say that the protected resource is UserInfo, which takes POST; elsewhere a POST may change something")
			}
			s := c.Probe(Step(c.Target().Get(c.Target().ResourceURL()).WithMethod("POST").Set("access_token", token).AsForm().WithContentType(exchange.FormType), "the token in a form"), At("resource"))
			switch {
			case s.Status == 404, s.Status == 405, s.Status == 415, s.Status == 501:
				c.NotApplicable("the protected resource takes no form: %d", s.Status)
			case s.Status == 401:
				c.Expect(s).To(satisfy("a Bearer challenge beside 401", func(s *Sample) (string, bool) {
					_, ok := s.Challenge("Bearer")
					return cameChallenge(s), ok
				}))
			}
			c.Fact("bearer.form", "A token in the form body of a request", s.Came(), s)
			c.Expect(s).To(belowFault())
		},
	},
	{
		ID:    "bearer.attributes-unique",
		Title: "Bearer challenge attributes occur at most once",
		Group: "bearer-use",
		Level: MustNot, Wording: Keyword, Binds: "resource-server", Posture: Assert,
		Source:   "RFC 6750 §3",
		Editions: AllEditions,
		Summary:  "realm, scope, error, error_description and error_uri must not repeat.",
		Why:      "Clients are not told how to authenticate.",
		Applies:  Applies{When: "a Bearer challenge was seen"},
		Probe:    "Every Bearer challenge of the run.",
		Expect:   "No attribute repeated within one challenge.",
		Fault:    "realm occurs twice.",
		Passive:  true,
		Check: func(c *Case) {
			challenged := c.Answers(func(s *Sample) bool { _, ok := s.Challenge("Bearer"); return ok })
			c.Each(challenged, "no Bearer challenge was seen", func(s *Sample) {
				c.Expect(s).To(satisfy("each attribute of a Bearer challenge once", func(s *Sample) (string, bool) {
					repeated := repeatedAttributes(s)
					return strings.Join(repeated, ", ") + " repeated", len(repeated) == 0
				}))
			})
		},
	},
	{
		ID:    "bearer.refresh-token-refused",
		Title: "A refresh token is not accepted at the resource",
		Group: "bearer-use",
		Level: Must, Wording: Derived, Binds: "resource-server", Posture: Assert,
		Source:   "RFC 6749 §1.5, §7",
		Editions: AllEditions,
		Summary:  "Refresh tokens are meant for the authorization server only.",
		Why:      "A long-lived credential meant for one server works everywhere.",
		Applies:  Applies{When: "refresh token and protected resource available"},
		Requires: []string{"bearer.header-accepted", "bearer.invalid-token-refused"},
		Probe:    "Use the refresh token as bearer token.",
		Expect:   "Refused.",
		Fault:    "Resource accepts any token signed by the issuer.",
		Check: func(c *Case) {
			c.needResource()
			token, _ := c.RefreshToken("")
			s := c.Probe(Step(c.Target().Resource(token), "a refresh token as bearer token"), At("resource"))
			c.Expect(s).To(shut("a refusal of a refresh token"))
		},
	},
}

// needResource ends the check without a protected resource that takes bearer tokens.
func (c *Case) needResource() {
	if use := c.Contract().Token.Use; use != "" && use != "bearer_header" {
		c.NotApplicable("the page has tokens used otherwise than as bearer tokens")
	}
	if c.Target().ResourceURL() == "" {
		c.lacks("resource", "a protected resource")
	}
}

// normal says which status the protected resource answers a good token with.
func (c *Case) normal() string {
	if e := c.Contract().Resource.Expect; e != 0 {
		return fmt.Sprint(e)
	}
	return "2xx"
}

// opened reports whether the protected resource took the token.
func (c *Case) opened(s *Sample) bool {
	e := c.Contract().Resource.Expect
	return s.Err == nil && (s.Status == e || e == 0 && s.Status/100 == 2)
}

// shut succeeds for an answer that neither opens a resource nor breaks.
func shut(expected string) answerMatcher {
	return answerMatcher{about: aboutAnswer, expected: expected, match: func(s *Sample) bool { return s.Status/100 != 2 && s.Status < 500 }}
}

// issuers lists the grants whose tokens may open the protected resource: the golden one first, then
// others that have brought a token, each once. UserInfo is for tokens of users.
func (c *Case) issuers() []pair {
	pairs := []pair{c.run.golden}
	for _, grantType := range []string{"authorization_code", "password", "client_credentials", exchange.GrantType(c.run.golden.grant)} {
		p := c.run.pairFor(grantType, "")
		if p.grant != nil && c.run.answered(p) == answeredOK && !slices.ContainsFunc(pairs, func(q pair) bool { return q.grant == p.grant }) {
			pairs = append(pairs, p)
		}
	}
	if c.Contract().Resource.UserInfo {
		slices.SortStableFunc(pairs, func(a, b pair) int { return boolRank(forMachine(a)) - boolRank(forMachine(b)) })
	}
	return pairs
}

func forMachine(p pair) bool { return exchange.GrantType(p.grant) == "client_credentials" }

// issuedBy mints an access token with the golden request of a pair, with the scope that the protected
// resource needs.
func (c *Case) issuedBy(p pair) string {
	var s *Sample
	if needs := c.Contract().Resource.Needs; needs != "" {
		req := c.goldenOf(p, "")
		if asked := req.Scope(); !slices.Contains(asked, needs) && !consumes(p.grant) {
			req = c.scoped(p, append(slices.Clone(asked), needs)...)
		}
		s = c.Accepted(req)
	} else {
		s = c.Accepted(c.goldenOf(p, ""))
	}
	return c.token(s).Answer.Text("access_token")
}

// goodToken returns an access token that opens the protected resource, minted as the one that
// bearer.header-accepted has seen accepted.
func (c *Case) goodToken() string {
	c.needResource()
	for _, s := range c.AnswersOf("bearer.header-accepted") {
		if !c.opened(s) || s.Endpoint != "resource" {
			continue
		}
		from := c.answerWith(bearerOf(s))
		if p := c.run.pairFor(exchange.GrantType(c.GrantOf(from)), from.client); p.grant != nil {
			return c.issuedBy(p)
		}
	}
	c.Blocked("no token is seen to open the protected resource")
	return ""
}

// stillGood ends the check where a token that was just good does not open the resource any more.
func (c *Case) stillGood(token string) {
	if s := c.Probe(Step(c.Target().Resource(token), "the same token as usual"), Positive(), At("resource")); !c.opened(s) {
		c.look(s)
		c.Inconclusive("the token opens the protected resource in no way any more: %s", s.Came())
	}
}

// answerWith finds the answer that an access token came in.
func (c *Case) answerWith(token string) *Sample {
	for _, s := range c.Tokens() {
		if s.Answer.Text("access_token") == token {
			return s
		}
	}
	c.Blocked("the answer that the token came in is not known")
	return nil
}

// bearerOf returns the token that a request to the resource carried.
func bearerOf(s *Sample) string {
	_, token, _ := strings.Cut(s.Request.GetHeader("Authorization"), " ")
	return token
}

// queryToken sends a good token in the query, once in a run. A resource that is open without a token
// tells nothing.
func (c *Case) queryToken() *Sample {
	token := c.goodToken()
	if without := c.Probe(Step(c.Target().Resource(""), "no token"), At("resource")); c.opened(without) {
		c.look(without)
		c.Inconclusive("the protected resource is open without a token")
	}
	return c.Probe(Step(c.Target().Get(c.Target().ResourceURL()).Set("access_token", token).MoveTo(exchange.InQuery, "access_token"), "the token in the query"), At("resource"))
}

// challengeError returns the error code of the Bearer challenge, "" without one.
func challengeError(s *Sample) string {
	ch, _ := s.Challenge("Bearer")
	code, _ := ch.Get("error")
	return code
}

// cameChallenge says what an answer of the resource was, with the schemes and codes of its challenges.
func cameChallenge(s *Sample) string {
	challenges, _ := s.Challenges()
	if len(challenges) == 0 {
		return s.Came() + ", no challenge"
	}
	var schemes []string
	for _, ch := range challenges {
		word := exchange.Printable(ch.Scheme, 40)
		if code, ok := ch.Get("error"); ok {
			word += " " + exchange.Printable(code, 60)
		} else if len(ch.Params) == 0 {
			word += " without parameters"
		}
		schemes = append(schemes, word)
	}
	return s.Came() + ", challenge " + strings.Join(schemes, ", ")
}

// repeatedAttributes lists what stands more than once in one Bearer challenge.
func repeatedAttributes(s *Sample) (out []string) {
	challenges, _ := s.Challenges()
	for _, ch := range challenges {
		seen := map[string]int{}
		for _, p := range ch.Params {
			name := strings.ToLower(p.Name)
			if seen[name]++; strings.EqualFold(ch.Scheme, "Bearer") && seen[name] == 2 && slices.Contains([]string{"realm", "scope", "error", "error_description", "error_uri"}, name) {
				out = append(out, name)
			}
		}
	}
	return out
}

// forge alters a signed JWT in two ways: a later exp under the old signature, and alg none.
func forge(token string) (raised, unsigned string, ok bool) {
	header, claims, ok := jwtOf(token)
	if !ok || strings.EqualFold(header.Get("alg").Text, "none") {
		return "", "", false
	}
	parts := strings.Split(token, ".")
	encode := base64.RawURLEncoding.EncodeToString
	later := map[string]json.RawMessage{}
	for _, m := range claims.Members {
		later[m.Name] = json.RawMessage(m.Value.Raw)
	}
	exp, _ := claims.Get("exp").Integer()
	later["exp"] = json.RawMessage(fmt.Sprint(exp + int64(24*time.Hour/time.Second)))
	body, err := json.Marshal(later)
	if err != nil {
		return "", "", false
	}
	return parts[0] + "." + encode(body) + "." + parts[2], encode([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + ".", true
}
