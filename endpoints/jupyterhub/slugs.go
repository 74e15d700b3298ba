package jupyterhub

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
)

// The two spellings of a name that a profiles file may choose under slugs.
const (
	slugs6 = "kubespawner6" // the default: different names stay different
	slugs7 = "kubespawner7" // the names of KubeSpawner 7, with a hash of 32 bits
)

// names are a Pod's names as they stand in a profile, each in a form that is safe in a path and within a
// Kubernetes name.
type names struct{ user, server, userServer string }

// spell returns the names of a user's server. The server's name is empty for the default one.
func spell(slugs, user, server string) names {
	if slugs == slugs7 {
		return spell7(user, server)
	}
	n := names{user: safeName(user), userServer: safeName(user)}
	if server != "" {
		n.server = safeName(server)
		n.userServer = n.user + "--" + n.server
		if len(n.userServer) == maxSafeName {
			// A server named like the hash of someone's long name must not get that one's files. No hash has an s.
			n.userServer = n.user + "--s" + n.server
		}
	}
	return n
}

var (
	objectName  = regexp.MustCompile(`^[a-z]([a-z0-9-]*[a-z0-9])?$`)
	noSlugChars = regexp.MustCompile(`[^a-z0-9]+`)
)

const (
	maxSlug7 = 48 // bytes, of KubeSpawner's templates
	hashed7  = 8  // hexadecimal digits
)

// spell7 spells names as KubeSpawner 7 does (slugs.py): a valid name stays, another one is shortened and ends
// with three dashes and 32 bits of its SHA-256. Someone who may choose their own name can search for one with
// the slug of another user.
func spell7(user, server string) names {
	n := names{user: slug7(user)}
	n.userServer = n.user
	if server != "" {
		n.server = slug7(server)
		n.userServer = n.user + "--" + n.server
	}
	if len(n.user)+len(n.server)+len("--") > maxSlug7 {
		const each = (maxSlug7-hashed7-1)/2 - 2
		n.userServer = stem7(user, each) + "--" + stem7(server, each) + "---" + hash7(user+"\xff"+server)
	}
	return n
}

func slug7(name string) string {
	if len(name) <= maxSlug7 && objectName.MatchString(name) && !strings.Contains(name, "--") {
		return name
	}
	return stem7(name, maxSlug7-hashed7-len("---")) + "---" + hash7(name)
}

// stem7 returns the part of a slug that people recognise, of most bytes at the most.
func stem7(name string, most int) string {
	lower := strings.ToLower(strings.ReplaceAll(name, "\u0130", "i\u0307")) // as Python does it
	s := strings.TrimLeft(noSlugChars.ReplaceAllString(lower, "-"), "-")
	s = strings.TrimRight(s[:min(len(s), most)], "-")
	switch {
	case s == "":
		return "x"
	case s[0] < 'a' || s[0] > 'z':
		return "x-" + s[:min(len(s), most-len("x-"))]
	}
	return s
}

func hash7(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s)))[:hashed7] }

// maxSafeName is the maximum length of a safe name in bytes. A file name (255 bytes) and a Kubernetes name
// (253) so have room for the text that a profile puts around it.
const maxSafeName = 128

// safeName spells a user's name in lower-case letters, digits and dashes. Different names stay different:
//
//   - A lower-case letter or a digit stays. Every other byte becomes a dash and its two hexadecimal digits.
//     So "..", "/" and "\" do not occur, and names that differ only in case are different on a volume that
//     ignores case.
//   - A name that would be too long is cut and ends with two dashes and its SHA-256. Two dashes do not occur
//     in other names.
//
// KubeSpawner spelt its template {username} in the same way up to version 6, so the directories of that time
// are found again.
func safeName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "-%02x", c)
		}
	}
	s := b.String()
	if len(s) > maxSafeName {
		sum := fmt.Sprintf("--%x", sha256.Sum256([]byte(name)))
		s = s[:maxSafeName-len(sum)] + sum
	}
	return s
}
