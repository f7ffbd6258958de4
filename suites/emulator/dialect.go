package emulator

import (
	"fmt"
	"math"
	"net/http"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"

	"grantcheck/suites/contract"
)

// dialect is how a contract names and places things: parameters and members, error
// statuses and codes. Vendors live in contracts; this is the one mechanism that speaks them.
type dialect struct {
	c               *contract.Contract
	parts           map[string]string // parameter name to the part it plays
	known           map[string]bool   // parts that have a meaning here
	queryParameters map[string]bool   // parameters documented to travel in the query
	grants          []*grant
	byType          map[string][]*grant
	byPath          map[string]*contract.Endpoint
}

// grant is one documented grant, ready to be served.
type grant struct {
	*contract.Grant
	kind   string // the grant_type value; "authorization_code" too where the page knows no grant_type
	silent bool   // the request has no grant_type parameter
	path   string // where it is served
	fields []respond
	// What its tokens are: a signed JWT, a text that fits a pattern, or opaque.
	jwt      bool
	pattern  string
	lifetime time.Duration
}

// respond is one member of the success answer.
type respond struct {
	contract.Field
	part string // standard part it plays, or ""
}

// sources maps the source words of a parameter to the standard parameter they feed.
var sources = map[string]string{
	"client.id": "client_id", "client.secret": "client_secret", "client.assertion": "client_assertion",
	"client.redirect_uri": "redirect_uri", "user.name": "username", "user.password": "password",
	"scopes.request": "scope", "code": "code", "code_verifier": "code_verifier", "assertion": "assertion",
	"refresh_token": "refresh_token", "access_token": "access_token",
}

// standardParameters have a meaning at a token, revocation or introspection endpoint.
var standardParameters = []string{
	"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type",
	"scope", "username", "password", "code", "redirect_uri", "code_verifier", "refresh_token", "assertion",
	"token", "token_type_hint", "subject_token", "subject_token_type", "actor_token", "actor_token_type",
	"requested_token_type", "device_code", "resource", "audience",
}

// standardMembers are the parts of an answer.
var standardMembers = []string{
	"access_token", "token_type", "expires_in", "expires_at", "issued_at", "refresh_token", "scope",
	"id_token", "error", "error_description", "error_uri",
}

func newDialect(c *contract.Contract) *dialect {
	d := &dialect{
		c: c, parts: map[string]string{}, known: map[string]bool{}, queryParameters: map[string]bool{},
		byType: map[string][]*grant{}, byPath: map[string]*contract.Endpoint{},
	}
	for _, n := range standardParameters {
		d.known[n] = true
	}
	d.note(c.Endpoint.Parameters)
	for i := range c.Grants {
		g := &grant{Grant: &c.Grants[i]}
		d.note(g.Parameters)
		d.byPath[d.path(g.Grant)] = g.endpoint(c)
		g.path = d.path(g.Grant)
		g.kind = g.Type
		if g.kind == "" {
			g.kind = g.Key
		}
		if g.ParametersGiven && !slices.ContainsFunc(g.Parameters, func(p contract.Field) bool { return p.Name == "grant_type" }) {
			g.silent = true
		}
		for _, p := range g.Parameters {
			if p.Name == "grant_type" && p.Const != nil {
				g.kind = fmt.Sprint(p.Const)
			}
		}
		g.fields = members(g.Response.Fields)
		d.tokens(g)
		if g.Enabled != "false" {
			d.grants = append(d.grants, g)
			d.byType[g.kind] = append(d.byType[g.kind], g)
		}
	}
	return d
}

