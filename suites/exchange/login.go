package exchange

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"grantcheck/suites/contract"
)

const (
	maxHops = 30 // redirects and pages of one walk
	maxPage = 1 << 20
)

// A LoginError tells at which page a walk got stuck. Nothing in it is secret.
type LoginError struct {
	Step    int // pages seen, this one included
	URL     string
	Status  int
	Title   string
	Problem string // what stood in the way, and what to do
}

func (e *LoginError) Error() string {
	at := e.URL
	if e.Status != 0 {
		at += fmt.Sprintf(" (status %d", e.Status)
		if e.Title != "" {
			at += fmt.Sprintf(", titled %q", e.Title)
		}
		at += ")"
	}
	return fmt.Sprintf("login walk, page %d, %s: %s", e.Step, at, e.Problem)
}

// walk drives server-rendered login and consent pages until the redirect URI comes up, which is
// returned and never requested. Without login it only follows redirects.
func (t *Target) walk(ctx context.Context, a Authorization, login *contract.Login) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	transport := &http.Transport{TLSClientConfig: t.tls.Clone(), ForceAttemptHTTP2: true}
	if t.proxy != nil {
		transport.Proxy = http.ProxyURL(t.proxy)
	}
	defer transport.CloseIdleConnections()
	w := &walker{t: t, ctx: ctx, auth: a, login: login, client: &http.Client{
		Transport: transport, Jar: jar, Timeout: t.opt.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	start := a.URL()
	if login != nil {
		w.maxPages = login.MaxSteps
		if login.URL != "" {
			start = Request{url: t.Rebase(login.URL)}.fullURL(a.query())
		}
	}
	w.maxPages = cmp.Or(w.maxPages, 10)
	next, err := http.NewRequest(http.MethodGet, start, nil)
	if err != nil {
		return "", fmt.Errorf("login walk: address %q cannot be read", Printable(start, 200))
	}
	for range maxHops {
		if w.caught(next.URL) {
			return next.URL.String(), nil
		}
		if next, err = w.step(next); err != nil {
			return "", err
		}
		if w.redirect != "" {
			return w.redirect, nil
		}
	}
	return "", w.stuck(fmt.Sprintf("%d redirects and pages without reaching redirect_uri", maxHops))
}

type walker struct {
	t        *Target
	ctx      context.Context
	auth     Authorization
	login    *contract.Login
	client   *http.Client
	maxPages int

	pages    int
	here     *url.URL
	status   int
	title    string
	typed    bool   // the password has been sent
	redirect string // the caught redirect where it was a form
}

func (w *walker) caught(u *url.URL) bool {
	return w.auth.RedirectURI != "" && sameAddress(u.String(), w.auth.RedirectURI)
}

func (w *walker) stuck(problem string) error {
	e := &LoginError{Step: max(1, w.pages), Status: w.status, Title: Printable(w.t.Redactor.Redact(w.title), 80), Problem: problem}
	if w.here != nil {
		shown := *w.here
		shown.RawQuery, shown.Fragment, shown.User = "", "", nil
		e.URL = shown.String()
	}
	return e
}

// step sends one request and returns the next, which a redirect or a filled form asks for.
func (w *walker) step(req *http.Request) (*http.Request, error) {
	req = req.WithContext(w.ctx)
	req.Header.Set("User-Agent", "grantcheck/"+Version)
	req.Header.Set("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	w.here, w.status, w.title = req.URL, 0, ""
	resp, err := w.client.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // without the address, whose query may hold a code
		}
		return nil, w.stuck(Printable(w.t.Redactor.Redact(err.Error()), 200))
	}
	defer resp.Body.Close()
	w.status = resp.StatusCode
	if resp.StatusCode >= 300 && resp.StatusCode < 400 && resp.StatusCode != 304 {
		return w.follow(req, resp)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		return nil, w.stuck("the page broke off: " + Printable(err.Error(), 200))
	}
	w.pages++
	return w.read(body)
}

func (w *walker) follow(req *http.Request, resp *http.Response) (*http.Request, error) {
	location := resp.Header.Get("Location")
	u, err := req.URL.Parse(location)
	if err != nil || location == "" {
		return nil, w.stuck("a redirect without a usable Location")
	}
	if w.caught(u) {
		return &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{}}, nil
	}
	if err := w.mayVisit(u); err != nil {
		return nil, err
	}
	if resp.StatusCode == 307 || resp.StatusCode == 308 {
		if req.GetBody != nil && u.Host != req.URL.Host {
			return nil, w.stuck("a redirect would carry the form to another host, " + u.Host)
		}
		if req.GetBody != nil {
			again, err := http.NewRequest(req.Method, u.String(), nil)
			if err != nil {
				return nil, w.stuck("a redirect without a usable Location")
			}
			if again.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
			again.GetBody, again.ContentLength = req.GetBody, req.ContentLength
			again.Header.Set("Content-Type", req.Header.Get("Content-Type"))
			return again, nil
		}
	}
	return http.NewRequest(http.MethodGet, u.String(), nil)
}

