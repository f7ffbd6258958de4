package emulator

import (
	"slices"
	"strings"

	"grantcheck/suites/contract"
)

// requestFaults break the rules of the group request.
var requestFaults = []Fault{
	{
		Name: "request.form-accepted", Rule: "request.form-accepted",
		Text: "Only understands a JSON body and answers every form request with 415.",
		Apply: func(b *behaviour) {
			std := b.bodyKind
			b.bodyKind = func(f *flow) string {
				switch kind := std(f); {
				case f.endpoint != tokenEndpoint:
					return kind
				case strings.HasPrefix(strings.ToLower(f.r.Header.Get("Content-Type")), "application/json"):
					return "json"
				case kind == "form":
					return ""
				default:
					return kind
				}
			}
		},
	},
	{
		Name: "request.form-charset-parameter", Rule: "request.form-charset-parameter",
		Text: "Compares the whole Content-Type value as a string and answers 415 when a parameter is present.",
		Apply: func(b *behaviour) {
			refuseMediaType(b, func(t string) bool {
				return strings.HasPrefix(strings.ToLower(t), "application/x-www-form-urlencoded") && strings.Contains(t, ";")
			})
		},
	},
	{
		Name: "request.media-type-case", Rule: "request.media-type-case",
		Text: "Compares the media type with regard to letter case; answers 415.",
		Apply: func(b *behaviour) {
			refuseMediaType(b, func(t string) bool {
				t, _, _ = strings.Cut(t, ";")
				return t != strings.ToLower(t)
			})
		},
	},
	{
		Name: "request.missing-grant-type", Rule: "request.missing-grant-type",
		Text: "Falls back to a default grant when grant_type is missing.",
		Apply: func(b *behaviour) {
			defaultGrant(b, func(f *flow) bool { return !f.sent("grant_type") })
		},
	},
	{
		Name: "request.empty-grant-type", Rule: "request.empty-grant-type",
		Text: "An empty grant_type selects the default grant.",
		Apply: func(b *behaviour) {
			defaultGrant(b, func(f *flow) bool { return f.sent("grant_type") && f.param("grant_type") == "" })
		},
	},
	{
		Name: "request.empty-grant-type/other-code", Rule: "request.empty-grant-type",
		Text: "Answers an empty grant_type with 400 invalid_grant, an absent one with invalid_request.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == missingGrantType && f.sent("grant_type") {
					r.Code = "invalid_grant"
				}
			})
		},
	},
	{
		Name: "request.unknown-grant-type", Rule: "request.unknown-grant-type",
		Text:  "Answers an unknown grant type with invalid_grant.",
		Apply: func(b *behaviour) { b.recode(unknownGrant, 0, "invalid_grant") },
	},
	{
		Name: "request.unknown-grant-type/accepted", Rule: "request.unknown-grant-type",
		Text: "Treats an unknown absolute URI in grant_type as the default grant.",
		Apply: func(b *behaviour) {
			defaultGrant(b, func(f *flow) bool {
				return strings.Contains(f.param("grant_type"), ":") && f.e.dialect.byType[f.param("grant_type")] == nil
			})
		},
	},
	{
		Name: "request.grant-type-case", Rule: "request.grant-type-case",
		Text: "Lower-cases grant_type before dispatch and issues a token for the upper-case spelling.",
		Apply: func(b *behaviour) {
			std := b.grantTypeOf
			b.grantTypeOf = func(f *flow) string { return strings.ToLower(std(f)) }
		},
	},
	{
		Name: "request.param-name-case", Rule: "request.param-name-case",
		Text: "Parses the names of the form without regard to letter case.",
		Apply: func(b *behaviour) {
			b.parameterName = func(_ *flow, name string) string { return strings.ToLower(name) }
		},
	},
	{
		Name: "request.unrecognized-ignored", Rule: "request.unrecognized-ignored",
		Text: "Answers a parameter that it does not know with 400 invalid_request.",
		Apply: func(b *behaviour) {
			b.after(stageParse, func(f *flow) *refusal {
				for _, p := range f.params {
					if !f.e.dialect.known[p.Part] {
						return refuse(malformedRequest, p.Name)
					}
				}
				return nil
			})
		},
	},
	{
		Name: "request.unrecognized-ignored/fewer-members", Rule: "request.unrecognized-ignored",
		Text: "Leaves expires_in out when a parameter came that it does not know.",
		Apply: func(b *behaviour) {
			b.onToken(func(f *flow, a *answer) {
				if slices.ContainsFunc(f.params, func(p parameter) bool { return strings.HasPrefix(p.Name, "grantcheck_") }) {
					a.Body.drop("expires_in")
				}
			})
		},
	},
	{
		Name: "request.empty-optional-omitted", Rule: "request.empty-optional-omitted",
		Text: "Answers an empty scope with 400 invalid_scope although its omission succeeds.",
		Apply: func(b *behaviour) {
			b.before(stageGrant, func(f *flow) *refusal {
				if f.sent("scope") && f.param("scope") == "" {
					return refuse(badScope, "scope")
				}
				return nil
			})
		},
	},
	{
		Name: "request.empty-optional-omitted/other-scope", Rule: "request.empty-optional-omitted",
		Text: "Grants every scope for an empty scope and the default for an omitted one.",
		Setup: Setup{Prepare: func(c *contract.Contract) {
			c.Scopes.Grantable, c.Scopes.Default = []string{"read", "write"}, []string{"read"}
		}},
		Apply: func(b *behaviour) {
			std := b.grantScope
			b.grantScope = func(f *flow, ask scopeAsk) ([]string, *refusal) {
				if f.sent("scope") && !ask.Present && !ask.Bound {
					return ask.Allowed, nil
				}
				return std(f, ask)
			}
		},
	},
	{
		Name: "request.duplicate-conflicting", Rule: "request.duplicate-conflicting",
		Text: "Of two values of grant_type the first wins.",
		Apply: func(b *behaviour) {
			resolve(b, "grant_type", func(values []string) (string, bool) { return values[0], values[0] != values[1] })
		},
	},
	{
		Name: "request.duplicate-conflicting/last-wins", Rule: "request.duplicate-conflicting",
		Text: "Of two values of grant_type the last wins.",
		Apply: func(b *behaviour) {
			resolve(b, "grant_type", func(values []string) (string, bool) { return values[len(values)-1], values[0] != values[1] })
		},
	},
	{
		Name: "request.duplicate-identical", Rule: "request.duplicate-identical",
		Text: "Collapses equal duplicates of grant_type.",
		Apply: func(b *behaviour) {
			resolve(b, "grant_type", func(values []string) (string, bool) { return values[0], values[0] == values[1] })
		},
	},
	{
		Name: "request.duplicate-identical/other-code", Rule: "request.duplicate-identical",
		Text: "Answers a grant_type that is repeated with the same value with unsupported_grant_type.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason != duplicateParameter || r.Parameter != "grant_type" {
					return
				}
				var values []string
				for _, p := range f.params {
					if p.Part == "grant_type" && !slices.Contains(values, p.Value) {
						values = append(values, p.Value)
					}
				}
				if len(values) == 1 {
					r.Code = "unsupported_grant_type"
				}
			})
		},
	},
	{
		Name: "request.duplicate-client-id", Rule: "request.duplicate-client-id",
		Text: "Authenticates whichever client_id comes last.",
		Apply: func(b *behaviour) {
			resolve(b, "client_id", func(values []string) (string, bool) { return values[len(values)-1], true })
		},
	},
	{
		Name: "request.duplicate-client-id/first-wins", Rule: "request.duplicate-client-id",
		Text: "Authenticates whichever client_id comes first.",
		Apply: func(b *behaviour) {
			resolve(b, "client_id", func(values []string) (string, bool) { return values[0], true })
		},
	},
	{
		Name: "request.scope-omitted", Rule: "request.scope-omitted",
		Text: "Answers a client credentials or password request without scope with 400 invalid_request.",
		Apply: func(b *behaviour) {
			b.before(stageGrant, func(f *flow) *refusal {
				if f.grantIs(clientCredentials, passwordGrant) && f.param("scope") == "" {
					return refuse(missingParameter, "scope")
				}
				return nil
			})
		},
	},
	{
		Name: "request.scope-unknown", Rule: "request.scope-unknown",
		Text: "Drops a scope that it does not know, grants the rest and omits the scope member.",
		Apply: func(b *behaviour) {
			dropUnknown(b, func(f *flow, a *answer) { a.Body.drop("scope") })
		},
	},
	{
		Name: "request.scope-unknown/reported-as-granted", Rule: "request.scope-unknown",
		Text: "Drops a scope that it does not know and reports it as granted.",
		Apply: func(b *behaviour) {
			dropUnknown(b, func(f *flow, a *answer) { a.Body.set("scope", f.asked.Raw) })
		},
	},
	{
		Name: "request.scope-unknown/invalid-request", Rule: "request.scope-unknown",
		Text: "Answers an unknown scope with 400 invalid_grant.",
		Apply: func(b *behaviour) {
			b.onRefusal(func(f *flow, r *refusal) {
				if r.Reason == badScope && f.grantIs(clientCredentials, passwordGrant) && !slices.ContainsFunc(f.asked.Names, func(s string) bool { return !scopeToken(s) }) {
					r.Code = "invalid_grant"
				}
			})
		},
	},
	{
		Name: "request.scope-malformed", Rule: "request.scope-malformed",
		Text: "Echoes a malformed scope back as granted.",
		Also: []string{"response.scope-syntax"}, // which looks at the same answer
		Apply: func(b *behaviour) {
			std := b.grantScope
			b.grantScope = func(f *flow, ask scopeAsk) ([]string, *refusal) {
				if slices.ContainsFunc(ask.Names, func(s string) bool { return s != "" && !scopeToken(s) }) && f.endpoint == tokenEndpoint && !ask.Bound {
					return ask.Names, nil
				}
				return std(f, ask)
			}
			b.onToken(func(f *flow, a *answer) {
				if slices.ContainsFunc(f.scope, func(s string) bool { return !scopeToken(s) }) {
					a.Body.set("scope", f.asked.Raw)
				}
			})
		},
	},
	{
		Name: "request.scope-order", Rule: "request.scope-order",
		Text:  "Compares the scope text verbatim and refuses another order.",
		Setup: twoScopes,
		Apply: func(b *behaviour) {
			b.before(stageGrant, func(f *flow) *refusal {
				at := -1
				for _, name := range f.splitScope(f.param("scope")) {
					i := slices.Index(f.e.scopes.grantable, name)
					if i >= 0 && i < at {
						return refuse(badScope, "scope")
					}
					at = i
				}
				return nil
			})
		},
	},
	{
		Name: "request.scope-order/first-only", Rule: "request.scope-order",
		Text:  "Grants only the first of two scopes.",
		Setup: twoScopes,
		Apply: func(b *behaviour) {
			std := b.grantScope
			b.grantScope = func(f *flow, ask scopeAsk) ([]string, *refusal) {
				granted, r := std(f, ask)
				if f.grantIs(clientCredentials, passwordGrant) && len(granted) > 1 && len(granted) == len(ask.Names) {
					granted = granted[:1]
				}
				return granted, r
			}
		},
	},
	{
		Name: "request.plus-is-space", Rule: "request.plus-is-space",
		Text:  "Leaves the plus sign of a form undecoded.",
		Setup: twoScopes,
		Apply: func(b *behaviour) {
			std := b.unescape
			b.unescape = func(f *flow, raw string) (string, error) { return std(f, strings.ReplaceAll(raw, "+", "%2B")) }
		},
	},
	{
		Name: "request.percent-decoding", Rule: "request.percent-decoding",
		Text: "Compares the undecoded grant_type with the plain grant names.",
		Apply: func(b *behaviour) {
			std := b.grantTypeOf
			b.grantTypeOf = func(f *flow) string {
				for _, p := range f.params {
					if p.Part == "grant_type" && p.Value == std(f) && !strings.Contains(p.Value, ":") {
						return p.RawValue
					}
				}
				return std(f)
			}
		},
	},
	{
		Name: "request.percent-decoding/names", Rule: "request.percent-decoding",
		Text: "Compares the undecoded names of parameters.",
		Apply: func(b *behaviour) {
			b.after(stageParse, func(f *flow) *refusal {
				for _, p := range f.params {
					if p.Name != p.RawName && f.e.dialect.known[p.Part] {
						delete(f.form, p.Part)
					}
				}
				return nil
			})
		},
	},
	{
		Name: "request.order-independent", Rule: "request.order-independent",
		Text: "Requires grant_type to be the first parameter.",
		Apply: func(b *behaviour) {
			b.after(stageParse, func(f *flow) *refusal {
				if f.sent("grant_type") && f.params[0].Part != "grant_type" {
					return refuse(malformedRequest, "grant_type")
				}
				return nil
			})
		},
	},
	{
		Name: "request.grant-in-query", Rule: "request.grant-in-query",
		Text: "Reads grant parameters, though not credentials, from the query.",
		Apply: func(b *behaviour) {
			std := b.fromQuery
			b.fromQuery = func(f *flow, name string) bool {
				return std(f, name) || f.endpoint == tokenEndpoint && !strings.HasPrefix(f.e.dialect.part(name), "client_")
			}
		},
	},
}

