package emulator

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"grantcheck/suites/contract"
)

var (
	rsaPoolMu sync.Mutex
	rsaPool   = map[string]*signingKey{}
)

// pooledRSA makes an RSA key once per process: making one takes long.
func pooledRSA(kid string) *signingKey {
	rsaPoolMu.Lock()
	defer rsaPoolMu.Unlock()
	if rsaPool[kid] == nil {
		rsaPool[kid] = newRSAKey(kid, 2048)
	}
	return rsaPool[kid]
}

// made is a random text of 43 characters, the same each time for one label of one emulator;
// with fixed credentials the same in every process.
func (e *Emulator) made(label string) string {
	if e.opt.FixedCredentials {
		sum := sha256.Sum256([]byte("grantcheck test credential, worth nothing: " + label))
		return strings.NewReplacer("-", "x", "_", "y").Replace(b64.EncodeToString(sum[:]))
	}
	if e.store == nil {
		e.store, e.sessions = newStore(), newBounded[*user](1000)
	}
	if e.store.made == nil {
		e.store.made = map[string]string{}
	}
	if e.store.made[label] == "" {
		e.store.made[label] = strings.NewReplacer("-", "x", "_", "y").Replace(e.randomToken())
	}
	return e.store.made[label]
}

// directory is where key and certificate files go.
func (e *Emulator) directory() (string, error) {
	if e.dir != "" {
		return e.dir, nil
	}
	var err error
	if e.opt.FixedCredentials {
		e.dir = filepath.Join(os.TempDir(), fmt.Sprintf("grantcheck-emulator-%d", os.Getuid()))
		err = os.MkdirAll(e.dir, 0o700)
	} else {
		e.dir, err = os.MkdirTemp("", "grantcheck-emulator-")
	}
	if err != nil {
		return "", fmt.Errorf("emulator: key files: %w", err)
	}
	return e.dir, nil
}

// keyFile is a file with a private key, PKCS #8 PEM.
func (e *Emulator) keyFile(label, alg string) (string, error) {
	dir, err := e.directory()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, strings.NewReplacer(".", "-", "/", "-").Replace(label)+"."+alg+".pem")
	if e.keyFiles[path] != nil {
		return path, nil
	}
	if e.keyFiles == nil {
		e.keyFiles = map[string]*signingKey{}
	}
	if e.opt.FixedCredentials {
		if k, err := readKey(path, alg); err == nil {
			e.keyFiles[path] = k
			return path, nil
		}
	}
	k := newKey("key-1", alg, label)
	var private any = k.ec
	if k.rsa != nil {
		private = k.rsa
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", fmt.Errorf("emulator: key file: %w", err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return "", fmt.Errorf("emulator: key file: %w", err)
	}
	e.keyFiles[path] = k
	return path, nil
}

// newKey makes a client's key of the type that its alg needs.
func newKey(kid, alg, label string) *signingKey {
	k := newECKey(kid)
	if strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS") {
		pooled := *pooledRSA("client " + label)
		k = &pooled
	}
	k.kid, k.alg = kid, alg
	return k
}

// readKey reads a private key file.
func readKey(path, alg string) (*signingKey, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no PEM block", path)
	}
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	k := &signingKey{kid: "key-1", alg: alg}
	switch p := private.(type) {
	case *rsa.PrivateKey:
		k.rsa = p
	case *ecdsa.PrivateKey:
		k.ec = p
	default:
		return nil, fmt.Errorf("%s holds a key of an unknown type", path)
	}
	return k, nil
}

// caFile is a file with the CA certificate.
func (e *Emulator) caFile() (string, error) {
	if e.certificate == nil {
		return "", nil
	}
	dir, err := e.directory()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(path, e.certificate.ca, 0o600); err != nil {
		return "", fmt.Errorf("emulator: CA file: %w", err)
	}
	return path, nil
}

// addKey registers what verifies the assertions of a client.
func (e *Emulator) addKey(cl *client, cc *contract.Client) error {
	if !slices.Contains(cl.methods, "jwt") {
		return nil
	}
	alg, path := "RS256", cc.KeyFile
	if a := cc.Assertion; a != nil {
		if a.Alg != "" {
			alg = a.Alg
		}
		if a.KeyFile != "" {
			path = a.KeyFile
		}
		if strings.Contains(a.Audience, ":") {
			cl.audiences = append(cl.audiences, a.Audience)
		}
	}
	cl.algs = []string{alg}
	if strings.HasPrefix(alg, "HS") || path == "" {
		return nil
	}
	k, err := e.keyAt(path, alg)
	if err != nil {
		return fmt.Errorf("emulator: client %s: %w", cl.id, err)
	}
	pub := k.public()
	pub.kid = ""
	if cc.Assertion != nil {
		pub.kid = cc.Assertion.Kid
	}
	cl.keys, cl.signing = []verifyKey{pub}, k
	return nil
}

func (e *Emulator) keyAt(path, alg string) (*signingKey, error) {
	if k := e.keyFiles[path]; k != nil {
		return k, nil
	}
	return readKey(path, alg)
}
