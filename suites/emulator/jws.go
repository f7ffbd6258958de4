package emulator

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"math/big"
	"strings"
	"time"
)

var b64 = base64.RawURLEncoding

// jws is a signed JWT as it came, taken apart but not verified.
type jws struct {
	alg       string
	header    map[string]any
	claims    map[string]any
	signed    string // header and payload segments with the dot
	signature []byte
	client    bool // it authenticates the client; else it is a grant
}

var errJWS = errors.New("not a signed JWT")

// parseJWS takes a compact JWS with JSON claims apart.
func parseJWS(s string) (*jws, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return nil, errJWS
	}
	t := &jws{signed: s[:len(parts[0])+1+len(parts[1])]}
	var err error
	for i, into := range []any{&t.header, &t.claims} {
		raw, err := b64.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, into) != nil {
			return nil, errJWS
		}
	}
	if t.signature, err = b64.DecodeString(parts[2]); err != nil || t.header == nil || t.claims == nil {
		return nil, errJWS
	}
	t.alg, _ = t.header["alg"].(string)
	return t, nil
}

// time reads a NumericDate claim.
func (t *jws) time(name string) (time.Time, bool) {
	n, ok := t.claims[name].(float64)
	if !ok {
		return time.Time{}, false
	}
	return time.Unix(0, int64(n*1e9)), true
}

// verifyKey verifies signatures; kty is RSA, EC or oct.
type verifyKey struct {
	kid, kty string
	rsa      *rsa.PublicKey
	ec       *ecdsa.PublicKey
	secret   []byte
}

func (k verifyKey) verify(t *jws) bool {
	h, fn := hashOf(t.alg)
	if h == nil {
		return false
	}
	h.Write([]byte(t.signed))
	switch {
	case k.kty == "oct" && strings.HasPrefix(t.alg, "HS"):
		mac := hmac.New(newHash(t.alg), k.secret)
		mac.Write([]byte(t.signed))
		return hmac.Equal(mac.Sum(nil), t.signature)
	case k.kty == "RSA" && strings.HasPrefix(t.alg, "RS"):
		return rsa.VerifyPKCS1v15(k.rsa, fn, h.Sum(nil), t.signature) == nil
	case k.kty == "RSA" && strings.HasPrefix(t.alg, "PS"):
		return rsa.VerifyPSS(k.rsa, fn, h.Sum(nil), t.signature, nil) == nil
	case k.kty == "EC" && strings.HasPrefix(t.alg, "ES"):
		n := (k.ec.Curve.Params().BitSize + 7) / 8
		if len(t.signature) != 2*n {
			return false
		}
		return ecdsa.Verify(k.ec, h.Sum(nil), new(big.Int).SetBytes(t.signature[:n]), new(big.Int).SetBytes(t.signature[n:]))
	}
	return false
}

func newHash(alg string) func() hash.Hash {
	switch {
	case strings.HasSuffix(alg, "384"):
		return sha512.New384
	case strings.HasSuffix(alg, "512"):
		return sha512.New
	}
	return sha256.New
}

func hashOf(alg string) (hash.Hash, crypto.Hash) {
	if len(alg) != 5 {
		return nil, 0
	}
	switch alg[2:] {
	case "256":
		return sha256.New(), crypto.SHA256
	case "384":
		return sha512.New384(), crypto.SHA384
	case "512":
		return sha512.New(), crypto.SHA512
	}
	return nil, 0
}

// signingKey signs what the emulator issues. With alg none the signature is empty.
type signingKey struct {
	kid, alg string
	rsa      *rsa.PrivateKey
	ec       *ecdsa.PrivateKey
	secret   []byte
}

// public is the half that verifies.
func (k *signingKey) public() verifyKey {
	switch {
	case k.rsa != nil:
		return verifyKey{kid: k.kid, kty: "RSA", rsa: &k.rsa.PublicKey}
	case k.ec != nil:
		return verifyKey{kid: k.kid, kty: "EC", ec: &k.ec.PublicKey}
	}
	return verifyKey{kid: k.kid, kty: "oct", secret: k.secret}
}

// jwk is the public key as a JWK.
func (k *signingKey) jwk() object {
	if k.rsa != nil {
		return object{
			{Name: "kty", Value: "RSA"},
			{Name: "use", Value: "sig"},
			{Name: "alg", Value: k.alg},
			{Name: "kid", Value: k.kid},
			{Name: "n", Value: b64.EncodeToString(k.rsa.N.Bytes())},
			{Name: "e", Value: b64.EncodeToString(big.NewInt(int64(k.rsa.E)).Bytes())},
		}
	}
	point, err := k.ec.PublicKey.Bytes()
	if err != nil {
		return nil
	}
	n := (len(point) - 1) / 2
	return object{
		{Name: "kty", Value: "EC"},
		{Name: "use", Value: "sig"},
		{Name: "alg", Value: k.alg},
		{Name: "kid", Value: k.kid},
		{Name: "crv", Value: k.ec.Curve.Params().Name},
		{Name: "x", Value: b64.EncodeToString(point[1 : 1+n])},
		{Name: "y", Value: b64.EncodeToString(point[1+n:])},
	}
}

// sign makes the compact form of a token.
func (k *signingKey) sign(header, claims object) string {
	signed := b64.EncodeToString(header.json()) + "." + b64.EncodeToString(claims.json())
	return signed + "." + b64.EncodeToString(k.signature(signed))
}

func (k *signingKey) signature(signed string) []byte {
	h, fn := hashOf(k.alg)
	if h == nil {
		return nil
	}
	h.Write([]byte(signed))
	switch {
	case strings.HasPrefix(k.alg, "HS"):
		mac := hmac.New(newHash(k.alg), k.secret)
		mac.Write([]byte(signed))
		return mac.Sum(nil)
	case k.rsa != nil:
		sig, err := rsa.SignPKCS1v15(nil, k.rsa, fn, h.Sum(nil))
		if err != nil {
			return nil
		}
		return sig
	case k.ec != nil:
		r, s, err := ecdsa.Sign(rand.Reader, k.ec, h.Sum(nil))
		if err != nil {
			return nil
		}
		n := (k.ec.Curve.Params().BitSize + 7) / 8
		sig := make([]byte, 2*n)
		r.FillBytes(sig[:n])
		s.FillBytes(sig[n:])
		return sig
	}
	return nil
}

// halfHash is at_hash: the left half of the hash that goes with the alg of the id_token.
func halfHash(alg, token string) string {
	h := newHash(alg)()
	h.Write([]byte(token))
	sum := h.Sum(nil)
	return b64.EncodeToString(sum[:len(sum)/2])
}

// draft is a JWT about to be signed; hooks may change all of it.
type draft struct {
	Kind   string // access_token or id_token
	Header object
	Claims object
	Key    *signingKey
	Beside string // of an id_token: the access token issued with it
	// Mangle, if set, changes the finished compact form.
	Mangle func(string) string
}

func (t *draft) sign() string {
	s := t.Key.sign(t.Header, t.Claims)
	if t.Mangle != nil {
		s = t.Mangle(s)
	}
	return s
}

func newECKey(kid string) *signingKey {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("emulator: no randomness: " + err.Error())
	}
	return &signingKey{kid: kid, alg: "ES256", ec: k}
}

func newRSAKey(kid string, bits int) *signingKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic("emulator: no RSA key: " + err.Error())
	}
	return &signingKey{kid: kid, alg: "RS256", rsa: k}
}
