package exchange

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"grantcheck/suites/contract"
)

// A JWT is a token about to be signed, every part of it open to change. It is a value: the
// methods return changed copies.
type JWT struct {
	Header map[string]any
	Claims map[string]any
	Key    any // crypto.Signer, or []byte for HS algorithms

	payload []byte // in place of Claims
}

// ClientAssertion makes the JWT that authenticates a client (RFC 7523 §2.2) by the words of its
// contract: iss and sub the client's id, iat now, exp within the lifetime, a fresh jti. What the
// contract leaves out, all of it where it says `unspecified`, is as the RFC has it. grant, which
// may be nil, says whose token endpoint is the audience.
func (t *Target) ClientAssertion(c *contract.Client, grant *contract.Grant) (JWT, error) {
	a := c.Assertion
	if a == nil {
		a = &contract.Assertion{}
	}
	return t.assertion(a, c, grant, cmp.Or(a.KeyFile, c.KeyFile))
}

// GrantAssertion makes the JWT of the jwt-bearer grant (RFC 7523 §2.1), likewise; what the grant
// leaves out is the client's.
func (t *Target) GrantAssertion(grant *contract.Grant, c *contract.Client) (JWT, error) {
	a := grant.Assertion
	if a == nil {
		return t.ClientAssertion(c, grant)
	}
	if a.Unspecified {
		return JWT{}, fmt.Errorf("grant %s: the contract leaves the assertion unspecified, so none can be signed", grant.Key)
	}
	return t.assertion(a, c, grant, cmp.Or(a.KeyFile, c.KeyFile))
}

func (t *Target) assertion(a *contract.Assertion, c *contract.Client, grant *contract.Grant, keyFile string) (JWT, error) {
	alg, kid := a.Alg, a.Kid
	var key any
	if strings.HasPrefix(alg, "HS") || alg == "" && keyFile == "" {
		if c.Secret == "" {
			return JWT{}, fmt.Errorf("client %s: an assertion needs key_file, or a secret for HS256", cmp.Or(c.Name, c.ID))
		}
		alg, key = cmp.Or(alg, "HS256"), []byte(c.Secret)
	} else {
		signer, keyID, err := t.keys.load(keyFile)
		if err != nil {
			return JWT{}, fmt.Errorf("client %s: %w", cmp.Or(c.Name, c.ID), err)
		}
		key, kid = signer, cmp.Or(kid, keyID)
		if alg == "" {
			alg = algFor(signer)
		}
	}
	now := t.opt.Now()
	j := JWT{Key: key, Header: map[string]any{"alg": alg, "typ": "JWT"}, Claims: map[string]any{
		"iss": c.ID, "sub": c.ID, "aud": t.audience(a.Audience, grant), "jti": t.UUID(),
		"iat": now.Unix(), "exp": now.Add(cmp.Or(a.Lifetime, time.Minute)).Unix(),
	}}
	if kid != "" {
		j.Header["kid"] = kid
	}
	src := sources{t: t, grant: grant, client: c}
	if grant == nil {
		src.grant = &contract.Grant{}
	}
	for _, claim := range a.Claims {
		if claim.Drop {
			delete(j.Claims, claim.Name)
			continue
		}
		v, err := src.value(claim.Value, contract.Field{})
		if err != nil {
			return JWT{}, fmt.Errorf("claim %s: %w", claim.Name, err)
		}
		if v == nil {
			return JWT{}, fmt.Errorf("claim %s needs %v, and there is none", claim.Name, claim.Value)
		}
		j.Claims[claim.Name] = v
	}
	for _, h := range a.Header {
		if h.Drop {
			delete(j.Header, h.Name)
		} else {
			j.Header[h.Name] = h.Value
		}
	}
	return j, nil
}

// audience reads the contract's word: issuer, token_endpoint or a literal; by default the issuer
// where the contract names one, else the token endpoint.
func (t *Target) audience(word string, grant *contract.Grant) string {
	switch word {
	case "issuer":
		return t.Issuer()
	case "token_endpoint":
		return t.TokenURL(grant)
	case "":
		return cmp.Or(t.Issuer(), t.TokenURL(grant))
	}
	return word
}

func (j JWT) copy() JWT {
	j.Header, j.Claims = maps.Clone(j.Header), maps.Clone(j.Claims)
	return j
}

// Set gives a claim a value.
func (j JWT) Set(claim string, value any) JWT {
	j = j.copy()
	j.Claims[claim] = value
	return j
}

// Drop leaves claims out.
func (j JWT) Drop(claims ...string) JWT {
	j = j.copy()
	for _, c := range claims {
		delete(j.Claims, c)
	}
	return j
}

