package exchange

import (
	"crypto/ed25519"
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// A VerifyKey is a key that verifies the signatures of JWTs: one of a published key set (RFC 7517),
// or a secret.
type VerifyKey struct {
	KeyID string
	Alg   string // "" where the key set leaves it open
	key   any
}

// VerifyKeys reads the signature keys of a key set. Keys for encryption and keys of unknown types
// are left out.
func VerifyKeys(set []byte) (keys []VerifyKey) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(set, &raw) != nil {
		return nil
	}
	for _, k := range raw.Keys {
		var jwk jose.JSONWebKey
		if jwk.UnmarshalJSON(k) == nil && jwk.Use != "enc" && jwk.Valid() {
			if public := jwk.Public(); public.Key != nil { // a set may hold private keys, though it should not
				jwk = public
			}
			keys = append(keys, VerifyKey{KeyID: jwk.KeyID, Alg: jwk.Algorithm, key: jwk.Key})
		}
	}
	return keys
}

// SecretKey verifies the HS algorithms, with secrets of any length.
func SecretKey(secret string) VerifyKey { return VerifyKey{key: []byte(secret)} }

// signatureAlgorithms are those that Verify knows.
var signatureAlgorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// KnownAlg reports whether Verify knows a signature algorithm.
func KnownAlg(alg string) bool {
	return slices.Contains(signatureAlgorithms, jose.SignatureAlgorithm(alg)) || alg == "Ed25519" || slices.Contains([]string{"HS256", "HS384", "HS512"}, alg)
}

// Verify returns nil when the key made the signature of a compact JWS (RFC 7515 §5.2) under the
// algorithm that its header names.
func (k VerifyKey) Verify(compact, alg string) error {
	if k.Alg != "" && k.Alg != alg && !(k.Alg == "EdDSA" && alg == "Ed25519" || k.Alg == "Ed25519" && alg == "EdDSA") {
		return fmt.Errorf("the key is for %s, not for %s", k.Alg, alg)
	}
	input, signature, ok := cutLast(compact)
	if !ok {
		return fmt.Errorf("no compact JWS")
	}
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		return fmt.Errorf("the signature is not base64url")
	}
	switch key := k.key.(type) {
	case []byte:
		mac, err := sign(alg, key, []byte(input))
		if err != nil || !hmac.Equal(mac, raw) {
			return fmt.Errorf("the MAC is not that of the secret")
		}
		return nil
	case ed25519.PublicKey:
		if (alg == "EdDSA" || alg == "Ed25519") && ed25519.Verify(key, []byte(input), raw) {
			return nil
		}
		return fmt.Errorf("the signature does not verify")
	}
	jws, err := jose.ParseSigned(compact, signatureAlgorithms)
	if err != nil {
		return err
	}
	_, err = jws.Verify(k.key)
	return err
}

func cutLast(compact string) (input, signature string, ok bool) {
	i := strings.LastIndexByte(compact, '.')
	if i < 0 {
		return "", "", false
	}
	return compact[:i], compact[i+1:], true
}
