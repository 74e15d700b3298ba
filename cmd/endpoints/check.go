package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/txn2/amp/endpoints/jupyterhub"
)

const checkUsage = `Usage: endpoints jupyterhub check FILE [flags]

Checks a profiles file. With --user or --pod, it also says in words what the endpoint would do with a Pod, and which
profiles it would take that from. It asks no cluster.

  --user NAME     the Pod of this user (as JupyterHub knows the name), as Zero to JupyterHub makes it by default
  --server NAME   their named server; without it: the default server
  --group NAME    a group that the Pod names, where groupsFrom says; repeat it for more
  --pod FILE      the Pod in this file, YAML or JSON; - is stdin
  --values        print values of environment variables, too. They may be secrets

Exit codes: 0 the file is good, and the Pod would be admitted; 1 the file has mistakes, or the Pod would be refused, or
the endpoint could not decide; 2 a wrong flag, or a file that cannot be read.
`

// check is `endpoints jupyterhub check FILE`. It returns the exit code.
func check(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	wrong := func(format string, args ...any) int {
		fmt.Fprintf(stderr, "endpoints: "+format+": see endpoints jupyterhub --help\n", args...)
		return 2
	}
	if len(args) > 0 && isHelp(args[0]) {
		fmt.Fprint(stdout, checkUsage)
		return 0
	}
	if len(args) == 0 || args[0] != "check" {
		return wrong("want jupyterhub check FILE")
	}
	var q jupyterhub.Question
	var podFile string
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&q.User, "user", "", "")
	flags.StringVar(&q.Server, "server", "", "")
	flags.Func("group", "", func(name string) error {
		if strings.TrimSpace(name) == "" || strings.Contains(name, ",") {
			return errors.New("want one name of a group: repeat the flag for more")
		}
		q.Groups = append(q.Groups, name)
		return nil
	})
	flags.StringVar(&podFile, "pod", "", "")
	flags.BoolVar(&q.Values, "values", false, "")
	var files []string
	for rest := args[1:]; ; { // flags may stand before and behind the file
		if err := flags.Parse(rest); errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, checkUsage)
			return 0
		} else if err != nil {
			return wrong("%v", err)
		}
		if flags.NArg() == 0 {
			break
		}
		files, rest = append(files, flags.Arg(0)), flags.Args()[1:]
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case len(files) != 1:
		return wrong("want one profiles file, not %d", len(files))
	case given["user"] && q.User == "":
		return wrong("--user is empty: want the name of a user")
	case given["pod"] && (given["user"] || given["server"] || given["group"]):
		return wrong("--pod says who the user is: leave out --user, --server and --group")
	case !given["pod"] && !given["user"] && len(given) > 0:
		return wrong("want --user or --pod, too")
	case len(given) == 0:
		return jupyterhub.Check(files[0], nil, stdout, stderr)
	}
	if given["pod"] {
		var err error
		if q.Pod, err = readPod(podFile, stdin); err != nil {
			fmt.Fprintln(stderr, "endpoints: reading --pod:", err)
			return 2
		}
	}
	return jupyterhub.Check(files[0], &q, stdout, stderr)
}

// readPod reads a file, or stdin if its name is -. The result is not nil.
func readPod(file string, stdin io.Reader) (text []byte, err error) {
	if file == "-" {
		text, err = io.ReadAll(stdin)
	} else {
		text, err = os.ReadFile(file)
	}
	if err == nil && len(text) == 0 {
		err = fmt.Errorf("%s is empty: want a Pod", file)
	}
	return text, err
}