// SetHeader gives a header member a value; DropHeader leaves it out.
func (j JWT) SetHeader(name string, value any) JWT {
	j = j.copy()
	j.Header[name] = value
	return j
}

// DropHeader leaves a header member out.
func (j JWT) DropHeader(name string) JWT {
	j = j.copy()
	delete(j.Header, name)
	return j
}

// SetTimes sets iat and exp, and nbf if it is not zero.
func (j JWT) SetTimes(iat, nbf, exp time.Time) JWT {
	j = j.Set("iat", iat.Unix()).Set("exp", exp.Unix())
	if !nbf.IsZero() {
		j = j.Set("nbf", nbf.Unix())
	}
	return j
}

// Payload signs these bytes in place of the claims, be they JSON or not.
func (j JWT) Payload(b []byte) JWT {
	j.payload = b
	return j
}

// Alg returns the algorithm of the header.
func (j JWT) Alg() string { s, _ := j.Header["alg"].(string); return s }

// Asymmetric reports that the key has a public half.
func (j JWT) Asymmetric() bool { _, ok := j.Key.(crypto.Signer); return ok }

// WithKey signs with another key, under the algorithm that the header goes on naming unless the
// key is of another type.
func (j JWT) WithKey(key any) JWT {
	j.Key = key
	if s, ok := key.(crypto.Signer); ok && !algFits(j.Alg(), s) {
		return j.SetHeader("alg", algFor(s))
	}
	return j
}

// ForeignKey signs with another key of the same type; kid and algorithm stay.
func (j JWT) ForeignKey() (JWT, error) {
	var key any
	var err error
	switch k := j.Key.(type) {
	case *rsa.PrivateKey:
		key, err = foreignRSA()
	case *ecdsa.PrivateKey:
		key, err = ecdsa.GenerateKey(k.Curve, rand.Reader)
	case ed25519.PrivateKey:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case []byte:
		b := make([]byte, max(32, len(k)))
		_, _ = rand.Read(b)
		key = b
	default:
		err = fmt.Errorf("no fresh key like %T", j.Key)
	}
	j.Key = key
	return j, err
}

// foreignRSA is a key that nobody has registered, one for all: making one takes long.
var foreignRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// EmbedKey puts the public half of the key into the jwk header member.
func (j JWT) EmbedKey() JWT {
	s, ok := j.Key.(crypto.Signer)
	if !ok {
		return j
	}
	b, err := jose.JSONWebKey{Key: s.Public()}.MarshalJSON()
	if err != nil {
		return j
	}
	return j.SetHeader("jwk", json.RawMessage(b))
}

