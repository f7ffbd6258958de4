package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what came into the scripts")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"grantcheck": main})
}

// TestScripts runs the command as its users do: every script of testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", RequireExplicitExec: true, RequireUniqueNames: true, UpdateScripts: *update,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exitsWith, "served": served, "member": member, "interrupted": interrupted,
		},
	})
}

// exitsWith runs grantcheck and holds its exit code, or that it is one of several: exits 2 check nowhere.yaml
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE ARG…")
	}
	err := ts.Exec("grantcheck", args[1:]...)
	code := 0
	var e *exec.ExitError
	if errors.As(err, &e) {
		code = e.ExitCode()
	} else {
		ts.Check(err)
	}
	if !slices.Contains(strings.Split(args[0], "|"), strconv.Itoa(code)) {
		ts.Fatalf("exit %d, want %s", code, args[0])
	}
}

// start runs grantcheck until the script ends or stop is called.
func start(ts *testscript.TestScript, args ...string) (cmd *exec.Cmd, stdout *bufio.Reader) {
	cmd = exec.Command(lookPath(ts), args...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = os.Environ()
	for _, name := range strings.Fields(ts.Getenv("EXPORTED")) {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	cmd.Stderr = ts.Stderr()
	pipe, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	return cmd, bufio.NewReader(pipe)
}

func lookPath(ts *testscript.TestScript) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, "grantcheck")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	ts.Fatalf("no grantcheck in PATH")
	return ""
}

// served runs the emulator while the script lasts, and sets URL and the variables of --print-env:
// served appsecplus --fault response.content-type; stopped ends it and holds that it ends well.
func served(ts *testscript.TestScript, neg bool, args []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	address := l.Addr().String()
	l.Close()
	args = append([]string{"serve", "--listen", address}, args...)

	out, err := exec.Command(lookPath(ts), append(args, "--print-env")...).Output()
	ts.Check(err)
	for line := range strings.Lines(string(out)) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if !ok {
			ts.Fatalf("--print-env printed %q", line)
		}
		ts.Setenv("EXPORTED", ts.Getenv("EXPORTED")+" "+name)
		ts.Setenv(name, strings.ReplaceAll(strings.Trim(value, "'"), `'\''`, "'"))
	}
	cmd, stdout := start(ts, args...)
	end := sync.OnceValue(func() error {
		cmd.Process.Signal(syscall.SIGTERM)
		return cmd.Wait()
	})
	ts.Defer(func() { end() })
	ts.SetCmd("stopped", func(ts *testscript.TestScript, _ bool, _ []string) { ts.Check(end()) })
	line, err := stdout.ReadString('\n')
	ts.Check(err)
	_, url, ok := strings.Cut(strings.TrimSpace(line), " at ")
	if !ok || !strings.HasPrefix(line, "serving ") {
		ts.Fatalf("serve began with %q", line)
	}
	ts.Setenv("URL", url)
	go stdout.WriteTo(io.Discard)
}

// member holds the value of a member of a JSON file: member run.json exit_code 0; without a value, that it is there.
func member(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: [!] member FILE PATH [VALUE]")
	}
	var at any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &at))
	found := true
	for _, key := range strings.Split(args[1], ".") {
		switch v := at.(type) {
		case map[string]any:
			at, found = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if found = err == nil && i < len(v); found {
				at = v[i]
			}
		default:
			found = false
		}
		if !found {
			break
		}
	}
	if found && len(args) > 2 {
		found = fmt.Sprint(at) == args[2]
	}
	if found == neg {
		ts.Fatalf("%s: %s is %v", args[0], args[1], at)
	}
}

// interrupted starts grantcheck, interrupts it when it has printed its first line, and holds exit code 130.
func interrupted(ts *testscript.TestScript, neg bool, args []string) {
	cmd, stdout := start(ts, args...)
	_, err := stdout.ReadString('\n')
	ts.Check(err)
	ts.Check(cmd.Process.Signal(os.Interrupt))
	stdout.WriteTo(io.Discard)
	err = cmd.Wait()
	var e *exec.ExitError
	if !errors.As(err, &e) || e.ExitCode() != 130 {
		ts.Fatalf("interrupted: %v, want exit 130", err)
	}
}
