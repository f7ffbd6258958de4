package suites

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"grantcheck/suites/exchange"
)

// metadataRules is the group metadata of the catalogue.
var metadataRules = []Rule{
	{
		ID:    "metadata.document",
		Title: "Metadata is a 200 JSON object",
		Group: "metadata",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 8414 §3, §3.1, §3.2, §5",
		Editions: AllEditions,
		Summary:  "A successful answer uses 200 and application/json with the metadata as members.",
		Why:      "Clients cannot configure themselves and fall back on guesses.",
		Applies:  Applies{When: "issuer identifier configured and metadata declared"},
		Requires: []string{"metadata.published"},
		Probe:    "GET the well-known location inserted between host and issuer path; fall back to the OpenID location, inserted or appended.",
		Expect:   "200, application/json, one JSON object.",
		Tolerates: []string{
			"Only one of the two well-known locations needs to exist.",
		},
		Fault: "Metadata served as text/plain.",
		Check: func(c *Case) {
			c.Each(c.metadata(), "no metadata document is published", func(s *Sample) {
				c.Expect(s).To(HaveStatus(200))
				c.Expect(s).To(HaveMediaType("application/json"))
				c.Expect(s).To(satisfy("one JSON object", func(s *Sample) (string, bool) {
					if d := s.Answer.Strict(); d.Err != nil {
						return "a body that is none: " + d.Err.Error(), false
					}
					return "", true
				}))
			})
		},
	},
	{
		ID:    "metadata.published",
		Title: "Authorization server metadata is published",
		Group: "metadata",
		Level: Should, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 9700 §2.6",
		Editions: BCP | OAuth21,
		Summary:  "Publishing metadata is recommended.",
		Why:      "Clients cannot configure themselves and fall back on guesses.",
		Applies:  Applies{When: "issuer identifier configured"},
		Probe:    "As metadata.document.",
		Expect:   "A metadata document exists.",
		Tolerates: []string{
			"Vendors without a published issuer: not applicable.",
		},
		Fault: "Both well-known locations give 404.",
		Check: func(c *Case) {
			if c.Target().Issuer() == "" {
				if m := c.Contract().Metadata; m == nil || m.JWKS == "" {
					c.lacks("metadata.issuer", "an issuer identifier")
				}
				c.NotApplicable("the contract names no issuer identifier")
			}
			answers := c.wellKnown()
			if len(answers) == 0 {
				c.Inconclusive("the contract's issuer is no URL to look metadata up at")
			}
			if len(c.documents(answers)) > 0 {
				return
			}
			var came []string
			for _, s := range answers {
				c.decided(s, probe{})
				came = append(came, s.Came()+" at "+s.Request.URL())
			}
			c.Violate(answers[0], "a metadata document at a well-known location of the issuer", strings.Join(came, ", "))
		},
	},
	{
		ID:    "metadata.issuer-identical",
		Title: "The metadata issuer equals the configured issuer exactly",
		Group: "metadata",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 8414 §3.3",
		Editions: AllEditions,
		Summary:  "The value has to be identical to the identifier used to build the URL.",
		Why:      "Clients can be steered to the endpoints of an impostor.",
		Requires: []string{"metadata.document"},
		Probe:    "Compare strings.",
		Expect:   "Identical, character by character.",
		Fault:    "Extra trailing slash.",
		Check: func(c *Case) {
			want := c.Target().Issuer()
			documents := c.documents(c.wellKnown())
			if len(documents) == 0 {
				c.metadata()
			}
			matched := slices.ContainsFunc(documents, func(s *Sample) bool { return s.Answer.Lenient().Get("issuer").Text == want })
			c.Each(documents, "no metadata document is published", func(s *Sample) {
				issuer := s.Answer.Lenient().Get("issuer")
				came := "issuer " + issuer.Text
				switch {
				case issuer.Kind == exchange.String && issuer.Text == want:
					return
				case !issuer.Present():
					came = "no issuer"
				case issuer.Kind != exchange.String:
					came = "issuer as " + string(issuer.Kind)
				}
				if matched { // at another location: which of them a client reads is its own matter
					c.Warn(s, "issuer "+want, came+" at "+s.Request.URL())
					return
				}
				c.Violate(s, "issuer "+want, came)
			})
		},
	},
	{
		ID:    "metadata.issuer-syntax",
		Title: "The issuer is an https URL without query or fragment",
		Group: "metadata",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 8414 §2",
		Editions: AllEditions,
		Summary:  "The issuer identifier has this form.",
		Why:      "Clients can be steered to the endpoints of an impostor.",
		Requires: []string{"metadata.document"},
		Probe:    "Parse issuer.",
		Expect:   "https, no query, no fragment.",
		Tolerates: []string{
			"http on loopback test servers.",
		},
		Fault: "The issuer carries a query component, in the document and in the mutant contract alike.",
		Check: func(c *Case) {
			c.Each(c.metadata(), "no metadata document is published", func(s *Sample) {
				text := s.Answer.Lenient().Get("issuer").Text
				u, err := url.Parse(text)
				c.Expect(s).To(satisfy("an issuer that is an https URL without query or fragment", func(*Sample) (string, bool) {
					return "issuer " + text, err == nil && u.Host != "" && u.User == nil && !strings.ContainsAny(text, "?#") && !plainHTTP(u)
				}))
			})
		},
	},
	{
		ID:    "metadata.token-endpoint",
		Title: "Metadata names the token endpoint in use",
		Group: "metadata",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 8414 §2",
		Editions: AllEditions,
		Summary:  "token_endpoint is mandatory unless only the implicit grant is supported.",
		Why:      "Clients cannot configure themselves and fall back on guesses.",
		Requires: []string{"metadata.document"},
		Probe:    "Compare with the configured endpoint.",
		Expect:   "Present, an absolute https URL, equal to the configured endpoint after URL normalization.",
		Tolerates: []string{
			"mTLS endpoint aliases; http on loopback test servers; a fragment is judged by transport.no-fragment.",
		},
		Fault: "token_endpoint missing.",
		Check: func(c *Case) {
			c.Each(c.metadata(), "no metadata document is published", func(s *Sample) {
				c.Expect(s).To(satisfy("token_endpoint "+c.Target().TokenURL(nil), c.namesTokenEndpoint))
			})
		},
	},
	{
		ID:    "metadata.response-types",
		Title: "response_types_supported is present",
		Group: "metadata",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 8414 §2",
		Editions: AllEditions,
		Summary:  "The member is mandatory even for servers without an authorization endpoint.",
		Why:      "Clients cannot configure themselves and fall back on guesses.",
		Requires: []string{"metadata.types"},
		Probe:    "Read the member.",
		Expect:   "JSON array.",
		Tolerates: []string{
			"An empty list collides with the rule that zero-element claims are omitted: absence is accepted when grant_types_supported lists no redirect grant.",
		},
		Fault: "Member missing while authorization_code is listed.",
		Check: func(c *Case) {
			c.Each(c.metadata(), "no metadata document is published", func(s *Sample) {
				types, doc := s.Answer.Lenient().Get("response_types_supported"), s.Answer.Lenient()
				redirects := slices.ContainsFunc(listOf(s, "grant_types_supported", defaultGrants), func(g string) bool { return slices.Contains(defaultGrants, g) })
				switch {
				case types.Kind == exchange.Array && (len(types.Items) > 0 || !redirects):
				case types.Kind == exchange.Array:
					c.Note("response_types_supported is an empty list, although the document speaks of a grant with an authorization endpoint")
				case !redirects:
				case !doc.Get("grant_types_supported").Present() && !doc.Get("authorization_endpoint").Present():
					c.Note("response_types_supported is left out; the document names no authorization endpoint either")
				default:
					c.Violate(s, "response_types_supported as an array", "none")
				}
			})
		},
	},
	{
		ID:    "metadata.no-empty-arrays",
		Title: "Claims with zero elements are omitted",
		Group: "metadata",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 8414 §3.2",
		Editions: AllEditions,
		Summary:  "Empty multi-valued claims have to be left out.",
		Why:      "Clients cannot configure themselves and fall back on guesses.",
		Requires: []string{"metadata.document"},
		Probe:    "Scan arrays.",
		Expect:   "No empty array among registered members.",
		Tolerates: []string{
			"response_types_supported: [] (see metadata.response-types).",
		},
		Fault: "\"scopes_supported\": []",
		Check: func(c *Case) {
			c.Each(c.metadata(), "no metadata document is published", func(s *Sample) {
				var empty []string
				for _, m := range s.Answer.Lenient().Members {
					if _, known := metadataMembers[m.Name]; known && m.Value.Kind == exchange.Array && len(m.Value.Items) == 0 && m.Name != "response_types_supported" {
						empty = append(empty, m.Name)
					}
				}
				if empty != nil {
					c.Violate(s, "lists without elements left out", "an empty "+strings.Join(empty, ", "))
				}
			})
		},
	},
	{
		ID:    "metadata.types",
		Title: "Metadata members have their defined types",
		Group: "metadata",
		Level: Must, Wording: Derived, Binds: "server", Posture: Assert,
		Source:   "RFC 8414 §2",
		Editions: AllEditions,
		Summary:  "Lists are arrays of strings, endpoints are URLs, flags are booleans.",
		Why:      "Clients that configure themselves from the document fail to start.",
		Requires: []string{"metadata.document"},
		Probe:    "Check every registered member that is present.",
		Expect:   "Arrays of strings, absolute URLs, booleans as defined; jwks_uri is https.",
		Tolerates: []string{
			"http on loopback test servers; extension members.",
		},
		Fault: "grant_types_supported is one space-delimited string.",
		Check: func(c *Case) {
			c.Each(c.metadata(), "no metadata document is published", func(s *Sample) {
				for _, m := range s.Answer.Lenient().Members {
					form, known := metadataMembers[m.Name]
					switch {
					case !known:
					case m.Value.Kind == exchange.Null && !c.Strict():
						c.Note("%s is null, where it is to be left out", m.Name)
					case !form.fits(m.Value):
						c.Violate(s, m.Name+" as "+string(form), m.Name+" as "+inForm(m.Value))
					}
				}
				if u, err := url.Parse(s.Answer.Lenient().Get("jwks_uri").Text); err == nil && u.Host != "" && plainHTTP(u) {
					c.Violate(s, "a jwks_uri with https", "jwks_uri "+u.String())
				}
			})
		},
	},
	{
		ID:    "metadata.unknown-members",
		Title: "Metadata members are known names",
		Group: "metadata",
		Level: NoLevel, Wording: Practice, Binds: "server", Posture: Observe,
		Source:   "RFC 8414 §2 (other parameters may be used); OpenID suite (warning)",
		Editions: AllEditions,
		Summary:  "Extra members are legal; a near miss of a registered name is usually a typing error.",
		Why:      "A misspelt member switches a security feature off without anybody noticing.",
		Requires: []string{"metadata.document"},
		Probe:    "Compare member names with the registry; flag distance one or two.",
		Expect:   "No near miss of a registered name.",
		Tolerates: []string{
			"Vendor members (listed).",
		},
		Fault: "code_challenge_method_supported, singular.",
		Check: func(c *Case) {
			var vendors []string
			documents := c.metadata()
			c.Each(documents, "no metadata document is published", func(s *Sample) {
				var near []string
				for _, name := range s.Answer.Lenient().Names() {
					name = exchange.Printable(name, 80)
					if _, known := metadataMembers[name]; known {
						continue
					}
					if meant := nearMiss(name); meant != "" {
						near = append(near, name+" (for "+meant+")")
					} else if !slices.Contains(vendors, name) {
						vendors = append(vendors, name)
					}
				}
				if near != nil {
					c.Violate(s, "no near miss of a registered name", strings.Join(near, ", "))
				}
			})
			if vendors != nil {
				c.Fact("metadata.vendor-members", "Metadata members beyond the registry", strings.Join(vendors, ", "), documents...)
			}
		},
	},
	{
		ID:    "metadata.auth-methods-truthful",
		Title: "The primary client authentication method is advertised",
		Group: "metadata",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 8414 §2",
		Editions: AllEditions,
		Summary:  "Advertised methods list what the endpoint supports; omission means client_secret_basic.",
		Why:      "Clients choose a way that does not work, or miss the one that does.",
		Requires: []string{"metadata.types"},
		Probe:    "Compare token_endpoint_auth_methods_supported (or its default) with the method that worked.",
		Expect:   "The working method is listed or is the default.",
		Tolerates: []string{
			"Extra methods.",
		},
		Fault: "Only tls_client_auth advertised while client_secret_post works.",
		Check: func(c *Case) {
			documents := c.metadata()
			works := c.Golden()
			names := map[string][]string{
				"basic": {"client_secret_basic"}, "post": {"client_secret_post"}, "none": {"none"},
				"jwt": {"private_key_jwt", "client_secret_jwt"}, "tls": {"tls_client_auth", "self_signed_tls_client_auth"},
			}[works.AuthMethod()]
			if f := works.Client(); works.AuthMethod() == "jwt" && f != nil && f.Assertion != nil && strings.HasPrefix(f.Assertion.Alg, "HS") {
				names = []string{"client_secret_jwt"}
			}
			if len(names) == 0 {
				c.NotApplicable("the golden request has no client authentication")
			}
			const member = "token_endpoint_auth_methods_supported"
			if s := inAny(documents, member, defaultMethods, names...); s != nil {
				c.look(s)
				return
			}
			came := inList(listOf(documents[0], member, nil))
			if !documents[0].Answer.Lenient().Get(member).Present() {
				came = "no list, which stands for client_secret_basic"
			}
			if works.AuthMethod() == "none" {
				c.look(documents[0])
				c.Note("a public client gets tokens, and none is not among the methods: %s", came)
				return
			}
			c.Violate(documents[0], strings.Join(names, " or ")+", which works, in "+member, came)
		},
	},
	{
		ID:    "metadata.signing-algs",
		Title: "JWT client authentication comes with its signing algorithms, never none",
		Group: "metadata",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 8414 §2",
		Editions: AllEditions,
		Summary:  "The algorithm list has to be present if a JWT method is advertised and must not contain none.",
		Why:      "Clients choose a way that does not work, or miss the one that does.",
		Applies:  Applies{When: "private_key_jwt or client_secret_jwt advertised"},
		Requires: []string{"metadata.types"},
		Probe:    "Read token_endpoint_auth_signing_alg_values_supported.",
		Expect:   "Present, non-empty, without none.",
		Fault:    "List contains none.",
		Check: func(c *Case) {
			applied := false
			for _, s := range c.metadata() {
				for _, at := range []string{"token", "revocation", "introspection"} {
					methods := listOf(s, at+"_endpoint_auth_methods_supported", nil)
					if !slices.Contains(methods, "private_key_jwt") && !slices.Contains(methods, "client_secret_jwt") {
						continue
					}
					applied = true
					member := at + "_endpoint_auth_signing_alg_values_supported"
					algs := listOf(s, member, nil)
					c.look(s)
					switch {
					case slices.ContainsFunc(algs, func(alg string) bool { return strings.EqualFold(alg, "none") }):
						c.Violate(s, member+" without none", inList(algs))
					case len(algs) > 0:
					case at == "token" && strings.Contains(s.Request.URL(), "/.well-known/oauth-authorization-server"):
						c.Violate(s, member+" beside a JWT method", "none")
					default: // OpenID discovery lets it be absent; elsewhere than at the token endpoint nobody depends on it
						c.Warn(s, member+" beside a JWT method", "none")
					}
				}
			}
			if !applied {
				c.NotApplicable("metadata advertises no client authentication with a JWT")
			}
		},
	},
	{
		ID:    "metadata.asymmetric-auth",
		Title: "An asymmetric client authentication method is offered",
		Group: "metadata",
		Level: Should, Wording: Keyword, Binds: "server", Posture: Observe,
		Source:   "RFC 9700 §2.5",
		Editions: BCP | OAuth21,
		Summary:  "Asymmetric client authentication is recommended.",
		Why:      "Every shared secret is one more copy that can leak from the server.",
		Requires: []string{"metadata.types"},
		Probe:    "Read token_endpoint_auth_methods_supported.",
		Expect:   "Contains private_key_jwt, tls_client_auth or self_signed_tls_client_auth.",
		Tolerates: []string{
			"Absence (observation).",
		},
		Fault: "Only client_secret_post is listed.",
		Check: func(c *Case) {
			documents := c.metadata()
			const member = "token_endpoint_auth_methods_supported"
			if s := inAny(documents, member, defaultMethods, "private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"); s != nil {
				c.look(s)
				return
			}
			c.Violate(documents[0], "private_key_jwt, tls_client_auth or self_signed_tls_client_auth in "+member, inList(listOf(documents[0], member, defaultMethods)))
		},
	},
	{
		ID:    "metadata.grants-truthful",
		Title: "Advertised grants are not answered with unsupported_grant_type",
		Group: "metadata",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 8414 §2",
		Editions: AllEditions,
		Summary:  "grant_types_supported lists what the server supports; its default is authorization_code and implicit.",
		Why:      "Clients choose a way that does not work, or miss the one that does.",
		Requires: []string{"metadata.types"},
		Probe:    "For each advertised token-endpoint grant send a request with valid client authentication and no grant-specific parameters.",
		Expect:   "No answer with unsupported_grant_type.",
		Tolerates: []string{
			"unauthorized_client; implicit is not a token endpoint grant and is skipped.",
			"Grants of other endpoints, and a token for client_credentials, which needs no further parameter.",
		},
		Fault:   "Advertises an extension grant that it answers with unsupported_grant_type.",
		Effects: []Effect{MintsToken},
		Check: func(c *Case) {
			var grants []string
			for _, s := range c.metadata() {
				for _, g := range listOf(s, "grant_types_supported", nil) {
					if g != "" && !slices.Contains(elsewhere, g) && !slices.Contains(grants, g) && len(grants) < 20 {
						grants = append(grants, g)
					}
				}
			}
			if len(grants) == 0 {
				c.NotApplicable("metadata lists no grant of the token endpoint")
			}
			for _, g := range grants {
				c.notUnsupported(g)
			}
		},
	},
	{
		ID:    "metadata.grants-complete",
		Title: "Grants that work are advertised",
		Group: "metadata",
		Level: Must, Wording: Derived, Binds: "server", Posture: Advise,
		Source:   "RFC 8414 §2",
		Editions: AllEditions,
		Summary:  "grant_types_supported lists what the server supports.",
		Why:      "Clients that trust the document never use what is there, or forget to refresh.",
		Requires: []string{"metadata.types"},
		Probe:    "Every grant that answered ok in this run against the list, or its default.",
		Expect:   "Each is listed.",
		Tolerates: []string{
			"A refresh token without an advertised refresh_token grant is the common case: warning.",
		},
		Fault:   "refresh_token works and is not listed.",
		Passive: true,
		Check: func(c *Case) {
			documents := c.metadata()
			const member = "grant_types_supported"
			var seen []string
			works := slices.DeleteFunc(c.GoldenAnswers(), func(s *Sample) bool {
				again := slices.Contains(seen, s.grant)
				seen = append(seen, s.grant)
				return again || !s.Request.Has("grant_type")
			})
			c.Each(works, "no grant was answered with a token", func(s *Sample) {
				grant := exchange.GrantType(c.GrantOf(s))
				if inAny(documents, member, defaultGrants, grant) != nil {
					return
				}
				came := inList(listOf(documents[0], member, nil))
				if !documents[0].Answer.Lenient().Get(member).Present() {
					came = "no list, which stands for authorization_code and implicit"
				}
				c.Violate(s, grant+", which works, in "+member, came)
			})
		},
	},
	{
		ID:    "metadata.pkce-advertised",
		Title: "PKCE methods are advertised",
		Group: "metadata",
		Level: Should, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 9700 §2.1.1",
		Editions: BCP | OAuth21,
		Summary:  "Publishing code_challenge_methods_supported is the recommended way to signal PKCE support.",
		Why:      "Clients choose a way that does not work, or miss the one that does.",
		Applies:  Applies{When: "authorization_code supported"},
		Requires: []string{"metadata.types"},
		Probe:    "Read the member.",
		Expect:   "Contains S256.",
		Tolerates: []string{
			"A documented deployment-specific signal.",
		},
		Fault: "Member missing.",
		Check: func(c *Case) {
			documents := c.metadata()
			const member = "code_challenge_methods_supported"
			if !c.Documents("authorization_code") && inAny(documents, "grant_types_supported", nil, "authorization_code") == nil {
				c.NotApplicable("neither the contract nor metadata speaks of the authorization_code grant")
			}
			if s := inAny(documents, member, nil, "S256"); s != nil {
				c.look(s)
				return
			}
			if e := c.Contract().AuthorizationEndpoint; e != nil && e.PKCE != "" && len(c.Contract().Page) > 0 {
				c.look(documents[0])
				c.Note("the page says that PKCE is %s, and metadata does not", e.PKCE)
				return
			}
			came := inList(listOf(documents[0], member, nil))
			if !documents[0].Answer.Lenient().Get(member).Present() {
				came = "no such member"
			}
			c.Violate(documents[0], "S256 in "+member, came)
		},
	},
	{
		ID:    "metadata.pkce-no-plain",
		Title: "plain is not among the PKCE methods",
		Group: "metadata",
		Level: Should, Wording: Keyword, Binds: "client", Posture: Observe,
		Source:   "RFC 9700 §2.1.1",
		Editions: BCP | OAuth21,
		Summary:  "Clients should use a method that does not show the verifier in the authorization request; only S256 qualifies.",
		Why:      "Whoever reads the authorization request can redeem the code.",
		Applies:  Applies{When: "code_challenge_methods_supported present"},
		Requires: []string{"metadata.pkce-advertised"},
		Probe:    "Read the member.",
		Expect:   "No plain.",
		Tolerates: []string{
			"plain for old clients (observation).",
		},
		Fault: "Lists plain and S256.",
		Check: func(c *Case) {
			const member = "code_challenge_methods_supported"
			documents := slices.DeleteFunc(c.metadata(), func(s *Sample) bool { return s.Answer.Lenient().Get(member).Kind != exchange.Array })
			c.Each(documents, "metadata has no "+member, func(s *Sample) {
				methods := listOf(s, member, nil)
				c.Expect(s).To(satisfy(member+" without plain", func(*Sample) (string, bool) { return inList(methods), !slices.Contains(methods, "plain") }))
			})
		},
	},
	{
		ID:    "metadata.jwks-public-only",
		Title: "The JWKS reveals no private key material",
		Group: "metadata",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Assert,
		Source:   "RFC 7517 §9.2",
		Editions: AllEditions,
		Summary:  "Private and symmetric keys have to be protected from disclosure.",
		Why:      "Everybody can sign tokens in the name of the server.",
		Applies:  Applies{When: "jwks_uri present"},
		Requires: []string{"metadata.document"},
		Probe:    "GET jwks_uri.",
		Expect:   "Every key is asymmetric and without d, p, q, dp, dq, qi, oth, k.",
		Fault:    "One RSA key includes d.",
		Check: func(c *Case) {
			keys, s := c.keys()
			c.look(s)
			for i, key := range keys {
				kty := key.Get("kty").Text
				if kty == "oct" {
					c.Violate(s, "asymmetric keys alone", keyName(key, i)+" is a symmetric one (kty oct)")
				}
				var private []string
				for _, name := range key.Names() {
					if slices.Contains(privateMembers[kty], name) || name == "d" {
						private = append(private, name)
					}
				}
				if private != nil {
					c.Violate(s, "keys without private members", keyName(key, i)+" with "+strings.Join(private, ", "))
				}
			}
		},
	},
	{
		ID:    "metadata.jwks-structure",
		Title: "The JWKS is well-formed and its keys can be told apart",
		Group: "metadata",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 7517 §4.1, §4.5, §5; RFC 8414 §2",
		Editions: AllEditions,
		Summary:  "keys is an array, every key has kty; kid values should differ; use is due when signing and encryption keys are mixed.",
		Why:      "Clients pick the wrong key and reject good tokens.",
		Applies:  Applies{When: "jwks_uri present"},
		Requires: []string{"metadata.document"},
		Probe:    "GET jwks_uri.",
		Expect:   "200 JSON object with keys; kty everywhere; distinct kid values (same kid only for different kty); use present where required.",
		Tolerates: []string{
			"Unknown kty values; extra members.",
		},
		Fault: "Two RSA keys share one kid.",
		Check: func(c *Case) {
			s := c.jwks()
			c.Expect(s).To(HaveStatus(200))
			c.Expect(s).To(satisfy("a JSON object with keys as an array", func(s *Sample) (string, bool) {
				if d := s.Answer.Strict(); d.Err != nil || !d.IsObject() {
					return "a body that is no JSON object", false
				}
				_, ok := keysIn(s)
				return "keys as " + inForm(s.Answer.Lenient().Get("keys")), ok
			}))
			keys, _ := keysIn(s)
			for i, key := range keys {
				if flaw := malformedKey(key); flaw != "" {
					c.Violate(s, "well-formed keys", keyName(key, i)+" "+flaw)
				}
			}
			if flaw := indistinct(keys); flaw != "" {
				c.Violate(s, "keys that can be told apart by kid", flaw)
			}
			use := func(i int) string { return keys[i].Get("use").Text }
			signing, encryption, without := 0, 0, ""
			for i := range keys {
				switch use(i) {
				case "sig":
					signing++
				case "enc":
					encryption++
				case "":
					if !keys[i].Get("key_ops").Present() {
						without = keyName(keys[i], i)
					}
				}
			}
			if encryption > 0 && without != "" {
				c.Violate(s, "use in every key, where keys for signing and for encryption stand together", without+" without use")
			}
		},
	},
	{
		ID:    "metadata.key-strength",
		Title: "Published signing keys are strong enough",
		Group: "metadata",
		Level: Must, Wording: Keyword, Binds: "server", Posture: Advise,
		Source:   "RFC 7518 §3.3, §3.5",
		Editions: AllEditions,
		Summary:  "RSA keys used with the RS and PS algorithms have 2048 bits or more.",
		Why:      "A factored key lets anybody mint tokens.",
		Applies:  Applies{When: "jwks_uri present"},
		Requires: []string{"metadata.jwks-structure"},
		Probe:    "Length of each RSA modulus in the JWKS.",
		Expect:   "At least 2048 bits.",
		Tolerates: []string{
			"Keys marked for encryption only are listed separately.",
		},
		Fault: "A 1024-bit RSA key.",
		Check: func(c *Case) {
			keys, s := c.keys()
			c.look(s)
			judged := false
			for i, key := range keys {
				bits := keyBits(key)
				switch {
				case key.Get("kty").Text != "RSA" || bits == 0:
				case forEncryption(key):
					if bits < 2048 {
						c.Note("%s, which is for encryption, has %d bits", keyName(key, i), bits)
					}
				case bits < 2048:
					c.Violate(s, "RSA keys of 2048 bits or more", fmt.Sprintf("%s of %d bits", keyName(key, i), bits))
				default:
					judged = true
				}
			}
			if !judged {
				c.NotApplicable("the key set holds no RSA key for signing")
			}
		},
	},
}

