// Command grantcheck judges OAuth 2.0 token endpoints and puts them under load.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"grantcheck/report"
)

func main() {
	ctx := interruptible(os.Exit)
	os.Exit(run(ctx, os.Args[1:]))
}

// run executes one command line and returns its exit code.
func run(ctx context.Context, args []string) int {
	root := newRoot()
	root.SetArgs(args)
	return tell(root.OutOrStdout(), root.ErrOrStderr(), args, root.ExecuteContext(ctx))
}

// interruptible returns a context that ends at the first SIGINT or SIGTERM, so
// that the report of what was done is still written. The second signal quits at once.
func interruptible(quit func(code int)) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel()
		<-signals
		quit(report.ExitInterrupted)
	}()
	return ctx
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "grantcheck",
		Short: "Judge OAuth 2.0 token endpoints by their contract and the standards, and put them under load",
		Long: `grantcheck tells whether an OAuth 2.0 token endpoint does what its documentation and the
standards say, and how it behaves under load.

CONTRACT is a file, or the name of a shipped contract: ` + shippedInWords() + `.
Without one, check and load judge the built-in emulator of the contract "standard".

` + exitTable(),
		Example: `  grantcheck check                                        # the built-in emulator, to see how it looks
  grantcheck check acme.yaml                              # judge an endpoint by its contract
  grantcheck check standard --url https://id.example/token
  grantcheck load acme.yaml --profile smoke
  grantcheck rules request.unknown-grant-type             # what a rule asks, and why`,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddGroup(
		&cobra.Group{ID: "judge", Title: "Judge an endpoint:"},
		&cobra.Group{ID: "know", Title: "Know what is judged:"},
		&cobra.Group{ID: "after", Title: "Work with what came out:"},
	)
	root.SetHelpCommandGroupID("after")
	root.SetCompletionCommandGroupID("after")
	in := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	in("judge", newCheck(), newLoad(), newServe())
	in("know", newRules(), newContract(), newSelftest())
	in("after", newReport(), newVersion())
	root.SetFlagErrorFunc(suggestFlag)
	return root
}