// mayVisit refuses to walk on without TLS beyond loopback.
func (w *walker) mayVisit(u *url.URL) error {
	switch {
	case u.Scheme == "https", u.Scheme == "http" && (Loopback(u.Hostname()) || w.t.opt.InsecureHTTP):
		return nil
	case u.Scheme == "http":
		return w.stuck("the way leads to " + u.Host + " without TLS; --insecure-http allows it")
	}
	return w.stuck(fmt.Sprintf("the way leads to a %q address, which is not redirect_uri %s", Printable(u.Scheme, 30), w.auth.RedirectURI))
}

// read takes a page and fills in the form that leads on.
func (w *walker) read(body []byte) (*http.Request, error) {
	doc, err := html.Parse(bytes.NewReader(body))
	if err != nil {
		return nil, w.stuck("the page is no HTML")
	}
	p := pageOf(doc)
	w.title = p.title
	if w.pages > w.maxPages {
		return nil, w.stuck(fmt.Sprintf("more than %d pages; set login.max_steps if the way is that long", w.maxPages))
	}
	forms := slices.Clone(p.forms)
	slices.SortStableFunc(forms, func(a, b *form) int { return cmp.Compare(w.score(b), w.score(a)) })
	if len(forms) == 0 || w.score(forms[0]) < 0 {
		if p.refresh != "" {
			u, err := w.here.Parse(p.refresh)
			if err == nil && (w.caught(u) || w.mayVisit(u) == nil) {
				return http.NewRequest(http.MethodGet, u.String(), nil)
			}
		}
		problem := "no form that leads on"
		if text := strings.TrimSpace(p.text); text != "" {
			problem += "; the page says: " + Printable(w.t.Redactor.Redact(text), 200)
		}
		return nil, w.stuck(problem)
	}
	return w.submit(forms[0], p)
}

// submit fills in a form and presses its button.
func (w *walker) submit(f *form, p page) (*http.Request, error) {
	action, err := w.here.Parse(f.action)
	if err != nil {
		return nil, w.stuck("the form's action is no address")
	}
	if f.has("password") {
		if w.typed {
			problem := "the page asks for the password again: user name or password was refused"
			if text := strings.TrimSpace(p.text); text != "" {
				problem += "; it says: " + Printable(w.t.Redactor.Redact(text), 160)
			}
			return nil, w.stuck(problem)
		}
		if action.Host != w.here.Host && action.Scheme != "https" {
			return nil, w.stuck("the form would carry the password to " + action.Host + " without TLS")
		}
	}
	if w.login == nil && f.interactive() && !w.caught(action) {
		return nil, w.stuck("a person has to act here; give the grant a code hook, the contract a login, or paste the redirect when asked")
	}
	values, err := w.fill(f)
	if err != nil {
		return nil, err
	}
	if w.caught(action) { // response_mode=form_post: the answer is in the form
		u := *action
		q := u.Query()
		for _, v := range values {
			q.Set(v.Name, v.Value)
		}
		u.RawQuery = q.Encode()
		w.redirect = u.String()
		return &http.Request{URL: &u, Header: http.Header{}}, nil
	}
	if err := w.mayVisit(action); err != nil {
		return nil, err
	}
	params := make([]Param, len(values))
	for i, v := range values {
		params[i] = Param{Name: v.Name, Value: v.Value, In: InBody}
	}
	action.Fragment = ""
	switch {
	case !strings.EqualFold(f.method, "post"):
		action.RawQuery = encodeForm(params, InBody)
		return http.NewRequest(http.MethodGet, action.String(), nil)
	case strings.EqualFold(f.enctype, MultipartType):
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		for _, v := range values {
			_ = m.WriteField(v.Name, v.Value)
		}
		_ = m.Close()
		return w.post(action, m.FormDataContentType(), b.Bytes())
	}
	return w.post(action, FormType, []byte(encodeForm(params, InBody)))
}

func (w *walker) post(action *url.URL, contentType string, body []byte) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodPost, action.String(), bytes.NewReader(body))
	if err != nil {
		return nil, w.stuck("the form's action is no address")
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Origin", w.here.Scheme+"://"+w.here.Host)
	return req, nil
}

