package exchange

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

var allAlgs = []jose.SignatureAlgorithm{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"}

func newKey(t *testing.T, alg string) crypto.Signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		key, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		key, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func keyFile(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func jwtTarget(t *testing.T, alg, file string) *Target {
	t.Helper()
	env["KEY_FILE"] = file
	return bind(t, `
contract: 1
name: acme
extends: base
metadata: {issuer: "http://127.0.0.1:1"}
client:
  id: ${ID}
  secret: ${SECRET}
  key_file: ${KEY_FILE}
  auth: [jwt]
  assertion: {alg: `+alg+`, kid: k1, audience: token_endpoint, lifetime: 2m, claims: {role: tester, who: client.id, iat: null}, header: {x5t: abc, typ: null}}
grants: {client_credentials: {}, jwt_bearer: {assertion: {alg: HS256, audience: issuer, claims: {sub: user.name}}}}
user: {name: "${USER_NAME}", password: "${PASSWORD}"}
`, Options{})
}

func TestAssertionsAreSignedByTheContract(t *testing.T) {
	keys := map[string]crypto.Signer{}
	for _, alg := range allAlgs {
		family := string(alg)
		if strings.HasPrefix(family, "PS") || strings.HasPrefix(family, "RS") {
			family = "RSA"
		}
		if keys[family] == nil {
			keys[family] = newKey(t, string(alg))
		}
		target := jwtTarget(t, string(alg), keyFile(t, keys[family]))
		r := golden(t, target, "client_credentials", "", Inputs{})
		if got := r.Get("client_assertion_type"); got != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || r.Has("client_id") || r.Has("client_secret") {
			t.Errorf("%s: %s", alg, r.Wire().Body)
		}
		tok, err := jwt.ParseSigned(r.Get("client_assertion"), allAlgs)
		if err != nil {
			t.Errorf("%s: %v", alg, err)
			continue
		}
		var key any = keys[family].Public()
		if strings.HasPrefix(string(alg), "HS") {
			key = []byte(env["SECRET"])
			if len(env["SECRET"]) < 32 { // go-jose refuses short keys: check that the header is right, the MAC below
				key = nil
			}
		}
		claims := map[string]any{}
		if key == nil {
			err = tok.UnsafeClaimsWithoutVerification(&claims)
			i := strings.LastIndexByte(r.Get("client_assertion"), '.')
			sig, _ := sign(string(alg), []byte(env["SECRET"]), []byte(r.Get("client_assertion")[:i]))
			if segment(sig) != r.Get("client_assertion")[i+1:] {
				t.Errorf("%s: another MAC", alg)
			}
		} else {
			err = tok.Claims(key, &claims)
		}
		if err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if claims["iss"] != "my-client" || claims["sub"] != "my-client" || claims["aud"] != "http://127.0.0.1:1/token" || claims["role"] != "tester" || claims["who"] != "my-client" ||
			claims["exp"] != float64(epoch.Unix()+120) || claims["iat"] != nil || claims["jti"] == "" {
			t.Errorf("%s: claims %v", alg, claims)
		}
		if h := tok.Headers[0]; h.KeyID != "k1" || h.ExtraHeaders["x5t"] != "abc" || h.ExtraHeaders["typ"] != nil || h.Algorithm != string(alg) {
			t.Errorf("%s: header %+v", alg, h)
		}
	}
}

func TestEveryRequestHasItsOwnAssertion(t *testing.T) {
	target := jwtTarget(t, "ES256", keyFile(t, newKey(t, "ES256")))
	a, b := golden(t, target, "client_credentials", "", Inputs{}), golden(t, target, "client_credentials", "", Inputs{})
	if a.Get("client_assertion") == b.Get("client_assertion") {
		t.Error("the same assertion twice")
	}
	g := golden(t, target, "jwt_bearer", "", Inputs{})
	tok, err := jwt.ParseSigned(g.Get("assertion"), allAlgs)
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	_ = tok.UnsafeClaimsWithoutVerification(&claims)
	if claims["sub"] != "alice" || claims["aud"] != "http://127.0.0.1:1" || !g.Has("client_assertion") {
		t.Errorf("grant assertion %v", claims)
	}
}

func TestBadAssertions(t *testing.T) {
	key := newKey(t, "ES256")
	target := jwtTarget(t, "ES256", keyFile(t, key))
	g, _ := target.Contract.Grant("client_credentials")
	good, err := target.ClientAssertion(&target.Contract.Client, g)
	if err != nil {
		t.Fatal(err)
	}
	signed := func(j JWT) string {
		s, err := j.Sign()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	verify := func(token string, key any) error {
		tok, err := jwt.ParseSigned(token, allAlgs)
		if err != nil {
			return err
		}
		return tok.Claims(key, &map[string]any{})
	}
	token := signed(good)
	if err := verify(token, key.Public()); err != nil {
		t.Fatal(err)
	}
	if err := verify(FlipSignature(token), key.Public()); err == nil {
		t.Error("a flipped signature verifies")
	}
	foreign, err := good.ForeignKey()
	if err != nil {
		t.Fatal(err)
	}
	if verify(signed(foreign), key.Public()) == nil || foreign.Alg() != "ES256" || foreign.Header["kid"] != "k1" {
		t.Error("a foreign key verifies, or changed the header")
	}
	embedded, err := jwt.ParseSigned(signed(foreign.EmbedKey()), allAlgs)
	if err != nil || embedded.Headers[0].JSONWebKey == nil || embedded.Claims(embedded.Headers[0].JSONWebKey.Key, &map[string]any{}) != nil {
		t.Errorf("the embedded key does not fit: %v", err)
	}
	for _, alg := range []string{"none", "NONE"} {
		parts := strings.Split(good.Unsigned(alg), ".")
		h, _ := base64.RawURLEncoding.DecodeString(parts[0])
		if len(parts) != 3 || parts[2] != "" || !strings.Contains(string(h), `"alg":"`+alg+`"`) {
			t.Errorf("unsigned: %v", parts)
		}
	}
	if block, _ := pem.Decode(good.PublicPEM()); block == nil || block.Type != "PUBLIC KEY" {
		t.Error("no public PEM")
	}
	for _, k := range [][]byte{good.PublicPEM(), good.PublicJWK()} {
		if confused := good.HMAC(k); confused.Alg() != "HS256" || verify(signed(confused), k) != nil {
			t.Error("the confused token is not signed with the text of the public key")
		}
	}
	if strings.Contains(string(good.PublicJWK()), `"d"`) {
		t.Error("the public JWK holds the private key")
	}
	raw := strings.Split(signed(good.Payload([]byte("not json"))), ".")
	if b, _ := base64.RawURLEncoding.DecodeString(raw[1]); string(b) != "not json" {
		t.Errorf("payload %q", b)
	}
	var claims map[string]any
	b, _ := base64.RawURLEncoding.DecodeString(strings.Split(signed(good.Drop("exp", "jti").Set("aud", []string{"x"})), ".")[1])
	if err := json.Unmarshal(b, &claims); err != nil || claims["exp"] != nil || !slices.Equal(claims["aud"].([]any), []any{"x"}) {
		t.Errorf("claims %v", claims)
	}
	if good.Claims["exp"] == nil {
		t.Error("the good assertion changed")
	}
}

func TestKeysInEveryForm(t *testing.T) {
	key := newKey(t, "ES256").(*ecdsa.PrivateKey)
	sec1, _ := x509.MarshalECPrivateKey(key)
	jwk, _ := jose.JSONWebKey{Key: key, KeyID: "from-jwk"}.MarshalJSON()
	rsaKey := newKey(t, "RS256").(*rsa.PrivateKey)
	for name, text := range map[string]string{
		"SEC 1":   "some text\n" + string(pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS"})) + string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: sec1})),
		"JWK":     string(jwk),
		"PKCS #1": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})),
	} {
		k, kid, err := new(keyCache).load(text)
		if err != nil || k == nil || name == "JWK" && kid != "from-jwk" {
			t.Errorf("%s: %v %q", name, err, kid)
		}
	}
	for _, bad := range []string{"", "/nowhere/key.pem", "{}", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"} {
		if _, _, err := new(keyCache).load(bad); err == nil {
			t.Errorf("%q was taken for a key", bad)
		}
	}
}
