package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"grantcheck/suites/contract"
)

func newContract() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "contract",
		Short: "Write, check and show contracts",
		Long:  "A contract is what a vendor documents about one token endpoint: a YAML file that reads like the page.",
		RunE:  branch,
	}
	cmd.AddCommand(newContractInit(), newContractLint(), newContractShow(), newContractSchema(), newContractList())
	return cmd
}

func newContractList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the shipped contracts",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			t := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, name := range contract.ShippedNames() {
				c, err := contract.Shipped(name)
				if err != nil {
					return broken("%w", err)
				}
				var grants []string
				for _, g := range c.Grants {
					grants = append(grants, g.Key)
				}
				fmt.Fprintf(t, "%s\t%s\n\t%s\n", name, c.Title, strings.Join(grants, ", "))
			}
			return t.Flush()
		},
	}
}

func newContractShow() *cobra.Command {
	source := false
	cmd := &cobra.Command{
		Use:   "show CONTRACT",
		Short: "Print a contract with what it inherits, and the variables it needs",
		Example: `  grantcheck contract show appsecplus
  grantcheck contract show appsecplus --source > acme.yaml   # a copy to start from`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeContracts,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := openContract(args[0])
			if err != nil {
				return usage("%w", err)
			}
			text := c.Show()
			if source {
				data, err := sourceOf(args[0])
				if err != nil {
					return usage("%w", err)
				}
				text = string(data)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
			return err
		},
	}
	cmd.Flags().BoolVar(&source, "source", false, "the file as it is written, without what it inherits")
	return cmd
}

func sourceOf(name string) ([]byte, error) {
	if data, err := contract.ShippedSource(name); err == nil {
		return data, nil
	}
	return os.ReadFile(name)
}

func newContractLint() *cobra.Command {
	return &cobra.Command{
		Use:   "lint CONTRACT…",
		Short: "Tell everything that is wrong or odd in contracts",
		Long: `Read contracts strictly and tell everything that is wrong or odd, with line, column and excerpt.
Exit 2 when one of them cannot be used; warnings alone are exit 0.`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeContracts,
		RunE: func(cmd *cobra.Command, args []string) error {
			bad := 0
			for _, name := range args {
				ok, err := lint(cmd, name)
				if err != nil {
					return usage("%w", err)
				}
				if !ok {
					bad++
				}
			}
			if bad > 0 {
				return usage("%d of %d contracts cannot be used", bad, len(args))
			}
			return nil
		},
	}
}

// lint prints what is to be said about a contract; ok when it can be used.
func lint(cmd *cobra.Command, name string) (ok bool, err error) {
	c, problems, err := contract.Lint(name, contractOptions())
	if err != nil {
		return false, err
	}
	ok = c != nil
	for _, p := range problems {
		ok = ok && p.Warning
		fmt.Fprintln(cmd.OutOrStdout(), p)
		if p.Excerpt != "" {
			fmt.Fprintln(cmd.OutOrStdout(), p.Excerpt)
		}
	}
	if !ok {
		return false, nil
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", name)
	for _, v := range []struct {
		what  string
		names []string
	}{{"needs", needed(c)}, {"can use", optional(c)}} {
		if len(v.names) > 0 {
			for i, l := range wrap(strings.Join(v.names, " "), 80) {
				fmt.Fprintf(cmd.OutOrStdout(), "  %-8s %s\n", map[bool]string{true: v.what}[i == 0], l)
			}
		}
	}
	return true, nil
}

// needed and optional are the variables of a contract.
func needed(c *contract.Contract) (names []string) {
	for _, r := range c.References() {
		if r.Optional == "" && !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	return names
}

func optional(c *contract.Contract) (names []string) {
	must := needed(c)
	for _, r := range c.References() {
		if !slices.Contains(must, r.Name) && !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	return names
}

func newContractSchema() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of contracts, for editors",
		Long: `Print the JSON Schema of contracts. Editors with a YAML language server use it with this first line:
  # yaml-language-server: $schema=./grantcheck.schema.json`,
		Example: "  grantcheck contract schema > grantcheck.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(contract.Schema())
			return err
		},
	}
}

