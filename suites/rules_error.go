package suites

import (
	"bytes"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// errorRules is the group error of the catalogue.
var errorRules = []Rule{
	{
		ID:    "error.json-body",
		Title: "Error responses carry a JSON object with error",
		Group: "error",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "An error response includes the error parameter in a JSON body.",
		Why:      "Clients can only show that something failed, not what.",
		Requires: []string{"request.form-accepted"},
		Probe:    "Answers with a 4xx status to the negative probes of request.*, client-auth.*, cc.*, password.*, code.*, pkce.*, refresh.*, jwt-auth.* and jwt-bearer.*.",
		Expect:   "Body parses as one JSON object with a top-level error member.",
		Tolerates: []string{
			"Answers with 405, 408, 411, 413, 414, 415, 425, 429 or 431, and 5xx, are HTTP-level and exempt; a leading byte order mark.",
		},
		Fault:   "Empty body with 400.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(oauthErrors(c), noRefusal, func(s *Sample) {
				d := jsonOf(s)
				c.excuseError(s)
				c.Expect(s).To(satisfy("a JSON object with error", func(s *Sample) (string, bool) {
					switch {
					case len(bytes.TrimSpace(s.Body)) == 0:
						return fmt.Sprintf("%d with an empty body", s.Status), false
					case !d.IsObject() && d.Err == nil && !d.Form:
						return fmt.Sprintf("%d with a JSON %s", s.Status, d.Kind), false
					case !d.IsObject() || d.Form:
						return fmt.Sprintf("%d with %s, and no JSON object in it", s.Status, fieldLines(s, "Content-Type")), false
					}
					return fmt.Sprintf("%d with an object without error", s.Status), d.Get(exchange.ErrorPart).Kind != ""
				}))
			})
		},
	},
	{
		ID:    "error.content-type",
		Title: "Error responses are labelled application/json",
		Group: "error",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "Error parameters use the application/json media type.",
		Why:      "Client libraries refuse to read the answer, and no token arrives.",
		Requires: []string{"error.json-body"},
		Probe:    "As error.json-body.",
		Expect:   "Media type application/json, case-insensitively, any parameters.",
		Tolerates: []string{
			"application/problem+json only if the contract documents it (then the standard verdict is a documented deviation).",
		},
		Fault:   "JSON error sent as text/plain.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(oauthErrors(c), noRefusal, func(s *Sample) {
				documented := documentedType(c, s) == s.MediaType() && documentedType(c, s) != ""
				for _, row := range rowsFor(c.Contract(), s.situation()) {
					documented = documented || row.ContentType != "" && strings.HasPrefix(strings.ToLower(row.ContentType), s.MediaType())
				}
				c.pageSaysIf(documented && s.MediaType() != "", "the page documents %s", s.MediaType())
				c.Expect(s).To(HaveMediaType("application/json"))
			})
		},
	},
	{
		ID:    "error.error-string",
		Title: "error is a single non-empty string code",
		Group: "error",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "The value is one ASCII code.",
		Why:      "Clients can only show that something failed, not what.",
		Requires: []string{"error.json-body"},
		Probe:    "As error.json-body.",
		Expect:   "error is a non-empty JSON string.",
		Fault:    "error is an object with code and message.",
		Passive:  true,
		Check: func(c *Case) {
			c.Each(oauthErrors(c), noRefusal, func(s *Sample) {
				v := s.Answer.Lenient().Get(exchange.ErrorPart)
				if v.Kind == "" {
					v = s.Answer.Part(exchange.ErrorPart)
				}
				c.excuseError(s)
				if f, ok := errorField(c, s); ok && c.excuse == "" && v.Kind != exchange.String {
					c.pageSaysIf(v.Kind != "" && slices.Contains(f.Type, string(v.Kind)) || v.Kind == exchange.Number && codeFits(documentedCodes(c), v.Text), "the page documents it as %s", v.Kind)
				}
				c.Expect(s).To(satisfy("error as one non-empty string", func(*Sample) (string, bool) {
					if v.Kind == exchange.String && v.Text == "" {
						return "an empty string", false
					}
					return kindWords(v, "error"), v.Kind == exchange.String
				}))
			})
		},
	},
	{
		ID:    "error.error-charset",
		Title: "error stays within its permitted characters",
		Group: "error",
		Level: MustNot, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2, Appendix A.7",
		Editions: AllEditions,
		Summary:  "Allowed are space, exclamation mark and printable ASCII other than quotation mark and backslash.",
		Why:      "Strict parsers drop the whole error, and a message can break out of the header or log it is copied to.",
		Requires: []string{"error.error-string"},
		Probe:    "Every error response of the run.",
		Expect:   "Every character in 0x20-0x21, 0x23-0x5B, 0x5D-0x7E.",
		Fault:    "Answers an empty body with an error value that holds a quotation mark.",
		Passive:  true,
		Check: func(c *Case) {
			c.Each(errorAnswers(c), noRefusal, func(s *Sample) {
				code, ok := s.Answer.ErrorCode()
				if !ok {
					return
				}
				c.Expect(s).To(satisfy("error in printable ASCII without quotation mark and backslash", func(*Sample) (string, bool) {
					r := foreign(code)
					return fmt.Sprintf("a code that holds %U", r), r == 0
				}))
			})
		},
	},
	{
		ID:    "error.description-charset",
		Title: "error_description stays within its permitted characters",
		Group: "error",
		Level: MustNot, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2, Appendix A.8",
		Editions: AllEditions,
		Summary:  "Same range as error: no quotation mark, backslash, control or non-ASCII character.",
		Why:      "Strict parsers drop the whole error, and a message can break out of the header or log it is copied to.",
		Applies:  Applies{When: "error_description present"},
		Requires: []string{"error.json-body"},
		Probe:    "Every error response of the run.",
		Expect:   "Every character of the decoded string in range.",
		Tolerates: []string{
			"Absence. CR, LF and TAB alone are a warning (the OpenID suite treats them so); quotation marks and non-ASCII fail.",
		},
		Fault:   "Localized description with umlauts.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(withMember(errorAnswers(c), exchange.ErrorDescription, exchange.String), "no answer carries error_description", func(s *Sample) {
				text := s.Answer.Lenient().Get(exchange.ErrorDescription).Text
				plain := strings.NewReplacer("\r", " ", "\n", " ", "\t", " ").Replace(text)
				c.Expect(s).To(satisfy("error_description in printable ASCII without quotation mark and backslash", func(*Sample) (string, bool) {
					r := foreign(plain)
					return fmt.Sprintf("a description that holds %U", r), r == 0
				}))
				if plain != text {
					c.Warn(s, "error_description in one line of printable ASCII", fmt.Sprintf("a description that holds %U", foreign(text)))
				}
			})
		},
	},
	{
		ID:    "error.description-string",
		Title: "error_description, when present, is a string",
		Group: "error",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "It is human-readable text delivered as a JSON string.",
		Why:      "Clients can only show that something failed, not what.",
		Applies:  Applies{When: "error_description present"},
		Requires: []string{"error.json-body"},
		Probe:    "Every error response.",
		Expect:   "JSON string.",
		Tolerates: []string{
			"Null, and an empty string (the grammar wants one character), are warnings.",
		},
		Fault:   "error_description is an array of validation messages.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(withMember(errorAnswers(c), exchange.ErrorDescription), "no answer carries error_description", func(s *Sample) {
				v := s.Answer.Lenient().Get(exchange.ErrorDescription)
				if f, ok := contract.FieldFor(errorFields(c, s), exchange.ErrorDescription); ok {
					c.pageSaysIf(slices.Contains(f.Type, string(v.Kind)) && v.Kind != exchange.String, "the page documents it as %s", v.Kind)
				}
				if v.Kind == exchange.String && v.Text == "" {
					c.Warn(s, "error_description as a string that says something", "an empty string")
					return
				}
				c.Expect(s).To(satisfy("error_description as a string", func(*Sample) (string, bool) {
					return kindWords(v, exchange.ErrorDescription), v.Kind == exchange.String
				}))
			})
		},
	},
	{
		ID:    "error.uri-syntax",
		Title: "error_uri, when present, is a URI reference",
		Group: "error",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2, Appendix A.9",
		Editions: AllEditions,
		Summary:  "Values conform to URI-reference syntax, without space, quotation mark or backslash.",
		Why:      "Strict parsers drop the whole error, and a message can break out of the header or log it is copied to.",
		Applies:  Applies{When: "error_uri present"},
		Requires: []string{"error.json-body"},
		Probe:    "Every error response.",
		Expect:   "Parses as a URI reference; characters in 0x21, 0x23-0x5B, 0x5D-0x7E.",
		Tolerates: []string{
			"Relative references; absence.",
		},
		Fault:   "error_uri holds a sentence with spaces.",
		Passive: true,
		Check: func(c *Case) {
			c.Each(withMember(errorAnswers(c), "error_uri"), "no answer carries error_uri", func(s *Sample) {
				v := s.Answer.Lenient().Get("error_uri")
				if v.Kind == exchange.Null {
					c.Warn(s, "error_uri as a URI, or none", "null")
					return
				}
				c.Expect(s).To(satisfy("error_uri as a URI reference", func(*Sample) (string, bool) {
					if v.Kind != exchange.String {
						return kindWords(v, "error_uri"), false
					}
					_, err := url.Parse(v.Text)
					return exchange.Printable(fmt.Sprintf("%q", v.Text), 80), err == nil && !strings.ContainsAny(v.Text, ` "\`) && foreign(v.Text) == 0
				}))
			})
		},
	},
	{
		ID:    "error.not-success-status",
		Title: "Errors never travel with a 2xx or 3xx status",
		Group: "error",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "Errors use 400 unless the clause provides otherwise.",
		Why:      "Clients take a refusal for a success and go on with an empty token.",
		Probe:    "Every answer of the run that has a top-level error member, and every 2xx or 3xx answer without a token to a negative probe.",
		Expect:   "Status at or above 400.",
		Tolerates: []string{
			"Probes outside the OAuth exchange (GET, other methods, plain HTTP) are not judged.",
		},
		Fault:   "Sends {\"error\":\"invalid_client\"} with status 200.",
		Passive: true,
		Check: func(c *Case) {
			answers := c.Answers(func(s *Sample) bool {
				said := s.Answer.Lenient().Get(exchange.ErrorPart)
				negative := !s.Golden && (len(s.Provoked) > 0 || inProbedGroup(s))
				return readsAsOAuth(c, s) && !strings.HasPrefix(s.Rule, "transport.") && (said.Present() || negative && !s.Answer.OK()) &&
					(!s.Answer.OK() || said.Kind == exchange.String && said.Text != "")
			})
			c.Each(answers, noRefusal, func(s *Sample) {
				told := len(rowsFor(c.Contract(), s.situation())) > 0
				c.pageSaysIf(!told && s.Status < 400 && slices.ContainsFunc(c.Contract().Errors, func(r contract.ErrorRow) bool { return statusFits(r.Status, s.Status) }),
					"the page documents errors with status %d", s.Status)
				c.Expect(s).To(satisfy("status 400 or above", func(s *Sample) (string, bool) { return s.Came(), s.Status >= 400 }))
			})
		},
	},
	{
		ID:    "error.status-400",
		Title: "Token errors other than invalid_client use status 400",
		Group: "error",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "400 is the status unless specified otherwise; the sole exception in the section concerns invalid_client.",
		Why:      "Clients and monitors that go by the status react to the wrong thing.",
		Requires: []string{"error.not-success-status"},
		Probe:    "Answers with error invalid_request, invalid_grant, unauthorized_client, unsupported_grant_type or invalid_scope.",
		Expect:   "Status 400.",
		Tolerates: []string{
			"429 and 5xx conditions; extension codes with their own status; documented deviations yield the two-verdict outcome.",
		},
		Fault:   "Answers unsupported_grant_type with 403.",
		Passive: true,
		Check: func(c *Case) {
			codes := []string{"invalid_request", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope"}
			answers := slices.DeleteFunc(errorAnswers(c), func(s *Sample) bool { return s.Status < 400 || !slices.Contains(codes, s.Code()) })
			c.Each(answers, "no answer carries one of the codes that go with 400", func(s *Sample) {
				c.Expect(s).To(HaveStatus(400))
			})
		},
	},
	{
		ID:    "error.invalid-client-code",
		Title: "Failed client authentication is reported as invalid_client",
		Group: "error",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "Unknown client, missing authentication and unsupported methods share this code.",
		Why:      "Clients retry with the same bad credentials instead of asking for new ones.",
		Requires: []string{"client-auth.wrong-secret-refused"},
		Probe:    "Answers to wrong secret and unknown client.",
		Expect:   "error is invalid_client.",
		Tolerates: []string{
			"For a missing credential invalid_request is accepted (see client-auth.missing-refused). Some deployed servers answer unauthorized_client: that is a genuine deviation - waive it, do not tolerate it.",
		},
		Fault:   "Answers an unknown client, credentials in the body, with 400 invalid_grant.",
		Effects: []Effect{BadClientCredentials},
		Passive: true,
		Check: func(c *Case) {
			answers := badClientAnswers(c)
			if readable := slices.ContainsFunc(answers, func(s *Sample) bool { return s.Code() != "" || c.rowExcuses(s, aboutCode) != "" }); len(answers) > 0 && !readable {
				c.Blocked("no refusal of a client carries a readable error code; error.json-body says why")
			}
			c.Each(answers, "no wrong client credentials were refused", func(s *Sample) {
				if s.Code() != "" {
					c.Expect(s).To(HaveErrorCode("invalid_client"))
				}
			})
		},
	},
	{
		ID:    "error.invalid-client-status",
		Title: "invalid_client uses 401 or 400",
		Group: "error",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "401 is permitted always and mandatory after an Authorization header; otherwise the default 400 applies.",
		Why:      "Clients and monitors that go by the status react to the wrong thing.",
		Requires: []string{"error.invalid-client-code", "error.not-success-status"},
		Probe:    "Answers with error invalid_client where credentials were in the body.",
		Expect:   "400 or 401.",
		Tolerates: []string{
			"Both, and different choices for different probes.",
		},
		Fault:   "Answers invalid_client with 403.",
		Effects: []Effect{BadClientCredentials},
		Passive: true,
		Check: func(c *Case) {
			answers := slices.DeleteFunc(errorAnswers(c), func(s *Sample) bool {
				return s.Status < 400 || s.Code() != "invalid_client" || s.Request.GetHeader("Authorization") != ""
			})
			c.Each(answers, "no answer to credentials in the body carries invalid_client", func(s *Sample) {
				c.Expect(s).To(HaveStatus(400, 401))
			})
		},
	},
	{
		ID:    "error.basic-401",
		Title: "Failed Basic authentication is answered with 401",
		Group: "error",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "When the client used the Authorization header, the status has to be 401.",
		Why:      "HTTP libraries do not learn that they have to authenticate, and how.",
		Applies:  Applies{Auth: []string{"basic"}},
		Requires: []string{"client-auth.wrong-secret-refused", "error.not-success-status"},
		Probe:    "Golden grant with Basic and a wrong secret.",
		Expect:   "401.",
		Fault:    "Answers 400 invalid_client to wrong Basic credentials.",
		Effects:  []Effect{BadClientCredentials},
		Check: func(c *Case) {
			seen := slices.DeleteFunc(badClientAnswers(c), func(s *Sample) bool { return s.AuthMethod() != "basic" })
			if len(seen) == 0 {
				req := c.Victim().Auth("basic")
				_, secret := req.Credentials()
				s := c.Probe(Step(req.Secret(c.Target().RandomLike(secret)), "a wrong secret in Basic"), Provokes("wrong_secret"))
				c.ExpectRefused(s)
				seen = []*Sample{s}
			}
			for _, s := range seen {
				c.Expect(s).To(HaveStatus(401))
			}
		},
	},
	{
		ID:    "error.basic-challenge",
		Title: "Failed Basic authentication is answered with a Basic challenge",
		Group: "error",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §5.2",
		Editions: AllEditions,
		Summary:  "The response has to carry WWW-Authenticate matching the scheme the client used.",
		Why:      "HTTP libraries do not learn that they have to authenticate, and how.",
		Applies:  Applies{Auth: []string{"basic"}},
		Requires: []string{"error.basic-401"},
		Probe:    "As error.basic-401.",
		Expect:   "At least one challenge with scheme Basic (case-insensitive) in any WWW-Authenticate field.",
		Tolerates: []string{
			"Further challenges in the same or other fields; any realm.",
		},
		Fault:   "401 without WWW-Authenticate.",
		Effects: []Effect{BadClientCredentials},
		Passive: true,
		Check: func(c *Case) {
			answers := slices.DeleteFunc(unauthorized(c), func(s *Sample) bool {
				scheme, _, _ := strings.Cut(s.Request.GetHeader("Authorization"), " ")
				return !strings.EqualFold(scheme, "Basic")
			})
			c.Each(answers, "no Basic credentials were answered with 401", func(s *Sample) {
				c.Expect(s).To(satisfy("a challenge of scheme Basic in WWW-Authenticate", func(s *Sample) (string, bool) {
					_, ok := s.Challenge("Basic")
					return "401 with " + fieldLines(s, "WWW-Authenticate"), ok
				}))
			})
		},
	},
	{
		ID:    "error.challenge-syntax",
		Title: "WWW-Authenticate is well-formed and Basic carries a realm",
		Group: "error",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 9110 §11.6.1; RFC 7617 §2",
		Editions: AllEditions,
		Summary:  "Challenges follow the authentication grammar, and the Basic scheme requires realm.",
		Why:      "HTTP libraries do not learn that they have to authenticate, and how.",
		Applies:  Applies{When: "a 401 with WWW-Authenticate was seen"},
		Probe:    "Every 401 of the run.",
		Expect:   "Parses as challenges; each Basic challenge has exactly one realm.",
		Tolerates: []string{
			"Several fields or one combined field; token or quoted-string parameter values except realm.",
		},
		Fault:   "Sends \"WWW-Authenticate: Basic\" without realm.",
		Effects: []Effect{BadClientCredentials},
		Passive: true,
		Check: func(c *Case) {
			answers := c.Answers(func(s *Sample) bool {
				return s.Status == 401 && s.Endpoint != "resource" && len(s.Header.Values("WWW-Authenticate")) > 0
			})
			c.Each(answers, "no 401 with WWW-Authenticate was seen", func(s *Sample) {
				c.Expect(s).To(satisfy("well-formed challenges, each of scheme Basic with one quoted realm", func(s *Sample) (string, bool) {
					lines := fieldLines(s, "WWW-Authenticate")
					challenges, err := s.Challenges()
					if err != nil {
						return lines, false
					}
					for _, ch := range challenges {
						realms := 0
						for _, p := range ch.Params {
							if strings.EqualFold(p.Name, "realm") {
								realms++
							}
						}
						if strings.EqualFold(ch.Scheme, "Basic") && realms != 1 {
							return lines, false
						}
					}
					return lines, !bareRealm.MatchString(quotedText.ReplaceAllString(lines, `""`))
				}))
			})
		},
	},
	{
		ID:    "error.401-has-challenge",
		Title: "A 401 to body credentials carries WWW-Authenticate",
		Group: "error",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 9110 §15.5.2",
		Editions: AllEditions,
		Summary:  "HTTP obliges the sender of a 401 to include at least one challenge.",
		Why:      "HTTP libraries do not learn that they have to authenticate, and how.",
		Probe:    "Every 401 of the token endpoint to a request without an Authorization header.",
		Expect:   "WWW-Authenticate present.",
		Tolerates: []string{
			"Advisory only: OAuth leaves 401 to body-authenticated clients without naming a scheme, and certified servers omit the field.",
		},
		Fault:   "401 to body credentials without any challenge.",
		Effects: []Effect{BadClientCredentials},
		Passive: true,
		Check: func(c *Case) {
			answers := slices.DeleteFunc(unauthorized(c), func(s *Sample) bool { return s.Request.GetHeader("Authorization") != "" })
			c.Each(answers, "no request without an Authorization field was answered with 401", func(s *Sample) {
				c.Expect(s).To(satisfy("WWW-Authenticate beside 401", func(s *Sample) (string, bool) {
					return "401 without it", len(s.Header.Values("WWW-Authenticate")) > 0
				}))
			})
		},
	},
	{
		ID:    "error.code-known",
		Title: "error comes from the registered or documented code set",
		Group: "error",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 6749 §5.2, §8.5, §11.4",
		Editions: AllEditions,
		Summary:  "Codes come from the list in the clause; extensions register theirs, unregistered extensions may define their own.",
		Why:      "Clients meet a code that no documentation explains.",
		Requires: []string{"error.error-charset"},
		Probe:    "Every error response of the run.",
		Expect:   "Code is one of the six core codes, an IANA-registered token endpoint code, or named in the contract.",
		Tolerates: []string{
			"server_error and temporarily_unavailable on 5xx; documented vendor codes such as rate_limited on 429.",
		},
		Fault:   "Answers an empty body with error BAD_REQUEST_17.",
		Passive: true,
		Check: func(c *Case) {
			documented := documentedCodes(c)
			c.Each(errorAnswers(c), noRefusal, func(s *Sample) {
				code, ok := s.Answer.ErrorCode()
				if !ok || slices.Contains(registeredCodes, code) {
					return
				}
				c.pageSaysIf(codeFits(documented, code), "the page documents the code %s", exchange.Printable(code, 60))
				if c.excuse != "" {
					return // an extension of the vendor's, which §8.5 leaves room for
				}
				c.Expect(s).To(satisfy("a code of the standard, of the registry, or of the page", func(*Sample) (string, bool) {
					return "error " + exchange.Printable(code, 60), false
				}))
			})
		},
	},
	{
		ID:    "error.no-duplicate-members",
		Title: "No error response member occurs twice",
		Group: "error",
		Level: MustNot, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §3.2",
		Editions: AllEditions,
		Summary:  "Response parameters must not be repeated.",
		Why:      "Two readers of one answer see two different values.",
		Requires: []string{"error.json-body"},
		Probe:    "Every error response, raw scan.",
		Expect:   "Distinct top-level names.",
		Fault:    "error appears twice.",
		Passive:  true,
		Check: func(c *Case) {
			c.Each(errorAnswers(c), noRefusal, func(s *Sample) { c.Expect(s).To(haveDistinctMembers()) })
		},
	},
	{
		ID:    "error.no-token",
		Title: "An error response contains no token",
		Group: "error",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 6749 §4.1.4, §5, §5.2",
		Editions: AllEditions,
		Summary:  "Failed or invalid requests are answered by an error instead of an issue of tokens.",
		Why:      "A token leaks through an answer that everybody logs as an error.",
		Probe:    "Every answer with a status of 400 or above, or with an error member.",
		Expect:   "No access_token, refresh_token or id_token member with a non-empty value.",
		Fault:    "The 400 to an unsupported grant type also carries an access_token.",
		Passive:  true,
		Check: func(c *Case) {
			answers := c.Answers(func(s *Sample) bool {
				said := s.Answer.Lenient().Get(exchange.ErrorPart)
				return s.Endpoint == tokenEndpoint && (s.Status >= 400 || said.Kind == exchange.String && said.Text != "")
			})
			c.Each(answers, noRefusal, func(s *Sample) {
				c.Expect(s).To(satisfy("no token in an error", func(s *Sample) (string, bool) {
					for _, part := range []string{exchange.AccessToken, exchange.RefreshToken, exchange.IDToken} {
						v := s.Answer.Lenient().Get(part)
						if f, ok := documentedField(c, s, part); ok && v.Kind == "" {
							v = s.Answer.Member(f)
						}
						// A text with blanks says what is wrong with the parameter of that name.
						if v.Kind == exchange.String && v.Text != "" && !strings.Contains(v.Text, " ") {
							return fmt.Sprintf("%d with %s", s.Status, part), false
						}
					}
					return "", true
				}))
			})
		},
	},
}

const noRefusal = "nothing was refused"

// probedGroups are the groups whose negative probes are OAuth requests through and through.
var probedGroups = []string{"request.", "client-auth.", "cc.", "password.", "code.", "pkce.", "refresh.", "jwt-auth.", "jwt-bearer."}

// httpLevel are the statuses below 500 that speak of HTTP, not of OAuth.
var httpLevel = []int{405, 408, 411, 413, 414, 415, 425, 429, 431}

// registeredCodes are those of RFC 6749 §5.2, and the token endpoint's in the OAuth Extensions Error Registry.
var registeredCodes = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"authorization_pending", "slow_down", "access_denied", "expired_token", "invalid_target", "invalid_dpop_proof", "use_dpop_nonce",
	"invalid_authorization_details", "invalid_issuer", "unsupported_pop_key", "incompatible_ace_profiles",
	"need_info", "request_denied", "request_submitted",
}

var (
	quotedText = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	bareRealm  = regexp.MustCompile(`(?i)(?:^|[\s,])realm\s*=\s*[^"\s]`) // RFC 9110 §11.5: senders quote it
)

// readsAsOAuth reports an answer of the token endpoint that speaks of the request and not of HTTP
// or of the load: documented methods only, no throttling.
func readsAsOAuth(c *Case, s *Sample) bool {
	return s.Endpoint == tokenEndpoint && s.Status < 500 && !slices.Contains(httpLevel, s.Status) && !s.Answer.Throttled() &&
		slices.Contains(c.Target().Methods(s.Request.Grant()), s.Request.Method())
}

func inProbedGroup(s *Sample) bool {
	return slices.ContainsFunc(probedGroups, func(g string) bool { return strings.HasPrefix(s.Rule, g) })
}

// oauthErrors returns the 4xx answers to negative probes that have to be error responses.
func oauthErrors(c *Case) []*Sample {
	return c.Answers(func(s *Sample) bool {
		return readsAsOAuth(c, s) && s.Status >= 400 && !s.Golden && inProbedGroup(s)
	})
}

// errorAnswers returns every error response of the run: whatever carries an error and no token.
func errorAnswers(c *Case) []*Sample {
	return c.Answers(func(s *Sample) bool {
		return readsAsOAuth(c, s) && !s.Answer.OK() && (s.Answer.Lenient().Get(exchange.ErrorPart).Kind != "" || s.Answer.Part(exchange.ErrorPart).Kind != "")
	})
}

// withMember keeps the answers with a top-level member of that name, of one of these kinds if any are given.
func withMember(samples []*Sample, name string, kinds ...exchange.Kind) []*Sample {
	return slices.DeleteFunc(samples, func(s *Sample) bool {
		k := s.Answer.Lenient().Get(name).Kind
		return k == "" || len(kinds) > 0 && !slices.Contains(kinds, k)
	})
}

// badClientAnswers returns the refusals of a wrong secret or an unknown client, and of nothing else.
func badClientAnswers(c *Case) []*Sample {
	return c.Answers(func(s *Sample) bool {
		return readsAsOAuth(c, s) && s.Answer.Refused() && len(s.Provoked) > 0 && allIn(s.Provoked, []string{"wrong_secret", "unknown_client"}) &&
			s.Is("client-auth.wrong-secret-refused", "client-auth.unknown-client-refused", "client-auth.secret-exact-match", "error.basic-401", "doc.error-row-status")
	})
}

// unauthorized returns the 401 answers of the token endpoint.
func unauthorized(c *Case) []*Sample {
	return c.Answers(func(s *Sample) bool { return s.Endpoint == tokenEndpoint && s.Status == 401 })
}

// errorFields returns the members that the page documents for an error answer.
func errorFields(c *Case, s *Sample) []contract.Field {
	fields := slices.Clone(c.Contract().ErrorFields)
	for _, row := range rowsFor(c.Contract(), s.situation()) {
		fields = append(fields, row.Fields...)
	}
	return fields
}

// errorField returns the documented member that plays error.
func errorField(c *Case, s *Sample) (contract.Field, bool) {
	return contract.FieldFor(errorFields(c, s), exchange.ErrorPart)
}

// excuseError has the page excuse an error body of the vendor's own form, where the answer has that form.
func (c *Case) excuseError(s *Sample) {
	f, ok := errorField(c, s)
	always := func(f contract.Field) bool { return f.Required.Mode == "true" || f.Required.Mode == "implied" }
	has := func(f contract.Field) bool { return !always(f) || s.Answer.Member(f).Present() }
	switch {
	case documentedType(c, s) == exchange.FormType && s.Answer.Has(exchange.ErrorPart):
		c.PageSays("the page documents form-encoded answers")
	case ok && f.Name != exchange.ErrorPart && s.Answer.Member(f).Present():
		c.PageSays("the page documents the error code as " + f.Name)
	case (!ok || f.Name != exchange.ErrorPart && !always(f)) && slices.ContainsFunc(c.Contract().ErrorFields, always) && !slices.ContainsFunc(c.Contract().ErrorFields, func(f contract.Field) bool { return !has(f) }):
		c.PageSays("the page documents errors without that member")
	default:
		c.PageSays("")
	}
}

// documentedCodes lists every error code that the contract names.
func documentedCodes(c *Case) (codes []any) {
	for _, row := range c.Contract().Errors {
		codes = append(codes, codesOf(row)...)
	}
	for _, d := range c.Contract().Deviations {
		codes = append(append(codes, d.Documented.Code...), d.Standard.Code...)
	}
	for _, l := range c.Contract().RateLimits {
		if l.Code != nil {
			codes = append(codes, l.Code)
		}
	}
	for _, f := range c.Contract().ErrorFields {
		if f.Part() == exchange.ErrorPart {
			codes = append(codes, f.Enum...)
		}
	}
	return codes
}

// foreign returns the first character outside the grammar of error and error_description (RFC 6749
// Appendix A.7, A.8), 0 without one.
func foreign(text string) rune {
	for _, r := range text {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return r
		}
	}
	return 0
}