// PublicPEM returns the public half of the key as a PEM text, PublicJWK as a JWK; nil for a
// symmetric key. A verifier that takes such a text for a MAC key is confused about algorithms.
func (j JWT) PublicPEM() []byte {
	s, ok := j.Key.(crypto.Signer)
	if !ok {
		return nil
	}
	der, err := x509.MarshalPKIXPublicKey(s.Public())
	if err != nil {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// PublicJWK returns the public half of the key as a JWK; see PublicPEM.
func (j JWT) PublicJWK() []byte {
	s, ok := j.Key.(crypto.Signer)
	if !ok {
		return nil
	}
	kid, _ := j.Header["kid"].(string)
	b, err := jose.JSONWebKey{Key: s.Public(), KeyID: kid, Algorithm: j.Alg(), Use: "sig"}.MarshalJSON()
	if err != nil {
		return nil
	}
	return b
}

// HMAC signs with HS256 and these bytes as the key.
func (j JWT) HMAC(key []byte) JWT {
	j = j.SetHeader("alg", "HS256")
	j.Key = key
	return j
}

// Unsigned returns the token with this spelling of alg ("none") and an empty signature.
func (j JWT) Unsigned(alg string) string {
	return j.SetHeader("alg", alg).signingInput() + "."
}

func (j JWT) signingInput() string {
	payload := j.payload
	if payload == nil {
		payload, _ = json.Marshal(j.Claims)
	}
	header, _ := json.Marshal(j.Header)
	return segment(header) + "." + segment(payload)
}

func segment(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Sign returns the token in compact form (RFC 7515 §3.1).
func (j JWT) Sign() (string, error) {
	input := j.signingInput()
	sig, err := sign(j.Alg(), j.Key, []byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + segment(sig), nil
}

// FlipSignature returns a compact token with one bit in the middle of its signature turned.
func FlipSignature(token string) string {
	i := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if i < 0 || err != nil || len(sig) == 0 {
		return token + "A"
	}
	sig[len(sig)/2] ^= 1
	return token[:i+1] + segment(sig)
}

// algHash returns the hash of a JWS algorithm, 0 for EdDSA.
func algHash(alg string) (crypto.Hash, bool) {
	switch {
	case alg == "EdDSA" || alg == "Ed25519":
		return 0, true
	case len(alg) != 5:
		return 0, false
	}
	h, ok := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[alg[2:]]
	return h, ok
}

func sign(alg string, key any, input []byte) ([]byte, error) {
	hash, ok := algHash(alg)
	if !ok {
		return nil, fmt.Errorf("signature algorithm %q: want RS, PS, ES or HS with 256, 384 or 512, or EdDSA", alg)
	}
	digest := input
	if hash != 0 {
		h := hash.New()
		h.Write(input)
		digest = h.Sum(nil)
	}
	switch k := key.(type) {
	case []byte:
		if !strings.HasPrefix(alg, "HS") {
			break
		}
		mac := hmac.New(hash.New, k)
		mac.Write(input)
		return mac.Sum(nil), nil
	case *rsa.PrivateKey:
		switch alg[:2] {
		case "RS":
			return rsa.SignPKCS1v15(rand.Reader, k, hash, digest)
		case "PS":
			return rsa.SignPSS(rand.Reader, k, hash, digest, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
	case *ecdsa.PrivateKey:
		if alg[:2] != "ES" {
			break
		}
		r, s, err := ecdsa.Sign(rand.Reader, k, digest)
		if err != nil {
			return nil, err
		}
		n := (k.Curve.Params().BitSize + 7) / 8
		out := make([]byte, 2*n)
		r.FillBytes(out[:n])
		s.FillBytes(out[n:])
		return out, nil
	case ed25519.PrivateKey:
		if hash == 0 {
			return ed25519.Sign(k, input), nil
		}
	}
	return nil, fmt.Errorf("a key of type %T cannot sign %s", key, alg)
}

// algFor returns the usual algorithm of a key.
func algFor(key crypto.Signer) string {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		switch k.Curve {
		case elliptic.P384():
			return "ES384"
		case elliptic.P521():
			return "ES512"
		}
		return "ES256"
	case ed25519.PrivateKey:
		return "EdDSA"
	}
	return "RS256"
}

func algFits(alg string, key crypto.Signer) bool {
	switch key.(type) {
	case *rsa.PrivateKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PrivateKey:
		return alg == algFor(key)
	}
	return alg == algFor(key)
}

// keyCache reads each key file once.
type keyCache struct {
	mu   sync.Mutex
	keys map[string]loadedKey
}

type loadedKey struct {
	signer crypto.Signer
	kid    string
}

// load reads a private key: PEM (PKCS #1, PKCS #8, SEC 1) or JWK, in a file or as text.
func (c *keyCache) load(file string) (crypto.Signer, string, error) {
	if file == "" {
		return nil, "", fmt.Errorf("no key_file to sign an assertion with")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.keys[file]; ok {
		return k.signer, k.kid, nil
	}
	data, name := []byte(file), "key_file"
	if !strings.Contains(file, "-----BEGIN") && !strings.HasPrefix(strings.TrimSpace(file), "{") {
		var err error
		if data, err = os.ReadFile(file); err != nil {
			return nil, "", fmt.Errorf("key_file: %w", err)
		}
		name = "key_file " + file
	}
	k, err := parseKey(data)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	if c.keys == nil {
		c.keys = map[string]loadedKey{}
	}
	c.keys[file] = k
	return k.signer, k.kid, nil
}

func parseKey(data []byte) (loadedKey, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		var jwk jose.JSONWebKey
		if err := jwk.UnmarshalJSON(data); err != nil {
			return loadedKey{}, fmt.Errorf("not a JWK that can be read")
		}
		signer, ok := jwk.Key.(crypto.Signer)
		if !ok {
			return loadedKey{}, fmt.Errorf("the JWK is no private key")
		}
		return loadedKey{signer, jwk.KeyID}, nil
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return loadedKey{}, fmt.Errorf("no private key in it: want PEM (PKCS #1, PKCS #8, SEC 1) or a JWK")
		}
		var key any
		var err error
		switch block.Type {
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		default:
			continue
		}
		if err != nil {
			return loadedKey{}, fmt.Errorf("the private key cannot be parsed: %w", err)
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return loadedKey{}, fmt.Errorf("a key of type %T does not sign", key)
		}
		return loadedKey{signer: signer}, nil
	}
}
