package jupyterhub

import (
	"regexp"
	"strings"
)

var (
	placed      = regexp.MustCompile(`\{(username|servername|user_server)\}`)
	placedApart = regexp.MustCompile(`/|--|[^a-z0-9-]`)

	// inPlace are the fields that say where something of a user's lies.
	inPlace = regexp.MustCompile(`\.(volumes|volumeMounts|envFrom)\[|\.env\[\d+\]\.valueFrom\.`)
	// noPlace are those of them that do not.
	noPlace = regexp.MustCompile(`\.prefix$|\.configMapKeyRef\.key$`)
	// freeText are those of them whose text is for another program: a driver, or a controller.
	freeText = regexp.MustCompile(`\.volumes\[\d+\]\.(.*\.)?(volumeAttributes|options|annotations)\.`)
	// braced is one word in braces, as JSON and YAML have it nowhere. A dollar before it makes it a driver's own variable.
	braced = regexp.MustCompile(`\$?\{+ *[A-Za-z][A-Za-z0-9_.-]* *\}+`)
	// dollar is what looks like a variable of another program, and would become a dollar and a name.
	dollar = regexp.MustCompile(`\$` + placed.String())
)

// misspelt reports whether a text has a placeholder that is none of ours. In the name of an object, a path or an address,
// that is each brace which is left over: none of them can have one. Other texts may hold JSON, or ${NAME}. There, it is one
// word in braces, such as {user}, {Username}, { username } or {{username}}.
func misspelt(field, text string) bool {
	if !freeText.MatchString(field) {
		return strings.ContainsAny(placed.ReplaceAllString(text, ""), "{}")
	}
	for _, word := range braced.FindAllString(text, -1) {
		if word[0] != '$' && placed.FindString(word) != word {
			return true
		}
	}
	return false
}

// placeholders checks where a user's files and secrets may lie. A user chooses the names of their servers: only together
// with their own name, and well apart from it, they tell the users apart. A misspelt placeholder would stay as it is and
// name one place for all users. Elsewhere, such as in the value of a variable, braces may be meant as they are.
func (c *checker) placeholders() {
	for _, field := range sortedKeys(c.texts) {
		if !inPlace.MatchString(field) || noPlace.MatchString(field) {
			continue
		}
		text := c.texts[field]
		if dollar.MatchString(text) {
			c.at(field, "write the placeholder without a dollar: it would stay, before the name")
			continue
		}
		if strings.Contains(text, "$(") && !freeText.MatchString(field) && !strings.HasSuffix(field, ".subPathExpr") {
			c.at(field, "Kubernetes does not replace $(NAME) here: write {username}, or use subPathExpr in the mount")
			continue
		}
		if misspelt(field, text) {
			c.at(field, "the only placeholders are {username}, {servername} and {user_server}")
			continue
		}
		if !strings.Contains(text, "{servername}") {
			continue
		}
		found := placed.FindAllStringIndex(text, -1)
		apart := len(found) > 1 && strings.Contains(text, "{username}")
		for i := 1; i < len(found); i++ {
			apart = apart && placedApart.MatchString(text[found[i-1][1]:found[i][0]])
		}
		if !apart {
			c.at(field, "{servername} is the user's choice, so users could share what lies there: write {user_server}, or {username}/{servername}")
		}
	}
}