// tokens reads what the page says of the access tokens of a grant.
func (d *dialect) tokens(g *grant) {
	seconds := func(f *contract.Field) float64 {
		for _, v := range []any{f.Const, f.Example} {
			if n, err := strconv.ParseFloat(fmt.Sprint(v), 64); err == nil {
				return n
			}
		}
		switch {
		case f.Typical != nil:
			return *f.Typical
		case f.Max != nil:
			return *f.Max
		case f.Min != nil:
			return *f.Min
		}
		return 0
	}
	g.lifetime = time.Hour
	if l := d.c.Token.Lifetime; l != nil && seconds(l) > 0 {
		g.lifetime = time.Duration(seconds(l)) * time.Second
	}
	g.jwt = d.c.Token.Profile == "rfc9068"
	for i := range g.fields {
		switch f := &g.fields[i]; f.part {
		case "expires_in":
			unit := map[string]time.Duration{"milliseconds": time.Millisecond, "minutes": time.Minute}[f.Unit]
			if unit == 0 {
				unit = time.Second
			}
			if n := seconds(&f.Field); n > 0 {
				g.lifetime = time.Duration(n * float64(unit))
			}
		case "access_token":
			switch {
			case f.Format == "jwt" || f.ExampleFormat == "jwt":
				g.jwt = true
			case f.Format != "":
				g.pattern = f.Format
			}
		}
	}
}

// note learns names, parts and places of parameters.
func (d *dialect) note(fields []contract.Field) {
	for _, p := range fields {
		part := p.Name
		if s, ok := p.Value.(string); ok && sources[s] != "" {
			part = sources[s]
		}
		if p.In != "header" {
			d.parts[p.Name] = part
			d.known[part] = true
		}
		if p.In == "query" {
			d.queryParameters[p.Name] = true
		}
	}
}

// part is what a parameter of that name stands for.
func (d *dialect) part(name string) string {
	if p, ok := d.parts[name]; ok {
		return p
	}
	return name
}

// members finds the part of each field; of several claims to one part the outermost wins.
func members(fields []contract.Field) []respond {
	out := make([]respond, len(fields))
	depth := map[string]int{}
	for i, fl := range fields {
		out[i] = respond{Field: fl}
		if len(out[i].Path) == 0 {
			out[i].Path = strings.Split(fl.Name, ".")
		}
		part := fl.As
		if last := out[i].Path[len(out[i].Path)-1]; part == "" && slices.Contains(standardMembers, last) {
			part = last
		}
		if n, taken := depth[part]; part == "" || taken && n <= len(out[i].Path) {
			continue
		}
		depth[part] = len(out[i].Path)
		for j := range out[:i] {
			if out[j].part == part {
				out[j].part = ""
			}
		}
		out[i].part = part
	}
	return out
}

// endpoint is what holds for the grant: its own settings over the contract's.
func (g *grant) endpoint(c *contract.Contract) *contract.Endpoint {
	e := c.Endpoint
	if o := g.Grant.Endpoint; o != nil {
		if o.Path != "" {
			e.Path = o.Path
		}
		if len(o.Method) > 0 {
			e.Method = o.Method
		}
		if len(o.ContentType) > 0 {
			e.ContentType = o.ContentType
		}
	}
	return &e
}

func (d *dialect) path(g *contract.Grant) string {
	base := pathOf(d.c.Endpoint.BaseURL)
	path := d.c.Endpoint.Path
	if g != nil && g.Endpoint != nil {
		if g.Endpoint.BaseURL != "" {
			base = pathOf(g.Endpoint.BaseURL)
		}
		if g.Endpoint.Path != "" {
			path = g.Endpoint.Path
		}
	}
	return base + path
}

func (d *dialect) methods(path string) []string {
	if e := d.byPath[path]; e != nil && len(e.Method) > 0 {
		return e.Method
	}
	return []string{http.MethodPost}
}

func (d *dialect) mediaTypes(path string) []string {
	if e := d.byPath[path]; e != nil && len(e.ContentType) > 0 {
		return e.ContentType
	}
	return []string{"application/x-www-form-urlencoded"}
}

