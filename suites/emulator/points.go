package emulator

// The checks of the emulator, each asked in one place and changed by behaviour.skip,
// skipIf and instead. Beside each: what holds when it passes, and what it leaves in
// the flow for the stages after it.
const (
	// Token request.

	atMethod          point = "method"              // a documented HTTP method
	atSize            point = "size"                // the body is within bounds
	atMediaType       point = "media-type"          // a documented media type
	atEncoding        point = "encoding"            // percent encoding and UTF-8 are sound
	atDocumentedParam point = "documented-param"    // a parameter the page requires is there (f.parameter names it)
	atConstant        point = "constant"            // a parameter has the value the page fixes (f.parameter names it)
	atGrantType       point = "grant-type"          // grant_type is there
	atGrantKnown      point = "grant-known"         // a grant of that type is documented; sets f.grant
	atGrantAllowed    point = "grant-allowed"       // the client is registered for the grant
	atConfidential    point = "confidential-client" // the client of a client_credentials request is confidential
	atLimit           point = "limit"               // no rate limit is exceeded

	// Client authentication (f.cred holds what was presented).

	atOneAuthorization point = "one-authorization" // at most one Authorization field
	atScheme           point = "auth-scheme"       // the Authorization scheme is Basic
	atBasicSyntax      point = "basic-syntax"      // base64 with a colon inside
	atOneAuthMethod    point = "one-auth-method"   // at most one authentication method
	atClientNamed      point = "client-named"      // some client is named; else the request is anonymous
	atClientKnown      point = "client-known"      // the client exists; sets f.client
	atAuthMethod       point = "auth-method"       // the client may authenticate this way
	atCredential       point = "credential"        // a confidential client presented a credential
	atSecret           point = "secret"            // the secret is the client's
	atGuesses          point = "guesses"           // not too many wrong secrets or passwords in a row
	atClientID         point = "client-id"         // client_id names the authenticated client

	// Client assertions (private_key_jwt, client_secret_jwt; f.assertion).

	atAssertionType      point = "assertion-type"      // client_assertion_type is the registered one
	atAssertionSyntax    point = "assertion-syntax"    // three segments, JSON; sets f.assertion
	atAssertionIssuer    point = "assertion-iss"       // iss is there and is the client
	atAssertionSubject   point = "assertion-sub"       // sub is there and is the client
	atAssertionAlg       point = "assertion-alg"       // the registered alg
	atAssertionSignature point = "assertion-signature" // verified with a key of the client
	atAssertionAudience  point = "assertion-aud"       // aud is there and is this server
	atAssertionExp       point = "assertion-exp"       // exp is there
	atAssertionExpired   point = "assertion-expired"   // exp lies ahead
	atAssertionNotBefore point = "assertion-nbf"       // nbf, if there, lies behind
	atAssertionIssued    point = "assertion-iat"       // iat, if there, is neither ahead nor a day old
	atAssertionJTI       point = "assertion-jti"       // jti was not seen before

	// JWT bearer grant (f.assertion).

	atGrantAssertion          point = "grant-assertion"           // assertion is there
	atGrantAssertionSyntax    point = "grant-assertion-syntax"    // three segments, JSON; sets f.assertion
	atGrantAssertionIssuer    point = "grant-assertion-iss"       // iss is there and trusted
	atGrantAssertionSubject   point = "grant-assertion-sub"       // sub is there
	atGrantAssertionAlg       point = "grant-assertion-alg"       // an alg of the issuer
	atGrantAssertionSignature point = "grant-assertion-signature" // verified with a key of the issuer
	atGrantAssertionAudience  point = "grant-assertion-aud"       // aud is there and is this server
	atGrantAssertionExp       point = "grant-assertion-exp"       // exp is there
	atGrantAssertionExpired   point = "grant-assertion-expired"   // exp lies ahead
	atGrantAssertionNotBefore point = "grant-assertion-nbf"       // nbf, if there, lies behind
	atGrantAssertionIssued    point = "grant-assertion-iat"       // iat, if there, is not ahead

	// Password grant.

	atUsername      point = "username"       // username is there
	atPassword      point = "password"       // password is there
	atUserKnown     point = "user-known"     // the user exists; sets f.user
	atPasswordMatch point = "password-match" // the password is the user's

	// Authorization code grant (f.code).

	atCode            point = "code"             // code is there
	atCodeKnown       point = "code-known"       // the code was issued; sets f.code
	atCodeClient      point = "code-client"      // to this client
	atCodeExpired     point = "code-expired"     // and has not expired
	atRedirectURI     point = "redirect-uri"     // redirect_uri is there if it was in the authorization request
	atRedirectMatch   point = "redirect-match"   // and identical to it
	atVerifier        point = "verifier"         // code_verifier is there if there was a challenge
	atVerifierSyntax  point = "verifier-syntax"  // 43 to 128 unreserved characters
	atVerifierMatch   point = "verifier-match"   // and fits the challenge
	atVerifierUnasked point = "verifier-unasked" // no code_verifier without a challenge
	atChallenge       point = "challenge"        // the code of a client that must use PKCE has a challenge
	atCodeUnused      point = "code-unused"      // first use; the check of a replay also ends the code's tokens
	atReplayRevokes   point = "replay-revokes"   // asked after a valid replay: standard ends the tokens of the code

	// Refresh (f.refresh).

	atRefreshToken   point = "refresh-token"   // refresh_token is there
	atRefreshKnown   point = "refresh-known"   // it was issued and lives; sets f.refresh
	atRefreshClient  point = "refresh-client"  // to this client
	atRefreshExpired point = "refresh-expired" // and has not expired
	atRefreshRevoked point = "refresh-revoked" // and was not revoked
	atRefreshScope   point = "refresh-scope"   // scope lies within the original grant
	atRefreshUnused  point = "refresh-unused"  // it was not rotated away

	// Authorization endpoint.

	atAuthorizeClient    point = "authorize-client"    // client_id names a client with a redirect_uri
	atAuthorizeRedirect  point = "authorize-redirect"  // redirect_uri is the registered one
	atAuthorizeType      point = "authorize-type"      // response_type is code
	atAuthorizeChallenge point = "authorize-challenge" // a challenge where it is demanded, of a supported method

	// Resource, UserInfo (f.access).

	atBearerPresent point = "bearer-present" // a token is there
	atBearerScheme  point = "bearer-scheme"  // the scheme is Bearer
	atBearerOnce    point = "bearer-once"    // by one way only
	atBearerKnown   point = "bearer-known"   // the token was issued; sets f.access
	atBearerRevoked point = "bearer-revoked" // and was not revoked
	atBearerExpired point = "bearer-expired" // and has not expired
	atBearerScope   point = "bearer-scope"   // and has the scope the resource needs

	// Revocation and introspection.

	atRevokeToken   point = "revoke-token"   // token is there
	atRevokeOwner   point = "revoke-owner"   // it belongs to the client; refusing is silent: 200, and the token lives
	atRevokeEffect  point = "revoke-effect"  // asked before the token is ended: a refusal leaves it alive, answer 200
	atRevokeCascade point = "revoke-cascade" // asked before the siblings are ended: a refusal leaves them alive
	atIntrospect    point = "introspect"     // token is there
	atIntrospectSee point = "introspect-see" // the caller may see the token; refusing is silent: active false
)