func newContractInit() *cobra.Command {
	var a contract.Answers
	var metadata, openapi string
	cmd := &cobra.Command{
		Use:   "init [NAME]",
		Short: "Write NAME.yaml, a contract to fill in",
		Long: `Write a commented contract to fill in from the vendor's page. What a metadata document (RFC 8414, OpenID
Connect discovery) or an OpenAPI description says already is taken over; flags win.`,
		Example: `  grantcheck contract init acme --url https://id.acme.example/oauth/token --auth basic
  curl -s https://id.acme.example/.well-known/openid-configuration | grantcheck contract init acme --metadata -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.Name = args[0]
			}
			a, err := answers(cmd, a, metadata, openapi)
			if err != nil {
				return usage("%w", err)
			}
			return writeTemplate(cmd, a)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&a.URL, "url", "", "the token endpoint (default a variable)")
	fs.StringArrayVar(&a.Grants, "grant", nil, "a documented grant (repeatable; default client_credentials)")
	fs.StringArrayVar(&a.Auth, "auth", nil, "a documented client authentication method: basic, post, jwt or none (repeatable; default basic)")
	fs.StringArrayVar(&a.Scopes, "scope", nil, "a scope to ask for (repeatable)")
	fs.StringVar(&a.Title, "title", "", "what people call it")
	fs.StringVar(&a.Page, "page", "", "`URL` of the vendor's page")
	fs.StringVar(&metadata, "metadata", "", "`FILE` of a metadata document to start from, - for stdin")
	fs.StringVar(&openapi, "openapi", "", "`FILE` of an OpenAPI description to start from, - for stdin")
	cmd.MarkFlagsMutuallyExclusive("metadata", "openapi")
	complete(cmd, "grant", "client_credentials", "password", "authorization_code", "refresh_token", "jwt_bearer")
	complete(cmd, "auth", "basic", "post", "jwt", "none")
	return cmd
}

// answers are those of the document, with what the flags say in its place.
func answers(cmd *cobra.Command, flags contract.Answers, metadata, openapi string) (contract.Answers, error) {
	read := contract.AnswersFromMetadata
	if openapi != "" {
		read = contract.AnswersFromOpenAPI
	}
	file := metadata + openapi
	if file == "" {
		return flags, nil
	}
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(cmd.InOrStdin())
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return flags, err
	}
	a, err := read(data)
	if err != nil {
		return flags, fmt.Errorf("%s: %w", file, err)
	}
	a.Name, a.Title = cmp.Or(flags.Name, a.Name), cmp.Or(flags.Title, a.Title)
	a.Page, a.URL = cmp.Or(flags.Page, a.Page), cmp.Or(flags.URL, a.URL)
	for _, l := range []struct{ flag, doc *[]string }{{&flags.Grants, &a.Grants}, {&flags.Auth, &a.Auth}, {&flags.Scopes, &a.Scopes}} {
		if len(*l.flag) > 0 {
			*l.doc = *l.flag
		}
	}
	return a, nil
}

func writeTemplate(cmd *cobra.Command, a contract.Answers) error {
	text, err := contract.Template(a)
	if err != nil {
		return usage("%w", err)
	}
	c, err := contract.Parse("new contract", text, "", contractOptions())
	if err != nil {
		return broken("the new contract has mistakes (please report it): %w", err)
	}
	name := c.Name + ".yaml"
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return usage("%s is there already; it is not overwritten", name)
	} else if err != nil {
		return usage("%w", err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return broken("%w", err)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "wrote %[1]s; next:\n  grantcheck check %[1]s --emulate\n  grantcheck contract lint %[1]s\n", name)
	for _, n := range needed(c) {
		fmt.Fprintf(cmd.OutOrStdout(), "  export %s=…\n", n)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "  grantcheck check %[1]s --plan\n  grantcheck check %[1]s\n", name)
	return nil
}
