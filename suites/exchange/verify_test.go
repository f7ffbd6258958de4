package exchange

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// Every algorithm verifies with its own key, out of a key set, and with no other.
func TestVerifyTellsWhoSigned(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p256, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for alg, key := range map[string]any{
		"RS256": rsaKey, "PS384": rsaKey, "ES256": p256, "ES384": p384, "EdDSA": ed, "HS256": []byte("twelve chars"),
	} {
		j := JWT{Header: map[string]any{"alg": alg, "kid": "k"}, Claims: map[string]any{"sub": "s"}, Key: key}
		token, err := j.Sign()
		if err != nil {
			t.Fatalf("%s: %v", alg, err)
		}
		verify := SecretKey("twelve chars")
		if s, ok := key.(crypto.Signer); ok {
			set, err := json.Marshal(map[string]any{"keys": []any{
				map[string]string{"kty": "unheard of"},
				jose.JSONWebKey{Key: s.Public(), KeyID: "e", Use: "enc"},
				jose.JSONWebKey{Key: s.Public(), KeyID: "k", Use: "sig"},
			}})
			if err != nil {
				t.Fatal(err)
			}
			keys := VerifyKeys(set)
			if len(keys) != 1 || keys[0].KeyID != "k" {
				t.Fatalf("%s: keys %v", alg, keys)
			}
			verify = keys[0]
		}
		if err := verify.Verify(token, alg); err != nil || !KnownAlg(alg) {
			t.Errorf("%s: %v", alg, err)
		}
		if verify.Verify(FlipSignature(token), alg) == nil {
			t.Errorf("%s: a turned signature verifies", alg)
		}
		foreign, err := j.ForeignKey()
		if err != nil {
			t.Fatal(err)
		}
		if token, _ = foreign.Sign(); verify.Verify(token, alg) == nil {
			t.Errorf("%s: the signature of another key verifies", alg)
		}
	}
}
