package suites_test

import (
	"context"
	"fmt"
	"io"
	"log"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/extensions/globals"
	"github.com/onsi/ginkgo/v2/formatter"
	"github.com/onsi/gomega"

	"grantcheck/report"
	"grantcheck/suites"
	"grantcheck/suites/contract"
	"grantcheck/suites/emulator"
	"grantcheck/suites/exchange"
)

// startEmulator stands in for the endpoint of these examples.
func startEmulator(name string, faults ...string) *emulator.Emulator {
	c, err := contract.Open(name)
	if err != nil {
		log.Fatal(err)
	}
	em, err := emulator.New(emulator.Options{Contract: c, Faults: faults})
	if err != nil {
		log.Fatal(err)
	}
	if err := em.Start(); err != nil {
		log.Fatal(err)
	}
	return em
}

// Run is the door for programs and plain Go tests.
func ExampleRun() {
	endpoint := startEmulator("appsecplus", "headers.no-store")
	defer endpoint.Close()

	run, err := suites.Run(context.Background(), suites.Config{
		Contract:  endpoint.Contract(), // contract.Open, then Bind, for an endpoint of your own
		Exchange:  exchange.Options{URL: endpoint.URL()},
		Selection: suites.Selection{Groups: []string{"headers"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range run.Checks {
		if c.Verdict == report.Fail {
			fmt.Printf("%s: expected %s, came %s (%s)\n", c.Rule, c.Expected, c.Actual, c.Source)
		}
	}
	fmt.Println("exit", run.ExitCode)
	// Output:
	// headers.no-store: expected Cache-Control: no-store, came Cache-Control: private (RFC 6749 §5.1)
	// exit 1
}

// Register is the door for a Ginkgo suite of your own: call it while the tree is built.
func ExampleRegister() {
	endpoint := startEmulator("devensoft")
	defer endpoint.Close()
	globals.Reset() // only because this file holds several suites
	defer globals.Reset()
	gomega.RegisterFailHandler(ginkgo.Fail)

	suites.Register(suites.Config{
		Contract:  endpoint.Contract(),
		Exchange:  exchange.Options{URL: endpoint.URL()},
		Selection: suites.Selection{Rules: []string{"response.*"}},
	}, func(run *report.Run) {
		fmt.Println("failed:", run.Summary.Fail, "exit", run.ExitCode)
	})

	stdout := formatter.ColorableStdOut
	formatter.ColorableStdOut = io.Discard
	defer func() { formatter.ColorableStdOut = stdout }()
	passed := ginkgo.RunSpecs(suite{}, "my authorization server") // *testing.T in a test
	fmt.Println("passed:", passed)
	// Output:
	// failed: 0 exit 0
	// passed: true
}

type suite struct{}

func (suite) Fail() {}
