package suites

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"

	"grantcheck/report"
	"grantcheck/suites/contract"
	"grantcheck/suites/exchange"
)

// What the server publishes about itself, metadata documents and key sets, read once in a run.

// lacks ends the check for want of an optional part of the contract: a fixture is needed where the
// contract has a place for it that is left out, elsewhere the rule is not applicable.
func (c *Case) lacks(where, fixture string) {
	if slices.ContainsFunc(c.Contract().Absent, func(a contract.Absent) bool { return a.Where == where }) {
		c.Needs(fixture)
	}
	c.NotApplicable("the contract names no %s", strings.TrimPrefix(strings.TrimPrefix(fixture, "a "), "an "))
}

// published returns the answer to a plain GET, the one that is there already if the run has one.
func (c *Case) published(endpoint, address string) *Sample {
	for _, s := range c.Answers(func(s *Sample) bool {
		return s.Endpoint == endpoint && s.Request.URL() == address && s.Answer.Inconclusive() == ""
	}) {
		return s
	}
	return c.Try(c.Target().Get(address), Positive(), At(endpoint))
}

// wellKnown returns the answers at the well-known locations of the issuer, redirects within its
// host followed.
func (c *Case) wellKnown() (answers []*Sample) {
	for _, address := range c.Target().MetadataURLs() {
		s := c.published("metadata", address)
		for range 3 {
			next, err := url.Parse(s.Header.Get("Location"))
			here, _ := url.Parse(s.Request.URL())
			if s.Status/100 != 3 || err != nil || here.ResolveReference(next).Host != here.Host {
				break
			}
			s = c.published("metadata", here.ResolveReference(next).String())
		}
		answers = append(answers, s)
		if s.Err != nil {
			break // the locations share their host
		}
	}
	return answers
}

// metadata returns the metadata documents, each once, that of RFC 8414 first: those with the
// configured issuer where there are any. It ends the check where there is none.
func (c *Case) metadata() (documents []*Sample) {
	if c.Target().Issuer() == "" {
		c.NotApplicable("the contract names no issuer identifier")
	}
	all := c.documents(c.wellKnown())
	for _, s := range all {
		if s.Answer.Lenient().Get("issuer").Text == c.Target().Issuer() {
			documents = append(documents, s)
		}
	}
	if len(documents) == 0 {
		documents = all
	}
	if len(documents) == 0 {
		c.NotApplicable("no metadata document is published")
	}
	return documents
}

// documents picks the metadata documents, each text once.
func (c *Case) documents(answers []*Sample) (out []*Sample) {
	for _, s := range answers {
		same := func(o *Sample) bool { return bytes.Equal(o.Body, s.Body) }
		if isMetadata(s) && !slices.ContainsFunc(out, same) {
			out = append(out, s)
		}
	}
	return out
}

// isMetadata reports a success whose body is a JSON object with a member of metadata: not the page
// that some servers show for every address.
func isMetadata(s *Sample) bool {
	return s.Err == nil && s.Status/100 == 2 && slices.ContainsFunc(s.Answer.Lenient().Names(), func(name string) bool {
		_, known := metadataMembers[name]
		return known && s.Answer.Lenient().Kind == exchange.Object && bytes.HasPrefix(bytes.TrimLeft(s.Body, " \t\r\n\ufeff"), []byte("{"))
	})
}

// inAny returns the first of the documents whose list, or its default where the list is absent,
// holds one of the values; nil without.
func inAny(documents []*Sample, member string, standard []string, values ...string) *Sample {
	for _, s := range documents {
		if slices.ContainsFunc(listOf(s, member, standard), func(v string) bool { return slices.Contains(values, v) }) {
			return s
		}
	}
	return nil
}

// listOf reads a list of strings of a metadata document, standard where it is absent.
func listOf(s *Sample, member string, standard []string) []string {
	v := s.Answer.Lenient().Get(member)
	if v.Kind != exchange.Array {
		return standard
	}
	list := []string{}
	for _, item := range v.Items {
		list = append(list, item.Text)
	}
	return list
}

