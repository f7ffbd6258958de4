package emulator

import (
	"sync"
	"time"
)

// authorization is what a client was given once: every token of one grant hangs on
// it, a refresh family included.
type authorization struct {
	client     *client
	user       *user // nil for client_credentials
	scope      []string
	grant      string // kind of the first grant
	nonce      string
	sid        string
	authTime   time.Time
	parameters map[string]string // of the authorization request
	ended      bool              // guarded by store.mu
}

// code is an authorization code.
type code struct {
	value           string
	auth            *authorization
	redirectURI     string // as sent in the authorization request, empty if none was
	challenge       string
	challengeMethod string
	asked           []string // scope of the authorization request
	expires         time.Time
	spent           bool
}

// accessToken is an issued access token.
type accessToken struct {
	value   string
	jti     string
	auth    *authorization
	scope   []string
	issued  time.Time
	expires time.Time
	ended   bool
}

// refreshToken is an issued refresh token.
type refreshToken struct {
	value   string
	auth    *authorization
	issued  time.Time
	expires time.Time
	parent  *refreshToken // the one it replaced
	rotated time.Time     // when it was first used; zero: not yet
	dead    bool
}

// refreshState is what using a refresh token found.
type refreshState int

const (
	refreshFresh refreshState = iota // first use
	refreshGrace                     // used before, its successor was not, and the grace period runs
	refreshDead                      // rotated away
)

// store is the emulator's memory: bounded, the oldest entries go first.
type store struct {
	mu        sync.Mutex
	grace     time.Duration // how long a rotated refresh token still works; negative: for ever
	codes     bounded[*code]
	accesses  bounded[*accessToken]
	refreshes bounded[*refreshToken]
	hooks     bounded[bool]
	jtis      bounded[time.Time]
	failures  map[string]*failures
	lastCode  map[string]*code // by client, for hooks
	made      map[string]string
}

// bounded is a map that forgets its oldest entries.
type bounded[V any] struct {
	m     map[string]V
	order []string
	next  int
	size  int
}

func newBounded[V any](size int) bounded[V] { return bounded[V]{m: map[string]V{}, size: size} }

func (b *bounded[V]) put(key string, v V) {
	if _, ok := b.m[key]; !ok {
		if len(b.order) < b.size {
			b.order = append(b.order, key)
		} else {
			delete(b.m, b.order[b.next])
			b.order[b.next] = key
			b.next = (b.next + 1) % b.size
		}
	}
	b.m[key] = v
}

func newStore() *store {
	return &store{
		codes: newBounded[*code](20000), accesses: newBounded[*accessToken](200000), refreshes: newBounded[*refreshToken](100000),
		hooks: newBounded[bool](1000), jtis: newBounded[time.Time](50000), failures: map[string]*failures{}, lastCode: map[string]*code{},
	}
}

func (s *store) addCode(c *code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.codes.put(c.value, c)
	s.lastCode[c.auth.client.id] = c
}

func (s *store) code(value string) *code {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.codes.m[value]
}

// latestCode is the last code issued to a client.
func (s *store) latestCode(clientID string) *code {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastCode[clientID]
}

// spendCode marks the code used and says whether it already was.
func (s *store) spendCode(c *code) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := c.spent
	c.spent = true
	return was
}

func (s *store) addAccess(t *accessToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accesses.put(t.value, t)
}

func (s *store) access(value string) *accessToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accesses.m[value]
}

func (s *store) addRefresh(t *refreshToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refreshes.put(t.value, t)
}

func (s *store) refresh(value string) *refreshToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refreshes.m[value]
}

// spendRefresh uses a refresh token that rotates. Its predecessor dies with the first
// use: whoever uses the successor has received it.
func (s *store) spendRefresh(t *refreshToken, now time.Time) refreshState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.dead {
		return refreshDead
	}
	if t.parent != nil {
		t.parent.dead = true
	}
	if t.rotated.IsZero() {
		t.rotated = now
		return refreshFresh
	}
	if s.grace >= 0 && now.Sub(t.rotated) >= s.grace {
		return refreshDead
	}
	return refreshGrace
}

// revoke ends an authorization with all its tokens.
func (s *store) revoke(a *authorization) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.ended = true
}

func (s *store) revoked(a *authorization) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return a.ended
}

// endAccess ends one access token, endRefresh one refresh token.
func (s *store) endAccess(t *accessToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.ended = true
}

func (s *store) endRefresh(t *refreshToken) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t.dead = true
	delete(s.refreshes.m, t.value)
}

func (s *store) accessEnded(t *accessToken) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.ended || t.auth.ended
}

func (s *store) refreshEnded(t *refreshToken) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.dead || t.auth.ended
}

func (s *store) addHook(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks.put(value, true)
}

// issuedHook says whether a value came from a hook of this emulator.
func (s *store) issuedHook(value string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hooks.m[value]
}

// firstUse remembers a value and says whether it is new.
func (s *store) firstUse(value string, until time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, seen := s.jtis.m[value]; seen {
		return false
	}
	s.jtis.put(value, until)
	return true
}

// failures counts wrong guesses in a row.
type failures struct {
	count int
	until time.Time
}

// guessPause is how long an identity rests after too many wrong guesses.
const guessPause = 5 * time.Second

// guess records an attempt and returns how long the identity still has to wait.
func (s *store) guess(whose string, right bool, bound int, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	fl := s.failures[whose]
	if fl == nil {
		if right {
			return 0
		}
		if len(s.failures) > 10000 {
			clear(s.failures)
		}
		fl = &failures{}
		s.failures[whose] = fl
	}
	if wait := fl.until.Sub(now); wait > 0 {
		return wait
	}
	if right {
		delete(s.failures, whose)
		return 0
	}
	if fl.count++; fl.count >= bound {
		fl.count, fl.until = 0, now.Add(guessPause)
	}
	return 0
}
