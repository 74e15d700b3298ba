package jupyterhub

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Check is the command `endpoints jupyterhub check FILE`: it says what is wrong with a profiles file and, if a
// Pod is given, what the endpoint would do with it. It returns the exit code: 0 if the file is good and the Pod
// would be admitted, 1 if the file has mistakes or the Pod would not be admitted, 2 if something cannot be read.
func Check(file string, of *Question, stdout, stderr io.Writer) int {
	stdout, stderr = printable{stdout}, printable{stderr}
	text, err := read(file)
	if err != nil {
		fmt.Fprintln(stderr, "endpoints:", err)
		return 2
	}
	p, err := parse(text)
	var mistakes Mistakes
	if errors.As(err, &mistakes) {
		for _, m := range mistakes {
			fmt.Fprintf(stdout, "%s: %s\n", file, m)
		}
		return 1
	}
	fmt.Fprintf(stdout, "%s is good: %d users and patterns, %d groups\n", file, len(p.Users), len(p.Groups))
	if of != nil {
		return of.answer(p, stdout, stderr)
	}
	for _, name := range sortedKeys(p.Groups) {
		fmt.Fprintf(stdout, "group %s: members %s\n", name, strings.Join(p.Groups[name].Members, ", "))
	}
	for _, name := range sortedKeys(p.Users) {
		fmt.Fprintf(stdout, "user %s: groups %s\n", name, strings.Join(p.Users[name].Groups, ", "))
	}
	return 0
}

// printable replaces what a terminal would obey. The creator of a Pod writes its annotations, and this command prints them.
type printable struct{ to io.Writer }

func (p printable) Write(b []byte) (int, error) {
	text := strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, string(b))
	if _, err := io.WriteString(p.to, text); err != nil {
		return 0, err
	}
	return len(b), nil
}
