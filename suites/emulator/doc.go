// Package emulator is a token endpoint that does what a contract documents, strictly and
// correctly, with everything around it: authorization endpoint, metadata, keys,
// introspection, revocation, a protected resource.
//
// A token request passes the stages of flow.go: method, receive, parse, route, limit,
// authenticate, dispatch, grant, issue. Every decision on the way belongs to behaviour:
//
//   - checks, named in points.go: skip, skipIf, deny, instead;
//   - choices, func members of behaviour with a standard answer: assign or wrap them;
//   - hooks: before and after a stage, onClaims, onRefusal (recode), onAnswer, onToken,
//     onError, onDocument, onWorld.
//
// A hook sees the flow: what was asked (params, form, sent, emptyBody, grantIs, method),
// who asks (client, user), what was decided (issue, or refusal with its Reason). Members
// of an answer are found by the part they play, so that a fault works in every dialect:
// a.Body.get, set, drop, find. An answer can be anything: duplicate members, raw JSON,
// bytes before and after, lost connections, delays; see type answer.
//
// # Adding a fault
//
// A fault is a literal in the slice of its group (faults_GROUP.go, listed in Faults). Its
// name is the rule's id, or id/variant. It changes one thing, as narrow as the rule's
// fault sentence, so that no other rule notices:
//
//	{
//		Name: "code.bound-to-client", Rule: "code.bound-to-client",
//		Text:  "Code lookup ignores the client.",
//		Apply: func(b *behaviour) { b.skip(atCodeClient) },
//	},
//	{
//		Name: "error.code-known", Rule: "error.code-known",
//		Text: "Answers an empty body with error BAD_REQUEST_17.",
//		Apply: func(b *behaviour) {
//			b.onError(func(f *flow, a *answer) {
//				if f.emptyBody() {
//					a.Body.set("error", "BAD_REQUEST_17")
//				}
//			})
//		},
//	},
//
// Setup says what a fault needs: another shipped contract, an edition, TLS, limits
// (Options), or a changed contract (Prepare for emulator and judge alike, Judge for the
// judge only). New applies the setup of every fault it is given; a caller only has to
// pick Setup.Contract.
//
// A choice is wrapped by keeping the old one:
//
//	std := b.grantTypeOf
//	b.grantTypeOf = func(f *flow) string { return strings.ToLower(std(f)) }
//
// A variation (variations.go) is the same for behaviour that is legitimate.
//
// The package shares no parsing or validating code with the rules or with exchange.
package emulator
