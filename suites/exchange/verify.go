package exchange

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
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
		Keys []map[string]json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(set, &raw) != nil {
		return nil
	}
	for _, members := range raw.Keys {
		for _, name := range []string{"x5c", "x5t", "x5t#S256", "x5u", "d", "p", "q", "dp", "dq", "qi", "oth"} {
			delete(members, name) // a certificate or private half that is not in order does not spoil the key
		}
		text, err := json.Marshal(members)
		var jwk jose.JSONWebKey
		if err == nil && jwk.UnmarshalJSON(text) == nil && jwk.Use != "enc" && jwk.Valid() {
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

// KnownAlg reports whether Verify knows a signature algorithm.
func KnownAlg(alg string) bool {
	_, ok := algHash(alg)
	return ok && (len(alg) != 5 || slices.Contains([]string{"RS", "PS", "ES", "HS", "Ed"}, alg[:2]))
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
	if !k.made(alg, []byte(input), raw) {
		return fmt.Errorf("the signature does not verify")
	}
	return nil
}

// made reports whether the key made a signature of input. The header is not looked at: what is wrong
// with the rest of it is not the signature's fault.
func (k VerifyKey) made(alg string, input, signature []byte) bool {
	hash, ok := algHash(alg)
	if !ok {
		return false
	}
	digest := input
	if hash != 0 {
		h := hash.New()
		h.Write(input)
		digest = h.Sum(nil)
	}
	switch key := k.key.(type) {
	case []byte:
		mac, err := sign(alg, key, input)
		return err == nil && hmac.Equal(mac, signature)
	case *rsa.PublicKey:
		switch alg[:2] {
		case "RS":
			return rsa.VerifyPKCS1v15(key, hash, digest, signature) == nil
		case "PS":
			return rsa.VerifyPSS(key, hash, digest, signature, nil) == nil
		}
	case *ecdsa.PublicKey:
		n := (key.Curve.Params().BitSize + 7) / 8
		return alg[:2] == "ES" && len(signature) == 2*n &&
			ecdsa.Verify(key, digest, new(big.Int).SetBytes(signature[:n]), new(big.Int).SetBytes(signature[n:]))
	case ed25519.PublicKey:
		return hash == 0 && ed25519.Verify(key, input, signature)
	}
	return false
}

func cutLast(compact string) (input, signature string, ok bool) {
	i := strings.LastIndexByte(compact, '.')
	if i < 0 {
		return "", "", false
	}
	return compact[:i], compact[i+1:], true
}