// choose finds the documented grant a request is about: by grant_type and path, then by
// what else tells two variants apart.
func (d *dialect) choose(f *flow, grantType string) *grant {
	candidates := d.byType[grantType]
	if grantType == "" {
		candidates = nil
		for _, g := range d.grants {
			if g.silent {
				candidates = append(candidates, g)
			}
		}
	}
	var best *grant
	score := -1
	for _, g := range candidates {
		if g.path != f.r.URL.Path {
			continue
		}
		n := 0
		for _, p := range g.Parameters {
			v, sent := f.value(p)
			switch {
			case p.Const != nil && sent && v == fmt.Sprint(p.Const):
				n += 2
			case p.Const != nil && sent && p.Name != "grant_type":
				n -= 2
			case sent:
				n++
			case f.must(g, p.Required):
				n--
			}
			if s, ok := p.Value.(string); ok && p.Const == nil && p.Required.Mode != "true" && sent && v == s {
				n++
			}
		}
		if n += 100; n > score {
			best, score = g, n
		}
	}
	return best
}

// value is what a request sends for a documented parameter.
func (f *flow) value(p contract.Field) (string, bool) {
	if p.In == "header" {
		v := f.r.Header.Get(p.Name)
		return v, v != ""
	}
	v := f.form[f.e.dialect.part(p.Name)]
	return v, v != ""
}

// must says whether a documented requirement holds for this request.
func (f *flow) must(g *grant, r contract.Required) bool {
	switch r.Mode {
	case "true", "implied":
		return true
	case "conditional":
		return f.holds(g, r.Condition)
	}
	return false
}

// holds evaluates a condition of the contract; a part of it that cannot hold here fails it.
func (f *flow) holds(g *grant, c *contract.Condition) bool {
	if c == nil {
		return false
	}
	if len(c.Grants) > 0 && (g == nil || !slices.Contains(c.Grants, g.Key)) {
		return false
	}
	if c.ScopeIncludes != "" && !slices.Contains(f.scope, c.ScopeIncludes) {
		return false
	}
	if c.Client != "" && (f.client == nil || f.client.public != (c.Client == "public")) {
		return false
	}
	if c.Auth != "" && f.method != c.Auth {
		return false
	}
	for name, want := range c.Parameter {
		got := f.form[f.e.dialect.part(name)]
		if got == "" && f.authorization != nil {
			got = f.authorization.parameters[name]
		}
		if got != fmt.Sprint(want) {
			return false
		}
	}
	return true
}

// anonymous says whether the grant at hand is documented to need no client at all:
// an assertion or a hook value authenticates by itself.
func (d *dialect) anonymous(f *flow) bool {
	if f.endpoint != tokenEndpoint || f.grant == nil {
		return false
	}
	auth := f.grant.Auth
	if len(auth) == 0 {
		auth = d.c.Client.Auth
	}
	return slices.Contains(auth, "none") && f.grant.kind != "authorization_code" && f.grant.kind != "refresh_token"
}

// success fills the documented answer.
func (d *dialect) success(f *flow, a *answer) {
	g, is := f.grant, f.issue
	a.set("Content-Type", "application/json")
	if g.Response.Status != 0 {
		a.Status = g.Response.Status
	}
	if t := g.Response.ContentType; t != "" {
		a.set("Content-Type", t)
		a.Form = strings.HasPrefix(t, "application/x-www-form-urlencoded")
	}
	have := map[string]any{"access_token": is.AccessToken, "token_type": is.TokenType}
	if is.ExpiresIn > 0 {
		have["expires_in"], have["expires_at"] = is.ExpiresIn, is.Expires
	}
	have["issued_at"] = f.now
	if is.RefreshToken != "" {
		have["refresh_token"] = is.RefreshToken
	}
	if is.IDToken != "" {
		have["id_token"] = is.IDToken
	}
	if len(is.Scope) > 0 {
		have["scope"] = is.Scope
	}
	if len(g.fields) == 0 {
		for _, part := range []string{"access_token", "token_type", "expires_in", "refresh_token", "scope", "id_token"} {
			if v, ok := have[part]; ok {
				a.Body = append(a.Body, member{Name: part, Value: plain(part, v)})
			}
		}
	} else {
		f.fields(g, g.fields, have, &a.Body)
		if (is.ScopeDiffers || own(d.c) && len(is.Scope) > 0) && a.Body.find("scope") == nil {
			a.Body = append(a.Body, member{Name: "scope", Value: strings.Join(is.Scope, " ")})
		}
		if own(d.c) && a.Body.find("token_type") == nil { // an operator's notes are no whole page
			a.Body = append(a.Body, member{Name: "token_type", Value: is.TokenType})
		}
	}
	for _, h := range d.c.Headers {
		if s, ok := h.Const.(string); ok && slices.Contains(h.Status, a.Status) {
			a.set(h.Name, s)
		}
	}
}

