package suites

// revocationRules is the group revocation of the catalogue.
var revocationRules = []Rule{
	{
		ID:    "revoke.refresh-token-ok",
		Title: "Revoking a refresh token answers 200",
		Group: "revocation",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 7009 §2, §2.2",
		Editions: AllEditions,
		Summary:  "Revocation of refresh tokens has to be supported and answered with 200.",
		Why:      "Signing out does not end access: the token goes on working.",
		Applies:  Applies{When: "revocation endpoint configured; refresh token available"},
		Requires: []string{"request.form-accepted"},
		Probe:    "POST token=<refresh token> with client authentication.",
		Expect:   "200; body ignored.",
		Tolerates: []string{
			"Empty or non-empty body.",
		},
		Fault:   "Answers 204 No Content for refresh tokens.",
		Effects: []Effect{Revokes},
		Check: func(c *Case) {
			c.needRevocation()
			token, from := c.RefreshToken("")
			c.Expect(c.revoke(token, from, "a live refresh token")).To(HaveStatus(200))
		},
	},
	{
		ID:    "revoke.refresh-token-dead",
		Title: "A revoked refresh token no longer works",
		Group: "revocation",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 7009 §2.1",
		Editions: AllEditions,
		Summary:  "The token cannot be used again after revocation.",
		Why:      "Signing out does not end access: the token goes on working.",
		Applies:  Applies{When: "revocation endpoint configured; refresh token available"},
		Requires: []string{"revoke.refresh-token-ok", "refresh.unknown-token-refused"},
		Probe:    "Refresh with the revoked token, polling up to 30 s.",
		Expect:   "refused with invalid_grant.",
		Tolerates: []string{
			"Propagation delay within the polling window.",
		},
		Fault:   "Answers 200 but does nothing.",
		Effects: []Effect{Revokes},
		Check: func(c *Case) {
			c.needRevocation()
			token, from := c.RefreshToken("")
			c.revoked(c.revoke(token, from, "a live refresh token"))
			c.refreshDead(token, "the revoked refresh token")
		},
	},
	{
		ID:    "revoke.unknown-token-ok",
		Title: "Revoking an invalid token answers 200",
		Group: "revocation",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 7009 §2.2",
		Editions: AllEditions,
		Summary:  "Invalid tokens do not cause an error.",
		Why:      "Clients cannot finish a sign-out because the token was already gone.",
		Applies:  Applies{When: "revocation endpoint configured"},
		Requires: []string{"request.form-accepted"},
		Probe:    "POST token=<random> with client authentication.",
		Expect:   "200.",
		Tolerates: []string{
			"503 means retry.",
		},
		Fault: "400 invalid_token for unknown tokens.",
		Check: func(c *Case) {
			c.needRevocation()
			c.Expect(c.revoke(c.Target().Random(40), nil, "a token that was never issued")).To(HaveStatus(200))
		},
	},
	{
		ID:    "revoke.client-auth-required",
		Title: "Revocation validates client credentials",
		Group: "revocation",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 7009 §2.1",
		Editions: AllEditions,
		Summary:  "The server first validates the credentials of a confidential client.",
		Why:      "Strangers or other clients can sign users out.",
		Applies:  Applies{When: "revocation endpoint configured; confidential client"},
		Requires: []string{"request.form-accepted", "client-auth.wrong-secret-refused"},
		Probe:    "POST a live token with a wrong secret.",
		Expect:   "refused; and the token still works.",
		Tolerates: []string{
			"401 or 400 invalid_client.",
		},
		Fault:   "Anyone holding the token can revoke it without credentials.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			c.needRevocation()
			token, from, lives := c.lasting()
			req := c.revocation(token, from)
			if _, secret := req.Credentials(); secret == "" {
				c.NotApplicable("the client that revokes holds no secret")
			}
			s := c.Probe(Step(req.Secret(c.WrongSecret(req)), "a live token, with a wrong secret"), At("revocation"))
			c.Expect(s).To(turnAway("a refusal of the wrong secret"))
			if ok, last := lives(); !ok {
				c.Violate(last, "a token that lives on after a refused revocation", "a dead one")
			}
		},
	},
	{
		ID:    "revoke.foreign-token-kept",
		Title: "A client cannot revoke another client's token",
		Group: "revocation",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 7009 §2.1",
		Editions: AllEditions,
		Summary:  "The token has to have been issued to the requesting client; otherwise the request is refused and the client told so.",
		Why:      "Strangers or other clients can sign users out.",
		Applies:  Applies{When: "revocation endpoint configured; second fixture client supplied"},
		Requires: []string{"revoke.client-auth-required"},
		Probe:    "Client B revokes a live token of client A; check that it still works.",
		Expect:   "Token of A remains active.",
		Tolerates: []string{
			"The answer itself may be an error or 200 (to avoid disclosure).",
		},
		Fault:   "Ownership is not checked.",
		Effects: []Effect{Revokes},
		Check: func(c *Case) {
			c.needRevocation()
			second := c.authenticates("second")
			token, _, lives := c.lasting()
			req, err := c.Target().Revocation(token, second)
			c.orNeed(err)
			s := c.manage(Step(c.known(req, "revocation"), "a live token of the first client, by the second"), "revocation")
			if s.Status == 401 {
				// Some refuse a foreign token with 401 invalid_client: a token of nobody tells who authenticates.
				nobodys, err := c.Target().Revocation(c.Target().Random(40), second)
				c.orNeed(err)
				if c.manage(Step(c.known(nobodys, "revocation"), "a token that was never issued, by the second"), "revocation").Status/100 != 2 {
					c.look(s)
					c.Inconclusive("the second client is not seen to authenticate at the revocation endpoint")
				}
			}
			if ok, last := lives(); !ok {
				c.look(s)
				c.Violate(last, "the token of another client lives on", "it is dead after "+s.Came()+" to the revocation")
			}
		},
	},
	{
		ID:    "revoke.access-token",
		Title: "Access tokens can be revoked, or the type is declared unsupported",
		Group: "revocation",
		Level: Should, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 7009 §2, §2.2.1",
		Editions: AllEditions,
		Summary:  "Access token revocation should be supported; otherwise a dedicated error code exists.",
		Why:      "Signing out does not end access: the token goes on working.",
		Applies:  Applies{When: "revocation endpoint configured; introspection or resource available"},
		Requires: []string{"revoke.unknown-token-ok"},
		Probe:    "Revoke a live access token; check it.",
		Expect:   "200 and inactive within 30 s; or 400 unsupported_token_type.",
		Tolerates: []string{
			"200 for self-contained tokens that stay valid until expiry (note).",
		},
		Fault:   "200 and the reference token stays active.",
		Effects: []Effect{Revokes},
		Check: func(c *Case) {
			c.needRevocation()
			c.observable()
			c.discerning()
			token, from := c.visible()
			c.mustLive(token)
			s := c.revoke(token, from, "a live access token")
			if s.Status == 400 && s.Code() == "unsupported_token_type" {
				return
			}
			c.Expect(s).To(satisfy("status 200, or 400 unsupported_token_type", func(s *Sample) (string, bool) { return s.Came(), s.Status == 200 }))
			c.accessDead(token, "the revoked access token")
		},
	},
	{
		ID:    "revoke.cascade",
		Title: "Revoking a refresh token invalidates its access tokens",
		Group: "revocation",
		Level: Should, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 7009 §2.1",
		Editions: AllEditions,
		Summary:  "If access token revocation is supported, the server should also invalidate access tokens of the same grant.",
		Why:      "Signing out does not end access: the token goes on working.",
		Applies:  Applies{When: "revocation endpoint configured; introspection or resource available"},
		Requires: []string{"revoke.access-token"},
		Probe:    "Revoke the refresh token; check the sibling access token.",
		Expect:   "Inactive within 30 s.",
		Tolerates: []string{
			"Self-contained tokens.",
		},
		Fault:   "Sibling access token stays active.",
		Effects: []Effect{Revokes},
		Check: func(c *Case) {
			for _, s := range c.AnswersOf("revoke.access-token") {
				if s.Code() == "unsupported_token_type" {
					c.NotApplicable("the server does not revoke access tokens")
				}
			}
			c.needRevocation()
			c.observable()
			c.discerning()
			token, from := c.RefreshToken("")
			access := from.Answer.Text("access_token")
			c.mustLive(access)
			c.revoked(c.revoke(token, from, "a live refresh token"))
			c.accessDead(access, "the access token issued beside a revoked refresh token")
		},
	},
	{
		ID:    "revoke.wrong-hint",
		Title: "A wrong or unknown token_type_hint does not prevent revocation",
		Group: "revocation",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7009 §2.1, §2.2",
		Editions: AllEditions,
		Summary:  "The search has to be extended to all token types, and unknown hints are ignored.",
		Why:      "Signing out does not end access: the token goes on working.",
		Applies:  Applies{When: "revocation endpoint configured"},
		Requires: []string{"revoke.refresh-token-dead"},
		Probe:    "Revoke a live refresh token with token_type_hint=access_token; another with hint=grantcheck.",
		Expect:   "200, and both tokens are dead.",
		Fault:    "Hint restricts the lookup; the token survives.",
		Effects:  []Effect{Revokes},
		Check: func(c *Case) {
			c.needRevocation()
			for _, hint := range []string{"access_token", "grantcheck"} {
				token, from := c.RefreshToken("")
				s := c.manage(Step(c.revocation(token, from).Set("token_type_hint", hint), "a live refresh token with token_type_hint=%s", hint), "revocation")
				c.Expect(s).To(HaveStatus(200))
				c.refreshDead(token, "a refresh token revoked with token_type_hint="+hint)
			}
		},
	},
	{
		ID:    "revoke.missing-token",
		Title: "A revocation request without token is an error",
		Group: "revocation",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 7009 §2.1, §2.2.1",
		Editions: AllEditions,
		Summary:  "token is mandatory; errors follow the token endpoint format.",
		Why:      "A client that forgot the token believes it has signed the user out.",
		Applies:  Applies{When: "revocation endpoint configured"},
		Requires: []string{"request.form-accepted"},
		Probe:    "POST without token.",
		Expect:   "400 with error invalid_request.",
		Tolerates: []string{
			"200 as a note (lenient servers treat nothing as already revoked).",
		},
		Fault: "500.",
		Check: func(c *Case) {
			c.needRevocation()
			s := c.manage(Step(c.revocation("", nil).Drop("token"), "without token"), "revocation")
			if s.Status == 200 && s.Code() == "" {
				c.look(s)
				c.Note("a request without token is answered with 200: nothing counts as revoked already")
				return
			}
			c.Expect(s).To(HaveStatus(400))
			c.Expect(s).To(HaveErrorCode("invalid_request"))
		},
	},
}