// fill returns what a browser would send with everything filled in: hidden fields as they are, the
// user's name and password in the fields that are for them, consent given.
func (w *walker) fill(f *form) ([]HeaderLine, error) {
	user := f.userField()
	var out []HeaderLine
	radio := map[string]bool{}
	for _, c := range f.controls {
		value := c.value
		if w.login != nil {
			if part, named := w.login.Fields[c.name]; named && c.name != "" {
				v, err := w.valueOf(part)
				if err != nil {
					return nil, err
				}
				w.typed = w.typed || c.kind == "password" || part == "user.password"
				out = append(out, HeaderLine{c.name, v})
				continue
			}
		}
		switch c.kind {
		case "password":
			v, err := w.valueOf("user.password")
			if err != nil {
				return nil, err
			}
			w.typed, value = true, v
		case "submit", "image", "button", "reset":
			continue
		case "checkbox":
			consent := !f.has("password") && !aboutRemembering(c)
			if !c.checked && !c.required && !consent {
				continue
			}
			value = cmp.Or(value, "on")
		case "radio":
			if radio[c.name] || !c.checked && f.anyChecked(c.name) {
				continue
			}
			radio[c.name] = true
			value = cmp.Or(value, "on")
		default:
			if c == user && value == "" || c == user && w.login != nil {
				v, err := w.valueOf("user.name")
				if err != nil {
					return nil, err
				}
				value = v
			}
		}
		if c.name != "" {
			out = append(out, HeaderLine{c.name, value})
		}
	}
	if b := w.button(f); b != nil && b.name != "" {
		out = append(out, HeaderLine{b.name, b.value})
	}
	return out, nil
}

// valueOf reads an entry of login.fields: a part or a literal.
func (w *walker) valueOf(part string) (string, error) {
	switch part {
	case "user.name", "username", "user.password", "password":
	default:
		return part, nil
	}
	if w.auth.User == nil {
		return "", w.stuck("the page asks who is there, and the contract has no user")
	}
	if strings.HasSuffix(part, "name") {
		return w.auth.User.UserName, nil
	}
	return w.auth.User.Password, nil
}

var (
	yesWords = []string{"allow", "accept", "approve", "authori", "consent", "grant", "agree", "yes", "continue", "confirm", "sign in", "log in", "login", "signin", "next", "submit", "weiter", "anmelden", "zulassen", "ok"}
	noWords  = []string{"cancel", "deny", "decline", "reject", "abort", "disallow", "don't", "do not", "no,", "not me", "logout", "log out", "sign out", "back", "forgot", "reset", "register", "sign up", "create", "search", "abbrechen", "ablehnen"}
)

func mentions(text string, words []string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
}

func aboutRemembering(c *control) bool {
	return mentions(c.name+" "+c.id+" "+c.label, []string{"remember", "persist", "keep", "stay", "newsletter", "angemeldet"})
}

// button picks the one that grants: the contract's text, else a word of consent, else the first
// that does not refuse.
func (w *walker) button(f *form) *control {
	var first, yes *control
	for _, c := range f.controls {
		if c.kind != "submit" && c.kind != "image" {
			continue
		}
		text := c.label + " " + c.name + "=" + c.value
		switch {
		case w.login != nil && w.login.Consent != "":
			if strings.Contains(strings.ToLower(text), strings.ToLower(w.login.Consent)) {
				return c
			}
		case mentions(text, noWords):
		case yes == nil && mentions(text, yesWords):
			yes = c
		}
		if first == nil && !mentions(text, noWords) {
			first = c
		}
	}
	if yes != nil {
		return yes
	}
	return first
}

// score ranks forms: one that asks for the password, then for a name, then one that can be agreed to.
func (w *walker) score(f *form) int {
	u, err := w.here.Parse(f.action)
	n := 0
	if err == nil && w.caught(u) {
		n += 200
	}
	if f.has("password") {
		n += 100
	}
	if f.userField() != nil {
		n += 40
	}
	b := w.button(f)
	switch {
	case b != nil && w.login != nil && w.login.Consent != "":
		n += 60
	case b != nil:
		n += 20
	case slices.ContainsFunc(f.controls, func(c *control) bool { return c.kind == "submit" }):
		n -= 100 // every button refuses
	}
	if f.has("search") || mentions(f.action, []string{"search", "logout", "language", "locale", "cancel", "abort"}) {
		n -= 60
	}
	if !f.interactive() && strings.EqualFold(f.method, "post") {
		n += 10 // a page that submits itself
	}
	return n
}

// ---- pages ----