// plain is the standard form of a part.
func plain(part string, v any) any {
	if list, ok := v.([]string); ok && part == "scope" {
		return strings.Join(list, " ")
	}
	return v
}

// fields writes documented members: what plays a part with its value, the rest with a
// sample that fits the page.
func (f *flow) fields(g *grant, fields []respond, have map[string]any, out *object) {
	for _, fl := range fields {
		if fl.OnlyWhen != nil && !f.holds(g, fl.OnlyWhen) {
			continue
		}
		if fl.part != "" {
			if v, ok := have[fl.part]; ok {
				out.put(fl.Path, fl.part, dress(fl, v))
			} else if f.must(g, fl.Required) && fl.part == "scope" {
				out.put(fl.Path, fl.part, "")
			}
			continue
		}
		if !f.must(g, fl.Required) {
			continue
		}
		if v, ok := have[fl.Path[len(fl.Path)-1]]; ok {
			out.put(fl.Path, "", dress(fl, v))
			continue
		}
		if fl.Name == "sid" && f.authorization != nil {
			out.put(fl.Path, "sid", f.authorization.sid)
			continue
		}
		out.put(fl.Path, "", f.sample(fl.Field))
	}
}

// dress gives a standard value the documented type, list form or unit.
func dress(fl respond, v any) any {
	switch x := v.(type) {
	case time.Time:
		switch fl.Unit {
		case "rfc3339":
			return x.UTC().Format(time.RFC3339)
		case "epoch_milliseconds":
			v = x.UnixMilli()
		default:
			v = x.Unix()
		}
	case int64:
		switch fl.Unit {
		case "milliseconds":
			v = x * 1000
		case "minutes":
			v = x / 60
		}
	case []string:
		if len(fl.Type) > 0 && fl.Type[0] == "array" {
			return x
		}
		if len(fl.Enum) > 0 {
			return fl.Enum[0]
		}
		return strings.Join(x, map[string]string{"comma": ",", "plus": "+"}[fl.List]+map[bool]string{true: " "}[fl.List != "comma" && fl.List != "plus"])
	case string:
		if fl.Const != nil {
			return fl.Const
		}
		if len(fl.Enum) > 0 {
			return fl.Enum[0]
		}
		return x
	}
	if len(fl.Type) > 0 && fl.Type[0] == "string" {
		return fmt.Sprint(v)
	}
	return v
}

// sample invents a value that fits a documented field.
func (f *flow) sample(fl contract.Field) any {
	for _, v := range append([]any{fl.Const}, append(slices.Clone(fl.Enum), fl.Example)...) {
		if v != nil {
			return v
		}
	}
	number := func() float64 {
		switch {
		case fl.Typical != nil:
			return *fl.Typical
		case fl.Min != nil:
			return *fl.Min
		case fl.Max != nil:
			return *fl.Max
		}
		return 1
	}
	kind := "string"
	if len(fl.Type) > 0 {
		kind = fl.Type[0]
	}
	switch kind {
	case "integer":
		return int64(number())
	case "number":
		return number()
	case "boolean":
		return false
	case "array":
		return []any{}
	case "object":
		return object{}
	case "null":
		return nil
	}
	switch fl.Format {
	case "":
	case "uri":
		return f.e.base + "/about"
	case "uuid":
		return f.e.uuid()
	case "integer":
		return strconv.FormatInt(int64(number()), 10)
	case "jwt":
		return f.e.keys[0].sign(object{{Name: "alg", Value: f.e.keys[0].alg}}, object{{Name: "iss", Value: f.e.issuer}})
	default:
		return fitting(fl.Format, f.b.newToken(f, "sample"))
	}
	switch fl.Unit {
	case "epoch_milliseconds":
		return strconv.FormatInt(f.now.UnixMilli(), 10)
	case "epoch":
		return strconv.FormatInt(f.now.Unix(), 10)
	case "rfc3339":
		return f.now.UTC().Format(time.RFC3339)
	}
	return "sample"
}

