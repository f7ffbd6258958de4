package suites

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"grantcheck/suites/exchange"
)

// introspectionRules is the group introspection of the catalogue.
var introspectionRules = []Rule{
	{
		ID:    "introspect.active-live",
		Title: "A live token introspects as active true, boolean",
		Group: "introspection",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7662 §2.2",
		Editions: AllEditions,
		Summary:  "active is mandatory and a boolean.",
		Why:      "APIs misread the answer and let the wrong ones in or the right ones out.",
		Applies:  Applies{When: "introspection endpoint configured with its own credentials"},
		Requires: []string{"response.access-token"},
		Probe:    "POST token=<live access token>.",
		Expect:   "200 JSON object with active equal to true (JSON boolean).",
		Tolerates: []string{
			"active false for a caller that is not entitled to see the token is right: inconclusive unless the contract says the caller may.",
		},
		Fault:   "\"active\": \"true\" as a string.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			c.needIntrospection()
			token, _ := c.visible()
			s := c.manage(Step(c.introspection(token), "a live access token"), "introspection")
			c.entitled(s)
			c.Expect(s).To(HaveStatus(200))
			c.Expect(s).To(satisfy("one JSON object", func(s *Sample) (string, bool) { return "another body", s.Answer.Strict().IsObject() }))
			active := s.Answer.Lenient().Get("active")
			if active.Raw == "false" && c.Contract().Introspection.Client == nil {
				c.look(s)
				c.Inconclusive("a live token is told inactive, as is right for a caller that may not see it; the contract names none that may")
			}
			c.Expect(s).To(tellActive(true))
		},
	},
	{
		ID:    "introspect.auth-required",
		Title: "Introspection requires authorization",
		Group: "introspection",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7662 §2.1",
		Editions: AllEditions,
		Summary:  "The endpoint has to be protected against token scanning.",
		Why:      "Strangers can test stolen or guessed tokens at leisure.",
		Applies:  Applies{When: "introspection endpoint configured"},
		Requires: []string{"request.form-accepted"},
		Probe:    "POST a live token without credentials.",
		Expect:   "401, 403 or 400; no active true; 429 and 503 are inconclusive.",
		Tolerates: []string{
			"active false with 200 is a warning.",
		},
		Fault: "Anonymous introspection works.",
		Check: func(c *Case) {
			c.needIntrospection()
			token, _ := c.visible()
			s := c.Probe(Step(c.introspection(token).NoAuth(), "a live token, without credentials"), At("introspection"))
			if s.Status == 200 && s.Answer.Lenient().Get("active").Raw == "false" {
				c.Warn(s, "a refusal of a request without credentials", "200 with active false")
				return
			}
			c.Expect(s).To(satisfy("a refusal of a request without credentials", func(s *Sample) (string, bool) {
				active := s.Answer.Lenient().Get("active")
				return cameActive(s), s.Status < 500 && !active.Present() && (s.Status/100 != 2 || s.Code() != "")
			}))
		},
	},
	{
		ID:    "introspect.bad-credentials-401",
		Title: "Introspection answers bad client credentials with 401",
		Group: "introspection",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 7662 §2.3; RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "Invalid client credentials, or an invalid bearer token, at this endpoint are answered with 401.",
		Why:      "An API cannot tell a bad token from its own bad password, and may let the wrong one pass.",
		Applies:  Applies{When: "introspection endpoint configured"},
		Requires: []string{"introspect.auth-required"},
		Probe:    "POST a live token with a wrong caller secret.",
		Expect:   "401, with a challenge when an Authorization header was sent; no active member.",
		Tolerates: []string{
			"400 invalid_client when the credentials were in the body.",
		},
		Fault:   "Answers 200 with active false.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			c.needIntrospection()
			token, _ := c.visible()
			req := c.introspection(token)
			_, secret := req.Credentials()
			if secret == "" {
				c.NotApplicable("the caller of introspection holds no secret")
			}
			s := c.Probe(Step(req.Secret(c.Target().RandomLike(secret)), "a live token, with a wrong caller secret"), At("introspection"))
			if s.Answer.Lenient().Get("active").Present() {
				c.Violate(s, "status 401 without active", cameActive(s))
			}
			basic := req.AuthMethod() == "basic"
			if !basic && s.Status == 400 && s.Code() == "invalid_client" {
				c.look(s)
				return
			}
			c.Expect(s).To(HaveStatus(401))
			if challenges, _ := s.Challenges(); basic && len(challenges) == 0 {
				c.Violate(s, "a WWW-Authenticate challenge beside 401 to an Authorization header", fieldLines(s, "WWW-Authenticate"))
			}
		},
	},
	{
		ID:    "introspect.unknown-inactive",
		Title: "An unknown token introspects as inactive with 200",
		Group: "introspection",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7662 §2.2, §2.3",
		Editions: AllEditions,
		Summary:  "An authorized query about a bad token is not an error; the answer is active false.",
		Why:      "APIs misread the answer and let the wrong ones in or the right ones out.",
		Applies:  Applies{When: "introspection endpoint configured"},
		Requires: []string{"introspect.active-live"},
		Probe:    "POST token=<random>.",
		Expect:   "200 with active false.",
		Tolerates: []string{
			"Callers that are refused outright belong to introspect.auth-required.",
		},
		Fault: "400 invalid_token.",
		Check: func(c *Case) {
			s := c.manage(Step(c.introspection(c.Target().Random(40)), "a token that was never issued"), "introspection")
			c.entitled(s)
			c.Expect(s).To(HaveStatus(200))
			c.Expect(s).To(tellActive(false))
		},
	},
	{
		ID:    "introspect.inactive-minimal",
		Title: "An inactive answer discloses nothing else",
		Group: "introspection",
		Level: ShouldNot, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 7662 §2.2",
		Editions: AllEditions,
		Summary:  "Nothing beyond active should be said about an inactive token.",
		Why:      "Strangers can test stolen or guessed tokens at leisure.",
		Applies:  Applies{When: "introspection endpoint configured"},
		Requires: []string{"introspect.unknown-inactive"},
		Probe:    "The answer to introspect.unknown-inactive and, if available, to a revoked token.",
		Expect:   "The object has only the member active.",
		Fault:    "Adds the reason and the expiry.",
		Passive:  true,
		Check: func(c *Case) {
			inactive := c.Answers(func(s *Sample) bool {
				return s.Endpoint == "introspection" && s.Status == 200 && s.Answer.Lenient().Get("active").Raw == "false"
			})
			c.Each(inactive, "introspection told no token inactive", func(s *Sample) {
				c.Expect(s).To(satisfy("active alone", func(s *Sample) (string, bool) {
					names := slices.DeleteFunc(s.Answer.Lenient().Names(), func(n string) bool { return n == "active" })
					return "also " + exchange.Printable(strings.Join(names, ", "), 200), len(names) == 0
				}))
			})
		},
	},
	{
		ID:    "introspect.revoked-inactive",
		Title: "Revoked and expired tokens introspect as inactive",
		Group: "introspection",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7662 §4",
		Editions: AllEditions,
		Summary:  "The server has to perform all applicable checks of the token's state.",
		Why:      "Revoked tokens go on opening every API that asks here.",
		Applies:  Applies{When: "introspection and revocation configured, and a refresh token available; or opt-in for slow probes"},
		Requires: []string{"introspect.active-live", "revoke.refresh-token-dead"},
		Probe:    "Introspect a refresh token that was revoked and that the token endpoint already refuses, polling up to 30 s; without one, an access token after its expiry.",
		Expect:   "active false.",
		Tolerates: []string{
			"Servers that do not introspect refresh tokens answer active false anyway.",
		},
		Fault:   "Introspection answers active true for a token that the token endpoint refuses.",
		Effects: []Effect{Revokes},
		Check: func(c *Case) {
			ask := func(token, what string) {
				s := c.Eventually(spread, func() *Sample {
					return c.manage(Step(c.introspection(token), "%s", what), "introspection")
				}, func(s *Sample) bool { return s.Answer.Lenient().Get("active").Text != "true" })
				c.Expect(s).To(satisfy("active false for "+what, func(s *Sample) (string, bool) {
					return cameActive(s), s.Answer.Lenient().Get("active").Text != "true"
				}))
			}
			c.needIntrospection()
			if c.Target().RevocationURL() != "" {
				if token, from, err := c.run.supply.mint(c.ctx, c, ""); err == nil && token != "" {
					c.revoked(c.revoke(token, from, "a live refresh token"))
					c.refreshDead(token, "the revoked refresh token")
					ask(token, "a revoked refresh token")
					return
				}
			}
			c.NeedsConsent(Slow)
			token, from := c.visible()
			c.outlive(from)
			ask(token, "an expired access token")
		},
	},
	{
		ID:    "introspect.types",
		Title: "Introspection members have their defined types",
		Group: "introspection",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 7662 §2.2",
		Editions: AllEditions,
		Summary:  "exp, iat, nbf are integer timestamps; scope is a space-delimited string; client_id, username, token_type, sub, iss, jti are strings.",
		Why:      "APIs misread the answer and let the wrong ones in or the right ones out.",
		Applies:  Applies{When: "introspection endpoint configured"},
		Requires: []string{"introspect.active-live"},
		Probe:    "The answer to introspect.active-live.",
		Expect:   "Types as defined for the members present.",
		Tolerates: []string{
			"Absence; aud as string or array; extension members.",
		},
		Fault: "exp is an ISO date string.",
		Check: func(c *Case) {
			live := slices.DeleteFunc(c.AnswersOf("introspect.active-live"), func(s *Sample) bool { return s.Answer.Lenient().Get("active").Raw != "true" })
			c.Each(live, "introspection told no token active", func(s *Sample) {
				for _, m := range s.Answer.Lenient().Members {
					expected, ok := introspectedForm(m)
					switch {
					case m.Value.Kind == exchange.Null && !c.Strict():
						c.Note("%s is null, where it is to be left out", m.Name)
					case !ok:
						c.Violate(s, m.Name+" as "+expected, m.Name+" as "+string(m.Value.Kind))
					}
				}
			})
		},
	},
	{
		ID:    "introspect.wrong-hint",
		Title: "A wrong token_type_hint does not hide a live token",
		Group: "introspection",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7662 §2.1",
		Editions: AllEditions,
		Summary:  "The search has to be extended across all token types.",
		Why:      "APIs misread the answer and let the wrong ones in or the right ones out.",
		Applies:  Applies{When: "introspection endpoint configured"},
		Requires: []string{"introspect.active-live"},
		Probe:    "POST a live access token with token_type_hint=refresh_token.",
		Expect:   "active true.",
		Fault:    "Hint restricts the lookup: active false.",
		Check: func(c *Case) {
			token, _ := c.visible()
			s := c.manage(Step(c.introspection(token).Set("token_type_hint", "refresh_token"), "a live access token with token_type_hint=refresh_token"), "introspection")
			c.Expect(s).To(HaveStatus(200))
			if s.Answer.Lenient().Get("active").Raw != "true" {
				c.mustLive(token)
			}
			c.Expect(s).To(tellActive(true))
		},
	},
}

