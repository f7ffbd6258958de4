package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
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
	var needed, optional []string
	for _, r := range c.References() {
		list := &needed
		if r.Optional != "" {
			list = &optional
		}
		if !slices.Contains(*list, r.Name) {
			*list = append(*list, r.Name)
		}
	}
	optional = slices.DeleteFunc(optional, func(n string) bool { return slices.Contains(needed, n) })
	fmt.Fprintf(cmd.OutOrStdout(), "%s: ok\n", name)
	for _, v := range []struct {
		what  string
		names []string
	}{{"needs", needed}, {"can use", optional}} {
		if len(v.names) > 0 {
			for i, l := range wrap(strings.Join(v.names, " "), 80) {
				fmt.Fprintf(cmd.OutOrStdout(), "  %-8s %s\n", map[bool]string{true: v.what}[i == 0], l)
			}
		}
	}
	return true, nil
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

var kebab = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

func newContractInit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init NAME",
		Short: "Write NAME.yaml, a contract to fill in",
		Example: `  grantcheck contract init acme
  grantcheck check acme.yaml --emulate`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := strings.TrimSuffix(args[0], ".yaml")
			if !kebab.MatchString(name) {
				return usage("%q cannot name a contract: lower-case words joined by hyphens, as in acme-eu", name)
			}
			variable := strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
			f, err := os.OpenFile(name+".yaml", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
			if errors.Is(err, fs.ErrExist) {
				return usage("%s.yaml is there already; it is not overwritten", name)
			} else if err != nil {
				return usage("%w", err)
			}
			_, err = f.WriteString(strings.NewReplacer("acme", name, "ACME", variable).Replace(blankContract))
			if err = errors.Join(err, f.Close()); err != nil {
				return broken("%w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), `wrote %[1]s.yaml; next:
  grantcheck check %[1]s.yaml --emulate      # needs nothing
  grantcheck contract lint %[1]s.yaml
  export %[2]s_BASE_URL=https://…  %[2]s_CLIENT_ID=…  %[2]s_CLIENT_SECRET=…
  grantcheck check %[1]s.yaml --plan
  grantcheck check %[1]s.yaml
`, name, variable)
			return nil
		},
	}
	return cmd
}

// blankContract is the smallest contract with what people add next.
const blankContract = `contract: 1
name: acme
title: acme token endpoint
extends: base
# page: https://developer.example/docs/token

endpoint:
  base_url: ${ACME_BASE_URL}
  path: /oauth/token

client:
  id: ${ACME_CLIENT_ID}
  secret: ${ACME_CLIENT_SECRET}
  auth: [basic, post]                # what the page shows, the preferred one first

grants:
  client_credentials: {}             # nothing more: the parameters and fields of the standard
    # parameters:
    #   grant_type: {required: true, const: client_credentials}
    #   audience: {required: true, value: https://api.example}
    # response:
    #   fields:
    #     access_token: {type: string, required: true}
    #     expires_in: {type: integer, required: true, typical: 3600}

# scopes:
#   request: [read]

# errors:                            # the page's table, one row for each line of it
#   - {when: [wrong_secret], status: 401, code: invalid_client}
#   - {when: [missing_parameter], status: 400, code: invalid_request}

# clients:                           # further fixtures let more rules be judged
#   second: {id: "${ACME_SECOND_CLIENT_ID}", secret: "${ACME_SECOND_CLIENT_SECRET}", auth: [basic], optional: true}

# rate_limit: {documented: true, limit: 60, window: 60s, subject: client, status: 429}

safety:
  max_rate: 5/s                      # the pace of a run, politely
`