// needRevocation ends the check without a revocation endpoint.
func (c *Case) needRevocation() {
	if c.Target().RevocationURL() == "" {
		c.lacks("revocation", "a revocation endpoint")
	}
}

// revoke asks to revoke a token that came in the answer from.
func (c *Case) revoke(token string, from *Sample, what string) *Sample {
	return c.manage(Step(c.revocation(token, from), "%s", what), "revocation")
}

// revoked ends the check unless a revocation was answered with 200.
func (c *Case) revoked(s *Sample) {
	if s.Status != 200 {
		c.look(s)
		c.Inconclusive("a revocation was answered with %s", s.Came())
	}
}

// refreshDead expects a refresh token to be refused, at the latest when its revocation has had the
// time to spread. Where it still works and is replaced, the new one has to die with it.
func (c *Case) refreshDead(token, what string) {
	s := c.Eventually(spread, func() *Sample {
		s := c.Probe(Step(c.Refresh(token, ""), "%s", what), Provokes("bad_refresh_token"))
		if next := s.Answer.Text("refresh_token"); s.Answer.OK() && next != "" {
			token = next
		}
		return s
	}, func(s *Sample) bool { return !s.Answer.OK() })
	if s.Answer.OK() {
		c.Violate(s, "a refusal of "+what, s.Came())
	}
	c.ExpectRefused(s, "invalid_grant")
}