// what lists of metadata stand for when they are left out (RFC 8414 §2).
var (
	defaultGrants  = []string{"authorization_code", "implicit"}
	defaultMethods = []string{"client_secret_basic"}
)

// inList says a list in a report.
func inList(items []string) string {
	if len(items) == 0 {
		return "an empty list"
	}
	return strings.Join(items, ", ")
}

// plainHTTP tells why an address does not count as https: "" where it is, or where it is a test
// server on loopback.
func plainHTTP(u *url.URL) bool { return u.Scheme != "https" && !exchange.Loopback(u.Hostname()) }

// sameAddress compares two addresses after normalization (RFC 3986 §6.2), fragments aside.
func sameAddress(a, b string) bool {
	x, err1 := url.Parse(a)
	y, err2 := url.Parse(b)
	if err1 != nil || err2 != nil {
		return a == b
	}
	return normal(x) == normal(y)
}

func normal(u *url.URL) string {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if port == map[string]string{"http": "80", "https": "443"}[strings.ToLower(u.Scheme)] {
		port = ""
	}
	path := u.JoinPath().EscapedPath()
	if decoded, err := url.PathUnescape(path); err == nil {
		path = (&url.URL{Path: decoded}).EscapedPath()
	}
	if path == "" {
		path = "/"
	}
	return fmt.Sprintf("%s://%s:%s%s?%s", strings.ToLower(u.Scheme), host, port, path, u.RawQuery)
}

// ---- key sets ----

// jwksAddress returns where the key set is: as metadata says, or the contract; "" without.
func (c *Case) jwksAddress() string {
	if c.Target().Issuer() != "" {
		for _, s := range c.documents(c.wellKnown()) {
			if v := s.Answer.Lenient().Get("jwks_uri"); v.Kind == exchange.String && v.Text != "" {
				return c.Target().Rebase(v.Text)
			}
		}
	}
	if m := c.Contract().Metadata; m != nil && m.JWKS != "" {
		return c.Target().Rebase(m.JWKS)
	}
	return ""
}

// jwks returns the answer with the key set; without an address the rule is not applicable.
func (c *Case) jwks() *Sample {
	address := c.jwksAddress()
	if u, err := url.Parse(address); address == "" || err != nil || u.Host == "" {
		c.NotApplicable("neither metadata nor the contract names a key set")
	}
	s := c.published("jwks", address)
	c.decided(s, probe{})
	return s
}

// keysIn returns the keys of a key set; ok is false where there is no array of them.
func keysIn(s *Sample) (keys []exchange.Value, ok bool) {
	v := s.Answer.Lenient().Get("keys")
	return v.Items, s.Status/100 == 2 && v.Kind == exchange.Array
}

// keys returns the keys of the published key set; where it cannot be read the check ends.
func (c *Case) keys() (keys []exchange.Value, from *Sample) {
	from = c.jwks()
	keys, ok := keysIn(from)
	if !ok {
		c.look(from)
		panic(stop{verdict: report.Blocked, kind: report.Prerequisite, reason: "the key set cannot be read; metadata.jwks-structure says why"})
	}
	return keys, from
}

// keyName says which key of a set is meant.
func keyName(key exchange.Value, place int) string {
	if kid := key.Get("kid"); kid.Kind == exchange.String {
		return fmt.Sprintf("key %q", exchange.Printable(kid.Text, 60))
	}
	return fmt.Sprintf("key number %d", place+1)
}

// keyBits returns the length of the modulus of an RSA key, 0 where it cannot be read.
func keyBits(key exchange.Value) int {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(key.Get("n").Text, "="))
	if err != nil {
		return 0
	}
	return new(big.Int).SetBytes(raw).BitLen()
}