// elsewhere are the grants that the token endpoint has no part in.
var elsewhere = []string{"implicit", "hybrid"}

// notUnsupported sends an advertised grant without what belongs to it, and expects any answer but
// unsupported_grant_type. A grant that has brought a token needs no question.
func (c *Case) notUnsupported(grantType string) {
	req := c.Dummy()
	if !req.Has("grant_type") {
		c.NotApplicable("the page documents no grant_type")
	}
	if g, ok := c.run.grantOf(grantType); ok {
		for _, s := range c.GoldenAnswers() {
			if s.grant == g.Key {
				return
			}
		}
		req = req.WithURL(c.Target().TokenURL(g))
	}
	for _, part := range req.GrantParts() {
		if part != "grant_type" {
			req = req.Drop(part)
		}
	}
	s := c.Probe(Step(req.Set("grant_type", grantType), "the advertised grant %s, without its parameters", exchange.Printable(grantType, 80)), Positive())
	c.Expect(s).To(satisfy("any answer to the advertised grant "+exchange.Printable(grantType, 80)+" but unsupported_grant_type",
		func(s *Sample) (string, bool) { return s.Came(), s.Code() != "unsupported_grant_type" }))
}

// namesTokenEndpoint reads token_endpoint and holds it against the addresses in use. The alias for
// mutual TLS counts too.
func (c *Case) namesTokenEndpoint(s *Sample) (came string, ok bool) {
	doc := s.Answer.Lenient()
	v := doc.Get("token_endpoint")
	if v.Kind != exchange.String {
		return "token_endpoint as " + inForm(v), false
	}
	if u, err := url.Parse(v.Text); err != nil || u.Host == "" || plainHTTP(u) {
		return "token_endpoint " + v.Text + ", which is no absolute https URL", false
	}
	advertised := []string{v.Text, doc.At("mtls_endpoint_aliases", "token_endpoint").Text}
	used := []string{c.Target().TokenURL(nil)}
	for i := range c.Contract().Grants {
		used = append(used, c.Target().TokenURL(&c.Contract().Grants[i]))
	}
	for _, a := range advertised {
		for _, u := range used {
			if a != "" && (sameAddress(a, u) || sameAddress(c.Target().Rebase(a), u)) {
				return "", true
			}
		}
	}
	return "token_endpoint " + v.Text, false
}