// accessDead expects an access token to die. That of a token which carries its own truth, and is
// still taken until it expires, is a note.
func (c *Case) accessDead(token, what string) {
	dead, last := c.dies(token)
	if dead {
		return
	}
	if _, _, jwt := jwtOf(token); jwt || c.selfContained(token) {
		c.look(last)
		c.Note("%s is a JWT and stays good until it expires", what)
		return
	}
	c.Violate(last, what+" inactive within 30 s", "it still lives")
}

// lasting issues a token, and returns how to see later whether it lives: a refresh token by using
// it, else an access token by asking. Where a fresh token of its kind is dead as well, nothing is told.
func (c *Case) lasting() (token string, from *Sample, lives func() (bool, *Sample)) {
	if p := c.run.pairFor("refresh_token", ""); p.grant != nil {
		var err error
		if token, from, err = c.run.supply.mint(c.ctx, c, ""); err == nil && token != "" {
			works := func(token string) *Sample {
				return c.Probe(Step(c.Refresh(token, ""), "the token that was to live on"), Positive())
			}
			return token, from, func() (bool, *Sample) {
				s := works(token)
				if s.Answer.OK() {
					return true, s
				}
				other, _ := c.RefreshToken("")
				if control := works(other); !control.Answer.OK() {
					c.look(control)
					c.Inconclusive("no refresh token works, revoked or not: %s", control.Came())
				}
				return false, s
			}
		}
	}
	c.observable()
	c.discerning()
	token, from = c.visible()
	c.mustLive(token)
	return token, from, func() (bool, *Sample) { return c.alive(token) }
}

// turnAway succeeds for an answer that says no at an endpoint that issues no tokens: a 4xx, or an
// error in an answer of any other status below 500.
func turnAway(expected string) answerMatcher {
	return answerMatcher{about: aboutAnswer, expected: expected, match: func(s *Sample) bool {
		return s.Status/100 == 4 || s.Status < 400 && s.Code() != ""
	}}
}