// twoScopes makes sure that there are two scopes to ask for.
var twoScopes = Setup{Prepare: func(c *contract.Contract) {
	if len(c.Scopes.Grantable) < 2 {
		c.Scopes.Grantable = []string{"read", "write"}
	}
}}

// refuseMediaType answers 415 at the token endpoint where bad holds of the Content-Type.
func refuseMediaType(b *behaviour, bad func(contentType string) bool) {
	std := b.bodyKind
	b.bodyKind = func(f *flow) string {
		if f.endpoint == tokenEndpoint && bad(f.r.Header.Get("Content-Type")) {
			return ""
		}
		return std(f)
	}
}

// defaultGrant takes the first documented grant where cond holds.
func defaultGrant(b *behaviour, cond func(f *flow) bool) {
	std := b.grantTypeOf
	b.grantTypeOf = func(f *flow) string {
		if cond(f) {
			return f.e.dialect.grants[0].kind
		}
		return std(f)
	}
}

// resolve picks one of several values of one parameter of the token endpoint.
func resolve(b *behaviour, name string, pick func(values []string) (string, bool)) {
	std := b.duplicates
	b.duplicates = func(f *flow, n string, values []string) (string, bool) {
		if n == name && f.endpoint == tokenEndpoint {
			return pick(values)
		}
		return std(f, n, values)
	}
}

// dropUnknown leaves unknown scopes out silently and then changes the answer.
func dropUnknown(b *behaviour, change func(f *flow, a *answer)) {
	unknown := func(f *flow, s string) bool { return scopeToken(s) && !slices.Contains(f.e.scopes.known, s) }
	std := b.grantScope
	b.grantScope = func(f *flow, ask scopeAsk) ([]string, *refusal) {
		if ask.Bound || !f.grantIs(clientCredentials, passwordGrant) {
			return std(f, ask)
		}
		rest := ask
		rest.Names = slices.DeleteFunc(slices.Clone(ask.Names), func(s string) bool { return unknown(f, s) })
		if len(rest.Names) == 0 {
			rest.Present = false
		}
		return std(f, rest)
	}
	b.onToken(func(f *flow, a *answer) {
		if f.grantIs(clientCredentials, passwordGrant) && slices.ContainsFunc(f.asked.Names, func(s string) bool { return unknown(f, s) }) {
			change(f, a)
		}
	})
}