// fitting makes a string that matches a documented pattern and holds a random text.
func fitting(pattern, random string) string {
	full, err := contract.CompilePattern(pattern)
	if err != nil {
		return random
	}
	re, err := syntax.Parse(full.String(), syntax.Perl)
	if err != nil {
		return random
	}
	var b strings.Builder
	fit(&b, re.Simplify(), random)
	for _, s := range []string{b.String() + random, b.String()} {
		if full.MatchString(s) {
			return s
		}
	}
	return random
}

func fit(b *strings.Builder, re *syntax.Regexp, random string) {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		b.WriteRune(re.Rune[0])
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte(random[b.Len()%len(random)])
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		if n := len(random); re.Op != syntax.OpQuest && (re.Sub[0].Op == syntax.OpAnyCharNotNL || re.Sub[0].Op == syntax.OpCharClass) {
			for range n {
				fit(b, re.Sub[0], random)
			}
		} else if re.Op == syntax.OpPlus {
			fit(b, re.Sub[0], random)
		}
	case syntax.OpRepeat:
		n := re.Min
		if re.Sub[0].Op == syntax.OpAnyCharNotNL {
			n = max(n, min(re.Max, len(random)))
		}
		for range n {
			fit(b, re.Sub[0], random)
		}
	case syntax.OpConcat, syntax.OpCapture:
		for _, s := range re.Sub {
			fit(b, s, random)
		}
	case syntax.OpAlternate:
		fit(b, re.Sub[0], random)
	}
}

// conditions are the error conditions of a contract that a reason may be filed under, the
// closest first.
var conditions = map[reason][]string{
	missingParameter:   {"missing_parameter"},
	missingGrantType:   {"missing_parameter"},
	invalidParameter:   {"invalid_parameter"},
	unknownGrant:       {"unknown_grant"},
	unauthorizedClient: {"unauthorized_client"},
	missingClientAuth:  {"missing_client_auth"},
	unknownClient:      {"unknown_client"},
	wrongSecret:        {"wrong_secret"},
	wrongAuthMethod:    {"wrong_secret"},
	twoAuthMethods:     {"two_auth_methods"},
	badScope:           {"bad_scope"},
	unknownUser:        {"unknown_user"},
	wrongPassword:      {"wrong_password"},
	badCode:            {"bad_code"},
	usedCode:           {"used_code", "bad_code"},
	redirectMismatch:   {"redirect_mismatch"},
	badVerifier:        {"bad_verifier"},
	badRefreshToken:    {"bad_refresh_token"},
	badAssertion:       {"bad_assertion"},
	wrongMethod:        {"wrong_method"},
	wrongContentType:   {"wrong_content_type"},
	rateLimited:        {"rate_limited"},
	guessLimited:       {"rate_limited"},
	serverFault:        {"server_fault"},
}

// deviating maps the rule that heads a required deviation to the reason it is about.
var deviating = map[string]reason{
	"request.unknown-grant-type": unknownGrant, "request.missing-grant-type": missingGrantType,
	"password.invalid-grant-code": wrongPassword, "code.unknown-code-error": badCode, "code.reuse-error": usedCode,
	"pkce.wrong-verifier-code": badVerifier, "refresh.unknown-token-error": badRefreshToken,
	"jwt-bearer.invalid-grant-code": badAssertion, "jwt-auth.invalid-client-code": badClientAssertion,
	"cc.unauthorized-client": unauthorizedClient, "request.scope-unknown": badScope, "error.invalid-client-code": wrongSecret,
}

