package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"grantcheck/report"
)

// An output is one -o: a format, and the file it goes to ("" for stdout).
type output[F any] struct {
	format F
	file   string
}

// outputFlag adds -o to a command.
func outputFlag(cmd *cobra.Command, names ...string) *[]string {
	specs := cmd.Flags().StringArrayP("output", "o", nil, "FORMAT[=FILE], repeatable: "+strings.Join(names, ", ")+" (default table on stdout)")
	complete(cmd, "output", names...)
	return specs
}

// outputs reads -o flags and makes sure that every file can be written. What is
// not sent to a file goes to stdout; when nothing does and deflt is given, that does.
func outputs[F any](specs []string, find func(name string) (F, error), deflt string) ([]output[F], error) {
	var out []output[F]
	var toStdout, files []string
	for _, spec := range specs {
		name, file, hasFile := strings.Cut(spec, "=")
		format, err := find(name)
		if err != nil {
			return nil, usage("-o %s: %w", spec, err)
		}
		if hasFile && file == "" {
			return nil, usage("-o %s: the file's name is missing; -o %s alone writes to stdout", spec, name)
		}
		if file == "" || file == "-" {
			toStdout, file = append(toStdout, name), ""
		} else if slices.Contains(files, filepath.Clean(file)) {
			return nil, usage("-o %s: %s is written by another -o already", spec, file)
		} else {
			if err := writable(file); err != nil {
				return nil, usage("-o %s: %w", spec, err)
			}
			files = append(files, filepath.Clean(file))
		}
		out = append(out, output[F]{format, file})
	}
	if len(toStdout) > 1 {
		for _, name := range toStdout {
			if name == "json" || name == "junit" || name == "html" {
				return nil, usage("-o %s and %s both on stdout cannot be told apart; give one a file: -o %s=FILE", toStdout[0], toStdout[1], name)
			}
		}
	}
	if len(toStdout) == 0 && deflt != "" {
		format, err := find(deflt)
		if err != nil {
			return nil, err
		}
		out = append([]output[F]{{format, ""}}, out...)
	}
	return out, nil
}

// writable tries, before anything is sent, what save will do.
func writable(file string) error {
	info, err := os.Stat(file)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("%s is a directory; name a file in it", file)
	case err == nil && !info.Mode().IsRegular():
		return nil // a pipe or a device
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	f, err := beside(file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no directory %s to write %s in; make it first", filepath.Dir(file), filepath.Base(file))
		}
		return fmt.Errorf("cannot write %s: %w", file, err)
	}
	f.Close()
	return os.Remove(f.Name())
}

// beside opens a new file in the directory of another.
func beside(file string) (*os.File, error) {
	return os.OpenFile(fmt.Sprintf("%s.%d.tmp", file, os.Getpid()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
}

// save writes a file whole or not at all. A pipe or a device is written as it
// is, and the summary of a workflow step is added to, as other steps write there too.
func save(file string, data []byte) error {
	if real, err := filepath.EvalSymlinks(file); err == nil {
		file = real
	}
	info, err := os.Stat(file)
	if file == os.Getenv("GITHUB_STEP_SUMMARY") || err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return err
		}
		_, err = f.Write(data)
		return errors.Join(err, f.Close())
	}
	f, err := beside(file)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// write renders to every output; render is told the style of the place.
func write[F any](cmd *cobra.Command, to []output[F], verbose bool, render func(F, io.Writer, report.Style) error) error {
	var errs []error
	for _, o := range to {
		style := report.Style{Verbose: verbose}
		if o.file == "" {
			style.Width, style.Color = screen(cmd.OutOrStdout())
		}
		var b bytes.Buffer
		err := render(o.format, &b, style)
		if err == nil && o.file != "" {
			err = save(o.file, b.Bytes())
		} else if err == nil {
			_, err = cmd.OutOrStdout().Write(b.Bytes())
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		return broken("the report could not be written: %w", errors.Join(errs...))
	}
	return nil
}

// writeRun renders a run to every output.
func writeRun(cmd *cobra.Command, to []output[report.Format], run *report.Run, verbose bool) error {
	return write(cmd, to, verbose, func(f report.Format, w io.Writer, s report.Style) error { return f.Write(w, *run, s) })
}

// ended turns the exit code of a finished run into the end of the command.
func ended(run *report.Run, to []output[report.Format]) error {
	if run.ExitCode == report.ExitOK {
		return nil
	}
	return exit{
		code: run.ExitCode, error: errors.New(run.ExitReason),
		annotated: slices.ContainsFunc(to, func(o output[report.Format]) bool { return o.format.Name == "github" }),
	}
}

// screen tells how wide a terminal is and whether it may be coloured; 0 and false for anything else.
func screen(w io.Writer) (width int, color bool) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		width = 0
	}
	_, plain := os.LookupEnv("NO_COLOR")
	return min(width, 120), !plain && os.Getenv("TERM") != "dumb"
}

// readRun reads a saved run from a file, "-" for stdin.
func readRun(cmd *cobra.Command, file string) (*report.Run, error) {
	if file == "-" {
		return report.ReadJSON(cmd.InOrStdin(), "stdin")
	}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usage("%s: no such file; a run is saved with -o json=%s", file, file)
	} else if err != nil {
		return nil, usage("%w", err)
	}
	defer f.Close()
	run, err := report.ReadJSON(f, file)
	if err != nil {
		return nil, usage("%w", err)
	}
	return run, nil
}