type page struct {
	title, text, refresh string
	forms                []*form
}

type form struct {
	action, method, enctype, id string
	controls                    []*control
}

type control struct {
	kind              string // type of the input, "textarea", "select"
	name, value, id   string
	label             string // text of a button, or of the label
	complete          string // autocomplete
	checked, required bool
}

func (f *form) has(kind string) bool {
	return slices.ContainsFunc(f.controls, func(c *control) bool { return c.kind == kind })
}

func (f *form) anyChecked(name string) bool {
	return slices.ContainsFunc(f.controls, func(c *control) bool { return c.kind == "radio" && c.name == name && c.checked })
}

// interactive reports that somebody has to do more than press a button.
func (f *form) interactive() bool {
	return slices.ContainsFunc(f.controls, func(c *control) bool { return c.kind != "hidden" })
}

// userField finds the field for the user's name: marked so, named so, or the one before the password.
func (f *form) userField() *control {
	var texts []*control
	passwordAt := -1
	for _, c := range f.controls {
		switch c.kind {
		case "text", "email", "tel":
			texts = append(texts, c)
		case "password":
			if passwordAt < 0 {
				passwordAt = len(texts)
			}
		}
	}
	for _, c := range texts {
		if mentions(c.complete, []string{"username", "email"}) {
			return c
		}
	}
	for _, c := range texts {
		if mentions(c.name+" "+c.id, []string{"user", "login", "mail", "account", "ident", "name"}) || c.kind == "email" {
			return c
		}
	}
	if passwordAt > 0 {
		return texts[passwordAt-1]
	}
	return nil
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttr(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}

func textOf(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && (d.Parent == nil || d.Parent.DataAtom != atom.Script && d.Parent.DataAtom != atom.Style) {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func pageOf(doc *html.Node) (p page) {
	byID := map[string]*form{}
	formOf := map[*html.Node]*form{}
	labels := map[string]string{}
	var body *html.Node
	for n := range doc.Descendants() {
		switch n.DataAtom {
		case atom.Form:
			f := &form{action: strings.TrimSpace(attr(n, "action")), method: attr(n, "method"), enctype: attr(n, "enctype"), id: attr(n, "id")}
			p.forms = append(p.forms, f)
			formOf[n] = f
			if f.id != "" {
				byID[f.id] = f
			}
		case atom.Title:
			p.title = textOf(n)
		case atom.Body:
			body = n
		case atom.Label:
			labels[attr(n, "for")] = textOf(n)
		case atom.Meta:
			if strings.EqualFold(attr(n, "http-equiv"), "refresh") {
				if _, target, ok := strings.Cut(attr(n, "content"), "="); ok {
					p.refresh = strings.Trim(strings.TrimSpace(target), `'"`)
				}
			}
		}
	}
	for n := range doc.Descendants() {
		c := controlOf(n)
		if c == nil || hasAttr(n, "disabled") {
			continue
		}
		f := byID[attr(n, "form")]
		for up := n.Parent; f == nil && up != nil; up = up.Parent {
			f = formOf[up]
		}
		if f == nil {
			continue
		}
		if c.label == "" && c.id != "" {
			c.label = labels[c.id]
		}
		if c.kind == "text" && mentions(c.name+" "+c.id+" "+c.complete+" "+c.label, []string{"passw", "pwd", "kennwort"}) {
			c.kind = "password" // shown while it is typed, and a password all the same
		}
		f.controls = append(f.controls, c)
	}
	if body != nil {
		p.text = textOf(body)
	}
	return p
}

func controlOf(n *html.Node) *control {
	c := &control{
		name: attr(n, "name"), value: attr(n, "value"), id: attr(n, "id"), complete: attr(n, "autocomplete"),
		checked: hasAttr(n, "checked"), required: hasAttr(n, "required"),
	}
	switch n.DataAtom {
	case atom.Input:
		c.kind = cmp.Or(strings.ToLower(attr(n, "type")), "text")
		if c.kind == "submit" {
			c.label = c.value
		}
	case atom.Button:
		c.kind = cmp.Or(strings.ToLower(attr(n, "type")), "submit")
		c.label = textOf(n)
	case atom.Textarea:
		c.kind, c.value = "textarea", textOf(n)
	case atom.Select:
		c.kind = "select"
		first := true
		for o := range n.Descendants() {
			if o.DataAtom != atom.Option {
				continue
			}
			value := textOf(o)
			if hasAttr(o, "value") {
				value = attr(o, "value")
			}
			if first || hasAttr(o, "selected") {
				c.value, first = value, false
			}
		}
	default:
		return nil
	}
	return c
}
