package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"grantcheck/suites"
	"grantcheck/suites/contract"
	"grantcheck/suites/emulator"
	"grantcheck/suites/exchange"
)

type serveFlags struct {
	opt                            emulator.Options
	limit                          string
	limitKind, limitBy             string
	journal                        string
	printEnv, listFaults, listVars bool
}

const ordinaryAddress = "127.0.0.1:9096"

func newServe() *cobra.Command {
	f := serveFlags{limitKind: "bucket", limitBy: "client"}
	cmd := &cobra.Command{
		Use:   "serve [CONTRACT]",
		Short: "Run the emulator of a contract, with faults and limits on request",
		Long: `Serve a token endpoint, and all that belongs to it, that does what a contract documents (default
"standard"). Credentials are fixed test values, the same in every process. Nothing that it issues is
worth anything: never put it where others expect a real server.`,
		Example: `  grantcheck serve appsecplus --fault response.content-type
  eval "$(grantcheck serve appsecplus --print-env)"; grantcheck check appsecplus
  grantcheck serve standard --limit 60/1m:10 --limit-kind bucket
  grantcheck serve standard --script '429,429,ok' --journal journal.txt`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeContracts,
		RunE:              func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	fs := cmd.Flags()
	fs.StringVar(&f.opt.Listen, "listen", ordinaryAddress, "`ADDRESS` to serve at; port 0 takes a free one")
	oneOf(cmd, &f.opt.Edition, "edition", "which standards it keeps (default the contract's)", suites.AllEditions.Names()...)
	fs.StringArrayVar(&f.opt.Faults, "fault", nil, "break the rule of this `NAME` (repeatable)")
	fs.BoolVar(&f.listFaults, "list-faults", false, "list the faults and exit")
	fs.StringArrayVar(&f.opt.Variations, "variation", nil, "a legitimate difference by `NAME` (repeatable)")
	fs.BoolVar(&f.listVars, "list-variations", false, "list the variations and exit")
	fs.StringVar(&f.limit, "limit", "", "rate limit `N/D[:BURST]`, as in 60/1m or 20/1s:40")
	oneOf(cmd, &f.limitKind, "limit-kind", "how the limit counts", "bucket", "fixed", "sliding")
	oneOf(cmd, &f.limitBy, "limit-by", "what the limit is for", "client", "address", "endpoint")
	fs.DurationVar(&f.opt.Latency, "latency", 0, "wait so long before every answer of the token endpoint")
	fs.BoolVar(&f.printEnv, "print-env", false, "print the variables to check CONTRACT against it, as shell export lines, and exit")
	fs.StringVar(&f.opt.Script, "script", "", "first answers, then the usual: `'429,503,ok'`; also error codes, reset, cut, hang, slow=2s")
	fs.StringVar(&f.journal, "journal", "", "`FILE` to write what each client did, with a verdict, at the end")
	var faults, variations []cobra.Completion
	for _, x := range emulator.Faults() {
		faults = append(faults, cobra.CompletionWithDesc(x.Name, x.Text))
	}
	for _, x := range emulator.Variations() {
		variations = append(variations, cobra.CompletionWithDesc(x.Name, x.Text))
	}
	complete(cmd, "fault", faults...)
	complete(cmd, "variation", variations...)
	return cmd
}

func (f *serveFlags) run(cmd *cobra.Command, args []string) error {
	out := cmd.OutOrStdout()
	if f.listFaults || f.listVars {
		return f.list(out)
	}
	if err := f.known(); err != nil {
		return err
	}
	name := standard
	if len(args) == 1 {
		name = args[0]
	}
	c, err := openContract(name)
	if err != nil {
		return usage("%w", err)
	}
	f.opt.Contract, f.opt.FixedCredentials = c, true
	if f.limit != "" {
		l, err := emulator.ParseLimit(f.limit)
		if err != nil {
			return usage("--limit: %w", err)
		}
		l.Kind, l.By = f.limitKind, f.limitBy
		f.opt.Limits = []emulator.Limit{l}
	} else if cmd.Flags().Changed("limit-kind") || cmd.Flags().Changed("limit-by") {
		return usage("--limit-kind and --limit-by say more about a --limit, and there is none")
	}
	if f.journal != "" && !f.printEnv {
		file, err := os.Create(f.journal)
		if err != nil {
			return usage("--journal: %w", err)
		}
		defer file.Close()
		f.opt.Journal = io.MultiWriter(file, cmd.ErrOrStderr())
	}
	e, err := emulator.New(f.opt)
	if err != nil {
		return usage("%w", err)
	}
	if f.printEnv {
		return e.PrintEnv(out)
	}
	if err := e.Start(); err != nil {
		return usage("%w; choose another with --listen 127.0.0.1:PORT", err)
	}
	defer e.Close()
	fmt.Fprintf(out, "serving %s at %s\n", c.Name, e.URL())
	if host, _, err := net.SplitHostPort(f.opt.Listen); err == nil && !exchange.Loopback(host) {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s can be reached from outside, and its credentials are public test values\n", f.opt.Listen)
	}
	again := name
	if f.opt.Listen != ordinaryAddress {
		again += " --listen " + strings.TrimPrefix(e.Base(), "http://")
	}
	introduce(out, e)
	fmt.Fprintf(out, "check it from another shell:\n  eval \"$(grantcheck serve %s --print-env)\" && grantcheck check %s\n", again, name)
	<-cmd.Context().Done()
	return nil
}

func (f *serveFlags) list(out io.Writer) error {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if f.listFaults {
		for _, x := range emulator.Faults() {
			fmt.Fprintf(t, "%s\t%s\n", x.Name, x.Text)
		}
	}
	if f.listVars {
		for _, x := range emulator.Variations() {
			fmt.Fprintf(t, "%s\t%s\n", x.Name, x.Text)
		}
	}
	return t.Flush()
}

// known refuses faults and variations that there are not, with the nearest name.
func (f *serveFlags) known() error {
	var faults, variations []string
	for _, x := range emulator.Faults() {
		faults = append(faults, x.Name)
	}
	for _, x := range emulator.Variations() {
		variations = append(variations, x.Name)
	}
	for _, k := range []struct {
		flag         string
		asked, there []string
	}{{"fault", f.opt.Faults, faults}, {"variation", f.opt.Variations, variations}} {
		for _, name := range k.asked {
			if !slices.Contains(k.there, name) {
				return usage("no %s %q that --list-%ss lists%s", k.flag, name, k.flag, suites.DidYouMean(name, k.there))
			}
		}
	}
	return nil
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// introduce says everything a stranger needs to call the emulator.
func introduce(w io.Writer, e *emulator.Emulator) {
	c := e.Contract()
	target, err := exchange.NewTarget(c, exchange.Options{InsecureHTTP: true})
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nendpoints")
	for _, at := range []struct{ what, url string }{
		{"token", e.URL()},
		{"authorization", target.AuthorizationURL()},
		{"revocation", target.RevocationURL()},
		{"introspection", target.IntrospectionURL()},
		{"resource", target.ResourceURL()},
	} {
		if at.url != "" {
			fmt.Fprintf(t, "  %s\t%s\n", at.what, at.url)
		}
	}
	for i, at := range target.MetadataURLs() {
		fmt.Fprintf(t, "  %s\t%s\n", map[bool]string{true: "metadata"}[i == 0], at)
	}
	fmt.Fprintln(t, "\nclients\tid\tsecret\tauthentication")
	for _, cl := range target.Clients() {
		fixture := cl.Name
		if fixture == "" {
			fixture = "primary"
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", fixture, cl.ID, cl.Secret, strings.Join(target.AuthMethods(nil, cl), ", "))
		if cl.KeyFile != "" {
			fmt.Fprintf(t, "  \tkey %s\n", cl.KeyFile)
		}
	}
	if users := target.Users(); len(users) > 0 {
		fmt.Fprintln(t, "\nusers\tname\tpassword")
		for _, u := range users {
			fixture := u.Name
			if fixture == "" {
				fixture = "primary"
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\n", fixture, u.UserName, u.Password)
		}
	}
	t.Flush()
	if len(c.Scopes.Grantable) > 0 {
		fmt.Fprintf(w, "\nscopes  %s\n", strings.Join(c.Scopes.Grantable, " "))
	}
	fmt.Fprintln(w)
	for i := range c.Grants {
		example(w, target, &c.Grants[i])
	}
}

// example prints how a token is got by a grant.
func example(w io.Writer, target *exchange.Target, g *contract.Grant) {
	in := exchange.Inputs{Code: "CODE", RefreshToken: "REFRESH_TOKEN"}
	switch exchange.GrantType(g) {
	case "authorization_code":
		a, err := target.Authorization(g, nil)
		if err != nil {
			return
		}
		in.CodeVerifier, in.RedirectURI = a.Verifier, a.RedirectURI
		fmt.Fprintf(w, "%s: the code stands in the Location that this answers:\n  curl -sSi %s\nthen\n", g.Key, quote(a.URL()))
	case "urn:ietf:params:oauth:grant-type:jwt-bearer":
		return // an assertion printed here would have expired before it is used
	default:
		fmt.Fprintf(w, "%s:\n", g.Key)
	}
	methods := target.AuthMethods(g, target.ClientOf(g))
	if len(methods) == 0 || methods[0] == "jwt" {
		return
	}
	req, err := target.Request(g, methods[0], in)
	if err != nil {
		return
	}
	fmt.Fprintf(w, "  %s\n\n", curl(req.Wire()))
}

// curl is a request as a shell line, its test credentials in it.
func curl(r exchange.Wire) string {
	line := "curl -sS"
	if r.Method != "POST" {
		line += " -X " + r.Method
	}
	line += " " + quote(r.URL)
	for _, h := range r.Headers {
		if n := strings.ToLower(h.Name); n != "user-agent" && n != "accept" && !(n == "content-type" && h.Value == exchange.FormType) {
			line += " -H " + quote(h.Name+": "+h.Value)
		}
	}
	if len(r.Body) > 0 {
		line += " -d " + quote(string(r.Body))
	}
	return line
}
