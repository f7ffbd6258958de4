package suites

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// jwtClientAuthRules is the group jwt-client-auth of the catalogue.
var jwtClientAuthRules = []Rule{
	{
		ID:    "jwt-auth.happy-path",
		Title: "Accepts a valid signed client assertion",
		Group: "jwt-client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §2.2, §3",
		Editions: AllEditions,
		Summary:  "A JWT that meets the format and processing rules authenticates the client.",
		Why:      "Clients with a registered key cannot sign in.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"request.form-accepted"},
		Probe:    "Golden grant with client_assertion_type (jwt-bearer URN) and a JWT: iss and sub the client_id, aud as configured, exp in 60 s, iat, fresh jti, registered key.",
		Expect:   "ok.",
		Tolerates: []string{
			"aud choice is configuration: issuer identifier, token endpoint URL, or both; the harness never guesses.",
		},
		Fault:   "Requires a non-standard claim and refuses the valid assertion.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			var refused *Sample
			var open, unasked string
			signed := 0
			for _, name := range c.fixtureNames() {
				if len(c.signingPairs(name)) == 0 {
					continue
				}
				switch s, answer, why := c.signs(name); {
				case s.client != nil:
					signed++
					c.look(c.goldenAnswer(s.pair))
				case answer == nil:
					unasked = why
				case guessed(c.Target().ClientNamed(name).Assertion):
					open = answer.Came()
				case answer.Code() == "unauthorized_client":
					unasked = "the client that signs may not use the documented grants"
				case refused == nil:
					refused = answer
				}
			}
			switch {
			case refused != nil:
				c.Expect(refused).To(BeTokenResponse())
			case signed > 0 && unasked != "":
				c.Note("another client that is to sign could not be tried: %s", unasked)
			case signed > 0:
			case open != "":
				c.NotApplicable("the contract leaves open what the assertion holds, and one by the defaults of RFC 7523 brought no token, but %s", open)
			case unasked != "":
				c.Blocked("no request with a client assertion can be made: %s", unasked)
			default:
				c.NotApplicable("no documented grant takes an assertion that can be signed here")
			}
		},
	},
	{
		ID:    "jwt-auth.bad-signature",
		Title: "Rejects an assertion whose signature does not verify",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 9",
		Editions: AllEditions,
		Summary:  "Invalid signatures or MACs have to be rejected.",
		Why:      "Anyone can sign in as the client by writing its name into a token.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Valid assertion with one signature byte flipped.",
		Expect:   "refused.",
		Fault:    "Claims are read without verifying the signature.",
		Effects:  []Effect{BadClientCredentials},
		Check: func(c *Case) {
			for _, s := range c.signersOfEachKind() {
				j := c.assertion(s)
				c.ExpectRefused(c.Probe(c.asserting(s, exchange.FlipSignature(c.compact(j)), "%s assertion with one bit of the signature turned", j.Alg())))
			}
		},
	},
	{
		ID:    "jwt-auth.foreign-key",
		Title: "Rejects an assertion signed with an unregistered key",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 9",
		Editions: AllEditions,
		Summary:  "The signature has to come from the issuer, that is from a key registered for the client.",
		Why:      "Anyone can sign in as the client by writing its name into a token.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.bad-signature"},
		Probe:    "Well-formed assertion signed with a fresh key of the same type, same kid, and again with the public key embedded in the jwk header.",
		Expect:   "refused, both.",
		Fault:    "Trusts the key in the jwk header.",
		Effects:  []Effect{BadClientCredentials},
		Check: func(c *Case) {
			for _, s := range c.signersOfEachKind() {
				foreign, err := c.assertion(s).ForeignKey()
				c.orNeed(err)
				c.ExpectRefused(c.Probe(c.asserting(s, c.compact(foreign), "assertion signed with a key that is not registered")))
				if foreign.Asymmetric() {
					foreign = foreign.Set("jti", c.Target().UUID()).EmbedKey()
					c.ExpectRefused(c.Probe(c.asserting(s, c.compact(foreign), "the same with that key in the jwk header")))
				}
			}
		},
	},
	{
		ID:    "jwt-auth.other-client-key",
		Title: "Rejects an assertion signed with the key of another client",
		Group: "jwt-client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 items 1, 2B, 9",
		Editions: AllEditions,
		Summary:  "The signature has to come from the client that iss and sub name, not from any known client.",
		Why:      "One registered client could sign in as every other one.",
		Applies:  Applies{Auth: []string{"jwt"}, When: "second fixture client with a key of its own"},
		Requires: []string{"jwt-auth.bad-signature"},
		Probe:    "Assertion with iss and sub of client A, signed with the key (and kid) of client B.",
		Expect:   "refused.",
		Fault:    "Keys are looked up by kid across all clients.",
		Effects:  []Effect{BadClientCredentials},
		Check: func(c *Case) {
			for _, a := range c.signersOfEachKind() {
				j := c.assertion(a)
				for _, b := range c.signers() {
					other := c.assertion(b)
					if b.client.ID == a.client.ID || other.Asymmetric() != j.Asymmetric() {
						continue
					}
					j = j.WithKey(other.Key).DropHeader("kid")
					if kid, ok := other.Header["kid"]; ok {
						j = j.SetHeader("kid", kid)
					}
					c.ExpectRefused(c.Probe(c.asserting(a, c.compact(j), "assertion of one client signed with the key of another")))
					return
				}
			}
			c.Needs("a second client with a key of its own")
		},
	},
	{
		ID:    "jwt-auth.alg-none",
		Title: "Rejects an unsigned assertion",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 9",
		Editions: AllEditions,
		Summary:  "The JWT has to be signed or MACed.",
		Why:      "Anyone can sign in as the client by writing its name into a token.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path", "jwt-auth.bad-signature"},
		Probe:    "Same claims, alg none, empty signature (and the spelling NONE).",
		Expect:   "refused, both.",
		Fault:    "Library default accepts alg none.",
		Effects:  []Effect{BadClientCredentials},
		Check: func(c *Case) {
			for _, s := range c.signersOfEachKind() {
				for _, alg := range []string{"none", "NONE"} {
					c.ExpectRefused(c.Probe(c.asserting(s, c.assertion(s).Unsigned(alg), "unsigned assertion, alg %s", alg)))
				}
			}
		},
	},
	{
		ID:    "jwt-auth.alg-confusion",
		Title: "Rejects an HMAC assertion keyed with the client's public key",
		Group: "jwt-client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 items 9, 10; RFC 8725 §3.1, §3.2",
		Editions: AllEditions,
		Summary:  "Algorithm and key type have to match what is registered.",
		Why:      "Anyone can sign in as the client by writing its name into a token.",
		Applies:  Applies{Auth: []string{"jwt"}, When: "asymmetric registration"},
		Requires: []string{"jwt-auth.bad-signature", "jwt-auth.alg-none"},
		Probe:    "HS256 assertion using the PEM and the JWK text of the registered public key as the MAC key.",
		Expect:   "refused.",
		Fault:    "An HS256 header makes the verifier use the text of the registered public key as MAC key.",
		Effects:  []Effect{BadClientCredentials},
		Check: func(c *Case) {
			for _, s := range c.signers() {
				j := c.assertion(s)
				if !j.Asymmetric() {
					continue
				}
				for _, text := range []struct {
					what string
					key  []byte
				}{
					{"PEM text", j.PublicPEM()}, {"PEM text without its last line feed", bytes.TrimSpace(j.PublicPEM())}, {"JWK text", j.PublicJWK()}, {"DER encoding", publicDER(j)},
				} {
					mac := j.Set("jti", c.Target().UUID()).HMAC(text.key)
					c.ExpectRefused(c.Probe(c.asserting(s, c.compact(mac), "HS256 assertion keyed with the %s of the public key", text.what)))
				}
				return
			}
			c.NotApplicable("no client has registered a key pair")
		},
	},
	{
		ID:    "jwt-auth.expired",
		Title: "Rejects an expired assertion",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 4",
		Editions: AllEditions,
		Summary:  "An expiry in the past has to be rejected, allowing for clock skew.",
		Why:      "An assertion caught once signs in for ever.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Assertion with iat 2 h ago and exp 1 h ago.",
		Expect:   "refused.",
		Tolerates: []string{
			"Skew tolerance of minutes; the probe stays an hour clear. One that expired a quarter of an hour ago is worth a warning.",
		},
		Fault:   "exp is not checked.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			s := c.signer()
			c.carries(c.assertion(s), "exp")
			c.refusesAssertion(s, func(j exchange.JWT) exchange.JWT {
				return j.SetTimes(c.Now().Add(-2*time.Hour), time.Time{}, c.Now().Add(-time.Hour))
			}, "assertion that expired an hour ago")
			j := c.assertion(s).SetTimes(c.Now().Add(-time.Hour), time.Time{}, c.Now().Add(-longSkew))
			late := c.Probe(c.asserting(s, c.compact(j), "assertion that expired %s ago", longSkew))
			if late.Answer.OK() {
				c.Warn(late, fmt.Sprintf("a refusal of an assertion that expired %s ago: leeway is a few minutes (RFC 7519 §4.1.4)", longSkew), late.Came())
			}
		},
	},
	{
		ID:    "jwt-auth.missing-exp",
		Title: "Rejects an assertion without exp",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 4",
		Editions: AllEditions,
		Summary:  "exp is a mandatory claim.",
		Why:      "An assertion caught once signs in for ever.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Valid assertion without exp.",
		Expect:   "refused.",
		Fault:    "Missing exp is read as never expiring.",
		Effects:  []Effect{BadClientCredentials},
		Check:    func(c *Case) { c.withoutClaim("exp") },
	},
	{
		ID:    "jwt-auth.not-yet-valid",
		Title: "Rejects an assertion whose nbf lies in the future",
		Group: "jwt-client-auth",
		Level: MustNot, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 5",
		Editions: AllEditions,
		Summary:  "A JWT must not be accepted before its nbf time.",
		Why:      "An assertion made for later is already good today.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Assertion with nbf one hour ahead and exp two hours ahead.",
		Expect:   "refused.",
		Fault:    "nbf is ignored.",
		Effects:  []Effect{BadClientCredentials},
		Check: func(c *Case) {
			c.refusesAssertion(c.signer(), func(j exchange.JWT) exchange.JWT {
				return j.SetTimes(c.Now(), c.Now().Add(time.Hour), c.Now().Add(2*time.Hour))
			}, "assertion that is valid from an hour ahead on")
		},
	},
	{
		ID:    "jwt-auth.skew",
		Title: "Tolerates a few seconds of clock difference",
		Group: "jwt-client-auth",
		Level: May, Wording: Derived, Binds: "server", Posture: Observe,
		Source:   "RFC 7523 §3 item 4; FAPI 2.0 Security Profile §5.3.2.1 (profile only)",
		Editions: AllEditions,
		Summary:  "Clock skew is to be allowed for; a profile fixes ten seconds into the future as acceptable.",
		Why:      "Clients whose clock runs slightly ahead would fail now and then, without a pattern.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Assertion with iat and nbf 8 s ahead of the Date header of the server.",
		Expect:   "ok.",
		Tolerates: []string{
			"Refusal (observation).",
		},
		Fault:   "Compares with no leeway.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			s := c.signer()
			ahead := c.serverNow().Add(8 * time.Second)
			j := c.assertion(s).SetTimes(ahead, ahead, ahead.Add(time.Minute))
			c.ExpectAccepted(c.Probe(c.asserting(s, c.compact(j), "assertion issued 8 s ahead of the server's clock"), Positive()))
		},
	},
	{
		ID:    "jwt-auth.wrong-aud",
		Title: "Rejects an assertion addressed to someone else",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 3",
		Editions: AllEditions,
		Summary:  "The server has to find itself in the audience.",
		Why:      "An assertion sent to another server, perhaps a hostile one, signs in here.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Assertion with aud set to an unrelated https URL, and to the documented audience with a domain name behind it.",
		Expect:   "refused, both.",
		Fault:    "aud is not compared.",
		Effects:  []Effect{BadClientCredentials},
		Check: func(c *Case) {
			s := c.signer()
			c.carries(c.assertion(s), "aud")
			c.refusesAssertion(s, func(j exchange.JWT) exchange.JWT {
				return j.Set("aud", "https://"+c.Nonce()+".example/token")
			}, "assertion for another audience")
			if aud, ok := c.assertion(s).Claims["aud"].(string); ok {
				c.refusesAssertion(s, func(j exchange.JWT) exchange.JWT { return j.Set("aud", aud+"."+c.Nonce()+".example") }, "assertion for an audience that begins like this one")
			}
		},
	},
	{
		ID:    "jwt-auth.missing-aud",
		Title: "Rejects an assertion without aud",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 3",
		Editions: AllEditions,
		Summary:  "aud is a mandatory claim.",
		Why:      "An assertion sent to another server, perhaps a hostile one, signs in here.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.wrong-aud"},
		Probe:    "Valid assertion without aud.",
		Expect:   "refused.",
		Fault:    "An absent aud passes the audience check.",
		Effects:  []Effect{BadClientCredentials},
		Check:    func(c *Case) { c.withoutClaim("aud") },
	},
	{
		ID:    "jwt-auth.missing-iss",
		Title: "Rejects an assertion without iss",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 1",
		Editions: AllEditions,
		Summary:  "iss is a mandatory claim.",
		Why:      "One party signs in under the name of another.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Valid assertion without iss.",
		Expect:   "refused.",
		Fault:    "Client is looked up by sub only; absent iss passes.",
		Effects:  []Effect{BadClientCredentials},
		Check:    func(c *Case) { c.withoutClaim("iss") },
	},
	{
		ID:    "jwt-auth.wrong-iss",
		Title: "Rejects an assertion issued by someone other than the client",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7521 §5.2; RFC 7523 §3 item 1; OIDC Core §9",
		Editions: AllEditions,
		Summary:  "For self-issued client assertions the issuer is the client itself.",
		Why:      "One party signs in under the name of another.",
		Applies:  Applies{Auth: []string{"jwt"}, When: "client assertions are self-issued (private_key_jwt or client_secret_jwt)"},
		Requires: []string{"jwt-auth.missing-iss"},
		Probe:    "Valid assertion with iss set to another client_id.",
		Expect:   "refused.",
		Tolerates: []string{
			"Third-party assertion issuers are legitimate when the contract declares one.",
		},
		Fault:   "Any iss is accepted.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			s := c.signer()
			if iss, _ := c.assertion(s).Claims["iss"].(string); iss != s.client.ID {
				c.NotApplicable("the contract declares another issuer of client assertions")
			}
			c.refusesAssertion(s, func(j exchange.JWT) exchange.JWT { return j.Set("iss", c.otherID(s.client)) }, "assertion with iss of another client")
		},
	},
	{
		ID:    "jwt-auth.missing-sub",
		Title: "Rejects an assertion without sub",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 2",
		Editions: AllEditions,
		Summary:  "sub is a mandatory claim.",
		Why:      "One party signs in under the name of another.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Valid assertion without sub.",
		Expect:   "refused.",
		Fault:    "Client is looked up by iss only; absent sub passes.",
		Effects:  []Effect{BadClientCredentials},
		Check:    func(c *Case) { c.withoutClaim("sub") },
	},
	{
		ID:    "jwt-auth.wrong-sub",
		Title: "Rejects an assertion whose sub is not the client",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3 item 2B",
		Editions: AllEditions,
		Summary:  "For client authentication the subject is the client_id.",
		Why:      "One party signs in under the name of another.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.missing-sub"},
		Probe:    "Valid assertion of client A with sub set to another client_id.",
		Expect:   "refused.",
		Fault:    "sub is ignored: the client is the one whose key verified.",
		Effects:  []Effect{BadClientCredentials},
		Check: func(c *Case) {
			s := c.signer()
			if sub, _ := c.assertion(s).Claims["sub"].(string); sub != s.client.ID {
				c.NotApplicable("the contract declares another subject than the client")
			}
			c.refusesAssertion(s, func(j exchange.JWT) exchange.JWT { return j.Set("sub", c.otherID(s.client)) }, "assertion with sub of another client")
		},
	},
	{
		ID:    "jwt-auth.client-id-mismatch",
		Title: "Rejects a client_id that names another client than the assertion",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7521 §4.2",
		Editions: AllEditions,
		Summary:  "client_id is unnecessary here, but if present it has to identify the same client.",
		Why:      "Nobody can say afterwards which client the token was issued to.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Valid assertion plus client_id of another client.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_client or invalid_request; equal client_id must be accepted (checked alongside: ok).",
		},
		Fault:   "Token is issued to the client named in client_id.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			s := c.signer()
			c.ExpectRefused(c.Probe(Step(c.goldenOf(s.pair, "").Set("client_id", c.otherID(s.client)), "valid assertion, client_id of another client")))
			c.ExpectAccepted(c.Probe(Step(c.goldenOf(s.pair, "").Set("client_id", s.client.ID), "valid assertion, client_id of the same client"), Positive()))
		},
	},
	{
		ID:    "jwt-auth.wrong-assertion-type",
		Title: "Rejects an unknown or missing client_assertion_type",
		Group: "jwt-client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 7521 §4.2; RFC 7523 §2.2",
		Editions: AllEditions,
		Summary:  "The type parameter is mandatory and fixed for JWTs.",
		Why:      "What the server reads as one kind of proof, the client meant as another.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Valid assertion with client_assertion_type removed; again with urn:example:grantcheck.",
		Expect:   "refused, both.",
		Tolerates: []string{
			"invalid_client or invalid_request.",
		},
		Fault:   "The assertion is accepted whatever the type says.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			s := c.signer()
			if t := exchange.GrantType(s.pair.grant); t == contract.GrantJWTBearer || t == contract.GrantSAML2Bearer || t == contract.GrantTokenExchange {
				c.NotApplicable("the grant %s needs no client authentication, and what is no assertion is ignored (RFC 7521 §4.1)", s.pair.grant.Key)
			}
			c.ExpectRefused(c.Probe(Step(c.goldenOf(s.pair, "").Drop("client_assertion_type"), "valid assertion without client_assertion_type")))
			c.ExpectRefused(c.Probe(Step(c.goldenOf(s.pair, "").Set("client_assertion_type", "urn:example:grantcheck"), "valid assertion, unknown client_assertion_type")))
		},
	},
	{
		ID:    "jwt-auth.invalid-client-code",
		Title: "Reports a bad client assertion as invalid_client",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7523 §3.2; RFC 7521 §4.2.1",
		Editions: AllEditions,
		Summary:  "The clause fixes the error code for an invalid client JWT.",
		Why:      "Clients look for the fault in their grant when their key is the problem.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.bad-signature", "jwt-auth.expired", "jwt-auth.wrong-aud"},
		Probe:    "The answers to jwt-auth.bad-signature, .expired and .wrong-aud.",
		Expect:   "error invalid_client (the status is judged by error.invalid-client-status).",
		Tolerates: []string{
			"invalid_request only for assertions that are not parseable JWTs (jwt-auth.malformed).",
		},
		Fault:   "Answers invalid_grant for a bad client assertion.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(c.AnswersOf("jwt-auth.bad-signature", "jwt-auth.expired", "jwt-auth.wrong-aud"), "no refusal of a bad assertion was seen", func(s *Sample) {
				if s.Answer.Refused() {
					c.ExpectCode(s, "invalid_client")
				}
			})
		},
	},
	{
		ID:    "jwt-auth.malformed",
		Title: "Refuses a client_assertion that is not a JWT",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7521 §4.2.1; RFC 7523 §3 item 10",
		Editions: AllEditions,
		Summary:  "A JWT that is not valid in every respect has to be rejected.",
		Why:      "Garbage in one parameter brings the endpoint down or gets past it.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"request.form-accepted"},
		Probe:    "client_assertion=abc, a JWT with two segments, and one with non-JSON payload.",
		Expect:   "refused, all.",
		Tolerates: []string{
			"invalid_client or invalid_request.",
		},
		Fault:   "Parser exception leads to 500.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			s := c.signer()
			j := c.assertion(s)
			two, _, _ := strings.Cut(j.Unsigned("none")+"|", ".|")
			for _, p := range [][2]string{
				{"client_assertion=abc", "abc"},
				{"a JWT of two segments", two},
				{"a signed JWT whose payload is not JSON", c.compact(j.Payload([]byte("grantcheck")))},
			} {
				c.ExpectRefused(c.Probe(c.asserting(s, p[1], "%s", p[0])))
			}
		},
	},
	{
		ID:    "jwt-auth.with-secret",
		Title: "Refuses a client assertion combined with a client secret",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "both", Posture: Advise,
		Source:   "RFC 7521 §4.2.1; RFC 6749 §2.3",
		Editions: AllEditions,
		Summary:  "More than one client authentication mechanism is an error for assertions as well.",
		Why:      "Two answers to the question who is asking leave room for an attacker in between.",
		Applies:  Applies{Auth: []string{"jwt"}, When: "the fixture client also has a secret"},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Valid assertion plus valid client_secret in the body.",
		Expect:   "refused.",
		Tolerates: []string{
			"invalid_client (assertion framework) and invalid_request (core) are both right: the two RFCs differ.",
		},
		Fault:   "One mechanism is picked and the other ignored.",
		Effects: []Effect{BadClientCredentials},
		Check: func(c *Case) {
			for _, s := range c.signers() {
				if s.client.Secret != "" {
					c.ExpectRefused(c.Probe(Step(c.goldenOf(s.pair, "").Set("client_secret", s.client.Secret), "valid assertion and valid client_secret")))
					return
				}
			}
			c.NotApplicable("no client that signs assertions also holds a secret")
		},
	},
	{
		ID:    "jwt-auth.jti-replay",
		Title: "Detects reuse of a client assertion",
		Group: "jwt-client-auth",
		Level: May, Wording: Keyword, Binds: "server", Posture: Observe,
		Source:   "RFC 7523 §3 item 7; OIDC Core §9",
		Editions: AllEditions,
		Summary:  "The server may track jti values; OIDC makes single use a client duty.",
		Why:      "Whoever copies one request can send it again.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Send the very same assertion twice.",
		Expect:   "Second answer refused (observation).",
		Tolerates: []string{
			"Acceptance.",
		},
		Fault:   "Accepts the replay.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			s := c.signer()
			first := c.goldenOf(s.pair, "")
			c.token(c.Probe(Step(first, "assertion, first use"), Positive()))
			again := c.goldenOf(s.pair, "").Set("client_assertion", first.Get("client_assertion"))
			c.ExpectRefused(c.Probe(Step(again, "the same assertion again")))
		},
	},
	{
		ID:    "jwt-auth.old-iat",
		Title: "Notices an assertion issued long ago",
		Group: "jwt-client-auth",
		Level: May, Wording: Keyword, Binds: "server", Posture: Observe,
		Source:   "RFC 7523 §3 item 6",
		Editions: AllEditions,
		Summary:  "The server may reject an iat that lies unreasonably far back.",
		Why:      "Assertions stockpiled by an attacker would stay good as long as their exp says.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Assertion with iat 30 days ago and exp in 60 s.",
		Expect:   "refused (observation).",
		Tolerates: []string{
			"Acceptance.",
		},
		Fault:   "iat is ignored.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			c.refusesAssertion(c.signer(), func(j exchange.JWT) exchange.JWT {
				return j.Set("iat", c.Now().Add(-30*24*time.Hour).Unix())
			}, "assertion issued 30 days ago that has not expired")
		},
	},
	{
		ID:    "jwt-auth.issuer-audience",
		Title: "Accepts its issuer identifier as the assertion audience",
		Group: "jwt-client-auth",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "draft-ietf-oauth-rfc7523bis-11 (updates RFC 7523 §3)",
		Editions: OAuth21,
		Summary:  "The update to the JWT profile settles on the issuer identifier as the audience of client assertions.",
		Why:      "Clients with a registered key cannot sign in.",
		Applies:  Applies{Auth: []string{"jwt"}, When: "issuer identifier known from metadata or contract"},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Valid assertion with aud set to exactly the issuer identifier as a single string.",
		Expect:   "ok.",
		Tolerates: []string{
			"Not part of RFC 7523 itself, and the draft was awaiting publication when this was written: servers that only accept the token endpoint URL get an advisory.",
		},
		Fault:   "Only the token endpoint URL is accepted.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			issuer := c.Target().Issuer()
			if issuer == "" {
				c.NotApplicable("the contract names no issuer identifier")
			}
			s := c.signer()
			j := c.assertion(s).Set("aud", issuer)
			c.ExpectAccepted(c.Probe(c.asserting(s, c.compact(j), "assertion with the issuer identifier as aud"), Positive()))
		},
	},
	{
		ID:    "jwt-auth.aud-array",
		Title: "Accepts an audience given as an array of one",
		Group: "jwt-client-auth",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 7519 §4.1.3; RFC 7523 §3 item 3",
		Editions: OAuth20 | BCP,
		Summary:  "aud is a string or an array of strings; the assertion has to contain a value that names the server.",
		Why:      "Client libraries that always write an array could not sign in.",
		Applies:  Applies{Auth: []string{"jwt"}},
		Requires: []string{"jwt-auth.happy-path"},
		Probe:    "Valid assertion with aud as a one-element array of the agreed value.",
		Expect:   "ok.",
		Tolerates: []string{
			"Profiles that demand a single string (FAPI 2.0, the update of RFC 7523) refuse it: not evaluated when the contract names one.",
		},
		Fault:   "An aud array is compared as text and refused.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			if strings.Contains(strings.ToLower(c.Contract().Token.Profile), "fapi") {
				c.NotApplicable("the contract declares a profile that demands a single string")
			}
			s := c.signer()
			j := c.assertion(s)
			aud, ok := j.Claims["aud"].(string)
			if !ok {
				c.NotApplicable("the documented assertion names no single audience")
			}
			c.ExpectAccepted(c.Probe(c.asserting(s, c.compact(j.Set("aud", []string{aud})), "assertion with aud as an array of one"), Positive()))
		},
	},
}

// longSkew is more than any leeway for clocks that differ.
const longSkew = 15 * time.Minute

// publicDER is what verifiers hold of a public key that know no text of it.
func publicDER(j exchange.JWT) []byte {
	if block, _ := pem.Decode(j.PublicPEM()); block != nil {
		return block.Bytes
	}
	return nil
}