// inForm says in words what a JSON value is.
func inForm(v exchange.Value) string {
	switch v.Kind {
	case "":
		return "nothing: it is absent"
	case exchange.Array:
		for _, item := range v.Items {
			if item.Kind != exchange.String {
				return "an array with " + string(item.Kind) + " in it"
			}
		}
		return "an array"
	case exchange.String:
		return "the string " + exchange.Printable(v.Text, 100)
	}
	return string(v.Kind)
}

// privateMembers are those of private keys, by type of key (RFC 7518 §6, RFC 8037 §2).
var privateMembers = map[string][]string{
	"RSA": {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}, "EC": {"d", "k"}, "OKP": {"d", "k"}, "AKP": {"priv"},
}

// malformedKey says what a key lacks by the definition of its type, "" for nothing. Types that are
// not known here may hold what they like.
func malformedKey(key exchange.Value) string {
	if key.Kind != exchange.Object {
		return "is no object"
	}
	if key.Get("kty").Kind != exchange.String {
		return "has no kty"
	}
	if kid := key.Get("kid"); kid.Present() && kid.Kind != exchange.String {
		return "has a kid that is no string"
	}
	for _, name := range map[string][]string{"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}[key.Get("kty").Text] {
		if v := key.Get(name); v.Kind != exchange.String || v.Text == "" {
			return "has no " + name
		}
	}
	return ""
}

// indistinct says which keys of one type share a kid, "" for none. The same key listed twice is one.
func indistinct(keys []exchange.Value) string {
	for i, a := range keys {
		for j, b := range keys[:i] {
			same := func(names ...string) bool {
				return !slices.ContainsFunc(names, func(n string) bool { return a.Get(n).Text != b.Get(n).Text })
			}
			if a.Get("kid").Kind == exchange.String && same("kid", "kty") && !same("n", "e", "crv", "x", "y", "pub") {
				return fmt.Sprintf("keys number %d and %d share %s", j+1, i+1, strings.Replace(keyName(a, i), "key", "kid", 1))
			}
		}
	}
	return ""
}

// forEncryption reports a key that signs nothing.
func forEncryption(key exchange.Value) bool {
	alg := key.Get("alg").Text
	return key.Get("use").Text == "enc" || strings.HasPrefix(alg, "RSA-OAEP") || alg == "RSA1_5" || strings.HasPrefix(alg, "ECDH")
}