// row finds the line of the page's error table for a refusal: a line restricted to the
// grant or parameter at hand displaces the general ones.
func (d *dialect) row(f *flow, r *refusal) *contract.ErrorRow {
	names := conditions[r.Reason]
	if r.Reason == missingClientAuth && f.grant != nil && f.cred.scheme == "" &&
		slices.ContainsFunc(f.grant.Parameters, func(p contract.Field) bool { return d.part(p.Name) == "client_secret" }) {
		names = append(slices.Clone(names), "missing_parameter")
	}
	for _, when := range names {
		var general, special *contract.ErrorRow
		for i := range d.c.Errors {
			row := &d.c.Errors[i]
			if !slices.Contains(row.When, when) {
				continue
			}
			byParameter := len(row.Parameters) > 0 && strings.HasSuffix(when, "_parameter")
			switch {
			case len(row.Grants) > 0 && (f.grant == nil || !slices.Contains(row.Grants, f.grant.Key)):
			case byParameter && !slices.ContainsFunc(row.Parameters, func(n string) bool { return d.part(n) == r.Parameter }):
			case len(row.Grants) > 0 || byParameter:
				if special == nil {
					special = row
				}
			case general == nil:
				general = row
			}
		}
		if special != nil {
			return special
		}
		if general != nil {
			return general
		}
	}
	return nil
}

// overlay gives a refusal the status and code that the contract documents for it; where
// the page leaves a choice, the standard's stays.
func (d *dialect) overlay(f *flow, r *refusal) {
	if row := d.row(f, r); row != nil {
		r.Status = pickStatus(row.Status, r.Status)
		r.Code = pickCode(row.Code, r.Code)
		if len(row.Status) == 0 && r.Status == http.StatusUnauthorized && r.Code == "invalid_request" {
			r.Status = http.StatusBadRequest // what goes with the code, where the page leaves it open
		}
		if len(row.Code) == 0 && r.Reason != rateLimited && r.Reason != guessLimited {
			return
		}
	} else {
		for _, dev := range d.c.Deviations {
			if dev.Mode == "required" && len(dev.Rules) > 0 && deviating[dev.Rules[0]] == r.Reason {
				r.Status = pickStatus(dev.Documented.Status, r.Status)
				r.Code = pickCode(dev.Documented.Code, r.Code)
			}
		}
	}
	if r.Reason == rateLimited || r.Reason == guessLimited {
		for _, l := range d.c.RateLimits {
			if l.Status != 0 {
				r.Status = l.Status
			}
			if l.Code != nil {
				r.Code = fmt.Sprint(l.Code)
			}
		}
	}
}

func pickStatus(documented []string, standard int) int {
	s := strconv.Itoa(standard)
	for _, d := range documented {
		if d == s || len(d) == 3 && strings.HasSuffix(d, "xx") && d[0] == s[0] {
			return standard
		}
	}
	for _, d := range documented {
		if n, err := strconv.Atoi(d); err == nil {
			return n
		}
		if len(d) == 3 && strings.HasSuffix(d, "xx") {
			return int(d[0]-'0') * 100
		}
	}
	return standard
}

func pickCode(documented []any, standard string) string {
	for _, c := range documented {
		if fmt.Sprint(c) == standard {
			return standard
		}
	}
	if len(documented) > 0 {
		return fmt.Sprint(documented[0])
	}
	return standard
}

