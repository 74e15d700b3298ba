package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

var heredoc = regexp.MustCompile(`<<'?(\w+)'?`)

// commandsIn splits a block of shell into its commands. A command may have several lines: with a backslash at the end, within
// quotes, or up to the end of a here-document. Comments are left out.
func commandsIn(block string) []string {
	var all []string
	var command strings.Builder
	var quote rune
	end := "" // of a here-document
	for line := range strings.Lines(block) {
		line = strings.TrimSuffix(line, "\n")
		if end != "" {
			command.WriteString("\n" + line)
			if line == end {
				end = ""
				all = append(all, command.String())
				command.Reset()
			}
			continue
		}
		if command.Len() == 0 && quote == 0 {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") {
				continue
			}
		} else if quote == 0 {
			line = " " + strings.TrimSpace(line)
		} else {
			line = "\n" + line
		}
		goesOn, comment := false, -1
		escaped := false
		for i, c := range line {
			switch {
			case escaped:
				escaped = false
			case c == '\\' && quote != '\'':
				escaped = true
			case quote != 0:
				if c == quote {
					quote = 0
				}
			case c == '\'' || c == '"':
				quote = c
			case c == '#' && i > 0 && line[i-1] == ' ':
				comment = i
			}
			if comment >= 0 {
				break
			}
		}
		if comment >= 0 {
			line = strings.TrimRight(line[:comment], " ")
		}
		if goesOn = escaped && quote == 0; goesOn {
			line = strings.TrimRight(strings.TrimSuffix(line, `\`), " ")
		}
		command.WriteString(line)
		if m := heredoc.FindStringSubmatch(line); m != nil && quote == 0 {
			end = m[1]
			continue
		}
		if !goesOn && quote == 0 {
			all = append(all, command.String())
			command.Reset()
		}
	}
	return all
}

func TestCommandsIn(t *testing.T) {
	for what, test := range map[string]struct {
		block string
		want  []string
	}{
		"each line is one":              {"a b\nc\n", []string{"a b", "c"}},
		"comments and empty lines":      {"# x\n\na  # why\nb=c#d\n", []string{"a", "b=c#d"}},
		"a backslash at the end":        {"a \\\n  b\nc\n", []string{"a b", "c"}},
		"quotes over lines":             {"a 'b\n # c'\nd \"#\" # e\n", []string{"a 'b\n # c'", `d "#"`}},
		"an escaped quote ends nothing": {"a \"\\\"\nb\"\nc\n", []string{"a \"\\\"\nb\"", "c"}},
		"a here-document up to its end": {"cat > f <<'EOF'\n# x\n'\nEOF\na\n", []string{"cat > f <<'EOF'\n# x\n'\nEOF", "a"}},
	} {
		if got := commandsIn(test.block); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", what, got, test.want)
		}
	}
}