// needIntrospection ends the check without an introspection endpoint.
func (c *Case) needIntrospection() {
	if c.Target().IntrospectionURL() == "" {
		c.lacks("introspection", "an introspection endpoint")
	}
}

// entitled ends the check where the caller itself was turned away.
func (c *Case) entitled(s *Sample) {
	if s.Status == 401 || s.Status == 403 {
		c.look(s)
		c.Inconclusive("the introspection endpoint turns its caller away: %s", s.Came())
	}
}

// tellActive succeeds for an answer whose active is this JSON boolean.
func tellActive(want bool) answerMatcher {
	words := map[bool]string{true: "true", false: "false"}[want]
	return answerMatcher{
		expected: "active " + words + ", a JSON boolean", came: cameActive,
		match: func(s *Sample) bool { return s.Answer.Lenient().Get("active").Raw == words },
	}
}

// cameActive says what an answer told of a token.
func cameActive(s *Sample) string {
	if active := s.Answer.Lenient().Get("active"); active.Kind != "" {
		return s.Came() + " with active " + exchange.Printable(active.Raw, 40)
	}
	return s.Came() + " without active"
}

// introspectedForm says what a registered member has to be, and whether it is.
func introspectedForm(m exchange.Member) (expected string, ok bool) {
	switch m.Name {
	case "exp", "iat", "nbf":
		_, ok := m.Value.Integer()
		return "an integer, seconds since 1970", ok
	case "scope":
		return "a string of scopes with spaces between them", m.Value.Kind == exchange.String
	case "client_id", "username", "token_type", "sub", "iss", "jti":
		return "a string", m.Value.Kind == exchange.String
	case "aud":
		return "a string or an array of strings", m.Value.Kind == exchange.String || someStrings.fits(m.Value)
	}
	return "", true
}

// longestWait is how long a run waits for a token to expire.
const longestWait = time.Hour

// outlive waits until the access token of an answer has expired, clock skew included.
func (c *Case) outlive(from *Sample) {
	lifetime, ok := from.Answer.Lifetime()
	if _, claims, jwt := jwtOf(from.Answer.Text("access_token")); !ok && jwt {
		if exp, whole := claims.Get("exp").Integer(); whole {
			lifetime, ok = time.Unix(exp, 0).Sub(from.Sent), true
		}
	}
	switch {
	case !ok || lifetime <= 0:
		c.NotApplicable("nobody tells how long the access token lives")
	case lifetime > longestWait:
		c.NotApplicable("the access token lives for %s, longer than a run waits", lifetime)
	}
	c.Wait(lifetime+cmp.Or(c.Contract().ClockSkew, 2*time.Minute), "an access token to expire")
}