// failure fills the documented error answer.
func (d *dialect) failure(f *flow, r *refusal, a *answer) {
	a.set("Content-Type", "application/json")
	row := d.row(f, r)
	if r.Code == "" && row == nil { // no OAuth code says it: problem details (RFC 9457)
		a.set("Content-Type", "application/problem+json")
		a.Body = object{{Name: "title", Value: http.StatusText(r.Status)}, {Name: "status", Value: r.Status}, {Name: "detail", Value: r.Description}}
		d.retryHint(f, r, a)
		return
	}
	if row != nil && row.ContentType != "" {
		a.set("Content-Type", row.ContentType)
		a.Form = strings.HasPrefix(row.ContentType, "application/x-www-form-urlencoded")
	} else if f.grant != nil && f.grant.Response.ContentType != "" {
		a.set("Content-Type", f.grant.Response.ContentType)
		a.Form = strings.HasPrefix(f.grant.Response.ContentType, "application/x-www-form-urlencoded")
	}
	have := map[string]any{"error": r.Code, "error_description": r.Description, "error_uri": f.e.base + "/errors"}
	fields := slices.Clone(d.c.ErrorFields)
	if row != nil {
		fields = slices.DeleteFunc(fields, func(g contract.Field) bool { return slices.Contains(row.Dropped, g.Name) })
		for _, fl := range row.Fields { // a row's fields are merged over the general ones
			fields = slices.DeleteFunc(fields, func(g contract.Field) bool { return g.Name == fl.Name })
			if fl.Required.Mode == "" {
				fl.Required.Mode = "true"
			}
			fields = append(fields, fl)
		}
	}
	list := members(fields)
	playsError := slices.ContainsFunc(list, func(fl respond) bool { return fl.part == "error" })
	described := slices.ContainsFunc(list, func(fl respond) bool { return fl.part == "error_description" })
	delete(have, "error_uri")
	for i := range list {
		fl := &list[i]
		switch {
		case fl.part == "error" && (fl.Const != nil || fl.Enum != nil):
			have["error"] = f.sample(fl.Field)
		case fl.part == "error" && len(fl.Type) > 0 && fl.Type[0] == "integer":
			have["error"] = number(r.Code, r.Status)
		case fl.part == "error_description" && (fl.Const != nil || fl.Format != ""):
			have["error_description"] = f.sample(fl.Field)
		case fl.part == "error_uri" && f.must(f.grant, fl.Required):
			have["error_uri"] = f.e.base + "/errors"
		case fl.part == "" && fl.Name == "status" && len(fl.Type) > 0 && fl.Type[0] == "integer":
			fl.Const = int64(a.Status)
		}
	}
	dropped := func(name string) bool { return row != nil && slices.Contains(row.Dropped, name) }
	if r.Code == "" {
		r.Code = "rate_limited"
		have["error"] = r.Code
	}
	if !playsError && !dropped("error") {
		a.Body = append(a.Body, member{Name: "error", Value: r.Code})
	}
	f.fields(f.grant, list, have, &a.Body)
	if !described && r.Description != "" && !dropped("error_description") {
		a.Body = append(a.Body, member{Name: "error_description", Value: r.Description})
	}
	for _, h := range d.c.Headers {
		if s, ok := h.Const.(string); ok && slices.Contains(h.Status, a.Status) {
			a.set(h.Name, s)
		}
	}
	if r.Reason == rateLimited || r.Reason == guessLimited {
		d.retryHint(f, r, a)
	}
}

// number is a numeric error code; the status where the code is a word.
func number(code string, status int) any {
	if n, err := strconv.ParseInt(code, 10, 64); err == nil {
		return n
	}
	return int64(status)
}

// retryHint says when to come back, in the page's own header or member.
func (d *dialect) retryHint(f *flow, r *refusal, a *answer) {
	for _, l := range d.c.RateLimits {
		h := l.RetryHint
		if h == nil || h.Name == "" || h.Name == "unspecified" || strings.EqualFold(h.Name, "Retry-After") {
			continue
		}
		seconds := int64(math.Ceil(r.RetryAfter.Seconds()))
		var v any = seconds
		switch h.Unit {
		case "epoch":
			v = f.now.Unix() + seconds
		case "epoch_milliseconds":
			v = f.now.UnixMilli() + seconds*1000
		case "milliseconds":
			v = seconds * 1000
		case "minutes":
			v = (seconds + 59) / 60
		}
		if h.In == "body" {
			a.Body.put(strings.Split(h.Name, "."), "", v)
		} else {
			a.set(h.Name, fmt.Sprint(v))
		}
	}
}