// metadataMembers are the registered members with the form of their values: the registry of
// authorization server metadata (RFC 8414 §7.1) with what OpenID specifications add to it.
var metadataMembers = func() map[string]memberForm {
	out := map[string]memberForm{}
	for form, names := range map[memberForm]string{
		anURL: `authorization_endpoint token_endpoint jwks_uri registration_endpoint revocation_endpoint introspection_endpoint
			device_authorization_endpoint userinfo_endpoint pushed_authorization_request_endpoint check_session_iframe
			end_session_endpoint backchannel_authentication_endpoint signed_jwks_uri federation_registration_endpoint
			challenge_endpoint`,
		aString: `issuer service_documentation op_policy_uri op_tos_uri signed_metadata organization_name logo_uri policy_uri homepage_uri`,
		someStrings: `scopes_supported response_types_supported response_modes_supported grant_types_supported
			token_endpoint_auth_methods_supported token_endpoint_auth_signing_alg_values_supported ui_locales_supported
			revocation_endpoint_auth_methods_supported revocation_endpoint_auth_signing_alg_values_supported
			introspection_endpoint_auth_methods_supported introspection_endpoint_auth_signing_alg_values_supported
			code_challenge_methods_supported nfv_token_signing_alg_values_supported nfv_token_encryption_alg_values_supported
			nfv_token_encryption_enc_values_supported acr_values_supported subject_types_supported
			id_token_signing_alg_values_supported id_token_encryption_alg_values_supported id_token_encryption_enc_values_supported
			userinfo_signing_alg_values_supported userinfo_encryption_alg_values_supported userinfo_encryption_enc_values_supported
			request_object_signing_alg_values_supported request_object_encryption_alg_values_supported
			request_object_encryption_enc_values_supported display_values_supported claim_types_supported claims_supported
			claims_locales_supported introspection_signing_alg_values_supported introspection_encryption_alg_values_supported
			introspection_encryption_enc_values_supported backchannel_token_delivery_modes_supported
			backchannel_authentication_request_signing_alg_values_supported authorization_details_types_supported
			dpop_signing_alg_values_supported authorization_signing_alg_values_supported
			authorization_encryption_alg_values_supported authorization_encryption_enc_values_supported
			prompt_values_supported client_registration_types_supported protected_resources contacts
			client_attestation_signing_alg_values_supported client_attestation_pop_signing_alg_values_supported
			trust_frameworks_supported evidence_supported documents_supported`,
		aFlag: `tls_client_certificate_bound_access_tokens claims_parameter_supported request_parameter_supported
			request_uri_parameter_supported require_request_uri_registration require_signed_request_object
			require_pushed_authorization_requests authorization_response_iss_parameter_supported
			frontchannel_logout_supported frontchannel_logout_session_supported backchannel_logout_supported
			backchannel_logout_session_supported backchannel_user_code_parameter_supported
			pre-authorized_grant_anonymous_access_supported client_id_metadata_document_supported native_sso_supported verified_claims_supported`,
		anObject: `mtls_endpoint_aliases jwks`,
	} {
		for _, name := range strings.Fields(names) {
			out[name] = form
		}
	}
	return out
}()

// memberForm is the form of a metadata member's value.
type memberForm string

const (
	anURL       memberForm = "an absolute URL"
	aString     memberForm = "a string"
	someStrings memberForm = "an array of strings"
	aFlag       memberForm = "a boolean"
	anObject    memberForm = "an object"
)

// fits reports whether a value has the form.
func (m memberForm) fits(v exchange.Value) bool {
	switch m {
	case anURL:
		u, err := url.Parse(v.Text)
		return v.Kind == exchange.String && err == nil && u.Scheme != "" && u.Host != ""
	case aString:
		return v.Kind == exchange.String
	case someStrings:
		return v.Kind == exchange.Array && !slices.ContainsFunc(v.Items, func(item exchange.Value) bool { return item.Kind != exchange.String })
	case aFlag:
		return v.Kind == exchange.Bool
	case anObject:
		return v.Kind == exchange.Object
	}
	return true
}

// nearMiss returns the registered name that a member name was probably meant to be, "" for none.
func nearMiss(name string) string {
	if _, known := metadataMembers[name]; known || len(name) < 6 {
		return ""
	}
	best, least := "", 3
	for known := range metadataMembers {
		if d := editDistance(name, known); d < least && len(known) >= 6 || d == least && known < best {
			best, least = known, d
		}
	}
	return best
}
