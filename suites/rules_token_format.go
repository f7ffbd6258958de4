package suites

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"grantcheck/suites/exchange"
)

// tokenFormatRules is the group token-format of the catalogue.
var tokenFormatRules = []Rule{
	{
		ID:    "token.jwt-typ",
		Title: "A profiled JWT access token declares typ at+jwt",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9068 §2.1",
		Editions: AllEditions,
		Summary:  "The header names the access token media type; the short form is preferred.",
		Why:      "APIs that check access tokens as the profile says will reject them, or take an identity token for one.",
		Applies:  Applies{When: "contract declares RFC 9068, or metadata/introspection says so"},
		Requires: []string{"request.form-accepted", "response.access-token"},
		Probe:    "Decode the golden access token.",
		Expect:   "typ is at+jwt or application/at+jwt, ignoring case.",
		Tolerates: []string{
			"A plain JWT access token of a server that does not claim RFC 9068: not applicable.",
		},
		Fault:   "typ is JWT.",
		Passive: true,
		Check: func(c *Case) {
			c.eachProfiled(func(s *Sample, header, _ exchange.Value) {
				typ := header.Get("typ")
				if strings.TrimPrefix(strings.ToLower(typ.Text), "application/") != "at+jwt" || typ.Kind != exchange.String {
					c.Violate(s, "typ at+jwt", claimWords(typ, "typ"))
				}
			})
		},
	},
	{
		ID:    "token.jwt-signed",
		Title: "A JWT access token is not unsigned",
		Group: "token-format",
		Level: MustNot, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9068 §2.1; RFC 6749 §10.3",
		Editions: AllEditions,
		Summary:  "Profiled tokens have to be signed and must not use alg none; any self-contained token must resist modification.",
		Why:      "Anyone can write an access token that an API will believe.",
		Applies:  Applies{When: "contract declares RFC 9068, or access token is documented as a JWT"},
		Requires: []string{"request.form-accepted", "response.access-token"},
		Probe:    "Decode the golden access token header.",
		Expect:   "alg is present, not none, and the signature segment is not empty.",
		Tolerates: []string{
			"Symmetric algorithms (HS256) where the vendor documents a plain JWT; encrypted tokens with five segments are skipped.",
		},
		Fault:   "alg none with an empty signature.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(c.documentedJWTs(), "every access token that was issued is encrypted", func(s *Sample) {
				token := s.Answer.Text(exchange.AccessToken)
				header, _, ok := jwtOf(token)
				if !ok {
					header, _ = headerOf(token)
				}
				why := "a token that is none"
				if header.Kind != "" && unsigned(token, header) != "" {
					why, ok = unsigned(token, header), false
				}
				if !ok {
					c.Violate(s, "a signed JWT in compact form", why)
				}
			})
		},
	},
	{
		ID:    "token.jwt-signature",
		Title: "A JWT access token verifies with the published keys",
		Group: "token-format",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 9068 §2.1, §4",
		Editions: AllEditions,
		Summary:  "The resource server has to verify with the keys the server publishes, so a token that does not verify is useless.",
		Why:      "No API can verify the tokens, or each has to trust them blindly.",
		Applies:  Applies{When: "RFC 9068 declared and JWKS reachable"},
		Requires: []string{"token.jwt-signed"},
		Probe:    "Verify the golden token with the key selected by kid and alg from jwks_uri.",
		Expect:   "Signature valid.",
		Tolerates: []string{
			"JWKS refetched once on unknown kid.",
		},
		Fault:   "Signs access tokens with a key that is not in the JWKS.",
		Passive: true,
		Check: func(c *Case) {
			c.eachProfiled(func(s *Sample, header, _ exchange.Value) {
				if symmetric(header) {
					c.Note("the access token is signed with %s: none but the holders of the secret can verify it", header.Get("alg").Text)
					return
				}
				if why := c.notVerified(s.Answer.Text(exchange.AccessToken), header, true); why != "" {
					c.Violate(s, "a signature that a published key verifies", why)
				}
			})
		},
	},
	{
		ID:    "token.jwt-iss",
		Title: "A profiled access token carries the issuer identifier",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9068 §2.2, §4",
		Editions: AllEditions,
		Summary:  "iss is mandatory and identifies the server.",
		Why:      "APIs that check access tokens as the profile says will reject them, or take an identity token for one.",
		Applies:  Applies{When: "RFC 9068 declared"},
		Requires: []string{"token.jwt-signed"},
		Probe:    "Decode the golden token.",
		Expect:   "iss equals the contract's issuer identifier exactly.",
		Fault:    "iss carries a trailing slash the metadata issuer lacks.",
		Passive:  true,
		Check: func(c *Case) {
			if c.Target().Issuer() == "" {
				c.NotApplicable("the contract names no issuer identifier")
			}
			c.eachProfiled(func(s *Sample, _, claims exchange.Value) {
				if iss := claims.Get("iss"); iss.Kind != exchange.String || iss.Text != c.Target().Issuer() {
					c.Violate(s, "iss "+c.Target().Issuer(), claimWords(iss, "iss"))
				}
			})
		},
	},
	{
		ID:    "token.jwt-exp",
		Title: "A profiled access token carries a future exp",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9068 §2.2",
		Editions: AllEditions,
		Summary:  "exp is mandatory.",
		Why:      "APIs that check access tokens as the profile says will reject them, or take an identity token for one.",
		Applies:  Applies{When: "RFC 9068 declared"},
		Requires: []string{"token.jwt-signed"},
		Probe:    "Decode the golden token.",
		Expect:   "exp is a number later than now.",
		Fault:    "exp missing.",
		Passive:  true,
		Check: func(c *Case) {
			c.eachProfiled(func(s *Sample, _, claims exchange.Value) {
				exp, came := numericDate(claims, "exp")
				if came == "" && !exp.After(earliest(s)) {
					came = fmt.Sprintf("exp %s in an answer of %s", date(exp), date(earliest(s)))
				}
				if came != "" {
					c.Violate(s, "exp as a number later than now", came)
				}
			})
		},
	},
	{
		ID:    "token.jwt-aud",
		Title: "A profiled access token carries an audience",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9068 §2.2, §3",
		Editions: AllEditions,
		Summary:  "aud is mandatory; without a resource parameter a default resource is used.",
		Why:      "APIs that check access tokens as the profile says will reject them, or take an identity token for one.",
		Applies:  Applies{When: "RFC 9068 declared"},
		Requires: []string{"token.jwt-signed"},
		Probe:    "Decode the golden token.",
		Expect:   "aud is a non-empty string or non-empty array of strings.",
		Fault:    "aud missing.",
		Passive:  true,
		Check: func(c *Case) {
			c.eachProfiled(func(s *Sample, _, claims exchange.Value) {
				if _, ok := textsOf(claims.Get("aud")); !ok {
					c.Violate(s, "aud as a non-empty string or array of strings", claimWords(claims.Get("aud"), "aud"))
				}
			})
		},
	},
	{
		ID:    "token.jwt-sub",
		Title: "A profiled access token carries sub",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9068 §2.2",
		Editions: AllEditions,
		Summary:  "sub is mandatory for every grant, client credentials included.",
		Why:      "APIs that check access tokens as the profile says will reject them, or take an identity token for one.",
		Applies:  Applies{When: "RFC 9068 declared"},
		Requires: []string{"token.jwt-signed"},
		Probe:    "Decode the golden token.",
		Expect:   "sub is a non-empty string.",
		Tolerates: []string{
			"For client credentials any identifier of the client (SHOULD).",
		},
		Fault:   "Client-credentials tokens have no sub.",
		Passive: true,
		Check: func(c *Case) {
			c.eachProfiled(func(s *Sample, _, claims exchange.Value) {
				if sub := claims.Get("sub"); sub.Kind != exchange.String || sub.Text == "" {
					c.Violate(s, "sub as a non-empty string", claimWords(sub, "sub"))
				}
			})
		},
	},
	{
		ID:    "token.jwt-client-id",
		Title: "A profiled access token carries the requesting client_id",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9068 §2.2",
		Editions: AllEditions,
		Summary:  "client_id is mandatory and names the client the token was issued to.",
		Why:      "APIs that check access tokens as the profile says will reject them, or take an identity token for one.",
		Applies:  Applies{When: "RFC 9068 declared"},
		Requires: []string{"token.jwt-signed"},
		Probe:    "Decode the golden token.",
		Expect:   "client_id equals the client used.",
		Fault:    "Only azp is present.",
		Passive:  true,
		Check: func(c *Case) {
			named := slices.DeleteFunc(c.profiled(), func(s *Sample) bool {
				id, _ := s.Request.Credentials()
				return id == "" && !s.Request.Has("client_assertion")
			})
			c.Each(named, noJWT, func(s *Sample) {
				_, claims, _ := jwtOf(s.Answer.Text(exchange.AccessToken))
				if id := claims.Get("client_id"); id.Kind != exchange.String || id.Text != c.clientOf(s).ID {
					c.Violate(s, "client_id "+c.clientOf(s).ID, claimWords(id, "client_id"))
				}
			})
		},
	},
	{
		ID:    "token.jwt-iat-jti",
		Title: "A profiled access token carries iat and a unique jti",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 9068 §2.2",
		Editions: AllEditions,
		Summary:  "Both claims are mandatory.",
		Why:      "APIs that check access tokens as the profile says will reject them, or take an identity token for one.",
		Applies:  Applies{When: "RFC 9068 declared"},
		Requires: []string{"token.jwt-signed"},
		Probe:    "Decode two golden tokens.",
		Expect:   "iat is a number not in the future beyond skew; jti is a non-empty string; distinct tokens have distinct jti.",
		Tolerates: []string{
			"The same token returned twice naturally has one jti.",
		},
		Fault:   "jti is a constant.",
		Effects: []Effect{MintsToken},
		Passive: true,
		Check: func(c *Case) {
			tokens := map[string]string{} // by jti
			c.eachProfiled(func(s *Sample, _, claims exchange.Value) {
				iat, came := numericDate(claims, "iat")
				if came == "" && iat.After(latest(s).Add(c.Contract().ClockSkew)) {
					came = fmt.Sprintf("iat %s in an answer of %s", date(iat), date(latest(s)))
				}
				if came != "" {
					c.Violate(s, "iat as a number that is not in the future", came)
				}
				jti, token := claims.Get("jti"), s.Answer.Text(exchange.AccessToken)
				if jti.Kind != exchange.String || jti.Text == "" {
					c.Violate(s, "jti as a non-empty string", claimWords(jti, "jti"))
				}
				if other, seen := tokens[jti.Text]; seen && other != token {
					c.Violate(s, "a jti of its own for each token", "the same jti in two different tokens")
				}
				tokens[jti.Text] = token
			})
		},
	},
	{
		ID:    "token.jwt-scope",
		Title: "A profiled access token carries the granted scope",
		Group: "token-format",
		Level: Should, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 9068 §2.2.3",
		Editions: AllEditions,
		Summary:  "When a scope was requested the token should hold a matching scope claim.",
		Why:      "APIs that check access tokens as the profile says will reject them, or take an identity token for one.",
		Applies:  Applies{When: "RFC 9068 declared and a scope requested"},
		Requires: []string{"token.jwt-signed"},
		Probe:    "Golden request with scope; compare claim and response.",
		Expect:   "scope claim is a space-delimited string equal, as a set, to the granted scope.",
		Tolerates: []string{
			"Scopes of OpenID Connect, which mean nothing to an API, may be left out of the claim.",
		},
		Fault:   "scope claim missing.",
		Effects: []Effect{MintsToken},
		Passive: true,
		Check: func(c *Case) {
			asked := slices.DeleteFunc(c.profiled(), func(s *Sample) bool { return len(c.scopeTold(s)) == 0 })
			c.Each(asked, "no scope was requested for a token of the profile", func(s *Sample) {
				_, claims, _ := jwtOf(s.Answer.Text(exchange.AccessToken))
				granted, scope := c.scopeTold(s), claims.Get("scope")
				held := strings.Fields(scope.Text)
				needed := slices.DeleteFunc(slices.Clone(granted), func(name string) bool { return slices.Contains(openIDScopes, name) })
				if scope.Kind != exchange.String && len(needed) > 0 || !within(held, granted) || !within(needed, held) {
					c.Violate(s, fmt.Sprintf("scope %q, as granted", exchange.Printable(strings.Join(granted, " "), 120)), claimWords(scope, "scope"))
				}
			})
		},
	},
	{
		ID:    "token.jwt-lifetime-consistent",
		Title: "expires_in agrees with the exp claim",
		Group: "token-format",
		Level: Should, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §5.1; RFC 9068 §2.2",
		Editions: AllEditions,
		Summary:  "expires_in states the lifetime from response generation; exp states the same instant in the token.",
		Why:      "Clients do not know when to renew and fail at a random moment.",
		Applies:  Applies{When: "access token is a JWT with exp and expires_in present"},
		Requires: []string{"response.expires-in-sane", "response.access-token"},
		Probe:    "Golden response; compare exp minus the Date header (or local clock) with expires_in.",
		Expect:   "Difference at most 60 s (configurable).",
		Tolerates: []string{
			"A cached token returned with the remaining lifetime; exp later than advertised by a grace margin is a note.",
		},
		Fault:   "expires_in 3600 for a token whose exp is 300 s away.",
		Effects: []Effect{MintsToken},
		Passive: true,
		Check: func(c *Case) {
			both := slices.DeleteFunc(c.documentedJWTs(), func(s *Sample) bool {
				_, claims, _ := jwtOf(s.Answer.Text(exchange.AccessToken))
				_, said := s.Answer.Lifetime()
				return !said || claims.Get("exp").Kind != exchange.Number
			})
			c.Each(both, "no access token came with both exp and expires_in", func(s *Sample) {
				_, claims, _ := jwtOf(s.Answer.Text(exchange.AccessToken))
				exp, _ := numericDate(claims, "exp")
				lifetime, _ := s.Answer.Lifetime()
				real := exp.Sub(answeredAt(s))
				switch over := (real - lifetime).Round(time.Second); {
				case over.Abs() <= time.Minute:
				case over > 0 && over <= max(5*time.Minute, lifetime/10):
					c.Note("the token lives %s longer than expires_in says", over)
				default:
					c.Violate(s, fmt.Sprintf("exp in about %s, as expires_in says", lifetime), fmt.Sprintf("exp in %s", real.Round(time.Second)))
				}
			})
		},
	},
	{
		ID:    "token.id-token-present",
		Title: "A code exchange with openid scope returns an id_token",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "OIDC Core §3.1.3.3",
		Editions: AllEditions,
		Summary:  "The token response of an OpenID flow includes id_token.",
		Why:      "Clients cannot tell who has signed in.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "authorization request included openid"},
		Requires: []string{"code.happy-path"},
		Probe:    "Golden code response.",
		Expect:   "id_token is a JSON string in JWS or JWE compact form.",
		Fault:    "id_token omitted although openid was granted.",
		Effects:  []Effect{ConsumesCode},
		Check: func(c *Case) {
			s := c.signIn()
			v := s.Answer.Part(exchange.IDToken)
			came := kindWords(v, "id_token")
			if n := strings.Count(v.Text, "."); v.Kind == exchange.String {
				came = "an id_token that is neither"
				if segments(v.Text) && (n == 2 || n == 4) {
					c.look(s)
					return
				}
			}
			c.Violate(s, "id_token as a signed or encrypted JWT in compact form", came)
		},
	},
	{
		ID:    "token.id-token-bearer",
		Title: "An OpenID token response uses token_type Bearer",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "OIDC Core §3.1.3.3",
		Editions: AllEditions,
		Summary:  "OpenID fixes the type unless another one was negotiated.",
		Why:      "Clients cannot tell who has signed in.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "authorization request included openid"},
		Requires: []string{"token.id-token-present", "response.token-type"},
		Probe:    "Golden code response.",
		Expect:   "token_type is Bearer, ignoring case.",
		Tolerates: []string{
			"DPoP when negotiated.",
		},
		Fault:   "token_type of the OpenID code exchange is N_A.",
		Effects: []Effect{ConsumesCode},
		Passive: true,
		Check: func(c *Case) {
			c.Each(c.openIDAnswers(), noIDToken, func(s *Sample) {
				if s.Request.GetHeader("DPoP") != "" {
					return
				}
				if v := s.Answer.Part(exchange.TokenType); !strings.EqualFold(v.Text, "Bearer") || v.Kind != exchange.String {
					c.Violate(s, "token_type Bearer, in any letter case", claimWords(v, "token_type"))
				}
			})
		},
	},
	{
		ID:    "token.id-token-signature",
		Title: "The id_token signature verifies with the issuer's keys",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "OIDC Core §2, §3.1.3.7",
		Editions: AllEditions,
		Summary:  "ID tokens are signed; the client has to be able to validate the signature with the expected algorithm.",
		Why:      "A client signs in the wrong person, or nobody, because the identity token cannot be trusted.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "JWKS or client secret (HS algorithms) available"},
		Requires: []string{"token.id-token-present"},
		Probe:    "Verify the id_token.",
		Expect:   "Valid, alg equals the registered id_token_signed_response_alg or RS256; not none.",
		Tolerates: []string{
			"alg none only when the client registered it for the code flow.",
		},
		Fault:   "Signed with a key absent from the JWKS.",
		Effects: []Effect{ConsumesCode},
		Passive: true,
		Check: func(c *Case) {
			c.eachIDToken(func(s *Sample, header, _ exchange.Value) {
				token, alg := s.Answer.Text(exchange.IDToken), header.Get("alg").Text
				why := unsigned(token, header)
				switch secret := c.clientOf(s).Secret; {
				case why != "":
				case symmetric(header) && secret == "":
					c.Inconclusive("the id_token is signed with %s, and the client holds no secret", exchange.Printable(alg, 20))
				case symmetric(header):
					if exchange.SecretKey(secret).Verify(token, alg) != nil {
						why = "a MAC with alg " + exchange.Printable(alg, 20) + " that the client secret does not verify"
					}
				default:
					why = c.notVerified(token, header, false)
				}
				if why != "" {
					c.Violate(s, "an id_token signed by the issuer", why)
				}
				if alg != "RS256" {
					c.Note("the id_token is signed with %s, which the client has to be registered for (id_token_signed_response_alg); the default is RS256", exchange.Printable(alg, 20))
				}
			})
		},
	},
	{
		ID:    "token.id-token-kid",
		Title: "id_token names its key when several are published",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "OIDC Core §10.1",
		Editions: AllEditions,
		Summary:  "With more than one key in the key set the header has to carry kid.",
		Why:      "Clients have to guess the key, and break during key rotation.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "JWKS holds several keys"},
		Requires: []string{"token.id-token-present"},
		Probe:    "Decode the id_token header.",
		Expect:   "kid present and found in the JWKS.",
		Tolerates: []string{
			"HS algorithms.",
		},
		Fault:   "kid is left out.",
		Effects: []Effect{ConsumesCode},
		Passive: true,
		Check: func(c *Case) {
			samples := slices.DeleteFunc(c.idTokens(), func(s *Sample) bool {
				header, _, _ := jwtOf(s.Answer.Text(exchange.IDToken))
				return symmetric(header) || unsigned(s.Answer.Text(exchange.IDToken), header) != ""
			})
			if len(samples) > 0 && len(c.publishedKeys("")) < 2 {
				c.NotApplicable("the key set holds no second key")
			}
			c.eachIDTokenOf(samples, noIDToken, func(s *Sample, header, _ exchange.Value) {
				kid := header.Get("kid")
				if kid.Kind != exchange.String {
					c.Violate(s, "a kid that names one of the published keys", kindWords(kid, "kid"))
				}
				if !slices.ContainsFunc(c.publishedKeys(kid.Text), func(k exchange.VerifyKey) bool { return k.KeyID == kid.Text }) {
					c.Violate(s, "a kid that names one of the published keys", claimWords(kid, "kid"))
				}
			})
		},
	},
	{
		ID:    "token.id-token-no-key-refs",
		Title: "id_token header carries no key or key address",
		Group: "token-format",
		Level: ShouldNot, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "OIDC Core §2",
		Editions: AllEditions,
		Summary:  "x5u, x5c, jku and jwk should not be used in ID tokens.",
		Why:      "A client that follows such a reference verifies with a key of the attacker's choice.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"token.id-token-present"},
		Probe:    "Decode the id_token header.",
		Expect:   "None of x5u, x5c, jku, jwk.",
		Fault:    "jku points to the key set.",
		Effects:  []Effect{ConsumesCode},
		Passive:  true,
		Check: func(c *Case) {
			c.eachIDToken(func(s *Sample, header, _ exchange.Value) {
				for _, name := range []string{"x5u", "x5c", "jku", "jwk"} {
					if header.Get(name).Kind != "" {
						c.Violate(s, "a header without x5u, x5c, jku and jwk", "a header with "+name)
					}
				}
			})
		},
	},
	{
		ID:    "token.id-token-iss-aud",
		Title: "id_token names the issuer and this client",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "OIDC Core §2, §3.1.3.7",
		Editions: AllEditions,
		Summary:  "iss equals the issuer identifier; aud contains the client_id.",
		Why:      "A client signs in the wrong person, or nobody, because the identity token cannot be trusted.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"token.id-token-present"},
		Probe:    "Decode the id_token.",
		Expect:   "iss equals the contract's issuer identifier exactly; aud equals or contains client_id.",
		Tolerates: []string{
			"Extra audiences with azp.",
		},
		Fault:   "aud holds the API identifier instead of the client_id.",
		Effects: []Effect{ConsumesCode},
		Passive: true,
		Check: func(c *Case) {
			c.eachIDToken(func(s *Sample, _, claims exchange.Value) {
				iss, issuer := claims.Get("iss"), c.Target().Issuer()
				switch {
				case issuer != "" && (iss.Kind != exchange.String || iss.Text != issuer):
					c.Violate(s, "iss "+issuer, claimWords(iss, "iss"))
				case iss.Kind != exchange.String || iss.Text == "":
					c.Violate(s, "iss as a non-empty string", claimWords(iss, "iss"))
				}
				id := c.clientOf(s).ID
				if aud, ok := textsOf(claims.Get("aud")); !ok || !slices.Contains(aud, id) {
					c.Violate(s, "aud that is, or contains, client_id "+id, claimWords(claims.Get("aud"), "aud"))
				}
			})
		},
	},
	{
		ID:    "token.id-token-azp",
		Title: "azp, when present, is this client",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "OIDC Core §2",
		Editions: AllEditions,
		Summary:  "If the claim is there, it has to be the client_id of the authorized party.",
		Why:      "A client that checks azp would reject every sign-in, one that does not could take a foreign token.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "azp present"},
		Requires: []string{"token.id-token-iss-aud"},
		Probe:    "Decode the id_token.",
		Expect:   "azp equals client_id.",
		Tolerates: []string{
			"Absence, also with several audiences (note).",
		},
		Fault:   "azp names the API.",
		Effects: []Effect{ConsumesCode},
		Passive: true,
		Check: func(c *Case) {
			var named []*Sample
			for _, s := range c.idTokens() {
				_, claims, _ := jwtOf(s.Answer.Text(exchange.IDToken))
				aud, _ := textsOf(claims.Get("aud"))
				if azp := claims.Get("azp"); azp.Kind == exchange.String || len(aud) > 1 {
					named = append(named, s)
				}
			}
			c.eachIDTokenOf(named, "no id_token carries azp", func(s *Sample, _, claims exchange.Value) {
				switch azp, id := claims.Get("azp"), c.clientOf(s).ID; {
				case azp.Kind == "":
					c.Note("the id_token names several audiences and no azp")
				case azp.Text != id:
					c.Violate(s, "azp "+id, claimWords(azp, "azp"))
				}
			})
		},
	},
	{
		ID:    "token.id-token-times",
		Title: "id_token carries exp in the future and iat",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "OIDC Core §2",
		Editions: AllEditions,
		Summary:  "Both claims are mandatory numbers.",
		Why:      "A client signs in the wrong person, or nobody, because the identity token cannot be trusted.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"token.id-token-present"},
		Probe:    "Decode the id_token.",
		Expect:   "exp later than now and less than 50 years ahead, iat not in the future beyond skew, exp later than iat.",
		Tolerates: []string{
			"Milliseconds instead of seconds is named as the likely cause of a far exp.",
		},
		Fault:   "exp equals iat.",
		Effects: []Effect{ConsumesCode},
		Passive: true,
		Check: func(c *Case) {
			c.eachIDToken(func(s *Sample, _, claims exchange.Value) {
				exp, came := numericDate(claims, "exp")
				switch far := earliest(s).AddDate(50, 0, 0); {
				case came != "":
				case !exp.After(earliest(s)):
					came = fmt.Sprintf("exp %s in an answer of %s", date(exp), date(earliest(s)))
				case !exp.Before(far):
					came = "exp more than 50 years ahead; it may be in milliseconds, and seconds are due"
				}
				if came != "" {
					c.Violate(s, "exp as a number of seconds later than now", came)
				}
				iat, came := numericDate(claims, "iat")
				switch {
				case came != "":
				case iat.After(latest(s).Add(c.Contract().ClockSkew)):
					came = fmt.Sprintf("iat %s in an answer of %s", date(iat), date(latest(s)))
				case !exp.After(iat):
					came = fmt.Sprintf("iat %s, which exp %s is not later than", date(iat), date(exp))
				}
				if came != "" {
					c.Violate(s, "iat as a number that is not in the future, and earlier than exp", came)
				}
			})
		},
	},
	{
		ID:    "token.id-token-sub",
		Title: "id_token sub is at most 255 ASCII characters",
		Group: "token-format",
		Level: MustNot, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "OIDC Core §2",
		Editions: AllEditions,
		Summary:  "sub is mandatory and length-limited.",
		Why:      "A client signs in the wrong person, or nobody, because the identity token cannot be trusted.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"token.id-token-present"},
		Probe:    "Decode the id_token.",
		Expect:   "Non-empty string, at most 255 ASCII characters.",
		Fault:    "sub longer than 255 characters.",
		Effects:  []Effect{ConsumesCode},
		Passive:  true,
		Check: func(c *Case) {
			c.eachIDToken(func(s *Sample, _, claims exchange.Value) {
				sub := claims.Get("sub")
				came := claimWords(sub, "sub")
				switch {
				case sub.Kind != exchange.String || sub.Text == "":
				case strings.ContainsFunc(sub.Text, func(r rune) bool { return r > 0x7f }):
					came = "a sub with characters outside ASCII"
				case len(sub.Text) > 255:
					came = fmt.Sprintf("a sub of %d characters", len(sub.Text))
				default:
					return
				}
				c.Violate(s, "sub as a non-empty string of at most 255 ASCII characters", came)
			})
		},
	},
	{
		ID:    "token.id-token-claim-types",
		Title: "id_token claims have their defined types",
		Group: "token-format",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "OIDC Core §2",
		Editions: AllEditions,
		Summary:  "auth_time is a number, acr, azp and nonce strings, amr an array of strings; auth_time is due when max_age was sent.",
		Why:      "Strictly typed clients crash on the sign-in answer.",
		Applies:  Applies{Grants: []string{"authorization_code"}},
		Requires: []string{"token.id-token-present"},
		Probe:    "Decode the id_token.",
		Expect:   "Types as defined for the claims present; auth_time present when max_age was requested, and not in the future beyond skew.",
		Tolerates: []string{
			"Absence of optional claims; an empty acr is a note.",
		},
		Fault:   "amr is a string.",
		Effects: []Effect{ConsumesCode},
		Passive: true,
		Check: func(c *Case) {
			c.eachIDToken(func(s *Sample, _, claims exchange.Value) {
				for _, name := range []string{"acr", "azp", "nonce"} {
					if v := claims.Get(name); v.Present() && v.Kind != exchange.String {
						c.Violate(s, name+" as a string", kindWords(v, name))
					}
				}
				if amr := claims.Get("amr"); amr.Present() && (amr.Kind != exchange.Array || slices.ContainsFunc(amr.Items, func(v exchange.Value) bool { return v.Kind != exchange.String })) {
					c.Violate(s, "amr as an array of strings", kindWords(amr, "amr")+elementWords(amr))
				}
				if acr := claims.Get("acr"); acr.Kind == exchange.String && acr.Text == "" {
					c.Note("acr is empty")
				}
				at, came := numericDate(claims, "auth_time")
				switch {
				case !claims.Get("auth_time").Present() && c.maxAge():
					c.Violate(s, "auth_time, as max_age was sent", "no auth_time")
				case !claims.Get("auth_time").Present():
				case came != "":
					c.Violate(s, "auth_time as a number", came)
				case at.After(latest(s).Add(c.Contract().ClockSkew)):
					c.Violate(s, "auth_time that is not in the future", fmt.Sprintf("auth_time %s in an answer of %s", date(at), date(latest(s))))
				}
			})
		},
	},
	{
		ID:    "token.id-token-nonce",
		Title: "id_token returns the nonce of the authorization request",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "OIDC Core §2, §3.1.3.7",
		Editions: AllEditions,
		Summary:  "A nonce sent in the request has to come back unmodified.",
		Why:      "A client signs in the wrong person, or nobody, because the identity token cannot be trusted.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "nonce was sent"},
		Requires: []string{"token.id-token-present"},
		Probe:    "Decode the id_token.",
		Expect:   "nonce equals the sent value.",
		Fault:    "nonce is dropped.",
		Effects:  []Effect{ConsumesCode},
		Passive:  true,
		Check: func(c *Case) {
			sent := slices.DeleteFunc(c.idTokens(), func(s *Sample) bool { return s.Nonce == "" })
			c.eachIDTokenOf(sent, "no id_token came of an authorization request with a nonce", func(s *Sample, _, claims exchange.Value) {
				switch nonce := claims.Get("nonce"); {
				case nonce.Kind != exchange.String:
					c.Violate(s, "the nonce that was sent", kindWords(nonce, "nonce"))
				case nonce.Text != s.Nonce:
					c.Violate(s, "the nonce that was sent", "another nonce")
				}
			})
		},
	},
	{
		ID:    "token.id-token-at-hash",
		Title: "at_hash, when present, matches the access token",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "OIDC Core §3.1.3.6, §3.1.3.8",
		Editions: AllEditions,
		Summary:  "In the code flow the claim is optional, but its value is defined.",
		Why:      "A client signs in the wrong person, or nobody, because the identity token cannot be trusted.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "at_hash present"},
		Requires: []string{"token.id-token-present"},
		Probe:    "Recompute from the access token and the id_token alg.",
		Expect:   "Equal.",
		Tolerates: []string{
			"Absence.",
		},
		Fault:   "at_hash computed over the wrong token.",
		Effects: []Effect{ConsumesCode},
		Passive: true,
		Check: func(c *Case) {
			hashed := slices.DeleteFunc(c.idTokens(), func(s *Sample) bool {
				header, claims, _ := jwtOf(s.Answer.Text(exchange.IDToken))
				return !claims.Get("at_hash").Present() || halfHash(header.Get("alg").Text, "") == ""
			})
			c.eachIDTokenOf(hashed, "no id_token carries an at_hash", func(s *Sample, header, claims exchange.Value) {
				alg := header.Get("alg").Text
				switch v := claims.Get("at_hash"); {
				case v.Kind != exchange.String:
					c.Violate(s, "at_hash as a string", kindWords(v, "at_hash"))
				case v.Text != halfHash(alg, s.Answer.Text(exchange.AccessToken)):
					c.Violate(s, fmt.Sprintf("the left half of the access token's hash that goes with %s, in base64url", exchange.Printable(alg, 20)), "another at_hash")
				}
			})
		},
	},
	{
		ID:    "token.id-token-hs-secret",
		Title: "Secrets used as MAC keys are long enough",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "both", Posture: Advise,
		Source:   "OIDC Core §16.19",
		Editions: AllEditions,
		Summary:  "With HS algorithms the client secret has to be at least as long as the MAC key.",
		Why:      "Anybody who sees one id_token could search for the secret offline.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "id_token is signed with an HS algorithm"},
		Requires: []string{"token.id-token-signature"},
		Probe:    "Static: octets of the fixture secret against the hash length.",
		Expect:   "At least 32, 48 or 64 octets for HS256, HS384, HS512.",
		Fault:    "HS256 with a secret of twelve characters.",
		Passive:  true,
		Check: func(c *Case) {
			macs := slices.DeleteFunc(c.idTokens(), func(s *Sample) bool {
				header, _, _ := jwtOf(s.Answer.Text(exchange.IDToken))
				return !symmetric(header)
			})
			c.eachIDTokenOf(macs, "no id_token is signed with an HS algorithm", func(s *Sample, header, _ exchange.Value) {
				alg, n := header.Get("alg").Text, len(c.clientOf(s).Secret)
				if due := map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}[alg]; n < due {
					c.Violate(s, fmt.Sprintf("a client secret of at least %d octets, as %s is used", due, alg), fmt.Sprintf("a secret of %d octets", n))
				}
			})
		},
	},
	{
		ID:    "token.id-token-refresh-consistent",
		Title: "An id_token from a refresh keeps issuer, subject and audience",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "OIDC Core §12.2",
		Editions: AllEditions,
		Summary:  "If a refresh returns an id_token, iss, sub, aud stay the same, iat is new, auth_time is the original.",
		Why:      "After a refresh the application believes that somebody else, or somebody just now, has signed in.",
		Applies:  Applies{Grants: []string{"refresh_token"}, When: "refresh answer carries id_token"},
		Requires: []string{"refresh.happy-path", "token.id-token-present"},
		Probe:    "Compare the original and refreshed id_token.",
		Expect:   "iss, sub, aud equal; iat not earlier; auth_time equal when present.",
		Tolerates: []string{
			"No id_token on refresh; nonce absent, or equal to the original.",
		},
		Fault:   "auth_time is reset to the refresh time.",
		Effects: []Effect{ConsumesRefresh},
		Check: func(c *Case) {
			var first *Sample
			for _, s := range c.AnswersOf("token.id-token-present") {
				if _, _, ok := jwtOf(s.Answer.Text(exchange.IDToken)); ok && s.Answer.Text(exchange.RefreshToken) != "" {
					first = s
				}
			}
			if first == nil {
				c.NotApplicable("no id_token that can be read came with a refresh token")
			}
			req := c.Refresh(first.Answer.Text(exchange.RefreshToken), "")
			s := c.token(c.Probe(Step(req.Drop("scope"), "refresh of an OpenID sign-in"), Positive()))
			_, after, ok := jwtOf(s.Answer.Text(exchange.IDToken))
			if !ok {
				c.NotApplicable("the refresh brought no id_token that can be read")
			}
			_, before, _ := jwtOf(first.Answer.Text(exchange.IDToken))
			c.look(first)
			for _, name := range []string{"iss", "sub", "aud", "auth_time", "nonce"} {
				was, is := before.Get(name), after.Get(name)
				a, _ := textsOf(was)
				b, _ := textsOf(is)
				if name == "nonce" && !is.Present() || name == "auth_time" && (!is.Present() || !was.Present()) || was.Raw == is.Raw && was.Kind == is.Kind && len(was.Items) == 0 || len(a) > 0 && sameScope(a, b) {
					continue
				}
				if old, _ := was.Float(); name == "auth_time" && was.Kind == exchange.Number {
					if now, ok := is.Float(); ok && now == old {
						continue
					}
				}
				c.Violate(s, name+" as in the first id_token", "another "+name)
			}
			was, _ := numericDate(before, "iat")
			if is, came := numericDate(after, "iat"); came == "" && is.Before(was) {
				c.Violate(s, "an iat not earlier than that of the first id_token", fmt.Sprintf("iat %s after %s", date(is), date(was)))
			}
		},
	},
	{
		ID:    "token.userinfo-sub",
		Title: "UserInfo and id_token name the same subject",
		Group: "token-format",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "OIDC Core §5.3.2",
		Editions: AllEditions,
		Summary:  "The sub of the UserInfo answer has to match the one in the ID token exactly.",
		Why:      "A client would mix up the accounts of two people.",
		Applies:  Applies{Grants: []string{"authorization_code"}, When: "the configured resource is the UserInfo endpoint"},
		Requires: []string{"token.id-token-present", "bearer.header-accepted"},
		Probe:    "GET UserInfo with the access token; compare sub.",
		Expect:   "Equal.",
		Tolerates: []string{
			"Signed UserInfo answers are decoded first.",
		},
		Fault:   "UserInfo returns an internal user number as sub.",
		Effects: []Effect{ConsumesCode},
		Check: func(c *Case) {
			r := c.Contract().Resource
			if r == nil {
				c.Needs("a protected resource")
			}
			if !r.UserInfo && !c.isUserInfo(c.Target().ResourceURL()) {
				c.NotApplicable("the protected resource is not the UserInfo endpoint")
			}
			if len(c.idTokens()) == 0 {
				c.NotApplicable("%s", noIDToken)
			}
			from := c.signIn() // other tokens may have been revoked since
			_, claims, _ := jwtOf(from.Answer.Text(exchange.IDToken))
			want := claims.Get("sub")
			if want.Kind != exchange.String || want.Text == "" {
				c.blockedBy("token.id-token-sub", "the id_token names no subject; token.id-token-sub says so")
			}
			s := c.Probe(c.Target().Resource(from.Answer.Text(exchange.AccessToken)), Positive(), At("resource"))
			info := s.Answer.Lenient()
			body := strings.TrimSpace(string(s.Body))
			if _, signed, ok := jwtOf(body); ok {
				info = signed
			} else if encrypted(body) && segments(body) {
				c.NotApplicable("the UserInfo answer is encrypted")
			}
			if s.Status/100 != 2 {
				c.look(s)
				c.Inconclusive("UserInfo answered %d", s.Status)
			}
			if sub := info.Get("sub"); sub.Kind != exchange.String || sub.Text != want.Text {
				came := "another sub"
				if sub.Kind != exchange.String {
					came = kindWords(sub, "sub")
				}
				c.Violate(s, "the sub of the id_token", came)
			}
		},
	},
}
